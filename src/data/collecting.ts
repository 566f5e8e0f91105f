/** Data sets made of what is at hand: pictures with their labels, what a generator gives, files that are read once. */
import { checkPicture, plainPixels, preparePixels, type Picture, type PixelPreprocessing } from '../io/preprocessing.js'
import { checkFunction, checkList, checkNumber, checkObject, checkWhole, wrongKind } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkCount, checkKeys, defined, needKeys, unknownName, type Names } from '../runtime/options.js'
import { sameShape, showShape, type Shape } from '../tensor/shape.js'
import { checkTensor, type Tensor } from '../tensor/tensor.js'
import { tensorExamples, type Examples } from '../train/examples.js'
import type { ImageDataset, ImageFiles } from './dataset.js'
import { checkSource } from './source.js'

/** A picture and the name of its class. */
export interface LabelledPicture {
  /** An ImageData, or bytes with a width and a height. */
  readonly image: Picture
  /** The name of its class. */
  readonly label: string
}

/** Options of `imageDataset`. */
export interface ImageDatasetOptions extends Partial<Omit<PixelPreprocessing, 'size' | 'channels'>> {
  /** Height and width to which all pictures are brought. */
  readonly size: readonly [height: number, width: number]
  /** 1 for grey, 3 for colours (default). */
  readonly channels?: 1 | 3
  /** Names of the classes in their order; default: those that occur, sorted by UTF-16 code units. */
  readonly classes?: readonly string[] | undefined
}

/** Pictures of the largest data set in memory. */
export const MOST_BYTES = 2 ** 32

const imageNames = {
  ...{ size: 0, channels: 0, classes: 0, order: 0, invert: 0, resize: 0, fit: 0, interpolation: 0 },
} satisfies Names<ImageDatasetOptions>

/**
 * Labelled pictures in memory, all of one size, as `imageExamples` takes them: of a camera, of files that were dropped, or drawn.
 *
 *     const dataset = imageDataset([{ image: context.getImageData(0, 0, 64, 64), label: 'cat' }, …], { size: [32, 32] })
 *     await fit(model, imageExamples(dataset, fitNormalization(dataset)), { … })
 *
 * @throws ArgumentError when there is no picture, or a label is none of the classes; ShapeError when a picture is not what it says
 */
export function imageDataset(pictures: readonly LabelledPicture[], options: ImageDatasetOptions): ImageDataset {
  const name = 'imageDataset'
  checkCount(name, 2, arguments)
  checkList(pictures, `${name}: the pictures`, 'a list of { image, label }')
  needKeys(name, options, imageNames)
  if (pictures.length === 0) throw new ArgumentError(`${name}: there is no picture`)
  const { size, channels = 3, classes, ...how } = defined(options) as typeof options
  if (channels !== 1 && channels !== 3) throw wrongKind(`${name}: channels`, '1 or 3', channels)
  if (classes !== undefined) checkList(classes, `${name}: classes`, 'a list of names')
  const labels = pictures.map((picture, n) => {
    checkObject(picture, `${name}: picture ${n}`, '{ image, label }', ['image', 'label'])
    if (typeof picture.label !== 'string')
      throw wrongKind(`${name}: the label of picture ${n}`, 'the name of a class', picture.label)
    return picture.label
  })
  const names = classes ?? [...new Set(labels)].sort()
  const places = new Map(names.map((label, k) => [label, k]))
  if (places.size < names.length || !names.every((label) => typeof label === 'string'))
    throw new ArgumentError(`${name}: classes must be names, each of them once`)
  const numbers = labels.map((label, n) => {
    const number = places.get(label)
    if (number === undefined) throw new ArgumentError(`${name}: picture ${n}: ${unknownName('class', label, names)}`)
    return number
  })
  const preprocessing: PixelPreprocessing = { ...plainPixels([channels, 1, 1]), ...how, size }
  // The first tells whether the options fit, before memory is taken for all.
  const prepared = (n: number): Uint8Array =>
    preparePixels(checkPicture((pictures[n] as LabelledPicture).image, `${name}: picture ${n}`), preprocessing)
  const first = prepared(0)
  if (first.length * pictures.length > MOST_BYTES)
    throw new ArgumentError(
      `${name}: ${pictures.length} pictures of ${first.length} bytes take more than 4 GiB; make them smaller`,
    )
  const images = new Uint8Array(first.length * pictures.length)
  pictures.forEach((_, n) => {
    images.set(n === 0 ? first : prepared(n), n * first.length)
  })
  const [height, width] = size
  return {
    images,
    labels: Int32Array.from(numbers),
    size: pictures.length,
    shape: [channels, height, width],
    classes: names,
  }
}

/** What `collectExamples` takes of a generator. */
export interface GivenExample {
  /** The input of one example, without the batch. It is copied and then disposed. */
  readonly x: Tensor
  /** Its label, a whole number. */
  readonly y: number
}

/** Options of `collectExamples`. */
export interface CollectOptions {
  /** Examples after which the generator is ended; default: all that it has. */
  readonly most?: number
}

/**
 * Examples in memory of what a generator gives, synchronous or not. What has no end needs `most`.
 *
 *     function* points() {
 *       for (let i = 0; ; i++) yield { x: tensor([i % 2, 1]), y: i % 2 }
 *     }
 *     const examples = await collectExamples(points(), { most: 1000 })
 *
 * @throws ArgumentError when it gives nothing, or anything but `{ x, y }`; ShapeError when inputs are of different shapes
 */
export async function collectExamples(
  source: Iterable<GivenExample> | AsyncIterable<GivenExample>,
  options: CollectOptions = {},
): Promise<Examples<Int32Array>> {
  const name = 'collectExamples'
  checkCount(name, 2, arguments)
  checkKeys(name, options, { most: 0 } satisfies Names<CollectOptions>)
  const most = options.most === undefined ? Infinity : checkWhole(options.most, `${name}: most`)
  const isSource = Object(source) === source && (Symbol.iterator in source || Symbol.asyncIterator in source)
  if (!isSource) throw wrongKind(`${name}: the source`, 'a generator, a list or another iterable', source)
  const rows: Float32Array[] = []
  const labels: number[] = []
  let shape: Shape | undefined
  for await (const given of source) {
    const what = `${name}: example ${rows.length}`
    checkObject(given, what, '{ x, y }', ['x', 'y'])
    const { x, y } = given
    checkTensor(x, what, 'x')
    rows.push(x.data())
    const of = x.shape
    x.dispose()
    checkWhole(y, `${what}: y`, 0, 2 ** 31 - 1)
    shape ??= of
    if (!sameShape(of, shape))
      throw new ShapeError(`${what}: inputs must be of one shape, and are ${showShape(shape)} and ${showShape(of)}`)
    labels.push(y)
    if (rows.length >= most) break
  }
  if (!shape) throw new ArgumentError(`${name}: the source gives no example`)
  const width = (rows[0] as Float32Array).length
  const values = new Float32Array(width * rows.length)
  rows.forEach((row, n) => {
    values.set(row, n * width)
  })
  return tensorExamples(values, Int32Array.from(labels), shape)
}

/** Options of `cached`. */
export interface CacheOptions {
  /** Most bytes of pixels that are kept; what comes after is read each time. Default 2²⁹: 512 MB. */
  readonly maxBytes?: number
}

/**
 * Pictures in files that are read and decoded once, and kept in memory as bytes as far as these are not too many. The numbers of those
 * that are damaged are kept, too.
 *
 *     const photos = cached(await openImageFolder('photos'), { maxBytes: 1e9 })
 *
 * @throws ArgumentError when the pictures are in memory already, or an option does not fit
 */
export function cached(source: ImageFiles, options: CacheOptions = {}): ImageFiles {
  checkCount('cached', 2, arguments)
  checkSource(source, 'cached')
  if ('images' in source) throw new ArgumentError('cached: the pictures are in memory already')
  checkKeys('cached', options, { maxBytes: 0 } satisfies Names<CacheOptions>)
  const { maxBytes = 2 ** 29 } = options
  checkNumber(maxBytes, 'cached: maxBytes', 0)
  checkFunction(source.read, 'cached: read of the pictures')
  const kept = new Map<number, Promise<Uint8Array | undefined>>()
  let bytes = 0
  return {
    ...source,
    read(index) {
      const known = kept.get(index)
      if (known) return known
      const [C, H, W] = source.shape
      const read = Promise.resolve(source.read(index))
      if (bytes + C * H * W > maxBytes) return read
      bytes += C * H * W
      kept.set(index, read)
      // What failed may succeed later, and takes no room.
      read.catch(() => {
        kept.delete(index)
        bytes -= C * H * W
      })
      return read
    },
  }
}
