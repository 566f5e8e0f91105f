// @ts-check
// The networks that are compared: how each is made, and which of its values are scores.
import { recurrentConv, scoresOf } from '../../dist/segmentation.js'
import { labelling, unet } from '../../dist/zoo.js'

/** Steps of the recurrent convolution in training. */
export const STEPS = 4

/** Learning rate at the beginning. Without batch normalization, higher ones diverge. */
const RATE = 0.01

/**
 * `scores`: the nodes whose values are measured, by what the table calls them. `factor`: pixels along a side that have one label.
 * @typedef {{ about: string, make: () => import('../../dist/index.js').Graph, factor: number, lr: number, scores: (model: import('../../dist/index.js').Graph) => Record<string, string> }} Network
 */

/** @param {import('../../dist/index.js').Graph} model @returns {Record<string, string>} */
const whole = (model) => ({ all: /** @type {string} */ (model.outputs[0]) })

/** @type {Record<string, Network>} */
export const networks = {
  plain: { about: 'no pooling', make: () => labelling({ seed: 1 }), factor: 1, lr: RATE, scores: whole },
  coarse: {
    about: 'pooling, a label for 4 × 4 pixels',
    make: () => labelling({ seed: 1, pooling: 'coarse' }),
    factor: 4,
    lr: RATE,
    scores: whole,
  },
  unit: {
    about: 'pooling of stride one',
    make: () => labelling({ seed: 1, pooling: 'unit' }),
    factor: 1,
    lr: RATE,
    scores: whole,
  },
  recurrent: {
    about: `recurrent convolution, ${STEPS} steps`,
    make: () => recurrentConv({ seed: 1, steps: STEPS }),
    factor: 1,
    lr: 0.003,
    scores: () => Object.fromEntries(Array.from({ length: STEPS }, (_, i) => [`step ${i + 1}`, scoresOf(i + 1)])),
  },
  unet: { about: 'U-Net', make: () => unet({ seed: 1 }), factor: 1, lr: RATE, scores: whole },
}
