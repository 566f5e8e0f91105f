/** Pictures as batches of tensors. */
import { floatsAt } from '../runtime/core.js'
import { ShapeError } from '../runtime/errors.js'
import { empty, type Tensor } from '../tensor/tensor.js'
import type { Examples } from '../train/fit.js'
import type { ImageDataset } from './dataset.js'

/** Pixels become (pixel / 255 − mean) / std. */
export interface Normalization {
  readonly mean: number
  readonly std: number
}

/** Mean and standard deviation of all pixels, on the scale 0 to 1; sums of whole numbers, so exact everywhere. */
export function fitNormalization({ images }: ImageDataset): Normalization {
  let sum = 0
  let squares = 0
  for (const pixel of images) {
    sum += pixel
    squares += pixel * pixel
  }
  const mean = sum / images.length
  const variance = squares / images.length - mean * mean
  return { mean: mean / 255, std: variance > 0 ? Math.sqrt(variance) / 255 : 1 }
}

/** Pictures (count, C, H, W) from bytes, normalized, as a tensor. */
export function imageTensor(
  pixels: Uint8Array,
  shape: readonly [number, number, number],
  { mean, std }: Normalization,
): Tensor {
  const size = shape[0] * shape[1] * shape[2]
  if (pixels.length === 0 || pixels.length % size !== 0) {
    throw new ShapeError(`imageTensor: ${pixels.length} bytes are not whole pictures of (${shape.join(', ')})`)
  }
  const x = empty([pixels.length / size, ...shape], 'imageTensor')
  const values = normalizedValues({ mean, std })
  const to = floatsAt(x.pointer, x.size)
  for (let i = 0; i < pixels.length; i++) to[i] = values[pixels[i] as number] as number
  return x
}

/** The normalized value of each of the 256 pixels. */
const normalizedValues = ({ mean, std }: Normalization): Float32Array =>
  Float32Array.from({ length: 256 }, (_, pixel) => (pixel / 255 - mean) / std)

/** A dataset as examples for `fit` and `evaluate`: normalized pictures and their labels. */
export function imageExamples(dataset: ImageDataset, normalization: Normalization): Examples<Uint8Array> {
  const { images, labels, shape, size } = dataset
  const pixels = shape[0] * shape[1] * shape[2]
  const values = normalizedValues(normalization)
  return {
    size,
    batch(indices) {
      const x = empty([indices.length, ...shape], 'a batch of images')
      const to = floatsAt(x.pointer, x.size)
      let position = 0
      for (const index of indices) {
        const first = index * pixels
        for (let i = first; i < first + pixels; i++) to[position++] = values[images[i] as number] as number
      }
      return { x, target: Uint8Array.from(indices, (index) => labels[index] as number) }
    },
  }
}
