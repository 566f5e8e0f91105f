/**
 * A convolutional restricted Boltzmann machine with probabilistic max pooling (Lee, Grosse, Ranganath & Ng 2009;
 * Goodfellow et al., sections 20.6 and 9.9).
 *
 * Visible units v (N, C, H, W) are binary, or Gaussian with variance 1. Hidden units h (N, K, P, Q) are binary and lie in blocks
 * of p × p, of each of which at most one unit is on; a pooling unit is on where one of its block is. With the input
 * I = v ∗ w + b of the hidden units (a convolution without padding),
 *
 *   P(h_i = 1 | v) = exp(I_i) / (1 + Σ exp(I_j)),   P(pool = 0 | v) = 1 / (1 + Σ exp(I_j))   over the block of i,
 *   E[v | h] = sigmoid(h ⋆ w + c) or h ⋆ w + c      (⋆ the adjoint of the convolution).
 *
 * Contrastive divergence with one step (CD-1, Hinton 2002) moves w along v₀ ⊗ P(h₀) − v₁ ⊗ P(h₁), where v₁ = E[v | h₀] and h₀
 * is drawn. The hidden biases are pulled so that a unit is on at a small share of the places.
 */
import { perDirection, MOST } from '../plan/window.js'
import { conv2d } from '../ops/conv.js'
import { conv2dInputGrad, conv2dWeightGrad } from '../ops/convGradients.js'
import { sigmoid } from '../ops/activation.js'
import { add, sub } from '../ops/elementwise.js'
import { concat, slice, transpose } from '../ops/layout.js'
import { mseLoss } from '../ops/loss.js'
import { mean, sum } from '../ops/reduce.js'
import { softmax } from '../ops/softmax.js'
import { checkCallback, checkNumber, checkSignal, checkWhole } from '../runtime/check.js'
import { ArgumentError, DisposedError, DivergedError, ShapeError } from '../runtime/errors.js'
import { checkCount, needKeys, type Names } from '../runtime/options.js'
import type { Signal } from '../runtime/platform.js'
import { inWords } from '../runtime/text.js'
import { checkSeed, normal, tensor, uniform, zeros } from '../tensor/create.js'
import { showShape } from '../tensor/shape.js'
import { featureStream } from '../tensor/streams.js'
import { checkTensor, keep, scope, type Tensor } from '../tensor/tensor.js'
import { permutation } from '../train/examples.js'
import { turnTaker } from '../train/host.js'
import { checkPositive, checkShare, MOST_ROUNDS } from './check.js'
import { checkData, checkMaps, withInputs, type FeatureData } from './data.js'

/** Options of `ConvRBM`. */
export interface ConvRBMOptions {
  /** K, maps of hidden units. */
  readonly filters: number
  /** Extents (R, S) of a filter, or one for both. */
  readonly size: number | readonly number[]
  /** C, channels of the visible units. Default 1. */
  readonly channels?: number
  /** p, side of the blocks that are pooled. Default 2. */
  readonly pool?: number
  /** Kind of the visible units: binary for numbers from 0 to 1, Gaussian for normalized ones. Default 'binary'. */
  readonly visible?: 'binary' | 'gaussian'
  /** Learning rate: the more weights a visible unit has, the smaller it must be. Default 0.01. */
  readonly lr?: number
  /** Share of the last update that is kept, from 0 up to 1. Default 0.5. */
  readonly momentum?: number
  /** Pull of the weights towards 0. Default 0.001. */
  readonly weightDecay?: number
  /** Share of the places at which a hidden unit is to be on. Default 0.02. */
  readonly sparsity?: number
  /** How fast the hidden biases are pulled there: 0 leaves them. Default 5. */
  readonly sparsityRate?: number
  /** Standard deviation of the first weights. Default 0.01. */
  readonly std?: number
  /** Seed of the first weights and of what is drawn in steps. Default 0. */
  readonly seed?: number
}

/** What a step of contrastive divergence found. */
export interface ConvRBMStep {
  /** Mean squared error of the reconstruction. */
  readonly error: number
  /** Mean probability of a hidden unit to be on. */
  readonly activity: number
}

/** Options of `ConvRBM.train`. */
export interface ConvRBMTraining {
  /** How often all examples are seen. */
  readonly epochs: number
  /** Examples in a step. Default 32. */
  readonly batchSize?: number
  /** Called after each step, and waited for. */
  onStep?(event: ConvRBMStep & { readonly step: number; readonly steps: number }): void | Promise<void>
  /** Ends the work after the step in progress. */
  readonly signal?: Signal
}

const rbmNames = {
  filters: 0,
  size: 0,
  channels: 0,
  pool: 0,
  visible: 0,
  lr: 0,
  momentum: 0,
  weightDecay: 0,
  sparsity: 0,
  sparsityRate: 0,
  std: 0,
  seed: 0,
} satisfies Names<ConvRBMOptions>
const trainingNames = { epochs: 0, batchSize: 0, onStep: 0, signal: 0 } satisfies Names<ConvRBMTraining>

/** Weights of the largest machine. */
const MOST_WEIGHTS = 2 ** 24

/**
 * A convolutional restricted Boltzmann machine. Its weights and hidden biases are those of a `Conv2d`; stacked, with the pooling
 * probabilities of one as the visible units of the next, such machines are a convolutional deep belief network.
 *
 * @example
 * const first = new ConvRBM({ filters: 24, size: 9, visible: 'gaussian', seed: 1 })
 * await first.train(imageExamples(training, normalization), { epochs: 1 })
 * const second = new ConvRBM({ filters: 40, size: 5, channels: 24 })
 * second.step(first.pool(x)) // x (N, 1, 28, 28): pooling units (N, 24, 10, 10)
 */
export class ConvRBM {
  /** Weights (K, C, R, S), the filters: changed in place by every step. */
  readonly filters: Tensor
  /** Biases b (K) of the hidden units. */
  readonly hiddenBias: Tensor
  /** Biases c (C) of the visible units. */
  readonly visibleBias: Tensor
  readonly #pool: number
  readonly #isBinary: boolean
  readonly #rates: Required<Pick<ConvRBMOptions, 'lr' | 'momentum' | 'weightDecay' | 'sparsity' | 'sparsityRate'>>
  readonly #seed: number
  readonly #velocities: readonly Float32Array[]
  #steps = 0
  #disposed = false

  /** @throws ShapeError when an option does not fit */
  constructor(options: ConvRBMOptions) {
    checkCount('ConvRBM', 1, arguments)
    needKeys('ConvRBM', options, rbmNames)
    const { visible = 'binary', momentum = 0.5, weightDecay = 1e-3, sparsityRate = 5, seed = 0 } = options
    const K = checkWhole(options.filters, 'ConvRBM: filters', 1, MOST)
    const C = checkWhole(options.channels ?? 1, 'ConvRBM: channels', 1, MOST)
    const [R, S] = perDirection(options.size, 2, 1, 'ConvRBM: size') as [number, number]
    if (!(K * C * R * S <= MOST_WEIGHTS)) {
      throw new ShapeError(
        `ConvRBM: ${showShape([K, C, R, S])} are more than ${MOST_WEIGHTS} weights; use fewer or smaller filters`,
      )
    }
    if (visible !== 'binary' && visible !== 'gaussian')
      throw new ArgumentError(`ConvRBM: visible must be 'binary' or 'gaussian', given ${inWords(visible)}`)
    if (!(typeof momentum === 'number' && momentum >= 0 && momentum < 1))
      throw new ArgumentError(
        `ConvRBM: momentum must be a number from 0 up to, but not including, 1, given ${inWords(momentum)}`,
      )
    checkNumber(weightDecay, 'ConvRBM: weightDecay', 0)
    checkNumber(sparsityRate, 'ConvRBM: sparsityRate', 0)
    this.#rates = {
      lr: checkPositive(options.lr ?? 0.01, 'ConvRBM: lr'),
      sparsity: checkShare(options.sparsity ?? 0.02, 'ConvRBM: sparsity'),
      ...{ momentum, weightDecay, sparsityRate },
    }
    this.#pool = checkWhole(options.pool ?? 2, 'ConvRBM: pool', 1, 64)
    this.#isBinary = visible === 'binary'
    this.#seed = checkSeed(seed, 'ConvRBM')
    const std = checkPositive(options.std ?? 0.01, 'ConvRBM: std')
    const weights = scope(() => ({
      filters: normal([K, C, R, S], { seed, stream: featureStream(2), std }),
      hiddenBias: zeros([K]),
      visibleBias: zeros([C]),
    }))
    this.filters = keep(weights.filters)
    this.hiddenBias = keep(weights.hiddenBias)
    this.visibleBias = keep(weights.visibleBias)
    this.#velocities = [this.filters, this.hiddenBias, this.visibleBias].map(({ size }) => new Float32Array(size))
  }

  /** Probabilities (N, K, P, Q) of the hidden units for v (N, C, H, W). @throws ShapeError unless the blocks fill the maps */
  hidden(v: Tensor): Tensor {
    checkCount('hidden', 1, arguments)
    this.#check(v, 'hidden')
    return scope(() => this.#fromBlocks(this.#probabilities(v), v))
  }

  /** Probabilities (N, K, P/p, Q/p) of the pooling units for v (N, C, H, W). @throws ShapeError unless the blocks fill the maps */
  pool(v: Tensor): Tensor {
    checkCount('pool', 1, arguments)
    this.#check(v, 'pool')
    const [K, p] = [this.filters.shape[0] as number, this.#pool]
    const [P, Q] = this.#hiddenExtents(v) as [number, number]
    return scope(() => {
      const on = slice(this.#probabilities(v), { end: [this.#blocks(v), p * p] })
      return sum(on, 1).reshape([v.shape[0] as number, K, P / p, Q / p])
    })
  }

  /** What the machine makes of v (N, C, H, W): the visible units that its hidden probabilities tell. Nothing is drawn. */
  reconstruct(v: Tensor): Tensor {
    checkCount('reconstruct', 1, arguments)
    this.#check(v, 'reconstruct')
    return scope(() => this.#visible(this.hidden(v), v))
  }

  /**
   * One step of contrastive divergence on visible units v (N, C, H, W).
   * @throws ShapeError unless v fits; DivergedError when the weights would no longer be numbers, and are as they were
   */
  step(v: Tensor): ConvRBMStep {
    checkCount('step', 1, arguments)
    this.#check(v, 'step')
    const [R, S] = this.filters.shape.slice(2) as [number, number]
    const [N] = v.shape as [number]
    const [P, Q] = this.#hiddenExtents(v) as [number, number]
    const places = N * P * Q
    const { moves, error, activities } = scope(() => {
      const blocks = this.#probabilities(v)
      const h0 = this.#fromBlocks(blocks, v)
      const drawn = this.#fromBlocks(this.#draw(blocks), v)
      const v1 = this.#visible(drawn, v)
      const h1 = this.hidden(v1)
      const kernel = [R, S]
      return {
        moves: [
          sub(conv2dWeightGrad(v, h0, { kernel }), conv2dWeightGrad(v1, h1, { kernel })).data(),
          sub(sum(h0, [0, 2, 3]), sum(h1, [0, 2, 3])).data(),
          sub(mean(v, [0, 2, 3]), mean(v1, [0, 2, 3])).data(),
        ],
        error: mseLoss(v1, v).item(),
        activities: mean(h0, [0, 2, 3]).data(),
      }
    })
    const { lr, momentum, weightDecay, sparsity, sparsityRate } = this.#rates
    const weights = this.filters.data()
    const moveOf = (which: number, i: number): number => moves[which]?.[i] as number
    const changes = [
      // Means over the places, so that rates need not follow the size of maps and batches.
      (i: number) => lr * (moveOf(0, i) / places - weightDecay * (weights[i] as number)),
      (k: number) => lr * (moveOf(1, k) / places) + sparsityRate * lr * (sparsity - (activities[k] as number)),
      (c: number) => lr * moveOf(2, c),
    ]
    const before = this.#velocities.map((velocity) => velocity.slice())
    const values = [this.filters, this.hiddenBias, this.visibleBias].map((parameter, which) => {
      const velocity = this.#velocities[which] as Float32Array
      return parameter.data().map((value, i) => {
        velocity[i] = momentum * (velocity[i] as number) + (changes[which]?.(i) as number)
        return value + velocity[i]
      })
    })
    if (!values.every((list) => list.every(Number.isFinite))) {
      before.forEach((velocity, which) => this.#velocities[which]?.set(velocity))
      throw new DivergedError(`ConvRBM: the weights would no longer be finite; use a learning rate below ${lr}`)
    }
    ;[this.filters, this.hiddenBias, this.visibleBias].forEach((parameter, which) => {
      parameter.assign(values[which] as Float32Array)
    })
    this.#steps++
    let activity = 0
    for (const each of activities) activity += each / activities.length
    return { error, activity }
  }

  /**
   * Steps over a data set, in a seeded random order. Of pictures whose hidden maps are no whole number of blocks, the last rows
   * and columns are left out.
   * @throws as `step`; the reason of the signal when that ended it
   */
  async train(data: FeatureData, options: ConvRBMTraining): Promise<void> {
    checkCount('train', 2, arguments)
    const name = 'ConvRBM: train'
    needKeys(name, options, trainingNames)
    const { onStep, signal } = options
    const size = checkData(data, name)
    const epochs = checkWhole(options.epochs, `${name}: epochs`, 1, MOST_ROUNDS)
    const batchSize = checkWhole(options.batchSize ?? 32, `${name}: batchSize`, 1, MOST)
    checkCallback(onStep, `${name}: onStep`)
    checkSignal(signal, `${name}: signal`)
    const perEpoch = Math.ceil(size / batchSize)
    const turn = turnTaker()
    for (let epoch = 0; epoch < epochs; epoch++) {
      const order = permutation(size, this.#seed, epoch)
      for (let batch = 0; batch < perEpoch; batch++) {
        const indices = order.subarray(batch * batchSize, (batch + 1) * batchSize)
        const made = await withInputs(data, indices, ({ x }) => {
          checkMaps(x, undefined, name)
          return this.step(this.#cut(x))
        })
        if (made) await onStep?.({ ...made, step: epoch * perEpoch + batch + 1, steps: epochs * perEpoch })
        await turn()
        if (signal?.aborted) throw signal.reason
      }
    }
  }

  /** Frees the weights. */
  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    for (const parameter of [this.filters, this.hiddenBias, this.visibleBias]) parameter.dispose()
  }

  #hiddenExtents(v: Tensor): number[] {
    const kernel = this.filters.shape.slice(2)
    return v.shape.slice(2).map((extent, axis) => extent - (kernel[axis] as number) + 1)
  }

  #check(v: Tensor, method: string): void {
    if (this.#disposed) throw new DisposedError('ConvRBM: the machine was used after dispose()')
    const name = `ConvRBM: ${method}`
    checkTensor(v, name, 'v')
    const [, C, R, S] = this.filters.shape as readonly [number, number, number, number]
    if (v.ndim !== 4 || v.shape[1] !== C || v.size === 0)
      throw new ShapeError(`${name}: v must be (N, ${C}, H, W), given ${showShape(v.shape)}`)
    const p = this.#pool
    const wrong = this.#hiddenExtents(v).some((extent) => extent < p || extent % p !== 0)
    if (!wrong) return
    throw new ShapeError(
      `${name}: v ${showShape(v.shape)} has hidden maps ${showShape(this.#hiddenExtents(v))}, which blocks of ${p} × ${p} do not fill; H and W must be ${R - 1} and ${S - 1} more than multiples of ${p}`,
    )
  }

  /** As many rows and columns, from the first on, as the blocks of hidden units see. */
  #cut(v: Tensor): Tensor {
    const kernel = this.filters.shape.slice(2)
    const p = this.#pool
    const [H, W] = this.#hiddenExtents(v).map(
      (extent, axis) => Math.floor(extent / p) * p + (kernel[axis] as number) - 1,
    ) as [number, number]
    if (H === v.shape[2] && W === v.shape[3]) return v
    // What is smaller than a filter is told of by the step.
    if (H < 1 || W < 1) return v
    return slice(v, { end: [v.shape[0] as number, v.shape[1] as number, H, W] })
  }

  /** Number of blocks of hidden units. */
  #blocks(v: Tensor): number {
    const [P, Q] = this.#hiddenExtents(v) as [number, number]
    return ((v.shape[0] as number) * (this.filters.shape[0] as number) * P * Q) / (this.#pool * this.#pool)
  }

  /** Rows (blocks, p² + 1): the probability of each unit of a block to be on, and, in the last column, of none. */
  #probabilities(v: Tensor): Tensor {
    const p = this.#pool
    const [N, K] = [v.shape[0] as number, this.filters.shape[0] as number]
    const [P, Q] = this.#hiddenExtents(v) as [number, number]
    const input = conv2d(v, this.filters, { bias: this.hiddenBias })
    const blocks = transpose(input.reshape([N * K, P / p, p, Q / p, p]), [0, 1, 3, 2, 4]).reshape([-1, p * p])
    return softmax(concat([blocks, zeros([blocks.shape[0] as number, 1])], 1), 1)
  }

  /** The first p² columns of rows of blocks, as maps (N, K, P, Q). */
  #fromBlocks(rows: Tensor, v: Tensor): Tensor {
    const p = this.#pool
    const [N, K] = [v.shape[0] as number, this.filters.shape[0] as number]
    const [P, Q] = this.#hiddenExtents(v) as [number, number]
    const on = slice(rows, { end: [rows.shape[0] as number, p * p] })
    return transpose(on.reshape([N * K, P / p, Q / p, p, p]), [0, 1, 3, 2, 4]).reshape([N, K, P, Q])
  }

  /** One column of each row, drawn with the probabilities of the row, as 1, and 0 elsewhere. */
  #draw(rows: Tensor): Tensor {
    const [blocks, width] = rows.shape as readonly [number, number]
    const numbers = uniform([blocks], { seed: this.#seed, stream: featureStream(16 + this.#steps) }).data()
    const probabilities = rows.data()
    const drawn = new Float32Array(probabilities.length)
    for (let block = 0; block < blocks; block++) {
      let rest = numbers[block] as number
      let column = 0
      // What rounding leaves beyond the sum is the last column's: no unit is on.
      for (; column < width - 1; column++) {
        rest -= probabilities[block * width + column] as number
        if (rest < 0) break
      }
      drawn[block * width + column] = 1
    }
    return tensor(drawn, rows.shape)
  }

  /** E[v | h]. */
  #visible(h: Tensor, { shape }: Tensor): Tensor {
    const input = conv2dInputGrad(this.filters, h, { inputSize: shape.slice(2) })
    const biased = add(input, this.visibleBias.reshape([1, -1, 1, 1]))
    return this.#isBinary ? sigmoid(biased) : biased
  }
}
