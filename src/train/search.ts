/**
 * Search of hyperparameters: at random, in log space, coarse to fine (Bergstra & Bengio 2012; Goodfellow et al., section
 * 11.4.4), or on a grid. What is searched is up to the caller: a trial is a function of some numbers that gives a score.
 */
import { guarded, integersAt, kernels, withWorkspace } from '../runtime/core.js'
import { DivergedError, ShapeError } from '../runtime/errors.js'
import { checkSeed } from '../tensor/create.js'

/** An interval to draw from: evenly over the logarithm (default), or over the numbers themselves. */
export interface SearchRange {
  /** Lower end. */
  readonly low: number
  /** Upper end. */
  readonly high: number
  /** What is drawn evenly: the logarithm of the number, or the number itself. Default 'log'. */
  readonly scale?: 'log' | 'linear'
}

/** One set of values that was tried. */
export interface Trial {
  /** Counted from 1 over all rounds. */
  readonly number: number
  /** Counted from 1. */
  readonly round: number
  /** What was tried, by name. */
  readonly values: Readonly<Record<string, number>>
  /** The higher the better; null where training diverged or there was no number. */
  readonly score: number | null
  /** How long it took. */
  readonly seconds: number
}

/** What a search found. */
export interface SearchResult {
  /** In the order in which they were made. */
  readonly trials: readonly Trial[]
  /** The trial of the highest score, the first of equals; undefined where none has one. */
  readonly best: Trial | undefined
  /** 'aborted' when the signal ended it after a whole trial. */
  readonly stopped: 'finished' | 'aborted'
}

/** Where a trial stands, for those that train for longer in later rounds. */
export interface TrialPlace {
  /** Number of the trial, from 1. */
  readonly number: number
  /** Number of the round, from 1. */
  readonly round: number
}

/** A score, the higher the better, for hyperparameters by name. A DivergedError counts as no score. */
export type TrialFunction = (values: Readonly<Record<string, number>>, place: TrialPlace) => Promise<number> | number

/** Called by searches, and waited for. */
export interface SearchCallbacks {
  /** After each trial. */
  onTrial?(trial: Trial): void | Promise<void>
  /** Ends the search after the trial in progress. */
  readonly signal?: AbortSignal
}

/** Options of `randomSearch`. */
export interface RandomSearchOptions extends SearchCallbacks {
  /** The range of every value, by name. */
  readonly space: Readonly<Record<string, SearchRange>>
  /** Trials in each round. */
  readonly trials: number
  /** Rounds, each in the part of the space where the best trials of the round before lie. Default 1. */
  readonly rounds?: number
  /** Share of a round's trials that the next one's space is laid around. Default ¼. */
  readonly keep?: number
  /** Default 0. */
  readonly seed?: number
}

/** Streams of random numbers from here on are those of rounds. */
const SEARCH_STREAM = 0x40000000
/** Significant digits of a value: as many as one would type. */
const DIGITS = 3

type Ranges = readonly (readonly [name: string, range: Required<SearchRange>])[]

function checkSpace(space: RandomSearchOptions['space']): Ranges {
  const entries = Object.entries(space)
  if (entries.length === 0) throw new ShapeError('search: the space has no dimension; give one, such as lr')
  return entries.map(([name, { low, high, scale = 'log' }]) => {
    const start = scale === 'log' ? 'above 0' : 'finite'
    if (!(low < high) || !Number.isFinite(low) || !Number.isFinite(high) || (scale === 'log' && low <= 0)) {
      throw new ShapeError(`search: ${name} must have a low end (${start}) below its high end, given ${low} to ${high}`)
    }
    return [name, { low, high, scale }] as const
  })
}

function checkCount(value: number, what: string): void {
  if (!Number.isInteger(value) || value < 1)
    throw new ShapeError(`search: ${what} must be a whole number from 1 on, given ${value}`)
}

const rounded = (value: number): number => Number(value.toPrecision(DIGITS))

/** The point of a range at a fraction from 0 to 1 of its way. Powers are the core's, the same everywhere. */
const pointAt = ({ low, high, scale }: Required<SearchRange>, part: number): number =>
  scale === 'log' ? low * kernels('search').scalar_pow(high / low, part) : low + (high - low) * part

/** Points of a round, one in each n-th of every range: spread evenly, but at random. */
function drawPoints(ranges: Ranges, count: number, seed: number, round: number): Record<string, number>[] {
  const words = withWorkspace(4 * (2 * count * ranges.length + 3), (pointer) => {
    const length = 2 * count * ranges.length
    guarded('search', () => kernels().random_bits(pointer, length, seed, SEARCH_STREAM + round))
    return integersAt(pointer, length).slice()
  })
  const unit = (index: number): number => ((words[index] as number) >>> 0) / 2 ** 32
  const columns = ranges.map(([name, range], dimension) => {
    const at = dimension * 2 * count
    // A Latin hypercube (McKay, Beckman & Conover 1979): which n-th is whose is shuffled for each dimension.
    const order = Array.from({ length: count }, (_, i) => i)
    for (let i = count - 1; i > 0; i--) {
      const other = Math.floor(unit(at + i) * (i + 1))
      const kept = order[i] as number
      order[i] = order[other] as number
      order[other] = kept
    }
    const values = order.map((nth, i) => rounded(pointAt(range, (nth + unit(at + count + i)) / count)))
    return [name, values] as const
  })
  return Array.from({ length: count }, (_, i) =>
    Object.fromEntries(columns.map(([name, values]) => [name, values[i] as number])),
  )
}

/** The ranges of the best trials, widened by the distance of a round's neighbours, within what they were. */
function narrow(ranges: Ranges, best: readonly Trial[], trials: number): Ranges {
  if (best.length === 0) return ranges
  return ranges.map(([name, range]) => {
    const { low, high, scale } = range
    const values = best.map((trial) => trial.values[name] as number)
    const lowest = Math.min(...values)
    const highest = Math.max(...values)
    const step = scale === 'log' ? kernels('search').scalar_pow(high / low, 1 / trials) : (high - low) / trials
    const [from, to] = scale === 'log' ? [lowest / step, highest * step] : [lowest - step, highest + step]
    return [name, { low: Math.max(low, from), high: Math.min(high, to), scale }] as const
  })
}

/** Trials with a score, the best first; the earlier of equals. */
export const ranked = (trials: readonly Trial[]): Trial[] =>
  trials
    .filter((trial) => trial.score !== null)
    .sort((a, b) => (b.score as number) - (a.score as number) || a.number - b.number)

async function attempt(values: Record<string, number>, place: TrialPlace, evaluate: TrialFunction): Promise<Trial> {
  const began = performance.now()
  let score: number | null = null
  try {
    score = await evaluate(values, place)
  } catch (error) {
    if (!(error instanceof DivergedError)) throw error
  }
  const seconds = (performance.now() - began) / 1000
  return { ...place, values, score: score !== null && Number.isFinite(score) ? score : null, seconds }
}

/** Makes the trials of a round one after another; false when the signal ended it. */
async function makeTrials(
  points: readonly Record<string, number>[],
  round: number,
  trials: Trial[],
  evaluate: TrialFunction,
  { onTrial, signal }: SearchCallbacks,
): Promise<boolean> {
  for (const values of points) {
    if (signal?.aborted) return false
    const trial = await attempt(values, { number: trials.length + 1, round }, evaluate)
    // An interrupted trial has no result.
    if (signal?.aborted) return false
    trials.push(trial)
    await onTrial?.(trial)
  }
  return true
}

const resultOf = (trials: readonly Trial[], finished: boolean): SearchResult => ({
  trials,
  best: ranked(trials)[0],
  stopped: finished ? 'finished' : 'aborted',
})

/**
 * Random search, coarse to fine. Each round draws its trials from a Latin hypercube: with n trials, every n-th of a range
 * is tried once. The same seed tries the same values, given the same scores.
 * @throws ShapeError when an option does not fit; errors of `evaluate` other than DivergedError are passed on.
 */
export async function randomSearch(evaluate: TrialFunction, options: RandomSearchOptions): Promise<SearchResult> {
  const { space, trials: count, rounds = 1, keep = 0.25, seed = 0 } = options
  let ranges = checkSpace(space)
  checkCount(count, 'trials')
  checkCount(rounds, 'rounds')
  checkSeed(seed, 'search')
  if (!(keep > 0 && keep <= 1)) throw new ShapeError(`search: keep must be above 0 and at most 1, given ${keep}`)
  const trials: Trial[] = []
  for (let round = 1; round <= rounds; round++) {
    const points = drawPoints(ranges, count, seed, round)
    if (!(await makeTrials(points, round, trials, evaluate, options))) return resultOf(trials, false)
    const best = ranked(trials.slice(-count)).slice(0, Math.max(1, Math.round(count * keep)))
    ranges = narrow(ranges, best, count)
  }
  return resultOf(trials, true)
}

/** Options of `gridSearch`. */
export interface GridSearchOptions extends SearchCallbacks {
  /** Values to try, by name; every combination is one trial. */
  readonly values: Readonly<Record<string, readonly number[]>>
}

/**
 * Grid search: every combination of the values, the last name's changing fastest.
 * @throws ShapeError when a name has no value; errors of `evaluate` other than DivergedError are passed on.
 */
export async function gridSearch(evaluate: TrialFunction, options: GridSearchOptions): Promise<SearchResult> {
  const names = Object.keys(options.values)
  if (names.length === 0) throw new ShapeError('search: the grid has no dimension; give one, such as lr')
  let points: Record<string, number>[] = [{}]
  for (const name of names) {
    const values = options.values[name] as readonly number[]
    if (values.length === 0 || !values.every(Number.isFinite))
      throw new ShapeError(`search: ${name} must have at least one value, all of them finite`)
    points = points.flatMap((point) => values.map((value) => ({ ...point, [name]: value })))
  }
  const trials: Trial[] = []
  return resultOf(trials, await makeTrials(points, 1, trials, evaluate, options))
}
