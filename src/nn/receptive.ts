/**
 * Receptive fields: which part of the model's input one output sees. Along each direction an output at place i sees
 * `size` inputs from offset + i·stride on; through windows of reach r, stride s and padding lo,
 *
 *   size' = size + (r − 1)·stride     offset' = offset − lo·stride     stride' = s·stride
 */
import type { Windows } from '../plan/window.js'
import type { Shape } from '../tensor/shape.js'

/** Windows of a layer along each direction. */
export interface Window {
  /** Elements from the first tap to the last. */
  readonly reach: readonly number[]
  /** Distance between windows, one for each direction. */
  readonly stride: readonly number[]
  /** Padding before the first element, one for each direction. */
  readonly lo: readonly number[]
}

/** The windows of a convolution. */
export function windowOf({ problem }: { readonly problem: Omit<Windows, 'input' | 'output' | 'hi'> }): Window {
  const { kernel, stride, dilation, lo } = problem
  return { reach: kernel.map((extent, axis) => (dilation[axis] as number) * (extent - 1) + 1), stride, lo }
}

/** For each direction of the model's input. */
export interface ReceptiveField {
  /** Inputs that one output sees. */
  readonly size: readonly number[]
  /** Distance between the fields of neighbouring outputs. */
  readonly stride: readonly number[]
  /** First input that output 0 sees; negative where it begins in the padding. */
  readonly offset: readonly number[]
}

/** The field of an input itself. */
export const ownField = (input: Shape): ReceptiveField => {
  const spatial = input.slice(1)
  return { size: spatial.map(() => 1), stride: spatial.map(() => 1), offset: spatial.map(() => 0) }
}

/** One window over everything. */
export const wholeWindow = (input: Shape): Window => {
  const spatial = input.slice(1)
  return { reach: spatial, stride: spatial.map(() => 1), lo: spatial.map(() => 0) }
}

/** The field seen through windows. */
export function throughWindow(field: ReceptiveField, window: Window | undefined): ReceptiveField {
  if (!window || window.reach.length !== field.size.length) return field
  const at = (values: readonly number[], axis: number): number => values[axis] as number
  return {
    size: field.size.map((size, axis) => size + (at(window.reach, axis) - 1) * at(field.stride, axis)),
    stride: field.stride.map((stride, axis) => stride * at(window.stride, axis)),
    offset: field.offset.map((offset, axis) => offset - at(window.lo, axis) * at(field.stride, axis)),
  }
}

/** The field of outputs that join several; undefined where their strides differ. */
export function joinFields(fields: readonly (ReceptiveField | undefined)[]): ReceptiveField | undefined {
  return fields.reduce((a, b) => {
    if (!a || !b || a.size.length !== b.size.length) return undefined
    if (a.stride.some((stride, axis) => stride !== b.stride[axis])) return undefined
    const offset = a.offset.map((first, axis) => Math.min(first, b.offset[axis] as number))
    const end = a.offset.map((first, axis) =>
      Math.max(first + (a.size[axis] as number), (b.offset[axis] as number) + (b.size[axis] as number)),
    )
    return { size: end.map((last, axis) => last - (offset[axis] as number)), stride: a.stride, offset }
  })
}
