/**
 * A run that is killed at any of its changes to the disk, or whose disk fails at any of them: what is left leads to the
 * weights of an undisturbed run, or is what was there before. `npm run test:kills` does it to real processes.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { TrainOptions } from '../../src/cli/actions.js'
import type { ModelFile } from '../../src/io/model-file.js'
import { decodeSafetensors } from '../../src/formats/safetensors.js'
import { ToeplitzError } from '../../src/runtime/errors.js'
import { faults, systemError, type Change, type Fault } from '../helpers/fileFaults.js'
import { bury, finished, hashIn, namesIn, tinyOptions, train, writeTinyData } from '../helpers/tinyRuns.js'

vi.mock('node:fs/promises', async (original) =>
  (await import('../helpers/fileFaults.js')).faultyPromises(await original()),
)
vi.mock('node:fs', async (original) => (await import('../helpers/fileFaults.js')).faultySync(await original()))

// Runs that are killed here never end: they hold on to what they would have given back.
process.setMaxListeners(0)

const root = mkdtempSync(join(tmpdir(), 'toeplitz-kills-'))
const data = join(root, 'data')
const place = join(root, 'place')
const out = join(place, 'run')
afterAll(() => rmSync(root, { recursive: true, force: true }))

const run = (changes: Partial<TrainOptions> = {}): Promise<string> =>
  train({ ...tinyOptions, dataDir: data, out, ...changes })

/** Whether the checkpoint in the folder is one of a run with this seed. */
function isOf(seed: number): boolean {
  const path = join(out, 'checkpoint.safetensors')
  if (!existsSync(path)) return false
  const { progress } = decodeSafetensors(readFileSync(path), path).metadata
  return (JSON.parse(progress!) as { settings: { seed: number } }).settings.seed === seed
}

const isPassing = (name: string): boolean => /^\.toeplitz|^run\.lock/.test(name)

/** What a folder holds, apart from locks and what was not finished. */
const contentsOf = (folder: string): Record<string, string> =>
  Object.fromEntries(
    namesIn(folder)
      .filter((name) => !isPassing(name))
      .map((name) => [name, readFileSync(join(folder, name), 'base64')]),
  )

const from =
  (first: number, fault: Fault) =>
  ({ number }: Change): Fault =>
    number >= first ? fault : undefined

/** What a run changes on the disk, in order. */
async function changesOf(changes: Partial<TrainOptions>): Promise<readonly Change[]> {
  await faults.during(
    place,
    () => undefined,
    () => run(changes),
  )
  return [...faults.changes]
}

let whole: string
let another: string
beforeAll(async () => {
  writeTinyData(data)
  await run({ out: join(root, 'whole') })
  await run({ out: join(root, 'another'), seed: 2 })
  whole = hashIn(join(root, 'whole'))
  another = hashIn(join(root, 'another'))
  expect(another).not.toBe(whole)
})
/** What a run finds in its folder, and the options that it begins with. */
const situations: [string, () => Promise<unknown>, Partial<TrainOptions>][] = [
  ['in a new folder', () => Promise.resolve(), {}],
  ['over a finished run', () => run({ seed: 2 }), { force: true }],
  ['over an unfinished run', () => faults.during(place, from(40, 'kill'), () => run({ seed: 2 })), { force: true }],
  ['from a checkpoint', () => faults.during(place, from(45, 'kill'), () => run()), { resume: out }],
]

describe.each(situations)('a run that begins %s', (situation, prepare, changes) => {
  const before = join(root, `before a run ${situation}`)
  /** What the run changes on the disk, in order; where it begins over another, as far as that makes a difference. */
  let all: readonly Change[]
  const again = (): void => {
    rmSync(out, { recursive: true, force: true })
    if (existsSync(before)) cpSync(before, out, { recursive: true })
  }
  beforeAll(async () => {
    rmSync(place, { recursive: true, force: true })
    mkdirSync(place)
    await prepare()
    bury(out)
    if (existsSync(out)) cpSync(out, before, { recursive: true })
    const changed = await changesOf(changes)
    expect(hashIn(out)).toBe(whole)
    const begun = changed.findIndex(({ name }) => name === 'append')
    all = situation.startsWith('over') ? changed.slice(0, begun) : changed
    expect(all.length).toBeGreaterThan(20)
  })

  it('ends with the same weights after a kill at any change', async () => {
    for (const { number, name, half } of all) {
      for (const kill of half ? (['kill', 'kill in the middle'] as const) : (['kill'] as const)) {
        const where = `${kill} at ${number} (${name})`
        again()
        const ended = await faults.during(place, from(number, kill), () => run(changes))
        expect(ended, where).toBeUndefined()
        bury(out)
        const hasCheckpoint = existsSync(join(out, 'checkpoint.safetensors'))
        const isThere = existsSync(join(out, 'model.json'))
        // Whatever model.json there is goes with the weights beside it.
        if (isThere) {
          const { weights } = JSON.parse(readFileSync(join(out, 'model.json'), 'utf8')) as ModelFile
          expect(hashIn(out), where).toBe(weights.sha256)
        }
        if (isOf(1)) await run({ resume: out })
        else if (isThere && !hasCheckpoint && hashIn(out) === whole) {
          // It was over, but for its lock.
          await expect(run({ resume: out }), where).rejects.toThrow('the run is finished')
        } else {
          // It had not begun: what was there before is there still, whole.
          if (situation === 'over a finished run') expect(hashIn(out), where).toBe(another)
          if (situation === 'over an unfinished run') {
            cpSync(out, join(place, 'copy'), { recursive: true })
            await run({ resume: join(place, 'copy') })
            expect(hashIn(join(place, 'copy')), where).toBe(another)
            rmSync(join(place, 'copy'), { recursive: true })
          }
          await run(changes)
        }
        expect(hashIn(out), where).toBe(whole)
        expect(namesIn(out), where).toEqual(finished)
      }
    }
  })

  it.each(situation === 'in a new folder' ? ['ENOSPC', 'EIO'] : ['ENOSPC'])(
    'explains %s at any change, and goes on when it is mended',
    async (code) => {
      for (const { number, name } of all) {
        const where = `${code} from ${number} (${name})`
        again()
        // A full disk still lets files be removed.
        const lets = (change: Pick<Change, 'name'>): boolean =>
          code === 'ENOSPC' && /^(rm|unlink|rmdir|truncate)$/.test(change.name)
        const fault = (change: Change): Fault =>
          change.number < number || lets(change) ? undefined : systemError(code)
        const failed = await faults.during(place, fault, () => run(changes)).catch((error: unknown) => error)
        const isEnd = typeof failed === 'string'
        // A lock that cannot be removed at the end, or the folder above, is no error: its owner is gone then.
        if (isEnd) expect(lets({ name }) || /^(unlink|rmdir)$/.test(name), where).toBe(true)
        else {
          expect(failed, where).toBeInstanceOf(ToeplitzError)
          expect((failed as Error).message, where).toMatch(/^[^\n]+(cannot be (written|made)|no permission)[^\n]+$/)
        }
        if (code === 'ENOSPC') {
          const left = namesIn(out).filter(isPassing)
          expect(
            left.filter((name) => !namesIn(before).includes(name)),
            where,
          ).toEqual([])
          // What had not begun has changed nothing.
          if (!isEnd && !isOf(1)) expect(contentsOf(out), where).toEqual(contentsOf(before))
        }
        bury(out)
        if (isEnd) continue
        // The run before is there still where the new one had not begun, which takes nothing but another try.
        await (isOf(1) ? run({ resume: out }) : run(changes))
        expect(hashIn(out), where).toBe(whole)
        expect(namesIn(out), where).toEqual(finished)
      }
    },
  )
})

it('notices at any change that its folder has vanished, and does not make it again', async () => {
  rmSync(out, { recursive: true, force: true })
  const all = await changesOf({})
  const taken = all.findIndex(({ name }) => name === 'link')
  for (const { number, name } of all) {
    const where = `before ${number} (${name})`
    rmSync(out, { recursive: true, force: true })
    const vanish = (change: Change): Fault => {
      if (change.number === number) rmSync(out, { recursive: true, force: true })
      return undefined
    }
    const failed = await faults.during(place, vanish, () => run()).catch((error: unknown) => error)
    if (typeof failed === 'string') {
      // It vanished before it was taken, and was made again, or when all was done.
      if (number <= taken) expect(hashIn(out), where).toBe(whole)
      else expect(number, where).toBeGreaterThanOrEqual(all.length - 4)
    } else {
      expect(failed, where).toBeInstanceOf(ToeplitzError)
      expect((failed as Error).message, where).toMatch(
        /^[^\n]+(was removed while this run went on|does not exist)[^\n]+$/,
      )
      expect(existsSync(out), where).toBe(false)
    }
  }
})
