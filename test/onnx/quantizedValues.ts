/** Cases of conversions, pools, sums and concatenations of bytes. */
import type { CaseTensor } from './opsetCases.js'
import {
  addTo,
  at,
  bytes,
  floats,
  made,
  scale,
  sizeOf,
  toByte,
  toEven,
  zero,
  type ByteType,
  type QuantizedCase,
} from './quantizedParts.js'

/** The cases. */
export const valueCases: QuantizedCase[] = []
const add = addTo(valueCases)

/** How a value is stored. */
interface Stored {
  readonly scales: readonly number[]
  readonly zeros: readonly number[]
}

// The way from float32, and back.
{
  const x = floats([2, 3, 4], -40, 40)
  const along = (axis: number, block = 0) => {
    const inner = sizeOf(x.shape.slice(axis + 1))
    const n = x.shape[axis] as number
    const blocks = block === 0 ? n : Math.ceil(n / block)
    return (i: number): number => {
      const place = Math.floor(i / inner) % n
      if (block === 0) return place
      return (Math.floor(i / (inner * n)) * blocks + Math.floor(place / block)) * inner + (i % inner)
    }
  }
  const all = () => 0
  const quantize = (from: CaseTensor, placeOf: (i: number) => number, { scales, zeros }: Stored, dtype: ByteType) =>
    made(
      dtype,
      from.shape,
      from.values.map((value, i) => {
        // Rounded before the zero point is added, so that halves go to the even one of these.
        const ratio = toEven(value / Math.fround(at(scales, placeOf(i))))
        return toByte(ratio + at(zeros, placeOf(i)), dtype)
      }),
    )
  const dequantize = (from: CaseTensor, placeOf: (i: number) => number, { scales, zeros }: Stored) =>
    made(
      'float32',
      from.shape,
      from.values.map((value, i) => (value - at(zeros, placeOf(i))) * Math.fround(at(scales, placeOf(i)))),
    )
  const halves = made('float32', [8], [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 1e9, -1e9])
  add(
    'QuantizeLinear',
    'uint8',
    [x, scale(0.3), zero('uint8', 117)],
    [quantize(x, all, { scales: [0.3], zeros: [117] }, 'uint8')],
  )
  add(
    'QuantizeLinear',
    'int8',
    [x, scale(0.3), zero('int8', -5)],
    [quantize(x, all, { scales: [0.3], zeros: [-5] }, 'int8')],
  )
  add(
    'QuantizeLinear',
    'halves, without a zero point',
    [halves, scale(1), undefined],
    [made('uint8', [8], [0, 0, 0, 0, 2, 2, 255, 0])],
  )
  add(
    'QuantizeLinear',
    'along an axis',
    [x, scale(0.3, 0.4, 0.7), zero('uint8', 1, 120, 200)],
    [quantize(x, along(1), { scales: [0.3, 0.4, 0.7], zeros: [1, 120, 200] }, 'uint8')],
    { attributes: { axis: 1n } },
  )
  const blocks = floats([2, 3, 2], 0.2, 0.9)
  add(
    'QuantizeLinear',
    'blocks, by output_dtype',
    [x, blocks, undefined],
    [quantize(x, along(2, 3), { scales: blocks.values, zeros: [0] }, 'int8')],
    { attributes: { axis: 2n, block_size: 3n, output_dtype: 3n }, opset: 21 },
  )
  const sums = made('int32', [2, 2], [100, -700, 33, 1000])
  add(
    'QuantizeLinear',
    'int32',
    [sums, scale(7), zero('uint8', 10)],
    [quantize(sums, all, { scales: [7], zeros: [10] }, 'uint8')],
    { opset: 13 },
  )
  for (const dtype of ['uint8', 'int8'] as const) {
    const q = bytes(dtype, [2, 3, 4])
    add(
      'DequantizeLinear',
      dtype,
      [q, scale(0.3), zero(dtype, 17)],
      [dequantize(q, all, { scales: [0.3], zeros: [17] })],
    )
    add(
      'DequantizeLinear',
      `${dtype} without a zero point`,
      [q, scale(0.3), undefined],
      [dequantize(q, all, { scales: [0.3], zeros: [0] })],
    )
    add(
      'DequantizeLinear',
      `${dtype} blocks`,
      [q, blocks, undefined],
      [dequantize(q, along(2, 3), { scales: blocks.values, zeros: [0] })],
      { attributes: { axis: 2n, block_size: 3n }, opset: 21 },
    )
  }
  add(
    'DequantizeLinear',
    'int32 along an axis',
    [sums, scale(0.5, 0.25), zero('int32', 3, -4)],
    [dequantize(sums, (i) => i % 2, { scales: [0.5, 0.25], zeros: [3, -4] })],
    { attributes: { axis: -1n } },
  )
}

// Ranges that are chosen by what there is.
{
  const dynamic = (what: string, values: number[], by: number, from: number): void => {
    const due = values.map((value) => toByte(value / by + from, 'uint8'))
    const outputs = [made('uint8', [values.length], due), made('float32', [], [by]), made('uint8', [], [from])]
    add('DynamicQuantizeLinear', what, [made('float32', [values.length], values)], outputs)
  }
  dynamic('around 0', [-127.5, 0, 127.5, 10, -3], 1, 128)
  dynamic('above 0', [255, 51, 102, 3], 1, 0)
  dynamic('below 0', [-255, -51, -102, -3], 1, 255)
  dynamic('zeros', [0, 0, 0], 1, 0)
  dynamic('numbers whose scale would be denormal', [1e-39, 0, -1e-39], 1, 0)
}

/** What lies in each window of each map, by its places: undefined outside. `outputs` windows there are. */
function windowsOf(
  x: CaseTensor,
  kernel: number,
  stride: number,
  lo: number,
  outputs: readonly [number, number],
): (number | undefined)[][] {
  const [N, C, H, W] = x.shape as [number, number, number, number]
  const found: (number | undefined)[][] = []
  for (let map = 0; map < N * C; map++)
    for (let p = 0; p < outputs[0]; p++)
      for (let q = 0; q < outputs[1]; q++)
        found.push(
          Array.from({ length: kernel * kernel }, (_, i) => {
            const [h, v] = [p * stride - lo + Math.floor(i / kernel), q * stride - lo + (i % kernel)]
            return h < 0 || v < 0 || h >= H || v >= W ? undefined : x.values[(map * H + h) * W + v]
          }),
        )
  return found
}
const whatIs = (values: readonly (number | undefined)[]): number[] =>
  values.filter((value): value is number => value !== undefined)

// Pools.
{
  const CONTRIBUTED = 'com.microsoft'
  for (const dtype of ['uint8', 'int8'] as const) {
    const x = bytes(dtype, [2, 3, 5, 6])
    // 5 and 6 pixels, windows of 2 at every 2nd: two rows and a partial third, three columns; with a zero before, three and three and a partial fourth.
    for (const [what, ceil, lo, outputs] of [
      ['', 0n, 0, [2, 3]],
      [' with ceil_mode', 1n, 0, [3, 3]],
      [' with ceil_mode and pads', 1n, 1, [3, 4]],
    ] as const) {
      const pads = [BigInt(lo), BigInt(lo), 0n, 0n]
      const attributes = { kernel_shape: [2n, 2n], strides: [2n, 2n], pads, ceil_mode: ceil }
      const windows = windowsOf(x, 2, 2, lo, outputs)
      const shape = [2, 3, ...outputs]
      add(
        'MaxPool',
        `${dtype}${what}`,
        [x],
        [
          made(
            dtype,
            shape,
            windows.map((w) => Math.max(...whatIs(w))),
          ),
        ],
        { attributes },
      )
      const [xZero, yZero] = dtype === 'uint8' ? [119, 90] : [-8, 3]
      const mean = (values: readonly (number | undefined)[], isWhole: boolean): number => {
        const there = whatIs(values)
        const sum = there.reduce((total, value) => total + value - xZero, 0)
        const real = (sum / (isWhole ? values.length : there.length)) * Math.fround(0.0231)
        return toByte(real / Math.fround(0.0177) + yZero, dtype)
      }
      const how = [scale(0.0231), zero(dtype, xZero), scale(0.0177), zero(dtype, yZero)]
      for (const isWhole of [false, true]) {
        if (isWhole && ceil === 1n) continue
        add(
          'QLinearAveragePool',
          `${dtype}${what}${isWhole ? ' counting pads' : ''}`,
          [x, ...how],
          [
            made(
              dtype,
              shape,
              windows.map((window) => mean(window, isWhole)),
            ),
          ],
          { attributes: { ...attributes, count_include_pad: BigInt(isWhole) }, domain: CONTRIBUTED },
        )
      }
    }
    const [xZero, yZero] = dtype === 'uint8' ? [119, 90] : [-8, 3]
    const maps = Array.from({ length: 6 }, (_, map) => {
      const sum = x.values.slice(map * 30, map * 30 + 30).reduce((total, value) => total + value - xZero, 0)
      return toByte(((sum / 30) * Math.fround(0.0231)) / Math.fround(0.0017) + yZero, dtype)
    })
    add(
      'QLinearGlobalAveragePool',
      dtype,
      [x, scale(0.0231), zero(dtype, xZero), scale(0.0017), zero(dtype, yZero)],
      [made(dtype, [2, 3, 1, 1], maps)],
      { domain: CONTRIBUTED },
    )

    // Sums and concatenations.
    const y = bytes(dtype, [2, 3, 5, 6], 9)
    const [aScale, bScale, to] = [0.0231, 0.0117, 0.0311].map(Math.fround) as [number, number, number]
    for (const zeros of [
      [0, 0, 0],
      [11, 3, 77],
    ] as const) {
      const isLeftOut = zeros[2] === 0
      const of = (index: 0 | 1 | 2): CaseTensor | undefined => (isLeftOut ? undefined : zero(dtype, zeros[index]))
      const values = x.values.map((value, i) => {
        const real = (value - zeros[0]) * aScale + (y.values[i]! - zeros[1]) * bScale
        return toByte(real / to + zeros[2], dtype)
      })
      const what = `${dtype}${isLeftOut ? ' without zero points' : ''}`
      add(
        'QLinearAdd',
        what,
        [x, scale(aScale), of(0), y, scale(bScale), of(1), scale(to), of(2)],
        [made(dtype, x.shape, values)],
        { domain: CONTRIBUTED },
      )
      const part = (tensor: CaseTensor, by: number, from: number, image: number): number[] =>
        tensor.values
          .slice(image * 90, image * 90 + 90)
          .map((value) => toByte(((value - from) * by) / to + zeros[2], dtype))
      const both = [0, 1].flatMap((n) => [...part(x, aScale, zeros[0], n), ...part(y, bScale, zeros[1], n)])
      add(
        'QLinearConcat',
        what,
        [scale(to), of(2), x, scale(aScale), of(0), y, scale(bScale), of(1)],
        [made(dtype, [2, 6, 5, 6], both)],
        { attributes: { axis: 1n }, domain: CONTRIBUTED },
      )
    }
  }
}
