/**
 * Sparse coding (Olshausen & Field 1996; Goodfellow et al., sections 13.4 and 9.9): patches x as sums z·D of few atoms, the
 * rows of a dictionary D of norm at most 1, by making ½‖x − z·D‖² + λ‖z‖₁ small in z and D by turns.
 *
 * Codes are found by FISTA (Beck & Teboulle 2009) from those of the round before; a code that would be worse than that is not
 * taken. The dictionary is improved atom by atom (Mairal, Bach, Ponce & Sapiro 2010, algorithm 2), in float64. So the objective
 * falls in every round, up to rounding.
 */
import { abs, add, mul, neg, square, sub } from '../ops/elementwise.js'
import { relu } from '../ops/activation.js'
import { transpose } from '../ops/layout.js'
import { linear, matmul } from '../ops/linear.js'
import { sum } from '../ops/reduce.js'
import { checkCallback, checkSignal, checkWhole } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkCount, needKeys, type Names } from '../runtime/options.js'
import { checkSeed, tensor } from '../tensor/create.js'
import { showShape } from '../tensor/shape.js'
import { checkTensor, scope, type Tensor } from '../tensor/tensor.js'
import { permutation } from '../train/examples.js'
import { turnTaker } from '../train/host.js'
import { checkPositive, MOST_ROUNDS } from './check.js'
import { checkData, type FeatureData } from './data.js'
import {
  checkLearning,
  directions,
  learnFilters,
  learningNames,
  normalizeRows,
  type LearnedFilters,
  type LearningOptions,
  type RoundOptions,
} from './kmeans.js'

/** What sparse codes are found by. */
export interface SparseOptions {
  /** λ, the price of a code: the larger, the fewer atoms a patch is made of. Default 0.5. */
  readonly lambda?: number
  /** Steps of FISTA in each round. Default 20. */
  readonly steps?: number
}

/** Options of `sparseCode`. */
export interface SparseCodeOptions extends SparseOptions, RoundOptions {
  /** K, how many atoms are learned. */
  readonly atoms: number
}

/** Options of `sparseFilters`. */
export interface SparseFilterOptions extends SparseOptions, LearningOptions {}

/** A dictionary, and what patches are made of in it. */
export interface SparseCode {
  /** Atoms (K, D). */
  readonly dictionary: Tensor
  /** Codes (N, K), most of them 0. */
  readonly codes: Tensor
  /** ½‖x − z·D‖² + λ‖z‖₁ as a mean over the patches, after each round. */
  readonly objective: readonly number[]
}

const sparseNames = { lambda: 0, steps: 0 } satisfies Names<SparseOptions>
const codeNames = {
  ...sparseNames,
  atoms: 0,
  rounds: 0,
  batchSize: 0,
  seed: 0,
  onRound: 0,
  signal: 0,
} satisfies Names<SparseCodeOptions>

/** Numbers of all codes together: 1 GiB of them. */
const MOST_CODES = 2 ** 28

/** λ and the number of steps, checked. @throws ArgumentError */
const checkSparse = ({ lambda = 0.5, steps = 20 }: SparseOptions, name: string) => ({
  lambda: checkPositive(lambda, `${name}: lambda`),
  steps: checkWhole(steps, `${name}: steps`, 1, MOST_ROUNDS),
})

/**
 * Learns a dictionary for patches (N, D), which are best whitened, and the codes of the patches in it.
 *
 * @example
 * const { dictionary, codes, objective } = await sparseCode(whitening.apply(patches), { atoms: 64, lambda: 0.5 })
 * @throws ShapeError when x is not (N, D) or an option does not fit; the reason of the signal when that ended it
 */
export async function sparseCode(x: Tensor, options: SparseCodeOptions): Promise<SparseCode> {
  checkCount('sparseCode', 2, arguments)
  const name = 'sparseCode'
  needKeys(name, options, codeNames)
  const { seed = 0, onRound, signal } = options
  checkTensor(x, name, 'x')
  if (x.ndim !== 2 || x.size === 0) throw new ShapeError(`${name}: x must be (N, D), given ${showShape(x.shape)}`)
  checkSeed(seed, name)
  checkCallback(onRound, `${name}: onRound`)
  checkSignal(signal, `${name}: signal`)
  return learn(x, {
    ...checkSparse(options, name),
    atoms: checkWhole(options.atoms, `${name}: atoms`, 1, 2 ** 16),
    rounds: checkWhole(options.rounds ?? 10, `${name}: rounds`, 1, MOST_ROUNDS),
    batchSize: checkWhole(options.batchSize ?? 1000, `${name}: batchSize`, 1, 2 ** 20),
    ...{ seed, onRound, signal },
  })
}

/**
 * Learns filters for the first layer by sparse coding of whitened patches, as `kMeansFilters` does by k-means. Default
 * `patches`: 20,000, as the codes of all of them are kept.
 *
 * @example
 * const { weight, bias } = await sparseFilters(imageExamples(training, normalization), { filters: 100, size: 6, seed: 1 })
 * @throws ShapeError when options do not fit, or pictures are smaller than a filter; the reason of the signal when that ended it
 */
export async function sparseFilters(data: FeatureData, options: SparseFilterOptions): Promise<LearnedFilters> {
  checkCount('sparseFilters', 2, arguments)
  const name = 'sparseFilters'
  needKeys(name, options, learningNames, sparseNames)
  checkData(data, name)
  const checked = checkLearning({ ...options, patches: options.patches ?? 20_000 }, name)
  const how = { ...checked, ...checkSparse(options, name), atoms: checked.filters }
  return learnFilters(data, checked, async (white) => {
    const { dictionary, codes, objective } = await learn(white, how)
    codes.dispose()
    return { dictionary, objective }
  })
}

type Learning = Required<Pick<SparseCodeOptions, 'atoms' | 'lambda' | 'steps' | 'rounds' | 'batchSize' | 'seed'>> & {
  readonly onRound: RoundOptions['onRound'] | undefined
  readonly signal: RoundOptions['signal'] | undefined
}

async function learn(
  x: Tensor,
  { atoms: K, lambda, steps, rounds, batchSize, seed, onRound, signal }: Learning,
): Promise<SparseCode> {
  const [N, D] = x.shape as readonly [number, number]
  if (!(N * K <= MOST_CODES)) {
    throw new ShapeError(
      `sparseCode: ${K} atoms for ${N} patches are ${N * K} codes; at most ${MOST_CODES} are kept: take fewer patches`,
    )
  }
  const rows = x.data()
  if (!rows.every(Number.isFinite)) throw new ArgumentError('sparseCode: the patches must be finite numbers')
  const dictionary = Float64Array.from(directions(K, D, seed))
  const codes = new Float32Array(N * K)
  /** Patches that atoms which no patch uses begin anew with. */
  const spare = permutation(N, seed, 0)
  let spared = 0
  const objective: number[] = []
  const turn = turnTaker()
  for (let round = 1; round <= rounds; round++) {
    let cost = 0
    const products = { codes: new Float64Array(K * K), patches: new Float64Array(K * D) }
    for (let first = 0; first < N; first += batchSize) {
      const count = Math.min(batchSize, N - first)
      const part = codes.subarray(first * K, (first + count) * K)
      cost += scope(() => {
        const batch = tensor(rows.subarray(first * D, (first + count) * D), [count, D])
        const problem = new Coding(batch, tensor(dictionary, [K, D]), lambda)
        const { z, value } = problem.improve(tensor(part, [count, K]), steps)
        part.set(z.data())
        const transposed = transpose(z)
        add64(products.codes, matmul(transposed, z).data())
        add64(products.patches, matmul(transposed, batch).data())
        return value
      })
      await turn()
      if (signal?.aborted) throw signal.reason
    }
    objective.push(cost / N)
    await onRound?.({ round, objective: cost / N })
    if (round < rounds) {
      improveAtoms(dictionary, products, K, D, () => {
        const patch = spare[spared++ % N] as number
        return rows.subarray(patch * D, (patch + 1) * D)
      })
    }
  }
  return scope(() => ({ dictionary: tensor(dictionary, [K, D]), codes: tensor(codes, [N, K]), objective }))
}

function add64(sums: Float64Array, values: Float32Array): void {
  for (let i = 0; i < sums.length; i++) sums[i] = (sums[i] as number) + (values[i] as number)
}

/** The codes of some patches in a dictionary. Used in a scope, to which its tensors belong. */
class Coding {
  readonly #x: Tensor
  readonly #dictionary: Tensor
  readonly #lambda: number
  /** D · Dᵀ and x · Dᵀ. */
  readonly #gram: Tensor
  readonly #products: Tensor
  /** 1 / L, where L is no less than the largest eigenvalue of the Gram matrix: gradient steps of this size never overshoot. */
  readonly #step: number

  constructor(x: Tensor, dictionary: Tensor, lambda: number) {
    this.#x = x
    this.#dictionary = dictionary
    this.#lambda = lambda
    this.#gram = linear(dictionary, dictionary)
    this.#products = linear(x, dictionary)
    this.#step = 1 / largestEigenvalue(this.#gram)
  }

  /** ½‖x − z·D‖² + λ‖z‖₁, summed over the patches. */
  objective(z: Tensor): number {
    return scope(() => {
      const error = sum(square(sub(this.#x, matmul(z, this.#dictionary)))).item()
      return error / 2 + this.#lambda * sum(abs(z)).item()
    })
  }

  /** Codes after some steps of FISTA, or those given, where they were better. */
  improve(given: Tensor, steps: number): { readonly z: Tensor; readonly value: number } {
    const before = this.objective(given)
    const z = scope(() => {
      let [current, ahead, t] = [given, given, 1]
      for (let step = 0; step < steps; step++) {
        const [from, next] = [current, (1 + Math.sqrt(1 + 4 * t * t)) / 2]
        const made = scope(() => {
          const gradient = sub(matmul(ahead, this.#gram), this.#products)
          const z = shrink(sub(ahead, mul(gradient, this.#step)), this.#lambda * this.#step)
          return { z, ahead: add(z, mul(sub(z, from), (t - 1) / next)) }
        })
        if (current !== given) current.dispose()
        if (ahead !== given) ahead.dispose()
        ;[current, ahead, t] = [made.z, made.ahead, next]
      }
      return current
    })
    const value = this.objective(z)
    return value <= before ? { z, value } : { z: given, value: before }
  }
}

/** sign(x) · max(|x| − threshold, 0). */
const shrink = (x: Tensor, threshold: number): Tensor => sub(relu(sub(x, threshold)), relu(sub(neg(x), threshold)))

/** A number a little above the largest eigenvalue of a matrix G that has none below 0: (Σ λ⁸)^(1/8), the norm of G⁴ by roots. */
function largestEigenvalue(gram: Tensor): number {
  const trace = scope(() => {
    const squared = matmul(gram, gram)
    const fourth = matmul(squared, squared)
    return sum(square(fourth)).item()
  })
  const bound = Math.sqrt(Math.sqrt(Math.sqrt(trace)))
  // A dictionary of zeros takes any step.
  return bound > 0 ? 1.001 * bound : 1
}

/** One round over the atoms: each becomes the best one for the codes and the other atoms, within the unit ball. */
function improveAtoms(
  dictionary: Float64Array,
  { codes, patches }: { readonly codes: Float64Array; readonly patches: Float64Array },
  K: number,
  D: number,
  spare: () => Float32Array,
): void {
  const change = new Float64Array(D)
  for (let k = 0; k < K; k++) {
    const own = codes[k * K + k] as number
    const atom = dictionary.subarray(k * D, (k + 1) * D)
    if (!(own > 0)) {
      // No patch uses it, so that any other will do.
      atom.set(spare())
      normalizeRows(atom, D)
      continue
    }
    change.set(patches.subarray(k * D, (k + 1) * D))
    for (let j = 0; j < K; j++) {
      const shared = codes[k * K + j] as number
      if (shared === 0) continue
      for (let i = 0; i < D; i++) change[i] = (change[i] as number) - shared * (dictionary[j * D + i] as number)
    }
    let squares = 0
    for (let i = 0; i < D; i++) {
      const value = (atom[i] as number) + (change[i] as number) / own
      atom[i] = value
      squares += value * value
    }
    const norm = Math.sqrt(squares)
    if (norm > 1) for (let i = 0; i < D; i++) atom[i] = (atom[i] as number) / norm
  }
}
