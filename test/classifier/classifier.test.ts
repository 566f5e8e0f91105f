import { createServer, type Server } from 'node:http'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { loadClassifier, PictureClassifier, type PictureSource } from '../../src/classifier/index.js'
import { preprocess } from '../../src/data/images.js'
import { encodeModel } from '../../src/io/model-file.js'
import { plainPreprocessing, type Preprocessing } from '../../src/io/preprocessing.js'
import { Flatten, Linear, Sequential } from '../../src/nn/index.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { FormatError, ShapeError, ToeplitzError, UnsupportedError } from '../../src/runtime/errors.js'

const folder = mkdtempSync(join(tmpdir(), 'toeplitz-classifier-'))
const path = join(folder, 'model.safetensors')
const classes = ['red', 'green', 'blue', 'grey']
const preprocessing: Preprocessing = plainPreprocessing([3, 2, 2], { mean: 0.5, std: 0.25 })
let bytes: Uint8Array
let server: Server
let address: string

beforeAll(async () => {
  await init()
  const model = new Sequential([new Flatten(), new Linear({ outFeatures: 4 })], { input: [3, 2, 2], seed: 3 })
  bytes = encodeModel(model, { name: 'colours', preprocessing, classes })
  model.dispose()
  writeFileSync(path, bytes)
  server = createServer((request, response) => {
    response.writeHead(request.url === '/model.safetensors' ? 200 : 404)
    response.end(request.url === '/model.safetensors' ? bytes : 'not here')
  }).listen(0)
  await new Promise((done) => server.once('listening', done))
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => {
  server.close()
  rmSync(folder, { recursive: true, force: true })
})
afterEach(() => vi.unstubAllGlobals())

const picture = { width: 3, height: 2, channels: 3, data: Uint8Array.from({ length: 18 }, (_, i) => i * 13) } as const

async function withClassifier<Result>(use: (classifier: PictureClassifier) => Result): Promise<Result> {
  const classifier = await loadClassifier(bytes)
  try {
    return use(classifier)
  } finally {
    classifier.dispose()
  }
}

describe('loadClassifier', () => {
  it('takes bytes, a Blob, a Response, an address, a path and a file URL, with the same answers', async () => {
    const expected = await withClassifier((classifier) => classifier.predict(picture))
    const sources = [
      () => bytes.slice().buffer,
      () => new Blob([bytes.slice()]),
      () => fetch(`${address}/model.safetensors`),
      () => `${address}/model.safetensors`,
      () => new URL(`${address}/model.safetensors`),
      () => path,
      () => pathToFileURL(path),
      () => pathToFileURL(path).href,
    ]
    for (const source of sources) {
      const classifier = await loadClassifier(await source())
      expect(classifier).toMatchObject({ name: 'colours', classes, preprocessing })
      expect(classifier.predict(picture)).toEqual(expected)
      classifier.dispose()
    }
    expect(memoryUsage().liveBytes).toBe(0)
  })

  it('takes a model of float16: half the bytes, and nearly the same answers', async () => {
    const model = new Sequential([new Flatten(), new Linear({ outFeatures: 4 })], { input: [3, 2, 2], seed: 3 })
    const half = encodeModel(model, { name: 'colours', preprocessing, classes }, { dtype: 'float16' })
    model.dispose()
    const expected = await withClassifier((classifier) => classifier.predict(picture))
    const classifier = await loadClassifier(half)
    for (const [i, { label, probability }] of classifier.predict(picture).entries()) {
      expect(label).toBe(expected[i]!.label)
      expect(probability).not.toBe(expected[i]!.probability)
      expect(Math.abs(probability - expected[i]!.probability)).toBeLessThan(0.01)
    }
    classifier.dispose()
  })

  it.each<[string, () => unknown, string, RegExp]>([
    ['an address without a file', () => `${address}/none`, 'FILE', /none: the model cannot be had: the answer is 404/],
    ['an answer that is none', () => fetch(`${address}/none`), 'FILE', /the answer is 404; check the address/],
    [
      'a server that is not there',
      () => 'http://127.0.0.1:1/x',
      'FILE',
      /^http:\/\/127\.0\.0\.1:1\/x: the model cannot/,
    ],
    ['a path without a file', () => join(folder, 'none'), 'FILE', /none: the model cannot be had: ENOENT/],
    ['a folder', () => folder, 'FILE', /: is a folder; load the model\.safetensors in it$/],
    ['an address of no scheme that is known', () => 'blub:x', 'FILE', /^blub:x: the model cannot be had: /],
    ['a file that is cut short', () => bytes.subarray(0, 500), 'FORMAT', /^the model: /],
    ['a model.json', () => new TextEncoder().encode('{"format": 1}'), 'FORMAT', /is JSON; load the whole model/],
    [
      'a header of 123 bytes',
      () => Uint8Array.of(0x7b, ...new Uint8Array(90)),
      'FORMAT',
      /^the model: the header takes 123 bytes/,
    ],
    [
      'a picture',
      () => Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 0]),
      'FORMAT',
      /^the model: is a PNG, and no model; load the model\.safetensors of a run, and give pictures to predict\(\)$/,
    ],
    [
      'no bytes',
      () => new Uint8Array(0),
      'FORMAT',
      /^the model: the file is empty; load the model\.safetensors of a run/,
    ],
    ['nothing', () => undefined, 'SHAPE', /expected an address, bytes .* or a Blob, given undefined/],
    ['an object', () => ({}), 'SHAPE', /expected an address, bytes .* given an object/],
  ])('refuses %s in one line', async (_, source, code, message) => {
    const error: unknown = await loadClassifier((await source()) as string).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(ToeplitzError)
    expect((error as ToeplitzError).code).toBe(code)
    expect((error as Error).message).toMatch(message)
    expect((error as Error).message).not.toContain('\n')
    expect(memoryUsage().liveBytes).toBe(0)
  })

  it('refuses a model that takes no pictures, and leaves nothing behind', async () => {
    const model = new Sequential([new Linear({ outFeatures: 2 })], { input: [5], seed: 1 })
    const facts = { name: 'numbers', normalization: { mean: 0, std: 1 }, classes: ['a', 'b'] }
    const file = encodeModel(model, facts)
    model.dispose()
    await expect(loadClassifier(file)).rejects.toThrow(UnsupportedError)
    await expect(loadClassifier(file)).rejects.toThrow('numbers: the model takes (5), no pictures of 1 or 3 channels')
    expect(memoryUsage().liveBytes).toBe(0)
  })
})

describe('predict', () => {
  it('gives the most probable first, as many as are asked for', async () => {
    await withClassifier((classifier) => {
      const all = classifier.predict(picture)
      expect(all.map(({ label }) => label).sort()).toEqual([...classes].sort())
      expect([...all].sort((a, b) => b.probability - a.probability)).toEqual(all)
      expect(all.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 6)
      expect(classifier.predict(picture, { top: 2 })).toEqual(all.slice(0, 2))
      expect(classifier.predict(picture, { top: 99 })).toEqual(all)
      const other = { ...picture, data: picture.data.map((value) => 255 - value) }
      const batch = classifier.predictBatch([other, picture], { top: 4 })
      expect(batch[1]!.map(({ label }) => label)).toEqual(all.map(({ label }) => label))
      expect(batch[0]).not.toEqual(batch[1])
      expect(classifier.predictPrepared([classifier.prepare(other), classifier.prepare(picture)])).toEqual(batch)
      expect(classifier.predictBatch([])).toEqual([])
    })
    expect(memoryUsage().liveBytes).toBe(0)
  })

  it('tells weights that give no probabilities', async () => {
    await withClassifier((classifier) => {
      const [weights] = classifier.model.parameters()
      classifier.model.assign(
        new Map(
          [...classifier.model.namedState()].map(([name, tensor]) => [
            name,
            {
              dtype: 'F32' as const,
              shape: tensor.shape,
              data: tensor.data().fill(tensor === weights ? 3e38 : 0),
            },
          ]),
        ),
        'it',
      )
      expect(() => classifier.predict(picture)).toThrow("colours: the model's outputs are not finite")
    })
  })

  it.each<[string, unknown, RegExp]>([
    ['nothing', undefined, /expected ImageData, an <img>, .* given undefined/],
    [
      'a path',
      'x.png',
      /^predict: expected pixels, given the path 'x\.png'; decode it first, by decodeImage\(\) of toeplitz\/io/,
    ],
    [
      'a file',
      Uint8Array.from(Buffer.from('GIF89a')),
      /^predict: expected pixels, given the bytes of a GIF; decode it first/,
    ],
    [
      'the memory of a file',
      Uint8Array.of(0xff, 0xd8, 0xff).buffer,
      /^predict: expected pixels, given the bytes of a JPEG; /,
    ],
    ['bytes alone', new Uint8Array(12), /^predict: expected pixels, given bytes without a width and a height; /],
    ['a Blob', new Blob(['x']), /^predict: expected pixels, given a Blob; .* createImageBitmap\(blob\)/],
    ['a list', [picture], /^predict: .* given \[an object\]; predictBatch takes a list$/],
    ['an object', {}, /the object has no pixels: neither data nor a width and a height/],
    ['too few bytes', { width: 2, height: 2, data: new Uint8Array(3) }, /2 × 2 pixels of 4 channels take 16 bytes, 3/],
    ['a camera frame of size 0', { displayWidth: 0, displayHeight: 0 }, /the VideoFrame has 0 × 0 pixels; wait until/],
    ['an <img> that is not loaded', { naturalWidth: 0, naturalHeight: 0, width: 5, height: 5 }, /the <img> has 0 × 0/],
    [
      'an <img> whose next source loads',
      { naturalWidth: 5, naturalHeight: 5, complete: false, width: 5, height: 5 },
      /the <img> is still loading; wait for it \(await image\.decode\(\)\)/,
    ],
    [
      'a <video> without a frame',
      { videoWidth: 0, videoHeight: 0, width: 5, height: 5 },
      /the <video> has 0 × 0 pixels/,
    ],
    ['more than can be drawn', { width: 2 ** 15, height: 2 ** 14 }, /more than a canvas can have; make it smaller/],
  ])('refuses %s', async (_, image, message) => {
    await withClassifier((classifier) => {
      expect(() => classifier.predict(image as PictureSource)).toThrow(ShapeError)
      expect(() => classifier.predict(image as PictureSource)).toThrow(message)
    })
    expect(memoryUsage().liveBytes).toBe(0)
  })

  it('names the place of a picture of several that is none', async () => {
    await withClassifier((classifier) => {
      const wrong =
        (...pictures: unknown[]) =>
        () =>
          classifier.predictBatch(pictures as PictureSource[])
      expect(wrong(picture, null)).toThrow(/^predictBatch: picture 1: expected ImageData, .* given null$/)
      expect(wrong(picture, picture, 'x.png')).toThrow(
        /^predictBatch: picture 2: expected pixels, given the path 'x\.png'; /,
      )
      expect(wrong({ ...picture, channels: 7 })).toThrow(/^predictBatch: picture 0: channels of a picture must be/)
      expect(() => preprocess([picture, { ...picture, width: 0 }], classifier.preprocessing)).toThrow(
        /^preprocess: picture 1: /,
      )
      const prepared = classifier.prepare(picture)
      expect(() => classifier.predictPrepared([prepared, prepared.subarray(1)])).toThrow(
        /^preprocess: prepared picture 1 has/,
      )
      expect(() => classifier.predictPrepared([prepared, picture as never])).toThrow(
        /^preprocess: prepared picture 1 must be bytes/,
      )
      expect(() => classifier.predictPrepared(prepared as never)).toThrow(
        /^predictPrepared: the pictures must be a list of what/,
      )
    })
    expect(memoryUsage().liveBytes).toBe(0)
  })

  it.each([0, 1.5, -1, Number.NaN, '3', null])('refuses top %s', async (top) => {
    await withClassifier((classifier) => {
      expect(() => classifier.predict(picture, { top: top as number })).toThrow(
        /top is .*; it must be a whole number from 1/,
      )
    })
  })

  it('refuses an option that is misspelt', async () => {
    await withClassifier((classifier) => {
      expect(() => classifier.predict(picture, { topp: 3 } as object)).toThrow(
        "predict: there is no option 'topp'; did you mean 'top'? There is top",
      )
    })
  })

  it('says that nothing can be drawn where there is no canvas', async () => {
    await withClassifier((classifier) => {
      expect(() => classifier.predict({ width: 2, height: 2 })).toThrow(UnsupportedError)
      expect(() => classifier.predict({ width: 2, height: 2 })).toThrow(/give the pixels themselves: \{ data, width/)
    })
  })

  it('draws what has no data, and tells why it must not be read', async () => {
    const drawn: unknown[][] = []
    const rgba = new Uint8ClampedArray(4 * 6).fill(255)
    picture.data.forEach((value, i) => (rgba[4 * Math.floor(i / 3) + (i % 3)] = value))
    let failure: Error | undefined
    vi.stubGlobal(
      'OffscreenCanvas',
      class {
        constructor(
          readonly width: number,
          readonly height: number,
        ) {}
        getContext() {
          return {
            drawImage: (...args: unknown[]) => drawn.push(args),
            getImageData: () => {
              if (failure) throw failure
              return { data: rgba }
            },
          }
        }
      },
    )
    await withClassifier((classifier) => {
      const frame = { displayWidth: 3, displayHeight: 2 }
      expect(classifier.predict(frame)).toEqual(classifier.predict(picture))
      expect(drawn).toEqual([[frame, 0, 0, 3, 2]])
      failure = Object.assign(new Error('tainted'), { name: 'SecurityError' })
      expect(() => classifier.predict(frame)).toThrow(/is of another origin, .*; set crossOrigin = 'anonymous'/)
      failure = new Error('closed')
      expect(() => classifier.predict(frame)).toThrow('the VideoFrame cannot be drawn (closed)')
    })
  })
})

it('refuses data that is damaged', async () => {
  const damaged = bytes.slice()
  damaged[damaged.length - 1]! ^= 1
  await expect(loadClassifier(damaged)).rejects.toThrow(FormatError)
})
