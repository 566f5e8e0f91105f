// @ts-check
// Which algorithms compute a product or a whole network, in words.
import { importSource } from '../lib/source.mjs'

/** @typedef {'forward' | 'input gradient' | 'weight gradient'} Pass */

/** @type {{ planMatmul: (problem: { M: number, N: number, K: number, transposeA: boolean, transposeB: boolean }) => string }} */
const { planMatmul } = await importSource('plan/matmul.ts')

/**
 * Of op(a) (M, K) · op(b) (K, N).
 * @param {{ M: number, N: number, K: number }} extents
 * @param {{ transposeA?: boolean, transposeB?: boolean }} orientation
 */
export const algorithmOfProduct = ({ M, N, K }, { transposeA = false, transposeB = false } = {}) =>
  planMatmul({ M, N, K, transposeA, transposeB })

/**
 * How often each algorithm computes a layer: `gemm 2, winograd 11; linear: dot 3`. Of a training step, pass by pass.
 * @param {import('../../dist/index.js').Graph} model
 * @param {import('../networks/steps.mjs').Network} network its steps
 * @param {number} batch
 * @param {{ training?: boolean }} options
 */
export function algorithmsOfNetwork(model, network, batch, { training = false } = {}) {
  const { layers } = model.explain(undefined, { batch })
  const products = network.steps.flatMap(({ type, weight }) => (type === 'Linear' && weight ? [weight.shape] : []))
  /** @type {Pass[]} */
  const passes = training ? ['forward', 'input gradient', 'weight gradient'] : ['forward']
  const parts = passes.map((pass) => {
    // The first layer reads the images, which need no gradient.
    const computed = pass === 'input gradient' ? layers.slice(1) : layers
    const chosen = computed.flatMap(({ passes }) => passes.find((one) => one.pass === pass)?.chosen ?? [])
    const found = [
      ...(chosen.length > 0 ? [counted(chosen)] : []),
      ...(products.length > 0 ? [`linear: ${counted(products.map((shape) => productOf(pass, batch, shape)))}`] : []),
    ]
    return `${training ? `${pass} ` : ''}${found.join('; ')}`
  })
  return parts.join(' | ')
}

/**
 * A fully connected layer: y (N, out) = x (N, in) · wᵀ, its inputs' gradient dy · w, its weights' dyᵀ · x.
 * @param {Pass} pass
 * @param {number} N
 * @param {readonly number[]} shape of w (out, in)
 */
function productOf(pass, N, [units = 0, inputs = 0]) {
  if (pass === 'forward') return algorithmOfProduct({ M: N, N: units, K: inputs }, { transposeB: true })
  if (pass === 'input gradient') return algorithmOfProduct({ M: N, N: inputs, K: units })
  return algorithmOfProduct({ M: units, N: inputs, K: N }, { transposeA: true })
}

/**
 * How often each algorithm computes a convolution of a pass.
 * @param {import('../../dist/index.js').ExplanationData} explanation
 */
export function countedAlgorithms({ layers }) {
  const chosen = layers.flatMap(({ passes }) => passes.find(({ pass }) => pass === 'forward')?.chosen ?? [])
  return chosen.length > 0 ? counted(chosen) : 'no convolutions'
}

/** @param {readonly string[]} names */
const counted = (names) =>
  [...new Set(names)].map((name) => `${name} ${names.filter((other) => other === name).length}`).join(', ')
