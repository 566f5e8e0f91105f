/** Labels that no loss takes, found before the first step: else they would be told when their batch comes, after an epoch or more. */
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { scope, Tensor } from '../tensor/tensor.js'
import type { DistantExamples, Examples } from './examples.js'
import type { Loss, Trainable } from './options.js'

/** Labels that look wrong are tried, so many different ones at most: of numbers that are no labels there may be one for each example. */
const MOST_TRIED = 16

/** Number of classes that a model tells apart; undefined where it does not say, or has more outputs than one. */
function classesOf(model: unknown): number | undefined {
  const { input, outputShape } = model as { readonly input?: unknown; outputShape?(): readonly number[] }
  if (!input || typeof outputShape !== 'function') return undefined
  return outputShape.call(model)[0]
}

/**
 * Tries one example: a pass and its loss. @throws ShapeError with what they say of it
 * @returns whether it could be read
 */
async function tryExample<Target, Output>(
  what: string,
  model: Trainable<Output>,
  data: Examples<Target> | DistantExamples<Target>,
  loss: Loss<Target, Output>,
  index: number,
): Promise<boolean> {
  const one = Int32Array.of(index)
  const { indices, batch } = 'read' in data ? await data.read(one) : { indices: one, batch: () => data.batch(one) }
  if (indices.length === 0) return false
  try {
    scope(() => {
      const { x, target } = batch()
      const value: unknown = loss(model.forward(x, { training: false }), target)
      return value instanceof Tensor ? undefined : value
    })
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error
    throw new ArgumentError(`fit: example ${index} of ${what} cannot be used: ${error.message}`)
  }
  return true
}

/**
 * Checks that the model takes validation examples, by the first of them, where they are at hand: else it would be told after the
 * first epoch.
 */
export async function checkFirst<Target, Output>(
  model: Trainable<Output>,
  data: Examples<Target> | DistantExamples<Target>,
  loss: Loss<Target, Output>,
): Promise<void> {
  if (data.labels && !('read' in data)) await tryExample('validation', model, data, loss, 0)
}

/**
 * Checks the labels of examples, where they are at hand. A label that is no class is tried with its example, because a loss may
 * ignore it, or take other numbers than classes.
 * @throws ShapeError with what the loss says of it.
 */
export async function checkTargets<Target, Output>(
  what: string,
  model: Trainable<Output>,
  data: Examples<Target> | DistantExamples<Target>,
  loss: Loss<Target, Output>,
): Promise<void> {
  const { labels } = data
  if (!labels) return
  const classes = classesOf(model) ?? Infinity
  const tried = new Set<unknown>()
  for (let index = 0; index < labels.length && tried.size < MOST_TRIED; index++) {
    const label = labels[index]
    const number = typeof label === 'bigint' ? Number(label) : label
    const isClass = Number.isInteger(number) && (number as number) >= 0 && (number as number) < classes
    // What is an object has more than one number, such as a distribution.
    if (isClass || typeof label === 'object' || tried.has(label)) continue
    tried.add(label)
    const isRead = await tryExample(what, model, data, loss, index)
    // A loss that takes a fraction takes numbers, and no classes.
    if (isRead && typeof number === 'number' && number % 1 !== 0) return
  }
}
