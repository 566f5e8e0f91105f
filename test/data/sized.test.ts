/** Pictures of different sizes, trained and tested as they are: batches of one size each, the folder loader, LeNet-5 at any input. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { sizedExamples, sizedRange, type SizedImages } from '../../src/data/index.js'
import { encodePng } from '../../src/formats/png.js'
import { loadImageFolder, openImageFolder } from '../../src/node/index.js'
import { crossEntropy, globalAvgPool } from '../../src/ops/index.js'
import { Adam } from '../../src/optim/index.js'
import { init } from '../../src/runtime/embedded.js'
import { FormatError, ShapeError } from '../../src/runtime/errors.js'
import type { Tensor } from '../../src/tensor/tensor.js'
import { accuracy, batches, evaluate, fit, type Examples } from '../../src/train/index.js'
import { tensor } from '../../src/tensor/create.js'
import { lenet5 } from '../../src/zoo/index.js'

beforeAll(() => init())

const sizes = [
  [6, 4],
  [5, 5],
  [4, 6],
] as const

/** Pictures (2, H, W) of three sizes, whose first pixel is their number. */
function collection(N: number, damaged: readonly number[] = []): SizedImages {
  const sizeOf = (n: number): readonly [number, number] => sizes[(n * n) % 3] as readonly [number, number]
  return {
    size: N,
    channels: 2,
    classes: ['a', 'b'],
    labels: Uint8Array.from({ length: N }, (_, n) => n % 2),
    sizes: Array.from({ length: N }, (_, n) => sizeOf(n)),
    read(index) {
      if (damaged.includes(index)) return undefined
      const [H, W] = sizeOf(index)
      return Uint8Array.from({ length: 2 * H * W }, (_, i) => (i === 0 ? index : i))
    },
  }
}

const plain = { mean: 0, std: 1 / 255 }
type Options = Parameters<typeof batches>[1]

async function batchesOf(data: Parameters<typeof batches>[0], options: Options) {
  const all: { number: number; indices: number[]; shape: readonly number[]; firsts: number[] }[] = []
  for await (const { x, indices, number } of batches(data, options)) {
    const each = x.size / (x.shape[0] as number)
    const firsts = Array.from(indices, (_, n) => Math.round(x.data()[n * each] as number))
    all.push({ number, indices: [...indices], shape: x.shape.slice(1), firsts })
  }
  return all
}

describe('batches of groups', () => {
  it('have one size each, every picture once, in an order of the seed and the epoch', async () => {
    const data = sizedExamples(collection(40), plain)
    const seen = await batchesOf(data, { batchSize: 4, seed: 3, epoch: 0 })
    expect(seen.flatMap(({ indices }) => indices).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 40 }, (_, n) => n),
    )
    for (const { indices, shape, firsts } of seen) {
      expect(firsts).toEqual(indices)
      for (const index of indices) expect(shape).toEqual([2, ...sizes[(index * index) % 3]!])
    }
    // 14 of the one size and 26 of the other: 4 + 7 batches, of which two are not full.
    expect(seen).toHaveLength(11)
    expect(seen.map(({ number }) => number)).toEqual([...seen.keys()])
    expect(seen.filter(({ indices }) => indices.length < 4)).toHaveLength(2)
    // Sizes are mixed over the epoch, and another epoch has other batches.
    expect(new Set(seen.slice(0, 6).map(({ shape }) => shape.join())).size).toBe(2)
    expect(await batchesOf(data, { batchSize: 4, seed: 3, epoch: 0 })).toEqual(seen)
    expect(await batchesOf(data, { batchSize: 4, seed: 3, epoch: 1 })).not.toEqual(seen)
    expect(await batchesOf(data, { batchSize: 4, seed: 3, epoch: 0, first: 7 })).toEqual(seen.slice(7))
    const full = await batchesOf(data, { batchSize: 4, seed: 3, epoch: 0, dropLast: true })
    expect(full.map(({ indices }) => indices)).toEqual(
      seen.map(({ indices }) => indices).filter(({ length }) => length === 4),
    )
    await expect(batchesOf(data, { batchSize: 30, dropLast: true })).rejects.toThrow(/dropLast leaves nothing of 40/)
  })

  it('are those of any examples that tell groups', async () => {
    const data: Examples<number[]> = {
      size: 5,
      groups: [7, 1, 7, 1, 7],
      batch: (indices) => ({ x: tensor([...indices], [indices.length, 1]), target: [...indices] }),
    }
    const seen = await batchesOf(data, { batchSize: 2 })
    expect(seen.map(({ indices }) => indices)).toEqual([[0, 2], [1, 3], [4]])
  })
})

describe('sizedExamples', () => {
  it('normalize, leave out what cannot be read, and cut to a multiple around the middle', async () => {
    const [batch] = await batchesOf(sizedExamples(collection(3, [1]), plain), { batchSize: 3 })
    expect(batch!.indices).toEqual([0])
    const cut = sizedExamples(collection(3), { mean: 0, std: 1 / 255 }, { multiple: 4 })
    const read = await cut.read(Int32Array.of(0, 1, 2))
    const { x } = read.batch()
    expect(x.shape).toEqual([3, 2, 4, 4])
    // Of (6, 4) rows 1 to 4, of (5, 5) rows and columns 0 to 3.
    expect([...x.data().subarray(0, 4)].map(Math.round)).toEqual([4, 5, 6, 7])
    expect([...x.data().subarray(32, 40)].map(Math.round)).toEqual([1, 1, 2, 3, 5, 6, 7, 8])
    x.dispose()
  })

  it('change pictures at random in training alone, the same for the same step', async () => {
    const data = sizedExamples(collection(9), plain, { augmentation: { flip: true } })
    const read = await data.read(Int32Array.of(0, 3, 6))
    const numbers = (draw?: { seed: number; step: number; first: number }): number[] => {
      const { x } = read.batch(draw)
      const values = [...x.data()]
      x.dispose()
      return values
    }
    const draws = [1, 2, 3, 4].map((step) => numbers({ seed: 1, step, first: 0 }))
    expect(draws.some((values) => values.join() !== numbers().join())).toBe(true)
    expect(numbers({ seed: 1, step: 1, first: 0 })).toEqual(draws[0])
  })

  it('are of a range of the collection', async () => {
    const part = sizedRange(collection(10), 3, 7)
    const [first] = await batchesOf(sizedExamples(part, plain), { batchSize: 1 })
    expect(first!.firsts).toEqual([3])
    expect(part.sizes).toEqual(collection(10).sizes.slice(3, 7))
  })

  it.each<[() => unknown, RegExp]>([
    [
      () => sizedExamples({} as never, plain),
      /^sizedExamples: the pictures must be pictures of different sizes; it has no size/,
    ],
    [() => sizedExamples({ ...collection(3), sizes: [[1, 2]] }, plain), /there are 1 sizes of 3 pictures/],
    [
      () => sizedExamples({ ...collection(1), sizes: [[0, 2]] }, plain),
      /the size of picture 0 must be \[height, width\]/,
    ],
    [() => sizedExamples({ ...collection(3), labels: new Uint8Array(2) }, plain), /labels must be 3 numbers/],
    [
      () => sizedExamples(collection(3), plain, { multiple: 5 }),
      /picture 0 has 6 × 4 pixels, less than the multiple 5/,
    ],
    [() => sizedExamples(collection(3), plain, { multiple: 0 }), /multiple must be a whole number from 1 /],
    [
      () => sizedExamples(collection(3), plain, { augmentation: { crop: [2, 2] } as never }),
      /have no crop of one size/,
    ],
    [() => sizedExamples(collection(3), plain, { multiples: 2 } as never), /did you mean 'multiple'/],
    [() => sizedRange(collection(3), 2, 4), /^sizedRange: end must be a whole number from 2 to 3/],
  ])('refuse %s', (call, message) => {
    expect(call).toThrow(ShapeError)
    expect(call).toThrow(message)
  })

  it('refuse batches of several sizes, and pictures that are not as large as they are said to be', async () => {
    const several = await sizedExamples(collection(3), plain).read(Int32Array.of(0, 1))
    expect(() => several.batch()).toThrow(/a batch has pictures of several sizes; let fit or batches choose them/)
    const short = { ...collection(1), read: () => new Uint8Array(3) }
    const read = await sizedExamples(short, plain).read(Int32Array.of(0))
    expect(() => read.batch()).toThrow(/read\(0\) must give \(2, 6, 4\) as 48 bytes, given 3 bytes/)
  })
})

/** A grey picture with an upright or a level bar in noise, as a PNG. */
function bar(upright: boolean, H: number, W: number, n: number): Uint8Array {
  const at = 4 + ((n * 7) % ((upright ? W : H) - 8))
  const data = Uint8Array.from({ length: H * W }, (_, i) => {
    const place = upright ? i % W : Math.floor(i / W)
    return (Math.abs(place - at) < 2 ? 200 : 20) + ((i * 37 + n * 11) % 40)
  })
  return encodePng({ width: W, height: H, channels: 1, data })
}

describe('a folder of pictures of different sizes', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'toeplitz-sized-'))
    const shapes = [
      [32, 32],
      [36, 44],
      [48, 32],
    ] as const
    for (const [part, count] of [
      ['train', 48],
      ['test', 18],
    ] as const) {
      for (const name of ['level', 'upright']) {
        await mkdir(join(folder, part, name), { recursive: true })
        for (let n = 0; n < count; n++) {
          const [H, W] = shapes[n % 3] as readonly [number, number]
          await writeFile(join(folder, part, name, `${n}.png`), bar(name === 'upright', H, W, n + count))
        }
      }
    }
    await writeFile(join(folder, 'train', 'level', 'damaged.png'), bar(true, 32, 32, 0).subarray(0, 50))
    return () => rm(folder, { recursive: true, force: true })
  })

  it('is opened with each picture as it is, without those that are damaged', async () => {
    const skipped: string[] = []
    const all = await openImageFolder(join(folder, 'train'), {
      size: 'as is',
      onSkip: (error) => skipped.push(error.message),
    })
    expect(skipped).toHaveLength(1)
    expect(all).toMatchObject({ size: 96, channels: 1, classes: ['level', 'upright'] })
    expect(new Set(all.sizes.map((size) => size.join()))).toEqual(new Set(['32,32', '36,44', '48,32']))
    for (const index of [0, 50, 95]) {
      const [H, W] = all.sizes[index] as readonly [number, number]
      expect(all.files![index]).toContain(all.classes[all.labels[index] as number])
      expect(await all.read(index)).toHaveLength(H * W)
    }
    // Without the memory to keep them they are read again.
    const again = await openImageFolder(join(folder, 'train'), { size: 'as is', cacheBytes: 0, channels: 3 })
    expect(again.size).toBe(96)
    expect((await again.read(5))!.subarray(0, 100)).toEqual((await all.read(5))!.subarray(0, 100))
    await expect(openImageFolder(folder, { size: 'as is', strict: true })).rejects.toThrow(FormatError)
    await expect(openImageFolder(folder, { size: 'as is', fit: 'cover' } as never)).rejects.toThrow(/have no fit/)
    await expect(openImageFolder(folder, { size: 'as it is' } as never)).rejects.toThrow(/\[height, width\] or 'as is'/)
  })

  it('trains LeNet-5 at any input, and is tested at every size', async () => {
    const { training, test } = await loadImageFolder(folder, { size: 'as is' })
    expect(test.size).toBe(36)
    const normalization = { mean: 0.2, std: 0.25 }
    const model = lenet5({ input: [1, 48, 44], classes: 2, seed: 1 })
    // From C5 on everything stands at each place: the mean over places is the answer for the picture.
    const loss = (y: Tensor, target: Int32Array): Tensor => crossEntropy(globalAvgPool(y).reshape([-1, 2]), target)
    const metrics = { accuracy: (y: Tensor, target: Int32Array) => accuracy(globalAvgPool(y).reshape([-1, 2]), target) }
    const optimizer = new Adam(model.parameters(), { lr: 0.002 })
    const how = { batchSize: 8, loss, metrics }
    const history = await fit(model, sizedExamples(training, normalization), { ...how, epochs: 14, optimizer, seed: 1 })
    // Three sizes of 32 pictures: twelve steps in an epoch.
    expect(history.steps).toHaveLength(14 * 12)
    const measured = await evaluate(model, sizedExamples(test, normalization), how)
    expect(measured.metrics.accuracy).toBeGreaterThan(0.95)
    model.dispose()
    optimizer.dispose()
  }, 120_000)

  it('says how large a picture is that the network cannot see', () => {
    const model = lenet5({ input: [1, 48, 44], classes: 2, seed: 1 })
    const small = tensor(new Float32Array(20 * 24), [1, 1, 20, 24])
    expect(() => model.forward(small)).toThrow(/^layer c5, conv\(5, 120\): .*; the model's input is \(1, 20, 24\)$/)
    for (const item of [model, small]) item.dispose()
  })

  it('is split where it has no part to test with', async () => {
    const { training, test } = await loadImageFolder(join(folder, 'train'), { size: 'as is' })
    expect([training.size, test.size]).toEqual([80, 16])
    expect(training.files!.some((file) => test.files!.includes(file))).toBe(false)
  })
})
