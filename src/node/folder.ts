/** Folders of pictures, one folder in it for each class, read when they are needed. Node only. */
import { join } from 'node:path'
import { assertSameImages, imageRange, type ImageFiles } from '../data/dataset.js'
import { limitNames, type PictureLimits } from '../io/limits.js'
import { decodeImage } from '../io/decode.js'
import { checkPreprocessing, plainPixels, preparePixels, type PixelPreprocessing } from '../io/preprocessing.js'
import { FormatError, isOutOfMemory, OutOfMemoryError, ToeplitzError } from '../runtime/errors.js'
import { checkKeys, defined, type Names } from '../runtime/options.js'
import { permutation } from '../train/examples.js'
import { isA, readFileOrExplain } from './files.js'
import { listPictures, tellBeside, type Listing, type OtherFiles } from './listing.js'
import type { Split } from './mnist.js'
import { isAbsent } from './reading.js'

export type { OtherFiles } from './listing.js'

/** Bytes of the largest file that is read as a picture. */
export const largestPicture = 512 * 1024 * 1024

/** Decoded pictures are kept where all of them take at most this many bytes. */
const CACHE_BYTES = 512 * 1024 * 1024

/** Share of the pictures that are tested with where the folder does not say: MNIST's and CIFAR-10's, about. */
const TEST_SHARE = 1 / 6

/** Options of `openImageFolder` and `loadImageFolder`. */
export interface ImageFolderOptions
  extends PictureLimits, Partial<Pick<PixelPreprocessing, 'fit' | 'interpolation' | 'invert'>> {
  /** Height and width of the pictures: others are brought to it, as `fit` says. Default: those of the first one. */
  readonly size?: readonly [height: number, width: number]
  /** 1 for grey, 3 for colour. Default: those of the first picture. */
  readonly channels?: 1 | 3
  /** A damaged picture, or one that is no regular file, is an error, instead of one that is skipped. Default false. */
  readonly strict?: boolean
  /** Told once of each picture that is skipped: it is damaged, a pipe, a device, or a link that leads nowhere. */
  readonly onSkip?: (error: FormatError) => void
  /**
   * Told, when the folder is opened, of what lies in it and is no picture of a class: once for each kind of files, in the
   * classes and beside them.
   */
  readonly onOther?: (others: OtherFiles) => void
  /** Decoded pictures are kept in memory where all of them take at most this many bytes. Default 512 MiB. */
  readonly cacheBytes?: number
}

const folderNames = {
  size: 0,
  channels: 0,
  fit: 0,
  interpolation: 0,
  invert: 0,
  strict: 0,
  onSkip: 0,
  onOther: 0,
  cacheBytes: 0,
} satisfies Names<Omit<ImageFolderOptions, keyof PictureLimits>>

/**
 * Opens a folder with a folder of PNG and JPEG files for each class; the classes are in the order of their names, the
 * pictures in one drawn by the seed 0, so that the first ones are of every class. Links to folders and files are followed;
 * other files, and folders in the classes, are passed over. A picture that is damaged is skipped; that it cannot be read,
 * because it is gone or must not be, or no memory or file handle is left, is an error, because the same folder would
 * otherwise give other weights.
 *
 * @throws FormatError when there is no class, one of them is empty, or none of the pictures can be read; ToeplitzError
 *   with code FILE, here or when a picture is read, when the system refuses to read it; OutOfMemoryError
 */
export async function openImageFolder(directory: string, options: ImageFolderOptions = {}): Promise<ImageFiles> {
  checkKeys('openImageFolder', options, limitNames, folderNames)
  const onSkip = (error: FormatError): void => {
    if (options.strict === true) throw error
    options.onSkip?.(error)
  }
  const listing = await listPictures(directory, { onSkip, onOther: options.onOther })
  const order = permutation(listing.names.length, 0, 0)
  const reader = new FileReader(directory, listing, order, options)
  const preparation = await reader.prepare()
  return {
    files: Array.from(order, (_, index) => reader.path(index)),
    labels: order.map((index) => listing.labels[index] as number),
    size: order.length,
    shape: [preparation.channels, ...preparation.size],
    preparation,
    classes: listing.classes,
    read: (index) => reader.read(index),
  }
}

/**
 * Pictures to train on and to test with: of the folders `train` and `test` in it, or one sixth of those in the classes'
 * folders themselves to test with. Call `init()` before.
 *
 * @throws FormatError as `openImageFolder`, ShapeError when the two have different classes
 */
export async function loadImageFolder(directory: string, options: ImageFolderOptions = {}): Promise<Split<ImageFiles>> {
  checkKeys('loadImageFolder', options, limitNames, folderNames)
  if (!(await isA('directory', directory))) throw new FormatError(`${directory}: no such directory`)
  const paths = { training: join(directory, 'train'), test: join(directory, 'test') }
  if ((await isA('directory', paths.training)) && (await isA('directory', paths.test))) {
    await tellBeside(directory, ['train', 'test'], options)
    const training = await openImageFolder(paths.training, options)
    const [C, H, W] = training.shape
    const test = await openImageFolder(paths.test, { ...options, channels: C as 1 | 3, size: [H, W] })
    assertSameImages(training, test, paths)
    return { training, test }
  }
  const all = await openImageFolder(directory, options)
  const count = Math.max(1, Math.round(all.size * TEST_SHARE))
  if (all.size < 3) throw new FormatError(`${directory}: ${all.size} pictures; at least 3 are needed to train and test`)
  return { training: imageRange(all, count, all.size), test: imageRange(all, 0, count) }
}

/** Reads and decodes files, one at a time for each that is asked for, and remembers what it found. */
class FileReader {
  readonly #directory: string
  readonly #listing: Listing
  readonly #order: Int32Array
  readonly #options: ImageFolderOptions
  readonly #skipped = new Set<number>()
  readonly #kept = new Map<number, Uint8Array>()
  #preparation: PixelPreprocessing | undefined
  #keeps = false

  constructor(directory: string, listing: Listing, order: Int32Array, options: ImageFolderOptions) {
    this.#directory = directory
    this.#listing = listing
    this.#order = order
    this.#options = options
  }

  /** Decides what is done to all pictures: by the options, channels and size else by the first one that can be read. */
  async prepare(): Promise<PixelPreprocessing> {
    const { channels, size, fit, interpolation, invert, cacheBytes = CACHE_BYTES } = this.#options
    const first = channels && size ? undefined : await this.#firstReadable()
    const C = channels ?? (first && first.channels < 3 ? 1 : 3)
    const [H, W] = size ?? ([first?.height ?? 0, first?.width ?? 0] as const)
    const preparation = { ...plainPixels([C, H, W]), ...defined({ fit, interpolation, invert }) }
    checkPreprocessing({ ...preparation, scale: 1, normalization: { mean: 0, std: 1 } }, 'openImageFolder: options')
    this.#preparation = preparation
    this.#keeps = this.#order.length * C * H * W <= cacheBytes
    return this.#preparation
  }

  async #firstReadable(): Promise<ReturnType<typeof decodeImage>> {
    for (const index of this.#order.keys()) {
      const image = await this.#decode(index)
      if (image) return image
    }
    throw new FormatError(`${this.path(0)}: none of the ${this.#order.length} pictures, such as this one, can be read`)
  }

  async read(index: number): Promise<Uint8Array | undefined> {
    const kept = this.#kept.get(index)
    if (kept) return kept
    const image = await this.#decode(index)
    if (!image) return undefined
    const data = preparePixels(image, this.#preparation ?? (await this.prepare()))
    if (this.#keeps) this.#kept.set(index, data)
    return data
  }

  path(index: number): string {
    const { classes, names, labels } = this.#listing
    const place = this.#order[index] as number
    return join(this.#directory, classes[labels[place] as number] as string, names[place] as string)
  }

  async #decode(index: number): Promise<ReturnType<typeof decodeImage> | undefined> {
    if (this.#skipped.has(index)) return undefined
    const path = this.path(index)
    try {
      const { maxPixels, maxBytes } = this.#options
      const bytes = await readFileOrExplain(path, { maxBytes: largestPicture })
      return decodeImage(bytes, path, defined({ maxPixels, maxBytes }))
    } catch (error) {
      if (isOutOfMemory(error)) throw new OutOfMemoryError(`${path}: memory ran out at this picture`, { cause: error })
      if (!(error instanceof FormatError)) throw error
      if (isAbsent(error.cause)) {
        throw new ToeplitzError('FILE', `${path}: was there when the folder was opened, and is gone; put it back`, {
          cause: error,
        })
      }
      if (this.#options.strict === true) throw error
      if (!this.#skipped.has(index)) this.#options.onSkip?.(error)
      this.#skipped.add(index)
      return undefined
    }
  }
}
