/**
 * What in a picture a feature map responds to: the deconvolutional network of Zeiler & Fergus 2014, section 2.1. The responses of
 * one map are carried back to the pixels, layer by layer:
 *
 *   pooling        the value goes to the place where the maximum was (its switch), zeros elsewhere
 *   nonlinearity   the signal passes through the same nonlinearity again, so that it has values which the layer can give:
 *                  a rectifier rectifies it
 *   convolution    the signal passes through the transposed filters, without the biases
 *
 * Carrying a gradient back differs in one rule alone: a rectifier lets a gradient through where its input was above 0, and a
 * reconstruction where the signal itself is (Simonyan, Vedaldi & Zisserman 2014, section 4).
 */
import { vjp } from '../autodiff/vjp.js'
import type { Graph } from '../nn/graph.js'
import type { ForwardContext } from '../nn/layer.js'
import { neededFor, type GraphNode } from '../nn/wiring.js'
import { add } from '../ops/elementwise.js'
import { checkWhole } from '../runtime/check.js'
import { ArgumentError, UnsupportedError } from '../runtime/errors.js'
import { checkCount, needKeys, type Names } from '../runtime/options.js'
import { inWords } from '../runtime/text.js'
import { tensor } from '../tensor/create.js'
import { sizeOf, type Shape } from '../tensor/shape.js'
import { scope, type Tensor } from '../tensor/tensor.js'
import { onePicture } from './classifier.js'
import { choosingLayers, linearLayers } from './kinds.js'
import { nodeNamed, onlyInput } from './node.js'

/** Options of `deconvolve`. */
export interface DeconvolveOptions {
  /** Name of the layer, as in `model.nodes`; layers of a `Sequential` are named by their numbers. */
  readonly layer: string
  /** The feature map, from 0; of a layer of single numbers, the unit. */
  readonly map: number
  /**
   * The responses that are carried back, all others being zero: the `strongest` one of the map, `all` of them, or the one at
   * a row and a column. Default: strongest.
   */
  readonly place?: 'strongest' | 'all' | readonly [row: number, column: number]
}

const deconvolveNames = { layer: 0, map: 0, place: 0 } satisfies Names<DeconvolveOptions>

/** What `deconvolve` gives. */
export interface Reconstruction {
  /** [C, H, W], that of the picture. */
  readonly shape: readonly [C: number, H: number, W: number]
  /** In the units of the model's input, row-major; 0 where nothing speaks for or against the response. */
  readonly values: Float32Array
  /** Row and column of the response that was carried back; of all of them, that of the strongest. [0, 0] for a unit. */
  readonly place: readonly [row: number, column: number]
  /** That response. */
  readonly response: number
}

/** What carries a gradient back through these does so with a signal: they are linear but for a constant, or choose an input. */
const adjoint: ReadonlySet<string> = new Set([...linearLayers, ...choosingLayers])

/** Nonlinearities that leave 0 as it is: a signal passes through them again. */
const nonlinear: ReadonlySet<string> = new Set(['ReLU', 'ReLU6', 'LeakyReLU', 'ELU', 'Tanh', 'ScaledTanh'])

/** Normalization by neighbours, which the paper's network passes by: the signal stays as it is. */
const passedBy: ReadonlySet<string> = new Set(['LocalResponseNorm'])

const inUse: ForwardContext = { training: false, seed: 0, step: 0, stream: 0 }

/** @throws UnsupportedError that names the first layer through which no signal is carried back */
function checkPath(path: readonly GraphNode[]): void {
  const wrong = path.find(({ layer: { type } }) => ![adjoint, nonlinear, passedBy].some((kind) => kind.has(type)))
  if (!wrong) return
  throw new UnsupportedError(
    `deconvolve: layer '${wrong.name}', ${wrong.layer.describe()}, cannot be passed backwards; choose a layer before it`,
  )
}

/** What the inputs of a layer get of the signal at its output. */
function carriedBack({ layer }: GraphNode, inputs: readonly Tensor[], signal: Tensor): readonly Tensor[] {
  if (passedBy.has(layer.type)) return [signal]
  if (nonlinear.has(layer.type)) return [layer.forward(signal, inUse)]
  const { pullback, dispose } = vjp((first, ...others) => layer.forward(first, inUse, ...others), ...inputs)
  try {
    return pullback(signal)
  } finally {
    dispose()
  }
}

interface Start {
  readonly signal: Tensor
  readonly place: readonly [row: number, column: number]
  readonly response: number
}

/** The response to begin with. @throws ArgumentError when there is no such map or place */
function startOf(value: Tensor, { map, place = 'strongest' }: DeconvolveOptions): Start {
  const [, K, ...plane] = value.shape as [number, number, ...number[]]
  const [rows = 1, columns = 1] = plane
  checkWhole(map, 'deconvolve: map', 0, K - 1)
  const values = value.data()
  const size = sizeOf(plane)
  const begin = map * size
  let at: number
  if (place === 'strongest' || place === 'all') {
    at = strongestIn(values, begin, begin + size) - begin
  } else {
    if (!Array.isArray(place) || place.length !== 2) {
      throw new ArgumentError(`deconvolve: place must be 'strongest', 'all' or [row, column], given ${inWords(place)}`)
    }
    const [row, column] = place as [number, number]
    at = checkWhole(row, 'deconvolve: row of the place', 0, rows - 1) * columns
    at += checkWhole(column, 'deconvolve: column of the place', 0, columns - 1)
  }
  const kept = new Float32Array(values.length)
  if (place === 'all') kept.set(values.subarray(begin, begin + size), begin)
  else kept[begin + at] = values[begin + at] as number
  return {
    signal: tensor(kept, value.shape),
    place: [Math.floor(at / columns), at % columns],
    response: values[begin + at] as number,
  }
}

/** The place of the largest value from `begin` to `end`; of equal ones the first. */
export function strongestIn(values: ArrayLike<number>, begin: number, end: number): number {
  let best = begin
  for (let i = begin + 1; i < end; i++) if ((values[i] as number) > (values[best] as number)) best = i
  return best
}

/**
 * The part of one picture (C, H, W) or (1, C, H, W) that a response of a feature map comes from, as a picture.
 *
 * @example
 * const { shape, values } = deconvolve(model, picture, { layer: '4', map: 12 })
 * tileGrid({ shape, values }, { color: true, range: 'symmetric' })
 * @throws ShapeError when the picture, the map or the place do not fit; UnsupportedError that names a layer on the way through
 *   which no signal is carried back, such as a sigmoid or a softmax
 */
export function deconvolve(model: Graph, x: Tensor, options: DeconvolveOptions): Reconstruction {
  checkCount('deconvolve', 3, arguments)
  needKeys('deconvolve', options, deconvolveNames)
  const { name } = nodeNamed(model, options.layer, 'deconvolve: layer')
  return scope(() => {
    const picture = onePicture(x, model, 'deconvolve')
    const input = onlyInput(model, 'deconvolve')
    const path = neededFor(model.nodes, [name])
    checkPath(path)
    const values: Record<string, Tensor> = model.run(
      picture,
      path.map((node) => node.name),
      { training: false },
    )
    values[input] = picture
    const { signal, place, response } = startOf(values[name] as Tensor, options)
    const signals = new Map([[name, signal]])
    for (const node of [...path].reverse()) {
      const arrived = signals.get(node.name)
      if (!arrived) continue
      const read = node.inputs.map((from) => values[from] as Tensor)
      carriedBack(node, read, arrived).forEach((part, n) => {
        const from = node.inputs[n] as string
        const other = signals.get(from)
        signals.set(from, other ? add(other, part) : part)
      })
    }
    const shape = picture.shape.slice(1) as Shape as readonly [number, number, number]
    return { shape, values: (signals.get(input) as Tensor).data(), place, response }
  })
}
