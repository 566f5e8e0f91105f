/** What needs no Redis: values by their hash, jobs from strangers, bytes of parts, and a pool in this process. */
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { remote, startWorker, type RemoteTrial } from '../../src/distributed/index.js'
import { functionOf, functionsOf } from '../../src/distributed/functions.js'
import { checkJob } from '../../src/distributed/jobs.js'
import { folderStore, hashOf, keeping, memoryStore, type Store } from '../../src/distributed/store.js'
import { decodeOutcomes, decodePart, decodePictures, encodeOutcomes, encodePart, encodePictures } from '../../src/distributed/wire.js' // prettier-ignore
import { Dropout, Flatten, Linear, Sequential } from '../../src/nn/index.js'
import { crossEntropy } from '../../src/ops/index.js'
import { SGD } from '../../src/optim/index.js'
import { init } from '../../src/runtime/embedded.js'
import { DivergedError } from '../../src/runtime/errors.js'
import { normal, tensor } from '../../src/tensor/create.js'
import { addedParts } from '../../src/train/part.js'
import { accuracy, fit, randomSearch, type FitOptions, type Trial } from '../../src/train/index.js'

let folder: string
beforeAll(async () => {
  await init()
  folder = mkdtempSync(join(tmpdir(), 'toeplitz-distributed-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const bytes = new Uint8Array([3, 1, 4])
const name = hashOf(bytes)

describe.each<[string, () => Promise<Store> | Store]>([
  ['memory', memoryStore],
  ['folder', () => folderStore(join(folder, 'store'))],
])('the store in a %s', (_, make) => {
  it('gives what was put, by its hash, until it is deleted', async () => {
    const store = await make()
    expect(await store.put(bytes, 60)).toBe(name)
    expect([...(await store.get(name))]).toEqual([3, 1, 4])
    await store.delete(name)
    await store.delete(name)
    await expect(store.get(name)).rejects.toMatchObject({ code: 'ABSENT' })
  })

  it.each(['../../etc/passwd', '', 'x'.repeat(64), `${name}/..`, name.toUpperCase()])(
    'refuses the name %j, which is no hash',
    async (hostile) => {
      const store = await make()
      await expect(store.get(hostile)).rejects.toThrow('64 hexadecimal digits')
    },
  )
})

describe('the store in a folder', () => {
  it('tells of damage, and forgets what has expired when it is opened', async () => {
    const path = join(folder, 'damage')
    const store = await folderStore(path)
    await store.put(bytes, 60)
    writeFileSync(join(path, name), 'other bytes')
    await expect(store.get(name)).rejects.toThrow('has other bytes than were put there')
    utimesSync(join(path, name), 1, 1)
    writeFileSync(join(path, 'notes.txt'), 'of a person')
    await folderStore(path)
    expect(readdirSync(path)).toEqual(['notes.txt'])
  })

  it('asks once for a value that several threads want', async () => {
    const inner = memoryStore()
    let reads = 0
    const store = keeping({ ...inner, get: (wanted) => (reads++, inner.get(wanted)) }, 2)
    await store.put(bytes, 60)
    await Promise.all([store.get(name), store.get(name)])
    expect(reads).toBe(1)
    await expect(store.get(hashOf('nothing'))).rejects.toMatchObject({ code: 'ABSENT' })
  })
})

describe('a job from a stranger', () => {
  const own = { version: '1.2.3', simd: 'strict' } as const
  const part = { part: name, examples: 4, step: 7 }
  const right = { type: 'gradients', ...own, run: name, weights: name, parts: [part, part] }

  it('is taken where every field is one that it can have', () => {
    expect(checkJob(right, own)).toBe(right)
  })

  it.each<[unknown, string]>([
    [undefined, 'the type is one of gradients, trial, predict'],
    [{ ...right, type: 'constructor' }, 'the type is one of'],
    [{ ...right, type: 'shell' }, 'the type is one of'],
    [{ ...right, weights: '../../etc/passwd' }, 'cannot have'],
    [{ ...right, parts: undefined }, 'cannot have'],
    [{ ...right, parts: [] }, 'cannot have'],
    [{ ...right, parts: Array.from({ length: 257 }, () => part) }, 'cannot have'],
    [{ ...right, parts: [{ ...part, part: '../../etc/passwd' }] }, 'cannot have'],
    [{ ...right, parts: [{ ...part, step: -1 }] }, 'cannot have'],
    [{ ...right, parts: [part, { ...part, code: 'process.exit()' }] }, 'cannot have'],
    [{ ...right, parts: [part, null] }, 'cannot have'],
    [{ ...right, code: 'process.exit()' }, 'has no field "code"'],
    [{ ...right, version: '1.2.4' }, 'made for version 1.2.4, and this worker has 1.2.3'],
    [{ ...right, simd: 'relaxed' }, 'made for simd relaxed'],
    [{ type: 'trial', ...own, trial: name, values: { lr: 'x' }, number: 1, round: 1, seed: 0 }, 'cannot have'],
    [
      {
        ...{ type: 'trial', ...own, trial: name, number: 1, round: 1, seed: 0 },
        values: Object.fromEntries(Array.from({ length: 9000 }, (_, n) => [`value${n}`, n])),
      },
      'more than 65536 bytes',
    ],
  ])('%j is refused', (job, why) => {
    expect(() => checkJob(job, own)).toThrow(why)
  })
})

describe('bytes of parts, outcomes and pictures', () => {
  it.each<[string, unknown]>([
    ['list', [2, 0, 1]],
    ['Int32Array', Int32Array.of(2, 0, 1)],
    ['Uint8Array', Uint8Array.of(2, 0, 1)],
  ])('give a target back that is a %s', (_, target) => {
    const x = normal([3, 2], { seed: 1 })
    const again = decodePart(encodePart({ x, target }, 'session'))
    expect(again.target).toEqual(target)
    expect(again.x.data()).toEqual(x.data())
  })

  it('give tensors back, and refuse what cannot travel', () => {
    const x = normal([3, 2], { seed: 1 })
    const labels = tensor([2, 0, 1], [3], { dtype: 'int64' })
    expect(decodePart(encodePart({ x, target: x }, 's')).target).toMatchObject({ shape: [3, 2], dtype: 'float32' })
    expect(decodePart(encodePart({ x, target: labels }, 's')).target).toMatchObject({ shape: [3], dtype: 'int64' })
    expect(() => encodePart({ x, target: { label: 1 } }, 's')).toThrow('exchange: targets that travel are labels')
  })

  it('give outcomes back with what is no number, and refuse other sizes', () => {
    const outcome = {
      ...{ examples: 3, loss: Number.NaN, weight: 2.5, metrics: { accuracy: 0.1 + 0.2 } },
      ...{ gradients: [Float32Array.of(1, Number.NaN)], buffers: [Float32Array.of(3)] },
    }
    const sizes = { gradients: [2], buffers: [1] }
    const encoded = encodeOutcomes([outcome, { ...outcome, weight: 1 }], name)
    expect(decodeOutcomes(encoded, [3, 4], sizes)).toEqual([outcome, { ...outcome, examples: 4, weight: 1 }])
    expect(() => decodeOutcomes(encoded, [3, 4], { ...sizes, gradients: [3] })).toThrow(
      'gradient 0 must have 3 numbers',
    )
    expect(() => decodeOutcomes(encoded, [3, 4, 5], sizes)).toThrow('gradient 0 must have 2 numbers, and has 0')
  })

  it('give the sum of some parts back, and refuse one of other parts', () => {
    const outcome = {
      ...{ examples: 3, loss: 1, weight: 2.5, metrics: {} },
      ...{ gradients: [Float32Array.of(1, 3)], buffers: [Float32Array.of(3)] },
    }
    const added = addedParts([outcome, { ...outcome, weight: 1 }])
    expect(added[0]).toMatchObject({ added: 2, gradients: [Float32Array.of(3.5, 10.5)] })
    const sizes = { gradients: [2], buffers: [1] }
    expect(decodeOutcomes(encodeOutcomes(added, name), [3, 3], sizes)).toEqual(added)
    const wrong = encodeOutcomes([added[0]!, { ...added[1]!, added: 1 }], name)
    expect(() => decodeOutcomes(wrong, [3, 3], sizes)).toThrow("outcome of a part: '1' are added, of 2")
    expect(() => decodeOutcomes(encodeOutcomes(added, name), [3, 3, 3], sizes)).toThrow("'2' are added, of 3")
  })

  it('give pictures back, those without a byte and those that could not be read included', () => {
    const pictures = [
      { name: 'a', bytes },
      { name: 'b', bytes: new Uint8Array() },
      { name: 'c', error: 'gone' },
    ]
    expect(decodePictures(encodePictures(pictures))).toEqual(pictures)
  })
})

describe('functions of a module', () => {
  it('are known by name, with the hash of their file', async () => {
    const path = join(folder, 'own.mjs')
    writeFileSync(path, 'export const score = ({ lr }) => -Math.abs(lr - 0.1)\n')
    const known = await functionsOf(path)
    expect((functionOf(known, 'module.score', known.module) as (values: object) => number)({ lr: 0.1 })).toBe(-0)
    expect(() => functionOf(known, 'module.score', 'another')).toThrow('has another version of its module')
    expect(() => functionOf(known, 'module.other', known.module)).toThrow('has no such function')
    await expect(functionsOf(join(folder, 'none.mjs'))).rejects.toMatchObject({ code: 'FILE' })
  })
})

describe('a pool in this process', () => {
  const labels = Array.from({ length: 20 }, (_, n) => n % 3)

  async function trained(given: Partial<FitOptions<number[]>>): Promise<Uint8Array> {
    const layers = [new Flatten(), new Dropout({ p: 0.3 }), new Linear({ outFeatures: 3 })]
    const model = new Sequential(layers, { input: [1, 4, 4], seed: 2 })
    const optimizer = new SGD(model.parameters(), { lr: 0.1 })
    const x = normal([20, 1, 4, 4], { seed: 5 })
    await fit(model, { x, y: labels }, { epochs: 2, batchSize: 8, loss: crossEntropy, optimizer, ...given })
    return model.save()
  }

  it('trains to the bits of parts without a pool', async () => {
    const pool = await remote()
    const metrics = { accuracy }
    expect(await trained({ parts: 3, exchange: pool, metrics })).toEqual(await trained({ parts: 3 }))
    // Eight parts where nothing else is said.
    expect(await trained({ exchange: pool })).toEqual(await trained({ parts: 8 }))
    await pool.close()
  })

  it('refuses a loss that other machines cannot know', async () => {
    const pool = await remote()
    const loss: FitOptions<number[]>['loss'] = (o, t) => crossEntropy(o, t)
    await expect(trained({ exchange: pool, loss })).rejects.toThrow(
      'exchange: the loss: other machines know crossEntropy',
    )
    await pool.close()
  })

  it('searches with a seed for each trial, to the table of randomSearch', async () => {
    const pool = await remote()
    const places: object[] = []
    const trial: RemoteTrial = ({ lr }, place) => {
      places.push(place)
      if (place.number === 2) throw new DivergedError('the loss became NaN')
      return -Math.abs((lr as number) - 0.01)
    }
    const space = { lr: { low: 1e-4, high: 1 } }
    const table = (trials: readonly Trial[]) => trials.map(({ seconds: _, ...rest }) => rest)
    const found = await pool.search(trial, { space, trials: 4, rounds: 2, seed: 7, shared: { images: 10 } })
    const { trials } = await randomSearch((values, place) => trial(values, { ...place, seed: 0, shared: null }), { space, trials: 4, rounds: 2, seed: 7 }) // prettier-ignore
    expect(table(found.trials)).toEqual(table(trials))
    expect(places[0]).toEqual({ number: 1, round: 1, seed: 8, shared: { images: 10 } })
    const grid = await pool.search(trial, { values: { lr: [0.1, 0.2] } })
    expect(grid.trials).toHaveLength(2)
    await pool.close()
  })

  it('lists trials in the order of their numbers, however they end, and tells the first error', async () => {
    const space = { lr: { low: 1e-4, high: 1 } }
    const slowFirst = async (_: unknown, { number }: { readonly number: number }): Promise<number> => {
      await new Promise((resolve) => setTimeout(resolve, 40 - 10 * number))
      return number
    }
    const told: number[] = []
    const onTrial = ({ number }: Trial): void => void told.push(number)
    const { trials } = await randomSearch(slowFirst, { space, trials: 4, concurrency: 3, onTrial })
    expect(trials.map(({ number }) => number)).toEqual([1, 2, 3, 4])
    expect(told).toEqual([1, 2, 3, 4])
    const failing = (_: unknown, { number }: { readonly number: number }): Promise<number> =>
      number === 2 ? Promise.reject(new Error('disk')) : Promise.resolve(1)
    await expect(randomSearch(failing, { space, trials: 4, concurrency: 4 })).rejects.toThrow('disk')
  })
})

describe('wrong options', () => {
  it.each<[string, () => Promise<unknown>, string]>([
    ['an address', () => remote({ redis: 'localhost:6379' }), 'redis: expected an address such as redis://'],
    ['a store without Redis', () => remote({ store: 'redis' }), 'remote: store is for work on Redis'],
    ['a number of tries', () => remote({ tries: 0 }), 'remote: tries'],
    ['an unknown option', () => remote({ url: '' } as never), "there is no option 'url'"],
    ['no address of a worker', () => startWorker({} as never), 'redis: expected an address'],
    ['a concurrency', () => startWorker({ redis: 'redis://h', concurrency: 0.5 }), 'startWorker: concurrency'],
    ['a lock', () => startWorker({ redis: 'redis://h', lock: 0 }), 'startWorker: lock'],
  ])('are told: %s', async (_, call, message) => {
    await expect(call()).rejects.toThrow(message)
  })
})
