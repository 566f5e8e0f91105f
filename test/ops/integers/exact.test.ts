/** What is computed in JavaScript alone, as ONNX defines it: sums of int32, and scales along an axis or of blocks. */
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { limitsOf } from '../../../src/ops/integers/bytes.js'
import {
  dequantizeAlong,
  integerConv,
  integerMatmul,
  quantizeAlong,
  requantize,
} from '../../../src/ops/integers/exact.js'
import { init } from '../../../src/runtime/embedded.js'
import { tensor } from '../../../src/tensor/create.js'
import { scope } from '../../../src/tensor/tensor.js'
import { badWindows, bytesOf, byteType, listOf } from './bytes.js'

beforeAll(() => init())

const extent = (most: number) => fc.integer({ min: 1, max: most })
const zeroOf = (type: 'uint8' | 'int8') => fc.integer({ min: limitsOf(type)[0], max: limitsOf(type)[1] })

describe('products of bytes', () => {
  it('are their definition, with a zero point for each column', () => {
    const products = fc.tuple(byteType, byteType, extent(5), extent(9), extent(6)).chain(([a, b, M, K, N]) =>
      fc.record({
        sizes: fc.constant([M, K, N] as const),
        types: fc.constant([a, b] as const),
        a: listOf(a, M * K),
        b: listOf(b, K * N),
        aZero: zeroOf(a),
        bZeros: fc.array(zeroOf(b), { minLength: N, maxLength: N }),
      }),
    )
    fc.assert(
      fc.property(products, ({ sizes: [M, K, N], types, a, b, aZero, bZeros }) => {
        scope(() => {
          const operands = { a: bytesOf(a, [M, K], types[0]), b: bytesOf(b, [K, N], types[1]) }
          const y = integerMatmul(operands, { aZeros: [aZero], bZeros })
          const expected = Array.from({ length: M * N }, (_, i) => {
            const [m, n] = [Math.floor(i / N), i % N]
            let sum = 0
            for (let k = 0; k < K; k++) sum += (a[m * K + k]! - aZero) * (b[k * N + n]! - bZeros[n]!)
            return sum
          })
          expect([y.shape, [...y.data()]]).toEqual([[M, N], expected])
        })
      }),
    )
  })
})

describe('products of many matrices of bytes', () => {
  it('are broadcast along the axes before', () => {
    const shapes = [
      [[2, 3, 1], [4], [2, 3, 4]],
      [[], [2, 3], [2, 3]],
      [[3], [2, 1], [2, 3]],
      [
        [1, 2],
        [3, 1],
        [3, 2],
      ],
      [[2], [], [2]],
    ] as const
    const [M, K, N] = [2, 3, 2]
    for (const [ofA, ofB, outer] of shapes.map(([a, b, y]) => [[...a], [...b], [...y]] as number[][])) {
      scope(() => {
        const size = (shape: readonly number[]): number => shape.reduce((product, extent) => product * extent, 1)
        const fill = (count: number, by: number): number[] => Array.from({ length: count }, (_, i) => (i * by) % 251)
        const [a, b] = [fill(size(ofA!) * M * K, 37), fill(size(ofB!) * K * N, 101)]
        const y = integerMatmul(
          { a: bytesOf(a, [...ofA!, M, K], 'uint8'), b: bytesOf(b, [...ofB!, K, N], 'uint8') },
          { aZeros: [3], bZeros: [5] },
        )
        // The place of a matrix, by the position of the result along each axis of its own.
        const placeIn = (own: readonly number[], at: readonly number[]): number =>
          own.reduce((place, extent, axis) => {
            const position = at[at.length - own.length + axis]!
            return place * extent + (extent === 1 ? 0 : position)
          }, 0)
        const expected: number[] = []
        for (let i = 0; i < size(outer!); i++) {
          const at = outer!.map((extent, axis) => Math.floor(i / size(outer!.slice(axis + 1))) % extent)
          const [ma, mb] = [placeIn(ofA!, at) * M * K, placeIn(ofB!, at) * K * N]
          for (let m = 0; m < M; m++)
            for (let n = 0; n < N; n++) {
              let sum = 0
              for (let k = 0; k < K; k++) sum += (a[ma + m * K + k]! - 3) * (b[mb + k * N + n]! - 5)
              expected.push(sum)
            }
        }
        expect([y.shape, [...y.data()]]).toEqual([[...outer!, M, N], expected])
      })
    }
  })

  it('are refused by their size before anything is made of it', () => {
    scope(() => {
      const thin = (shape: number[]) => bytesOf(new Array<number>(2 ** 16).fill(1), shape, 'uint8')
      const operands = { a: thin([2 ** 16, 1, 1, 1]), b: thin([2 ** 16, 1, 1]) }
      expect(() => integerMatmul(operands, { aZeros: [0], bZeros: [0] })).toThrow(
        'integerMatmul: the output (65536, 65536, 1, 1) needs more than the 4 GiB of WebAssembly memory',
      )
    })
  })
})

describe('convolutions of bytes to int32', () => {
  const pads = [
    [0, 0],
    [0, 0],
  ] as const
  const plain = { stride: [1, 1], dilation: [1, 1], padding: pads, groups: 1, xZero: 0, wZeros: [0] } as const
  const maps = () => ({
    x: bytesOf([7, 3, 5, 9], [1, 1, 2, 2], 'uint8'),
    w: bytesOf([1, 2], [2, 1, 1, 1], 'uint8'),
  })

  it('begin with a bias for each filter, and refuse one of another shape', () => {
    scope(() => {
      const bias = (values: number[], shape = [values.length]) => tensor(values, shape, { dtype: 'int32' })
      const y = integerConv({ ...maps(), bias: bias([100, -100]) }, plain)
      expect([...y.data()]).toEqual([107, 103, 105, 109, -86, -94, -90, -82])
      for (const [given, shape] of [
        [bias([1]), '(1)'],
        [bias([1, 2, 3]), '(3)'],
        [bias([1, 2], [1, 2]), '(1, 2)'],
      ] as const)
        expect(() => integerConv({ ...maps(), bias: given }, plain)).toThrow(
          `integerConv: bias must be (2), one for each filter, given ${shape}`,
        )
    })
  })

  it.each(badWindows)('refuse windows that are none: $what', ({ windows, message }) => {
    scope(() => {
      const w = bytesOf([1], [1, 1, 1, 1], 'uint8')
      expect(() => integerConv({ x: maps().x, w, bias: undefined }, { ...plain, ...windows })).toThrow(
        `integerConv: ${message}`,
      )
    })
  })

  it('are their definition, with zeros that add nothing around the input', () => {
    const given = fc
      .tuple(byteType, byteType, extent(3), extent(3), extent(6), extent(3), fc.nat(2))
      .chain(([x, w, C, K, n, r, padding]) =>
        fc.record({
          sizes: fc.constant([C, K, Math.max(n, r), r, padding] as const),
          types: fc.constant([x, w] as const),
          x: listOf(x, C * Math.max(n, r) ** 2),
          w: listOf(w, K * C * r * r),
          xZero: zeroOf(x),
          wZero: zeroOf(w),
        }),
      )
    fc.assert(
      fc.property(given, ({ sizes: [C, K, n, r, padding], types, x, w, xZero, wZero }) => {
        scope(() => {
          const operands = {
            x: bytesOf(x, [1, C, n, n], types[0]),
            w: bytesOf(w, [K, C, r, r], types[1]),
            bias: undefined,
          }
          const pads = [padding, padding] as [number, number]
          const windows = { stride: [1, 1], dilation: [1, 1], padding: [pads, pads] } as const
          const y = integerConv(operands, { ...windows, groups: 1, xZero, wZeros: [wZero] })
          const side = n + 2 * padding - r + 1
          const expected: number[] = []
          for (let k = 0; k < K; k++)
            for (let p = 0; p < side; p++)
              for (let q = 0; q < side; q++) {
                let sum = 0
                for (let t = 0; t < C * r * r; t++) {
                  const [c, i, j] = [Math.floor(t / (r * r)), Math.floor(t / r) % r, t % r]
                  const [h, v] = [p + i - padding, q + j - padding]
                  if (h < 0 || v < 0 || h >= n || v >= n) continue
                  sum += (x[(c * n + h) * n + v]! - xZero) * (w[k * C * r * r + t]! - wZero)
                }
                expected.push(sum)
              }
          expect([y.shape, [...y.data()]]).toEqual([[1, K, side, side], expected])
        })
      }),
    )
  })
})

describe('scales', () => {
  it('are of all, along an axis, or of blocks', () => {
    scope(() => {
      const x = bytesOf([10, 20, 30, 40, 50, 60], [2, 3], 'uint8')
      const all = { zeros: [10], block: 0 }
      const of = (scales: number[], shape: number[], axis: number, block = 0): number[] => [
        ...dequantizeAlong({ x }, { ...all, scales, shape, axis, block }).data(),
      ]
      expect(of([2], [], 0)).toEqual([0, 20, 40, 60, 80, 100])
      expect(of([1, 2], [2], 0)).toEqual([0, 10, 20, 60, 80, 100])
      expect(of([1, 2, 4], [3], 1)).toEqual([0, 20, 80, 30, 80, 200])
      expect(of([1, 2, 4, 8], [2, 2], 1, 2)).toEqual([0, 10, 40, 120, 160, 400])
      expect(() => of([1, 2], [2], 1)).toThrow('scales (2) must be one, or 3 along axis 1 of (2, 3)')
    })
  })

  it('round halves to the even number, and stay within the type', () => {
    scope(() => {
      const scales = { scales: [2], zeros: [1], shape: [], axis: 0, block: 0 }
      const q = quantizeAlong({ x: tensor([1, 3, 5, -1, 1e9, -1e9, NaN]) }, { ...scales, to: 'int8' })
      expect([...q.data()]).toEqual([1, 3, 3, 1, 127, -128, -128])
      const sums = tensor([5, 7, -300, 1000], [2, 2], { dtype: 'int32' })
      const y = requantize({ sums }, { factors: [0.5, 0.25], axis: 0, zero: 3, to: 'uint8' })
      expect([...y.data()]).toEqual([5, 7, 0, 253])
    })
  })
})
