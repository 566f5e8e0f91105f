/**
 * A checkpoint of more than 2 GiB, which Node does not read in one piece, is written and read back: part of
 * `npm run test:large`. It takes 8 GiB of memory, 3 GB on the disk for temporary files, and a minute.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'

const folder = await mkdtemp(join(tmpdir(), 'toeplitz-large-'))
try {
  // The command is no entry of the package: what it uses is built for this test.
  const root = join(import.meta.dirname, '../..')
  const program = join(root, 'build/large/checkpoint.mjs')
  await build({
    stdin: {
      contents: `
        export { checkSize, readCheckpoint, restore, writeCheckpoint } from './src/cli/run/checkpoint.js'
        export { describeModel } from './src/io/model-file.js'
        export { trainDefaults } from './src/cli/settings.js'
        export { Linear, Sequential } from './src/nn/index.js'
        export { SGD } from './src/optim/sgd.js'
        export { init } from './src/runtime/embedded.js'`,
      resolveDir: root,
    },
    ...{ outfile: program, bundle: true, format: 'esm', platform: 'node', logLevel: 'warning' },
    packages: 'external',
  })
  const {
    checkSize,
    describeModel,
    readCheckpoint,
    restore,
    writeCheckpoint,
    trainDefaults,
    Linear,
    Sequential,
    SGD,
    init,
  } = await import(pathToFileURL(program).href)
  await init()
  const extent = 16_640
  const layer = new Linear({ outFeatures: extent, bias: false, weightInit: 'zeros' })
  const model = new Sequential([layer], { input: [extent] })
  const optimizer = new SGD(model.parameters(), { lr: 0.1, momentum: 0.9 })
  checkSize({ model, optimizer }, trainDefaults)
  const [weights] = model.parameters()
  const values = Float32Array.from({ length: extent * extent }, (_, i) => (i * 2654435761) % 65_521)
  weights.assign(values)

  const path = join(folder, 'checkpoint.safetensors')
  await writeCheckpoint(
    path,
    { model, optimizer },
    {
      settings: trainDefaults,
      description: describeModel(model, { name: 'large', normalization: { mean: 0, std: 1 }, classes: [] }),
      fit: { step: 1, sums: { examples: 0, loss: 0, metrics: {} } },
      data: { training: 1, digest: '0'.repeat(64) },
      seconds: 1,
      extended: [],
      metrics: { bytes: 0, sha256: '0'.repeat(64) },
    },
  )
  const { size } = await stat(path)
  assert.ok(size > 2 ** 31, `${size} bytes are not more than 2 GiB`)
  weights.assign(new Float32Array(values.length))
  restore(await readCheckpoint(path), model, optimizer)
  const read = weights.data()
  assert.ok(values.every((value, i) => value === read[i]))
  console.log(`a checkpoint of ${size} bytes: right`)
} finally {
  await rm(folder, { recursive: true, force: true })
}
