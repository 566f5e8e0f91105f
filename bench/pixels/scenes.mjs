// @ts-check
// The scenes that networks are trained and tested on. Training, validation and test scenes are made of different digits: those of
// MNIST's training set but for the last 5000, these, and those of its test set.
import { holdOut } from '../../dist/data.js'
import { loadMnist } from '../../dist/node.js'
import { digitScenes, pixelExamples } from '../../dist/segmentation.js'

export const normalization = { mean: 0.4, std: 0.25 }
export const counts = { training: 2500, validation: 300, test: 500 }
const seeds = { training: 1, validation: 2, test: 3 }

/** @typedef {keyof typeof counts} Part */

/** The digits of each part. */
async function digits() {
  const { training: all, test } = await loadMnist()
  return { ...holdOut(all, 5000), test }
}

/**
 * Scenes of some parts, by part.
 * @param {readonly Part[]} parts
 * @param {Partial<Record<Part, number>>} wanted how many, where not as many as there are
 * @returns {Promise<Record<Part, import('../../dist/segmentation.js').PixelDataset>>} those parts alone
 */
export async function makeScenes(parts, wanted = {}) {
  const from = await digits()
  const made = parts.map((part) => [
    part,
    digitScenes(from[part], { count: wanted[part] ?? counts[part], seed: seeds[part] }),
  ])
  return /** @type {never} */ (Object.fromEntries(made))
}

/**
 * Examples of scenes.
 * @param {import('../../dist/segmentation.js').PixelDataset} scenes
 * @param {number} factor pixels along a side that have one label
 */
export const examplesOf = (scenes, factor = 1) => pixelExamples(scenes, normalization, { factor })
