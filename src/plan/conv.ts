/**
 * Which algorithm computes a convolution: a function of the shapes, and of how large the register tiles of the loaded core are.
 * A new algorithm is one more entry of `algorithms`; tests and benchmarks iterate the table.
 */
import { UnsupportedError } from '../runtime/errors.js'
import { fieldsOfConvShape } from '../runtime/generated/constants.js'
import { inWords } from '../runtime/text.js'
import { costs } from './costs.js'
import { definition, dense, depthwise, fft, gemm, phases, winograd, winograd2, type Counts } from './counts.js'
import { gatheringOf, gatherings, type Gathering, type Variant } from './gather.js'
import {
  adjointProblem,
  fftExtent,
  MOST_FILTERS,
  phasesOf,
  planarOf,
  product,
  type ConvPass,
  type ConvProblem,
} from './problem.js'
import { copiesPlanes, skipsPadding } from './reach.js'
import { recordOf } from './record.js'
import { threeDirections } from './window.js'

export { gatherings, type Gathering } from './gather.js'
export {
  adjointProblem,
  fftExtent,
  multiplyAdds,
  phasesOf,
  planarOf,
  type ConvPass,
  type ConvProblem,
} from './problem.js'

interface Algorithm {
  /** Why the algorithm cannot do this, or undefined if it can. */
  unsupported(problem: ConvProblem, pass: ConvPass): string | undefined
  /** Why it is not taken unasked, or undefined if it is. */
  reserved?(problem: ConvProblem): string | undefined
  /** Whether it can do problems whose padding is far more than what meets the input (`skipsPadding`, src/plan/reach.ts). */
  readonly wide?: boolean
  /** Whether it computes on transform tiles: a bias for each location is added afterwards then. */
  readonly transformed?: boolean
  /** Ways in which it does the forward pass, with other bits: the first that can do it and suits it is taken. */
  readonly variants?: Readonly<Record<string, Variant>>
  /** What a pass does. */
  readonly counts: { readonly [pass in ConvPass]: (problem: ConvProblem) => Counts }
}

const tooWide = 'the windows reach over far more padding than input'

/** The most elements of an image whose sides are rounded up to whole transform tiles: kernels address them by 32-bit integers. */
const MOST_ROUNDED = 2 ** 29
/** What rounding adds to a side at most: the points of the largest transform. */
const ROUNDING = 64

/** Why transformed tiles cannot do this, or undefined. */
function untransformed(
  { kernel, stride, dilation, lo, input, output }: ConvProblem,
  pass: ConvPass,
): string | undefined {
  if ([...stride, ...dilation].some((value) => value !== 1)) return 'stride and dilation must be 1'
  if (pass === 'dx' && lo.some((zeros, axis) => zeros >= (kernel[axis] as number)))
    return 'padding must be below the kernel'
  const rounded = (extents: readonly number[]): number =>
    product(extents.map((extent, axis) => extent + (kernel[axis] as number) + ROUNDING))
  return Math.max(rounded(output), rounded(input)) > MOST_ROUNDED ? 'its sides are too long' : undefined
}

/** Why Fourier transforms cannot do this, or undefined. */
function unfit(problem: ConvProblem, pass: ConvPass): string | undefined {
  const extent = fftExtent(problem)
  if (extent === 0 || product(problem.kernel) < 2)
    return 'the kernel must have 2 taps or more, and at most 61 a side, 1952 in a line'
  const reason = untransformed(problem, pass)
  if (reason !== undefined || problem.kernel.length === 2) return reason
  const { input, output, kernel, lo } = pass === 'dx' ? adjointProblem(problem) : problem
  const [n, m, r, zeros] = [input, output, kernel, lo].map(([extent]) => extent) as [number, number, number, number]
  if (zeros + n > m + r - 1) return 'padding must be below the kernel'
  return copiesOf(problem) > MOST_ROUNDED ? 'its sides are too long' : undefined
}

/** The most elements that a convolution of one or three directions copies unasked, to be one of two: 128 MiB. */
const MOST_COPIED = 2 ** 25

/** Elements of the larger one of what passes of stride 1 copy, of the input and of the output's gradient; 0 of two directions. */
function copiesOf(problem: ConvProblem): number {
  if (problem.kernel.length === 2) return 0
  const copied = (read: ConvProblem): number => {
    const { N, C, input } = planarOf(read, fftExtent(read))
    return N * C * product(input.map((side) => side + 1))
  }
  return Math.max(copied(problem), copied(adjointProblem(problem)))
}

/** Why a convolution is not left to Fourier transforms unasked for their memory, or undefined. */
function takesMuch(problem: ConvProblem): string | undefined {
  if (copiesOf(problem) > MOST_COPIED) return 'kept for inputs of which 128 MiB are copied at most'
  const filters = (problem.K * problem.C) / problem.groups
  return fftExtent(problem) === 64 && filters > MOST_FILTERS ? `kept for ${MOST_FILTERS} filters at most` : undefined
}

/**
 * Algorithms on transform tiles spread a NaN over its tile, and a shifted input does not give the same bits, shifted. Small layers gain
 * little by such algorithms, and do without them.
 */
const fewChannels = ({ C, K, groups }: ConvProblem, least = 16): string | undefined =>
  Math.min(C, K) / groups >= least ? undefined : `kept for ${least} channels and more: smaller layers stay exact`

/**
 * Rounding errors spread over a transform tile. A map of one row uses little of a tile, so that gradients of 1 × 1 outputs lose 20 to
 * 100 units in the last place.
 */
const oneRow = ({ output }: ConvProblem): string | undefined =>
  Math.min(...output) > 1 ? undefined : 'kept for maps of two rows and columns and more'

/** Winograd's minimal filtering, for square kernels of one of `sizes`. */
function minimalFiltering(counts: Algorithm['counts'], sizes: readonly number[]): Algorithm {
  const wanted = sizes
    .map((size) => `${size} × ${size}`)
    .join(', ')
    .replace(/, ([^,]*)$/, ' or $1')
  return {
    transformed: true,
    unsupported: (problem, pass) => {
      const [r, s, ...others] = problem.kernel as [number, ...number[]]
      const fits = r === s && others.length === 0 && sizes.includes(r)
      return fits ? untransformed(problem, pass) : `the kernel must be ${wanted}`
    },
    reserved: (problem) => fewChannels(problem) ?? oneRow(problem),
    counts,
  }
}

/** Every algorithm for convolutions: what it can do, when it is taken unasked, and what it takes. */
export const algorithms = {
  /** Loops over the definition: no workspace, one multiply-add at a time. */
  direct: {
    unsupported: () => undefined,
    counts: { fwd: definition, dx: definition, dw: definition },
    wide: true,
  },
  /** Panels of patches times packed weights, in register tiles; both edges are rounded up. */
  gemm: {
    unsupported: (problem, pass) => (pass === 'fwd' && copiesPlanes(problem) ? tooWide : undefined),
    variants: gatherings,
    counts: gemm,
  },
  /** One window that covers the whole input: a fully connected layer. */
  dense: {
    unsupported: ({ groups, kernel, input, lo, hi, dilation, flip }) => {
      if (groups !== 1 || flip) return 'groups must be 1, and the kernel not flipped'
      const whole = kernel.every((extent, axis) => extent === input[axis] && lo[axis] === 0 && hi[axis] === 0)
      return whole && dilation.every((step) => step === 1) ? undefined : 'the kernel must be as large as the input'
    },
    counts: dense,
    wide: true,
  },
  /** Rows of each channel for itself. */
  depthwise: {
    unsupported: (problem, pass) => {
      const { C, K, groups, kernel, stride, dilation, lo } = problem
      if (C !== groups) return 'each group must have one input channel'
      if (pass !== 'dx') return undefined
      if (K !== groups) return 'its input gradient needs one output channel for each group'
      if (stride.some((step) => step !== 1)) return 'its input gradient needs stride 1'
      const reach = (axis: number): number => (dilation[axis] as number) * ((kernel[axis] as number) - 1)
      if (lo.some((zeros, axis) => zeros > reach(axis))) return 'padding must be below the kernel'
      return skipsPadding(adjointProblem(problem)) ? tooWide : undefined
    },
    counts: depthwise,
  },
  /** Minimal filtering on 6 × 6 tiles, F(4×4, 3×3) to F(2×2, 5×5): fewer multiplications, transforms before and after. */
  winograd: minimalFiltering(winograd, [3, 4, 5]),
  /** The same for a stride: its phases are channels of a convolution with stride 1. First layers have few channels. */
  phases: {
    transformed: true,
    unsupported: (problem) => {
      const { kernel, stride, dilation } = problem
      const [s, other] = stride
      if (kernel.length !== 2 || kernel[0] !== kernel[1] || s !== other || s === 1) {
        return 'the kernel must be square, and the stride one for both directions, 2 or more'
      }
      if (dilation.some((value) => value !== 1)) return 'dilation must be 1'
      if (![3, 4, 5].includes(Math.ceil((kernel[0] as number) / (s as number)))) {
        return 'the kernel must be three to five times as wide as the stride'
      }
      const { N, C, input } = phasesOf(problem)
      return N * C * product(input) > MOST_ROUNDED ? 'its phases would have too many elements' : undefined
    },
    reserved: (problem) => fewChannels(phasesOf(problem), 12) ?? oneRow(problem),
    counts: phases,
  },
  /** F(2×2, 3×3): as accurate as the definition, for maps of two or three rows, and where it is asked for. */
  winograd2: minimalFiltering(winograd2, [3]),
  /** Products of Fourier transforms of 16, 32 or 64 points, for large kernels. */
  fft: {
    transformed: true,
    unsupported: unfit,
    reserved: (problem) =>
      fewChannels(problem) ??
      (product(problem.kernel) >= (problem.kernel.length === 1 ? 16 : 25)
        ? takesMuch(problem)
        : 'kept for kernels of 25 taps, 16 in a line, and more'),
    counts: fft,
  },
} as const satisfies Record<string, Algorithm>

/** The algorithms for convolutions by their names. */
export type ConvAlgorithm = keyof typeof algorithms

const names = Object.keys(algorithms) as ConvAlgorithm[]

const entry = (name: ConvAlgorithm): Algorithm => algorithms[name]

/** Whether an algorithm computes on transformed tiles, with which a bias for each location does not line up. */
export const isTransformed = (name: ConvAlgorithm): boolean => entry(name).transformed ?? false

/** Why an algorithm cannot do a pass, or undefined if it can. */
function unsupported(name: ConvAlgorithm, problem: ConvProblem, pass: ConvPass): string | undefined {
  const { wide, unsupported: reason } = entry(name)
  return (wide || !skipsPadding(problem) ? undefined : tooWide) ?? reason(problem, pass)
}

/** The algorithms that can do a pass. */
export const algorithmsFor = (problem: ConvProblem, pass: ConvPass): ConvAlgorithm[] =>
  names.filter((name) => unsupported(name, problem, pass) === undefined)

/**
 * Whether the time of packing weights counts for a pass. A forward pass of one image is taken for one in use, whose weights are constant
 * and were packed before.
 */
const packs = ({ N }: ConvProblem, pass: ConvPass): boolean => pass === 'dx' || (pass === 'fwd' && N > 1)

/**
 * Time in ns that an algorithm takes for a pass that it can do, on one thread of the machine on which costs.ts was fitted.
 * The relations hold elsewhere.
 */
export function costOf(problem: ConvProblem, pass: ConvPass, name: ConvAlgorithm): number {
  const { call = 0, ...each }: Counts = costs[name][pass]
  const counts = entry(name).counts[pass](problem)
  return Object.entries(each).reduce(
    (total, [what, nanoseconds]) =>
      what.startsWith('packed') && !packs(problem, pass) ? total : total + nanoseconds * (counts[what] ?? 0),
    call,
  )
}

/** The algorithms that can do a pass and are taken unasked. */
export const automaticFor = (problem: ConvProblem, pass: ConvPass): ConvAlgorithm[] =>
  algorithmsFor(problem, pass).filter((name) => entry(name).reserved?.(problem) === undefined)

/**
 * The cheapest algorithm, or the one that was asked for. What is asked for must be able to do the forward pass; for a
 * gradient that it cannot do, the cheapest takes its place.
 * @throws UnsupportedError when there is no such algorithm, or it cannot do the shape.
 */
export function planConv(
  problem: ConvProblem,
  pass: ConvPass,
  requested: ConvAlgorithm | 'auto' = 'auto',
): ConvAlgorithm {
  const possible = algorithmsFor(problem, pass)
  if (requested !== 'auto') {
    if (possible.includes(requested)) return requested
    if (pass !== 'fwd' && algorithmsFor(problem, 'fwd').includes(requested)) return planConv(problem, pass)
    const reason = names.includes(requested) ? unsupported(requested, problem, pass) : 'there is no such algorithm'
    throw new UnsupportedError(
      `convolution: algorithm ${inWords(requested)} cannot do this (${reason}); use ${possible.join(', ')} or auto`,
    )
  }
  const cost = (name: ConvAlgorithm): number => costOf(problem, pass, name)
  return automaticFor(problem, pass).reduce((best, name) => (cost(name) < cost(best) ? name : best))
}

/** The variant by which an algorithm does a pass, where it has several. */
export const variantOf = (name: ConvAlgorithm, problem: ConvProblem, pass: ConvPass): Gathering | undefined =>
  pass === 'fwd' && entry(name).variants ? gatheringOf(problem) : undefined

/** An algorithm in a pass: what it would cost, or why it cannot be. */
export interface Candidate {
  /** Its name, as the option `algorithm` takes it. */
  readonly algorithm: ConvAlgorithm
  /**
   * Which of its ways the algorithm takes, where it has several: 'gemm' gathers the patches of the image one by one, or by rows of the
   * image that several patches share. It follows from the shapes, and is no option.
   */
  readonly variant?: Gathering
  /** Estimated, on one thread; null where the algorithm cannot do the pass. */
  readonly milliseconds: number | null
  /** Why it cannot do the pass, or is not taken unasked. */
  readonly reason?: string
}

/** All algorithms for a pass: the one that is chosen, the others by their costs, and those that cannot do it. */
export function candidatesFor(
  problem: ConvProblem,
  pass: ConvPass,
  requested: ConvAlgorithm | 'auto' = 'auto',
): [chosen: Candidate, ...others: Candidate[]] {
  const chosen = planConv(problem, pass, requested)
  const rank = ({ algorithm, milliseconds }: Candidate): number =>
    algorithm === chosen ? -1 : (milliseconds ?? Infinity)
  return names
    .map((algorithm): Candidate => {
      const impossible = unsupported(algorithm, problem, pass)
      if (impossible !== undefined) return { algorithm, milliseconds: null, reason: impossible }
      const reserved = algorithm === chosen ? undefined : entry(algorithm).reserved?.(problem)
      const milliseconds = costOf(problem, pass, algorithm) / 1e6
      const variant = variantOf(algorithm, problem, pass)
      return {
        algorithm,
        ...(variant && { variant }),
        milliseconds,
        ...(reserved === undefined ? {} : { reason: reserved }),
      }
    })
    .sort((a, b) => (rank(a) === rank(b) ? 0 : rank(a) - rank(b))) as [Candidate, ...Candidate[]]
}

/** The record that every kernel of a convolution reads. */
export function encodeConv(
  problem: ConvProblem,
  bias: 'none' | 'channel' | 'location',
  relu = false,
  gathering: Gathering = 'patches',
): Int32Array {
  const { N, C, K, groups: G, flip, input, kernel, output, stride, lo, dilation } = problem
  const [D, H, W] = threeDirections(input, 1)
  const [T, R, S] = threeDirections(kernel, 1)
  const [O, P, Q] = threeDirections(output, 1)
  const [strideD, strideH, strideW] = threeDirections(stride, 1)
  const [padD, padH, padW] = threeDirections(lo, 0)
  const [dilationD, dilationH, dilationW] = threeDirections(dilation, 1)
  return recordOf(fieldsOfConvShape, {
    ...{ N, C, K, G, D, H, W, T, R, S, O, P, Q },
    ...{ strideD, strideH, strideW, padD, padH, padW, dilationD, dilationH, dilationW },
    flip: Number(flip),
    bias: ['none', 'channel', 'location'].indexOf(bias),
    relu: Number(relu),
    skip: Number(skipsPadding(problem)),
    rowwise: Number(gathering === 'rows'),
  })
}
