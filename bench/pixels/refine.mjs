// @ts-check
// Refines the labels of a trained network by their neighbours. The graphical model is chosen and trained on the validation scenes:
// on scenes that it was trained on, the network errs too little to be corrected.
import { Adam, crossEntropy, fit, mul, scope, Sequential, tensor, valueAndGrad } from '../../dist/index.js'
import { MeanField, pottsModel, pseudoLikelihood, refine } from '../../dist/segmentation.js'
import { measureScores } from './measure.mjs'
import { examplesOf, makeScenes } from './scenes.mjs'

/** Energies of neighbours with different labels that are tried. */
const strengths = [0.02, 0.05, 0.1, 0.2, 0.4]
const field = { steps: 3, size: 5, strength: 0.02 }
const batchSize = 10
const lr = 0.01

/** @typedef {import('../../dist/index.js').Tensor} Tensor */
/** @typedef {import('../../dist/segmentation.js').PixelDataset} Scenes */

/**
 * The network's scores as inputs, with the labels: computed once.
 * @param {import('../../dist/index.js').Graph} model
 * @param {Scenes} scenes
 */
function scored(model, scenes) {
  const examples = examplesOf(scenes)
  const [K, H, W] = /** @type {[number, number, number]} */ (model.outputShape())
  const size = K * H * W
  const all = new Float32Array(scenes.size * size)
  for (let n = 0; n < scenes.size; n++) {
    scope(() => all.set(model.forward(examples.batch(Int32Array.of(n)).x).data(), n * size))
  }
  return {
    size: scenes.size,
    shape: [K, H, W],
    /** @param {Int32Array} indices */
    batch: (indices) => {
      const x = new Float32Array(indices.length * size)
      indices.forEach((index, n) => x.set(all.subarray(index * size, (index + 1) * size), n * size))
      const target = Uint8Array.from({ length: indices.length * H * W }, (_, i) =>
        Number(scenes.labels[Number(indices[Math.floor(i / (H * W))]) * H * W + (i % (H * W))]),
      )
      return { x: tensor(x, [indices.length, K, H, W]), target }
    },
  }
}

/**
 * Trains the field by the pseudo-likelihood of the labels, in the order of the scenes.
 * @param {Sequential} model
 * @param {ReturnType<typeof scored>} data
 * @param {number} epochs
 */
function fitPseudoLikelihood(model, data, epochs) {
  const [neighbours, compatibility, scale] = /** @type {[Tensor, Tensor, Tensor]} */ (model.parameters())
  const optimizer = new Adam([neighbours, compatibility, scale], { lr })
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (let from = 0; from < data.size; from += batchSize) {
      scope(() => {
        const { x, target } = data.batch(
          Int32Array.from({ length: Math.min(batchSize, data.size - from) }, (_, i) => from + i),
        )
        const step = valueAndGrad((n, c, s) =>
          pseudoLikelihood(mul(x, s.reshape([1, 1, 1, 1])), target, { neighbours: n, compatibility: c }),
        )
        optimizer.step(step(neighbours, compatibility, scale).gradients)
      })
    }
  }
  optimizer.dispose()
}

/**
 * @param {import('../../dist/index.js').Graph} network
 * @param {{ epochs: number }} options
 */
export async function refineLabels(network, { epochs }) {
  const { validation, test } = await makeScenes(['validation', 'test'])
  const began = performance.now()
  const [seen, held] = [scored(network, validation), scored(network, test)]
  const classes = validation.classes.length
  /** @param {number} strength @param {Tensor} x */
  const byPotts = (strength, x) =>
    scope(() => refine(x, pottsModel({ classes, strength, connectivity: 8 }), { steps: field.steps }))
  const tried = measureScores(validation, seen, (x) =>
    Object.fromEntries(strengths.map((strength) => [strength, byPotts(strength, x)])),
  )
  /** @param {number} strength */
  const reached = (strength) => tried[strength]?.mean_iou ?? 0
  const best = strengths.reduce((a, b) => (reached(b) > reached(a) ? b : a))
  const make = () => new Sequential([new MeanField(field)], { input: seen.shape, seed: 1 })
  const [learned, likely] = [make(), make()]
  const optimizer = new Adam(learned.parameters(), { lr })
  const history = await fit(learned, seen, { epochs, batchSize, seed: 1, optimizer, loss: crossEntropy })
  optimizer.dispose()
  fitPseudoLikelihood(likely, seen, epochs)
  const figures = measureScores(test, held, (x) => ({
    none: x,
    potts: byPotts(best, x),
    pseudo_likelihood: likely.forward(x),
    learned: learned.forward(x),
  }))
  for (const [what, { pixel_accuracy, mean_iou }] of Object.entries(figures)) {
    console.log(`${what}: ${(100 * pixel_accuracy).toFixed(2)} % of the pixels, mean IoU ${mean_iou}`)
  }
  return {
    field,
    ...{ epochs, batch_size: batchSize, lr, validation_scenes: validation.size, test_scenes: test.size },
    potts: { chosen: best, validation: Object.fromEntries(strengths.map((s) => [s, reached(s)])) },
    losses: history.epochs.map(({ training }) => training.loss),
    test: figures,
    seconds: Math.round((performance.now() - began) / 100) / 10,
  }
}
