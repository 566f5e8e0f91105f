// @ts-check
// Labels for every pixel (Goodfellow et al., section 9.6): trains networks on scenes of digits, measures them on scenes of other
// digits, refines their labels by neighbours, and draws what they give. docs/pixels.md is written from the results.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { networks } from './pixels/networks.mjs'

const usage = `usage: node bench/pixels.mjs train NETWORK [--epochs N] [--scenes N] [--threads N]
       node bench/pixels.mjs refine NETWORK [--epochs N] [--threads N]
       node bench/pixels.mjs picture

train     trains a network, writes its weights to runs/pixels and what it reaches to bench/results/pixels-NETWORK.json
refine    fits a graphical model of neighbouring labels to a trained network: bench/results/pixels-NETWORK-refined.json
picture   draws scenes with their labels and what the trained networks give: docs/images/pixels.png

Networks: ${Object.keys(networks).join(', ')}
`
const root = new URL('../', import.meta.url)
/** @param {string} name */
const weightsOf = (name) => new URL(`runs/pixels/${name}.safetensors`, root)

/** @param {string} text @returns {never} */
function fail(text) {
  process.stderr.write(`pixels: ${text}\n`)
  process.exit(2)
}

/** @param {string} name @param {object} record */
function save(name, record) {
  const file = new URL(`bench/results/pixels-${name}.json`, root)
  writeFileSync(file, `${JSON.stringify(record, null, 2)}\n`)
  console.log(`written to bench/results/pixels-${name}.json`)
}

/** A network with the weights of its training. @param {string} name */
export function trained(name) {
  const model = /** @type {import('./pixels/networks.mjs').Network} */ (networks[name]).make()
  try {
    model.load(readFileSync(weightsOf(name)), `runs/pixels/${name}.safetensors`)
  } catch (error) {
    fail(`${String(error)}; train it first: node bench/pixels.mjs train ${name}`)
  }
  return model
}

const { values, positionals } = (() => {
  try {
    const number = /** @type {const} */ ({ type: 'string' })
    return parseArgs({ allowPositionals: true, options: { epochs: number, scenes: number, threads: number } })
  } catch (error) {
    return fail(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
  }
})()
const [action = '', name = '', ...surplus] = positionals
const isKnown = action === 'picture' ? name === '' : Object.hasOwn(networks, name)
if (!['train', 'refine', 'picture'].includes(action) || !isKnown || surplus.length > 0) fail(usage)
/** @param {'epochs' | 'scenes' | 'threads'} option @param {number} otherwise */
function whole(option, otherwise) {
  const text = values[option]
  if (text === undefined) return otherwise
  if (!/^[1-9]\d{0,6}$/.test(text)) fail(`--${option} ${text}: expected a whole number from 1 on`)
  return Number(text)
}
const typed = Object.entries(values).map(([option, value]) => `--${option} ${value}`)
const command = ['node bench/pixels.mjs', ...positionals, ...typed].join(' ')

const { start } = await import('./ours/start.mjs')
const runtime = await start(whole('threads', 1))
const { describeMachine } = await import('./lib/machine.mjs')
const machine = { ...describeMachine([]), ...runtime }
if (action === 'train') {
  const { train } = await import('./pixels/train.mjs')
  const { model, ...record } = await train(name, { epochs: whole('epochs', 4), scenes: whole('scenes', 2500) })
  mkdirSync(new URL('runs/pixels/', root), { recursive: true })
  writeFileSync(weightsOf(name), model.save())
  save(name, { network: name, command, ...record, machine })
} else if (action === 'refine') {
  const { refineLabels } = await import('./pixels/refine.mjs')
  const record = await refineLabels(trained(name), { epochs: whole('epochs', 4) })
  save(`${name}-refined`, { network: name, command, ...record, machine })
} else {
  const { drawPicture } = await import('./pixels/picture.mjs')
  const picture = await drawPicture({ recurrent: trained('recurrent'), unet: trained('unet') })
  writeFileSync(new URL('docs/images/pixels.png', root), picture)
}
