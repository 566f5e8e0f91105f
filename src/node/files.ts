/** Files on disk: reading with errors that help, writing that never leaves half a file. Node only. */
import { randomUUID } from 'node:crypto'
import { rmdirSync } from 'node:fs'
import { appendFile, mkdir, open, realpath, rename, rm, stat, truncate, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { checkPath } from '../runtime/check.js'
import { ToeplitzError } from '../runtime/errors.js'
import { codeOf, isA, shown } from './reading.js'
import { checkCount } from '../runtime/options.js'

export { codeOf, isA, largestFile, readFileOrExplain, shown, type ReadOptions } from './reading.js'

/** What writeFileAtomically calls a file that it has not finished. */
const temporaryName = (): string => `.toeplitz-${randomUUID()}.tmp`
export const isTemporary = (name: string): boolean => /^\.toeplitz-[0-9a-f-]{36}\.tmp$/.test(name)

/**
 * Writes a file so that a reader sees either the old content or the new, whatever happens meanwhile: to a temporary file
 * in the same directory, flushed to the disk, then renamed over the old one. Symbolic links are followed and the mode of
 * an existing file is kept.
 *
 * @throws ToeplitzError with code FILE when the file cannot be written; the old file is then untouched and the temporary
 *   file removed
 */
export async function writeFileAtomically(path: string, bytes: Uint8Array): Promise<void> {
  checkCount('writeFileAtomically', 2, arguments)
  checkPath(path, 'writeFileAtomically: the path')
  let temporary: string | undefined
  try {
    const existing = await stat(path).catch(ignoreMissing)
    if (existing?.isDirectory() === true) throw Object.assign(new Error('is a directory'), { code: 'EISDIR' })
    if (existing?.isFile() === false) throw Object.assign(new Error('not a regular file'), { code: 'NOT_A_FILE' })
    const target = existing === undefined ? path : await realpath(path)
    // Created under its own name and for writing alone ("x"), so that no other file can be hit.
    const name = join(dirname(target), temporaryName())
    const handle = await open(name, 'wx', existing === undefined ? 0o666 : existing.mode & 0o777)
    temporary = name
    try {
      await handle.writeFile(bytes)
      // Made with no more permissions than the old file has; the umask may have taken some. Not every disk knows modes.
      if (existing !== undefined) await handle.chmod(existing.mode & 0o777).catch(() => undefined)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(name, target)
    temporary = undefined
    await syncDirectory(dirname(target))
  } catch (error) {
    if (temporary !== undefined) await rm(temporary, { force: true }).catch(() => undefined)
    throw writingError(path, error)
  }
}

/** Waits for a change of a file. @throws ToeplitzError with code FILE when it fails */
async function changing(path: string, change: Promise<void>): Promise<void> {
  try {
    await change
  } catch (error) {
    throw writingError(path, error)
  }
}

/** Adds bytes to the end of a file, which is made if there is none. Where that fails, a part may have been added. */
export const appendToFile = (path: string, bytes: Uint8Array): Promise<void> => changing(path, appendFile(path, bytes))

/** Cuts a file off after this many bytes, or makes it as long, with zeros. */
export const truncateFile = (path: string, bytes: number): Promise<void> => changing(path, truncate(path, bytes))

/** Calls a file otherwise, in place of another that may be there. */
export const renameFile = (path: string, to: string): Promise<void> => changing(to, rename(path, to))

/** Removes a file, if it is there. */
export const removeFile = (path: string): Promise<void> => changing(path, rm(path, { force: true }))

/**
 * Makes a directory and those above it, where they do not exist yet.
 *
 * @throws ToeplitzError with code FILE when that is not possible
 */
export async function ensureDirectory(path: string): Promise<void> {
  checkCount('ensureDirectory', 1, arguments)
  checkPath(path, 'ensureDirectory: the path')
  await makeDirectory(path)
}

/** As `ensureDirectory`; gives the topmost of the directories that did not exist, or undefined. */
export async function makeDirectory(path: string): Promise<string | undefined> {
  try {
    return await makeMissing(path)
  } catch (error) {
    throw fileError(path, directoryProblem(codeOf(error)), error)
  }
}

/**
 * What `mkdir` with `recursive` does in Node, which does not end where a directory exists and takes no other: in /proc, and
 * in a directory that was removed.
 */
async function makeMissing(path: string): Promise<string | undefined> {
  const above = dirname(path)
  let topmost: string | undefined
  for (let last = false; ; last = true) {
    try {
      await mkdir(path)
      return topmost ?? path
    } catch (error) {
      // Another process may have been faster.
      if (codeOf(error) === 'EEXIST' && (await isA('directory', path))) return topmost
      if (last) removeEmpty(above, topmost)
      if (last || codeOf(error) !== 'ENOENT' || above === path) throw error
      topmost = await makeMissing(above)
    }
  }
}

/**
 * Removes a directory and those above it up to `topmost`, which `makeDirectory` gave, as far as they are empty. At once, so
 * that a process that ends can do it.
 */
export function removeEmpty(path: string, topmost: string | undefined): void {
  if (topmost === undefined) return
  try {
    // Step by step as they were made: made absolute, a path may be longer than the system allows.
    for (let at = path; ; at = dirname(at)) {
      rmdirSync(at)
      if (at === topmost) return
    }
  } catch {
    // It holds something, or is gone.
  }
}

/** Makes the rename durable. Some systems cannot open a directory; the content is safe without. */
async function syncDirectory(path: string): Promise<void> {
  let handle: FileHandle | undefined
  try {
    handle = await open(path, 'r')
    await handle.sync()
  } catch {
    // The file is complete under its name either way.
  } finally {
    await handle?.close().catch(() => undefined)
  }
}

function ignoreMissing(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error
}

/** The error of a file that could not be written, made, renamed or removed. */
export const writingError = (path: string, cause: unknown): ToeplitzError =>
  fileError(path, writingProblem(codeOf(cause)), cause)

function fileError(path: string, problem: string, cause: unknown): ToeplitzError {
  return cause instanceof ToeplitzError ? cause : new ToeplitzError('FILE', `${shown(path)}: ${problem}`, { cause })
}

function writingProblem(code: string): string {
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return 'cannot be written: the disk is full; free some space or name a file on another disk'
    case 'ENOENT':
      return 'cannot be written: its directory does not exist; make it first'
    case 'EISDIR':
      return 'is a directory; name a file in it'
    case 'NOT_A_FILE':
      return 'is a device or a pipe; name a regular file'
    default:
      return directoryProblem(code)
  }
}

function directoryProblem(code: string): string {
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return 'cannot be made: the disk is full; free some space or name a directory on another disk'
    case 'EEXIST':
      return 'is a file; name a directory'
    case 'ENOTDIR':
      return 'a part of the path is a file, not a directory; name another path'
    case 'EACCES':
    case 'EPERM':
      return 'no permission to write there; allow this user to (chmod u+w on the directory) or name another path'
    case 'EROFS':
      return 'cannot be written: the disk is read-only; name a path on another disk'
    case 'ENOENT':
      return 'cannot be made: the directory above it takes none, or is gone; name another path'
    case 'ENAMETOOLONG':
      return 'cannot be written: the name is longer than the system allows; name a shorter path'
    case 'ELOOP':
      return 'cannot be written: symbolic links lead in a circle; name another path'
    case 'EMFILE':
    case 'ENFILE':
      return 'cannot be written: too many files are open; close some, or raise the limit (ulimit -n)'
    case 'EIO':
      return 'cannot be written: the disk fails (EIO); check the disk'
    default:
      return `cannot be written (${code})`
  }
}
