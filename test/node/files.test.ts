import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import * as actual from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ensureDirectory, isA, makeDirectory, readFileOrExplain, writeFileAtomically } from '../../src/node/files.js'
import { FormatError, OutOfMemoryError, ToeplitzError } from '../../src/runtime/errors.js'

// The real functions, wrapped so that one call can be made to fail as a full or forbidden disk does.
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof actual>()
  return {
    ...real,
    open: vi.fn(real.open),
    rename: vi.fn(real.rename),
    mkdir: vi.fn(real.mkdir),
    stat: vi.fn(real.stat),
  }
})

const { appendFile, chmod, mkdtemp, readdir, readFile, rm, stat, symlink, truncate, utimes, writeFile } =
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

async function written(name: string, content: Uint8Array): Promise<string> {
  const path = join(directory, name)
  await writeFile(path, content)
  return path
}

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
    ['EPERM', 'no permission to read it'],
    ['EMFILE', 'too many files are open'],
    ['ENFILE', 'too many files are open'],
    ['EIO', 'the disk fails to read it'],
    ['ESTALE', 'cannot be read (ESTALE)'],
  ])('explains %s, which is no fault of the file', async (code, expected) => {
    const path = join(directory, 'a')
    await writeFile(path, bytes)
    vi.mocked(actual.open).mockRejectedValueOnce(systemError(code))
    const error = await failure(readFileOrExplain(path))
    expect(error.message).toContain(`${path}: ${expected}`)
    expect(error.code).toBe('FILE')
    expect(error).not.toBeInstanceOf(FormatError)
  })

  it.each([systemError('ENOMEM'), new RangeError('Array buffer allocation failed')])(
    'tells that memory ran out: %s',
    async (cause) => {
      const path = join(directory, 'a')
      await writeFile(path, bytes)
      vi.mocked(actual.open).mockRejectedValueOnce(cause)
      const error = await failure(readFileOrExplain(path))
      expect(error).toBeInstanceOf(OutOfMemoryError)
      expect(error.message).toContain(path)
    },
  )

  it('keeps to one line for any path, and shows what is in it', async () => {
    expect((await failure(readFileOrExplain('a\nb'))).message).toBe('a\\nb: no such file; check the path')
    expect((await failure(readFileOrExplain('\u001b[2J\u202e'))).message).toMatch(/^\\x1b\[2J\\u202e: no such file/)
    expect((await failure(readFileOrExplain(''))).message).toContain('"": no such file')
    expect((await failure(readFileOrExplain('a\0b'))).message).toContain('a\\x00b: cannot be read')
    expect((await failure(readFileOrExplain('caf\ufffd.png'))).message).toContain('being no UTF-8: rename it')
  })

  it('refuses what is larger than asked for without reading it, and more than an array holds', async () => {
    const path = join(directory, 'sparse')
    await writeFile(path, '')
    await truncate(path, 2 ** 40)
    const refused = await failure(readFileOrExplain(path, { maxBytes: 1000 }))
    expect(refused).toBeInstanceOf(FormatError)
    expect(refused.message).toBe(`${path}: has 1099511627776 bytes; at most 1000 are read`)
    expect((await failure(readFileOrExplain(path))).message).toMatch(/1099511627776 bytes; at most \d+ are read$/)
    expect(await readFileOrExplain(await written('small', bytes), { maxBytes: 3 })).toEqual(bytes)
  })

  it.each(['longer', 'shorter', 'other'])('notices that a file becomes %s while it is read', async (kind) => {
    const path = await written('a', Uint8Array.of(1, 2, 3, 4))
    const { open } = await vi.importActual<typeof actual>('node:fs/promises')
    vi.mocked(actual.open).mockImplementationOnce(async (...parameters) => {
      const handle = await open(...parameters)
      const read = handle.read.bind(handle) as (...given: unknown[]) => Promise<never>
      vi.spyOn(handle, 'read').mockImplementationOnce(async (...given: unknown[]) => {
        if (kind === 'shorter') await truncate(path, 2)
        const result = await read(...given)
        if (kind === 'longer') await appendFile(path, 'more')
        if (kind === 'other') {
          await writeFile(path, Uint8Array.of(9, 9, 9, 9))
          await utimes(path, 1, 1)
        }
        return result
      })
      return handle
    })
    const error = await failure(readFileOrExplain(path))
    expect(error).toBeInstanceOf(FormatError)
    expect(error.message).toBe(`${path}: changed while it was read; try again when it is complete`)
  })

  it.skipIf(process.platform === 'win32')('never opens what is no regular file', async () => {
    const pipe = join(directory, 'pipe')
    execFileSync('mkfifo', [pipe])
    const socket = join(directory, 'socket')
    const server = createServer().listen(socket)
    await once(server, 'listening')
    await symlink(pipe, join(directory, 'link'))
    await symlink(join(directory, 'circle'), join(directory, 'circle'))
    const cases = [
      [pipe, /: is a pipe, which is not read; name a regular file$/],
      [join(directory, 'link'), /: is a pipe, which is not read; name a regular file$/],
      [socket, /: is a socket, which is not read; name a regular file$/],
      ['/dev/zero', /: is a device, which is not read; name a regular file$/],
      ['/dev/tty', /: (is a device, which is not read|no such file)/],
      [join(directory, 'circle'), /: symbolic links lead in a circle; name a file itself$/],
      [join(directory, 'n'.repeat(300)), /: the name is longer than the system allows; check the path$/],
    ] as const
    for (const [path, expected] of cases) {
      const error = await failure(readFileOrExplain(path))
      expect(error.message).toMatch(expected)
      expect(error).toBeInstanceOf(FormatError)
    }
    server.close()
    expect(actual.open).not.toHaveBeenCalled()
  })

  it.skipIf(process.platform === 'win32')('is not held up by a pipe that takes the place of a file', async () => {
    const path = await written('a', bytes)
    const { open } = await vi.importActual<typeof actual>('node:fs/promises')
    vi.mocked(actual.open).mockImplementationOnce(async (...parameters) => {
      await rm(path)
      execFileSync('mkfifo', [path])
      return open(...parameters)
    })
    expect((await failure(readFileOrExplain(path))).message).toBe(
      `${path}: is a pipe, which is not read; name a regular file`,
    )
  })

  it('has no more than 16 files open at once, and gives each reader its own', async () => {
    const paths = await Promise.all(Array.from({ length: 100 }, (_, i) => written(String(i), Uint8Array.of(i))))
    const { open } = await vi.importActual<typeof actual>('node:fs/promises')
    let opened = 0
    let most = 0
    vi.mocked(actual.open).mockImplementation(async (...parameters) => {
      most = Math.max(most, ++opened)
      const handle = await open(...parameters)
      const close = handle.close.bind(handle)
      handle.close = () => {
        opened--
        return close()
      }
      return handle
    })
    paths.splice(50, 0, join(directory, 'missing'))
    const read = await Promise.allSettled(paths.map((path) => readFileOrExplain(path)))
    vi.mocked(actual.open).mockImplementation(open)
    expect(read.filter(({ status }) => status === 'rejected')).toHaveLength(1)
    expect(read.flatMap((one) => (one.status === 'fulfilled' ? [...one.value] : []))).toEqual([...Array(100).keys()])
    expect(most).toBe(16)
  })

  it.skipIf(process.platform !== 'linux')('reads files whose names are no UTF-8', async () => {
    await writeFile(Buffer.concat([Buffer.from(`${directory}/caf`), Buffer.of(0xe9, 0xff)]), bytes)
    expect(await readFileOrExplain(join(directory, 'caf\udce9\udcff'))).toEqual(bytes)
    expect((await failure(readFileOrExplain(join(directory, 'caf\udce8')))).message).toContain('caf\\xe8: no such file')
  })
})

describe('isA', () => {
  it('tells what is there, and not that something is not there where it cannot look', async () => {
    const path = await written('a', bytes)
    expect(await Promise.all([isA('file', path), isA('directory', path), isA('directory', directory)])).toEqual([
      ...[true, false, true],
    ])
    expect(await isA('file', join(path, 'b'))).toBe(false)
    vi.mocked(actual.stat).mockRejectedValueOnce(systemError('EACCES'))
    expect((await failure(isA('file', path))).message).toContain('no permission to read it')
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
    ['EIO', 'cannot be written: the disk fails (EIO)'],
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

  it('gives the topmost that it made, and leaves nothing where it fails', async () => {
    const top = join(directory, 'a')
    expect(await makeDirectory(join(top, 'b', 'c'))).toBe(top)
    expect(await makeDirectory(join(top, 'b'))).toBeUndefined()
    expect((await failure(ensureDirectory(join(top, 'd', 'e', 'n'.repeat(300))))).message).toContain(
      ': cannot be written: the name is longer than the system allows',
    )
    expect(await readdir(top)).toEqual(['b'])
    await Promise.all(Array.from({ length: 20 }, (_, i) => ensureDirectory(join(top, 'x', 'y', `${i % 2}`))))
    expect(await readdir(join(top, 'x', 'y'))).toEqual(['0', '1'])
  })

  it.skipIf(process.platform !== 'linux')('ends where a directory takes no other', async () => {
    expect((await failure(ensureDirectory('/proc/toeplitz/a'))).message).toMatch(
      /^\/proc\/toeplitz\/a: cannot be (made|written)/,
    )
  })

  it.each([
    ['ENOSPC', 'cannot be made: the disk is full'],
    ['EACCES', 'no permission to write there'],
  ])('explains %s', async (code, expected) => {
    vi.mocked(actual.mkdir).mockRejectedValueOnce(systemError(code))
    expect((await failure(ensureDirectory('some'))).message).toContain(`some: ${expected}`)
  })
})
