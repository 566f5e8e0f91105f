// @ts-check
// One start of one side: imports it, reads the model's file, answers once, and prints the time and the peak memory of the process.
// Arguments: a task, as JSON.
import { readFileSync } from 'node:fs'
import { peakMegabytes } from '../lib/peak.mjs'
import { inputsFor } from './values.mjs'
import { peerModules } from './peers.mjs'

/**
 * @typedef {{
 *   side: string,
 *   model: import('./files.mjs').ModelFiles,
 *   extents: readonly import('./values.mjs').Extents[],
 *   threads: number,
 * }} StartTask
 * @typedef {{ milliseconds: number, megabytes: number }} Start
 */

/** @type {StartTask} */
const { side, model, extents, threads } = JSON.parse(process.argv[2] ?? '')
const inputs = inputsFor(extents)

const begin = performance.now()
if (side === 'ours') {
  const { init, tensor } = await import('../../dist/index.js')
  const { loadOnnx } = await import('../../dist/onnx.js')
  await init({ threads })
  const program = loadOnnx(readFileSync(model.onnx))
  const outputs = program.run(Object.fromEntries(inputs.map(({ name, shape, data }) => [name, tensor(data, shape)])))
  for (const output of Object.values(outputs)) output.data()
} else {
  const peer = await peerModules[side]?.()
  if (peer === undefined) throw new Error(`there is no peer ${side}`)
  peer.useThreads?.(threads)
  await (await peer.createModel(model, inputs)).outputs()
}
const milliseconds = performance.now() - begin
console.log(JSON.stringify({ milliseconds, megabytes: peakMegabytes() }))
process.exit()
