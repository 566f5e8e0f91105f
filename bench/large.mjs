// @ts-check
// Large kernels, by what the library takes unasked and by matrix products: Fourier transforms in one to three directions, and
// separable kernels, w · d multiplications for a pixel, beside the same kernel as it is, w^d.
import { BenchError } from './lib/errors.mjs'
import { measure } from './lib/measure.mjs'
import { randomNumbers } from './lib/random.mjs'
import { toRow } from './lib/row.mjs'

/**
 * x (1, C, n …), kernels of `kernel`, K of them or, where `separable`, one for each channel.
 * @typedef {{ C: number, K: number, n: number, kernel: readonly number[], separable?: boolean }} Case
 */

/** @type {readonly Case[]} */
const cases = [
  { C: 16, K: 16, n: 4096, kernel: [32] },
  { C: 64, K: 64, n: 4096, kernel: [128] },
  { C: 32, K: 32, n: 4096, kernel: [1024] },
  { C: 64, K: 64, n: 56, kernel: [11, 11] },
  { C: 64, K: 64, n: 56, kernel: [5, 15] },
  { C: 32, K: 32, n: 128, kernel: [31, 31] },
  { C: 16, K: 16, n: 24, kernel: [5, 5, 5] },
  { C: 16, K: 16, n: 24, kernel: [9, 9, 9] },
  { C: 8, K: 8, n: 4096, kernel: [9], separable: true },
  { C: 8, K: 8, n: 128, kernel: [9, 9], separable: true },
  { C: 8, K: 8, n: 48, kernel: [9, 9, 9], separable: true },
]

/** What stands beside ours: the same convolution as a product of matrices, or channel by channel. */
const otherwise = (/** @type {Case} */ { separable }) => (separable ? 'depthwise' : 'gemm')

/** @type {import('./run.mjs').Bench} */
export const bench = {
  description: 'large kernels by Fourier transforms and as separable ones, beside matrix products and rows of taps',
  peers: ['gemm', 'depthwise'],
  own: true,
  options: ['threads'],
  async run({ threads = 1, rounds, peers, log }) {
    const { createLarge } = await import('./ours/large.mjs')
    const { start } = await import('./ours/start.mjs')
    const runtime = await start(threads)
    const rows = []
    for (const one of cases) {
      const { C, K, n, kernel, separable } = one
      const pixels = kernel.reduce((product) => product * n, 1)
      const taps = kernel.reduce((product, extent) => product * extent, 1)
      const data = { x: randomNumbers(C * pixels, 1), w: randomNumbers(separable ? taps : K * C * taps, 2) }
      const other = otherwise(one)
      const name = `${kernel.join('×')} on ${kernel.map(() => n).join('×')}, ${separable ? `${C} channels` : `${C}→${K}`}`
      const { ours, others, algorithm, output } = createLarge(one, data, other)
      check(name, output.ours(), output.others())
      const timings = await measure(
        { ours, ...(peers.includes(other) ? { [other]: others } : {}) },
        { rounds, fewestRounds: 5, budgetMilliseconds: 10_000, warmupMilliseconds: 300, shortestSample: 30 },
      )
      log(`large: ${name}`)
      const timing = timings.ours
      if (timing === undefined) throw new Error(`${name} was not timed`)
      const family = separable ? 'separable' : 'large'
      rows.push(toRow({ bench: 'large', case: name, family, algorithm, ...runtime }, { ...timings, ours: timing }))
    }
    return rows
  },
}

/**
 * Both must give the same, within what the rounding of the larger sum allows.
 * @param {string} name
 * @param {Float32Array} given
 * @param {Float32Array} expected
 */
function check(name, given, expected) {
  let [apart, largest] = [0, 0]
  for (const [i, value] of expected.entries()) {
    apart = Math.max(apart, Math.abs(value - (given[i] ?? NaN)))
    largest = Math.max(largest, Math.abs(value))
  }
  if (!(apart <= 1e-4 * largest)) throw new BenchError(`large ${name}: results are ${apart} apart, of ${largest}`)
}
