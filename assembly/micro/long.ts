/**
 * Sums of many terms. A sum of n floats in float32, one after another, is off by at most n · 2⁻²⁴ of the sum of their
 * magnitudes, and 2²⁴ ones are as many as it can count. Up to LONG terms sums are taken so, in vectors. Longer ones are taken
 * in runs of RUN terms, whose sums are added in float64: by their number alone, so that the bits depend on shapes and not
 * on threads. Their error is at most (RUN + 2) · 2⁻²⁴ = 2.4e-4 of the sum of the magnitudes, however many terms there are, and
 * in practice some 1e-6, as roundings cancel.
 */

/** The largest number of terms that one float32 sum has. */
export const LONG: i32 = 1 << 18
/** Terms of a part of a longer sum. */
export const RUN: i32 = 1 << 12

/** to[i] += from[i] for `count` f64 at `to` and floats at `from`, which become zero: the end of a run. */
export function addRun(to: usize, from: usize, count: i32): void {
  for (let i = 0; i < count; i++) {
    store<f64>(to, load<f64>(to) + <f64>load<f32>(from))
    store<f32>(from, 0)
    to += 8
    from += 4
  }
}

/** to[i] = from[i] for `count` floats at `to` and f64 at `from`, which may begin at the same place. */
export function roundAll(to: usize, from: usize, count: i32): void {
  for (let i = 0; i < count; i++) {
    store<f32>(to, <f32>load<f64>(from))
    to += 4
    from += 8
  }
}
