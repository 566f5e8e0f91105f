/**
 * The inverse discrete cosine transform of JPEG blocks in integers, after C. Loeffler, A. Ligtenberg and G. S. Moschytz,
 * "Practical fast 1-D DCT algorithms with 11 multiplications", ICASSP 1989, with the scales and the roundings of jpeg-js 0.4:
 * pictures keep the pixels that they had when jpeg-js read them.
 */

// Cosines and sines of π/16, 3π/16 and 6π/16, and roots, in 4096ths.
const COS_1 = 4017
const SIN_1 = 799
const COS_3 = 3406
const SIN_3 = 2276
const COS_6 = 1567
const SIN_6 = 3784
const ROOT_2 = 5793
const ROOT_HALF = 2896

/**
 * Transforms eight values of `p` in place, from `at` on in steps of `step`. Products are scaled down by `shift` bits: 8
 * along rows, which makes the results 16 times as large, and 12 along columns. `lift` is what 8 is short of 12.
 */
function transform(p: Int32Array, at: number, step: number, shift: number, lift: number): void {
  const [i1, i2, i3] = [at + step, at + 2 * step, at + 3 * step]
  const [i4, i5, i6, i7] = [at + 4 * step, at + 5 * step, at + 6 * step, at + 7 * step]
  const half = 1 << (shift - 1)
  if ((p[i1]! | p[i2]! | p[i3]! | p[i4]! | p[i5]! | p[i6]! | p[i7]!) === 0) {
    const mean = (ROOT_2 * p[at]! + 4 * half) >> (shift + 2)
    p[at] = p[i1] = p[i2] = p[i3] = p[i4] = p[i5] = p[i6] = p[i7] = mean
    return
  }
  let v0 = (ROOT_2 * p[at]! + half) >> shift
  let v1 = (ROOT_2 * p[i4]! + half) >> shift
  let v2 = p[i2]!
  let v3 = p[i6]!
  let v4 = (ROOT_HALF * (p[i1]! - p[i7]!) + half) >> shift
  let v7 = (ROOT_HALF * (p[i1]! + p[i7]!) + half) >> shift
  let v5 = p[i3]! << lift
  let v6 = p[i5]! << lift
  let t = (v0 - v1 + 1) >> 1
  v0 = (v0 + v1 + 1) >> 1
  v1 = t
  t = (v2 * SIN_6 + v3 * COS_6 + half) >> shift
  v2 = (v2 * COS_6 - v3 * SIN_6 + half) >> shift
  v3 = t
  t = (v4 - v6 + 1) >> 1
  v4 = (v4 + v6 + 1) >> 1
  v6 = t
  t = (v7 + v5 + 1) >> 1
  v5 = (v7 - v5 + 1) >> 1
  v7 = t
  t = (v0 - v3 + 1) >> 1
  v0 = (v0 + v3 + 1) >> 1
  v3 = t
  t = (v1 - v2 + 1) >> 1
  v1 = (v1 + v2 + 1) >> 1
  v2 = t
  t = (v4 * SIN_3 + v7 * COS_3 + 2048) >> 12
  v4 = (v4 * COS_3 - v7 * SIN_3 + 2048) >> 12
  v7 = t
  t = (v5 * SIN_1 + v6 * COS_1 + 2048) >> 12
  v5 = (v5 * COS_1 - v6 * SIN_1 + 2048) >> 12
  v6 = t
  p[at] = v0 + v7
  p[i7] = v0 - v7
  p[i1] = v1 + v6
  p[i6] = v1 - v6
  p[i2] = v2 + v5
  p[i5] = v2 - v5
  p[i3] = v3 + v4
  p[i4] = v3 - v4
}

/**
 * Turns each 64 coefficients into samples 0..255, in place.
 *
 * @param table what the coefficients were divided by, in the same order
 */
export function inverseTransform(blocks: Int16Array, table: Int32Array): void {
  const p = new Int32Array(64)
  for (let at = 0; at < blocks.length; at += 64) inverseBlock(p, blocks, at, table)
}

/** The same of the block at `at`; p holds its values between the transforms of its rows and of its columns. */
function inverseBlock(p: Int32Array, block: Int16Array, at: number, table: Int32Array): void {
  let any = 0
  for (let i = 1; i < 64; i++) any |= p[i] = block[at + i]! * table[i]!
  const first = (p[0] = block[at]! * table[0]!)
  if (any === 0) {
    // The constant goes through a row and a column, and all samples are the same.
    const row = (ROOT_2 * first + 512) >> 10
    const sample = 128 + ((((ROOT_2 * row + 8192) >> 14) + 8) >> 4)
    block.fill(sample < 0 ? 0 : sample > 255 ? 255 : sample, at, at + 64)
    return
  }
  for (let row = 0; row < 64; row += 8) transform(p, row, 1, 8, 4)
  for (let column = 0; column < 8; column++) transform(p, column, 8, 12, 0)
  for (let i = 0; i < 64; i++) {
    const sample = 128 + ((p[i]! + 8) >> 4)
    block[at + i] = sample < 0 ? 0 : sample > 255 ? 255 : sample
  }
}
