/** Data sets by name, or by the folder of pictures that they are. */
import { holdOut, type ImageSource } from '../data/dataset.js'
import { fitNormalizationOf, type Normalization } from '../data/images.js'
import type { PictureLimits } from '../io/limits.js'
import { loadCifar10 } from '../node/cifar10.js'
import { loadImageFolder, type OtherFiles } from '../node/folder.js'
import { extensions } from '../node/listing.js'
import { loadFashionMnist, loadMnist, type Split } from '../node/mnist.js'
import { UsageError } from './errors.js'

const sets: Readonly<
  Record<string, (directory: string | undefined, limits: PictureLimits) => Promise<Split<ImageSource>>>
> = {
  mnist: loadMnist,
  'fashion-mnist': loadFashionMnist,
  cifar10: (directory) => loadCifar10(directory),
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

export interface DataOptions extends Required<PictureLimits> {
  readonly dataDir?: string | undefined
  /** Extent of the pictures of a folder; 0 for that of the first. */
  readonly imageSize: number
  readonly strict?: boolean | undefined
  /** Told of each damaged picture that is skipped. */
  readonly onSkip: (error: Error) => void
  /** Told, in one line, what else a user should know of the data. */
  readonly note?: (line: string) => void
}

/** What of a folder is not read, in one line. */
function leftOut({ count, example, kind, place }: OtherFiles): string {
  const what = `${count} ${kind === 'directory' ? 'folder' : kind}${count === 1 ? '' : 's'}`
  const where = place === 'class' ? 'in the classes' : 'beside the folders that are read'
  const why = {
    class:
      kind === 'directory'
        ? 'of a class, only what lies in its folder itself is read'
        : `names of pictures end in ${extensions.join(', ')}`,
    beside: kind === 'picture' ? 'put each in the folder of its class' : 'a class is a folder with its pictures',
  }
  return `left out ${what} ${where}, such as ${example}: ${why[place]}`
}

async function loadSplit(
  name: string,
  { dataDir, imageSize, maxPixels, maxBytes, strict, onSkip, note }: DataOptions,
): Promise<Split<ImageSource>> {
  const load = sets[name]
  if (!load) {
    const size = imageSize > 0 ? { size: [imageSize, imageSize] as const } : {}
    const onOther = (others: OtherFiles): void => note?.(`note: ${leftOut(others)}`)
    return loadImageFolder(name, { ...size, maxPixels, maxBytes, strict: strict === true, onSkip, onOther })
  }
  if (imageSize > 0) throw new UsageError(`--image-size ${imageSize}: only the pictures of a folder can be resized`)
  return load(dataDir, { maxPixels, maxBytes })
}

export async function loadData(name: string, options: DataOptions): Promise<Data> {
  const { training: all, test } = await loadSplit(name, options)
  const { training, validation } = holdOut(all, Math.max(1, Math.round(all.size * VALIDATION_SHARE)))
  return { training, validation, test, normalization: await fitNormalizationOf(training) }
}
