/** The rounds of a search. `randomSearch` and `gridSearch` load this file when they run. */
import { guarded, integersAt, kernels, withWorkspace } from '../runtime/core.js'
import { ArgumentError, DivergedError } from '../runtime/errors.js'
import {
  checkCallback,
  checkFunction,
  checkList,
  checkObject,
  checkSignal,
  checkWhole,
  wrongKind,
} from '../runtime/check.js'
import { inWords } from '../runtime/text.js'
import { needKeys, type Names } from '../runtime/options.js'
import { checkSeed } from '../tensor/create.js'
import { searchStream } from '../tensor/streams.js'
import {
  ranked,
  type GridSearchOptions,
  type RandomSearchOptions,
  type SearchCallbacks,
  type SearchRange,
  type SearchResult,
  type Trial,
  type TrialFunction,
  type TrialPlace,
} from './trials.js'

/** Significant digits of a value: as many as one would type. */
const DIGITS = 3

type Ranges = readonly (readonly [name: string, range: Required<SearchRange>])[]

function checkSpace(space: RandomSearchOptions['space']): Ranges {
  checkObject(space, 'search: space', 'an object of ranges, such as { lr: { low: 1e-4, high: 1 } }')
  const entries = Object.entries(space)
  if (entries.length === 0) throw new ArgumentError('search: the space has no dimension; give one, such as lr')
  return entries.map(([name, range]) => {
    needKeys(`search: ${name}`, range, { low: 0, high: 0, scale: 0 } satisfies Names<SearchRange>)
    const { low, high, scale = 'log' } = range
    const start = scale === 'log' ? 'above 0' : 'finite'
    if (!Number.isFinite(low) || !Number.isFinite(high) || low >= high || (scale === 'log' && low <= 0)) {
      throw new ArgumentError(
        `search: ${name} must have a low end (${start}) below its high end, given ${inWords(low)} to ${inWords(high)}`,
      )
    }
    return [name, { low, high, scale }] as const
  })
}

const rounded = (value: number): number => Number(value.toPrecision(DIGITS))

/** The point of a range at a fraction from 0 to 1 of its way. Powers are the core's, the same everywhere. */
const pointAt = ({ low, high, scale }: Required<SearchRange>, part: number): number =>
  scale === 'log' ? low * kernels('search').scalar_pow(high / low, part) : low + (high - low) * part

/** Points of a round, one in each n-th of every range: spread evenly, but at random. */
function drawPoints(ranges: Ranges, count: number, seed: number, round: number): Record<string, number>[] {
  const words = withWorkspace(4 * (2 * count * ranges.length + 3), (pointer) => {
    const length = 2 * count * ranges.length
    guarded('search', () => kernels().random_bits(pointer, length, seed, searchStream(round)))
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

async function attempt(values: Record<string, number>, place: TrialPlace, evaluate: TrialFunction): Promise<Trial> {
  const began = performance.now()
  let score: number | null = null
  try {
    const given: unknown = await evaluate(values, place)
    if (typeof given !== 'number') throw wrongKind('search: what the function gives', 'a number, the score', given)
    score = given
  } catch (error) {
    if (!(error instanceof DivergedError)) throw error
  }
  const seconds = (performance.now() - began) / 1000
  return { ...place, values, score: score !== null && Number.isFinite(score) ? score : null, seconds }
}

/** Makes the trials of a round, some at a time, and lists them in their order; false when the signal ended it. */
async function makeTrials(
  points: readonly Record<string, number>[],
  round: number,
  trials: Trial[],
  evaluate: TrialFunction,
  { onTrial, signal, concurrency = 1 }: SearchCallbacks,
): Promise<boolean> {
  const before = trials.length
  const running: Promise<Trial>[] = []
  let next = 0
  try {
    for (let done = 0; done < points.length; done++) {
      for (; next < points.length && running.length < concurrency && !signal?.aborted; next++) {
        const trial = attempt(points[next] as Record<string, number>, { number: before + next + 1, round }, evaluate)
        // What fails while an earlier one runs is told when its turn comes.
        trial.catch(() => undefined)
        running.push(trial)
      }
      if (signal?.aborted) return false
      const trial = await (running[0] as Promise<Trial>)
      void running.shift()
      // An interrupted trial has no result.
      if (signal?.aborted) return false
      trials.push(trial)
      await onTrial?.(trial)
    }
    return true
  } finally {
    await Promise.allSettled(running)
  }
}

const resultOf = (trials: readonly Trial[], finished: boolean): SearchResult => ({
  trials,
  best: ranked(trials)[0],
  stopped: finished ? 'finished' : 'aborted',
})

function checkCallbacks(evaluate: TrialFunction, { onTrial, signal, concurrency = 1 }: SearchCallbacks): void {
  checkFunction(evaluate, 'search: the first argument', 'a function of the values that gives a score')
  checkCallback(onTrial, 'search: onTrial')
  checkSignal(signal, 'search: signal')
  checkWhole(concurrency, 'search: concurrency')
}

const callbackNames = { onTrial: 0, signal: 0, concurrency: 0 } satisfies Names<SearchCallbacks>
const randomNames = {
  space: 0,
  trials: 0,
  rounds: 0,
  keep: 0,
  seed: 0,
} satisfies Names<Omit<RandomSearchOptions, keyof SearchCallbacks>>

/** What `randomSearch` does. */
export async function searchAtRandom(evaluate: TrialFunction, options: RandomSearchOptions): Promise<SearchResult> {
  needKeys('search', options, randomNames, callbackNames)
  checkCallbacks(evaluate, options)
  const { space, trials: count, rounds = 1, keep = 0.25, seed = 0 } = options
  let ranges = checkSpace(space)
  checkWhole(count, 'search: trials')
  checkWhole(rounds, 'search: rounds')
  checkSeed(seed, 'search')
  if (!(keep > 0 && keep <= 1)) throw wrongKind('search: keep', 'above 0 and at most 1', keep)
  const trials: Trial[] = []
  for (let round = 1; round <= rounds; round++) {
    const points = drawPoints(ranges, count, seed, round)
    if (!(await makeTrials(points, round, trials, evaluate, options))) return resultOf(trials, false)
    const best = ranked(trials.slice(-count)).slice(0, Math.max(1, Math.round(count * keep)))
    ranges = narrow(ranges, best, count)
  }
  return resultOf(trials, true)
}

/** What `gridSearch` does. */
export async function searchGrid(evaluate: TrialFunction, options: GridSearchOptions): Promise<SearchResult> {
  needKeys('search', options, { values: 0 }, callbackNames)
  checkCallbacks(evaluate, options)
  checkObject(options.values, 'search: values', 'an object of lists, such as { lr: [0.1, 1] }')
  const names = Object.keys(options.values)
  if (names.length === 0) throw new ArgumentError('search: the grid has no dimension; give one, such as lr')
  let points: Record<string, number>[] = [{}]
  for (const name of names) {
    const values = options.values[name] as readonly number[]
    checkList(values, `search: ${name}`, 'a list of numbers')
    if (values.length === 0 || !values.every(Number.isFinite))
      throw new ArgumentError(`search: ${name} must have at least one value, all of them finite`)
    points = points.flatMap((point) => values.map((value) => ({ ...point, [name]: value })))
  }
  const trials: Trial[] = []
  return resultOf(trials, await makeTrials(points, 1, trials, evaluate, options))
}
