/**
 * Pooling that is learned, in three experiments: maxout units that become |x|, x² and a step; units over three filters that learn
 * invariance to rotation on turned digits (figure 9.9); and the largest, the mean, learned weights and clusters of responses as the
 * pooling of one network, on MNIST.
 *
 *   node examples/node/pooling.mjs [--part shapes|rotation|compare] [--data-dir DIR] [--epochs 3] [--seeds 2] [--pictures 10000] [--out FILE]
 *
 * --out writes the figures, and with them docs/images/rotation-filters.png and rotation-digits.png; `node docs/results.mjs` draws and tables them.
 */
import { parseArgs } from 'node:util'
import { init } from 'toeplitz'
import { encodePng } from 'toeplitz/io'
import { loadMnist, writeFileAtomically } from 'toeplitz/node'
import { gray, tileGrid } from 'toeplitz/vision'
import { machineRecord } from './machine.mjs'
import { comparePoolings } from './pooling/compare.mjs'
import { angles, learnRotation } from './pooling/rotation.mjs'
import { fitShapes } from './pooling/shapes.mjs'

const { values } = parseArgs({
  options: {
    part: { type: 'string' },
    'data-dir': { type: 'string' },
    epochs: { type: 'string', default: '3' },
    seeds: { type: 'string', default: '2' },
    pictures: { type: 'string', default: '10000' },
    out: { type: 'string' },
  },
})
const [epochs, count, pictures] = [values.epochs, values.seeds, values.pictures].map(Number)
const isAsked = (part) => values.part === undefined || values.part === part

await init()
const began = performance.now()
const data = await loadMnist(values['data-dir'])
const result = {}
if (isAsked('shapes')) result.shapes = fitShapes()
if (isAsked('rotation')) {
  const { filters, rows, pictures: turned } = await learnRotation(data, epochs)
  result.rotation = { epochs, rows }
  if (values.out) {
    const zoom = 4
    const folder = new URL('../../docs/images/', import.meta.url)
    const draw = (name, count, shown, options) =>
      writeFileAtomically(
        new URL(name, folder).pathname,
        encodePng(tileGrid({ shape: [count, 28, 28], values: shown }, { zoom, columns: count, gap: 4, ...options })),
      )
    await draw('rotation-filters.png', 3, filters, {})
    await draw('rotation-digits.png', angles.length, turned, { range: 'positive', palette: gray })
  }
}
if (isAsked('compare')) {
  const seeds = Array.from({ length: count }, (_, seed) => seed + 1)
  result.compare = { pictures, epochs, rows: await comparePoolings(data, { pictures, epochs, seeds }) }
}
if (values.out) {
  const command = `node examples/node/pooling.mjs --epochs ${epochs} --seeds ${count} --pictures ${pictures}`
  const seconds = Math.round((performance.now() - began) / 1000)
  await writeFileAtomically(
    values.out,
    `${JSON.stringify({ command, machine: machineRecord(), seconds, ...result }, null, 2)}\n`,
  )
}
