// @ts-check
import { init, runtimeInfo } from '../../dist/index.js'
import { BenchError } from '../lib/errors.mjs'

/**
 * Starts the library; says how. With fewer threads than wanted, nothing is measured.
 * @param {number} wanted threads
 */
export async function start(wanted) {
  await init({ simd: 'strict', threads: wanted })
  const { simd, threads, threadsOffBecause } = runtimeInfo()
  if (threads !== wanted) {
    throw new BenchError(`--threads ${wanted}: the library computes with ${threads}: ${threadsOffBecause}`)
  }
  return { simd, threads }
}
