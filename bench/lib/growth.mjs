// @ts-check
// How time grows with size: t ~ size^e.

/**
 * The same work at several sizes. `sizes` count images, or the pixels of a map; `ms` is one call's time and `algorithms` what
 * computed it, at each of them. `exponent` is e, fitted to all: 1 where time is proportional to size. `memory_bytes`: by
 * how much the memory in use, its peak, and the memory held were larger after the measured calls than before.
 * @typedef {{
 *   by: 'images' | 'pixels',
 *   sizes: number[],
 *   ms: number[],
 *   algorithms: string[],
 *   exponent: number,
 *   memory_bytes: { live: number, peak: number, reserved: number },
 * }} Growth
 */

/**
 * The slope of log time on log size, by least squares.
 * @param {readonly number[]} sizes
 * @param {readonly number[]} times
 */
export function exponentOf(sizes, times) {
  const x = sizes.map(Math.log)
  const y = times.map(Math.log)
  const [meanX, meanY] = [mean(x), mean(y)]
  const covariance = x.reduce((sum, value, index) => sum + (value - meanX) * ((y[index] ?? NaN) - meanY), 0)
  return covariance / x.reduce((sum, value) => sum + (value - meanX) ** 2, 0)
}

/** @param {readonly number[]} values */
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length

/**
 * Time for one image or pixel, from the smallest size to the largest, with a bar where another algorithm begins:
 * `412 405 | 299 µs/image`.
 * @param {Growth} growth
 */
export function timesEach({ by, sizes, ms, algorithms }) {
  const [factor, unit] = by === 'images' ? [1e3, 'µs/image'] : [1e6, 'ns/pixel']
  const each = sizes.map((size, index) => {
    const time = Number((((ms[index] ?? NaN) / size) * factor).toPrecision(3))
    return `${index > 0 && algorithms[index] !== algorithms[index - 1] ? '| ' : ''}${time}`
  })
  return `${each.join(' ')} ${unit}`
}

/**
 * Whether the measured calls found all memory that they needed: `same`, or what there is more of, in bytes.
 * @param {Growth} growth
 */
export function memoryChange({ memory_bytes: memory }) {
  const changed = Object.entries(memory).filter(([, bytes]) => bytes !== 0)
  return changed.length === 0
    ? 'same'
    : changed.map(([what, bytes]) => `${what} ${bytes > 0 ? '+' : ''}${bytes}`).join(', ')
}
