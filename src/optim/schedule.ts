/**
 * Learning rates by step, as pure functions. Powers and cosines are the core's, so that they are the same
 * everywhere; schedules are made at any time and called after `init`.
 */
import { kernels } from '../runtime/core.js'
import { checkFunction, checkWhole } from '../runtime/check.js'
import { checkCount, defined, needKeys } from '../runtime/options.js'
import { checkOption } from './optimizer.js'

/** The learning rate of a step, counted from 0. */
export type Schedule = (step: number) => number

/** A schedule whose argument is checked. */
const checked =
  (name: string, rate: Schedule): Schedule =>
  (step) =>
    rate(checkOption(name, 'step', step, { from: 0 }))

/** Names of options that are numbers of steps. */
const counts = ['steps', 'every']

/**
 * A schedule by its options, each checked: numbers of steps from 1 on, and others from 0 on. `defaults` has every option,
 * undefined where it must be given.
 */
function scheduled<Options extends object>(
  name: string,
  options: Options,
  defaults: { readonly [option in keyof Required<Options>]: number | undefined },
  rate: (step: number, options: Required<Options>) => number,
): Schedule {
  needKeys(name, options, defaults)
  const all = { ...defaults, ...defined(options) } as Record<string, number>
  for (const option in all) {
    if (counts.includes(option)) checkWhole(all[option], `${name}: ${option}`)
    else checkOption(name, option, all[option] as number, { from: 0 })
  }
  return checked(name, (step) => rate(step, all as Required<Options>))
}

/**
 * The same learning rate for ever.
 *
 *     constant(0.1)
 */
export function constant(lr: number): Schedule {
  checkCount('constant', 1, arguments)
  checkOption('constant', 'lr', lr, { from: 0 })
  return checked('constant', () => lr)
}

/**
 * Stairs: lr · gammaⁿ, where n = ⌊step / every⌋; gamma defaults to 0.1.
 *
 *     step({ lr: 0.1, every: 1000 })(2500)                 // 0.1 · 0.1², up to rounding
 */
export function step(options: { lr: number; every: number; gamma?: number }): Schedule {
  checkCount('step', 1, arguments)
  return scheduled('step', options, { lr: undefined, every: undefined, gamma: 0.1 }, (index, { lr, every, gamma }) => {
    return lr * kernels('step').scalar_pow(gamma, Math.floor(index / every))
  })
}

/**
 * Exponential decay: lr · gamma^step.
 *
 *     exponential({ lr: 0.1, gamma: 0.999 })
 */
export function exponential(options: { lr: number; gamma: number }): Schedule {
  checkCount('exponential', 1, arguments)
  return scheduled('exponential', options, { lr: undefined, gamma: undefined }, (index, { lr, gamma }) => {
    return lr * kernels('exponential').scalar_pow(gamma, index)
  })
}

/**
 * Half a cosine from lr down to `minimum` (default 0) over `steps` steps, and `minimum` after them:
 * minimum + (lr − minimum) · (1 + cos(π · step / steps)) / 2 (Loshchilov & Hutter 2017, equation 5).
 *
 *     cosine({ lr: 0.1, steps: 1000 })(500)                // 0.05, up to rounding
 */
export function cosine(options: { lr: number; steps: number; minimum?: number }): Schedule {
  checkCount('cosine', 1, arguments)
  const defaults = { lr: undefined, steps: undefined, minimum: 0 }
  return scheduled('cosine', options, defaults, (index, { lr, steps, minimum }) => {
    if (index >= steps) return minimum
    return minimum + ((lr - minimum) * (1 + kernels('cosine').scalar_cos((Math.PI * index) / steps))) / 2
  })
}

/**
 * A straight line from `lr` to `end` (default 0) over `steps` steps, and `end` after them.
 *
 *     linear({ lr: 0.1, steps: 1000 })(250)                // 0.075, up to rounding
 */
export function linear(options: { lr: number; steps: number; end?: number }): Schedule {
  checkCount('linear', 1, arguments)
  return scheduled('linear', options, { lr: undefined, steps: undefined, end: 0 }, (index, { lr, steps, end }) =>
    index >= steps ? end : lr + (end - lr) * (index / steps),
  )
}

/**
 * Rises in a straight line over `steps` steps to the first rate of `after`, then follows `after` from its step 0.
 * The first step already has 1 / steps of that rate (Goyal et al. 2017).
 *
 *     warmup(100, cosine({ lr: 0.1, steps: 900 }))
 */
export function warmup(steps: number, after: Schedule): Schedule {
  checkCount('warmup', 2, arguments)
  checkWhole(steps, 'warmup: steps')
  checkFunction(after, 'warmup: after', 'a schedule, such as constant(0.1)')
  return checked('warmup', (index) => (index < steps ? (after(0) * (index + 1)) / steps : after(index - steps)))
}
