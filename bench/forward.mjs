// @ts-check
// The forward pass of the zoo's networks at full size, batch 1.
import { BenchError } from './lib/errors.mjs'
import { measure, ofPasses } from './lib/measure.mjs'
import { compareOutputs, loadPeers } from './lib/peers.mjs'
import { randomNumbers } from './lib/random.mjs'
import { toRow } from './lib/row.mjs'

/**
 * Makes one side from a network and an image (C, H, W).
 * @typedef {(
 *   network: import('./networks/steps.mjs').Network,
 *   image: Float32Array,
 * ) => import('./layers.mjs').Contender | Promise<import('./layers.mjs').Contender>} CreateNetwork
 */

/** The networks whose forward pass is measured. */
export const names = ['lenet5', 'alexnet', 'googlenet', 'vgg16']

/** Largest distance of two outputs, as a part of the largest: some twenty layers of fast algorithms. */
const tolerance = 1e-3

/** @type {Record<string, () => Promise<{ createNetwork: CreateNetwork }>>} */
const peerModules = {
  'onnxruntime-web': () => import('./peers/onnxruntime-web.mjs'),
  'tfjs-wasm': () => import('./peers/tfjs-wasm.mjs'),
}

/** @type {import('./run.mjs').Bench} */
export const bench = {
  description: 'the forward pass of LeNet-5, AlexNet, GoogLeNet and VGG-16, batch 1',
  peers: Object.keys(peerModules),
  options: ['network', 'threads'],
  networks: names,
  async run({ networks, threads = 1, rounds, peers: wanted, log }) {
    const { algorithmsOfNetwork } = await import('./ours/algorithms.mjs')
    const { createNetwork: createOurs, networkOf } = await import('./ours/network.mjs')
    const { start } = await import('./ours/start.mjs')
    const runtime = await start(threads)
    const { peers, leftOut } = await loadPeers(peerModules, wanted, log, threads)
    const rows = []
    for (const name of names) {
      if (networks !== undefined && !networks.includes(name)) continue
      log(`forward: ${name}`)
      const size = createOurs(name, undefined)
      const image = randomNumbers(
        (size.model.input ?? []).reduce((product, extent) => product * extent, 1),
        1,
      )
      size.dispose()
      const ours = createOurs(name, image)
      const expected = ours.output()
      if (!expected.every(Number.isFinite)) throw new BenchError(`${name}: ours gives numbers that are not finite`)
      const network = networkOf(ours.model)
      /** @type {Record<string, import('./layers.mjs').Contender>} */
      const contenders = { ours }
      const findings = []
      for (const [peer, { createNetwork }] of Object.entries(peers)) {
        const contender = await createNetwork(network, image)
        findings.push(compareOutputs(name, expected, peer, await contender.output(), tolerance))
        contenders[peer] = contender
      }
      const calls = Object.fromEntries(Object.entries(contenders).map(([side, { run }]) => [side, run]))
      const timings = await measure(calls, {
        ...ofPasses,
        rounds,
        onRound: (round) => log(`forward: ${name}, round ${round}`),
      })
      const algorithm = algorithmsOfNetwork(ours.model, network, 1)
      for (const contender of Object.values(contenders)) await contender.dispose()
      const about = {
        bench: 'forward',
        case: name,
        family: 'network',
        algorithm,
        ...runtime,
        ...(Object.keys(leftOut).length > 0 ? { left_out: leftOut } : {}),
        checked: findings.length > 0 ? findings.join(', ') : undefined,
      }
      rows.push(toRow({ ...about, images: 1 }, timings))
    }
    return rows
  },
}
