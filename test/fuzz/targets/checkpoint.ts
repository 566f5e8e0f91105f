/** Checkpoints of `toeplitz train`: damaged anywhere, read by its own function and put into a model and an optimizer. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readCheckpoint, restore, weightsOf, writeCheckpoint } from '../../../src/cli/checkpoint.js'
import { trainDefaults } from '../../../src/cli/settings.js'
import type { Graph } from '../../../src/nn/graph.js'
import { modelFromJSON } from '../../../src/nn/registry.js'
import { SGD } from '../../../src/optim/sgd.js'
import { ToeplitzError } from '../../../src/runtime/errors.js'
import { mutateJson, oddJsonText, type Json } from '../mutate.js'
import type { Random } from '../random.js'
import { accepted, defineTarget, expect } from '../target.js'
import { isRightlySealed, mutateSafetensors, withoutSeal, withSeal } from './safetensors.js'

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

let folder = ''
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
  const { __metadata__: metadata, ...tensors } = header as { __metadata__: { [key: string]: string } } & { [key: string]: Json }
  if (random.chance(0.3) || metadata['progress'] === undefined) return mutateJson(header, random)
  const changed = mutateJson(JSON.parse(metadata['progress']) as Json, random)
  const text = random.chance(0.8) ? JSON.stringify(changed) : oddJsonText(changed, random)
  return { __metadata__: { ...metadata, progress: text }, ...tensors }
}

export default defineTarget<Uint8Array>({
  about: 'checkpoints of training: header, progress, tensors and bytes changed; read, and put into a model',
  cases: 400,
  readsFiles: true,
  async prepare() {
    folder = mkdtempSync(join(tmpdir(), 'toeplitz-fuzz-'))
    path = join(folder, 'checkpoint.safetensors')
    files = []
    for (const best of [undefined, { epoch: 1, value: 0.5 }]) {
      const { model, optimizer } = fresh()
      const sums = { examples: 10, loss: 3.5, metrics: { accuracy: 4 } }
      const parts = { model, optimizer, ...(best ? { best: weightsOf(model) } : {}) }
      await writeCheckpoint(path, parts, {
        settings: trainDefaults,
        fit: { step: 7, sums, ...(best ? { best } : {}) },
        data: { training: 100, digest: 'ab'.repeat(32) },
        seconds: 1.5,
        metrics: { bytes: 0, sha256: 'cd'.repeat(32) },
      })
      files.push(new Uint8Array(readFileSync(path)))
      optimizer.dispose()
      model.dispose()
    }
  },
  make(random) {
    const file = random.pick(files)
    if (random.chance(0.05)) return file
    if (random.chance(0.2)) return mutateSafetensors(file, random, changeProgress)
    // Whoever wants to deceive makes the checksum fit.
    const changed = mutateSafetensors(withoutSeal(file), random, changeProgress)
    return random.chance(0.9) ? withSeal(changed) : changed
  },
  async check(bytes) {
    writeFileSync(path, bytes)
    const checkpoint = await readCheckpoint(path)
    expect(isRightlySealed(bytes), 'a checkpoint without a checksum that fits is accepted')
    const { model, optimizer } = fresh()
    const before = stateOf(model, optimizer)
    try {
      restore(checkpoint, model, optimizer)
      expect([...model.namedState().values()].every((tensor) => tensor.data().every(Number.isFinite)), 'weights that are not finite')
      return accepted()
    } catch (error) {
      expect(!(error instanceof ToeplitzError) || stateOf(model, optimizer) === before, 'refused, but the model has changed')
      throw error
    } finally {
      optimizer.dispose()
      model.dispose()
    }
  },
})
