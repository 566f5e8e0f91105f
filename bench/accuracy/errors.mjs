// @ts-check
// How far the results of an algorithm are from those of float64, in units of u · Σ|w · x|: u = 2⁻²⁴ is what rounding one
// number to float32 may change of it, and the sum is over the products of which a result is made. For a result of which
// less is made than half of the mean, at a border or where the input is 0, half of the mean is the unit: an
// algorithm on tiles errs by what is in the tile, which is more than the result's own products.
import { outputExtents } from '../layers/table.mjs'

/** @typedef {'forward' | 'input gradient' | 'weight gradient'} Pass */
/** @typedef {'normal' | 'after ReLU' | 'mean 100' | 'log-normal' | 'one-hot'} Inputs */
/** What is needed of the library: that of dist/ or of src/. @typedef {Pick<typeof import('../../dist/index.js'), 'conv2d' | 'conv2dInputGrad' | 'conv2dWeightGrad' | 'normal' | 'scope' | 'tensor'>} Api */
/** `N`: images, 1 if left out. @typedef {Omit<import('../layers/table.mjs').Layer, 'name' | 'family' | 'selected'> & { N?: number }} Shape */

/** @type {readonly Pass[]} */
export const passes = ['forward', 'input gradient', 'weight gradient']

/** @type {readonly Inputs[]} */
export const inputKinds = ['normal', 'after ReLU', 'mean 100', 'log-normal', 'one-hot']

const u = 2 ** -24

/**
 * What errors may be: that of sums in order for the algorithms that multiply what the definition does.
 * @param {string} algorithm
 * @param {Pass} pass
 * @param {Shape} shape
 */
export function gateOf(algorithm, pass, { R, stride }) {
  if (algorithm === 'fft') return 20
  if (algorithm !== 'winograd' && algorithm !== 'phases') return 6
  // F(3×3, 4×4), of which 5 × 5 filters are made too, and F(4×4, 3×3); F(2×2, 5×5); F(4×4, 3×3) and F(3×3, 4×4).
  return pass === 'weight gradient' ? 15 : Math.ceil(R / stride) === 5 ? 10 : 20
}

/**
 * Maps (N, channels, pixels): x, or the gradient of the outputs.
 * @param {Api} api
 * @param {Inputs} kind
 * @param {number} N
 * @param {number} channels
 * @param {number} pixels
 * @param {number} seed
 */
function mapsOf({ normal, scope }, kind, N, channels, pixels, seed) {
  const values = scope(() => normal([N * channels * pixels], { seed }).data())
  if (kind === 'after ReLU') return values.map((value) => Math.max(0, value))
  if (kind === 'mean 100') return values.map((value) => 100 + value)
  if (kind === 'log-normal') return values.map((value) => Math.exp(value))
  if (kind === 'normal') return values
  // One of 16 classes at every pixel, that of the largest number: channel c is 1 where the class is c mod 16, else 0.
  const classes = Math.min(16, channels)
  const hot = new Float32Array(values.length)
  for (let n = 0; n < N; n++) {
    for (let pixel = 0; pixel < pixels; pixel++) {
      const first = n * channels * pixels + pixel
      let largest = 0
      for (let c = 1; c < classes; c++) {
        if ((values[first + c * pixels] ?? 0) > (values[first + largest * pixels] ?? 0)) largest = c
      }
      for (let c = largest; c < channels; c += classes) hot[first + c * pixels] = 1
    }
  }
  return hot
}

/**
 * The largest error of each algorithm among `samples` results of a pass, spread over all of them.
 * @param {Api} api
 * @param {Shape} shape
 * @param {readonly string[]} algorithms
 * @param {Pass} pass
 * @param {Inputs} kind of x, in the input gradient of dy
 * @param {number} samples
 * @returns {Record<string, number>}
 */
export function errorsOf(api, shape, algorithms, pass, kind, samples) {
  const { conv2d, conv2dInputGrad, conv2dWeightGrad, normal, scope, tensor } = api
  const { N = 1, C, H, W, K, R, S, stride, padding, groups } = shape
  const { P, Q } = outputExtents(/** @type {import('../layers/table.mjs').Layer} */ (shape))
  const x = pass === 'input gradient' ? new Float32Array(0) : mapsOf(api, kind, N, C, H * W, 1)
  const dy =
    pass === 'forward' ? new Float32Array(0) : mapsOf(api, pass === 'input gradient' ? kind : 'normal', N, K, P * Q, 2)
  const w = scope(() => normal([K * (C / groups) * R * S], { seed: 3 }).data())
  const [groupC, groupK] = [C / groups, K / groups]
  const wShape = [K, groupC, R, S]
  /** @param {string} algorithm */
  const resultsOf = (algorithm) =>
    scope(() => {
      const options = { stride, padding, groups, algorithm: /** @type {'auto'} */ (algorithm) }
      if (pass === 'forward') return conv2d(tensor(x, [N, C, H, W]), tensor(w, wShape), options).data()
      const gradient = tensor(dy, [N, K, P, Q])
      return pass === 'input gradient'
        ? conv2dInputGrad(tensor(w, wShape), gradient, { inputSize: [H, W], ...options }).data()
        : conv2dWeightGrad(tensor(x, [N, C, H, W]), gradient, { kernel: [R, S], ...options }).data()
    })

  /** The sum of the products of one result, and that of their sizes. @type {(index: number) => [sum: number, size: number]} */
  const exact = {
    forward(/** @type {number} */ index) {
      const n = Math.floor(index / (K * P * Q))
      const k = Math.floor(index / (P * Q)) % K
      const [p, q] = [Math.floor(index / Q) % P, index % Q]
      const first = n * C + Math.floor(k / groupK) * groupC
      let [sum, size] = [0, 0]
      for (let c = 0; c < groupC; c++) {
        for (let r = 0; r < R; r++) {
          const h = p * stride + r - padding
          if (h < 0 || h >= H) continue
          for (let s = 0; s < S; s++) {
            const v = q * stride + s - padding
            if (v < 0 || v >= W) continue
            const term = (w[((k * groupC + c) * R + r) * S + s] ?? 0) * (x[((first + c) * H + h) * W + v] ?? 0)
            sum += term
            size += Math.abs(term)
          }
        }
      }
      return /** @type {[number, number]} */ ([sum, size])
    },
    'input gradient'(/** @type {number} */ index) {
      const n = Math.floor(index / (C * H * W))
      const c = Math.floor(index / (H * W)) % C
      const [h, v] = [Math.floor(index / W) % H, index % W]
      const group = Math.floor(c / groupC)
      let [sum, size] = [0, 0]
      for (let k = group * groupK; k < (group + 1) * groupK; k++) {
        for (let r = 0; r < R; r++) {
          const p = (h + padding - r) / stride
          if (p < 0 || p >= P || !Number.isInteger(p)) continue
          for (let s = 0; s < S; s++) {
            const q = (v + padding - s) / stride
            if (q < 0 || q >= Q || !Number.isInteger(q)) continue
            const term =
              (w[((k * groupC + (c % groupC)) * R + r) * S + s] ?? 0) * (dy[((n * K + k) * P + p) * Q + q] ?? 0)
            sum += term
            size += Math.abs(term)
          }
        }
      }
      return /** @type {[number, number]} */ ([sum, size])
    },
    'weight gradient'(/** @type {number} */ index) {
      const [r, s] = [Math.floor(index / S) % R, index % S]
      const c = Math.floor(index / (R * S)) % groupC
      const k = Math.floor(index / (R * S * groupC))
      let [sum, size] = [0, 0]
      for (let n = 0; n < N; n++) {
        const map = (n * C + Math.floor(k / groupK) * groupC + c) * H
        for (let p = 0; p < P; p++) {
          const h = p * stride + r - padding
          if (h < 0 || h >= H) continue
          for (let q = 0; q < Q; q++) {
            const v = q * stride + s - padding
            if (v < 0 || v >= W) continue
            const term = (dy[((n * K + k) * P + p) * Q + q] ?? 0) * (x[(map + h) * W + v] ?? 0)
            sum += term
            size += Math.abs(term)
          }
        }
      }
      return /** @type {[number, number]} */ ([sum, size])
    },
  }[pass]

  const length = { forward: N * K * P * Q, 'input gradient': N * C * H * W, 'weight gradient': w.length }[pass]
  const count = Math.min(samples, length)
  // The first, the last, and steps between them that meet every row and column.
  const places = Array.from({ length: count }, (_, sample) =>
    Math.floor((sample * (length - 1)) / Math.max(1, count - 1)),
  )
  const sums = places.map((index) => exact(index))
  const least = sums.reduce((total, [, size]) => total + size, 0) / count / 2
  return Object.fromEntries(
    algorithms.map((algorithm) => {
      const results = resultsOf(algorithm)
      const errors = sums.map(([sum, size], at) => {
        const distance = Math.abs((results[places[at] ?? 0] ?? NaN) - sum)
        return distance === 0 ? 0 : distance / (u * Math.max(size, least))
      })
      return [algorithm, errors.some(Number.isNaN) ? NaN : Math.max(...errors)]
    }),
  )
}
