/** What all optimizers share: checked options, state tensors, and steps that update parameters in place. */
import { kernels } from '../runtime/core.js'
import { DisposedError, ShapeError } from '../runtime/errors.js'
import { full } from '../tensor/create.js'
import { sameShape, showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { keep, scope, Tensor } from '../tensor/tensor.js'

/** What an optimizer has to remember between runs, as plain data. */
export interface OptimizerState {
  /** By slot and position of the parameter, such as 'velocity.0'. The data are copies. */
  readonly tensors: Readonly<Record<string, { readonly shape: Shape; readonly data: Float32Array }>>
  /** `step`: steps taken; `lr`: the learning rate. */
  readonly numbers: Readonly<Record<string, number>>
}

/** The numbers that an option may be. */
export interface Range {
  readonly from: number
  /** Left out of the range. */
  readonly below?: number
}

/** Checks one option. @throws ShapeError that names the optimizer or schedule, the option and its range. */
export function checkOption(name: string, option: string, value: number, { from, below = Infinity }: Range): number {
  if (typeof value === 'number' && value >= from && value < below) return value
  const range = below === Infinity ? `a finite number from ${from} on` : `at least ${from} and less than ${below}`
  throw new ShapeError(`${name}: ${option} must be ${range}, given ${String(value)}`)
}

function checkParameters(name: string, parameters: readonly Tensor[]): void {
  if (!Array.isArray(parameters) || parameters.length === 0) {
    throw new ShapeError(`${name}: parameters must be an array of at least one Tensor, such as model.parameters()`)
  }
  const seen = new Map<unknown, number>()
  parameters.forEach((parameter: unknown, index) => {
    if (!(parameter instanceof Tensor)) throw new ShapeError(`${name}: parameter ${index} is not a Tensor`)
    const before = seen.get(parameter.storage)
    if (before !== undefined) {
      throw new ShapeError(`${name}: parameters ${before} and ${index} share their memory; give each one once`)
    }
    seen.set(parameter.storage, index)
  })
}

/** Updates parameters in place by their gradients. What it remembers between steps is saved by `state()`. */
export abstract class Optimizer {
  /** What it was made with, in this order. */
  readonly parameters: readonly Tensor[]
  protected readonly name: string
  readonly #slots: ReadonlyMap<string, readonly Tensor[]>
  #lr: number
  #step = 0
  #disposed = false

  /** `slots`: names and initial values of the state that each parameter has. */
  protected constructor(
    name: string,
    parameters: readonly Tensor[],
    lr: number,
    slots: Readonly<Record<string, number>> = {},
  ) {
    kernels(name)
    checkParameters(name, parameters)
    this.name = name
    this.parameters = [...parameters]
    this.#lr = checkOption(name, 'lr', lr, { from: 0 })
    this.#slots = scope(() => {
      const made = Object.entries(slots).map(
        ([slot, value]) => [slot, parameters.map(({ shape }) => full(shape, value))] as const,
      )
      for (const [, tensors] of made) tensors.forEach(keep)
      return new Map(made)
    })
  }

  /** The learning rate; may be set between steps. @throws ShapeError unless it is a finite number from 0 on. */
  get lr(): number {
    return this.#lr
  }

  /** @throws ShapeError unless it is a finite number from 0 on. */
  set lr(value: number) {
    this.#lr = checkOption(this.name, 'lr', value, { from: 0 })
  }

  /** Steps taken so far. */
  get steps(): number {
    return this.#step
  }

  /**
   * Updates every parameter in place, given one gradient for each in the parameters' order and of their shapes. A step takes
   * no memory, and nothing has changed when arguments are refused. Only a WorkerError or CoreError can end it halfway: some
   * parameters and their state have made the step then, which is not counted; go on from a checkpoint.
   * @throws ShapeError, DisposedError when the gradients are not those of the parameters.
   */
  step(gradients: readonly Tensor[]): void {
    this.#checkLive()
    this.#checkGradients(gradients)
    this.prepare(this.#step + 1)
    this.parameters.forEach((parameter, index) => {
      try {
        this.update(parameter, gradients[index] as Tensor, index)
      } finally {
        parameter.storage.changed()
      }
    })
    this.#step++
  }

  /** A snapshot for a checkpoint; `loadState` restores exactly this point. */
  state(): OptimizerState {
    this.#checkLive()
    const tensors: Record<string, { shape: Shape; data: Float32Array }> = {}
    for (const [key, tensor] of this.#named()) tensors[key] = { shape: tensor.shape, data: tensor.data() }
    return { tensors, numbers: { step: this.#step, lr: this.#lr } }
  }

  /**
   * Goes on from a snapshot of an optimizer of the same kind, options and parameter shapes.
   * @throws ShapeError when it is another's; nothing has changed then.
   */
  loadState(state: OptimizerState): void {
    this.#checkLive()
    const { step, lr } = state.numbers
    if (step === undefined || !Number.isInteger(step) || step < 0) {
      throw new ShapeError(`${this.name}: loadState: step must be a whole number from 0 on, given ${String(step)}`)
    }
    checkOption(`${this.name}: loadState`, 'lr', lr as number, { from: 0 })
    const named = this.#named()
    for (const [key, { shape }] of named) {
      const saved = state.tensors[key]
      if (!saved) throw new ShapeError(`${this.name}: loadState: the state has no '${key}'; it is another optimizer's`)
      if (!sameShape(saved.shape, shape) || saved.data.length !== sizeOf(shape)) {
        throw new ShapeError(
          `${this.name}: loadState: '${key}' must be ${showShape(shape)}, given ${saved.data.length} values of shape ${showShape(saved.shape)}`,
        )
      }
    }
    const unknown = Object.keys(state.tensors).find((key) => !named.some(([name]) => name === key))
    if (unknown !== undefined) {
      throw new ShapeError(`${this.name}: loadState: there is no '${unknown}' here; the state is another optimizer's`)
    }
    for (const [key, tensor] of named) tensor.assign((state.tensors[key] as { data: Float32Array }).data)
    this.#step = step
    this.#lr = lr as number
  }

  /** Frees the state. The parameters are not touched: they belong to the model. A second call does nothing. */
  dispose(): void {
    this.#disposed = true
    for (const [, tensor] of this.#named()) tensor.dispose()
  }

  /** What is the same for all parameters in step number `step`, counted from 1. */
  protected abstract prepare(step: number): void

  /** Updates parameter number `index`. */
  protected abstract update(parameter: Tensor, gradient: Tensor, index: number): void

  /** Address of a state tensor. */
  protected slot(name: string, index: number): number {
    return (this.#slots.get(name)?.[index] as Tensor).pointer
  }

  #checkLive(): void {
    if (this.#disposed) throw new DisposedError(`${this.name}: the optimizer was used after dispose()`)
  }

  #checkGradients(gradients: readonly Tensor[]): void {
    const { name, parameters } = this
    if (gradients.length !== parameters.length) {
      throw new ShapeError(
        `${name}: step takes one gradient for each of the ${parameters.length} parameters, given ${gradients.length}`,
      )
    }
    parameters.forEach((parameter, index) => {
      const gradient: unknown = gradients[index]
      if (!(gradient instanceof Tensor)) throw new ShapeError(`${name}: gradient ${index} is not a Tensor`)
      if (!sameShape(gradient.shape, parameter.shape)) {
        throw new ShapeError(
          `${name}: gradient ${index} must be ${showShape(parameter.shape)} as its parameter, given ${showShape(gradient.shape)}`,
        )
      }
      for (const [what, tensor] of Object.entries({ parameter, gradient })) {
        if (tensor.disposed) {
          throw new DisposedError(`${name}: ${what} ${index} was disposed before step(); nothing has been updated`)
        }
      }
    })
  }

  #named(): [string, Tensor][] {
    return [...this.#slots].flatMap(([slot, tensors]) =>
      tensors.map((tensor, index): [string, Tensor] => [`${slot}.${index}`, tensor]),
    )
  }
}
