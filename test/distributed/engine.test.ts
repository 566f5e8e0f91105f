/** How work is given to an engine: what is submitted twice, given up, kept in flight, and passed through JSON. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { engineHere, type Engine } from '../../src/distributed/engine.js'
import { exchangeOn, partsOfJob } from '../../src/distributed/exchange.js'
import { functionsOf, type Functions } from '../../src/distributed/functions.js'
import { Pool, remote, startWorker } from '../../src/distributed/index.js'
import type { GradientsJob, Job } from '../../src/distributed/jobs.js'
import { predictLists } from '../../src/distributed/predictLists.js'
import { encodePictures } from '../../src/distributed/wire.js'
import { encodePng } from '../../src/io/index.js'
import { encodeModel } from '../../src/io/model-file.js'
import { Flatten, Linear, Sequential } from '../../src/nn/index.js'
import { crossEntropy } from '../../src/ops/index.js'
import { SGD } from '../../src/optim/index.js'
import { init } from '../../src/runtime/embedded.js'
import { normal } from '../../src/tensor/create.js'
import type { Tensor } from '../../src/tensor/tensor.js'
import { fit, type Exchange, type FitOptions } from '../../src/train/index.js'

let folder: string
let functions: Functions
beforeAll(async () => {
  await init()
  functions = await functionsOf()
  folder = mkdtempSync(join(tmpdir(), 'toeplitz-engine-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const linear = (seed = 1): Sequential =>
  new Sequential([new Flatten(), new Linear({ outFeatures: 2 })], { input: [1, 4, 4], seed })

/** A run of one step of 24 examples in 4 parts. */
async function trained(
  given: Partial<FitOptions<number[]>>,
  y: number[] = Array.from({ length: 24 }, (_, n) => n % 2),
) {
  const model = linear()
  const optimizer = new SGD(model.parameters(), { lr: 0.1 })
  const data = { x: normal([24, 1, 4, 4], { seed: 5 }), y }
  const history = await fit(model, data, {
    epochs: 1,
    batchSize: 24,
    loss: crossEntropy,
    optimizer,
    parts: 4,
    ...given,
  })
  return { history, weights: model.save() }
}

/** An engine that loses the values of the first outcomes, as a store does whose values have expired. */
function losing(count: number): { readonly engine: Engine; readonly submitted: Job[]; readonly forgotten: Job[] } {
  const inner = engineHere(functions)
  const submitted: Job[] = []
  const forgotten: Job[] = []
  const engine: Engine = {
    ...inner,
    // As many workers as parts: each part is a job.
    slots: () => Promise.resolve(4),
    async submit(submission) {
      const number = submitted.push(submission.job)
      const result = await inner.submit(submission)
      if (number <= count) await inner.store.delete(result.result as string)
      return result
    },
    forget(job) {
      forgotten.push(job)
      return Promise.resolve()
    },
  }
  return { engine, submitted, forgotten }
}

const exchangeOf = (engine: Engine): Exchange => ({
  openExchange: (run) => exchangeOn(engine, functions, run),
})

const pictureModel = (seed = 1, size = [4, 4]): Uint8Array => {
  const preprocessing = {
    ...{ channels: 1, order: 'rgb', resize: size, size, fit: 'contain', interpolation: 'bilinear' },
    ...{ invert: 'never', scale: 1 / 255, normalization: { mean: [0.5], std: [0.25] } },
  }
  return encodeModel(linear(seed), { name: 'two', classes: ['a', 'b'], preprocessing } as never)
}

function picturePaths(count: number): string[] {
  return Array.from({ length: count }, (_, n) => {
    const path = join(folder, `${n}.png`)
    const data = Uint8Array.from({ length: 16 }, (__, i) => (i * 16 * (n + 1)) % 256)
    if (!existsSync(path)) writeFileSync(path, encodePng({ width: 4, height: 4, channels: 1, data }))
    return path
  })
}

describe('an outcome whose value is gone', () => {
  it('is computed again in a training', async () => {
    const { engine, submitted, forgotten } = losing(2)
    const { weights } = await trained({ exchange: exchangeOf(engine) })
    expect(weights).toEqual((await trained({})).weights)
    expect(forgotten).toEqual(submitted.slice(0, 2))
    expect(submitted).toHaveLength(6)
  })

  it('is told where it is gone again', async () => {
    const { engine } = losing(100)
    await expect(trained({ exchange: exchangeOf(engine) })).rejects.toMatchObject({ code: 'ABSENT' })
  })

  it('is computed again in a list of predictions', async () => {
    const { engine, forgotten } = losing(1)
    const output = join(folder, 'lost.jsonl')
    const report = await predictLists(engine, picturePaths(3), { model: pictureModel(), output, shard: 2 })
    expect(report).toEqual({ lines: 3, resumed: 0, failed: 0 })
    expect(forgotten).toHaveLength(1)
  })
})

describe('the parts of a job', () => {
  it.each([
    // parts, jobs at a time, parts of a job
    [8, 0, 1],
    [8, 1, 8],
    [8, 2, 4],
    [8, 3, 1],
    [8, 4, 2],
    [8, 5, 2],
    [8, 8, 1],
    [8, 20, 1],
    [1, 1, 1],
    [6, 1, 8],
    [6, 3, 2],
    [7, 2, 4],
    [1000, 2, 256],
  ])('of %i, where %i jobs are computed at a time, are %i', (parts, slots, wanted) => {
    expect(partsOfJob(parts, slots)).toBe(wanted)
  })

  it.each([1, 2, 3, 4, 5, 7, 8])('do not change the bits of a training in %i parts', async (parts) => {
    const { weights } = await trained({ parts })
    for (const slots of [0, 1, 2, 3, 4]) {
      const engine: Engine = { ...engineHere(functions), slots: () => Promise.resolve(slots) }
      expect((await trained({ parts, exchange: exchangeOf(engine) })).weights).toEqual(weights)
    }
  })

  it.each([1, 2, 4])(
    'do not change them where labels of whole parts are ignored, with %i jobs at a time',
    async (slots) => {
      // The labels of the second part, and of the last, are all −1.
      const y = Array.from({ length: 24 }, (_, n) => (Math.floor(n / 6) % 2 === 1 ? -1 : n % 2))
      const loss = (output: Tensor, target: number[]): Tensor => crossEntropy(output, target, { ignoreIndex: -1 })
      const known = { byName: new Map([...functions.byName, ['module.loss', loss]]), module: 'x' }
      const inner = engineHere(known)
      const sizes: number[] = []
      const engine: Engine = {
        ...inner,
        slots: () => Promise.resolve(slots),
        submit(submission) {
          sizes.push((submission.job as GradientsJob).parts.length)
          return inner.submit(submission)
        },
      }
      const exchange: Exchange = { openExchange: (run) => exchangeOn(engine, known, run) }
      const { weights } = await trained({ loss, exchange }, y)
      expect(weights).toEqual((await trained({ loss }, y)).weights)
      expect(sizes).toEqual({ 1: [4], 2: [2, 2], 4: [1, 1, 1, 1] }[slots])
    },
  )
})

describe('a training that waits for a part that never comes', () => {
  it('ends at its signal with the weights of the step before, and gives its jobs up', async () => {
    const inner = engineHere(functions)
    const withdrawn: Job[] = []
    let submitted = 0
    const controller = new AbortController()
    const silent: Engine = {
      ...inner,
      slots: () => Promise.resolve(4),
      submit(submission) {
        // The four parts of the first step are computed, and nobody takes those of the second.
        if (++submitted <= 4) return inner.submit(submission)
        setTimeout(() => controller.abort(), 20)
        return new Promise(() => undefined)
      },
      withdraw(job) {
        withdrawn.push(job)
        return Promise.resolve()
      },
    }
    const how = { exchange: exchangeOf(silent), signal: controller.signal, batchSize: 12 }
    const { history, weights } = await trained(how)
    expect(history).toMatchObject({ stopped: 'aborted', state: { step: 1 } })
    expect(withdrawn).toHaveLength(4)
    // The same ends with a signal that was aborted after its first step, in the process.
    const other = new AbortController()
    const callbacks = { onStep: () => other.abort() }
    expect(weights).toEqual((await trained({ signal: other.signal, batchSize: 12, callbacks })).weights)
  })

  it('gives up the other parts where one fails', async () => {
    const inner = engineHere(functions)
    const withdrawn: Job[] = []
    const stepOf = (job: Job): number => (job as GradientsJob).parts[0]!.step
    const engine: Engine = {
      ...inner,
      slots: () => Promise.resolve(4),
      submit: ({ job }) => (stepOf(job) === 0 ? Promise.reject(new Error('disk')) : new Promise(() => undefined)),
      withdraw: (job) => Promise.resolve(void withdrawn.push(job)),
    }
    await expect(trained({ exchange: exchangeOf(engine) })).rejects.toThrow('disk')
    expect(withdrawn.map(stepOf)).toEqual(expect.arrayContaining([1, 2, 3]))
  })

  it('computes no part that was given up in this process', async () => {
    const engine = engineHere(functions)
    const job = {
      type: 'trial',
      version: 'x',
      simd: 'strict',
      trial: '',
      values: {},
      number: 1,
      round: 1,
      seed: 0,
    } as const
    const found = engine.submit({ job, put: () => Promise.resolve(), keep: false })
    await engine.withdraw(job)
    await expect(found).rejects.toThrow('job: it was given up before it was done')
  })
})

describe('a classifier that is kept for the next job', () => {
  it('is not one that was freed, where the model after it could not be loaded', async () => {
    const pool = await remote()
    const paths = picturePaths(2)
    const linesOf = async (model: Uint8Array, name: string): Promise<string> => {
      const output = join(folder, `${name}.jsonl`)
      await pool.predict(paths, { model, output })
      return readFileSync(output, 'utf8')
    }
    const before = await linesOf(pictureModel(), 'before')
    // A model that takes no pictures, and bytes that are no model.
    const flat = new Sequential([new Linear({ outFeatures: 2 })], { input: [5], seed: 1 })
    const normalization = { mean: [0], std: [1] }
    const none = encodeModel(flat, { name: 'none', classes: ['a', 'b'], normalization })
    await expect(linesOf(none, 'none')).rejects.toThrow('no pictures of 1 or 3 channels')
    expect(await linesOf(pictureModel(), 'after')).toBe(before)
    await expect(linesOf(Uint8Array.of(1, 2, 3), 'broken')).rejects.toMatchObject({ code: 'FORMAT' })
    expect(await linesOf(pictureModel(), 'again')).toBe(before)
    expect(await linesOf(pictureModel(2), 'other')).not.toBe(before)
    await pool.close()
  })
})

describe('pictures of jobs in flight', () => {
  it.each([
    // Room for three and a half shards, and for none: then it is one.
    [16, 3.5, 3],
    [16, 0.5, 1],
    [2, 100, 2],
  ])('are of at most %i jobs with the bytes of %d shards', async (jobs, shards, most) => {
    const paths = picturePaths(12)
    const own = paths.slice(0, 2).map((name) => ({ name, bytes: readFileSync(name) }))
    const ahead = { jobs, bytes: shards * encodePictures(own).length }
    const inner = engineHere(functions)
    let open = 0
    let highest = 0
    const slow: Engine = {
      ...inner,
      async submit(submission) {
        highest = Math.max(highest, ++open)
        await pause(10)
        const result = await inner.submit(submission)
        open--
        return result
      },
    }
    const output = join(folder, `ahead-${most}.jsonl`)
    const report = await predictLists(slow, paths, { model: pictureModel(), output, shard: 2 }, ahead)
    expect(report.lines).toBe(12)
    expect(highest).toBe(most)
    const images = readFileSync(output, 'utf8').trimEnd().split('\n').map((line) => (JSON.parse(line) as { image: string }).image) // prettier-ignore
    expect(images).toEqual(paths)
  })
})

describe('what trials of this process get and give', () => {
  it('has passed through JSON, as on its way to a worker', async () => {
    const pool = await remote()
    const given = { at: new Date(0), none: undefined, zero: -0, list: [1, undefined], nested: { n: 1 } }
    const seen: { shared: unknown; lr: number }[] = []
    const { trials } = await pool.search(
      ({ lr }, { shared }) => {
        seen.push({ shared, lr: lr as number })
        ;(shared as { nested: { n: number } }).nested.n++
        return lr === 1 ? -0 : Number.NEGATIVE_INFINITY
      },
      { values: { lr: [-0, 1] }, shared: given },
    )
    expect(trials.map(({ score }) => score)).toStrictEqual([null, 0])
    const shared = { at: '1970-01-01T00:00:00.000Z', zero: 0, list: [1, null], nested: { n: 2 } }
    // Each trial has values of its own: what one changes no other sees, nor does the caller.
    expect(seen).toStrictEqual([
      { shared, lr: 0 },
      { shared, lr: 1 },
    ])
    expect(given.nested.n).toBe(1)
    const circle: Record<string, unknown> = {}
    circle['self'] = circle
    await expect(pool.search(() => 1, { values: { lr: [1] }, shared: circle })).rejects.toThrow(
      'cannot be written as JSON',
    )
    await pool.close()
  })

  it('is not waited for after the signal of a search whose trials no worker takes', async () => {
    const trial = (): number => 1
    const withdrawn: Job[] = []
    const engine: Engine = {
      ...engineHere(functions),
      width: 4,
      submit: () => new Promise(() => undefined),
      withdraw: (job) => Promise.resolve(void withdrawn.push(job)),
    }
    const known = { byName: new Map([...functions.byName, ['module.trial', trial]]), module: 'x' }
    const pool = new Pool(engine, known, false)
    const controller = new AbortController()
    setTimeout(() => controller.abort(), 20)
    const found = await pool.search(trial, { values: { lr: [1, 2, 3] }, signal: controller.signal })
    expect(found).toMatchObject({ stopped: 'aborted', trials: [] })
    expect(withdrawn.map((job) => (job as { number: number }).number)).toEqual([1, 2, 3])
  })
})

describe('seconds of a worker', () => {
  it.each(['timeout', 'lock'])('%s is at most what a timer can wait', async (name) => {
    const options = { redis: 'redis://127.0.0.1:1', [name]: 2_147_484 }
    await expect(startWorker(options)).rejects.toThrow(`startWorker: ${name} must be at most 2147483 seconds`)
  })
})
