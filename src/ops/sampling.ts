/**
 * Values of maps between their pixels, at points that another tensor gives: grids of points, and regions of interest. An element of
 * the output is Σ weight · x[place] over the pixels around its points; the weights are those of each point, for all channels.
 * Computed in JavaScript. By x these operations are linear, and differentiable; by points they are not.
 */
import { defineOp, type Op } from '../autodiff/op.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import type { DType } from '../tensor/dtype.js'
import { checkSize, showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { elementsAt, type AnyTensor, type Tensor } from '../tensor/tensor.js'

/** What the maps and the points of a sampling are. */
interface Sampling {
  /** x (N, C, …). */
  readonly xShape: Shape
  /** y (M, C, …). */
  readonly yShape: Shape
  /** Elements of the tensors that give the points. */
  readonly sizes: readonly number[]
}

/** Weights of pixels, for each element of one channel of y: those from `ends[i − 1]` to `ends[i]`. */
interface Weights {
  /** The map that each of the M outputs is made of. */
  readonly maps: readonly number[]
  readonly ends: readonly number[]
  readonly places: readonly number[]
  readonly weights: readonly number[]
}

/** Collects weights. */
class Collected implements Weights {
  readonly maps: number[] = []
  readonly ends: number[] = []
  readonly places: number[] = []
  readonly weights: number[] = []

  add(place: number, weight: number): void {
    this.places.push(place)
    this.weights.push(weight)
  }

  /** Ends an element. */
  end(): void {
    this.ends.push(this.places.length)
  }
}

/** Calls `use` with every channel of every output: what it is made of, where it lies in x and in y. */
function forEachChannel(
  { xShape, yShape }: Sampling,
  { maps }: Weights,
  use: (output: number, inX: number, inY: number) => void,
): void {
  const [, C] = xShape as unknown as [number, number]
  const [pixels, elements] = [sizeOf(xShape.slice(2)), sizeOf(yShape.slice(2))]
  maps.forEach((map, output) => {
    for (let c = 0; c < C; c++) use(output, (map * C + c) * pixels, (output * C + c) * elements)
  })
}

/** What becomes of the weighted pixels of an element. */
type Combine = (x: Float32Array, at: number, weights: Weights, begin: number, end: number) => number

const summed: Combine = (x, at, { places, weights }, begin, end) => {
  let sum = 0
  for (let i = begin; i < end; i++) sum += (weights[i] as number) * (x[at + (places[i] as number)] as number)
  return sum
}

/** The largest weighted pixel; 0 where there is none. */
const largest: Combine = (x, at, { places, weights }, begin, end) => {
  let most = begin === end ? 0 : -Infinity
  for (let i = begin; i < end; i++) {
    const value = (weights[i] as number) * (x[at + (places[i] as number)] as number)
    if (value > most || value !== value) most = value
  }
  return most
}

type Points = Readonly<Record<string, AnyTensor>>

/** How an operation is made of the weights that points have. */
interface Definition<O, D extends Sampling> {
  /** Tensors that give the points, by their names, and their types. */
  readonly points: Readonly<Record<string, readonly DType[]>>
  infer(x: Tensor, points: Points, options: O): D
  weigh(d: D, points: readonly ArrayLike<number | bigint>[]): Weights
  combine(d: D): Combine
}

/** Makes a sampling and its adjoint; where it is no sum it has no gradient. */
function defineSampling<O, D extends Sampling>(
  name: string,
  { points, infer, weigh, combine }: Definition<O, D>,
): (x: Tensor, points: Points, options: O) => Tensor {
  const names = Object.keys(points)
  const read = (d: D, addresses: readonly number[], own: readonly DType[]): Weights =>
    weigh(
      d,
      addresses.map((at, i) => elementsAt(at, d.sizes[i] as number, own[i] as DType) as ArrayLike<number | bigint>),
    )
  /** Types that the points of a call have, which `infer` looks up. */
  type Described = { readonly d: D; readonly own: readonly DType[] }
  const described = (x: Tensor, inputs: Points, options: O): Described => ({
    d: infer(x, inputs, options),
    own: names.map((each) => (inputs[each] as AnyTensor).dtype),
  })
  const backwards: Op<Points, Described> = defineOp(`${name}Gradient`, {
    types: points,
    nothing: 'zeros',
    infer: (_: Points, described: Described) => described,
    output: ({ d }) => d.xShape,
    prepare: (list, { d, own }) => {
      list.routine(
        (out, from, ...addresses) => {
          const weights = read(d, addresses, own)
          const dy = elementsAt(from, sizeOf(d.yShape), 'float32')
          const dx = new Float64Array(sizeOf(d.xShape))
          const elements = sizeOf(d.yShape.slice(2))
          forEachChannel(d, weights, (output, inX, inY) => {
            for (let i = 0; i < elements; i++) {
              const element = output * elements + i
              for (let tap = weights.ends[element - 1] ?? 0; tap < (weights.ends[element] as number); tap++) {
                const place = inX + (weights.places[tap] as number)
                dx[place] = (dx[place] as number) + (weights.weights[tap] as number) * (dy[inY + i] as number)
              }
            }
          })
          elementsAt(out, dx.length, 'float32').set(dx)
        },
        list.out,
        list.operand('dy'),
        ...names.map((each) => list.operand(each)),
      )
    },
    keeps: names,
    gradient: ({ inputs }, ddx, d) => {
      const { dy: _, ...own } = inputs
      return { dy: again({ x: ddx, ...own }, d) }
    },
  })
  const make = (ofName: string, describe: (inputs: Points, options: never) => Described): Op<Points, never> =>
    defineOp(ofName, {
      types: points,
      infer: describe,
      output: ({ d }) => d.yShape,
      prepare: (list, { d, own }) => {
        const of = combine(d)
        list.routine(
          (out, from, ...addresses) => {
            const weights = read(d, addresses, own)
            const x = elementsAt(from, sizeOf(d.xShape), 'float32')
            const y = elementsAt(out, sizeOf(d.yShape), 'float32')
            const elements = sizeOf(d.yShape.slice(2))
            forEachChannel(d, weights, (output, inX, inY) => {
              for (let i = 0; i < elements; i++) {
                const element = output * elements + i
                y[inY + i] = of(x, inX, weights, weights.ends[element - 1] ?? 0, weights.ends[element] as number)
              }
            })
          },
          list.out,
          list.operand('x'),
          ...names.map((each) => list.operand(each)),
        )
      },
      keeps: names,
      gradient: ({ inputs }, dy, described) => {
        // By the points there is no entry, and where the largest is taken there is none at all.
        if (combine(described.d) !== summed) return {}
        const { x: _, ...own } = inputs
        return { x: backwards({ dy, ...own }, described) }
      },
    })
  const again = make(`${name}Again`, (_, described: Described) => described) as Op<Points, Described>
  const first = make(name, ({ x, ...own }, options: O) => described(x as Tensor, own, options)) as unknown as Op<
    Points,
    O
  >
  return (x, own, options) => first({ x, ...own }, options)
}

/** What lies outside of a map. */
export type GridPadding = 'zeros' | 'border' | 'reflection'

/** Options of `gridSample`. */
export interface GridOptions {
  /** Default 'linear': bilinear of two directions. */
  readonly mode?: 'nearest' | 'linear' | 'cubic'
  /** Default 'zeros'. */
  readonly padding?: GridPadding
  /** Whether −1 and 1 are the centres of the outer pixels, else their outer edges. Default false. */
  readonly alignCorners?: boolean
}

interface Grid extends Sampling, Required<GridOptions> {}

/** Keys' kernel with a = −0.75, at the four places around a coordinate that lies `t` behind the second. */
function cubicWeights(t: number): number[] {
  const a = -0.75
  const outer = (d: number): number => ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
  const inner = (d: number): number => ((a + 2) * d - (a + 3)) * d * d + 1
  return [outer(t + 1), inner(t), inner(1 - t), outer(2 - t)]
}

/** To the nearest whole number, of two the even one. */
function nearestEven(x: number): number {
  const low = Math.floor(x)
  const apart = x - low
  return apart < 0.5 || (apart === 0.5 && low % 2 === 0) ? low : low + 1
}

/** A coordinate reflected at `low` and `high` until it lies between them. */
function reflected(x: number, low: number, high: number): number {
  const range = high - low
  if (range <= 0 || !Number.isFinite(x)) return low
  const apart = x < low ? low - x : x > high ? x - high : 0
  if (apart === 0) return x
  const times = Math.floor(apart / range)
  const rest = apart - times * range
  return x < low === (times % 2 === 0) ? low + rest : high - rest
}

/** Places and weights along one direction of extent n, for a coordinate from −1 to 1. */
function gridWeights(at: number, n: number, { mode, padding, alignCorners }: Grid): [place: number, weight: number][] {
  // In single precision as it is given, so that what lies between two pixels is so here, too.
  const f = Math.fround
  let x = alignCorners ? f(f(f(at + 1) / 2) * (n - 1)) : f(f(f(f(at + 1) * n) - 1) / 2)
  const [low, high] = alignCorners ? [0, n - 1] : [-0.5, n - 0.5]
  const inside = (place: number): number => (place > 0 ? Math.min(place, n - 1) : 0)
  if (mode === 'nearest') x = nearestEven(x)
  if (!(x >= low && x <= high)) {
    // The pixels around a point outside are those of the border; cubic weights tell how far outside it is, up to where only one is left.
    if (padding === 'border') x = mode === 'cubic' ? (x > -3 ? Math.min(x, n + 2) : -3) : inside(x)
    else if (padding === 'reflection') x = reflected(x, low, high)
  }
  /** The pixel at a place, −1 for none. */
  const pixel = (place: number): number => {
    if (place >= 0 && place < n) return place
    if (padding === 'zeros') return -1
    return inside(padding === 'border' ? place : Math.trunc(reflected(place, low, high)))
  }
  if (mode === 'nearest') return [[pixel(Math.trunc(x)), 1]]
  const first = Math.floor(x)
  const t = x - first
  if (mode === 'linear') {
    return [
      [pixel(first), 1 - t],
      [pixel(first + 1), t],
    ]
  }
  return cubicWeights(t).map((weight, tap) => [pixel(first + tap - 1), weight])
}

const sampled = defineSampling<GridOptions, Grid>('gridSample', {
  points: { grid: ['float32'] },
  infer: (x, { grid }, { mode = 'linear', padding = 'zeros', alignCorners = false }) => {
    const shape = (grid as AnyTensor).shape
    const directions = x.ndim - 2
    if (directions < 1 || shape.length !== x.ndim || shape[0] !== x.shape[0] || shape[x.ndim - 1] !== directions) {
      throw new ShapeError(
        `gridSample: x must be (N, C, …) and the grid (N, …, directions), given ${showShape(x.shape)} and ${showShape(shape)}`,
      )
    }
    const yShape = [...x.shape.slice(0, 2), ...shape.slice(1, -1)]
    checkSize(yShape, 'gridSample')
    return { xShape: x.shape, yShape, sizes: [sizeOf(shape)], mode, padding, alignCorners }
  },
  weigh: (d, [grid]) => {
    const points = grid as Float32Array
    const extents = d.xShape.slice(2)
    const collected = new Collected()
    for (let n = 0; n < (d.xShape[0] as number); n++) collected.maps.push(n)
    for (let first = 0; first < points.length; first += extents.length) {
      let taps: [place: number, weight: number][] = [[0, 1]]
      extents.forEach((n, axis) => {
        const own = gridWeights(points[first + extents.length - 1 - axis] as number, n, d)
        taps = taps.flatMap(([place, weight]) =>
          own.flatMap(([next, by]): [number, number][] => (next < 0 ? [] : [[place * n + next, weight * by]])),
        )
      })
      for (const [place, weight] of taps) collected.add(place, weight)
      collected.end()
    }
    return collected
  },
  combine: () => summed,
})
/** Values of x (N, C, …) at the points of a grid (N, …, directions), of which the last direction comes first -> y (N, C, …). */
export const gridSample = (x: Tensor, grid: Tensor, options: GridOptions = {}): Tensor => sampled(x, { grid }, options)

/** Options of `roiAlign`. */
export interface RegionOptions {
  /** Rows and columns of each output. */
  readonly size: readonly [rows: number, columns: number]
  /** Pixels of x for one of the coordinates; default 1. */
  readonly scale?: number
  /** Points of each element in either direction; by default, and with 0, as many as it has pixels. */
  readonly samples?: number
  /** Whether a coordinate of a whole number is the edge of a pixel, else its centre. Default true. */
  readonly halfPixel?: boolean
  /** Whether the largest weighted pixel is taken in place of the mean of the points. Default false. */
  readonly largest?: boolean
}

interface Regions extends Sampling, Required<RegionOptions> {}

/** Points of all regions that are looked at, at most: what a region is told to be may be far larger than a map. */
const MOST_SAMPLES = 2 ** 22

/** Pixels and weights in one direction; undefined where a point lies outside of the map. */
function edgeWeights(at: number, n: number): [low: number, high: number, t: number] | undefined {
  if (!(at >= -1 && at <= n)) return undefined
  const inside = Math.max(at, 0)
  const low = Math.floor(inside)
  return low >= n - 1 ? [n - 1, n - 1, 0] : [low, low + 1, inside - low]
}

const aligned = defineSampling<RegionOptions, Regions>('roiAlign', {
  points: { regions: ['float32'], maps: ['int64', 'int32'] },
  infer: (x, { regions, maps }, { size, scale = 1, samples = 0, halfPixel = true, largest: takesLargest = false }) => {
    const [shape, mapShape] = [(regions as AnyTensor).shape, (maps as AnyTensor).shape]
    const [M] = shape as [number]
    if (x.ndim !== 4 || shape.length !== 2 || shape[1] !== 4 || mapShape.length !== 1 || mapShape[0] !== M) {
      throw new ShapeError(
        `roiAlign: x must be (N, C, H, W), the regions (M, 4) and their maps (M), given ${[x.shape, shape, mapShape].map(showShape).join(', ')}`,
      )
    }
    const yShape = [M, x.shape[1] as number, ...size]
    checkSize(yShape, 'roiAlign')
    const sizes = [4 * M, M]
    return { xShape: x.shape, yShape, sizes, size, scale, samples, halfPixel, largest: takesLargest }
  },
  weigh: ({ xShape, size, scale, samples, halfPixel, largest: takesLargest }, [regions, maps]) => {
    const [N, , H, W] = xShape as unknown as [number, number, number, number]
    const [rows, columns] = size
    const collected = new Collected()
    const shift = halfPixel ? 0.5 : 0
    let points = 0
    for (let m = 0; m < (maps as ArrayLike<unknown>).length; m++) {
      const map = Number(maps?.[m])
      if (!(map >= 0 && map < N))
        throw new ArgumentError(`roiAlign: maps[${m}] must be from 0 to ${N - 1}, given ${map}`)
      collected.maps.push(map)
      const corner = (i: number): number => Number(regions?.[4 * m + i]) * scale - shift
      const [left, top] = [corner(0), corner(1)]
      // Before opset 16 a region has at least one pixel.
      const extent = (length: number): number => (halfPixel ? length : Math.max(length, 1))
      const [width, height] = [extent(corner(2) - left), extent(corner(3) - top)]
      const [high, wide] = [height / rows, width / columns]
      const countOf = (pixels: number): number => Math.max(0, samples > 0 ? samples : Math.ceil(pixels))
      const [down, across] = [countOf(high), countOf(wide)]
      points += down * across * rows * columns
      if (!(points <= MOST_SAMPLES))
        throw new ArgumentError(`roiAlign: the regions up to ${m} take more than ${MOST_SAMPLES} points of the maps`)
      const share = takesLargest ? 1 : 1 / Math.max(1, down * across)
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          for (let i = 0; i < down; i++) {
            const y = edgeWeights(top + row * high + ((i + 0.5) * high) / down, H)
            for (let j = 0; j < across; j++) {
              const x = edgeWeights(left + column * wide + ((j + 0.5) * wide) / across, W)
              if (!x || !y) {
                // A point outside counts as 0.
                if (takesLargest) collected.add(0, 0)
                continue
              }
              collected.add(y[0] * W + x[0], (1 - y[2]) * (1 - x[2]) * share)
              collected.add(y[0] * W + x[1], (1 - y[2]) * x[2] * share)
              collected.add(y[1] * W + x[0], y[2] * (1 - x[2]) * share)
              collected.add(y[1] * W + x[1], y[2] * x[2] * share)
            }
          }
          collected.end()
        }
      }
    }
    return collected
  },
  combine: ({ largest: takesLargest }) => (takesLargest ? largest : summed),
})
/**
 * Means over the parts of regions (M, 4), as x and y of two corners, of x (N, C, H, W): the map of each region is in `maps` (M) -> y
 * (M, C, rows, columns). He et al. 2017, Mask R-CNN.
 */
export const roiAlign = (x: Tensor, regions: Tensor, maps: AnyTensor, options: RegionOptions): Tensor =>
  aligned(x, { regions, maps }, options)
