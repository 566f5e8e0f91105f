/**
 * Learning rates by step, as pure functions. Powers and cosines are the core's, so that they are the same
 * everywhere; schedules are made at any time and called after `init`.
 */
import { kernels } from '../runtime/core.js'
import { ArgumentError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { checkCount, needKeys } from '../runtime/options.js'
import { checkOption } from './optimizer.js'

/** The learning rate of a step, counted from 0. */
export type Schedule = (step: number) => number

function checkSteps(name: string, option: string, value: number): number {
  if (Number.isInteger(value) && value > 0) return value
  throw new ArgumentError(`${name}: ${option} must be a whole number from 1 on, given ${inWords(value)}`)
}

/** A schedule whose argument is checked. */
const checked =
  (name: string, rate: Schedule): Schedule =>
  (step) =>
    rate(checkOption(name, 'step', step, { from: 0 }))

/** The same learning rate for ever. */
export function constant(lr: number): Schedule {
  checkCount('constant', 1, arguments)
  checkOption('constant', 'lr', lr, { from: 0 })
  return checked('constant', () => lr)
}

/** Stairs: lr · gammaⁿ, where n = ⌊step / every⌋; gamma defaults to 0.1. */
export function step(options: { lr: number; every: number; gamma?: number }): Schedule {
  checkCount('step', 1, arguments)
  needKeys('step', options, { lr: 0, every: 0, gamma: 0 })
  const { lr, every, gamma = 0.1 } = options
  checkOption('step', 'lr', lr, { from: 0 })
  checkSteps('step', 'every', every)
  checkOption('step', 'gamma', gamma, { from: 0 })
  return checked('step', (index) => lr * kernels('step').scalar_pow(gamma, Math.floor(index / every)))
}

/** Exponential decay: lr · gamma^step. */
export function exponential(options: { lr: number; gamma: number }): Schedule {
  checkCount('exponential', 1, arguments)
  needKeys('exponential', options, { lr: 0, gamma: 0 })
  const { lr, gamma } = options
  checkOption('exponential', 'lr', lr, { from: 0 })
  checkOption('exponential', 'gamma', gamma, { from: 0 })
  return checked('exponential', (index) => lr * kernels('exponential').scalar_pow(gamma, index))
}

/**
 * Half a cosine from lr down to `minimum` (default 0) over `steps` steps, and `minimum` after them:
 * minimum + (lr − minimum) · (1 + cos(π · step / steps)) / 2 (Loshchilov & Hutter 2017, equation 5).
 */
export function cosine(options: { lr: number; steps: number; minimum?: number }): Schedule {
  checkCount('cosine', 1, arguments)
  needKeys('cosine', options, { lr: 0, steps: 0, minimum: 0 })
  const { lr, steps, minimum = 0 } = options
  checkOption('cosine', 'lr', lr, { from: 0 })
  checkSteps('cosine', 'steps', steps)
  checkOption('cosine', 'minimum', minimum, { from: 0 })
  return checked('cosine', (index) => {
    if (index >= steps) return minimum
    return minimum + ((lr - minimum) * (1 + kernels('cosine').scalar_cos((Math.PI * index) / steps))) / 2
  })
}

/** A straight line from `lr` to `end` (default 0) over `steps` steps, and `end` after them. */
export function linear(options: { lr: number; steps: number; end?: number }): Schedule {
  checkCount('linear', 1, arguments)
  needKeys('linear', options, { lr: 0, steps: 0, end: 0 })
  const { lr, steps, end = 0 } = options
  checkOption('linear', 'lr', lr, { from: 0 })
  checkSteps('linear', 'steps', steps)
  checkOption('linear', 'end', end, { from: 0 })
  return checked('linear', (index) => (index >= steps ? end : lr + (end - lr) * (index / steps)))
}

/**
 * Rises in a straight line over `steps` steps to the first rate of `after`, then follows `after` from its step 0.
 * The first step already has 1 / steps of that rate (Goyal et al. 2017).
 */
export function warmup(steps: number, after: Schedule): Schedule {
  checkCount('warmup', 2, arguments)
  checkSteps('warmup', 'steps', steps)
  if (typeof after !== 'function') {
    throw new ArgumentError(`warmup: after must be a schedule, such as constant(0.1), given ${inWords(after)}`)
  }
  return checked('warmup', (index) => (index < steps ? (after(0) * (index + 1)) / steps : after(index - steps)))
}
