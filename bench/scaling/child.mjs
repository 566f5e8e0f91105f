// @ts-check
// Writes the rows of the bench to stdout. Arguments: threads; then rounds, or 0; then names of networks, or none for all.
import { names as forward } from '../forward.mjs'
import { measure } from '../lib/measure.mjs'
import { randomNumbers } from '../lib/random.mjs'
import { toRow } from '../lib/row.mjs'
import { algorithmsOfNetwork } from '../ours/algorithms.mjs'
import { createNetwork, networkOf } from '../ours/network.mjs'
import { start } from '../ours/start.mjs'
import { createOurs } from '../ours/train-step.mjs'
import { cases, dataFor, nameOf } from '../train-step.mjs'

const [threads = 2, rounds = 0] = process.argv.slice(2, 4).map(Number)
const networks = process.argv.slice(4)
const wanted = (/** @type {string} */ name) => networks.length === 0 || networks.includes(name)
const log = (/** @type {string} */ line) => void process.stderr.write(`scaling: ${line}\n`)
const runtime = await start(threads)
/** @type {import('../lib/row.mjs').Row[]} */
const rows = []

/**
 * @param {string} name
 * @param {string} family
 * @param {{ algorithm: string, run: () => unknown, dispose?: () => void }} work
 */
const compare = async (name, family, { algorithm, run, dispose }) => {
  log(name)
  // Workers are new after every change: the first call is for them.
  const on = (/** @type {number} */ count) => async () => {
    await start(count)
    run()
  }
  const timings = await measure(
    { ours: run, 'one thread': run },
    {
      before: { ours: on(threads), 'one thread': on(1) },
      rounds: rounds || undefined,
      fewestRounds: 5,
      mostRounds: 15,
      budgetMilliseconds: 12_000,
      onRound: (round) => log(`${name}, round ${round}`),
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
  await compare(`${item.name}, batch ${item.batch}`, 'training', { algorithm, ...ours, run: ours.step })
}
process.stdout.write(JSON.stringify(rows))
