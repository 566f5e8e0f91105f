/** `StructuredConv2d` beside an ordinary convolution of the same extents, on few training pictures. */
import {
  accuracy,
  Adam,
  Conv2d,
  crossEntropy,
  evaluate,
  fit,
  Flatten,
  Linear,
  MaxPool2d,
  ReLU,
  Sequential,
} from 'toeplitz'
import { imageExamples, imageRange } from 'toeplitz/data'
import { StructuredConv2d } from 'toeplitz/layers'

const kinds = {
  ordinary: (outChannels) => new Conv2d({ outChannels, kernel: 7, padding: 'same' }),
  structured: (outChannels) => new StructuredConv2d({ outChannels, kernel: 7, order: 3, sigma: 1.2, padding: 'same' }),
}

/** Test errors by kind and number of pictures; each training takes about as many steps. */
export async function fewPictures({ training }, normalization, unseen, { seeds, steps }) {
  const rows = []
  for (const count of [100, 300, 1000]) {
    for (const [kind, layer] of Object.entries(kinds)) {
      const errors = []
      let parameters
      for (const seed of seeds) {
        // Other pictures for each seed.
        const examples = imageExamples(imageRange(training, seed * 1000, seed * 1000 + count), normalization)
        const model = new Sequential(
          [
            layer(8),
            new ReLU(),
            new MaxPool2d({ kernel: 2 }),
            layer(16),
            new ReLU(),
            new MaxPool2d({ kernel: 2 }),
            new Flatten(),
            new Linear({ outFeatures: 10 }),
          ],
          { input: [1, 28, 28], seed },
        )
        parameters = model.summary().total.parameters
        const optimizer = new Adam(model.parameters(), { lr: 0.002 })
        const epochs = Math.round((steps * 20) / count)
        await fit(model, examples, { epochs, batchSize: 20, loss: crossEntropy, optimizer, seed })
        const { metrics } = await evaluate(model, unseen, { batchSize: 100, loss: crossEntropy, metrics: { accuracy } })
        errors.push(1 - metrics.accuracy)
        for (const each of [optimizer, model]) each.dispose()
      }
      const test_error = errors.reduce((sum, error) => sum + error) / errors.length
      rows.push({ pictures: count, kind, parameters, test_error, errors })
      console.log(`${count} pictures, ${kind}: ${(100 * test_error).toFixed(2)} % wrong`)
    }
  }
  return rows
}
