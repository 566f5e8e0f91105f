/**
 * Which algorithm computes a convolution: a pure function of the shapes. A new algorithm is one more entry of
 * `algorithms`; tests and benchmarks iterate the table.
 */
import { UnsupportedError } from '../runtime/errors.js'
import { threeDirections, type Windows } from './window.js'

export type ConvPass = 'fwd' | 'dx' | 'dw'

/** A convolution with all extents known. Spatial extents are those of one to three directions. */
export interface ConvProblem extends Windows {
  readonly N: number
  readonly C: number
  readonly K: number
  readonly groups: number
  readonly flip: boolean
}

interface Algorithm {
  /** Why the algorithm cannot do this, or undefined if it can. */
  unsupported(problem: ConvProblem, pass: ConvPass): string | undefined
  /** Whether it is taken unasked; default yes. */
  automatic?(problem: ConvProblem): boolean
  /** Computes on transformed tiles: a bias for each location is added afterwards. */
  readonly tiled?: boolean
  /** Estimated time in arbitrary units, comparable between algorithms. */
  cost(problem: ConvProblem, pass: ConvPass): number
}

const product = (values: readonly number[]): number => values.reduce((total, value) => total * value, 1)

const up = (value: number, to: number): number => Math.ceil(value / to) * to

/** Multiply-adds of one pass. */
export function multiplyAdds(problem: ConvProblem): number {
  const { N, C, K, groups, kernel, output } = problem
  return N * K * (C / groups) * product(kernel) * product(output)
}

/** Tiles of `extent` × `extent` of maps of these extents, for square kernels of r. */
const tilesOf = (maps: readonly number[], extent: number, r: number): number =>
  product(maps.map((total) => Math.ceil(total / (extent + 1 - r))))

/** Real numbers in a transformed tile. */
const frequencies = (extent: number): number => (extent > 6 ? extent * (extent + 2) : extent * extent)

/** What an algorithm on transformed tiles of `extent` × `extent` costs; `each`: a transform, for each of its numbers. */
function tiledCost(problem: ConvProblem, pass: ConvPass, extent: number, each: number): number {
  const { N, C, K, groups, kernel, input, output } = problem
  // Products of complex numbers are four, and each complex number is two.
  const numbers = frequencies(extent)
  const multiplications = extent > 6 ? 2 * numbers : numbers
  const [inputs, rows, extents] = pass === 'dx' ? [K, C, input] : [C, K, output]
  const tiles = N * tilesOf(extents, extent, kernel[0] as number)
  if (pass === 'dw') {
    const across = up(C / groups, 8)
    const down = K / groups
    const blocks = Math.ceil(across / 64)
    const perTile = multiplications * across * down + each * numbers * (across + blocks * down)
    return groups * (tiles * perTile + 11 * multiplications * across * down)
  }
  // Tiles of a batch are counted through. Weights are transformed once for many calls at batch 1.
  const counted = up(tiles, 4)
  const products = (multiplications * rows * inputs * counted) / groups
  const filters = (N === 1 ? 3 : 20) * multiplications * (inputs / groups) * rows
  return products + each * numbers * counted * (inputs + rows) + filters
}

/** Why transformed tiles cannot do this, for kernels up to `largest`, or undefined. */
function untiled({ kernel, stride, dilation, lo }: ConvProblem, pass: ConvPass, sizes: string): string | undefined {
  const r = kernel[0] as number
  if (kernel.length !== 2 || r !== kernel[1]) return `the kernel must be ${sizes}`
  if ([...stride, ...dilation].some((value) => value !== 1)) return 'stride and dilation must be 1'
  if (pass === 'dx' && lo.some((zeros) => zeros > r - 1)) return 'padding must be below the kernel'
  return undefined
}

/** They spread NaN over their tiles and do not shift bit for bit: small layers, which gain little, keep both. */
const manyChannels = ({ C, K, groups }: ConvProblem, least = 16): boolean => Math.min(C, K) / groups >= least

/**
 * The convolution with stride 1 that one of stride s is (assembly/ops/conv/phases.ts): the s · s phases of the input are
 * its channels, kernels are ⌈R/s⌉ wide. Its input holds whole tiles of `extent` × `extent`, and the padding.
 */
export function phasesOf(problem: ConvProblem, extent = 6): ConvProblem {
  let phases = phased.get(problem)
  if (!phases) phased.set(problem, (phases = derivePhases(problem, extent)))
  return phases
}

const phased = new WeakMap<ConvProblem, ConvProblem>()

function derivePhases(problem: ConvProblem, extent: number): ConvProblem {
  const { C, kernel, stride, output } = problem
  const s = stride[0] as number
  const r = Math.ceil((kernel[0] as number) / s)
  return {
    ...problem,
    C: C * s * s,
    flip: false,
    input: output.map((total) => up(total, extent + 1 - r) + r - 1),
    kernel: [r, r],
    stride: [1, 1],
    lo: [0, 0],
    hi: [0, 0],
  }
}

/** Winograd's minimal filtering on tiles of `extent` × `extent`, for square kernels of one of `sizes`. */
function minimalFiltering(extent: number, sizes: readonly number[]): Algorithm {
  const wanted = sizes.map((size) => `${size} × ${size}`).join(' or ')
  return {
    tiled: true,
    unsupported: (problem, pass) =>
      untiled(problem, pass, wanted) ??
      (sizes.includes(problem.kernel[0] as number) ? undefined : `the kernel must be ${wanted}`),
    automatic: (problem) => manyChannels(problem),
    cost: (problem, pass) => tiledCost(problem, pass, extent, 8),
  }
}

/** Points of the Fourier transforms: the cheaper number for the products. At least four outputs of a tile must be new. */
export function fftExtent({ kernel, output }: ConvProblem): number {
  const r = kernel[0] as number
  const products = (extent: number): number => tilesOf(output, extent, r) * frequencies(extent)
  return r <= 13 && products(16) <= products(32) ? 16 : 32
}

export const algorithms = {
  /** Loops over the definition: no workspace, one multiply-add at a time. */
  direct: {
    unsupported: () => undefined,
    cost: (problem) => multiplyAdds(problem) * 8,
  },
  /** Panels of patches times packed weights, 4 × 8 register tiles; both edges are rounded up. */
  gemm: {
    unsupported: () => undefined,
    cost: (problem, pass) => {
      const { N, C, K, groups, kernel, output } = problem
      const taps = (C / groups) * product(kernel)
      const pixels = product(output)
      const rows = K / groups
      const tile = {
        fwd: up(rows, 4) * up(pixels, 8) * taps,
        dx: up(taps, 4) * up(pixels, 8) * rows,
        dw: up(rows, 4) * up(taps, 8) * pixels,
      }
      const gathered = { fwd: taps * up(pixels, 8), dx: up(taps, 4) * up(pixels, 8), dw: up(taps, 8) * pixels }
      return N * groups * (tile[pass] + 6 * gathered[pass]) + 4 * groups * rows * taps + 2000
    },
  },
  /** One window that covers the whole input: a fully connected layer. */
  dense: {
    unsupported: ({ groups, kernel, input, lo, hi, dilation, flip }) => {
      if (groups !== 1 || flip) return 'groups must be 1, and the kernel not flipped'
      const whole = kernel.every((extent, axis) => extent === input[axis] && lo[axis] === 0 && hi[axis] === 0)
      return whole && dilation.every((step) => step === 1) ? undefined : 'the kernel must be as large as the input'
    },
    cost: (problem) => multiplyAdds(problem),
  },
  /** Rows of each channel for itself. */
  depthwise: {
    unsupported: ({ C, K, groups, kernel, stride, dilation, lo }, pass) => {
      if (C !== groups) return 'each group must have one input channel'
      if (pass !== 'dx') return undefined
      if (K !== groups) return 'its input gradient needs one output channel for each group'
      if (stride.some((step) => step !== 1)) return 'its input gradient needs stride 1'
      const reach = (axis: number): number => (dilation[axis] as number) * ((kernel[axis] as number) - 1)
      if (lo.some((zeros, axis) => zeros > reach(axis))) return 'padding must be below the kernel'
      return undefined
    },
    cost: (problem, pass) => multiplyAdds(problem) * (pass === 'dw' || problem.stride.at(-1) !== 1 ? 8 : 4),
  },
  /** Minimal filtering on 6 × 6 tiles, F(4×4, 3×3) to F(2×2, 5×5): fewer multiplications, transforms before and after. */
  winograd: minimalFiltering(6, [3, 4, 5]),
  /** The same for a stride: its phases are channels of a convolution with stride 1. First layers have few channels. */
  phases: {
    tiled: true,
    unsupported: ({ kernel, stride, dilation }) => {
      const [s, other] = stride
      if (kernel.length !== 2 || kernel[0] !== kernel[1] || s !== other || s === 1) {
        return 'the kernel must be square, and the stride one for both directions, 2 or more'
      }
      if (dilation.some((value) => value !== 1)) return 'dilation must be 1'
      if (![3, 4, 5].includes(Math.ceil((kernel[0] as number) / (s as number)))) {
        return 'the kernel must be three to five times as wide as the stride'
      }
      return undefined
    },
    automatic: (problem) => manyChannels(phasesOf(problem), 12),
    cost: (problem, pass) => {
      const phases = phasesOf(problem)
      return tiledCost(phases, pass, 6, 8) + 10 * phases.N * phases.C * product(phases.input)
    },
  },
  /** F(2×2, 3×3): as accurate as the definition, for maps of two or three rows, and where it is asked for. */
  winograd2: minimalFiltering(4, [3]),
  /** Products of Fourier transforms of 16 or 32 points, for large kernels. */
  fft: {
    tiled: true,
    unsupported: (problem, pass) =>
      untiled(problem, pass, 'square, 2 × 2 to 29 × 29') ??
      ((problem.kernel[0] as number) >= 2 && (problem.kernel[0] as number) <= 29
        ? undefined
        : 'the kernel must be square, 2 × 2 to 29 × 29'),
    // Smaller kernels have Winograd's, or gain little.
    automatic: (problem) => manyChannels(problem) && (problem.kernel[0] as number) >= 6,
    cost: (problem, pass) => tiledCost(problem, pass, fftExtent(problem), 12),
  },
} as const satisfies Record<string, Algorithm>

export type ConvAlgorithm = keyof typeof algorithms

const names = Object.keys(algorithms) as ConvAlgorithm[]

/** Whether an algorithm computes on transformed tiles, with which a bias for each location does not line up. */
export const isTiled = (name: ConvAlgorithm): boolean => (algorithms[name] as Algorithm).tiled ?? false

/** The algorithms that can do a pass. */
export const algorithmsFor = (problem: ConvProblem, pass: ConvPass): ConvAlgorithm[] =>
  names.filter((name) => (algorithms[name] as Algorithm).unsupported(problem, pass) === undefined)

/** What was decided for a problem, by pass and request. */
const decided = new WeakMap<ConvProblem, Map<string, ConvAlgorithm>>()

/**
 * The cheapest algorithm, or the one that was asked for; decided once for a problem. What is asked for must be able to do the forward pass; for a
 * gradient that it cannot do, the cheapest takes its place.
 * @throws UnsupportedError when there is no such algorithm, or it cannot do the shape.
 */
export function planConv(
  problem: ConvProblem,
  pass: ConvPass,
  requested: ConvAlgorithm | 'auto' = 'auto',
): ConvAlgorithm {
  const known = decided.get(problem) ?? new Map<string, ConvAlgorithm>()
  const key = `${pass} ${requested}`
  let algorithm = known.get(key)
  if (!algorithm) {
    algorithm = decide(problem, pass, requested)
    decided.set(problem, known.set(key, algorithm))
  }
  return algorithm
}

function decide(problem: ConvProblem, pass: ConvPass, requested: ConvAlgorithm | 'auto'): ConvAlgorithm {
  const possible = algorithmsFor(problem, pass)
  if (requested !== 'auto') {
    if (possible.includes(requested)) return requested
    if (pass !== 'fwd' && algorithmsFor(problem, 'fwd').includes(requested)) return planConv(problem, pass)
    const reason = names.includes(requested)
      ? (algorithms[requested] as Algorithm).unsupported(problem, pass)
      : 'there is no such algorithm'
    throw new UnsupportedError(
      `convolution: algorithm '${requested}' cannot do this (${reason}); use ${possible.join(', ')} or auto`,
    )
  }
  const cost = (name: ConvAlgorithm): number => (algorithms[name] as Algorithm).cost(problem, pass)
  return possible
    .filter((name) => (algorithms[name] as Algorithm).automatic?.(problem) ?? true)
    .reduce((best, name) => (cost(name) < cost(best) ? name : best))
}

/** Records made before, by problem, kind of bias and fused activation. */
const encoded = new WeakMap<ConvProblem, Map<string, Int32Array>>()

/** The ConvShape of assembly/ops/conv/shape.ts. */
export function encodeConv(problem: ConvProblem, bias: 'none' | 'channel' | 'location', relu = false): Int32Array {
  const known = encoded.get(problem) ?? new Map<string, Int32Array>()
  const key = relu ? `${bias} relu` : bias
  let record = known.get(key)
  if (!record) {
    record = Int32Array.from(convShape(problem, bias, relu))
    encoded.set(problem, known.set(key, record))
  }
  return record
}

/** Position of each field of ConvShape in assembly/ops/conv/shape.ts. */
function convShape(problem: ConvProblem, bias: 'none' | 'channel' | 'location', relu: boolean): number[] {
  const { N, C, K, groups, flip, input, kernel, output, stride, lo, dilation } = problem
  return [
    N,
    C,
    K,
    groups,
    ...threeDirections(input, 1),
    ...threeDirections(kernel, 1),
    ...threeDirections(output, 1),
    ...threeDirections(stride, 1),
    ...threeDirections(lo, 0),
    ...threeDirections(dilation, 1),
    flip ? 1 : 0,
    ['none', 'channel', 'location'].indexOf(bias),
    relu ? 1 : 0,
  ]
}
