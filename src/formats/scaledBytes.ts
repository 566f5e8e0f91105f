/** Numbers as whole ones of eight bits around 0, and a scale for each slice along the first axis: what q stands for is q · scale. */

/** The smallest scale: below it a scale is denormal in float32, where x / scale and its reverse lose their meaning. */
export const LEAST_SCALE = 1.1754943508222875e-38

/**
 * The nearest whole numbers from −127 to 127, halves upwards.
 *
 * @param values slices of equal size, one after the other
 * @param scales one for each slice, above 0
 */
export function bytesByScales(values: Float32Array, scales: Float32Array): Int8Array {
  const each = values.length / scales.length
  return Int8Array.from(values, (value, i) =>
    Math.max(-127, Math.min(127, Math.round(value / (scales[Math.floor(i / each)] as number)))),
  )
}

/** Scales by which the largest magnitude of each slice is 127 steps. Numbers must be finite. */
export function scalesOf(values: Float32Array, slices: number): Float32Array {
  const each = values.length / slices
  return Float32Array.from({ length: slices }, (_, slice) => {
    let most = 0
    for (let i = slice * each; i < (slice + 1) * each; i++) most = Math.max(most, Math.abs(values[i] as number))
    const scale = Math.fround(Math.max(most / 127, LEAST_SCALE))
    // Rounded upwards, 127 steps may pass the largest float32.
    return Number.isFinite(Math.fround(127 * scale)) ? scale : Math.fround(scale * (1 - 1 / 8_388_608))
  })
}

/** What whole numbers stand for. */
export function floatsOfScaled(bytes: Int8Array, scales: Float32Array): Float32Array {
  const each = bytes.length / scales.length
  return Float32Array.from(bytes, (byte, i) => byte * (scales[Math.floor(i / each)] as number))
}
