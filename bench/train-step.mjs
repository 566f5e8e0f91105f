// @ts-check
// One training step (forward, gradients, update) of the lecture's networks. Dropout is off: everyone would draw other
// units, and nothing could be compared.
import { BenchError, LeftOutError, UsageError } from './lib/errors.mjs'
import { measure } from './lib/measure.mjs'
import { loadDigits } from './lib/mnist.mjs'
import { loadPeers } from './lib/peers.mjs'
import { randomNumbers } from './lib/random.mjs'
import { toRow } from './lib/row.mjs'

/**
 * What is trained on what: `images` (C × H × W values each) and `labels` are whole batches, gone through in turn. The
 * steps of `network` hold the weights to begin with.
 * @typedef {{
 *   network: import('./networks/steps.mjs').Network,
 *   images: Float32Array,
 *   labels: Uint8Array,
 *   batch: number,
 *   optimizer: { lr: number, momentum: number, weightDecay: number },
 * }} Problem
 *
 * One side: `parameters` copies them out in our layout, weights and bias of each step in turn; `step` trains on the next
 * batch and returns its loss from before the update.
 * @typedef {{
 *   name: string,
 *   parameters: () => Float32Array[] | Promise<Float32Array[]>,
 *   step: () => number | Promise<number>,
 *   dispose?: () => void,
 * }} Contender
 *
 * `model` and `input` make a model of the zoo; `batches` are different ones; `without`: peers that are not measured, and why.
 * @typedef {{
 *   name: string,
 *   model: string,
 *   input: [number, number, number],
 *   batch: number,
 *   batches: number,
 *   lr: number,
 *   without?: Record<string, string>,
 * }} Case
 */

/** @type {readonly Case[]} */
export const cases = [
  { name: 'MNIST ConvNet', model: 'convnet', input: [1, 28, 28], batch: 128, batches: 8, lr: 0.01 },
  { name: 'CIFAR ConvNet', model: 'convnet', input: [3, 32, 32], batch: 128, batches: 8, lr: 0.01 },
  { name: 'LeNet-5', model: 'lenet5', input: [1, 32, 32], batch: 128, batches: 8, lr: 0.001 },
  {
    name: 'AlexNet',
    model: 'alexnet',
    input: [3, 227, 227],
    batch: 8,
    batches: 2,
    lr: 0.01,
    without: { convnetjs: 'minutes a step', 'jax-js': 'minutes a step' },
  },
]
const classes = 10
const trainingImages = 60_000

/** @type {Record<string, () => Promise<{ createTrainStep: (problem: Problem) => Contender | Promise<Contender> }>>} */
const peerModules = {
  convnetjs: () => import('./peers/convnetjs.mjs'),
  'jax-js': () => import('./peers/jax-js.mjs'),
  pytorch: () => import('./peers/pytorch.mjs'),
}

/** @type {import('./run.mjs').Bench} */
export const bench = {
  description: 'a training step of the ConvNet on MNIST and on CIFAR-10, of LeNet-5 and of AlexNet',
  peers: Object.keys(peerModules),
  options: ['batch', 'network', 'threads'],
  networks: cases.map(({ model, input }) => nameOf(model, input)),
  async run({ batch: given, networks, threads = 1, rounds, peers: names, log }) {
    const largest = Math.floor(trainingImages / 8)
    if (given !== undefined && given > largest) throw new UsageError(`--batch ${given}: expected at most ${largest}`)
    const { createOurs } = await import('./ours/train-step.mjs')
    const { start } = await import('./ours/start.mjs')
    const runtime = await start(threads)
    const { peers: modules, leftOut: missing } = await loadPeers(peerModules, names, log, threads)
    const rows = []
    for (const item of cases) {
      if (networks !== undefined && !networks.includes(nameOf(item.model, item.input))) continue
      const batch = given ?? item.batch
      const name = `${item.name}, batch ${batch}`
      const { ours, algorithm, problem } = createOurs(item, { ...dataFor(item, batch), batch })
      /** @type {Contender[]} */
      const peers = []
      const leftOut = { ...missing }
      try {
        for (const [peer, { createTrainStep }] of Object.entries(modules)) {
          try {
            const reason = item.without?.[peer]
            if (reason !== undefined) throw new LeftOutError(reason)
            peers.push(await createTrainStep(problem))
          } catch (error) {
            if (!(error instanceof LeftOutError)) throw error
            leftOut[peer] = error.message
            log(`train-step: ${name}: ${peer} is left out: ${error.message}`)
          }
        }
        let checked
        if (peers.length > 0) {
          log(`train-step: ${name}: checking that ours and ${peers.map((peer) => peer.name).join(', ')} do the same`)
          checked = await checkSameWork(ours, peers)
          log(`train-step: ${name}: checked, ${checked}`)
        }
        const contenders = Object.fromEntries([
          ['ours', () => ours.step()],
          ...peers.map((peer) => [peer.name, () => peer.step()]),
        ])
        // The steps of the check were the first warm-up.
        const timings = await measure(contenders, {
          rounds,
          mostRounds: 9,
          budgetMilliseconds: 80_000,
          shareMilliseconds: 40_000,
          warmups: peers.length > 0 ? 1 : 3,
          onRound: (round) => log(`train-step: ${name}: round ${round}`),
        })
        const about = {
          bench: 'train-step',
          case: name,
          family: 'training',
          algorithm,
          ...runtime,
          images: batch,
          checked,
        }
        rows.push(toRow({ ...about, ...(Object.keys(leftOut).length > 0 ? { left_out: leftOut } : {}) }, timings))
      } finally {
        for (const side of [ours, ...peers]) side.dispose?.()
      }
    }
    return rows
  },
}

/**
 * The word for a case on the command line: mnist and cifar for the ConvNet, or the model's name.
 * @param {string} model
 * @param {readonly number[]} input
 */
export function nameOf(model, input) {
  return model === 'convnet' ? (input[0] === 1 ? 'mnist' : 'cifar') : model
}

/**
 * Real digits where they fit, random numbers otherwise.
 * @param {Case} item
 * @param {number} batch
 */
export function dataFor({ input, batches, lr }, batch) {
  const count = batch * batches
  const optimizer = { lr, momentum: 0.9, weightDecay: 5e-4 }
  if (input.join() === '1,28,28') return { ...loadDigits(count), optimizer }
  const pixels = input.reduce((product, extent) => product * extent, 1)
  const labels = Uint8Array.from({ length: count }, (_, image) => (image * 7) % classes)
  return { images: randomNumbers(count * pixels, 1), labels, optimizer }
}

/**
 * Takes two steps with ours and with every peer, from the same weights, and compares: the losses of both steps (the
 * second one is that of the updated weights), and how far the weights have moved, which after two steps depends on the
 * gradients, the learning rate, the momentum and the weight decay alike. Returns what was found, in words.
 * @param {Contender} ours
 * @param {readonly Contender[]} peers
 */
async function checkSameWork(ours, peers) {
  const steps = 2
  const lossTolerance = 1e-3 // of the loss, or of 1 where it is less
  // float32 against float64 gives up to 1e-3, a forgotten weight decay 1e-2
  const moveTolerance = 2e-3
  const before = await ours.parameters()
  const sizes = before.map(({ length }) => length)
  for (const peer of peers) {
    const theirs = await peer.parameters()
    const found = theirs.map(({ length }) => length)
    if (found.join() !== sizes.join()) {
      throw new BenchError(`${peer.name} has parameters of ${found.join(', ')} numbers, expected ${sizes.join(', ')}`)
    }
    if (largestDistance(before, before, theirs) !== 0) throw new BenchError(`${peer.name} has other weights`)
  }
  const losses = []
  for (let step = 0; step < steps; step++) losses.push(await ours.step())
  const after = await ours.parameters()
  const findings = []
  for (const peer of peers) {
    const differences = []
    for (const loss of losses) differences.push(Math.abs(loss - (await peer.step())) / Math.max(1, loss))
    differences.forEach((difference, step) => {
      if (!(difference <= lossTolerance)) {
        throw new BenchError(
          `ours and ${peer.name} do not do the same: the losses of step ${step + 1} differ by ${difference}`,
        )
      }
    })
    const distance = largestDistance(before, after, await peer.parameters())
    if (!(distance <= moveTolerance)) {
      throw new BenchError(
        `ours and ${peer.name} do not do the same: after ${steps} steps the weights are apart by ${distance} of their way`,
      )
    }
    const near = Math.max(...differences).toExponential(0)
    findings.push(
      `${peer.name}'s losses within ${near}, its weights within ${distance.toExponential(0)} of the way moved`,
    )
  }
  const count = sizes.reduce((sum, size) => sum + size, 0)
  const shown = losses.map((loss) => loss.toFixed(4)).join(' and ')
  return `${steps} steps from the same ${count.toLocaleString('en')} parameters, loss ${shown}; ${findings.join('; ')}`
}

/**
 * The largest distance between two sets of parameters, each relative to how far `one` is from `origin`.
 * @param {readonly Float32Array[]} origin
 * @param {readonly Float32Array[]} one
 * @param {readonly Float32Array[]} other
 */
function largestDistance(origin, one, other) {
  const distances = one.map((values, index) => {
    const apart = distanceBetween(values, other[index])
    return apart === 0 ? 0 : apart / distanceBetween(values, origin[index])
  })
  return Math.max(...distances)
}

/**
 * @param {Float32Array} one
 * @param {Float32Array | undefined} other
 */
function distanceBetween(one, other) {
  return Math.sqrt(one.reduce((sum, value, index) => sum + (value - (other?.[index] ?? NaN)) ** 2, 0))
}
