/** How an operation is defined: a shape rule, a forward pass and a gradient, in one place. */
import { afterFailure, kernels } from '../runtime/core.js'
import { UnsupportedError } from '../runtime/errors.js'
import { checkTensor, keep, scope, Tensor } from '../tensor/tensor.js'
import { isRecording, tapesTracking, type Step } from './tape.js'

/** Tensor arguments by name; optional ones may be undefined. */
export type Inputs = Readonly<Record<string, Tensor | undefined>>

/** What the forward pass hands to the gradient besides inputs and output. */
export type Saved = Readonly<Record<string, Tensor>>

/** Which gradients are asked for. */
export type Need<I> = { readonly [name in keyof I]: boolean }

export interface GradientContext<I, S> {
  /** The inputs. Only those named in `keeps` hold data; of the others only the shape may be read. */
  readonly inputs: I
  /** The output; it holds data only when `keeps` names it. */
  readonly y: Tensor
  readonly saved: S
  readonly need: Need<I>
}

export interface Definition<I extends Inputs, O, D, S extends Saved = Record<string, never>> {
  /**
   * Validates and describes: returns everything the passes need, the output's shape above all. The only place
   * that checks arguments; it allocates nothing.
   */
  shape(inputs: I, options: O): D
  /** The output, and what the gradient needs besides. `differentiate` tells whether a gradient may follow. */
  forward(inputs: I, d: D, differentiate: boolean): Tensor | { readonly y: Tensor; readonly saved: S }
  /**
   * Gradients of the inputs, only of those in `need`: undefined under its name where one is zero, and no entry for an input that
   * has none, by which the operation cannot be differentiated. Nor can it be by any without this function.
   */
  gradient?(
    context: GradientContext<I, S>,
    dy: Tensor,
    d: D,
  ): { readonly [name in keyof I]?: Tensor | false | undefined }
  /** Inputs that may be undefined. */
  readonly optional?: readonly (keyof I & string)[]
  /** What the gradient reads: names of inputs, and 'y'. Everything else is freed early. Default: the inputs. */
  readonly keeps?: readonly ((keyof I & string) | 'y')[]
}

/** A tensor that has a shape and no data. */
function shapeOnly(tensor: Tensor): Tensor {
  const ghost = tensor.alias()
  ghost.dispose()
  return ghost
}

const noGradient = (name: string, argument: string): UnsupportedError =>
  new UnsupportedError(
    `${name}: ${argument} has no gradient; do not differentiate by it, or by what it was computed from`,
  )

/** Whether a value is a tensor by which is being differentiated. */
export const isFollowed = (value: unknown): value is Tensor =>
  isRecording() && value instanceof Tensor && tapesTracking([value.storage]).length > 0

/**
 * Checks that an argument, of any type, is no tensor that a tape follows: for what an operation reads and has no gradient
 * for, which would be zeros without a word. @throws UnsupportedError
 */
export function checkConstant(value: unknown, name: string, argument: string): void {
  if (isFollowed(value)) throw noGradient(name, argument)
}

/** An operation: tensors by name and options in, one tensor out. */
export type Op<I extends Inputs, O> = (inputs: I, options: O) => Tensor

/**
 * Makes an operation. Temporaries of its passes are disposed when they end, by return or by error. The result
 * is recorded on every open tape that tracks one of the inputs.
 */
export function defineOp<I extends Inputs, O, D, S extends Saved = Record<string, never>>(
  name: string,
  definition: Definition<I, O, D, S>,
): Op<I, O> {
  return (inputs, options) => {
    kernels(name)
    for (const argument in inputs) {
      const given = inputs[argument]
      if (given !== undefined || !definition.optional?.includes(argument)) checkTensor(given, name, argument)
    }
    const d = definition.shape(inputs, options)
    const present = isRecording() ? presentOf(inputs) : []
    const tapes = tapesTracking(present.map(([, { storage }]) => storage))
    return scope(() => {
      try {
        const result = definition.forward(inputs, d, tapes.length > 0)
        const y = result instanceof Tensor ? result : result.y
        const saved = result instanceof Tensor ? ({} as S) : result.saved
        for (const tape of tapes) tape.add(makeStep(name, definition, inputs, present, y, saved, d))
        return y
      } catch (error) {
        throw afterFailure(name, error)
      }
    })
  }
}

const presentOf = (inputs: Inputs): [string, Tensor][] =>
  Object.entries(inputs).filter((entry): entry is [string, Tensor] => entry[1] !== undefined)

function makeStep<I extends Inputs, O, D, S extends Saved>(
  name: string,
  definition: Definition<I, O, D, S>,
  inputs: I,
  present: readonly (readonly [string, Tensor])[],
  y: Tensor,
  saved: S,
  d: D,
): Step {
  const keeps = new Set<string>(definition.keeps ?? Object.keys(inputs))
  const held: Tensor[] = []
  const hold = (tensor: Tensor): Tensor => {
    const alias = tensor.alias()
    held.push(alias)
    return alias
  }
  // The aliases must outlive the scope of the operation: they are made in it and handed to the tape.
  const own = Object.fromEntries(
    present.map(([argument, tensor]) => [argument, keeps.has(argument) ? hold(tensor) : shapeOnly(tensor)]),
  ) as unknown as I
  const ownY = keeps.has('y') ? hold(y) : shapeOnly(y)
  const ownSaved = Object.fromEntries(Object.entries(saved).map(([key, tensor]) => [key, hold(tensor)])) as unknown as S
  const storages = present.map(([argument, { storage }]) => [argument, storage] as const)
  for (const tensor of held) keep(tensor)
  return {
    name,
    inputs: new Map(storages),
    output: y.storage,
    outputShape: y.shape,
    pullback(dy, need) {
      const { gradient } = definition
      if (!gradient) {
        throw new UnsupportedError(
          `${name}: this operation has no gradient; it cannot be differentiated${name.includes('Gradient') ? ' twice' : ''}`,
        )
      }
      const wanted = Object.fromEntries(
        Object.keys(inputs).map((argument) => [argument, need.has(argument)]),
      ) as Need<I>
      const gradients = gradient.call(definition, { inputs: own, y: ownY, saved: ownSaved, need: wanted }, dy, d)
      for (const argument of need) if (!(argument in gradients)) throw noGradient(name, argument)
      return new Map(Object.entries(gradients).filter((entry): entry is [string, Tensor] => entry[1] instanceof Tensor))
    },
    dispose() {
      for (const tensor of held) tensor.dispose()
    },
  }
}
