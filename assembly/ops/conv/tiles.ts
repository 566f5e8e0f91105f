/** What the tiled algorithms share: shapes rounded up to whole tiles. */
import { panelCount } from '../../micro/gemm'
import { ConvShape } from './shape'

/** Fields of ConvShape. */
const SHAPE_BYTES: usize = 100
/** Bytes that a rounded shape takes at the start of a workspace. */
export const ROUNDED_BYTES: usize = 128

/** A copy of the shape at `to` whose output is rounded up to whole tiles: its padded input holds every tile. */
export function roundUp(to: usize, shape: usize, m: i32): ConvShape {
  memory.copy(to, shape, SHAPE_BYTES)
  const d = changetype<ConvShape>(to)
  d.P = panelCount(d.P, m) * m
  d.Q = panelCount(d.Q, m) * m
  return d
}

/** A shape at `to` under which padImage rounds `maps` maps of the output, dy, up to whole tiles with zeros. */
export function roundUpOutput(to: usize, shape: usize, m: i32, maps: i32): ConvShape {
  const given = changetype<ConvShape>(shape)
  const d = roundUp(to, shape, m)
  d.C = maps
  d.H = given.P
  d.W = given.Q
  d.R = 1
  d.S = 1
  d.padH = 0
  d.padW = 0
  return d
}

/**
 * The frequencies of four windows, a vector each from `lanes` on, to where four records of 16 bytes in `queue` say: lane l
 * of frequency f to its address + f·stride. Then each address moves on by what the record's second number says.
 */
export function scatterLanes(queue: usize, lanes: usize, stride: usize, e: i32): void {
  let to0 = <usize>load<u32>(queue)
  let to1 = <usize>load<u32>(queue, 16)
  let to2 = <usize>load<u32>(queue, 32)
  let to3 = <usize>load<u32>(queue, 48)
  store<u32>(queue, <u32>to0 + load<u32>(queue, 4))
  store<u32>(queue, <u32>to1 + load<u32>(queue, 20), 16)
  store<u32>(queue, <u32>to2 + load<u32>(queue, 36), 32)
  store<u32>(queue, <u32>to3 + load<u32>(queue, 52), 48)
  const end = lanes + ((<usize>(e * e)) << 4)
  while (lanes < end) {
    const values = v128.load(lanes)
    v128.store32_lane(to0, values, 0)
    v128.store32_lane(to1, values, 1)
    v128.store32_lane(to2, values, 2)
    v128.store32_lane(to3, values, 3)
    to0 += stride
    to1 += stride
    to2 += stride
    to3 += stride
    lanes += 16
  }
}
