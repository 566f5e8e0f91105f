/** How an operation is defined: a rule for shapes, the calls of its kernels and a gradient, in one place. */
import { CallList, makeCalls, OUT, type Entry, type Packed } from '../runtime/calls.js'
import { afterFailure, kernels, release } from '../runtime/core.js'
import { ShapeError, UnsupportedError } from '../runtime/errors.js'
import type { DType } from '../tensor/dtype.js'
import { sizeOf, type Shape } from '../tensor/shape.js'
import {
  checkTensor,
  empty,
  keep,
  openPlanner,
  restoring,
  Tensor,
  UnplannedError,
  type Affine,
  type AnyTensor,
  type DerivedBytes,
} from '../tensor/tensor.js'
import { Recall } from './recall.js'
import { isRecording, tapesTracking, type Step, type Tape } from './tape.js'

/** Tensor arguments by name; optional ones may be undefined. */
export type Inputs = Readonly<Record<string, AnyTensor | undefined>>

/** Which gradients are asked for. */
export type Need<I> = { readonly [name in keyof I]: boolean }

/** What the gradient of an operation reads, besides the gradient of its result. */
export interface GradientContext<I, S = unknown> {
  /** The inputs. Only those named in `keeps` hold data; of the others only the shape may be read. */
  readonly inputs: I
  /** The output; it holds data only when `keeps` names it. */
  readonly y: Tensor
  readonly saved: S
  readonly need: Need<I>
}

type Saves<S extends string, D> = { readonly [name in S]: (d: D) => Shape }

/** Gradients of the inputs, given that of the output or of what is saved. */
type Gradient<I, D, S extends string> = (
  context: GradientContext<I, { readonly [name in S]: Tensor }>,
  dy: Tensor,
  d: D,
) => { readonly [name in keyof I]?: Tensor | false | undefined }

/**
 * All that is told of an operation: I are its tensors by name, O its options, D what `infer` makes of them, S the names of
 * what it saves for its gradient, and T the type of its result.
 */
export interface Definition<I extends Inputs, O, D, S extends string = never, T extends DType = 'float32'> {
  /** Types that each input takes, by its name, or one list for all inputs. An input that is left out takes float32 alone. */
  readonly types?: { readonly [name in keyof I]?: readonly DType[] } | readonly DType[]
  /** Type of the output; without it float32. */
  dtype?(d: D): T
  /**
   * What is done where an input has no elements and the output has some: 'zeros' fills the output with zeros, 'prepared' leaves it to
   * `prepare`. Left out, such inputs are refused.
   */
  readonly nothing?: 'zeros' | 'prepared'
  /**
   * Checks shapes and options and describes the problem: everything that the passes need. The only place that checks arguments.
   * Reads shapes alone, and allocates nothing.
   */
  infer(inputs: I, options: O): D
  /** Shape of the output. */
  output(d: D): Shape
  /**
   * Lists the kernels that compute the output, `list.out`, and, where a gradient may follow, what it needs besides: operands by the names of
   * inputs and of `saves`. Asked once for a problem.
   */
  prepare(list: CallList, d: D): void
  /** Shapes of what is kept for the gradient besides inputs and output. */
  readonly saves?: Saves<S, D>
  /** Names of saved values that the kernels need even where no gradient may follow. The other saved values have the address 0 then. */
  readonly always?: readonly S[]
  /**
   * Gradients of the inputs, only of those in `need`: undefined under its name where one is zero, and no entry for an input that
   * has none, by which the operation cannot be differentiated. Nor can it be by any without this function.
   */
  readonly gradient?: Gradient<I, D, S>
  /**
   * Gradients of the inputs through a saved value, given that of the value, with the rules of `gradient`. The gradient of the
   * operation reads saved values, so its own gradient needs them. A saved value without an entry counts as a constant. They are
   * recorded only where a second tape is open around the one that records the operation.
   */
  readonly through?: { readonly [name in S]?: Gradient<I, D, S> } | undefined
  /**
   * The operation on each channel of the input that is left out as y = scale · x + shift, both (C) and computed from the other
   * inputs by operations; undefined where it is none.
   */
  readonly affine?: (others: Partial<I>, d: D) => Affine | undefined
  /** The operation whose result is then scaled and shifted, channel by channel: with other weights it is the same one. */
  readonly scaled?: (inputs: I, d: D, by: Affine) => Tensor
  /** Lists the same with relu as its last part. */
  rectified?(list: CallList, d: D): void
  /** Inputs that may be undefined. */
  readonly optional?: readonly (keyof I & string)[]
  /** What the gradient reads: names of inputs, and 'y'. Everything else is freed early. Default: the inputs. */
  readonly keeps?: readonly ((keyof I & string) | 'y')[]
  /** Inputs that are changed in place: they get their values back where the pass fails. */
  writes?(d: D): readonly (keyof I & string)[]
}

/** A tensor that has a shape and no data. */
function shapeOnly<D extends DType>(tensor: Tensor<D>): Tensor<D> {
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

/**
 * An operation: tensors by name and options in, one tensor out. Who gives `receive` is handed what the operation saves, too: its
 * further results.
 */
export type Op<I extends Inputs, O, S extends string = never, T extends DType = 'float32'> = (
  inputs: I,
  options: O,
  receive?: (saved: Readonly<Record<S, Tensor>>) => void,
) => Tensor<T>

/** No further results. */
const none: ReadonlyMap<string, Shape> = new Map()

/** A problem of an operation: inputs of certain shapes, and certain options. */
interface Problem<D> {
  readonly d: D
  readonly shape: Shape
  readonly dtype: DType
  readonly list: CallList
}

/**
 * Makes an operation. Where it is called, the result is recorded on every open tape that tracks one of the inputs.
 */
export function defineOp<I extends Inputs, O, D, S extends string = never, T extends DType = 'float32'>(
  name: string,
  definition: Definition<I, O, D, S, T>,
): Op<I, O, S, T> {
  const recall = new Recall<Problem<D>>()
  const { optional, writes, always, through, affine, scaled } = definition
  const types = (argument: keyof I): readonly DType[] | undefined =>
    Array.isArray(definition.types)
      ? (definition.types as readonly DType[])
      : (definition.types as Record<keyof I, readonly DType[]> | undefined)?.[argument]
  const saves = Object.entries(definition.saves ?? {}) as [S, (d: D) => Shape][]
  const known = (operand: string, inputs: I): boolean =>
    operand === OUT || operand in inputs || saves.some(([saved]) => saved === operand)
  const derive = (inputs: I, options: O): Problem<D> => {
    const d = definition.infer(inputs, options)
    const shape = definition.output(d)
    const dtype = definition.dtype?.(d) ?? 'float32'
    const list = new CallList()
    const without = Object.keys(inputs).find((argument) => inputs[argument]?.size === 0)
    if (sizeOf(shape) === 0) {
      // There is nothing to compute, but what is kept for the gradient must not be what memory held before.
      for (const [saved, savedShape] of saves) list.fill(list.operand(saved), sizeOf(savedShape(d)), 0)
    } else if (without === undefined || definition.nothing === 'prepared') definition.prepare(list, d)
    else if (definition.nothing) list.fill(list.out, sizeOf(shape), 0)
    else throw new ShapeError(`${name}: ${without} has no elements, of which there is no result; give it one or more`)
    for (const entry of list.entries) {
      // Memory of another name would be read at address 0.
      if (entry.kind === 'operand' && !known(entry.name, inputs))
        throw new TypeError(`${name}: no operand ${entry.name}`)
    }
    return { d, shape: Object.isFrozen(shape) ? shape : Object.freeze([...shape]), dtype, list }
  }
  /** Of what is saved outside of training: all where the caller asks for it, else what the kernels need. */
  const shapesOfSaved = (d: D, isAsked: boolean): ReadonlyMap<string, Shape> =>
    isAsked || always
      ? new Map(
          saves.flatMap(([key, shapeOf]) => (isAsked || always?.includes(key) ? [[key, shapeOf(d)] as const] : [])),
        )
      : none
  return (inputs, options, receive) => {
    kernels(name)
    for (const argument in inputs) {
      const given = inputs[argument]
      if (given !== undefined || !optional?.includes(argument)) checkTensor(given, name, argument, types(argument))
    }
    let made: AnyTensor[] | undefined
    try {
      const { d, shape, dtype, list } =
        recall.find(inputs, options) ?? recall.keep(inputs, options, derive(inputs, options))
      const planner = openPlanner()
      if (planner && !isRecording() && !isKnown(inputs)) {
        if (writes?.(d).length) throw new UnplannedError()
        const rectified =
          definition.rectified &&
          (() => {
            const fused = new CallList()
            definition.rectified?.(fused, d)
            return fused
          })
        const { y, further } = planner.note({
          name,
          inputs,
          described: d,
          list,
          shape,
          dtype,
          further: shapesOfSaved(d, receive !== undefined),
          rectified,
          affine: affine && ((others) => affine(others as Partial<I>, d)),
          scaled: scaled && ((others, by) => scaled(others as I, d, by)),
        })
        if (receive) receive(further)
        else for (const key in further) (further[key] as Tensor).dispose()
        return y as Tensor<T>
      }
      const present = isRecording() ? presentOf(inputs) : undefined
      const tapes = present && tapesTracking(present.map(([, { storage }]) => storage))
      const y = empty(shape, name, dtype as T)
      made = [y]
      const saved: Record<string, Tensor> = {}
      for (const [key, shapeOf] of saves) {
        if (tapes?.length || receive || always?.includes(key)) made.push((saved[key] = empty(shapeOf(d), name)))
      }
      const operands = (operand: string): AnyTensor | undefined =>
        operand === OUT ? y : (saved[operand] ?? inputs[operand])
      const written = writes?.(d).map((argument) => inputs[argument] as AnyTensor)
      if (written) {
        restoring(written, () => perform(list, operands))
        for (const { storage } of written) storage.changed()
      } else perform(list, operands)
      if (present && tapes && y.dtype === 'float32') {
        const pass = { inputs, present, tapes, y: y as Tensor, saved: saved as Record<S, Tensor>, d }
        tapes.forEach((tape, index) => {
          tape.add(makeStep(name, definition.keeps, pass, pass.y, definition.gradient))
          // The innermost tape is closed before a gradient reads what is saved.
          if (index === tapes.length - 1) return
          for (const key in through) {
            tape.add(makeStep(name, definition.keeps, pass, saved[key] as Tensor, through[key]))
          }
        })
      }
      if (receive) receive(saved as Record<S, Tensor>)
      else for (let i = 1; i < made.length; i++) (made[i] as Tensor).dispose()
      return y
    } catch (error) {
      if (made) for (const tensor of made) tensor.dispose()
      throw afterFailure(name, error)
    }
  }
}

/**
 * Whether inputs are whole numbers, or one is, that are all there: what is made of those is computed even while a pass is planned, so that
 * shapes can be made of it.
 */
function isKnown(inputs: Inputs): boolean {
  let isWhole = false
  for (const argument in inputs) {
    const given = inputs[argument]
    if (given?.storage.isPlanned) return false
    isWhole ||= given !== undefined && given.dtype !== 'float32'
  }
  return isWhole
}

/** Weights as a kernel wants them. */
export const pack = ({ key, bytes, list }: Packed, { storage, pointer }: AnyTensor): DerivedBytes =>
  storage.derive(key, bytes, (to) => {
    makeCalls(list, [to, pointer])
  })

/** Makes the calls of a list on tensors, and those of the lists that take over. */
export function perform(list: CallList, operands: (name: string) => AnyTensor | undefined): void {
  const isFinite = (name: string): boolean => {
    const { storage, size } = operands(name) as AnyTensor
    return storage.isFinite(size)
  }
  for (let next: CallList | undefined = list; next;) {
    let lent: number[] | undefined
    const table: number[] = []
    const { entries }: CallList = next
    try {
      for (let i = 0; i < entries.length; i++) {
        const entry = entries[i] as Entry
        if (entry.kind === 'operand') table[i] = operands(entry.name)?.pointer ?? 0
        else if (entry.kind === 'packed') {
          const { pointer: at, kept } = pack(entry, operands(entry.from) as AnyTensor)
          if (!kept) (lent ??= []).push(at)
          table[i] = at
        } else table[i] = 0
      }
      next = makeCalls(next, table, isFinite)
    } finally {
      if (lent) for (const at of lent) release(at)
    }
  }
}

const presentOf = (inputs: Inputs): [string, AnyTensor][] =>
  Object.entries(inputs).filter((entry): entry is [string, AnyTensor] => entry[1] !== undefined)

/** What an operation was called with and gave, while tapes followed its inputs. */
interface Pass<I, D, S extends string> {
  readonly inputs: I
  readonly present: readonly (readonly [string, AnyTensor])[]
  readonly tapes: readonly Tape[]
  readonly y: Tensor
  readonly saved: Readonly<Record<S, Tensor>>
  readonly d: D
}

/** The step from the inputs to `output`, which is y or a saved value. */
function makeStep<I extends Inputs, D, S extends string>(
  name: string,
  kept: readonly string[] | undefined,
  { inputs, present, tapes, y, saved, d }: Pass<I, D, S>,
  output: Tensor,
  gradient: Gradient<I, D, S> | undefined,
): Step {
  const keeps = new Set<string>(kept ?? Object.keys(inputs))
  const held: AnyTensor[] = []
  const hold = <A extends DType>(tensor: Tensor<A>): Tensor<A> => {
    const alias = tensor.alias()
    held.push(alias)
    return alias
  }
  // The aliases must outlive the scope that the operation is called in: they are handed to the tape.
  const own = Object.fromEntries(
    present.map(([argument, tensor]) => [argument, keeps.has(argument) ? hold(tensor) : shapeOnly(tensor)]),
  ) as unknown as I
  const ownY = keeps.has('y') ? hold(y) : shapeOnly(y)
  const ownSaved = Object.fromEntries(
    Object.entries<Tensor>(saved).map(([key, tensor]) => [key, hold(tensor)]),
  ) as unknown as Readonly<Record<S, Tensor>>
  const storages = new Map(present.map(([argument, { storage }]) => [argument, storage]))
  for (const tensor of held) keep(tensor)
  return {
    name,
    inputs: storages,
    output: output.storage,
    outputShape: output.shape,
    pullback(dy, need) {
      if (!gradient) {
        throw new UnsupportedError(
          `${name}: this operation has no gradient; it cannot be differentiated${name.includes('Gradient') ? ' twice' : ''}`,
        )
      }
      // A tape that was opened after the pass follows the inputs, but nothing that the pass computed from them.
      if (isRecording() && tapesTracking([...storages.values()]).some((tape) => !tapes.includes(tape))) {
        throw new UnsupportedError(
          `${name}: the pass came before the function whose gradient is asked for; call vjp in that function`,
        )
      }
      const wanted = Object.fromEntries(
        Object.keys(inputs).map((argument) => [argument, need.has(argument)]),
      ) as Need<I>
      const gradients = gradient({ inputs: own, y: ownY, saved: ownSaved, need: wanted }, dy, d)
      for (const argument of need) if (!(argument in gradients)) throw noGradient(name, argument)
      return new Map(Object.entries(gradients).filter((entry): entry is [string, Tensor] => entry[1] instanceof Tensor))
    },
    dispose() {
      for (const tensor of held) tensor.dispose()
    },
  }
}
