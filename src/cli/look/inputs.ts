/** The pictures that a model is looked at with: those that were named, and those of its data set. */
import { basename, dirname } from 'node:path'
import { PictureClassifier } from '../../classifier/index.js'
import type { ImageDataset } from '../../data/dataset.js'
import { imageExamples, preparedTensor } from '../../data/images.js'
import { decodeImage } from '../../formats/decode.js'
import type { Preprocessing } from '../../io/preprocessing.js'
import { readFileOrExplain } from '../../node/files.js'
import { largestPicture } from '../../node/folder.js'
import { isA } from '../../node/reading.js'
import { FormatError, ToeplitzError } from '../../runtime/errors.js'
import { tensor } from '../../tensor/create.js'
import type { Tensor } from '../../tensor/tensor.js'
import type { Examples } from '../../train/examples.js'
import type { LookOptions } from '../actions.js'
import { UsageError } from '../errors.js'
import { picturesInMemory } from '../inMemory.js'
import { Run } from '../run/run.js'
import { testPictures } from '../testPictures.js'
import type { Described } from '../described.js'

/** Pictures whose answers are shown, where none are named: of different classes. */
const SHOWN = 3
/** Pictures that may be named. */
const MOST = 24
/** Pictures in a forward pass. */
const BATCH = 64

/** A picture as the model sees it. */
export interface ShownPicture {
  readonly name: string
  /** (C, H, W), normalized. */
  readonly values: Float32Array
  /** The right class, where it is known. */
  readonly label: number | undefined
}

/** What a model is looked at with. */
export interface LookInputs {
  readonly shown: readonly ShownPicture[]
  /** What the many pictures are, in words. */
  readonly source: string
  /** How many pictures there are for patches and sparsity. */
  readonly size: number
  /** Those pictures (N, C, H, W), a batch after the other. */
  batches(): Iterable<Tensor>
  /** One of them, normalized. */
  picture(index: number): Float32Array
}

/** What the field of a layer needs of a picture. */
export interface Needed {
  readonly layer: string
  readonly title: string
  readonly field: readonly [rows: number, columns: number]
}

/** Pictures that were named. @throws FormatError when one is smaller than a receptive field */
async function named(
  files: readonly string[],
  { file, model }: Described,
  needed: readonly Needed[],
  { maxPixels, maxBytes }: LookOptions,
): Promise<ShownPicture[]> {
  const classifier = new PictureClassifier({ file, model })
  const preprocessing = file.preprocessing as Preprocessing
  if (files.length > MOST) {
    throw new UsageError(
      `there are ${files.length} pictures; at most ${MOST} are looked at, and more are taken as a folder by --data`,
    )
  }
  const shown: ShownPicture[] = []
  for (const path of files) {
    if (await isA('directory', path)) {
      throw new UsageError(`${path}: is a folder; name its pictures, or give a folder of classes by --data`)
    }
    const image = decodeImage(await readFileOrExplain(path, { maxBytes: largestPicture }), path, {
      maxPixels,
      maxBytes,
    })
    const small = needed.find(({ field: [rows, columns] }) => image.height < rows || image.width < columns)
    if (small) {
      const [rows, columns] = small.field
      throw new FormatError(
        `${path}: has ${image.width} × ${image.height} pixels, fewer than the receptive field of layer ${small.layer}, ` +
          `${small.title}, ${columns} × ${rows}; give a larger picture, or layers nearer to the input by --layer`,
      )
    }
    const label = file.classes.indexOf(basename(dirname(path)))
    const x = preparedTensor([classifier.prepare(image)], preprocessing)
    shown.push({ name: path, values: x.data(), label: label < 0 ? undefined : label })
    x.dispose()
  }
  return shown
}

/** Some pictures of a data set, in memory, and their examples. */
async function ofData(
  modelPath: string,
  name: string,
  { file }: Described,
  options: LookOptions,
  note: (line: string) => void,
): Promise<{ readonly source: ImageDataset; readonly examples: Examples<Int32Array> }> {
  const preprocessing = file.preprocessing as Preprocessing
  const onSkip = ({ message }: Error): void => {
    note(`warning: ${message}; skipped`)
  }
  const reading = { ...options, onSkip, note }
  const all = await testPictures(modelPath, name, { classes: file.classes, preprocessing }, reading)
  const source = await picturesInMemory(all, all.labels.keys(), options.images, name)
  return { source, examples: imageExamples(source, preprocessing) }
}

/** The first pictures of different classes. */
function different({ labels }: ImageDataset): number[] {
  const first = new Map<number, number>()
  labels.forEach((label, n) => {
    if (!first.has(label)) first.set(label, n)
  })
  return [...first.values()].slice(0, SHOWN)
}

/** What the model of a path was trained on, where that is known: of the folder of a run, or of a file in it. */
export const trainedOn = async (path: string): Promise<string | undefined> =>
  (await Run.settingsOf((await isA('directory', path)) ? path : dirname(path)))?.data

/**
 * Reads what a model is to be looked at with.
 *
 * @throws UsageError when no pictures are named, and of no data set it is known that it is the model's; FormatError when a picture
 *   is damaged or too small
 */
export async function readInputs(
  modelPath: string,
  paths: readonly string[],
  described: Described,
  needed: readonly Needed[],
  options: LookOptions,
  note: (line: string) => void,
): Promise<LookInputs> {
  const given = paths.length > 0 ? await named(paths, described, needed, options) : []
  const data = options.data ?? (await trainedOn(modelPath))
  if (data === undefined && given.length === 0) {
    throw new UsageError(
      `no picture is named, and what ${modelPath} was trained on is not known; give pictures, or a data set by --data`,
    )
  }
  const preprocessing = described.file.preprocessing as Preprocessing
  const shape = [preprocessing.channels, ...preprocessing.size] as const
  const loaded =
    data === undefined
      ? undefined
      : await ofData(modelPath, data, described, options, note).catch((error: unknown) => {
          // Pictures that were named can be looked at without it.
          if (given.length === 0 || options.data !== undefined || !(error instanceof ToeplitzError)) throw error
          note(`note: without the pictures that the model was trained on: ${error.message}`)
          return undefined
        })
  if (!loaded) {
    return {
      shown: given,
      source: 'the pictures that were named',
      size: given.length,
      *batches() {
        for (const { values } of given) yield tensor(values, [1, ...shape])
      },
      picture: (index) => (given[index] as ShownPicture).values,
    }
  }
  const { source, examples } = loaded
  const picture = (index: number): Float32Array => {
    const { x } = examples.batch(Int32Array.of(index))
    const values = x.data()
    x.dispose()
    return values
  }
  return {
    shown:
      given.length > 0
        ? given
        : different(source).map((index) => {
            return { name: `picture ${index + 1} of ${data}`, values: picture(index), label: source.labels[index] }
          }),
    source: `test pictures of ${data}`,
    size: source.size,
    *batches() {
      for (let first = 0; first < source.size; first += BATCH) {
        const count = Math.min(BATCH, source.size - first)
        yield examples.batch(Int32Array.from({ length: count }, (_, n) => first + n)).x
      }
    },
    picture,
  }
}
