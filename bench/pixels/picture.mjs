// @ts-check
// A picture of the first test scenes: what is seen, the labels, what each step of the recurrent convolution gives, and the U-Net.
import { argmax, scope } from '../../dist/index.js'
import { encodePng } from '../../dist/io.js'
import { loadMnist } from '../../dist/node.js'
import { scoresOf } from '../../dist/segmentation.js'
import { examplesOf, makeScenes } from './scenes.mjs'
import { STEPS } from './networks.mjs'

const ROWS = 5
const ZOOM = 3
const GAP = 6

/** Colours of the labels: the ground, and the ten digits. @type {readonly (readonly [number, number, number])[]} */
const colours = [
  [38, 42, 50],
  [255, 255, 255],
  [66, 146, 246],
  [255, 144, 30],
  [72, 190, 98],
  [232, 66, 72],
  [172, 120, 230],
  [176, 122, 86],
  [244, 130, 206],
  [246, 214, 72],
  [52, 204, 214],
]

/**
 * Draws H × W pixels of a colour each into a picture, magnified.
 * @param {{ width: number, data: Uint8Array }} picture
 * @param {number} left @param {number} top @param {number} W @param {number} H
 * @param {(i: number) => readonly number[]} colourOf
 */
function put({ width, data }, left, top, W, H, colourOf) {
  for (let y = 0; y < H * ZOOM; y++) {
    for (let x = 0; x < W * ZOOM; x++) {
      const colour = colourOf(Math.floor(y / ZOOM) * W + Math.floor(x / ZOOM))
      data.set([...colour, 255], ((top + y) * width + left + x) * 4)
    }
  }
}

/** @param {{ recurrent: import('../../dist/index.js').Graph, unet: import('../../dist/index.js').Graph }} models */
export async function drawPicture({ recurrent, unet }) {
  const { test } = await makeScenes(['test'], { test: ROWS })
  const [, H, W] = test.shape
  const steps = Array.from({ length: STEPS }, (_, i) => scoresOf(i + 1))
  const { x: columns } = scope(() => {
    const { x } = examplesOf(test).batch(Int32Array.from({ length: ROWS }, (_, i) => i))
    const values = recurrent.run(x, steps)
    return {
      x: [
        ...steps.map((name) => argmax(/** @type {import('../../dist/index.js').Tensor} */ (values[name]))),
        argmax(unet.forward(x)),
      ],
    }
  })
  const count = columns.length + 2
  const digits = (await loadMnist()).test
  const legend = 28
  const width = count * (W * ZOOM + GAP) - GAP
  const height = ROWS * (H * ZOOM + GAP) + legend * ZOOM
  const picture = { width, height, channels: /** @type {const} */ (4), data: new Uint8Array(width * height * 4) }
  for (let row = 0; row < ROWS; row++) {
    const top = row * (H * ZOOM + GAP)
    const at = (/** @type {number} */ column) => column * (W * ZOOM + GAP)
    const from = row * H * W
    put(picture, at(0), top, W, H, (i) => new Array(3).fill(test.images[from + i]))
    for (const [column, labels] of [test.labels, ...columns].entries()) {
      put(picture, at(column + 1), top, W, H, (i) => colours[Number(labels[from + i])] ?? [])
    }
  }
  // The legend: a digit of each class in its colour.
  const every = (width - legend * ZOOM) / 9
  for (let digit = 0; digit < 10; digit++) {
    const which = digits.labels.indexOf(digit)
    const pixels = digits.images.subarray(which * 784, (which + 1) * 784)
    put(picture, Math.round(digit * every), height - legend * ZOOM, legend, legend, (i) =>
      [0, 1, 2].map((channel) => {
        const [ground, ink] = [Number(colours[0]?.[channel]), Number(colours[digit + 1]?.[channel])]
        return Math.round(ground + ((ink - ground) * Number(pixels[i])) / 255)
      }),
    )
  }
  return encodePng(picture)
}
