/** Gradients of functions: `vjp`, `grad`, `valueAndGrad`. */
import { ShapeError } from '../runtime/errors.js'
import { ones, zeros } from '../tensor/create.js'
import { sameShape, showShape } from '../tensor/shape.js'
import { keep, scope, Tensor, type Storage } from '../tensor/tensor.js'
import { copy } from './copy.js'
import { Tape } from './tape.js'

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

function checkResult(value: unknown, what: string): asserts value is Tensor {
  if (!(value instanceof Tensor))
    throw new ShapeError(`${what}: the function must return a Tensor, not ${typeof value}`)
}

/** The inputs with a storage each: one that comes twice is copied, so that its two gradients stay apart. */
function distinct(inputs: readonly Tensor[]): Tensor[] {
  const seen = new Set<Storage>()
  return inputs.map((input) => {
    const own = seen.has(input.storage) ? copy(input) : input
    seen.add(own.storage)
    return own
  })
}

function disposeCopies(inputs: readonly Tensor[], given: readonly Tensor[]): void {
  inputs.forEach((input, index) => {
    if (input !== given[index]) input.dispose()
  })
}

/** Runs fn on a new tape; intermediate tensors are freed unless a gradient needs them. */
function trace(fn: TensorFunction, inputs: readonly Tensor[], what: string): { tape: Tape; value: Tensor } {
  const tape = new Tape(inputs)
  try {
    const value = tape.record(() =>
      scope(() => {
        const result = fn(...inputs)
        checkResult(result, what)
        return result
      }),
    )
    return { tape, value }
  } catch (error) {
    tape.dispose()
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

/** Value and pullback of fn at the inputs. */
export function vjp(fn: TensorFunction, ...given: Tensor[]): Vjp {
  const inputs = distinct(given)
  const { tape, value } = trace(fn, inputs, 'vjp')
  const result = keep(value.alias())
  const watched = inputs.map((input) => keep(input.alias()))
  const handle: Vjp = {
    value,
    pullback: (dy) => pull(tape, result, watched, dy, false),
    dispose() {
      collected.unregister(handle)
      tape.dispose()
      result.dispose()
      for (const input of watched) input.dispose()
      disposeCopies(inputs, given)
    },
  }
  collected.register(handle, tape, handle)
  return handle
}

/** The function that returns fn's value (a scalar) together with its gradients with respect to every input. */
export function valueAndGrad(fn: TensorFunction): (...inputs: Tensor[]) => { value: Tensor; gradients: Tensor[] } {
  return (...given) => {
    const inputs = distinct(given)
    const { tape, value } = trace(fn, inputs, 'valueAndGrad')
    try {
      if (value.size !== 1) {
        const shape = showShape(value.shape)
        value.dispose()
        throw new ShapeError(
          `valueAndGrad: the function returned shape ${shape}; it must return a scalar, such as a loss or a sum()`,
        )
      }
      return { value, gradients: pull(tape, value, inputs, undefined, true) }
    } finally {
      tape.dispose()
      disposeCopies(inputs, given)
    }
  }
}

/** The function that returns the gradients of fn (scalar-valued) with respect to every input. */
export function grad(fn: TensorFunction): (...inputs: Tensor[]) => Tensor[] {
  const both = valueAndGrad(fn)
  return (...inputs) => {
    const { value, gradients } = both(...inputs)
    value.dispose()
    return gradients
  }
}
