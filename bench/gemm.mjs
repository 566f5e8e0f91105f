// @ts-check
// Matrix products, in GFLOPS against what a register tile reaches in the same run (lib/register-tile.mjs).
import { BenchError } from './lib/errors.mjs'
import { measure } from './lib/measure.mjs'
import { randomNumbers } from './lib/random.mjs'
import { registerTile } from './lib/register-tile.mjs'
import { toRow } from './lib/row.mjs'

/**
 * a (M, K) · b (K, N).
 * @typedef {{ name: string, family: string, M: number, N: number, K: number }} Product
 */

/** @type {readonly Product[]} */
const products = [
  ...[128, 256, 512, 1024].map((size) => ({ name: `${size}³`, family: 'square', M: size, N: size, K: size })),
  // A 1×1 convolution of C channels to M on N pixels: w (M, C) · x (C, N).
  oneByOne('googlenet/conv2_reduce', 64, 64, 56),
  oneByOne('googlenet/3b/1x1', 256, 128, 28),
  oneByOne('googlenet/4a/1x1', 480, 192, 14),
  oneByOne('googlenet/5b/1x1', 832, 384, 7),
]

/** Rows of the register tiles that the engines keep in registers, in the two kinds of SIMD. */
const tileRows = { strict: [4, 5], relaxed: [4, 6] }

/** Tiles computed in one call, so that the call does not count. */
const tilesPerCall = 2000

/** @type {import('./run.mjs').Bench} */
export const bench = {
  description: 'matrix products, in GFLOPS and against the peak of a register tile',
  peers: [],
  options: ['threads'],
  async run({ threads = 1, rounds, log }) {
    const { algorithmOfProduct } = await import('./ours/algorithms.mjs')
    const { createProduct } = await import('./ours/gemm.mjs')
    const { start } = await import('./ours/start.mjs')
    const runtime = await start(threads)
    const tiles = tileRows[runtime.simd].map((rows) => ({
      name: `register tile ${rows}×8`,
      ...registerTile(rows, runtime.simd),
    }))
    const contenders = products.map((product) => {
      const data = { a: randomNumbers(product.M * product.K, 1), b: randomNumbers(product.K * product.N, 2) }
      const { run, output } = createProduct(product, data)
      checkProduct(product, data, output())
      return { ...product, run }
    })
    const timings = await measure(
      Object.fromEntries([
        ...tiles.map(({ name, run }) => [name, () => run(tilesPerCall)]),
        ...contenders.map(({ name, run }) => [name, run]),
      ]),
      {
        rounds,
        fewestRounds: 5,
        budgetMilliseconds: 15_000,
        warmupMilliseconds: 100,
        shortestSample: 50,
        onRound: (round) => log(`gemm: round ${round}`),
      },
    )
    const row = (
      /** @type {string} */ name,
      /** @type {string} */ family,
      /** @type {string} */ label,
      /** @type {number} */ operations,
      /** @type {string} */ algorithm,
    ) => {
      const timing = timings[name]
      if (timing === undefined) throw new Error(`${name} was not timed`)
      return toRow({ bench: 'gemm', case: label, family, operations, algorithm, ...runtime }, { ours: timing })
    }
    const tileRowsMeasured = tiles.map(({ name, operations }) =>
      row(name, 'peak', name, operations * tilesPerCall, 'register tile'),
    )
    const peak = Math.max(...tileRowsMeasured.map(({ gflops = 0 }) => gflops))
    const productRows = products.map(({ name, family, M, N, K }) => {
      const label = family === 'square' ? name : `${name} (${M}×${K})·(${K}×${N})`
      return row(name, family, label, 2 * M * N * K, algorithmOfProduct({ M, N, K }))
    })
    return [...tileRowsMeasured, ...productRows].map((measured) => ({ ...measured, peak_gflops: peak }))
  },
}

/**
 * @param {string} name of the layer
 * @param {number} channels
 * @param {number} filters
 * @param {number} extent
 */
function oneByOne(name, channels, filters, extent) {
  return { name, family: '1x1', M: filters, N: extent ** 2, K: channels }
}

/**
 * Some elements, spread over the result, against their sums in float64.
 * @param {Product} product
 * @param {{ a: Float32Array, b: Float32Array }} data
 * @param {Float32Array} given
 */
function checkProduct({ name, M, N, K }, { a, b }, given) {
  if (given.length !== M * N) throw new BenchError(`gemm ${name}: ${given.length} elements, expected ${M * N}`)
  for (let at = 0; at < given.length; at += 997) {
    const [row, column] = [Math.floor(at / N), at % N]
    let sum = 0
    let magnitude = 0
    for (let k = 0; k < K; k++) {
      const term = (a[row * K + k] ?? NaN) * (b[k * N + column] ?? NaN)
      sum += term
      magnitude += Math.abs(term)
    }
    const apart = Math.abs(sum - (given[at] ?? NaN)) / magnitude
    if (!(apart <= 1e-5)) {
      throw new BenchError(`gemm ${name}: element (${row}, ${column}) is off by ${apart.toExponential(1)}`)
    }
  }
}
