/**
 * The transforms of the algorithms on transformed tiles by the extent e of a tile: Winograd's for 4 and 6, Fourier's for 16, 32 and 64. A
 * Fourier transform of real numbers has (e/2 + 1)·e complex frequencies; products of complex numbers are real products
 * of twice the depth and twice the frequencies:
 *
 *   | Mr |   |  Wr  Wi |   | Xr |
 *   | Mi | = | -Wi  Wr | · | Xi |     M = X · conj W, a correlation
 *
 * so everything between the transforms is the same for both.
 */
import { fftTiles, fillTwiddles, gridBytes, inverseFftTiles, twiddleBytes } from '../../micro/fft'
import { SCRATCH_BYTES, inverseFilters, inverseTiles, transformGradients, transformTiles } from '../../micro/winograd'
import { inverseFilters4, inverseTiles4, transformGradients4, transformTiles4 } from '../../micro/winograd4'
import { align } from './shape'

/** 1 where frequencies are complex, else 0: the depth and the number of products are shifted by it. */
@inline
export function complexOf(e: i32): i32 {
  return e > 6 ? 1 : 0
}

/** Frequencies of V. U, E and M have twice as many where they are complex. */
@inline
export function frequenciesOf(e: i32): i32 {
  return e > 6 ? e * (e / 2 + 1) : e * e
}

/** Bytes of one transform's scratch with a vector behind it, of its tables, and of four transformed windows. */
export function scratchBytes(e: i32): usize {
  return e > 6 ? align(gridBytes(e)) + 64 : SCRATCH_BYTES + 64
}


@inline
export function tableBytes(e: i32): usize {
  return e > 6 ? twiddleBytes(e) : 0
}


@inline
export function lanesBytes(e: i32): usize {
  return align((<usize>(frequenciesOf(e) << complexOf(e))) << 4)
}

/** Fills the tables of transforms of extent e. */
@inline
export function fillTables(tables: usize, e: i32): void {
  if (e > 6) fillTwiddles(tables, e)
}

/**
 * Four windows (e, e) of the input at p0 … p3, rows `pitch` bytes apart, into frequency f at to + f·stride; imaginary
 * parts `im` bytes behind.
 */
@inline
export function transformInput(
  e: i32,
  to: usize,
  stride: usize,
  im: usize,
  scratch: usize,
  tables: usize,
  p0: usize,
  p1: usize,
  p2: usize,
  p3: usize,
  pitch: usize,
): void {
  if (e == 6) transformTiles(to, stride, scratch, p0, p1, p2, p3, pitch)
  else if (e == 4) transformTiles4(to, stride, scratch, p0, p1, p2, p3, pitch)
  else fftTiles(to, stride, im, scratch, tables, e, p0, p1, p2, p3, pitch, e, e)
}

/** The same of four windows (t, u) of the output's gradient; Winograd's are square. */
@inline
export function transformOutput(
  e: i32,
  to: usize,
  stride: usize,
  im: usize,
  scratch: usize,
  tables: usize,
  p0: usize,
  p1: usize,
  p2: usize,
  p3: usize,
  pitch: usize,
  t: i32,
  u: i32,
): void {
  if (e == 6) transformGradients(to, stride, scratch, p0, p1, p2, p3, pitch, t)
  else if (e == 4) transformGradients4(to, stride, scratch, p0, p1, p2, p3, pitch)
  else fftTiles(to, stride, im, scratch, tables, e, p0, p1, p2, p3, pitch, t, u)
}

/** Outputs (m, l) of four windows, Winograd's (m, m), from products f at from + f·stride, with a vector added, to t0 … t3. */
@inline
export function inverseOutput(
  e: i32,
  t0: usize,
  t1: usize,
  t2: usize,
  t3: usize,
  pitch: usize,
  scratch: usize,
  tables: usize,
  from: usize,
  stride: usize,
  bias: usize,
  m: i32,
  l: i32,
): void {
  if (e == 6) inverseTiles(t0, t1, t2, t3, pitch, scratch, from, stride, bias, m)
  else if (e == 4) inverseTiles4(t0, t1, t2, t3, pitch, scratch, from, stride, bias)
  else inverseFftTiles(t0, t1, t2, t3, pitch, scratch, tables, e, from, stride, bias, m, l)
}

/** Filter gradients (R, R) of four channels from sums f at from + f·stride: tap (r, s) at to + r·pitch + s·step + 4·lane. */
@inline
export function inverseFilter(e: i32, to: usize, from: usize, stride: usize, R: i32): void {
  if (e == 6) inverseFilters(to, from, stride, R)
  else inverseFilters4(to, from, stride)
}

/**
 * Four transformed windows, a vector for each frequency (two where it is complex) from `lanes` on, as rows of the left
 * operand of a product. `queue` has four records of 16 bytes: where lane l of frequency 0 goes, and how far apart the
 * steps of its row are. Each record moves on by the steps that were written.
 */
export function scatterLanes(queue: usize, lanes: usize, stride: usize, e: i32): void {
  const complex = complexOf(e)
  for (let lane = 0; lane < 4; lane++) {
    let to = <usize>load<u32>(queue)
    const step = <usize>load<u32>(queue, 4)
    store<u32>(queue, <u32>(to + (step << complex)))
    let from = lanes + ((<usize>lane) << 2)
    for (let f = frequenciesOf(e); f > 0; f--) {
      const re = load<f32>(from)
      store<f32>(to, re)
      from += 16
      if (complex) {
        const im = load<f32>(from)
        store<f32>(to + step, im)
        to += stride
        store<f32>(to, -im)
        store<f32>(to + step, re)
        from += 16
      }
      to += stride
    }
    queue += 16
  }
}
