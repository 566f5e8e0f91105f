/** What the algorithms on transformed tiles share: shapes rounded up to whole tiles. */
import { panelCount } from '../../micro/gemm'
import { ConvShape } from './shape'

/** Bytes that a rounded shape takes at the start of a workspace. */
export const ROUNDED_BYTES: usize = 128

/** A copy of the shape at `to` whose output is rounded up to whole tiles (m, l): its padded input holds every tile. */
export function roundUp(to: usize, shape: usize, m: i32, l: i32): ConvShape {
  memory.copy(to, shape, offsetof<ConvShape>())
  const d = changetype<ConvShape>(to)
  d.P = panelCount(d.P, m) * m
  d.Q = panelCount(d.Q, l) * l
  return d
}

/** A shape at `to` under which padImage rounds `maps` maps of the output, dy, up to whole tiles with zeros. */
export function roundUpOutput(to: usize, shape: usize, m: i32, l: i32, maps: i32): ConvShape {
  const given = changetype<ConvShape>(shape)
  const d = roundUp(to, shape, m, l)
  d.C = maps
  d.H = given.P
  d.W = given.Q
  d.R = 1
  d.S = 1
  d.padH = 0
  d.padW = 0
  return d
}

/** Rows of `columns` outputs, of a tile of which a part is written, are so many bytes apart. */
@inline
export function partPitch(columns: i32): usize {
  return <usize>((columns * 4 + 15) & ~15)
}
