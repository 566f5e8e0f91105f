/** Parts of data sets, data sets of what is at hand, and mixed examples. */
import { beforeAll, describe, expect, it, vi } from 'vitest'
import * as t from '../../src/index.js'
import {
  balanceClasses,
  cached,
  collectExamples,
  imageDataset,
  imageExamples,
  mixup,
  shuffled,
  stratifiedSplit,
  subset,
  type ImageDataset,
  type ImageFiles,
} from '../../src/data/index.js'
import { ArgumentError } from '../../src/runtime/errors.js'
import { init } from '../../src/runtime/embedded.js'
import { memoryUsage } from '../../src/runtime/core.js'

beforeAll(() => init())

const labels = [0, 1, 0, 2, 1, 0, 0, 1, 2, 0]
/** Pictures of two pixels: the number of the picture, and its label. */
const pictures = (of: readonly number[] = labels): ImageDataset => ({
  images: Uint8Array.from(of.flatMap((label, n) => [n, label])),
  ...{ labels: Int32Array.from(of), size: of.length, shape: [1, 1, 2], classes: ['a', 'b', 'c'] },
})
const files = (
  read = (index: number) => Promise.resolve<Uint8Array | undefined>(Uint8Array.of(index, 0)),
): ImageFiles => ({
  ...{ labels: Int32Array.from(labels), size: 10, shape: [1, 1, 2], classes: ['a', 'b', 'c'] },
  files: labels.map((_, n) => `${n}.png`),
  read,
})
const numbers = ({ images }: ImageDataset): number[] => [...images].filter((_, i) => i % 2 === 0)
const examples = (): t.Examples<number[]> =>
  t.tensorExamples(
    Float32Array.from(labels, (_, n) => n),
    labels,
    [1],
  )

/** The inputs of all examples of one number each, and their labels. */
const contents = (data: t.Examples<ArrayLike<number>>): number[][] =>
  t.scope(() => {
    const { x, target } = data.batch(Int32Array.from({ length: data.size }, (_, i) => i))
    return [[...x.data()], Array.from(target)]
  })

describe('a subset', () => {
  it('has examples, pictures and files by their numbers, in their order, with repeats', async () => {
    expect(contents(subset(examples(), [3, 0, 3]))).toEqual([[3, 0, 3], [2, 0, 2]]) // prettier-ignore
    expect([...(subset(examples(), [4, 0]).labels as number[])]).toEqual([1, 0])
    const some = subset(pictures(), Int32Array.of(8, 1))
    expect([numbers(some), [...some.labels], some.size]).toEqual([[8, 1], [2, 1], 2])
    const distant = subset(files(), [5, 9])
    expect([distant.files, await distant.read(1)]).toEqual([['5.png', '9.png'], Uint8Array.of(9, 0)])
  })

  it('refuses what is no number, and more than memory holds', () => {
    expect(() => subset(examples(), [undefined] as never)).toThrow(
      /^subset: the numbers must be whole numbers from 0 to 9/,
    )
    // eslint-disable-next-line no-sparse-arrays
    expect(() => subset(examples(), [, 3] as never)).toThrow(/^subset: the numbers must be whole numbers from 0 to 9/)
    const large = { images: new Uint8Array(2 ** 20), labels: Int32Array.of(0, 1), size: 2 }
    const of = { ...large, shape: [1, 512, 1024] as const, classes: ['a', 'b'] }
    expect(() => balanceClasses(of, { perClass: 2 ** 13 })).toThrow(/pictures of 524288 bytes take more than 4 GiB/)
    expect(() => stratifiedSplit({ ...examples(), size: 2 ** 40 })).toThrow(ArgumentError)
  })

  it('of examples that are read leaves out those that cannot be', async () => {
    const plain = { mean: 0, std: 1 / 255 }
    const damaged = files((index) => Promise.resolve(index === 2 ? undefined : Uint8Array.of(index, 0)))
    const data = subset(imageExamples(damaged, plain), [7, 2, 7, 3])
    if (!('read' in data)) throw new Error('it is to be read')
    const { indices, batch } = await data.read(Int32Array.of(0, 1, 2, 3))
    expect([...indices]).toEqual([0, 2, 3])
    t.scope(() => expect(Array.from(batch().x.data(), Math.round).filter((_, i) => i % 2 === 0)).toEqual([7, 7, 3]))
  })

  it('passes on what the batch is drawn from', () => {
    const batch = vi.fn((_indices: Int32Array, _draw?: t.Draw) => ({ x: t.zeros([1]), target: [0] }))
    const draw = { seed: 1, step: 2, first: 3 }
    t.scope(() => subset({ size: 4, batch }, [3, 1]).batch(Int32Array.of(1), draw))
    expect(batch).toHaveBeenCalledWith(Int32Array.of(1), draw)
  })
})

describe('a shuffled data set', () => {
  it('has each example once, in the same order for a seed', () => {
    const order = numbers(shuffled(pictures(), 5))
    expect([...order].sort((a, b) => a - b)).toEqual(labels.map((_, n) => n))
    expect(order).toEqual([...t.permutation(10, 5, 0)])
    expect(numbers(shuffled(pictures(), 6))).not.toEqual(order)
  })
})

describe('a stratified split', () => {
  it('has the share of each class, each example once, in the order of the data', () => {
    const many = Array.from({ length: 100 }, (_, i) => (i < 60 ? 0 : i < 90 ? 1 : 2))
    const { training, validation } = stratifiedSplit(pictures(many), { share: 0.25, seed: 3 })
    const counts = [...validation.labels].reduce((all, label) => all.with(label, all[label]! + 1), [0, 0, 0])
    expect(counts).toEqual([15, 8, 3])
    const both = [...numbers(training), ...numbers(validation)]
    expect(both.sort((a, b) => a - b)).toEqual(many.map((_, n) => n))
    expect(numbers(validation)).toEqual(numbers(validation).toSorted((a, b) => a - b))
    const other = stratifiedSplit(pictures(many), { share: 0.25, seed: 4 }).validation
    expect(numbers(other)).not.toEqual(numbers(validation))
    expect(numbers(stratifiedSplit(pictures(many), { share: 0.25, seed: 3 }).validation)).toEqual(numbers(validation))
  })

  it('leaves at least one of each class on both sides', () => {
    for (const share of [0.01, 0.99]) {
      const { training, validation } = stratifiedSplit(examples(), { share })
      for (const part of [training, validation]) expect(new Set(part.labels as number[])).toEqual(new Set([0, 1, 2]))
    }
  })

  it.each<[string, () => unknown, RegExp]>([
    [
      'a class of one example',
      () => stratifiedSplit(pictures([0, 0, 1, 2, 2])),
      /class 1 \('?b'?\) has one example, and both parts need one/,
    ],
    [
      'a class without examples',
      () => stratifiedSplit(pictures([0, 0, 2, 2])),
      /class 1 \('?b'?\) has no example; leave it out/,
    ],
    [
      'a label beyond the classes',
      () => stratifiedSplit(pictures([0, 0, 7, 7])),
      /there is label 7, and only 3 classes/,
    ],
    [
      'examples without labels',
      () => stratifiedSplit({ size: 3, batch: () => undefined as never }),
      /do not tell their labels/,
    ],
    [
      'labels that are none',
      () => stratifiedSplit({ size: 2, labels: [NaN, 0], batch: () => undefined as never }),
      /label 0 must be the number or the name of a class, given NaN/,
    ],
    [
      'a share of 0',
      () => stratifiedSplit(pictures(), { share: 0 }),
      /share must be a number above 0 and below 1, given 0$/,
    ],
    ['a share of NaN', () => stratifiedSplit(pictures(), { share: NaN }), /share must be a finite number/],
    ['an odd seed', () => stratifiedSplit(pictures(), { seed: 0.5 }), /seed/],
    ['an unknown option', () => stratifiedSplit(pictures(), { shares: 0.5 } as never), /did you mean 'share'\?/],
    ['no data', () => stratifiedSplit(undefined as never), /the data must be examples as fit takes them/],
    [
      'pictures that lack pixels',
      () => stratifiedSplit({ ...pictures(), images: new Uint8Array(3) }),
      /images must be a Uint8Array of 20 pixels/,
    ],
    ['a number beyond the data', () => subset(pictures(), [10]), /whole numbers from 0 to 9, given 10$/],
    ['numbers that are none', () => subset(pictures(), 'all' as never), /a list of whole numbers, given 'all'/],
    ['data without a size', () => shuffled({ batch: () => 1 } as never), /the data must be examples/],
  ])('of %s is refused', (_, call, message) => {
    expect(call).toThrow(message)
  })
})

describe('balanced classes', () => {
  it('occur equally often, each of their examples as often as the others or once more', () => {
    const [values, targets] = contents(balanceClasses(examples())) as [number[], number[]]
    for (const label of [0, 1, 2]) expect(targets.filter((target) => target === label)).toHaveLength(5)
    targets.forEach((target, n) => expect(target).toBe(labels[values[n]!]))
    const times = labels.map((_, n) => values.filter((value) => value === n).length)
    for (const label of [0, 1, 2]) {
      const own = times.filter((_, n) => labels[n] === label)
      expect(Math.max(...own) - Math.min(...own)).toBeLessThanOrEqual(1)
    }
    const few = balanceClasses(pictures(), { perClass: 2, seed: 1 })
    expect([...few.labels]).toEqual([0, 1, 2, 0, 1, 2])
  })

  it('are trained by fit', async () => {
    const model = new t.Sequential([new t.Linear({ outFeatures: 3 })], { input: [1] })
    const settings = {
      epochs: 1,
      batchSize: 5,
      loss: t.crossEntropy,
      optimizer: new t.SGD(model.parameters(), { lr: 0.01 }),
    }
    expect((await t.fit(model, balanceClasses(examples()), settings)).steps).toHaveLength(3)
  })

  it('are refused where there are none', () => {
    expect(() => balanceClasses(pictures([0, 0, 2]))).toThrow(/class 1 .* has no example/)
    expect(() => balanceClasses(pictures(), { perClass: 0 })).toThrow(/perClass must be a whole number from 1/)
    expect(() => balanceClasses({ size: 0, labels: [], batch: () => undefined as never })).toThrow(
      /there is no example/,
    )
  })
})

describe('pictures with labels', () => {
  const rgba = (value: number): { data: Uint8Array; width: number; height: number } => ({
    data: Uint8Array.from({ length: 64 }, (_, i) => (i % 4 === 3 ? 255 : value)),
    ...{ width: 4, height: 4 },
  })

  it('become a data set of one size', () => {
    const dataset = imageDataset([{ image: rgba(10), label: 'dog' }, { image: rgba(20), label: 'cat' }], { size: [2, 2] }) // prettier-ignore
    expect([dataset.classes, [...dataset.labels], dataset.shape]).toEqual([
      ['cat', 'dog'],
      [1, 0],
      [3, 2, 2],
    ])
    expect([...dataset.images]).toEqual([...new Array<number>(12).fill(10), ...new Array<number>(12).fill(20)])
    const grey = imageDataset([{ image: rgba(9), label: 'b' }], { size: [1, 3], channels: 1, classes: ['a', 'b'] })
    expect([[...grey.images], [...grey.labels], grey.shape]).toEqual([[9, 9, 9], [1], [1, 1, 3]])
  })

  it.each<[string, () => unknown, RegExp]>([
    ['no picture', () => imageDataset([], { size: [2, 2] }), /there is no picture/],
    [
      'a class that there is not',
      () => imageDataset([{ image: rgba(1), label: 'cta' }], { size: [2, 2], classes: ['cat'] }),
      /there is no class 'cta'; did you mean 'cat'\?/,
    ],
    [
      'a label that is no name',
      () => imageDataset([{ image: rgba(1), label: 3 as never }], { size: [2, 2] }),
      /the label of picture 0 must be the name of a class, given 3/,
    ],
    [
      'a picture that is none',
      () => imageDataset([{ image: { ...rgba(1), width: 9 }, label: 'a' }], { size: [2, 2] }),
      /imageDataset: picture 0: 9 × 4 pixels/,
    ],
    ['a size that is none', () => imageDataset([{ image: rgba(1), label: 'a' }], { size: [0, 2] }), /size/],
    [
      'two channels',
      () => imageDataset([{ image: rgba(1), label: 'a' }], { size: [2, 2], channels: 2 as never }),
      /channels must be 1 or 3/,
    ],
    [
      'an unknown option',
      () => imageDataset([{ image: rgba(1), label: 'a' }], { size: [2, 2], scale: 1 } as never),
      /there is no option 'scale'/,
    ],
  ])('are refused with %s', (_, call, message) => {
    expect(call).toThrow(message)
  })
})

describe('what a generator gives', () => {
  function* points(count = Infinity) {
    for (let i = 0; i < count; i++) yield { x: t.tensor([i, 1]), y: i % 2 }
  }

  it('is collected, as far as it is wanted, and ended', async () => {
    const before = memoryUsage().liveBytes
    const data = await collectExamples(points(), { most: 3 })
    expect(memoryUsage().liveBytes).toBe(before)
    expect([data.size, ...contents(data)]).toEqual([3, [0, 1, 1, 1, 2, 1], [0, 1, 0]])
    async function* slow() {
      for (const point of points(2)) yield Promise.resolve(point)
    }
    expect((await collectExamples(slow())).size).toBe(2)
    expect((await collectExamples([...points(4)])).size).toBe(4)
  })

  it.each<[string, () => unknown, RegExp]>([
    ['nothing', () => collectExamples([]), /the source gives no example/],
    ['a number', () => collectExamples(3 as never), /the source must be a generator/],
    ['no label', () => collectExamples([{ x: t.zeros([1]) } as never]), /example 0 must be \{ x, y \}; it has no y/],
    ['half a label', () => collectExamples([{ x: t.zeros([1]), y: 0.5 }]), /example 0: y must be a whole number/],
    ['no tensor', () => collectExamples([{ x: [1] as never, y: 0 }]), /x/],
    [
      'two shapes',
      () => collectExamples([...points(1), { x: t.zeros([3]), y: 0 }]),
      /example 1: inputs must be of one shape, and are \(2\) and \(3\)/,
    ],
    ['a negative count', () => collectExamples(points(1), { most: -1 }), /most must be a whole number/],
  ])('is refused where it is %s', async (_, call, message) => {
    await expect(call()).rejects.toThrow(message)
  })
})

describe('cached pictures', () => {
  it('are read once, as far as there is room, and again where reading failed', async () => {
    let fails = true
    const read = vi.fn((index: number) =>
      index === 1 && fails
        ? Promise.reject(new Error('away'))
        : Promise.resolve(index === 2 ? undefined : Uint8Array.of(index, 0)),
    )
    const data = cached(files(read), { maxBytes: 5 })
    await expect(data.read(1)).rejects.toThrow('away')
    fails = false
    for (const index of [0, 0, 2, 2, 1, 1, 0]) await data.read(index)
    // Two pictures of two bytes find room: 0 and the damaged 2.
    expect(read.mock.calls.map(([index]) => index)).toEqual([1, 0, 2, 1, 1])
    expect(await data.read(2)).toBeUndefined()
  })

  it('are in files, with room that is a number', () => {
    expect(() => cached(pictures() as never)).toThrow(/in memory already/)
    expect(() => cached(files(), { maxBytes: NaN })).toThrow(/maxBytes must be a finite number from 0 on/)
    expect(() => cached(files(), { bytes: 1 } as never)).toThrow(/there is no option 'bytes'/)
  })
})

describe('mixed examples', () => {
  const plain = (): t.Examples<number[]> =>
    t.tensorExamples(
      Float32Array.from({ length: 20 }, (_, i) => i),
      labels,
      [2],
    )
  const all = Int32Array.from({ length: 10 }, (_, i) => i)

  it('are sums of two of the batch, and so are their targets', () =>
    t.scope(() => {
      let [least, most] = [1, 0]
      for (let step = 0; step < 40; step++) {
        const { x, target } = mixup(plain(), { classes: 3, alpha: 1 }).batch(all, { seed: 1, step, first: 0 })
        const [values, shares] = [x.data(), target.data()]
        // The first input is 2n and the second 2n + 1: so is every sum of two with shares of 1 in all.
        labels.forEach((label, n) => {
          expect(values[2 * n + 1]! - values[2 * n]!).toBeCloseTo(1, 5)
          const row = shares.slice(3 * n, 3 * n + 3)
          expect(row.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 6)
          // Where the other has another label, the shares tell which two were mixed, and how.
          const own = row[label]!
          const partners = labels.flatMap((_, m) =>
            Math.abs(own * 2 * n + (1 - own) * 2 * m - values[2 * n]!) < 1e-4 ? [labels[m]] : [],
          )
          if (own < 0.999) expect(partners.some((other) => other !== label && row[other!]! > 0)).toBe(true)
          if (own < 0.999) [least, most] = [Math.min(least, own), Math.max(most, own)]
        })
      }
      expect([least < 0.2, most > 0.8]).toEqual([true, true])
    }))

  it('have small shares for a small alpha, the same for a seed', () =>
    t.scope(() => {
      const sharesOf = (alpha: number): number[] =>
        Array.from({ length: 200 }, (_, step) => {
          const { target } = mixup(t.tensorExamples(t.zeros([2, 1]), [0, 1]), { classes: 2, alpha }).batch(Int32Array.of(0, 1), { seed: 4, step, first: 0 }) // prettier-ignore
          return target.data()[0]!
        })
      const distance = (list: number[]): number =>
        list.reduce((sum, share) => sum + Math.min(share, 1 - share), 0) / list.length
      expect(distance(sharesOf(0.1))).toBeLessThan(distance(sharesOf(1)) / 2)
      // Half of the batches of two keep their order.
      expect(distance(sharesOf(1))).toBeGreaterThan(0.08)
      expect(sharesOf(0.5)).toEqual(sharesOf(0.5))
    }))

  it('are as they were where nothing is drawn, and train with accuracy', async () => {
    t.scope(() => {
      const { x, target } = mixup(plain(), { classes: 3 }).batch(Int32Array.of(3, 1))
      expect([...x.data()]).toEqual([6, 7, 2, 3])
      expect([...target.data()]).toEqual([0, 0, 1, 0, 1, 0])
    })
    const model = new t.Sequential([new t.Linear({ outFeatures: 3 })], { input: [2] })
    const optimizer = new t.SGD(model.parameters(), { lr: 0.001 })
    const settings = { epochs: 1, batchSize: 5, loss: t.crossEntropy, metrics: { accuracy: t.accuracy }, optimizer }
    const { steps } = await t.fit(model, mixup(plain(), { classes: 3 }), settings)
    expect(steps.every(({ running }) => Number.isFinite(running.metrics.accuracy))).toBe(true)
  })

  it.each<[string, object, RegExp]>([
    ['no classes', {}, /mixup: classes must be a whole number/],
    ['an alpha of 0', { classes: 3, alpha: 0 }, /alpha must be a number from 0.05 to 2, given 0$/],
    ['an alpha of NaN', { classes: 3, alpha: NaN }, /alpha must be/],
    ['an unknown option', { classes: 3, beta: 1 }, /there is no option 'beta'/],
  ])('are refused with %s', (_, options, message) => {
    expect(() => mixup(plain(), options as never)).toThrow(message)
  })

  it('are refused with labels that are no class, and other data', () => {
    expect(() => mixup({ size: 2 } as never, { classes: 3 })).toThrow(/it has neither batch\(\) nor read\(\)/)
    t.scope(() => {
      expect(() => mixup(plain(), { classes: 2 }).batch(all)).toThrow(
        /label 3 of a batch is 2; with 2 classes it is from 0 to 1/,
      )
    })
  })
})
