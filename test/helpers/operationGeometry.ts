/**
 * Operations under random geometry: extents, strides, dilations and padding around 2¹⁵, 2¹⁶, 2²⁴, 2²⁸ … 2³¹ − 1 and numbers
 * that are no extents at all. What is legal is compared with a naive reference that visits only the taps that meet the
 * input, in float64; what is not must be refused by a ToeplitzError. Nothing may trap, take long or write beside its
 * block. Convolutions are in a generator of their own.
 */
import { vjp } from '../../src/autodiff/vjp.js'
import * as ops from '../../src/ops/index.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { CoreError, ToeplitzError } from '../../src/runtime/errors.js'
import { fromImageData, fromNHWC, normal, ones, tensor, uniform, zeros } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { guardBlocks } from './guards.js'
import { at, difference, indices, size } from './reference.js'

/** What became of the cases; every list of faults should be empty. */
export interface OperationReport {
  readonly cases: number
  /** Computed and compared, by operation. */
  readonly compared: Readonly<Record<string, number>>
  /** Refused by an error, as they should be. */
  readonly refused: number
  readonly wrong: readonly string[]
  /** Traps and errors that are not the library's. */
  readonly trapped: readonly string[]
  /** More than 2 s of a processor's time. */
  readonly slow: readonly string[]
  /** Cases after which memory beside a block had changed, or blocks were still in use. */
  readonly broken: readonly string[]
  /** Most milliseconds of a processor that a case took. */
  readonly slowest: number
}

/** Most milliseconds of a processor for one case. */
const PATIENCE = 2000

/** Numbers by a seed (mulberry32), and the sizes that are tried. */
class Chance {
  #state: number

  constructor(seed: number) {
    this.#state = seed
  }

  unit(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number from `low` to `high`. */
  int(low: number, high: number): number {
    return low + Math.floor(this.unit() * (high - low + 1))
  }

  pick<T>(list: readonly T[]): T {
    return list[this.int(0, list.length - 1)] as T
  }

  chance(probability: number): boolean {
    return this.unit() < probability
  }

  /** A size from 1 to 2³¹ − 1: small, around a power of two, or anything. */
  size(small = 0.4): number {
    if (this.chance(small)) return this.int(1, 6)
    const power = this.chance(0.75) ? this.pick([15, 16, 20, 24, 28, 29, 30, 31]) : this.unit() * 31
    return Math.max(1, Math.min(2 ** 31 - 1, Math.floor(2 ** power) + this.int(-3, 3)))
  }

  /** A number that may be no size. */
  hostile(): number {
    if (this.chance(0.6)) return this.size()
    return this.pick([
      0,
      -1,
      -(2 ** 31),
      2 ** 31,
      2 ** 32,
      2 ** 32 + 1,
      2 ** 53,
      2 ** 60,
      1e300,
      0.5,
      1.5,
      NaN,
      Infinity,
    ])
  }

  /** `count` small whole numbers, never zero. */
  values(count: number, negative = true): Float32Array {
    return Float32Array.from({ length: count }, () => this.int(1, 4) * (negative && this.chance(0.5) ? -1 : 1))
  }

  list<T>(count: number, make: (index: number) => T): T[] {
    return Array.from({ length: count }, (_, index) => make(index))
  }
}

/** What a case should give: undefined where it must be refused. */
interface Expected {
  readonly shape: readonly number[]
  readonly y: ArrayLike<number>
  /** Gradients of the inputs for the given dy. */
  readonly gradients: readonly ArrayLike<number>[]
  readonly dy: Float32Array
}

interface Case {
  readonly name: string
  readonly options: unknown
  readonly inputs: readonly { readonly shape: readonly number[]; readonly data: Float32Array }[]
  run(...inputs: Tensor[]): Tensor
  /** Undefined: it must be refused. 'either': it may be refused, and where it is not nothing is compared. */
  readonly expected: Expected | undefined | 'either'
}

const MOST_ELEMENTS = 2 ** 30

// ---- pooling ------------------------------------------------------------------------------------------------------

/** One window along one direction: its taps that meet the input, and how many a mean divides by. */
interface Range {
  readonly taps: readonly number[]
  readonly positions: readonly number[]
  readonly extent: number
}

interface Sliding {
  readonly kernel: number
  readonly stride: number
  readonly dilation: number
  readonly lo: number
  readonly hi: number
}

/** Windows of one direction, by whole numbers of any size; undefined where they must be refused. */
function slidingRanges(n: number, { kernel, stride, dilation, lo, hi }: Sliding, ceil: boolean): Range[] | undefined {
  const reach = BigInt(dilation) * BigInt(kernel - 1) + 1n
  if (BigInt(Math.max(lo, hi)) > reach / 2n) return undefined
  const room = BigInt(n + lo + hi) - reach
  const step = BigInt(stride)
  // Rounded down, as BigInt rounds to zero.
  const floor = room >= 0n ? room / step : -((-room + step - 1n) / step)
  let count = floor + 1n
  if (ceil && room !== floor * step && (floor + 1n) * step < BigInt(n + lo)) count++
  if (count < 1n) return undefined
  return Array.from({ length: Number(count) }, (_, i) => {
    const origin = i * stride - lo
    const first = Math.max(0, Math.ceil(-origin / dilation))
    const last = Math.min(kernel - 1, Math.floor((n - 1 - origin) / dilation))
    const taps = Array.from({ length: Math.max(0, last - first + 1) }, (_tap, index) => first + index)
    return {
      taps,
      positions: taps.map((tap) => origin + tap * dilation),
      extent: Math.min(kernel, n + hi - origin),
    }
  })
}

const adaptiveRanges = (n: number, output: number): Range[] =>
  Array.from({ length: output }, (_, i) => {
    const first = Math.floor((i * n) / output)
    const taps = Array.from({ length: Math.ceil(((i + 1) * n) / output) - first }, (_tap, tap) => tap)
    return { taps, positions: taps.map((tap) => first + tap), extent: taps.length }
  })

interface PoolWindow {
  readonly ranges: readonly Range[]
  readonly from: readonly number[]
}

/** Value of a window, and what dy adds to dx. */
interface PoolRule {
  value(x: Float32Array, window: PoolWindow): number
  gradient(dx: Float64Array, dy: number, x: Float32Array, window: PoolWindow): void
}

function poolExpected(
  chance: Chance,
  xShape: readonly number[],
  x: Float32Array,
  ranges: readonly (readonly Range[])[],
  rule: PoolRule,
): Expected {
  const output = ranges.map((list) => list.length)
  const shape = [...xShape.slice(0, 2), ...output]
  const y = new Float64Array(size(shape))
  const dx = new Float64Array(x.length)
  const dy = chance.values(y.length)
  let to = 0
  for (const index of indices(shape)) {
    const chosen = index.slice(2).map((i, axis) => ranges[axis]![i]!)
    const from: number[] = []
    for (const element of indices(chosen.map(({ taps }) => taps.length))) {
      from.push(at(xShape, [...index.slice(0, 2), ...element.map((i, axis) => chosen[axis]!.positions[i]!)]))
    }
    const window = { ranges: chosen, from }
    y[to] = rule.value(x, window)
    rule.gradient(dx, dy[to]!, x, window)
    to++
  }
  return { shape, y, gradients: [dx], dy }
}

const maximum: PoolRule = {
  value: (x, { from }) => from.reduce((best, i) => Math.max(best, x[i]!), -Infinity),
  gradient(dx, dy, x, window) {
    const best = maximum.value(x, window)
    const place = window.from.find((i) => x[i] === best)
    if (place !== undefined) dx[place]! += dy
  },
}

const countOf = (ranges: readonly Range[], counted: boolean): number =>
  ranges.reduce((product, { extent, taps }) => product * (counted ? extent : taps.length), 1)

const meanOf = (counted: boolean): PoolRule => ({
  value: (x, { from, ranges }) => from.reduce((sum, i) => sum + x[i]!, 0) / countOf(ranges, counted),
  gradient(dx, dy, _, { from, ranges }) {
    for (const i of from) dx[i]! += dy / countOf(ranges, counted)
  },
})

const normOf = (p: number, full: number): PoolRule => {
  const value = (x: Float32Array, { from, ranges }: PoolWindow): number =>
    (from.reduce((sum, i) => sum + x[i]! ** p, 0) * (full / countOf(ranges, true))) ** (1 / p)
  return {
    value,
    gradient(dx, dy, x, window) {
      const factor = (dy * value(x, window) ** (1 - p) * full) / countOf(window.ranges, true)
      for (const i of window.from) dx[i]! += factor * x[i]! ** (p - 1)
    },
  }
}

/** Weights that are a product of a column and a row, so that large ones can be summed. */
const weightedOf = (column: (r: number) => number, row: (s: number) => number, kernel: readonly number[]): PoolRule => {
  const factors = [column, row]
  const sumOver = (axis: number, first: number, count: number): number => {
    let sum = 0
    for (let tap = first; tap < first + count; tap++) sum += factors[axis]!(tap)
    return sum
  }
  const totals = kernel.map((taps, axis) => sumOver(axis, 0, taps))
  const share = ({ ranges }: PoolWindow): number =>
    ranges.reduce((product, { extent }, axis) => (product * sumOver(axis, 0, extent)) / totals[axis]!, 1)
  // Array.from looks at each index before the next one takes its place.
  const weights = ({ ranges }: PoolWindow): number[] =>
    Array.from(indices(ranges.map(({ taps }) => taps.length)), (element) =>
      element.reduce((product, i, axis) => (product * factors[axis]!(ranges[axis]!.taps[i]!)) / totals[axis]!, 1),
    )
  return {
    value(x, window) {
      const w = weights(window)
      return window.from.reduce((sum, i, index) => sum + w[index]! * x[i]!, 0) / share(window)
    },
    gradient(dx, dy, _, window) {
      const w = weights(window)
      window.from.forEach((i, index) => (dx[i]! += (dy * w[index]!) / share(window)))
    },
  }
}

const pooling = {
  max: [ops.maxPool1d, ops.maxPool2d, ops.maxPool3d],
  avg: [ops.avgPool1d, ops.avgPool2d, ops.avgPool3d],
  lp: [ops.lpPool1d, ops.lpPool2d],
  adaptiveAvg: [ops.adaptiveAvgPool1d, ops.adaptiveAvgPool2d, ops.adaptiveAvgPool3d],
  adaptiveMax: [ops.adaptiveMaxPool1d, ops.adaptiveMaxPool2d, ops.adaptiveMaxPool3d],
} as const

/** Extents of a small input. */
const smallInput = (chance: Chance, directions: number): number[] => [
  chance.int(1, 2),
  chance.int(1, 3),
  ...chance.list(directions, () => chance.int(1, directions === 1 ? 40 : directions === 2 ? 9 : 4)),
]

const inputOf = (chance: Chance, shape: readonly number[], negative = true): Case['inputs'][number] => ({
  shape,
  data: chance.values(size(shape), negative),
})

/** A window of any size; of two kinds that are legal more often: padding of half of its reach, and a small reach. */
function slidingWindow(chance: Chance, n: number, dilated: boolean, padded: boolean): Sliding {
  const kernel = chance.size(0.5)
  const dilation = dilated ? chance.size(0.5) : 1
  const half = Math.min(2 ** 31 - 1, Math.floor((dilation * (kernel - 1) + 1) / 2))
  const zeros = (): number => {
    if (!padded) return 0
    const zeros = chance.pick([
      0,
      half,
      half,
      half - chance.int(0, n),
      half - chance.int(0, n),
      half + 1,
      chance.size(),
    ])
    return Math.max(0, Math.min(2 ** 31 - 1, zeros))
  }
  return { kernel, stride: chance.size(0.5), dilation, lo: zeros(), hi: zeros() }
}

function slidingCase(chance: Chance): Case {
  const kind = chance.pick(['max', 'max', 'avg', 'lp', 'weighted'] as const)
  const directions = kind === 'weighted' ? 2 : chance.int(1, kind === 'lp' ? 2 : 3)
  const xShape = smallInput(chance, directions)
  const x = inputOf(chance, xShape, kind !== 'lp')
  const ceil = chance.chance(0.5)
  const windows = chance.list(directions, (axis) => {
    const n = xShape[axis + 2]!
    const draw = (): Sliding => slidingWindow(chance, n, kind === 'max', kind !== 'lp')
    let window = draw()
    // Most draws are refused: some of these are left.
    while (!slidingRanges(n, window, ceil) && chance.chance(0.95)) window = draw()
    return window
  })
  const countIncludePad = chance.chance(0.5)
  const kernel = windows.map((window) => window.kernel)
  const general = { kernel, stride: windows.map(({ stride }) => stride), ceil }
  const padding = windows.map(({ lo, hi }) => [lo, hi] as const)
  const ranges = windows.map((window, axis) => slidingRanges(xShape[axis + 2]!, window, ceil))
  const legal = ranges.every((list) => list !== undefined) ? ranges : undefined
  const expect = (rule: PoolRule): Expected | undefined => legal && poolExpected(chance, xShape, x.data, legal, rule)
  if (kind === 'max') {
    const options = { ...general, padding, dilation: windows.map(({ dilation }) => dilation) }
    const run = (input: Tensor): Tensor => pooling.max[directions - 1]!(input, options)
    return { name: `maxPool${directions}d`, options, inputs: [x], run, expected: expect(maximum) }
  }
  if (kind === 'avg') {
    const options = { ...general, padding, countIncludePad }
    const run = (input: Tensor): Tensor => pooling.avg[directions - 1]!(input, options)
    return { name: `avgPool${directions}d`, options, inputs: [x], run, expected: expect(meanOf(countIncludePad)) }
  }
  if (kind === 'lp') {
    const options = { ...general, p: chance.pick([1, 2, 3]) }
    const run = (input: Tensor): Tensor => pooling.lp[directions - 1]!(input, options)
    return {
      name: `lpPool${directions}d`,
      options,
      inputs: [x],
      run,
      expected: expect(normOf(options.p, size(kernel))),
    }
  }
  if (size(kernel) <= 64 && chance.chance(0.5)) {
    const column = chance.list(kernel[0]!, () => chance.int(1, 9))
    const row = chance.list(kernel[1]!, () => chance.int(1, 9))
    const weights = column.map((r) => row.map((s) => r * s))
    const options = { ...general, padding, countIncludePad: true, weights }
    const rule = weightedOf(
      (r) => column[r]!,
      (s) => row[s]!,
      kernel,
    )
    const run = (input: Tensor): Tensor => ops.weightedPool2d(input, options)
    return { name: 'weightedPool2d', options, inputs: [x], run, expected: expect(rule) }
  }
  const options = { ...general, padding, countIncludePad: true, sigma: kernel.map((taps) => taps / 2) }
  const gaussian =
    (taps: number) =>
    (tap: number): number =>
      Math.exp(-2 * ((tap - (taps - 1) / 2) / taps) ** 2)
  // A Gaussian of more taps than 2²² is refused.
  const expected =
    size(kernel) > 2 ** 22 ? undefined : expect(weightedOf(gaussian(kernel[0]!), gaussian(kernel[1]!), kernel))
  const run = (input: Tensor): Tensor => ops.weightedPool2d(input, options)
  return { name: 'weightedPool2d', options, inputs: [x], run, expected }
}

function adaptiveCase(chance: Chance): Case {
  const directions = chance.int(1, 3)
  const xShape = smallInput(chance, directions)
  const x = inputOf(chance, xShape)
  const output = chance.list(directions, () => (chance.chance(0.8) ? chance.int(1, 30) : chance.size()))
  const elements = xShape[0]! * xShape[1]! * size(output)
  if (elements > 2 ** 16 && elements <= MOST_ELEMENTS) output.fill(2)
  const kind = chance.pick(['adaptiveAvg', 'adaptiveMax'] as const)
  const run = (input: Tensor): Tensor => pooling[kind][directions - 1]!(input, output)
  const legal = xShape[0]! * xShape[1]! * size(output) <= MOST_ELEMENTS
  const expected = legal
    ? poolExpected(
        chance,
        xShape,
        x.data,
        output.map((extent, axis) => adaptiveRanges(xShape[axis + 2]!, extent)),
        kind === 'adaptiveAvg' ? meanOf(false) : maximum,
      )
    : undefined
  return { name: `${kind}Pool${directions}d`, options: output, inputs: [x], run, expected }
}

function unpoolCase(chance: Chance): Case {
  const xShape = [1, chance.int(1, 2), chance.int(1, 4), chance.int(1, 4)]
  const x = inputOf(chance, xShape)
  const kernel = chance.list(2, () => chance.size(0.6))
  const stride = chance.list(2, () => chance.size(0.6))
  const natural = (axis: number): bigint =>
    BigInt(xShape[axis + 2]! - 1) * BigInt(stride[axis]!) + BigInt(kernel[axis]!)
  // Padding that leaves a few elements, or any.
  const padding = chance.list(2, (axis) => {
    const fitting = Number((natural(axis) - BigInt(chance.int(1, 30))) / 2n)
    return fitting >= 0 && fitting < 2 ** 31 && chance.chance(0.7) ? fitting : chance.size()
  })
  const output = chance.list(2, (axis) => Number(natural(axis) - 2n * BigInt(padding[axis]!)))
  const plane = output[0]! * output[1]!
  const legal = output.every((extent) => extent >= 1) && plane * xShape[1]! <= MOST_ELEMENTS
  const small = legal && plane <= 2 ** 18
  const shape = [...xShape.slice(0, 2), ...output]
  const places = Int32Array.from(x.data, () => chance.int(-1, (small ? plane : 4) - 1))
  const options = { kernel, stride, padding }
  const run = (input: Tensor): Tensor => ops.maxUnpool2d(input, places, options)
  let expected: Case['expected'] = legal ? 'either' : undefined
  if (small) {
    const y = new Float64Array(size(shape))
    const dy = chance.values(y.length)
    const perMap = xShape[2]! * xShape[3]!
    const writers = new Map<number, number>()
    places.forEach((place, i) => {
      if (place < 0) return
      const to = Math.floor(i / perMap) * plane + place
      y[to] = x.data[i]!
      writers.set(to, i)
    })
    const dx = new Float64Array(x.data.length)
    for (const [to, i] of writers) dx[i] = dy[to]!
    expected = { shape, y, gradients: [dx], dy }
  }
  // What is legal and large costs what it is large: it is tried without being made.
  if (expected === 'either' && plane > 2 ** 22) return unpoolCase(chance)
  return { name: 'maxUnpool2d', options, inputs: [x], run, expected }
}

function maxoutCase(chance: Chance): Case {
  const xShape = [chance.int(1, 2), chance.int(1, 12), ...chance.list(chance.int(0, 3), () => chance.int(1, 4))]
  const x = inputOf(chance, xShape)
  const groupSize = chance.chance(0.6) ? chance.int(1, 6) : chance.hostile()
  const C = xShape[1]!
  const run = (input: Tensor): Tensor => ops.maxout(input, groupSize)
  const base = { name: 'maxout', options: groupSize, inputs: [x], run }
  if (!Number.isInteger(groupSize) || groupSize < 1 || C % groupSize !== 0) return { ...base, expected: undefined }
  const pixels = size(xShape.slice(2))
  const folded = [xShape[0]!, C / groupSize, groupSize, pixels]
  const ranges = [
    slidingRanges(groupSize, { kernel: groupSize, stride: 1, dilation: 1, lo: 0, hi: 0 }, false)!,
    slidingRanges(pixels, { kernel: 1, stride: 1, dilation: 1, lo: 0, hi: 0 }, false)!,
  ]
  const expected = poolExpected(chance, folded, x.data, ranges, maximum)
  return { ...base, expected: { ...expected, shape: [xShape[0]!, C / groupSize, ...xShape.slice(2)] } }
}

// ---- local and transposed convolutions ------------------------------------------------------------------------------

/** Windows whose padding is as large as their strides and dilation, so that there are few of them. */
function fewWindows(chance: Chance, n: number, kernel: number, dilation = 1): Sliding & { readonly output: number } {
  const stride = chance.size(0.5)
  const output = chance.int(1, 4)
  const reach = (kernel - 1) * dilation + 1
  const needed = (output - 1) * stride + reach + chance.int(0, Math.min(3, stride - 1)) - n
  const lo = Math.max(0, Math.min(2 ** 31 - 1, chance.pick([0, Math.floor(needed / 2), needed, chance.size()])))
  const hi = Math.max(0, Math.min(2 ** 31 - 1, needed - lo))
  const room = n + lo + hi - reach
  return { kernel, stride, dilation, lo, hi, output: room < 0 ? 0 : Math.floor(room / stride) + 1 }
}

function localCase(chance: Chance): Case {
  const own = chance.chance(0.5)
  const directions = chance.int(1, 2) as 1 | 2
  const [N, C, K] = [chance.int(1, 2), chance.int(1, 3), chance.int(1, 3)] as const
  const input = chance.list(directions, () => chance.int(1, 8))
  const windows = input.map((n) => fewWindows(chance, n, chance.int(1, 5)))
  const output = windows.map((window) => window.output)
  if (size(output) > 400) return localCase(chance)
  const periods = own ? output.map((extent) => Math.max(1, extent)) : chance.list(directions, () => chance.int(1, 3))
  const kernel = windows.map((window) => window.kernel)
  const wShape = own ? [K, ...periods, C, ...kernel] : [K, C, ...kernel, ...periods]
  const xShape = [N, C, ...input]
  const inputs = [inputOf(chance, xShape), inputOf(chance, wShape), inputOf(chance, [K, ...periods])]
  const options = {
    stride: windows.map(({ stride }) => stride),
    padding: windows.map(({ lo, hi }) => [lo, hi] as const),
  }
  const kind = own ? 'locallyConnected' : 'tiledConv'
  const operation = {
    locallyConnected: [ops.locallyConnected1d, ops.locallyConnected2d],
    tiledConv: [ops.tiledConv1d, ops.tiledConv2d],
  }[kind][directions - 1]!
  const run = (x: Tensor, w: Tensor, bias: Tensor): Tensor => operation(x, w, { ...options, bias })
  const base = { name: `${kind}${directions}d`, options, inputs, run }
  if (output.some((extent) => extent < 1)) return { ...base, expected: undefined }
  const shape = [N, K, ...output]
  const [x, w, bias] = inputs.map(({ data }) => data) as [Float32Array, Float32Array, Float32Array]
  const y = new Float64Array(size(shape))
  const dy = chance.values(y.length)
  const [dx, dw, db] = [x, w, bias].map(({ length }) => new Float64Array(length)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ]
  for (const index of indices(shape)) {
    const [n, k, ...pixel] = index as [number, number, ...number[]]
    const place = pixel.map((p, axis) => p % periods[axis]!)
    const to = at(shape, index)
    const biasAt = at([K, ...periods], [k, ...place])
    y[to]! += bias[biasAt]!
    db[biasAt]! += dy[to]!
    for (const tap of indices([C, ...kernel])) {
      const [c, ...offset] = tap as [number, ...number[]]
      const from = offset.map((s, axis) => pixel[axis]! * windows[axis]!.stride - windows[axis]!.lo + s)
      if (from.some((position, axis) => position < 0 || position >= input[axis]!)) continue
      const xAt = at(xShape, [n, c, ...from])
      const wAt = at(wShape, own ? [k, ...place, c, ...offset] : [k, c, ...offset, ...place])
      y[to]! += w[wAt]! * x[xAt]!
      dx[xAt]! += w[wAt]! * dy[to]!
      dw[wAt]! += x[xAt]! * dy[to]!
    }
  }
  return { ...base, expected: { shape, y, gradients: [dx, dw, db], dy } }
}

/** Two-dimensional windows over maps that are convolved with a kernel each, or connected by a table. */
function connectedCase(chance: Chance): Case {
  const separable = chance.chance(0.5)
  const [N, C] = [chance.int(1, 2), chance.int(1, 3)] as const
  const K = separable ? C : chance.int(1, 3)
  const input = chance.list(2, () => chance.int(1, 8))
  const windows = input.map((n) => fewWindows(chance, n, chance.int(1, 4), chance.size(0.6)))
  const output = windows.map((window) => window.output)
  if (size(output) > 100) return connectedCase(chance)
  const kernel = windows.map((window) => window.kernel)
  const each = (choose: (window: Sliding) => number): [number, number] => windows.map(choose) as [number, number]
  const options = {
    stride: each(({ stride }) => stride),
    dilation: each(({ dilation }) => dilation),
    padding: windows.map(({ lo, hi }) => [lo, hi]) as unknown as readonly [
      readonly [number, number],
      readonly [number, number],
    ],
  }
  const xShape = [N, C, ...input]
  const x = inputOf(chance, xShape)
  const shape = [N, K, ...output]
  const factors = separable ? kernel.map((taps) => inputOf(chance, [C, taps])) : [inputOf(chance, [K, C, ...kernel])]
  const table = chance.list(K, () => chance.list(C, () => chance.chance(0.7)))
  const inputs = [x, ...factors]
  const base = {
    name: separable ? 'separableConv2d' : 'connectedConv2d',
    options,
    inputs,
    run: separable
      ? (input: Tensor, column: Tensor, row: Tensor) => ops.separableConv2d(input, { column, row }, options)
      : (input: Tensor, w: Tensor) => ops.connectedConv2d(input, w, table, options),
  }
  if (output.some((extent) => extent < 1)) return { ...base, expected: undefined }
  const y = new Float64Array(size(shape))
  const dy = chance.values(y.length)
  const gradients = inputs.map(({ data }) => new Float64Array(data.length))
  for (const index of indices(shape)) {
    const [n, k, ...pixel] = index as [number, number, ...number[]]
    const to = at(shape, index)
    for (const tap of indices([C, ...kernel])) {
      const [c, ...offset] = tap as [number, ...number[]]
      if (separable ? c !== k : !table[k]![c]) continue
      const from = offset.map((s, axis) => {
        const { stride, dilation, lo } = windows[axis]!
        return pixel[axis]! * stride - lo + s * dilation
      })
      if (from.some((position, axis) => position < 0 || position >= input[axis]!)) continue
      const places = separable
        ? [at(xShape, [n, c, ...from]), ...offset.map((s, axis) => c * kernel[axis]! + s)]
        : [at(xShape, [n, c, ...from]), at([K, C, ...kernel], [k, ...tap])]
      const values = places.map((place, i) => inputs[i]!.data[place]!)
      y[to]! += values.reduce((product, value) => product * value, 1)
      places.forEach((place, i) => {
        gradients[i]![place]! += values.reduce((product, value, j) => (j === i ? product : product * value), dy[to]!)
      })
    }
  }
  return { ...base, expected: { shape, y, gradients, dy } }
}

function transposeCase(chance: Chance): Case {
  const directions = chance.int(1, 3)
  const [N, C, K] = [chance.int(1, 2), chance.int(1, 2), chance.int(1, 2)] as const
  const input = chance.list(directions, () => chance.int(1, directions === 3 ? 2 : 4))
  const kernel = chance.list(directions, () => chance.int(1, 3))
  const stride = chance.list(directions, () => chance.size(0.6))
  const dilation = chance.list(directions, () => chance.size(0.6))
  const whole = input.map((n, axis) => (n - 1) * stride[axis]! + dilation[axis]! * (kernel[axis]! - 1) + 1)
  // Padding cuts all but a few elements off, or what it likes.
  const padding = whole.map((extent) => {
    const cut = Math.max(0, extent - chance.int(1, 8))
    const lo = chance.pick([0, Math.floor(cut / 2), cut, chance.size()])
    return [lo, Math.max(0, cut - lo)].map((zeros) => Math.min(zeros, 2 ** 31 - 1)) as [number, number]
  })
  const output = whole.map((extent, axis) => extent - padding[axis]![0] - padding[axis]![1])
  const shape = [N, K, ...output]
  const xShape = [N, C, ...input]
  const wShape = [C, K, ...kernel]
  const inputs = [inputOf(chance, xShape), inputOf(chance, wShape)]
  const options = { stride, dilation, padding }
  const operation = [ops.convTranspose1d, ops.convTranspose2d, ops.convTranspose3d][directions - 1]!
  const run = (x: Tensor, w: Tensor): Tensor => operation(x, w, options)
  const base = { name: `convTranspose${directions}d`, options, inputs, run }
  if (output.some((extent) => extent < 1) || size(shape) > MOST_ELEMENTS) return { ...base, expected: undefined }
  if (size(shape) > 2 ** 12) return transposeCase(chance)
  const [x, w] = inputs.map(({ data }) => data) as [Float32Array, Float32Array]
  const y = new Float64Array(size(shape))
  const dy = chance.values(y.length)
  const [dx, dw] = [new Float64Array(x.length), new Float64Array(w.length)]
  for (const index of indices(xShape)) {
    const [n, c, ...pixel] = index as [number, number, ...number[]]
    const xAt = at(xShape, index)
    for (const tap of indices([K, ...kernel])) {
      const [k, ...offset] = tap as [number, ...number[]]
      const to = pixel.map((p, axis) => p * stride[axis]! + offset[axis]! * dilation[axis]! - padding[axis]![0])
      if (to.some((position, axis) => position < 0 || position >= output[axis]!)) continue
      const yAt = at(shape, [n, k, ...to])
      const wAt = at(wShape, [c, k, ...offset])
      y[yAt]! += x[xAt]! * w[wAt]!
      dx[xAt]! += dy[yAt]! * w[wAt]!
      dw[wAt]! += dy[yAt]! * x[xAt]!
    }
  }
  return { ...base, expected: { shape, y, gradients: [dx, dw], dy } }
}

// ---- layout -----------------------------------------------------------------------------------------------------------

/** A case whose output is gathered from x: `source` gives for an index of y the terms (position in x, factor). */
function gathered(
  chance: Chance,
  name: string,
  options: unknown,
  xShape: readonly number[],
  shape: readonly number[],
  source: (index: readonly number[]) => readonly (readonly [from: number, factor: number])[],
  run: (x: Tensor) => Tensor,
  least = 1,
): Case {
  const x = inputOf(chance, xShape)
  const base = { name, options, inputs: [x], run }
  if (!shape.every((extent) => Number.isInteger(extent) && extent >= least) || size(shape) > MOST_ELEMENTS) {
    return { ...base, expected: undefined }
  }
  const y = new Float64Array(size(shape))
  const dy = chance.values(y.length)
  const dx = new Float64Array(x.data.length)
  let to = 0
  for (const index of indices(shape)) {
    for (const [from, factor] of source(index)) {
      y[to]! += factor * x.data[from]!
      dx[from]! += factor * dy[to]!
    }
    to++
  }
  return { ...base, expected: { shape, y, gradients: [dx], dy } }
}

/** Largest output of a case of layout that is made. */
const COMPARED = 2 ** 15

function padCase(chance: Chance): Case {
  const xShape = chance.list(chance.int(1, 4), () => chance.int(1, 4))
  const mode = chance.pick(['zeros', 'reflect', 'replicate', 'circular'] as const)
  const amount = (): number => (chance.chance(0.8) ? chance.int(0, 4) : chance.size())
  const padding = xShape.map(() => [amount(), amount()] as const)
  const shape = xShape.map((n, axis) => n + padding[axis]![0] + padding[axis]![1])
  const room = (n: number): number => (mode === 'reflect' ? n - 1 : mode === 'circular' ? n : Infinity)
  const legal = xShape.every((n, axis) => Math.max(...padding[axis]!) <= room(n))
  if (legal && size(shape) > COMPARED && size(shape) <= MOST_ELEMENTS) return padCase(chance)
  const sourceOf = (i: number, n: number): number | undefined => {
    if (i >= 0 && i < n) return i
    if (mode === 'zeros') return undefined
    if (mode === 'replicate') return i < 0 ? 0 : n - 1
    if (mode === 'circular') return (i + n) % n
    return i < 0 ? -i : 2 * (n - 1) - i
  }
  return gathered(
    chance,
    'pad',
    { padding, mode },
    xShape,
    legal ? shape : [0],
    (index) => {
      const from = index.map((i, axis) => sourceOf(i - padding[axis]![0], xShape[axis]!))
      return from.includes(undefined) ? [] : [[at(xShape, from as number[]), 1]]
    },
    (x) => ops.pad(x, padding, { mode }),
  )
}

function upsampleCase(chance: Chance): Case {
  const xShape = [chance.int(1, 2), chance.int(1, 2), chance.int(1, 3), chance.int(1, 3)]
  const scale = chance.list(2, () => (chance.chance(0.7) ? chance.int(1, 5) : chance.hostile())) as [number, number]
  const mode = chance.pick(['nearest', 'bilinear'] as const)
  const shape = [xShape[0]!, xShape[1]!, xShape[2]! * scale[0], xShape[3]! * scale[1]]
  const legal = scale.every((factor) => Number.isInteger(factor) && factor >= 1 && factor < 2 ** 31)
  if (legal && size(shape) > COMPARED && size(shape) <= MOST_ELEMENTS) return upsampleCase(chance)
  const along = (i: number, axis: 0 | 1): (readonly [number, number])[] => {
    const n = xShape[axis + 2]!
    if (mode === 'nearest') return [[Math.floor(i / scale[axis]), 1]]
    const place = (i + 0.5) / scale[axis] - 0.5
    const part = place - Math.floor(place)
    const clip = (j: number): number => Math.min(n - 1, Math.max(0, j))
    return [
      [clip(Math.floor(place)), 1 - part],
      [clip(Math.floor(place) + 1), part],
    ]
  }
  return gathered(
    chance,
    'upsample2d',
    { scale, mode },
    xShape,
    legal ? shape : [0],
    ([n, c, p, q]) =>
      along(p!, 0).flatMap(([h, a]) => along(q!, 1).map(([w, b]) => [at(xShape, [n!, c!, h, w]), a * b] as const)),
    (x) => ops.upsample2d(x, { scale, mode }),
  )
}

function sliceCase(chance: Chance): Case {
  const xShape = chance.list(chance.int(1, 4), () => chance.int(1, 5))
  const bound = (n: number): number => (chance.chance(0.8) ? chance.int(-n, n) : chance.hostile())
  const begin = xShape.map(bound)
  const end = xShape.map(bound)
  const legal = [begin, end].every((list) =>
    list.every((value, axis) => Number.isInteger(value) && Math.abs(value) <= xShape[axis]!),
  )
  const [first, last] = [begin, end].map((list) =>
    list.map((value, axis) => (value < 0 ? value + xShape[axis]! : value)),
  ) as [number[], number[]]
  return gathered(
    chance,
    'slice',
    { begin, end },
    xShape,
    legal ? first.map((low, axis) => last[axis]! - low) : [-1],
    (index) => [
      [
        at(
          xShape,
          index.map((i, axis) => i + first[axis]!),
        ),
        1,
      ],
    ],
    (x) => ops.slice(x, { begin, end }),
    0,
  )
}

function broadcastCase(chance: Chance): Case {
  const shape = chance.list(chance.int(1, 4), () => (chance.chance(0.8) ? chance.int(1, 4) : chance.size()))
  // Each extent comes from one operand or both: operands stay small where the result does not.
  const kept = shape.map(() => chance.int(1, 3))
  const part = (bit: number): number[] => shape.map((extent, axis) => (kept[axis]! & bit ? extent : 1))
  const [a, b] = [part(1), part(2)]
  const most = chance.pick([COMPARED, 2 ** 18])
  if (size(a) > most || size(b) > most) return broadcastCase(chance)
  if (size(shape) > COMPARED && size(shape) <= MOST_ELEMENTS) return broadcastCase(chance)
  const inputs = [inputOf(chance, a), inputOf(chance, b)]
  const base = { name: 'mul', options: { a, b }, inputs, run: (x: Tensor, y: Tensor) => ops.mul(x, y) }
  if (size(shape) > MOST_ELEMENTS) return { ...base, expected: undefined }
  const y = new Float64Array(size(shape))
  const dy = chance.values(y.length)
  const gradients = [new Float64Array(size(a)), new Float64Array(size(b))] as const
  let to = 0
  for (const index of indices(shape)) {
    const [i, j] = [a, b].map((own) =>
      at(
        own,
        index.map((value, axis) => (own[axis] === 1 ? 0 : value)),
      ),
    ) as [number, number]
    y[to] = inputs[0]!.data[i]! * inputs[1]!.data[j]!
    gradients[0][i]! += dy[to]! * inputs[1]!.data[j]!
    gradients[1][j]! += dy[to]! * inputs[0]!.data[i]!
    to++
  }
  return { ...base, expected: { shape, y, gradients, dy } }
}

function matmulCase(chance: Chance): Case {
  const [M, K, N] = chance.chance(0.5)
    ? [chance.size(0.2), 1, chance.size(0.2)]
    : [chance.int(1, 9), chance.size(0.3), chance.int(1, 9)]
  if (M * K > 2 ** 18 || K * N > 2 ** 18) return matmulCase(chance)
  if (M * N > COMPARED && M * N < MOST_ELEMENTS) return matmulCase(chance)
  const inputs = [inputOf(chance, [M, K]), inputOf(chance, [K, N])]
  const base = { name: 'matmul', options: { M, K, N }, inputs, run: (a: Tensor, b: Tensor) => ops.matmul(a, b) }
  // 2³⁰ elements are all of memory.
  if (M * N >= MOST_ELEMENTS) return { ...base, expected: undefined }
  const [a, b] = inputs.map(({ data }) => data) as [Float32Array, Float32Array]
  const y = new Float64Array(M * N)
  const dy = chance.values(M * N)
  const [da, db] = [new Float64Array(M * K), new Float64Array(K * N)]
  for (let m = 0; m < M; m++) {
    for (let n = 0; n < N; n++) {
      for (let k = 0; k < K; k++) {
        y[m * N + n]! += a[m * K + k]! * b[k * N + n]!
        da[m * K + k]! += dy[m * N + n]! * b[k * N + n]!
        db[k * N + n]! += dy[m * N + n]! * a[m * K + k]!
      }
    }
  }
  return { ...base, expected: { shape: [M, N], y, gradients: [da, db], dy } }
}

// ---- shapes ------------------------------------------------------------------------------------------------------------

/** Product of extents of any size; undefined where one is no extent. */
function elementsOf(shape: readonly number[], least = 1): bigint | undefined {
  if (!shape.every((extent) => Number.isInteger(extent) && extent >= least)) return undefined
  return shape.reduce((product, extent) => product * BigInt(extent), 1n)
}

function creationCase(chance: Chance): Case {
  const shape = chance.list(chance.int(1, 4), () => (chance.chance(0.4) ? chance.int(1, 4) : chance.hostile()))
  const elements = elementsOf(shape, 0)
  if (elements !== undefined && elements > 2n ** 20n && elements <= 2n ** 30n) return creationCase(chance)
  const make = { zeros, ones, uniform, normal, tensor: () => tensor(new Float32Array(6), shape) }
  const legal = elements !== undefined && elements <= 2n ** 30n
  const name = chance.pick(['zeros', 'ones', 'uniform', 'normal', 'tensor'] as const)
  const run = (): Tensor => ops.mul(make[name](shape), 0)
  const expected =
    legal && (name !== 'tensor' || elements === 6n)
      ? { shape, y: new Float64Array(Number(elements)), gradients: [], dy: new Float32Array(Number(elements)) }
      : undefined
  return { name, options: shape, inputs: [], run, expected }
}

function reshapeCase(chance: Chance): Case {
  const xShape = chance.list(chance.int(1, 3), () => chance.int(1, 6))
  const shape = chance.list(chance.int(0, 4), () =>
    chance.chance(0.2) ? -1 : chance.chance(0.7) ? chance.int(1, 6) : chance.hostile(),
  )
  const wild = shape.filter((extent) => extent === -1).length
  const known = elementsOf(
    shape.filter((extent) => extent !== -1),
    0,
  )
  const own = BigInt(size(xShape))
  const legal = known !== undefined && (wild === 0 ? known === own : wild === 1 && known > 0n && own % known === 0n)
  const full = legal ? shape.map((extent) => (extent === -1 ? Number(own / known) : extent)) : [-1]
  return gathered(
    chance,
    'reshape',
    { from: xShape, to: shape },
    xShape,
    full,
    (index) => [[at(full, index), 1]],
    (x) => ops.mul(x.reshape(shape), 1),
  )
}

function pictureCase(chance: Chance): Case {
  const [H, W] = [0, 0].map(() => (chance.chance(0.6) ? chance.int(1, 4) : chance.hostile())) as [number, number]
  const count = chance.chance(0.7) && H * W <= 16 && H * W >= 1 ? Math.floor(H * W) : chance.int(1, 16)
  const data = new Uint8ClampedArray(4 * count).fill(255)
  const legal = elementsOf([H, W]) === BigInt(count)
  const picture = chance.chance(0.5)
  const run = picture
    ? (): Tensor => fromImageData({ data, width: W, height: H })
    : (): Tensor => ops.mul(fromNHWC(data, [1, H, W, 4]), 1 / 255)
  const shape = [1, picture ? 3 : 4, H, W]
  const expected = legal
    ? {
        shape,
        y: new Float64Array(shape[1]! * count).fill(1),
        gradients: [],
        dy: new Float32Array(shape[1]! * count),
      }
    : undefined
  return { name: picture ? 'fromImageData' : 'fromNHWC', options: { H, W, count }, inputs: [], run, expected }
}

/** Numbers that are no sizes in options that are: nothing but a refusal or a tensor may come of them. */
function optionCase(chance: Chance): Case {
  const h = (): number => chance.hostile()
  const two = (): [number, number] => [h(), h()]
  // Elements that the result may have so that it is made: others are refused or cost what they are large.
  const x = inputOf(chance, [2, 3, 4, 5])
  const calls: Record<string, (input: Tensor) => Tensor> = {
    localResponseNorm: (input) => ops.localResponseNorm(input, { size: h() }),
    softmax: (input) => ops.softmax(input, h()),
    sum: (input) => ops.sum(input, two()),
    flatten: (input) => ops.flatten(input, h()),
    concat: (input) => ops.concat([input, input], h()),
    transpose: (input) => ops.transpose(input, [...two(), ...two()]),
    dropout: (input) => ops.dropout(input, { p: 0.5, seed: h(), stream: h() }),
    'maxPool2d of numbers': (input) =>
      ops.maxPool2d(input, { kernel: two(), stride: two(), padding: two(), dilation: two() }),
    'avgPool2d of numbers': (input) => ops.avgPool2d(input, { kernel: two(), stride: two(), padding: two() }),
    'lpPool2d of numbers': (input) => ops.lpPool2d(input, { kernel: two(), stride: two(), p: h() }),
    'locallyConnected2d of numbers': (input) =>
      ops.locallyConnected2d(input, ones([1, 1, 1, 3, 2, 2]), { stride: two(), padding: two() }),
    'maxUnpool2d of numbers': (input) =>
      ops.maxUnpool2d(input, new Int32Array(120), { kernel: two(), outputSize: [chance.int(1, 9), chance.int(1, 9)] }),
    'crossEntropy of numbers': (input) => ops.crossEntropy(ops.flatten(input), two()),
  }
  const name = chance.pick(Object.keys(calls))
  return { name, options: undefined, inputs: [x], run: calls[name]!, expected: 'either' }
}

const families = {
  sliding: slidingCase,
  adaptive: adaptiveCase,
  unpool: unpoolCase,
  maxout: maxoutCase,
  local: localCase,
  connected: connectedCase,
  transpose: transposeCase,
  pad: padCase,
  upsample: upsampleCase,
  slice: sliceCase,
  broadcast: broadcastCase,
  matmul: matmulCase,
  creation: creationCase,
  reshape: reshapeCase,
  picture: pictureCase,
  option: optionCase,
} as const

export type Family = keyof typeof families
const names = Object.keys(families) as Family[]
/** How often each comes. */
const weights: Partial<Record<Family, number>> = { sliding: 5, adaptive: 2, local: 3, connected: 2, transpose: 2 }
const drawn = names.flatMap((name) => new Array<Family>(weights[name] ?? 1).fill(name))

// ---- running -------------------------------------------------------------------------------------------------------------

function compareCase({ inputs, run, expected }: Case): string | undefined {
  return scope(() => {
    const given = inputs.map(({ shape, data }) => tensor(data, shape))
    if (expected === undefined || expected === 'either') {
      const y = run(...given)
      return expected === 'either' ? undefined : `gave (${y.shape.join(', ')}) instead of an error`
    }
    const { value, pullback, dispose } = vjp(run, ...given)
    try {
      if (value.shape.join() !== expected.shape.join()) {
        return `has the shape (${value.shape.join(', ')}), not (${expected.shape.join(', ')})`
      }
      const results = [value.data()]
      const wanted = [expected.y]
      if (inputs.length > 0) {
        for (const gradient of pullback(tensor(expected.dy, expected.shape))) results.push(gradient.data())
        wanted.push(...expected.gradients)
      }
      const finite = (values: ArrayLike<number>): Float64Array =>
        Float64Array.from(values, (v) => (v === -Infinity ? -1e3 : v))
      for (const [index, result] of results.entries()) {
        const { error, scale } = difference(finite(result), finite(wanted[index]!))
        if (!(error <= 1e-4 * scale + 1e-6)) {
          return `${index === 0 ? 'the value' : `gradient ${index}`} is off by ${error} of ${scale}`
        }
      }
      for (const [index, { data }] of inputs.entries()) {
        if (difference(given[index]!.data(), data).error !== 0) return `input ${index} has changed`
      }
      return undefined
    } finally {
      dispose()
    }
  })
}

/**
 * Runs cases number 0 to `count` of a seed, each by itself: case i of a seed is the same whatever the count. `only` limits
 * them to some families.
 */
export function checkOperations(seed: number, count: number, only: readonly Family[] = names): OperationReport {
  const guards = guardBlocks()
  const compared: Record<string, number> = {}
  const [wrong, trapped, slow, broken]: string[][] = [[], [], [], []]
  let refused = 0
  let slowest = 0
  const allowed = drawn.filter((name) => only.includes(name))
  for (let number = 0; number < count; number++) {
    const chance = new Chance(Math.imul(seed, 0x9e3779b1) + Math.imul(number, 0x85ebca6b))
    const test = families[chance.pick(allowed)](chance)
    const { name, options, inputs } = test
    const shapes = inputs.map(({ shape }) => `(${shape.join(', ')})`).join(' ')
    const told = `seed ${seed}, case ${number}: ${name} ${shapes} ${JSON.stringify(options)}`
    const before = memoryUsage().blocks
    const start = process.cpuUsage()
    try {
      const fault = compareCase(test)
      if (fault === undefined) compared[name] = (compared[name] ?? 0) + 1
      else wrong!.push(`${told} ${fault}`)
    } catch (error) {
      if (!(error instanceof ToeplitzError) || error instanceof CoreError) trapped!.push(`${told}: ${String(error)}`)
      else if (test.expected === undefined || test.expected === 'either') refused++
      else wrong!.push(`${told} was refused: ${error.message}`)
    }
    const { user, system } = process.cpuUsage(start)
    const time = (user + system) / 1000
    slowest = Math.max(slowest, time)
    if (time > PATIENCE) slow!.push(`${told}: ${Math.round(time)} ms`)
    const changed = guards.broken()
    const left = memoryUsage().blocks - before
    if (changed > 0 || left !== 0) broken!.push(`${told}: ${changed} guards changed, ${left} blocks left`)
    if (changed > 0) break
  }
  return {
    cases: count,
    compared,
    refused,
    wrong: wrong!,
    trapped: trapped!,
    slow: slow!,
    broken: broken!,
    slowest,
  }
}
