/** Convolutional layers whose kernel, or whose connections, depend on the place or the map. */
import { checkPaddingMode, describeConv, windowNames, type Conv } from '../ops/conv.js'
import {
  describeLocal,
  localNames,
  locallyConnected1d,
  locallyConnected2d,
  tiledConv1d,
  tiledConv2d,
} from '../ops/local.js'
import { checkTable, connectedConv2d } from '../ops/separable.js'
import { outputExtents, perDirection, resolvePadding, type PerDirection } from '../plan/window.js'
import { ArgumentError } from '../runtime/errors.js'
import { pick } from '../runtime/options.js'
import { sizeOf, type Shape } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'
import type { Conv2dOptions } from './conv.js'
import {
  expectChannels,
  expectMaps,
  LoweredLayer,
  type LayerConvolution,
  type OptionRules,
  type WeightSpec,
} from './layer.js'
import { notation } from './notation.js'
import { kernelRules, mapRules, type KernelOptions } from './options.js'
import { windowOf, type Window } from './receptive.js'

/** Options of `LocallyConnected1d`. */
export type LocallyConnected1dOptions = KernelOptions & Pick<Conv2dOptions, 'stride' | 'padding'>
/** Options of `LocallyConnected2d`. */
export type LocallyConnected2dOptions = LocallyConnected1dOptions

/** Options of `TiledConv1d`. */
export interface TiledConv1dOptions extends LocallyConnected1dOptions {
  /** Places until the kernels repeat, one number or (T, U). */
  readonly tiles: PerDirection
}
/** Options of `TiledConv2d`. */
export type TiledConv2dOptions = TiledConv1dOptions

const localRules: OptionRules = Object.assign({}, kernelRules, localNames)
const tiledRules: OptionRules = Object.assign({ tiles: 0 as const }, localRules)
const connectedRules: OptionRules = Object.assign({ table: 0 as const }, mapRules, windowNames)

/** A layer with more than one kernel for each pair of maps. */
abstract class Local<Options extends LocallyConnected1dOptions> extends LoweredLayer<Options> {
  /** What the options must be. */
  static override readonly rules: OptionRules = localRules
  /** How many directions the maps of a class have. */
  static readonly directions: 1 | 2 = 2

  constructor(...given: [options: Options]) {
    super(...given)
    perDirection(this.options.outChannels, 1, 1, `${new.target.name}: outChannels`)
    perDirection(this.options.kernel, this.directions, 1, `${new.target.name}: kernel`)
  }

  /** How many directions the maps have. */
  protected get directions(): 1 | 2 {
    return (this.constructor as typeof Local).directions
  }

  /** Extents (K, …) of the weights and of the bias. */
  protected abstract shapes(input: Shape): { readonly weight: number[]; readonly bias: number[] }

  protected abstract readonly variant: 'locallyConnected' | 'tiled'

  protected get kernel(): number[] {
    return perDirection(this.options.kernel, this.directions, 1, `${this.type}: kernel`)
  }

  protected describeInput(input: Shape): ReturnType<typeof describeLocal> {
    expectMaps(this.type, this.directions, input)
    expectChannels(this.type, this.options.inChannels, input)
    const [C, ...plane] = input as [number, ...number[]]
    return describeLocal(
      this.type,
      this.variant,
      plane,
      this.shapes(input).weight,
      pick(this.options, localNames),
      1,
      C,
    )
  }

  outputShape(input: Shape): number[] {
    const { K, output } = this.describeInput(input).problem
    return [K, ...output]
  }

  override weights(input: Shape): readonly WeightSpec[] {
    const { bias = true, weightInit, biasInit = 'zeros' } = this.options
    const shapes = this.shapes(input)
    // He's variance by the inputs of one output, which the order of these weights does not show.
    const fanIn = sizeOf(this.kernel) * (input[0] as number)
    const init = weightInit ?? { name: 'normal', std: Math.sqrt(2 / fanIn) }
    const weight = { name: 'weight', shape: shapes.weight, init }
    return bias ? [weight, { name: 'bias', shape: shapes.bias, init: biasInit }] : [weight]
  }

  protected lower(x: Tensor): Tensor {
    const [line, plane] =
      this.variant === 'tiled' ? [tiledConv1d, tiledConv2d] : [locallyConnected1d, locallyConnected2d]
    const convolve = this.directions === 1 ? line : plane
    const bias = this.options.bias === false ? {} : { bias: this.weight('bias') }
    return convolve(x, this.weight('weight'), { ...pick(this.options, localNames), ...bias })
  }

  override operations(input: Shape): number {
    const { C, K, kernel, output } = this.describeInput(input).problem
    return (sizeOf(kernel) * C + 1) * K * sizeOf(output)
  }

  override window(input: Shape): Window {
    return windowOf(this.describeInput(input))
  }
}

abstract class LocallyConnected extends Local<LocallyConnected1dOptions> {
  protected readonly variant = 'locallyConnected'

  protected shapes(input: Shape): { weight: number[]; bias: number[] } {
    const { outChannels, stride = 1, padding = 'valid' } = this.options
    const [C, ...places] = input as [number, ...number[]]
    const { kernel, directions, type } = this
    const steps = perDirection(stride, directions, 1, `${type}: stride`)
    const ones = kernel.map(() => 1)
    const { lo, hi } = resolvePadding(padding, places, kernel, steps, ones, type)
    const output = outputExtents({ input: places, kernel, stride: steps, dilation: ones, lo, hi }, type)
    return { weight: [outChannels, ...output, C, ...kernel], bias: [outChannels, ...output] }
  }

  describe(): string {
    return notation('local', this.options, [this.options.kernel, this.options.outChannels])
  }
}

/** A kernel for each place of (C, W): equation (9.9). Weights (K, Q, C, S), bias (K, Q). */
export class LocallyConnected1d extends LocallyConnected {
  static override readonly directions = 1
  readonly type = 'LocallyConnected1d'
}

/**
 * A kernel for each place: equation (9.9). Weights (K, P, Q, C, R, S), bias (K, P, Q).
 *
 *     new LocallyConnected2d({ outChannels: 8, kernel: 3 })
 */
export class LocallyConnected2d extends LocallyConnected {
  readonly type = 'LocallyConnected2d'
}

abstract class Tiled extends Local<TiledConv1dOptions> {
  static override readonly rules: OptionRules = tiledRules
  protected readonly variant = 'tiled'

  constructor(...given: [options: TiledConv1dOptions]) {
    super(...given)
    this.#periods()
  }

  #periods(): number[] {
    return perDirection(this.options.tiles, this.directions, 1, `${this.constructor.name}: tiles`)
  }

  protected shapes(input: Shape): { weight: number[]; bias: number[] } {
    const { outChannels } = this.options
    const periods = this.#periods()
    return {
      weight: [outChannels, input[0] as number, ...this.kernel, ...periods],
      bias: [outChannels, ...periods],
    }
  }

  describe(): string {
    const { kernel, outChannels, tiles } = this.options
    return notation('tiled', this.options, [kernel, outChannels, tiles])
  }
}

/** Kernels that repeat along (C, W): equation (9.10). Weights (K, C, S, T), bias (K, T). */
export class TiledConv1d extends Tiled {
  static override readonly directions = 1
  readonly type = 'TiledConv1d'
}

/**
 * Kernels that repeat: equation (9.10). Weights (K, C, R, S, T, U), bias (K, T, U).
 *
 *     new TiledConv2d({ outChannels: 8, kernel: 3, tiles: 2 })
 */
export class TiledConv2d extends Tiled {
  readonly type = 'TiledConv2d'
}

/** Options of `ConnectedConv2d`. */
export interface ConnectedConv2dOptions
  extends Omit<Conv2dOptions, 'outChannels' | 'groups' | 'bias'>, Pick<KernelOptions, 'bias'> {
  /** One row for each output map, and in it one boolean for each input map: whether the two are connected. */
  readonly table: readonly (readonly boolean[])[]
}

/**
 * Convolution in which an output map sees some of the input maps, as LeNet-5's C3. The weights (K, C, R, S) of missing
 * connections stay zero and are not counted.
 *
 *     new ConnectedConv2d({ kernel: 5, table: [[true, true, false], [false, true, true]] })
 */
export class ConnectedConv2d extends LoweredLayer<ConnectedConv2dOptions> {
  static override readonly rules: OptionRules = connectedRules
  readonly type = 'ConnectedConv2d'

  constructor(...given: [options: ConnectedConv2dOptions]) {
    super(...given)
    const { table } = this.options
    if (!Array.isArray(table) || table.length === 0) {
      throw new ArgumentError('ConnectedConv2d: table must be a list with one row of booleans for each output map')
    }
  }

  #weightShape(input: Shape): number[] {
    const kernel = perDirection(this.options.kernel, 2, 1, 'ConnectedConv2d: kernel')
    return [this.options.table.length, input[0] as number, ...kernel]
  }

  #describe(input: Shape, N = 1): Conv {
    expectMaps(this.type, 2, input)
    expectChannels(this.type, this.options.inChannels, input)
    checkTable(this.#weightShape(input), this.options.table)
    const conv = describeConv(this.type, 2, [N, ...input], this.#weightShape(input), pick(this.options, windowNames))
    checkPaddingMode(this.type, conv.problem, this.options.paddingMode ?? 'zeros')
    return conv
  }

  outputShape(input: Shape): number[] {
    return this.#describe(input).yShape.slice(1)
  }

  get #connections(): number {
    return this.options.table.flat().filter(Boolean).length
  }

  override weights(input: Shape): readonly WeightSpec[] {
    const { bias = true, weightInit, biasInit = 'zeros' } = this.options
    const shape = this.#weightShape(input)
    const [K, , R, S] = shape as [number, number, number, number]
    // He's variance by the connections that there are.
    const std = Math.sqrt((2 * K) / (Math.max(1, this.#connections) * R * S))
    const weight = { name: 'weight', shape, init: weightInit ?? ({ name: 'normal', std } as const) }
    return bias ? [weight, { name: 'bias', shape: [K], init: biasInit }] : [weight]
  }

  override parameterCount(input: Shape): number {
    const [K, , R, S] = this.#weightShape(input) as [number, number, number, number]
    return this.#connections * R * S + (this.options.bias === false ? 0 : K)
  }

  protected lower(x: Tensor): Tensor {
    const bias = this.options.bias === false ? {} : { bias: this.weight('bias') }
    return connectedConv2d(x, this.weight('weight'), this.options.table, {
      ...pick(this.options, windowNames),
      ...bias,
    })
  }

  override operations(input: Shape): number {
    const [, , ...output] = this.#describe(input).yShape
    return this.parameterCount(input) * sizeOf(output)
  }

  override window(input: Shape): Window {
    return windowOf(this.#describe(input))
  }

  override convolution(N: number, input: Shape): LayerConvolution {
    const { problem, algorithm } = this.#describe(input, N)
    return { problem, algorithm, transposed: false }
  }

  describe(): string {
    return notation('conv', this.options, [this.options.kernel, this.options.table.length])
  }
}
