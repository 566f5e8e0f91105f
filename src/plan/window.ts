/**
 * Options of sliding windows, shared by convolution and pooling: one number for all directions or one for each,
 * checked, and the arithmetic of output extents.
 */
import { wrongKind } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { showShape, type Shape } from '../tensor/shape.js'

/** One number for every direction, or one for each. */
export type PerDirection = number | readonly number[]
/** Zeros (lo, hi) around each direction: a name, a number, or numbers or pairs for each direction. */
export type Padding = 'valid' | 'same' | 'full' | number | readonly (number | readonly [lo: number, hi: number])[]

/** Windows along D directions. */
export interface Windows {
  /** Extents of the window. */
  readonly kernel: readonly number[]
  /** Distance between windows. */
  readonly stride: readonly number[]
  /** Distance between the taps of a window. */
  readonly dilation: readonly number[]
  /** Zeros before the input. */
  readonly lo: readonly number[]
  /** Zeros after it. */
  readonly hi: readonly number[]
  /** Extents of the input. */
  readonly input: readonly number[]
  /** Extents of the output. */
  readonly output: readonly number[]
}

/** What the axes of maps of one to three directions are called. */
export const mapLetters = (directions: number): string => ['W', 'H, W', 'D, H, W'][directions - 1] as string

/** Extents of the maps of x (N, C, …) along one to three `directions`. @throws ShapeError where x has other axes */
export function mapExtents(name: string, directions: number, x: Shape): readonly number[] {
  if (x.length !== directions + 2) {
    throw new ShapeError(`${name}: x must be (N, C, ${mapLetters(directions)}), given ${showShape(x)}`)
  }
  return x.slice(2)
}

/** The largest stride, dilation, padding or extent of a window: kernels take 32-bit integers. */
export const MOST = 2 ** 31 - 1

/** Checks an integer option of D directions. @throws ShapeError that names operation, option and value. */
export function perDirection(value: PerDirection, directions: number, smallest: number, what: string): number[] {
  const list = typeof value === 'number' ? new Array<number>(directions).fill(value) : value
  if (!Array.isArray(list) || list.length !== directions) {
    const given = Array.isArray(list) ? `${list.length} numbers` : typeof value
    throw new ArgumentError(
      `${what} must be a number or ${directions} number${directions === 1 ? '' : 's'}, given ${given}`,
    )
  }
  for (const item of list as readonly unknown[]) {
    if (!Number.isInteger(item) || (item as number) < smallest) {
      throw wrongKind(what, `whole numbers from ${smallest} on`, item)
    }
    if ((item as number) > MOST) throw new ArgumentError(`${what} can be at most ${MOST}, given ${inWords(item)}`)
  }
  return [...(list as number[])]
}

/** Padding as (lo, hi) for each direction. 'same': output = ceil(input / stride), the odd zero at the end. */
export function resolvePadding(
  padding: Padding,
  input: Shape,
  kernel: readonly number[],
  stride: readonly number[],
  dilation: readonly number[],
  name: string,
): { lo: number[]; hi: number[] } {
  const directions = input.length
  const reach = kernel.map((extent, axis) => (dilation[axis] as number) * (extent - 1) + 1)
  if (typeof padding === 'string') {
    if (padding === 'valid') return { lo: reach.map(() => 0), hi: reach.map(() => 0) }
    if (padding === 'full') return { lo: reach.map((extent) => extent - 1), hi: reach.map((extent) => extent - 1) }
    if (padding !== 'same') {
      throw wrongKind(`${name}: padding`, "'valid', 'same', 'full', a number, numbers or [lo, hi] pairs", padding)
    }
    const total = reach.map((extent, axis) => {
      const n = input[axis] as number
      const step = stride[axis] as number
      return Math.max(0, (Math.ceil(n / step) - 1) * step + extent - n)
    })
    const lo = total.map((zeros) => Math.floor(zeros / 2))
    return { lo, hi: total.map((zeros, axis) => zeros - (lo[axis] as number)) }
  }
  if (typeof padding === 'number') {
    const both = perDirection(padding, directions, 0, `${name}: padding`)
    return { lo: both, hi: [...both] }
  }
  if (!Array.isArray(padding) || padding.length !== directions) {
    throw new ArgumentError(
      `${name}: padding must have ${directions} entries (numbers or [lo, hi] pairs), given ${Array.isArray(padding) ? padding.length : typeof padding}`,
    )
  }
  const pairs = (padding as readonly (number | readonly [number, number])[]).map((entry) =>
    perDirection(typeof entry === 'number' ? [entry, entry] : entry, 2, 0, `${name}: padding`),
  )
  return { lo: pairs.map((pair) => pair[0] as number), hi: pairs.map((pair) => pair[1] as number) }
}

/**
 * floor((n + lo + hi − dilation·(kernel − 1) − 1) / stride) + 1 for each direction. With `ceil` the last, partial
 * window is kept too, provided that it starts inside the input or the padding before it.
 * @throws ShapeError when no window fits.
 */
export function outputExtents(windows: Omit<Windows, 'output'>, name: string, ceil = false): number[] {
  const { input, kernel, stride, dilation, lo, hi } = windows
  return input.map((n, axis) => {
    const padded = n + (lo[axis] as number) + (hi[axis] as number)
    const reach = (dilation[axis] as number) * ((kernel[axis] as number) - 1) + 1
    const step = stride[axis] as number
    if (!Number.isSafeInteger(padded) || !Number.isSafeInteger(reach)) {
      throw new ShapeError(
        `${name}: direction ${axis} reaches over more than 2^53 elements; use a smaller dilation or less padding`,
      )
    }
    const whole = Math.floor((padded - reach) / step) + 1
    const partial = Math.ceil((padded - reach) / step) + 1
    const count = ceil ? ((partial - 1) * step >= n + (lo[axis] as number) ? partial - 1 : partial) : whole
    if (count < 1) {
      const zeros = padded === n ? '' : ` padded to ${padded}`
      throw new ShapeError(
        `${name}: a kernel of ${showShape(kernel)} reaches over ${reach} elements along direction ${axis}, but the input has ${n}${zeros}; use a smaller kernel or dilation, or more padding`,
      )
    }
    return count
  })
}

/** Three directions from one, two or three: the kernels of the core know only three. */
export function threeDirections(values: readonly number[], filler: number): [number, number, number] {
  const padded = [...new Array<number>(3 - values.length).fill(filler), ...values]
  return padded as [number, number, number]
}
