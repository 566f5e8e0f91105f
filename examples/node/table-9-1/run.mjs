/**
 * Table 9.1 of Goodfellow et al. with real shapes: trains and tests a network for each kind of data.
 *
 *   node examples/node/table-9-1/run.mjs NAME… [--save]
 *
 * Names: waveforms, spectrograms, movements, volumes, video, sizes. `--save` writes bench/results/table-9-1-NAME.json.
 */
import { parseArgs } from 'node:util'
import { writeFile } from 'node:fs/promises'
import { start } from './common.mjs'

const experiments = {
  waveforms: async () => (await import('./words.mjs')).waveforms(),
  spectrograms: async () => (await import('./words.mjs')).spectrograms(),
  movements: async () => (await import('./movements.mjs')).movements(),
  volumes: async () => (await import('./solids.mjs')).volumes(),
  video: async () => (await import('./video.mjs')).video(),
  sizes: async () => (await import('./sizes.mjs')).sizesOf(),
}
const { values, positionals } = parseArgs({ allowPositionals: true, options: { save: { type: 'boolean' } } })
const unknown = positionals.find((name) => !Object.hasOwn(experiments, name))
if (positionals.length === 0 || unknown !== undefined) {
  console.error(
    `usage: node examples/node/table-9-1/run.mjs NAME… [--save]; names: ${Object.keys(experiments).join(', ')}`,
  )
  process.exit(2)
}
await start()
for (const name of positionals) {
  const record = await experiments[name]()
  if (!values.save) continue
  const file = new URL(`../../../bench/results/table-9-1-${name}.json`, import.meta.url)
  await writeFile(file, `${JSON.stringify(record, null, 2)}\n`)
}
