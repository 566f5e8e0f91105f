/** Windows over maps of bytes: their record, which of them are left to the loops, and which of their taps meet the input. */
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { byteShape, isForKernels, tapsWithin, type ByteWindows } from '../../../src/ops/integers/windows.js'
import { init } from '../../../src/runtime/embedded.js'
import { scope } from '../../../src/tensor/tensor.js'
import { bytesOf } from './bytes.js'

beforeAll(() => init())

const plain: ByteWindows = {
  kernel: [3, 2],
  stride: [2, 1],
  dilation: [1, 3],
  padding: [
    [1, 0],
    [2, 1],
  ],
}
const limits = { xZero: -7, yZero: 9, type: 'uint8', low: 9, high: 255 } as const

/** The record over zeros (2, 6, 8, 9) of int8 with 4 filters in 2 groups. */
const shapeOf = (windows: Partial<ByteWindows> = {}, ceil = false) =>
  scope(() => {
    const x = bytesOf(new Array<number>(2 * 6 * 8 * 9).fill(0), [2, 6, 8, 9], 'int8')
    return byteShape('here', x, 4, 2, { ...plain, ...windows }, limits, ceil)
  })

describe('byteShape', () => {
  it('has what the kernels are told', () => {
    expect(shapeOf()).toEqual({
      ...{ N: 2, C: 6, K: 4, G: 2, H: 8, W: 9, R: 3, S: 2, P: 4, Q: 9 },
      ...{ strideH: 2, strideW: 1, padH: 1, padW: 2, dilationH: 1, dilationW: 3 },
      ...{ xZero: -7, xSigned: 1, yZero: 9, low: 9, high: 255 },
    })
  })

  it('has one window more where partial ones count, unless it would begin beyond the input', () => {
    // Of 8 pixels and one zero before, windows of 4 at every 4th: the third begins at the last pixel.
    const windows = { kernel: [4, 1], stride: [4, 1], dilation: [1, 1] } as const
    expect(shapeOf({ ...windows, padding: [[1, 0], plain.padding[1]] }).P).toBe(2)
    expect(shapeOf({ ...windows, padding: [[1, 0], plain.padding[1]] }, true).P).toBe(3)
    // With the zero behind it would begin at that.
    expect(shapeOf({ ...windows, padding: [[0, 1], plain.padding[1]] }, true).P).toBe(2)
  })

  it('refuses inputs that are no maps', () => {
    scope(() => {
      const x = bytesOf([1, 2], [1, 1, 2], 'int8')
      expect(() => byteShape('here', x, 1, 1, plain, limits)).toThrow('here: x must be (N, C, H, W), given (1, 1, 2)')
    })
  })
})

describe('isForKernels', () => {
  it('leaves windows to the loops whose padded image is far larger than what is there', () => {
    expect(isForKernels(shapeOf())).toBe(true)
    const far = 2 ** 20
    const wide = {
      kernel: [2, 2],
      dilation: [far, far],
      stride: [1, 1],
      padding: [
        [far, 0],
        [far, 0],
      ],
    } as const
    expect(isForKernels(shapeOf(wide))).toBe(false)
  })
})

describe('tapsWithin', () => {
  it('are the taps that lie in the input', () => {
    const windows = fc.record({
      origin: fc.integer({ min: -30, max: 30 }),
      taps: fc.integer({ min: 1, max: 9 }),
      dilation: fc.integer({ min: 1, max: 7 }),
      n: fc.integer({ min: 1, max: 20 }),
    })
    fc.assert(
      fc.property(windows, ({ origin, taps, dilation, n }) => {
        const within = Array.from({ length: taps }, (_, t) => t).filter((t) => {
          const place = origin + t * dilation
          return place >= 0 && place < n
        })
        const [first, end] = tapsWithin(origin, taps, dilation, n)
        expect(Array.from({ length: Math.max(0, end - first) }, (_, i) => first + i)).toEqual(within)
      }),
    )
  })
})
