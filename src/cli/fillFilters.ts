/** The convolutions of a model, filled without labels: what `toeplitz features` does before it trains a classifier. */
import { greedyPretrain } from '../features/autoencoder.js'
import { differenceOfGaussians, gaborBank, randomFilters } from '../features/banks.js'
import { calibrateFilters } from '../features/calibrate.js'
import { throughModel, type FeatureData } from '../features/data.js'
import { kMeansFilters, type RoundEvent } from '../features/kmeans.js'
import { ConvRBM } from '../features/rbm.js'
import { sparseFilters } from '../features/sparse.js'
import { Conv2d } from '../nn/conv.js'
import type { Graph } from '../nn/graph.js'
import type { GraphNode } from '../nn/wiring.js'
import { slice } from '../ops/layout.js'
import { ArgumentError } from '../runtime/errors.js'
import { scope, type Tensor } from '../tensor/tensor.js'
import type { FeaturesOptions } from './actions.js'

/** How it is filled, and who is told how that goes. */
export interface Filling extends Pick<FeaturesOptions, 'method' | 'patches' | 'active' | 'pretrainEpochs' | 'seed'> {
  readonly signal: AbortSignal
  /** Told, in one line, what has been done. */
  readonly note: (line: string) => void
  /** The same, where there may be very many lines, of which most are left out. */
  readonly progress: (line: string) => void
}

/** How a layer learned. */
export interface LayerLearning {
  readonly layer: string
  /**
   * What was made small: what is left of a patch after each round of kmeans and sparse, the error of the reconstruction in each epoch
   * of an autoencoder and, as means, in each tenth of the steps of a Boltzmann machine.
   */
  readonly errors: readonly number[]
  /** The share of the units of a Boltzmann machine that were on, in the last tenth of the steps. */
  readonly activity?: number
}

/** Means of each tenth of a list, or of each item where there are fewer than ten. */
function tenths(values: readonly number[]): number[] {
  const parts = Math.min(10, values.length)
  return Array.from({ length: parts }, (_, n) => {
    const part = values.slice(Math.floor((n * values.length) / parts), Math.floor(((n + 1) * values.length) / parts))
    return part.reduce((sum, value) => sum + value, 0) / part.length
  })
}

/** The convolutions of a model in the order in which they are filled. @throws ArgumentError when there are none */
export function convolutionsOf(model: Graph): GraphNode[] {
  const found = model.nodes.filter(({ layer }) => layer instanceof Conv2d)
  if (found.length === 0) {
    throw new ArgumentError(
      'the model has no two-dimensional convolution, whose filters could be made; choose another one',
    )
  }
  const grouped = found.find(({ layer }) => layer instanceof Conv2d && (layer.options.groups ?? 1) > 1)
  if (grouped) {
    throw new ArgumentError(
      `layer '${grouped.name}' is a convolution in groups, for which no filters are made; choose a model without`,
    )
  }
  return found
}

/** The last layer that depends on nothing that is trained: the convolutions and what without weights comes behind them. */
export function lastFilled(model: Graph): string {
  const last = convolutionsOf(model).at(-1)
  const shapes = model.shapes()
  let until = last.name
  for (;;) {
    const readers = model.nodes.filter(({ inputs }) => inputs.includes(until))
    const [next] = readers
    if (!next || readers.length > 1 || next.inputs.length > 1) return until
    const input = shapes[model.nodes.findIndex(({ name }) => name === until)] as number[]
    if (next.layer.weights(input).length > 0 || next.name === model.outputs[0]) return until
    until = next.name
  }
}

/** Fills every convolution of a model by a method, each from what those before it make of the data; tells how those learned that did. */
export async function fillFilters(model: Graph, data: FeatureData, how: Filling): Promise<readonly LayerLearning[]> {
  const nodes = convolutionsOf(model)
  model.namedState()
  if (how.method === 'autoencoder') {
    const { pretrainEpochs: epochs, seed, signal, note, progress } = how
    const learned = await greedyPretrain(model, data, {
      ...{ epochs, seed, signal },
      onStep: ({ layer, step, steps, loss }) => {
        progress(`layer ${layer}, step ${step} of ${steps}: error of the reconstruction ${loss.toPrecision(4)}`)
      },
    })
    for (const { layer, losses } of learned) {
      note(`layer ${layer}: error of the reconstruction ${losses.map((loss) => loss.toPrecision(4)).join(', ')}`)
    }
    return learned.map(({ layer, losses }) => ({ layer, errors: losses }))
  }
  const all: LayerLearning[] = []
  for (const [index, node] of nodes.entries()) {
    const [read] = node.inputs as [string]
    const isInput = !model.nodes.some(({ name }) => name === read)
    const { weight, bias, learning } = await filtersFor(
      node,
      throughModel(model, isInput ? undefined : read, data),
      index,
      how,
    )
    if (learning) all.push({ layer: node.name, ...learning })
    const tensors = node.layer.tensors()
    tensors.get('weight')?.assign(weight.data())
    tensors.get('bias')?.assign(bias.data())
    for (const item of [weight, bias]) item.dispose()
  }
  return all
}

/** Filters, and how they were learned where they were. */
interface MadeFilters {
  readonly weight: Tensor
  readonly bias: Tensor
  readonly learning?: Omit<LayerLearning, 'layer'>
}

/** Weights and bias for one convolution. */
async function filtersFor(
  { name, layer }: GraphNode,
  data: FeatureData,
  index: number,
  { method, patches, active, pretrainEpochs, seed, signal, note, progress }: Filling,
): Promise<MadeFilters> {
  const [K, C, R, S] = (layer.tensors().get('weight') as Tensor).shape as readonly [number, number, number, number]
  const bank = { size: [R, S], channels: C }
  const calibrated = async (weight: Tensor): Promise<{ weight: Tensor; bias: Tensor }> => {
    try {
      return await calibrateFilters(weight, data, { active, seed, signal })
    } finally {
      weight.dispose()
    }
  }
  const errors: number[] = []
  const onRound = ({ round, objective }: RoundEvent): void => {
    errors.push(objective)
    note(`layer ${name}, round ${round}: ${objective.toPrecision(5)} is left of a patch`)
  }
  const learning = { ...bank, filters: K, active, seed, signal, onRound, ...(patches === undefined ? {} : { patches }) }
  switch (method) {
    case 'kmeans':
    case 'sparse': {
      const { channels: _, ...options } = learning
      const { dictionary, ...filters } = await (method === 'kmeans' ? kMeansFilters : sparseFilters)(data, options)
      dictionary.dispose()
      return { ...filters, learning: { errors } }
    }
    case 'rbm': {
      const activities: number[] = []
      const machine = new ConvRBM({ ...bank, filters: K, visible: 'gaussian', seed })
      try {
        await machine.train(data, {
          ...{ epochs: pretrainEpochs, signal },
          onStep: ({ step, steps, error, activity }) => {
            errors.push(error)
            activities.push(activity)
            const line = `layer ${name}, step ${step} of ${steps}: error of the reconstruction ${error.toPrecision(4)}, units on ${(100 * activity).toFixed(1)} %`
            if (step === steps) note(line)
            else progress(line)
          },
        })
        const learning = { errors: tenths(errors), activity: tenths(activities).at(-1) }
        return { ...(await calibrated(machine.filters.alias())), learning }
      } finally {
        machine.dispose()
      }
    }
    case 'gabor':
    case 'dog':
      // What is made by hand is for pictures.
      if (index === 0) return calibrated(handMade(method, K, bank))
      break
    case 'autoencoder':
    case 'random':
  }
  return calibrated(randomFilters({ ...bank, filters: K, seed, stream: index }))
}

/** K filters of a bank that is large enough. */
function handMade(method: 'gabor' | 'dog', K: number, bank: { size: readonly number[]; channels: number }): Tensor {
  return scope(() => {
    const all =
      method === 'gabor'
        ? // 8 directions and 4 phases for each wavelength: 4 pixels, 6, 8 …
          gaborBank({ ...bank, frequencies: Array.from({ length: Math.ceil(K / 32) }, (_, n) => Math.PI / (2 + n)) })
        : differenceOfGaussians({ ...bank, sigmas: Array.from({ length: Math.ceil(K / 2) }, (_, n) => 0.5 + n / 4) })
    return slice(all, { end: [K] })
  })
}
