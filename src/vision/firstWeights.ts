/** The weights of a model that are pictures: filters of a first convolution, or templates of a first fully connected layer. */
import type { Graph } from '../nn/graph.js'
import { ArgumentError, UnsupportedError } from '../runtime/errors.js'
import { checkModel } from '../runtime/check.js'
import { checkCount } from '../runtime/options.js'
import { showShape, sizeOf } from '../tensor/shape.js'

/** Weights that are pictures, as `filterGrid` takes them. */
export interface PictureWeights {
  /** Name of the layer's node. */
  readonly name: string
  /** The layer in the notation of the lecture, such as `conv(5, 32)`. */
  readonly layer: string
  /** `filters` slide over the picture; a `template` is as large as the picture and there is one for each unit. */
  readonly kind: 'filters' | 'templates'
  /** (K, C, R, S): for each of K units or filters a picture of C channels. */
  readonly shape: readonly [K: number, C: number, R: number, S: number]
  /** Row-major. */
  readonly values: Float32Array
}

/**
 * The weights of the first layer that has any, as pictures: (K, C, R, S) of a convolution as they are, and those (K, C·H·W) of
 * a fully connected layer over pictures (C, H, W), as of linear and two-layer classifiers, as (K, C, H, W).
 *
 * @example
 * const { shape, values } = pictureWeights(model)
 * encodePng(filterGrid({ shape, values }, { zoom: 4 }))
 * @throws UnsupportedError when the first layer with weights is of another kind
 */
export function pictureWeights(model: Graph): PictureWeights {
  checkCount('pictureWeights', 1, arguments)
  checkModel(model, 'pictureWeights: the model')
  const { input } = model
  if (!input) {
    throw new ArgumentError('pictureWeights: the input is not known yet; give it by the input option of the model')
  }
  model.namedState()
  for (const { name, layer } of model.nodes) {
    if (layer.type === 'PermutePixels')
      throw new UnsupportedError(
        `pictureWeights: layer '${name}' shuffles the pixels; the weights behind it are no pictures`,
      )
    const weight = [...layer.tensors().values()].find(({ ndim }) => ndim > 1)
    if (!weight) continue
    const about = { name, layer: layer.describe(), values: weight.data() }
    const [K = 0] = weight.shape
    if (weight.ndim === 4) {
      return { ...about, kind: 'filters', shape: weight.shape as unknown as PictureWeights['shape'] }
    }
    if (weight.ndim === 2 && input.length === 3 && weight.shape[1] === sizeOf(input)) {
      return { ...about, kind: 'templates', shape: [K, ...(input as readonly [number, number, number])] }
    }
    throw new UnsupportedError(
      `pictureWeights: the weights ${showShape(weight.shape)} of layer '${name}', ${layer.describe()}, are no pictures; a convolution, or a fully connected layer over the pixels of (C, H, W), is needed`,
    )
  }
  throw new UnsupportedError('pictureWeights: the model has no weights that are pictures')
}
