/** Learning rates that fall when validation stops improving. */
import { checkFunction, checkNumber, checkObject, checkWhole, wrongKind } from '../runtime/check.js'
import { ArgumentError } from '../runtime/errors.js'
import { checkCount, needKeys, type Names } from '../runtime/options.js'
import type { Optimizer } from '../optim/optimizer.js'
import type { Schedule } from '../optim/schedule.js'
import { judge } from '../train/judge.js'
import type { EpochEvent, FitCallbacks, FitState } from '../train/options.js'

/** Options of `reduceOnPlateau`. */
export interface PlateauOptions {
  /** The optimizer of the run, of any kind; the rates of its groups fall in proportion. */
  readonly optimizer: Optimizer
  /** What the rate is multiplied by, above 0 and below 1. Default 0.1. */
  readonly factor?: number
  /** Epochs without improvement after which the rate falls, from 1 on, counted as by `earlyStopping`. Default 10. */
  readonly patience?: number
  /** The rate does not fall below this one, from 0 on. Default 0. */
  readonly minLr?: number
  /** What must improve on the validation examples: 'loss' (default; lower is better) or a metric (higher is). */
  readonly monitor?: string
  /** By how much it must, to count; from 0 on. Default 0. A value that is not a finite number never counts. */
  readonly minimumChange?: number
  /** Epochs after each fall that are not counted, from 0 on. Default 0. */
  readonly cooldown?: number
}

/** Where a `Plateau` stands: numbers only, so that it can be written as JSON. */
export interface PlateauState {
  /** The best epoch so far (from 1), and its value; left out before the first. */
  readonly best?: { readonly epoch: number; readonly value: number }
  /** Epochs without improvement that are counted so far. */
  readonly waited: number
  /** Epochs that are still not counted. */
  readonly cooling: number
  /** Product of all factors so far. */
  readonly scale: number
}

const plateauNames = {
  optimizer: 0,
  factor: 0,
  patience: 0,
  minLr: 0,
  monitor: 0,
  minimumChange: 0,
  cooldown: 0,
} satisfies Names<PlateauOptions>

function checkOptions(options: PlateauOptions): Required<PlateauOptions> {
  const name = 'reduceOnPlateau'
  needKeys(name, options, plateauNames)
  const { optimizer, factor = 0.1, patience = 10, minLr = 0, monitor = 'loss' } = options
  const { minimumChange = 0, cooldown = 0 } = options
  const { parameters, step } = Object(optimizer) as Partial<Optimizer>
  if (!Array.isArray(parameters) || typeof step !== 'function')
    throw wrongKind(
      `${name}: optimizer`,
      'the one of the run, such as new SGD(model.parameters(), { lr: 0.1 })',
      optimizer,
    )
  if (!(typeof factor === 'number' && factor > 0 && factor < 1))
    throw wrongKind(`${name}: factor`, 'a number above 0 and below 1', factor)
  checkWhole(patience, `${name}: patience`)
  checkNumber(minLr, `${name}: minLr`, 0)
  if (typeof monitor !== 'string') throw wrongKind(`${name}: monitor`, "'loss' or the name of a metric", monitor)
  checkNumber(minimumChange, `${name}: minimumChange`, 0)
  checkWhole(cooldown, `${name}: cooldown`, 0)
  return { optimizer, factor, patience, minLr, monitor, minimumChange, cooldown }
}

/** Callbacks of `fit` that let the learning rate fall when validation stops improving; made by `reduceOnPlateau`. */
export class Plateau implements FitCallbacks {
  readonly #options: Required<PlateauOptions>
  #best: FitState['best']
  #waited = 0
  #cooling = 0
  #scale = 1

  /** @internal */
  constructor(options: Required<PlateauOptions>) {
    checkObject(options, 'Plateau: options', 'what reduceOnPlateau takes', ['optimizer', 'monitor'])
    this.#options = options
  }

  /** Product of all factors so far: 1 before the first fall. */
  get scale(): number {
    return this.#scale
  }

  /**
   * Judges an epoch, and lets the rate fall where it is due.
   * @throws ArgumentError when the epoch has no validation, or not the metric `monitor`
   */
  onEpoch(event: EpochEvent): void {
    checkCount('reduceOnPlateau: onEpoch', 1, arguments)
    const { optimizer, factor, patience, minLr, monitor, cooldown } = this.#options
    checkObject(event, 'reduceOnPlateau: the event', 'an epoch of fit', ['epoch', 'training'])
    const { epoch, validation } = event
    if (!validation)
      throw new ArgumentError('reduceOnPlateau: fit needs validation examples, whose averages are compared')
    if (monitor !== 'loss' && !Object.hasOwn(validation.metrics, monitor)) {
      const known = ['loss', ...Object.keys(validation.metrics)].join(', ')
      throw wrongKind('reduceOnPlateau: monitor', `one of ${known}`, monitor)
    }
    const judged = judge(this.#best, epoch, validation, this.#options)
    this.#best = judged.best
    if (judged.improved) this.#waited = 0
    else if (this.#cooling === 0) this.#waited++
    if (this.#cooling > 0) this.#cooling--
    if (this.#waited < patience) return
    this.#waited = 0
    this.#cooling = cooldown
    this.#scale *= factor
    if (optimizer.lr > minLr) optimizer.lr = Math.max(minLr, optimizer.lr * factor)
  }

  /**
   * A schedule for `fit` that has the rates of another one, times all factors so far, and not below `minLr`. Without a schedule, fit
   * keeps the rate of the optimizer, which `onEpoch` changes.
   */
  schedule(rates: Schedule): Schedule {
    checkCount('reduceOnPlateau: schedule', 1, arguments)
    checkFunction(rates, 'reduceOnPlateau: schedule', 'a schedule, such as schedule.constant(0.1)')
    return (step) => {
      const rate = rates(step)
      return Math.max(Math.min(rate, this.#options.minLr), rate * this.#scale)
    }
  }

  /** What a checkpoint needs, beside the state of the optimizer, which has the rate. */
  state(): PlateauState {
    return {
      ...(this.#best ? { best: this.#best } : {}),
      ...{ waited: this.#waited, cooling: this.#cooling, scale: this.#scale },
    }
  }

  /** Goes on from a state. @throws ArgumentError when it is none; nothing has changed then */
  loadState(state: PlateauState): void {
    checkCount('reduceOnPlateau: loadState', 1, arguments)
    const what = 'reduceOnPlateau: the state'
    checkObject(state, what, 'what state() gave', ['waited', 'cooling', 'scale'])
    const { best, waited, cooling, scale } = state
    checkWhole(waited, `${what}'s waited`, 0)
    checkWhole(cooling, `${what}'s cooling`, 0)
    if (!(typeof scale === 'number' && scale >= 0 && scale <= 1))
      throw wrongKind(`${what}'s scale`, 'a number from 0 to 1', scale)
    if (best !== undefined) {
      checkObject(best, `${what}'s best`, '{ epoch, value }', ['epoch', 'value'])
      checkWhole(best.epoch, `${what}'s best epoch`)
      checkNumber(best.value, `${what}'s best value`)
    }
    this.#best = best && { epoch: best.epoch, value: best.value }
    this.#waited = waited
    this.#cooling = cooling
    this.#scale = scale
  }
}

/**
 * Callbacks of `fit` that multiply the learning rate by `factor` when the validation loss, or a metric, has not improved for
 * `patience` epochs.
 *
 *     const plateau = reduceOnPlateau({ optimizer, factor: 0.3, patience: 2, minLr: 1e-5, monitor: 'accuracy' })
 *     await fit(model, data, { …, optimizer, validation, metrics: { accuracy }, callbacks: plateau })
 *
 * @throws ArgumentError when an option does not fit
 */
export function reduceOnPlateau(options: PlateauOptions): Plateau {
  checkCount('reduceOnPlateau', 1, arguments)
  return new Plateau(checkOptions(options))
}
