import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { gradcheck } from '../../src/autodiff/gradcheck.js'
import { vjp, type TensorFunction } from '../../src/autodiff/vjp.js'
import {
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPool3d,
  adaptiveMaxPool1d,
  adaptiveMaxPool2d,
  adaptiveMaxPool3d,
  avgPool1d,
  avgPool2d,
  avgPool3d,
  globalAvgPool,
  globalMaxPool,
  lpPool1d,
  lpPool2d,
  maxout,
  maxPool1d,
  maxPool2d,
  maxPool2dWithIndices,
  maxPool3d,
  maxUnpool2d,
  weightedPool2d,
  type OutputSize,
} from '../../src/ops/pool.js'
import { init, memoryUsage } from '../../src/runtime/core.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { normal, tensor, uniform, zeros } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { expectOracle, numbers } from '../helpers/linear.js'
import { oracleCases } from '../helpers/oracle.js'
import { at, difference, indices, size } from '../helpers/reference.js'
beforeAll(() => init())

const maxPools = [maxPool1d, maxPool2d, maxPool3d]
const avgPools = [avgPool1d, avgPool2d, avgPool3d]
const lpPools = [lpPool1d, lpPool2d]
const adaptiveAvgPools = [adaptiveAvgPool1d, adaptiveAvgPool2d, adaptiveAvgPool3d]
const adaptiveMaxPools = [adaptiveMaxPool1d, adaptiveMaxPool2d, adaptiveMaxPool3d]

/** One window along one direction: positions in the input, taps, and how many taps count with padding. */
interface Range {
  readonly positions: number[]
  readonly taps: number[]
  readonly extent: number
}

interface Windows {
  readonly kernel: readonly number[]
  readonly stride: readonly number[]
  readonly padding: readonly (readonly [number, number])[]
  readonly dilation: readonly number[]
  readonly ceil: boolean
}

/** PyTorch's windows along one direction. */
function sliding(n: number, { kernel, stride, padding, dilation, ceil }: Windows, axis: number): Range[] {
  const [lo, hi] = padding[axis]!
  const ranges: Range[] = []
  for (let origin = -lo; ; origin += stride[axis]!) {
    const end = origin + dilation[axis]! * (kernel[axis]! - 1) + 1
    // A window is kept while it fits, or, with ceil, while one more step would have fitted partly and it starts inside.
    if (ceil ? origin >= n || end - stride[axis]! >= n + hi : end > n + hi) return ranges
    const taps = Array.from({ length: kernel[axis]! }, (_, tap) => tap)
    const inside = taps.filter((tap) => {
      const position = origin + tap * dilation[axis]!
      return position >= 0 && position < n
    })
    ranges.push({
      positions: inside.map((tap) => origin + tap * dilation[axis]!),
      taps: inside,
      extent: Math.min(kernel[axis]!, n + hi - origin),
    })
  }
}

function adaptive(n: number, output: number): Range[] {
  return Array.from({ length: output }, (_, i) => {
    const first = Math.floor((i * n) / output)
    const count = Math.ceil(((i + 1) * n) / output) - first
    const taps = Array.from({ length: count }, (__, tap) => tap)
    return { positions: taps.map((tap) => first + tap), taps, extent: count }
  })
}

interface Window {
  /** Position in y; positions in x and the taps they belong to, in row-major order. */
  readonly to: number
  readonly from: number[]
  readonly taps: number[][]
  readonly counted: number
  readonly countedTaps: number[]
}

/** Every window of every map. */
function* visitWindows(x: readonly number[], ranges: readonly Range[][]): Generator<Window> {
  const output = ranges.map((list) => list.length)
  const yShape = [...x.slice(0, 2), ...output]
  for (const index of indices(yShape)) {
    const chosen = index.slice(2).map((i, axis) => ranges[axis]![i]!)
    const from: number[] = []
    const taps: number[][] = []
    for (const element of indices(chosen.map(({ positions }) => positions.length))) {
      from.push(at(x, [...index.slice(0, 2), ...element.map((i, axis) => chosen[axis]!.positions[i]!)]))
      taps.push(element.map((i, axis) => chosen[axis]!.taps[i]!))
    }
    yield {
      to: at(yShape, index),
      from,
      taps,
      counted: chosen.reduce((product, { extent }) => product * extent, 1),
      countedTaps: chosen.map(({ extent }) => extent),
    }
  }
}

/** A pooling's value and gradient by definition, given the windows. */
interface Naive {
  value(x: Float32Array, window: Window): number
  /** Adds dy times the derivative of the window. */
  gradient(dx: Float64Array, dy: number, x: Float32Array, window: Window): void
}

const naiveMax: Naive = {
  value: (x, { from }) => Math.max(...from.map((i) => x[i]!)),
  gradient(dx, dy, x, { from }) {
    const first = from.find((i) => x[i] === Math.max(...from.map((j) => x[j]!)))
    if (first !== undefined) dx[first]! += dy
  },
}

const naiveMean = (countPadding: boolean): Naive => ({
  value: (x, { from, counted }) => from.reduce((sum, i) => sum + x[i]!, 0) / (countPadding ? counted : from.length),
  gradient(dx, dy, _, { from, counted }) {
    for (const i of from) dx[i]! += dy / (countPadding ? counted : from.length)
  },
})

const naivePower = (p: number, full: number): Naive => {
  const sum = (x: Float32Array, { from, counted }: Window): number =>
    (from.reduce((total, i) => total + x[i]! ** p, 0) * full) / counted
  return {
    value: (x, window) => sum(x, window) ** (1 / p),
    gradient(dx, dy, x, window) {
      const y = sum(x, window) ** (1 / p)
      if (y === 0 && p !== 1) return
      for (const i of window.from) dx[i]! += ((dy * y ** (1 - p) * full) / window.counted) * x[i]! ** (p - 1)
    },
  }
}

const naiveWeighted = (weights: readonly (readonly number[])[], countPadding: boolean): Naive => {
  const total = weights.flat().reduce((sum, weight) => sum + weight, 0)
  const shares = ({ taps, countedTaps }: Window): number[] => {
    const inside = taps.map(([r, s]) => weights[r!]![s!]! / total)
    let divisor = 0
    if (countPadding) {
      for (const [r, s] of indices(countedTaps)) divisor += weights[r!]![s!]! / total
    } else divisor = inside.reduce((sum, weight) => sum + weight, 0)
    return inside.map((weight) => weight / divisor)
  }
  return {
    value: (x, window) => shares(window).reduce((sum, share, i) => sum + share * x[window.from[i]!]!, 0),
    gradient(dx, dy, _, window) {
      shares(window).forEach((share, i) => (dx[window.from[i]!]! += dy * share))
    },
  }
}

/** Compares value and gradient with the definition. */
function compare(
  operation: TensorFunction,
  naive: Naive,
  x: Float32Array,
  xShape: readonly number[],
  ranges: readonly Range[][],
  tolerance = 1e-5,
  seed = 7,
): void {
  const yShape = [...xShape.slice(0, 2), ...ranges.map((list) => list.length)]
  const dy = numbers(size(yShape), seed, false)
  const y = new Float64Array(dy.length)
  const dx = new Float64Array(x.length)
  for (const window of visitWindows(xShape, ranges)) {
    y[window.to] = naive.value(x, window)
    naive.gradient(dx, dy[window.to]!, x, window)
  }
  scope(() => {
    const input = tensor(x, xShape)
    const { value, pullback, dispose } = vjp(operation, input)
    expect(value.shape).toEqual(yShape)
    expect(operation(input).data()).toEqual(value.data())
    const [given] = pullback(tensor(dy, yShape))
    const finite = (values: ArrayLike<number>): Float64Array =>
      Float64Array.from(values, (v) => (v === -Infinity ? -1e3 : v))
    for (const [a, b] of [
      [finite(value.data()), finite(y)],
      [given!.data(), dx],
    ] as const) {
      const { error, scale } = difference(a, b)
      expect(error).toBeLessThanOrEqual(tolerance * scale + 1e-6)
    }
    dispose()
  })
}

interface Case extends Windows {
  readonly directions: number
  readonly maps: [number, number]
  readonly input: number[]
  readonly integers: boolean
  readonly seed: number
}

const list = (directions: number, smallest: number, largest: number): fc.Arbitrary<number[]> =>
  fc.array(fc.integer({ min: smallest, max: largest }), { minLength: directions, maxLength: directions })

/** Windows of every kind: larger than the input, with gaps, overlapping, dilated, partial; one-pixel inputs. */
const cases = (mostDirections: number, largestDilation: number): fc.Arbitrary<Case> =>
  fc
    .integer({ min: 1, max: mostDirections })
    .chain((directions) =>
      fc.record({
        directions: fc.constant(directions),
        maps: fc.tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 3 })),
        input: list(directions, 1, directions === 1 ? 45 : directions === 2 ? 15 : 6),
        kernel: list(directions, 1, directions === 3 ? 3 : 5),
        stride: list(directions, 1, 4),
        dilation: list(directions, 1, largestDilation),
        fraction: fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 3 })), {
          minLength: directions,
          maxLength: directions,
        }),
        ceil: fc.boolean(),
        integers: fc.boolean(),
        seed: fc.integer({ min: 1, max: 1e6 }),
      }),
    )
    .map(({ fraction, ...rest }) => ({
      ...rest,
      padding: fraction.map(([lo, hi], axis): [number, number] => {
        const most = (rest.dilation[axis]! * (rest.kernel[axis]! - 1) + 1) >> 1
        return [Math.min(lo, most), Math.min(hi, most)]
      }),
    }))
    .filter((test) => test.input.every((n, axis) => sliding(n, test, axis).length > 0))

const options = ({ kernel, stride, padding, dilation, ceil }: Windows): Windows => ({
  kernel,
  stride,
  padding,
  dilation,
  ceil,
})

const rangesOf = (test: Case): Range[][] => test.input.map((n, axis) => sliding(n, test, axis))

describe('PyTorch', () => {
  const pools: Record<string, (x: Tensor, given: never) => Tensor> = {
    maxPool1d,
    maxPool2d,
    maxPool3d,
    avgPool1d,
    avgPool2d,
    avgPool3d,
    lpPool2d,
    adaptiveAvgPool2d: (x, { outputSize }: { outputSize: OutputSize }) => adaptiveAvgPool2d(x, outputSize),
    adaptiveMaxPool2d: (x, { outputSize }: { outputSize: OutputSize }) => adaptiveMaxPool2d(x, outputSize),
    maxout: (x, { groupSize }: { groupSize: number }) => maxout(x, groupSize),
  }
  it.each(Object.entries(pools))('%s has the same values and gradients', (name, pool) => {
    const all = oracleCases(name)
    expect(all.length).toBeGreaterThan(0)
    for (const test of all) expectOracle(test, ({ x }, options) => pool(x!, options as never))
  })
})

describe('max pooling', () => {
  it('agrees with the definition, gradients included', () => {
    fc.assert(
      fc.property(cases(3, 3), (test) => {
        const xShape = [...test.maps, ...test.input]
        const x = numbers(size(xShape), test.seed, test.integers)
        const pool = maxPools[test.directions - 1]!
        compare((input) => pool(input, options(test)), naiveMax, x, xShape, rangesOf(test))
      }),
      { numRuns: 250 },
    )
  })

  it('agrees for 2 × 2 windows of every width', () => {
    for (let width = 2; width <= 21; width++) {
      for (const height of [2, 3, 6]) {
        const xShape = [2, 2, height, width]
        const windows: Windows = {
          kernel: [2, 2],
          stride: [2, 2],
          padding: [
            [0, 0],
            [0, 0],
          ],
          dilation: [1, 1],
          ceil: false,
        }
        const ranges = [sliding(height, windows, 0), sliding(width, windows, 1)]
        compare((x) => maxPool2d(x, { kernel: 2 }), naiveMax, numbers(size(xShape), width, true), xShape, ranges)
        const partial = { ...windows, ceil: true }
        compare((x) => maxPool2d(x, { kernel: 2, ceil: true }), naiveMax, numbers(size(xShape), width, false), xShape, [
          sliding(height, partial, 0),
          sliding(width, partial, 1),
        ])
      }
    }
  })

  it('gives NaN for a window with a NaN, and its position', () => {
    for (const kernel of [2, 3]) {
      for (const stride of [1, 2, 3]) {
        for (let hole = 0; hole < 12; hole++) {
          scope(() => {
            const values = numbers(12 * 12, hole + 1, false)
            values[hole * 12 + hole] = NaN
            const x = tensor(values, [1, 1, 12, 12])
            const plain = maxPool2d(x, { kernel, stride })
            const { y, indices: positions } = maxPool2dWithIndices(x, { kernel, stride })
            expect(y.data()).toEqual(plain.data())
            const [, , P, Q] = y.shape as [number, number, number, number]
            y.data().forEach((value, i) => {
              const [p, q] = [Math.floor(i / Q), i % Q]
              const inside = [p, q].every((window) => hole >= window * stride && hole < window * stride + kernel)
              expect(Number.isNaN(value)).toBe(inside)
              if (inside) expect(positions.data()[i]).toBe(hole * 12 + hole)
            })
            expect(positions.shape).toEqual([1, 1, P, Q])
          })
        }
      }
    }
  })

  it('gives NaN also at borders, in small maps and in adaptive windows', () => {
    scope(() => {
      const x = tensor([
        [
          [
            [1, 2, 3],
            [4, NaN, 6],
            [7, 8, 9],
          ],
        ],
      ])
      const padded = maxPool2dWithIndices(x, { kernel: 2, padding: 1 })
      expect([...padded.y.data()]).toEqual([1, 3, 7, NaN])
      expect([...padded.indices.data()]).toEqual([0, 2, 6, 4])
      expect([...adaptiveMaxPool2d(x, [3, 1]).data()]).toEqual([3, NaN, 9])
      expect(globalMaxPool(x).item()).toBeNaN()
      expect(avgPool2d(x, { kernel: 3 }).item()).toBeNaN()
    })
  })

  it('lets infinities through, also where all elements are -∞', () => {
    scope(() => {
      const x = tensor([[[[-Infinity, -Infinity, 1, Infinity]]]])
      const { y, indices: positions } = maxPool2dWithIndices(x, { kernel: [1, 2] })
      expect([...y.data()]).toEqual([-Infinity, Infinity])
      expect([...positions.data()]).toEqual([0, 3])
      const { pullback } = vjp((input) => maxPool2d(input, { kernel: [1, 2] }), x)
      expect([...pullback(tensor([[[[5, 7]]]]))[0]!.data()]).toEqual([5, 0, 0, 7])
    })
  })

  it('gives -∞ and no gradient where dilation leaves a window without elements', () => {
    scope(() => {
      const x = tensor([[[3]]])
      const { value, pullback } = vjp((input) => maxPool1d(input, { kernel: 2, dilation: 2, padding: 1 }), x)
      expect([...value.data()]).toEqual([-Infinity])
      expect([...pullback(tensor([[[1]]]))[0]!.data()]).toEqual([0])
    })
  })

  it('gives equals to the first', () => {
    scope(() => {
      const { indices: positions } = maxPool2dWithIndices(
        tensor([
          [
            [
              [1, 1, 0, 2, 1, 1, 1, 1],
              [1, 1, 2, 2, 1, 1, 1, 1],
            ],
          ],
        ]),
        {
          kernel: 2,
        },
      )
      expect([...positions.data()]).toEqual([0, 3, 4, 6])
    })
  })

  it('is little moved by a shift of the input (figure 9.8)', () => {
    scope(() => {
      const row = uniform([1, 1, 1001], { seed: 3 }).data()
      const pooled = (values: Float32Array): Float32Array =>
        maxPool1d(tensor(values, [1, 1, values.length]), { kernel: 3, stride: 1 }).data()
      const before = pooled(row.subarray(0, 1000))
      const after = pooled(row.subarray(1, 1001))
      // The detectors themselves all change; a pooled one keeps its value when its maximum is not at the edge.
      const same = (a: Float32Array, b: Float32Array): number =>
        a.filter((value, i) => value === b[i]).length / a.length
      expect(same(row.subarray(0, 1000), row.subarray(1, 1001))).toBe(0)
      expect(same(before, after)).toBeGreaterThan(0.4)
      expect(before.subarray(1)).toEqual(after.subarray(0, 997))
    })
  })
})

describe('mean pooling', () => {
  it('agrees with the definition, gradients included', () => {
    fc.assert(
      fc.property(cases(3, 1), fc.boolean(), (test, countIncludePad) => {
        const xShape = [...test.maps, ...test.input]
        const x = numbers(size(xShape), test.seed, test.integers)
        const pool = avgPools[test.directions - 1]!
        compare(
          (input) => pool(input, { ...options(test), countIncludePad }),
          naiveMean(countIncludePad),
          x,
          xShape,
          rangesOf(test),
        )
      }),
      { numRuns: 250 },
    )
  })

  it('keeps its accuracy over large windows', () => {
    scope(() => {
      const n = 300_001
      const x = uniform([1, 1, n], { seed: 5 })
      const mean = x.data().reduce((sum, value) => sum + value, 0) / n
      expect(globalAvgPool(x).item()).toBe(Math.fround(mean))
      expect(avgPool1d(x, { kernel: n }).item()).toBe(Math.fround(mean))
    })
  })

  it('agrees with the definition for wide and for tall windows', () => {
    for (const [input, kernel] of [
      [
        [3, 50],
        [2, 17],
      ],
      [
        [5, 40],
        [5, 40],
      ],
      [
        [70, 9],
        [66, 8],
      ],
    ] as const) {
      for (const countIncludePad of [true, false]) {
        const xShape = [1, 2, ...input]
        const windows: Windows = {
          kernel,
          stride: [1, 3],
          padding: [
            [1, 0],
            [2, 4],
          ],
          dilation: [1, 1],
          ceil: true,
        }
        const ranges = input.map((n, axis) => sliding(n, windows, axis))
        const pool: TensorFunction = (x) => avgPool2d(x, { ...options(windows), countIncludePad })
        compare(pool, naiveMean(countIncludePad), numbers(size(xShape), 5, false), xShape, ranges)
      }
    }
  })

  it('moves with its input, bit for bit', () => {
    scope(() => {
      const x = normal([1, 1, 9, 40], { seed: 2 }).data()
      const shifted = Float32Array.from(x, (_, i) => (i % 40 === 39 ? 0 : x[i + 1]!))
      const pool = (values: Float32Array): Float32Array =>
        avgPool2d(tensor(values, [1, 1, 9, 40]), { kernel: 3, stride: 1 }).data()
      const [before, after] = [pool(x), pool(shifted)]
      for (let i = 0; i < 7 * 38; i++) if (i % 38 < 37) expect(after[i]).toBe(before[i + 1])
    })
  })
})

describe('p-norm pooling', () => {
  it('agrees with the definition, gradients included', () => {
    fc.assert(
      fc.property(cases(2, 1), fc.constantFrom(2, 1, 3, 4, 1.5, 0.5, 2.7), (test, p) => {
        const xShape = [...test.maps, ...test.input]
        const positive = p !== 2 && p !== 4
        const x = numbers(size(xShape), test.seed, false).map((value) => (positive ? Math.abs(value) + 0.1 : value))
        const pool = lpPools[test.directions - 1]!
        const { kernel, stride, ceil } = test
        const windows: Windows = { ...options(test), padding: test.input.map((): [number, number] => [0, 0]) }
        const ranges = test.input.map((n, axis) => sliding(n, windows, axis))
        fc.pre(ranges.every(({ length }) => length > 0))
        compare(
          (input) => pool(input, { kernel, stride, ceil, p }),
          naivePower(p, size(kernel)),
          x,
          xShape,
          ranges,
          3e-5,
        )
      }),
      { numRuns: 200 },
    )
  })

  it('has the gradient 0 where the norm is 0', () => {
    scope(() => {
      const { value, pullback } = vjp(
        (x) => lpPool2d(x, { kernel: 2 }),
        tensor([
          [
            [
              [0, 0, 3],
              [0, 0, 4],
            ],
          ],
        ]),
      )
      expect([...value.data()]).toEqual([0])
      expect([...pullback(tensor([[[[1]]]]))[0]!.data()]).toEqual([0, 0, 0, 0, 0, 0])
    })
  })
})

describe('weighted pooling', () => {
  it('agrees with the definition, gradients included', () => {
    fc.assert(
      fc.property(
        cases(2, 1).filter(({ directions }) => directions === 2),
        fc.boolean(),
        fc.boolean(),
        (test, countIncludePad, gaussian) => {
          const xShape = [...test.maps, ...test.input]
          const x = numbers(size(xShape), test.seed, false)
          const [R, S] = test.kernel as [number, number]
          const sigma = [0.8, 1.7]
          const weights = Array.from({ length: R }, (_, r) =>
            Array.from({ length: S }, (__, s) =>
              gaussian
                ? Math.exp(
                    -((r - (R - 1) / 2) ** 2) / (2 * sigma[0]! ** 2) - (s - (S - 1) / 2) ** 2 / (2 * sigma[1]! ** 2),
                  )
                : 1 + ((r * 7 + s * 3) % 5),
            ),
          )
          const { kernel, stride, padding, ceil } = test
          const how = gaussian ? { kernel, sigma } : { weights }
          compare(
            (input) => weightedPool2d(input, { ...how, stride, padding, ceil, countIncludePad }),
            naiveWeighted(weights, countIncludePad),
            x,
            xShape,
            rangesOf(test),
          )
        },
      ),
      { numRuns: 150 },
    )
  })

  it('gives less weight to what is farther from the centre', () => {
    scope(() => {
      const { pullback } = vjp((x) => weightedPool2d(x, { kernel: 5, sigma: 1.2 }), zeros([1, 1, 5, 5]))
      const weights = pullback(tensor([[[[1]]]]))[0]!.data()
      const byDistance = [...weights.entries()]
        .map(([i, weight]) => ({ distance: (Math.floor(i / 5) - 2) ** 2 + ((i % 5) - 2) ** 2, weight }))
        .sort((a, b) => a.distance - b.distance)
      for (let i = 1; i < 25; i++) {
        const [a, b] = [byDistance[i - 1]!, byDistance[i]!]
        if (a.distance === b.distance) expect(b.weight).toBeCloseTo(a.weight, 7)
        else expect(b.weight).toBeLessThan(a.weight)
      }
      expect(weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 6)
    })
  })

  it('stays finite for a Gaussian much narrower than the elements', () => {
    scope(() => {
      const y = weightedPool2d(
        tensor([
          [
            [
              [1, 2],
              [3, 4],
            ],
          ],
        ]),
        { kernel: 2, sigma: 1e-3 },
      )
      expect(y.item()).toBe(2.5)
    })
  })

  it('takes a tensor of weights', () => {
    scope(() => {
      const x = tensor([
        [
          [
            [1, 2],
            [3, 4],
          ],
        ],
      ])
      expect(
        weightedPool2d(x, {
          weights: tensor([
            [1, 1],
            [1, 5],
          ]),
        }).item(),
      ).toBe(26 / 8)
    })
  })
})

describe('adaptive pooling', () => {
  it('agrees with the definition, gradients included', () => {
    fc.assert(
      fc.property(
        fc
          .integer({ min: 1, max: 3 })
          .chain((directions) =>
            fc.tuple(
              list(directions, 1, directions === 1 ? 60 : directions === 2 ? 17 : 6),
              list(directions, 1, directions === 3 ? 4 : 8),
            ),
          ),
        fc.boolean(),
        fc.integer({ min: 1, max: 1e6 }),
        ([input, output], maximum, seed) => {
          const xShape = [2, 2, ...input]
          const x = numbers(size(xShape), seed, maximum)
          const pool = (maximum ? adaptiveMaxPools : adaptiveAvgPools)[input.length - 1]!
          const ranges = input.map((n, axis) => adaptive(n, output[axis]!))
          compare((given) => pool(given, output), maximum ? naiveMax : naiveMean(false), x, xShape, ranges)
        },
      ),
      { numRuns: 150 },
    )
  })

  it('summarizes four quadrants of any picture', () => {
    scope(() => {
      for (const [height, width] of [
        [28, 28],
        [61, 37],
        [1, 1],
      ] as const) {
        expect(adaptiveMaxPool2d(zeros([2, 3, height, width]), 2).shape).toEqual([2, 3, 2, 2])
        expect(adaptiveAvgPool2d(zeros([2, 3, height, width]), [null, 2]).shape).toEqual([2, 3, height, 2])
      }
    })
  })

  it('is global for an output of one', () => {
    scope(() => {
      for (const shape of [
        [2, 3, 19],
        [2, 3, 5, 7],
        [1, 2, 3, 4, 5],
      ]) {
        const spatial = shape.slice(2)
        const x = numbers(size(shape), 11, false)
        const ranges = spatial.map((n) => adaptive(n, 1))
        compare((given) => globalAvgPool(given), naiveMean(false), x, shape, ranges)
        compare((given) => globalMaxPool(given), naiveMax, x, shape, ranges)
      }
    })
  })
})

describe('maxout', () => {
  it('agrees with the definition, gradients included', () => {
    for (const groupSize of [1, 2, 3, 5]) {
      for (const spatial of [[], [1], [3], [2, 3], [5, 7], [2, 3, 4]]) {
        scope(() => {
          const [N, groups] = [2, 3]
          const pixels = size(spatial)
          const x = numbers(N * groups * groupSize * pixels, groupSize + pixels, true)
          const { value, pullback } = vjp(
            (given) => maxout(given, groupSize),
            tensor(x, [N, groups * groupSize, ...spatial]),
          )
          expect(value.shape).toEqual([N, groups, ...spatial])
          const dy = numbers(value.size, 3, false)
          const y = new Float64Array(value.size)
          const dx = new Float64Array(x.length)
          for (let i = 0; i < y.length; i++) {
            const from = Array.from(
              { length: groupSize },
              (_, c) => (Math.floor(i / pixels) * groupSize + c) * pixels + (i % pixels),
            )
            y[i] = Math.max(...from.map((j) => x[j]!))
            dx[from.find((j) => x[j] === y[i])!]! += dy[i]!
          }
          expect(value.data()).toEqual(Float32Array.from(y))
          expect(pullback(tensor(dy, value.shape))[0]!.data()).toEqual(Float32Array.from(dx))
        })
      }
    }
  })
})

describe('unpooling', () => {
  it('puts maxima back where they were found', () => {
    fc.assert(
      fc.property(cases(2, 2), (test) => {
        fc.pre(test.directions === 2)
        scope(() => {
          const xShape = [...test.maps, ...test.input]
          const values = numbers(size(xShape), test.seed, false)
          const { y, indices: positions } = maxPool2dWithIndices(tensor(values, xShape), options(test))
          const back = maxUnpool2d(y, positions, { outputSize: test.input })
          expect(back.shape).toEqual(xShape)
          const chosen = new Set<number>()
          const plane = size(test.input)
          positions.data().forEach((position, i) => {
            if (position >= 0) chosen.add(Math.floor(i / size(y.shape.slice(2))) * plane + position)
          })
          expect(back.data()).toEqual(values.map((value, i) => (chosen.has(i) ? value : 0)))
        })
      }),
      { numRuns: 60 },
    )
  })

  it('has its gradient at the positions, of equal positions only at the last', () => {
    scope(() => {
      const positions = [3, 0, 3, -1]
      const { value, pullback } = vjp(
        (x) => maxUnpool2d(x, positions, { outputSize: [2, 2] }),
        tensor([
          [
            [
              [5, 6],
              [7, 8],
            ],
          ],
        ]),
      )
      expect([...value.data()]).toEqual([6, 0, 0, 7])
      expect([
        ...pullback(
          tensor([
            [
              [
                [1, 2],
                [3, 4],
              ],
            ],
          ]),
        )[0]!.data(),
      ]).toEqual([0, 1, 4, 0])
    })
  })

  it('derives its size from the windows', () => {
    scope(() => {
      const x = zeros([1, 2, 3, 3])
      const at0 = new Int32Array(18)
      expect(maxUnpool2d(x, at0, { kernel: 2 }).shape).toEqual([1, 2, 6, 6])
      expect(maxUnpool2d(x, at0, { kernel: 3, stride: 2, padding: 1 }).shape).toEqual([1, 2, 5, 5])
      expect(maxUnpool2d(x, at0, { kernel: 2, outputSize: [7, 5] }).shape).toEqual([1, 2, 7, 5])
      expect(maxUnpool2d(x, at0, { kernel: 2, outputSize: [1, 2, 7, 7] }).shape).toEqual([1, 2, 7, 7])
    })
  })

  it('keeps indices alive as long as the scope that made them', () => {
    const before = scope(() => memoryUsage().liveBytes)
    const { y, indices: positions } = scope(() => maxPool2dWithIndices(uniform([1, 1, 4, 4]), { kernel: 2 }))
    expect(positions.data().length).toBe(4)
    y.dispose()
    positions.dispose()
    expect(memoryUsage().liveBytes).toBe(before)
  })
})

describe('pooling', () => {
  it('has the gradients that finite differences show', () => {
    scope(() => {
      const x = tensor(
        Float32Array.from({ length: 2 * 2 * 6 * 6 }, (_, i) => (((i * 37) % 144) - 72) / 20),
        [2, 2, 6, 6],
      )
      const functions: TensorFunction[] = [
        (t) => maxPool2d(t, { kernel: 3, stride: 1, padding: 1 }),
        (t) => maxPool2dWithIndices(t, { kernel: 2 }).y,
        (t) => avgPool2d(t, { kernel: 3, stride: 2, ceil: true }),
        (t) => lpPool2d(t, { kernel: 2, stride: 1 }),
        (t) => weightedPool2d(t, { kernel: 3, sigma: 1, padding: 1 }),
        (t) => adaptiveAvgPool2d(t, [4, 5]),
        (t) => adaptiveMaxPool2d(t, [4, 5]),
        (t) => maxout(t, 2),
        (t) => globalMaxPool(t),
      ]
      for (const fn of functions) expect(gradcheck(fn, [x], { samples: 40 }).ok).toBe(true)
    })
  })

  it('can be differentiated twice where it is linear', () => {
    scope(() => {
      const x = normal([1, 2, 6, 6], { seed: 1 })
      const functions: TensorFunction[] = [
        (t) => maxPool2d(t, { kernel: 3, stride: 2 }),
        (t) => avgPool2d(t, { kernel: 3, stride: 2 }),
        (t) => weightedPool2d(t, { kernel: 3, sigma: 1 }),
        (t) => maxUnpool2d(t, new Int32Array(72), { outputSize: [3, 3] }),
      ]
      for (const fn of functions) {
        const value = fn(x)
        const dy = normal(value.shape, { seed: 2 })
        // ⟨gradient(dy), v⟩ is linear in dy, with the coefficients J·v.
        const outer = vjp((given) => vjp(fn, x).pullback(given)[0]!, dy)
        const [second] = outer.pullback(x)
        const { error, scale } = difference(second!.data(), value.data())
        expect(error).toBeLessThanOrEqual(1e-5 * scale)
      }
    })
  })

  const x2 = (): Tensor => zeros([1, 4, 5, 5])
  it.each<[string, () => unknown, RegExp]>([
    [
      'rank',
      () => maxPool2d(zeros([4, 5, 5]), { kernel: 2 }),
      /maxPool2d: x must be \(N, C, H, W\), given \(4, 5, 5\)/,
    ],
    ['rank in one dimension', () => avgPool1d(x2(), { kernel: 2 }), /avgPool1d: x must be \(N, C, W\)/],
    ['kernel', () => maxPool2d(x2(), { kernel: 0 }), /maxPool2d: kernel must be whole numbers from 1 on, given 0/],
    [
      'missing kernel',
      () => maxPool2d(x2(), {} as never),
      /maxPool2d: kernel must be a number or 2 numbers, given undefined/,
    ],
    ['missing options', () => maxPool2d(x2(), undefined as never), /maxPool2d: kernel must be a number or 2 numbers/],
    ['missing options of a mean', () => avgPool2d(x2(), undefined as never), /avgPool2d: kernel must be/],
    ['missing options of a norm', () => lpPool2d(x2(), undefined as never), /lpPool2d: kernel must be/],
    ['number of strides', () => avgPool2d(x2(), { kernel: 2, stride: [1] }), /stride must be a number or 2 numbers/],
    [
      'stride',
      () => avgPool2d(x2(), { kernel: 2, stride: 0 }),
      /avgPool2d: stride must be whole numbers from 1 on, given 0/,
    ],
    [
      'dilation',
      () => maxPool2d(x2(), { kernel: 2, dilation: 0.5 }),
      /dilation must be whole numbers from 1 on, given 0.5/,
    ],
    ['negative padding', () => maxPool2d(x2(), { kernel: 2, padding: -1 }), /padding must be whole numbers from 0 on/],
    [
      'too much padding',
      () => maxPool2d(x2(), { kernel: 3, padding: 2 }),
      /padding must be at most half of the kernel.*at most 1; given 2/,
    ],
    ['full padding', () => avgPool2d(x2(), { kernel: 4, padding: 'full' }), /at most 2; given 3/],
    [
      'too large a kernel',
      () => maxPool2d(x2(), { kernel: 6 }),
      /maxPool2d: a kernel of \(6, 6\) reaches over 6 elements along direction 0, but the input has 5/,
    ],
    ['ceil', () => maxPool2d(x2(), { kernel: 2, ceil: 1 as never }), /ceil must be true or false, given 1/],
    [
      'countIncludePad',
      () => avgPool2d(x2(), { kernel: 2, countIncludePad: 'no' as never }),
      /countIncludePad must be true or false, given no/,
    ],
    ['p', () => lpPool2d(x2(), { kernel: 2, p: 0 }), /lpPool2d: p must be a positive number, given 0/],
    ['p of infinity', () => lpPool2d(x2(), { kernel: 2, p: Infinity }), /p must be a positive number, given Infinity/],
    ['weights and sigma', () => weightedPool2d(x2(), { kernel: 3 }), /give either weights or sigma, not neither/],
    ['weights and sigma together', () => weightedPool2d(x2(), { weights: [[1]], sigma: 1 }), /not both/],
    [
      'extents of weights',
      () => weightedPool2d(x2(), { kernel: 3, weights: [[1]] }),
      /weights must be \(3, 3\) like the kernel, given \(1, 1\)/,
    ],
    [
      'ragged weights',
      () => weightedPool2d(x2(), { weights: [[1, 2], [3]] }),
      /rows of equal length, given rows of 2 and 1/,
    ],
    ['negative weights', () => weightedPool2d(x2(), { weights: [[1, -2]] }), /finite numbers from 0 on, given -2/],
    ['zero weights', () => weightedPool2d(x2(), { weights: [[0, 0]] }), /sum above 0, given 0/],
    ['sigma', () => weightedPool2d(x2(), { kernel: 3, sigma: 0 }), /sigma must be a positive number or two, given 0/],
    [
      'output size',
      () => adaptiveAvgPool2d(x2(), 0),
      /adaptiveAvgPool2d: outputSize must be whole numbers from 1 on, given 0/,
    ],
    [
      'number of output sizes',
      () => adaptiveMaxPool2d(x2(), [1, 2, 3]),
      /outputSize must be a number or 2 numbers, given 3 numbers/,
    ],
    ['rank of a global pool', () => globalAvgPool(zeros([2, 3])), /globalAvgPool: x must be \(N, C, W\), /],
    ['group size', () => maxout(x2(), 3), /maxout: groupSize must divide the 4 channels of x, given 3/],
    ['group size of zero', () => maxout(x2(), 0), /groupSize must divide/],
    [
      'number of indices',
      () => maxUnpool2d(x2(), [1], { kernel: 2 }),
      /indices must be 100 positions as x is \(1, 4, 5, 5\), given 1/,
    ],
    [
      'kind of indices',
      () => maxUnpool2d(x2(), {} as never, { kernel: 2 }),
      /indices must be those of maxPool2dWithIndices/,
    ],
    [
      'position',
      () => maxUnpool2d(x2(), new Int32Array(100).fill(100), { kernel: 2 }),
      /positions from 0 to 99 in a plane of \(10, 10\), given 100/,
    ],
    [
      'output size of unpooling',
      () => maxUnpool2d(x2(), new Int32Array(100), { kernel: 2, outputSize: [12, 10] }),
      /outputSize must be from 9 to 11 along direction 0.*given 12/,
    ],
    [
      'output size of unpooling alone',
      () => maxUnpool2d(x2(), new Int32Array(100), { outputSize: [3] }),
      /outputSize must be \[H, W\]/,
    ],
    ['kernel of unpooling', () => maxUnpool2d(x2(), new Int32Array(100), {}), /maxUnpool2d: kernel must be/],
  ])('refuses a wrong %s and allocates nothing', (_, call, message) => {
    scope(() => {
      expect(call).toThrow(message)
      expect(call).toThrow(ShapeError)
    })
    const before = memoryUsage().liveBytes
    scope(() => {
      expect(call).toThrow(ShapeError)
    })
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it('refuses what is not a tensor', () => {
    expect(() => maxPool2d([1] as never, { kernel: 2 })).toThrow(/maxPool2d: x must be a Tensor, not object/)
    expect(() => globalAvgPool(null as never)).toThrow(ShapeError)
  })

  it('refuses indices that point outside of a smaller plane', () => {
    scope(() => {
      const { y, indices: positions } = maxPool2dWithIndices(
        tensor([
          [
            [
              [0, 0],
              [0, 1],
            ],
          ],
        ]),
        { kernel: 2 },
      )
      expect(() => maxUnpool2d(y, positions, { outputSize: [1, 2] })).toThrow(/positions from 0 to 1 .* given 3/)
    })
  })

  it('returns all memory after a pass and its gradient', () => {
    const before = memoryUsage().liveBytes
    scope(() => {
      const { pullback, dispose } = vjp((t) => maxPool2d(t, { kernel: 2 }), zeros([2, 3, 8, 8]))
      pullback(zeros([2, 3, 4, 4]))
      dispose()
    })
    expect(memoryUsage().liveBytes).toBe(before)
  })
})
