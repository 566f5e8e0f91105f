/** Options of the nonlinearities, with what each must be: functions and layers check them alike. */
import type { Names } from '../runtime/options.js'

/** Options of `leakyRelu`. */
export interface LeakyReluOptions {
  /** Slope below 0, from 0 on; default 0.01. */
  readonly negativeSlope?: number | undefined
}

/** The options of `leakyRelu`, each with what it must be. */
export const leakyReluNames = { negativeSlope: 'from 0' } as const satisfies Names<LeakyReluOptions>

/** Options of `elu`. */
export interface EluOptions {
  /** −alpha is the limit at −∞; from 0 on, default 1. */
  readonly alpha?: number | undefined
}

/** The options of `elu`, each with what it must be. */
export const eluNames = { alpha: 'from 0' } as const satisfies Names<EluOptions>

/** Options of `softplus`. */
export interface SoftplusOptions {
  /** Sharpness, above 0; default 1. */
  readonly beta?: number | undefined
}

/** The options of `softplus`, each with what it must be. */
export const softplusNames = { beta: 'positive' } as const satisfies Names<SoftplusOptions>

/** Options of `gelu`. */
export interface GeluOptions {
  /** 'none' (default): x·Φ(x). 'tanh': ½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))). */
  readonly approximate?: 'none' | 'tanh' | undefined
}

/** The options of `gelu`, each with what it must be. */
export const geluNames = { approximate: ['none', 'tanh'] } as const satisfies Names<GeluOptions>
