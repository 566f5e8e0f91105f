/**
 * Patches of a (padded) image gathered straight into panels, and added back: element (t, i) of the patch
 * matrix is image[tap[t] + pixel[i]], all offsets in bytes.
 */
import { storeTransposed } from './gemm'

/** Whether four consecutive pixels lie side by side in memory. */
@inline
function adjacent(pixels: usize): bool {
  return load<u32>(pixels, 12) - load<u32>(pixels) == 12
}


@inline
function load4(base: usize, pixels: usize): v128 {
  let v = v128.load32_zero(base + <usize>load<u32>(pixels))
  v = v128.load32_lane(base + <usize>load<u32>(pixels, 4), v, 1)
  v = v128.load32_lane(base + <usize>load<u32>(pixels, 8), v, 2)
  return v128.load32_lane(base + <usize>load<u32>(pixels, 12), v, 3)
}

/** Ones in the lanes below 1, 2 and 3. */
const LANES = memory.data<i32>([-1, 0, 0, 0, -1, -1, 0, 0, -1, -1, -1, 0])

/** How many of four pixels lie side by side before a row ends, if the others do too at the start of the next; else 0. */
@inline
function rowEnd(pixels: usize): i32 {
  const p0 = load<u32>(pixels)
  const p1 = load<u32>(pixels, 4)
  const p2 = load<u32>(pixels, 8)
  const p3 = load<u32>(pixels, 12)
  if (p3 <= p0) return 0
  if (p3 - p1 == 8) return 1
  if (p1 - p0 == 4 && p3 - p2 == 4) return 2
  return p2 - p0 == 8 ? 3 : 0
}

/** Four pixels at `pixels`, for all taps before `end`, 32 bytes apart. */
function gatherFour(panel: usize, image: usize, taps: usize, end: usize, pixels: usize): void {
  const p = image + <usize>load<u32>(pixels)
  if (adjacent(pixels)) {
    while (taps < end) {
      v128.store(panel, v128.load(p + <usize>load<u32>(taps)))
      taps += 4
      panel += 32
    }
    return
  }
  const step = load<u32>(pixels, 4) - load<u32>(pixels)
  if (
    step == 8 &&
    load<u32>(pixels, 8) - load<u32>(pixels, 4) == 8 &&
    load<u32>(pixels, 12) - load<u32>(pixels) == 24
  ) {
    // Every second column; the second load ends with the last pixel.
    while (taps < end) {
      const from = p + <usize>load<u32>(taps)
      const v = v128.load(from)
      v128.store(panel, i8x16.shuffle(v, v128.load(from, 12), 0, 1, 2, 3, 8, 9, 10, 11, 20, 21, 22, 23, 28, 29, 30, 31))
      taps += 4
      panel += 32
    }
    return
  }
  const left = rowEnd(pixels)
  if (left > 0) {
    const mask = v128.load(LANES + ((<usize>(left - 1)) << 4))
    const right = image + <usize>load<u32>(pixels, 12) - 12
    while (taps < end) {
      const tap = <usize>load<u32>(taps)
      v128.store(panel, v128.bitselect(v128.load(p + tap), v128.load(right + tap), mask))
      taps += 4
      panel += 32
    }
    return
  }
  while (taps < end) {
    v128.store(panel, load4(image + <usize>load<u32>(taps), pixels))
    taps += 4
    panel += 32
  }
}

/** Panels of eight pixels that lie side by side from `image` on, `panels` to `last`, for taps that follow each other. */
function gatherRun(panels: usize, last: usize, step: usize, image: usize, taps: usize, end: usize): void {
  while (taps < end) {
    let from = image + <usize>load<u32>(taps)
    for (let panel = panels; panel < last; panel += step) {
      v128.store(panel, v128.load(from))
      v128.store(panel, v128.load(from, 16), 16)
      from += 32
    }
    taps += 4
    panels += 32
    last += 32
  }
}

/** panels (columns / 8, taps, 8): the `columns` pixels at `pixels`, for `count` taps. */
export function gatherBlock(panels: usize, image: usize, taps: usize, count: i32, pixels: usize, columns: i32): void {
  const end = taps + ((<usize>count) << 2)
  const step = (<usize>count) << 5
  while (columns > 0) {
    // Eight by eight, as far as they lie side by side.
    const first = load<u32>(pixels)
    let run = 0
    while (run + 8 <= columns && load<u32>(pixels + ((<usize>run) << 2), 28) - first == <u32>((run + 7) << 2)) run += 8
    if (run > 0) gatherRun(panels, panels + <usize>(run >> 3) * step, step, image + <usize>first, taps, end)
    else {
      run = 8
      gatherFour(panels, image, taps, end, pixels)
      // Of a last panel of up to four columns only these are used.
      if (columns > 4) gatherFour(panels + 16, image, taps, end, pixels + 16)
    }
    panels += <usize>(run >> 3) * step
    pixels += (<usize>run) << 2
    columns -= run
  }
}

/** panel (pixels, 8): the eight taps at `taps`, for `count` pixels: the transposed patch matrix. */
export function gatherTaps(panel: usize, image: usize, taps: usize, pixels: usize, count: i32): void {
  const t0 = image + <usize>load<u32>(taps)
  const t1 = image + <usize>load<u32>(taps, 4)
  const t2 = image + <usize>load<u32>(taps, 8)
  const t3 = image + <usize>load<u32>(taps, 12)
  const t4 = image + <usize>load<u32>(taps, 16)
  const t5 = image + <usize>load<u32>(taps, 20)
  const t6 = image + <usize>load<u32>(taps, 24)
  const t7 = image + <usize>load<u32>(taps, 28)
  const end = pixels + ((<usize>count) << 2)
  while (pixels < end) {
    const offset = <usize>load<u32>(pixels)
    if (pixels + 16 <= end && adjacent(pixels)) {
      storeTransposed(
        panel,
        32,
        v128.load(t0 + offset),
        v128.load(t1 + offset),
        v128.load(t2 + offset),
        v128.load(t3 + offset),
      )
      storeTransposed(
        panel + 16,
        32,
        v128.load(t4 + offset),
        v128.load(t5 + offset),
        v128.load(t6 + offset),
        v128.load(t7 + offset),
      )
      pixels += 16
      panel += 128
      continue
    }
    store<f32>(panel, load<f32>(t0 + offset))
    store<f32>(panel, load<f32>(t1 + offset), 4)
    store<f32>(panel, load<f32>(t2 + offset), 8)
    store<f32>(panel, load<f32>(t3 + offset), 12)
    store<f32>(panel, load<f32>(t4 + offset), 16)
    store<f32>(panel, load<f32>(t5 + offset), 20)
    store<f32>(panel, load<f32>(t6 + offset), 24)
    store<f32>(panel, load<f32>(t7 + offset), 28)
    pixels += 4
    panel += 32
  }
}


@inline
function add4(to: usize, v: v128): void {
  v128.store(to, f32x4.add(v128.load(to), v))
}


@inline
function add1(to: usize, from: usize): void {
  store<f32>(to, load<f32>(to) + load<f32>(from))
}

/**
 * image[tap[t] + pixel[i]] += tile[t][i] for `rows` (1 to 4) taps and `columns` (1 to 8) pixels: the adjoint
 * of gatherPixels. Additions happen in the order of t, then i.
 */
export function scatterTile(image: usize, tile: usize, taps: usize, rows: i32, pixels: usize, columns: i32): void {
  const whole = columns == 8 && adjacent(pixels) && adjacent(pixels + 16)
  const p0 = <usize>load<u32>(pixels)
  const p4 = <usize>load<u32>(pixels, 16)
  const end = pixels + ((<usize>columns) << 2)
  for (let i = 0; i < rows; i++) {
    const base = image + <usize>load<u32>(taps)
    if (whole) {
      add4(base + p0, v128.load(tile))
      add4(base + p4, v128.load(tile, 16))
    } else {
      let from = tile
      for (let p = pixels; p < end; p += 4) {
        add1(base + <usize>load<u32>(p), from)
        from += 4
      }
    }
    taps += 4
    tile += 32
  }
}
