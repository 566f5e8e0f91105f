/** Which pictures a folder holds: links, names of any bytes, what is no file, and how much is too much. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { listPictures, tellBeside, type OtherFiles } from '../../src/node/listing.js'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'toeplitz-listing-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

/** Files, which are not looked into. */
async function put(...paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    await mkdir(join(directory, path, '..'), { recursive: true })
    await writeFile(join(directory, path), '')
  }
}

async function list(limits?: { count: number; characters: number }) {
  const skipped: string[] = []
  const others: OtherFiles[] = []
  const { classes, names, labels } = await listPictures(
    directory,
    {
      onSkip: ({ message }) => skipped.push(message.replaceAll(`${directory}/`, '')),
      onOther: (found) => others.push(found),
    },
    limits,
  )
  return { classes, files: names.map((name, i) => `${classes[labels[i]!]}/${name}`), skipped: skipped.sort(), others }
}

describe('listPictures', () => {
  it('is in the order of the names of classes, and of pictures', async () => {
    await put('b/2.png', 'b/10.PNG', 'b/1.Jpeg', 'a/z.jpg', 'C/x.png', '.hidden/x.png', 'README', 'b/.x.png')
    expect(await list()).toEqual({
      classes: ['C', 'a', 'b'],
      files: ['C/x.png', 'a/z.jpg', 'b/.x.png', 'b/1.Jpeg', 'b/10.PNG', 'b/2.png'],
      skipped: [],
      others: [{ count: 1, example: join(directory, 'README'), kind: 'file', place: 'beside' }],
    })
  })

  it('tells what is no picture of a class, once for each kind, and nothing of hidden files', async () => {
    await put('a/1.png', 'a/2.webp', 'a/3.png ', 'a/4.png.', 'a/.DS_Store', 'a/sub/5.png', 'b/6.png', 'b/7', 'notes')
    await mkdir(join(directory, 'b/folder.png'))
    const { files, others } = await list()
    expect(files).toEqual(['a/1.png', 'b/6.png'])
    expect(others).toEqual([
      { count: 1, example: join(directory, 'a/2.webp'), kind: 'picture of another format', place: 'class' },
      { count: 3, example: join(directory, 'a/3.png '), kind: 'file', place: 'class' },
      { count: 2, example: join(directory, 'a/sub'), kind: 'directory', place: 'class' },
      { count: 1, example: join(directory, 'notes'), kind: 'file', place: 'beside' },
    ])
  })

  it.skipIf(process.platform === 'win32')('tells what lies beside the classes, by what it is', async () => {
    await put('a/1.png', '2.png', '3.JPG', '.4.png')
    execFileSync('mkfifo', [join(directory, 'b'), join(directory, 'a/fifo')])
    await symlink('/dev/null', join(directory, 'c.png'))
    await symlink('a/1.png', join(directory, 'd'))
    await symlink('a/1.png', join(directory, 'e.png'))
    await symlink('nowhere', join(directory, 'a/link'))
    const server = createServer().listen(join(directory, 'f'))
    await once(server, 'listening')
    const beside = (name: string, kind: string, count = 1) => {
      return { count, example: join(directory, name), kind, place: 'beside' }
    }
    const { classes, skipped, others } = await list()
    expect({ classes, skipped }).toEqual({ classes: ['a'], skipped: [] })
    expect(others).toEqual([
      beside('2.png', 'picture', 3),
      { ...beside('a/fifo', 'pipe'), place: 'class' },
      { ...beside('a/link', 'link'), place: 'class' },
      beside('b', 'pipe'),
      beside('c.png', 'device'),
      beside('d', 'file'),
      beside('f', 'socket'),
    ])
    const told: OtherFiles[] = []
    await tellBeside(directory, ['a', 'b', 'c.png'], { onOther: (found) => told.push(found) })
    expect(told).toEqual([beside('2.png', 'picture', 3), beside('d', 'file'), beside('f', 'socket')])
    await new Promise((done) => server.close(done))
  })

  it.skipIf(process.platform === 'win32')('names what is no file, without opening it', async () => {
    await put('a/1.png')
    execFileSync('mkfifo', [join(directory, 'a/2.png'), join(directory, 'b')])
    await symlink('/dev/zero', join(directory, 'a/3.png'))
    await symlink(join(directory, 'a/2.png'), join(directory, 'a/4.jpg'))
    expect(await list()).toMatchObject({
      classes: ['a'],
      files: ['a/1.png'],
      skipped: [
        'a/2.png: is a pipe, which is not read; name a regular file',
        'a/3.png: is a device, which is not read; name a regular file',
        'a/4.jpg: is a pipe, which is not read; name a regular file',
      ],
    })
  })

  it.skipIf(process.platform === 'win32')('follows links to files and to folders of classes', async () => {
    await put('a/1.png', 'elsewhere.d/2.png', 'elsewhere.d/3.txt')
    const other = await mkdtemp(join(tmpdir(), 'toeplitz-linked-'))
    await writeFile(join(other, '4.jpg'), '')
    await symlink(other, join(directory, 'b'))
    await symlink(join(other, '4.jpg'), join(directory, 'a/5.jpg'))
    await symlink('b', join(directory, 'c'))
    expect(await list()).toMatchObject({
      classes: ['a', 'b', 'c', 'elsewhere.d'],
      files: ['a/1.png', 'a/5.jpg', 'b/4.jpg', 'c/4.jpg', 'elsewhere.d/2.png'],
      skipped: [],
    })
    await rm(other, { recursive: true })
    expect((await list().catch(() => undefined)) ?? 'refused').toMatchObject({
      classes: ['a', 'elsewhere.d'],
      skipped: [
        'a/5.jpg: is a link that leads nowhere; remove it',
        'b: is a link that leads nowhere; remove it',
        'c: is a link that leads nowhere; remove it',
      ],
    })
  })

  it.skipIf(process.platform === 'win32')('does not go round in circles', async () => {
    await put('data/a/1.png')
    directory = join(directory, 'data')
    await symlink('.', join(directory, 'self'))
    await symlink('..', join(directory, 'above'))
    await symlink('/', join(directory, 'root'))
    await symlink('x', join(directory, 'y'))
    await symlink('y', join(directory, 'x'))
    await symlink('.', join(directory, 'a/inside.png'))
    const { classes, files, skipped, others } = await list()
    expect({ classes, files }).toEqual({ classes: ['a'], files: ['a/1.png'] })
    expect(others).toEqual([{ count: 1, example: join(directory, 'a/inside.png'), kind: 'directory', place: 'class' }])
    expect(skipped).toEqual([
      'above: is a link to a folder that it lies in; remove it',
      'root: is a link to a folder that it lies in; remove it',
      'self: is a link to a folder that it lies in; remove it',
      'x: is a link that leads nowhere; remove it',
      'y: is a link that leads nowhere; remove it',
    ])
    directory = join(directory, '..')
  })

  it.skipIf(process.platform !== 'linux')('takes names of any bytes for pictures, and UTF-8 for classes', async () => {
    await put('a/x.png', 'a/\u00e9.png', 'a/\n\u001b[2J.png', "a/$(x) 'q'.png")
    await writeFile(Buffer.concat([Buffer.from(`${directory}/a/caf`), Buffer.of(0xe9), Buffer.from('.png')]), '')
    expect((await list()).files).toEqual(
      ['\n\u001b[2J.png', "$(x) 'q'.png", 'caf\udce9.png', 'x.png', '\u00e9.png'].map((name) => `a/${name}`),
    )
    await mkdir(Buffer.concat([Buffer.from(`${directory}/b`), Buffer.of(0xff)]))
    await expect(list()).rejects.toThrow(/b\\xff: the name of a class must be UTF-8; rename the folder$/)
  })

  it('refuses more names than there is room for', async () => {
    await put(...Array.from({ length: 6 }, (_, i) => `a/${i}.png`), 'b/0.png')
    expect((await list({ count: 9, characters: 37 })).files).toHaveLength(7)
    await expect(list({ count: 8, characters: 1000 })).rejects.toThrow(
      `${directory}: more than 8 names, or 1000 characters of them, are in it; divide the folder`,
    )
    await expect(list({ count: 100, characters: 36 })).rejects.toThrow('more than 100 names, or 36 characters')
  })

  it('explains what cannot be looked into', async () => {
    directory = join(directory, 'none')
    await expect(list()).rejects.toThrow(`${directory}: no such file; check the path`)
    await writeFile(directory, '')
    await expect(list()).rejects.toThrow('a part of the path is a file')
    directory = join(directory, '..')
  })

  it.skipIf(process.platform === 'win32' || process.getuid?.() === 0)('explains what it must not read', async () => {
    await put('a/1.png')
    await chmod(join(directory, 'a'), 0)
    await expect(list()).rejects.toMatchObject({ code: 'FILE' })
    await chmod(join(directory, 'a'), 0o700)
  })
})
