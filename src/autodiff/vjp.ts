/** Gradients of functions of tensors, each of which runs its function on a tape: `vjp`, `grad` and `valueAndGrad`. */
import { ArgumentError, ShapeError, UnsupportedError } from '../runtime/errors.js'
import { checkFunction } from '../runtime/check.js'
import { inWords } from '../runtime/text.js'
import { ones, zeros } from '../tensor/create.js'
import { sameShape, showShape } from '../tensor/shape.js'
import {
  checkTensor,
  enterScope,
  isFloats,
  keep,
  leaveScope,
  owned,
  scope,
  Tensor,
  type Storage,
} from '../tensor/tensor.js'
import { copy } from './copy.js'
import { Tape } from './tape.js'
import { checkCount } from '../runtime/options.js'

/** A function of tensors that returns one. */
export type TensorFunction = (...inputs: Tensor[]) => Tensor

/** A value, and the function that carries gradients back through its computation. */
export interface Vjp {
  /** The value of the function. */
  readonly value: Tensor
  /**
   * The vector-Jacobian product: gradients of ⟨dy, value⟩ with respect to each input, of the inputs' shapes. dy may
   * be left out for a scalar value, where it is 1. Can be called more than once, until `dispose`.
   */
  pullback(dy?: Tensor): Tensor[]
  /** Frees what the pullback holds. Happens by itself when garbage is collected, which is late. */
  dispose(): void
}

/** Tapes whose owner forgot them. */
const collected = new FinalizationRegistry<Tape>((tape) => {
  tape.dispose()
})

/** What a function was traced with and gave. */
interface Trace {
  readonly tape: Tape
  /** The inputs with a storage each: one that comes twice is copied, so that its two gradients stay apart. */
  readonly inputs: readonly Tensor[]
  /** The function's value, a tensor of the caller's, whoever owns the one that the function returned. */
  readonly value: Tensor
  /** Frees the tape and the copies. */
  dispose(): void
}

/** Runs fn on a new tape; intermediate tensors are freed unless a gradient needs them. Nothing stays when it throws. */
function trace(fn: TensorFunction, given: readonly Tensor[], what: string): Trace {
  checkFunction(fn, `${what}: fn`, 'a function of tensors')
  given.forEach((input, index) => {
    checkTensor(input, what, `input ${index}`)
  })
  const copies: Tensor[] = []
  let tape: Tape | undefined
  const dispose = (): void => {
    tape?.dispose()
    for (const copied of copies) copied.dispose()
  }
  try {
    const seen = new Set<Storage>()
    const inputs = given.map((input) => {
      const twice = seen.has(input.storage)
      const own = twice ? keep(copy(input)) : input
      if (twice) copies.push(own)
      seen.add(own.storage)
      return own
    })
    tape = new Tape(inputs)
    const value = tape.record(() =>
      scope(() => {
        const result: unknown = fn(...inputs)
        if (!(result instanceof Tensor)) {
          throw new ArgumentError(`${what}: the function must return a Tensor, not ${inWords(result)}`)
        }
        if (!isFloats(result)) {
          throw new UnsupportedError(
            `${what}: the function returns ${result.dtype}, which has no gradient; return float32`,
          )
        }
        return owned(result)
      }),
    )
    return { tape, inputs, value, dispose }
  } catch (error) {
    dispose()
    throw error
  }
}

function pull(
  tape: Tape,
  value: Tensor,
  inputs: readonly Tensor[],
  dy: Tensor | undefined,
  consume: boolean,
): Tensor[] {
  if (dy !== undefined) checkTensor(dy, 'pullback', 'dy')
  return scope(() => {
    if (!dy && value.size !== 1) {
      throw new ShapeError(
        `pullback: the value has shape ${showShape(value.shape)}; give dy of that shape (only scalars do without)`,
      )
    }
    if (dy && !sameShape(dy.shape, value.shape)) {
      throw new ShapeError(
        `pullback: dy has shape ${showShape(dy.shape)}, the value ${showShape(value.shape)}; they must be equal`,
      )
    }
    return tape
      .gradients(value, dy ?? ones(value.shape), inputs, consume)
      .map((gradient, index) => gradient ?? zeros((inputs[index] as Tensor).shape))
  })
}

/**
 * Value and pullback of fn at the inputs. The value and the gradients belong to the caller, or the scope around; the inputs
 * stay as they are, also where fn returns one of them. What the pullback needs is freed by `dispose`, and at the end of the
 * scope around, unless the scope returns what this gives.
 *
 *     const { value, pullback } = vjp((x, w) => conv2d(x, w), x, w)
 *     const [dx, dw] = pullback(dy)
 */
export function vjp(fn: TensorFunction, ...given: Tensor[]): Vjp {
  const traced = trace(fn, given, 'vjp')
  const held: Tensor[] = []
  const hold = (tensor: Tensor): Tensor => {
    const handle = keep(tensor.alias())
    held.push(handle)
    return handle
  }
  const { tape, inputs, value } = traced
  const dispose = (): void => {
    traced.dispose()
    for (const tensor of held) tensor.dispose()
  }
  try {
    const result = hold(value)
    const watched = inputs.map(hold)
    const handle: Vjp = {
      value,
      pullback: (dy) => pull(tape, result, watched, dy, false),
      dispose() {
        collected.unregister(handle)
        leaveScope(handle)
        dispose()
      },
    }
    collected.register(handle, tape, handle)
    enterScope(handle)
    return handle
  } catch (error) {
    value.dispose()
    dispose()
    throw error
  }
}

/**
 * The function that returns fn's value (a scalar) together with its gradients with respect to every input.
 *
 *     const { value, gradients } = valueAndGrad((w) => mseLoss(linear(x, w), target))(w)
 */
export function valueAndGrad(fn: TensorFunction): (...inputs: Tensor[]) => { value: Tensor; gradients: Tensor[] } {
  checkCount('valueAndGrad', 1, arguments)
  return (...given) => {
    const { tape, inputs, value, dispose } = trace(fn, given, 'valueAndGrad')
    try {
      if (value.size !== 1) {
        throw new ShapeError(
          `valueAndGrad: the function returned shape ${showShape(value.shape)}; it must return a scalar, such as a loss or a sum()`,
        )
      }
      return { value, gradients: pull(tape, value, inputs, undefined, true) }
    } catch (error) {
      value.dispose()
      throw error
    } finally {
      dispose()
    }
  }
}

/**
 * The function that returns the gradients of fn (scalar-valued) with respect to every input.
 *
 *     const [dw] = grad((w) => sum(conv2d(x, w)))(w)
 */
export function grad(fn: TensorFunction): (...inputs: Tensor[]) => Tensor[] {
  checkCount('grad', 1, arguments)
  const both = valueAndGrad(fn)
  return (...inputs) => {
    const { value, gradients } = both(...inputs)
    value.dispose()
    return gradients
  }
}

/**
 * Gradients of ⟨c, dx⟩ by dy and by each of the inputs, dx being the gradient of ⟨dy, f(x, …)⟩ by the first input: the gradient
 * of an operation's gradient, where f is the operation made of others.
 */
export const gradientAgain = (f: TensorFunction, inputs: readonly Tensor[], dy: Tensor, c: Tensor): Tensor[] =>
  scope(() => vjp((seed, ...at) => vjp(f, ...at).pullback(seed)[0] as Tensor, dy, ...inputs).pullback(c))
