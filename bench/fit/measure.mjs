// @ts-check
// The time of every algorithm in every pass of a convolution.
import { conv2d, conv2dInputGrad, conv2dWeightGrad, matmul, scope, tensor } from '../../dist/index.js'
import { measure } from '../lib/measure.mjs'
import { randomNumbers } from '../lib/random.mjs'

/**
 * Milliseconds by algorithm: with weights that were packed before, and with new ones. dw has no weights.
 * @typedef {Record<string, { kept: number, fresh?: number }>} Times
 */

/** Multiply-adds beyond which the loops of the definition are left out. */
const mostDirect = 2e7
/** Filters of less than 5 × 5 beyond which Fourier transforms, which are not taken for them unasked, are left out. */
const mostFiltersForFft = 4096

/**
 * The algorithms that are timed.
 * @param {import('./cases.mjs').Problem} problem
 * @param {import('./plan.mjs').Pass} pass
 * @param {import('./plan.mjs').Plan} plan
 */
export function timedAlgorithms(problem, pass, plan) {
  const { C, K, groups, kernel } = problem
  return plan.algorithmsFor(problem, pass).filter((algorithm) => {
    if (algorithm === 'direct') return plan.multiplyAdds(problem) <= mostDirect
    return algorithm !== 'fft' || kernel[0] >= 5 || (K * C) / groups <= mostFiltersForFft
  })
}

/**
 * The times, and that of a product of matrices (128, 128) in the same rounds, which tells how fast the machine was then.
 * Of every one the fastest round counts.
 * @param {import('./cases.mjs').Problem} problem
 * @param {import('./plan.mjs').Pass} pass
 * @param {import('./plan.mjs').Plan} plan
 * @returns {Promise<{ times: Times, reference: number }>}
 */
export async function measurePass(problem, pass, plan) {
  const { N, C, K, groups, input, kernel, output, stride, lo } = problem
  const size = (/** @type {number[]} */ shape) => shape.reduce((total, extent) => total * extent, 1)
  const shapes = { x: [N, C, ...input], w: [K, C / groups, ...kernel], dy: [N, K, ...output] }
  const weights = randomNumbers(size(shapes.w), 2)
  const x = tensor(randomNumbers(size(shapes.x), 1), shapes.x)
  const w = tensor(weights, shapes.w)
  const dy = tensor(randomNumbers(size(shapes.dy), 3), shapes.dy)
  const square = tensor(randomNumbers(128 * 128, 4), [128, 128])
  const newWeights = () => tensor(weights, shapes.w)

  /** @type {Record<string, () => unknown>} */
  const contenders = { reference: () => scope(() => void matmul(square, square)) }
  for (const algorithm of timedAlgorithms(problem, pass, plan)) {
    const options = { stride, padding: lo, groups, algorithm: /** @type {'auto'} */ (algorithm) }
    const run = (/** @type {import('../../dist/index.js').Tensor} */ weight) => {
      if (pass === 'fwd') return conv2d(x, weight, options)
      if (pass === 'dx') return conv2dInputGrad(weight, dy, { inputSize: input, ...options })
      return conv2dWeightGrad(x, dy, { kernel, ...options })
    }
    contenders[`${algorithm} kept`] = () => scope(() => void run(w))
    if (pass !== 'dw') contenders[`${algorithm} fresh`] = () => scope(() => void run(newWeights()))
  }
  if (pass !== 'dw') contenders['new weights'] = () => scope(() => void newWeights())
  const timings = await measure(contenders, {
    fewestRounds: 5,
    mostRounds: 5,
    warmupMilliseconds: 3,
    shortestSample: 3,
  })
  for (const owned of [x, w, dy, square]) owned.dispose()

  const fastest = (/** @type {string} */ name) => Math.min(...(timings[name]?.samples ?? []))
  /** @type {Times} */
  const times = {}
  for (const name of Object.keys(contenders)) {
    const algorithm = name.split(' ')[0] ?? ''
    if (!name.endsWith(' kept')) continue
    const kept = round(fastest(name))
    times[algorithm] =
      pass === 'dw' ? { kept } : { kept, fresh: round(fastest(`${algorithm} fresh`) - fastest('new weights')) }
  }
  return { times, reference: round(fastest('reference')) }
}

/** @param {number} value */
const round = (value) => Number(value.toPrecision(4))
