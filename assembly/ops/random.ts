/**
 * The one random generator: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
 * Counter-based: number i of a stream depends on (seed, stream, i) alone, so ranges can be filled in any order.
 */
import { logTwo, sinTwo } from '../double'
import { loadLanes, storeLanes } from '../micro/lanes'
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

/** The same of the two lower words, in float64. */
@inline
function units(bits: v128): v128 {
  return f64x2.mul(f64x2.convert_low_i32x4_u(i32x4.shr_u(bits, 8)), f64x2.splat(5.9604644775390625e-8))
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
  const means = f32x4.splat(mean)
  const deviations = f32x4.splat(deviation)
  // Two pairs at a time: the block holds a multiple of four.
  for (let p = to; p < end; p += 4 * F32) {
    const words = v128.load(p)
    const one = f64x2.splat(1)
    // 1 - u lies in (0, 1], so that its logarithm is finite.
    const u = f64x2.sub(one, units(i32x4.shuffle(words, words, 0, 2, 0, 2)))
    const radius = f64x2.sqrt(f64x2.mul(f64x2.splat(-2), logTwo(u)))
    const angle = f64x2.mul(f64x2.splat(6.283185307179586), units(i32x4.shuffle(words, words, 1, 3, 1, 3)))
    const even = f32x4.demote_f64x2_zero(f64x2.mul(radius, sinTwo(angle, 1)))
    const odd = f32x4.demote_f64x2_zero(f64x2.mul(radius, sinTwo(angle, 0)))
    v128.store(p, f32x4.add(means, f32x4.mul(deviations, i32x4.shuffle(even, odd, 0, 4, 1, 5))))
  }
}

/** Low and high words of the products of four words with a constant. */
@inline
function lowWords(even: v128, odd: v128): v128 {
  return i8x16.shuffle(even, odd, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
}


@inline
function highWords(even: v128, odd: v128): v128 {
  return i8x16.shuffle(even, odd, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31)
}

/** Elements first ≤ i < first + lanes of y = x · scale, or x · 0 where the word of i lies below the threshold. */
@inline
function drop(y: usize, x: usize, words: v128, threshold: v128, scale: v128, lanes: i32): void {
  storeLanes(y, f32x4.mul(loadLanes(x, lanes), v128.and(scale, i32x4.ge_u(words, threshold))), lanes)
}

/**
 * Blocks of sixteen elements begin ≤ i / 16 < end of y (count): x · scale where word i of (seed, stream) is at least
 * `threshold`, else x · 0. The words are those of counters that `random_bits` does not use, four counters at a time.
 */
export function dropout_fwd(
  y: usize,
  x: usize,
  count: i32,
  seed: u32,
  stream: u32,
  threshold: u32,
  scale: f32,
  begin: i32,
  end: i32,
): void {
  const left = i32x4.splat(0xd2511f53)
  const right = i32x4.splat(0xcd9e8d57)
  const limit = i32x4.splat(threshold)
  const factor = f32x4.splat(scale)
  for (let block = begin; block < end; block++) {
    let c0 = i32x4.add(i32x4.splat(4 * block), i32x4(0, 1, 2, 3))
    let c1 = i32x4.splat(0)
    let c2 = i32x4.splat(stream)
    let c3 = i32x4.splat(1)
    let k0 = seed
    let k1: u32 = 0
    for (let round = 0; round < 10; round++) {
      const leftEven = i64x2.extmul_low_i32x4_u(c0, left)
      const leftOdd = i64x2.extmul_high_i32x4_u(c0, left)
      const rightEven = i64x2.extmul_low_i32x4_u(c2, right)
      const rightOdd = i64x2.extmul_high_i32x4_u(c2, right)
      c0 = v128.xor(v128.xor(highWords(rightEven, rightOdd), c1), i32x4.splat(k0))
      c1 = lowWords(rightEven, rightOdd)
      c2 = v128.xor(v128.xor(highWords(leftEven, leftOdd), c3), i32x4.splat(k1))
      c3 = lowWords(leftEven, leftOdd)
      k0 += 0x9e3779b9
      k1 += 0xbb67ae85
    }
    // Lane j of c0 … c3 holds the four words of counter j: element 4j + i of the block takes word i.
    const low01 = i8x16.shuffle(c0, c1, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23)
    const high01 = i8x16.shuffle(c0, c1, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31)
    const low23 = i8x16.shuffle(c2, c3, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23)
    const high23 = i8x16.shuffle(c2, c3, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31)
    const words0 = i8x16.shuffle(low01, low23, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23)
    const words1 = i8x16.shuffle(low01, low23, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31)
    const words2 = i8x16.shuffle(high01, high23, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23)
    const words3 = i8x16.shuffle(high01, high23, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31)
    const first = (<usize>block) << 6
    const to = y + first
    const from = x + first
    const rest = count - 16 * block
    if (rest >= 16) {
      drop(to, from, words0, limit, factor, 4)
      drop(to + 16, from + 16, words1, limit, factor, 4)
      drop(to + 32, from + 32, words2, limit, factor, 4)
      drop(to + 48, from + 48, words3, limit, factor, 4)
      continue
    }
    dropSome(to, from, words0, limit, factor, rest)
    dropSome(to + 16, from + 16, words1, limit, factor, rest - 4)
    dropSome(to + 32, from + 32, words2, limit, factor, rest - 8)
    dropSome(to + 48, from + 48, words3, limit, factor, rest - 12)
  }
}

/** The same for four elements, fewer, or none. */
function dropSome(y: usize, x: usize, words: v128, threshold: v128, scale: v128, rest: i32): void {
  if (rest > 0) drop(y, x, words, threshold, scale, min(4, rest))
}
