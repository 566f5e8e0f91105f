/**
 * Convolution by kernels that are made of derivatives of a Gaussian, whose weights alone are learned: structured receptive fields
 * (Jacobsen, van Gemert, Lou & Smeulders 2016), a prior that smooth local structure is what pictures are made of.
 */
import type { Initializer } from '../nn/initialize.js'
import { expectChannels, expectMaps, LoweredLayer, type OptionRules, type WeightSpec } from '../nn/layer.js'
import { notation } from '../nn/notation.js'
import { mapRules } from '../nn/options.js'
import { windowOf, type Window } from '../nn/receptive.js'
import { checkPaddingMode, conv2d, describeConv, type Conv, type ConvOptions } from '../ops/conv.js'
import { matmul } from '../ops/linear.js'
import { perDirection, type PerDirection } from '../plan/window.js'
import { checkNumber, checkWhole, wrongKind } from '../runtime/check.js'
import { kernels } from '../runtime/core.js'
import { ShapeError } from '../runtime/errors.js'
import { defined, pick } from '../runtime/options.js'
import { tensor } from '../tensor/create.js'
import { sizeOf, type Shape } from '../tensor/shape.js'
import { scope, type Tensor } from '../tensor/tensor.js'

/** Options of `StructuredConv2d`. */
export interface StructuredConv2dOptions extends Pick<ConvOptions, 'stride' | 'padding' | 'dilation' | 'paddingMode'> {
  /** Number of feature maps. */
  readonly outChannels: number
  /** Highest order of the derivatives, from 0 (the Gaussian alone) to 4; default 2, which makes six kernels. */
  readonly order?: number
  /** Standard deviation of the Gaussian in pixels, from 0.3 to 16; default 1. */
  readonly sigma?: number
  /** Extents of the kernels; default 2⌈3σ⌉ + 1. */
  readonly kernel?: PerDirection
  /** Inferred from the input when left out. */
  readonly inChannels?: number
  /** Default true: one bias for each feature map. */
  readonly bias?: boolean
  /** Of the weights (K, C, M) of M derivatives; default 'he'. */
  readonly weightInit?: Initializer
  /** Default 'zeros'. */
  readonly biasInit?: Initializer
}

/** An exponential is computed for each row and column, and a product for each pixel. */
const MOST_PIXELS = 2 ** 22

const windowNames = { stride: 0, padding: 0, dilation: 0, paddingMode: 0 } as const

/** Derivatives of a Gaussian at the taps of a kernel, of orders 0 to `order`: Heₙ(t/σ) · exp(−t²/2σ²), up to the sign and a factor. */
function derivatives(order: number, sigma: number, taps: number): Float64Array[] {
  const k = kernels('StructuredConv2d')
  const rows = Array.from({ length: order + 1 }, () => new Float64Array(taps))
  for (let tap = 0; tap < taps; tap++) {
    const u = (tap - (taps - 1) / 2) / sigma
    const window = k.scalar_exp(-0.5 * u * u)
    // Hermite's polynomials: He₀ = 1, He₁ = u, Heₙ₊₁ = u·Heₙ − n·Heₙ₋₁.
    let [before, now] = [0, 1]
    for (const [n, row] of rows.entries()) {
      row[tap] = now * window
      ;[before, now] = [now, u * now - n * before]
    }
  }
  return rows
}

/**
 * The derivatives of a Gaussian of all orders i + j ≤ `order`, down and across, as kernels (M, R, S) of norm 1:
 * M = (order + 1)(order + 2)/2.
 */
export function gaussianDerivatives(order: number, sigma: number, [R, S]: readonly [number, number]): Float32Array {
  const [down, across] = [derivatives(order, sigma, R), derivatives(order, sigma, S)]
  const bank = new Float32Array(((order + 1) * (order + 2) * R * S) / 2)
  let to = 0
  for (let total = 0; total <= order; total++) {
    for (let i = total; i >= 0; i--) {
      const [column, row] = [down[i] as Float64Array, across[total - i] as Float64Array]
      const squares = (values: Float64Array): number => values.reduce((sum, value) => sum + value * value, 0)
      const norm = Math.sqrt(squares(column) * squares(row))
      // On too few taps a derivative may vanish.
      for (const a of column) for (const b of row) bank[to++] = norm > 0 ? (a * b) / norm : 0
    }
  }
  return bank
}

/**
 * Convolution with kernels Σₘ αₘ·Gₘ, where Gₘ are the derivatives of a Gaussian to a given order and α (K, C, M) is learned: fewer
 * numbers than a kernel has pixels, which helps where there are few pictures. Weights `weight` (K, C, M) and `bias` (K).
 *
 *     new StructuredConv2d({ outChannels: 16, order: 2, sigma: 1.5, padding: 'same' })
 */
export class StructuredConv2d extends LoweredLayer<StructuredConv2dOptions> {
  static override readonly rules: OptionRules = Object.assign({}, mapRules, windowNames, {
    outChannels: 'count' as const,
    order: 0 as const,
    sigma: 0 as const,
    bias: 'flag' as const,
  })
  readonly type = 'StructuredConv2d'
  #bank: Float32Array | undefined

  constructor(...given: [options: StructuredConv2dOptions]) {
    super(...given)
    const { outChannels, order = 2, sigma = 1 } = this.options
    perDirection(outChannels, 1, 1, 'StructuredConv2d: outChannels')
    checkWhole(order, 'StructuredConv2d: order', 0, 4)
    checkNumber(sigma, 'StructuredConv2d: sigma', 0)
    if (sigma < 0.3 || sigma > 16) throw wrongKind('StructuredConv2d: sigma', 'from 0.3 to 16 pixels', sigma)
    const [R, S] = this.#kernel()
    if (!(R * S <= MOST_PIXELS))
      throw new ShapeError(
        `StructuredConv2d: a kernel of ${R} × ${S} has ${R * S} pixels; at most ${MOST_PIXELS} are computed`,
      )
  }

  #kernel(): [number, number] {
    const { sigma = 1, kernel = 2 * Math.ceil(3 * sigma) + 1 } = this.options
    return perDirection(kernel, 2, 1, 'StructuredConv2d: kernel') as [number, number]
  }

  get #count(): number {
    const { order = 2 } = this.options
    return ((order + 1) * (order + 2)) / 2
  }

  #describe(input: Shape): Conv {
    expectMaps(this.type, 2, input)
    expectChannels(this.type, this.options.inChannels, input)
    const w = [this.options.outChannels, input[0] as number, ...this.#kernel()]
    const conv = describeConv(this.type, 2, [1, ...input], w, pick(this.options, windowNames))
    checkPaddingMode(this.type, conv.problem, this.options.paddingMode ?? 'zeros')
    return conv
  }

  outputShape(input: Shape): number[] {
    return this.#describe(input).yShape.slice(1)
  }

  override weights(input: Shape): readonly WeightSpec[] {
    const { outChannels, bias = true, weightInit = 'he', biasInit = 'zeros' } = this.options
    const weight = { name: 'weight', shape: [outChannels, input[0] as number, this.#count], init: weightInit }
    return bias ? [weight, { name: 'bias', shape: [outChannels], init: biasInit }] : [weight]
  }

  protected lower(x: Tensor): Tensor {
    const { order = 2, sigma = 1, bias = true } = this.options
    const [R, S] = this.#kernel()
    const [M, C, K] = [this.#count, x.shape[1] as number, this.options.outChannels]
    const bank = (this.#bank ??= gaussianDerivatives(order, sigma, [R, S]))
    return scope(() => {
      const w = matmul(this.weight('weight').reshape([K * C, M]), tensor(bank, [M, R * S])).reshape([K, C, R, S])
      return conv2d(x, w, defined({ ...pick(this.options, windowNames), bias: bias ? this.weight('bias') : undefined }))
    })
  }

  override operations(input: Shape): number {
    const { yShape, wShape } = this.#describe(input)
    return (sizeOf(wShape.slice(1)) + 1) * sizeOf(yShape)
  }

  override window(input: Shape): Window {
    return windowOf(this.#describe(input))
  }

  describe(): string {
    return notation('structured', this.options, [this.#kernel()[0], this.options.outChannels])
  }
}
