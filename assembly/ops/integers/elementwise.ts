/** Bytes element by element: sums, tables, and the ways from float32 and to it. Ranges of elements. */
import { bytesOf, byteAt, storeBytes, widened } from './requantize'

/** What a sum of two tensors of bytes is told. */
@unmanaged
class IntegerSum {
  aZero: i32
  aSigned: i32
  bZero: i32
  bSigned: i32
  /** Factors of a and b, at most 2^21, in units of 2^−shift. */
  aFactor: i32
  bFactor: i32
  shift: i32
  yZero: i32
  low: i32
  high: i32
}

/** Elements begin ≤ i < end of y = zero + ⌊((a − aZero) · aFactor + (b − bZero) · bFactor + 2^(shift − 1)) / 2^shift⌋, limited. */
export function integer_add_fwd(y: usize, a: usize, b: usize, sum: usize, begin: i32, end: i32): void {
  const d = changetype<IntegerSum>(sum)
  const aZero = i16x8.splat(<i16>d.aZero)
  const bZero = i16x8.splat(<i16>d.bZero)
  const aSigned = d.aSigned != 0
  const bSigned = d.bSigned != 0
  const ma = i32x4.splat(d.aFactor)
  const mb = i32x4.splat(d.bFactor)
  const round = i32x4.splat(1 << (d.shift - 1))
  const zero = i16x8.splat(<i16>d.yZero)
  const low = i16x8.splat(<i16>d.low)
  const high = i16x8.splat(<i16>d.high)
  let i = begin
  for (; i + 8 <= end; i += 8) {
    const va = widened(a + <usize>i, aSigned, aZero)
    const vb = widened(b + <usize>i, bSigned, bZero)
    const v0 = i32x4.add(
      i32x4.add(i32x4.mul(i32x4.extend_low_i16x8_s(va), ma), round),
      i32x4.mul(i32x4.extend_low_i16x8_s(vb), mb),
    )
    const v1 = i32x4.add(
      i32x4.add(i32x4.mul(i32x4.extend_high_i16x8_s(va), ma), round),
      i32x4.mul(i32x4.extend_high_i16x8_s(vb), mb),
    )
    storeBytes(y + <usize>i, bytesOf(i32x4.shr_s(v0, d.shift), i32x4.shr_s(v1, d.shift), zero, low, high), 8)
  }
  for (; i < end; i++) {
    const va = byteAt(a + <usize>i, aSigned) - d.aZero
    const vb = byteAt(b + <usize>i, bSigned) - d.bZero
    const v = ((va * d.aFactor + vb * d.bFactor + (1 << (d.shift - 1))) >> d.shift) + d.yZero
    store<u8>(y + <usize>i, <u8>min(d.high, max(d.low, v)))
  }
}

/** Elements begin ≤ i < end of y: for each byte of x that of a table of 256. */
export function integer_lookup_fwd(y: usize, x: usize, table: usize, begin: i32, end: i32): void {
  for (let i = <usize>begin; i < <usize>end; i++) store<u8>(y + i, load<u8>(table + <usize>load<u8>(x + i)))
}

/** Elements begin ≤ i < end of y = zero + x / scale, rounded to the nearest, halves to the even one, and limited; NaN gives low. */
export function integer_quantize_fwd(
  y: usize,
  x: usize,
  scale: f32,
  zeroPoint: i32,
  least: i32,
  most: i32,
  begin: i32,
  end: i32,
): void {
  const by = f32x4.splat(scale)
  const low = f32x4.splat(<f32>(least - zeroPoint))
  const high = f32x4.splat(<f32>(most - zeroPoint))
  const low16 = i16x8.splat(<i16>least)
  const high16 = i16x8.splat(<i16>most)
  const zero = i16x8.splat(<i16>zeroPoint)
  let i = begin
  for (; i + 8 <= end; i += 8) {
    const at = x + ((<usize>i) << 2)
    const v0 = i32x4.trunc_sat_f32x4_s(limited(f32x4.nearest(f32x4.div(v128.load(at), by)), low, high))
    const v1 = i32x4.trunc_sat_f32x4_s(limited(f32x4.nearest(f32x4.div(v128.load(at, 16), by)), low, high))
    storeBytes(y + <usize>i, bytesOf(v0, v1, zero, low16, high16), 8)
  }
  for (; i < end; i++) {
    const v = limited(f32x4.nearest(f32x4.div(v128.load32_splat(x + ((<usize>i) << 2)), by)), low, high)
    store<u8>(y + <usize>i, <u8>(i32x4.extract_lane(i32x4.trunc_sat_f32x4_s(v), 0) + zeroPoint))
  }
}

/** v between two limits: what is not above the lower one, NaN too, is that one. */
@inline
function limited(v: v128, low: v128, high: v128): v128 {
  return f32x4.pmin(high, f32x4.pmax(low, v))
}

/** Elements begin ≤ i < end of y = (x − zero) · scale. */
export function integer_dequantize_fwd(
  y: usize,
  x: usize,
  scale: f32,
  zeroPoint: i32,
  signed: i32,
  begin: i32,
  end: i32,
): void {
  const by = f32x4.splat(scale)
  const zero = i16x8.splat(<i16>zeroPoint)
  let i = begin
  for (; i + 8 <= end; i += 8) {
    const v = widened(x + <usize>i, signed != 0, zero)
    const at = y + ((<usize>i) << 2)
    v128.store(at, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(v)), by))
    v128.store(at, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(v)), by), 16)
  }
  for (; i < end; i++) store<f32>(y + ((<usize>i) << 2), <f32>(byteAt(x + <usize>i, signed != 0) - zeroPoint) * scale)
}
