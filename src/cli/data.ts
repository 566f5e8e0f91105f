/** Data sets by name, or by the folder of pictures that they are. */
import { realpath } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, resolve, sep } from 'node:path'
import type { DataLimits } from '../formats/idx.js'
import { holdOut, type ImageDataset, type ImageSource } from '../data/dataset.js'
import { fitNormalizationOf, prepareDataset } from '../data/images.js'
import type { PictureLimits } from '../formats/limits.js'
import { isGreyPng, pictureSize } from '../formats/size.js'
import { FormatError } from '../runtime/errors.js'
import type { Fit } from '../io/planar.js'
import { digitPictures, plainPixels, type PixelPreprocessing, type Preprocessing } from '../io/preprocessing.js'
import { loadCifar10 } from '../node/cifar10.js'
import { isA, readFileOrExplain } from '../node/files.js'
import { largestPicture, loadImageFolder, type OtherFiles } from '../node/folder.js'
import { extensions } from '../node/listing.js'
import { loadFashionMnist, loadMnist, type Split } from '../node/mnist.js'
import { defined } from '../runtime/options.js'
import { UsageError } from './errors.js'
import { trainDefaults } from './settings.js'
import { optionWords } from './shell.js'

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
  /** Their channels; left out, three where any of those that are looked at has colours. */
  readonly channels?: 1 | 3 | undefined
  /** Height and width of the pictures of a folder where `imageSize` is 0; left out, those of the first. */
  readonly size?: readonly [height: number, width: number]
  /** What is done to the pictures of a trained model, and is to be done to these; left out, it follows from them. */
  readonly trained?: Preprocessing | undefined
  readonly strict?: boolean | undefined
  /** Told of each damaged picture that is skipped. */
  readonly onSkip: (error: Error) => void
  /** Told, in one line, what else a user should know of the data. */
  readonly note?: (line: string) => void
}

/** What of a folder is not read, in one line. */
export function leftOut({ count, example, kind, place }: OtherFiles): string {
  const [noun, rest = ''] = kind === 'directory' ? ['folder'] : kind.split(/(?= of )/)
  const what = `${count} ${noun}${count === 1 ? '' : 's'}${rest}`
  if (kind === 'picture of another format') {
    return `left out ${what}, such as ${example}: PNG and JPEG are read; save ${count === 1 ? 'it' : 'them'} as one of these`
  }
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
  { imageSize, fit, channels, size: own, trained, maxPixels, maxBytes, strict, onSkip, note }: DataOptions,
): Promise<Prepared> {
  const facts = channels === undefined ? await lookAt(path, { maxPixels, maxBytes }) : undefined
  const size = defined({
    size: imageSize > 0 ? ([imageSize, imageSize] as const) : own,
    channels: facts ? channelsFor(facts) : channels,
  })
  const onOther = (others: OtherFiles): void => note?.(`note: ${leftOut(others)}`)
  const how = trained ? { fit: trained.fit, interpolation: trained.interpolation, invert: trained.invert } : { fit }
  const options = { ...size, ...how, maxPixels, maxBytes, strict: strict === true, onSkip, onOther }
  const split = await loadImageFolder(path, options)
  return { split, preparation: split.training.preparation ?? plainPixels(shapeOf(split.training)) }
}

async function loadSet({ load, pictures }: KnownSet, options: DataOptions): Promise<Prepared> {
  const { dataDir, imageSize, fit, maxBytes, trained } = options
  const given = [
    ...(imageSize > 0 ? [`--image-size ${imageSize}`] : []),
    ...(fit === trainDefaults.fit ? [] : [`--fit ${fit}`]),
  ]
  if (given.length > 0) throw new UsageError(`${given.join(' ')}: only the pictures of a folder can be resized`)
  const { training, test } = await load(dataDir, { maxBytes })
  const plain = plainPixels(shapeOf(training))
  // Colours are never inverted: whether they are those of the model is for others to say.
  const invert = plain.channels === 1 ? trained?.invert : undefined
  const preparation = { ...plain, ...pictures, ...(invert ? { invert } : {}) }
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

/**
 * Checks that results do not go into the folder of the data, where the next run would take them for a class.
 * @param given whether the user named the folder for the results
 * @throws UsageError
 */
export async function assertOutside(data: string, out: string, given: boolean): Promise<void> {
  if (Object.hasOwn(sets, data) || !(await isA('directory', data))) return
  const [folder, results] = await Promise.all([realPathOf(data), realPathOf(out)])
  if (results !== folder && !results.startsWith(folder.endsWith(sep) ? folder : folder + sep)) return
  const what = given ? optionWords('--out', out) : `${out}, for the results,`
  throw new UsageError(
    `${what} is in the folder of the data, ${data}, of which each folder is a class; choose another one by --out`,
  )
}

/** Where a path leads to, links followed as far as there is anything. */
async function realPathOf(path: string): Promise<string> {
  let full = path
  try {
    // Without a working directory, which may have been removed, there is nothing that it could lead to.
    full = resolve(path)
    return await realpath(full)
  } catch {
    return full === dirname(full) || !isAbsolute(full) ? full : join(await realPathOf(dirname(full)), basename(full))
  }
}

/** What a folder holds. */
export interface FolderFacts {
  /** All pictures, those for tests included, and those to train with. */
  readonly pictures: number
  readonly training: number
  readonly classes: number
  /** Heights and widths of some of them. */
  readonly sizes: readonly (readonly [height: number, width: number])[]
  /** How many of those are grey. */
  readonly grey: number
}

/** Pictures that are looked at for their size and colours. */
const LOOKED_AT = 50

/** What is in a folder of pictures, before any of them is decoded; undefined where the name is of a published set. */
export async function lookAt(
  name: string,
  { maxPixels, maxBytes }: Required<PictureLimits>,
): Promise<FolderFacts | undefined> {
  if (Object.hasOwn(sets, name)) return undefined
  const { training, validation, test } = await loadImageFolder(name, { size: [1, 1], channels: 1, maxPixels, maxBytes })
  const pictures = training.size + test.size + (validation?.size ?? 0)
  const sizes: (readonly [number, number])[] = []
  let grey = 0
  for (const path of (training.files ?? []).slice(0, LOOKED_AT)) {
    const bytes = await readPicture(path)
    const size = pictureSize(bytes)
    // Larger ones are not read.
    if (!size || size[0] * size[1] > maxPixels) continue
    sizes.push(size)
    if (isGreyPng(bytes)) grey++
  }
  const held = validation ? 0 : heldOut(training.size)
  return { pictures, training: training.size - held, classes: training.classes.length, sizes, grey }
}

/** The channels of pictures: colours, where some of them have such. Undefined where nothing is known of any. */
export const channelsFor = ({ sizes, grey }: FolderFacts): 1 | 3 | undefined =>
  sizes.length === 0 ? undefined : grey === sizes.length ? 1 : 3

/** The bytes of a picture; none where the file is no such or too large, which is told when it is used. */
async function readPicture(path: string): Promise<Uint8Array> {
  try {
    return await readFileOrExplain(path, { maxBytes: largestPicture })
  } catch (error) {
    if (error instanceof FormatError) return new Uint8Array()
    throw error
  }
}

/** Pictures of a class below which a user is warned. */
const FEW = 20

/** Says how many pictures of a folder are for what, and what is too few. @throws FormatError when a class has none */
function checkCounts(
  path: string,
  { training, validation, test }: Pick<Data, 'training' | 'validation' | 'test'>,
  note: (line: string) => void,
): void {
  const countsOf = ({ labels, classes }: ImageSource): Int32Array => {
    const counts = new Int32Array(classes.length)
    for (const label of labels) counts[label] = (counts[label] as number) + 1
    return counts
  }
  const counts = countsOf(training)
  const { classes } = training
  const none = counts.indexOf(0)
  if (none >= 0) {
    throw new FormatError(
      `${path}: none of the ${training.size} pictures to train with is of the class ${classes[none]}; add pictures of it`,
    )
  }
  const few = classes.flatMap((label, n) => ((counts[n] as number) < FEW ? [`${label} (${counts[n]})`] : []))
  if (few.length > 0) {
    note(
      `warning: there are few pictures to train with of ${firstOf(few)}; from ${FEW} of a class on, more can be expected`,
    )
  }
  const untested = countsOf(test)
  const missing = classes.filter((_, n) => untested[n] === 0)
  if (missing.length > 0) note(`warning: none of the ${test.size} pictures to test with is of ${firstOf(missing)}`)
  note(`${validation.size} pictures are kept for validation, ${test.size} for the test`)
}

const firstOf = (names: readonly string[]): string =>
  names.length > 5 ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} more classes` : names.join(', ')

export async function loadData(name: string, options: DataOptions): Promise<Data> {
  const set = Object.hasOwn(sets, name) ? sets[name] : undefined
  const { split, preparation } = await (set ? loadSet(set, options) : loadFolder(name, options))
  const { training: all, test } = split
  const { training, validation } = split.validation
    ? { training: all, validation: split.validation }
    : holdOut(all, (set ? twelfth : heldOut)(all.size))
  if (!set && options.note) checkCounts(name, { training, validation, test }, options.note)
  const { scale, normalization } = options.trained ?? {
    scale: 1 / 255,
    normalization: await fitNormalizationOf(training),
  }
  return { training, validation, test, preprocessing: { ...preparation, scale, normalization } }
}
