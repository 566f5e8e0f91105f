/** `toeplitz features`, on pictures of a few pixels. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { featureMethods, type FeaturesOptions } from '../../src/cli/actions.js'
import { evaluateCommand } from '../../src/cli/evaluate.js'
import { featureDefaults, featuresCommand } from '../../src/cli/features.js'
import { runCli } from '../../src/cli/program.js'
import { trainDefaults } from '../../src/cli/settings.js'
import { decodePng } from '../../src/formats/png.js'
import { Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential } from '../../src/nn/index.js'
import { decodeModel } from '../../src/io/model-file.js'
import { hashIn, namesIn, tinyOptions, train, writeTinyData } from '../helpers/tinyRuns.js'

const folder = mkdtempSync(join(tmpdir(), 'toeplitz-features-'))
const dataDir = join(folder, 'data')
beforeAll(() => {
  writeTinyData(dataDir)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const { imageSize, fit, maxPixels, maxBytes } = trainDefaults
const tiny: FeaturesOptions = {
  ...{ ...featureDefaults, imageSize, fit, maxPixels, maxBytes, dataDir },
  ...{ filters: 6, size: 2, grid: 3, patches: 300, epochs: 30, batchSize: 13, lr: 0.02 },
}
const left = ['features.json', 'filters.png', 'model.json', 'model.safetensors']

async function run(options: Partial<FeaturesOptions> & { readonly out: string }): Promise<string> {
  const stdout = new PassThrough()
  const { patches, ...rest } = { ...tiny, ...options }
  const isLearned = rest.method === 'kmeans' || rest.method === 'sparse'
  expect(await featuresCommand({ ...rest, ...(isLearned && patches ? { patches } : {}) }, { stdout })).toBe(0)
  return String(stdout.read())
}

interface Record {
  readonly command: string
  readonly filters: number[]
  readonly learning?: { layer: string; errors: number[]; activity?: number }[]
  readonly test_error: number
  readonly epochs: { trainingAccuracy: number }[]
  readonly sha256: string
}
const recordIn = (out: string): Record => JSON.parse(readFileSync(join(out, 'features.json'), 'utf8')) as Record

describe('every method', () => {
  it.each(featureMethods)(
    '%s leaves a model that evaluate takes, its filters and a record, the same each time',
    async (method) => {
      const out = join(folder, method)
      const text = await run({ method, out, size: 3, grid: 2 })
      expect(text).toContain(
        `${method} filters for single-layer on mnist: 104 training, 9 validation, 20 test images; results in ${out}`,
      )
      expect(text).toMatch(/^test error +\d+\.\d\d % {2}\(\d+ of 20 wrong\)$/m)
      expect(namesIn(out)).toEqual(left)
      const record = recordIn(out)
      expect(record.filters).toEqual([6, 1, 3, 3])
      expect(record.sha256).toBe(hashIn(out))
      expect(record.command).toMatch(
        new RegExp(`^toeplitz features --method ${method} --model single-layer --data mnist `),
      )
      // What learns makes something small; what does not says nothing of it.
      const learns = ['kmeans', 'sparse', 'autoencoder', 'rbm'].includes(method)
      expect(record.learning?.map(({ layer }) => layer)).toEqual(learns ? ['0'] : undefined)
      for (const { errors, activity } of record.learning ?? []) {
        expect(errors.length).toBeGreaterThan(method === 'autoencoder' ? 0 : 1)
        for (const error of errors) expect(error).toBeGreaterThan(0)
        // Four steps are too few for the machine, which test/features watches for longer.
        if (method !== 'rbm') expect(errors.at(-1)).toBeLessThanOrEqual(errors[0]!)
        if (method === 'rbm') expect(activity).toBeGreaterThan(0)
        else expect(activity).toBeUndefined()
      }
      // The place of a bright pixel is not all lost in the averages.
      expect(record.epochs.at(-1).trainingAccuracy).toBeGreaterThan(0.25)
      expect(decodePng(new Uint8Array(readFileSync(join(out, 'filters.png'))), 'filters').width).toBeGreaterThan(8)
      const { model } = decodeModel(new Uint8Array(readFileSync(join(out, 'model.safetensors'))), 'model')
      expect(model.layers.map(({ trainable }) => trainable)).toEqual([false, false, false, false, true, true])
      model.dispose()
      let told = ''
      const stream = { write: (part: string) => (told += part) }
      const options = { batchSize: 20, maxPixels, maxBytes, dataDir, json: true, debug: false }
      await evaluateCommand(out, 'mnist', options, { stdout: stream, stderr: stream })
      expect((JSON.parse(told) as { test_error: number }).test_error).toBe(record.test_error)
      await run({ method, out, size: 3, grid: 2, force: true })
      expect(recordIn(out).sha256).toBe(record.sha256)
    },
  )
})

describe('models', () => {
  it('of a file are filled layer by layer, and trained behind the last convolution', async () => {
    const own = new Sequential(
      [
        new Conv2d({ outChannels: 4, kernel: 2 }),
        new ReLU(),
        new Conv2d({ outChannels: 5, kernel: 2 }),
        new ReLU(),
        new MaxPool2d({ kernel: 2 }),
        new Flatten(),
        new Linear({ outFeatures: 7 }),
        new ReLU(),
        new Linear({ outFeatures: 10 }),
      ],
      { input: [1, 4, 4] },
    )
    const model = join(folder, 'net.json')
    writeFileSync(model, JSON.stringify(own))
    const { filters: _, size: __, grid: ___, ...rest } = tiny
    for (const method of ['kmeans', 'autoencoder', 'random'] as const) {
      const out = join(folder, `net-${method}`)
      const stdout = new PassThrough()
      const options = { ...rest, method, model, out, epochs: 3, patches: 200 }
      expect(await featuresCommand(options, { stdout })).toBe(0)
      const text = String(stdout.read())
      expect(text).toContain('features of 104 images: 5 numbers each')
      if (method === 'kmeans') expect(text).toContain('layer 2, round 10: ')
    }
    own.dispose()
  })

  it('without a convolution, or with filters of their own, are refused', async () => {
    const { filters: _, size: __, grid: ___, ...rest } = tiny
    const out = join(folder, 'none')
    const stdout = new PassThrough()
    await expect(featuresCommand({ ...rest, model: 'linear', out }, { stdout })).rejects.toThrow(
      /^the model has no two-dimensional convolution/,
    )
    await expect(featuresCommand({ ...rest, model: 'linear', filters: 3, out }, { stdout })).rejects.toThrow(
      /^--filters 3: only the network single-layer can be told; linear has filters of its own/,
    )
    expect(namesIn(out)).toEqual([])
  })
})

describe('folders', () => {
  it('with features are replaced by --force alone', async () => {
    const out = join(folder, 'twice')
    await run({ method: 'random', out, epochs: 1 })
    const stdout = new PassThrough()
    await expect(featuresCommand({ ...tiny, method: 'random', out }, { stdout })).rejects.toThrow(
      /holds features \(features.json\); choose another folder, or replace them with --force$/,
    )
  })

  it('with a training run are left alone', async () => {
    const out = join(folder, 'run')
    await train({ ...tinyOptions, dataDir, out, epochs: 1 })
    const before = hashIn(out)
    const stdout = new PassThrough()
    for (const force of [false, true]) {
      await expect(featuresCommand({ ...tiny, method: 'random', out, force }, { stdout })).rejects.toThrow(
        /holds a training run; choose another folder$/,
      )
    }
    expect(hashIn(out)).toBe(before)
  })
})

describe('the command line', () => {
  /** Exit code and what was said of a command line whose action takes notes. */
  async function typed(...argv: string[]) {
    const calls: FeaturesOptions[] = []
    let [stdout, stderr] = ['', '']
    const features = (options: FeaturesOptions): Promise<number> => Promise.resolve(calls.push(options) * 0)
    const code = await runCli(['features', ...argv], { features } as never, {
      stdout: { write: (text) => (stdout += text) },
      stderr: { write: (text) => (stderr += text) },
    })
    return { code, stdout, stderr, options: calls[0] }
  }

  it('has defaults, and takes numbers', async () => {
    expect((await typed()).options).toEqual({ ...featureDefaults, imageSize, fit, maxPixels, maxBytes })
    const { options } = await typed('--method', 'rbm', '--filters', '9', '--active', '0.1', '--pretrain-epochs', '3')
    expect(options).toMatchObject({ method: 'rbm', filters: 9, active: 0.1, pretrainEpochs: 3 })
  })

  it.each([
    [['--method', 'pca'], /'--method <name>' argument 'pca'.*kmeans, random, gabor, dog, autoencoder, rbm, sparse/],
    [['--filters', '0'], /'--filters <count>' argument '0'/],
    [['--active', '0'], /'--active <share>' argument '0'/],
    [['--epochs', '1.5'], /'--epochs <count>' argument '1.5'/],
  ])('%j is wrong usage', async (argv, message) => {
    const { code, stderr } = await typed(...argv)
    expect(code).toBe(2)
    expect(stderr).toMatch(message)
    expect(stderr.trimEnd()).not.toContain('\n')
  })

  it('has help', async () => {
    const { code, stdout } = await typed('--help')
    expect(code).toBe(0)
    for (const method of featureMethods) expect(stdout).toContain(method)
    expect(stdout).toContain('Examples:')
  })
})
