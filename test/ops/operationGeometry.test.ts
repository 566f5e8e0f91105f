import { beforeAll, describe, expect, it } from 'vitest'
import {
  adaptiveMaxPool2d,
  avgPool1d,
  concat,
  convTranspose2d,
  linear,
  locallyConnected1d,
  lpPool1d,
  matmul,
  maxPool1d,
  maxPool2d,
  maxUnpool2d,
  mul,
  pad,
  tiledConv1d,
  upsample2d,
  weightedPool2d,
} from '../../src/ops/index.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { OutOfMemoryError, ShapeError } from '../../src/runtime/errors.js'
import { ones, tensor, uniform, zeros } from '../../src/tensor/create.js'
import { scope } from '../../src/tensor/tensor.js'
import { gabor, tileGrid } from '../../src/vision/index.js'
import { checkOperations } from '../helpers/operationGeometry.js'
import { itRefuses } from '../helpers/refusals.js'

beforeAll(() => init())

const most = 2 ** 31 - 1

describe('operations under random geometry', () => {
  it.each([1, 2])('are right or refuse, in time, and touch nothing else: seed %i', (seed) => {
    const { compared, wrong, trapped, slow, broken } = checkOperations(seed, 150)
    expect({ wrong, trapped, slow, broken }).toEqual({ wrong: [], trapped: [], slow: [], broken: [] })
    expect(Object.values(compared).reduce((total, count) => total + count, 0)).toBeGreaterThan(70)
  })
})

describe('windows far larger than the input', () => {
  it('of maxima see the taps that meet it', () => {
    scope(() => {
      const x = tensor([3, 1, 2, 5, 4, 0, 7, 6], [1, 1, 8])
      // Taps at −2³⁰, 0 and 2³⁰ from each element.
      expect([...maxPool1d(x, { kernel: 3, stride: 1, dilation: 2 ** 30, padding: 2 ** 30 }).data()]).toEqual([
        ...x.data(),
      ])
      for (const kernel of [3, 5, 9]) {
        expect([...maxPool1d(x, { kernel, stride: 1, dilation: most, padding: 'same' }).data()]).toEqual([...x.data()])
      }
      // Taps at −2³⁰ + 1 + i and 2³⁰ + i.
      const between = maxPool1d(x, { kernel: 2, stride: 1, dilation: most, padding: 2 ** 30 - 1, ceil: true })
      expect([...between.data()]).toEqual(new Array(7).fill(-Infinity))
    })
  })

  it('of maxima see all of it', () => {
    scope(() => {
      const x = tensor([3, 1, 2, 5, 4, 0, 7, 6], [1, 1, 8])
      expect(maxPool1d(x, { kernel: most, ceil: true, padding: 2 ** 30 - 1 }).data()).toEqual(Float32Array.of(7))
      const windows = { kernel: most, stride: 1, padding: 2 ** 30 - 1 }
      expect([...maxPool1d(x, windows).data()]).toEqual(new Array(8).fill(7))
      const y = maxPool2d(ones([1, 1, 8, 8]), { kernel: 3, stride: 1, padding: 16383, dilation: 16383 })
      expect([...y.data()]).toEqual(new Array(64).fill(1))
    })
  })

  it('of means count the padding or not', () => {
    scope(() => {
      const x = ones([1, 1, 8])
      const windows = { kernel: most, stride: 1, padding: 2 ** 30 - 1 }
      expect([...avgPool1d(x, windows).data()]).toEqual(new Array(8).fill(Math.fround(8 / most)))
      expect([...avgPool1d(x, { ...windows, countIncludePad: false }).data()]).toEqual(new Array(8).fill(1))
      // The sum of 8 is scaled up to 2³¹ − 1 taps.
      expect(lpPool1d(x, { kernel: most, ceil: true, p: 2 }).data()).toEqual(
        Float32Array.of(Math.sqrt(Math.fround(most))),
      )
    })
  })
})

describe('local layers', () => {
  it('stride and pad without a padded copy', () => {
    scope(() => {
      const { peakBytes } = memoryUsage()
      const x = tensor([1, 2, 3], [1, 1, 3])
      const options = { stride: 2 ** 30, padding: [[2 ** 30, 2 ** 30]] as const }
      // Windows at −2³⁰, 0 and 2³⁰.
      const w = tensor([1, 1, 1, 10, 100, 1], [1, 3, 1, 2])
      expect([...locallyConnected1d(x, w, options).data()]).toEqual([0, 21, 0])
      const tiles = tensor([1, 2, 3, 4], [1, 1, 2, 2])
      expect([...tiledConv1d(x, tiles, options).data()]).toEqual([0, 2 * 1 + 4 * 2, 0])
      expect(memoryUsage().peakBytes - peakBytes).toBeLessThan(1 << 20)
    })
  })
})

describe('what no memory holds', () => {
  const column = () => zeros([2 ** 16, 1])
  const row = () => zeros([1, 2 ** 16])
  itRefuses(
    ['size of a sum', () => mul(column(), row()), /mul: the output \(65536, 65536\) needs more than the 4 GiB/],
    ['size of a product', () => matmul(column(), row()), /matmul: the output \(65536, 65536\) needs more than/],
    ['size of a layer', () => linear(column(), column()), /matmul: the output \(65536, 65536\) needs more than/],
    ['size around', () => pad(row(), [[most, most], 0]), /pad: the output \(4294967295, 65536\) needs more than/],
    ['size of repeats', () => upsample2d(zeros([1, 1, 2, 2]), { scale: most }), /needs more than the 4 GiB/],
    ['size of a grid', () => adaptiveMaxPool2d(zeros([1, 1, 2, 2]), 2 ** 16), /needs more than the 4 GiB/],
    [
      'size of what was pooled',
      () => maxUnpool2d(zeros([1, 1, 2, 2]), [0, 1, 2, 3], { kernel: most }),
      /maxUnpool2d: the output \(1, 1, 4294967294, 4294967294\) needs more than the 4 GiB/,
    ],
    [
      'size of what was convolved',
      () => convTranspose2d(zeros([1, 1, 2, 2]), zeros([1, 1, 2, 2]), { stride: most }),
      /convTranspose2d: the output \(1, 1, 2147483649, 2147483649\) needs more than the 4 GiB/,
    ],
    [
      'size of a Gaussian',
      () => weightedPool2d(zeros([1, 1, 2, 2]), { kernel: 2 ** 14, sigma: 1, ceil: true }),
      /a Gaussian is computed for at most 4194304 taps, and the kernel \(16384, 16384\) has more/,
    ],
    [
      'size of weights',
      () => weightedPool2d(zeros([1, 1, 2, 2]), { kernel: most, sigma: 1, ceil: true }),
      /the kernel \(/,
    ],
    [
      'size of a picture',
      () => gabor({ size: 2 ** 16 }),
      /gabor: size 65536 × 65536 has 4294967296 pixels; at most 4194304 are computed/,
    ],
    [
      'size of tiles',
      () => tileGrid(zeros([4, 64, 64]), { zoom: 4096 }),
      /a picture of 524289 × 524289 pixels would be drawn; at most 67108864/,
    ],
    ['stream', () => uniform([2], { stream: -1 }), /uniform: a stream is a whole number from 0 to 4294967295, not -1/],
  )

  it('is refused where it is made of a shape alone, whatever its extents', () => {
    const before = memoryUsage()
    const shapes = [
      [2 ** 16, 2 ** 16],
      [2 ** 31, 2 ** 31],
      [2 ** 53],
      [1e300, 1e300],
      new Array<number>(64).fill(2 ** 30),
    ]
    for (const shape of shapes) {
      for (const make of [zeros, ones, uniform]) expect(() => make(shape)).toThrow(OutOfMemoryError)
    }
    expect(() => zeros(new Array<number>(65).fill(1))).toThrow('65 extents; a tensor has at most 64 axes')
    for (const extent of [-1, 0.5, NaN, Infinity, 2 ** 31 + 0.5]) expect(() => zeros([2, extent])).toThrow(ShapeError)
    expect(memoryUsage()).toEqual(before)
  })

  it('is refused of nested arrays that have no end', () => {
    const endless: unknown[] = []
    endless.push(endless)
    expect(() => tensor(endless as never)).toThrow('tensor: the values are nested more than 64 deep')
  })

  it('does not become a shape', () => {
    scope(() => {
      const x = zeros([2, 3])
      for (const shape of [
        [1e200, 1e200, -1],
        [2 ** 60, -1],
        [6, 2 ** 53],
        [-1, -1],
      ]) {
        expect(() => x.reshape(shape)).toThrow(ShapeError)
      }
      expect(() => concat([x, x], 2 ** 32)).toThrow(ShapeError)
    })
  })
})
