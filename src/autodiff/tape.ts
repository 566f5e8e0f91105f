/**
 * Reverse-mode differentiation. While a tape is open, every operation that touches one of its tracked storages
 * adds a step; the pullback walks the steps backwards. Steps are keyed by storage, so reshaping costs nothing
 * and needs no gradient. Tapes nest: a pullback runs ordinary operations, which outer tapes record in turn.
 */
import { parallel } from '../runtime/core.js'
import { LIGHT } from '../runtime/work.js'
import { DisposedError } from '../runtime/errors.js'
import type { Shape } from '../tensor/shape.js'
import { empty, scope, Tensor, type Storage } from '../tensor/tensor.js'

/** One recorded operation. */
export interface Step {
  readonly name: string
  /** Storages of the arguments by name, and of the output: they tell which is which, their memory may be gone. */
  readonly inputs: ReadonlyMap<string, Storage>
  readonly output: Storage
  readonly outputShape: Shape
  /** Gradients by argument name, for the arguments in `need`. */
  pullback(dy: Tensor, need: ReadonlySet<string>): ReadonlyMap<string, Tensor>
  /** Returns what the step holds. */
  dispose(): void
}

const open: Tape[] = []

/** The steps that led from some tensors to others, in the order in which they were made. */
export class Tape {
  readonly #tracked = new Set<Storage>()
  #steps: Step[] = []
  #disposed = false

  /** Tracks storages by identity: it keeps none of their memory, only the steps do, of what their gradients read. */
  constructor(inputs: readonly Tensor[]) {
    for (const { storage } of inputs) this.#tracked.add(storage)
  }

  tracks(storage: Storage): boolean {
    return this.#tracked.has(storage)
  }

  add(step: Step): void {
    this.#steps.push(step)
    this.#tracked.add(step.output)
  }

  /** Runs `use` with the tape open. */
  record<T>(use: () => T): T {
    open.push(this)
    try {
      return use()
    } finally {
      open.splice(open.lastIndexOf(this), 1)
    }
  }

  /**
   * Gradients of `output` with respect to each of `inputs`, given dy of the output's shape; `undefined` where the
   * output does not depend on the input. With `consume`, each step is released as soon as it has been used.
   */
  gradients(output: Tensor, dy: Tensor, inputs: readonly Tensor[], consume: boolean): (Tensor | undefined)[] {
    if (this.#disposed)
      throw new DisposedError('pullback: its tape was disposed; call it before the scope() around vjp ends')
    return scope(() => {
      const gradients = new Map<Storage, Tensor>([[output.storage, dy.alias()]])
      const wanted = new Set(inputs.map(({ storage }) => storage))
      for (let index = this.#steps.length - 1; index >= 0; index--) {
        const step = this.#steps[index] as Step
        const gradient = gradients.get(step.output)
        if (gradient) {
          const need = new Set<string>()
          for (const [name, storage] of step.inputs) if (this.#tracked.has(storage)) need.add(name)
          this.#accumulate(gradients, step, gradient, need)
          if (!wanted.has(step.output)) {
            gradients.delete(step.output)
            gradient.dispose()
          }
        }
        if (consume) {
          step.dispose()
          this.#steps.length = index
        }
      }
      return inputs.map(({ storage, shape }) => gradients.get(storage)?.reshape(shape))
    })
  }

  #accumulate(gradients: Map<Storage, Tensor>, step: Step, dy: Tensor, need: ReadonlySet<string>): void {
    const shaped = dy.reshape(step.outputShape)
    const results = step.pullback(shaped, need)
    // Unless it was passed on, so that the gradient's memory is free as soon as its own handle is.
    if (![...results.values()].includes(shaped)) shaped.dispose()
    for (const [name, gradient] of results) {
      const storage = step.inputs.get(name)
      if (!storage || !need.has(name)) continue
      const before = gradients.get(storage)
      gradients.set(storage, before ? sumOfGradients(before, gradient) : gradient)
    }
  }

  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    for (const step of this.#steps) step.dispose()
    this.#steps = []
    this.#tracked.clear()
  }
}

/** Whether any operation may be recorded. */
export const isRecording = (): boolean => open.length > 0

/** Tapes that must see an operation on these storages. */
export const tapesTracking = (storages: readonly Storage[]): Tape[] =>
  open.filter((tape) => storages.some((storage) => tape.tracks(storage)))

/**
 * The sum of two gradients of one tensor. The tape adds by itself, recording on the tapes around it, because the
 * operations lie above this floor and are left out of a bundle that does not use them.
 */
function sumOfGradients(a: Tensor, b: Tensor): Tensor {
  const y = empty(a.shape, 'the sum of two gradients')
  parallel('add_fwd', y.size, LIGHT, y.pointer, a.pointer, b.pointer, 0)
  for (const tape of tapesTracking([a.storage, b.storage])) {
    const held = [a, b, y].map(({ storage }) => storage.retain()) as [Storage, Storage, Storage]
    tape.add({
      name: 'add',
      inputs: new Map([
        ['a', held[0]],
        ['b', held[1]],
      ]),
      output: held[2],
      outputShape: y.shape,
      pullback: (dy, need) => new Map([...need].map((name) => [name, dy.alias()])),
      dispose() {
        for (const storage of held) storage.release()
      },
    })
  }
  return y
}
