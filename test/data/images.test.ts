import { beforeAll, describe, expect, it } from 'vitest'
import type { ImageDataset, ImageFiles } from '../../src/data/dataset.js'
import { fitNormalization, fitNormalizationOf, imageExamples, imageTensor } from '../../src/data/images.js'
import { meanImage } from '../../src/data/meanImage.js'
import { MeanImage } from '../../src/layers/index.js'
import { Flatten, Sequential } from '../../src/nn/index.js'
import { scope } from '../../src/tensor/tensor.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { batches } from '../../src/train/index.js'

beforeAll(() => init())

const size = 23
const colours: ImageDataset = {
  images: Uint8Array.from({ length: size * 3 * 4 * 5 }, (_, i) => (i * 37 + (i >> 5)) % 256),
  labels: Uint8Array.from({ length: size }, (_, n) => n % 3),
  size,
  shape: [3, 4, 5],
  classes: ['a', 'b', 'c'],
}

/** The same pictures as if in files, those of `damaged` numbers unreadable; reading ends in the wrong order. */
function files(damaged: readonly number[] = []): ImageFiles & { reading: number; most: number } {
  const { images, ...rest } = colours
  const source = {
    ...rest,
    reading: 0,
    most: 0,
    async read(index: number) {
      source.most = Math.max(source.most, ++source.reading)
      await new Promise((resolve) => setTimeout(resolve, (index * 7) % 4))
      source.reading--
      return damaged.includes(index) ? undefined : images.subarray(index * 60, (index + 1) * 60)
    },
  }
  return source
}

async function collect(data: Parameters<typeof batches<Int32Array>>[0], first = 0, epoch: number | null = 2) {
  const found: { number: number; shape: readonly number[]; x: number[]; target: number[] }[] = []
  const plan = { batchSize: 5, seed: 6, first, ...(epoch === null ? {} : { epoch }) }
  for await (const { number, x, target } of batches(data, plan))
    found.push({ number, shape: x.shape, x: [...x.data()], target: [...target] })
  return found
}

describe('fitNormalization', () => {
  it('gives the mean and the deviation of each channel', async () => {
    const { mean, std } = fitNormalization(colours) as { mean: number[]; std: number[] }
    for (let c = 0; c < 3; c++) {
      const values = [...colours.images].filter((_, i) => Math.floor(i / 20) % 3 === c).map((v) => v / 255)
      const center = values.reduce((a, b) => a + b, 0) / values.length
      expect(mean[c]).toBeCloseTo(center, 12)
      expect(std[c]).toBeCloseTo(Math.sqrt(values.reduce((a, b) => a + (b - center) ** 2, 0) / values.length), 10)
    }
    expect(await fitNormalizationOf(files())).toEqual({ mean, std })
    expect(await fitNormalizationOf(colours)).toEqual({ mean, std })
    expect(await fitNormalizationOf(files([0, 5]))).not.toEqual({ mean, std })
    await expect(fitNormalizationOf(files(Array.from({ length: size }, (_, n) => n)))).rejects.toThrow(ShapeError)
  })
})

describe('meanImage', () => {
  it('is the mean of the normalized pictures, pixel by pixel, of bytes and of files', async () => {
    const normalization = fitNormalization(colours)
    const mean = await meanImage(colours, normalization)
    expect(mean.shape).toEqual(colours.shape)
    const all = imageTensor(colours.images, colours.shape, normalization).data()
    const means = Float64Array.from({ length: 60 }, (_, i) => {
      let sum = 0
      for (let n = 0; n < size; n++) sum += all[n * 60 + i]!
      return sum / size
    })
    mean.data().forEach((value, i) => expect(value).toBeCloseTo(means[i]!, 5))
    expect((await meanImage(files(), normalization)).data()).toEqual(mean.data())
    expect((await meanImage(files([0, 5]), normalization)).data()).not.toEqual(mean.data())
    const none = files(Array.from({ length: size }, (_, n) => n))
    await expect(meanImage(none, normalization)).rejects.toThrow('meanImage: none of the pictures can be read')
    await expect(meanImage(colours, { mean: [0, 0], std: 1 })).rejects.toThrow(ShapeError)
  })

  it('is subtracted by a layer of the model, which keeps it in its files', async () => {
    const normalization = fitNormalization(colours)
    const mean = await meanImage(colours, normalization)
    const make = (): Sequential => new Sequential([new MeanImage(), new Flatten()], { input: colours.shape })
    const [model, copy] = [make(), make()]
    scope(() => {
      const x = imageTensor(colours.images, colours.shape, normalization)
      // Nothing is subtracted before there is a mean.
      expect(model.forward(x).data()).toEqual(x.data())
      model.namedState().get('0.mean')!.assign(mean.data())
      const y = model.forward(x).data()
      const m = mean.data()
      x.data().forEach((value, i) => expect(y[i]).toBe(Math.fround(value - m[i % 60]!)))
      for (let i = 0; i < 60; i++) {
        let sum = 0
        for (let n = 0; n < size; n++) sum += y[n * 60 + i]!
        expect(sum / size).toBeCloseTo(0, 5)
      }
      expect(model.parameters()).toEqual([])
      copy.load(model.save())
      expect(copy.forward(x).data()).toEqual(y)
    })
  })
})

describe('batches of pictures', () => {
  const normalization = fitNormalization(colours)
  const augmentation = { flip: true, shift: 1, brightness: 0.2 }

  it('are the same from memory and from files, augmented too', async () => {
    for (const changes of [undefined, augmentation]) {
      const expected = await collect(imageExamples(colours, normalization, changes))
      expect(expected.map(({ shape }) => shape[0])).toEqual([5, 5, 5, 5, 3])
      const source = files()
      expect(await collect(imageExamples(source, normalization, changes))).toEqual(expected)
      // Two batches are read while one is used.
      expect(source.most).toBe(15)
    }
  })

  it('go on in the middle of an epoch', async () => {
    for (const source of [colours, files()]) {
      const whole = await collect(imageExamples(source, normalization, augmentation))
      for (const first of [1, 3, 4, 5])
        expect(await collect(imageExamples(source, normalization, augmentation), first)).toEqual(whole.slice(first))
    }
  })

  it('hold every picture once, in the order of its numbers where there is no epoch', async () => {
    const shuffled = await collect(imageExamples(colours, normalization))
    const inOrder = await collect(imageExamples(colours, normalization, augmentation), 0, null)
    expect(inOrder.flatMap(({ target }) => target)).toEqual([...colours.labels])
    expect(shuffled.flatMap(({ target }) => target)).not.toEqual([...colours.labels])
    expect(shuffled.flatMap(({ target }) => target).sort()).toEqual([...colours.labels].sort())
    const whole = imageTensor(colours.images, colours.shape, normalization)
    // Measured pictures are not augmented.
    expect(inOrder.flatMap(({ x }) => x)).toEqual([...whole.data()])
  })

  it('leave damaged pictures out', async () => {
    const sound = await collect(imageExamples(files([2, 10, 11, 12, 13, 14]), normalization), 0, null)
    expect(sound.map(({ number, shape }) => [number, shape[0]])).toEqual([
      [0, 4],
      [1, 5],
      [3, 5],
      [4, 3],
    ])
    expect(sound[0]!.target).toEqual([0, 1, 0, 1])
  })

  it('are written into the same memory again', async () => {
    const pointers = new Set<number>()
    for await (const { x } of batches(imageExamples(colours, normalization), { batchSize: 5, epoch: 0 }))
      pointers.add(x.pointer)
    expect(pointers.size).toBe(1)
  })

  it('tell of a failure when its turn comes', async () => {
    const source = files()
    const failing = { ...source, read: (i: number) => (i === 12 ? Promise.reject(new Error('disk')) : source.read(i)) }
    const seen: number[] = []
    await expect(async () => {
      const data = imageExamples(failing, normalization)
      for await (const { number } of batches(data, { batchSize: 5 })) seen.push(number)
    }).rejects.toThrow('disk')
    expect(seen).toEqual([0, 1])
  })

  it.each([{ batchSize: 0 }, { batchSize: 2.5 }, { batchSize: 5, first: -1 }, { batchSize: 5, prefetch: -1 }])(
    'refuse %j',
    async (options) => {
      const next = batches(imageExamples(colours, normalization), options).next()
      await expect(next).rejects.toThrow(/^batches: .* must be a whole number from/)
    },
  )
})
