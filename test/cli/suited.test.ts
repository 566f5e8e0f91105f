/** What a run on a folder of pictures takes from the folder, and what it refuses. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { optimizerNames, trainDefaults, withRecipe, type TrainSettings } from '../../src/cli/settings.js'
import { searchCommand } from '../../src/cli/search.js'
import type { FolderFacts } from '../../src/cli/data.js'
import { suited } from '../../src/cli/suited.js'
import type { TrainOptions } from '../../src/cli/actions.js'
import { encodePng } from '../../src/formats/png.js'
import { randomOf } from '../helpers/mutants.js'
import { bury, hashIn, namesIn, train } from '../helpers/tinyRuns.js'
import { faults } from '../helpers/fileFaults.js'
import { vi } from 'vitest'

vi.mock('node:fs/promises', async (original) =>
  (await import('../helpers/fileFaults.js')).faultyPromises(await original()),
)

const root = mkdtempSync(join(tmpdir(), 'toeplitz-suited-'))
const home = process.cwd()
beforeAll(() => process.chdir(root))
afterAll(() => {
  process.chdir(home)
  rmSync(root, { recursive: true, force: true })
})

/** Pictures of three shades; `side` gives the extents of each. */
function writeFolder(directory: string, count: number, side: (n: number) => number): void {
  const random = randomOf(count)
  for (let n = 0; n < count; n++) {
    const folder = join(directory, ['ape', 'bee', 'cat'][n % 3]!)
    mkdirSync(folder, { recursive: true })
    const [width, height] = [side(n) + 4, side(n)]
    const data = Uint8Array.from({ length: width * height * 3 }, () => 80 * (n % 3) + random(60))
    writeFileSync(join(folder, `${n}.png`), encodePng({ width, height, channels: 3, data }))
  }
}

/** A run as it is typed: with these options, and everything else by itself. */
const run = (typed: Partial<TrainSettings>): Promise<string> => {
  const given = new Set(Object.keys(typed) as (keyof TrainSettings)[])
  const options: TrainOptions = { ...trainDefaults, ...typed, debug: false, given }
  return train(withRecipe(options, given))
}

const facts: FolderFacts = { pictures: 120, training: 80, classes: 3, sizes: [[200, 300], [90, 100], [400, 120]], grey: 0 } // prettier-ignore
const chosen = (model: string, changes: Partial<FolderFacts> = {}, typed: Partial<TrainSettings> = {}) => {
  const given = new Set(Object.keys(typed))
  const { settings, lines } = suited({ ...trainDefaults, model, ...typed }, given, { ...facts, ...changes }, undefined)
  const { epochs, lr, imageSize } = settings
  return { epochs, lr, imageSize, lines: Object.values(lines) }
}

describe('what suits a folder', () => {
  it('follows from the pictures, and is said in one line each', () => {
    expect(chosen('convnet')).toEqual({
      ...{ epochs: 40, lr: 0.02, imageSize: 64 },
      lines: [
        '120 pictures of 3 classes: 40 epochs (--epochs)',
        'pictures from 100 × 90 to 300 × 200 pixels are brought to 64 × 64 (--image-size, --fit)',
        'convnet on 64 × 64 pixels: learning rate 0.02 (--lr)',
      ],
    })
    // More pictures need fewer epochs.
    const epochs = [100, 1000, 2000, 10_000, 100_000].map((training) => chosen('convnet', { training }).epochs)
    expect(epochs).toEqual([40, 38, 19, 5, 5])
    expect(chosen('linear').lr).toBeLessThan(chosen('linear', { sizes: [[8, 8]] }).lr)
  })

  it('leaves what is typed, and pictures of one small size', () => {
    const typed = { epochs: 3, lr: 0.5, imageSize: 0 }
    expect(chosen('convnet', {}, typed)).toEqual({ ...typed, lines: [] })
    expect(chosen('convnet', { sizes: [[30, 40], [30, 40]] }, { epochs: 3, lr: 0.5 })).toMatchObject({ imageSize: 0, lines: [] }) // prettier-ignore
    // Of another optimizer, the rate is its own.
    expect(chosen('convnet', {}, { optimizer: 'adam', lr: 0.001 }).lr).toBe(0.001)
  })

  it('gives a network the size that it can take', () => {
    expect(chosen('lenet5').imageSize).toBe(32)
    expect(chosen('alexnet').imageSize).toBeGreaterThan(200)
    expect(chosen('convnet', { sizes: [[5, 5]] }).imageSize).toBe(28)
    expect(chosen('linear', { sizes: [[1, 1]] }).imageSize).toBe(0)
    expect(chosen('convnet', { sizes: [] }).imageSize).toBe(0)
  })
})

describe('a run on a folder', () => {
  it('takes what suits it, tells it, and says what is too little', async () => {
    writeFolder('photos', 60, (n) => 20 + n)
    const out = await run({ model: 'linear', data: 'photos', out: 'run' })
    expect(out).toContain('60 pictures of 3 classes: 40 epochs (--epochs)\n')
    expect(out).toMatch(
      /^pictures from \d+ × \d+ to \d+ × \d+ pixels are brought to (\d+) × \1 \(--image-size, --fit\)$/m,
    )
    expect(out).toMatch(/^linear on \d+ × \d+ pixels: learning rate 0\.\d+ \(--lr\)$/m)
    expect(out).toMatch(/^warning: there are few pictures to train with of ape \(\d+\), bee \(\d+\), cat \(\d+\); from 20 of a class on/m) // prettier-ignore
    expect(out).toContain('10 pictures are kept for validation, 10 for the test\n')
    expect(out).toContain('linear on photos: 40 training, 10 validation, 10 test images')
    expect(out).toMatch(/^epoch 40\/40 .* acc 100.0%/m)
    const { command } = JSON.parse(readFileSync('run/result.json', 'utf8')) as { command: string }
    expect(command).toMatch(/--image-size \d+ --epochs 40 .*--lr 0\.0/)
    // Repeated by that command, it gives the same weights without a choice.
    const [, imageSize, lr] = /--image-size (\d+) .*--lr (\S+)/.exec(command)!.map(Number)
    const again = { model: 'linear', data: 'photos', out: 'again', epochs: 40, imageSize: imageSize!, lr: lr! }
    await run(again)
    expect(hashIn('again')).toBe(hashIn('run'))
  })

  it('keeps the colours where pictures have them, whichever comes first, and goes on with what it began with', async () => {
    const model = (folder: string): { input: number[] } =>
      (JSON.parse(readFileSync(join(folder, 'model.json'), 'utf8')) as { architecture: { input: number[] } })
        .architecture
    for (const grey of [24, 23, 1]) {
      const data = `grey-${grey}`
      writeFolder(data, 24, () => 8)
      for (let n = 0; n < grey; n++) {
        const png = encodePng({ width: 12, height: 8, channels: 1, data: new Uint8Array(96).fill(n) })
        writeFileSync(join(data, ['ape', 'bee', 'cat'][n % 3]!, `${n}.png`), png)
      }
      const typed = { model: 'linear', data, epochs: 2, batchSize: 4 } as const
      const out = await run({ ...typed, out: `${data}-run` })
      expect(model(`${data}-run`).input).toEqual([grey === 24 ? 1 : 3, 8, 12])
      // Of the pictures to train with.
      const told = out.match(/^(\d+) of the first (\d+) pictures are grey: all are read in colour$/m)
      if (grey === 24) expect(told).toBeNull()
      if (grey === 23) expect([Number(told![1]) >= Number(told![2]) - 1, told![2]]).toEqual([true, '20'])
      await run({ resume: `${data}-run`, epochs: 3 })
      expect(model(`${data}-run`).input).toEqual([grey === 24 ? 1 : 3, 8, 12])
    }
  })

  it('tells which pictures it does not read, and what to do', async () => {
    for (const name of ['ape/a.webp', 'ape/b.HEIC', 'cat/notes.txt']) writeFileSync(join('photos', name), 'x')
    const out = await run({ model: 'linear', data: 'photos', out: 'told', epochs: 1 })
    expect(out.match(/^note: .*$/gm)).toEqual([
      'note: left out 2 pictures of another format, such as photos/ape/a.webp: PNG and JPEG are read; save them as one of these',
      'note: left out 1 file in the classes, such as photos/cat/notes.txt: names of pictures end in .png, .jpg, .jpeg',
    ])
    for (const name of ['ape/a.webp', 'ape/b.HEIC', 'cat/notes.txt']) rmSync(join('photos', name))
  })

  it('refuses one class, and a class of which nothing is left to train with', async () => {
    mkdirSync('one/cat', { recursive: true })
    for (let n = 0; n < 6; n++) {
      const png = encodePng({ width: 8, height: 8, channels: 1, data: new Uint8Array(64).fill(n) })
      writeFileSync(`one/cat/${n}.png`, png)
    }
    await expect(run({ model: 'linear', data: 'one', out: 'no' })).rejects.toThrow(/one: there is one class, cat;/)
    mkdirSync('two/cat', { recursive: true })
    mkdirSync('two/dog')
    for (const name of ['cat/1', 'dog/1', 'dog/2'])
      writeFileSync(`two/${name}.png`, encodePng({ width: 8, height: 8, channels: 1, data: new Uint8Array(64) }))
    await expect(run({ model: 'linear', data: 'two', out: 'no' })).rejects.toThrow(
      /^two: none of the 1 pictures to train with is of the class (cat|dog); add pictures of it$/,
    )
    expect(namesIn('no')).toEqual([])
  })

  it('names what it was told to cut out of pictures that are smaller', async () => {
    const typed = { model: 'linear', data: 'photos', imageSize: 8, augment: 'crop=9', out: 'no' }
    await expect(run(typed)).rejects.toMatchObject({
      code: 'USAGE',
      message: '--augment crop=9: the pictures have 8 × 8 pixels, of which no more can be cut out',
    })
    expect(namesIn('no')).toEqual([])
  })

  it('does not write into its data, however that is named', async () => {
    symlinkSync('photos', 'link')
    const before = namesIn('photos')
    for (const out of ['photos', 'photos/run', 'link/runs/a', 'link/ape', join(root, 'photos', 'x')]) {
      await expect(run({ model: 'linear', data: 'photos', out, epochs: 1 })).rejects.toMatchObject({
        code: 'USAGE',
        message: `--out ${out} is in the folder of the data, photos, of which each folder is a class; choose another one by --out`,
      })
    }
    process.chdir('photos')
    await expect(run({ model: 'linear', data: '.', epochs: 1 })).rejects.toThrow(
      'runs/linear-photos, for the results, is in the folder of the data, .,',
    )
    process.chdir(root)
    expect(namesIn('photos')).toEqual(before)
    await run({ model: 'linear', data: 'photos', out: 'photos-run', epochs: 1 })
    const search = { ...trainDefaults, data: 'photos', lr: [0.1], weightDecay: [0], trials: 1, rounds: 1, images: 0 }
    const streams = { stdout: { write: () => true } }
    await expect(searchCommand({ ...search, out: 'photos/s' }, streams)).rejects.toThrow(
      '--out photos/s is in the folder',
    )
  })
})

describe('--optimizer', () => {
  it.each(optimizerNames)('trains by %s, with rates of its own, and goes on to the bit', async (optimizer) => {
    const typed = { model: 'linear', data: 'photos', imageSize: 8, optimizer, epochs: 3, batchSize: 4 } as const
    const out = `by-${optimizer}`
    expect(await run({ ...typed, out })).toContain('test error')
    const kill = await faults.during(`${out}-killed`, ({ number }) => (number >= 20 ? 'kill' : undefined), () => run({ ...typed, out: `${out}-killed` })) // prettier-ignore
    expect(kill).toBeUndefined()
    bury(`${out}-killed`)
    await run({ resume: `${out}-killed` })
    expect(hashIn(`${out}-killed`)).toBe(hashIn(out))
    const { command } = JSON.parse(readFileSync(join(out, 'result.json'), 'utf8')) as { command: string }
    if (optimizer === 'sgd') expect(command).not.toContain('--optimizer')
    else expect(command).toContain(`--optimizer ${optimizer}`)
    expect(command.includes('--momentum')).toBe(['sgd', 'rmsprop'].includes(optimizer))
  })

  it('refuses a momentum where there is none', async () => {
    await expect(run({ data: 'photos', optimizer: 'adam', momentum: 0.9 })).rejects.toMatchObject({
      code: 'USAGE',
      message: '--momentum 0.9: adam has none; it is for sgd and rmsprop',
    })
  })
})

describe('--model of a file', () => {
  const conv = { type: 'Conv2d', outChannels: 4, kernel: 3 }
  const layers = [conv, { type: 'ReLU' }, { type: 'Flatten' }, { type: 'Linear', outFeatures: 3 }]
  const typed = { model: 'net.json', data: 'photos', epochs: 2, batchSize: 8, lr: 0.01 }
  const write = (model: unknown): void => writeFileSync('net.json', JSON.stringify(model))

  it('trains it, by the seed, and resumes without the file', async () => {
    write({ type: 'Sequential', input: [1, 10, 12], layers })
    const out = await run({ ...typed, out: 'own' })
    expect(out).toContain('net.json on photos: 40 training')
    expect(out).toMatch(/input\(10×12, 1\)|1 × 10 × 12/)
    const [named] = namesIn('runs').filter((name) => name.startsWith('net'))
    expect(named).toBeUndefined()
    await run({ ...typed, out: 'own-seed', seed: 2 })
    expect(hashIn('own-seed')).not.toBe(hashIn('own'))
    await faults.during('own-killed', ({ number }) => (number >= 20 ? 'kill' : undefined), () => run({ ...typed, out: 'own-killed' })) // prettier-ignore
    bury('own-killed')
    rmSync('net.json')
    await run({ resume: 'own-killed' })
    expect(hashIn('own-killed')).toBe(hashIn('own'))
    // The model.json of a run is an architecture, too; a model without an input takes the pictures'.
    await run({ ...typed, model: 'own/model.json', out: 'own-again' })
    expect(hashIn('own-again')).not.toBe('')
    write({ type: 'Sequential', input: null, layers })
    expect(await run({ ...typed, imageSize: 9, out: 'own-any' })).toMatch(/3 × 9 × 9/)
  })

  it.each<[string, unknown, Partial<TrainSettings>, RegExp]>([
    ['another size', { type: 'Sequential', input: [3, 10, 10], layers }, { imageSize: 9 }, /takes pictures of \(3, 10, 10\), and those of the data are \(3, 9, 9\); change its input/], // prettier-ignore
    ['other outputs', { type: 'Sequential', input: [3, 10, 10], layers: layers.slice(0, 3) }, {}, /gives \(256\) for a picture, and the data has 3 classes/], // prettier-ignore
    ['a Softmax at its end', { type: 'Sequential', input: [3, 10, 10], layers: [...layers, { type: 'Softmax' }] }, {}, /ends in a Softmax, which is part of the loss/], // prettier-ignore
    ['a misspelt option', { type: 'Sequential', input: [3, 10, 10], layers: [{ ...conv, strides: 2 }] }, {}, /net\.json: .*strides.*stride/], // prettier-ignore
    ['no model', { layers }, {}, /net\.json: expected an object of type 'Sequential' or 'Graph'/],
    ['--init', { type: 'Sequential', input: [3, 10, 10], layers }, { init: 'he' }, /--init he: the layers of net\.json say what they begin with/], // prettier-ignore
  ])('refuses %s', async (_, model, changes, message) => {
    write(model)
    await expect(run({ ...typed, ...changes, out: 'refused' })).rejects.toThrow(message)
    expect(namesIn('refused')).toEqual([])
  })
})
