/** What all optimizers share: checked options, state tensors, and steps that update parameters in place. */
import { checkConstant } from '../autodiff/op.js'
import { kernels } from '../runtime/core.js'
import { ArgumentError, DisposedError, ShapeError } from '../runtime/errors.js'
import { checkList, checkObject, checkWhole, wrongKind } from '../runtime/check.js'
import { checkCount, checkKeys, defined } from '../runtime/options.js'
import { full } from '../tensor/create.js'
import { checkShape, sameShape, showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { isFloats, keep, scope, Tensor } from '../tensor/tensor.js'

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
  throw wrongKind(`${name}: ${option}`, range, value)
}

/** `what` names the list that it is of. @throws ShapeError unless number `index` of it is a tensor of float32 */
export function checkFloats(name: string, what: string, index: number, value: unknown): asserts value is Tensor {
  if (!isFloats(value)) throw new ArgumentError(`${name}: ${what} ${index} is not a Tensor of float32`)
}

/** Some parameters with options of their own; what is left out is as for the others. */
export type ParameterGroup<Options> = { readonly parameters: readonly Tensor[] } & Partial<Options>

/** What an optimizer is made with: parameters, or groups of them. */
export type OptimizerParameters<Options> = readonly Tensor[] | readonly ParameterGroup<Options>[]

/** Parameters, all with the same options. */
interface Group {
  readonly parameters: readonly Tensor[]
  /** The rate of the group when it was made. */
  readonly lr: number
  readonly options: object
  /** Names and initial values of the state that each of the parameters has. */
  readonly slots: Readonly<Record<string, number>>
}

function checkParameters(name: string, parameters: readonly Tensor[]): void {
  if (!Array.isArray(parameters) || parameters.length === 0) {
    throw new ArgumentError(
      `${name}: parameters must be an array of at least one Tensor, such as model.parameters()${Array.isArray(parameters) ? ', given none; is every layer frozen?' : ''}`,
    )
  }
  const seen = new Map<unknown, number>()
  // `forEach` would pass over holes.
  Array.from(parameters).forEach((parameter: unknown, index) => {
    checkFloats(name, 'parameter', index, parameter)
    const before = seen.get(parameter.storage)
    if (before !== undefined) {
      throw new ArgumentError(`${name}: parameters ${before} and ${index} share their memory; give each one once`)
    }
    seen.set(parameter.storage, index)
  })
}

/** Updates parameters in place by their gradients. What it remembers between steps is saved by `state()`. */
export abstract class Optimizer<Options extends { readonly lr?: number } = object> {
  /** What it was made with, in this order; those of groups one group after another. */
  readonly parameters: readonly Tensor[]
  protected readonly name: string
  readonly #groups: readonly Group[]
  /** By slot and position of the parameter, such as 'velocity.0'. */
  readonly #slots: ReadonlyMap<string, Tensor>
  /** The rate that it was made with. */
  readonly #first: number
  #lr: number
  #step = 0
  #disposed = false

  /**
   * `defaults`: every option that there is, with its default; numbers must be from 0 on. `check` checks what else they must
   * be, and gives the names and initial values of the state that each parameter has.
   */
  protected constructor(
    name: string,
    given: OptimizerParameters<Options>,
    options: Partial<Options> | undefined,
    defaults: Required<Options>,
    check: (options: Required<Options>) => Readonly<Record<string, number>>,
  ) {
    if (typeof name !== 'string') throw new ArgumentError('Optimizer: make one of its kinds, such as SGD or Adam')
    kernels(name)
    const grouped =
      Array.isArray(given) && !(given[0] instanceof Tensor) && (given[0] as object | undefined)?.constructor === Object
    const groups = (grouped ? given : [{ parameters: given }]) as readonly ParameterGroup<Options>[]
    checkKeys(name, options, defaults)
    const common = { ...defaults, ...defined(options) }
    this.#groups = groups.map((group, index) => {
      const where = grouped ? `${name}: group ${index}` : name
      checkKeys(where, group, { parameters: [], ...defaults })
      const { parameters, ...own } = defined(group)
      checkParameters(where, parameters)
      const all: Required<Options> = { ...common, ...own }
      for (const [option, value] of Object.entries(all)) {
        const number = typeof defaults[option as keyof Options] === 'number' || option === 'lr'
        if (number) checkOption(where, option, value as number, { from: 0 })
      }
      return { parameters, lr: all.lr as number, options: all, slots: check(all) }
    })
    this.name = name
    this.parameters = this.#groups.flatMap(({ parameters }) => parameters)
    if (grouped) checkParameters(name, this.parameters)
    this.#lr = this.#first = common.lr ?? (this.#groups[0] as Group).lr
    if (this.#first === 0 && this.#groups.some(({ lr }) => lr > 0)) {
      throw new ArgumentError(`${name}: lr must be above 0 where a group has a rate of its own`)
    }
    this.#slots = scope(() => {
      const made = new Map<string, Tensor>()
      let index = 0
      for (const { parameters, slots } of this.#groups) {
        for (const { shape } of parameters) {
          for (const [slot, value] of Object.entries(slots)) made.set(`${slot}.${index}`, full(shape, value))
          index++
        }
      }
      for (const tensor of made.values()) keep(tensor)
      return made
    })
  }

  /**
   * The learning rate; may be set between steps. A group with a rate of its own keeps the proportion of the two.
   * @throws ShapeError unless it is a finite number from 0 on.
   */
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
    checkCount(`${this.name}: step`, 1, arguments)
    this.#checkLive()
    this.#checkGradients(gradients)
    let index = 0
    for (const { parameters, lr, options } of this.#groups) {
      // Of the rate that it was made with exactly its own.
      const rate = lr === this.#first ? this.#lr : lr * (this.#lr / this.#first)
      const settings = { ...options, lr: rate } as Required<Options>
      for (const parameter of parameters) {
        try {
          this.update(parameter, gradients[index] as Tensor, index, settings, this.#step + 1)
        } finally {
          parameter.storage.changed()
        }
        index++
      }
    }
    this.#step++
  }

  /** A snapshot for a checkpoint; `loadState` restores exactly this point. */
  state(): OptimizerState {
    this.#checkLive()
    const tensors: Record<string, { shape: Shape; data: Float32Array }> = {}
    for (const [key, tensor] of this.#slots) tensors[key] = { shape: tensor.shape, data: tensor.data() }
    return { tensors, numbers: { step: this.#step, lr: this.#lr } }
  }

  /**
   * Goes on from a snapshot of an optimizer of the same kind, options and parameter shapes.
   * @throws ShapeError when it is another's; nothing has changed then.
   */
  loadState(state: OptimizerState): void {
    checkCount(`${this.name}: loadState`, 1, arguments)
    this.#checkLive()
    const what = `${this.name}: the state`
    checkObject(state, what, 'what state() gave', ['numbers', 'tensors'])
    const { step, lr } = state.numbers
    checkWhole(step, `${this.name}: loadState: step`, 0)
    checkOption(`${this.name}: loadState`, 'lr', lr as number, { from: 0 })
    const named = this.#slots
    for (const [key, { shape }] of named) {
      const saved = state.tensors[key]
      if (!saved)
        throw new ArgumentError(`${this.name}: loadState: the state has no '${key}'; it is another optimizer's`)
      checkObject(saved, `${what}'s '${key}'`, '{ shape, data }', ['shape', 'data'])
      if (!Array.prototype.every.call(saved.data, (value) => typeof value === 'number')) {
        throw wrongKind(`${what}'s '${key}'`, 'numbers', saved.data)
      }
      checkShape(saved.shape, `${what}'s '${key}'`)
      if (!sameShape(saved.shape, shape) || saved.data.length !== sizeOf(shape)) {
        throw new ShapeError(
          `${this.name}: loadState: '${key}' must be ${showShape(shape)}, given ${saved.data.length} values of shape ${showShape(saved.shape)}`,
        )
      }
    }
    const unknown = Object.keys(state.tensors).find((key) => !named.has(key))
    if (unknown !== undefined) {
      throw new ArgumentError(
        `${this.name}: loadState: there is no '${unknown}' here; the state is another optimizer's`,
      )
    }
    for (const [key, tensor] of named) tensor.assign((state.tensors[key] as { data: Float32Array }).data)
    this.#step = step as number
    this.#lr = lr as number
  }

  /** Frees the state. The parameters are not touched: they belong to the model. A second call does nothing. */
  dispose(): void {
    this.#disposed = true
    for (const tensor of this.#slots.values()) tensor.dispose()
  }

  /** Updates parameter number `index` in step number `step`, counted from 1, by the options of its group. */
  protected abstract update(
    parameter: Tensor,
    gradient: Tensor,
    index: number,
    options: Required<Options>,
    step: number,
  ): void

  /** Address of a state tensor; 0 where there is none. */
  protected slot(name: string, index: number): number {
    return this.#slots.get(`${name}.${index}`)?.pointer ?? 0
  }

  #checkLive(): void {
    if (this.#disposed) throw new DisposedError(`${this.name}: the optimizer was used after dispose()`)
  }

  #checkGradients(gradients: readonly Tensor[]): void {
    const { name, parameters } = this
    checkList(gradients, `${name}: the gradients`, 'a list of tensors')
    if (gradients.length !== parameters.length) {
      throw new ArgumentError(
        `${name}: step takes one gradient for each of the ${parameters.length} parameters, given ${gradients.length}`,
      )
    }
    parameters.forEach((parameter, index) => {
      const gradient: unknown = gradients[index]
      checkFloats(name, 'gradient', index, gradient)
      checkConstant(gradient, `${name}: step`, `gradient ${index}`)
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
}
