// @ts-check
// One training step (forward, gradients, update) of the lecture's ConvNet on real MNIST digits, single thread.
import { BenchError, UsageError } from './lib/errors.mjs'
import { measure } from './lib/measure.mjs'
import { loadDigits } from './lib/mnist.mjs'
import { toRow } from './lib/row.mjs'

/**
 * What is trained on what: `images` (28 × 28 values each) and `labels` are whole batches, gone through in turn.
 * @typedef {{
 *   images: Float32Array,
 *   labels: Uint8Array,
 *   batch: number,
 *   optimizer: { lr: number, momentum: number, weightDecay: number },
 * }} Problem
 *
 * One side: `parameters` copies them out in our layout, in the order of the network; `step` trains on the next batch
 * and returns its loss from before the update.
 * @typedef {{
 *   name: string,
 *   parameters: () => Float32Array[] | Promise<Float32Array[]>,
 *   step: () => number | Promise<number>,
 *   dispose?: () => void,
 * }} Contender
 */

const optimizer = { lr: 0.01, momentum: 0.9, weightDecay: 5e-4 }
const batches = 8
const trainingImages = 60_000

/** Weights and biases of conv(5,32), conv(5,64), fc(100) and fc(10): 832 + 51,264 + 102,500 + 1,010. */
const parameterSizes = [800, 32, 51_200, 64, 102_400, 100, 1000, 10]

/** @type {Record<string, () => Promise<{ createTrainStep: (problem: Problem, parameters: readonly Float32Array[]) => Contender | Promise<Contender> }>>} */
const peerModules = {
  convnetjs: () => import('./peers/convnetjs.mjs'),
  pytorch: () => import('./peers/pytorch.mjs'),
}

/** @type {import('./run.mjs').Bench} */
export const bench = {
  description: 'a training step of conv(5,32) pool conv(5,64) pool fc(100) fc(10), batch 128',
  peers: Object.keys(peerModules),
  options: ['batch', 'threads'],
  async run({ batch = 128, threads = 1, rounds, peers: names, log }) {
    if (batch * batches > trainingImages) {
      throw new UsageError(`--batch ${batch}: expected at most ${Math.floor(trainingImages / batches)}`)
    }
    const problem = { ...loadDigits(batch * batches), batch, optimizer }
    const { createOurs } = await import('./ours/train-step.mjs')
    const { start } = await import('./ours/start.mjs')
    const runtime = await start(threads)
    const ours = createOurs(problem)
    await assertSizes(ours)

    /** @type {Contender[]} */
    const peers = []
    /** @type {Record<string, string>} */
    const leftOut = {}
    for (const name of names) {
      try {
        const { createTrainStep } = (await peerModules[name]?.()) ?? {}
        if (createTrainStep === undefined) throw new Error(`no peer ${name}`)
        peers.push(await createTrainStep(problem, await ours.parameters()))
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND')) throw error
        leftOut[name] = 'not installed'
        log(`train-step: ${name} is left out, it is not installed`)
      }
    }

    let checked
    if (peers.length > 0) {
      log(`train-step: checking that ours and ${peers.map(({ name }) => name).join(', ')} do the same`)
      checked = await checkSameWork(ours, peers)
      log(`train-step: checked, ${checked}`)
    }
    const contenders = Object.fromEntries([
      ['ours', () => ours.step()],
      ...peers.map((peer) => [peer.name, () => peer.step()]),
    ])
    // The steps of the check were the first warm-up.
    const timings = await measure(contenders, {
      rounds,
      mostRounds: 9,
      budgetMilliseconds: 50_000,
      warmups: peers.length > 0 ? 1 : 3,
      onRound: (round) => log(`train-step: round ${round}`),
    })
    for (const peer of peers) peer.dispose?.()
    const about = { bench: 'train-step', case: `MNIST ConvNet, batch ${batch}`, ...runtime, images: batch, checked }
    return [toRow({ ...about, ...(Object.keys(leftOut).length > 0 ? { left_out: leftOut } : {}) }, timings)]
  },
}

/** @param {Contender} contender */
async function assertSizes({ name, parameters }) {
  const sizes = (await parameters()).map(({ length }) => length)
  if (sizes.join() !== parameterSizes.join()) {
    throw new BenchError(`${name} has parameters of ${sizes.join(', ')} numbers, expected ${parameterSizes.join(', ')}`)
  }
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
  const lossTolerance = 1e-3
  const moveTolerance = 2e-3 // float32 against float64 gives 5e-5; a forgotten weight decay 1e-2
  const before = await ours.parameters()
  for (const peer of peers) {
    await assertSizes(peer)
    if (largestDistance(before, before, await peer.parameters()) !== 0)
      throw new Error(`${peer.name} has other weights`)
  }
  const losses = []
  for (let step = 0; step < steps; step++) losses.push(await ours.step())
  const after = await ours.parameters()
  const findings = []
  for (const peer of peers) {
    const differences = []
    for (const loss of losses) differences.push(Math.abs(loss - (await peer.step())))
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
  const count = parameterSizes.reduce((sum, size) => sum + size, 0)
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
