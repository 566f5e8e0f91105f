// @ts-check
// The networks of the lecture at full size: a forward pass (time, and memory against the summary's prediction), the way
// through its files and back, and training steps at full width on a few real images until it knows them by heart. Each
// network runs in a process of its own.
//
//   node bench/networks.mjs --cifar DIR [--networks a,b] [--forward] [--save]     DIR: the binary version of CIFAR-10
//
// --forward leaves the training out, which takes minutes. --save puts what was measured in the place of what is saved of it.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

/**
 * Images in a training step, and the learning rate. Plain stacks of rectifiers start from He's variance here: a few dozen steps
 * would not leave the plateau that the papers' small Gaussians begin on.
 * @type {Record<string, { batch: number, lr: number, steps: number, weightInit?: 'he' }>}
 */
const networks = {
  alexnet: { batch: 8, lr: 0.01, steps: 60, weightInit: 'he' },
  zfnet: { batch: 4, lr: 0.01, steps: 60, weightInit: 'he' },
  vgg16: { batch: 4, lr: 0.01, steps: 60 },
  nin: { batch: 4, lr: 0.02, steps: 80 },
  googlenet: { batch: 4, lr: 0.03, steps: 80, weightInit: 'he' },
}

/** Training ends when the mean loss in use, without dropout, is below this: the geometric mean of the probabilities is 95 %. */
const KNOWN = 0.05

/**
 * The first images of different classes of CIFAR-10's first batch, enlarged eight times, cut to size, 0 to 1 less the mean.
 * @param {typeof import('../dist/index.js')} toeplitz
 * @param {string} folder
 * @param {number} count
 * @param {number} size
 */
function images(toeplitz, folder, count, size) {
  const { scope, slice, tensor, upsample2d } = toeplitz
  const bytes = readFileSync(join(folder, 'data_batch_1.bin'))
  /** @type {Map<number, Buffer>} */
  const byClass = new Map()
  for (let at = 0; byClass.size < count; at += 3073) {
    const label = bytes[at] ?? 0
    if (!byClass.has(label)) byClass.set(label, bytes.subarray(at + 1, at + 3073))
  }
  const labels = [...byClass.keys()]
  const pixels = Float32Array.from(
    [...byClass.values()].flatMap((image) => [...image]),
    (pixel) => pixel / 64 - 2,
  )
  const x = scope(() => {
    const large = upsample2d(tensor(pixels, [count, 3, 32, 32]), { scale: 8, mode: 'bilinear' })
    const begin = (256 - size) >> 1
    return slice(large, { begin: [0, 0, begin, begin], end: [count, 3, begin + size, begin + size] })
  })
  return { x, labels }
}

/**
 * @param {string} name
 * @param {string} folder
 * @param {boolean} forwardOnly
 */
async function measure(name, folder, forwardOnly) {
  const toeplitz = await import('../dist/index.js')
  const { createModel } = await import('../dist/zoo.js')
  const { accuracy, add, clipGradNorm, crossEntropy, init, memoryUsage, modelFromJSON, mul, scope, SGD, valueAndGrad } =
    toeplitz
  const { batch, lr, steps, weightInit } = networks[name] ?? { batch: 1, lr: 0.01, steps: 1 }
  await init()
  const MB = (/** @type {number} */ bytes) => Number((bytes / 1e6).toFixed(1))
  const seconds = (/** @type {() => void} */ run) => {
    const began = performance.now()
    run()
    return (performance.now() - began) / 1000
  }

  const network = createModel(name, { seed: 1 })
  const size = network.input?.[1] ?? 224
  const { memory } = network.summary().total
  const one = images(toeplitz, folder, 1, size)
  const forward = () => scope(() => void network.forward(one.x))
  const first = seconds(forward)
  const firstPeak = memoryUsage().peakBytes
  const later = [1, 2, 3, 4, 5].map(() => seconds(forward))
  const peak = memoryUsage().peakBytes
  const pass = {
    input: network.input,
    first_s: Number(first.toFixed(3)),
    ms: Number((1000 * Math.min(...later)).toFixed(1)),
    weights_MB: MB(memory.weights),
    packed_MB: MB(memory.packed),
    first_peak_MB: MB(firstPeak),
    first_peak_predicted_MB: MB(memory.firstPeak),
    peak_MB: MB(peak),
    peak_predicted_MB: MB(memory.peak),
    held_MB: MB(memoryUsage().reservedBytes),
  }
  process.stderr.write(`${name} ${JSON.stringify(pass)}\n`)

  // Through its files and back: the same bits.
  const answerOf = (/** @type {import('../dist/index.js').Graph} */ graph) =>
    scope(() => Buffer.from(graph.forward(one.x).data().buffer))
  const answer = answerOf(network)
  const [description, weights] = [JSON.stringify(network), network.save()]
  network.dispose()
  const copy = modelFromJSON(JSON.parse(description))
  copy.load(weights, name)
  if (!answer.equals(answerOf(copy))) throw new Error(`${name}: the model comes back from its files with other outputs`)
  const file = { weights_MB: MB(weights.byteLength), outputs: 'identical' }
  copy.dispose()
  one.x.dispose()
  if (forwardOnly) return { network: name, forward: pass, file }

  const model = createModel(name, { seed: 1, ...(weightInit ? { weightInit } : {}) })
  const { x, labels } = images(toeplitz, folder, batch, size)
  const optimizer = new SGD(model.parameters(), { lr, momentum: 0.9 })
  /** @type {number[]} */
  const losses = []
  const inUse = () =>
    scope(() => {
      const output = model.forward(x, { training: false })
      return { loss: crossEntropy(output, labels).item(), accuracy: accuracy(output, labels) }
    })
  const before = inUse()
  let after = before
  let total = 0
  while (losses.length < steps && after.loss > KNOWN) {
    total += seconds(() =>
      scope(() => {
        const lossAndGradients = valueAndGrad(() => {
          const { output, auxiliary } = model.forwardTraining(x, { seed: 1, step: losses.length })
          const main = crossEntropy(output, labels)
          return auxiliary.reduce((sum, head) => add(sum, mul(crossEntropy(head.output, labels), head.weight)), main)
        })
        const { value, gradients } = lossAndGradients(...model.parameters())
        losses.push(Number(value.item().toFixed(4)))
        // Clipped, so that the first steps from random weights do not throw them far away.
        optimizer.step(clipGradNorm(gradients, 1).gradients)
      }),
    )
    after = inUse()
    process.stderr.write(`${name} step ${losses.length}: ${losses.at(-1)}, in use ${after.loss.toFixed(4)}\n`)
  }
  const training = {
    batch,
    lr,
    momentum: 0.9,
    clip_norm: 1,
    weight_init: weightInit ?? 'default',
    steps: losses.length,
    s_per_step: Number((total / losses.length).toFixed(2)),
    peak_MB: MB(memoryUsage().peakBytes),
    losses,
    in_use_before: before,
    in_use_after: after,
  }
  return { network: name, forward: pass, file, training }
}

const { values } = parseArgs({
  options: {
    cifar: { type: 'string' },
    networks: { type: 'string' },
    forward: { type: 'boolean' },
    save: { type: 'boolean' },
    child: { type: 'string' },
  },
})
if (values.cifar === undefined) {
  process.stderr.write('networks: --cifar DIR is missing, the folder with data_batch_1.bin of CIFAR-10\n')
  process.exitCode = 2
} else if (values.child !== undefined) {
  process.stdout.write(JSON.stringify(await measure(values.child, values.cifar, values.forward === true)))
} else {
  const { describeMachine } = await import('./lib/machine.mjs')
  const names = values.networks?.split(',') ?? Object.keys(networks)
  const machine = describeMachine([])
  const results = names.map((name) => {
    const command = [
      fileURLToPath(import.meta.url),
      '--cifar',
      values.cifar ?? '',
      '--child',
      name,
      ...(values.forward ? ['--forward'] : []),
    ]
    const { stdout, status } = spawnSync(process.execPath, command, { stdio: ['ignore', 'pipe', 'inherit'] })
    if (status !== 0) throw new Error(`${name}: the process ended with ${status}`)
    return { ...JSON.parse(String(stdout)), machine }
  })
  const saved = new URL('results/networks.json', import.meta.url)
  /** @type {typeof results} */
  const before = values.save && existsSync(saved) ? JSON.parse(readFileSync(saved, 'utf8')) : []
  const merged = [...new Set([...Object.keys(networks), ...names])].flatMap((name) => {
    const found = [before, results].flatMap((rows) => rows.filter(({ network }) => network === name))
    return found.length > 0 ? [Object.assign({}, ...found)] : []
  })
  const text = `${JSON.stringify(merged, null, 2).replace(/\[\s+([-\d.,\s]+?)\s+\]/g, (_, list) => `[${list.replace(/\s+/g, ' ')}]`)}\n`
  process.stdout.write(text)
  if (values.save) {
    mkdirSync(new URL('results/', import.meta.url), { recursive: true })
    writeFileSync(saved, text)
  }
}
