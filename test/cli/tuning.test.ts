/** `toeplitz train --from`: a trained model for the same classes and for others, frozen in part, resumed, and refused. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { TrainOptions } from '../../src/cli/actions.js'
import type { TrainSettings } from '../../src/cli/settings.js'
import { readTrainedModel } from '../../src/cli/trained.js'
import { encodePng } from '../../src/formats/png.js'
import { init } from '../../src/runtime/embedded.js'
import { faults, type Change, type Fault } from '../helpers/fileFaults.js'
import { bury, hashIn, tinyOptions, train, writeTinyData } from '../helpers/tinyRuns.js'

vi.mock('node:fs/promises', async (original) =>
  (await import('../helpers/fileFaults.js')).faultyPromises(await original()),
)

const root = mkdtempSync(join(tmpdir(), 'toeplitz-tuning-'))
const data = join(root, 'data')
const photos = join(root, 'photos')
const base = join(root, 'base')
let out: string
let number = 0

const layers = [
  { type: 'Flatten' },
  { type: 'Linear', outFeatures: 12 },
  { type: 'ReLU' },
  { type: 'Linear', outFeatures: 10 },
]

/** A run with these options as they are typed, beside those of all tiny runs. */
const run = (typed: Partial<TrainOptions> = {}): Promise<string> =>
  train({
    ...tinyOptions,
    ...{ model: 'convnet', dataDir: data, out, epochs: 1, batchSize: 8, earlyStopping: 0, lr: 0.04 },
    ...typed,
    given: new Set(Object.keys(typed) as (keyof TrainSettings)[]),
  })
const tuned = (typed: Partial<TrainOptions> = {}): Promise<string> => run({ from: base, ...typed })

/** Weights by name, and the classes, of a run that has ended. */
async function weightsIn(
  folder: string,
): Promise<{ weights: Map<string, Float32Array>; classes: readonly string[]; frozen: string[] }> {
  const { model, file } = await readTrainedModel(folder)
  const weights = new Map([...model.namedState()].map(([name, tensor]) => [name, tensor.data()]))
  const frozen = model.nodes.filter(({ layer }) => !layer.trainable && layer.tensors().size > 0).map(({ name }) => name)
  model.dispose()
  return { weights, classes: file.classes, frozen }
}

beforeAll(async () => {
  await init()
  writeTinyData(data)
  const file = join(root, 'net.json')
  writeFileSync(file, JSON.stringify({ type: 'Sequential', input: [1, 4, 4], layers }))
  for (const [name, at] of [
    ['left', 0],
    ['right', 3],
  ] as const)
    // prettier-ignore
    for (let n = 0; n < 25; n++) {
      mkdirSync(join(photos, name), { recursive: true })
      const pixels = Uint8Array.from({ length: 16 }, (_, i) => (i % 4 === at ? 200 + (n % 50) : (n * 7 + i) % 40))
      writeFileSync(join(photos, name, `${n}.png`), encodePng({ width: 4, height: 4, channels: 1, data: pixels }))
    }
  out = base
  await run({ model: file, epochs: 4, lr: 0.05 })
})
beforeEach(() => {
  out = join(root, `out-${number++}`)
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

describe('a trained model that goes on', () => {
  it('for other classes has a new last layer, and learns', async () => {
    const told = await tuned({ data: photos, epochs: 12 })
    expect(told).toMatch(/^learning rate 0\.003 \(--lr\), of the last layer 0\.03 \(--lr-head\)$/m)
    const [before, after] = [await weightsIn(base), await weightsIn(out)]
    expect([after.classes, after.frozen]).toEqual([['left', 'right'], []])
    expect(after.weights.get('3.weight')).toHaveLength(24)
    expect(after.weights.get('1.weight')).not.toEqual(before.weights.get('1.weight'))
    const result = JSON.parse(readFileSync(join(out, 'result.json'), 'utf8')) as { command: string; test_error: number }
    expect(result.command).toContain(`--from ${base} --lr-head 0.03`)
    expect(result.command).not.toContain('--model')
    expect(result.test_error).toBeLessThanOrEqual(0.2)
    expect(readFileSync(join(out, 'report.html'), 'utf8')).not.toContain('convnet')
    // Pictures are normalized as those that the model was trained on.
    const normalizationOf = (folder: string): unknown =>
      (JSON.parse(readFileSync(join(folder, 'model.json'), 'utf8')) as { normalization: unknown }).normalization
    expect(normalizationOf(out)).toEqual(normalizationOf(base))
  })

  it('with the last layer alone leaves all others to the bit', async () => {
    const told = await tuned({ data: photos, headOnly: true, epochs: 2 })
    expect(told).toMatch(/^the last layer alone learns, at 0\.03 \(--lr\)$/m)
    const [before, after] = [await weightsIn(base), await weightsIn(out)]
    expect(after.frozen).toEqual(['1'])
    expect(after.weights.get('1.weight')).toEqual(before.weights.get('1.weight'))
  })

  it('for the same classes keeps its last layer', async () => {
    await tuned({ freeze: '^3$', epochs: 1 })
    const [before, after] = [await weightsIn(base), await weightsIn(out)]
    expect(after.frozen).toEqual(['3'])
    expect(after.weights.get('3.weight')).toEqual(before.weights.get('3.weight'))
    expect(after.weights.get('1.weight')).not.toEqual(before.weights.get('1.weight'))
  })

  it('says that what was frozen stays, and lets it learn where that is asked for', async () => {
    out = join(root, 'frozen')
    await tuned({ freeze: '^1$', epochs: 1 })
    const frozen = out
    const before = await weightsIn(frozen)
    expect(before.frozen).toEqual(['1'])
    const stays = /; layers that are frozen in the model stay as they are \(--unfreeze lets them learn\)$/m
    out = join(root, 'still')
    expect(await tuned({ from: frozen, epochs: 1 })).toMatch(stays)
    const still = await weightsIn(out)
    expect(still.frozen).toEqual(['1'])
    expect(still.weights.get('1.weight')).toEqual(before.weights.get('1.weight'))
    out = join(root, 'thawed')
    expect(await tuned({ from: frozen, unfreeze: true, epochs: 6 })).not.toMatch(stays)
    const thawed = await weightsIn(out)
    expect(thawed.frozen).toEqual([])
    expect(thawed.weights.get('1.weight')).not.toEqual(before.weights.get('1.weight'))
    const { command } = JSON.parse(readFileSync(join(out, 'result.json'), 'utf8')) as { command: string }
    expect(command).toContain(' --unfreeze ')
    const whole = hashIn(out)
    // The layers that learn again do so in a run that goes on from its checkpoint, too.
    out = join(root, 'thawed-killed')
    const kill = (change: Change): Fault => (change.number >= 14 ? 'kill' : undefined)
    await faults.during(root, kill, () => tuned({ from: frozen, unfreeze: true, epochs: 6 })).catch(() => undefined)
    bury(out)
    await run({ resume: out, out: undefined! })
    expect(hashIn(out)).toBe(whole)
    // What a pattern names is frozen all the same.
    out = join(root, 'other')
    await tuned({ from: frozen, unfreeze: true, freeze: '^3$', epochs: 1 })
    expect((await weightsIn(out)).frozen).toEqual(['3'])
  })

  it('learns by every optimizer, and the same twice', async () => {
    for (const optimizer of ['adam', 'adamw', 'rmsprop', 'adagrad'] as const) {
      const hashes = []
      for (const half of ['a', 'b']) {
        out = join(root, `${optimizer}-${half}`)
        await tuned({ data: photos, optimizer, epochs: 1 })
        hashes.push(hashIn(out))
      }
      expect(hashes[0]).toBe(hashes[1])
    }
  })

  it('goes on after a kill to the bit, without the model that it began with', async () => {
    const gone = join(root, 'gone')
    out = gone
    await run({ model: join(root, 'net.json'), epochs: 4, lr: 0.05 })
    out = join(root, 'whole')
    expect(hashIn(gone)).toBe(hashIn(base))
    await tuned({ data: photos, from: gone, epochs: 6 })
    const whole = hashIn(out)
    out = join(root, 'killed')
    const kill = (change: Change): Fault => (change.number >= 14 ? 'kill' : undefined)
    await faults.during(root, kill, () => tuned({ data: photos, from: gone, epochs: 6 })).catch(() => undefined)
    bury(out)
    rmSync(gone, { recursive: true })
    await run({ resume: out, out: undefined! })
    expect(hashIn(out)).toBe(whole)
  })
})

describe('options that contradict one another', () => {
  it.each<[string, Partial<TrainOptions>, RegExp]>([
    [
      'a model of its own',
      { model: 'lenet5' },
      /^--model, --from .*: the trained model decides it; leave --model out$/,
    ],
    ['other first weights', { init: 'he' }, /^--init, --from/],
    ['another size', { imageSize: 8 }, /^--image-size, --from/],
    ['both ways to freeze', { headOnly: true, freeze: '1' }, /^--head-only, --freeze 1: give one of the two$/],
    [
      'the last layer alone and all',
      { headOnly: true, unfreeze: true },
      /^--head-only, --unfreeze: .*leave --unfreeze out$/,
    ],
    ['a rate of the last layer alone', { headOnly: true, lrHead: 0.1 }, /leave --lr-head out$/],
    ['a layer that there is not', { freeze: 'conv' }, /^--freeze conv: no layer of '0', '1', '2', '3' is meant/],
    ['all layers', { freeze: '.' }, /^--freeze \.: all layers would be frozen; leave some that are trained$/],
    ['a last layer that is frozen, at a rate', { freeze: '3', lrHead: 0.1 }, /group 0 means no layer that is trained/],
    [
      'freeze without a model',
      { from: 'none', freeze: '1' },
      /^--freeze: it is for a trained model that goes on; name it by --from$/,
    ],
    ['head-only without a model', { from: 'none', headOnly: true }, /^--head-only: it is for/],
    ['unfreeze without a model', { from: 'none', unfreeze: true }, /^--unfreeze: it is for/],
    ['a rate without a model', { from: 'none', lrHead: 0.1 }, /^--lr-head: it is for/],
    ['a folder without a model', { from: root }, /there is no model in the folder|no such file/],
    [
      'pictures of another size',
      { augment: 'crop=3' },
      /takes pictures of \(1, 4, 4\), and those of the data are \(1, 3, 3\)/,
    ],
  ])('%s are refused', async (_, typed, message) => {
    await expect(tuned({ ...typed })).rejects.toThrow(message)
  })
})
