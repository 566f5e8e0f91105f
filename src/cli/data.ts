/** Data sets by name, or by the folder of pictures that they are. */
import { holdOut, type ImageSource } from '../data/dataset.js'
import { fitNormalizationOf, type Normalization } from '../data/images.js'
import { loadCifar10 } from '../node/cifar10.js'
import { loadImageFolder, type OtherFiles } from '../node/folder.js'
import { extensions } from '../node/listing.js'
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

export interface DataOptions {
  readonly dataDir?: string | undefined
  /** Extent of the pictures of a folder; 0 for that of the first. */
  readonly imageSize: number
  readonly strict?: boolean | undefined
  /** Told of each damaged picture that is skipped. */
  readonly onSkip: (error: Error) => void
  /** Told, in one line, what else a user should know of the data. */
  readonly note?: (line: string) => void
}

async function loadSplit(
  name: string,
  { dataDir, imageSize, strict, onSkip, note }: DataOptions,
): Promise<Split<ImageSource>> {
  const load = sets[name]
  if (!load) {
    const size = imageSize > 0 ? { size: [imageSize, imageSize] as const } : {}
    const onOther = ({ count, example }: OtherFiles): void => {
      const what = count === 1 ? 'file or folder in the classes does' : 'files or folders in the classes do'
      note?.(`note: ${count} ${what} not end in ${extensions.join(', ')}, such as ${example}; left out`)
    }
    return loadImageFolder(name, { ...size, strict: strict === true, onSkip, onOther })
  }
  if (imageSize > 0) throw new UsageError(`--image-size ${imageSize}: only the pictures of a folder can be resized`)
  return load(dataDir)
}

export async function loadData(name: string, options: DataOptions): Promise<Data> {
  const { training: all, test } = await loadSplit(name, options)
  const { training, validation } = holdOut(all, Math.max(1, Math.round(all.size * VALIDATION_SHARE)))
  return { training, validation, test, normalization: await fitNormalizationOf(training) }
}
