/** What training saw is what use sees: `toeplitz predict` and `loadClassifier` beside the test pass, on random folders. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encode } from 'jpeg-js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadClassifier } from '../../src/classifier/index.js'
import { loadData } from '../../src/cli/data.js'
import { factsOf } from '../../src/cli/models.js'
import { readTrainedModel } from '../../src/cli/trained.js'
import { predictCommand } from '../../src/cli/predict.js'
import type { PredictOptions, TrainOptions } from '../../src/cli/actions.js'
import { trainDefaults } from '../../src/cli/settings.js'
import { imageExamples } from '../../src/data/images.js'
import { decodeImage } from '../../src/formats/decode.js'
import { defaultLimits } from '../../src/formats/limits.js'
import { fits } from '../../src/io/planar.js'
import { encodePng, type PngImage } from '../../src/formats/png.js'
import { crossEntropy } from '../../src/ops/loss.js'
import { softmax } from '../../src/ops/softmax.js'
import { evaluate } from '../../src/train/fit.js'
import { exifData, jpegWith, pngWith } from '../helpers/exif.js'
import { mutate, randomOf } from '../helpers/mutants.js'
import { train, writeTinyData } from '../helpers/tinyRuns.js'

const root = mkdtempSync(join(tmpdir(), 'toeplitz-predict-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const options: TrainOptions = {
  ...trainDefaults,
  ...{ model: 'linear', epochs: 1, batchSize: 4, lr: 0.01, debug: false },
  given: new Set(['epochs', 'lr', 'imageSize']),
}

const defaults: PredictOptions = { ...defaultLimits, batchSize: 250, csv: false, json: false, debug: false }

async function predict(model: string, images: readonly string[], changes: Partial<PredictOptions> = {}) {
  let [out, error] = ['', '']
  const code = await predictCommand(
    model,
    images,
    { ...defaults, ...changes },
    { stdout: { write: (text) => (out += text) }, stderr: { write: (text) => (error += text) } },
  )
  return { code, out, error }
}

interface Answer {
  readonly image: string
  readonly label: string
  readonly probability: number
  readonly top: readonly { readonly label: string; readonly probability: number }[]
}

async function answers(model: string, images: readonly string[], changes: Partial<PredictOptions> = {}) {
  const { code, out, error } = await predict(model, images, { json: true, ...changes })
  expect({ code, error }).toEqual({ code: 0, error: '' })
  return JSON.parse(out) as Answer[]
}

/** A random picture: of a class's shade, on a light or a dark ground, grey, coloured or transparent. */
function picture(random: (below: number) => number, label: number): PngImage {
  const [width, height] = [1 + random(30), 1 + random(30)]
  const channels = (1 + random(4)) as PngImage['channels']
  const ground = random(2) * 200
  const data = Uint8Array.from({ length: width * height * channels }, () => (ground + 60 * label + random(50)) % 256)
  return { width, height, channels, data }
}

/** The file of a picture, of some format and orientation. */
function fileOf(
  random: (below: number) => number,
  image: PngImage,
): { readonly end: string; readonly bytes: Uint8Array } {
  const exif = exifData(1 + random(8), random(2) === 1)
  switch (random(4)) {
    case 0:
      return { end: 'png', bytes: encodePng(image) }
    case 1:
      return { end: 'PNG', bytes: pngWith(exif, image) }
    case 2:
      return { end: 'jpg', bytes: jpegWith(exif, image, 80) }
    default: {
      const rgba = Uint8Array.from({ length: image.width * image.height * 4 }, () => random(256))
      return { end: 'jpeg', bytes: new Uint8Array(encode({ ...image, data: rgba }, 90).data) }
    }
  }
}

function writeFolder(directory: string, seed: number): void {
  const random = randomOf(seed)
  for (let n = 0; n < 30; n++) {
    const label = n % 3
    const { end, bytes } = fileOf(random, picture(random, label))
    const folder = join(directory, ['ape', 'bee', 'cat'][label]!)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, `${n}.${end}`), bytes)
  }
}

const cases = Array.from({ length: 12 }, (_, seed) => {
  const random = randomOf(seed)
  const imageSize = 6 + random(8)
  const augment = ['none', 'flip', `crop=${imageSize - random(5)}`, 'shift=2,brightness=0.2'][seed % 4]!
  return { seed, imageSize, augment, fit: fits[seed % 3]!, model: seed % 5 === 4 ? 'two-layer' : 'linear' }
})

describe('what the test pass saw', () => {
  it.each(cases)('is what predict and loadClassifier see: $model, $fit to $imageSize, $augment', async (it) => {
    const folder = join(root, String(it.seed))
    writeFolder(join(folder, 'data'), it.seed)
    const settings = { ...options, ...it, data: join(folder, 'data') }
    const run = join(folder, 'run')
    await train({ ...settings, out: run })
    // The test pass, as training has it.
    const data = await loadData(settings.data, { ...settings, onSkip: (error) => expect(error).toBeUndefined() })
    const { model } = await readTrainedModel(run)
    const { classes, preprocessing } = factsOf(settings, data)
    const { files = [] } = data.test as { files?: readonly string[] }
    expect(files).toHaveLength(5)
    const seen = async (batchSize: number): Promise<number[][]> => {
      const found: number[][] = []
      await evaluate(model, imageExamples(data.test, preprocessing), {
        ...{ batchSize, loss: crossEntropy },
        onBatch(output, _, indices) {
          const values = [...softmax(output).data()]
          for (const n of indices.keys())
            found[indices[n]!] = values.slice(n * classes.length, (n + 1) * classes.length)
        },
      })
      return found
    }
    const byClass = (top: Answer['top']): number[] =>
      classes.map((label) => top.find((prediction) => prediction.label === label)!.probability)
    const whole = await seen(250)
    const classifier = await loadClassifier(new Uint8Array(readFileSync(join(run, 'model.safetensors'))))
    expect(classifier.preprocessing).toEqual(preprocessing)
    const images = files.map((file) => decodeImage(new Uint8Array(readFileSync(file)), file))
    for (const batchSize of [250, 2]) {
      const expected = await seen(batchSize)
      const top = classes.length
      const told = await answers(run, files, { batchSize, top })
      expect(told.map(({ top }) => byClass(top))).toEqual(expected)
      expect(told.map(({ image }) => image)).toEqual(files)
      const batches = Array.from({ length: Math.ceil(5 / batchSize) }, (_, n) =>
        classifier.predictBatch(images.slice(n * batchSize, (n + 1) * batchSize), { top }),
      )
      expect(batches.flat().map(byClass)).toEqual(expected)
      expected.forEach((row, n) => row.forEach((value, c) => expect(value).toBeCloseTo(whole[n]![c]!, 5)))
    }
    // The errors that training printed are those of the labels that predict gives.
    const { test } = JSON.parse(readFileSync(join(run, 'result.json'), 'utf8')) as { test: { errors: number } }
    const told = await answers(run, files)
    const errors = told.filter(({ label }, n) => label !== classes[data.test.labels[n]!]).length
    expect(errors).toBe(test.errors)
    classifier.dispose()
    model.dispose()
  })
})

describe('toeplitz predict', () => {
  const run = join(root, 'run')
  const folder = join(root, 'pictures')
  beforeAll(async () => {
    writeFolder(folder, 99)
    await train({ ...options, data: folder, imageSize: 8, out: run })
  })

  it('reads folders, whole and below, in the order of the arguments and of names', async () => {
    const more = join(root, 'more')
    for (const name of ['b/c/2.png', 'b/1.png', 'a.png', '.hidden/3.png', 'b/notes.txt']) {
      mkdirSync(join(more, name, '..'), { recursive: true })
      writeFileSync(join(more, name), encodePng({ width: 2, height: 2, channels: 1, data: new Uint8Array(4) }))
    }
    symlinkSync('..', join(more, 'b/up'))
    symlinkSync('c', join(more, 'b/again'))
    const { code, out, error } = await predict(run, [join(more, 'b/1.png'), more], { json: true, batchSize: 2 })
    const names = ['b/1.png', 'a.png', 'b/1.png', 'b/again/2.png', 'b/c/2.png'].map((name) => join(more, name))
    expect((JSON.parse(out) as Answer[]).map(({ image }) => image)).toEqual(names)
    expect(error.split('\n')).toEqual([
      `toeplitz: ${more}/b/up: is a link to a folder that it lies in; remove it`,
      `note: left out 1 file in the folder, such as ${more}/b/notes.txt: names of pictures end in .png, .jpg, .jpeg`,
      '',
    ])
    expect(code).toBe(1)
  })

  it('prints the most probable, more of them, or comma-separated values', async () => {
    const image = join(root, 'a "b", c.png')
    writeFileSync(image, encodePng({ width: 2, height: 2, channels: 1, data: new Uint8Array(4) }))
    const [{ label, probability, top } = { label: '', probability: 0, top: [] }] = await answers(run, [image])
    expect(top).toHaveLength(3)
    expect(top[0]).toEqual({ label, probability })
    expect([...top].sort((a, b) => b.probability - a.probability)).toEqual(top)
    const percent = top.map(({ probability }) => `${(100 * probability).toFixed(1)} %`)
    const words = (text: string): string[] => text.trim().split(/ {2,}/)
    expect(words((await predict(run, [image])).out)).toEqual([image, label, percent[0]])
    expect(words((await predict(run, [image], { top: 2 })).out)).toEqual([
      ...[image, label, percent[0], top[1]!.label, percent[1]],
    ])
    const quoted = `"${image.replaceAll('"', '""')}"`
    expect((await predict(run, [image, 'none.png'], { csv: true })).out).toBe(
      `image,label,probability\n${quoted},${label},${probability}\n`,
    )
    expect((await predict(run, [image], { csv: true, top: 2 })).out).toBe(
      `image,label,probability,label_2,probability_2\n${quoted},${label},${probability},${top[1]!.label},${top[1]!.probability}\n`,
    )
  })

  it('takes the folder of a run, its files, and the checkpoint of one that is not finished', async () => {
    const image = join(root, 'one.png')
    writeFileSync(image, encodePng({ width: 3, height: 2, channels: 3, data: new Uint8Array(18).fill(90) }))
    const expected = await answers(run, [image])
    for (const name of ['model.json', 'model.safetensors']) {
      expect(await answers(join(run, name), [image])).toEqual(expected)
    }
    const { Run } = await import('../../src/cli/run/run.js')
    const data = await loadData(folder, { ...options, imageSize: 8, onSkip: () => undefined })
    const { model } = await readTrainedModel(run)
    const { SGD } = await import('../../src/optim/sgd.js')
    const out = join(root, 'interrupted')
    const settings = { ...options, data: folder, imageSize: 8, out }
    const open = await Run.open(settings, () => undefined)
    await open.begin({ data, model, optimizer: new SGD(model.parameters(), { lr: 0.1 }) }, false)
    open.close()
    for (const place of [out, join(out, 'checkpoint.safetensors')]) {
      const told = await predict(place, [image], { json: true })
      expect(told).toMatchObject({
        code: 0,
        error: `note: ${out}/checkpoint.safetensors: the run stands at step 0; its model is used\n`,
      })
      expect(JSON.parse(told.out)).toEqual(expected)
    }
  })

  it('answers for the sound ones among damaged ones, whatever is wrong with these', async () => {
    const random = randomOf(4)
    const sound = encodePng(picture(random, 1))
    const files = Array.from({ length: 40 }, (_, n) => {
      const file = join(root, `mutant-${n}.png`)
      writeFileSync(file, n % 4 === 0 ? sound : mutate(sound, random))
      return file
    })
    const { code, out, error } = await predict(run, [...files, root, '/dev/null'], { json: true, maxPixels: 2000 })
    const told = (JSON.parse(out) as Answer[]).map(({ image }) => image)
    expect(code).toBe(1)
    for (const [n, file] of files.entries()) {
      if (n % 4 === 0) expect(told).toContain(file)
      if (!told.includes(file)) expect(error).toContain(`toeplitz: ${file}: `)
    }
    expect(error).toContain('/dev/null: is a device')
  })

  it('keeps to digits that are light on dark for MNIST, and for no other model', async () => {
    const mnist = join(root, 'mnist')
    writeTinyData(mnist)
    const digits = join(root, 'digits')
    await train({ ...options, data: 'mnist', dataDir: mnist, out: digits })
    const { file } = await readTrainedModel(digits)
    expect(file.preprocessing).toMatchObject({ invert: 'light-background', fit: 'contain', size: [4, 4] })
    const dark = Uint8Array.from({ length: 16 }, (_, i) => (i === 5 ? 200 : 3))
    const names = [dark, dark.map((value) => 255 - value)].map((data, n) => {
      const name = join(root, `ground-${n}.png`)
      writeFileSync(name, encodePng({ width: 4, height: 4, channels: 1, data }))
      return name
    })
    const [one, other] = await answers(digits, names)
    expect(other!.top).toEqual(one!.top)
    const [plain, inverted] = await answers(run, names)
    expect(inverted!.top).not.toEqual(plain!.top)
  })

  it('reads a model of float16, and answers nearly as by float32', async () => {
    const { encodeModel } = await import('../../src/io/model-file.js')
    const { file, model } = await readTrainedModel(run)
    const { name, classes, preprocessing } = file
    const half = join(root, 'half.safetensors')
    writeFileSync(half, encodeModel(model, { name, classes, preprocessing: preprocessing! }, { dtype: 'float16' }))
    const image = join(root, 'half.png')
    writeFileSync(image, encodePng({ width: 4, height: 4, channels: 1, data: Uint8Array.from({ length: 16 }, (_, i) => i * 16) })) // prettier-ignore
    const [[whole], [rounded]] = [await answers(run, [image]), await answers(half, [image])]
    expect(rounded!.top[0]!.label).toBe(whole!.top[0]!.label)
    expect(Math.abs(rounded!.top[0]!.probability - whole!.top[0]!.probability)).toBeLessThan(0.01)
    model.dispose()
  })

  it('refuses a model that takes no pictures', async () => {
    const { encodeModel } = await import('../../src/io/model-file.js')
    const { Linear, Sequential } = await import('../../src/nn/index.js')
    const model = new Sequential([new Linear({ outFeatures: 2 })], { input: [3], seed: 1 })
    const path = join(root, 'numbers.safetensors')
    const facts = { name: 'numbers', normalization: { mean: 0, std: 1 }, classes: ['a', 'b'] }
    writeFileSync(path, encodeModel(model, facts))
    await expect(predict(path, ['x.png'])).rejects.toThrow(
      'numbers: the model takes (3), no pictures of 1 or 3 channels',
    )
  })
})
