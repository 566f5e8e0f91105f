/**
 * Filters by k-means: patches are drawn, freed of their contrast, whitened and put into K groups; the means of the groups are
 * the filters (Coates, Ng & Lee 2011, "An Analysis of Single-Layer Networks in Unsupervised Feature Learning"; Goodfellow et
 * al., section 9.9).
 *
 * Spherical k-means (Coates & Ng 2012, "Learning Feature Representations with K-means", section 2.1) groups patches by the
 * direction whose product with them is largest, of either sign: s = d·x, d ← normalize(d + Σ s·x). Plain k-means groups them by
 * the nearest mean. Products of patches and means are the core's; sums of groups are in float64, in the order of the patches.
 */
import { perDirection } from '../plan/window.js'
import { linear } from '../ops/linear.js'
import { checkCallback, checkNumber, checkSignal, checkWhole } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkCount, needKeys, type Names } from '../runtime/options.js'
import type { Signal } from '../runtime/platform.js'
import { inWords } from '../runtime/text.js'
import { checkSeed, normal, tensor } from '../tensor/create.js'
import { showShape } from '../tensor/shape.js'
import { featureStream } from '../tensor/streams.js'
import { checkTensor, scope, Tensor } from '../tensor/tensor.js'
import { permutation } from '../train/examples.js'
import { turnTaker } from '../train/host.js'
import { calibrateFilters, foldWhitening, type Filters } from './calibrate.js'
import { checkShare, MOST_ROUNDS } from './check.js'
import { checkData, type FeatureData } from './data.js'
import { extractPatches } from './patches.js'
import { whiten } from './whiten.js'

/** Where learning stands after a round over the patches. */
export interface RoundEvent {
  /** Number of the round, from 1. */
  readonly round: number
  /** What is made small, as a mean over the patches. */
  readonly objective: number
}

/** How patches are gone over. */
export interface RoundOptions {
  /** How often the patches are gone over. Default 10. */
  readonly rounds?: number
  /** Patches in a product of matrices. Default 1000. */
  readonly batchSize?: number
  /** Seed of the patches and of the first filters. Default 0. */
  readonly seed?: number
  /** Called after each round, and waited for. */
  onRound?(event: RoundEvent): void | Promise<void>
  /** Ends the work after the batch in progress. */
  readonly signal?: Signal
}

/** How filters are learned from patches: what k-means and sparse coding have in common. */
export interface LearningOptions extends RoundOptions {
  /** K, how many filters are learned. */
  readonly filters: number
  /** Extents (R, S) of a filter in pixels, or one for both. */
  readonly size: number | readonly number[]
  /** How many patches are learned from. Default 100,000. */
  readonly patches?: number
  /** Added to the variance of a patch before it is divided by: see `extractPatches`. Default 0.01. */
  readonly contrast?: number
  /** Added to the eigenvalues of their covariance: see `whiten`. Default 0.1. */
  readonly epsilon?: number
  /** Share of the places at which a filter responds: see `calibrateFilters`. Default 0.2. */
  readonly active?: number
}

/** Options of `kMeansFilters`. */
export interface KMeansOptions extends LearningOptions {
  /** How patches are grouped: by the product with a direction, of either sign, or by the distance to a mean. Default 'spherical'. */
  readonly distance?: 'spherical' | 'euclidean'
}

/** What was learned from patches. */
export interface LearnedFilters extends Filters {
  /** The means or atoms (K, D) as they were learned, of whitened patches. */
  readonly dictionary: Tensor
  /** What was made small, after each round. */
  readonly objective: readonly number[]
}

/** Names of the options that k-means and sparse coding of pictures have in common. */
export const learningNames = {
  filters: 0,
  size: 0,
  patches: 0,
  contrast: 0,
  epsilon: 0,
  active: 0,
  rounds: 0,
  batchSize: 0,
  seed: 0,
  onRound: 0,
  signal: 0,
} satisfies Names<LearningOptions>

/** Options of learning from pictures with their defaults; a window is a pair of extents. */
export interface CheckedLearning extends Required<Omit<LearningOptions, 'size' | 'onRound' | 'signal'>> {
  readonly size: [number, number]
  readonly onRound: LearningOptions['onRound']
  readonly signal: Signal | undefined
}

/** Options of learning from pictures, checked, with their defaults. @throws ShapeError */
export function checkLearning(options: LearningOptions, name: string): CheckedLearning {
  const { contrast = 0.01, epsilon = 0.1, active = 0.2, seed = 0, onRound, signal } = options
  checkNumber(contrast, `${name}: contrast`, 0)
  checkNumber(epsilon, `${name}: epsilon`, 0)
  checkShare(active, `${name}: active`)
  checkSeed(seed, name)
  checkCallback(onRound, `${name}: onRound`)
  checkSignal(signal, `${name}: signal`)
  return {
    ...{ contrast, epsilon, active, seed, onRound, signal },
    filters: checkWhole(options.filters, `${name}: filters`, 1, 2 ** 16),
    size: perDirection(options.size, 2, 1, `${name}: size`) as [number, number],
    patches: checkWhole(options.patches ?? 100_000, `${name}: patches`, 2, 2 ** 24),
    rounds: checkWhole(options.rounds ?? 10, `${name}: rounds`, 1, MOST_ROUNDS),
    batchSize: checkWhole(options.batchSize ?? 1000, `${name}: batchSize`, 1, 2 ** 20),
  }
}

/** Learns a dictionary (K, D) of whitened patches by `learn`, and makes filters for the data of it. */
export async function learnFilters(
  data: FeatureData,
  options: CheckedLearning,
  learn: (white: Tensor) => Promise<Pick<LearnedFilters, 'dictionary' | 'objective'>>,
): Promise<LearnedFilters> {
  const { size, patches: count, contrast, epsilon, active, seed, signal } = options
  const aborting = signal ? { signal } : {}
  const patches = await extractPatches(data, { size, count, seed, contrast, ...aborting })
  const whitening = orDispose(patches, () => whiten(patches, { epsilon }))
  const held: Tensor[] = [whitening.mean, whitening.matrix]
  try {
    const white = orDispose(patches, () => whitening.apply(patches))
    held.push(white)
    patches.dispose()
    const { dictionary, objective } = await learn(white)
    try {
      const [R, S] = size
      const folded = foldWhitening(dictionary, whitening, [(white.shape[1] as number) / (R * S), R, S])
      held.push(folded)
      const filters = await calibrateFilters(folded, data, { active, seed, ...aborting })
      return { ...filters, dictionary, objective }
    } catch (error) {
      dictionary.dispose()
      throw error
    }
  } finally {
    for (const tensor of held) tensor.dispose()
  }
}

/** Calls a function; if it fails, the tensor that it works on is disposed. */
function orDispose<Result>(held: Tensor, use: () => Result): Result {
  try {
    return use()
  } catch (error) {
    held.dispose()
    throw error
  }
}

/**
 * Learns filters for the first layer from pictures alone: an ordinary `Conv2d` with these weights and bias, and a ReLU behind
 * it, gives features max(0, w·x + b). Whitening is part of the weights. Memory is bounded: the patches, and products of a batch.
 *
 * @example
 * const { weight, bias } = await kMeansFilters(imageExamples(training, normalization), { filters: 400, size: 6, seed: 1 })
 * @throws ShapeError when options do not fit, or pictures are smaller than a filter; the reason of the signal when that ended it
 */
export async function kMeansFilters(data: FeatureData, options: KMeansOptions): Promise<LearnedFilters> {
  checkCount('kMeansFilters', 2, arguments)
  const name = 'kMeansFilters'
  needKeys(name, options, learningNames, { distance: 0 })
  checkData(data, name)
  const { distance = 'spherical' } = options
  if (distance !== 'spherical' && distance !== 'euclidean')
    throw new ArgumentError(`${name}: distance must be 'spherical' or 'euclidean', given ${inWords(distance)}`)
  const checked = checkLearning(options, name)
  return learnFilters(data, checked, (white) => cluster(white, { ...checked, spherical: distance === 'spherical' }))
}

interface Clustering extends Pick<ReturnType<typeof checkLearning>, 'filters' | 'rounds' | 'batchSize' | 'seed'> {
  readonly spherical: boolean
  readonly onRound?: RoundOptions['onRound'] | undefined
  readonly signal?: Signal | undefined
}

/** The square of each row's norm. */
function squaresOf(rows: Float32Array, length: number): Float64Array {
  return Float64Array.from({ length: rows.length / length }, (_, n) => {
    let sum = 0
    for (let i = n * length; i < (n + 1) * length; i++) sum += (rows[i] as number) * (rows[i] as number)
    return sum
  })
}

/** Scales rows to the norm 1; those of zeros stay. */
export function normalizeRows(rows: Float64Array | Float32Array, length: number): void {
  for (let from = 0; from < rows.length; from += length) {
    let sum = 0
    for (let i = from; i < from + length; i++) sum += (rows[i] as number) * (rows[i] as number)
    const norm = Math.sqrt(sum)
    if (norm > 0) for (let i = from; i < from + length; i++) rows[i] = (rows[i] as number) / norm
  }
}

/** The means (K, D) of groups of rows (N, D). */
export async function cluster(
  x: Tensor,
  { filters: K, rounds, batchSize, seed, spherical, onRound, signal }: Clustering,
): Promise<{ dictionary: Tensor; objective: number[] }> {
  checkTensor(x, 'kMeansFilters', 'the patches')
  const [N, D] = x.shape as readonly [number, number]
  if (K > N) throw new ShapeError(`kMeansFilters: ${K} groups of ${showShape(x.shape)} patches; take more patches`)
  const rows = x.data()
  const squares = squaresOf(rows, D)
  /** Patches that empty groups begin anew with, in a random order. */
  const spare = permutation(N, seed, 0)
  let spared = 0
  const patchOf = (): Float32Array => {
    const patch = spare[spared++ % N] as number
    return rows.subarray(patch * D, (patch + 1) * D)
  }
  const means = spherical ? directions(K, D, seed) : new Float32Array(K * D)
  if (!spherical) for (let k = 0; k < K; k++) means.set(patchOf(), k * D)
  const objective: number[] = []
  const turn = turnTaker()
  for (let round = 1; round <= rounds; round++) {
    const sums = new Float64Array(K * D)
    const counts = new Int32Array(K)
    let cost = 0
    // ‖x − m‖² = ‖x‖² − 2·(x·m − ‖m‖²/2): the nearest mean has the largest of what is in brackets.
    const halves = squaresOf(means, D).map((square) => (spherical ? 0 : square / 2))
    for (let first = 0; first < N; first += batchSize) {
      const part = rows.subarray(first * D, Math.min(N, first + batchSize) * D)
      const count = part.length / D
      const products = scope(() => linear(tensor(part, [count, D]), tensor(means, [K, D])).data())
      for (let n = 0; n < count; n++) {
        let best = 0
        let most = -Infinity
        for (let k = 0; k < K; k++) {
          const product = products[n * K + k] as number
          const score = spherical ? Math.abs(product) : product - (halves[k] as number)
          if (score > most) [most, best] = [score, k]
        }
        const factor = spherical ? (products[n * K + best] as number) : 1
        counts[best] = (counts[best] as number) + 1
        for (let i = 0; i < D; i++)
          sums[best * D + i] = (sums[best * D + i] as number) + factor * (part[n * D + i] as number)
        const square = squares[first + n] as number
        cost += Math.max(0, spherical ? square - factor * factor : square - 2 * most)
      }
      await turn()
      if (signal?.aborted) throw signal.reason
    }
    for (let k = 0; k < K; k++) {
      if (counts[k] === 0) {
        sums.set(patchOf(), k * D)
      } else if (spherical) {
        // The step is damped by the direction that was there.
        for (let i = 0; i < D; i++) sums[k * D + i] = (sums[k * D + i] as number) + (means[k * D + i] as number)
      } else {
        for (let i = 0; i < D; i++) sums[k * D + i] = (sums[k * D + i] as number) / (counts[k] as number)
      }
    }
    if (spherical) normalizeRows(sums, D)
    means.set(sums)
    objective.push(cost / N)
    await onRound?.({ round, objective: cost / N })
  }
  return { dictionary: tensor(means, [K, D]), objective }
}

/** Directions (K, D) at random. */
export function directions(K: number, D: number, seed: number): Float32Array {
  const drawn = normal([K, D], { seed, stream: featureStream(1) })
  const rows = drawn.data()
  drawn.dispose()
  normalizeRows(rows, D)
  return rows
}
