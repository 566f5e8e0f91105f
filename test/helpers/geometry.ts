/**
 * Convolutions whose stride, dilation and padding may be anything up to 2^31 − 1, at random, compared with a reference
 * that visits the pairs of taps and outputs that meet the input and nothing else. Tensors stay small; what the windows
 * reach over need not. Values are whole numbers from −2 to 2, so that algorithms by the definition are exact.
 */
import { algorithms, type ConvAlgorithm } from '../../src/plan/conv.js'
import { OutOfMemoryError, ShapeError, UnsupportedError } from '../../src/runtime/errors.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { tensor } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { conv1d, conv2d, conv3d, type ConvOptions } from '../../src/ops/conv.js'
import {
  conv1dInputGrad,
  conv1dWeightGrad,
  conv2dInputGrad,
  conv2dWeightGrad,
  conv3dInputGrad,
  conv3dWeightGrad,
} from '../../src/ops/convGradients.js'

/** What came out of a number of cases. */
export interface Report {
  cases: number
  /** Refused with a reason, by errors of the library. */
  refused: number
  /** Each a line that names the case: another answer, a changed neighbour, a foreign error, more than two seconds. */
  readonly faults: string[]
  /** The longest case, in seconds. */
  slowest: number
}

/** Whole numbers from a seed, the same everywhere: mulberry32. */
export function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

type Random = ReturnType<typeof randomOf>

const pick = <T>(random: Random, values: readonly T[]): T => values[random(values.length)] as T

/** Where 16-, 25- and 32-bit arithmetic ends. */
const EDGES = [2 ** 15, 2 ** 16, 2 ** 24, 2 ** 28, 2 ** 30, 2 ** 31 - 1]
const MOST = 2 ** 31 - 1

/** A number near an edge, or a small one. */
const anyNumber = (random: Random, small: number): number =>
  random(3) === 0 ? Math.min(MOST, Math.max(1, pick(random, EDGES) + random(5) - 2)) : 1 + random(small)

interface Along {
  n: number
  r: number
  s: number
  d: number
  padding: readonly [number, number] | 'same' | 'full' | 'valid'
  lo: number
  m: number
}

const outputOf = (n: number, r: number, s: number, d: number, lo: number, hi: number): number =>
  Math.floor((n + lo + hi - d * (r - 1) - 1) / s) + 1

/** One direction: extents of tensors are small, but now and then long; the output has up to `most` elements. */
function along(random: Random, padding: 'same' | 'full' | 'valid' | 'pairs', longest: number): Along {
  for (;;) {
    const long = random(12) === 0
    const n = long ? 1 + random(longest) : 1 + random(12)
    const r = random(20) === 0 ? 1 + random(40_000) : 1 + random(6)
    const s = random(3) === 0 ? anyNumber(random, 4) : 1
    const d = random(2) === 0 ? anyNumber(random, 5) : 1
    const reach = d * (r - 1) + 1
    let lo: number
    let hi: number
    if (padding === 'pairs') {
      const wanted = 1 + random(random(8) === 0 ? longest : 8)
      const total = Math.max(0, (wanted - 1) * s + reach - n + random(s))
      lo = Math.min(total, random(3) === 0 ? random(total + 1) : Math.floor(total / 2))
      hi = total - lo
      if (lo > MOST || hi > MOST) continue
    } else if (padding === 'same') {
      const total = Math.max(0, (Math.ceil(n / s) - 1) * s + reach - n)
      lo = Math.floor(total / 2)
      hi = total - lo
    } else {
      lo = padding === 'full' ? reach - 1 : 0
      hi = lo
    }
    const m = outputOf(n, r, s, d, lo, hi)
    if (m < 1 || m > longest) continue
    return { n, r, s, d, lo, m, padding: padding === 'pairs' ? [lo, hi] : padding }
  }
}

/** A convolution, and what each of its positions meets. */
export interface Case {
  readonly name: string
  readonly directions: 1 | 2 | 3
  readonly x: readonly number[]
  readonly w: readonly number[]
  readonly y: readonly number[]
  readonly lo: readonly number[]
  readonly options: ConvOptions & { stride: number[]; dilation: number[]; groups: number; flip: boolean }
}

/** A random convolution. `forced`: an algorithm by name now and then. */
export function randomConvolution(random: Random): Case {
  const directions = (1 + random(3)) as 1 | 2 | 3
  const padding = pick(random, ['pairs', 'pairs', 'same', 'full', 'valid'] as const)
  const longest = [200_000, 400, 40][directions - 1] as number
  const axes = Array.from({ length: directions }, () => along(random, padding, longest))
  const many = random(4) === 0 && axes.every(({ n, r, m }) => n * r * m < 400)
  const groups = pick(random, [1, 1, 2])
  const [groupC, groupK] = many ? [16, 16] : [1 + random(3), 1 + random(3)]
  const depthwise = random(6) === 0
  const [C, K] = depthwise ? [groups, groups] : [groups * groupC, groups * groupK]
  const N = 1 + random(2)
  const algorithm: ConvAlgorithm | 'auto' =
    random(2) === 0 ? 'auto' : pick(random, Object.keys(algorithms) as ConvAlgorithm[])
  const pairs = axes.map(({ padding: pair }) => pair)
  const options = {
    stride: axes.map(({ s }) => s),
    dilation: axes.map(({ d }) => d),
    padding: (padding === 'pairs' ? pairs : padding) as NonNullable<ConvOptions['padding']>,
    groups,
    flip: random(4) === 0,
    algorithm,
  }
  const w = [K, C / groups, ...axes.map(({ r }) => r)]
  const x = [N, C, ...axes.map(({ n }) => n)]
  return {
    name: `conv${directions}d x (${x.join()}) w (${w.join()}) ${JSON.stringify(options)}`,
    directions,
    x,
    w,
    y: [N, K, ...axes.map(({ m }) => m)],
    lo: axes.map(({ lo }) => lo),
    options,
  }
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((total, extent) => total * extent, 1)

/** Along one direction: for each tap the first output that it brings onto the input, and behind the last. */
function meetingsAlong(n: number, r: number, m: number, s: number, d: number, lo: number): [number, number][] {
  return Array.from({ length: r }, (_, t) => {
    const begin = Math.max(0, Math.ceil((lo - t * d) / s))
    const end = Math.min(m, Math.floor((n - 1 + lo - t * d) / s) + 1)
    return [begin, Math.max(begin, end)]
  })
}

/** How many products a reference of the case adds. */
export function productsOf({ x, w, y, lo, options: { stride, dilation } }: Case): number {
  const along = lo.map((zeros, axis) =>
    meetingsAlong(x[axis + 2]!, w[axis + 2]!, y[axis + 2]!, stride[axis]!, dilation[axis]!, zeros).reduce(
      (total, [begin, end]) => total + end - begin,
      0,
    ),
  )
  return along.reduce((total, count) => total * count, y[0]! * w[0]! * w[1]!)
}

/** visit(position in x, position in w, position in y) for every product. */
export function visitMeetings(
  { x, w, y, lo, options: { stride, dilation, groups, flip } }: Case,
  visit: (xi: number, wi: number, yi: number) => void,
): void {
  const three = (values: readonly number[], filler: number): [number, number, number] =>
    [...new Array<number>(3 - values.length).fill(filler), ...values] as [number, number, number]
  const [D, H, W] = three(x.slice(2), 1)
  const [T, R, S] = three(w.slice(2), 1)
  const [O, P, Q] = three(y.slice(2), 1)
  const [sd, sh, sw] = three(stride, 1)
  const [dd, dh, dw] = three(dilation, 1)
  const [ld, lh, lw] = three(lo, 0)
  // Taps with the outputs that they meet; of many taps few meet any.
  const meeting = (ranges: [number, number][]): [number, number, number][] =>
    ranges.map(([begin, end], t): [number, number, number] => [begin, end, t]).filter(([begin, end]) => end > begin)
  const meetD = meeting(meetingsAlong(D, T, O, sd, dd, ld))
  const meetH = meeting(meetingsAlong(H, R, P, sh, dh, lh))
  const meetW = meeting(meetingsAlong(W, S, Q, sw, dw, lw))
  const [N, C] = x as [number, number]
  const [K, groupC] = w as [number, number]
  const tap = (t: number, extent: number): number => (flip ? extent - 1 - t : t)
  for (let n = 0; n < N; n++) {
    for (let k = 0; k < K; k++) {
      const first = Math.floor(k / (K / groups)) * groupC
      for (let c = 0; c < groupC; c++) {
        meetD.forEach(([o0, o1, t]) => {
          for (let o = o0; o < o1; o++) {
            meetH.forEach(([p0, p1, r]) => {
              for (let p = p0; p < p1; p++) {
                meetW.forEach(([q0, q1, s]) => {
                  const wi = (((k * groupC + c) * T + tap(t, T)) * R + tap(r, R)) * S + tap(s, S)
                  for (let q = q0; q < q1; q++) {
                    const xi =
                      (((n * C + first + c) * D + o * sd + t * dd - ld) * H + p * sh + r * dh - lh) * W +
                      q * sw +
                      s * dw -
                      lw
                    visit(xi, wi, (((n * K + k) * O + o) * P + p) * Q + q)
                  }
                })
              }
            })
          }
        })
      }
    }
  }
}

const GUARD = 97
const guardValue = (i: number): number => 3 + (i % 11)

/** Tensors that nobody may change, between and around those of a case. */
function guards(count: number): Tensor[] {
  return Array.from({ length: count }, () =>
    tensor(
      Float32Array.from({ length: GUARD }, (_, i) => guardValue(i)),
      [GUARD],
    ),
  )
}

const intact = (guarded: readonly Tensor[]): boolean =>
  guarded.every((guard) => guard.data().every((value, i) => value === guardValue(i)))

/** Algorithms on transformed tiles round; the others are exact on small whole numbers. */
const EXACT = 0
const ROUNDED = 2e-4

function differs(got: Float32Array, expected: Float64Array, tolerance: number): string | undefined {
  if (got.length !== expected.length) return `${got.length} numbers instead of ${expected.length}`
  let largest = 1
  for (const value of expected) largest = Math.max(largest, Math.abs(value))
  for (let i = 0; i < got.length; i++) {
    const [value, right] = [got[i] as number, expected[i] as number]
    if (!(Math.abs(value - right) <= tolerance * largest)) return `element ${i} is ${value} instead of ${right}`
  }
  return undefined
}

/** Seconds of this process's processors, so that other processes do not count. */
const processorSeconds = (): number => process.cpuUsage().user / 1e6

/** All passes of one case: undefined where it is right, 'refused', or what is wrong; and seconds in the library. */
export function checkConvolution(random: Random, given: Case): { answer: string | undefined; seconds: number } {
  let seconds = 0
  const { directions, x: xShape, w: wShape, y: yShape, options } = given
  const numbers = (count: number): Float32Array => Float32Array.from({ length: count }, () => random(5) - 2)
  const [xs, ws, dys] = [numbers(sizeOf(xShape)), numbers(sizeOf(wShape)), numbers(sizeOf(yShape))]
  const bias = pick(random, ['none', 'channel', 'location'] as const)
  const biases = numbers(bias === 'none' ? 0 : bias === 'channel' ? wShape[0]! : sizeOf(yShape.slice(1)))
  const expected = {
    y: Float64Array.from({ length: dys.length }, (_, i) => {
      if (bias === 'none') return 0
      const inImage = i % sizeOf(yShape.slice(1))
      return biases[bias === 'location' ? inImage : Math.floor(inImage / sizeOf(yShape.slice(2)))] as number
    }),
    dx: new Float64Array(xs.length),
    dw: new Float64Array(ws.length),
  }
  visitMeetings(given, (xi, wi, yi) => {
    expected.y[yi]! += xs[xi]! * ws[wi]!
    expected.dx[xi]! += dys[yi]! * ws[wi]!
    expected.dw[wi]! += dys[yi]! * xs[xi]!
  })
  const exact = ['direct', 'gemm', 'depthwise', 'dense'].includes(String(options.algorithm))
  const tolerance = exact ? EXACT : ROUNDED
  const before = memoryUsage()
  const answer = scope(() => {
    const outer = guards(3)
    const x = tensor(xs, [...xShape])
    const between = guards(2)
    const w = tensor(ws, [...wShape])
    const dy = tensor(dys, [...yShape])
    const b = bias === 'none' ? undefined : tensor(biases, bias === 'channel' ? [wShape[0]!] : yShape.slice(1))
    const last = guards(3)
    const conv = [conv1d, conv2d, conv3d][directions - 1]!
    const inputGrad = [conv1dInputGrad, conv2dInputGrad, conv3dInputGrad][directions - 1]!
    const weightGrad = [conv1dWeightGrad, conv2dWeightGrad, conv3dWeightGrad][directions - 1]!
    const passes = {
      y: () => conv(x, w, b ? { ...options, bias: b } : options),
      dx: () => inputGrad(w, dy, { ...options, inputSize: xShape.slice(2) }),
      dw: () => weightGrad(x, dy, { ...options, kernel: wShape.slice(2) }),
    }
    let refused = 0
    for (const [pass, run] of Object.entries(passes)) {
      try {
        const begin = processorSeconds()
        const result = run()
        seconds += processorSeconds() - begin
        const got = result.data()
        const wrong = differs(got, expected[pass as keyof typeof expected], tolerance)
        if (wrong) return `${pass}: ${wrong}`
      } catch (error) {
        const known =
          error instanceof ShapeError || error instanceof UnsupportedError || error instanceof OutOfMemoryError
        if (!known) return `${pass}: ${String(error)}`
        refused++
      }
      if (!intact([...outer, ...between, ...last])) return `${pass}: changed a neighbour`
    }
    if (differs(x.data(), Float64Array.from(xs), EXACT) || differs(w.data(), Float64Array.from(ws), EXACT)) {
      return 'an input changed'
    }
    return refused > 0 ? 'refused' : undefined
  })
  const left = memoryUsage().liveBytes - before.liveBytes
  return { answer: left === 0 ? answer : `${left} bytes were left`, seconds }
}

/** Products that a reference may add: a fraction of a second. */
const MOST_PRODUCTS = 1_000_000

/** Random convolutions number `from` to `from + cases` of a seed, compared with the reference. */
export function checkConvolutions(seed: number, cases: number, from = 0): Report {
  const report: Report = { cases: 0, refused: 0, faults: [], slowest: 0 }
  for (let index = from; index < from + cases; index++) {
    const random = randomOf(seed * 1_000_003 + index)
    let given = randomConvolution(random)
    while (productsOf(given) > MOST_PRODUCTS || sizeOf(given.w) > 5e5 || sizeOf(given.y) > 5e5)
      given = randomConvolution(random)
    const { answer, seconds } = checkConvolution(random, given)
    report.cases++
    report.slowest = Math.max(report.slowest, seconds)
    if (answer === 'refused') report.refused++
    else if (answer) report.faults.push(`seed ${seed} case ${index}: ${given.name}: ${answer}`)
    if (seconds > 2) report.faults.push(`seed ${seed} case ${index}: ${given.name}: took ${seconds.toFixed(1)} s`)
  }
  return report
}
