/** Callbacks of `fit`: several as one, and how far a run is. */
import { checkCallback, checkFunction, checkObject, checkWhole } from '../runtime/check.js'
import { ArgumentError } from '../runtime/errors.js'
import { checkCount, checkKeys, needKeys, type Names } from '../runtime/options.js'
import { batchesOf } from '../train/count.js'
import type { EpochEvent, FitCallbacks, StepEvent } from '../train/options.js'

/**
 * Several callbacks of `fit` as one: each is called in turn, and waited for. What is undefined is left out.
 *
 *     fit(model, data, { …, callbacks: combineCallbacks(plateau, average, { onEpoch: draw }) })
 *
 * @throws ArgumentError when one of them is no object with `onStep` or `onEpoch`
 */
export function combineCallbacks(...all: readonly (FitCallbacks | undefined)[]): Required<FitCallbacks> {
  const given = all.filter((callbacks) => callbacks !== undefined)
  given.forEach((callbacks, index) => {
    const what = `combineCallbacks: argument ${index + 1}`
    checkObject(callbacks, what, 'callbacks of fit, such as { onEpoch }')
    checkKeys(what, callbacks, { onStep: 0, onEpoch: 0 } satisfies Names<FitCallbacks>)
    checkCallback(callbacks.onStep, `${what}: onStep`)
    checkCallback(callbacks.onEpoch, `${what}: onEpoch`)
    if (!callbacks.onStep && !callbacks.onEpoch)
      throw new ArgumentError(`${what} must be callbacks of fit; it has neither onStep nor onEpoch`)
  })
  return {
    async onStep(event) {
      for (const callbacks of given) await callbacks.onStep?.(event)
    },
    async onEpoch(event) {
      for (const callbacks of given) await callbacks.onEpoch?.(event)
    },
  }
}

/** How far a run is. */
export interface ProgressEvent {
  /** Number of the epoch, from 1, and how many there will be, unless training ends early. */
  readonly epoch: number
  /** As the option of `fit`. */
  readonly epochs: number
  /** Steps done, over all epochs. */
  readonly step: number
  /** Steps of all epochs. */
  readonly steps: number
  /** Share of the steps that are done, 0 to 1. */
  readonly share: number
  /** Seconds since the first step of this call. */
  readonly seconds: number
  /** Seconds that the other steps will take at the speed so far, validation included; undefined after the first step. */
  readonly secondsLeft: number | undefined
}

/** Options of `progress`. */
export interface ProgressOptions {
  /** As the option of `fit`. */
  readonly epochs: number
  /** Called after each step and each epoch, and waited for. */
  onProgress(event: ProgressEvent): void | Promise<void>
  /** Steps of an epoch; left out, they follow from the examples and the batch size, unless examples have groups. */
  readonly stepsPerEpoch?: number | undefined
}

/**
 * Callbacks of `fit` that tell how far the run is, and how long it will go on.
 *
 *     const bar = progress({ epochs: 5, onProgress: ({ share, secondsLeft }) => show(share, secondsLeft) })
 *     await fit(model, data, { …, epochs: 5, callbacks: bar })
 *
 * @throws ArgumentError when an option does not fit
 */
export function progress(options: ProgressOptions): Required<FitCallbacks> {
  const name = 'progress'
  checkCount(name, 1, arguments)
  needKeys(name, options, { epochs: 0, onProgress: 0, stepsPerEpoch: 0 } satisfies Names<ProgressOptions>)
  const { epochs, stepsPerEpoch } = options
  checkWhole(epochs, `${name}: epochs`)
  checkFunction(options.onProgress, `${name}: onProgress`)
  if (stepsPerEpoch !== undefined) checkWhole(stepsPerEpoch, `${name}: stepsPerEpoch`)
  let first: { readonly step: number; readonly time: number } | undefined
  let last = 0
  const tell = async ({ epoch, state: { step, run } }: Pick<StepEvent | EpochEvent, 'epoch' | 'state'>) => {
    const time = performance.now()
    // Another run has begun when the steps are fewer than before.
    if (!first || step < last) first = { step, time }
    last = step
    const perEpoch = stepsPerEpoch ?? (run ? batchesOf({ size: run.examples }, run) : step)
    const steps = Math.max(step, epochs * perEpoch)
    const seconds = (time - first.time) / 1000
    const secondsLeft = step > first.step ? (seconds / (step - first.step)) * (steps - step) : undefined
    await options.onProgress({ epoch, epochs, step, steps, share: step / steps, seconds, secondsLeft })
  }
  return { onStep: tell, onEpoch: tell }
}
