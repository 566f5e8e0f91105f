/** Some pictures of a data set, read into memory. */
import { readImage, type ImageDataset, type ImageSource } from '../data/dataset.js'
import { FormatError } from '../runtime/errors.js'

/**
 * The first pictures of those with the given numbers that can be read, at most so many.
 *
 * @param name what errors call the data
 * @throws FormatError where none can be read
 */
export async function picturesInMemory(
  all: ImageSource,
  numbers: Iterable<number>,
  most: number,
  name: string,
): Promise<ImageDataset> {
  const pictures: Uint8Array[] = []
  const labels: number[] = []
  for (const number of numbers) {
    if (pictures.length >= most) break
    const pixels = await readImage(all, number)
    if (!pixels) continue
    pictures.push(pixels)
    labels.push(all.labels[number] as number)
  }
  if (pictures.length === 0) throw new FormatError(`${name}: none of the pictures can be read`)
  const [C, H, W] = all.shape
  const images = new Uint8Array(pictures.length * C * H * W)
  pictures.forEach((pixels, n) => {
    images.set(pixels, n * C * H * W)
  })
  const { shape, classes } = all
  return { images, labels: Int32Array.from(labels), size: pictures.length, shape, classes }
}
