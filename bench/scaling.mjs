// @ts-check
// The same work on one thread and on several, by turns in one process: both see the same machine, whose second core may
// be faster or slower from minute to minute.
import { measure } from './lib/measure.mjs'
import { randomNumbers } from './lib/random.mjs'
import { toRow } from './lib/row.mjs'
import { cases, dataFor, nameOf } from './train-step.mjs'

const forward = ['lenet5', 'alexnet', 'googlenet', 'vgg16']
const training = cases.map(({ model, input }) => nameOf(model, input))

/** @type {import('./run.mjs').Bench} */
export const bench = {
  description: 'forward passes and training steps on several threads (default: 2) beside the same on one',
  peers: [],
  options: ['network', 'threads'],
  networks: [...new Set([...forward, ...training])],
  async run({ networks, threads = 2, rounds, log }) {
    const { algorithmsOfNetwork } = await import('./ours/algorithms.mjs')
    const { createNetwork, networkOf } = await import('./ours/network.mjs')
    const { createOurs } = await import('./ours/train-step.mjs')
    const { start } = await import('./ours/start.mjs')
    const runtime = await start(threads)
    const wanted = (/** @type {string} */ name) => networks === undefined || networks.includes(name)
    /** @type {import('./lib/row.mjs').Row[]} */
    const rows = []

    /**
     * @param {string} name
     * @param {string} family
     * @param {{ algorithm: string, run: () => unknown, dispose?: () => void }} work
     */
    const compare = async (name, family, { algorithm, run, dispose }) => {
      log(`scaling: ${name}`)
      // Workers are new after every change: the first call is for them.
      const on = (/** @type {number} */ count) => async () => {
        await start(count)
        run()
      }
      const timings = await measure(
        { ours: run, 'one thread': run },
        {
          before: { ours: on(threads), 'one thread': on(1) },
          rounds,
          fewestRounds: 5,
          mostRounds: 15,
          budgetMilliseconds: 12_000,
          onRound: (round) => log(`scaling: ${name}, round ${round}`),
        },
      )
      dispose?.()
      rows.push(toRow({ bench: 'scaling', case: name, family, algorithm, ...runtime }, timings))
    }

    for (const name of forward.filter(wanted)) {
      const size = createNetwork(name, undefined)
      const pixels = (size.model.input ?? []).reduce((product, extent) => product * extent, 1)
      size.dispose()
      const { model, run, dispose } = createNetwork(name, randomNumbers(pixels, 1))
      const algorithm = algorithmsOfNetwork(model, networkOf(model), 1)
      await compare(name, 'network', { algorithm, run, dispose })
    }
    for (const item of cases.filter(({ model, input }) => wanted(nameOf(model, input)))) {
      const { ours, algorithm } = createOurs(item, { ...dataFor(item, item.batch), batch: item.batch })
      await compare(`${item.name}, batch ${item.batch}`, 'training', { algorithm, run: ours.step, ...disposable(ours) })
    }
    return rows
  },
}

/** @param {import('./train-step.mjs').Contender} contender */
const disposable = ({ dispose }) => (dispose === undefined ? {} : { dispose })
