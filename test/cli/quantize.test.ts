/** `toeplitz quantize` writes what `quantizeToOnnx` makes of the model and its training pictures, and measures it as `evaluate` does. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { evaluateCommand } from '../../src/cli/evaluate.js'
import { runCli } from '../../src/cli/program.js'
import { quantizeCommand, quantizeDefaults, type LayerRow } from '../../src/cli/quantize.js'
import type { QuantizeCommandOptions, TrainOptions } from '../../src/cli/actions.js'
import { evaluationBatch, trainDefaults } from '../../src/cli/settings.js'
import { readTrainedModel } from '../../src/cli/trained.js'
import { imageExamples } from '../../src/data/images.js'
import { defaultLimits } from '../../src/formats/limits.js'
import { readOnnx, writeOnnx } from '../../src/formats/onnx.js'
import { encodePng } from '../../src/formats/png.js'
import { holdOut } from '../../src/data/dataset.js'
import { encodeModel } from '../../src/io/model-file.js'
import { loadOnnx, saveOnnx } from '../../src/models/onnx/index.js'
import { Conv2d, Flatten, Linear, ReLU, Sequential } from '../../src/nn/index.js'
import { loadMnist } from '../../src/node/mnist.js'
import { quantizeToOnnx } from '../../src/quant/index.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { argmax } from '../../src/train/metrics.js'
import { randomOf } from '../helpers/mutants.js'
import { train, writeTinyData } from '../helpers/tinyRuns.js'

const root = mkdtempSync(join(tmpdir(), 'toeplitz-quantize-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const dataDir = join(root, 'tiny')
const own = join(root, 'net.json')
const run = join(root, 'run')
const names = ['ape', 'bee', 'cat']
const photos = join(root, 'photos')
const defaults: QuantizeCommandOptions = {
  ...{ ...defaultLimits, ...quantizeDefaults, test: true, json: false, debug: false, dataDir },
  out: join(root, 'small.onnx'),
  force: true,
}

async function quantize(model: string, changes: Partial<QuantizeCommandOptions> = {}) {
  let [out, error] = ['', '']
  const streams = {
    stdout: { write: (text: string) => (out += text) },
    stderr: { write: (text: string) => (error += text) },
  }
  const code = await quantizeCommand(model, { ...defaults, ...changes }, streams)
  return { code, out, error }
}

interface Tested {
  readonly images: number
  readonly errors: number
  readonly test_error: number
}
interface Answer {
  readonly file: string
  readonly examples: number
  readonly bytes: { readonly float32: number; readonly int8: number }
  readonly test?: { readonly float32: Tested; readonly int8: Tested }
  readonly layers: readonly LayerRow[]
}
async function answer(model: string, changes: Partial<QuantizeCommandOptions> = {}): Promise<Answer> {
  return JSON.parse((await quantize(model, { json: true, ...changes })).out) as Answer
}

/** What evaluate says of the model on the data. */
async function evaluated(model: string, data: string): Promise<Tested> {
  let text = ''
  const options = { ...defaultLimits, batchSize: evaluationBatch, json: true, debug: false, dataDir }
  const streams = { stdout: { write: (line: string) => (text += line) }, stderr: { write: () => undefined } }
  await evaluateCommand(model, data, options, streams)
  return JSON.parse(text) as Tested
}

/** Noisy pictures of three shades. */
function writePhotos(): void {
  const random = randomOf(4)
  for (const [part, count] of [
    ['train', 60],
    ['test', 30],
  ] as const) {
    for (let n = 0; n < count; n++) {
      const folder = join(photos, part, names[n % 3]!)
      mkdirSync(folder, { recursive: true })
      const data = Uint8Array.from({ length: 8 * 8 * 3 }, () => 40 * (n % 3) + random(160))
      writeFileSync(join(folder, `${n}.png`), encodePng({ width: 8, height: 8, channels: 3, data }))
    }
  }
}

const layersOf = (): Sequential =>
  new Sequential(
    [
      new Conv2d({ outChannels: 16, kernel: 3, padding: 1 }),
      new ReLU(),
      new Conv2d({ outChannels: 16, kernel: 1 }),
      new ReLU(),
      new Flatten(),
      new Linear({ outFeatures: 10 }),
    ],
    { input: [1, 4, 4], seed: 3 },
  )

const trainOptions: TrainOptions = {
  ...trainDefaults,
  ...{ model: own, data: 'mnist', dataDir, epochs: 2, batchSize: 16, lr: 0.02, out: run, debug: false },
  given: new Set(['model', 'epochs', 'batchSize', 'lr'] as const),
}

beforeAll(async () => {
  writeTinyData(dataDir)
  writePhotos()
  const { init } = await import('../../src/runtime/embedded.js')
  await init()
  const model = layersOf()
  writeFileSync(own, JSON.stringify(model.toJSON()))
  model.dispose()
  await train(trainOptions)
})

describe('toeplitz quantize', () => {
  it('writes what quantizeToOnnx makes of the training pictures, byte for byte', async () => {
    const { code, out } = await quantize(run, { examples: 40 })
    expect(code).toBe(0)
    const { file, model } = await readTrainedModel(run)
    const { training } = await loadMnist(dataDir)
    const examples = imageExamples(holdOut(training, 9).training, file.preprocessing!)
    expect(examples.size).toBe(104)
    // Evenly spread over the 104 pictures that are trained with.
    const { x } = examples.batch(Int32Array.from({ length: 40 }, (_, n) => Math.floor((n * 104) / 40)))
    const due = quantizeToOnnx(model, [x])
    expect(readFileSync(defaults.out)).toEqual(Buffer.from(due))
    const bytes = saveOnnx(model).length
    x.dispose()
    model.dispose()
    expect(out).toMatch(/^layer +operator +computes in +why +int8, ms +float32, ms +signal \/ noise$/m)
    expect(out).toMatch(/^calibrated {3}with 40 training pictures$/m)
    const size = (count: number): string => count.toLocaleString('en-US')
    expect(out).toContain(`\nsize         ${size(bytes)} bytes in float32, ${size(due.length)} in int8 (`)
    expect(out.match(/^test error .* of 20 wrong\) in (float32|int8)$/gm)).toHaveLength(2)
    expect(out).toContain(`\nmodel        ${defaults.out}\n`)
  })

  it('measures before what evaluate measures, and after what the file computes', async () => {
    const { test, layers } = await answer(run, { layers: 'all' })
    const { errors, images, test_error } = await evaluated(run, 'mnist')
    expect(test!.float32).toEqual({ images, errors, test_error })
    const program = loadOnnx(readFileSync(defaults.out))
    const { file, model } = await readTrainedModel(run)
    const { x } = imageExamples((await loadMnist(dataDir)).test, file.preprocessing!).batch(
      Int32Array.from({ length: 20 }, (_, n) => n),
    )
    const y = program.forward(x)
    // The class of a tiny picture is its number.
    const wrong = [...argmax(y)].filter((predicted, n) => predicted !== n % 10).length
    expect(test!.int8).toEqual({ images: 20, errors: wrong, test_error: wrong / 20 })
    expect(layers.map(({ operator, computes }) => `${operator} ${computes}`)).toEqual([
      'Conv int8',
      'Conv int8',
      'Gemm int8',
    ])
    for (const { why, signal_to_noise } of layers) {
      expect(why).toBe('--layers all')
      expect(signal_to_noise).toBeGreaterThan(100)
    }
    for (const each of [x, y, program, model]) each.dispose()
  })

  it('says of each layer what it computes in and why; --skip leaves layers in float32', async () => {
    const fastest = await answer(run, { test: false })
    expect(fastest.test).toBeUndefined()
    for (const { operator, computes, why, int8_ms, float32_ms } of fastest.layers) {
      const isFaster = int8_ms! <= float32_ms!
      if (operator === 'Conv') expect(computes).toBe(isFaster ? 'int8' : 'float32')
      expect(why).toBe(
        operator === 'Gemm' ? 'linear layers do' : isFaster ? 'faster so' : 'faster so; weights stored as int8',
      )
    }
    const named = fastest.layers.map(({ layer }) => layer)
    const skipped = await answer(run, { layers: 'all', skip: `^${named[0]}$` })
    expect(skipped.layers.map(({ layer }) => layer)).toEqual(named)
    expect(skipped.layers[0]).toEqual({
      ...{ layer: named[0], operator: 'Conv', computes: 'float32', why: '--skip' },
      ...{ int8_ms: null, float32_ms: null, signal_to_noise: null },
    })
    expect(skipped.layers.slice(1).map(({ computes }) => computes)).toEqual(['int8', 'int8'])
    await expect(quantize(run, { skip: 'nothing' })).rejects.toThrow(
      `--skip nothing: no layer is called so; there are ${named[0]}`,
    )
  })

  it('takes a model.json, a whole file, and pictures of a folder', async () => {
    const byFile = async (file: string): Promise<Buffer> => {
      await quantize(file, { data: 'mnist', test: false })
      return readFileSync(defaults.out)
    }
    expect(await byFile(join(run, 'model.json'))).toEqual(await byFile(join(run, 'model.safetensors')))
    const out = join(root, 'run-photos')
    await train({
      ...{ ...trainOptions, model: 'linear', data: photos, out, imageSize: 8, lr: 0.01 },
      given: new Set(['epochs', 'lr', 'imageSize', 'batchSize'] as const),
    })
    const { test, examples, layers } = await answer(out, { examples: 1000 })
    const { errors, images } = await evaluated(out, photos)
    expect(test!.float32).toMatchObject({ errors, images: 30 })
    expect(images).toBe(30)
    expect(examples).toBeLessThan(60)
    expect(layers.map(({ operator }) => operator)).toEqual(['Gemm'])
  })

  it('takes an .onnx file, with what becomes of its pictures', async () => {
    const { file, model } = await readTrainedModel(run)
    const [onnx, { normalization }] = [join(root, 'own.onnx'), file.preprocessing!]
    writeFileSync(onnx, saveOnnx(model))
    model.dispose()
    const how = { mean: [normalization.mean].flat(), std: [normalization.std].flat() }
    const given = await answer(onnx, { ...how, data: 'mnist' })
    expect(given.test).toEqual((await answer(run)).test)
    await expect(quantize(onnx)).rejects.toThrow(
      /^no data is given to calibrate with, and what .*own\.onnx was trained on is not known; name a data set or a folder by --data$/,
    )
    await expect(quantize(run, { scale: 1 })).rejects.toThrow(/^--scale: .* knows what becomes of its pictures/)
    await expect(quantize(onnx, { ...how, mean: [1, 2], data: 'mnist' })).rejects.toThrow(
      /^--mean: there are 2 numbers/,
    )
    await expect(quantize(onnx, { data: 'mnist', out: onnx })).rejects.toThrow(/is the model that is quantized/)
    await expect(quantize(defaults.out, { ...how, data: 'mnist', out: join(root, 'twice.onnx') })).rejects.toThrow(
      /small\.onnx: is quantized already; give the model that it was made of$/,
    )
    const stored = readOnnx(readFileSync(onnx), 'own')
    const weights = stored.graph.initializers.find(({ dims }) => dims.length === 4)!
    const broken = Float32Array.from({ length: weights.dims.reduce((a, b) => a * b, 1) }, () => NaN)
    const initializers = stored.graph.initializers.map((each) =>
      each === weights
        ? { name: each.name, dims: each.dims, elementType: 1, rawData: new Uint8Array(broken.buffer) }
        : each,
    )
    writeFileSync(onnx, writeOnnx({ ...stored, graph: { ...stored.graph, initializers } }))
    await expect(quantize(onnx, { data: 'mnist' })).rejects.toThrow(
      /own\.onnx: the weights '.*' have numbers that are not finite; quantize a model that has none$/,
    )
  })

  it('refuses what it cannot quantize, in one line, and writes nothing then', async () => {
    const out = join(root, 'refused.onnx')
    const refused = (model: string, message: RegExp, changes: Partial<QuantizeCommandOptions> = {}) =>
      expect(quantize(model, { out, force: false, ...changes })).rejects.toThrow(message)
    const plain = join(root, 'plain.safetensors')
    const model = new Sequential([new Flatten(), new ReLU()], { input: [1, 4, 4], seed: 1 })
    const facts = { name: 'plain', normalization: { mean: 0, std: 1 }, classes: Array.from('abcdefghijklmnop') }
    writeFileSync(plain, encodeModel(model, facts))
    model.dispose()
    const live = memoryUsage().liveBytes
    await refused(plain, /^quantize: no layer computes in integers; convolutions and linear layers/, {
      ...{ data: 'mnist', test: false },
    })
    await refused(plain, /^no data is given to calibrate with/)
    await refused(plain, /^mnist: its classes are not those of the model \(a, b, c,/, { data: 'mnist' })
    await refused(run, /nowhere: no such directory$/, { data: join(root, 'nowhere') })
    await refused(run, /classes/, { data: photos })
    await refused(run, /^--out .*\.bin: the file is one of ONNX; give a name that ends in \.onnx$/, {
      out: join(root, 'a.bin'),
    })
    await refused(run, /^--out .*: there is no folder .*nowhere; make it first$/, {
      out: join(root, 'nowhere', 'a.onnx'),
    })
    await refused(run, /small\.onnx: the file exists; give another name, or replace it with --force$/, {
      out: defaults.out,
    })
    await refused(run, /is in the folder of the data/, { data: photos, out: join(photos, 'small.onnx') })
    // Pictures of a published set are taken as they are.
    const large = join(root, 'large')
    mkdirSync(large)
    for (const name of ['train', 't10k'])
      for (const what of ['images-idx3-ubyte', 'labels-idx1-ubyte']) {
        const bytes = readFileSync(join(dataDir, `${name}-${what}`))
        // Twice the rows, of half the width.
        if (what.startsWith('images')) bytes.set([0, 0, 0, 8, 0, 0, 0, 2], 8)
        writeFileSync(join(large, `${name}-${what}`), bytes)
      }
    await refused(run, /^--data mnist: its pictures are \(1, 8, 2\), and .* takes \(1, 4, 4\); give the data that it/, {
      dataDir: large,
    })
    expect(memoryUsage().liveBytes).toBe(live)
    expect(existsSync(out)).toBe(false)
  })

  it('refuses weights that are not finite', async () => {
    const broken = join(root, 'broken.safetensors')
    const model = layersOf()
    const weight = [...model.namedState().values()][0]!
    weight.assign(weight.data().fill(Infinity, 0, 1))
    writeFileSync(
      broken,
      encodeModel(model, { name: 'b', normalization: { mean: 0, std: 1 }, classes: Array.from('abcdefghij') }),
    )
    model.dispose()
    await expect(quantize(broken, { data: 'mnist' })).rejects.toThrow(/0\.weight has values that are not finite$/)
  })

  it('has defaults, and passes every option on', async () => {
    const parsed = async (...argv: string[]) => {
      const calls: unknown[][] = []
      let error = ''
      const actions = { quantize: (...given: unknown[]) => (calls.push(given), Promise.resolve(undefined)) }
      const streams = { stdout: { write: () => undefined }, stderr: { write: (text: string) => (error += text) } }
      const code = await runCli(['quantize', ...argv], actions as never, streams)
      return { code, calls, error }
    }
    const { maxPixels, maxBytes } = trainDefaults
    const limits = { maxPixels, maxBytes }
    const least = {
      examples: 128,
      layers: 'fastest',
      batchSize: evaluationBatch,
      test: true,
      json: false,
      debug: false,
    }
    expect((await parsed('run', '--out', 'a.onnx')).calls).toEqual([['run', { ...least, ...limits, out: 'a.onnx' }]])
    const words =
      'run --out a.onnx --data d --data-dir e --examples 7 --layers all --skip ^c --force --no-test --batch-size 3 --scale 0.5 --mean 1,2,3 --std 4 --strict --json'
    expect((await parsed(...words.split(' '))).calls[0]![1]).toEqual({
      ...{ ...limits, out: 'a.onnx', data: 'd', dataDir: 'e', examples: 7, layers: 'all', skip: '^c', force: true },
      ...{ test: false, batchSize: 3, scale: 0.5, mean: [1, 2, 3], std: [4], strict: true, json: true, debug: false },
    })
    for (const argv of [
      ['run'],
      ['--out', 'a.onnx'],
      ['run', 'more', '--out', 'a.onnx'],
      ['run', '--out', 'a.onnx', '--layers', 'some'],
      ['run', '--out', 'a.onnx', '--skip', '('],
    ]) {
      const { code, error } = await parsed(...argv)
      expect(code).toBe(2)
      expect(error.trim().split('\n')).toHaveLength(1)
    }
  })
})
