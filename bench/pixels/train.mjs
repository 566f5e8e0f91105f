// @ts-check
// Trains one network on scenes, and measures it on scenes of other digits.
import { Adam, crossEntropy, fit, schedule } from '../../dist/index.js'
import { pixelAccuracy } from '../../dist/segmentation.js'
import { measureScores } from './measure.mjs'
import { networks } from './networks.mjs'
import { counts, examplesOf, makeScenes } from './scenes.mjs'

const batchSize = 8

/**
 * @param {string} name
 * @param {{ epochs: number, scenes: number }} options
 */
export async function train(name, { epochs, scenes }) {
  const { about, make, factor, lr, scores } = /** @type {import('./networks.mjs').Network} */ (networks[name])
  const { training, validation, test } = await makeScenes(['training', 'validation', 'test'], { training: scenes })
  const model = make()
  const optimizer = new Adam(model.parameters(), { lr })
  const began = performance.now()
  const steps = epochs * Math.ceil(scenes / batchSize)
  const run = fit(model, examplesOf(training, factor), {
    epochs,
    batchSize,
    seed: 1,
    optimizer,
    loss: crossEntropy,
    metrics: { pixelAccuracy },
    schedule: schedule.cosine({ lr, steps }),
    validation: examplesOf(validation, factor),
  })
  const history = []
  for await (const event of run) {
    if (event.type !== 'epoch') continue
    const { epoch, training: own, validation: other, seconds } = event
    history.push({
      epoch,
      training_loss: own.loss,
      training_accuracy: own.metrics.pixelAccuracy,
      validation_loss: other?.loss,
      validation_accuracy: other?.metrics.pixelAccuracy,
    })
    console.log(
      `${name}: epoch ${epoch} of ${epochs}, loss ${own.loss.toFixed(4)}, validation ${other?.loss.toFixed(4)}, pixels right ${((other?.metrics.pixelAccuracy ?? 0) * 100).toFixed(2)} %, ${seconds.toFixed(0)} s`,
    )
  }
  const seconds = Math.round((performance.now() - began) / 100) / 10
  optimizer.dispose()
  const nodes = scores(model)
  const figures = measureScores(
    test,
    examplesOf(test),
    (x) => {
      const values = model.run(x, Object.values(nodes))
      return /** @type {typeof values} */ (
        Object.fromEntries(Object.entries(nodes).map(([what, node]) => [what, values[node]]))
      )
    },
    factor,
  )
  const { parameters, operations } = model.summary().total
  for (const [what, { pixel_accuracy, mean_iou }] of Object.entries(figures)) {
    console.log(`${name}, ${what}: ${(100 * pixel_accuracy).toFixed(2)} % of the pixels, mean IoU ${mean_iou}`)
  }
  return {
    about,
    ...{ parameters, operations, epochs, batch_size: batchSize, lr, training_scenes: scenes, test_scenes: counts.test },
    test: figures,
    history,
    seconds,
    model,
  }
}
