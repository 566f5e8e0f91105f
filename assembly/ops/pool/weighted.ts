/**
 * Weighted means of windows, y = Σ w·x / extent with weights w (T, R, S) of sum 1, for x (maps, D, H, W) and
 * y (maps, O, P, Q). The extent is the sum of the weights that count: 1 for a full window, at borders those of the taps
 * in the input, or also those in its padding.
 */
import { exp } from '../../double'
import { F32, madd } from '../../simd'
import { PoolShape } from './shape'
import { sumMap, weightAt } from './sum'

class Weighted {

  @inline
  add(sum: v128, value: v128, weight: usize): v128 {
    return madd(value, v128.load32_splat(weight), sum)
  }


  @inline
  addOne<T>(sum: T, value: f32, weight: usize): T {
    return sum + <T>value * <T>load<f32>(weight)
  }

  /** Sum of the weights that count; exactly 1 for a full window. */
  extent(d: PoolShape, weights: usize, o: i32, p: i32, q: i32): f32 {
    const countPadding = d.countPadding != 0
    const planes = d.depth.extent(o, countPadding)
    const rows = d.height.extent(p, countPadding)
    const columns = d.width.extent(q, countPadding)
    if (planes == d.depth.kernel && rows == d.height.kernel && columns == d.width.kernel) return 1
    const firstT = countPadding ? 0 : d.depth.tap(o)
    const firstR = countPadding ? 0 : d.height.tap(p)
    const firstS = countPadding ? 0 : d.width.tap(q)
    let sum: f64 = 0
    for (let t = firstT; t < firstT + planes; t++) {
      for (let r = firstR; r < firstR + rows; r++) {
        for (let s = firstS; s < firstS + columns; s++) sum += <f64>load<f32>(weightAt(d, weights, t, r, s))
      }
    }
    return sum == 0 ? 1 : <f32>sum
  }
}

/** w (R, S): a Gaussian of the distance from the centre of the window, divided by its sum. */
export function weightedpool_gaussian(w: usize, R: i32, S: i32, sigmaR: f64, sigmaS: f64): void {
  // Distances are taken relative to the smallest, so that a narrow Gaussian between two elements does not vanish.
  const nearestR: f64 = R & 1 ? 0 : 0.5
  const nearestS: f64 = S & 1 ? 0 : 0.5
  let sum: f64 = 0
  for (let pass = 0; pass < 2; pass++) {
    for (let r = 0; r < R; r++) {
      for (let s = 0; s < S; s++) {
        const dr = <f64>r - 0.5 * <f64>(R - 1)
        const ds = <f64>s - 0.5 * <f64>(S - 1)
        const squared =
          (dr * dr - nearestR * nearestR) / (sigmaR * sigmaR) + (ds * ds - nearestS * nearestS) / (sigmaS * sigmaS)
        const weight = exp(-0.5 * squared)
        if (pass == 0) sum += weight
        else store<f32>(w + ((<usize>(r * S + s)) << 2), <f32>(weight / sum))
      }
    }
  }
}

/** Maps begin ≤ item < end of y (maps, O, P, Q): Σ w·x / extent over windows with weights w (T, R, S) of sum 1. */
export function weightedpool_fwd(y: usize, x: usize, w: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<PoolShape>(shape)
  for (let item = begin; item < end; item++) {
    sumMap<Weighted>(y + <usize>item * d.bytes, x + <usize>item * d.inputBytes, w, d)
  }
}

/** The adjoint of sumMap<Weighted>: dy · w / extent, added window after window. */
function spreadWeighted(dx: usize, dy: usize, w: usize, d: PoolShape): void {
  const columns = d.width
  const spacing = <usize>columns.dilation * F32
  memory.fill(dx, 0, d.inputBytes)
  for (let o = 0; o < d.depth.output; o++) {
    const planes = d.depth.count(o)
    const firstT = d.depth.tap(o)
    for (let p = 0; p < d.height.output; p++) {
      const rows = d.height.count(p)
      const firstR = d.height.tap(p)
      const row = d.row(o, p)
      for (let q = 0; q < columns.output; q++) {
        const gradient = load<f32>(dy) / changetype<Weighted>(0).extent(d, w, o, p, q)
        dy += F32
        const count = columns.count(q)
        const corner = row + columns.first(q)
        const firstS = columns.tap(q)
        for (let t = 0; t < planes; t++) {
          for (let r = 0; r < rows; r++) {
            let to = dx + ((<usize>(corner + t * d.planePitch + r * d.rowPitch)) << 2)
            let weight = weightAt(d, w, firstT + t, firstR + r, firstS)
            for (let s = 0; s < count; s++) {
              store<f32>(to, load<f32>(to) + gradient * load<f32>(weight))
              to += spacing
              weight += F32
            }
          }
        }
      }
    }
  }
}

/** Maps begin ≤ item < end of dx (maps, D, H, W), the adjoint of weightedpool_fwd. */
export function weightedpool_dx(dx: usize, dy: usize, w: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<PoolShape>(shape)
  for (let item = begin; item < end; item++) {
    spreadWeighted(dx + <usize>item * d.inputBytes, dy + <usize>item * d.bytes, w, d)
  }
}
