/**
 * Convolution whose kernel depends on the output pixel: locally connected layers (9.9), where every pixel has its own,
 * and tiled convolution (9.10), where kernels repeat with a period. Pixel (p, q) has the kernel of class
 * j = (p mod T) · U + q mod U:
 *
 *   y[n, k, i]    = bias[k, class i] + Σ_t w[k, class i, t] · x[n, tap t of pixel i]
 *   dw[k, j, t]   = Σ_n Σ_{i of class j} dy[n, k, i] · x[n, tap t of pixel i]
 *   dx[n, tap t of pixel i] += Σ_k w[k, class i, t] · dy[n, k, i]
 *
 * w is (K, T·U, C·R·S), bias (K, T·U). No groups, no dilation. The window of a pixel is gathered into a patch of C·R·S floats,
 * with zeros for what lies beside the input: padding takes no memory. Where next to no window meets the input, those that
 * miss it are passed over, and their pixels are the bias. One dimension is two with H, R, P and T of 1.
 */
import { LONG, RUN, addRun, roundAll } from '../../micro/long'
import { F32, horizontalSum, madd } from '../../simd'

/** What every pass is told, filled by src/ops/local.ts in this order: extents of tensors, but for strides and padding. */
@unmanaged
class LocalShape {
  N: i32
  C: i32
  K: i32
  H: i32
  W: i32
  R: i32
  S: i32
  P: i32
  Q: i32
  /** Periods: P and Q where every pixel has a kernel of its own. */
  T: i32
  U: i32
  /** Strides and the zeros before the input may be up to 2³¹ − 1. */
  strideH: i32
  strideW: i32
  padH: i32
  padW: i32
  /** 1: pixels whose windows lie beside the input as a whole are passed over. */
  skip: i32

  /** Rows p0 ≤ p < p1 and columns q0 ≤ q < q1 are visited. */
  @inline
  get p0(): i32 {
    return this.skip ? firstMeeting(this.R, this.strideH, this.padH, this.P) : 0
  }


  @inline
  get p1(): i32 {
    return this.skip ? endMeeting(this.H, this.strideH, this.padH, this.P) : this.P
  }


  @inline
  get q0(): i32 {
    return this.skip ? firstMeeting(this.S, this.strideW, this.padW, this.Q) : 0
  }


  @inline
  get q1(): i32 {
    return this.skip ? endMeeting(this.W, this.strideW, this.padW, this.Q) : this.Q
  }

  /** Taps of one kernel. */
  @inline
  get taps(): i32 {
    return this.C * this.R * this.S
  }

  /** Pixels of one output map. */
  @inline
  get pixels(): i32 {
    return this.P * this.Q
  }


  @inline
  get imageBytes(): usize {
    return (<usize>(this.C * this.H * this.W)) << 2
  }


  @inline
  get classes(): i32 {
    return this.T * this.U
  }

  /** Pixels that a class has at most, in all images. */
  @inline
  get most(): f64 {
    const rows = (this.P + this.T - 1) / this.T
    const columns = (this.Q + this.U - 1) / this.U
    return <f64>this.N * <f64>rows * <f64>columns
  }
}

/** The first of `count` windows that does not end before the input. */
function firstMeeting(taps: i32, stride: i32, pad: i32, count: i32): i32 {
  return <i32>min<i64>((max<i64>(<i64>pad - taps + 1, 0) + stride - 1) / stride, count)
}

/** Behind the last of `count` windows that begins before the end of n elements. */
function endMeeting(n: i32, stride: i32, pad: i32, count: i32): i32 {
  return <i32>min<i64>((<i64>n - 1 + pad) / stride + 1, count)
}

/** First tap of a window with this origin that lies in the input. An origin goes from −padding to n + padding: 64 bits. */
@inline
function firstTap(origin: i64, taps: i32): i32 {
  return <i32>min<i64>(max<i64>(-origin, 0), taps)
}

/** One behind the last. */
@inline
function tapEnd(origin: i64, n: i32, taps: i32): i32 {
  return <i32>max<i64>(min<i64>(<i64>n - origin, taps), 0)
}

/** table[t] = bytes from the first tap of a window to tap t = (c, r, s): for windows that lie in the input as a whole. */
function fillOffsets(table: usize, d: LocalShape): void {
  for (let c = 0; c < d.C; c++) {
    for (let r = 0; r < d.R; r++) {
      const row = (<usize>((c * d.H + r) * d.W)) << 2
      for (let s = 0; s < d.S; s++) {
        store<u32>(table, <u32>(row + ((<usize>s) << 2)))
        table += 4
      }
    }
  }
}

/** patch (C, R, S) = the window of pixel (p, q) of an image (C, H, W), zero beside it. */
function gatherPatch(patch: usize, offsets: usize, image: usize, d: LocalShape, p: i32, q: i32): void {
  const top = <i64>p * d.strideH - d.padH
  const left = <i64>q * d.strideW - d.padW
  const r0 = firstTap(top, d.R)
  const r1 = tapEnd(top, d.H, d.R)
  const s0 = firstTap(left, d.S)
  const s1 = tapEnd(left, d.W, d.S)
  const bytes = (<usize>d.taps) << 2
  if (r0 < r1 && s0 < s1) {
    // The corner lies in the input.
    const corner = image + ((<usize>(<i32>(top + r0) * d.W + <i32>(left + s0))) << 2)
    if (r1 - r0 == d.R && s1 - s0 == d.S) {
      const end = offsets + bytes
      while (offsets < end) {
        store<f32>(patch, load<f32>(corner + <usize>load<u32>(offsets)))
        offsets += 4
        patch += F32
      }
      return
    }
    memory.fill(patch, 0, bytes)
    const rowBytes = (<usize>(s1 - s0)) << 2
    const pitch = (<usize>d.W) << 2
    const patchPitch = (<usize>d.S) << 2
    for (let c = 0; c < d.C; c++) {
      let from = corner + <usize>(c * d.H) * pitch
      let to = patch + <usize>(c * d.R + r0) * patchPitch + ((<usize>s0) << 2)
      for (let r = r0; r < r1; r++) {
        for (let i: usize = 0; i < rowBytes; i += F32) store<f32>(to + i, load<f32>(from + i))
        from += pitch
        to += patchPitch
      }
    }
  } else memory.fill(patch, 0, bytes)
}

/** image[tap t of pixel (p, q)] += patch[t], the adjoint of gatherPatch. */
function addPatch(image: usize, offsets: usize, patch: usize, d: LocalShape, p: i32, q: i32): void {
  const top = <i64>p * d.strideH - d.padH
  const left = <i64>q * d.strideW - d.padW
  const r0 = firstTap(top, d.R)
  const r1 = tapEnd(top, d.H, d.R)
  const s0 = firstTap(left, d.S)
  const s1 = tapEnd(left, d.W, d.S)
  if (r0 >= r1 || s0 >= s1) return
  const corner = image + ((<usize>(<i32>(top + r0) * d.W + <i32>(left + s0))) << 2)
  if (r1 - r0 == d.R && s1 - s0 == d.S) {
    const end = offsets + ((<usize>d.taps) << 2)
    while (offsets < end) {
      const to = corner + <usize>load<u32>(offsets)
      store<f32>(to, load<f32>(to) + load<f32>(patch))
      offsets += 4
      patch += F32
    }
    return
  }
  const rowBytes = (<usize>(s1 - s0)) << 2
  const pitch = (<usize>d.W) << 2
  const patchPitch = (<usize>d.S) << 2
  for (let c = 0; c < d.C; c++) {
    let to = corner + <usize>(c * d.H) * pitch
    let from = patch + <usize>(c * d.R + r0) * patchPitch + ((<usize>s0) << 2)
    for (let r = r0; r < r1; r++) {
      for (let i: usize = 0; i < rowBytes; i += F32) store<f32>(to + i, load<f32>(to + i) + load<f32>(from + i))
      to += pitch
      from += patchPitch
    }
  }
}

/** Σ a · b over `count` floats. */
function dot(a: usize, b: usize, count: i32): f32 {
  let sum = f32x4.splat(0)
  const whole = a + ((<usize>(count & ~3)) << 2)
  const end = a + ((<usize>count) << 2)
  while (a < whole) {
    sum = madd(v128.load(a), v128.load(b), sum)
    a += 16
    b += 16
  }
  let total = horizontalSum(sum)
  while (a < end) {
    total += load<f32>(a) * load<f32>(b)
    a += F32
    b += F32
  }
  return total
}

/** The same over more than LONG, in runs. */
function dotLong(a: usize, b: usize, count: i32): f32 {
  let total: f64 = 0
  for (; count > 0; count -= RUN) {
    total += <f64>dot(a, b, min(RUN, count))
    a += (<usize>RUN) << 2
    b += (<usize>RUN) << 2
  }
  return <f32>total
}

/** y += factor · x over `count` floats. */
function accumulate(y: usize, x: usize, factor: f32, count: i32): void {
  const factors = f32x4.splat(factor)
  const whole = y + ((<usize>(count & ~3)) << 2)
  const end = y + ((<usize>count) << 2)
  while (y < whole) {
    v128.store(y, madd(factors, v128.load(x), v128.load(y)))
    y += 16
    x += 16
  }
  while (y < end) {
    store<f32>(y, load<f32>(y) + factor * load<f32>(x))
    y += F32
    x += F32
  }
}

/** The maps y (K, P, Q) of an image become their biases (K, classes), or 0 for none. */
function fillBiases(y: usize, bias: usize, d: LocalShape): void {
  if (bias == 0) {
    memory.fill(y, 0, <usize>(d.K * d.pixels) * F32)
    return
  }
  for (let k = 0; k < d.K; k++) {
    for (let p = 0; p < d.P; p++) {
      const first = bias + <usize>(k * d.classes + (p % d.T) * d.U) * F32
      const end = first + <usize>d.U * F32
      let from = first
      for (const stop = y + <usize>d.Q * F32; y < stop; y += F32) {
        store<f32>(y, load<f32>(from))
        from += F32
        if (from == end) from = first
      }
    }
  }
}

/** Bytes of a patch, and of the table of its offsets. */
@inline
function patchBytes(d: LocalShape): usize {
  return (<usize>d.taps * F32 + 63) & ~63
}

/** Bytes of workspace for local_fwd: a patch and the offsets of its taps, which the other passes have too. */
export function local_fwd_workspace(shape: usize): f64 {
  return 2 * <f64>patchBytes(changetype<LocalShape>(shape))
}

/** Images begin ≤ n < end of y (N, K, P, Q); bias (K, classes), or 0 for none. */
export function local_fwd(
  y: usize,
  x: usize,
  w: usize,
  bias: usize,
  ws: usize,
  shape: usize,
  begin: i32,
  end: i32,
): void {
  const d = changetype<LocalShape>(shape)
  const K = d.K
  const taps = d.taps
  const pixels = d.pixels
  const classes = d.classes
  const offsets = ws + patchBytes(d)
  const p1 = d.p1
  const q0 = d.q0
  const q1 = d.q1
  fillOffsets(offsets, d)
  for (let n = begin; n < end; n++) {
    const image = x + <usize>n * d.imageBytes
    if (d.skip) fillBiases(y + <usize>(n * K) * <usize>pixels * F32, bias, d)
    for (let p = d.p0; p < p1; p++) {
      const row = (p % d.T) * d.U
      for (let q = q0, j = row + (q % d.U); q < q1; q++, j = j + 1 == row + d.U ? row : j + 1) {
        gatherPatch(ws, offsets, image, d, p, q)
        for (let k = 0; k < K; k++) {
          const own = <usize>(k * classes + j)
          const start = bias ? load<f32>(bias + own * F32) : 0
          const kernel = w + own * <usize>taps * F32
          const value = start + (taps > LONG ? dotLong(kernel, ws, taps) : dot(kernel, ws, taps))
          store<f32>(y + <usize>(n * K + k) * <usize>pixels * F32 + <usize>(p * d.Q + q) * F32, value)
        }
      }
    }
  }
}

/** Bytes of workspace for local_dx; where it sums over more than LONG filters there is a patch of float64. */
export function local_dx_workspace(shape: usize): f64 {
  const d = changetype<LocalShape>(shape)
  return <f64>patchBytes(d) * (d.K > LONG ? 4 : 2)
}

/** Images begin ≤ n < end of dx (N, C, H, W). */
export function local_dx(dx: usize, dy: usize, w: usize, ws: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<LocalShape>(shape)
  const K = d.K
  const taps = d.taps
  const pixels = d.pixels
  const classes = d.classes
  const offsets = ws + patchBytes(d)
  const p1 = d.p1
  const q0 = d.q0
  const q1 = d.q1
  fillOffsets(offsets, d)
  const sums = K > LONG ? ws + 2 * patchBytes(d) : 0
  for (let n = begin; n < end; n++) {
    const image = dx + <usize>n * d.imageBytes
    memory.fill(image, 0, d.imageBytes)
    for (let p = d.p0; p < p1; p++) {
      const row = (p % d.T) * d.U
      for (let q = q0, j = row + (q % d.U); q < q1; q++, j = j + 1 == row + d.U ? row : j + 1) {
        memory.fill(ws, 0, <usize>taps * F32)
        if (sums) memory.fill(sums, 0, (<usize>taps) << 3)
        for (let k = 0; k < K; k++) {
          const gradient = load<f32>(dy + <usize>(n * K + k) * <usize>pixels * F32 + <usize>(p * d.Q + q) * F32)
          accumulate(ws, w + <usize>(k * classes + j) * <usize>taps * F32, gradient, taps)
          if (sums && ((k + 1) & (RUN - 1)) == 0) addRun(sums, ws, taps)
        }
        if (sums) {
          addRun(sums, ws, taps)
          roundAll(ws, sums, taps)
        }
        addPatch(image, offsets, ws, d, p, q)
      }
    }
  }
}

/** Bytes of workspace for local_dw; where a class has more than LONG pixels there are sums of float64 for all filters. */
export function local_dw_workspace(shape: usize): f64 {
  const d = changetype<LocalShape>(shape)
  const sums = d.most > <f64>LONG ? 8 * <f64>d.K * <f64>d.classes * <f64>d.taps : 0
  return 2 * <f64>patchBytes(d) + sums
}

/** Filters begin ≤ k < end of dw (K, classes, taps); images, then pixels, are summed in rising order. */
export function local_dw(dw: usize, dy: usize, x: usize, ws: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<LocalShape>(shape)
  const K = d.K
  const taps = d.taps
  const pixels = d.pixels
  const classes = d.classes
  const offsets = ws + patchBytes(d)
  const p1 = d.p1
  const q0 = d.q0
  const q1 = d.q1
  fillOffsets(offsets, d)
  const count = (end - begin) * classes * taps
  const own = dw + <usize>(begin * classes) * <usize>taps * F32
  const sums = d.most > <f64>LONG ? ws + 2 * patchBytes(d) : 0
  // So many pixels in a row hold at most RUN of a class.
  const run = <i64>RUN * d.U
  let pending: i64 = 0
  memory.fill(own, 0, (<usize>count) << 2)
  if (sums) memory.fill(sums, 0, (<usize>count) << 3)
  for (let n = 0; n < d.N; n++) {
    const image = x + <usize>n * d.imageBytes
    for (let p = d.p0; p < p1; p++) {
      const row = (p % d.T) * d.U
      for (let q = q0, j = row + (q % d.U); q < q1; q++, j = j + 1 == row + d.U ? row : j + 1) {
        gatherPatch(ws, offsets, image, d, p, q)
        for (let k = begin; k < end; k++) {
          const gradient = load<f32>(dy + <usize>(n * K + k) * <usize>pixels * F32 + <usize>(p * d.Q + q) * F32)
          accumulate(dw + <usize>(k * classes + j) * <usize>taps * F32, ws, gradient, taps)
        }
        if (sums && ++pending == run) {
          addRun(sums, own, count)
          pending = 0
        }
      }
    }
  }
  if (sums) {
    addRun(sums, own, count)
    roundAll(own, sums, count)
  }
}

/** Bytes of workspace for local_db: 0, or where a class has more than LONG pixels the sums of one filter in float64. */
export function local_db_workspace(shape: usize): f64 {
  const d = changetype<LocalShape>(shape)
  return d.most > <f64>LONG ? 8 * <f64>d.classes : 0
}

/** db[k, j] = Σ_n Σ_{i of class j} dy[n, k, i], for begin ≤ k < end. ws: 0 where local_db_workspace is. */
export function local_db(db: usize, dy: usize, ws: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<LocalShape>(shape)
  for (let k = begin; k < end; k++) {
    const own = db + <usize>(k * d.classes) * F32
    if (ws) {
      sumClasses<f64>(ws, dy, d, k)
      roundAll(own, ws, d.classes)
    } else sumClasses<f32>(own, dy, d, k)
  }
}

/** The sums over the pixels of each class of filter k, in T. */
function sumClasses<T>(sums: usize, dy: usize, d: LocalShape, k: i32): void {
  memory.fill(sums, 0, (<usize>d.classes) << alignof<T>())
  for (let n = 0; n < d.N; n++) {
    let from = dy + <usize>(n * d.K + k) * <usize>d.pixels * F32
    for (let p = 0; p < d.P; p++) {
      const row = (p % d.T) * d.U
      for (let q = 0; q < d.Q; q++) {
        const to = sums + ((<usize>(row + (q % d.U))) << alignof<T>())
        store<T>(to, load<T>(to) + <T>load<f32>(from))
        from += F32
      }
    }
  }
}
