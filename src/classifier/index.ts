/**
 * A trained model as people use it: pictures in, names and probabilities out. Pictures come as pixels, from a page's elements
 * or from a decoder of the caller's: none of PNG or JPEG is in here, because pages have one.
 */
import { preparedTensor } from '../data/images.js'
import { decodeModel, type ModelDescription } from '../io/model-file.js'
import type { ReadOptions } from '../nn/registry.js'
import { preparePixels, type Preprocessing } from '../io/preprocessing.js'
import type { Graph } from '../nn/graph.js'
import { softmax } from '../ops/softmax.js'
import { ArgumentError, ToeplitzError, UnsupportedError } from '../runtime/errors.js'
import { checkList, checkModel, checkObject } from '../runtime/check.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { inWords } from '../runtime/text.js'
import { scope } from '../tensor/tensor.js'
import { pixelsOf, type PictureSource } from './pixels.js'
import { bytesOf, type ModelSource } from './source.js'

export type { Normalization, Picture, Preprocessing } from '../io/preprocessing.js'
export type { PictureSource } from './pixels.js'
export type { BytesHolder, ModelSource } from './source.js'

/** A class, and how probable it is. */
export interface Prediction {
  /** Name of the class. */
  readonly label: string
  /** From 0 to 1; those of all classes add up to 1. */
  readonly probability: number
}

/** Options of `predict` and `predictBatch`. */
export interface PredictOptions {
  /** How many classes to give, the most probable first; default 5, and no more than there are. */
  readonly top?: number
}

const predictNames = { top: 0 } satisfies Names<PredictOptions>

/** A model with its preprocessing and the names of its classes. */
export class PictureClassifier {
  /** What its file says it is called. */
  readonly name: string
  /** Names of the classes, in the order of the model's outputs. */
  readonly classes: readonly string[]
  /** What becomes of a picture before the model sees it. */
  readonly preprocessing: Preprocessing
  /** The model itself. */
  readonly model: Graph

  /**
   * @param decoded the model, and what its file says of it: what `decodeModel` gives
   * @throws UnsupportedError when the model takes no pictures
   */
  constructor(decoded: { readonly file: ModelDescription; readonly model: Graph }) {
    checkCount('PictureClassifier', 1, arguments)
    checkObject(decoded, 'PictureClassifier: its argument', 'what decodeModel() gives')
    const { file, model } = decoded
    checkObject(file, 'PictureClassifier: file', 'what decodeModel() gives')
    checkModel(model, 'PictureClassifier: model')
    const { name, classes, preprocessing } = file
    if (!preprocessing) {
      const input = model.input?.join(', ') ?? ''
      throw new UnsupportedError(
        `${name}: the model takes (${input}), no pictures of 1 or 3 channels; compute with it by model.forward`,
      )
    }
    this.name = name
    this.classes = classes
    this.preprocessing = preprocessing
    this.model = model
  }

  /**
   * What the model sees in a picture, the most probable first.
   *
   * @param image pixels, or what a page can draw: an <img>, a canvas, an ImageBitmap, a VideoFrame, a <video>
   * @throws ShapeError when it is none of these, has no pixels, or `top` is no whole number from 1 on; UnsupportedError when
   *   its pixels must not be read
   */
  predict(image: PictureSource, options: PredictOptions = {}): Prediction[] {
    checkCount('predict', 2, arguments)
    return this.predictPrepared([this.prepare(image)], options)[0] as Prediction[]
  }

  /** The same for several pictures, which are computed together. */
  predictBatch(images: readonly PictureSource[], options: PredictOptions = {}): Prediction[][] {
    checkCount('predictBatch', 2, arguments)
    if (!Array.isArray(images))
      throw new ArgumentError(`predictBatch: expected a list of pictures, given ${inWords(images)}`)
    return this.predictPrepared(
      images.map((image: PictureSource, n) => this.#prepared(image, `predictBatch: picture ${n}`)),
      options,
    )
  }

  /** What the model needs of a picture, so that those of a large batch need not be kept: its bytes before they are normalized. */
  prepare(image: PictureSource): Uint8Array {
    checkCount('prepare', 1, arguments)
    return this.#prepared(image, 'predict')
  }

  #prepared(image: PictureSource, name: string): Uint8Array {
    return preparePixels(pixelsOf(image, name), this.preprocessing)
  }

  /** What the model sees in pictures that `prepare` has given, which are computed together. */
  predictPrepared(pictures: readonly Uint8Array[], options: PredictOptions = {}): Prediction[][] {
    checkCount('predictPrepared', 2, arguments)
    checkList(pictures, 'predictPrepared: the pictures', 'a list of what prepare() gives')
    checkKeys('predict', options, predictNames)
    const { top = 5 } = options
    if (!Number.isInteger(top) || top < 1) {
      throw new ArgumentError(`predict: top is ${inWords(top)}; it must be a whole number from 1 on`)
    }
    if (pictures.length === 0) return []
    const { model, preprocessing, classes } = this
    const probabilities = scope(() => softmax(model.forward(preparedTensor(pictures, preprocessing))).data())
    return pictures.map((_, n) => this.#best(probabilities.subarray(n * classes.length, (n + 1) * classes.length), top))
  }

  /** Frees the model. */
  dispose(): void {
    this.model.dispose()
  }

  #best(probabilities: Float32Array, top: number): Prediction[] {
    if (!probabilities.every((value) => value >= 0)) {
      throw new ToeplitzError(
        'NOT_FINITE',
        `${this.name}: the model's outputs are not finite; was it trained to its end?`,
      )
    }
    // Of equal ones, the first.
    const order = Array.from(probabilities.keys()).sort((a, b) => probabilities[b]! - probabilities[a]! || a - b)
    return order.slice(0, top).map((index) => ({
      label: this.classes[index] as string,
      probability: probabilities[index] as number,
    }))
  }
}

/**
 * Loads a model with all that is needed to use it on pictures: what `encodeModel` writes, and the model.safetensors of a
 * training run. Call `init()` before.
 *
 * @param source its address, its bytes, or a Blob; in Node, Deno and Bun also the path of a file
 * @param options `layers` are classes besides those of the package, such as `Imported` of `toeplitz/onnx`
 * @throws FormatError when it is damaged or no whole model; UnsupportedError when it takes no pictures; ToeplitzError with
 *   code FILE when it cannot be had
 */
export async function loadClassifier(source: ModelSource, options: ReadOptions = {}): Promise<PictureClassifier> {
  checkCount('loadClassifier', 2, arguments)
  checkKeys('loadClassifier', options, { layers: 0 })
  const { bytes, name } = await bytesOf(source)
  const decoded = decodeModel(bytes, name, options)
  try {
    return new PictureClassifier(decoded)
  } catch (error) {
    decoded.model.dispose()
    throw error
  }
}
