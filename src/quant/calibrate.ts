/** Which numbers the values of a network take: ranges and histograms over examples, and the scales that are made of them. */
import type { Quantization } from '../ops/integers/bytes.js'

/** How the range of a value is chosen. */
export type Calibration = 'min-max' | 'percentile' | 'mse'

/** Bins of a histogram. */
const BINS = 2048
/** Steps in which 'mse' looks at ranges, from a fifth of the whole one on. */
const STEPS = 80

/** The numbers that a value took. */
export class Observer {
  least = Infinity
  most = -Infinity
  /** Whether all of the numbers are finite. */
  isFinite = true
  /** How often numbers lie in each of BINS equal parts of the range. */
  #bins: Float64Array | undefined

  /** Widens the range. */
  see(values: Float32Array): void {
    for (const value of values) {
      if (!Number.isFinite(value)) this.isFinite = false
      if (value < this.least) this.least = value
      if (value > this.most) this.most = value
    }
  }

  /** Counts, once the range is known. */
  count(values: Float32Array): void {
    const bins = (this.#bins ??= new Float64Array(BINS))
    const width = (this.most - this.least) / BINS
    if (!(width > 0)) return
    for (const value of values) {
      const bin = Math.min(BINS - 1, Math.floor((value - this.least) / width))
      bins[bin] = (bins[bin] as number) + 1
    }
  }

  /** Whether every number was the same. */
  get isConstant(): boolean {
    return !(this.most > this.least)
  }

  /** Scale and zero point; 0 is always stood for exactly, since zeros lie around maps. */
  quantization(calibration: Calibration, percentile: number): Quantization {
    const whole = [Math.min(0, this.least), Math.max(0, this.most)] as const
    if (!this.#bins || calibration === 'min-max') return quantizationOf(...whole)
    if (calibration === 'percentile') return quantizationOf(...this.#within(percentile / 100, whole))
    let best = quantizationOf(...whole)
    let error = this.#error(best)
    for (let step = Math.floor(STEPS / 5); step < STEPS; step++) {
      const tried = quantizationOf((whole[0] * step) / STEPS, (whole[1] * step) / STEPS)
      const other = this.#error(tried)
      if (other < error) [best, error] = [tried, other]
    }
    return best
  }

  /** The middle of a bin. */
  #middle(bin: number): number {
    return this.least + ((bin + 0.5) * (this.most - this.least)) / BINS
  }

  /** Where a bin begins; the last ends with the largest number. */
  #edge(bin: number): number {
    return bin === BINS ? this.most : this.least + (bin * (this.most - this.least)) / BINS
  }

  /** The range without the outermost numbers: a part of them stays, as much is cut off below as above, in whole bins. */
  #within(part: number, [low, high]: readonly [number, number]): [number, number] {
    const bins = this.#bins as Float64Array
    const cut = (bins.reduce((sum, count) => sum + count, 0) * (1 - part)) / 2
    const from = (step: number, first: number): number => {
      let bin = first
      for (let left = cut; left >= (bins[bin] ?? Infinity); bin += step) left -= bins[bin] as number
      return bin
    }
    const [first, end] = [this.#edge(from(1, 0)), this.#edge(from(-1, BINS - 1) + 1)]
    return [Math.max(low, Math.min(0, first)), Math.min(high, Math.max(0, end))]
  }

  /** The sum of squared errors of the numbers that were counted. */
  #error({ scale, zero }: Quantization): number {
    let sum = 0
    const bins = this.#bins as Float64Array
    for (let bin = 0; bin < BINS; bin++) {
      if (bins[bin] === 0) continue
      const value = this.#middle(bin)
      const byte = Math.max(0, Math.min(255, Math.round(value / scale) + zero))
      const error = (byte - zero) * scale - value
      sum += (bins[bin] as number) * error * error
    }
    return sum
  }
}

/** The least scale: narrower ranges get it. */
const LEAST = 1e-12

/**
 * Scale and zero point of uint8 for a range around 0. A range without a width holds 0 alone, which any scale stands for exactly: the scale is 1, since
 * the factors of layers that read or write the value are then those that kernels compute with.
 */
export function quantizationOf(low: number, high: number): Quantization {
  if (!(high > low)) return { scale: 1, zero: 0, type: 'uint8' }
  const scale = Math.fround(Math.max(LEAST, (high - low) / 255))
  return { scale, zero: Math.max(0, Math.min(255, Math.round(-low / scale))), type: 'uint8' }
}
