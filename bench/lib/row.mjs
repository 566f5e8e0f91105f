// @ts-check
// What a bench reports for one case.

/**
 * One measured case. `ratio` is the fastest peer's time divided by ours: above 1, ours is faster; null without peers.
 * `spread_ms` is half the distance between the quartiles of the rounds.
 * @typedef {{
 *   bench: string,
 *   case: string,
 *   ours_ms: number,
 *   peers: Record<string, number>,
 *   ratio: number | null,
 *   images_per_second?: Record<string, number>,
 *   spread_ms: Record<string, number>,
 *   rounds: number,
 *   threads: number,
 *   checked?: string,
 * }} Row
 */

/**
 * Makes the row of a case from its timings.
 * @param {{ bench: string, case: string, threads: number, images?: number, checked?: string | undefined }} about
 * @param {Record<string, import('./measure.mjs').Timing>} timings `ours` and every peer
 * @returns {Row}
 */
export function toRow({ bench, case: name, threads, images, checked }, timings) {
  const { ours, ...others } = timings
  if (ours === undefined) throw new Error(`${bench} ${name} has no timing of ours`)
  const peers = mapValues(others, ({ median }) => median)
  const fastest = Math.min(...Object.values(peers))
  return {
    bench,
    case: name,
    ours_ms: ours.median,
    peers,
    ratio: Number.isFinite(fastest) ? fastest / ours.median : null,
    ...(images === undefined ? {} : { images_per_second: mapValues(timings, ({ median }) => (images / median) * 1e3) }),
    spread_ms: mapValues(timings, ({ spread }) => spread),
    rounds: ours.samples.length,
    threads,
    ...(checked === undefined ? {} : { checked }),
  }
}

/**
 * @template From, To
 * @param {Record<string, From>} object
 * @param {(value: From) => To} change
 * @returns {Record<string, To>}
 */
function mapValues(object, change) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]))
}
