/**
 * The one random generator: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
 * Counter-based: number i of a stream depends on (seed, stream, i) alone, so ranges can be filled in any order.
 */
import { F32 } from '../simd'

/** Four random words for counter (index, stream) under key (seed, 0), stored at `to`. */
function philox(to: usize, seed: u32, stream: u32, index: u32): void {
  let c0 = index
  let c1: u32 = 0
  let c2 = stream
  let c3: u32 = 0
  let k0 = seed
  let k1: u32 = 0
  for (let round = 0; round < 10; round++) {
    const left = <u64>c0 * 0xd2511f53
    const right = <u64>c2 * 0xcd9e8d57
    c0 = (<u32>(right >> 32)) ^ c1 ^ k0
    c1 = <u32>right
    c2 = (<u32>(left >> 32)) ^ c3 ^ k1
    c3 = <u32>left
    k0 += 0x9e3779b9
    k1 += 0xbb67ae85
  }
  store<u32>(to, c0)
  store<u32>(to, c1, 4)
  store<u32>(to, c2, 8)
  store<u32>(to, c3, 12)
}

/** `count` random 32-bit words at `to`, whose block must hold a multiple of four. */
export function random_bits(to: usize, count: i32, seed: u32, stream: u32): void {
  for (let i = 0; i < count; i += 4) philox(to + <usize>i * 4, seed, stream, (<u32>i) >> 2)
}

/** Uniform in [0, 1): the upper 24 bits. */
@inline
function unit(bits: u32): f32 {
  return <f32>(bits >> 8) * <f32>5.9604644775390625e-8
}

/** `count` floats at `to`, uniform in [low, high). The block of memory holds a multiple of four. */
export function random_uniform(to: usize, count: i32, seed: u32, stream: u32, low: f32, high: f32): void {
  random_bits(to, count, seed, stream)
  const end = to + <usize>count * F32
  const range = high - low
  for (let p = to; p < end; p += F32) {
    const value = low + range * unit(load<u32>(p))
    // Rounding can reach `high`, which the interval leaves out.
    store<f32>(p, value < high || range <= 0 ? value : low)
  }
}

/** `count` normal floats at `to`, by the Box-Muller transform of pairs of words, in float64. */
export function random_normal(to: usize, count: i32, seed: u32, stream: u32, mean: f32, deviation: f32): void {
  random_bits(to, count, seed, stream)
  const end = to + <usize>count * F32
  for (let p = to; p < end; p += 2 * F32) {
    // 1 - u lies in (0, 1], so that its logarithm is finite.
    const radius = NativeMath.sqrt(-2 * NativeMath.log(1 - <f64>unit(load<u32>(p))))
    const angle = 6.283185307179586 * <f64>unit(load<u32>(p, 4))
    store<f32>(p, mean + deviation * <f32>(radius * NativeMath.cos(angle)))
    store<f32>(p, mean + deviation * <f32>(radius * NativeMath.sin(angle)), 4)
  }
}
