/** Operations on bytes by their definitions, in bigints: nothing rounds but the one step that is said to. */
import type { ByteConvOptions } from '../../../src/ops/integers/conv.js'
import type { ByteWindows } from '../../../src/ops/integers/windows.js'
import type { Shape } from '../../../src/tensor/shape.js'

/** ⌊sum · m / 2^(32 + s) + 1/2⌋, after a sum that the factor would take out of range anyway was limited. */
export function scaledExactly(sum: bigint, m: number, s: number): bigint {
  const limit = 1n << BigInt(Math.min(62, 30 + s))
  const value = s < 0 ? (sum > limit ? limit : sum < -limit ? -limit : sum) : sum
  const bits = BigInt(32 + s)
  return (value * BigInt(m) + (1n << (bits - 1n))) >> bits
}

/** `value` between two limits. */
export const within = (value: bigint, low: number, high: number): number =>
  Number(value < BigInt(low) ? BigInt(low) : value > BigInt(high) ? BigInt(high) : value)

/** Calls `take` with the places in x (N, C, H, W) of each window of one channel, in the order of the taps; −1 outside. */
export function windowsOf(
  [, , H, W]: readonly [number, number, number, number],
  { kernel, stride, dilation, padding }: ByteWindows,
  [P, Q]: readonly [number, number],
  take: (places: readonly number[]) => void,
): void {
  for (let p = 0; p < P; p++) {
    for (let q = 0; q < Q; q++) {
      const places: number[] = []
      for (let r = 0; r < kernel[0]; r++) {
        for (let s = 0; s < kernel[1]; s++) {
          const row = p * stride[0] - padding[0][0] + r * dilation[0]
          const column = q * stride[1] - padding[1][0] + s * dilation[1]
          places.push(row >= 0 && row < H && column >= 0 && column < W ? row * W + column : -1)
        }
      }
      take(places)
    }
  }
}

/** Operands as lists. */
export interface Lists {
  readonly x: ArrayLike<number>
  readonly w: ArrayLike<number>
  readonly bias: ArrayLike<number>
  readonly m: ArrayLike<number>
  readonly s: ArrayLike<number>
}

/** The convolution of bytes, tap by tap. */
export function convExactly(
  { x, w, bias, m, s }: Lists,
  xShape: readonly [number, number, number, number],
  [K, c, R, S]: Shape & readonly [number, number, number, number],
  outputs: readonly [number, number],
  options: ByteConvOptions,
): number[] {
  const [N, C, H, W] = xShape
  const y: number[] = []
  for (let n = 0; n < N; n++) {
    for (let k = 0; k < K; k++) {
      const first = n * C + Math.floor(k / (K / options.groups)) * c
      windowsOf(xShape, { ...options, kernel: [R, S] }, outputs, (places) => {
        let sum = BigInt(bias[k]!)
        for (let channel = 0; channel < c; channel++) {
          places.forEach((place, tap) => {
            if (place < 0) return
            const value = x[(first + channel) * H * W + place]! - options.xZero
            sum += BigInt(w[(k * c + channel) * R * S + tap]!) * BigInt(value)
          })
        }
        y.push(within(scaledExactly(sum, m[k]!, s[k]!) + BigInt(options.yZero), options.low, options.high))
      })
    }
  }
  return y
}
