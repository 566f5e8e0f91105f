/** CIFAR-10 from disk. Node only. */
import { join } from 'node:path'
import { cifar10FromBinary } from '../data/cifar10.js'
import type { ImageDataset } from '../data/dataset.js'
import { checkPath } from '../runtime/check.js'
import { FormatError } from '../runtime/errors.js'
import { isA, readFileOrExplain } from './files.js'
import type { Split } from './mnist.js'
import { firstFile } from './reading.js'
import { checkCount } from '../runtime/options.js'

const trainingFiles = [1, 2, 3, 4, 5].map((number) => `data_batch_${number}.bin`)
const testFile = 'test_batch.bin'

const advice =
  'it is published as cifar-10-binary.tar.gz at www.cs.toronto.edu/~kriz/cifar.html; ' +
  'unpack it and name its folder with --data-dir'

/**
 * Loads CIFAR-10's binary version: 50 000 pictures to train on and 10 000 to test with, of 32 × 32 pixels in colour.
 *
 * @param dataDirectory with data_batch_1.bin … data_batch_5.bin and test_batch.bin, or with the folder
 *   cifar-10-batches-bin that the archive unpacks to
 * @throws FormatError that names the files which are missing and where to get them, or a file that is damaged
 */
export async function loadCifar10(dataDirectory?: string): Promise<Split<ImageDataset>> {
  checkCount('loadCifar10', 1, arguments)
  const files = [...trainingFiles, testFile]
  if (dataDirectory === undefined)
    throw new FormatError(`CIFAR-10: no directory is named that has ${files.join(', ')}; ${advice}`)
  checkPath(dataDirectory, 'CIFAR-10: the folder')
  if (!(await isA('directory', dataDirectory))) throw new FormatError(`${dataDirectory}: no such directory; ${advice}`)
  const unpacked = join(dataDirectory, 'cifar-10-batches-bin')
  const directory = (await isA('directory', unpacked)) ? unpacked : dataDirectory
  const missing: string[] = []
  for (const name of files) if ((await firstFile([join(directory, name)])) === undefined) missing.push(name)
  if (missing.length > 0) throw new FormatError(`${directory}: CIFAR-10 lacks ${missing.join(', ')}; ${advice}`)
  const load = async (name: string) => {
    const path = join(directory, name)
    return { bytes: await readFileOrExplain(path), name: path }
  }
  return {
    training: cifar10FromBinary(await Promise.all(trainingFiles.map(load))),
    test: cifar10FromBinary([await load(testFile)]),
  }
}
