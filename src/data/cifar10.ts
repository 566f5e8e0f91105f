/**
 * CIFAR-10's binary version (https://www.cs.toronto.edu/~kriz/cifar.html): records of 3,073 bytes, one label and the
 * 32 × 32 pixels, all red ones first, then green, then blue.
 */
import { fileBytes } from '../formats/limits.js'
import { ArgumentError, FormatError } from '../runtime/errors.js'
import { checkObject } from '../runtime/check.js'
import { inWords } from '../runtime/text.js'
import type { ImageDataset } from './dataset.js'
import type { NamedBytes } from './mnist.js'
import { checkCount } from '../runtime/options.js'

const classes: readonly string[] = [
  'airplane',
  'automobile',
  'bird',
  'cat',
  'deer',
  'dog',
  'frog',
  'horse',
  'ship',
  'truck',
]

const shape = [3, 32, 32] as const
const pixels = 3 * 32 * 32
const record = 1 + pixels

/**
 * Makes a dataset from the records of one or more files, in their order.
 * @throws FormatError when a file is empty, is not whole records or has a label above 9
 */
export function cifar10FromBinary(files: readonly NamedBytes[]): ImageDataset {
  checkCount('cifar10FromBinary', 1, arguments)
  const given: unknown = files
  if (!Array.isArray(given))
    throw new ArgumentError(`cifar10FromBinary: expected a list of files, given ${inWords(given)}`)
  const opened = files.map((file) => {
    checkObject(file, 'cifar10FromBinary: a file', '{ bytes, name }')
    return { bytes: fileBytes(file.bytes, file.name), name: file.name }
  })
  for (const { bytes, name } of opened) {
    if (bytes.length === 0 || bytes.length % record !== 0) {
      throw new FormatError(
        `${name}: ${bytes.length} bytes are not whole records of ${record} (a label, ${pixels} pixels); ` +
          'is it a file of the binary version, unpacked, and complete?',
      )
    }
  }
  const size = opened.reduce((total, { bytes }) => total + bytes.length / record, 0)
  const images = new Uint8Array(size * pixels)
  const labels = new Uint8Array(size)
  let place = 0
  for (const { bytes, name } of opened) {
    for (let at = 0; at < bytes.length; at += record, place++) {
      const label = bytes[at] as number
      if (label >= classes.length) {
        throw new FormatError(`${name}: the label of record ${at / record} is ${label}; labels must be 0 to 9`)
      }
      labels[place] = label
      images.set(bytes.subarray(at + 1, at + record), place * pixels)
    }
  }
  return { images, labels, size, shape, classes }
}
