/** What moves elements, makes them, and tells or changes shapes. */
import { ArgumentError, FormatError, ShapeError, UnsupportedError } from '../../../runtime/errors.js'
import { cast } from '../../../ops/cast.js'
import { broadcastTo, concat, pad, slice, transpose } from '../../../ops/layout.js'
import { gather } from '../../../ops/places.js'
import { broadcastShapes, checkAxis, checkShape, showShape, sizeOf } from '../../../tensor/shape.js'
import { tensor } from '../../../tensor/create.js'
import { scope, type AnyTensor, type Tensor } from '../../../tensor/tensor.js'

import {
  depthToSpace,
  equalParts,
  rangeOf,
  spaceToDepth,
  split,
  squeezed,
  stretch,
  tiled,
  unsqueezed,
  whole,
} from '../../layout.js'
import { tensorValues, type OnnxTensor } from '../../../formats/onnx.js'
import {
  always,
  constantsOf,
  need,
  numbersOf,
  optionalNumbers,
  type Given,
  type Lowered,
  type Meaning,
  type Rows,
} from '../row.js'

/** The axes of an attribute before an opset, and of an input from it on. */
const axesMeaning = (
  changed: number,
  of: (x: AnyTensor, axes: readonly number[] | undefined) => AnyTensor,
): readonly Meaning[] => [
  {
    since: 1,
    inputs: [1, 1],
    lower(node) {
      const axes = node.ints('axes')
      return (inputs) => of(need(inputs, 0), axes)
    },
  },
  { since: changed, inputs: [1, 2], lower: () => (inputs) => of(need(inputs, 0), optionalNumbers(inputs, 1)) },
]

/** 0 stands for the extent that x has there, −1 for what is left. */
function reshaped(x: AnyTensor, target: readonly number[], allowZero: boolean): AnyTensor {
  const shape = target.map((extent, axis) => {
    if (extent !== 0 || allowZero) return extent
    const own = x.shape[axis]
    if (own === undefined)
      throw new ShapeError(`extent ${axis} is to be that of the input, ${showShape(x.shape)}, which has none`)
    return own
  })
  // With an extent of 0 elsewhere what is left is 0 elements too: one extent cannot be told from them.
  return x.reshape(shape)
}

const Reshape: readonly Meaning[] = [
  {
    since: 1,
    inputs: [1, 1],
    lower(node) {
      node.ignore('consumed_inputs')
      const shape = node.ints('shape') ?? []
      return (inputs) => reshaped(need(inputs, 0), shape, false)
    },
  },
  {
    since: 5,
    inputs: [2, 2],
    lower(node) {
      const allowZero = node.flag('allowzero')
      return (inputs) => reshaped(need(inputs, 0), numbersOf(need(inputs, 1)), allowZero)
    },
  },
]

function sliced(
  x: AnyTensor,
  starts: readonly number[],
  ends: readonly number[],
  axes: readonly number[] = starts.map((_, axis) => axis),
  steps: readonly number[] = starts.map(() => 1),
): AnyTensor {
  if (ends.length !== starts.length || axes.length !== starts.length || steps.length !== starts.length)
    throw new ArgumentError('starts, ends, axes and steps must be of one length')
  return scope(() =>
    axes.reduce<AnyTensor>(
      (y, axis, i) =>
        stretch(y, checkAxis(axis, y.ndim, 'Slice'), starts[i] as number, ends[i] as number, steps[i] as number),
      x.alias(),
    ),
  )
}

const Slice: readonly Meaning[] = [
  {
    since: 1,
    inputs: [1, 1],
    lower(node) {
      const [starts, ends, axes] = [node.ints('starts') ?? [], node.ints('ends') ?? [], node.ints('axes')]
      return (inputs) => sliced(need(inputs, 0), starts, ends, axes)
    },
  },
  {
    since: 10,
    inputs: [3, 5],
    lower: () => (inputs) =>
      sliced(
        need(inputs, 0),
        numbersOf(need(inputs, 1)),
        numbersOf(need(inputs, 2)),
        optionalNumbers(inputs, 3),
        optionalNumbers(inputs, 4),
      ),
  },
]

const Split: readonly Meaning[] = [
  {
    since: 1,
    inputs: [1, 2],
    lower(node) {
      const axis = node.int('axis', 0)
      const sizes = node.ints('split')
      const count = node.node.outputs.length
      return (inputs) => {
        const x = need(inputs, 0)
        return split(x, axis, sizes ?? optionalNumbers(inputs, 1) ?? equalParts(x, axis, count))
      }
    },
  },
  {
    since: 13,
    inputs: [1, 2],
    lower(node) {
      const axis = node.int('axis', 0)
      const count = node.node.outputs.length
      if (node.int('num_outputs', count) !== count)
        throw new FormatError(`num_outputs is ${node.int('num_outputs')}, and the node has ${count} outputs`)
      return (inputs) => {
        const x = need(inputs, 0)
        return split(x, axis, optionalNumbers(inputs, 1) ?? equalParts(x, axis, count))
      }
    },
  },
]

/** Elements around an input: pairs from the list of all begins and all ends. */
function padded(
  x: AnyTensor,
  pads: readonly number[],
  mode: string,
  value: number,
  axes?: readonly number[],
): AnyTensor {
  const along = axes?.map((axis) => checkAxis(axis, x.ndim, 'Pad')) ?? x.shape.map((_, axis) => axis)
  if (pads.length !== 2 * along.length)
    throw new ArgumentError(`pads must have ${2 * along.length} numbers, and has ${pads.length}`)
  const pairs = x.shape.map((): [number, number] => [0, 0])
  along.forEach((axis, i) => (pairs[axis] = [pads[i] as number, pads[i + along.length] as number]))
  return scope(() => {
    // Below 0 they are cut.
    const cut = pairs.some(([lo, hi]) => lo < 0 || hi < 0)
      ? slice(x, {
          begin: pairs.map(([lo]) => Math.max(0, -lo)),
          end: x.shape.map((extent, axis) => extent - Math.max(0, -(pairs[axis] as [number, number])[1])),
        })
      : x
    const around = pairs.map(([lo, hi]) => [Math.max(0, lo), Math.max(0, hi)] as const)
    const names: Readonly<Record<string, 'zeros' | 'reflect' | 'replicate' | 'circular'>> = {
      constant: 'zeros',
      reflect: 'reflect',
      edge: 'replicate',
      wrap: 'circular',
    }
    const named = names[mode] as 'zeros'
    if (named === 'zeros') return pad(cut, around, { value })
    if (cut.dtype === 'float32') return pad(cut, around, { mode: named })
    // Other types are taken by their places.
    return around.reduce<AnyTensor>((y, [lo, hi], axis) => {
      const n = y.shape[axis] as number
      const places = tensor(
        Float32Array.from({ length: n }, (_, i) => i),
        [n],
      )
      return lo + hi === 0 ? y : gather(y, cast(pad(places, [[lo, hi]], { mode: named }), 'int32'), axis)
    }, cut.alias())
  })
}

const padModes = ['constant', 'reflect', 'edge', 'wrap']
const Pad: readonly Meaning[] = [
  {
    since: 1,
    inputs: [1, 1],
    lower(node) {
      const pads = node.ints('pads') ?? node.ints('paddings') ?? []
      const mode = node.text('mode', 'constant', padModes)
      const value = node.float('value', 0)
      return (inputs) => padded(need(inputs, 0), pads, mode, value)
    },
  },
  {
    since: 11,
    inputs: [2, 4],
    lower(node) {
      const mode = node.text('mode', 'constant', padModes)
      return (inputs) => {
        const [value = 0] = inputs[2] ? constantsOf(inputs[2]) : []
        return padded(need(inputs, 0), numbersOf(need(inputs, 1)), mode, value, optionalNumbers(inputs, 3))
      }
    },
  },
]

/** A tensor of a file as one here, out of every scope. */
export function stored(given: OnnxTensor, external?: Readonly<Record<string, Uint8Array>>, what?: string): AnyTensor {
  const { dims, dtype, values } = tensorValues(given, external, what)
  return tensor(values as never, dims, { dtype: dtype })
}

const Constant: Meaning = {
  since: 1,
  inputs: [0, 0],
  lower(node) {
    const value = node.tensor('value')
    if (value) {
      // Checked when the file is read.
      tensorValues(value)
      return () => stored(value)
    }
    if (node.hasAttribute('value_float'))
      return (
        (number) => () =>
          tensor([number], [])
      )(node.float('value_float'))
    if (node.hasAttribute('value_int'))
      return (
        (number) => () =>
          whole([number], [])
      )(node.int('value_int'))
    if (node.hasAttribute('value_floats'))
      return (
        (numbers) => () =>
          tensor(numbers, [numbers.length])
      )(node.floats('value_floats') ?? [])
    if (node.hasAttribute('value_ints'))
      return (
        (numbers) => () =>
          whole(numbers)
      )(node.ints('value_ints') ?? [])
    throw new UnsupportedError('a constant of a text, a sparse tensor or nothing is not supported')
  },
}

/** All elements of one value. */
const filledWith = (shape: readonly number[], value: AnyTensor | undefined): AnyTensor => {
  checkShape(shape, 'ConstantOfShape', 0)
  const one = value ?? tensor([0], [1])
  return scope(() => broadcastTo(one.reshape([]), shape))
}

const ConstantOfShape: Meaning = {
  since: 9,
  inputs: [1, 1],
  lower(node) {
    const value = node.tensor('value')
    if (value) tensorValues(value)
    return (inputs) => scope(() => filledWith(numbersOf(need(inputs, 0)), value && stored(value)))
  },
}

const shapeRow: Meaning = {
  since: 1,
  inputs: [1, 1],
  lower(node) {
    const begin = node.int('start', 0)
    const end = node.hasAttribute('end') ? node.int('end') : undefined
    return (inputs) => whole(need(inputs, 0).shape.slice(begin, end))
  },
}

function flattened(x: AnyTensor, given: number): AnyTensor {
  const axis = given === x.ndim ? given : checkAxis(given, x.ndim, 'Flatten')
  return x.reshape([sizeOf(x.shape.slice(0, axis)), sizeOf(x.shape.slice(axis))])
}

const expanded: Lowered = (inputs) => {
  const x = need(inputs, 0)
  return broadcastTo(x, broadcastShapes(x.shape, numbersOf(need(inputs, 1)), 'Expand'))
}

/** (N, C, H, W) with blocks of channels as blocks of pixels, and back. */
const blocks = (of: (x: Tensor, size: number, mode: string) => AnyTensor): readonly Meaning[] =>
  always([1, 1], (node) => {
    const size = node.int('blocksize')
    const mode = node.text('mode', 'DCR', ['DCR', 'CRD'])
    return (inputs) => {
      const x = need(inputs, 0)
      if (x.ndim !== 4) throw new ShapeError(`expected (N, C, H, W), given ${showShape(x.shape)}`)
      return scope(() => of(x as Tensor, size, mode))
    }
  })

const several =
  (of: (inputs: readonly AnyTensor[]) => Given): Lowered =>
  (inputs) =>
    of(inputs.map((_, i) => need(inputs, i)))

export const layout: Rows = {
  Identity: always([1, 1], () => (inputs) => need(inputs, 0).alias()),
  Constant: [Constant],
  ConstantOfShape: [ConstantOfShape],
  Shape: [shapeRow],
  Size: always([1, 1], () => (inputs) => whole([need(inputs, 0).size], [])),
  Reshape,
  Flatten: always([1, 1], (node) => {
    const axis = node.int('axis', 1)
    return (inputs) => flattened(need(inputs, 0), axis)
  }),
  Squeeze: axesMeaning(13, squeezed),
  Unsqueeze: axesMeaning(13, unsqueezed),
  Transpose: always([1, 1], (node) => {
    const permutation = node.ints('perm')
    return (inputs) => transpose(need(inputs, 0), permutation)
  }),
  Concat: always([1, Infinity], (node) => {
    const axis = node.int('axis', 1)
    return several((tensors) => concat(tensors, axis))
  }),
  Split,
  Slice,
  Pad,
  Gather: always([2, 2], (node) => {
    const axis = node.int('axis', 0)
    return (inputs) => gather(need(inputs, 0), need(inputs, 1), axis)
  }),
  Expand: [{ since: 8, inputs: [2, 2], lower: () => expanded }],
  Tile: [{ since: 6, inputs: [2, 2], lower: () => (inputs) => tiled(need(inputs, 0), numbersOf(need(inputs, 1))) }],
  Range: [
    {
      since: 11,
      inputs: [3, 3],
      lower: () => (inputs) => {
        const [start, limit, delta] = [0, 1, 2].map((i) => need(inputs, i)) as [AnyTensor, AnyTensor, AnyTensor]
        const [a, b, c] = [start, limit, delta].map((x) => constantsOf(x)[0]) as [number, number, number]
        return rangeOf(a, b, c, start.dtype)
      },
    },
  ],
  DepthToSpace: blocks(depthToSpace),
  SpaceToDepth: blocks(spaceToDepth),
}
