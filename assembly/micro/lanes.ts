/** One to four floats as a vector: lets one body serve whole vectors (`lanes` a literal 4) and remainders. */
import { loadTail, storeTail } from '../simd'

/** The `lanes` floats at p; the lanes above them are zero. */
@inline
export function loadLanes(p: usize, lanes: i32): v128 {
  return lanes == 4 ? v128.load(p) : loadTail(p, lanes)
}

/** Stores the low `lanes` lanes of v at p. */
@inline
export function storeLanes(p: usize, v: v128, lanes: i32): void {
  if (lanes == 4) v128.store(p, v)
  else storeTail(p, v, lanes)
}

/** All bits in the low `lanes` lanes. */
@inline
function lowLanes(lanes: i32): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(lanes))
}

/** v with zeros above the low `lanes` lanes. */
@inline
export function firstLanes(v: v128, lanes: i32): v128 {
  return lanes == 4 ? v : v128.and(v, lowLanes(lanes))
}

/** The `lanes` floats at p; the lanes above them are `fill`. */
@inline
export function loadLanesOr(p: usize, lanes: i32, fill: v128): v128 {
  return lanes == 4 ? v128.load(p) : v128.bitselect(loadTail(p, lanes), fill, lowLanes(lanes))
}
