/**
 * Reading what is on disk. Only regular files are read: a pipe without a writer would be waited for for good, a device may
 * have no end, and to open one can already do something. What is wrong with a file is told apart from what is wrong with
 * the machine, because a file may be passed over for the former alone.
 */
import { Buffer, constants as limits } from 'node:buffer'
import type { Dirent, Stats } from 'node:fs'
import { constants, lstat, open, opendir, stat, type FileHandle } from 'node:fs/promises'
import { FormatError, isOutOfMemory, OutOfMemoryError, ToeplitzError } from '../runtime/errors.js'
import { checkPath } from '../runtime/check.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { nameOf, systemPath } from './names.js'

/** Files that are open at once: a batch of pictures may be larger than the number of handles that a process has. */
const MOST_OPEN = 16

/** Bytes of one call: Linux moves at most 2 GiB less a page. */
const STRETCH = 2 ** 30

/** Bytes that one array can hold (4 GiB in Node 20), and so the largest file that is read or written. */
export const largestFile = limits.MAX_LENGTH

/** Options of `readFileOrExplain`. */
export interface ReadOptions {
  /** A larger file is refused before it is read. Default: what one array can hold, 4 GiB in Node 20. */
  readonly maxBytes?: number
}

/**
 * Reads a whole regular file; symbolic links are followed.
 *
 * @param path the file; errors name it as given
 * @throws FormatError when it is missing, a directory, a pipe, a socket, a device, larger than `maxBytes`, or changes
 *   while it is read; ToeplitzError with code FILE when it must not be read, the system has no file handle left, or the
 *   disk fails; OutOfMemoryError when it does not fit in memory
 */
export async function readFileOrExplain(path: string, options: ReadOptions = {}): Promise<Uint8Array> {
  checkCount('readFileOrExplain', 2, arguments)
  checkPath(path, 'readFileOrExplain: the path')
  checkKeys('readFileOrExplain', options, { maxBytes: 0 } satisfies Names<ReadOptions>)
  const { maxBytes = largestFile } = options
  try {
    const system = systemPath(path)
    // Looked at before it is opened, and again after, should it have been exchanged between.
    assertRegular(path, await stat(system))
    return await slots.use(async () => {
      // Opening a pipe waits for a writer, and a terminal may become this process's own, unless told otherwise.
      const handle = await open(system, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0))
      try {
        return await readHandle(path, handle, maxBytes)
      } finally {
        await handle.close()
      }
    })
  } catch (error) {
    throw readingError(path, error)
  }
}

async function readHandle(path: string, handle: FileHandle, maxBytes: number): Promise<Uint8Array> {
  const before = await handle.stat()
  assertRegular(path, before)
  const { size } = before
  if (size > maxBytes) throw new FormatError(`${shown(path)}: has ${size} bytes; at most ${maxBytes} are read`)
  const bytes = allocate(path, size)
  let filled = 0
  while (filled < size) {
    const { bytesRead } = await handle.read(bytes, filled, Math.min(STRETCH, size - filled), filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  const after = await handle.stat()
  if (filled !== size || after.size !== size || after.mtimeMs !== before.mtimeMs) {
    throw new FormatError(`${shown(path)}: changed while it was read; try again when it is complete`, {
      cause: Object.assign(new Error('changed'), { code: 'CHANGED' }),
    })
  }
  return bytes
}

function allocate(path: string, size: number): Uint8Array {
  try {
    const { buffer, byteOffset } = Buffer.allocUnsafeSlow(size)
    return new Uint8Array(buffer, byteOffset, size)
  } catch (error) {
    throw new OutOfMemoryError(`${shown(path)}: its ${size} bytes do not fit in memory`, { cause: error })
  }
}

/** Lets so many callers go on at a time; the others wait in the order in which they came. */
class Slots {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#free = count
  }

  async use<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#free++
    }
  }
}

const slots = new Slots(MOST_OPEN)

export type Kind = 'file' | 'directory' | 'link' | 'pipe' | 'socket' | 'device'

/** What a directory's entry is, or what a path leads to. */
function kindOf(found: Dirent<Buffer> | Stats): Kind {
  if (found.isFile()) return 'file'
  if (found.isDirectory()) return 'directory'
  if (found.isSymbolicLink()) return 'link'
  if (found.isFIFO()) return 'pipe'
  return found.isSocket() ? 'socket' : 'device'
}

function assertRegular(path: string, found: Stats): void {
  const kind = kindOf(found)
  if (kind === 'directory') throw Object.assign(new Error('a directory'), { code: 'EISDIR' })
  if (kind !== 'file') throw irregular(path, kind)
}

/** The error for what is no file and no folder either. */
export const irregular = (path: string, kind: Kind): FormatError =>
  new FormatError(`${shown(path)}: is a ${kind}, which is not read; name a regular file`)

/** Something in a directory. */
export interface Entry {
  readonly name: string
  /** What it is; of a link that is followed, what it leads to, or `link` where it leads nowhere. */
  readonly kind: Kind
  readonly linked: boolean
}

/**
 * What is in a directory, in no order, one after another: however many there are, few are held. `wanted` tells by the name
 * which links are followed; the others are links.
 *
 * @throws as `readFileOrExplain`
 */
export async function* entriesOf(
  directory: string,
  pathOf: (name: string) => string,
  wanted: (name: string) => boolean,
): AsyncGenerator<Entry, void> {
  try {
    // The types know names as text only.
    const options = { encoding: 'buffer' as BufferEncoding, bufferSize: 256 }
    for await (const entry of await opendir(systemPath(directory), options)) {
      const name = nameOf(entry.name as unknown as Buffer)
      const kind = kindOf(entry as unknown as Dirent<Buffer>)
      const linked = kind === 'link'
      yield { name, linked, kind: linked && wanted(name) ? await followed(pathOf(name)) : kind }
    }
  } catch (error) {
    throw readingError(directory, error)
  }
}

/** What a link leads to, or `link` where it leads nowhere: to nothing, through a file, or in a circle. */
async function followed(path: string): Promise<Kind> {
  try {
    return kindOf(await stat(systemPath(path)))
  } catch (error) {
    if (isAbsent(error)) return 'link'
    throw readingError(path, error)
  }
}

/**
 * Whether there is a file, or a directory, at the path.
 *
 * @throws ToeplitzError with code FILE when that cannot be found out
 */
export async function isA(kind: 'file' | 'directory', path: string): Promise<boolean> {
  checkCount('isA', 2, arguments)
  checkPath(path, 'isA: the path')
  return (await kindAt(path)) === kind
}

/** Size and time of what a path leads to, in bytes and milliseconds. @throws as `readFileOrExplain` */
export async function statOrExplain(path: string): Promise<{ readonly size: number; readonly mtimeMs: number }> {
  try {
    return await stat(systemPath(path))
  } catch (error) {
    throw readingError(path, error)
  }
}

/** What is at the path, links followed unless it is said; undefined where there is nothing. @throws as `isA` */
export async function kindAt(path: string, { follow = true } = {}): Promise<Kind | undefined> {
  try {
    return kindOf(await (follow ? stat : lstat)(systemPath(path)))
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw readingError(path, error)
  }
}

/**
 * The first of the paths that is a file. Where none is, the first at which there is a pipe, a socket or a device, of which
 * reading will say what it is; undefined where there is neither.
 */
export async function firstFile(paths: readonly string[]): Promise<string | undefined> {
  let other: string | undefined
  for (const path of paths) {
    const kind = await kindAt(path)
    if (kind === 'file') return path
    if (kind !== undefined && kind !== 'directory') other ??= path
  }
  return other
}

/** Which directory the path leads to, whatever it is called: two with the same identity are one. */
export async function identityOf(path: string): Promise<string> {
  try {
    const { dev, ino } = await stat(systemPath(path), { bigint: true })
    return `${dev} ${ino}`
  } catch (error) {
    throw readingError(path, error)
  }
}

/** That a file was written to while it was read. */
export const isChanging = (error: FormatError): boolean => codeOf(error.cause) === 'CHANGED'

/** That nothing is at a path, and not that it could not be looked at. */
export const isAbsent = (error: unknown): boolean =>
  ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'ERR_INVALID_ARG_VALUE'].includes(codeOf(error))

/** What made reading fail, as an error that names the path. */
function readingError(path: string, error: unknown): ToeplitzError {
  if (error instanceof ToeplitzError) return error
  const options = { cause: error }
  if (isOutOfMemory(error)) return new OutOfMemoryError(`${shown(path)}: memory ran out while it was read`, options)
  const message = `${shown(path)}: ${readingProblem(codeOf(error), path)}`
  const ofFile = isAbsent(error) || codeOf(error) === 'EISDIR'
  return ofFile ? new FormatError(message, options) : new ToeplitzError('FILE', message, options)
}

/** What is wrong, and what would do. */
export function readingProblem(code: string, path: string): string {
  switch (code) {
    case 'ENOENT':
      return path.includes('\ufffd')
        ? 'no such file; a character of its name could not be read, being no UTF-8: rename it'
        : 'no such file; check the path'
    case 'EISDIR':
      return 'is a directory; name a file in it'
    case 'ENOTDIR':
      return 'a part of the path is a file, not a directory; check the path'
    case 'ELOOP':
      return 'symbolic links lead in a circle; name a file itself'
    case 'ENAMETOOLONG':
      return 'the name is longer than the system allows; check the path'
    case 'EACCES':
    case 'EPERM':
      return 'no permission to read it; allow this user to (chmod u+r) or name another file'
    case 'EMFILE':
    case 'ENFILE':
      return 'too many files are open; close some, or raise the limit (ulimit -n)'
    case 'EIO':
      return 'the disk fails to read it (EIO); check the disk'
    default:
      return `cannot be read (${code})`
  }
}

/** The code of a system's error, or its message where it has none. */
export function codeOf(error: unknown): string {
  if (error instanceof Error) return 'code' in error && typeof error.code === 'string' ? error.code : error.message
  return String(error)
}

/** The path as errors name it. */
export const shown = (path: string): string => (path === '' ? '""' : path)
