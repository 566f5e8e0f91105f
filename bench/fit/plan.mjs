// @ts-check
// src/plan/ as a module: it is plain TypeScript that imports nothing but errors and shapes.
import { importSource } from '../lib/source.mjs'

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
export const loadPlan = () => importSource('plan/conv.ts')
