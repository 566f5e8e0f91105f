/**
 * Twenty pictures a class of classes that a network never saw: training from scratch, beside a network that was trained on the other
 * eight classes of CIFAR-10 and has a new last layer, which alone is trained, or together with all others at a lower rate.
 *
 *   node examples/node/fine-tuning.mjs --data-dir DIR [--epochs 4] [--draws 10] [--out result.json]
 *
 * The two classes were chosen before anything was measured: two animals of a size, neither of which the network has seen. Each way has
 * the learning rate that is best on three draws of its own, judged by training pictures that no draw holds.
 */
import { readFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import {
  accuracy,
  BatchNorm2d,
  Conv2d,
  crossEntropy,
  evaluate,
  fit,
  GlobalAvgPool,
  Flatten,
  init,
  Linear,
  MaxPool2d,
  permutation,
  ReLU,
  schedule,
  Sequential,
  SGD,
} from 'toeplitz'
import { fitNormalization, imageExamples } from 'toeplitz/data'
import { loadCifar10, writeFileAtomically } from 'toeplitz/node'
import { parameterGroups, replaceHead } from 'toeplitz/train'

const { values } = parseArgs({
  options: {
    'data-dir': { type: 'string' },
    epochs: { type: 'string', default: '4' },
    draws: { type: 'string', default: '10' },
    out: { type: 'string' },
  },
})
const began = performance.now()
const [unseen, shots] = [['deer', 'horse'], 20]
const rates = [0.003, 0.01, 0.03, 0.1]
const augmentation = { flip: true, shift: 2 }

await init()
const { training, test } = await loadCifar10(values['data-dir'])
const normalization = fitNormalization(training)
const bytes = training.shape.reduce((product, extent) => product * extent)

/** The pictures of some classes, which are numbered anew, as far as `choose` takes the i-th of a class. */
function picturesOf(dataset, classes, choose = () => true) {
  const numbers = classes.map((name) => dataset.classes.indexOf(name))
  const seen = new Array(classes.length).fill(0)
  const places = []
  dataset.labels.forEach((label, place) => {
    const own = numbers.indexOf(label)
    if (own >= 0 && choose(own, seen[own]++)) places.push([place, own])
  })
  const images = new Uint8Array(places.length * bytes)
  places.forEach(([place], n) => images.set(dataset.images.subarray(place * bytes, (place + 1) * bytes), n * bytes))
  return {
    images,
    labels: Uint8Array.from(places, ([, own]) => own),
    size: places.length,
    shape: dataset.shape,
    classes,
  }
}

const block = (maps) => [
  ...[0, 1].flatMap(() => [
    new Conv2d({ outChannels: maps, kernel: 3, padding: 1, bias: false }),
    new BatchNorm2d(),
    new ReLU(),
  ]),
  new MaxPool2d({ kernel: 2 }),
]
const network = (classes, seed) =>
  new Sequential(
    [
      ...block(24),
      ...block(48),
      ...block(96),
      new GlobalAvgPool(),
      new Flatten(),
      new Linear({ outFeatures: classes }),
    ],
    { input: training.shape, seed },
  )

async function train(model, data, { parameters = model.parameters(), epochs, batchSize, lr, seed }) {
  const steps = epochs * Math.ceil(data.size / batchSize)
  const optimizer = new SGD(parameters, { lr, momentum: 0.9, weightDecay: 5e-4 })
  const run = fit(model, imageExamples(data, normalization, augmentation), {
    ...{ epochs, batchSize, seed, optimizer, loss: crossEntropy, metrics: { accuracy } },
    schedule: schedule.cosine({ lr, steps }),
  })
  for await (const event of run) {
    if (event.type !== 'epoch' || data.size < 1000) continue
    console.log(`epoch ${event.epoch}: accuracy ${(100 * event.training.metrics.accuracy).toFixed(2)} %`)
  }
  optimizer.dispose()
}

async function accuracyOf(model, data) {
  const measured = await evaluate(model, imageExamples(data, normalization), {
    ...{ batchSize: 200, loss: crossEntropy, metrics: { accuracy } },
  })
  return measured.metrics.accuracy
}

const known = training.classes.filter((name) => !unseen.includes(name))
const base = network(known.length, 1)
await train(base, picturesOf(training, known), { epochs: Number(values.epochs), batchSize: 64, lr: 0.05, seed: 1 })
const baseAccuracy = await accuracyOf(base, picturesOf(test, known))
console.log(`eight classes: ${(100 * baseAccuracy).toFixed(2)} % of the test pictures right`)

/** What is trained, of which parameters at which rates. */
const ways = {
  'from scratch': (seed) => ({ model: network(unseen.length, seed) }),
  'last layer alone': (seed) => {
    const { model, head } = replaceHead(base, { classes: unseen.length, seed })
    return { model: model.freeze((layer) => layer !== model.nodes.find(({ name }) => name === head).layer) }
  },
  'all layers, the others at a tenth of the rate': (seed, lr) => {
    const { model, head } = replaceHead(base, { classes: unseen.length, seed })
    // Statistics of twenty pictures are worse than those of the training before.
    model.freeze((layer) => layer.type === 'BatchNorm2d')
    return {
      model,
      parameters: parameterGroups(model, [{ layers: head, lr }]).map((group) => ({ lr: lr / 10, ...group })),
    }
  },
}

/** Pictures of each class that draws are taken from; those behind them judge the rates. */
const pool = 4500
const [judging, testing] = [picturesOf(training, unseen, (_, i) => i >= pool), picturesOf(test, unseen)]

/** Trains on the pictures of a draw, the same for every way. */
async function trained(way, lr, draw, judge) {
  const chosen = unseen.map((_, own) => new Set(permutation(pool, draw, own).subarray(0, shots)))
  const data = picturesOf(training, unseen, (own, i) => chosen[own].has(i))
  const { model, parameters } = ways[way](draw, lr)
  await train(model, data, { epochs: 60, batchSize: 20, lr, seed: draw, ...(parameters ? { parameters } : {}) })
  const share = await accuracyOf(model, judge)
  model.dispose()
  return share
}
const mean = (list) => list.reduce((sum, value) => sum + value, 0) / list.length

const rows = []
for (const way of Object.keys(ways)) {
  const judged = []
  for (const lr of rates) {
    const shares = []
    for (const draw of [1001, 1002, 1003]) shares.push(await trained(way, lr, draw, judging))
    judged.push(mean(shares))
  }
  const lr = rates[judged.indexOf(Math.max(...judged))]
  const shares = []
  for (let draw = 1; draw <= Number(values.draws); draw++) shares.push(await trained(way, lr, draw, testing))
  const average = mean(shares)
  const deviation = Math.sqrt(shares.reduce((sum, share) => sum + (share - average) ** 2, 0) / (shares.length - 1))
  rows.push({ way, lr, accuracy: average, deviation, draws: shares })
  console.log(`${way}: ${(100 * average).toFixed(2)} % ± ${(100 * deviation).toFixed(2)}, learning rate ${lr}`)
}

if (values.out) {
  const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'))
  const result = {
    command: `node examples/node/fine-tuning.mjs --data-dir DIR --epochs ${values.epochs} --draws ${values.draws}`,
    machine: {
      ...{ cpu: cpus()[0].model, threads: 1, versions: { toeplitz: version, node: process.versions.node } },
      date: new Date().toISOString(),
    },
    seconds: Math.round((performance.now() - began) / 1000),
    ...{ unseen, shots, test_pictures: testing.size, base: { classes: known.length, accuracy: baseAccuracy } },
    rows,
  }
  await writeFileAtomically(values.out, `${JSON.stringify(result, null, 2)}\n`)
}
