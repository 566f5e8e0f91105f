/**
 * Nanoseconds of one of each of what counts.ts counts. Written by `node bench/fit/integers.mjs` from bench/results/integers.json: AMD EPYC, one thread,
 * Node 20.20.2, 2026-11-28.
 */
import type { IntegerKind } from './counts.js'

export const costs: Readonly<Record<IntegerKind, Readonly<Record<string, number>>>> = {
  gathered: { products: 0.0261, outputs: 0.446, widened: 0.602, calls: 668 },
  depthwise: { outputs: 1.09, inputs: 0.0873, maps: 147 },
  linear: { products: 0.056 },
}
