/**
 * Averages of weights over the steps of a run (Polyak & Juditsky 1992; as exponential averages, for instance, Tarvainen & Valpola
 * 2017): they vary less from step to step than the weights themselves, and often classify better.
 */
import { checkFunction, checkObject, checkWhole, wrongKind } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { sameShape, showShape, sizeOf, type Shape } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'
import type { FitCallbacks } from '../train/options.js'

/** A model whose weights have names: a `Sequential`, a `Graph` or a `Program`. */
export interface Averaged {
  /** All that is saved, by name, running statistics included; left out, the parameters alone are averaged. */
  namedState?(): ReadonlyMap<string, Tensor>
  /** What is trained, by name. */
  namedParameters(): ReadonlyMap<string, Tensor>
}

/** Options of `ema`. */
export interface EmaOptions {
  /** Share of the average that each step keeps, from 0 to below 1. Default 0.999. */
  readonly decay?: number
}

/** An average as plain data, for a checkpoint. */
export interface AverageState {
  /** The averages by the names of the weights. The data are copies. */
  readonly tensors: Readonly<Record<string, { readonly shape: Shape; readonly data: Float32Array }>>
  /** `updates`: steps averaged; `kept`: decay to the power of that number. */
  readonly numbers: { readonly updates: number; readonly kept: number }
}

/** Callbacks of `fit` that average the weights of its model; made by `ema`. */
export class WeightAverage implements FitCallbacks {
  readonly #model: Averaged
  readonly #decay: number
  /** Averages by the names of the weights; while swapped, the weights themselves. */
  readonly #values: ReadonlyMap<string, Float32Array>
  #updates = 0
  /** decayⁿ after n updates. */
  #kept = 1
  #swapped = false
  /** Calls of `use` that go on. */
  #users = 0

  /** @internal */
  constructor(model: Averaged, decay: number) {
    checkObject(model, 'ema: the model', 'a Sequential, a Graph or a Program', ['namedParameters'])
    checkFunction(model.namedParameters, 'ema: namedParameters of the model')
    this.#model = model
    this.#decay = decay
    this.#values = new Map([...this.#weights()].map(([name, tensor]) => [name, tensor.data()]))
  }

  /** Steps that were averaged. */
  get updates(): number {
    return this.#updates
  }

  /** Whether the model has the averages at present, and this object the weights. */
  get swapped(): boolean {
    return this.#swapped
  }

  #weights(): ReadonlyMap<string, Tensor> {
    return this.#model.namedState?.() ?? this.#model.namedParameters()
  }

  /** Each weight of the model with its average. @throws ShapeError when the model has others than it had */
  #pairs(name: string): (readonly [Tensor, Float32Array])[] {
    const weights = this.#weights()
    if (weights.size !== this.#values.size)
      throw new ArgumentError(
        `ema: ${name}: the model has ${weights.size} weights, and ${this.#values.size} are averaged`,
      )
    return [...weights].map(([key, tensor]) => {
      const values = this.#values.get(key)
      if (values?.length !== tensor.size)
        throw new ShapeError(
          `ema: ${name}: weight '${key}' ${showShape(tensor.shape)} is none of those that are averaged`,
        )
      return [tensor, values] as const
    })
  }

  /**
   * Adds the weights as they are to the average: a += (1 − d) · (w − a), where d = decay · (1 − decayⁿ⁻¹) / (1 − decayⁿ) in update n.
   * So the average is that of the weights after all steps so far, each with the share (1 − decay) · decayᵏ / (1 − decayⁿ) where it is
   * k steps ago, and the initial weights have no share (the bias correction of Adam, Kingma & Ba 2015, section 3).
   * @throws ArgumentError while the model has the averages
   */
  update(): void {
    checkCount('ema: update', 0, arguments)
    if (this.#swapped)
      throw new ArgumentError('ema: update: the model has the averages; swap() back before the next step of training')
    const pairs = this.#pairs('update')
    const kept = this.#kept * this.#decay
    const share = (1 - this.#decay) / (1 - kept)
    for (const [tensor, values] of pairs) {
      const weights = tensor.view()
      if (share === 1) {
        values.set(weights)
        continue
      }
      for (let i = 0; i < values.length; i++) {
        const value = values[i] as number
        values[i] = value + share * ((weights[i] as number) - value)
      }
    }
    this.#kept = kept
    this.#updates++
  }

  /** After each step of `fit`: the same. */
  onStep(): void {
    this.update()
  }

  /** Gives the model the averages, and keeps its weights; called again, gives the weights back. */
  swap(): void {
    checkCount('ema: swap', 0, arguments)
    for (const [tensor, values] of this.#pairs('swap')) {
      const weights = tensor.data()
      tensor.assign(values)
      values.set(weights)
    }
    this.#swapped = !this.#swapped
  }

  /** Calls `use` while the model has the averages, waits for it, and gives the weights back, whatever happens. */
  async use<T>(use: () => T | Promise<T>): Promise<T> {
    checkCount('ema: use', 1, arguments)
    checkFunction(use, 'ema: use')
    // Whoever swapped by hand swaps back by hand; of several calls at a time the last gives the weights back.
    if (this.#swapped && this.#users === 0) return use()
    if (this.#users++ === 0) this.swap()
    try {
      return await use()
    } finally {
      if (--this.#users === 0) this.swap()
    }
  }

  /** Gives the model the averages for good: what the weights were is lost. */
  apply(): void {
    checkCount('ema: apply', 0, arguments)
    if (this.#swapped) {
      for (const [tensor, values] of this.#pairs('apply')) values.set(tensor.view())
      this.#swapped = false
      return
    }
    for (const [tensor, values] of this.#pairs('apply')) tensor.assign(values)
  }

  /** A snapshot for a checkpoint, beside the weights. @throws ArgumentError while the model has the averages */
  state(): AverageState {
    checkCount('ema: state', 0, arguments)
    if (this.#swapped)
      throw new ArgumentError('ema: state: the model has the averages; swap() back before a checkpoint')
    const tensors: Record<string, { shape: Shape; data: Float32Array }> = {}
    for (const [key, { shape }] of this.#weights())
      tensors[key] = { shape, data: (this.#values.get(key) as Float32Array).slice() }
    return { tensors, numbers: { updates: this.#updates, kept: this.#kept } }
  }

  /** Goes on from a snapshot of the same model. @throws ShapeError when it is another's; nothing has changed then */
  loadState(state: AverageState): void {
    checkCount('ema: loadState', 1, arguments)
    const what = 'ema: the state'
    checkObject(state, what, 'what state() gave', ['tensors', 'numbers'])
    checkObject(state.tensors, `${what}'s tensors`, 'averages by name')
    checkObject(state.numbers, `${what}'s numbers`, '{ updates, kept }', ['updates', 'kept'])
    if (this.#swapped) throw new ArgumentError('ema: loadState: the model has the averages; swap() back first')
    const { updates, kept } = state.numbers
    checkWhole(updates, `${what}'s updates`, 0)
    if (!(typeof kept === 'number' && kept >= 0 && kept <= 1))
      throw wrongKind(`${what}'s kept`, 'a number from 0 to 1', kept)
    for (const [key, { shape }] of this.#weights()) {
      const saved = Object.hasOwn(state.tensors, key) ? state.tensors[key] : undefined
      const { data } = Object(saved) as { data?: unknown }
      const isRight =
        saved !== undefined &&
        data instanceof Float32Array &&
        data.length === sizeOf(shape) &&
        Array.isArray(saved.shape) &&
        sameShape(saved.shape, shape)
      if (!isRight) throw new ShapeError(`${what} must have '${key}' ${showShape(shape)}; it is another model's`)
    }
    const extra = Object.keys(state.tensors).find((key) => !this.#values.has(key))
    if (extra !== undefined) throw new ArgumentError(`${what} has '${extra}', which the model has not`)
    for (const [key, values] of this.#values) values.set((state.tensors[key] as { data: Float32Array }).data)
    this.#updates = updates
    this.#kept = kept
  }
}

/**
 * Callbacks of `fit` that keep an exponential average of a model's weights and running statistics, corrected for its start. It takes
 * the memory of the weights once more, outside of the core. The weights of training are not touched.
 *
 *     const average = ema(model, { decay: 0.999 })
 *     await fit(model, data, { …, callbacks: average })
 *     const { loss } = await average.use(() => evaluate(model, test, { … }))
 *     average.apply()                                      // and save the model
 *
 * @throws ArgumentError when the model has no named weights, or decay is not from 0 to below 1
 */
export function ema(model: Averaged, options: EmaOptions = {}): WeightAverage {
  checkCount('ema', 2, arguments)
  checkKeys('ema', options, { decay: 0 } satisfies Names<EmaOptions>)
  const { decay = 0.999 } = options
  if (!(typeof decay === 'number' && decay >= 0 && decay < 1))
    throw wrongKind('ema: decay', 'a number from 0 to below 1', decay)
  return new WeightAverage(model, decay)
}
