/**
 * A convolution of stride s as one of stride 1: the s·s phases of its input as channels, and of its kernel likewise.
 *
 *   x'[c, a, b][i, j] = xp[c][s·i + a, s·j + b]      w'[k, c, a, b][r, q] = w[k, c][s·r + a, s·q + b]
 *
 * with xp the padded input and zeros for taps beyond the kernel, which becomes R' = ⌈R/s⌉ wide. Two directions, one
 * stride, a square kernel.
 */
import { F32 } from '../../simd'
import { ConvShape } from './shape'

/** Channels begin ≤ n·C + c < end of x' (N, C·s·s, rows, columns). */
export function conv_phases_split(
  to: usize,
  x: usize,
  shape: usize,
  rows: i32,
  columns: i32,
  begin: i32,
  end: i32,
): void {
  const d = changetype<ConvShape>(shape)
  const s = d.strideH
  const step = <usize>s * F32
  const map = <usize>(rows * columns) * F32
  to += <usize>begin * <usize>(s * s) * map
  for (let channel = begin; channel < end; channel++) {
    const from = x + <usize>channel * <usize>d.inputPixels * F32
    for (let a = 0; a < s; a++) {
      for (let b = 0; b < s; b++) {
        // Columns first ≤ j < last lie in the input.
        const first = min(columns, max(0, (d.padW - b + s - 1) / s))
        const last = min(columns, max(first, (d.W + d.padW - b + s - 1) / s))
        for (let i = 0; i < rows; i++) {
          const h = s * i + a - d.padH
          const row = to + <usize>(i * columns) * F32
          if (h < 0 || h >= d.H) {
            memory.fill(row, 0, <usize>columns * F32)
            continue
          }
          for (let j = 0; j < first; j++) store<f32>(row + <usize>j * F32, 0)
          let source = from + <usize>(h * d.W + s * first + b - d.padW) * F32
          for (let j = first; j < last; j++) {
            store<f32>(row + <usize>j * F32, load<f32>(source))
            source += step
          }
          for (let j = last; j < columns; j++) store<f32>(row + <usize>j * F32, 0)
        }
        to += map
      }
    }
  }
}

/** The adjoint: channels begin ≤ n·C + c < end of x from x', zeros where no window reaches. */
export function conv_phases_merge(
  x: usize,
  phases: usize,
  shape: usize,
  rows: i32,
  columns: i32,
  begin: i32,
  end: i32,
): void {
  const d = changetype<ConvShape>(shape)
  const s = d.strideH
  const map = <usize>(rows * columns) * F32
  phases += <usize>begin * <usize>(s * s) * map
  x += <usize>begin * <usize>d.inputPixels * F32
  for (let channel = begin; channel < end; channel++) {
    for (let h = 0; h < d.H; h++) {
      const i = (h + d.padH) / s
      const row = phases + <usize>((h + d.padH) % s) * <usize>s * map + <usize>(i * columns) * F32
      for (let w = 0; w < d.W; w++) {
        const j = (w + d.padW) / s
        const phase = <usize>((w + d.padW) % s) * map
        store<f32>(x, i < rows && j < columns ? load<f32>(row + phase + <usize>j * F32) : 0)
        x += F32
      }
    }
    phases += <usize>(s * s) * map
  }
}

/** w' (K, C/G·s·s, R', R'), never flipped, from w; with `back` w from w', as its gradient is. */
export function conv_phases_weights(phases: usize, w: usize, shape: usize, extent: i32, back: i32): void {
  const d = changetype<ConvShape>(shape)
  const s = d.strideH
  const R = d.R
  const filters = d.K * d.groupC
  for (let filter = 0; filter < filters; filter++) {
    for (let a = 0; a < s; a++) {
      for (let b = 0; b < s; b++) {
        for (let r = 0; r < extent; r++) {
          for (let q = 0; q < extent; q++) {
            const row = s * r + a
            const column = s * q + b
            if (row < R && column < R) {
              const tap = row * R + column
              const at = w + <usize>(d.flip ? R * R - 1 - tap : tap) * F32
              if (back) store<f32>(at, load<f32>(phases))
              else store<f32>(phases, load<f32>(at))
            } else if (!back) store<f32>(phases, 0)
            phases += F32
          }
        }
      }
    }
    w += <usize>(R * R) * F32
  }
}
