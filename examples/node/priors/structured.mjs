/** `StructuredConv2d` beside an ordinary convolution of the same extents, on few training pictures. */
import { Adam, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential } from 'toeplitz'
import { imageExamples, imageRange } from 'toeplitz/data'
import { StructuredConv2d } from 'toeplitz/layers'
import { testErrors } from '../testErrors.mjs'

const kinds = {
  ordinary: (outChannels) => new Conv2d({ outChannels, kernel: 7, padding: 'same' }),
  structured: (outChannels) => new StructuredConv2d({ outChannels, kernel: 7, order: 3, sigma: 1.2, padding: 'same' }),
}

/** Two convolutions of a kind, each with a maximum behind, and a linear classifier. */
const networkOf = (layer, seed) =>
  new Sequential(
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

/** Test errors by kind and number of pictures; each training takes about as many steps. */
export async function fewPictures({ training }, normalization, unseen, { seeds, steps }) {
  const rows = []
  for (const count of [100, 300, 1000]) {
    for (const [kind, layer] of Object.entries(kinds)) {
      const { parameters, test_error, errors } = await testErrors(seeds, {
        model: (seed) => networkOf(layer, seed),
        optimizer: (model) => new Adam(model.parameters(), { lr: 0.002 }),
        // Other pictures for each seed.
        examples: (seed) => imageExamples(imageRange(training, seed * 1000, seed * 1000 + count), normalization),
        ...{ unseen, epochs: Math.round((steps * 20) / count), batchSize: 20 },
      })
      rows.push({ pictures: count, kind, parameters, test_error, errors })
      console.log(`${count} pictures, ${kind}: ${(100 * test_error).toFixed(2)} % wrong`)
    }
  }
  return rows
}
