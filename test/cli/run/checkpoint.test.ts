import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  checkSize,
  isCheckpoint,
  modelOf,
  readCheckpoint,
  restore,
  weightsOf,
  writeCheckpoint,
  type Progress,
} from '../../../src/cli/run/checkpoint.js'
import { trainDefaults } from '../../../src/cli/settings.js'
import { decodeSafetensors, encodeSafetensors, type SafetensorsInput } from '../../../src/formats/safetensors.js'
import { describeModel } from '../../../src/io/model-file.js'
import { Linear } from '../../../src/nn/index.js'
import { Sequential } from '../../../src/nn/sequential.js'
import { SGD } from '../../../src/optim/sgd.js'
import { init } from '../../../src/runtime/embedded.js'
import { FormatError } from '../../../src/runtime/errors.js'

const folder = mkdtempSync(join(tmpdir(), 'toeplitz-checkpoint-'))
const path = join(folder, 'checkpoint.safetensors')
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const place: Omit<Progress, 'optimizer' | 'description'> = {
  settings: { ...trainDefaults, data: 'my photos', earlyStopping: 2 },
  fit: { step: 7, sums: { examples: 3, loss: 1.5, metrics: { accuracy: 2 } }, best: { epoch: 1, value: 0.5 } },
  data: { training: 12, digest: 'ab'.repeat(32) },
  seconds: 1.25,
  extended: [],
  metrics: { bytes: 100, sha256: 'cd'.repeat(32) },
}

const make = () => {
  const model = new Sequential([new Linear({ outFeatures: 2 })], { input: [3], seed: 1 })
  return { model, optimizer: new SGD(model.parameters(), { lr: 0.1, momentum: 0.9 }) }
}

let progress: Omit<Progress, 'optimizer'>
let bytes: Uint8Array
let parts: ReturnType<typeof make>
beforeAll(async () => {
  await init()
  parts = make()
  const facts = { name: 'tiny', normalization: { mean: 0, std: 1 }, classes: ['a', 'b'] }
  progress = { ...place, description: describeModel(parts.model, facts) }
  await writeCheckpoint(path, { ...parts, best: weightsOf(parts.model) }, progress)
  bytes = Uint8Array.from(readFileSync(path))
})

async function refusal(content: Uint8Array): Promise<string> {
  writeFileSync(path, content)
  const error: unknown = await readCheckpoint(path)
    .then(
      (checkpoint) => {
        const { model, optimizer } = make()
        restore(checkpoint, model, optimizer)
      },
      (reason: unknown) => reason,
    )
    .catch((reason: unknown) => reason)
  if (error === undefined) return ''
  expect(error).toBeInstanceOf(FormatError)
  expect((error as Error).message).toMatch(/^[^\n]+$/)
  return (error as Error).message
}

describe('a checkpoint', () => {
  it('holds the run: weights, optimizer, the best weights and the place', async () => {
    writeFileSync(path, bytes)
    const checkpoint = await readCheckpoint(path)
    expect(checkpoint).toMatchObject({ ...progress, optimizer: { step: 0, lr: 0.1 } })
    const { model, optimizer } = make()
    const best = restore(checkpoint, model, optimizer)
    expect(best).toEqual(weightsOf(parts.model))
    expect(weightsOf(model)).toEqual(weightsOf(parts.model))
    expect(optimizer.state()).toEqual(parts.optimizer.state())
  })

  it('is a model, with the best weights where there are any', async () => {
    writeFileSync(path, bytes)
    expect(isCheckpoint(bytes)).toBe(true)
    const best = new Map(
      [...weightsOf(parts.model)].map(([name, { shape, data }]) => [
        name,
        { shape, data: data.map((value) => value + 1) },
      ]),
    )
    const other = changed((tensors) => best.forEach((tensor, name) => tensors.set(`best.${name}`, tensor)))
    for (const [content, weight] of [
      [other, best.get('0.weight')!.data],
      [changed(each('best', (tensors, name) => tensors.delete(name))), parts.model.parameters()[0]!.data()],
    ] as const) {
      writeFileSync(path, content)
      const { file, model } = modelOf(await readCheckpoint(path))
      expect(file).toEqual(progress.description)
      expect(model.parameters()[0]!.data()).toEqual(weight)
    }
    writeFileSync(path, changed(['description.classes', ['a']]))
    const damaged = await readCheckpoint(path)
    expect(() => modelOf(damaged)).toThrow(
      /description in its header: the model has outputs \(2\), but there are 1 classes/,
    )
  })

  it('is refused with any bit flipped, and cut or extended anywhere', async () => {
    expect(bytes.length).toBeLessThan(4000)
    for (let at = 0; at < bytes.length; at++) {
      const flipped = bytes.slice()
      flipped[at]! ^= 1 << (at % 8)
      expect(await refusal(flipped), `byte ${at}`).toContain(`${path}: `)
    }
    for (let length = 0; length < bytes.length; length += 97)
      expect(await refusal(bytes.subarray(0, length)), `${length} bytes`).toContain(`${path}: `)
    expect(await refusal(Buffer.concat([bytes, Buffer.alloc(8)]))).toContain(`${path}: `)
  })

  it('is refused without its checksum', async () => {
    const { tensors, metadata } = decodeSafetensors(bytes, 'checkpoint')
    const again = (checksum: boolean): Uint8Array =>
      encodeSafetensors(Object.fromEntries(tensors) as Record<string, SafetensorsInput>, metadata, { checksum })
    expect(await refusal(again(true))).toBe('')
    expect(await refusal(again(false))).toContain("expected 'toeplitz-checkpoint 5' and a checksum in its header")
  })

  type Tensors = Map<string, SafetensorsInput>

  /** The checkpoint with other tensors, or with another value at a place such as 'fit.step'; left out if undefined. */
  const changed = (change: ((tensors: Tensors) => void) | readonly [place: string, value: unknown]): Uint8Array => {
    const { tensors, metadata } = decodeSafetensors(bytes, 'checkpoint')
    const told = JSON.parse(metadata['progress']!) as Record<string, unknown>
    if (typeof change === 'function') change(tensors as Tensors)
    else {
      const names = change[0].split('.')
      const last = names.pop()!
      names.reduce((object, name) => object[name] as Record<string, unknown>, told)[last] = change[1]
    }
    const all = Object.fromEntries(tensors) as Record<string, SafetensorsInput>
    return encodeSafetensors(all, { ...metadata, progress: JSON.stringify(told) }, { checksum: true })
  }

  it.each<readonly [place: string, value: unknown, message: RegExp]>([
    ['fit.step', 1.5, /does not tell where the run stood/],
    ['fit.sums.loss', null, /does not tell where the run stood/],
    ['fit.best', 3, /does not tell where the run stood/],
    ['data.digest', 'x', /does not tell where the run stood/],
    ['metrics.bytes', -1, /does not tell where the run stood/],
    ['seconds', 'long', /does not tell where the run stood/],
    ['description', null, /does not tell where the run stood/],
    ['settings', [], /does not tell where the run stood/],
    ['settings.model', 'constructor', /--model is "constructor": /],
    ['settings.schedule', 'toString', /--schedule is "toString": It must be one of cosine/],
    ['settings.batchSize', -1, /--batch-size is -1: It must be a whole number/],
    ['settings.lr', '0.04', /--lr is "0.04": It is of another type/],
    ['settings.seed', undefined, /--seed is missing: /],
    ['settings.data', 1, /--data is 1: /],
    ['optimizer.step', -1, /loadState: step must be a whole number/],
  ])('is refused with %s of %j, though its checksum is right', async (place, value, message) => {
    expect(await refusal(changed([place, value]))).toMatch(message)
  })

  const each =
    (kind: string, change: (tensors: Tensors, name: string) => void) =>
    (tensors: Tensors): void => {
      for (const name of [...tensors.keys()].filter((key) => key.startsWith(kind))) change(tensors, name)
    }

  it.each<readonly [what: string, change: (tensors: Tensors) => void, message: RegExp]>([
    ['an optimizer state', each('optimizer', (tensors, name) => tensors.delete(name)), /loadState/],
    [
      'best weights',
      each('best', (tensors, name) => tensors.delete(name)),
      /the weights of the best epoch are missing/,
    ],
    [
      'shape of the best weights',
      each('best', (tensors, name) => tensors.set(name, { shape: [1], data: new Float32Array(1) })),
      /the weights do not match the model/,
    ],
    [
      'type of weights',
      each('model', (tensors, name) =>
        tensors.set(name, { shape: tensors.get(name)!.shape, data: new Int32Array(tensors.get(name)!.data.length) }),
      ),
      /is I32, not F32/,
    ],
  ])('is refused without the right %s, though its checksum is right', async (_, change, message) => {
    expect(await refusal(changed(change))).toMatch(message)
  })

  it('is refused before training where it could not be read back', () => {
    const settings = { ...trainDefaults, earlyStopping: 0 }
    checkSize(parts, settings, 2 ** 26 + 64)
    // 8 weights and as many velocities of 4 bytes, and 8 weights of the best epoch.
    expect(() => checkSize(parts, settings, 2 ** 26 + 63)).toThrow(
      /^a checkpoint of this run would take 0.1 GiB, and at most 0.1 GiB can be read back; choose a smaller model or --momentum 0$/,
    )
    checkSize(parts, { ...settings, earlyStopping: 1 }, 2 ** 26 + 96)
    expect(() => checkSize(parts, { ...settings, earlyStopping: 1 }, 2 ** 26 + 95)).toThrow('or --early-stopping 0')
  })
})
