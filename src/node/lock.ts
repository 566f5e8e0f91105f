/**
 * One writer for a folder: a lock file that names the process which holds it. Node only.
 *
 * The libraries for this (proper-lockfile and its kind) tell a held lock from an abandoned one by its age: a timer renews
 * it. Training computes for longer than any such interval without giving timers a turn, so a live run would lose its
 * lock, and after a kill the folder would stay locked until the age is reached. Here the owner's process is looked up
 * instead, by process id and start time, so that a lock is abandoned from the moment its owner is gone.
 */
import { execFile } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { readFileSync, unlinkSync } from 'node:fs'
import { constants, copyFile, link, lstat, open, readFile, readlink, rename, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { ToeplitzError } from '../runtime/errors.js'
import { codeOf, shown, writingError } from './files.js'

/** Who holds a lock: a process, in the words of the system that it runs on. */
export interface LockOwner {
  /** Of this lock, never used for another. */
  readonly id: string
  readonly pid: number
  /** When the process started, in the system's own format; '' where it does not tell. A process id alone is used again. */
  readonly started: string
  readonly host: string
  /** Which processes the process id is counted among: a hash of the machine and, in a container, of its namespace. */
  readonly processes: string
  /** Since when the machine is up; '' where it does not tell. No process outlives it. */
  readonly boot: string
}

/** A folder is being written to by another process. */
export class InUseError extends ToeplitzError {
  constructor(message: string) {
    super('IN_USE', message)
  }
}

/** Longer than any lock; what is longer was written by something else. */
const LARGEST_LOCK = 4096
/** A taker needs a few file operations, and a lock is written in one; both are waited for, this often, this long. */
const WAITS = 50
const WAIT_MILLISECONDS = 20

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

const run = promisify(execFile)

/** The content of a small file of the system; '' where there is none. */
const systemText = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '')

/** When a process started, '' when that cannot be known; undefined when there is no such process. */
async function startOf(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') {
    // "pid (name) state …": the name may hold anything, so what follows is counted from the last parenthesis. The state
    // comes first; the 20th is the start, in clock ticks since the machine is up (proc_pid_stat(5), fields 3 and 22).
    const text = await systemText(`/proc/${pid}/stat`)
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    if (text !== '') return 'ZXx'.includes(fields[0] as string) ? undefined : fields[19]
  } else if (process.platform !== 'win32') {
    const environment = { ...process.env, LC_ALL: 'C', TZ: 'UTC' }
    const told = await run('ps', ['-o', 'state=', '-o', 'lstart=', '-p', String(pid)], { env: environment }).catch(
      () => undefined,
    )
    const [, state, started] = /^\s*(\S+)\s+(.*\S)\s*$/.exec(told?.stdout ?? '') ?? []
    if (state !== undefined) return state.startsWith('Z') ? undefined : started
  }
  try {
    process.kill(pid, 0)
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return undefined
  }
  // There is one, which the system does not describe to us.
  return ''
}

/** This process as the owner of a new lock. */
async function thisProcess(): Promise<LockOwner> {
  const namespace = await readlink('/proc/self/ns/pid').catch(() => '')
  const machine = await systemText('/etc/machine-id')
  return {
    id: randomUUID(),
    pid: process.pid,
    started: (await startOf(process.pid)) ?? '',
    host: hostname(),
    processes: createHash('sha256').update(`${machine}\n${namespace}`).digest('hex').slice(0, 16),
    boot: (await systemText('/proc/sys/kernel/random/boot_id')).trim(),
  }
}

/** Whether the owner of a lock still runs; undefined when that cannot be known from here. */
async function isRunning(owner: LockOwner, here: LockOwner): Promise<boolean | undefined> {
  if (owner.host !== here.host || owner.processes !== here.processes) return undefined
  if (owner.boot !== here.boot) return false
  const started = await startOf(owner.pid)
  return started !== undefined && (started === owner.started || started === '' || owner.started === '')
}

function parseOwner(text: string): LockOwner | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const owner = value as LockOwner
  const isText = (part: unknown): boolean => typeof part === 'string'
  return isText(owner.id) &&
    uuid.test(owner.id) &&
    Number.isInteger(owner.pid) &&
    owner.pid > 0 &&
    [owner.started, owner.host, owner.processes, owner.boot].every(isText)
    ? owner
    : undefined
}

/** The owner that a lock file names; undefined when there is no such file. */
async function readOwner(path: string): Promise<LockOwner | undefined> {
  for (let attempt = 0; ; attempt++) {
    try {
      const { size } = await lstatFile(path)
      const owner = size <= LARGEST_LOCK ? parseOwner(await readFile(path, 'utf8')) : undefined
      if (owner) return owner
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined
      if (codeOf(error) !== 'NOT_A_FILE') throw writingError(path, error)
      attempt = WAITS
    }
    // Where there are no hard links, a lock is empty for a moment.
    if (attempt >= WAITS) {
      throw new InUseError(
        `${shown(path)}: is not a lock that can be read; remove it, if no other run uses the folder, and try again`,
      )
    }
    await pause(WAIT_MILLISECONDS)
  }
}

/** A file itself, not what a link leads to: a pipe in its place would be waited for without end. */
async function lstatFile(path: string): Promise<{ readonly size: number }> {
  const found = await lstat(path)
  if (!found.isFile()) throw Object.assign(new Error('not a regular file'), { code: 'NOT_A_FILE' })
  return found
}

/** Writes a lock under a name of its own, on the disk: a name that appears at once must not have an empty file behind. */
async function writeNew(path: string, owner: LockOwner): Promise<string> {
  const name = `${path}.new-${owner.id}`
  const handle = await open(name, 'wx')
  try {
    await handle.writeFile(`${JSON.stringify(owner)}\n`)
    await handle.sync()
  } catch (error) {
    await discard(name)
    throw error
  } finally {
    await handle.close()
  }
  return name
}

/** Removes a file that is of no use any more; where that fails, the owner of the lock clears it away. */
const discard = (path: string): Promise<void> => rm(path, { force: true }).catch(() => undefined)

/** Gives a file a second name that must not exist yet, at once and with its content. False when the name exists. */
async function linkNew(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    if (codeOf(error) === 'ENOENT') throw error
    try {
      // A disk without hard links.
      await copyFile(from, to, constants.COPYFILE_EXCL)
    } catch (second) {
      if (codeOf(second) === 'EEXIST') return false
      throw second
    }
  }
  return true
}

/** A lock that this process holds. */
export class Lock {
  readonly path: string
  readonly owner: LockOwner
  /** The owner that the lock was taken from, because it no longer runs. */
  readonly takenFrom: LockOwner | undefined

  private constructor(path: string, owner: LockOwner, takenFrom?: LockOwner) {
    this.path = path
    this.owner = owner
    this.takenFrom = takenFrom
  }

  /**
   * Takes a lock, also one whose owner no longer runs.
   *
   * @param path of the lock file
   * @param folder what errors say is in use
   * @throws InUseError when another process holds it, or may; ToeplitzError with code FILE when it cannot be written
   */
  static async take(path: string, folder: string): Promise<Lock> {
    const owner = await thisProcess()
    try {
      return new Lock(path, owner, await acquire(path, owner, folder))
    } catch (error) {
      if (error instanceof ToeplitzError) throw error
      throw writingError(path, error)
    }
  }

  /** @throws InUseError when the lock is no longer there, or another's: the folder was removed, perhaps made again. */
  async check(folder: string): Promise<void> {
    const owner = await readOwner(this.path)
    if (owner?.id === this.owner.id) return
    const what = owner === undefined ? 'was removed' : `was taken by another run (pid ${owner.pid})`
    throw new InUseError(
      `${shown(folder)}: the folder or its lock ${what} while this run went on; nothing more is written`,
    )
  }

  /** Gives the lock back, unless it is another's by now. At once, so that a process can do it while it exits. */
  release(): void {
    try {
      if (parseOwner(readFileSync(this.path, 'utf8'))?.id === this.owner.id) unlinkSync(this.path)
    } catch {
      // It is not there, or not ours to remove.
    }
  }
}

/**
 * Makes `owner` that of a lock; gives the one that it was taken from.
 *
 * Two processes that find the same abandoned lock must not both take it, nor may one remove what the other has just made.
 * So the right to replace a lock is a lock itself, named after the id of the one that is replaced: whoever holds it looks
 * again whether that one is still there, and only then renames its own over it. The name of a held lock is thereby never
 * without a file, and a process that comes late finds another id behind it.
 */
async function acquire(path: string, owner: LockOwner, folder: string): Promise<LockOwner | undefined> {
  for (let attempt = 0; ; attempt++) {
    const made = await writeNew(path, owner)
    try {
      if (await linkNew(made, path)) return undefined
      const current = await readOwner(path)
      if (current === undefined) continue
      const running = await isRunning(current, owner)
      if (running === undefined) throw elsewhere(path, folder, current)
      if (running) throw new InUseError(`${shown(folder)}: in use by another run (pid ${current.pid}); ${advice}`)
      const right = `${path}.after-${current.id}`
      try {
        await acquire(right, owner, folder)
      } catch (error) {
        if (!(error instanceof InUseError) || attempt >= WAITS) throw error
        await pause(WAIT_MILLISECONDS)
        continue
      }
      try {
        if ((await readOwner(path))?.id !== current.id) continue
        await rename(made, path)
        return current
      } finally {
        await discard(right)
      }
    } catch (error) {
      // Whoever holds the lock clears away what is not its own, this file too; the second time finds that one's lock.
      if (codeOf(error) !== 'ENOENT' || attempt >= WAITS) throw error
    } finally {
      await discard(made)
    }
  }
}

const advice = 'wait until it ends, or choose another folder'

const elsewhere = (path: string, folder: string, { pid, host }: LockOwner): InUseError =>
  new InUseError(
    `${shown(folder)}: in use by another run (pid ${pid} on ${shown(host)}), which cannot be looked up from here; ` +
      `${advice}; if that run is gone, remove ${shown(path)}`,
  )
