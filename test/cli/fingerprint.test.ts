import { mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Data } from '../../src/cli/data.js'
import { decodeFingerprint, differences, encodeFingerprint, fingerprintOf } from '../../src/cli/fingerprint.js'
import type { ImageSource } from '../../src/data/dataset.js'
import { plainPreprocessing } from '../../src/io/preprocessing.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'toeplitz-fingerprint-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const put = (name: string, content: string, time = 1e9): string => {
  const path = join(folder, name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
  utimesSync(path, time, time)
  return path
}

const files = new Map<string, string>()
beforeEach(() => {
  files.clear()
  for (const label of ['cat', 'dog']) for (let n = 0; n < 6; n++) files.set(`${label}/${n}.png`, `${label} number ${n}`)
})

const source = (paths: readonly string[], classes: readonly string[]): ImageSource => ({
  ...{ files: paths, labels: new Uint8Array(paths.length), size: paths.length, shape: [1, 2, 2], classes },
  read: () => Promise.resolve(undefined),
})

const preprocessing = plainPreprocessing([1, 2, 2], { mean: 0, std: 1 })

/** Data in files, as `files` says. */
function inFiles(classes = ['cat', 'dog']): Data {
  const paths = [...files].map(([name, content]) => put(name, content))
  const part = (from: number, to: number): ImageSource => source(paths.slice(from, to), classes)
  return {
    ...{ training: part(0, 4), validation: part(4, 6), test: part(6, paths.length) },
    preprocessing,
  }
}

function inMemory(change: (images: Uint8Array, labels: Uint8Array) => void = () => undefined): Data {
  const images = Uint8Array.from({ length: 48 }, (_, i) => i)
  const labels = Uint8Array.from({ length: 12 }, (_, i) => i % 2)
  change(images, labels)
  const part = (from: number, to: number): ImageSource => ({
    ...{ images: images.subarray(4 * from, 4 * to), labels: labels.subarray(from, to), size: to - from },
    ...{ shape: [1, 2, 2] as const, classes: ['cat', 'dog'] },
  })
  return { training: part(0, 4), validation: part(4, 6), test: part(6, 12), preprocessing }
}

const sample = { wholeBytes: 50, sampleBytes: 1e6 }

describe('fingerprintOf', () => {
  it('is the same for the same data, wherever it is and whenever it was written', async () => {
    const before = await fingerprintOf(inFiles(), folder)
    expect(before.reading).toBe('whole')
    expect(before.parts.map(([name]) => name)).toEqual(
      [...files.keys(), 'names of the classes', 'size of the pictures'].sort(),
    )
    const old = folder
    folder = `${old}-moved`
    try {
      for (const name of files.keys()) put(name, files.get(name)!, 2e9)
      const now = await fingerprintOf(inFiles(), folder)
      expect(now).toEqual(before)
      expect(differences(before, now)).toBe('')
    } finally {
      rmSync(folder, { recursive: true })
      folder = old
    }
    expect(await fingerprintOf(inMemory(), folder)).toEqual(await fingerprintOf(inMemory(), '/'))
  })

  it.each<[string, () => unknown, string]>([
    ['a byte', () => files.set('cat/3.png', 'cat number 8'), '1 changed (cat/3.png)'],
    [
      'a name',
      () => [files.delete('cat/3.png'), files.set('cat/8.png', 'cat number 3')],
      '1 new (cat/8.png), 1 missing (cat/3.png)',
    ],
    [
      'a label',
      () => [files.delete('cat/3.png'), files.set('dog/33.png', 'cat number 3')],
      '1 new (dog/33.png), 1 missing (cat/3.png)',
    ],
    ['one more', () => files.set('dog/new\nline.png', 'dog'), '1 new (dog/new\nline.png)'],
    ['one less', () => files.delete('dog/0.png'), '1 missing (dog/0.png)'],
    [
      'all',
      () => [...files.keys()].forEach((name) => files.set(name, name)),
      '12 changed (cat/0.png, cat/1.png, cat/2.png, cat/3.png, cat/4.png, and 7 more)',
    ],
  ])('differs by %s in files', async (_, change, expected) => {
    const before = await fingerprintOf(inFiles(), folder)
    rmSync(folder, { recursive: true })
    change()
    const now = await fingerprintOf(inFiles(), folder)
    expect(now.digest).not.toBe(before.digest)
    expect(differences(before, now)).toBe(expected)
  })

  it.each<[string, Data, string]>([
    ['a pixel of training', inMemory((images) => (images[3] = 99)), '1 changed (training images)'],
    ['a pixel of validation', inMemory((images) => (images[20] = 99)), '1 changed (training images)'],
    ['a pixel of the test', inMemory((images) => (images[47] = 99)), '1 changed (test images)'],
    ['a label', inMemory((_, labels) => (labels[7] = 0)), '1 changed (test labels)'],
    [
      'a class',
      { ...inMemory(), training: { ...inMemory().training, classes: ['cat', 'cow'] } },
      '1 changed (names of the classes)',
    ],
  ])('differs by %s in memory', async (_, data, expected) => {
    const before = await fingerprintOf(inMemory(), folder)
    const now = await fingerprintOf(data, folder)
    expect(now.digest).not.toBe(before.digest)
    expect(differences(before, now)).toBe(expected)
  })

  it('looks at sizes and times, and at a sample of bytes, where there are too many', async () => {
    const before = await fingerprintOf(inFiles(), folder, sample)
    expect(before.reading).toBe('sample')
    expect(await fingerprintOf(inFiles(), folder, sample)).toEqual(before)
    put('cat/1.png', files.get('cat/1.png')!, 2e9)
    expect(differences(before, await fingerprintOf(dataAgain(), folder, sample))).toBe('1 changed (cat/1.png)')
    put('cat/1.png', 'longer than it was')
    expect(differences(before, await fingerprintOf(dataAgain(), folder, sample))).toBe('1 changed (cat/1.png)')
    // Of about half of them the bytes are read: size and time alone would not tell.
    const some = { wholeBytes: 50, sampleBytes: 80 }
    const sampled = await fingerprintOf(inFiles(), folder, some)
    const found: string[] = []
    for (const [name, content] of [...files]) {
      put(name, content.toUpperCase())
      if ((await fingerprintOf(dataAgain(), folder, some)).digest !== sampled.digest) found.push(name)
      put(name, content)
    }
    expect(found.length).toBeGreaterThan(2)
    expect(found.length).toBeLessThan(10)
    // A few more files leave the others as they were.
    files.set('dog/7.png', 'dog')
    expect(differences(sampled, await fingerprintOf(inFiles(), folder, some))).toBe('1 new (dog/7.png)')
  })

  /** The data of the files as they are. */
  function dataAgain(): Data {
    const paths = [...files.keys()].map((name) => join(folder, name))
    return { ...inMemory(), training: source(paths, ['cat', 'dog']), validation: source([], []), test: source([], []) }
  }

  it('compares sizes with a set that has grown too large to be read', async () => {
    const before = await fingerprintOf(inFiles(), folder)
    files.set('dog/7.png', 'dog')
    files.set('dog/1.png', 'longer than it was')
    expect(differences(before, await fingerprintOf(inFiles(), folder, sample))).toBe(
      '1 changed (dog/1.png), 1 new (dog/7.png)',
    )
  })

  it('tells of folders where there are too many files to list, and of nothing where there are too many folders', async () => {
    const few = { largestList: { parts: 8, characters: 1e6 } }
    const before = await fingerprintOf(inFiles(), folder, few)
    expect(before.parts.map(([name]) => name)).toEqual(['names of the classes', 'size of the pictures', 'cat/', 'dog/'])
    files.set('dog/1.png', 'another')
    expect(differences(before, await fingerprintOf(inFiles(), folder, few))).toBe('1 changed (dog/)')
    // A list by files is compared with one by folders.
    expect(differences(before, await fingerprintOf(inFiles(), folder))).toBe('1 changed (dog/)')
    expect(differences(await fingerprintOf(inFiles(), folder), before)).toBe('1 changed (dog/)')
    const none = await fingerprintOf(inFiles(), folder, { largestList: { parts: 8, characters: 20 } })
    expect(none.parts).toHaveLength(2)
    expect(none.digest).toBe((await fingerprintOf(inFiles(), folder)).digest)
  })

  it('bears with files that are gone, which their absence is a part of', async () => {
    const data = inFiles()
    const before = await fingerprintOf(data, folder)
    renameSync(join(folder, 'cat/2.png'), join(folder, 'cat/away.png'))
    expect(differences(before, await fingerprintOf(data, folder))).toBe('1 changed (cat/2.png)')
  })
})

describe('the list beside a checkpoint', () => {
  it('is read back, unless it is another’s or damaged', async () => {
    const fingerprint = await fingerprintOf(inFiles(), folder)
    const text = encodeFingerprint(fingerprint)
    expect(decodeFingerprint(text, fingerprint.digest)).toEqual(fingerprint)
    expect(decodeFingerprint(text, 'another')).toBeUndefined()
    expect(decodeFingerprint(text.replace('cat/1.png', 'cat/9.png'), fingerprint.digest)).toBeUndefined()
    for (const damaged of ['', 'null', '[]', '{}', text.slice(0, -9), '['.repeat(1e5)])
      expect(decodeFingerprint(damaged, fingerprint.digest)).toBeUndefined()
    const digest = fingerprint.digest
    for (const parts of [1, [1], [['a', 2]], {}])
      expect(decodeFingerprint(JSON.stringify({ digest, reading: 'whole', parts }), digest)).toBeUndefined()
  })
})
