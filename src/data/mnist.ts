/** MNIST and datasets published in its format: one IDX file of images (N, H, W) uint8, one of labels (N) uint8. */
import { FormatError } from '../runtime/errors.js'
import { checkList, checkObject } from '../runtime/check.js'
import type { FileBytes } from '../formats/limits.js'
import type { ImageDataset } from './dataset.js'
import { readIdxOf, type DataLimits } from '../formats/idx.js'
import { checkCount } from '../runtime/options.js'

/** The bytes of a file and what to call it in errors. */
export interface NamedBytes {
  /** The file, gzipped or not. */
  readonly bytes: FileBytes
  /** What errors call the file. */
  readonly name: string
}

/** Classes of MNIST. */
const digits: readonly string[] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']

/** Classes of Fashion-MNIST (Xiao, Rasul & Vollgraf 2017), which is published in the files of MNIST. */
export const fashionClasses: readonly string[] = [
  'T-shirt/top',
  'trouser',
  'pullover',
  'dress',
  'coat',
  'sandal',
  'shirt',
  'sneaker',
  'bag',
  'ankle boot',
]

/**
 * Makes a dataset from an image file and its label file, plain or compressed with gzip.
 *
 * @param images an IDX file of shape (N, H, W), uint8
 * @param labels an IDX file of shape (N), uint8, each 0 to 9
 * @param names of the ten classes; default: the digits
 * @param limits of the memory that inflating a file may take
 * @returns images (N, 1, H, W); H and W are whatever the file holds. The arrays may be views of the bytes given.
 * @throws FormatError when a file is damaged, is of another type or rank, when the counts differ or a label exceeds 9
 */
export function mnistFromIdx(
  images: NamedBytes,
  labels: NamedBytes,
  names = digits,
  limits: DataLimits = {},
): ImageDataset {
  checkCount('mnistFromIdx', 4, arguments)
  checkList(names, 'mnistFromIdx: the names', 'a list of the classes')
  // Labels first: they are few, and tell whether the images are those that belong to them.
  const classes = readUint8(labels, 'a label file: 1 dimension (N) of uint8', 1, limits)
  const pixels = readUint8(images, 'an image file: 3 dimensions (N, H, W) of uint8', 3, limits, ([count]) => {
    if (count === classes.data.length) return
    throw new FormatError(
      `${labels.name}: holds ${classes.data.length} labels for the ${count} images of ${images.name}; ` +
        'the counts must be equal: are the two files of the same set?',
    )
  })
  const [count = 0, height = 0, width = 0] = pixels.shape
  const wrong = classes.data.findIndex((label) => label >= names.length)
  if (wrong >= 0) {
    throw new FormatError(
      `${labels.name}: label ${wrong} is ${classes.data[wrong]}; labels must be 0 to ${names.length - 1}`,
    )
  }
  return { images: pixels.data, labels: classes.data, size: count, shape: [1, height, width], classes: names }
}

function readUint8(
  file: NamedBytes,
  wanted: string,
  rank: number,
  limits: DataLimits,
  check: (shape: readonly number[]) => void = () => undefined,
): { readonly shape: readonly number[]; readonly data: Uint8Array } {
  checkObject(file, 'mnistFromIdx: a file', '{ bytes, name }')
  const { shape, data } = readIdxOf(file.bytes, file.name, limits, ({ shape, type }) => {
    if (type !== 'uint8' || shape.length !== rank) {
      throw new FormatError(
        `${file.name}: is of shape (${shape.join(', ')}), ${type}, but ${wanted} was expected; ` +
          'were images and labels exchanged?',
      )
    }
    check(shape)
  })
  return { shape, data: data as Uint8Array }
}
