// @ts-check
// Times contenders against each other in one process. They take turns within every round, so that a machine that
// slows down or speeds up does so for all of them, and the one that begins changes from round to round.

/**
 * @typedef {{ median: number, spread: number, samples: number[] }} Timing `median` and `spread` (half the distance
 *   between the quartiles) in milliseconds of one call; one sample for each round
 * @typedef {{
 *   rounds?: number | undefined,
 *   fewestRounds?: number,
 *   mostRounds?: number,
 *   budgetMilliseconds?: number,
 *   warmups?: number,
 *   warmupMilliseconds?: number,
 *   shortestSample?: number,
 *   onRound?: (round: number) => void,
 * }} MeasureOptions
 */

/**
 * Calls every contender `warmups` times unmeasured and until `warmupMilliseconds` have passed, then once a round. A contender that is done sooner than
 * `shortestSample` milliseconds is called several times in a row and the round counts the mean of them. Without
 * `rounds`, measuring goes on until another round would overrun the budget.
 *
 * @template {string} Name
 * @param {Record<Name, () => unknown>} contenders
 * @param {MeasureOptions} options
 * @returns {Promise<Record<Name, Timing>>}
 */
export async function measure(contenders, options = {}) {
  const { rounds, fewestRounds = 3, mostRounds = 15, budgetMilliseconds = 60_000, onRound } = options
  const warmups = Math.max(1, options.warmups ?? 2)
  const warmupMilliseconds = options.warmupMilliseconds ?? 0
  const shortestSample = options.shortestSample ?? 200
  const names = /** @type {Name[]} */ (Object.keys(contenders))

  const repeats = /** @type {Record<Name, number>} */ ({})
  for (const name of names) {
    let once = Infinity
    const begin = performance.now()
    for (let warmup = 0; warmup < warmups || performance.now() - begin < warmupMilliseconds; warmup++) {
      once = Math.min(once, await time(contenders[name], 1))
    }
    repeats[name] = Math.min(1e6, Math.max(1, Math.ceil(shortestSample / Math.max(once, 1e-4))))
  }

  const samples = /** @type {Record<Name, number[]>} */ ({})
  for (const name of names) samples[name] = []
  const start = performance.now()
  for (let round = 0; round < (rounds ?? mostRounds); round++) {
    const spent = performance.now() - start
    if (rounds === undefined && round >= fewestRounds && (spent / round) * (round + 1) > budgetMilliseconds) break
    onRound?.(round + 1)
    for (let turn = 0; turn < names.length; turn++) {
      const name = /** @type {Name} */ (names[(round + turn) % names.length])
      samples[name].push(await time(contenders[name], repeats[name]))
    }
  }
  return /** @type {Record<Name, Timing>} */ (
    Object.fromEntries(names.map((name) => [name, { ...summarize(samples[name]), samples: samples[name] }]))
  )
}

/**
 * The mean time in milliseconds of `repeats` calls. Waits only for what is a promise: a peer may be asynchronous, but
 * a synchronous one is not charged for a turn of the event loop.
 * @param {() => unknown} run
 * @param {number} repeats
 */
async function time(run, repeats) {
  const start = performance.now()
  for (let repeat = 0; repeat < repeats; repeat++) {
    const result = run()
    if (result instanceof Promise) await result
  }
  return (performance.now() - start) / repeats
}

/**
 * @param {readonly number[]} samples
 * @returns {{ median: number, spread: number }}
 */
export function summarize(samples) {
  const sorted = [...samples].sort((a, b) => a - b)
  return { median: quantile(sorted, 0.5), spread: (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / 2 }
}

/**
 * @param {readonly number[]} sorted
 * @param {number} fraction
 */
function quantile(sorted, fraction) {
  const position = (sorted.length - 1) * fraction
  const below = sorted[Math.floor(position)] ?? NaN
  const above = sorted[Math.ceil(position)] ?? NaN
  return below + (above - below) * (position - Math.floor(position))
}
