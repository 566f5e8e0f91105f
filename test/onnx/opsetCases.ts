/**
 * Models of one node each for what opsets 18 to 22 changed in the operators that `loadOnnx` knows. ONNX's own cases, as Debian has them,
 * end before. `node test/onnx/opsets.mjs` writes what they give into test/fixtures/onnx/opsets.json; test/models/onnx/opsets.test.ts compares.
 */
import { node, onnx, value, type ElementName } from '../helpers/onnx.js'

/** Types of elements that the cases use. */
export type CaseType = 'float32' | 'int32' | 'int64' | 'uint8' | 'int8' | 'bool'

/** Numbers with a type and a shape. */
export interface CaseTensor {
  readonly dtype: CaseType
  readonly shape: readonly number[]
  readonly values: readonly number[]
}

type Attributes = NonNullable<Parameters<typeof node>[3]>

/** One case. */
export interface OpsetCase {
  readonly name: string
  readonly opset: number
  readonly operator: string
  /** The set that the operator is of; left out: ONNX's own. */
  readonly domain?: string
  /** Undefined where an input is left out. */
  readonly inputs: readonly (CaseTensor | undefined)[]
  readonly attributes: Attributes
  readonly outputs: readonly CaseType[]
  /**
   * What the text of the operator says, computed in double precision: where onnxruntime-web has not the operator, or computes
   * something else. `because` says which.
   */
  readonly defined?: { readonly because: string; compute(): readonly CaseTensor[] }
  /** The last opset in which onnxruntime-web has the operator, where later ones changed its types alone. */
  readonly answeredAs?: number
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, extent) => product * extent, 1)

/** Numbers from `low` to `high` by a rule, with three digits behind the point. */
export function numbers(count: number, low = -1, high = 1, seed = 1): number[] {
  let state = seed
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.fround(Math.round((low + (state / 2 ** 32) * (high - low)) * 1000) / 1000)
  })
}

const floats = (shape: readonly number[], low = -1, high = 1, seed = 1): CaseTensor => ({
  ...{ dtype: 'float32', shape, values: numbers(sizeOf(shape), low, high, seed) },
})
const exactly = (shape: readonly number[], values: readonly number[], dtype: CaseType = 'float32'): CaseTensor => ({
  ...{ dtype, shape, values },
})
/** Whole numbers from `low` to before `high`. */
const whole = (dtype: CaseType, shape: readonly number[], low: number, high: number, seed = 1): CaseTensor => ({
  ...{ dtype, shape, values: numbers(sizeOf(shape), low, high - 0.001, seed).map(Math.floor) },
})
/** A list of int64, as axes, sizes and pads are. */
const ints = (...values: number[]): CaseTensor => ({ dtype: 'int64', shape: [values.length], values })
const list = (...values: number[]): CaseTensor => ({ dtype: 'float32', shape: [values.length], values })

const all: OpsetCase[] = []

interface More {
  readonly attributes?: Attributes
  readonly outputs?: readonly CaseType[]
  readonly defined?: OpsetCase['defined']
  readonly answeredAs?: number
}

/** Adds a case; `what` tells it from others of the operator. */
function add(operator: string, opset: number, what: string, inputs: OpsetCase['inputs'], more: More = {}): void {
  const { attributes = {}, outputs = ['float32'], defined, answeredAs } = more
  const name = `${operator} ${opset}${what === '' ? '' : `: ${what}`}`
  all.push({
    name,
    opset,
    operator,
    inputs,
    attributes,
    outputs,
    ...(defined && { defined }),
    ...(answeredAs && { answeredAs }),
  })
}

const map = floats([1, 2, 5, 7])

// Resize: antialias, axes and keep_aspect_ratio_policy since 18, half_pixel_symmetric since 19.
for (const opset of [18, 19]) {
  const resize = (what: string, given: readonly (CaseTensor | undefined)[], attributes: Attributes): void =>
    add('Resize', opset, what, [map, undefined, ...given], { attributes })
  resize('antialias, linear, by scales', [list(1, 1, 0.6, 0.5)], { mode: 'linear', antialias: 1n })
  resize('antialias, linear, by sizes', [undefined, ints(1, 2, 3, 4)], { mode: 'linear', antialias: 1n })
  resize('antialias, cubic', [list(1, 1, 0.6, 0.6)], { mode: 'cubic', antialias: 1n })
  resize('antialias, cubic, without what is outside', [list(1, 1, 0.6, 0.6)], {
    ...{ mode: 'cubic', antialias: 1n, exclude_outside: 1n },
  })
  resize('antialias of an enlarged map', [list(1, 1, 1.8, 2)], { mode: 'linear', antialias: 1n })
  resize('axes, by scales', [list(2, 0.6)], { mode: 'nearest', axes: [3n, 2n] })
  resize('axes, by sizes', [undefined, ints(9)], { mode: 'linear', axes: [2n] })
  resize('axes from the end', [undefined, ints(3, 4)], { mode: 'cubic', axes: [-2n, -1n] })
  for (const policy of ['not_larger', 'not_smaller']) {
    resize(`proportions, ${policy}`, [undefined, ints(8, 9)], {
      ...{ mode: 'nearest', axes: [2n, 3n], keep_aspect_ratio_policy: policy },
    })
    resize(`proportions, ${policy}, linear`, [undefined, ints(3, 6)], {
      ...{ mode: 'linear', axes: [2n, 3n], keep_aspect_ratio_policy: policy },
    })
  }
}
for (const mode of ['nearest', 'linear', 'cubic']) {
  add('Resize', 19, `half_pixel_symmetric, ${mode}`, [map, undefined, list(1, 1, 0.7, 1.7)], {
    attributes: { mode, coordinate_transformation_mode: 'half_pixel_symmetric' },
  })
}

// Pad: axes since 18, wrap since 19.
for (const mode of ['constant', 'edge', 'reflect']) {
  add('Pad', 18, `axes, ${mode}`, [map, ints(1, 2, 3, 0), mode === 'constant' ? list(2.5) : undefined, ints(2, 3)], {
    attributes: { mode },
  })
}
add('Pad', 18, 'axes from the end', [map, ints(1, 2), undefined, ints(-2)])
add('Pad', 18, 'cut', [map, ints(-1, 2), undefined, ints(3)])
add('Pad', 18, 'whole numbers', [whole('int64', [2, 3], -9, 9), ints(1, 1), ints(7), ints(0)], { outputs: ['int64'] })
add('Pad', 19, 'wrap', [map, ints(0, 0, 2, 3, 0, 0, 1, 4)], { attributes: { mode: 'wrap' } })
add('Pad', 19, 'wrap, axes', [map, ints(3, 2), undefined, ints(3)], { attributes: { mode: 'wrap' } })
add('Pad', 21, 'wrap', [floats([2, 3]), ints(1, 2, 0, 1)], { attributes: { mode: 'wrap' } })

// Split: num_outputs since 18, whose last part may be smaller.
add('Split', 18, 'num_outputs', [floats([2, 6])], {
  ...{ attributes: { axis: 1n, num_outputs: 3n }, outputs: ['float32', 'float32', 'float32'] },
})
add('Split', 18, 'num_outputs, a smaller last part', [floats([7, 2])], {
  ...{ attributes: { num_outputs: 3n }, outputs: ['float32', 'float32', 'float32'] },
})
add('Split', 18, 'sizes', [floats([2, 7]), ints(2, 0, 5)], {
  ...{ attributes: { axis: -1n }, outputs: ['float32', 'float32', 'float32'] },
})

// Reductions: axes are an input since 18.
const reductions = ['Max', 'Mean', 'Min', 'Prod', 'L1', 'L2', 'LogSum', 'LogSumExp', 'SumSquare', 'Sum']
for (const each of reductions) {
  const operator = `Reduce${each}`
  const x = floats([3, 2, 4], each === 'LogSum' ? 0.1 : -1, 1)
  add(operator, 18, 'an axis', [x, ints(1)], { attributes: { keepdims: 0n } })
  add(operator, 18, 'axes from the end', [x, ints(-1, 0)])
  add(operator, 18, 'all', [x])
  add(operator, 18, 'no axes', [x, ints()], { attributes: { keepdims: 0n } })
}
for (const each of ['Max', 'Mean', 'Min', 'Prod', 'Sum']) {
  add(`Reduce${each}`, 18, 'none at all', [floats([2, 3])], { attributes: { noop_with_empty_axes: 1n } })
}
for (const each of ['Max', 'Min', 'Prod', 'Sum', 'SumSquare', 'L1']) {
  add(`Reduce${each}`, 18, 'whole numbers', [whole('int32', [3, 4], -4, 5), ints(1)], { outputs: ['int32'] })
}
for (const each of ['Max', 'Min']) {
  for (const opset of [18, 20]) {
    add(`Reduce${each}`, opset, 'bytes', [whole('int8', [3, 4], -128, 128), ints(0)], { outputs: ['int8'] })
  }
  add(`Reduce${each}`, 20, 'truths', [exactly([2, 3], [0, 1, 0, 0, 0, 1], 'bool'), ints(0)], {
    ...{ attributes: { keepdims: 0n }, outputs: ['bool'] },
  })
}

// Scattering: max and min since 18.
for (const reduction of ['none', 'add', 'mul', 'max', 'min']) {
  const places = reduction === 'none' ? [1, 0, 3, 2, 2, 1] : [1, 1, 3, 0, 2, 2]
  add('ScatterElements', 18, reduction, [floats([4, 3]), exactly([2, 3], places, 'int64'), floats([2, 3], -2, 2, 5)], {
    attributes: { axis: 0n, reduction },
  })
  const rows = reduction === 'none' ? [3, 0] : [1, 1]
  add('ScatterND', 18, reduction, [floats([4, 3]), exactly([2, 1], rows, 'int64'), floats([2, 3], -2, 2, 5)], {
    attributes: { reduction },
  })
}
add('ScatterElements', 18, 'max, negative places', [floats([2, 5]), exactly([2, 2], [-1, 0, -2, 4], 'int64'), floats([2, 2])], {
  attributes: { axis: 1n, reduction: 'max' },
}) // prettier-ignore
add('ScatterND', 18, 'min, points', [floats([3, 3]), exactly([3, 2], [0, 0, 2, 1, 0, 0], 'int64'), floats([3], -2, 0)], {
  attributes: { reduction: 'min' },
}) // prettier-ignore

// Means of windows: dilations since 19.
for (const opset of [19, 22]) {
  const pool = (what: string, x: CaseTensor, attributes: Attributes): void =>
    add('AveragePool', opset, what, [x], { attributes })
  pool('dilated', map, { kernel_shape: [2n, 3n], dilations: [2n, 2n] })
  for (const counted of [0n, 1n]) {
    pool(`dilated, padded, count_include_pad ${counted}`, map, {
      ...{ kernel_shape: [3n, 3n], dilations: [2n, 3n], pads: [1n, 1n, 1n, 2n], count_include_pad: counted },
    })
    pool(`dilated, ceil_mode, count_include_pad ${counted}`, map, {
      ...{ kernel_shape: [2n, 2n], dilations: [2n, 2n], strides: [2n, 3n], ceil_mode: 1n, count_include_pad: counted },
    })
    pool(`ceil_mode, count_include_pad ${counted}`, map, {
      ...{
        kernel_shape: [3n, 3n],
        strides: [2n, 2n],
        pads: [1n, 0n, 0n, 1n],
        ceil_mode: 1n,
        count_include_pad: counted,
      },
    })
  }
  pool('one direction', floats([2, 3, 9]), { kernel_shape: [3n], dilations: [3n], strides: [2n] })
  pool('three directions', floats([1, 2, 4, 5, 4]), { kernel_shape: [2n, 2n, 2n], dilations: [2n, 1n, 3n] })
  pool('SAME_UPPER', map, { kernel_shape: [3n, 2n], dilations: [1n, 1n], strides: [2n, 2n], auto_pad: 'SAME_UPPER' })
}

// Norms of windows: dilations and ceil_mode since 18.
for (const opset of [18, 22]) {
  const pool = (what: string, attributes: Attributes): void => add('LpPool', opset, what, [map], { attributes })
  pool('dilated', { kernel_shape: [2n, 2n], dilations: [2n, 3n], p: 2n })
  pool('ceil_mode', { kernel_shape: [2n, 2n], strides: [2n, 2n], ceil_mode: 1n, p: 1n })
  pool('padded', { kernel_shape: [3n, 2n], strides: [2n, 1n], pads: [1n, 1n, 1n, 0n], p: 3n })
}

// Values between pixels: names of modes, and maps of three directions, since 20.
const points = floats([1, 3, 4, 2], -1.3, 1.3, 7)
for (const mode of ['linear', 'nearest', 'cubic']) {
  for (const padding of ['zeros', 'border', 'reflection']) {
    for (const align of [0n, 1n]) {
      add('GridSample', 20, `${mode}, ${padding}, align_corners ${align}`, [map, points], {
        attributes: { mode, padding_mode: padding, align_corners: align },
      })
    }
  }
}
for (const mode of ['linear', 'nearest']) {
  for (const padding of ['zeros', 'border', 'reflection']) {
    add(
      'GridSample',
      20,
      `three directions, ${mode}, ${padding}`,
      [floats([1, 2, 3, 4, 3]), floats([1, 2, 3, 2, 3], -1.3, 1.3, 7)],
      { attributes: { mode, padding_mode: padding } },
    )
  }
}

// Normalization by groups: a factor for each group at 18, for each channel since 21.
const grouped = floats([2, 6, 3, 2])
/** Groups normalized by their own mean and variance, times and plus what `of` gives for a channel. */
const normalized = (groups: number, scale: CaseTensor, bias: CaseTensor, of: (channel: number) => number) => () => {
  const [N, C, ...rest] = grouped.shape as [number, number, ...number[]]
  const pixels = sizeOf(rest)
  const n = (C / groups) * pixels
  const values = grouped.values.map((value, i) => {
    const first = Math.floor(i / n) * n
    const own = grouped.values.slice(first, first + n)
    const mean = own.reduce((sum, x) => sum + x, 0) / n
    const variance = own.reduce((sum, x) => sum + (x - mean) ** 2, 0) / n
    const at = of(Math.floor(i / pixels) % C)
    return ((value - mean) / Math.sqrt(variance + 1e-5)) * (scale.values[at] as number) + (bias.values[at] as number)
  })
  return [{ dtype: 'float32' as const, shape: [N, C, ...rest], values }]
}
{
  const [scale, bias] = [floats([3], 0.5, 2, 3), floats([3], -1, 1, 4)]
  add('GroupNormalization', 18, 'a factor for each group', [grouped, scale, bias], {
    attributes: { num_groups: 3n },
    defined: {
      because: 'onnxruntime-web takes a factor for each channel at every opset',
      compute: normalized(3, scale, bias, (channel) => Math.floor(channel / 2)),
    },
  })
}
for (const opset of [21, 22]) {
  add('GroupNormalization', opset, 'a factor for each channel', [grouped, floats([6], 0.5, 2, 3), floats([6], -1, 1, 4)], {
    attributes: { num_groups: 3n },
  }) // prettier-ignore
}

// Functions of one number: new ones, and those that 22 lists again for more types.
const curve = exactly([2, 5], [-3, -1, -0.5, -0.25, 0, 0.25, 0.5, 1, 2.5, 6])
const within = exactly([2, 3], [-0.9, -0.5, -0.125, 0.25, 0.5, 0.95])
add('Gelu', 20, '', [curve])
add('Gelu', 20, 'tanh', [curve], { attributes: { approximate: 'tanh' } })
add('Mish', 18, '', [curve])
for (const operator of [
  'Mish',
  'Elu',
  'Selu',
  'Softplus',
  'Softsign',
  'HardSwish',
  'HardSigmoid',
  'Sin',
  'Cos',
  'Tan',
]) {
  add(operator, 22, '', [curve])
}
for (const operator of ['Sinh', 'Cosh', 'Asinh', 'Atan', 'Round', 'ThresholdedRelu', 'GlobalAveragePool']) {
  add(operator, 22, '', [operator.startsWith('Global') ? map : curve])
}
for (const operator of ['Asin', 'Acos', 'Atanh']) add(operator, 22, '', [within])
add('Acosh', 22, '', [exactly([3], [1, 1.5, 20])])
add('Elu', 22, 'alpha', [curve], { attributes: { alpha: 0.5 } })
add('HardSigmoid', 22, 'alpha and beta', [curve], { attributes: { alpha: 0.5, beta: 0.25 } })
add('ThresholdedRelu', 22, 'alpha', [curve], { attributes: { alpha: 2 } })
const special = exactly([6], [-Infinity, -1, NaN, 0, Infinity, 3])
add('IsNaN', 20, '', [special], { outputs: ['bool'] })
add('IsInf', 20, '', [special], { outputs: ['bool'] })
add('IsInf', 20, 'negative', [special], { attributes: { detect_positive: 0n }, outputs: ['bool'] })
add('IsInf', 20, 'positive', [special], { attributes: { detect_negative: 0n }, outputs: ['bool'] })

// Convolution, pools and normalization of 22.
const square = floats([1, 2, 6, 6])
add('Conv', 22, '', [square, floats([4, 1, 3, 3], -1, 1, 2), floats([4], -1, 1, 3)], {
  attributes: { group: 2n, strides: [2n, 1n], pads: [1n, 0n, 1n, 2n], dilations: [1n, 2n] },
})
add('Conv', 22, 'SAME_LOWER', [square, floats([3, 2, 2, 2], -1, 1, 2)], { attributes: { auto_pad: 'SAME_LOWER' } })
add('ConvTranspose', 22, '', [floats([1, 2, 3, 4]), floats([2, 3, 3, 2], -1, 1, 2)], {
  attributes: { strides: [2n, 2n], output_padding: [1n, 0n], pads: [1n, 0n, 0n, 1n] },
})
add('MaxPool', 22, 'dilated, ceil_mode', [map], {
  attributes: { kernel_shape: [2n, 2n], dilations: [2n, 2n], strides: [2n, 3n], ceil_mode: 1n },
})
add('MaxPool', 22, 'with places', [map], {
  attributes: { kernel_shape: [2n, 3n], strides: [2n, 2n] },
  outputs: ['float32', 'int64'],
})
add('MaxPool', 22, 'bytes', [whole('uint8', [1, 1, 4, 4], 0, 256)], {
  ...{ attributes: { kernel_shape: [2n, 2n] }, outputs: ['uint8'] },
})
add('GlobalMaxPool', 22, '', [map])
add('GlobalLpPool', 22, '', [map], { attributes: { p: 2n }, answeredAs: 21 })
add('MaxUnpool', 22, '', [floats([1, 1, 2, 2]), exactly([1, 1, 2, 2], [5, 7, 13, 15], 'int64')], {
  attributes: { kernel_shape: [2n, 2n], strides: [2n, 2n] },
})
add('InstanceNormalization', 22, '', [map, floats([2], 0.5, 2, 3), floats([2], -1, 1, 4)])
add('LpNormalization', 22, '', [floats([3, 4])], { attributes: { axis: 0n, p: 2n } })
add('Dropout', 22, '', [map])
add('Dropout', 22, 'with a mask', [floats([2, 3])], { outputs: ['float32', 'bool'] })
add('Det', 22, '', [floats([2, 3, 3])], { answeredAs: 21 })
add('EyeLike', 22, '', [floats([3, 4])], { attributes: { k: 1n } })
add('EyeLike', 22, 'whole numbers', [floats([3, 3])], { attributes: { dtype: 7n }, outputs: ['int64'] })
// Of maxima onnxruntime says itself that those of more than one point are wrong.
for (const mode of ['avg', 'max']) {
  add('RoiAlign', 22, mode, [map, exactly([2, 4], [0, 0, 4, 3, 1, 1, 6, 4]), exactly([2], [0, 0], 'int64')], {
    attributes: { mode, output_height: 2n, output_width: 3n, sampling_ratio: mode === 'max' ? 1n : 2n },
    answeredAs: 21,
  })
}

// Recurrent layers of 22.
{
  const x = floats([3, 2, 4])
  const layer = (gates: number): CaseTensor[] => [
    floats([1, gates * 3, 4], -1, 1, 2),
    floats([1, gates * 3, 3], -1, 1, 3),
    floats([1, 2 * gates * 3], -1, 1, 4),
  ]
  const attributes = { hidden_size: 3n }
  add('RNN', 22, '', [x, ...layer(1)], { attributes, outputs: ['float32', 'float32'] })
  add('GRU', 22, '', [x, ...layer(3)], { attributes, outputs: ['float32', 'float32'] })
  add('GRU', 22, 'linear_before_reset', [x, ...layer(3)], {
    ...{ attributes: { ...attributes, linear_before_reset: 1n }, outputs: ['float32', 'float32'] },
  })
  add('LSTM', 22, '', [x, ...layer(4)], { attributes, outputs: ['float32', 'float32', 'float32'] })
}

// What 19 and 21 list again for more types.
const pairs: readonly (readonly [opset: number, operators: readonly string[]])[] = [[19, ['Equal']]]
for (const [opset, operators] of pairs) {
  for (const operator of operators) {
    add(operator, opset, '', [exactly([4], [1, 2, NaN, 4]), exactly([4], [1, 3, NaN, 4])], { outputs: ['bool'] })
    add(operator, opset, 'truths', [exactly([3], [1, 0, 1], 'bool'), exactly([1], [1], 'bool')], { outputs: ['bool'] })
  }
}
for (const opset of [19, 21]) {
  add('Cast', opset, 'to whole numbers', [exactly([5], [-1.5, 0.5, 1.5, 2.999, 100])], {
    ...{ attributes: { to: 7n }, outputs: ['int64'] },
  })
  add('Cast', opset, 'to truths', [exactly([3], [-1.5, 0, 0.25])], {
    ...{ attributes: { to: 9n }, outputs: ['bool'] },
  })
  add('CastLike', opset, '', [exactly([3], [-1.5, 0, 7.25]), exactly([1], [0], 'int32')], { outputs: ['int32'] })
  add('Identity', opset, '', [floats([2, 3])])
  add('Reshape', opset, '', [floats([2, 3, 4]), ints(0, -1)])
  add('Reshape', opset, 'allowzero', [floats([0, 3]), ints(3, 0)], { attributes: { allowzero: 1n } })
  add('Shape', opset, 'a part', [floats([2, 3, 4])], { attributes: { start: -2n, end: 3n }, outputs: ['int64'] })
  add('Size', opset, '', [floats([2, 3, 4])], { outputs: ['int64'] })
}
for (const opset of [20, 21]) {
  add('ConstantOfShape', opset, '', [ints(2, 3)])
}
add('Flatten', 21, '', [floats([2, 3, 4])], { attributes: { axis: -1n } })
add('Transpose', 21, '', [floats([2, 3, 4])], { attributes: { perm: [2n, 0n, 1n] } })
add('Squeeze', 21, '', [floats([1, 3, 1]), ints(-1)])
add('Unsqueeze', 21, '', [floats([3]), ints(0, -1)])

/** The cases. */
export const opsetCases: readonly OpsetCase[] = all

/** Names of the inputs that a case has. */
export const inputNames = ({ inputs }: Pick<OpsetCase, 'inputs'>): readonly string[] =>
  inputs.map((input, i) => (input === undefined ? '' : `x${i}`))

const codes = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7, bool: 9 } as const
const arrays = { float32: Float32Array, uint8: Uint8Array, int8: Int8Array, int32: Int32Array, bool: Uint8Array }

/** A tensor as the file of a model has it. */
function stored(name: string, { dtype, shape, values }: CaseTensor) {
  const typed = dtype === 'int64' ? BigInt64Array.from(values, BigInt) : arrays[dtype].from(values as number[])
  return { name, dims: [...shape], elementType: codes[dtype], rawData: new Uint8Array(typed.buffer) }
}

/** The bytes of a case's model, of its opset or another. All that the node reads are inputs, or all but the first constants. */
export function modelOf(
  given: Omit<OpsetCase, 'name' | 'defined' | 'answeredAs'>,
  opset = given.opset,
  areConstants = false,
): Uint8Array {
  const { operator, domain = '', inputs, outputs, attributes } = given
  const names = inputNames(given)
  const isConstant = (i: number): boolean => areConstants && i > 0
  const values = inputs.flatMap((input, i) =>
    input && !isConstant(i) ? [value(names[i] as string, [...input.shape], input.dtype as ElementName)] : [],
  )
  const initializers = inputs.flatMap((input, i) => (input && isConstant(i) ? [stored(names[i] as string, input)] : []))
  const results = outputs.map((dtype, i) => value(`y${i}`, undefined, dtype))
  const made = node(
    operator,
    names,
    outputs.map((_, i) => `y${i}`),
    attributes,
    { domain },
  )
  const sets = [{ domain: '', version: opset }, ...(domain === '' ? [] : [{ domain, version: 1 }])]
  // 22 needs version 10 of the format.
  return onnx({ inputs: values, outputs: results, initializers, nodes: [made] }, opset, {
    irVersion: opset >= 21 ? 10 : 9,
    opsetImport: sets,
  })
}
