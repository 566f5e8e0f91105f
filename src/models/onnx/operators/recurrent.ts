/** Recurrent layers, step by step, of operations that have gradients. */
import { ArgumentError, ShapeError, UnsupportedError } from '../../../runtime/errors.js'
import { elu, leakyRelu, relu, sigmoid, softplus, tanh } from '../../../ops/activation.js'
import { cast } from '../../../ops/cast.js'
import { greater, greaterOrEqual, where } from '../../../ops/choice.js'
import { abs, add, clamp, div, mul, neg, sub } from '../../../ops/elementwise.js'
import { concat, slice, transpose } from '../../../ops/layout.js'
import { linear } from '../../../ops/linear.js'
import { tensor, zeros } from '../../../tensor/create.js'
import { sameShape, showShape, type Shape } from '../../../tensor/shape.js'
import { scope, type AnyTensor, type Tensor } from '../../../tensor/tensor.js'
import type { NodeReader } from '../node.js'
import { floats, numbersOf, type Lowered, type Meaning, type Rows } from '../row.js'

type Activation = (x: Tensor) => Tensor

/** An activation function by its name, and the parameters that it takes if they are not given. */
interface Named {
  readonly alpha?: number
  readonly beta?: number
  make(alpha: number, beta: number): Activation
}

const plain = (of: Activation): Named => ({ make: () => of })

const activations: Readonly<Record<string, Named>> = {
  relu: plain(relu),
  tanh: plain(tanh),
  sigmoid: plain(sigmoid),
  softplus: plain((x) => softplus(x)),
  softsign: plain((x) => div(x, add(abs(x), 1))),
  affine: { alpha: 1, beta: 0, make: (alpha, beta) => (x) => add(mul(x, alpha), beta) },
  leakyrelu: {
    alpha: 0.01,
    make: (alpha) => (x) =>
      alpha >= 0 ? leakyRelu(x, { negativeSlope: alpha }) : sub(relu(x), mul(relu(neg(x)), alpha)),
  },
  thresholdedrelu: {
    alpha: 1,
    make: (alpha) => (x) => mul(x, cast(greaterOrEqual(x, tensor([alpha], [])), 'float32')),
  },
  scaledtanh: { alpha: 1, beta: 1, make: (alpha, beta) => (x) => mul(tanh(mul(x, beta)), alpha) },
  hardsigmoid: {
    alpha: 0.2,
    beta: 0.5,
    make: (alpha, beta) => (x) => clamp(add(mul(x, alpha), beta), { min: 0, max: 1 }),
  },
  elu: { alpha: 1, make: (alpha) => (x) => elu(x, { alpha }) },
}

/** The functions of a node: parameters are handed out in the order of those that take one. */
function readActivations(node: NodeReader, otherwise: readonly string[], directions: number): Activation[][] {
  const given = node.texts('activations')
  const alphas = node.floats('activation_alpha') ?? []
  const betas = node.floats('activation_beta') ?? []
  const count = otherwise.length
  const names = given ?? Array.from({ length: directions }, () => otherwise).flat()
  if (names.length !== count * directions)
    throw new ArgumentError(`activations must have ${count * directions} names, and has ${names.length}`)
  const all = names.map((name) => {
    const key = name.toLowerCase()
    const named = Object.hasOwn(activations, key) ? activations[key] : undefined
    if (!named) throw new UnsupportedError(`the activation ${name} is not supported`)
    const alpha = named.alpha === undefined ? 0 : (alphas.shift() ?? named.alpha)
    const beta = named.beta === undefined ? 0 : (betas.shift() ?? named.beta)
    return named.make(alpha, beta)
  })
  return Array.from({ length: directions }, (_, direction) => all.slice(count * direction, count * (direction + 1)))
}

/** What the attributes of a recurrent layer say. */
interface Layer {
  readonly directions: readonly ('forward' | 'reverse')[]
  /** For each direction the functions f, g, h. */
  readonly functions: readonly (readonly Activation[])[]
  /** Bounds what goes into a function. */
  readonly clip: number | undefined
  readonly hidden: number | undefined
  /** Whether the batch comes first. */
  readonly batchFirst: boolean
}

function readLayer(node: NodeReader, functions: readonly string[]): Layer {
  const direction = node.text('direction', 'forward', ['forward', 'reverse', 'bidirectional'])
  const directions =
    direction === 'bidirectional' ? (['forward', 'reverse'] as const) : [direction as 'forward' | 'reverse']
  const clip = node.hasAttribute('clip') ? node.float('clip') : undefined
  if (clip !== undefined && !(clip > 0)) throw new UnsupportedError(`clip must be above 0, given ${clip}`)
  // Until opset 6 the node said whether it gives all steps; an output that nobody takes says the same.
  node.ignore('output_sequence')
  return {
    directions,
    functions: readActivations(node, functions, directions.length),
    clip,
    hidden: node.hasAttribute('hidden_size') ? node.int('hidden_size') : undefined,
    batchFirst: node.opset >= 14 && node.flag('layout'),
  }
}

/** Part i of x along an axis that becomes that one's rows. */
const rowsOf = (x: Tensor, axis: number, begin: number, end: number): Tensor =>
  slice(x, {
    begin: x.shape.map((_, other) => (other === axis ? begin : 0)),
    end: x.shape.map((extent, other) => (other === axis ? end : extent)),
  })

/** x[i], of which the first axis goes. */
const entry = (x: Tensor, i: number): Tensor => rowsOf(x, 0, i, i + 1).reshape(x.shape.slice(1))

/** The state of a cell: h, and of an LSTM c. */
type State = readonly [h: Tensor, c?: Tensor | undefined]

/** Weights of one direction. */
interface Cell {
  readonly hidden: number
  /** R (gates · hidden, hidden). */
  readonly r: Tensor
  /** Biases of R alone (gates · hidden), and peepholes (3 · hidden), if there are. */
  readonly bias: Tensor | undefined
  readonly peepholes: Tensor | undefined
  readonly functions: readonly Activation[]
  readonly clipped: Activation
}

/**
 * Prepares a cell, and gives the next state of what the input gives to the gates (batch, gates · hidden) with its biases, and of the
 * state before. What is cut from weights is cut once.
 */
type Step = (cell: Cell) => (given: Tensor, before: State) => State

/** Gate i of several side by side. */
const gate = (x: Tensor, i: number, hidden: number): Tensor => rowsOf(x, x.ndim - 1, i * hidden, (i + 1) * hidden)

/** A layer of cells with `gates` gates; `apart` tells whether the biases of R are added by the cell. */
function layerOf(layer: Layer, gates: number, isApart: boolean, step: Step, cellState: boolean): Lowered {
  const { directions, functions, clip, batchFirst } = layer
  const clipped: Activation = clip === undefined ? (x) => x : (x) => clamp(x, { min: -clip, max: clip })
  return (inputs) => {
    const [given, w, r] = [floats(inputs, 0), floats(inputs, 1), floats(inputs, 2)]
    const optional = (input: number): Tensor | undefined => (inputs[input] ? floats(inputs, input) : undefined)
    const [bias, firstH] = [optional(3), optional(5)]
    const [firstC, peepholes] = cellState ? [optional(6), optional(7)] : []
    if (given.ndim !== 3) throw new ShapeError(`the input must have three axes, given ${showShape(given.shape)}`)
    const [T, B, I] = (batchFirst ? [1, 0, 2] : [0, 1, 2]).map((axis) => given.shape[axis]) as [number, number, number]
    const D = directions.length
    const H = r.shape[r.ndim - 1] ?? 0
    const check = (x: Tensor | undefined, shape: Shape, what: string): void => {
      if (x && !sameShape(x.shape, shape))
        throw new ShapeError(`${what} must be ${showShape(shape)}, given ${showShape(x.shape)}`)
    }
    if (layer.hidden !== undefined && layer.hidden !== H)
      throw new ShapeError(`hidden_size is ${layer.hidden}, and R is ${showShape(r.shape)}`)
    check(w, [D, gates * H, I], 'W')
    check(r, [D, gates * H, H], 'R')
    check(bias, [D, 2 * gates * H], 'B')
    check(peepholes, [D, 3 * H], 'P')
    const stateShape = batchFirst ? [B, D, H] : [D, B, H]
    check(firstH, stateShape, 'initial_h')
    check(firstC, stateShape, 'initial_c')
    if (T === 0 || B === 0) throw new ShapeError(`there is no step or no sequence in ${showShape(given.shape)}`)
    const lengths = lengthsOf(inputs[4], T, B)
    return scope(() => {
      const x = (batchFirst ? transpose(given, [1, 0, 2]) : given).reshape([T * B, I])
      const first = (state: Tensor | undefined, d: number): Tensor =>
        state ? entry(batchFirst ? transpose(state, [1, 0, 2]) : state, d) : zeros([B, H])
      const results = directions.map((direction, d) => {
        const biases = bias && entry(bias, d)
        const [ofW, ofR] = biases ? [rowsOf(biases, 0, 0, gates * H), rowsOf(biases, 0, gates * H, 2 * gates * H)] : []
        const shared = ofW && ofR && !isApart ? add(ofW, ofR) : ofW
        const all = linear(x, entry(w, d), shared).reshape([T, B, gates * H])
        const next = step({
          ...{ hidden: H, r: entry(r, d), bias: isApart ? ofR : undefined, clipped },
          peepholes: peepholes && entry(peepholes, d),
          functions: functions[d] as readonly Activation[],
        })
        let state: State = [first(firstH, d), cellState ? first(firstC, d) : undefined]
        const steps = new Array<Tensor>(T)
        for (let i = 0; i < T; i++) {
          const t = direction === 'forward' ? i : T - 1 - i
          const after = next(entry(all, t), state)
          const isWithin = lengths && greater(lengths, tensor([t], [1, 1], { dtype: lengths.dtype }))
          // Behind its end a sequence keeps its state, and gives zeros.
          const chosen = (a: Tensor, b: Tensor): Tensor => (isWithin ? where(isWithin, a, b) : a)
          steps[t] = chosen(after[0], zeros([B, H])).reshape([1, 1, B, H])
          state = [chosen(after[0], state[0]), after[1] && state[1] && chosen(after[1], state[1])]
        }
        return { y: concat(steps, 0), state: state.map((each) => each?.reshape([1, B, H])) }
      })
      const y = concat(
        results.map((result) => result.y),
        1,
      )
      const last = (which: 0 | 1): Tensor => {
        const states = concat(
          results.map(({ state }) => state[which] as Tensor),
          0,
        )
        return batchFirst ? transpose(states, [1, 0, 2]) : states
      }
      return [batchFirst ? transpose(y, [2, 0, 1, 3]) : y, last(0), ...(cellState ? [last(1)] : [])]
    })
  }
}

/** Lengths of sequences as a column; undefined where all are known to be whole. */
function lengthsOf(x: AnyTensor | undefined, T: number, B: number): AnyTensor | undefined {
  if (!x) return undefined
  if (!sameShape(x.shape, [B])) throw new ShapeError(`sequence_lens must be (${B}), given ${showShape(x.shape)}`)
  if (!x.storage.isPlanned && numbersOf(x).every((length) => length === T)) return undefined
  return x.reshape([B, 1])
}

/** Hₜ = f(given + Hₜ₋₁ Rᵀ). */
const simpleStep: Step = ({ r, functions, clipped }) => {
  const [f] = functions as [Activation]
  return (given, [h]) => [f(clipped(add(given, linear(h, r))))]
}

/** Gates i, o, f, c; Hochreiter and Schmidhuber 1997, with peepholes of Gers and Schmidhuber 2000. */
const lstmStep =
  (coupled: boolean): Step =>
  ({ hidden, r, peepholes, functions, clipped }) => {
    const [f, g, last] = functions as [Activation, Activation, Activation]
    const ofState = peepholes && [0, 1, 2].map((i) => gate(peepholes, i, hidden))
    /** What goes into gate i, which looks at a state of the cell. */
    const seen = (all: Tensor, i: number, state: Tensor): Tensor => {
      const own = gate(all, i, hidden)
      return clipped(ofState ? add(own, mul(state, ofState[i] as Tensor)) : own)
    }
    return (given, [h, before]) => {
      const c = before as Tensor
      const all = add(given, linear(h, r))
      const input = f(seen(all, 0, c))
      const forget = coupled ? sub(tensor([1], []), input) : f(seen(all, 2, c))
      const next = add(mul(forget, c), mul(input, g(clipped(gate(all, 3, hidden)))))
      const output = f(seen(all, 1, next))
      return [mul(output, last(clipped(next))), next]
    }
  }

/** Gates z, r, h; Cho et al. 2014. The reset gate is applied before or after the product with R. */
const gruStep =
  (linearFirst: boolean): Step =>
  ({ hidden, r, bias, functions, clipped }) => {
    const [f, g] = functions as [Activation, Activation]
    const cut = (x: Tensor, begin: number, end: number): Tensor => rowsOf(x, 0, begin * hidden, end * hidden)
    const [gates, gateBias] = [cut(r, 0, 2), bias && cut(bias, 0, 2)]
    const [own, ownBias] = [cut(r, 2, 3), bias && cut(bias, 2, 3)]
    return (given, [h]) => {
      const all = add(rowsOf(given, 1, 0, 2 * hidden), linear(h, gates, gateBias))
      const update = f(clipped(gate(all, 0, hidden)))
      const reset = f(clipped(gate(all, 1, hidden)))
      const recurrent = linearFirst ? mul(reset, linear(h, own, ownBias)) : linear(mul(reset, h), own, ownBias)
      const candidate = g(clipped(add(gate(given, 2, hidden), recurrent)))
      // (1 − z) h̃ + z h.
      return [add(candidate, mul(update, sub(h, candidate)))]
    }
  }

const weights = [1, 2, 3]

const row = (since: number, most: number, lower: Meaning['lower'], more: readonly number[] = []): Meaning => ({
  since,
  inputs: [3, most],
  weights: [...weights, ...more],
  lower,
})

export const recurrent: Rows = {
  RNN: [row(1, 6, (node) => layerOf(readLayer(node, ['Tanh']), 1, false, simpleStep, false))],
  LSTM: [
    row(
      1,
      8,
      (node) => {
        const coupled = node.flag('input_forget')
        return layerOf(readLayer(node, ['Sigmoid', 'Tanh', 'Tanh']), 4, false, lstmStep(coupled), true)
      },
      [7],
    ),
  ],
  GRU: [
    row(3, 6, (node) => {
      const linearFirst = node.flag('linear_before_reset')
      return layerOf(readLayer(node, ['Sigmoid', 'Tanh']), 3, true, gruStep(linearFirst), false)
    }),
  ],
}
