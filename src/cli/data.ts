/** Data sets by name, or by the folder of pictures that they are. */
import type { DataLimits } from '../data/idx.js'
import { holdOut, type ImageDataset, type ImageSource } from '../data/dataset.js'
import { fitNormalizationOf, prepareDataset } from '../data/images.js'
import type { PictureLimits } from '../io/limits.js'
import type { Fit } from '../io/planar.js'
import { digitPictures, plainPixels, type PixelPreprocessing, type Preprocessing } from '../io/preprocessing.js'
import { loadCifar10 } from '../node/cifar10.js'
import { loadImageFolder, type OtherFiles } from '../node/folder.js'
import { extensions } from '../node/listing.js'
import { loadFashionMnist, loadMnist, type Split } from '../node/mnist.js'
import { UsageError } from './errors.js'
import { trainDefaults } from './settings.js'

/** A published set: how it is loaded, and how pictures are made like its own, where that is not the plain way. */
interface KnownSet {
  readonly load: (directory: string | undefined, limits: DataLimits) => Promise<Split<ImageDataset>>
  readonly pictures?: Partial<PixelPreprocessing>
}

const sets: Readonly<Record<string, KnownSet>> = {
  mnist: { load: loadMnist, pictures: digitPictures },
  'fashion-mnist': { load: loadFashionMnist },
  cifar10: { load: (directory) => loadCifar10(directory) },
}

export const dataNames: readonly string[] = Object.keys(sets)

/** Training images held out for validation: a twelfth, as MNIST's 5,000 of 60,000. */
const twelfth = (images: number): number => Math.max(1, Math.round(images / 12))

/** The same of a folder: of few pictures it is more, up to a fifth, until there are 20, since fewer tell little. */
const heldOut = (images: number): number => Math.max(twelfth(images), Math.min(20, Math.round(images / 5)))

export interface Data {
  readonly training: ImageSource
  readonly validation: ImageSource
  readonly test: ImageSource
  /** What is done to all pictures, and is to be done to those of later uses; normalized as fits the training split. */
  readonly preprocessing: Preprocessing
}

export interface DataOptions extends Required<PictureLimits> {
  readonly dataDir?: string | undefined
  /** Extent of the pictures of a folder; 0 for that of the first. */
  readonly imageSize: number
  /** How the pictures of a folder are brought to their size. */
  readonly fit: Fit
  readonly strict?: boolean | undefined
  /** Told of each damaged picture that is skipped. */
  readonly onSkip: (error: Error) => void
  /** Told, in one line, what else a user should know of the data. */
  readonly note?: (line: string) => void
}

/** What of a folder is not read, in one line. */
export function leftOut({ count, example, kind, place }: OtherFiles): string {
  const what = `${count} ${kind === 'directory' ? 'folder' : kind}${count === 1 ? '' : 's'}`
  const names = `names of pictures end in ${extensions.join(', ')}`
  const [where, why] = {
    class: ['in the classes', kind === 'directory' ? 'of a class, only what lies in its folder itself is read' : names],
    beside: [
      'beside the folders that are read',
      kind === 'picture' ? 'put each in the folder of its class' : 'a class is a folder with its pictures',
    ],
    folder: ['in the folder', names],
  }[place] as [string, string]
  return `left out ${what} ${where}, such as ${example}: ${why}`
}

interface Prepared {
  readonly split: Split<ImageSource> & { readonly validation?: ImageSource }
  readonly preparation: PixelPreprocessing
}

async function loadFolder(
  path: string,
  { imageSize, fit, maxPixels, maxBytes, strict, onSkip, note }: DataOptions,
): Promise<Prepared> {
  const size = imageSize > 0 ? { size: [imageSize, imageSize] as const } : {}
  const onOther = (others: OtherFiles): void => note?.(`note: ${leftOut(others)}`)
  const options = { ...size, fit, maxPixels, maxBytes, strict: strict === true, onSkip, onOther }
  const split = await loadImageFolder(path, options)
  return { split, preparation: split.training.preparation ?? plainPixels(shapeOf(split.training)) }
}

async function loadSet({ load, pictures }: KnownSet, options: DataOptions): Promise<Prepared> {
  const { dataDir, imageSize, fit, maxBytes } = options
  const given = [
    ...(imageSize > 0 ? [`--image-size ${imageSize}`] : []),
    ...(fit === trainDefaults.fit ? [] : [`--fit ${fit}`]),
  ]
  if (given.length > 0) throw new UsageError(`${given.join(' ')}: only the pictures of a folder can be resized`)
  const { training, test } = await load(dataDir, { maxBytes })
  const preparation = { ...plainPixels(shapeOf(training)), ...pictures }
  return {
    split: { training: prepareDataset(training, preparation), test: prepareDataset(test, preparation) },
    preparation,
  }
}

/** The test images of a published set, as they are; undefined where the name is of none. */
export async function testImagesOf(
  name: string,
  dataDir: string | undefined,
  limits: DataLimits,
): Promise<ImageDataset | undefined> {
  const set = Object.hasOwn(sets, name) ? sets[name] : undefined
  return set && (await set.load(dataDir, limits)).test
}

const shapeOf = ({ shape: [C, H, W] }: ImageSource): readonly [1 | 3, number, number] => [C === 1 ? 1 : 3, H, W]

export async function loadData(name: string, options: DataOptions): Promise<Data> {
  const set = Object.hasOwn(sets, name) ? sets[name] : undefined
  const { split, preparation } = await (set ? loadSet(set, options) : loadFolder(name, options))
  const { training: all, test } = split
  const { training, validation } = split.validation
    ? { training: all, validation: split.validation }
    : holdOut(all, (set ? twelfth : heldOut)(all.size))
  const normalization = await fitNormalizationOf(training)
  return { training, validation, test, preprocessing: { ...preparation, scale: 1 / 255, normalization } }
}
