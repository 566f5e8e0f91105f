/** The mean of pictures, pixel by pixel. */
import type { Normalization } from '../io/preprocessing.js'
import { floatsAt } from '../runtime/core.js'
import { ArgumentError } from '../runtime/errors.js'
import { checkCount } from '../runtime/options.js'
import { sizeOf } from '../tensor/shape.js'
import { filled, type Tensor } from '../tensor/tensor.js'
import { Painter } from './augment.js'
import type { ImageSource } from './dataset.js'
import { readSome } from './images.js'
import { checkSource } from './source.js'

/**
 * The mean picture (C, H, W) of a training split, normalized as `imageTensor` normalizes pictures: what the layer `MeanImage`
 * of toeplitz/layers subtracts. Sums are of whole numbers, and so the same everywhere. Of files, 5,000 drawn by the seed 0 are read.
 *
 * @example
 * const mean = await meanImage(training, fitNormalization(training))
 * @throws ArgumentError when there is no picture, or none can be read; ShapeError when the normalization does not fit
 */
export async function meanImage(source: ImageSource, normalization: Normalization): Promise<Tensor> {
  checkCount('meanImage', 2, arguments)
  checkSource(source, 'meanImage')
  const { shape } = source
  // Checks the normalization.
  new Painter(shape, normalization)
  const size = sizeOf(shape)
  const sums = new Float64Array(size)
  let count = 0
  const add = (pixels: Uint8Array): void => {
    for (let at = 0; at < pixels.length; at += size, count++)
      for (let i = 0; i < size; i++) sums[i] = (sums[i] as number) + (pixels[at + i] as number)
  }
  if ('images' in source) add(source.images)
  else await readSome(source, 'meanImage', add)
  if (count === 0) throw new ArgumentError('meanImage: there is no picture')
  const plane = shape[1] * shape[2]
  const ofChannel = (value: number | readonly number[], i: number): number =>
    typeof value === 'number' ? value : (value[Math.floor(i / plane)] as number)
  return filled(shape, 'meanImage', (x) => {
    const to = floatsAt(x.pointer, size)
    sums.forEach((sum, i) => {
      to[i] = (sum / (255 * count) - ofChannel(normalization.mean, i)) / ofChannel(normalization.std, i)
    })
  })
}
