/**
 * Search of hyperparameters: at random, in log space, coarse to fine (Bergstra & Bengio 2012; Goodfellow et al., section
 * 11.4.4), or on a grid. What is searched is up to the caller: a trial is a function of some numbers that gives a score.
 */
import type { GridSearchOptions, RandomSearchOptions, SearchResult, TrialFunction } from './trials.js'
import { checkCount } from '../runtime/options.js'
import { loadWork } from './later.js'

/**
 * Random search, coarse to fine. Each round draws its trials from a Latin hypercube: with n trials, every n-th of a range
 * is tried once. The same seed tries the same values, given the same scores.
 *
 *     const { best } = await randomSearch(({ lr }) => scoreOf(lr), { space: { lr: { low: 1e-4, high: 1 } }, trials: 8, rounds: 2 })
 *
 * @throws ShapeError when an option does not fit; errors of `evaluate` other than DivergedError are passed on.
 */
export async function randomSearch(evaluate: TrialFunction, options: RandomSearchOptions): Promise<SearchResult> {
  checkCount('randomSearch', 2, arguments)
  return (await loadWork()).searchAtRandom(evaluate, options)
}

/**
 * Grid search: every combination of the values, the last name's changing fastest.
 *
 *     const { best } = await gridSearch(({ lr }) => scoreOf(lr), { values: { lr: [0.01, 0.1, 1] } })
 *
 * @throws ShapeError when a name has no value; errors of `evaluate` other than DivergedError are passed on.
 */
export async function gridSearch(evaluate: TrialFunction, options: GridSearchOptions): Promise<SearchResult> {
  checkCount('gridSearch', 2, arguments)
  return (await loadWork()).searchGrid(evaluate, options)
}
