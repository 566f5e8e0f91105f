/** What moves elements, makes them, and tells or changes shapes. */
import { ArgumentError, FormatError, ShapeError, UnsupportedError } from '../../../../runtime/errors.js'
import { cast } from '../../../../ops/cast.js'
import { broadcastTo, concat, pad, slice, transpose } from '../../../../ops/layout.js'
import { gather, gatherNd, scatterNd } from '../../../../ops/places.js'
import { tensor } from '../../../../tensor/create.js'
import type { DType } from '../../../../tensor/dtype.js'
import {
  broadcastShapes,
  checkAxis,
  checkShape,
  checkSize,
  showShape,
  sizeOf,
  type Shape,
} from '../../../../tensor/shape.js'
import { scope, type AnyTensor, type Tensor } from '../../../../tensor/tensor.js'
import { constantsOf, need, numbersOf } from '../../../inputs.js'
import { equalParts, rangeOf, split, squeezed, stretch, tiled, unsqueezed } from '../../../layout.js'
import { axisFirst } from '../../values.js'
import type { NodeReader } from '../node.js'
import { each, row, type Lowered, type Row, type Rows, type Step } from '../row.js'

/** Whole numbers as a tensor of int32, which TensorFlow.js has for shapes and places. */
const whole = (values: readonly number[], shape: Shape = [values.length]): Tensor<'int32'> =>
  tensor(values, shape, { dtype: 'int32' })

const oneOf = (x: AnyTensor, what: string): number => {
  const [value, ...more] = constantsOf(x)
  if (value === undefined || more.length > 0) throw new ArgumentError(`${what} must be one number, given ${x.size}`)
  return value
}

const Reshape: Step = (inputs) => need(inputs, 0).reshape(numbersOf(need(inputs, 1)))

/** The axes of a constant as those of a value that is computed channels first; undefined where either is not so. */
function axesFirst(node: NodeReader, input: number, axes: readonly number[] | undefined): number[] | undefined {
  const ndim = node.ndim(input)
  if (ndim === undefined || !node.isFirst(input)) return undefined
  return axes?.map((axis) => axisFirst(checkAxis(axis, ndim, 'axis'), ndim))
}

const Squeeze = row([1, 1], (node) => {
  const given = node.ints('squeeze_dims') ?? node.ints('axis') ?? []
  node.ignore('squeeze_dims', 'axis')
  const axes = given.length > 0 ? given : undefined
  const [first, ndim] = [axesFirst(node, 0, axes), node.ndim(0)]
  // Directions of maps that go leave maps of fewer directions, or vectors.
  if (first && ndim !== undefined && first.every((axis) => axis > 1)) {
    const left = ndim - first.length
    return { first: [0], isFirst: left > 2, ndim: left, step: (inputs) => squeezed(need(inputs, 0), first) }
  }
  return (inputs) => squeezed(need(inputs, 0), axes)
})

const ExpandDims = row([2, 2], (node) => {
  const [axis] = node.constant(1) ?? []
  const ndim = node.ndim(0)
  if (axis !== undefined && ndim !== undefined && node.isFirst(0)) {
    const own = axis < 0 ? axis + ndim + 1 : axis
    if (own > 0 && own < ndim)
      return { first: [0], isFirst: true, ndim: ndim + 1, step: (inputs) => unsqueezed(need(inputs, 0), [own + 1]) }
  }
  return (inputs) => unsqueezed(need(inputs, 0), [oneOf(need(inputs, 1), 'the axis')])
})

const Transpose = row([2, 2], (node) => {
  const order = node.constant(1)
  const ndim = node.ndim(0)
  if (order?.length === ndim && order !== undefined && node.isFirst(0)) {
    // The order of the file is of axes with channels last; each is one of the axes channels first.
    const own = axesFirst(node, 0, order) as number[]
    const isInOrder = own.every((axis, place) => axis === place)
    return {
      first: [0],
      step: (inputs) => (isInOrder ? need(inputs, 0).alias() : transpose(need(inputs, 0), own)),
    }
  }
  if (order?.join() === '0,2,3,1') {
    // Channels first in the file, and last from here on.
    return { isFirst: true, ndim: 4, step: (inputs) => maps(need(inputs, 0)) }
  }
  return (inputs) => transpose(need(inputs, 0), numbersOf(need(inputs, 1)))
})

function maps(x: AnyTensor): AnyTensor {
  if (x.ndim !== 4) throw new ShapeError(`four axes are put in order, and the input is ${showShape(x.shape)}`)
  return x.alias()
}

/** Tensors side by side; `axis` counts in the form that they have. */
const joined = (inputs: readonly (AnyTensor | undefined)[], from: number, count: number, axis: number): AnyTensor =>
  concat(
    Array.from({ length: count }, (_, i) => need(inputs, from + i)),
    axis,
  )

const Concat = (isAxisFirst: boolean): Row =>
  row([2, Infinity], (node): Lowered | Step => {
    const count = node.inputs - 1
    const [at, from] = isAxisFirst ? [0, 1] : [count, 0]
    const [axis] = node.constant(at) ?? []
    const parts = Array.from({ length: count }, (_, i) => from + i)
    const held = parts.find((input) => node.isFirst(input) && node.ndim(input) !== undefined)
    if (axis !== undefined && held !== undefined) {
      const ndim = node.ndim(held) as number
      const [own] = axesFirst(node, held, [axis]) as [number]
      return { first: parts, isFirst: true, ndim, step: (inputs) => joined(inputs, from, count, own) }
    }
    return (inputs) => joined(inputs, from, count, oneOf(need(inputs, at), 'the axis'))
  })

/** Tensors as one of an axis more. */
const Pack = row([1, Infinity], (node) => {
  const axis = node.int('axis', 0)
  return (inputs) =>
    scope(() => {
      const parts = inputs.map((_, input) => need(inputs, input))
      const own = checkAxis(axis, (parts[0] as AnyTensor).ndim + 1, 'axis')
      return concat(
        parts.map((part) => unsqueezed(part, [own])),
        own,
      )
    })
})

const Unpack = row([1, 1], (node) => {
  const axis = node.int('axis', 0)
  const count = node.int('num', node.read)
  if (count < 1) throw new FormatError(`num must be from 1 on, given ${count}`)
  return {
    outputs: count,
    step: (inputs) => {
      const x = need(inputs, 0)
      const own = checkAxis(axis, x.ndim, 'axis')
      if (x.shape[own] !== count)
        throw new ShapeError(`axis ${own} of ${showShape(x.shape)} is not made of ${count} parts`)
      return scope(() => split(x, own, new Array<number>(count).fill(1)).map((part) => squeezed(part, [own])))
    },
  }
})

/** Parts of a tensor along an axis: equal ones, or of sizes of which one may be −1. */
const parts = (
  count: number,
  at: { readonly x: number; readonly axis: number },
  node: NodeReader,
  sizesOf: (inputs: readonly (AnyTensor | undefined)[], x: AnyTensor, axis: number) => number[],
): Lowered => {
  if (count < 1) throw new FormatError(`num_split must be from 1 on, given ${count}`)
  const [constant] = node.constant(at.axis) ?? []
  const own = constant === undefined ? undefined : axesFirst(node, at.x, [constant])
  return {
    outputs: count,
    ...(own && { first: [at.x], isFirst: true, ndim: node.ndim(at.x) }),
    step: (inputs) => {
      const x = need(inputs, at.x)
      const axis = checkAxis(own?.[0] ?? oneOf(need(inputs, at.axis), 'the axis'), x.ndim, 'axis')
      return split(x, axis, sizesOf(inputs, x, axis))
    },
  }
}

const Split = row([2, 2], (node) => {
  const count = node.int('num_split', node.read)
  return parts(count, { x: 1, axis: 0 }, node, (_, x, axis) => {
    if ((x.shape[axis] as number) % count !== 0)
      throw new ShapeError(`axis ${axis} of ${showShape(x.shape)} is not made of ${count} equal parts`)
    return equalParts(x, axis, count)
  })
})

const SplitV = row([3, 3], (node) => {
  const count = node.int('num_split', node.read)
  return parts(count, { x: 0, axis: 2 }, node, (inputs, x, axis) => {
    const sizes = numbersOf(need(inputs, 1))
    if (sizes.length !== count) throw new ShapeError(`there are ${sizes.length} sizes for ${count} parts`)
    const rest = (x.shape[axis] as number) - sizes.reduce((sum, size) => sum + Math.max(0, size), 0)
    return sizes.map((size) => (size === -1 ? rest : size))
  })
})

/** Pairs of a tensor (n, 2). */
function pairsOf(x: AnyTensor, count: number, what: string): [number, number][] {
  const numbers = numbersOf(x)
  if (numbers.length !== 2 * count || numbers.some((value) => value < 0))
    throw new ShapeError(`${what} must be (${count}, 2) numbers from 0 on, given ${showShape(x.shape)}`)
  return Array.from({ length: count }, (_, axis) => [numbers[2 * axis] as number, numbers[2 * axis + 1] as number])
}

/** Elements around a tensor, in whichever form it is computed. */
const padding = (
  count: number,
  of: (x: AnyTensor, around: [number, number][], inputs: readonly (AnyTensor | undefined)[]) => AnyTensor,
): Row['lower'] =>
  function lower(node) {
    const isFirst = node.isFirst(0) && count > 0
    return {
      ...(isFirst && { first: [0], isFirst, ndim: node.ndim(0) }),
      step: (inputs) => {
        const x = need(inputs, 0)
        const pairs = pairsOf(need(inputs, 1), x.ndim, 'paddings')
        const around = [...pairs]
        if (isFirst) pairs.forEach((pair, axis) => (around[axisFirst(axis, x.ndim)] = pair))
        return of(x, around, inputs)
      },
    }
  }

const MirrorPad = row([2, 2], (node) => {
  node.text('mode', 'REFLECT', ['REFLECT'])
  return padding(1, (x, around) => pad(x as Tensor, around, { mode: 'reflect' }))(node)
})

/** Bits of a mask. */
const isSet = (mask: number, axis: number): boolean => axis < 32 && ((mask >>> axis) & 1) === 1

/**
 * Stretches of axes with steps. A mask has a bit for each number of `begin`: begin_mask and end_mask for stretches that go to the
 * edge, new_axis_mask for axes of extent 1 that are put in, shrink_axis_mask for those that go, ellipsis_mask for all axes that
 * no number stands for.
 */
const StridedSlice = row([4, 4], (node) => {
  const masks = {
    begin: node.int('begin_mask', 0),
    end: node.int('end_mask', 0),
    ellipsis: node.int('ellipsis_mask', 0),
    added: node.int('new_axis_mask', 0),
    shrunk: node.int('shrink_axis_mask', 0),
  }
  const isPlain = masks.ellipsis === 0 && masks.added === 0 && masks.shrunk === 0
  const isFirst = isPlain && node.isFirst(0)
  return {
    ...(isFirst && { first: [0], isFirst, ndim: node.ndim(0) }),
    step: (inputs) => {
      const x = need(inputs, 0)
      const [begin, end, steps] = [1, 2, 3].map((input) => numbersOf(need(inputs, input))) as [
        number[],
        number[],
        number[],
      ]
      if (end.length !== begin.length || steps.length !== begin.length)
        throw new ShapeError(
          `begin, end and strides must be of one length, given ${begin.length}, ${end.length} and ${steps.length}`,
        )
      const named = begin.filter((_, i) => !isSet(masks.added, i) && !isSet(masks.ellipsis, i)).length
      if (named > x.ndim) throw new ShapeError(`${named} axes are named, and the input is ${showShape(x.shape)}`)
      return scope(() => {
        let y: AnyTensor = x.alias()
        /** The axis of y that the next number is about. */
        let axis = 0
        const added: number[] = []
        const shrunk: number[] = []
        begin.forEach((from, i) => {
          if (isSet(masks.ellipsis, i)) {
            axis += x.ndim - named
            return
          }
          if (isSet(masks.added, i)) {
            added.push(axis + added.length)
            return
          }
          const n = x.shape[axis] as number
          const step = steps[i] as number
          const own = isFirst ? axisFirst(axis, x.ndim) : axis
          const extent = isFirst ? (x.shape[own] as number) : n
          if (isSet(masks.shrunk, i)) {
            const place = from < 0 ? from + extent : from
            if (!(place >= 0 && place < extent))
              throw new ShapeError(`there is no place ${from} along axis ${axis} of ${showShape(x.shape)}`)
            y = stretch(y, own, place, place + 1, 1)
            shrunk.push(axis + added.length)
          } else {
            const edge = step > 0 ? [0, Number.MAX_SAFE_INTEGER] : [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]
            const first = isSet(masks.begin, i) ? (edge[0] as number) : from
            const last = isSet(masks.end, i) ? (edge[1] as number) : (end[i] as number)
            y = stretch(y, own, first, last, step)
          }
          axis++
        })
        if (added.length > 0) y = unsqueezed(y, added)
        return shrunk.length > 0 ? squeezed(y, shrunk) : y
      })
    },
  }
})

const Slice = row([3, 3], (node) => {
  const isFirst = node.isFirst(0)
  return {
    ...(isFirst && { first: [0], isFirst, ndim: node.ndim(0) }),
    step: (inputs) => {
      const x = need(inputs, 0)
      const [begin, size] = [1, 2].map((input) => numbersOf(need(inputs, input))) as [number[], number[]]
      if (begin.length !== x.ndim || size.length !== x.ndim)
        throw new ShapeError(
          `begin and size must have a number for each axis of ${showShape(x.shape)}, given ${begin.length} and ${size.length}`,
        )
      const [from, to] = [new Array<number>(x.ndim), new Array<number>(x.ndim)]
      begin.forEach((first, axis) => {
        const own = isFirst ? axisFirst(axis, x.ndim) : axis
        const count = size[axis] as number
        from[own] = first
        to[own] = count === -1 ? (x.shape[own] as number) : first + count
      })
      return slice(x, { begin: from, end: to })
    },
  }
})

const GatherV2 = row([2, 3], (node) => {
  if (node.int('batch_dims', 0) !== 0) throw new UnsupportedError('batch_dims other than 0 is not supported')
  return (inputs) => gather(need(inputs, 0), need(inputs, 1), inputs[2] ? oneOf(inputs[2], 'the axis') : 0)
})

const filled: Step = (inputs) => {
  const shape = numbersOf(need(inputs, 0))
  checkShape(shape, 'Fill', 0)
  checkSize(shape, 'Fill')
  return broadcastTo(need(inputs, 1).reshape([]), shape)
}

const Range: Step = (inputs) => {
  const start = need(inputs, 0)
  const [a, b, c] = [0, 1, 2].map((input) => oneOf(need(inputs, input), 'a limit of the range')) as [
    number,
    number,
    number,
  ]
  return rangeOf(a, b, c, start.dtype)
}

/** Values at places of a shape, and one value everywhere else. */
const SparseToDense: Step = (inputs) => {
  const [indices, values] = [need(inputs, 0), need(inputs, 2)]
  const shape = numbersOf(need(inputs, 1))
  checkShape(shape, 'SparseToDense', 0)
  checkSize(shape, 'SparseToDense')
  const otherwise = inputs[3]
  return scope(() => {
    const count = indices.ndim === 0 ? 1 : (indices.shape[0] as number)
    const all = broadcastTo(otherwise?.reshape([]) ?? tensor([0], [], { dtype: values.dtype }), shape)
    const places = indices.reshape([count, indices.ndim === 2 ? (indices.shape[1] as number) : 1])
    return scatterNd(all, places, broadcastTo(values, [count]))
  })
}

/** Indices as rows of off and on along a new axis. */
const OneHot = row([4, 4], (node) => {
  const given = node.int('axis', -1)
  const dtype: DType = node.type('dtype', 'float32')
  return (inputs) =>
    scope(() => {
      const [indices, depth] = [need(inputs, 0), oneOf(need(inputs, 1), 'the depth')]
      const [on, off] = [2, 3].map((input) => cast(need(inputs, input), dtype)) as [AnyTensor, AnyTensor]
      const axis = checkAxis(given, indices.ndim + 1, 'axis')
      checkSize([...indices.shape, depth], 'OneHot')
      // Row i of the table is on at place i; a row behind all of them is off throughout.
      const table = scatterNd(
        broadcastTo(off.reshape([]), [depth + 1, depth]),
        whole(Array.from({ length: depth }, (_, i) => [i, i]).flat(), [depth, 2]),
        broadcastTo(on.reshape([]), [depth]),
      )
      const places = numbersOf(indices).map((index) => (index >= 0 && index < depth ? index : depth))
      const rows = gather(table, whole(places, indices.shape), 0)
      const order = Array.from({ length: rows.ndim }, (_, i) => i).filter((i) => i !== rows.ndim - 1)
      order.splice(axis, 0, rows.ndim - 1)
      return transpose(rows, order)
    })
})

const ReverseV2: Step = (inputs) => {
  const x = need(inputs, 0)
  return scope(() =>
    numbersOf(need(inputs, 1)).reduce<AnyTensor>((y, axis) => {
      const own = checkAxis(axis, y.ndim, 'axis')
      return gather(
        y,
        whole(Array.from({ length: y.shape[own] as number }, (_, i, n = y.shape[own] as number) => n - 1 - i)),
        own,
      )
    }, x.alias()),
  )
}

/** (N, H, W, …) whose places of blocks become batches: (bh · bw · N, H / bh, W / bw, …), after zeros were put around. */
const SpaceToBatchND: Step = (inputs) => {
  const x = need(inputs, 0)
  const block = numbersOf(need(inputs, 1))
  const around = pairsOf(need(inputs, 2), block.length, 'paddings')
  checkBlocks(x, block)
  return scope(() => {
    const padded = pad(x, [[0, 0], ...around, ...x.shape.slice(block.length + 1).map((): [number, number] => [0, 0])])
    const [N, ...others] = padded.shape as [number, ...number[]]
    const rest = others.slice(block.length)
    const apart = padded.reshape([
      N,
      ...block.flatMap((size, axis) => [divided(others[axis] as number, size), size]),
      ...rest,
    ])
    const order = [
      ...block.map((_, axis) => 2 * axis + 2),
      0,
      ...block.map((_, axis) => 2 * axis + 1),
      ...rest.map((_, axis) => 2 * block.length + 1 + axis),
    ]
    return transpose(apart, order).reshape([
      N * sizeOf(block),
      ...block.map((size, axis) => divided(others[axis] as number, size)),
      ...rest,
    ])
  })
}

/** The inverse, after which elements are cut off. */
const BatchToSpaceND: Step = (inputs) => {
  const x = need(inputs, 0)
  const block = numbersOf(need(inputs, 1))
  const crops = pairsOf(need(inputs, 2), block.length, 'crops')
  checkBlocks(x, block)
  return scope(() => {
    const [N, ...others] = x.shape as [number, ...number[]]
    const rest = others.slice(block.length)
    const apart = x.reshape([...block, divided(N, sizeOf(block)), ...others])
    const count = block.length
    const order = [
      count,
      ...block.flatMap((_, axis) => [count + 1 + axis, axis]),
      ...rest.map((_, axis) => 2 * count + 1 + axis),
    ]
    const whole = transpose(apart, order).reshape([
      N / sizeOf(block),
      ...block.map((size, axis) => size * (others[axis] as number)),
      ...rest,
    ])
    return slice(whole, {
      begin: [0, ...crops.map(([lo]) => lo), ...rest.map(() => 0)],
      end: whole.shape.map((extent, axis) => extent - (crops[axis - 1]?.[1] ?? 0)),
    })
  })
}

function checkBlocks(x: AnyTensor, block: readonly number[]): void {
  if (block.length === 0 || block.length >= x.ndim || block.some((size) => size < 1))
    throw new ShapeError(`blocks of ${showShape(block)} are none of ${showShape(x.shape)}`)
}

function divided(extent: number, size: number): number {
  if (extent % size !== 0) throw new ShapeError(`${extent} cannot be divided into blocks of ${size}`)
  return extent / size
}

const Tile: Step = (inputs) => tiled(need(inputs, 0), numbersOf(need(inputs, 1)))

const identity: Row = each((x) => x.alias())

export const layout: Rows = {
  BatchToSpaceND: row([3, 3], () => BatchToSpaceND),
  BroadcastTo: row([2, 2], () => (inputs) => {
    const x = need(inputs, 0)
    const shape = numbersOf(need(inputs, 1))
    checkShape(shape, 'BroadcastTo', 0)
    return broadcastTo(x, broadcastShapes(x.shape, shape, 'BroadcastTo'))
  }),
  Concat: Concat(true),
  ConcatV2: Concat(false),
  ExpandDims,
  Fill: row([2, 2], () => filled),
  Gather: GatherV2,
  GatherNd: row([2, 2], () => (inputs) => gatherNd(need(inputs, 0), need(inputs, 1))),
  GatherV2,
  Identity: identity,
  MirrorPad,
  OneHot,
  Pack,
  Pad: row(
    [2, 2],
    padding(1, (x, around) => pad(x, around)),
  ),
  PadV2: row(
    [3, 3],
    padding(1, (x, around, inputs) => pad(x, around, { value: oneOf(need(inputs, 2), 'the value') })),
  ),
  PlaceholderWithDefault: row([1, 1], (node) => {
    node.ignore('shape', 'dtype')
    return (inputs) => need(inputs, 0).alias()
  }),
  Range: row([3, 3], () => Range),
  Rank: row([1, 1], () => (inputs) => whole([need(inputs, 0).ndim], [])),
  Reshape: row([2, 2], () => Reshape),
  ReverseV2: row([2, 2], () => ReverseV2),
  Shape: row([1, 1], (node) => {
    node.ignore('out_type')
    return (inputs) => whole(need(inputs, 0).shape)
  }),
  Size: row([1, 1], (node) => {
    node.ignore('out_type')
    return (inputs) => whole([need(inputs, 0).size], [])
  }),
  Slice,
  Snapshot: identity,
  SpaceToBatchND: row([3, 3], () => SpaceToBatchND),
  SparseToDense: row([3, 4], () => SparseToDense),
  Split,
  SplitV,
  Squeeze,
  StopGradient: identity,
  StridedSlice,
  Tile: row([2, 2], () => Tile),
  Transpose,
  Unpack,
}
