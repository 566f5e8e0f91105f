import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { InUseError, Lock, type LockOwner } from '../../src/node/lock.js'

// The real functions, wrapped so that calls can be delayed or fail.
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof fs>()
  return { ...real, link: vi.fn(real.link), rename: vi.fn(real.rename), open: vi.fn(real.open) }
})
const real = await vi.importActual<typeof fs>('node:fs/promises')

let directory: string
let path: string
const children: ChildProcess[] = []
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'toeplitz-lock-'))
  path = join(directory, 'run.lock')
})
afterEach(() => {
  vi.resetAllMocks()
  vi.mocked(fs.link).mockImplementation(real.link)
  vi.mocked(fs.rename).mockImplementation(real.rename)
  vi.mocked(fs.open).mockImplementation(real.open)
  for (const child of children.splice(0)) child.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
})

const take = (): Promise<Lock> => Lock.take(path, 'the folder')

/** A process that waits to be killed. */
async function waitingProcess(): Promise<ChildProcess & { pid: number }> {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000); console.log("up")'])
  children.push(child)
  await new Promise((up) => child.stdout.once('data', up))
  return child as ChildProcess & { pid: number }
}

/** Puts a lock in place as another process would, with some of its words changed. */
async function lockOf(changes: Partial<LockOwner>): Promise<LockOwner> {
  const lock = await Lock.take(join(directory, 'another'), '')
  lock.release()
  const owner = { ...lock.owner, id: crypto.randomUUID(), ...changes }
  writeFileSync(path, `${JSON.stringify(owner)}\n`)
  return owner
}

const gone = 2 ** 22 + 1

describe('Lock', () => {
  it('is held by one, and leaves nothing when it is given back', async () => {
    const lock = await take()
    expect(lock.takenFrom).toBeUndefined()
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ pid: process.pid, host: hostname() })
    expect(readdirSync(directory)).toEqual(['run.lock'])
    await expect(take()).rejects.toThrow(`the folder: in use by another run (pid ${process.pid})`)
    await expect(take()).rejects.toBeInstanceOf(InUseError)
    await lock.check('the folder')
    lock.release()
    expect(readdirSync(directory)).toEqual([])
  })

  it('is taken from an owner that no longer runs', async () => {
    const owner = await lockOf({ pid: gone })
    const lock = await take()
    expect(lock.takenFrom).toEqual(owner)
    expect(readdirSync(directory)).toEqual(['run.lock'])
    await lock.check('the folder')
  })

  it.runIf(process.platform === 'linux' || process.platform === 'darwin')(
    'knows a process from a later one with the same id',
    async () => {
      const other = await waitingProcess()
      // Held by a process of this id that started at another time: it is gone.
      await lockOf({ pid: other.pid, started: '1' })
      const lock = await take()
      expect(lock.takenFrom).toBeDefined()
      lock.release()
    },
  )

  it.runIf(process.platform === 'linux')(
    'is held while its owner runs, and not by one that waits to be buried',
    async () => {
      const other = await waitingProcess()
      const stat = readFileSync(`/proc/${other.pid}/stat`, 'utf8')
      const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]!
      await lockOf({ pid: other.pid, started })
      await expect(take()).rejects.toThrow(`in use by another run (pid ${other.pid})`)
      // A shell that never asks for the end of its child keeps a zombie.
      const shell = spawn('sh', ['-c', 'sleep 0.3 & echo $!; exec sleep 100'])
      children.push(shell)
      const pid = Number(
        await new Promise<string>((told) => shell.stdout.once('data', (text: Buffer) => told(String(text)))),
      )
      const state = (): string => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!
      await vi.waitFor(() => expect(state()).toMatch(/^Z/))
      await lockOf({ pid, started: state().split(' ')[19]! })
      expect((await take()).takenFrom).toMatchObject({ pid })
    },
  )

  it('is abandoned after the machine was started anew', async () => {
    await lockOf({ boot: 'before' })
    expect((await take()).takenFrom).toMatchObject({ pid: process.pid })
  })

  it.each([
    ['of another host', { host: 'else\nwhere' }, `pid ${gone} on else\\nwhere`],
    ['of another container', { processes: 'others' }, `pid ${gone} on ${hostname()}`],
  ])('%s is not judged, but said how to remove', async (_, changes, expected) => {
    await lockOf({ pid: gone, ...changes })
    const text = readFileSync(path, 'utf8')
    const error = (await take().catch((reason: unknown) => reason)) as InUseError
    expect(error).toBeInstanceOf(InUseError)
    expect(error.message).toContain(`in use by another run (${expected}), which cannot be looked up from here`)
    expect(error.message).toContain(`if that run is gone, remove ${path}`)
    expect(error.message).not.toContain('\n')
    expect(readFileSync(path, 'utf8')).toBe(text)
    expect(readdirSync(directory)).toEqual(['run.lock'])
  })

  it.each([
    ['nothing', ''],
    ['half an object', '{'],
    ['null', 'null'],
    ['a name that leads elsewhere', '{"id":"../../x","pid":1,"started":"","host":"","processes":"","boot":""}'],
    ['a long text', 'x'.repeat(5000)],
  ])('refuses what is no lock: %s', async (_, text) => {
    writeFileSync(path, text)
    await expect(take()).rejects.toThrow(`${path}: is not a lock that can be read; remove it`)
    expect(readFileSync(path, 'utf8')).toBe(text)
    expect(readdirSync(directory)).toEqual(['run.lock'])
  })

  it.skipIf(process.platform === 'win32')('does not wait for a pipe in its place', async () => {
    const made = spawn('mkfifo', [path])
    await new Promise((done) => made.on('close', done))
    await expect(take()).rejects.toThrow('is not a lock that can be read')
  })

  it('is taken over by one of many, whatever the order of their steps', async () => {
    for (let round = 0; round < 30; round++) {
      await lockOf({ pid: gone })
      // Each link and rename happens a little later, by chance: the takers get in between each other's steps.
      const later = <A extends unknown[], B>(step: (...args: A) => Promise<B>) => {
        return async (...args: A): Promise<B> => {
          await new Promise((go) => setTimeout(go, (round * 7 + Math.random() * 10) % 10))
          return step(...args)
        }
      }
      vi.mocked(fs.link).mockImplementation(later(real.link))
      vi.mocked(fs.rename).mockImplementation(later(real.rename))
      const taken = await Promise.allSettled(Array.from({ length: 5 }, take))
      const locks = taken.filter((result) => result.status === 'fulfilled')
      const errors = taken.filter((result) => result.status === 'rejected')
      expect(locks).toHaveLength(1)
      for (const { reason } of errors) expect(String(reason)).toContain(`in use by another run (pid ${process.pid})`)
      await locks[0]!.value.check('the folder')
      expect(readdirSync(directory)).toEqual(['run.lock'])
      locks[0]!.value.release()
    }
  })

  it('is taken though an earlier taker was killed at any step', async () => {
    // The right to take over is a lock too; its owner may be gone as well.
    const owner = await lockOf({ pid: gone })
    const taker = { ...owner, id: crypto.randomUUID(), pid: gone + 1 }
    const second = { ...owner, id: crypto.randomUUID(), pid: gone + 2 }
    writeFileSync(`${path}.after-${owner.id}`, JSON.stringify(taker))
    writeFileSync(`${path}.after-${owner.id}.after-${taker.id}`, JSON.stringify(second))
    const lock = await take()
    expect(lock.takenFrom).toEqual(owner)
    await lock.check('the folder')
    expect(readdirSync(directory)).toEqual(['run.lock'])
  })

  it('works on a disk without hard links', async () => {
    vi.mocked(fs.link).mockRejectedValue(Object.assign(new Error('no links'), { code: 'EPERM' }))
    const lock = await take()
    await expect(take()).rejects.toThrow('in use by another run')
    lock.release()
    await lockOf({ pid: gone })
    expect((await take()).takenFrom).toBeDefined()
    expect(readdirSync(directory)).toEqual(['run.lock'])
  })

  it('notices that its folder was removed, or is another run’s by now', async () => {
    const lock = await take()
    rmSync(path)
    await expect(lock.check('runs/a')).rejects.toThrow(
      'runs/a: the folder or its lock was removed while this run went on; nothing more is written',
    )
    const other = await take()
    await expect(lock.check('runs/a')).rejects.toThrow(`was taken by another run (pid ${process.pid})`)
    lock.release()
    await other.check('runs/a')
  })

  it.each([
    ['ENOSPC', 'the disk is full'],
    ['EROFS', 'the disk is read-only'],
    ['EACCES', 'no permission to write there'],
  ])('explains %s', async (code, expected) => {
    vi.mocked(fs.open).mockRejectedValueOnce(Object.assign(new Error(code), { code }))
    const error = (await take().catch((reason: unknown) => reason)) as InUseError
    expect(error).toMatchObject({ code: 'FILE' })
    expect(error.message).toContain(expected)
    expect(readdirSync(directory)).toEqual([])
  })
})
