/** What a layer is: a rule for shapes without the batch, weights made when the input is known, a forward pass. */
import type { ConvAlgorithm, ConvProblem } from '../plan/conv.js'
import { mapLetters } from '../plan/window.js'
import { wrongKind } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { sameShape, showShape, type Shape } from '../tensor/shape.js'
import { filled, empty, keep, scope, type Tensor } from '../tensor/tensor.js'
import { initialize, type Initializer, type Source } from './initialize.js'
import { checkOptions, type OptionRules } from './options.js'
import type { Window } from './receptive.js'
import { checkCount } from '../runtime/options.js'

export type { OptionRule, OptionRules } from './options.js'

/** Values of a layer's JSON form. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
/** A layer as JSON: the name of its class, and its options. */
export type LayerConfig = { readonly type: string } & { readonly [key: string]: Json }

/** What a forward pass knows besides its input. */
export interface ForwardContext {
  /** Whether layers behave as in training (dropout, batch statistics). */
  readonly training: boolean
  /** Seed and number of the training step, for layers that draw random numbers. */
  readonly seed: number
  /** Number of the training step, from 0. */
  readonly step: number
  /** Stream of random numbers that no other node and no other step uses. */
  readonly stream: number
  /** Whether the layer is to apply relu too, which only those are asked for that can: `fusesRelu`. */
  readonly relu?: boolean
}

/** One tensor that a layer keeps. */
export interface WeightSpec {
  /** Its name in the layer: weight, bias, runningMean, … */
  readonly name: string
  /** Its extents. */
  readonly shape: Shape
  /** An initializer, or the values themselves. */
  readonly init: Initializer | Float32Array
  /** false: state that is saved with the model and not trained, such as running statistics. Default true. */
  readonly trained?: boolean
}

/** The convolution that a layer computes. */
export interface LayerConvolution {
  /** Its extents. */
  readonly problem: ConvProblem
  /** The algorithm that was asked for. */
  readonly algorithm: ConvAlgorithm | 'auto'
  /** Whether the layer is its adjoint: its outputs are the convolution's inputs. */
  readonly transposed: boolean
}

/** Bytes that a forward pass needs besides its tensors. */
export interface Footprint {
  /** Returned when it ends. */
  readonly workspace: number
  /** Weights packed for its kernel: made in the first pass, kept from the second on. */
  readonly packed: number
}

const outsideOfTraining: ForwardContext = { training: false, seed: 0, step: 0, stream: 0 }

/** The rules of a class that takes any option. */
const anyRules: OptionRules = {}

const noFootprint: Footprint = { workspace: 0, packed: 0 }

/**
 * A layer: a rule for shapes, weights that are made when the input is known, and a forward pass. Extend it for one of
 * your own.
 */
export abstract class Layer<Options extends object = object> {
  /** The name of the class, in JSON and in summaries. */
  abstract readonly type: string
  /** As they were given. */
  readonly options: Options
  /**
   * What the options of a class must be, by name: every one that there is, and others are refused. A class that has no rules
   * of its own takes any.
   */
  static readonly rules: OptionRules = anyRules
  /** Whether the layer takes any number of inputs, as Add and Concat do. */
  readonly many: boolean = false
  /** Whether a ReLU that follows can be part of the layer's own pass. */
  readonly fusesRelu: boolean = false
  /**
   * Whether the weights are trained. A layer that is not gives no parameters, and a batch normalization keeps its running
   * statistics and uses them in training, too. To be set before the optimizer is made.
   */
  get trainable(): boolean {
    return this.#trainable
  }

  /** Lets the layer be trained, or be as it is. */
  set trainable(trainable: boolean) {
    if (typeof trainable !== 'boolean') throw wrongKind(`${this.type}: trainable`, 'true or false', trainable)
    this.#trainable = trainable
  }

  #trainable = true
  readonly #tensors = new Map<string, Tensor>()
  /** Weights without numbers, while a pass is planned before there are any. */
  #planned: ReadonlyMap<string, Tensor> | undefined
  #specs: readonly WeightSpec[] | undefined

  constructor(...given: object extends Options ? [options?: Options] : [options: Options]) {
    const { name, rules } = new.target
    checkCount(name, 1, given)
    const [options] = given
    checkOptions(name, options, rules === anyRules ? undefined : rules)
    this.options = { ...options } as Options
  }

  /** Extents of one output, without the batch, for one input. @throws ShapeError when the input does not fit. */
  abstract outputShape(input: Shape, ...others: Shape[]): number[]

  /** y for x, both with the batch first. */
  abstract forward(x: Tensor, context: ForwardContext, ...others: Tensor[]): Tensor

  /** Whether what the layer computes outside of training is told by operations alone. @internal */
  get isLowered(): boolean {
    return false
  }

  /** The layer in the notation of the lecture: `conv(5, 32)`. */
  abstract describe(): string

  /** The tensors that the layer keeps for inputs of this shape. */
  weights(_input: Shape): readonly WeightSpec[] {
    return []
  }

  /** Trained numbers for inputs of this shape. */
  parameterCount(input: Shape): number {
    return this.weights(input)
      .filter(({ trained = true }) => trained)
      .reduce((total, { shape }) => total + shape.reduce((size, extent) => size * extent, 1), 0)
  }

  /** Operations for one input, as the lecture counts them; 0 for layers that cost next to nothing. */
  operations(_input: Shape): number {
    return 0
  }

  /** The part of the input that one output sees; left out, the same place of the input. */
  window(_input: Shape): Window | undefined {
    return undefined
  }

  /** Whether the output in use is the input's memory under another shape. */
  sharesInput(): boolean {
    return false
  }

  /** The convolution by which N inputs are computed, for which an algorithm is chosen. */
  convolution(_N: number, _input: Shape): LayerConvolution | undefined {
    return undefined
  }

  /** Bytes that a forward pass of N inputs needs besides weights, input and output. */
  footprint(_N: number, _input: Shape): Footprint {
    return noFootprint
  }

  /** Options as JSON, from which the layer can be made again. */
  config(): LayerConfig {
    const set = Object.entries(this.options).filter((entry): entry is [string, Json] => entry[1] !== undefined)
    return { type: this.type, ...Object.fromEntries(set), ...(this.trainable ? {} : { trainable: false }) }
  }

  /** Output shape for inputs of these shapes. @throws ShapeError when their number, shape or the weights do not fit. */
  check(inputs: readonly Shape[]): number[] {
    const [first, ...others] = inputs
    if (!first || (others.length > 0 && !this.many)) {
      throw new ArgumentError(`${this.type}: the layer takes one input, given ${inputs.length}`)
    }
    const output = this.outputShape(first, ...others)
    if (!this.#specs) return output
    const needed = new Map(this.weights(first).map(({ name, shape }) => [name, shape]))
    for (const { name, shape } of this.#specs) {
      if (!sameShape(shape, needed.get(name) ?? [])) {
        throw new ShapeError(
          `${this.type}: the layer's ${name} is ${showShape(shape)}, but an input ${showShape(first)} needs ${showShape(needed.get(name) ?? [])}`,
        )
      }
    }
    return output
  }

  /** Whether the weights have been made. */
  get built(): boolean {
    return this.#specs !== undefined
  }

  /**
   * Makes the weights for inputs of this shape, each from its source of random numbers; without one they are left to be
   * assigned. A second call changes nothing.
   */
  build(input: Shape, source?: () => Source): void {
    if (this.#specs) return
    const specs = this.weights(input)
    // All of them or none.
    const tensors = scope(() =>
      specs.map(({ shape, init, name }) =>
        source ? made(shape, init, source()) : empty(shape, `${this.type} ${name}`),
      ),
    )
    specs.forEach(({ name }, index) => this.#tensors.set(name, keep(tensors[index] as Tensor)))
    this.#specs = specs
  }

  /** Has weights by their shapes alone, from `make`, until it is called without one. @internal */
  planWeights(input?: Shape, make?: (shape: Shape) => Tensor): void {
    this.#planned = input && make && new Map(this.weights(input).map(({ name, shape }) => [name, make(shape)]))
  }

  /** Takes the weights away again, as if they had never been made. @internal */
  unbuild(): void {
    this.dispose()
    this.#tensors.clear()
    this.#specs = undefined
  }

  /** A weight by name. @throws ShapeError before the layer was built. */
  protected weight(name: string): Tensor {
    const found = this.#tensors.get(name) ?? this.#planned?.get(name)
    if (!found) {
      throw new ArgumentError(
        `${this.type}: the layer has no ${name} yet; build the model by its input option or a first forward pass`,
      )
    }
    return found
  }

  /** Trained tensors by name, in a fixed order; none where the layer is not trainable. */
  parameters(): ReadonlyMap<string, Tensor> {
    return this.trainable ? this.#select(true) : new Map()
  }

  /** All tensors by name, in a fixed order: those that can be trained, then the buffers. @internal */
  tensors(): ReadonlyMap<string, Tensor> {
    return new Map([...this.#select(true), ...this.#select(false)])
  }

  /** Tensors that are saved and not trained, by name, in a fixed order. */
  buffers(): ReadonlyMap<string, Tensor> {
    return this.#select(false)
  }

  #select(wanted: boolean): ReadonlyMap<string, Tensor> {
    const specs = (this.#specs ?? []).filter(({ trained = true }) => trained === wanted)
    return new Map(specs.map(({ name }) => [name, this.#tensors.get(name) as Tensor]))
  }

  /** Frees the weights. */
  dispose(): void {
    for (const tensor of this.#tensors.values()) tensor.dispose()
  }
}

/**
 * A layer that calls operations alone: the same ones for the same shapes, options and `training`. Outside of training a model
 * calls `lower` once for a shape, and runs what it was told; the layers of the package are such. A layer that reads numbers, counts
 * its calls or draws others each time is a {@link Layer}.
 */
export abstract class LoweredLayer<Options extends object = object> extends Layer<Options> {
  /** y for x, both with the batch first. */
  protected abstract lower(x: Tensor, context: ForwardContext, ...others: Tensor[]): Tensor

  /** y for x, both with the batch first. Default context: outside of training. */
  override forward(x: Tensor, context: ForwardContext = outsideOfTraining, ...others: Tensor[]): Tensor {
    return this.lower(x, context, ...others)
  }

  /** Whether no class derived from it has a `forward` of its own. @internal */
  override get isLowered(): boolean {
    return isLowered(this)
  }
}

/** Whether the forward pass of a layer is the one of `LoweredLayer`. */
const isLowered = (layer: Layer): boolean => layer.forward === LoweredLayer.prototype.forward

function made(shape: Shape, init: Initializer | Float32Array, source: Source): Tensor {
  if (!(init instanceof Float32Array)) return initialize(shape, init, source)
  return filled(shape, 'a weight', (values) => {
    values.assign(init)
  })
}

/** Checks that the input is one or more maps, of one of the numbers of `directions`. @throws ShapeError */
export function expectMaps(type: string, directions: number | readonly number[], input: Shape): void {
  const allowed = [directions].flat()
  if (allowed.includes(input.length - 1)) return
  const shapes = allowed.map((count) => `(C, ${mapLetters(count)})`).join(' or ')
  throw new ShapeError(`${type}: the input must be ${shapes}, given ${showShape(input)}`)
}

/** Checks the number of input channels against what the layer was told. @throws ShapeError */
export function expectChannels(type: string, inChannels: number | undefined, input: Shape): void {
  if (inChannels !== undefined && inChannels !== input[0]) {
    throw new ShapeError(
      `${type}: inChannels is ${inChannels}, but the input ${showShape(input)} has ${input[0]} channels`,
    )
  }
}
