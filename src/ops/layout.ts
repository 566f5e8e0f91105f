/**
 * Joining, cutting, padding, permuting and enlarging. All are linear, and each has its adjoint here as an operation,
 * so that all can be differentiated again.
 */
import { defineOp, type Op } from '../autodiff/op.js'
import { broadcastStrides, planCopy } from '../tensor/strided.js'
import { mapExtents, perDirection } from '../plan/window.js'
import { after, type CallList, type Place } from '../runtime/calls.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkList, wrongKind } from '../runtime/check.js'
import { inWords } from '../runtime/text.js'
import { LIGHT } from '../runtime/work.js'
import { checkKeys, needKeys, withArity, type Names } from '../runtime/options.js'
import {
  broadcastShapes,
  checkAxis,
  checkSize,
  sameShape,
  showShape,
  sizeOf,
  stridesOf,
  type Shape,
} from '../tensor/shape.js'
import { bytesOf, checkElement, dtypes, type ElementArrays, type DType } from '../tensor/dtype.js'
import { checkTensor, elementsAt, scope, Tensor, type AnyTensor } from '../tensor/tensor.js'
import { sum, sumTo } from './reduce.js'

/** Extents, and strides of both sides in elements. */
interface Walk {
  readonly extents: readonly number[]
  readonly yStrides: readonly number[]
  readonly xStrides: readonly number[]
}

/** A copy of elements of a type, float32 where it is left out; where strides are left out, the elements lie side by side. */
interface Copy extends Pick<Walk, 'extents'> {
  readonly dtype?: DType | undefined
  readonly yStrides?: Walk['yStrides'] | undefined
  readonly xStrides?: Walk['xStrides'] | undefined
}

/** Copies along the axes from `axis` on, in JavaScript. */
function copyAlong(
  y: ElementArrays[DType],
  x: ElementArrays[DType],
  copy: Walk,
  yAt: number,
  xAt: number,
  axis: number,
): void {
  const { extents, yStrides, xStrides } = copy
  if (axis === extents.length) {
    y[yAt] = x[xAt] as never
    return
  }
  const [yStep, xStep] = [yStrides[axis] as number, xStrides[axis] as number]
  for (let i = 0; i < (extents[axis] as number); i++) copyAlong(y, x, copy, yAt + i * yStep, xAt + i * xStep, axis + 1)
}

/** Lists a copy. Kernels move four bytes at a time; elements of another width are moved in JavaScript. */
export function copyStrided(list: CallList, copy: Copy, y: Place, x: Place): void {
  const { dtype = 'float32', extents } = copy
  const strides = stridesOf(extents)
  const { yStrides = strides, xStrides = strides } = copy
  if (sizeOf(extents) === 0) return
  if (bytesOf(dtype) !== 4) {
    const span = (steps: readonly number[]): number =>
      extents.reduce((last, extent, axis) => last + (extent - 1) * (steps[axis] as number), 1)
    const [ySpan, xSpan] = [span(yStrides), span(xStrides)]
    list.routine(
      (to, from) => {
        const walk = { extents, yStrides, xStrides }
        copyAlong(elementsAt(to, ySpan, dtype), elementsAt(from, xSpan, dtype), walk, 0, 0, 0)
      },
      y,
      x,
    )
    return
  }
  const { record, planes } = planCopy(extents, yStrides, xStrides)
  list.call('copy_fwd', planes, (LIGHT * sizeOf(extents)) / planes, y, x, list.integers(record))
}

/** `shape` with another extent along one axis. */
const resized = (shape: Shape, axis: number, extent: number): number[] =>
  shape.map((own, index) => (index === axis ? extent : own))

/** The shape of x, for checks that come before an operation's own. */
function shapeOf(x: AnyTensor, name: string): Shape {
  if (!(x instanceof Tensor))
    throw new ArgumentError(`${name}: x must be a Tensor, not ${inWords(x)}; make one with tensor()`)
  return x.shape
}

/** A box `inner` at place `begin` of a larger box `outer`, of elements of one type. */
export interface Box {
  /** Default 'float32'. */
  readonly dtype?: DType
  readonly outer: Shape
  readonly inner: Shape
  readonly begin: readonly number[]
}

/** The box's first element in the larger box at `place`. */
const corner = (place: Place, { outer, begin, dtype = 'float32' }: Box): Place =>
  after(
    place,
    stridesOf(outer).reduce((bytes, stride, axis) => bytes + bytesOf(dtype) * stride * (begin[axis] as number), 0),
  )

/** Lists the cutting of a box out of x. */
export function listCut(list: CallList, box: Box, y: Place, x: Place): void {
  copyStrided(list, { dtype: box.dtype, extents: box.inner, xStrides: stridesOf(box.outer) }, y, corner(x, box))
}

/** Lists the setting of x into a larger box filled with `value`. */
export function listEmbed(list: CallList, box: Box, y: Place, x: Place, value: number): void {
  const { inner, outer, dtype = 'float32' } = box
  fill(list, y, sizeOf(outer), value, dtype)
  copyStrided(list, { dtype, extents: inner, yStrides: stridesOf(outer) }, corner(y, box), x)
}

/** Lists the setting of all elements of a type. */
function fill(list: CallList, y: Place, size: number, value: number, dtype: DType): void {
  if (dtype === 'float32') list.fill(y, size, value)
  else list.routine((to) => elementsAt(to, size, dtype).fill((dtype === 'int64' ? BigInt(value) : value) as never), y)
}

/** Makes the cutting of a box out of x. */
/* @__NO_SIDE_EFFECTS__ */
function cutting<O>(name: string, describe: (x: Shape, options: O) => Box): Op<{ x: AnyTensor }, O, never, DType> {
  return defineOp(name, {
    types: { x: dtypes },
    infer: ({ x }: { x: AnyTensor }, options: O): Box => ({ ...describe(x.shape, options), dtype: x.dtype }),
    output: ({ inner }) => inner,
    dtype: ({ dtype }): DType => dtype as DType,
    prepare: (list, box) => {
      listCut(list, box, list.out, list.operand('x'))
    },
    keeps: [],
    gradient: (_, dy, box) => ({ x: embed({ x: dy }, { ...box, value: 0 }) as Tensor }),
  })
}

const cut = cutting<Box>('slice', (_, box) => box)

/** x set into a larger box filled with `value`. */
const embed: Op<{ x: AnyTensor }, Box & { readonly value: number }, never, DType> = defineOp('pad', {
  types: { x: dtypes },
  infer: ({ x: { dtype } }: { x: AnyTensor }, box: Box & { readonly value: number }) => {
    checkElement(box.value, dtype, 'pad: value')
    return { ...box, dtype }
  },
  output: ({ outer }) => outer,
  dtype: ({ dtype }): DType => dtype,
  nothing: 'prepared',
  prepare: (list, box) => {
    listEmbed(list, box, list.out, list.operand('x'), box.value)
  },
  keeps: [],
  gradient: (_, dy, box) => ({ x: cut({ x: dy }, box) as Tensor }),
})

/** Options of `slice`. */
export interface SliceOptions {
  /** First index of each axis, from the first axis on; negative numbers count from the end. Default 0. */
  readonly begin?: readonly number[] | undefined
  /** One past the last index of each axis; negative numbers count from the end. Default: the extent. */
  readonly end?: readonly number[] | undefined
}

/** Names of the options. */
export const sliceNames = { begin: 0, end: 0 } as const satisfies Names<SliceOptions>

/** Bounds as indices from 0 to the extents. */
function bounds(
  name: string,
  x: Shape,
  given: readonly number[],
  otherwise: readonly number[],
  argument: string,
): number[] {
  if (!Array.isArray(given) || given.length > x.length) {
    const found = Array.isArray(given) ? `${given.length} numbers` : inWords(given)
    throw new ArgumentError(`${name}: ${argument} must be an array of at most ${x.length} numbers, given ${found}`)
  }
  return x.map((extent, axis) => {
    const bound = (given as readonly number[])[axis] ?? otherwise[axis] ?? extent
    if (!Number.isInteger(bound) || bound < -extent || bound > extent) {
      throw wrongKind(`${name}: ${argument} of axis ${axis}`, `a whole number from ${-extent} to ${extent}`, bound)
    }
    return bound < 0 ? bound + extent : bound
  })
}

/** What is cut out of a shape. @throws ShapeError when a bound lies outside of it, or begin behind end */
export function sliceOf(name: string, x: Shape, { begin = [], end = [] }: SliceOptions): Box {
  const first = bounds(
    name,
    x,
    begin,
    x.map(() => 0),
    'begin',
  )
  const last = bounds(name, x, end, x, 'end')
  const inner = last.map((bound, axis) => bound - (first[axis] as number))
  if (inner.some((extent) => extent < 0)) {
    throw new ShapeError(
      `${name}: of ${showShape(x)}, from ${showShape(first)} to ${showShape(last)} holds nothing; begin must not lie behind end`,
    )
  }
  return { outer: x, inner, begin: first }
}

const sliced = cutting<SliceOptions>('slice', (x, options) => {
  needKeys('slice', options, sliceNames)
  return sliceOf('slice', x, options)
})

/**
 * The elements with begin ≤ index < end along each axis, for example `slice(x, { begin: [0, 1], end: [4] })`.
 * @throws ShapeError when a bound lies outside x, or begin behind end.
 */
export const slice = withArity(
  'slice',
  2,
  <D extends DType>(x: Tensor<D>, options: SliceOptions): Tensor<D> => sliced({ x }, options) as Tensor<D>,
)

interface Join {
  readonly dtype: DType
  /** Of the inputs, in order. */
  readonly names: readonly string[]
  readonly yShape: Shape
  readonly boxes: readonly Box[]
}

const join: Op<Record<string, AnyTensor>, number, never, DType> = defineOp('concat', {
  // Inputs have names of their own in each call.
  types: dtypes,
  infer: (inputs: Record<string, AnyTensor>, given: number): Join => {
    const shapes = Object.values(inputs).map(({ shape }) => shape)
    const [first] = shapes
    if (!first) throw new ArgumentError('concat: tensors is empty; give one tensor or more')
    const axis = checkAxis(given, first.length, 'concat')
    const apart = shapes.findIndex((shape) => !sameShape(resized(shape, axis, 1), resized(first, axis, 1)))
    if (apart >= 0) {
      throw new ShapeError(
        `concat: shapes ${showShape(first)} and ${showShape(shapes[apart] as Shape)} differ outside axis ${axis}; tensors must agree in every other axis`,
      )
    }
    const { dtype } = Object.values(inputs)[0] as AnyTensor
    for (const [name, { dtype: other }] of Object.entries(inputs)) {
      if (other !== dtype) {
        throw new ArgumentError(
          `concat: ${name} is of ${other}, the first tensor of ${dtype}; convert it with cast(${name}, '${dtype}')`,
        )
      }
    }
    const yShape = resized(
      first,
      axis,
      shapes.reduce((extent, shape) => extent + (shape[axis] as number), 0),
    )
    checkSize(yShape, 'concat')
    let begin = 0
    const boxes = shapes.map((inner) => {
      const box = { dtype, outer: yShape, inner, begin: inner.map((_, index) => (index === axis ? begin : 0)) }
      begin += inner[axis] as number
      return box
    })
    return { dtype, names: Object.keys(inputs), yShape, boxes }
  },
  output: ({ yShape }) => yShape,
  dtype: ({ dtype }): DType => dtype,
  nothing: 'prepared',
  prepare: (list, { dtype, names, yShape, boxes }) => {
    boxes.forEach((box, index) => {
      const x = list.operand(names[index] as string)
      copyStrided(list, { dtype, extents: box.inner, yStrides: stridesOf(yShape) }, corner(list.out, box), x)
    })
  },
  keeps: [],
  gradient: ({ inputs, need }, dy, { boxes }) =>
    Object.fromEntries(
      Object.keys(inputs).map((name, index) => [name, need[name] && (cut({ x: dy }, boxes[index] as Box) as Tensor)]),
    ),
})

/**
 * Tensors one after another along `axis`; every other extent must be equal.
 *
 *     concat([a, b], 1)                                    // (8, 2, 5), (8, 3, 5) -> (8, 5, 5)
 *
 * @throws ShapeError when shapes differ elsewhere or there is no tensor.
 */
export const concat = withArity(
  'concat',
  2,
  <D extends DType>(tensors: readonly Tensor<D>[], axis: number): Tensor<D> => {
    if (!Array.isArray(tensors)) throw wrongKind('concat: tensors', 'an array', tensors)
    return join(
      Object.fromEntries((tensors as readonly Tensor<D>[]).map((tensor, index) => [`tensors[${index}]`, tensor])),
      axis,
    ) as Tensor<D>
  },
)

const permute: Op<{ x: AnyTensor }, readonly number[] | undefined, never, DType> = defineOp('transpose', {
  types: { x: dtypes },
  infer: ({ x }: { x: AnyTensor }, permutation: readonly number[] | undefined) => {
    if (permutation !== undefined) checkList(permutation, 'transpose: permutation', 'a list of axes')
    const axes = (permutation ?? x.shape.map((_, axis) => axis - x.ndim).reverse()).map((axis) =>
      checkAxis(axis, x.ndim, 'transpose'),
    )
    if (axes.length !== x.ndim || new Set(axes).size !== x.ndim) {
      throw new ShapeError(
        `transpose: permutation must name each of the ${x.ndim} axes of ${showShape(x.shape)} once, given ${showShape(axes)}`,
      )
    }
    const strides = stridesOf(x.shape)
    return {
      dtype: x.dtype,
      axes,
      yShape: axes.map((axis) => x.shape[axis] as number),
      xStrides: axes.map((axis) => strides[axis] as number),
    }
  },
  output: ({ yShape }) => yShape,
  dtype: ({ dtype }): DType => dtype,
  prepare: (list, { dtype, yShape, xStrides }) => {
    copyStrided(list, { dtype, extents: yShape, xStrides }, list.out, list.operand('x'))
  },
  keeps: [],
  gradient: (_, dy, { axes }) => ({
    x: transpose(
      dy,
      axes.map((_, axis) => axes.indexOf(axis)),
    ),
  }),
})

interface Repeated {
  readonly dtype: DType
  readonly xShape: Shape
  readonly yShape: Shape
}

const repeated: Op<{ x: AnyTensor }, Shape, never, DType> = defineOp('broadcastTo', {
  types: dtypes,
  infer: ({ x }: { x: AnyTensor }, shape: Shape): Repeated => {
    checkSize(shape, 'broadcastTo')
    if (!sameShape(broadcastShapes(x.shape, shape, 'broadcastTo'), shape))
      throw new ShapeError(`broadcastTo: ${showShape(x.shape)} cannot be repeated to ${showShape(shape)}`)
    return { dtype: x.dtype, xShape: x.shape, yShape: shape }
  },
  output: ({ yShape }) => yShape,
  dtype: ({ dtype }): DType => dtype,
  prepare: (list, { dtype, xShape, yShape }) => {
    const xStrides = broadcastStrides(xShape, yShape)
    copyStrided(list, { dtype, extents: yShape, xStrides }, list.out, list.operand('x'))
  },
  keeps: [],
  gradient: (_, dy, { xShape }) => ({ x: sumTo(dy, xShape) }),
})

/** x repeated along axes of extent 1, and before its first, to a larger shape. @throws ShapeError where that cannot be */
export const broadcastTo = <D extends DType>(x: Tensor<D>, shape: Shape): Tensor<D> =>
  repeated({ x }, shape) as Tensor<D>

/**
 * Axes in another order: axis i of the result is axis permutation[i] of x. Default: all axes reversed.
 *
 *     transpose(x, [0, 2, 3, 1])                           // (N, C, H, W) -> (N, H, W, C)
 *
 * @throws ShapeError when `permutation` does not name each axis once.
 */
export const transpose = withArity(
  'transpose',
  2,
  <D extends DType>(x: Tensor<D>, permutation?: readonly number[]): Tensor<D> =>
    permute({ x }, permutation) as Tensor<D>,
)

/**
 * The axes from `startAxis` (default 1) on as one: (N, C, H, W) becomes (N, C·H·W). Shares memory with x.
 *
 *     flatten(x)                                           // (8, 16, 5, 5) -> (8, 400)
 *
 * @throws ShapeError when there is no such axis.
 */
export const flatten = withArity('flatten', 2, <D extends DType>(x: Tensor<D>, startAxis = 1): Tensor<D> => {
  const shape = shapeOf(x, 'flatten')
  const axis = checkAxis(startAxis, shape.length, 'flatten')
  return x.reshape([...shape.slice(0, axis), sizeOf(shape.slice(axis))])
})

/** A linear map along one axis: x seen as (outer, n, inner), y as (outer, length, inner). */
interface AlongAxis {
  readonly xShape: Shape
  readonly axis: number
  readonly length: number
}

const outerOf = ({ xShape, axis }: AlongAxis): number => sizeOf(xShape.slice(0, axis))
const innerOf = ({ xShape, axis }: AlongAxis): number => sizeOf(xShape.slice(axis + 1))
const extentOf = ({ xShape, axis }: AlongAxis): number => xShape[axis] as number
/** Time of one outer index, in ns. */
const workOf = (d: AlongAxis): number => LIGHT * d.length * innerOf(d)

/** A map along an axis and its adjoint, as operations that are each other's gradients. */
/* @__NO_SIDE_EFFECTS__ */
function adjoints<D extends AlongAxis>(
  name: string,
  forward: (list: CallList, y: Place, x: Place, d: D) => void,
  adjoint: (list: CallList, dx: Place, dy: Place, d: D) => void,
): Op<{ x: Tensor }, D> {
  const direct: Op<{ x: Tensor }, D> = defineOp(name, {
    infer: (_, d: D) => d,
    output: ({ xShape, axis, length }) => resized(xShape, axis, length),
    prepare: (list, d) => {
      forward(list, list.out, list.operand('x'), d)
    },
    keeps: [],
    gradient: (_, dy, d) => ({ x: reverse({ dy }, d) }),
  })
  const reverse: Op<{ dy: Tensor }, D> = defineOp(`${name}Gradient`, {
    infer: (_, d: D) => d,
    output: ({ xShape }) => xShape,
    prepare: (list, d) => {
      adjoint(list, list.out, list.operand('dy'), d)
    },
    keeps: [],
    gradient: (_, ddx, d) => ({ dy: direct({ x: ddx }, d) }),
  })
  return direct
}

/** Numbers of the modes in the kernels. */
const modes = { reflect: 0, replicate: 1, circular: 2 } as const

/** What lies outside of the input: zeros, or its own values mirrored, repeated at the edge, or from the other side. */
export type PaddingMode = 'zeros' | keyof typeof modes

interface Continuation extends AlongAxis {
  readonly lo: number
  readonly hi: number
  readonly mode: keyof typeof modes
}

const continued = adjoints<Continuation>(
  'pad',
  (list, y, x, d) => {
    list.call('pad_fwd', outerOf(d), workOf(d), y, x, extentOf(d), innerOf(d), d.lo, d.hi, modes[d.mode])
  },
  (list, dx, dy, d) => {
    list.call('pad_dx', outerOf(d), workOf(d), dx, dy, extentOf(d), innerOf(d), d.lo, d.hi, modes[d.mode])
  },
)

/** Options of `pad`. */
export interface PadOptions {
  /** What lies beyond the ends; default 'zeros'. 'reflect' leaves out the edge element, as PyTorch does. */
  readonly mode?: PaddingMode | undefined
  /** The constant to pad with; only for mode 'zeros'. Default 0. */
  readonly value?: number | undefined
}

/** Pairs (lo, hi) of the last axes. */
function padPairs(padding: number | readonly (number | readonly [lo: number, hi: number])[], x: Shape): number[][] {
  if (typeof padding === 'number') {
    if (x.length < 3) {
      throw new ShapeError(
        `pad: one number pads the axes after (N, C), which ${showShape(x)} does not have; give an array for the last axes`,
      )
    }
    return x.slice(2).map(() => perDirection([padding, padding], 2, 0, 'pad: padding'))
  }
  if (!Array.isArray(padding) || padding.length > x.length) {
    const found = Array.isArray(padding) ? `${padding.length} entries` : typeof padding
    throw new ArgumentError(
      `pad: padding must be a number or at most ${x.length} numbers or [lo, hi] pairs for the last axes, given ${found}`,
    )
  }
  return (padding as readonly (number | readonly number[])[]).map((entry) =>
    perDirection(typeof entry === 'number' ? [entry, entry] : entry, 2, 0, 'pad: padding'),
  )
}

/**
 * More elements around the last axes. `padding`: for each of the last axes, in their order, a number for both ends or a
 * pair [lo, hi]; one number alone pads every axis after (N, C).
 *
 *     pad(x, [1, [2, 0]], { mode: 'reflect' })             // (8, 3, 5, 5) -> (8, 3, 7, 7)
 *
 * @throws ShapeError when padding is negative, or wider than 'reflect' (extent − 1) or 'circular' (extent) allow.
 */
export const pad = withArity(
  'pad',
  3,
  <D extends DType>(
    x: Tensor<D>,
    padding: number | readonly (number | readonly [lo: number, hi: number])[],
    options: PadOptions = {},
  ): Tensor<D> => {
    checkKeys('pad', options, { mode: 0, value: 0 } satisfies Names<PadOptions>)
    const { mode = 'zeros', value = 0 } = options
    if (mode !== 'zeros' && !(typeof mode === 'string' && Object.hasOwn(modes, mode))) {
      throw wrongKind('pad: mode', "'zeros', 'reflect', 'replicate' or 'circular'", mode)
    }
    if (typeof value !== 'number' || (value !== 0 && mode !== 'zeros')) {
      throw new ArgumentError(
        `pad: value must be a number, and is for mode 'zeros' only; given ${inWords(value)} with '${mode}'`,
      )
    }
    const shape = shapeOf(x, 'pad')
    const pairs = padPairs(padding, shape)
    const first = shape.length - pairs.length
    const lows = shape.map((_, axis) => pairs[axis - first]?.[0] ?? 0)
    const highs = shape.map((_, axis) => pairs[axis - first]?.[1] ?? 0)
    const outer = shape.map((extent, axis) => extent + (lows[axis] as number) + (highs[axis] as number))
    checkSize(outer, 'pad')
    if (mode === 'zeros') return embed({ x }, { outer, inner: shape, begin: lows, value }) as Tensor<D>
    const given: AnyTensor = x
    checkTensor(given, 'pad', 'x')
    shape.forEach((extent, axis) => {
      const widest = Math.max(lows[axis] as number, highs[axis] as number)
      const room = mode === 'reflect' ? extent - 1 : mode === 'circular' ? extent : Infinity
      if (widest > Math.max(room, 0)) {
        throw new ShapeError(
          `pad: axis ${axis} of ${showShape(shape)} can be padded by at most ${room} with '${mode}', given ${widest}`,
        )
      }
    })
    return scope(() =>
      outer.reduce<Tensor>(
        (y, length, axis) =>
          length === y.shape[axis]
            ? y
            : continued(
                { x: y },
                { xShape: y.shape, axis, length, lo: lows[axis] as number, hi: highs[axis] as number, mode },
              ),
        given.alias(),
      ),
    ) as AnyTensor as Tensor<D>
  },
)

interface Enlargement extends AlongAxis {
  readonly scale: number
}

const interpolate = adjoints<Enlargement>(
  'upsample2d',
  (list, y, x, d) => {
    list.call('interpolate_fwd', outerOf(d), workOf(d), y, x, extentOf(d), innerOf(d), d.scale)
  },
  (list, dx, dy, d) => {
    list.call('interpolate_dx', outerOf(d), workOf(d), dx, dy, extentOf(d), innerOf(d), d.scale)
  },
)

/** Every pixel of x (N, C, H, W) as a block of `scale`. */
const repeat: Op<{ x: Tensor }, readonly [number, number]> = defineOp('upsample2d', {
  infer: ({ x }: { x: Tensor }, [rows, columns]: readonly [number, number]) => {
    const [N, C, H, W] = x.shape as readonly [number, number, number, number]
    return { blocks: [N * C, H, rows, W, columns], yShape: [N, C, H * rows, W * columns] } as const
  },
  output: ({ yShape }) => yShape,
  prepare: (list, { blocks }) => {
    const [, H, , W] = blocks
    const xStrides = [H * W, W, 0, 1, 0]
    copyStrided(
      list,
      { dtype: 'float32', extents: blocks, yStrides: stridesOf(blocks), xStrides },
      list.out,
      list.operand('x'),
    )
  },
  keeps: [],
  gradient: ({ inputs: { x } }, dy, { blocks }) => ({
    x: scope(() => sum(dy.reshape(blocks), [2, 4]).reshape(x.shape)),
  }),
})

/** Options of `upsample2d`. */
export interface Upsample2dOptions {
  /** Whole number, or one for rows and one for columns. */
  readonly scale: number | readonly [rows: number, columns: number]
  /** Default 'nearest'. 'bilinear' compares the centres of pixels (PyTorch's align_corners = false). */
  readonly mode?: 'nearest' | 'bilinear' | undefined
}

/** The options of `upsample2d`, each with what it must be. */
export const upsampleNames = {
  scale: 0,
  mode: ['nearest', 'bilinear'],
} as const satisfies Names<Upsample2dOptions>

/**
 * Feature maps enlarged by whole factors: x (N, C, H, W) -> (N, C, H·rows, W·columns).
 *
 *     upsample2d(x, { scale: 2, mode: 'bilinear' })        // (8, 3, 5, 5) -> (8, 3, 10, 10)
 *
 * @throws ShapeError when x is not (N, C, H, W) or a factor is not a whole number from 1 on.
 */
export const upsample2d = withArity('upsample2d', 2, (x: Tensor, options: Upsample2dOptions): Tensor => {
  needKeys('upsample2d', options, upsampleNames)
  const { scale, mode = 'nearest' } = options
  const shape = shapeOf(x, 'upsample2d')
  mapExtents('upsample2d', 2, shape)
  const [rows, columns] = perDirection(scale, 2, 1, 'upsample2d: scale') as [number, number]
  const [, , H, W] = shape as readonly [number, number, number, number]
  checkSize([...shape.slice(0, 2), H * rows, W * columns], 'upsample2d')
  if (mode === 'nearest') return repeat({ x }, [rows, columns])
  if (mode !== 'bilinear') {
    throw wrongKind('upsample2d: mode', "'nearest' or 'bilinear'", mode)
  }
  const enlarge = (map: Tensor, axis: number, factor: number): Tensor =>
    factor === 1
      ? map
      : interpolate(
          { x: map },
          { xShape: map.shape, axis, length: (map.shape[axis] as number) * factor, scale: factor },
        )
  return scope(() => enlarge(enlarge(x.alias(), 2, rows), 3, columns))
})
