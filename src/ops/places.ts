/**
 * Elements by their places, for models from elsewhere: taken, put, and added back by gradients. Computed in JavaScript. The operations
 * beyond `gather` have one part in common: how a tensor of indices tells which blocks of x are meant, an `Addressing`.
 */
import { defineOp, type Op } from '../autodiff/op.js'
import type { CallList } from '../runtime/calls.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { dtypes, type DType, type ElementArrays } from '../tensor/dtype.js'
import { checkAxis, checkSize, sameShape, showShape, sizeOf, stridesOf, type Shape } from '../tensor/shape.js'
import { zeros } from '../tensor/create.js'
import { elementsAt, scope, type AnyTensor, type Tensor } from '../tensor/tensor.js'

/** Rows along an axis: x seen as (outer, n, inner). */
interface Rows {
  readonly dtype: DType
  readonly xShape: Shape
  readonly indexShape: Shape
  readonly indexType: DType
  readonly axis: number
  readonly outer: number
  readonly n: number
  readonly inner: number
}

const indexTypes: readonly DType[] = ['int64', 'int32', 'uint8', 'int8']

/** Places from 0 on; negative ones count from the end. @throws ArgumentError where there is none */
function placesOf(indices: ElementArrays[DType], n: number, name: string): Int32Array {
  return Int32Array.from(indices as ArrayLike<number | bigint>, (index: number | bigint, i: number) => {
    const place = Number(index)
    if (!(place >= -n && place < n))
      throw new ArgumentError(`${name}: indices[${i}] must be from ${-n} to ${n - 1}, given ${place}`)
    return place < 0 ? place + n : place
  })
}

/** The rows of x at `indices` along an axis: the axis is replaced by those of `indices`. */
const gathered: Op<{ x: AnyTensor; indices: AnyTensor }, number, never, DType> = defineOp('gather', {
  types: { x: dtypes, indices: indexTypes },
  infer: ({ x, indices }: { x: AnyTensor; indices: AnyTensor }, given: number): Rows => {
    const axis = checkAxis(given, x.ndim, 'gather')
    const rows = {
      dtype: x.dtype,
      xShape: x.shape,
      indexShape: indices.shape,
      indexType: indices.dtype,
      axis,
      outer: sizeOf(x.shape.slice(0, axis)),
      n: x.shape[axis] as number,
      inner: sizeOf(x.shape.slice(axis + 1)),
    }
    checkSize(gatheredShape(rows), 'gather')
    return rows
  },
  output: (rows) => gatheredShape(rows),
  dtype: ({ dtype }): DType => dtype,
  prepare: (list, { dtype, indexShape, indexType, outer, n, inner }) => {
    const count = sizeOf(indexShape)
    list.routine(
      (out, from, at) => {
        const y = elementsAt(out, outer * count * inner, dtype) as Float32Array
        const x = elementsAt(from, outer * n * inner, dtype) as Float32Array
        const places = placesOf(elementsAt(at, count, indexType), n, 'gather')
        let to = 0
        for (let row = 0; row < outer; row++) {
          for (let i = 0; i < count; i++) {
            const first = (row * n + (places[i] as number)) * inner
            if (inner === 1) y[to] = x[first] as number
            else y.set(x.subarray(first, first + inner), to)
            to += inner
          }
        }
      },
      list.out,
      list.operand('x'),
      list.operand('indices'),
    )
  },
  keeps: ['indices'],
  gradient: ({ inputs: { indices }, need }, dy, rows) => ({ x: need.x && added({ dy, indices }, rows) }),
})

const gatheredShape = ({ xShape, indexShape, axis }: Rows): number[] => [
  ...xShape.slice(0, axis),
  ...indexShape,
  ...xShape.slice(axis + 1),
]

/** dx: dy added at the rows that were taken, in their order, in double precision. */
const added: Op<{ dy: Tensor; indices: AnyTensor }, Rows> = defineOp('gatherGradient', {
  types: { indices: indexTypes },
  nothing: 'zeros',
  infer: (_: { dy: Tensor; indices: AnyTensor }, rows: Rows) => rows,
  output: ({ xShape }) => xShape,
  prepare: (list, { indexShape, indexType, outer, n, inner }) => {
    const count = sizeOf(indexShape)
    list.routine(
      (out, from, at) => {
        const sums = new Float64Array(outer * n * inner)
        const dy = elementsAt(from, outer * count * inner, 'float32')
        const places = placesOf(elementsAt(at, count, indexType), n, 'gather')
        let next = 0
        for (let row = 0; row < outer; row++) {
          for (let i = 0; i < count; i++) {
            const first = (row * n + (places[i] as number)) * inner
            for (let k = 0; k < inner; k++) sums[first + k] = (sums[first + k] as number) + (dy[next++] as number)
          }
        }
        elementsAt(out, sums.length, 'float32').set(sums)
      },
      list.out,
      list.operand('dy'),
      list.operand('indices'),
    )
  },
  keeps: ['indices'],
  gradient: ({ inputs: { indices } }, ddx, { axis }) => ({
    dy: gathered({ x: ddx, indices }, axis) as Tensor,
  }),
})

/** The rows of x at `indices` along an axis, which the axes of `indices` take the place of. */
export const gather = <D extends DType>(x: Tensor<D>, indices: AnyTensor, axis = 0): Tensor<D> =>
  gathered({ x, indices }, axis) as Tensor<D>

/** How indices tell places, by the names of ONNX's operators. */
export type Addressing =
  /** Along `axis` the index is the element of `indices`, along the others it is that of the element's own place. */
  | { readonly kind: 'elements'; readonly axis: number }
  /** The last axis of `indices` holds indices of the axes of x behind the first `batch`, which are shared. */
  | { readonly kind: 'nd'; readonly batch: number }
  /** Along `time` the first elements of every entry of `batch` are taken in reverse, as many as `indices` says. */
  | { readonly kind: 'reversed'; readonly batch: number; readonly time: number }

/** Blocks of x that indices name. */
interface Blocks {
  readonly name: string
  readonly dtype: DType
  readonly xShape: Shape
  /** Shape of what is taken, or put. */
  readonly shape: Shape
  readonly indexShape: Shape
  readonly indexType: DType
  readonly addressing: Addressing
  /** Elements of a block, and blocks. */
  readonly inner: number
  readonly count: number
}

/** Checks an addressing and describes it. */
function describeBlocks(name: string, x: AnyTensor, indices: AnyTensor, given: Addressing): Blocks {
  const [xShape, indexShape] = [x.shape, indices.shape]
  const misfit = (): ShapeError =>
    new ShapeError(`${name}: indices of shape ${showShape(indexShape)} do not fit x of shape ${showShape(xShape)}`)
  const blocks = (addressing: Addressing, shape: Shape, inner: number): Blocks => {
    checkSize(shape, name)
    const count = inner === 0 ? 0 : sizeOf(shape) / inner
    const { dtype } = x
    return { name, dtype, xShape, shape, indexShape, indexType: indices.dtype, addressing, inner, count }
  }
  if (given.kind === 'elements') {
    const axis = checkAxis(given.axis, x.ndim, name)
    if (indices.ndim !== x.ndim) throw misfit()
    if (indexShape.some((extent, other) => other !== axis && extent > (xShape[other] as number))) throw misfit()
    return blocks({ kind: 'elements', axis }, indexShape, 1)
  }
  if (given.kind === 'nd') {
    const { batch } = given
    const last = indexShape[indexShape.length - 1]
    if (last === undefined || last + batch > x.ndim || batch >= indices.ndim) throw misfit()
    if (!sameShape(indexShape.slice(0, batch), xShape.slice(0, batch))) throw misfit()
    const inner = xShape.slice(batch + last)
    return blocks(given, [...indexShape.slice(0, -1), ...inner], sizeOf(inner))
  }
  const [batch, time] = [checkAxis(given.batch, x.ndim, name), checkAxis(given.time, x.ndim, name)]
  if (batch + time !== 1)
    throw new ShapeError(`${name}: batch and time must be axes 0 and 1, given ${batch} and ${time}`)
  if (!sameShape(indexShape, [xShape[batch] as number])) throw misfit()
  return blocks({ kind: 'reversed', batch, time }, xShape, sizeOf(xShape.slice(2)))
}

/** For each block that is taken or put, in order, its place among the elements of x. */
function blockPlaces(d: Blocks, values: ElementArrays[DType]): Int32Array {
  const { name, xShape, shape, indexShape, addressing, inner, count } = d
  const places = new Int32Array(count)
  const strides = stridesOf(xShape)
  if (addressing.kind === 'elements') {
    const { axis } = addressing
    const own = placesOf(values, xShape[axis] as number, name)
    const at = shape.map(() => 0)
    for (let i = 0; i < count; i++) {
      let place = (own[i] as number) * (strides[axis] as number)
      for (let other = 0; other < at.length; other++)
        if (other !== axis) place += (at[other] as number) * (strides[other] as number)
      places[i] = place
      for (let other = at.length - 1; other >= 0; other--) {
        at[other] = (at[other] as number) + 1
        if ((at[other] as number) < (shape[other] as number)) break
        at[other] = 0
      }
    }
    return places
  }
  if (addressing.kind === 'nd') {
    const { batch } = addressing
    const last = indexShape[indexShape.length - 1] as number
    const perBatch = count / Math.max(1, sizeOf(xShape.slice(0, batch)))
    const shared = sizeOf(xShape.slice(batch))
    for (let i = 0; i < count; i++) {
      let place = Math.floor(i / perBatch) * shared
      for (let k = 0; k < last; k++) {
        const n = xShape[batch + k] as number
        const index = Number(values[i * last + k])
        if (!(index >= -n && index < n)) {
          throw new ArgumentError(
            `${name}: indices[${i * last + k}] must be from ${-n} to ${n - 1} for axis ${batch + k}, given ${index}`,
          )
        }
        place += (index < 0 ? index + n : index) * (strides[batch + k] as number)
      }
      places[i] = place
    }
    return places
  }
  const { batch, time } = addressing
  const [length, width] = [xShape[time] as number, xShape[1] as number]
  for (let i = 0; i < count; i++) {
    const at = [Math.floor(i / width), i % width] as const
    const reversed = Number(values[at[batch as 0]])
    if (!(reversed >= 0 && reversed <= length))
      throw new ArgumentError(`${name}: lengths must be from 0 to ${length}, given ${reversed}`)
    const step = at[time as 0]
    const from = step < reversed ? reversed - 1 - step : step
    places[i] = (time === 0 ? from * width + at[1] : at[0] * width + from) * inner
  }
  return places
}

/** The blocks of x that indices name. */
const taken: Op<
  { x: AnyTensor; indices: AnyTensor },
  { readonly name: string; readonly addressing: Addressing },
  never,
  DType
> = defineOp('take', {
  types: { x: dtypes, indices: indexTypes },
  infer: (
    { x, indices }: { x: AnyTensor; indices: AnyTensor },
    { name, addressing }: { readonly name: string; readonly addressing: Addressing },
  ) => describeBlocks(name, x, indices, addressing),
  output: ({ shape }) => shape,
  dtype: ({ dtype }): DType => dtype,
  // Where x has no elements no index is allowed, which `blockPlaces` says.
  nothing: 'prepared',
  prepare: (list, d) => {
    listTake(list, 'x', d)
  },
  keeps: ['indices'],
  gradient: ({ inputs: { indices }, need }, dy, d) => ({ x: need.x && addedBack({ dy, indices }, d) }),
})

function listTake(list: CallList, source: string, d: Blocks): void {
  const { dtype, xShape, shape, indexShape, indexType, inner, count } = d
  list.routine(
    (out, from, at) => {
      const y = elementsAt(out, sizeOf(shape), dtype) as Float32Array
      const x = elementsAt(from, sizeOf(xShape), dtype) as Float32Array
      const places = blockPlaces(d, elementsAt(at, sizeOf(indexShape), indexType))
      for (let i = 0; i < count; i++) {
        const first = places[i] as number
        if (inner === 1) y[i] = x[first] as number
        else y.set(x.subarray(first, first + inner), i * inner)
      }
    },
    list.out,
    list.operand(source),
    list.operand('indices'),
  )
}

/** dx of what was taken: dy added at the places, in their order, in double precision. */
const addedBack: Op<{ dy: Tensor; indices: AnyTensor }, Blocks> = defineOp('takeGradient', {
  types: { indices: indexTypes },
  nothing: 'zeros',
  infer: (_: { dy: Tensor; indices: AnyTensor }, d: Blocks) => d,
  output: ({ xShape }) => xShape,
  prepare: (list, d) => {
    const { xShape, shape, indexShape, indexType, inner, count } = d
    list.routine(
      (out, from, at) => {
        const sums = new Float64Array(sizeOf(xShape))
        const dy = elementsAt(from, sizeOf(shape), 'float32')
        const places = blockPlaces(d, elementsAt(at, sizeOf(indexShape), indexType))
        for (let i = 0; i < count; i++) {
          const first = places[i] as number
          for (let k = 0; k < inner; k++) sums[first + k] = (sums[first + k] as number) + (dy[i * inner + k] as number)
        }
        elementsAt(out, sums.length, 'float32').set(sums)
      },
      list.out,
      list.operand('dy'),
      list.operand('indices'),
    )
  },
  keeps: ['indices'],
  gradient: ({ inputs: { indices } }, ddx, { name, addressing }) => ({
    dy: taken({ x: ddx, indices }, { name, addressing }) as Tensor,
  }),
})

/** Elements of x by an index along one axis each: y[i][j] = x[indices[i][j]][j] for axis 0. */
export const gatherElements = <D extends DType>(x: Tensor<D>, indices: AnyTensor, axis = 0): Tensor<D> =>
  taken({ x, indices }, { name: 'gatherElements', addressing: { kind: 'elements', axis } }) as Tensor<D>

/** Parts of x by indices of several axes: the last axis of `indices`, behind `batch` axes that both have. */
export const gatherNd = <D extends DType>(x: Tensor<D>, indices: AnyTensor, batch = 0): Tensor<D> =>
  taken({ x, indices }, { name: 'gatherNd', addressing: { kind: 'nd', batch } }) as Tensor<D>

/** x with the first `lengths[b]` elements of each sequence b in reverse order; batch and time are axes 0 and 1 in either order. */
export const reverseSequences = <D extends DType>(x: Tensor<D>, lengths: AnyTensor, batch = 1, time = 0): Tensor<D> =>
  taken(
    { x, indices: lengths },
    { name: 'reverseSequences', addressing: { kind: 'reversed', batch, time } },
  ) as Tensor<D>

/** What becomes of an element that something is put to. */
export type Reduction = 'none' | 'add' | 'mul' | 'max' | 'min'

interface Scattering extends Blocks {
  readonly reduction: Reduction
}

type Pair = (a: number, b: number) => number

/** The reductions; what they say of numbers they say of bigints too. NaN stays. */
const reductions: Readonly<Record<Reduction, Pair>> = {
  none: (_, b) => b,
  add: (a, b) => a + b,
  mul: (a, b) => a * b,
  max: (a, b) => (b > a || b !== b ? b : a),
  min: (a, b) => (b < a || b !== b ? b : a),
}

/** x with updates put to the places that indices name, one after another. */
const scattered: Op<
  { x: AnyTensor; indices: AnyTensor; updates: AnyTensor },
  { readonly name: string; readonly addressing: Addressing; readonly reduction: Reduction },
  never,
  DType
> = defineOp('scatter', {
  types: { x: dtypes, indices: indexTypes, updates: dtypes },
  nothing: 'prepared',
  infer: (
    { x, indices, updates }: { x: AnyTensor; indices: AnyTensor; updates: AnyTensor },
    {
      name,
      addressing,
      reduction,
    }: { readonly name: string; readonly addressing: Addressing; readonly reduction: Reduction },
  ): Scattering => {
    if (updates.dtype !== x.dtype)
      throw new ArgumentError(`${name}: updates must be of ${x.dtype} as x is, given ${updates.dtype}`)
    if (x.dtype === 'bool' && (reduction === 'add' || reduction === 'mul'))
      throw new ArgumentError(`${name}: bools have no ${reduction}; use 'max' or 'min'`)
    const blocks = describeBlocks(name, x, indices, addressing)
    if (!sameShape(updates.shape, blocks.shape))
      throw new ShapeError(`${name}: updates must be ${showShape(blocks.shape)}, given ${showShape(updates.shape)}`)
    return { ...blocks, reduction }
  },
  output: ({ xShape }) => xShape,
  dtype: ({ dtype }): DType => dtype,
  prepare: (list, d) => {
    const { dtype, xShape, shape, indexShape, indexType, inner, count, reduction } = d
    // Products of int32 wrap as they do in an engine of 32 bits.
    const of = dtype === 'int32' && reduction === 'mul' ? Math.imul : reductions[reduction]
    list.routine(
      (out, from, at, put) => {
        const x = elementsAt(from, sizeOf(xShape), dtype) as Float32Array
        const updates = elementsAt(put, sizeOf(shape), dtype) as Float32Array
        const places = blockPlaces(d, elementsAt(at, sizeOf(indexShape), indexType))
        // Sums and products are rounded once.
        const y = dtype === 'float32' ? Float64Array.from(x) : x.slice()
        for (let i = 0; i < count; i++) {
          for (let k = 0; k < inner; k++) {
            const place = (places[i] as number) + k
            y[place] = of(y[place] as number, updates[i * inner + k] as number)
          }
        }
        elementsAt(out, sizeOf(xShape), dtype).set(y as never)
      },
      list.out,
      list.operand('x'),
      list.operand('indices'),
      list.operand('updates'),
    )
  },
  keeps: ['indices'],
  gradient: ({ inputs: { indices, updates }, need }, dy, d) => {
    const { name, addressing, reduction } = d
    if (reduction === 'add')
      return {
        x: need.x && dy.alias(),
        updates: need.updates && (taken({ x: dy, indices }, { name, addressing }) as Tensor),
      }
    // The others' gradients would need the values on the way.
    if (reduction !== 'none') return {}
    return {
      x:
        need.x &&
        scope(
          () =>
            scattered(
              { x: dy, indices, updates: zeros(updates.shape) },
              { name, addressing, reduction: 'none' },
            ) as Tensor,
        ),
      updates: need.updates && takenLast({ dy, indices }, d),
    }
  },
})

/** dy at the places, and 0 for updates that a later one was put over. */
const takenLast: Op<{ dy: Tensor; indices: AnyTensor }, Scattering> = defineOp('scatterGradient', {
  types: { indices: indexTypes },
  nothing: 'zeros',
  infer: (_: { dy: Tensor; indices: AnyTensor }, d: Scattering) => d,
  output: ({ shape }) => shape,
  prepare: (list, d) => {
    const { xShape, shape, indexShape, indexType, inner, count } = d
    list.routine(
      (out, from, at) => {
        const dy = elementsAt(from, sizeOf(xShape), 'float32')
        const du = elementsAt(out, sizeOf(shape), 'float32')
        const places = blockPlaces(d, elementsAt(at, sizeOf(indexShape), indexType))
        const last = new Map<number, number>()
        places.forEach((place, i) => last.set(place, i))
        for (let i = 0; i < count; i++) {
          const first = places[i] as number
          const isLast = last.get(first) === i
          for (let k = 0; k < inner; k++) du[i * inner + k] = isLast ? (dy[first + k] as number) : 0
        }
      },
      list.out,
      list.operand('dy'),
      list.operand('indices'),
    )
  },
  keeps: ['indices'],
  gradient: ({ inputs: { indices } }, ddu, { name, addressing, xShape }) => ({
    dy: scope(
      () => scattered({ x: zeros(xShape), indices, updates: ddu }, { name, addressing, reduction: 'none' }) as Tensor,
    ),
  }),
})

/** x with updates[i][j] put to x[indices[i][j]][j] for axis 0; of several at one place the last one stays, or all are reduced. */
export const scatterElements = <D extends DType>(
  x: Tensor<D>,
  indices: AnyTensor,
  updates: Tensor<D>,
  axis = 0,
  reduction: Reduction = 'none',
): Tensor<D> =>
  scattered(
    { x, indices, updates },
    { name: 'scatterElements', addressing: { kind: 'elements', axis }, reduction },
  ) as Tensor<D>

/** x with parts put to the places that the last axis of `indices` names. */
export const scatterNd = <D extends DType>(
  x: Tensor<D>,
  indices: AnyTensor,
  updates: Tensor<D>,
  reduction: Reduction = 'none',
): Tensor<D> =>
  scattered(
    { x, indices, updates },
    { name: 'scatterNd', addressing: { kind: 'nd', batch: 0 }, reduction },
  ) as Tensor<D>
