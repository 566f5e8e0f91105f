// @ts-check
// What benches against peers share: loading those that are installed, and comparing outputs.
import { BenchError } from './errors.mjs'

/**
 * The modules of the peers that are installed, and why the others are not there.
 * @template T
 * @param {Record<string, () => Promise<T>>} modules
 * @param {readonly string[]} names
 * @param {(line: string) => void} log
 * @param {number} threads for those that can have several: they export `useThreads`
 */
export async function loadPeers(modules, names, log, threads) {
  /** @type {Record<string, T>} */
  const peers = {}
  /** @type {Record<string, string>} */
  const leftOut = {}
  for (const name of names) {
    try {
      const loaded = await modules[name]?.()
      if (loaded === undefined) continue
      ;/** @type {{ useThreads?: (threads: number) => void }} */ (loaded).useThreads?.(threads)
      peers[name] = loaded
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND')) throw error
      leftOut[name] = 'not installed'
      log(`bench: ${name} is left out, it is not installed: npm ci --prefix bench`)
    }
  }
  return { peers, leftOut }
}

/**
 * Compares a peer's output with ours; says how far they are apart, as a part of our largest output.
 * @param {string} what
 * @param {Float32Array} expected
 * @param {string} peer
 * @param {Float32Array} given
 * @param {number} tolerance
 */
export function compareOutputs(what, expected, peer, given, tolerance) {
  return finding(peer, distanceOf(what, expected, peer, given, tolerance))
}

/**
 * The distance of a peer's output from ours as a part of our largest output.
 * @param {string} what
 * @param {Float32Array} expected
 * @param {string} peer
 * @param {Float32Array} given
 * @param {number} tolerance
 * @throws BenchError where the distance is above the tolerance
 */
export function distanceOf(what, expected, peer, given, tolerance) {
  if (given.length !== expected.length) {
    throw new BenchError(`${what}: ours has ${expected.length} outputs, ${peer} ${given.length}`)
  }
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  const apart = expected.reduce((most, value, index) => Math.max(most, Math.abs(value - (given[index] ?? NaN))), 0)
  const relative = apart === 0 ? 0 : apart / largest
  if (!(relative <= tolerance)) {
    throw new BenchError(`${what}: ours and ${peer} differ by ${relative.toExponential(1)} of the largest output`)
  }
  return relative
}

/**
 * @param {string} peer
 * @param {number} distance
 */
export const finding = (peer, distance) =>
  distance === 0 ? `${peer} equal` : `${peer} within ${distance.toExponential(0)}`
