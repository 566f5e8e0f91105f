/**
 * Greedy layer-wise pretraining by convolutional autoencoders (Bengio et al. 2007; Masci et al. 2011; Goodfellow et al.,
 * sections 9.9 and 15.1). Each convolution of a model, from the first one on, learns to tell its input from its own output:
 * x ≈ h(W, c) = Wᵀ-like convolution of what is left of act(conv(x)), where h is the adjoint (9.13) with weights of its own.
 * Layers that have learned stay as they are, and the next one learns from what they give.
 *
 * Of the responses in each window of `pool` × `pool` places only the largest is left for the reconstruction. Without this, a layer
 * with more maps than its input has channels copies the pixels, and learns nothing (Masci et al. 2011, section 3.1).
 */
import { conv2dInputGrad } from '../ops/convGradients.js'
import { dropout } from '../ops/dropout.js'
import { add } from '../ops/elementwise.js'
import { mseLoss } from '../ops/loss.js'
import { maxPool2dWithIndices } from '../ops/pool/max.js'
import { maxUnpool2d } from '../ops/pool/unpool.js'
import { Adam } from '../optim/adam.js'
import { MOST } from '../plan/window.js'
import { checkCallback, checkModel, checkSignal, wrongKind, checkWhole } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { checkCount, checkKeys, defined, unknownName, type Names } from '../runtime/options.js'
import type { Signal } from '../runtime/platform.js'
import { Conv2d } from '../nn/conv.js'
import type { ForwardOptions, Graph } from '../nn/graph.js'
import type { Layer } from '../nn/layer.js'
import type { GraphNode } from '../nn/wiring.js'
import { checkSeed, tensor, zeros } from '../tensor/create.js'
import { showShape } from '../tensor/shape.js'
import { dropoutStream } from '../tensor/streams.js'
import { keep, type Tensor } from '../tensor/tensor.js'
import { fit } from '../train/fit.js'
import type { Trainable } from '../train/options.js'
import { checkPositive, MOST_ROUNDS } from './check.js'
import { checkData, throughModel, type FeatureData } from './data.js'

/** Options of `greedyPretrain`. */
export interface PretrainOptions {
  /** Names of the convolutions that learn, in the order in which they do. Default: every Conv2d of the model. */
  readonly layers?: readonly string[]
  /** How often each of them sees the data. Default 2. */
  readonly epochs?: number
  /** Examples in a step. Default 64. */
  readonly batchSize?: number
  /** Learning rate of Adam. Default 0.001. */
  readonly lr?: number
  /** Side of the windows of which the largest response is left; 1 for all responses. Default 2. */
  readonly pool?: number
  /** Share of the input that is set to 0 at random before it is coded, from 0 up to 1: a denoising autoencoder. Default 0. */
  readonly noise?: number
  /** Seed of the order of examples and of the noise. Default 0. */
  readonly seed?: number
  /** Called after each step with the loss of its batch, and waited for. */
  onStep?(event: PretrainStep): void | Promise<void>
  /** Ends the work after the step in progress. */
  readonly signal?: Signal
}

/** A step of an autoencoder. */
export interface PretrainStep {
  /** Name of the layer that learns. */
  readonly layer: string
  /** Number of the step of this layer, from 1, and how many there will be. */
  readonly step: number
  /** Steps of this layer. */
  readonly steps: number
  /** Mean squared error of the reconstruction of the batch. */
  readonly loss: number
}

/** What a layer learned. */
export interface PretrainedLayer {
  /** Name of the layer. */
  readonly layer: string
  /** Mean squared error of the reconstruction in each epoch. */
  readonly losses: readonly number[]
}

const pretrainNames = {
  ...{ layers: 0, epochs: 0, batchSize: 0, lr: 0, pool: 0, noise: 0, seed: 0, onStep: 0, signal: 0 },
} satisfies Names<PretrainOptions>

/** Layers of one number each, which belong to the convolution before them. */
const activations = ['ReLU', 'LeakyReLU', 'ELU', 'Sigmoid', 'Tanh', 'ScaledTanh', 'Softplus', 'GELU', 'SiLU']

/**
 * Trains the convolutions of a model one after the other as autoencoders, without labels: the model has their weights then.
 *
 * @example
 * await greedyPretrain(model, imageExamples(training, normalization), { epochs: 1, seed: 1 })
 * model.freeze((layer) => layer.type === 'Conv2d')
 * @returns for each layer, how its reconstruction became better
 * @throws ShapeError when a layer is no Conv2d that can be trained, or options and data do not fit; DivergedError when a loss is
 *   no longer a number; the reason of the signal when that ended it
 */
export async function greedyPretrain(
  model: Graph,
  data: FeatureData,
  options: PretrainOptions = {},
): Promise<PretrainedLayer[]> {
  checkCount('greedyPretrain', 3, arguments)
  const name = 'greedyPretrain'
  checkModel(model, `${name}: the model`)
  checkKeys(name, options, pretrainNames)
  const { noise = 0, seed = 0, onStep, signal } = options
  checkData(data, name)
  const nodes = nodesOf(model, options.layers, name)
  const how = {
    epochs: checkWhole(options.epochs ?? 2, `${name}: epochs`, 1, MOST_ROUNDS),
    batchSize: checkWhole(options.batchSize ?? 64, `${name}: batchSize`, 1, MOST),
    lr: checkPositive(options.lr ?? 1e-3, `${name}: lr`),
    pool: checkWhole(options.pool ?? 2, `${name}: pool`, 1, 4096),
    ...{ noise, seed, onStep, signal },
  }
  if (!(typeof noise === 'number' && noise >= 0 && noise < 1))
    throw new ArgumentError(
      `${name}: noise must be a number from 0 up to, but not including, 1, given ${inWords(noise)}`,
    )
  checkSeed(seed, name)
  checkCallback(onStep, `${name}: onStep`)
  checkSignal(signal, `${name}: signal`)
  // The weights are made as the model makes them, whatever is learned first.
  model.namedState()
  const learned: PretrainedLayer[] = []
  for (const node of nodes) learned.push({ layer: node.name, losses: await learn(model, node, data, how) })
  return learned
}

/** A node that can learn. */
type Convolution = GraphNode & { readonly layer: Conv2d }
const isConvolution = (node: GraphNode): node is Convolution => node.layer instanceof Conv2d

/** The nodes that learn, checked. @throws ShapeError */
function nodesOf(model: Graph, layers: readonly string[] | undefined, name: string): Convolution[] {
  if (layers !== undefined && !(Array.isArray(layers) && layers.length > 0))
    throw new ArgumentError(`${name}: layers must be a list of names, given ${inWords(layers)}`)
  const all = model.nodes
  const nodes = layers
    ? layers.map((layer) => {
        if (typeof layer !== 'string') throw wrongKind(`${name}: a layer`, 'a name', layer)
        const node = all.find((one) => one.name === layer)
        if (node) return node
        const names = all.map((one) => one.name)
        throw new ArgumentError(`${name}: ${unknownName('layer', layer, names)}`)
      })
    : all.filter(isConvolution)
  if (nodes.length === 0) throw new ArgumentError(`${name}: the model has no Conv2d, which could learn`)
  return nodes.map((node) => {
    if (!isConvolution(node))
      throw new ArgumentError(`${name}: layer '${node.name}' is a ${node.layer.type}; only a Conv2d learns by itself`)
    if (!node.layer.trainable) throw new ArgumentError(`${name}: layer '${node.name}' is frozen; unfreeze it first`)
    const { paddingMode = 'zeros' } = node.layer.options
    if (paddingMode !== 'zeros')
      throw new ArgumentError(`${name}: layer '${node.name}' pads by ${paddingMode}; only zeros are learned with`)
    return node
  })
}

interface How extends Required<Pick<PretrainOptions, 'epochs' | 'batchSize' | 'lr' | 'pool' | 'noise' | 'seed'>> {
  readonly onStep: PretrainOptions['onStep'] | undefined
  readonly signal: Signal | undefined
}

/** Trains one convolution as an autoencoder; gives the losses of the epochs. */
async function learn(
  model: Graph,
  { name, layer, inputs }: Convolution,
  data: FeatureData,
  { epochs, batchSize, lr, pool, noise, seed, onStep, signal }: How,
): Promise<number[]> {
  const [read] = inputs as [string]
  const isInput = !model.nodes.some((node) => node.name === read)
  const activation = model.nodes.find((node) => node.inputs[0] === name && activations.includes(node.layer.type))?.layer
  const autoencoder = new Autoencoder(layer, activation, pool, noise)
  const optimizer = new Adam(autoencoder.parameters(), { lr })
  try {
    const examples = throughModel(model, isInput ? undefined : read, data)
    const steps = epochs * Math.ceil(examples.size / batchSize)
    const losses: number[] = []
    const run = fit(autoencoder, examples, {
      ...{ epochs, batchSize, seed, optimizer, loss: mseLoss },
      ...(signal ? { signal } : {}),
    })
    for await (const event of run) {
      if (event.type === 'epoch') losses.push(event.training.loss)
      else await onStep?.({ layer: name, step: event.step, steps, loss: event.loss })
    }
    if (signal?.aborted) throw signal.reason
    return losses
  } finally {
    optimizer.dispose()
    autoencoder.dispose()
  }
}

/** A convolution with its activation, and the way back: what `fit` trains. */
class Autoencoder implements Trainable {
  training = false
  readonly #conv: Conv2d
  readonly #activation: Layer | undefined
  readonly #pool: number
  readonly #noise: number
  /** Weights (K, C/groups, R, S) and bias (C) of the way back, which begins with those of the way there, scaled. */
  readonly #weight: Tensor
  readonly #bias: Tensor

  constructor(conv: Conv2d, activation: Layer | undefined, pool: number, noise: number) {
    this.#conv = conv
    this.#activation = activation
    this.#pool = pool
    this.#noise = noise
    const weight = conv.parameters().get('weight') as Tensor
    const channels = (weight.shape[1] as number) * (conv.options.groups ?? 1)
    const values = weight.data()
    let squares = 0
    for (const value of values) squares += value * value
    // So scaled, the way back of linear units gives a pixel as large as it was, whatever the number of filters.
    const scale = squares > 0 ? channels / squares : 1
    this.#weight = keep(
      tensor(
        values.map((value) => scale * value),
        weight.shape,
      ),
    )
    this.#bias = keep(zeros([1, channels, 1, 1]))
  }

  train(): this {
    this.training = true
    return this
  }

  eval(): this {
    this.training = false
    return this
  }

  parameters(): Tensor[] {
    return [...this.#conv.parameters().values(), this.#weight, this.#bias]
  }

  forward(x: Tensor, { seed = 0, step = 0, training = false }: ForwardOptions): Tensor {
    const [H, W] = x.shape.slice(2) as [number, number]
    const seen = training && this.#noise > 0 ? dropout(x, { p: this.#noise, seed, stream: dropoutStream(step) }) : x
    const context = { training, seed, step, stream: 0 }
    const responses = this.#conv.forward(seen, context)
    const code = this.#strongest(this.#activation?.forward(responses, context) ?? responses)
    const { stride, padding, dilation, groups } = this.#conv.options
    const back = conv2dInputGrad(this.#weight, code, {
      ...defined({ stride, padding, dilation, groups }),
      inputSize: [H, W],
    })
    return add(back, this.#bias)
  }

  /** The largest response of each window, and 0 elsewhere. */
  #strongest(responses: Tensor): Tensor {
    const pool = this.#pool
    if (pool === 1) return responses
    const [H, W] = responses.shape.slice(2) as [number, number]
    if (H < pool || W < pool) {
      throw new ShapeError(
        `greedyPretrain: maps ${showShape([H, W])} are smaller than a window of ${pool} × ${pool}; use a smaller pool`,
      )
    }
    const { y, indices } = maxPool2dWithIndices(responses, { kernel: pool })
    return maxUnpool2d(y, indices, { kernel: pool, outputSize: [H, W] })
  }

  dispose(): void {
    this.#weight.dispose()
    this.#bias.dispose()
  }
}
