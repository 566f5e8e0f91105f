/** What the experiments of table 9.1 share: training, testing and the record of both. */
import { availableParallelism } from 'node:os'
import { accuracy, Adam, crossEntropy, evaluate, fit, init, schedule, scope } from 'toeplitz'
import { machineRecord } from '../machine.mjs'

/** Loads the core with two threads, or one where there is one core. The bits are the same. */
export const start = () => init({ threads: Math.min(2, availableParallelism()) })

/** Numbers from 0 to 1 for places of the generator that are not to depend on anything else: mulberry32, whole numbers alone. */
export function random(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let word = Math.imul(state ^ (state >>> 15), 1 | state)
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32
  }
}

/**
 * Trains a model by Adam with a rate that falls to 0, and tests it once, at the end. `output` makes scores (N, K) of what the model
 * gives.
 *
 * @returns the record of it, as bench/results keeps them
 */
export async function trainAndTest(
  model,
  { name, data, training, test, classes, epochs, batchSize = 50, lr, output = (y) => y },
) {
  const began = performance.now()
  const optimizer = new Adam(model.parameters(), { lr })
  // Each group has a last batch, which may not be full.
  const steps = epochs * (Math.ceil(training.size / batchSize) + new Set(training.groups).size)
  const measured = {
    loss: (y, target) => crossEntropy(output(y), target),
    metrics: { accuracy: (y, target) => accuracy(output(y), target) },
  }
  const run = fit(model, training, {
    ...{ ...measured, epochs, batchSize, optimizer, seed: 1 },
    schedule: schedule.cosine({ lr, steps }),
  })
  const curve = []
  for await (const event of run) {
    if (event.type !== 'epoch') continue
    const { loss, metrics } = event.training
    curve.push({ epoch: event.epoch, loss, accuracy: metrics.accuracy })
    console.log(`${name}, epoch ${event.epoch}: loss ${loss.toFixed(4)}, accuracy ${percent(metrics.accuracy)}`)
  }
  const labels = { found: [], due: [] }
  const { loss, metrics } = await evaluate(model, test, {
    ...measured,
    batchSize: 100,
    onBatch(y, target) {
      const values = scope(() => output(y).data())
      const K = classes.length
      target.forEach((label, n) => {
        const row = values.subarray(n * K, (n + 1) * K)
        labels.found.push(row.indexOf(Math.max(...row)))
        labels.due.push(label)
      })
    },
  })
  const seconds = Math.round((performance.now() - began) / 100) / 10
  const errors = labels.due.filter((label, n) => label !== labels.found[n]).length
  console.log(`${name}: ${percent(metrics.accuracy)} of ${test.size} test examples, in ${seconds} s`)
  return {
    name,
    command: `node examples/node/table-9-1/run.mjs ${name} --save`,
    data,
    model: model.nodes.map(({ layer }) => layer.type).join(' '),
    parameters: model.parameters().reduce((sum, { size }) => sum + size, 0),
    input: [...training.shape],
    classes,
    training: { examples: training.size, epochs, batch_size: batchSize, lr, seed: 1 },
    test: { examples: test.size, errors, loss, accuracy: metrics.accuracy },
    confusion: confusionOf(labels, classes.length),
    epochs: curve,
    seconds,
    machine: machineRecord(),
  }
}

/** How many examples of a class (row) were taken for which (column). */
function confusionOf({ found, due }, K) {
  const table = Array.from({ length: K }, () => new Array(K).fill(0))
  due.forEach((label, n) => table[label][found[n]]++)
  return table
}

const percent = (share) => `${(100 * share).toFixed(2)} %`
