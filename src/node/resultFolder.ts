/**
 * A folder for results, held by one process at a time. What an earlier process left unfinished in it is cleared away when
 * the folder is taken; a folder that was made for nothing is removed when it is given back.
 */
import { readdirSync, unlinkSync } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import {
  appendToFile,
  codeOf,
  isA,
  isTemporary,
  makeDirectory,
  readFileOrExplain,
  removeEmpty,
  removeFile,
  renameFile,
  shown,
  truncateFile,
  writeFileAtomically,
  writingError,
} from './files.js'
import { InUseError, Lock } from './lock.js'
import { isAbsent, kindAt } from './reading.js'
import { ToeplitzError } from '../runtime/errors.js'

/** The lock and, with a suffix, what taking it needs for a moment. */
const lockName = 'run.lock'
const isOfLock = (name: string): boolean => name === lockName || name.startsWith(`${lockName}.`)

/** Names that no result has: of the lock, and of files that were never finished. */
const isPassing = (name: string): boolean => isOfLock(name) || isTemporary(name)

/** How a folder is taken. */
export interface Taking {
  /** Names of the files that will be written in it. */
  readonly files: readonly string[]
  /** Whether it is made where it does not exist. */
  readonly make: boolean
}

/** Told what a user should know, in one line. */
export type Note = (line: string) => void

const text = new TextEncoder()

/** A folder that this process alone writes to. */
export class Folder {
  readonly path: string
  readonly #lock: Lock
  /** The topmost of the folders that were made for this one, if any. */
  readonly #made: string | undefined
  readonly #onExit = (): void => this.#leaveAtOnce()
  #closed = false

  private constructor(path: string, lock: Lock, made: string | undefined) {
    this.path = path
    this.#lock = lock
    this.#made = made
    process.on('exit', this.#onExit)
  }

  /**
   * @throws ToeplitzError with code FILE when something else has the name of a file that is to be written in a folder. A link
   *   is something else, whatever it leads to: writing through it would change a file of another place.
   */
  static async assertFree(path: string, files: readonly string[]): Promise<void> {
    for (const name of [lockName, ...files]) {
      const kind = await kindAt(join(path, name), { follow: false })
      if (kind === undefined || kind === 'file') continue
      throw new ToeplitzError(
        'FILE',
        `${shown(join(path, name))}: is a ${kind}, where a file is to be written; remove it, or choose another folder`,
      )
    }
  }

  /**
   * Takes a folder, and makes it where it does not exist and may be made.
   * @throws InUseError when another process has it; ToeplitzError with code FILE when it cannot be made or written to
   */
  static async take(path: string, note: Note, { make, files }: Taking): Promise<Folder> {
    for (let attempt = 0; ; attempt++) {
      const made = make ? await makeDirectory(path) : undefined
      let lock: Lock
      try {
        await Folder.assertFree(path, files)
        lock = await Lock.take(join(path, lockName), path)
      } catch (error) {
        // Another process that gave up may just have removed the folder that it had made.
        if (make && attempt < 9 && !(await isA('directory', path))) continue
        removeEmpty(path, made)
        throw error
      }
      const folder = new Folder(path, lock, made)
      await folder.keptIf(() => folder.#clear())
      if (lock.takenFrom) note(`${shown(path)}: taken over from a run that is gone (pid ${lock.takenFrom.pid})`)
      return folder
    }
  }

  /**
   * Takes the folder for new results: `out`, where a user names it, or else the first of `base`, `base-2` … that is free.
   * @param refuse throws where the folder holds what must not be replaced
   */
  static async takeNew(
    { out, base }: { readonly out: string | undefined; readonly base: string },
    files: readonly string[],
    note: Note,
    refuse: (folder: Folder) => Promise<void>,
  ): Promise<Folder> {
    if (out === undefined) return Folder.#takeNumbered(base, note, files)
    const folder = await Folder.take(out, note, { make: true, files })
    await folder.keptIf(() => refuse(folder))
    return folder
  }

  /** Takes the first of the folders `base`, `base-2`, `base-3` … that holds nothing and is not in use. */
  static async #takeNumbered(base: string, note: Note, files: readonly string[]): Promise<Folder> {
    for (let number = 1; ; number++) {
      const path = numbered(base, number)
      if (!(await isVacant(path))) continue
      let folder: Folder
      try {
        folder = await Folder.take(path, note, { make: true, files })
      } catch (error) {
        if (error instanceof InUseError) continue
        throw error
      }
      // Another run may have come and gone since it was looked at.
      if (await isVacant(path)) return folder
      folder.close()
    }
  }

  /** Does something for which the folder was taken, and gives the folder back where that fails. */
  async keptIf<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work()
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** Whether a process has the folder, or had it when it was killed. */
  static isLocked(path: string): Promise<boolean> {
    return isA('file', join(path, lockName))
  }

  /** The path of a file in it. */
  pathOf(name: string): string {
    return join(this.path, name)
  }

  has(name: string): Promise<boolean> {
    return isA('file', this.pathOf(name))
  }

  /** @throws FormatError when there is no such file, or it cannot be read */
  read(name: string): Promise<Uint8Array> {
    return readFileOrExplain(this.pathOf(name))
  }

  /** Writes a file whole or not at all, and gives its path. */
  async write(name: string, content: Uint8Array | string): Promise<string> {
    await writeFileAtomically(this.pathOf(name), typeof content === 'string' ? text.encode(content) : content)
    return this.pathOf(name)
  }

  append(name: string, content: Uint8Array): Promise<void> {
    return appendToFile(this.pathOf(name), content)
  }

  /** Cuts a file off after this many bytes; makes it longer, with zeros, where it has fewer. */
  truncate(name: string, bytes: number): Promise<void> {
    return truncateFile(this.pathOf(name), bytes)
  }

  /** Calls a file otherwise, in place of another of that name. */
  rename(name: string, to: string): Promise<void> {
    return renameFile(this.pathOf(name), this.pathOf(to))
  }

  /** Removes files that are there, one after the other. */
  async remove(...names: readonly string[]): Promise<void> {
    for (const name of names) await removeFile(this.pathOf(name))
  }

  /** @throws InUseError when the folder is no longer this process's: it was removed, or another has it by now */
  check(): Promise<void> {
    return this.#lock.check(this.path)
  }

  /** Gives the folder back, and removes it if it was made for this and holds nothing. Never fails. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    process.off('exit', this.#onExit)
    this.#lock.release()
    removeEmpty(this.path, this.#made)
  }

  /** Clears away what processes that were killed had not finished. */
  async #clear(): Promise<void> {
    const entries = await readdir(this.path, { withFileTypes: true }).catch(() => [])
    const left = entries.filter((entry) => entry.isFile() && isPassing(entry.name) && entry.name !== lockName)
    await this.remove(...left.map(({ name }) => name))
  }

  /** The end of a process that cannot wait: nothing is left but what was finished. */
  #leaveAtOnce(): void {
    try {
      for (const name of readdirSync(this.path).filter(isTemporary)) unlinkSync(this.pathOf(name))
    } catch {
      // The next process to take the folder clears it.
    }
    this.#lock.release()
    removeEmpty(this.path, this.#made)
  }
}

const numbered = (base: string, number: number): string => (number === 1 ? base : `${base}-${number}`)

/** Whether nothing is at a path, or a folder that holds nothing: a process was killed before it had a result. */
async function isVacant(path: string): Promise<boolean> {
  try {
    return (await readdir(path, { withFileTypes: true })).every((entry) => entry.isFile() && isPassing(entry.name))
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return true
    const isFile = codeOf(error) === 'ENOTDIR' && (await lstat(path).catch(() => undefined)) !== undefined
    if (isFile) return false
    throw writingError(path, error)
  }
}

/** The folders `base`, `base-2`, … that exist, the last first. */
export async function numberedFolders(base: string): Promise<string[]> {
  const entries = await readdir(dirname(base)).catch((error: unknown) => {
    if (isAbsent(error)) return []
    throw writingError(dirname(base), error)
  })
  const numbers = entries
    .map((name) => (name === basename(base) ? 1 : suffixOf(name, `${basename(base)}-`)))
    .filter((number) => number > 0)
  return numbers.sort((a, b) => b - a).map((number) => numbered(base, number))
}

/** The number after a prefix, from 2 on and without leading zeros; NaN where there is none. */
const suffixOf = (name: string, prefix: string): number =>
  name.startsWith(prefix) && /^([2-9]|[1-9]\d+)$/.test(name.slice(prefix.length))
    ? Number(name.slice(prefix.length))
    : Number.NaN
