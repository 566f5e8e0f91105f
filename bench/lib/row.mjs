// @ts-check
// What a bench reports for one case.

/**
 * One measured case. `ratio` is the fastest peer's time divided by ours: above 1, ours is faster; null without peers.
 * Native programs stand beside the others and do not count for it: `ratios` has every peer's.
 * `gflops` is ours, `peak_gflops` what the processor could do at most, measured in the same run.
 * `errors` by pass and inputs are against float64, in units of u · Σ|w · x|; `gates` what they may be by pass.
 * `growth` is what one call takes at every size, of which `ours_ms` and `algorithm` are the largest's: lib/growth.mjs.
 * `spread_ms` is half the distance between the quartiles of the rounds; `peer_rounds` has the peers that were measured in
 * fewer `rounds` than ours. `left_out`: why a peer has no time. `start_ms` and `peak_mb` are of processes that answer once;
 * `start_ratio` is the peer's that starts fastest, divided by ours.
 * @typedef {{
 *   bench: string,
 *   case: string,
 *   family: string,
 *   selected?: boolean,
 *   ours_ms: number,
 *   peers: Record<string, number>,
 *   left_out?: Record<string, string>,
 *   ratio: number | null,
 *   ratios: Record<string, number>,
 *   images_per_second?: Record<string, number>,
 *   gflops?: number,
 *   peak_mb?: Record<string, number>,
 *   start_ms?: Record<string, number>,
 *   start_ratio?: number | null,
 *   peak_gflops?: number,
 *   algorithm: string,
 *   errors?: Record<string, Record<string, number>>,
 *   gates?: Record<string, number>,
 *   growth?: import('./growth.mjs').Growth,
 *   spread_ms: Record<string, number>,
 *   rounds: number,
 *   peer_rounds?: Record<string, number>,
 *   threads: number,
 *   simd: string,
 *   checked?: string | undefined,
 * }} Row
 */

/**
 * What a bench says of a case, besides its timings. `operations`: the floating-point operations of one call.
 * @typedef {Pick<Row, 'bench' | 'case' | 'family' | 'algorithm' | 'threads' | 'simd'>
 *   & { images?: number, operations?: number }
 *   & Partial<Pick<Row, 'selected' | 'left_out' | 'peak_gflops' | 'checked' | 'errors' | 'gates' | 'growth'>>
 * } About
 */

/** Peers that are not WebAssembly or JavaScript. */
const native = new Set(['pytorch'])

/**
 * Makes the row of a case from its timings.
 * @param {About} about
 * @param {Record<string, import('./measure.mjs').Timing>} timings `ours` and every peer
 * @returns {Row}
 */
export function toRow({ bench, case: name, family, images, operations, threads, ...about }, timings) {
  const { ours, ...others } = timings
  if (ours === undefined) throw new Error(`${bench} ${name} has no timing of ours`)
  const peers = mapValues(others, ({ median }) => median)
  const fewer = Object.entries(others).filter(([, { samples }]) => samples.length < ours.samples.length)
  const fastest = Math.min(...Object.entries(peers).map(([peer, time]) => (native.has(peer) ? Infinity : time)))
  return {
    bench,
    case: name,
    family,
    ours_ms: ours.median,
    peers,
    ratio: Number.isFinite(fastest) ? fastest / ours.median : null,
    ratios: mapValues(peers, (time) => time / ours.median),
    ...(images === undefined ? {} : { images_per_second: mapValues(timings, ({ median }) => (images / median) * 1e3) }),
    ...(operations === undefined ? {} : { gflops: operations / ours.median / 1e6 }),
    spread_ms: mapValues(timings, ({ spread }) => spread),
    rounds: ours.samples.length,
    ...(fewer.length === 0
      ? {}
      : { peer_rounds: Object.fromEntries(fewer.map(([peer, { samples }]) => [peer, samples.length])) }),
    threads,
    ...about,
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

/** @param {Pick<Row, 'gflops' | 'peak_gflops'>} row */
export function percentOfPeak({ gflops, peak_gflops: peak }) {
  return gflops === undefined || peak === undefined ? '' : `${Math.round((gflops / peak) * 100)} %`
}

/**
 * How many rounds a peer had that was too slow for all of them: ` (1 round)`.
 * @param {Pick<Row, 'peer_rounds'>} row
 * @param {string} peer
 */
export function fewerRounds({ peer_rounds: rounds }, peer) {
  const count = rounds?.[peer]
  return count === undefined ? '' : ` (${count} round${count === 1 ? '' : 's'})`
}
