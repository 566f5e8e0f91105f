/** Data sets by name, or by the folder of pictures that they are. */
import { holdOut, type ImageSource } from '../data/dataset.js'
import { fitNormalizationOf, type Normalization } from '../data/images.js'
import { loadCifar10 } from '../node/cifar10.js'
import { loadFashionMnist, loadMnist, type Split } from '../node/mnist.js'
import { UsageError } from './errors.js'

const sets: Readonly<Record<string, (dataDirectory?: string) => Promise<Split<ImageSource>>>> = {
  mnist: loadMnist,
  'fashion-mnist': loadFashionMnist,
  cifar10: loadCifar10,
}

export const dataNames: readonly string[] = Object.keys(sets)

/** Share of the training images held out for validation: MNIST's 5,000 of 60,000. */
const VALIDATION_SHARE = 1 / 12

export interface Data {
  readonly training: ImageSource
  readonly validation: ImageSource
  readonly test: ImageSource
  /** Fitted on the training split. */
  readonly normalization: Normalization
}

export async function loadData(name: string, dataDirectory: string | undefined): Promise<Data> {
  const load = sets[name]
  if (!load) throw new UsageError(`--data ${name}: it must be one of ${dataNames.join(', ')}`)
  const { training: all, test } = await load(dataDirectory)
  const { training, validation } = holdOut(all, Math.max(1, Math.round(all.size * VALIDATION_SHARE)))
  return { training, validation, test, normalization: await fitNormalizationOf(training) }
}
