/** Cases of convolutions and matrix products of bytes. */
import type { CaseTensor } from './opsetCases.js'
import {
  addTo,
  at,
  bytes,
  made,
  scale,
  sizeOf,
  toByte,
  zero,
  type Attributes,
  type ByteType,
  type QuantizedCase,
} from './quantizedParts.js'

/** The cases. */
export const filterCases: QuantizedCase[] = []
const add = addTo(filterCases)

/** A convolution of two directions in double precision: Σ (w − wZero) · (x − xZero), as ONNX orders operands. */
interface Windows {
  readonly groups?: number
  readonly stride?: readonly [number, number]
  readonly dilation?: readonly [number, number]
  readonly pads?: readonly [number, number, number, number]
}
function convolved(x: CaseTensor, w: CaseTensor, xZero: number, wZeros: readonly number[], given: Windows = {}) {
  const { groups = 1, stride = [1, 1], dilation = [1, 1], pads = [0, 0, 0, 0] } = given
  const [N, C, H, W] = x.shape as [number, number, number, number]
  const [K, c, R, S] = w.shape as [number, number, number, number]
  const P = Math.floor((H + pads[0] + pads[2] - dilation[0] * (R - 1) - 1) / stride[0]) + 1
  const Q = Math.floor((W + pads[1] + pads[3] - dilation[1] * (S - 1) - 1) / stride[1]) + 1
  const sums: number[] = []
  for (let n = 0; n < N; n++)
    for (let k = 0; k < K; k++)
      for (let p = 0; p < P; p++)
        for (let q = 0; q < Q; q++) {
          let sum = 0
          for (let i = 0; i < c * R * S; i++) {
            const [channel, r, s] = [Math.floor(i / (R * S)), Math.floor(i / S) % R, i % S]
            const [h, v] = [p * stride[0] + r * dilation[0] - pads[0], q * stride[1] + s * dilation[1] - pads[1]]
            if (h < 0 || v < 0 || h >= H || v >= W) continue
            const map = n * C + Math.floor(k / (K / groups)) * c + channel
            sum += (x.values[(map * H + h) * W + v]! - xZero) * (w.values[k * c * R * S + i]! - at(wZeros, k))
          }
          sums.push(sum)
        }
  return { sums, shape: [N, K, P, Q], filterOf: (i: number): number => Math.floor(i / (P * Q)) % K }
}

const attributesOf = ({ groups, stride, dilation, pads }: Windows): Attributes => {
  const whole = (values: readonly number[]): bigint[] => values.map(BigInt)
  return {
    ...(groups && { group: BigInt(groups) }),
    ...(stride && { strides: whole(stride) }),
    ...(dilation && { dilations: whole(dilation) }),
    ...(pads && { pads: whole(pads) }),
  }
}

// Convolutions.
{
  interface Conv {
    readonly x?: ByteType
    readonly w?: ByteType
    readonly y?: ByteType
    readonly shapes?: readonly [x: readonly number[], w: readonly number[]]
    readonly wScales?: readonly number[]
    readonly wZeros?: readonly number[]
    readonly bias?: readonly number[]
    readonly windows?: Windows
    readonly attributes?: Attributes
  }
  const conv = (what: string, given: Conv): void => {
    const { x: xType = 'uint8', w: wType = 'int8', y: yType = 'uint8', wScales = [0.0173], wZeros = [0] } = given
    const {
      shapes = [
        [2, 3, 5, 6],
        [4, 3, 3, 3],
      ],
      windows = {},
      bias,
    } = given
    const [x, w] = [bytes(xType, shapes[0]), bytes(wType, shapes[1], 2)]
    const [xZero, yZero] = [xType === 'uint8' ? 131 : -9, yType === 'uint8' ? 100 : 7]
    const [xScale, yScale] = [0.0231, 0.411]
    // One direction is two with one row.
    const planar = (tensor: CaseTensor): CaseTensor =>
      tensor.shape.length === 4 ? tensor : { ...tensor, shape: [...tensor.shape.slice(0, 2), 1, tensor.shape[2]!] }
    const { sums, shape, filterOf } = convolved(planar(x), planar(w), xZero, wZeros, windows)
    const values = sums.map((sum, i) => {
      const k = filterOf(i)
      const real = (sum + (bias?.[k] ?? 0)) * Math.fround(xScale) * Math.fround(at(wScales, k))
      return toByte(real / Math.fround(yScale) + yZero, yType)
    })
    const inputs = [
      ...[x, scale(xScale), zero(xType, xZero), w, scale(...wScales), zero(wType, ...wZeros)],
      ...[scale(yScale), zero(yType, yZero), bias && made('int32', [bias.length], bias)],
    ]
    const due = made(yType, x.shape.length === 4 ? shape : [shape[0]!, shape[1]!, shape[3]!], values)
    add('QLinearConv', what, inputs, [due], { attributes: given.attributes ?? attributesOf(windows) })
  }
  const bias = [300, -2000, 12_345, 0]
  conv('3 × 3', {})
  conv('with a bias', { bias })
  conv('with pads', { bias, windows: { pads: [1, 2, 0, 1] } })
  conv('with strides and dilations', { windows: { stride: [2, 1], dilation: [1, 2], pads: [1, 1, 1, 1] } })
  conv('of int8 to int8', { x: 'int8', y: 'int8', bias })
  conv('with a scale for each filter', { wScales: [0.01, 0.02, 0.003, 0.0173], wZeros: [0, 0, 0, 0], bias })
  conv('with weights of uint8 and zero points of filters', {
    ...{ w: 'uint8', wScales: [0.01, 0.02, 0.003, 0.0173], wZeros: [128, 3, 255, 0], bias },
    windows: { pads: [1, 1, 1, 1] },
  })
  conv('of one zero point that is not 0', { wZeros: [-3], windows: { pads: [1, 1, 1, 1] } })
  conv('1 × 1', {
    shapes: [
      [1, 3, 5, 6],
      [4, 3, 1, 1],
    ],
    bias,
  })
  conv('1 × 1 with pads', {
    shapes: [
      [1, 3, 5, 6],
      [4, 3, 1, 1],
    ],
    bias,
    windows: { pads: [0, 1, 2, 0] },
  })
  conv('of groups', {
    shapes: [
      [1, 4, 5, 6],
      [4, 2, 3, 3],
    ],
    windows: { groups: 2 },
  })
  conv('of each channel', {
    shapes: [
      [2, 4, 5, 6],
      [4, 1, 3, 3],
    ],
    windows: { groups: 4, pads: [1, 1, 1, 1] },
  })
  conv('of one pixel', {
    shapes: [
      [3, 9, 1, 1],
      [4, 9, 1, 1],
    ],
    bias,
  })
  conv('of one direction', {
    ...{
      shapes: [
        [2, 3, 11],
        [4, 3, 4],
      ],
      bias,
      windows: { stride: [1, 2], dilation: [1, 1], pads: [0, 2, 0, 1] },
    },
    attributes: { strides: [2n], pads: [2n, 1n] },
  })
  conv('with auto_pad SAME_UPPER', {
    ...{ windows: { stride: [2, 2], pads: [1, 0, 1, 1] } },
    attributes: { auto_pad: 'SAME_UPPER', strides: [2n, 2n], kernel_shape: [3n, 3n] },
  })
  conv('with auto_pad VALID', { attributes: { auto_pad: 'VALID' } })

  for (const [x, w] of [
    ['uint8', 'uint8'],
    ['uint8', 'int8'],
    ['int8', 'int8'],
  ] as const) {
    const operands = [bytes(x, [1, 2, 4, 5]), bytes(w, [3, 2, 2, 2], 3)] as const
    for (const [zeros, wZeros] of [
      [[], [0]],
      [[zero(x, 17)], [0]],
      [[zero(x, 17), zero(w, 9)], [9]],
    ] as const) {
      const windows: Windows = { pads: [1, 0, 0, 1] }
      const { sums, shape } = convolved(...operands, zeros.length > 0 ? 17 : 0, wZeros, windows)
      add(
        'ConvInteger',
        `of ${x} and ${w} with ${zeros.length} zero points`,
        [...operands, ...zeros],
        [made('int32', shape, sums)],
        { attributes: attributesOf(windows) },
      )
    }
  }
}

// Matrix products.
{
  const product = (a: CaseTensor, b: CaseTensor, aZeros: readonly number[], bZeros: readonly number[]): number[] => {
    const [M, K] = a.shape.slice(-2) as [number, number]
    const N = b.shape.at(-1) as number
    const sums: number[] = []
    for (let i = 0; i < sizeOf(a.shape.slice(0, -1)); i++)
      for (let n = 0; n < N; n++) {
        const first = b.shape.length === 2 ? 0 : Math.floor(i / M) * K * N
        let sum = 0
        for (let k = 0; k < K; k++)
          sum += (a.values[i * K + k]! - at(aZeros, i % M)) * (b.values[first + k * N + n]! - at(bZeros, n))
        sums.push(sum)
      }
    return sums
  }
  for (const dtype of ['uint8', 'int8'] as const) {
    for (const [what, aShape, bShape] of [
      ['matrices', [3, 7], [7, 4]],
      ['many by one', [2, 3, 7], [7, 4]],
      ['many by many', [2, 3, 7], [2, 7, 4]],
    ] as const) {
      const [a, b] = [bytes(dtype, aShape), bytes(dtype, bShape, 2)]
      const shape = [...aShape.slice(0, -1), 4]
      add(
        'MatMulInteger',
        `${dtype} ${what}`,
        [a, b, zero(dtype, 12), zero(dtype, 5)],
        [made('int32', shape, product(a, b, [12], [5]))],
      )
      const values = product(a, b, [12], [5]).map((sum) => {
        const real = (sum * Math.fround(0.0231) * Math.fround(0.0173)) / Math.fround(0.411)
        return toByte(real + 100, dtype)
      })
      const inputs = [
        a,
        scale(0.0231),
        zero(dtype, 12),
        b,
        scale(0.0173),
        zero(dtype, 5),
        scale(0.411),
        zero(dtype, 100),
      ]
      add('QLinearMatMul', `${dtype} ${what}`, inputs, [made(dtype, shape, values)])
    }
  }
  const [a, b] = [bytes('uint8', [3, 7]), bytes('int8', [7, 2], 2)]
  add(
    'MatMulInteger',
    'with zero points of rows and of columns',
    [a, b, zero('uint8', 1, 2, 200), zero('int8', -7, 7)],
    [made('int32', [3, 2], product(a, b, [1, 2, 200], [-7, 7]))],
  )
  add('MatMulInteger', 'without zero points', [a, b], [made('int32', [3, 2], product(a, b, [0], [0]))])
  const columns = product(a, b, [3], [-7, 7]).map((sum, i) => {
    const real = (sum * Math.fround(0.0231) * Math.fround([0.0173, 0.04][i % 2]!)) / Math.fround(0.411)
    return toByte(real + 100, 'uint8')
  })
  add(
    'QLinearMatMul',
    'with scales of columns',
    [a, scale(0.0231), zero('uint8', 3), b, scale(0.0173, 0.04), zero('int8', -7, 7), scale(0.411), zero('uint8', 100)],
    [made('uint8', [3, 2], columns)],
  )
}
