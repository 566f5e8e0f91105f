import { encode as encodeJpeg } from 'jpeg-js'
import { execFileSync } from 'node:child_process'
import * as actual from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { crc32 } from '../../src/formats/crc32.js'
import * as decoding from '../../src/formats/decode.js'
import { decodeImage } from '../../src/formats/decode.js'
import { plainPixels, preparePixels } from '../../src/io/preprocessing.js'
import { encodePng } from '../../src/formats/png.js'
import { loadImageFolder, openImageFolder, type OtherFiles } from '../../src/node/folder.js'
import { FormatError, OutOfMemoryError, ShapeError } from '../../src/runtime/errors.js'
import { init } from '../../src/runtime/embedded.js'

// The real functions, wrapped so that one call can be made to fail as a system without handles or memory does.
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof actual>()
  return { ...real, open: vi.fn(real.open) }
})
vi.mock('../../src/formats/decode.js', async (original) => {
  const real = await original<typeof decoding>()
  return { ...real, decodeImage: vi.fn(real.decodeImage) }
})

const { mkdir, mkdtemp, readFile, rm, symlink, writeFile } = actual

beforeAll(() => init())

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'toeplitz-folder-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

/** A picture of one colour. */
const png = (red: number, green: number, blue: number, width = 6, height = 4): Uint8Array => {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => [red, green, blue][i % 3]!)
  return encodePng({ width, height, channels: 3, data })
}
const jpeg = (value: number, width = 6, height = 4): Uint8Array =>
  encodeJpeg({ width, height, data: new Uint8Array(width * height * 4).fill(value) }, 95).data

async function put(path: string, bytes: Uint8Array | string): Promise<void> {
  await mkdir(join(directory, path, '..'), { recursive: true })
  await writeFile(join(directory, path), bytes)
}

async function twoClasses(): Promise<void> {
  for (let i = 0; i < 5; i++) await put(`cat/${i}.png`, png(10 * i, 0, 255))
  for (let i = 0; i < 4; i++) await put(`dog/${i}.${i % 2 ? 'JPG' : 'jpeg'}`, jpeg(200 + i))
  await put('cat/notes.txt', 'no picture')
  await put('README.md', 'no class')
}

describe('openImageFolder', () => {
  it('has a class for each folder and reads pictures when they are asked for', async () => {
    await twoClasses()
    const source = await openImageFolder(directory)
    expect({ ...source, files: source.files?.length, labels: [...source.labels].sort(), read: 0 }).toEqual({
      preparation: plainPixels([3, 4, 6]),
      ...{ files: 9, labels: [0, 0, 0, 0, 0, 1, 1, 1, 1], size: 9, shape: [3, 4, 6], classes: ['cat', 'dog'], read: 0 },
    })
    // Each file is in the folder of its label.
    const folders = source.files?.map((path) => path.split('/').at(-2))
    expect(folders).toEqual(Array.from(source.labels, (label) => source.classes[label]))
    // Not all of one class first.
    expect([...source.labels]).not.toEqual([...source.labels].sort())
    const reds = new Set<number>()
    for (let i = 0; i < 9; i++) {
      const pixels = (await source.read(i))!
      expect(pixels).toHaveLength(72)
      if (source.labels[i] === 0) {
        reds.add(pixels[0]!)
        expect([pixels[23], pixels[24], pixels[71]]).toEqual([pixels[0], 0, 255])
      } else expect(Math.abs(pixels[5]! - 202)).toBeLessThan(5)
    }
    expect([...reds].sort((a, b) => a - b)).toEqual([0, 10, 20, 30, 40])
    // It was kept in memory.
    await rm(directory, { recursive: true })
    expect(await source.read(3)).toHaveLength(72)
  })

  it('brings other sizes and channels to those asked for', async () => {
    await put('a/gray.png', encodePng({ width: 8, height: 2, channels: 1, data: new Uint8Array(16).fill(90) }))
    await put('a/wide.png', png(1, 2, 3, 30, 7))
    await put('b/tall.png', png(4, 5, 6, 3, 9))
    const colour = await openImageFolder(directory, { size: [4, 5], channels: 3 })
    const seen = await Promise.all([0, 1, 2].map(async (i) => [...(await colour.read(i))!]))
    const expected = [
      [90, 90, 90],
      [1, 2, 3],
      [4, 5, 6],
    ].map((c) => c.flatMap((v) => new Array<number>(20).fill(v)))
    expect(seen.sort((p, q) => p[0]! - q[0]!)).toEqual(expected.sort((p, q) => p[0]! - q[0]!))
    const grey = await openImageFolder(directory, { size: [2, 2], channels: 1, cacheBytes: 0 })
    expect(grey.shape).toEqual([1, 2, 2])
    expect(await grey.read(0)).toHaveLength(4)
    await rm(directory, { recursive: true })
    // It was not kept, and its file is gone: other pictures than those that were there would give other weights.
    await expect(grey.read(0)).rejects.toThrow(
      /(gray|wide|tall)\.png: was there when the folder was opened, and is gone/,
    )
  })

  it('skips what is damaged, once told, or ends there under strict', async () => {
    await twoClasses()
    await put('cat/empty.png', '')
    await put('cat/cut.png', png(1, 2, 3).subarray(0, 40))
    await put('dog/cut.jpg', jpeg(9, 40, 40).subarray(0, 300))
    await put('dog/text.jpg', 'hello')
    const told: string[] = []
    const source = await openImageFolder(directory, { onSkip: ({ message }) => told.push(message) })
    expect(source.size).toBe(13)
    const found = await Promise.all(Array.from({ length: 13 }, (_, i) => source.read(i)))
    await Promise.all(Array.from({ length: 13 }, (_, i) => source.read(i)))
    expect(found.filter((pixels) => pixels === undefined)).toHaveLength(4)
    expect(told.map((message) => /(\w+\/\w+\.\w+): /.exec(message)![1]).sort()).toEqual([
      ...['cat/cut.png', 'cat/empty.png', 'dog/cut.jpg', 'dog/text.jpg'],
    ])
    for (const message of told) expect(message).not.toContain('\n')
    const strict = await openImageFolder(directory, { strict: true, size: [4, 6], channels: 3 })
    const reading = Promise.all(Array.from({ length: 13 }, (_, i) => strict.read(i)))
    await expect(reading).rejects.toThrow(FormatError)
  })

  it.skipIf(process.platform === 'win32')(
    'skips what is no file, told by name, or ends there under strict',
    async () => {
      await twoClasses()
      execFileSync('mkfifo', [join(directory, 'cat/pipe.png')])
      await symlink('nowhere', join(directory, 'dog/dangling.jpg'))
      const told: string[] = []
      const source = await openImageFolder(directory, { onSkip: ({ message }) => told.push(message) })
      expect(source.size).toBe(9)
      expect(told.sort()).toEqual([
        `${directory}/cat/pipe.png: is a pipe, which is not read; name a regular file`,
        `${directory}/dog/dangling.jpg: is a link that leads nowhere; remove it`,
      ])
      await expect(openImageFolder(directory, { strict: true })).rejects.toThrow(/pipe\.png: is a pipe/)
    },
  )

  it('prepares pictures as it is asked to, and says how', async () => {
    await put('a/1.png', png(200, 6, 2))
    await put('a/2.png', png(210, 6, 2))
    const how = {
      size: [4, 4],
      channels: 1,
      fit: 'contain',
      interpolation: 'nearest',
      invert: 'light-background',
    } as const
    const { preparation, read } = await openImageFolder(directory, how)
    expect(preparation).toEqual({ ...plainPixels([1, 4, 4]), ...how })
    const bytes = await readFile(join(directory, 'a/1.png'))
    const first = preparePixels(decodeImage(bytes, 'x'), preparation!)
    expect([await read(0), await read(1)]).toContainEqual(first)
    expect(new Set(first).size).toBeGreaterThan(1)
    for (const [wrong, message] of [
      [{ fit: 'fill' }, /^openImageFolder: options\.fit must be one of cover, contain, stretch; given 'fill'$/],
      [{ invert: true }, /options\.invert must be one of never, light-background; given true/],
      [{ size: [0, 4] }, /options\.size must be a height and a width of whole numbers from 1 on/],
      [{ fitt: 'cover' }, /there is no option 'fitt'; did you mean 'fit'\?/],
    ] as const) {
      await expect(openImageFolder(directory, wrong as object)).rejects.toThrow(message)
    }
  })

  it('tells of what is passed over', async () => {
    await twoClasses()
    await put('dog/more/4.png', png(1, 2, 3))
    await put('dog/.DS_Store', '')
    const told: OtherFiles[] = []
    const source = await openImageFolder(directory, { onOther: (others) => told.push(others) })
    expect(source.size).toBe(9)
    expect(told).toEqual([
      { count: 1, example: join(directory, 'README.md'), kind: 'file', place: 'beside' },
      { count: 1, example: join(directory, 'cat/notes.txt'), kind: 'file', place: 'class' },
      { count: 1, example: join(directory, 'dog/more'), kind: 'directory', place: 'class' },
    ])
  })

  it('tells of what lies beside train and test', async () => {
    await put('train/a/1.png', png(1, 2, 3))
    await put('train/b/1.png', png(1, 2, 3))
    await put('test/a/2.png', png(1, 2, 3))
    await put('test/b/2.png', png(1, 2, 3))
    await put('more/a/3.png', png(1, 2, 3))
    await put('4.png', png(1, 2, 3))
    const told: OtherFiles[] = []
    await loadImageFolder(directory, { onOther: (others) => told.push(others) })
    expect(told).toEqual([
      { count: 1, example: join(directory, '4.png'), kind: 'picture', place: 'beside' },
      { count: 1, example: join(directory, 'more'), kind: 'directory', place: 'beside' },
    ])
  })

  it.each([
    ['EMFILE', 'FILE', 'too many files are open'],
    ['ENFILE', 'FILE', 'too many files are open'],
    ['EACCES', 'FILE', 'no permission to read it'],
    ['EIO', 'FILE', 'the disk fails'],
    ['ENOMEM', 'OUT_OF_MEMORY', 'memory ran out'],
  ])('ends at %s, and does not take the picture for a damaged one', async (code, expected, message) => {
    await twoClasses()
    const told: string[] = []
    const source = await openImageFolder(directory, { cacheBytes: 0, onSkip: (error) => told.push(error.message) })
    vi.mocked(actual.open).mockRejectedValueOnce(Object.assign(new Error('failed'), { code }))
    const failure = source.read(4)
    await expect(failure).rejects.toThrow(message)
    await expect(failure).rejects.toMatchObject({ code: expected })
    expect(await source.read(4)).toHaveLength(72)
    expect(told).toEqual([])
  })

  it.each([
    new RangeError('Array buffer allocation failed'),
    new FormatError('the JPEG is damaged', { cause: new RangeError('Array buffer allocation failed') }),
    new OutOfMemoryError('out of memory'),
  ])('ends where a decoder has no memory left: %s', async (error) => {
    await twoClasses()
    const source = await openImageFolder(directory, { cacheBytes: 0 })
    vi.mocked(decoding.decodeImage).mockImplementationOnce(() => {
      throw error
    })
    await expect(source.read(4)).rejects.toThrow(OutOfMemoryError)
    expect(await source.read(4)).toHaveLength(72)
  })

  it('explains an empty class, a folder without classes and one without readable pictures', async () => {
    await expect(openImageFolder(directory)).rejects.toThrow(/there is no folder in it; expected one for each class/)
    await put('cat/a.png', 'x')
    await expect(openImageFolder(directory)).rejects.toThrow(
      /cat\/a\.png: none of the 1 pictures, such as this one, can be read: neither a PNG nor a JPEG$/,
    )
    await put('dog/a.txt', 'x')
    await expect(openImageFolder(directory)).rejects.toThrow(
      /dog: the class is empty; put pictures .* in it, or remove it/,
    )
    await put('dog/b.webp', 'x')
    await put('dog/a.HEIC', 'x')
    await expect(openImageFolder(directory)).rejects.toThrow(
      /dog\/a\.HEIC: no picture of the class can be read: PNG and JPEG are; save them as one of these$/,
    )
  })
})

describe('loadImageFolder', () => {
  it('takes train and test, which must agree', async () => {
    for (const [split, count] of [
      ['train', 4],
      ['test', 2],
    ] as const) {
      for (let i = 0; i < count; i++) {
        await put(`${split}/cat/${i}.png`, png(i, 0, 0, split === 'train' ? 6 : 12, 4))
        await put(`${split}/dog/${i}.png`, png(i, 9, 0))
      }
    }
    const { training, test } = await loadImageFolder(directory)
    expect([training.size, test.size, test.shape]).toEqual([8, 4, training.shape])
    expect(await test.read(0)).toHaveLength(72)
    await put('test/cow/0.png', png(1, 1, 1))
    await expect(loadImageFolder(directory)).rejects.toThrow(ShapeError)
  })

  it('takes a sixth of the classes to test with where nothing is said', async () => {
    for (let i = 0; i < 12; i++) await put(`${i % 2 ? 'cat' : 'dog'}/${i}.png`, png(i, 0, 0))
    const { training, test } = await loadImageFolder(directory)
    expect([training.size, test.size]).toEqual([10, 2])
    const reds = await Promise.all(
      [training, test].flatMap((part) => Array.from({ length: part.size }, async (_, i) => (await part.read(i))![0]!)),
    )
    expect(reds.sort((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, i) => i))
    await expect(loadImageFolder(join(directory, 'none'))).rejects.toThrow(/none: no such directory/)
  })

  it.each([
    [['train', 'test'], { training: 8, test: 4 }],
    [['Training', 'TESTING'], { training: 8, test: 4 }],
    [['train', 'val', 'test'], { training: 8, validation: 2, test: 4 }],
    [['training', 'validation', 'testing'], { training: 8, validation: 2, test: 4 }],
    [['train', 'valid'], { training: 7, validation: 2, test: 1 }],
    [['train'], { training: 7, test: 1 }],
  ])('knows the parts %j', async (names, sizes) => {
    const counts = { tr: 4, va: 1, te: 2 } as const
    for (const name of names) {
      const count = counts[name.slice(0, 2).toLowerCase() as 'tr']
      for (let i = 0; i < count; i++) {
        await put(`${name}/cat/${i}.png`, png(i, 0, 0))
        await put(`${name}/dog/${i}.png`, png(i, 9, 0))
      }
    }
    const told: OtherFiles[] = []
    const parts = await loadImageFolder(directory, { onOther: (others) => told.push(others) })
    expect(Object.fromEntries(Object.entries(parts).map(([part, { size }]) => [part, size]))).toEqual(sizes)
    for (const { classes, shape } of Object.values(parts))
      expect([classes, shape]).toEqual([
        ['cat', 'dog'],
        [3, 4, 6],
      ])
    expect(told).toEqual([])
  })

  it('takes a folder of such a name in which pictures lie for a class', async () => {
    for (const name of ['train', 'bus']) for (let i = 0; i < 6; i++) await put(`${name}/${i}.png`, png(i, 0, 0))
    expect((await loadImageFolder(directory)).training.classes).toEqual(['bus', 'train'])
  })

  it('says what is twice, missing or only one class', async () => {
    for (const name of ['cat', 'dog']) await put(`test/${name}/1.png`, png(1, 0, 0))
    await expect(loadImageFolder(directory)).rejects.toThrow(
      /there is a folder test, but none called train to train on$/,
    )
    for (const name of ['cat', 'dog']) await put(`train/${name}/1.png`, png(1, 0, 0))
    await put('val/cat/1.png', png(1, 0, 0))
    await expect(loadImageFolder(directory)).rejects.toThrow(
      /val: the classes \(cat\) are not those of .*train \(cat, dog\)/,
    )
    await put('validation/cat/1.png', png(1, 0, 0))
    await expect(loadImageFolder(directory)).rejects.toThrow(
      /val and validation are for the same; keep one of the two$/,
    )
    for (let i = 0; i < 9; i++) await put(`one/cat/${i}.png`, png(1, 0, 0))
    await expect(loadImageFolder(join(directory, 'one'))).rejects.toThrow(
      /one: there is one class, cat; at least two are needed, each a folder with its pictures$/,
    )
  })
})

describe('a folder that changes while it is read', () => {
  it('is an error at the picture that is another one than at first', async () => {
    await twoClasses()
    const source = await openImageFolder(directory, { cacheBytes: 0, onSkip: (error) => expect(error).toBeUndefined() })
    const index = source.files!.findIndex((path) => path.endsWith('cat/3.png'))
    const before = await source.read(index)
    expect(await source.read(index)).toEqual(before)
    const file = await readFile(source.files![index]!)
    for (const bytes of [png(1, 2, 3), file.subarray(0, 50), new Uint8Array()]) {
      await put('cat/3.png', bytes)
      await expect(source.read(index)).rejects.toMatchObject({
        code: 'FILE',
        message: `${source.files![index]}: has changed since it was read first; put it back as it was`,
      })
    }
    await put('cat/3.png', file)
    expect(await source.read(index)).toEqual(before)
    // A picture that comes later is none of it, and one that goes is missed.
    await put('cat/new.png', png(9, 9, 9))
    expect(source.size).toBe(9)
    await rm(source.files![index]!)
    await expect(source.read(index)).rejects.toThrow(/3\.png: was there when the folder was opened, and is gone/)
    // A class that goes, too.
    await rm(join(directory, 'dog'), { recursive: true })
    const other = source.files!.findIndex((path) => path.includes('/dog/'))
    await expect(source.read(other)).rejects.toThrow(/was there when the folder was opened, and is gone/)
  })

  it('is an error where a picture is being written to', async () => {
    await twoClasses()
    const source = await openImageFolder(directory, { cacheBytes: 0, size: [4, 6], channels: 3 })
    await source.read(0)
    const { open } = await vi.importActual<typeof actual>('node:fs/promises')
    vi.mocked(actual.open).mockImplementationOnce(async (...args) => {
      const handle = await open(...args)
      const stat = await handle.stat()
      handle.stat = vi
        .fn()
        .mockResolvedValueOnce(stat)
        .mockResolvedValueOnce(Object.assign(Object.create(stat), { mtimeMs: stat.mtimeMs + 1 }))
      return handle
    })
    await expect(source.read(0)).rejects.toMatchObject({ code: 'FILE' })
    expect(await source.read(0)).toHaveLength(72)
  })
})

describe('pictures of any size', () => {
  it('of 1 × 1 are read, and those of 20,000 × 20,000 refused before they are decoded', async () => {
    await twoClasses()
    await put('cat/one.png', png(7, 8, 9, 1, 1))
    // The header of such a picture, and a chunk that no memory is taken for.
    const huge = encodePng({ width: 1, height: 1, channels: 3, data: new Uint8Array(3) })
    new DataView(huge.buffer, huge.byteOffset).setUint32(16, 20_000)
    new DataView(huge.buffer, huge.byteOffset).setUint32(20, 20_000)
    new DataView(huge.buffer, huge.byteOffset).setUint32(29, crc32(huge, 12, 29))
    await put('cat/huge.png', huge)
    const told: string[] = []
    const source = await openImageFolder(directory, { size: [4, 6], onSkip: ({ message }) => told.push(message) })
    const of = (name: string): number => source.files!.findIndex((path) => path.endsWith(name))
    expect([...(await source.read(of('one.png')))!].slice(0, 24)).toEqual(new Array(24).fill(7))
    expect(await source.read(of('huge.png'))).toBeUndefined()
    expect(told).toEqual([
      `${directory}/cat/huge.png: the PNG has 20000 × 20000 pixels, more than the limit of 67108864; make it smaller, or raise maxPixels (--max-pixels)`,
    ])
    expect(() => decodeImage(huge, 'x', { maxPixels: Infinity })).toThrow(
      /x: the PNG takes 120\d+ bytes to decode, more than the limit of 536870912/,
    )
    expect(() => decodeImage(huge, 'x', { maxPixels: Infinity, maxBytes: Infinity })).toThrow(/x: the PNG is damaged/)
  })
})
