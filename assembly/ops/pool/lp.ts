/**
 * p-norms of windows, y = (Σ xᵖ · numerator / extent)^(1/p), for x (maps, D, H, W) and y (maps, O, P, Q). The numerator
 * is the size of a full window, so that the sum of a partial one is scaled up to it. Powers keep signs.
 */
import { pow } from '../../math'
import { loadLanes, storeLanes } from '../../micro/lanes'
import { PoolShape } from './shape'
import { Plain, spreadMap, spreadWorkspace, sumMap } from './sum'

/** vⁿ for whole n from 0 on, by repeated squaring. */
@inline
function wholePower(v: v128, n: i32): v128 {
  let result = f32x4.splat(1)
  while (true) {
    if (n & 1) result = f32x4.mul(result, v)
    n >>= 1
    if (!n) return result
    v = f32x4.mul(v, v)
  }
}

/** vᵖ: a product where p is a small whole number. */
@inline
function power(v: v128, p: f64): v128 {
  if (p == 2) return f32x4.mul(v, v)
  if (p == 0.5) return f32x4.sqrt(v)
  const whole = <i32>abs(p)
  if (<f64>whole == abs(p) && whole <= 16) {
    const result = wholePower(v, whole)
    return p < 0 ? f32x4.div(f32x4.splat(1), result) : result
  }
  return anyPower(v, p)
}

/** Not inlined: it is large. */
function anyPower(v: v128, p: f64): v128 {
  return pow(v, p)
}

/** to[i] = from[i]ᵖ. */
function powers(to: usize, from: usize, count: i32, p: f64): void {
  for (; count > 0; count -= 4) {
    const lanes = min(count, 4)
    storeLanes(to, power(loadLanes(from, lanes), p), lanes)
    to += 16
    from += 16
  }
}

/** to[i] = from[i] · base[i]ᵖ, 0 where the base is 0 if `flat`. */
function scaleByPowers(to: usize, from: usize, base: usize, count: i32, p: f64, flat: bool): void {
  const zeroed = i32x4.splat(flat ? -1 : 0)
  for (; count > 0; count -= 4) {
    const lanes = min(count, 4)
    const b = loadLanes(base, lanes)
    const scaled = f32x4.mul(loadLanes(from, lanes), power(b, p))
    storeLanes(to, v128.andnot(scaled, v128.and(zeroed, f32x4.eq(b, f32x4.splat(0)))), lanes)
    to += 16
    from += 16
    base += 16
  }
}

/** Bytes of workspace for lppool_fwd and for lppool_dx. */
export function lppool_fwd_workspace(shape: usize): f64 {
  return 4 * <f64>changetype<PoolShape>(shape).inputPixels
}

/** Offset of what spreadMap needs in the workspace of lppool_dx, behind a map of y. */
@inline
function behindMap(d: PoolShape): usize {
  return (d.bytes + 7) & ~7
}

export function lppool_dx_workspace(shape: usize): f64 {
  const d = changetype<PoolShape>(shape)
  return <f64>behindMap(d) + spreadWorkspace(d)
}

/** Maps begin ≤ item < end of y (maps, O, P, Q): (Σ xᵖ)^(1/p) over windows; d.numerator is the size of a full one. */
export function lppool_fwd(y: usize, x: usize, ws: usize, p: f64, shape: usize, begin: i32, end: i32): void {
  const d = changetype<PoolShape>(shape)
  for (let item = begin; item < end; item++) {
    const out = y + <usize>item * d.bytes
    powers(ws, x + <usize>item * d.inputBytes, d.inputPixels, p)
    sumMap<Plain>(out, ws, 0, d)
    powers(out, out, d.pixels, 1 / p)
  }
}

/** dx = xᵖ⁻¹ · Σ over windows of dy · y¹⁻ᵖ, where y = 0 gives no gradient unless p = 1. */
export function lppool_dx(
  dx: usize,
  dy: usize,
  x: usize,
  y: usize,
  ws: usize,
  p: f64,
  shape: usize,
  begin: i32,
  end: i32,
): void {
  const d = changetype<PoolShape>(shape)
  const row = ws + behindMap(d)
  for (let item = begin; item < end; item++) {
    const map = <usize>item * d.inputBytes
    const out = <usize>item * d.bytes
    scaleByPowers(ws, dy + out, y + out, d.pixels, 1 - p, p != 1)
    spreadMap(dx + map, ws, row, d)
    scaleByPowers(dx + map, dx + map, x + map, d.inputPixels, p - 1, false)
  }
}
