/**
 * The recurrent convolution of figure 9.17, which labels pixels and refines the labels step by step (Pinheiro & Collobert 2014, 2015):
 *
 *   H⁽ᵗ⁾ = relu(U ∗ X + W ∗ Ŷ⁽ᵗ⁻¹⁾ + b),    Ŷ⁽ᵗ⁾ = softmax(V ∗ H⁽ᵗ⁾ + c),
 *
 * with nothing fed back in the first step. The kernels U, V and W are the same in every step, so that a model has as many
 * parameters whatever the number of steps, and each step sees further around a pixel.
 */
import { ReLU, Softmax } from '../nn/activation.js'
import { Conv2d } from '../nn/conv.js'
import { Graph, type ModelOptions, type NodeOptions } from '../nn/graph.js'
import type { Initializer } from '../nn/initialize.js'
import { Add } from '../nn/layout.js'
import { checkNumber, checkWhole } from '../runtime/check.js'
import { ArgumentError } from '../runtime/errors.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { inWords } from '../runtime/text.js'

/** Options of `recurrentConv`. */
export interface RecurrentConvOptions extends ModelOptions {
  /** (C, H, W) of the images; default (1, 40, 40). */
  readonly input?: readonly [C: number, H: number, W: number]
  /** K, the number of labels; default 11. */
  readonly classes?: number
  /** Number of hidden maps; default 32. */
  readonly hidden?: number
  /** Number of steps; default 3. */
  readonly steps?: number
  /** Sides of the kernels U of the image, V of the scores and W of what is fed back, odd; default [9, 3, 5]. */
  readonly kernels?: readonly [U: number, V: number, W: number]
  /** Weight of the loss of each step but the last in training; default 1. 0: the last step alone is trained. */
  readonly auxiliary?: number
  /** Of the weights; default 'he'. */
  readonly weightInit?: Initializer
}

const recurrentNames = {
  input: 0,
  classes: 0,
  hidden: 0,
  steps: 0,
  kernels: 0,
  auxiliary: 0,
  weightInit: 0,
  seed: 0,
  keepPacked: 0,
} satisfies Names<RecurrentConvOptions>

/** The most steps: each has nodes of its own. */
const MOST_STEPS = 1000

/** The node that gives the scores (K, H, W) of a step, counted from 1. */
export function scoresOf(step: number): string {
  checkCount('scoresOf', 1, arguments)
  return `V${checkWhole(step, 'scoresOf: the step', 1, MOST_STEPS)}`
}

/**
 * A model that labels pixels in steps. Its output are the scores of the last step, logits (K, H, W); those of step t are the node
 * `scoresOf(t)`. In training the losses of all steps are added up. Weights do not depend on the number of steps, from 2 on:
 * `copyFrom` takes those of a model with fewer steps to one with more.
 *
 * @example
 * const model = recurrentConv({ steps: 4 })
 * await fit(model, examples, { epochs: 4, batchSize: 16, loss: crossEntropy, optimizer: new Adam(model.parameters()) })
 * const { V1, V4 } = model.run(x, [scoresOf(1), scoresOf(4)])
 * @throws ArgumentError when an option does not fit
 */
export function recurrentConv(options: RecurrentConvOptions = {}): Graph {
  const name = 'recurrentConv'
  checkCount(name, 1, arguments)
  checkKeys(name, options, recurrentNames)
  const { input = [1, 40, 40], classes = 11, hidden = 32, auxiliary = 1, weightInit = 'he' } = options
  const { kernels = [9, 3, 5], seed, keepPacked } = options
  const steps = checkWhole(options.steps ?? 3, `${name}: steps`, 1, MOST_STEPS)
  checkNumber(auxiliary, `${name}: auxiliary`, 0)
  const isOdd = (side: unknown): boolean => Number.isInteger(side) && (side as number) % 2 === 1 && (side as number) > 0
  if (!Array.isArray(kernels) || kernels.length !== 3 || !kernels.every(isOdd)) {
    throw new ArgumentError(
      `${name}: kernels must be three odd numbers from 1 on, of U, V and W, given ${inWords(kernels)}`,
    )
  }
  const conv = (outChannels: number, kernel: number, bias = true): Conv2d =>
    new Conv2d({ outChannels, kernel, padding: (kernel - 1) / 2, bias, weightInit })
  const [U, V, W] = [conv(hidden, kernels[0]), conv(classes, kernels[1]), conv(hidden, kernels[2], false)]
  const nodes: NodeOptions[] = [{ name: 'U', layer: U, inputs: 'input' }]
  for (let t = 1; t <= steps; t++) {
    if (t > 1) {
      nodes.push(
        { name: `Y${t - 1}`, layer: new Softmax(), inputs: scoresOf(t - 1) },
        { name: `W${t}`, layer: W },
        { name: `sum${t}`, layer: new Add(), inputs: ['U', `W${t}`] },
      )
    }
    nodes.push({ name: `H${t}`, layer: new ReLU(), inputs: t > 1 ? `sum${t}` : 'U' }, { name: scoresOf(t), layer: V })
  }
  const earlier = Array.from({ length: auxiliary === 0 ? 0 : steps - 1 }, (_, i) => [scoresOf(i + 1), auxiliary])
  return new Graph(nodes, {
    inputs: { input },
    outputs: [scoresOf(steps)],
    auxiliary: Object.fromEntries(earlier) as Record<string, number>,
    ...(seed === undefined ? {} : { seed }),
    ...(keepPacked === undefined ? {} : { keepPacked }),
  })
}
