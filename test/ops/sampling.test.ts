/** Values at points of grids and regions against their definitions, with gradients as adjoints. */
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { vjp } from '../../src/autodiff/vjp.js'
import { gridSample, roiAlign, type GridOptions } from '../../src/ops/sampling.js'
import { init } from '../../src/runtime/embedded.js'
import { normal, tensor } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { at, indices, size } from '../helpers/reference.js'

beforeAll(() => init())

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, value, i) => sum + value * b[i]!, 0)

const expectClose = (given: ArrayLike<number>, due: ArrayLike<number>): void => {
  expect(given.length).toBe(due.length)
  for (let i = 0; i < due.length; i++)
    expect(Math.abs(given[i]! - due[i]!)).toBeLessThan(1e-5 * (1 + Math.abs(due[i]!)))
}

/** That the gradient is the adjoint, and the gradient of the gradient the operation again. */
function checkAdjoint(of: (x: Tensor) => Tensor, x: Tensor): void {
  const y = of(x)
  const dy = normal(y.shape, { seed: 5 })
  const backwards = (d: Tensor): Tensor => vjp(of, x).pullback(d)[0]!
  expect(dot(backwards(dy).data(), x.data())).toBeCloseTo(dot(dy.data(), y.data()), 3)
  expectClose(vjp(backwards, dy).pullback(x)[0]!.data(), y.data())
}

const kernels = {
  linear: (d: number) => Math.max(0, 1 - d),
  cubic: (d: number) =>
    d <= 1 ? 1.25 * d ** 3 - 2.25 * d ** 2 + 1 : d < 2 ? -0.75 * d ** 3 + 3.75 * d ** 2 - 6 * d + 3 : 0,
} as const

/** Reflected at the borders, one after another. */
function mirrored(x: number, low: number, high: number): number {
  if (low === high) return low
  let place = x
  while (place < low || place > high) place = place < low ? 2 * low - place : 2 * high - place
  return place
}

/** The weights of all pixels of one direction, for a coordinate from −1 to 1. */
function weightsOf(g: number, n: number, { mode = 'linear', padding, alignCorners }: GridOptions): number[] {
  const weights = new Array<number>(n).fill(0)
  const [low, high] = alignCorners ? [0, n - 1] : [-0.5, n - 0.5]
  let x = alignCorners ? ((g + 1) / 2) * (n - 1) : ((g + 1) * n - 1) / 2
  if (mode === 'nearest') x = Math.abs(x - Math.trunc(x)) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x)
  if (x < low || x > high) {
    // As PyTorch does it, and onnxruntime: cubic weights are those of the point, wherever it is.
    if (padding === 'border' && mode !== 'cubic') x = Math.max(0, Math.min(n - 1, x))
    if (padding === 'reflection') x = mirrored(x, low, high)
  }
  const put = (place: number, weight: number): void => {
    if (place >= 0 && place < n) weights[place]! += weight
    else if (padding === 'border') weights[place < 0 ? 0 : n - 1]! += weight
    else if (padding === 'reflection')
      weights[Math.max(0, Math.min(n - 1, Math.trunc(mirrored(place, low, high))))]! += weight
  }
  if (mode === 'nearest') put(Math.trunc(x), 1)
  else
    for (let place = Math.floor(x) - 2; place <= Math.floor(x) + 3; place++)
      put(place, kernels[mode](Math.abs(place - x)))
  return weights
}

describe('gridSample', () => {
  it('weights the pixels around each point', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 1, max: 3 }),
        fc.record({
          mode: fc.constantFrom('nearest', 'linear', 'cubic'),
          padding: fc.constantFrom('zeros', 'border', 'reflection'),
          alignCorners: fc.boolean(),
        }),
        // Sixteenths, which single precision holds.
        fc.infiniteStream(fc.integer({ min: -40, max: 40 })),
        (extents, count, options, stream) => {
          scope(() => {
            const next = stream[Symbol.iterator]()
            const [N, C, D] = [2, 2, extents.length]
            const out = [count, ...new Array<number>(D - 1).fill(2)]
            const points = Array.from({ length: N * size(out) * D }, () => (next.next().value as number) / 16)
            const x = normal([N, C, ...extents], { seed: 1 })
            const grid = tensor(points, [N, ...out, D])
            const values = x.data()
            const due = Array.from(indices([N, C, ...out]), ([n, c, ...to]) => {
              const first = at([N, ...out], [n!, ...to]) * D
              const rows = extents.map((extent, axis) => weightsOf(points[first + D - 1 - axis]!, extent, options))
              let sum = 0
              for (const from of indices(extents)) {
                const weight = from.reduce((product, i, axis) => product * rows[axis]![i]!, 1)
                sum += weight * values[at(x.shape, [n!, c!, ...from])]!
              }
              return sum
            })
            const y = gridSample(x, grid, options)
            expect(y.shape).toEqual([N, C, ...out])
            expectClose(y.data(), due)
            checkAdjoint((a) => gridSample(a, grid, options), x)
          })
        },
      ),
      { numRuns: 200 },
    )
  })

  it('gives no NaN for points that are none, and refuses other shapes and gradients by points', () => {
    scope(() => {
      const x = tensor([1, 2, 3, 4], [1, 1, 2, 2])
      const grid = tensor([NaN, Infinity, -Infinity, NaN], [1, 2, 1, 2])
      for (const mode of ['nearest', 'linear', 'cubic'] as const) {
        for (const padding of ['zeros', 'border', 'reflection'] as const)
          expect([...gridSample(x, grid, { mode, padding }).data()].every(Number.isFinite)).toBe(true)
      }
      expect(() => gridSample(x, tensor([0, 0, 0], [1, 1, 1, 3]))).toThrow(/the grid \(N, …, directions\), given/)
      const { pullback } = vjp((g) => gridSample(x, g), tensor([0, 0], [1, 1, 1, 2]))
      expect(() => pullback(tensor([1], [1, 1, 1, 1]))).toThrow(/grid has no gradient/)
    })
  })
})

describe('roiAlign', () => {
  it('averages points of the parts of regions, or takes the largest weighted pixel', () => {
    fc.assert(
      fc.property(
        fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 })),
        fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
        fc.array(fc.tuple(...new Array<fc.Arbitrary<number>>(4).fill(fc.integer({ min: -8, max: 40 }))), {
          minLength: 1,
          maxLength: 3,
        }),
        fc.record({
          scale: fc.constantFrom(0.5, 1),
          samples: fc.constantFrom(0, 1, 2),
          halfPixel: fc.boolean(),
          largest: fc.boolean(),
        }),
        ([H, W], [rows, columns], corners, options) => {
          scope(() => {
            const [N, C, M] = [2, 2, corners.length]
            const x = normal([N, C, H, W], { seed: 1 })
            const regions = tensor(
              corners.flatMap((corner) => corner.map((value) => value / 4)),
              [M, 4],
            )
            const maps = tensor(
              corners.map((_, i) => i % N),
              [M],
              { dtype: 'int64' },
            )
            const size2 = [rows, columns] as const
            const values = x.data()
            const due = Array.from(indices([M, C, rows, columns]), ([m, c, row, column]) => {
              const [left, top, right, bottom] = corners[m!]!.map(
                (value) => (value / 4) * options.scale - (options.halfPixel ? 0.5 : 0),
              ) as [number, number, number, number]
              const least = options.halfPixel ? -Infinity : 1
              const [high, wide] = [Math.max(bottom - top, least) / rows, Math.max(right - left, least) / columns]
              const [down, across] = [options.samples || Math.ceil(high), options.samples || Math.ceil(wide)]
              const terms: number[] = []
              for (let i = 0; i < down; i++) {
                for (let j = 0; j < across; j++) {
                  const py = top + row! * high + ((i + 0.5) * high) / down
                  const px = left + column! * wide + ((j + 0.5) * wide) / across
                  if (py < -1 || py > H || px < -1 || px > W) {
                    terms.push(0, 0, 0, 0)
                    continue
                  }
                  const [y1, x1] = [Math.max(0, Math.min(H - 1, py)), Math.max(0, Math.min(W - 1, px))]
                  for (const [yy, wy] of [
                    [Math.floor(y1), 1 - (y1 % 1)],
                    [Math.min(H - 1, Math.floor(y1) + 1), y1 % 1],
                  ] as const) {
                    for (const [xx, wx] of [
                      [Math.floor(x1), 1 - (x1 % 1)],
                      [Math.min(W - 1, Math.floor(x1) + 1), x1 % 1],
                    ] as const)
                      terms.push(wy * wx * values[at(x.shape, [m! % N, c!, yy, xx])]!)
                  }
                }
              }
              if (options.largest) return terms.length === 0 ? 0 : Math.max(...terms)
              return terms.reduce((sum, term) => sum + term, 0) / Math.max(1, terms.length / 4)
            })
            const y = roiAlign(x, regions, maps, { ...options, size: size2 })
            expect(y.shape).toEqual([M, C, rows, columns])
            expectClose(y.data(), due)
            if (!options.largest) checkAdjoint((a) => roiAlign(a, regions, maps, { ...options, size: size2 }), x)
          })
        },
      ),
      { numRuns: 200 },
    )
  })

  it('makes nothing of no regions, and refuses other maps, giants and the gradient of the largest', () => {
    scope(() => {
      const x = tensor([1, 2, 3, 4], [1, 1, 2, 2])
      const at0 = (map: number) => tensor([map], [1], { dtype: 'int64' })
      const none = roiAlign(x, tensor([], [0, 4]), tensor([], [0], { dtype: 'int64' }), { size: [1, 1] })
      expect(none.shape).toEqual([0, 1, 1, 1])
      const region = tensor([0, 0, 2, 2], [1, 4])
      expect(() => roiAlign(x, region, at0(1), { size: [1, 1] })).toThrow(/maps\[0\] must be from 0 to 0, given 1/)
      expect(() => roiAlign(x, tensor([0, 0, 1e9, 1], [1, 4]), at0(0), { size: [1, 1] })).toThrow(
        /more than 4194304 points/,
      )
      expect(() => roiAlign(x, tensor([0, 0], [1, 2]), at0(0), { size: [1, 1] })).toThrow(/the regions \(M, 4\)/)
      const { pullback } = vjp((a) => roiAlign(a, region, at0(0), { size: [1, 1], largest: true }), x)
      expect(() => pullback(tensor([1], [1, 1, 1, 1]))).toThrow(/x has no gradient/)
    })
  })
})
