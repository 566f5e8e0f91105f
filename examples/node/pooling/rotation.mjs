/**
 * Figure 9.9: a max pooling unit over three filters learns to be invariant to rotation. Ten such units, one for each digit, see
 * digits that are turned in place by up to 60°; nothing tells a filter which angles are its own.
 */
import {
  accuracy,
  Conv2d,
  crossEntropy,
  evaluate,
  fit,
  Flatten,
  Maxout,
  scope,
  Sequential,
  SGD,
  uniform,
} from 'toeplitz'
import { fitNormalization, imageExamples, imageRange, imageTensor } from 'toeplitz/data'

/** Turns of 15° to either side. */
const TURNS = 4
export const angles = Array.from({ length: 2 * TURNS + 1 }, (_, i) => 15 * (i - TURNS))
const DIGIT = 5

/** Cosine and sine of 15° times a whole number, by products of the first: the same everywhere. */
function turnOf(times) {
  const one = [(Math.sqrt(6) + Math.sqrt(2)) / 4, ((Math.sqrt(6) - Math.sqrt(2)) / 4) * Math.sign(times)]
  let [cos, sin] = [1, 0]
  for (let i = 0; i < Math.abs(times); i++) [cos, sin] = [cos * one[0] - sin * one[1], cos * one[1] + sin * one[0]]
  return [cos, sin]
}

/** Pictures (N, 1, H, W), each turned around its centre by its own multiple of 15°, between pixels as straight lines. */
export function turned({ images, shape, ...rest }, turnFor) {
  const [, H, W] = shape
  const out = new Uint8Array(images.length)
  const turns = new Map(angles.map((_, i) => [i - TURNS, turnOf(i - TURNS)]))
  for (let n = 0; n < rest.size; n++) {
    const [cos, sin] = turns.get(turnFor(n))
    const pixel = (y, x) => (y < 0 || x < 0 || y >= H || x >= W ? 0 : images[(n * H + y) * W + x])
    for (let y = 0; y < H; y++) {
      for (let x = 0; x < W; x++) {
        const [v, u] = [y - (H - 1) / 2, x - (W - 1) / 2]
        const [fromY, fromX] = [cos * v - sin * u + (H - 1) / 2, sin * v + cos * u + (W - 1) / 2]
        const [top, left] = [Math.floor(fromY), Math.floor(fromX)]
        const [down, along] = [fromY - top, fromX - left]
        const above = (1 - along) * pixel(top, left) + along * pixel(top, left + 1)
        const below = (1 - along) * pixel(top + 1, left) + along * pixel(top + 1, left + 1)
        out[(n * H + y) * W + x] = Math.round((1 - down) * above + down * below)
      }
    }
  }
  return { ...rest, shape, images: out }
}

/** A turn for each picture, drawn by a seed. */
function drawTurns(count, seed) {
  const drawn = uniform([count], { seed })
  const turns = drawn.data().map((value) => Math.min(angles.length - 1, Math.floor(value * angles.length)) - TURNS)
  drawn.dispose()
  return (n) => turns[n]
}

/** The mean responses to fives by angle: of each filter of their unit, and of the unit, above the mean of the ten units. */
function responses(model, filters, test, normalization) {
  const fives = [...test.labels.keys()].filter((n) => test.labels[n] === DIGIT)
  const pixels = test.shape[1] * test.shape[2]
  const images = Uint8Array.from(fives.flatMap((n) => [...test.images.subarray(n * pixels, (n + 1) * pixels)]))
  return angles.map((angle) => {
    const pictures = turned({ images, shape: test.shape, size: fives.length }, () => angle / 15)
    return scope(() => {
      const [conv] = model.layers
      const all = conv.forward(imageTensor(pictures.images, test.shape, normalization)).data()
      const sums = { filters: Array(filters).fill(0), wins: Array(filters).fill(0), unit: 0 }
      fives.forEach((_, n) => {
        const unitOf = (c) => [...all.subarray((n * 10 + c) * filters, (n * 10 + c + 1) * filters)]
        const mean = Array.from({ length: 10 }, (_, c) => Math.max(...unitOf(c))).reduce((a, b) => a + b) / 10
        const own = unitOf(DIGIT)
        const most = Math.max(...own)
        own.forEach((value, f) => (sums.filters[f] += (value - mean) / fives.length))
        sums.wins[own.indexOf(most)] += 1 / fives.length
        sums.unit += (most - mean) / fives.length
      })
      return { angle, ...sums }
    })
  })
}

/** Trains ten units of so many filters on turned digits. */
async function train(filters, examples, epochs) {
  const model = new Sequential(
    [
      new Conv2d({ outChannels: 10 * filters, kernel: 28, weightInit: { name: 'normal', std: 0.01 } }),
      new Maxout({ groupSize: filters }),
      new Flatten(),
    ],
    { input: [1, 28, 28], seed: 1 },
  )
  const before = model.parameters()[0].data()
  const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9, weightDecay: 1e-3 })
  await fit(model, examples, { epochs, batchSize: 64, loss: crossEntropy, optimizer, seed: 1 })
  optimizer.dispose()
  return { model, before }
}

/** What is learned with one filter in each unit, and with three; the model of three is given too, for its picture. */
export async function learnRotation({ training, test }, epochs) {
  const normalization = fitNormalization(training)
  const examples = imageExamples(turned(training, drawTurns(training.size, 1)), normalization)
  const unseen = imageExamples(turned(test, drawTurns(test.size, 2)), normalization)
  const upright = imageExamples(test, normalization)
  const rows = []
  let last
  for (const filters of [1, 3]) {
    const { model, before } = await train(filters, examples, epochs)
    const errorOf = async (set) =>
      1 - (await evaluate(model, set, { batchSize: 100, loss: crossEntropy, metrics: { accuracy } })).metrics.accuracy
    const row = { filters, test_error: await errorOf(unseen), test_error_upright: await errorOf(upright) }
    const after = model.parameters()[0].data()
    row.after = responses(model, filters, test, normalization)
    model.parameters()[0].assign(before)
    row.before = responses(model, filters, test, normalization)
    model.parameters()[0].assign(after)
    console.log(`units of ${filters} filter(s): test error ${(100 * row.test_error).toFixed(2)} %`)
    for (const { angle, filters: each, unit } of row.after)
      console.log(`  ${angle}°: filters ${each.map((value) => value.toFixed(2)).join(' ')}, unit ${unit.toFixed(2)}`)
    rows.push(row)
    last?.dispose()
    last = model
  }
  const filters = last
    .parameters()[0]
    .data()
    .slice(DIGIT * 3 * 784, (DIGIT + 1) * 3 * 784)
  last.dispose()
  const five = test.labels.indexOf(DIGIT)
  const one = imageRange(test, five, five + 1)
  const pictures = angles.flatMap((angle) => [...turned(one, () => angle / 15).images])
  return { rows, filters, pictures }
}
