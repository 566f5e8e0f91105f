/** `toeplitz evaluate` measures what the test after training measures, to the bit. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { evaluateCommand } from '../../src/cli/evaluate.js'
import { predictCommand } from '../../src/cli/predict.js'
import type { EvaluateOptions, TrainOptions } from '../../src/cli/actions.js'
import { evaluationBatch, trainDefaults } from '../../src/cli/settings.js'
import { defaultLimits } from '../../src/formats/limits.js'
import { encodePng } from '../../src/formats/png.js'
import { randomOf } from '../helpers/mutants.js'
import { train, writeTinyData } from '../helpers/tinyRuns.js'

const root = mkdtempSync(join(tmpdir(), 'toeplitz-evaluate-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const names = ['ape', 'bee', 'cat']

/** Noisy pictures of three shades, some of which are taken for another. */
function writeFolder(directory: string, count: number, seed: number): void {
  const random = randomOf(seed)
  for (let n = 0; n < count; n++) {
    const folder = join(directory, names[n % 3]!)
    mkdirSync(folder, { recursive: true })
    const [width, height] = [6 + random(9), 6 + random(9)]
    const data = Uint8Array.from({ length: width * height * 3 }, () => 40 * (n % 3) + random(160))
    writeFileSync(join(folder, `${n}.png`), encodePng({ width, height, channels: 3, data }))
  }
}

const options: TrainOptions = {
  ...trainDefaults,
  ...{ model: 'linear', epochs: 2, batchSize: 8, lr: 0.01, imageSize: 8, debug: false },
  given: new Set(['epochs', 'lr', 'imageSize']),
}
const defaults: EvaluateOptions = { ...defaultLimits, batchSize: evaluationBatch, json: false, debug: false }

async function evaluate(model: string, data: string, changes: Partial<EvaluateOptions> = {}) {
  let [out, error] = ['', '']
  const code = await evaluateCommand(
    model,
    data,
    { ...defaults, ...changes },
    { stdout: { write: (text) => (out += text) }, stderr: { write: (text) => (error += text) } },
  )
  return { code, out, error }
}

interface Answer {
  readonly images: number
  readonly skipped: number
  readonly errors: number
  readonly test_error: number
  readonly loss: number
  readonly classes: readonly {
    readonly label: string
    readonly images: number
    readonly errors: number
    readonly error: number | null
    readonly precision: number | null
    readonly taken_for: string | null
  }[]
}

async function answer(model: string, data: string, changes: Partial<EvaluateOptions> = {}): Promise<Answer> {
  const { out } = await evaluate(model, data, { json: true, ...changes })
  return JSON.parse(out) as Answer
}

/** What a run says of its test. */
const testOf = (run: string): object =>
  (JSON.parse(readFileSync(join(run, 'result.json'), 'utf8')) as { test: object }).test

const errorIn = (text: string): string | undefined => /^test error .*$/m.exec(text)?.[0]

const split = join(root, 'split')
const flat = join(root, 'flat')
const runs = { split: join(root, 'run-split'), flat: join(root, 'run-flat') }
let printed: { readonly split: string; readonly flat: string }
beforeAll(async () => {
  writeFolder(join(split, 'train'), 60, 1)
  writeFolder(join(split, 'test'), 33, 2)
  writeFolder(flat, 60, 3)
  printed = {
    split: await train({ ...options, data: split, out: runs.split }),
    flat: await train({ ...options, data: flat, out: runs.flat, augment: 'crop=6' }),
  }
})

describe('toeplitz evaluate', () => {
  it('gives the test error that training printed, to the bit', async () => {
    for (const folder of [join(split, 'test'), split]) {
      const { code, out } = await evaluate(runs.split, folder)
      expect(code).toBe(0)
      expect(errorIn(out)).toBe(errorIn(printed.split))
      const { images, errors, loss } = await answer(runs.split, folder)
      expect({ images, errors, loss }).toEqual(testOf(runs.split))
      expect(errors).toBeGreaterThan(0)
    }
    // At another batch size, nearly.
    const whole = await answer(runs.split, split)
    const small = await answer(runs.split, split, { batchSize: 4 })
    expect(small.loss).toBeCloseTo(whole.loss, 5)
    expect(small.errors).toBe(whole.errors)
  })

  it('takes of the folder that a run was trained on what was held out, and of another one all', async () => {
    const { error, out } = await evaluate(runs.flat, flat)
    expect(error).toBe(`note: 10 pictures are measured: those that training on ${flat} holds out, of 60\n`)
    expect(errorIn(out)).toBe(errorIn(printed.flat))
    const { images, errors, loss } = await answer(runs.flat, flat)
    expect({ images, errors, loss }).toEqual(testOf(runs.flat))
    const other = await evaluate(join(runs.flat, 'model.safetensors'), join(split, 'test'))
    expect(other.error).toBe('')
    expect(errorIn(other.out)).toContain('of 33 wrong')
  })

  it('refuses the folder that a run was trained on when a picture of it is gone', async () => {
    const label = readdirSync(flat).find((name) => statSync(join(flat, name)).isDirectory())!
    const picture = readdirSync(join(flat, label))[0]!
    const path = join(flat, label, picture)
    const bytes = readFileSync(path)
    rmSync(path)
    try {
      await expect(evaluate(runs.flat, flat)).rejects.toThrow(
        `is not as it was when the model was trained on it: 1 missing (${label}/${picture}); which pictures training held out cannot be told`,
      )
    } finally {
      writeFileSync(path, bytes)
    }
    expect((await evaluate(runs.flat, flat)).code).toBe(0)
  })

  it('takes the folder test as it is, whatever became of the pictures that were trained with', async () => {
    const label = readdirSync(join(split, 'train'))[0]!
    const added = join(split, 'train', label, 'one-more.png')
    cpSync(join(split, 'train', label, readdirSync(join(split, 'train', label))[0]!), added)
    try {
      expect(errorIn((await evaluate(runs.split, split)).out)).toBe(errorIn(printed.split))
    } finally {
      rmSync(added)
    }
  })

  it('tells the top-5 error too where there are ten classes, as training did', async () => {
    const dataDir = join(root, 'tiny')
    writeTinyData(dataDir)
    const out = join(root, 'run-tiny')
    // One epoch at a low rate: some of the pictures are not even among the five best.
    const text = await train({
      ...options,
      data: 'mnist',
      dataDir,
      out,
      imageSize: 0,
      epochs: 1,
      lr: 1e-4,
      batchSize: 64,
    })
    const line = /^top-5 error .*$/m.exec(text)?.[0]
    const { code, out: told } = await evaluate(out, 'mnist', { dataDir })
    expect(code).toBe(0)
    expect(/^top-5 error .*$/m.exec(told)?.[0]).toBe(line)
    const [, percent, errors] = /^top-5 error +(\d+\.\d\d) % {2}\((\d+) of 20 not among the five best\)$/.exec(line!)!
    expect(Number(percent)).toBe(Number(errors) * 5)
    const of = (text: string): { test_error: number; top5_error: number } =>
      JSON.parse(text) as { test_error: number; top5_error: number }
    const record = of(readFileSync(join(out, 'result.json'), 'utf8'))
    expect(record.top5_error).toBe(Number(errors) / 20)
    expect(record.top5_error).toBeGreaterThan(0)
    expect(record.top5_error).toBeLessThan(record.test_error)
    expect(of((await evaluate(out, 'mnist', { dataDir, json: true })).out).top5_error).toBe(record.top5_error)
    expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain(`${errors} of 20 whose class is none of the five`)
    // Three classes have no five best.
    expect(printed.split).not.toContain('top-5')
    expect(readFileSync(join(runs.split, 'result.json'), 'utf8')).not.toContain('top5')
  })

  it('says of each class what was made of it, as predict does of each picture', async () => {
    const { classes, errors } = await answer(runs.split, join(split, 'test'))
    let text = ''
    const how = { ...defaultLimits, batchSize: evaluationBatch, csv: false, json: true, debug: false }
    const streams = { stdout: { write: (line: string) => (text += line) }, stderr: process.stderr }
    await predictCommand(runs.split, [join(split, 'test')], how, streams)
    const seen = (JSON.parse(text) as { image: string; label: string }[]).map(({ image, label }) => ({
      is: image.split('/').at(-2),
      label,
    }))
    expect(classes.map(({ label }) => label)).toEqual(names)
    expect(errors).toBe(seen.filter(({ is, label }) => is !== label).length)
    for (const { label, images, errors, error, precision, taken_for } of classes) {
      const of = seen.filter(({ is }) => is === label)
      const wrong = of.filter((one) => one.label !== label)
      expect({ images, errors }).toEqual({ images: of.length, errors: wrong.length })
      expect(error).toBe(wrong.length / of.length)
      const answers = seen.filter((one) => one.label === label)
      expect(precision).toBe(answers.length > 0 ? (of.length - wrong.length) / answers.length : null)
      const count = (name: string): number => wrong.filter((one) => one.label === name).length
      expect(taken_for === null ? 0 : count(taken_for)).toBe(Math.max(...names.map(count)))
    }
    const { out } = await evaluate(runs.split, join(split, 'test'))
    expect(out).toMatch(/^class +images +wrong +error +precision +taken for$/m)
    expect(out).toMatch(/^ape +11 +\d+ +\d+\.\d\d % +(\d+\.\d\d %|–)( +\w+)?$/m)
  })

  it('measures a model of MNIST on MNIST', async () => {
    const data = join(root, 'mnist')
    writeTinyData(data)
    const run = join(root, 'run-mnist')
    const mnist = { ...options, imageSize: 0, dataDir: data }
    await train({ ...mnist, out: run })
    const { images, errors, loss } = await answer(run, 'mnist', { dataDir: data })
    expect({ images, errors, loss }).toEqual(testOf(run))
    await expect(evaluate(runs.flat, 'mnist', { dataDir: data })).rejects.toThrow(
      'mnist: its classes are not those of the model (ape, bee, cat)',
    )
  })

  it('skips what is damaged, says what is missing, and refuses what the model does not know', async () => {
    const folder = join(root, 'other')
    cpSync(join(split, 'test', 'ape'), join(folder, 'ape'), { recursive: true })
    cpSync(join(split, 'test', 'cat'), join(folder, 'cat'), { recursive: true })
    writeFileSync(join(folder, 'cat', 'damaged.png'), 'no picture')
    const { code, error, out } = await evaluate(runs.split, folder)
    expect(code).toBe(0)
    expect(error).toMatch(/^note: there is no picture of bee\nwarning: .*damaged\.png: .*; skipped\n$/)
    expect(out).toMatch(/^bee +0 +0 +– /m)
    expect(out).toMatch(/^skipped {6}1 picture$/m)
    expect(await answer(runs.split, folder)).toMatchObject({ images: 22, skipped: 1 })
    await expect(evaluate(runs.split, folder, { strict: true })).rejects.toThrow('damaged.png')
    cpSync(join(split, 'test', 'bee'), join(folder, 'dog'), { recursive: true })
    await expect(evaluate(runs.split, folder)).rejects.toThrow(
      /dog: the model has no class dog; its classes are ape, bee, cat$/,
    )
    await expect(evaluate(runs.split, join(root, 'nowhere'))).rejects.toThrow(/nowhere: no such directory$/)
    const file = join(runs.split, 'model.json')
    await expect(evaluate(runs.split, file)).rejects.toThrow(
      /model\.json: is a file; give a folder that has one for each/,
    )
  })
})
