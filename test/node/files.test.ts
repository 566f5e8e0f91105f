import * as actual from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ensureDirectory, readFileOrExplain, writeFileAtomically } from '../../src/node/files.js'
import { FormatError, ToeplitzError } from '../../src/runtime/errors.js'

// The real functions, wrapped so that one call can be made to fail as a full or forbidden disk does.
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof actual>()
  return {
    ...real,
    open: vi.fn(real.open),
    readFile: vi.fn(real.readFile),
    rename: vi.fn(real.rename),
    mkdir: vi.fn(real.mkdir),
    stat: vi.fn(real.stat),
  }
})

const { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } =
  await vi.importActual<typeof actual>('node:fs/promises')

const systemError = (code: string) => Object.assign(new Error(`${code}: as the\nsystem says`), { code })
const bytes = Uint8Array.of(1, 2, 3)

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'toeplitz-files-'))
})
afterEach(async () => {
  vi.clearAllMocks()
  await rm(directory, { recursive: true, force: true })
})

async function failure(promise: Promise<unknown>): Promise<ToeplitzError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof ToeplitzError)) throw new Error('no ToeplitzError was thrown', { cause: error })
  expect(error.message).not.toContain('\n')
  return error
}

describe('readFileOrExplain', () => {
  it('reads a plain Uint8Array', async () => {
    const path = join(directory, 'a')
    await writeFile(path, bytes)
    const read = await readFileOrExplain(path)
    expect(read).toEqual(bytes)
    expect(read.constructor).toBe(Uint8Array)
    await writeFile(path, '')
    expect((await readFileOrExplain(path)).length).toBe(0)
  })

  it.each([
    ['missing', 'no such file'],
    ['file/inside', 'a part of the path is a file'],
    ['', 'is a directory; name a file in it'],
  ])('explains %j', async (name, expected) => {
    await writeFile(join(directory, 'file'), bytes)
    const path = join(directory, name)
    const error = await failure(readFileOrExplain(path))
    expect(error).toBeInstanceOf(FormatError)
    expect(error.message).toContain(`${path}: ${expected}`)
    expect(error.cause).toBeDefined()
  })

  it.each([
    ['EACCES', 'no permission to read it'],
    ['EIO', 'cannot be read (EIO)'],
  ])('explains %s', async (code, expected) => {
    vi.mocked(actual.readFile).mockRejectedValueOnce(systemError(code))
    expect((await failure(readFileOrExplain('some/file'))).message).toContain(`some/file: ${expected}`)
  })

  it('reads in pieces what Node does not read at once', async () => {
    const path = join(directory, 'a')
    const handle = await (await vi.importActual<typeof actual>('node:fs/promises')).open(path, 'w')
    // Holes take no space: only the ends of the pieces of 64 MiB, and of the file, are written.
    const places = [0, 2 ** 26 - 1, 2 ** 26, 2 ** 27 - 1, 2 ** 27, 2 ** 27 + 100]
    for (const place of places) await handle.write(Uint8Array.of(7), 0, 1, place)
    await handle.close()
    vi.mocked(actual.readFile).mockRejectedValueOnce(systemError('ERR_FS_FILE_TOO_LARGE'))
    const read = await readFileOrExplain(path)
    expect(read.length).toBe(2 ** 27 + 101)
    const found: number[] = []
    for (let at = read.indexOf(7); at >= 0; at = read.indexOf(7, at + 1)) found.push(at)
    expect(found).toEqual(places)
  })

  it.skipIf(process.platform === 'win32')('explains a file that no memory holds', async () => {
    const path = join(directory, 'a')
    await writeFile(path, '')
    await (await vi.importActual<typeof actual>('node:fs/promises')).truncate(path, 2 ** 43)
    const { message } = await failure(readFileOrExplain(path))
    expect(message).toBe(`${path}: is larger than can be held in memory at once; name a smaller file`)
  })

  it('keeps to one line for any path', async () => {
    expect((await failure(readFileOrExplain('a\nb'))).message).toBe('"a\\nb": no such file; check the path')
    expect((await failure(readFileOrExplain(''))).message).toContain('"": no such file')
    expect((await failure(readFileOrExplain('a\0b'))).message).toContain('"a\\u0000b": cannot be read')
  })
})

describe('writeFileAtomically', () => {
  it('makes a file and replaces it, leaving nothing else', async () => {
    const path = join(directory, 'model.safetensors')
    await writeFileAtomically(path, bytes)
    await writeFileAtomically(path, Uint8Array.of(9))
    expect([...(await readFile(path))]).toEqual([9])
    await writeFileAtomically(path, new Uint8Array(0))
    expect((await readFile(path)).length).toBe(0)
    expect(await readdir(directory)).toEqual(['model.safetensors'])
  })

  it('writes the part of a buffer that it is given', async () => {
    const path = join(directory, 'a')
    await writeFileAtomically(path, bytes.subarray(1))
    expect([...(await readFile(path))]).toEqual([2, 3])
  })

  it('accepts the longest names', async () => {
    const path = join(directory, 'n'.repeat(255))
    await writeFileAtomically(path, bytes)
    expect((await stat(path)).size).toBe(3)
  })

  it('writes at the same time without mixing', async () => {
    const path = join(directory, 'a')
    const versions = Array.from({ length: 8 }, (_, i) => new Uint8Array(100_000).fill(i))
    await Promise.all(versions.map((version) => writeFileAtomically(path, version)))
    const read = await readFile(path)
    expect(read.length).toBe(100_000)
    expect(new Set(read).size).toBe(1)
    expect(await readdir(directory)).toEqual(['a'])
  })

  it.skipIf(process.platform === 'win32')('keeps the mode and follows links', async () => {
    const target = join(directory, 'target')
    await writeFile(target, 'old')
    await chmod(target, 0o600)
    const link = join(directory, 'link')
    await symlink(target, link)
    await writeFileAtomically(link, bytes)
    expect([...(await readFile(target))]).toEqual([1, 2, 3])
    expect((await stat(target)).mode & 0o777).toBe(0o600)
    expect((await actual.lstat(link)).isSymbolicLink()).toBe(true)
  })

  it.each([
    ['missing/file', 'its directory does not exist'],
    ['file/inside', 'a part of the path is a file'],
    ['', 'is a directory; name a file in it'],
  ])('explains %j', async (name, expected) => {
    await writeFile(join(directory, 'file'), 'old')
    const path = join(directory, name)
    const error = await failure(writeFileAtomically(path, bytes))
    expect(error.code).toBe('FILE')
    expect(error).not.toBeInstanceOf(FormatError)
    expect(error.message).toContain(`${path}: `)
    expect(error.message).toContain(expected)
    expect(await readdir(directory)).toEqual(['file'])
  })

  it.skipIf(process.platform === 'win32')('does not replace a device', async () => {
    expect((await failure(writeFileAtomically('/dev/null', bytes))).message).toContain('is a device or a pipe')
    expect((await stat('/dev/null')).isCharacterDevice()).toBe(true)
  })

  it('removes the temporary file and keeps the old one when the disk is full', async () => {
    const path = join(directory, 'a')
    await writeFile(path, 'old')
    const { open } = await vi.importActual<typeof actual>('node:fs/promises')
    for (const method of ['writeFile', 'sync', 'close'] as const) {
      vi.mocked(actual.open).mockImplementationOnce(async (...parameters) => {
        const handle = await open(...parameters)
        const close = handle.close.bind(handle)
        vi.spyOn(handle, method).mockImplementationOnce(async () => {
          if (method === 'close') await close()
          else await handle.write(Uint8Array.of(1))
          throw systemError('ENOSPC')
        })
        return handle
      })
      const error = await failure(writeFileAtomically(path, bytes))
      expect(error.code).toBe('FILE')
      expect(error.message).toBe(
        `${path}: cannot be written: the disk is full; free some space or name a file on another disk`,
      )
      expect(await readdir(directory)).toEqual(['a'])
      expect(await readFile(path, 'utf8')).toBe('old')
    }
  })

  it('removes the temporary file when it cannot be renamed', async () => {
    const path = join(directory, 'a')
    vi.mocked(actual.rename).mockRejectedValueOnce(systemError('EPERM'))
    expect((await failure(writeFileAtomically(path, bytes))).message).toContain('no permission to write there')
    expect(await readdir(directory)).toEqual([])
  })

  it.each([
    ['EACCES', 'no permission to write there'],
    ['EROFS', 'the disk is read-only'],
    ['EDQUOT', 'the disk is full'],
    ['EIO', 'cannot be written (EIO)'],
  ])('explains %s', async (code, expected) => {
    vi.mocked(actual.open).mockRejectedValueOnce(systemError(code))
    expect((await failure(writeFileAtomically(join(directory, 'a'), bytes))).message).toContain(expected)
    expect(await readdir(directory)).toEqual([])
  })

  it('does not need to flush the directory', async () => {
    const { open } = await vi.importActual<typeof actual>('node:fs/promises')
    vi.mocked(actual.open)
      .mockImplementationOnce((...parameters) => open(...parameters))
      .mockRejectedValueOnce(systemError('EISDIR'))
    await writeFileAtomically(join(directory, 'a'), bytes)
    expect(await readdir(directory)).toEqual(['a'])
  })

  it.skipIf(process.platform === 'win32' || process.getuid?.() === 0)(
    'explains a directory without permission',
    async () => {
      await chmod(directory, 0o500)
      const error = await failure(writeFileAtomically(join(directory, 'a'), bytes))
      await chmod(directory, 0o700)
      expect(error.message).toContain('no permission to write there')
    },
  )
})

describe('ensureDirectory', () => {
  it('makes directories, and accepts those that exist', async () => {
    const path = join(directory, 'a', 'b')
    await ensureDirectory(path)
    await ensureDirectory(path)
    expect((await stat(path)).isDirectory()).toBe(true)
  })

  it('explains a file in the way', async () => {
    const path = join(directory, 'file')
    await writeFile(path, 'old')
    const error = await failure(ensureDirectory(path))
    expect(error.code).toBe('FILE')
    expect(error.message).toBe(`${path}: is a file; name a directory`)
    expect((await failure(ensureDirectory(join(path, 'b')))).message).toContain('a part of the path is a file')
    expect((await failure(ensureDirectory(''))).message).toContain('"": ')
  })

  it.each([
    ['ENOSPC', 'cannot be made: the disk is full'],
    ['EACCES', 'no permission to write there'],
  ])('explains %s', async (code, expected) => {
    vi.mocked(actual.mkdir).mockRejectedValueOnce(systemError(code))
    expect((await failure(ensureDirectory('some'))).message).toContain(`some: ${expected}`)
  })
})
