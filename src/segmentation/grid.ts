/**
 * A graphical model on the grid of pixels, by which neighbours refine each other's labels (Goodfellow et al., section 9.6).
 *
 * A map of labels y has the energy, with scores θ (K at each pixel, such as a network's) and pairs of pixels at offsets d,
 *
 *   E(y) = −Σᵢ θᵢ(yᵢ) + ½ Σᵢ Σ_d n(d) · c(yᵢ, yᵢ₊d),      P(y) = exp(−E(y)) / Z,
 *
 * where c is the compatibility of two labels, more where they go together less well, and n(d) the weight of a neighbour: the same
 * at every pixel, so that what the neighbours say, Σ_d n(d) · qᵢ₊d, is a convolution. Beyond the edges there is nothing.
 *
 * Mean field replaces P by independent labels with probabilities q, and makes the variational free energy small:
 *
 *   F(q) = Σᵢ Σ_k qᵢ(k) · (ln qᵢ(k) − θᵢ(k)) + ½ Σᵢ Σ_k qᵢ(k) · mᵢ(k),     mᵢ(k) = Σ_d n(d) Σ_l c(k, l) · qᵢ₊d(l),
 *
 * which is at least −ln Z, and whose minimum in one qᵢ is qᵢ(k) ∝ exp(θᵢ(k) − mᵢ(k)): the step below.
 *
 * Both n and c are symmetric in such a model. Functions take any numbers: n(d) is the mean of the weights at d and −d, n(0) = 0,
 * and c(k, l) the mean of the entries (k, l) and (l, k). So gradients may move them freely.
 */
import { conv2d } from '../ops/conv.js'
import { add, clamp, log, mul, sub } from '../ops/elementwise.js'
import { transpose } from '../ops/layout.js'
import { matmul } from '../ops/linear.js'
import { crossEntropy, type Labels } from '../ops/loss.js'
import { sum } from '../ops/reduce.js'
import { softmax } from '../ops/softmax.js'
import { checkNumber, checkObject, checkWhole, wrongKind } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkCount, checkKeys, needKeys, type Names } from '../runtime/options.js'
import { tensor } from '../tensor/create.js'
import { sameShape, showShape } from '../tensor/shape.js'
import { checkTensor, scope, type Tensor } from '../tensor/tensor.js'
import { MOST_CLASSES } from '../training/confusion.js'
import { checkLabelMap, scoreExtents } from './labelMap.js'

/** How neighbouring labels go together. */
export interface GridModel {
  /** Weights (R, S) of the pixels around one, R and S odd, the pixel itself in the middle. */
  readonly neighbours: Tensor
  /** Compatibility (K, K) of two labels: an energy, that of labels that rarely meet is larger. */
  readonly compatibility: Tensor
}

/** Options of `pottsModel`. */
export interface PottsOptions {
  /** K, the number of classes. */
  readonly classes: number
  /** Energy of a pair of neighbours with different labels. Default 1. */
  readonly strength?: number
  /** Whether 4 or 8 pixels around one are its neighbours. Default 4. */
  readonly connectivity?: 4 | 8
}

/** Which pixels a mean-field step moves: all at once, or those whose row and column add up to an even or an odd number. */
export type FieldPart = 'all' | 'even' | 'odd'

/** Options of `meanFieldStep`. */
export interface MeanFieldStepOptions {
  /** Default 'all'. */
  readonly part?: FieldPart
}

/** Options of `refine`. */
export interface RefineOptions {
  /** Number of steps. Default 5. */
  readonly steps?: number
  /**
   * `parallel`: all pixels at once. `checkerboard`: the even pixels, then the odd ones, in every step; with four neighbours no step
   * makes the free energy larger, while all at once may swing. Default 'parallel'.
   */
  readonly order?: 'parallel' | 'checkerboard'
}

/** Options of `pseudoLikelihood`. */
export interface PseudoLikelihoodOptions {
  /** Pixels of this label count for nothing, and say nothing to their neighbours. */
  readonly ignoreIndex?: number | undefined
}

const gridNames = { neighbours: 0, compatibility: 0 } satisfies Names<GridModel>
const pottsNames = { classes: 0, strength: 0, connectivity: 0 } satisfies Names<PottsOptions>
const stepNames = { part: 0 } satisfies Names<MeanFieldStepOptions>
const refineNames = { steps: 0, order: 0 } satisfies Names<RefineOptions>
const likelihoodNames = { ignoreIndex: 0 } satisfies Names<PseudoLikelihoodOptions>

/** The most steps of a refinement. */
export const MOST_STEPS = 1000

/** Probabilities below this count as this in logarithms, so that 0 · ln 0 is 0. */
const TINY = 1e-30

/**
 * The Potts model: a pair of neighbours costs nothing where their labels are equal, and `strength` otherwise. Both tensors belong to
 * the caller, or to the scope around the call.
 *
 * @example
 * const grid = pottsModel({ classes: 11, strength: 0.5 })
 * const q = refine(model.forward(x), grid)
 * @throws ArgumentError when an option does not fit
 */
export function pottsModel(options: PottsOptions): GridModel {
  checkCount('pottsModel', 1, arguments)
  needKeys('pottsModel', options, pottsNames)
  const { strength = 1, connectivity = 4 } = options
  const K = checkWhole(options.classes, 'pottsModel: classes', 1, MOST_CLASSES)
  checkNumber(strength, 'pottsModel: strength')
  if (connectivity !== 4 && connectivity !== 8) throw wrongKind('pottsModel: connectivity', '4 or 8', connectivity)
  const corner = connectivity === 8 ? 1 : 0
  const values = Float32Array.from({ length: K * K }, (_, i) => (i % (K + 1) === 0 ? 0 : strength))
  return scope(() => ({
    neighbours: tensor([corner, 1, corner, 1, 0, 1, corner, 1, corner], [3, 3]),
    compatibility: tensor(values, [K, K]),
  }))
}

/** Checks that a model goes with maps of K labels. @throws ShapeError */
function checkGrid(name: string, grid: GridModel, K: number): void {
  checkObject(grid, `${name}: the grid model`, '{ neighbours, compatibility }', Object.keys(gridNames))
  checkKeys(`${name}: the grid model`, grid, gridNames)
  const { neighbours, compatibility } = grid
  checkTensor(neighbours, name, 'neighbours')
  checkTensor(compatibility, name, 'compatibility')
  const isOdd = neighbours.ndim === 2 && neighbours.shape.every((extent) => extent % 2 === 1)
  if (!isOdd) throw new ShapeError(`${name}: neighbours must be (R, S), both odd, given ${showShape(neighbours.shape)}`)
  if (!sameShape(compatibility.shape, [K, K]))
    throw new ShapeError(
      `${name}: compatibility must be (${K}, ${K}) for ${K} labels, given ${showShape(compatibility.shape)}`,
    )
}

/** Checks that probabilities and scores are maps of one shape, and that the model goes with them. @throws ShapeError */
function checkField(name: string, q: Tensor, scores: Tensor, grid: GridModel): void {
  checkTensor(q, name, 'q')
  checkTensor(scores, name, 'scores')
  const [, K] = scoreExtents(name, scores)
  if (!sameShape(q.shape, scores.shape))
    throw new ShapeError(`${name}: q must be ${showShape(scores.shape)} as the scores, given ${showShape(q.shape)}`)
  checkGrid(name, grid, K)
}

/** The weights of neighbours as the kernel (1, 1, R, S) of a convolution: symmetric, and 0 in the middle. */
function symmetricKernel(neighbours: Tensor): Tensor {
  const [R, S] = neighbours.shape as [number, number]
  const size = R * S
  const middle = (size - 1) / 2
  // A matrix that gives each offset the mean of its weight and that of the opposite one. In float32 halves are exact.
  const values = new Float32Array(size * size)
  for (let i = 0; i < size; i++) {
    if (i === middle) continue
    values[i * size + i] = 0.5
    values[(size - 1 - i) * size + i] = 0.5
  }
  return matmul(neighbours.reshape([1, size]), tensor(values, [size, size])).reshape([1, 1, R, S])
}

/** m (N, K, H, W): the energy of each label by what the neighbours' probabilities say. */
export function messages(q: Tensor, { neighbours, compatibility }: GridModel): Tensor {
  const [N, K, H, W] = q.shape as [number, number, number, number]
  return scope(() => {
    const [R, S] = neighbours.shape as [number, number]
    const padding = [(R - 1) / 2, (S - 1) / 2]
    const around = conv2d(q.reshape([N * K, 1, H, W]), symmetricKernel(neighbours), { padding })
    const mixed = mul(add(compatibility, transpose(compatibility)), 0.5)
    return conv2d(around.reshape([N, K, H, W]), mixed.reshape([K, K, 1, 1]))
  })
}

/** 1 at the pixels of a part and 0 at the others, (1, 1, H, W). */
function maskOf(part: 'even' | 'odd', H: number, W: number): Tensor {
  const rest = part === 'odd' ? 1 : 0
  return tensor(
    Float32Array.from({ length: H * W }, (_, i) => ((Math.floor(i / W) + (i % W)) % 2 === rest ? 1 : 0)),
    [1, 1, H, W],
  )
}

function step(q: Tensor, scores: Tensor, grid: GridModel, part: FieldPart): Tensor {
  return scope(() => {
    const moved = softmax(sub(scores, messages(q, grid)))
    if (part === 'all') return moved
    const [, , H, W] = q.shape as [number, number, number, number]
    const other = part === 'even' ? 'odd' : 'even'
    return add(mul(moved, maskOf(part, H, W)), mul(q, maskOf(other, H, W)))
  })
}

/**
 * One step of mean field: q′ᵢ(k) ∝ exp(θᵢ(k) − Σ_d n(d) Σ_l c(k, l) · qᵢ₊d(l)). It has gradients by q, the scores, the weights of
 * neighbours and the compatibility, and is a recurrent convolution: the same kernels serve every step.
 *
 * @param q probabilities (N, K, H, W), such as `softmax(scores)`
 * @param scores θ (N, K, H, W), logarithms of probabilities up to a number at each pixel
 * @example
 * const q = meanFieldStep(softmax(scores), scores, grid)
 * @throws ShapeError when the shapes do not fit; ArgumentError when an option does not
 */
export function meanFieldStep(q: Tensor, scores: Tensor, grid: GridModel, options: MeanFieldStepOptions = {}): Tensor {
  checkCount('meanFieldStep', 4, arguments)
  checkKeys('meanFieldStep', options, stepNames)
  const { part = 'all' } = options
  if (part !== 'all' && part !== 'even' && part !== 'odd')
    throw wrongKind('meanFieldStep: part', "'all', 'even' or 'odd'", part)
  checkField('meanFieldStep', q, scores, grid)
  return step(q, scores, grid, part)
}

/** @throws ArgumentError when pixels of one part are neighbours */
function checkCheckerboard(neighbours: Tensor): void {
  const [R, S] = neighbours.shape as [number, number]
  const middle = (R * S - 1) / 2
  const wrong = neighbours.data().findIndex((weight, i) => {
    const distance = Math.abs(Math.floor(i / S) - (R - 1) / 2) + Math.abs((i % S) - (S - 1) / 2)
    return weight !== 0 && i !== middle && distance % 2 === 0
  })
  if (wrong < 0) return
  throw new ArgumentError(
    `refine: order 'checkerboard' needs neighbours that are an odd number of steps away, but the weight at (${Math.floor(wrong / S)}, ${wrong % S}) is not 0; use 'parallel'`,
  )
}

/**
 * Probabilities of the labels of all pixels, refined by their neighbours: steps of mean field from softmax(scores).
 *
 * @param scores θ (N, K, H, W)
 * @returns q (N, K, H, W)
 * @example
 * const labels = argmax(refine(model.forward(x), pottsModel({ classes: 11, strength: 0.5 })))
 * @throws ShapeError when the shapes do not fit; ArgumentError when an option does not
 */
export function refine(scores: Tensor, grid: GridModel, options: RefineOptions = {}): Tensor {
  checkCount('refine', 3, arguments)
  checkKeys('refine', options, refineNames)
  const { order = 'parallel' } = options
  if (order !== 'parallel' && order !== 'checkerboard')
    throw wrongKind('refine: order', "'parallel' or 'checkerboard'", order)
  const steps = checkWhole(options.steps ?? 5, 'refine: steps', 0, MOST_STEPS)
  checkTensor(scores, 'refine', 'scores')
  checkGrid('refine', grid, scoreExtents('refine', scores)[1])
  if (order === 'checkerboard') checkCheckerboard(grid.neighbours)
  const parts: readonly FieldPart[] = order === 'parallel' ? ['all'] : ['even', 'odd']
  return scope(() => {
    let q = softmax(scores)
    for (let t = 0; t < steps; t++) for (const part of parts) q = step(q, scores, grid, part)
    return q
  })
}

/**
 * The variational free energy F(q), divided by the number of pixels of all pictures, in nats: the objective that mean field makes
 * small, as a loss. With q = softmax of a network's output and the scores of another, or of what an image says, the network
 * learns to do inference in the model.
 *
 * @param q probabilities (N, K, H, W)
 * @param scores θ (N, K, H, W)
 * @returns a scalar
 * @example
 * const { value, gradients } = valueAndGrad((z) => freeEnergy(softmax(z), scores, grid))(z)
 * @throws ShapeError when the shapes do not fit
 */
export function freeEnergy(q: Tensor, scores: Tensor, grid: GridModel): Tensor {
  checkCount('freeEnergy', 3, arguments)
  checkField('freeEnergy', q, scores, grid)
  const [N, , H, W] = q.shape as [number, number, number, number]
  return scope(() => {
    const own = sub(log(clamp(q, { min: TINY })), scores)
    return mul(sum(mul(q, add(own, mul(messages(q, grid), 0.5)))), 1 / (N * H * W))
  })
}

/**
 * The negative logarithm of the pseudo-likelihood (Besag 1975), a mean over the pixels, in nats: how surprising each label is, given
 * the labels of its neighbours, −ln P(yᵢ | y around i). It is what the likelihood of the graphical model is replaced by where Z
 * cannot be computed, as a loss of the scores, the weights of neighbours and the compatibility.
 *
 * @param scores θ (N, K, H, W)
 * @param labels y (N, H, W), whole numbers from 0 to K − 1
 * @returns a scalar
 * @example
 * const { gradients } = valueAndGrad((neighbours, compatibility) => pseudoLikelihood(scores, labels, { neighbours, compatibility }))(n, c)
 * @throws ShapeError when the shapes do not fit; ArgumentError when a label is no class
 */
export function pseudoLikelihood(
  scores: Tensor,
  labels: Labels,
  grid: GridModel,
  options: PseudoLikelihoodOptions = {},
): Tensor {
  const name = 'pseudoLikelihood'
  checkCount(name, 4, arguments)
  checkKeys(name, options, likelihoodNames)
  checkTensor(scores, name, 'scores')
  const { ignoreIndex } = options
  const [N, K, H, W] = scoreExtents(name, scores)
  const wanted = checkLabelMap(name, labels, { shape: [N, H, W], classes: K, ignoreIndex })
  checkGrid(name, grid, K)
  const plane = H * W
  const hot = new Float32Array(N * K * plane)
  for (let i = 0; i < wanted.length; i++) {
    const label = wanted[i] as number
    if (label !== ignoreIndex) hot[(Math.floor(i / plane) * K + label) * plane + (i % plane)] = 1
  }
  return scope(() => {
    const given = messages(tensor(hot, [N, K, H, W]), grid)
    return crossEntropy(sub(scores, given), Int32Array.from(wanted), { ignoreIndex })
  })
}
