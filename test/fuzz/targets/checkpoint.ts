/** Checkpoints of `toeplitz train`: damaged anywhere, read by its own function and put into a model and an optimizer. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readCheckpoint, restore, weightsOf, writeCheckpoint } from '../../../src/cli/run/checkpoint.js'
import { trainDefaults } from '../../../src/cli/settings.js'
import { describeModel } from '../../../src/io/model-file.js'
import type { Graph } from '../../../src/nn/graph.js'
import { modelFromJSON } from '../../../src/nn/registry.js'
import { SGD } from '../../../src/optim/sgd.js'
import { ToeplitzError } from '../../../src/runtime/errors.js'
import { mutateJson, oddJsonText, type Json } from '../mutate.js'
import type { Random } from '../random.js'
import { accepted, defineTarget, expect } from '../target.js'
import { isSealed, mutateSafetensors, resealed, sealFits, withoutSeal } from './safetensors.js'

const architecture = {
  type: 'Sequential',
  input: [1, 6, 6],
  layers: [
    { type: 'Conv2d', outChannels: 2, kernel: 3 },
    { type: 'BatchNorm2d' },
    { type: 'Flatten' },
    { type: 'Linear', outFeatures: 3 },
  ],
}

let path = ''
let files: Uint8Array[] = []

const fresh = (): { model: Graph; optimizer: SGD } => {
  const model = modelFromJSON(architecture)
  return { model, optimizer: new SGD(model.parameters(), { lr: 0.1, momentum: 0.9 }) }
}

/** Every number of a model and its optimizer. */
const stateOf = (model: Graph, optimizer: SGD): string =>
  JSON.stringify([
    [...model.namedState()].map(([name, tensor]) => [name, [...tensor.data()]]),
    Object.entries(optimizer.state().tensors).map(([name, { data }]) => [name, [...data]]),
    optimizer.state().numbers,
  ])

function changeProgress(header: Json, random: Random): Json {
  const { __metadata__: metadata, ...tensors } = header as { __metadata__: { [key: string]: string } } & {
    [key: string]: Json
  }
  if (random.chance(0.3) || metadata['progress'] === undefined) return mutateJson(header, random)
  const changed = mutateJson(JSON.parse(metadata['progress']) as Json, random)
  let text: string
  try {
    text = random.chance(0.8) ? JSON.stringify(changed) : oddJsonText(changed, random)
  } catch (error) {
    // What is nested too deep to be written is no case.
    if (!(error instanceof RangeError)) throw error
    text = metadata['progress']
  }
  return { __metadata__: { ...metadata, progress: text }, ...tensors }
}

export default defineTarget<Uint8Array>({
  about: 'checkpoints of training: header, progress, tensors and bytes changed; read, and put into a model',
  cases: 250,
  readsFiles: true,
  async prepare() {
    path = join(mkdtempSync(join(tmpdir(), 'toeplitz-fuzz-')), 'checkpoint.safetensors')
    files = []
    for (const best of [undefined, { epoch: 1, value: 0.5 }]) {
      const { model, optimizer } = fresh()
      const sums = { examples: 10, loss: 3.5, metrics: { accuracy: 4 } }
      await writeCheckpoint(
        path,
        { model, optimizer, ...(best ? { best: weightsOf(model) } : {}) },
        {
          settings: trainDefaults,
          description: describeModel(model, {
            name: 'm',
            normalization: { mean: 0, std: 1 },
            classes: ['a', 'b', 'c'],
          }),
          fit: { step: 7, sums, ...(best ? { best } : {}) },
          data: { training: 100, digest: '0'.repeat(64) },
          seconds: 1.5,
          extended: [],
          metrics: { bytes: 0, sha256: '1'.repeat(64) },
        },
      )
      files.push(new Uint8Array(readFileSync(path)))
      optimizer.dispose()
      model.dispose()
    }
  },
  make(random) {
    const file = random.pick(files)
    if (random.chance(0.05)) return file
    const how = random.below(10)
    if (how < 2) return mutateSafetensors(file, random, changeProgress)
    const changed = mutateSafetensors(withoutSeal(file), random, changeProgress)
    return how < 9 ? resealed(changed) : changed
  },
  async check(bytes) {
    writeFileSync(path, bytes)
    const checkpoint = await readCheckpoint(path)
    expect(isSealed(bytes) && sealFits(bytes), 'a checkpoint that its checksum does not fit is accepted')
    const { model, optimizer } = fresh()
    const before = stateOf(model, optimizer)
    try {
      restore(checkpoint, model, optimizer)
      expect(
        [...model.namedState().values()].every((tensor) => tensor.data().every(Number.isFinite)),
        'weights that are not finite',
      )
      return accepted()
    } catch (error) {
      expect(
        !(error instanceof ToeplitzError) || stateOf(model, optimizer) === before,
        'refused, but the model has changed',
      )
      throw error
    } finally {
      optimizer.dispose()
      model.dispose()
    }
  },
})
