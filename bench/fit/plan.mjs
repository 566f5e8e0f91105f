// @ts-check
// src/plan/ as a module: it is plain TypeScript that imports nothing but errors and shapes.
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

/** @typedef {'fwd' | 'dx' | 'dw'} Pass */

/**
 * @typedef {{
 *   algorithmsFor: (problem: import('./cases.mjs').Problem, pass: Pass) => string[],
 *   planConv: (problem: import('./cases.mjs').Problem, pass: Pass) => string,
 *   automaticFor: (problem: import('./cases.mjs').Problem, pass: Pass) => string[],
 *   algorithms: Record<string, {
 *     counts: Record<Pass, (problem: import('./cases.mjs').Problem) => Record<string, number>>,
 *   }>,
 *   costOf: (problem: import('./cases.mjs').Problem, pass: Pass, algorithm: string) => number,
 *   multiplyAdds: (problem: import('./cases.mjs').Problem) => number,
 * }} Plan
 * @returns {Promise<Plan>}
 */
export async function loadPlan() {
  const entry = fileURLToPath(new URL('../../src/plan/conv.ts', import.meta.url))
  const { outputFiles } = await build({ entryPoints: [entry], bundle: true, format: 'esm', write: false })
  const code = Buffer.from(outputFiles[0]?.contents ?? new Uint8Array()).toString('base64')
  return import(`data:text/javascript;base64,${code}`)
}
