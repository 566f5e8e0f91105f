import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { loadCifar10 } from '../../src/node/cifar10.js'
import { FormatError } from '../../src/runtime/errors.js'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'toeplitz-cifar10-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const names = [...[1, 2, 3, 4, 5].map((number) => `data_batch_${number}.bin`), 'test_batch.bin']
const put = (folder: string, file: string, label: number) =>
  writeFile(join(folder, file), new Uint8Array(3073).fill(label + 1).fill(label, 0, 1))

it('reads the six files, or the folder of the archive', async () => {
  for (const folder of [directory, join(directory, 'cifar-10-batches-bin')]) {
    await mkdir(folder, { recursive: true })
    await Promise.all(names.map((name, label) => put(folder, name, label)))
    const { training, test } = await loadCifar10(directory)
    expect([training.size, test.size, [...training.labels], [...test.labels]]).toEqual([5, 1, [0, 1, 2, 3, 4], [5]])
    expect([training.images[0], training.images[3072 * 4], test.images[0]]).toEqual([1, 5, 6])
    if (folder === directory) await Promise.all(names.map((name) => rm(join(directory, name))))
  }
})

it('says what is missing and where it is published', async () => {
  await Promise.all(names.slice(1, 5).map((name) => put(directory, name, 0)))
  const lacking = loadCifar10(directory)
  await expect(lacking).rejects.toThrow(FormatError)
  await expect(lacking).rejects.toThrow(
    /CIFAR-10 lacks data_batch_1\.bin, test_batch\.bin; .*cifar-10-binary\.tar\.gz.*cs\.toronto\.edu.*--data-dir/,
  )
  await expect(loadCifar10()).rejects.toThrow(
    /no directory is named that has data_batch_1\.bin, .*test_batch\.bin; .*cs\.toronto\.edu/,
  )
  await expect(loadCifar10(join(directory, 'none'))).rejects.toThrow(/none: no such directory; .*cs\.toronto\.edu/)
})

it('names a damaged file', async () => {
  await Promise.all(names.map((name) => put(directory, name, 0)))
  await writeFile(join(directory, 'data_batch_3.bin'), new Uint8Array(3000))
  await expect(loadCifar10(directory)).rejects.toThrow(/data_batch_3\.bin: 3000 bytes are not whole records/)
})
