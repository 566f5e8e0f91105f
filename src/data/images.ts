/** Pictures as batches of tensors. */
import { isLightGround } from '../io/planar.js'
import {
  checkPreprocessing,
  checkPicture,
  preparePixels,
  type PixelPreprocessing,
  type Normalization,
  type Picture,
  type Preprocessing,
} from '../io/preprocessing.js'
import { floatsAt } from '../runtime/core.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkShape, showShape, sizeOf } from '../tensor/shape.js'
import { isBytes } from '../formats/limits.js'
import { checkList, checkObject, wrongKind } from '../runtime/check.js'
import { filled, type Tensor } from '../tensor/tensor.js'
import { permutation, type Batch, type DistantExamples, type Draw, type Examples } from '../train/examples.js'
import { Painter, type Augmentation } from './augment.js'
import type { ImageDataset, ImageFiles, ImageSource } from './dataset.js'
import { checkSource } from './source.js'
import { checkCount } from '../runtime/options.js'

export type { Normalization } from '../io/preprocessing.js'

/** Pictures in files that are read for their mean: enough for four digits. */
const FITTED_FILES = 5000

/** Sums over the pixels of channels: whole numbers, so exact everywhere. */
class Moments {
  readonly #plane: number
  readonly #sums: { pixels: number; sum: number; squares: number }[]

  constructor([C, H, W]: readonly [number, number, number]) {
    this.#plane = H * W
    this.#sums = Array.from({ length: C }, () => ({ pixels: 0, sum: 0, squares: 0 }))
  }

  /** Adds whole pictures (…, C, H, W). */
  add(images: Uint8Array): void {
    for (let at = 0; at < images.length; at += this.#plane) {
      let sum = 0
      let squares = 0
      for (let i = at; i < at + this.#plane; i++) {
        const pixel = images[i] as number
        sum += pixel
        squares += pixel * pixel
      }
      const channel = this.#sums[(at / this.#plane) % this.#sums.length] as {
        pixels: number
        sum: number
        squares: number
      }
      channel.pixels += this.#plane
      channel.sum += sum
      channel.squares += squares
    }
  }

  /** Mean and standard deviation on the scale 0 to 1: numbers for one channel, lists for more. */
  normalization(): Normalization {
    const each = this.#sums.map(({ pixels, sum, squares }) => {
      const mean = sum / pixels
      const variance = squares / pixels - mean * mean
      return { mean: mean / 255, std: variance > 0 ? Math.sqrt(variance) / 255 : 1 }
    })
    const [only] = each
    if (each.length === 1 && only) return only
    return { mean: each.map(({ mean }) => mean), std: each.map(({ std }) => std) }
  }
}

/** Mean and standard deviation of each channel of a training split, to be used for validation and tests too. */
export function fitNormalization(source: ImageDataset): Normalization {
  checkCount('fitNormalization', 1, arguments)
  checkSource(source, 'fitNormalization')
  if (!('images' in source))
    throw new ArgumentError('fitNormalization: the pictures are in files; use fitNormalizationOf')
  const { images, shape } = source
  const moments = new Moments(shape)
  moments.add(images)
  return moments.normalization()
}

/**
 * The same for pictures anywhere; of files, 5,000 drawn by the seed 0 are read.
 * @throws ShapeError when none of them can be read
 */
export async function fitNormalizationOf(source: ImageSource): Promise<Normalization> {
  checkCount('fitNormalizationOf', 1, arguments)
  checkSource(source, 'fitNormalization')
  if ('images' in source) return fitNormalization(source)
  const moments = new Moments(source.shape)
  await readSome(source, 'fitNormalization', (pixels) => {
    moments.add(pixels)
  })
  return moments.normalization()
}

/** Gives the pictures of files that are read for their means, those that can be. @throws ArgumentError when none can */
export async function readSome(source: ImageFiles, name: string, take: (pixels: Uint8Array) => void): Promise<void> {
  let read = 0
  for (const index of permutation(source.size, 0, 0).subarray(0, FITTED_FILES)) {
    const pixels = await source.read(index)
    if (!pixels) continue
    take(pixels)
    read++
  }
  if (read === 0) throw new ArgumentError(`${name}: none of the pictures can be read`)
}

/** Pictures (count, C, H, W) from bytes, normalized, as a tensor. */
export function imageTensor(
  pixels: Uint8Array,
  shape: readonly [number, number, number],
  normalization: Normalization,
): Tensor {
  checkCount('imageTensor', 3, arguments)
  const size = sizeOf(checkShape(shape, 'imageTensor'))
  if (!isBytes(pixels)) throw wrongKind('imageTensor: the pixels', 'bytes', pixels)
  if (pixels.length === 0 || pixels.length % size !== 0) {
    throw new ShapeError(`imageTensor: ${pixels.length} bytes are not whole pictures of ${showShape(shape)}`)
  }
  const painter = new Painter(shape, normalization)
  return filled([pixels.length / size, ...shape], 'imageTensor', (x) => {
    const to = floatsAt(x.pointer, x.size)
    for (let at = 0; at < pixels.length; at += size) painter.paint(to, at, pixels, at, undefined, 0)
  })
}

/** The normalization of pixels that are divided by 255, which is the same as that of a preprocessing. */
export function normalizationOf({
  scale,
  normalization,
}: Pick<Preprocessing, 'scale' | 'normalization'>): Normalization {
  const factor = 255 * scale
  if (factor === 1) return normalization
  const scaled = (value: number | readonly number[]): number | readonly number[] =>
    typeof value === 'number' ? value / factor : value.map((each) => each / factor)
  return { mean: scaled(normalization.mean), std: scaled(normalization.std) }
}

/**
 * Pictures as the input (count, C, H, W) of a model, as its preprocessing says.
 *
 * @throws ShapeError when there is no picture, or one is not what it says
 */
export function preprocess(images: readonly Picture[], preprocessing: Preprocessing): Tensor {
  checkCount('preprocess', 2, arguments)
  checkList(images, 'preprocess: the images', 'a list of pictures')
  checkPreprocessing(preprocessing, 'preprocess: preprocessing')
  return preparedTensor(
    images.map((image, n) => preparePixels(checkPicture(image, `preprocess: picture ${n}`), preprocessing)),
    preprocessing,
  )
}

/** The same for pictures of which `preparePixels` has given the bytes. */
export function preparedTensor(pictures: readonly Uint8Array[], preprocessing: Preprocessing): Tensor {
  if (pictures.length === 0) throw new ArgumentError('preprocess: at least one picture is needed, none is given')
  const { channels, size } = preprocessing
  const painter = new Painter([channels, ...size], normalizationOf(preprocessing))
  const bytes = channels * size[0] * size[1]
  return paintBatch(painter, pictures.length, undefined, (n) => {
    const pixels: unknown = pictures[n]
    if (!(pixels instanceof Uint8Array))
      throw wrongKind(`preprocess: prepared picture ${n}`, 'bytes (Uint8Array)', pixels)
    if (pixels.length === bytes) return { pixels, from: 0 }
    throw new ShapeError(
      `preprocess: prepared picture ${n} has ${pixels.length} bytes, not ${bytes}; was it for another model?`,
    )
  })
}

/**
 * Grey pictures in memory as they are prepared: those with a light ground inverted, if that is asked for. The same data set
 * where nothing changes.
 *
 * @throws ShapeError when its pictures are not of the size and the channels that the preparation gives
 */
export function prepareDataset(dataset: ImageDataset, preparation: PixelPreprocessing): ImageDataset {
  const { shape, size, images } = dataset
  const [C, H, W] = shape
  const wanted = [preparation.channels, ...preparation.size]
  if (wanted.join() !== shape.join() || (C !== 1 && preparation.invert !== 'never')) {
    throw new ShapeError(
      `prepareDataset: pictures of (${shape.join(', ')}) are not to be made those of (${wanted.join(', ')})` +
        (preparation.invert === 'never' ? '' : ', inverted where they are grey alone'),
    )
  }
  let changed: Uint8Array | undefined
  for (let at = 0; preparation.invert !== 'never' && at < size * H * W; at += H * W) {
    const data = images.subarray(at, at + H * W)
    if (!isLightGround({ width: W, height: H, channels: 1, data })) continue
    changed ??= images.slice()
    for (let i = at; i < at + H * W; i++) changed[i] = 255 - (images[i] as number)
  }
  return changed ? { ...dataset, images: changed } : dataset
}

/** A batch (count, C, h, w) of pictures, each given as the bytes that it lies in and its place there. */
function paintBatch(
  painter: Painter,
  count: number,
  draw: Draw | undefined,
  picture: (n: number) => { readonly pixels: Uint8Array; readonly from: number },
): Tensor {
  const [C, h, w] = painter.shape
  const words = painter.words(count, draw)
  return filled([count, C, h, w], 'a batch of images', (x) => {
    const to = floatsAt(x.pointer, x.size)
    for (let n = 0; n < count; n++) {
      const { pixels, from } = picture(n)
      painter.paint(to, n * C * h * w, pixels, from, words, n)
    }
  })
}

/**
 * Examples for `fit` and `evaluate`: normalized pictures and their labels. Only in training are they augmented.
 *
 * @param how their normalization, or the preprocessing of the model: then the middle of them is taken, where they are of the
 *   size to which it resizes
 */
export function imageExamples(
  source: ImageDataset,
  how: Normalization | Preprocessing,
  augmentation?: Augmentation,
): Examples<Int32Array>
export function imageExamples(
  source: ImageSource,
  how: Normalization | Preprocessing,
  augmentation?: Augmentation,
): Examples<Int32Array> | DistantExamples<Int32Array>
export function imageExamples(
  source: ImageSource,
  how: Normalization | Preprocessing,
  augmentation?: Augmentation,
): Examples<Int32Array> | DistantExamples<Int32Array> {
  checkCount('imageExamples', 3, arguments)
  checkSource(source, 'imageExamples')
  checkObject(how, 'imageExamples: the second argument', 'a normalization or a preprocessing')
  const [normalization, middle] = 'normalization' in how ? [normalizationOf(how), { crop: how.size }] : [how, {}]
  const painter = new Painter(source.shape, normalization, { ...middle, ...augmentation })
  const drawn = (draw: Draw | undefined): Draw | undefined => (augmentation ? draw : undefined)
  return 'images' in source ? examplesInMemory(source, painter, drawn) : examplesInFiles(source, painter, drawn)
}

type Drawn = (draw: Draw | undefined) => Draw | undefined

const labelsOf = ({ labels }: ImageSource, indices: Int32Array): Int32Array =>
  indices.map((index) => labels[index] as number)

function examplesInMemory(source: ImageDataset, painter: Painter, drawn: Drawn): Examples<Int32Array> {
  const { images, shape, size } = source
  const pixels = shape[0] * shape[1] * shape[2]
  return {
    size,
    labels: source.labels,
    batch: (indices, draw) => ({
      x: paintBatch(painter, indices.length, drawn(draw), (n) => ({
        pixels: images,
        from: (indices[n] as number) * pixels,
      })),
      target: labelsOf(source, indices),
    }),
  }
}

function examplesInFiles(source: ImageFiles, painter: Painter, drawn: Drawn): DistantExamples<Int32Array> {
  return {
    size: source.size,
    labels: source.labels,
    async read(indices) {
      const all = await Promise.all(Array.from(indices, (index) => source.read(index)))
      const sound = indices.filter((_, n) => all[n] !== undefined)
      const pictures = all.filter((picture) => picture !== undefined)
      const batch = (draw?: Draw): Batch<Int32Array> => ({
        x: paintBatch(painter, sound.length, drawn(draw), (n) => ({ pixels: pictures[n] as Uint8Array, from: 0 })),
        target: labelsOf(source, sound),
      })
      return { indices: sound, batch }
    },
  }
}
