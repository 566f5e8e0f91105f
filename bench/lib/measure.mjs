// @ts-check
// Times contenders against each other in one process. They take turns within every round, so that a machine that
// slows down or speeds up does so for all of them, and the one that begins changes from round to round.

/**
 * @typedef {{ median: number, spread: number, samples: number[] }} Timing `median` and `spread` (half the distance
 *   between the quartiles) in milliseconds of one call; one sample for each round that the contender took part in
 * @typedef {{
 *   rounds?: number | undefined,
 *   fewestRounds?: number,
 *   mostRounds?: number,
 *   budgetMilliseconds?: number,
 *   shareMilliseconds?: number,
 *   warmups?: number,
 *   warmupMilliseconds?: number,
 *   shortestSample?: number,
 *   before?: Record<string, () => unknown>,
 *   onRound?: (round: number) => void,
 * }} MeasureOptions
 */

/** How passes of whole networks are timed: a second of warm-up, then three to nine rounds in a quarter of a minute. */
export const ofPasses = {
  ...{ fewestRounds: 3, mostRounds: 9, budgetMilliseconds: 15_000 },
  ...{ warmupMilliseconds: 1000, shortestSample: 30 },
}

/**
 * Calls every contender `warmups` times unmeasured and until `warmupMilliseconds` have passed, then once a round. A
 * contender that is done sooner than `shortestSample` milliseconds is called several times in a row and the round counts
 * the mean of them. Without `rounds`, measuring goes on until another round would overrun the budget, and a contender of
 * which another sample would overrun its share, warm-up included, sits out the rounds that are left; it has one sample at least.
 * `before` has what a contender needs before each of its samples, unmeasured.
 *
 * @template {string} Name
 * @param {Record<Name, () => unknown>} contenders
 * @param {MeasureOptions} options
 * @returns {Promise<Record<Name, Timing>>}
 */
export async function measure(contenders, options = {}) {
  const { rounds, fewestRounds = 3, mostRounds = 15, budgetMilliseconds = 60_000, onRound } = options
  const share = rounds === undefined ? (options.shareMilliseconds ?? Infinity) : Infinity
  const warmups = Math.max(1, options.warmups ?? 2)
  const warmupMilliseconds = options.warmupMilliseconds ?? 0
  const shortestSample = options.shortestSample ?? 200
  const names = /** @type {Name[]} */ (Object.keys(contenders))

  const repeats = /** @type {Record<Name, number>} */ ({})
  const spent = /** @type {Record<Name, number>} */ ({})
  for (const name of names) {
    let once = Infinity
    const begin = performance.now()
    await options.before?.[name]?.()
    for (let warmup = 0; warmup < warmups || performance.now() - begin < warmupMilliseconds; warmup++) {
      once = Math.min(once, await time(contenders[name], 1))
    }
    repeats[name] = Math.min(1e6, Math.max(1, Math.ceil(shortestSample / Math.max(once, 1e-4))))
    spent[name] = performance.now() - begin
  }

  const samples = /** @type {Record<Name, number[]>} */ ({})
  for (const name of names) samples[name] = []
  /** What a sample of a contender takes, from those that it has. @param {Name} name */
  const sampleTime = (name) => summarize(samples[name]).median * repeats[name]
  const start = performance.now()
  let active = names
  for (let round = 0; round < (rounds ?? mostRounds); round++) {
    if (round > 0) active = active.filter((name) => spent[name] + sampleTime(name) <= share)
    const next = active.reduce((sum, name) => sum + sampleTime(name), 0)
    const over = performance.now() - start + next > budgetMilliseconds
    if (active.length === 0 || (rounds === undefined && round >= fewestRounds && over)) break
    onRound?.(round + 1)
    for (let turn = 0; turn < active.length; turn++) {
      const name = /** @type {Name} */ (active[(round + turn) % active.length])
      const begin = performance.now()
      await options.before?.[name]?.()
      samples[name].push(await time(contenders[name], repeats[name]))
      spent[name] += performance.now() - begin
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
