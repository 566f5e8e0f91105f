/**
 * Priors on weights, measured: `toeplitzPenalty` from a dense layer to a convolution on signals; `MixturePrior` on a
 * layer whose weights are few values; and `StructuredConv2d` beside `Conv2d` on 100, 300 and 1000 pictures of MNIST.
 *
 *   node examples/node/priors.mjs [--part toeplitz|mixture|structured] [--data-dir DIR] [--seeds 3] [--out FILE]
 */
import { parseArgs } from 'node:util'
import { init } from 'toeplitz'
import { fitNormalization, imageExamples } from 'toeplitz/data'
import { loadMnist, writeFileAtomically } from 'toeplitz/node'
import { machineRecord } from './machine.mjs'
import { findShared, kernel } from './priors/mixture.mjs'
import { fewPictures } from './priors/structured.mjs'
import { sweepStrength } from './priors/toeplitz.mjs'

const { values } = parseArgs({
  options: {
    part: { type: 'string' },
    'data-dir': { type: 'string' },
    seeds: { type: 'string', default: '3' },
    out: { type: 'string' },
  },
})
const seeds = Array.from({ length: Number(values.seeds) }, (_, seed) => seed + 1)
const isAsked = (part) => values.part === undefined || values.part === part

await init()
const began = performance.now()
const data = await loadMnist(values['data-dir'])
const normalization = fitNormalization(data.training)
const unseen = imageExamples(data.test, normalization)
const result = {}
if (isAsked('toeplitz')) result.toeplitz = sweepStrength(seeds)
if (isAsked('mixture')) result.mixture = { kernel, rows: findShared(seeds) }
if (isAsked('structured')) result.structured = await fewPictures(data, normalization, unseen, { seeds, steps: 400 })
if (values.out) {
  const command = `node examples/node/priors.mjs --seeds ${seeds.length}`
  const seconds = Math.round((performance.now() - began) / 1000)
  await writeFileAtomically(
    values.out,
    `${JSON.stringify({ command, machine: machineRecord(), seconds, ...result }, null, 2)}\n`,
  )
}
