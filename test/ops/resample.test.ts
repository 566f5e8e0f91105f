/** Resampling against dense matrices that are made by ONNX's own words: neighbours sorted by their distance from a coordinate. */
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { vjp } from '../../src/autodiff/vjp.js'
import { resample, type ResampledAxis, type ResampleOptions } from '../../src/ops/resample.js'
import { init } from '../../src/runtime/embedded.js'
import { normal, tensor } from '../../src/tensor/create.js'
import { dtypes } from '../../src/tensor/dtype.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { at, indices, size } from '../helpers/reference.js'

beforeAll(() => init())

/** The coordinate in x, by the formulas of the operator's text. */
function original(
  j: number,
  n: number,
  { size: resized, scale, width = resized, region }: ResampledAxis,
  mode: string,
) {
  const [begin, end] = region ?? [0, 1]
  if (mode === 'half_pixel') return (j + 0.5) / scale - 0.5
  if (mode === 'pytorch_half_pixel') return resized > 1 ? (j + 0.5) / scale - 0.5 : 0
  if (mode === 'align_corners') return width === 1 ? 0 : (j * (n - 1)) / (width - 1)
  if (mode === 'asymmetric') return j / scale
  if (mode === 'tf_half_pixel_for_nn') return (j + 0.5) / scale
  if (mode === 'half_pixel_symmetric') return (n / 2) * (1 - resized / width) + (j + 0.5) / scale - 0.5
  return width === 1 ? 0.5 * (begin + end) * (n - 1) : begin * (n - 1) + (j * (end - begin) * (n - 1)) / (width - 1)
}

/** The nearest `count` whole numbers, of equals the smaller ones, in rising order. */
const neighbours = (x: number, count: number): number[] =>
  Array.from({ length: 2 * count + 3 }, (_, i) => Math.floor(x) - count - 1 + i)
    .sort((a, b) => Math.abs(x - a) - Math.abs(x - b) || a - b)
    .slice(0, count)
    .sort((a, b) => a - b)

const cubic = (d: number, a: number): number =>
  d <= 1 ? (a + 2) * d ** 3 - (a + 3) * d ** 2 + 1 : d < 2 ? a * d ** 3 - 5 * a * d ** 2 + 8 * a * d - 4 * a : 0

/** Row j of the matrix of one axis, undefined outside of x. */
function matrixRow(j: number, n: number, axis: ResampledAxis, options: ResampleOptions): number[] | undefined {
  const { mode, transformation, nearest = 'round_prefer_floor', cubicCoefficient = -0.75 } = options
  const row = new Array<number>(n).fill(0)
  const x = original(j, n, axis, transformation)
  if (transformation === 'tf_crop_and_resize' && (x < 0 || x > n - 1)) return undefined
  const put = (place: number, weight: number): void => {
    row[Math.max(0, Math.min(n - 1, place))]! += weight
  }
  if (mode === 'nearest') {
    const rounded = {
      floor: Math.floor(x),
      ceil: Math.ceil(x),
      round_prefer_floor: Math.ceil(x - 0.5),
      round_prefer_ceil: Math.floor(x + 0.5),
      simple: axis.scale < 1 ? Math.ceil(x) : Math.floor(x),
    }[nearest]
    put(rounded, 1)
    return row
  }
  const stretch = options.antialias ? Math.max(1, 1 / axis.scale) : 1
  const reach = Math.ceil((mode === 'linear' ? 1 : 2) * stretch)
  let taps = neighbours(x, 2 * reach).map((place): [number, number] => {
    const d = Math.abs(place - x) / stretch
    return [place, mode === 'linear' ? Math.max(0, 1 - d) : cubic(d, cubicCoefficient)]
  })
  if (options.excludeOutside) taps = taps.filter(([place]) => place >= 0 && place < n)
  const sum = taps.reduce((total, [, weight]) => total + weight, 0)
  for (const [place, weight] of taps) put(place, weight / (sum === 0 ? 1 : sum))
  return row
}

/** y by the product of matrices over all axes, and the elements that lie outside. */
function dense(shape: readonly number[], options: ResampleOptions) {
  const yShape = shape.map((n, axis) => options.axes.find((each) => each.axis === axis)?.size ?? n)
  const rows = shape.map((n, axis) => {
    const own = options.axes.find((each) => each.axis === axis)
    return Array.from({ length: yShape[axis]! }, (_, j) =>
      own ? matrixRow(j, n, own, options) : Array.from({ length: n }, (__, i) => Number(i === j)),
    )
  })
  const visit = (use: (y: number, x: number, weight: number) => void, outside: (y: number) => void): void => {
    for (const to of indices(yShape)) {
      const own = to.map((j, axis) => rows[axis]![j])
      if (own.includes(undefined)) {
        outside(at(yShape, to))
        continue
      }
      for (const from of indices(shape)) {
        const weight = from.reduce((product, i, axis) => product * own[axis]![i]!, 1)
        if (weight !== 0) use(at(yShape, to), at(shape, from), weight)
      }
    }
  }
  return { yShape, visit }
}

const transformations = [
  'half_pixel',
  'half_pixel_symmetric',
  'pytorch_half_pixel',
  'align_corners',
  'asymmetric',
  'tf_half_pixel_for_nn',
  'tf_crop_and_resize',
] as const

/** A shape, and options for some of its axes. */
const problem = fc
  .record({
    shape: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }),
    mode: fc.constantFrom('nearest', 'linear', 'cubic'),
    transformation: fc.constantFrom(...transformations),
    nearest: fc.constantFrom('round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil', 'simple'),
    cubicCoefficient: fc.constantFrom(-0.75, -0.5),
    excludeOutside: fc.boolean(),
    antialias: fc.boolean(),
    extrapolation: fc.constantFrom(0, 10),
    // Powers of two and their sums, so that a coordinate between two pixels is so in either calculation.
    scales: fc.array(fc.constantFrom(0.25, 0.5, 0.75, 1, 1.5, 2, 3), { minLength: 4, maxLength: 4 }),
    taken: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
    region: fc.constantFrom([0, 1], [0.25, 0.75], [-0.5, 1.25], [1, 0]),
  })
  .map(({ shape, scales, taken, region, ...options }) => {
    const axes = shape.flatMap((n, axis): ResampledAxis[] => {
      const scale = scales[axis]!
      const resized = Math.floor(n * scale)
      if (!taken[axis] || resized === 0) return []
      return [{ axis, size: resized, scale, width: n * scale, region: region }]
    })
    return { shape, options: { ...options, axes } }
  })
  // A width below 2 that is not 1 turns the map of corners around; nothing can be asked of it.
  .filter(({ options: { axes } }) => axes.every(({ width = 1 }) => width >= 1))

const expectClose = (given: ArrayLike<number>, due: ArrayLike<number>): void => {
  expect(given.length).toBe(due.length)
  for (let i = 0; i < due.length; i++)
    expect(Math.abs(given[i]! - due[i]!)).toBeLessThan(1e-5 * (1 + Math.abs(due[i]!)))
}

describe('resample', () => {
  it('is the product with the matrices of its axes; gradients are that with their transposes', () => {
    fc.assert(
      fc.property(problem, ({ shape, options }) => {
        scope(() => {
          const x = normal(shape, { seed: 1 })
          const { yShape, visit } = dense(shape, options)
          const y = resample(x, options)
          expect(y.shape).toEqual(yShape)
          const product = (values: ArrayLike<number>, outside: number): Float64Array => {
            const due = new Float64Array(size(yShape))
            visit(
              (to, from, weight) => (due[to]! += weight * values[from]!),
              (to) => (due[to] = outside),
            )
            return due
          }
          expectClose(y.data(), product(x.data(), options.extrapolation))
          const dy = normal(yShape, { seed: 2 })
          const [dx] = vjp((a) => resample(a, options), x).pullback(dy)
          const due = new Float64Array(x.size)
          const given = dy.data()
          visit(
            (to, from, weight) => (due[from]! += weight * given[to]!),
            () => undefined,
          )
          expectClose(dx!.data(), due)
          // The gradient of the gradient is the operation without what lies outside.
          const twice = vjp((d: Tensor) => vjp((a) => resample(a, options), x).pullback(d)[0]!, dy)
          expectClose(twice.pullback(x)[0]!.data(), product(x.data(), 0))
        })
      }),
      { numRuns: 300 },
    )
  })

  it('copies any type to the nearest places', () => {
    scope(() => {
      for (const dtype of dtypes) {
        const x = tensor([1, 0, 1], [3], { dtype })
        const axes = [{ axis: 0, size: 6, scale: 2, region: [0, 2] as const }]
        const y = resample(x, { axes, mode: 'nearest', transformation: 'asymmetric', nearest: 'floor' })
        expect(Array.from(y.data() as ArrayLike<number>, Number)).toEqual([1, 1, 0, 0, 1, 1])
        const cut = resample(x, { axes, mode: 'nearest', transformation: 'tf_crop_and_resize', extrapolation: 1 })
        expect(Array.from(cut.data() as ArrayLike<number>, Number)).toEqual([1, 0, 1, 1, 1, 1])
        expect(cut.dtype).toBe(dtype)
      }
    })
  })

  it('makes nothing of nothing, and refuses what does not fit', () => {
    scope(() => {
      const x = tensor([1, 2], [2])
      const of = (axis: Partial<ResampledAxis>, more: Partial<ResampleOptions> = {}) =>
        resample(x, {
          ...{ mode: 'linear', transformation: 'half_pixel', ...more },
          axes: [{ axis: 0, size: 2, scale: 1, ...axis }],
        })
      expect(of({ size: 0, scale: 0 }).shape).toEqual([0])
      expect(() => of({ axis: 1 })).toThrow(/axis 1 does not exist/)
      expect(() => of({ size: -1 })).toThrow(/extent 0 must be a whole number from 0 on, given -1/)
      expect(() => of({ scale: 0 })).toThrow(/the scale of axis 0 must be above 0, given 0/)
      const whole = tensor([1], [1], { dtype: 'int32' })
      const options = { axes: [], mode: 'cubic', transformation: 'half_pixel' } as const
      expect(() => resample(whole, options)).toThrow(/mode 'cubic' needs x of float32, given int32/)
      expect(() => resample(tensor([], [0]), { ...options, axes: [{ axis: 0, size: 1, scale: 1 }] })).toThrow(
        /no elements to make others of/,
      )
    })
  })
})
