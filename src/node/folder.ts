/** Folders of pictures, one folder in it for each class, read when they are needed. Node only. */
import { join } from 'node:path'
import { assertSameClasses, assertSameImages, imageRange, type ImageFiles } from '../data/dataset.js'
import { sizedRange, type SizedImages } from '../data/sized.js'
import { listed } from '../data/source.js'
import { crc32 } from '../formats/crc32.js'
import { limitNames, type PictureLimits } from '../formats/limits.js'
import { decodeImage } from '../formats/decode.js'
import { checkPreprocessing, plainPixels, preparePixels, type PixelPreprocessing } from '../io/preprocessing.js'
import { ArgumentError, FormatError, isOutOfMemory, OutOfMemoryError, ToeplitzError } from '../runtime/errors.js'
import { checkCallback, checkList, checkNumber, checkPath, checkSwitch } from '../runtime/check.js'
import { checkCount, checkKeys, defined, type Names } from '../runtime/options.js'
import { permutation } from '../train/examples.js'
import { isA, readFileOrExplain } from './files.js'
import { foldersIn, listPictures, tellBeside, type Listing, type OtherFiles } from './listing.js'
import type { Split } from './mnist.js'
import { isAbsent, isChanging } from './reading.js'

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

/** Options where every picture keeps its size: `size: 'as is'`. */
export interface SizedFolderOptions
  extends
    PictureLimits,
    Pick<ImageFolderOptions, 'channels' | 'invert' | 'strict' | 'onSkip' | 'onOther' | 'cacheBytes'> {
  /** Every picture keeps its height and width. */
  readonly size: 'as is'
}

const isAsIs = (options: ImageFolderOptions | SizedFolderOptions): options is SizedFolderOptions =>
  options?.size === 'as is'

/** What the two functions below are given, so far as no other function checks it. @throws ShapeError */
function checkFolder(name: string, directory: unknown, options: ImageFolderOptions | SizedFolderOptions): void {
  checkPath(directory, `${name}: the folder`)
  checkKeys(name, options, limitNames, folderNames)
  const { size, strict, onSkip, onOther, cacheBytes = 0 } = options
  if (size !== undefined && size !== 'as is') checkList(size, `${name}: size`, "[height, width] or 'as is'")
  const { fit, interpolation } = options as ImageFolderOptions
  if (size === 'as is' && (fit ?? interpolation) !== undefined) {
    throw new ArgumentError(`${name}: pictures as they are have no fit and no interpolation; leave both out`)
  }
  checkSwitch(strict, `${name}: strict`)
  checkCallback(onSkip, `${name}: onSkip`)
  checkCallback(onOther, `${name}: onOther`)
  if (cacheBytes !== Infinity) checkNumber(cacheBytes, `${name}: cacheBytes`, 0)
}

/** @throws FormatError unless the path is that of a directory */
async function checkDirectory(path: string): Promise<void> {
  if (await isA('directory', path)) return
  const isFile = await isA('file', path)
  throw new FormatError(
    isFile
      ? `${path}: is a file; give a folder that has one for each class, with its pictures`
      : `${path}: no such directory`,
  )
}

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
export async function openImageFolder(directory: string, options?: ImageFolderOptions): Promise<ImageFiles>
/**
 * The same, with pictures as large as they are, for `sizedExamples`. Each is decoded once when the folder is opened, to know its size;
 * damaged ones are left out at once.
 */
export async function openImageFolder(directory: string, options: SizedFolderOptions): Promise<SizedImages>
export async function openImageFolder(
  directory: string,
  options: ImageFolderOptions | SizedFolderOptions = {},
): Promise<ImageFiles | SizedImages> {
  checkCount('openImageFolder', 2, arguments)
  checkFolder('openImageFolder', directory, options)
  return isAsIs(options) ? openAsIs(directory, options) : openPictures(directory, options)
}

/** What `openImageFolder` does for pictures as they are. */
async function openAsIs(directory: string, { size: _, ...options }: SizedFolderOptions): Promise<SizedImages> {
  const onSkip = (error: FormatError): void => {
    if (options.strict === true) throw error
    options.onSkip?.(error)
  }
  const listing = await listPictures(directory, { onSkip, onOther: options.onOther })
  const order = permutation(listing.names.length, 0, 0)
  const reader = new FileReader(directory, listing, order, options, undefined)
  const found = await reader.measure()
  return {
    files: found.map(({ index }) => reader.path(index)),
    labels: Int32Array.from(found, ({ index }) => listing.labels[order[index] as number] as number),
    size: found.length,
    channels: reader.channels,
    sizes: found.map(({ size }) => size),
    classes: listing.classes,
    read: (place) => reader.readAsIs((found[place] as Measured).index),
  }
}

/** The place of a picture in the order, and its height and width. */
interface Measured {
  readonly index: number
  readonly size: readonly [height: number, width: number]
}

/** The same, and for a trained model with its preparation and its classes. */
async function openPictures(directory: string, options: ImageFolderOptions, trained?: Trained): Promise<ImageFiles> {
  const onSkip = (error: FormatError): void => {
    if (options.strict === true) throw error
    options.onSkip?.(error)
  }
  const listing = await listPictures(directory, { onSkip, onOther: options.onOther })
  const classes = trained?.classes ?? listing.classes
  const labelOf = listing.classes.map((name) => classes.indexOf(name))
  const unknown = listing.classes[labelOf.indexOf(-1)]
  if (unknown !== undefined) {
    throw new FormatError(
      `${join(directory, unknown)}: the model has no class ${unknown}; its classes are ${listed(classes)}`,
    )
  }
  const order = permutation(listing.names.length, 0, 0)
  const reader = new FileReader(directory, listing, order, options, trained?.preparation)
  const preparation = await reader.prepare()
  return {
    files: Array.from(order, (_, index) => reader.path(index)),
    labels: order.map((index) => labelOf[listing.labels[index] as number] as number),
    size: order.length,
    shape: [preparation.channels, ...preparation.size],
    preparation,
    classes,
    read: (index) => reader.read(index),
  }
}

/** Pictures of a folder to train on and to test with. */
export interface FolderSplit extends Split<ImageFiles> {
  /** Those of a folder for validation, where there is one; else they are to be held out of the training pictures. */
  readonly validation?: ImageFiles
}

/** Pictures of a folder to train on and to test with, as large as they are. */
export interface SizedFolderSplit extends Split<SizedImages> {
  /** As in `FolderSplit`. */
  readonly validation?: SizedImages
}

/**
 * Pictures to train on and to test with: of the folders `train`, `val` and `test` in it (or `training`, `valid`,
 * `validation`, `testing`, in either case), or one sixth of those to train on to test with. Call `init()` before.
 *
 * @throws FormatError as `openImageFolder`, or when there is one class alone; ShapeError when the parts have different classes
 */
export async function loadImageFolder(directory: string, options?: ImageFolderOptions): Promise<FolderSplit>
/** The same, with pictures as large as they are, for `sizedExamples`. */
export async function loadImageFolder(directory: string, options: SizedFolderOptions): Promise<SizedFolderSplit>
export async function loadImageFolder(
  directory: string,
  options: ImageFolderOptions | SizedFolderOptions = {},
): Promise<FolderSplit | SizedFolderSplit> {
  checkCount('loadImageFolder', 2, arguments)
  checkFolder('loadImageFolder', directory, options)
  await checkDirectory(directory)
  const parts = await partsOf(directory)
  const names = Object.values(parts)
  if (names.length > 0) {
    if (parts.training === undefined) {
      throw new FormatError(`${directory}: there is a folder ${names.join(' and ')}, but none called train to train on`)
    }
    await tellBeside(directory, names, options)
  }
  const trainingPath = join(directory, parts.training ?? '')
  const all = isAsIs(options) ? await openAsIs(trainingPath, options) : await openImageFolder(trainingPath, options)
  const [only] = all.classes
  if (all.classes.length === 1) {
    throw new FormatError(
      `${trainingPath}: there is one class, ${only}; at least two are needed, each a folder with its pictures`,
    )
  }
  if (isAsIs(options)) return splitAsIs(all as SizedImages, directory, parts, options)
  return splitPictures(all as ImageFiles, directory, parts, options)
}

/** What `loadImageFolder` gives of the pictures to train on and of the folders beside them. */
async function splitPictures(
  all: ImageFiles,
  directory: string,
  parts: Parts,
  options: ImageFolderOptions,
): Promise<FolderSplit> {
  const trainingPath = join(directory, parts.training ?? '')
  const [C, H, W] = all.shape
  const open = async (name: string): Promise<ImageFiles> => {
    const path = join(directory, name)
    const part = await openImageFolder(path, { ...options, channels: C as 1 | 3, size: [H, W] })
    assertSameImages(all, part, { training: trainingPath, test: path })
    return part
  }
  const beside = parts.validation === undefined ? {} : { validation: await open(parts.validation) }
  if (parts.test !== undefined) return { training: all, test: await open(parts.test), ...beside }
  const count = countToTest(all.size, trainingPath)
  return { training: imageRange(all, count, all.size), test: imageRange(all, 0, count), ...beside }
}

/** The same of pictures as they are. */
async function splitAsIs(
  all: SizedImages,
  directory: string,
  parts: Parts,
  options: SizedFolderOptions,
): Promise<SizedFolderSplit> {
  const trainingPath = join(directory, parts.training ?? '')
  const open = async (name: string): Promise<SizedImages> => {
    const path = join(directory, name)
    const part = await openAsIs(path, { ...options, channels: all.channels as 1 | 3 })
    assertSameClasses(all, part, { training: trainingPath, test: path })
    return part
  }
  const beside = parts.validation === undefined ? {} : { validation: await open(parts.validation) }
  if (parts.test !== undefined) return { training: all, test: await open(parts.test), ...beside }
  const count = countToTest(all.size, trainingPath)
  return { training: sizedRange(all, count, all.size), test: sizedRange(all, 0, count), ...beside }
}

/** Pictures of a training folder that are tested with. @throws FormatError */
function countToTest(size: number, trainingPath: string): number {
  if (size < 3) throw new FormatError(`${trainingPath}: ${size} pictures; at least 3 are needed to train and test`)
  return testCount(size)
}

/** Pictures that are tested with where the folder does not say. */
const testCount = (size: number): number => Math.max(1, Math.round(size * TEST_SHARE))

/** The names of the parts of a data set, in lower case. */
const partNames = {
  training: ['train', 'training'],
  validation: ['val', 'valid', 'validation'],
  test: ['test', 'testing'],
} as const

/** The folders in a folder that are parts of its data set. */
type Parts = { -readonly [Part in keyof typeof partNames]?: string }

/**
 * The parts of a data set in a folder. A folder is one by its name, if the classes' folders lie in it; where pictures do, it is
 * a class of that name.
 */
async function partsOf(directory: string): Promise<Parts> {
  const parts: Parts = {}
  const isPart = (name: string): keyof Parts | undefined =>
    (Object.keys(partNames) as (keyof Parts)[]).find((part) =>
      (partNames[part] as readonly string[]).includes(name.toLowerCase()),
    )
  for (const name of await foldersIn(directory, (found) => isPart(found) !== undefined)) {
    const part = isPart(name) as keyof Parts
    if ((await foldersIn(join(directory, name), () => true)).length === 0) continue
    if (parts[part] !== undefined) {
      throw new FormatError(`${directory}: ${parts[part]} and ${name} are for the same; keep one of the two`)
    }
    parts[part] = name
  }
  return parts
}

/** What is known of the pictures that a trained model is tested with. */
export interface Trained {
  /** What is done to its pictures. */
  readonly preparation: PixelPreprocessing
  readonly classes: readonly string[]
}

/** Pictures for a test of a trained model, and which of a folder they are, in words. */
export interface TestPictures {
  readonly pictures: ImageFiles
  readonly which: string
  /** Whether they were drawn from pictures of which the others are trained with. */
  readonly isHeldOut: boolean
}

/**
 * The pictures in a folder to test a trained model with: of its folder `test`, where there is one. Of a folder that the model
 * was trained on, or that has a folder `train`, they are those that training held out; of another one, they are all.
 *
 * @throws FormatError as `openImageFolder`, or when a class is none of the model's
 */
export async function openTestPictures(
  directory: string,
  trained: Trained,
  options: ImageFolderOptions,
  trainedOn: boolean,
): Promise<TestPictures> {
  await checkDirectory(directory)
  const parts = await partsOf(directory)
  if (parts.test !== undefined) {
    const path = join(directory, parts.test)
    return { pictures: await openPictures(path, options, trained), which: `those of ${path}`, isHeldOut: false }
  }
  const path = join(directory, parts.training ?? '')
  const all = await openPictures(path, options, trained)
  if (parts.training === undefined && !trainedOn) return { pictures: all, which: 'all', isHeldOut: false }
  const which = `those that training on ${path} holds out, of ${all.size}`
  return { pictures: imageRange(all, 0, testCount(all.size)), which, isHeldOut: true }
}

const changed = (path: string, cause?: unknown): ToeplitzError =>
  new ToeplitzError('FILE', `${path}: has changed since it was read first; put it back as it was`, { cause })

/** Reads and decodes files, one at a time for each that is asked for, and remembers what it found. */
class FileReader {
  readonly #directory: string
  readonly #listing: Listing
  readonly #order: Int32Array
  readonly #options: ImageFolderOptions
  /** What is wrong with the pictures that are passed over. */
  readonly #skipped = new Map<number, string>()
  readonly #kept = new Map<number, Uint8Array>()
  /** Lengths and checksums of the files of pictures that are not kept, as they were read first. */
  readonly #first = new Map<number, string>()
  #preparation: PixelPreprocessing | undefined
  #keeps = false
  /** Of pictures as they are. */
  channels: 1 | 3 = 1

  constructor(
    directory: string,
    listing: Listing,
    order: Int32Array,
    options: ImageFolderOptions,
    preparation: PixelPreprocessing | undefined,
  ) {
    this.#directory = directory
    this.#listing = listing
    this.#order = order
    this.#options = options
    this.#preparation = preparation
  }

  /** Decides what is done to all pictures: by the options, channels and size else by the first one that can be read. */
  async prepare(): Promise<PixelPreprocessing> {
    const { cacheBytes = CACHE_BYTES } = this.#options
    const preparation = (this.#preparation ??= await this.#choose())
    const { channels, size } = preparation
    this.#keeps = this.#order.length * channels * size[0] * size[1] <= cacheBytes
    return preparation
  }

  async #choose(): Promise<PixelPreprocessing> {
    const { channels, size, fit, interpolation, invert } = this.#options
    const first = channels && size ? undefined : await this.#firstReadable()
    const C = channels ?? (first && first.channels < 3 ? 1 : 3)
    const [H, W] = size ?? ([first?.height ?? 0, first?.width ?? 0] as const)
    const preparation = { ...plainPixels([C, H, W]), ...defined({ fit, interpolation, invert }) }
    checkPreprocessing({ ...preparation, scale: 1, normalization: { mean: 0, std: 1 } }, 'openImageFolder: options')
    return preparation
  }

  async #firstReadable(): Promise<ReturnType<typeof decodeImage>> {
    for (const index of this.#order.keys()) {
      const image = await this.#decode(index)
      if (image) return image
    }
    const path = this.path(0)
    const why = this.#skipped.get(0)?.replace(`${path}: `, '') ?? ''
    throw new FormatError(`${path}: none of the ${this.#order.length} pictures, such as this one, can be read: ${why}`)
  }

  /** Decodes every picture once, for its size; those that are damaged are left out. */
  async measure(): Promise<Measured[]> {
    const { cacheBytes = CACHE_BYTES, channels } = this.#options
    this.channels = channels ?? ((await this.#firstReadable()).channels < 3 ? 1 : 3)
    const found: Measured[] = []
    let bytes = 0
    this.#keeps = true
    for (const index of this.#order.keys()) {
      const image = await this.#decode(index)
      if (!image) continue
      found.push({ index, size: [image.height, image.width] })
      bytes += image.height * image.width * this.channels
      this.#keeps &&= bytes <= cacheBytes
      if (this.#keeps) this.#kept.set(index, this.#whole(image))
      else this.#kept.clear()
    }
    return found
  }

  /** A picture of the size that it has. */
  async readAsIs(index: number): Promise<Uint8Array | undefined> {
    const kept = this.#kept.get(index)
    if (kept) return kept
    const image = await this.#decode(index)
    return image && this.#whole(image)
  }

  #whole(image: ReturnType<typeof decodeImage>): Uint8Array {
    const plain = plainPixels([this.channels, image.height, image.width])
    return preparePixels(image, { ...plain, ...defined({ invert: this.#options.invert }) })
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

  /** @throws ToeplitzError when a picture that is read again is another one than at first */
  #compare(index: number, bytes: Uint8Array, path: string): void {
    const now = `${bytes.length} ${crc32(bytes)}`
    const first = this.#first.get(index)
    this.#first.set(index, first ?? now)
    if ((first ?? now) === now) return
    throw changed(path)
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
      this.#compare(index, bytes, path)
      return decodeImage(bytes, path, defined({ maxPixels, maxBytes }))
    } catch (error) {
      if (isOutOfMemory(error)) throw new OutOfMemoryError(`${path}: memory ran out at this picture`, { cause: error })
      if (!(error instanceof FormatError)) throw error
      if (isAbsent(error.cause)) {
        throw new ToeplitzError('FILE', `${path}: was there when the folder was opened, and is gone; put it back`, {
          cause: error,
        })
      }
      // It was whole when it was read first, and is being written to.
      if (this.#first.has(index) && isChanging(error)) throw changed(path, error)
      if (this.#options.strict === true) throw error
      if (!this.#skipped.has(index)) this.#options.onSkip?.(error)
      this.#skipped.set(index, error.message)
      return undefined
    }
  }
}
