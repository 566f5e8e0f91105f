/**
 * Means of windows, y = Σ x / extent, for x (maps, D, H, W) and y (maps, O, P, Q): sums whose numerator is 1. The extent
 * of a window is the number of its elements, with or without those in the padding.
 */
import { PoolShape } from './shape'
import { meanAdaptive, Plain, spreadMap, spreadWorkspace, sumMap } from './sum'

/** Maps begin ≤ item < end of y (maps, O, P, Q): sum · numerator / extent over windows. */
export function avgpool_fwd(y: usize, x: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<PoolShape>(shape)
  for (let item = begin; item < end; item++) {
    const to = y + <usize>item * d.bytes
    const map = x + <usize>item * d.inputBytes
    if (d.width.kernel == 0) meanAdaptive(to, map, d)
    else sumMap<Plain>(to, map, 0, d)
  }
}

/** Bytes of workspace for avgpool_dx. */
export function avgpool_dx_workspace(shape: usize): f64 {
  return spreadWorkspace(changetype<PoolShape>(shape))
}

/** Maps begin ≤ item < end of dx (maps, D, H, W), the adjoint of avgpool_fwd. */
export function avgpool_dx(dx: usize, dy: usize, ws: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<PoolShape>(shape)
  for (let item = begin; item < end; item++) {
    spreadMap(dx + <usize>item * d.inputBytes, dy + <usize>item * d.bytes, ws, d)
  }
}
