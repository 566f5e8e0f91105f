/**
 * File operations that fail, or after which nothing happens any more: for `vi.mock` of 'node:fs/promises' and 'node:fs'.
 * Only those that change something in a watched folder are counted, from 0; what reads is passed on as it is.
 */
import type * as fs from 'node:fs'
import type * as promises from 'node:fs/promises'
import { resolve, sep } from 'node:path'

/** A change that is about to be made: its number, what it is, and how to make half of it, where it is a writing. */
export interface Change {
  readonly number: number
  readonly name: string
  readonly path: string
  /** Writes the first half of the bytes. */
  readonly half?: () => Promise<unknown>
}

/** What happens instead of a change: nothing more at all, an error, or (undefined) the change. */
export type Fault = 'kill' | 'kill in the middle' | Error | undefined

type Decide = (change: Change) => Fault

class Faults {
  #folder: string | undefined
  #decide: Decide = () => undefined
  #count = 0
  #killed: () => void = () => undefined
  /** Files that a killed process does not close. */
  readonly opened = new Set<promises.FileHandle>()
  /** Changes so far. */
  readonly changes: Change[] = []

  /** Runs something with faults in a folder and all in it; gives undefined where it was killed. */
  async during<Result>(folder: string, decide: Decide, work: () => Promise<Result>): Promise<Result | undefined> {
    this.#folder = resolve(folder)
    this.#decide = decide
    this.#count = 0
    this.changes.length = 0
    const killed = new Promise<undefined>((resolve) => {
      this.#killed = () => resolve(undefined)
    })
    try {
      return await Promise.race([work(), killed])
    } finally {
      this.#folder = undefined
      for (const handle of this.opened) await handle.close().catch(() => undefined)
      this.opened.clear()
    }
  }

  /** Whether a path is the folder, or one in it. */
  watches(path: unknown): path is string {
    if (this.#folder === undefined || typeof path !== 'string') return false
    return `${resolve(path)}${sep}`.startsWith(`${this.#folder}${sep}`)
  }

  next(name: string, path: string, half?: () => Promise<unknown>): Fault {
    const change = { number: this.#count++, name, path, ...(half ? { half } : {}) }
    this.changes.push(change)
    return this.#decide(change)
  }

  /** Makes a change, or what happens instead. A killed process neither returns nor throws. */
  async change<Result>(
    name: string,
    path: string,
    make: () => Promise<Result>,
    half?: () => Promise<unknown>,
  ): Promise<Result> {
    const fault = this.next(name, path, half)
    if (fault === undefined) return make()
    if (fault instanceof Error) throw fault
    if (fault === 'kill in the middle') await half?.()
    this.#killed()
    return new Promise(() => undefined)
  }

  /** The same for a change that is made at once: after a kill it is left out, as are all that follow. */
  changeAtOnce(name: string, path: string, make: () => void): void {
    const fault = this.next(name, path)
    if (fault instanceof Error) throw fault
    if (fault === undefined) make()
    else this.#killed()
  }
}

export const faults = new Faults()

const half = (content: string | Uint8Array): Uint8Array => {
  const bytes = Buffer.from(content as Uint8Array)
  return bytes.subarray(0, Math.floor(bytes.length / 2))
}

export function faultyPromises(real: typeof promises): typeof promises {
  const onPath = <A extends [string, ...unknown[]], R>(name: string, call: (...args: A) => Promise<R>) =>
    ((...args: A) =>
      faults.watches(args[0]) ? faults.change(name, args[0], () => call(...args)) : call(...args)) as never
  return {
    ...real,
    mkdir: onPath('mkdir', real.mkdir as never),
    rename: onPath('rename', real.rename as never),
    link: onPath('link', real.link as never),
    rm: onPath('rm', real.rm as never),
    truncate: onPath('truncate', real.truncate as never),
    appendFile: ((path: string, content: Uint8Array) => {
      const append = (bytes: Uint8Array): Promise<void> => real.appendFile(path, bytes)
      if (!faults.watches(path)) return append(content)
      return faults.change(
        'append',
        path,
        () => append(content),
        () => append(half(content)),
      )
    }) as never,
    open: (async (path: string, flags: string | number = 'r', mode?: number) => {
      const opening = (): Promise<promises.FileHandle> => real.open(path, flags, mode)
      if (!faults.watches(path)) return opening()
      // The disk is not waited for: these files are not to outlive a loss of power.
      const isRead = typeof flags === 'string' ? flags === 'r' : (flags & 3) === 0
      if (isRead) return Object.assign(await opening(), { sync: () => Promise.resolve() })
      const handle = await faults.change('make', path, opening)
      faults.opened.add(handle)
      const write = handle.writeFile.bind(handle)
      return Object.assign(handle, {
        writeFile: (content: Uint8Array) =>
          faults.change(
            'write',
            path,
            () => write(content),
            () => write(half(content)),
          ),
        sync: () => faults.change('sync', path, () => Promise.resolve()),
      })
    }) as never,
  }
}

export function faultySync(real: typeof fs): typeof fs {
  const onPath = (name: string, call: (path: string) => void) =>
    ((path: string) => (faults.watches(path) ? faults.changeAtOnce(name, path, () => call(path)) : call(path))) as never
  return { ...real, unlinkSync: onPath('unlink', real.unlinkSync), rmdirSync: onPath('rmdir', real.rmdirSync) }
}

/** An error of the file system. */
export const systemError = (code: string): Error => Object.assign(new Error(`${code}: as the system says`), { code })
