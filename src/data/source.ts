/** What every source of pictures must have. */
import { ShapeError } from '../runtime/errors.js'
import { inWords, named } from '../runtime/text.js'
import { checkShape, showShape, sizeOf } from '../tensor/shape.js'
import type { ImageSource } from './dataset.js'

/**
 * Checks that a source of pictures has what it must have: as many labels and pixels as it says.
 * @throws ShapeError that says what it has instead
 */
export function checkSource(source: ImageSource, operation: string): void {
  const wrong = (what: string): ShapeError => new ShapeError(`${named(operation)}: ${what}`)
  if (typeof source !== 'object' || source === null) throw wrong(`expected a data set, given ${inWords(source)}`)
  const { size, labels, classes } = source
  const shape = checkShape(source.shape, `${named(operation)}: the shape of a picture`)
  if (shape.length !== 3) throw wrong(`the shape of a picture must be (C, H, W), given ${showShape(shape)}`)
  if (!Number.isInteger(size) || size < 0) throw wrong(`size must be the number of pictures, given ${inWords(size)}`)
  if (!(labels instanceof Uint8Array || labels instanceof Int32Array) || labels.length < size) {
    throw wrong(`labels must be ${size} numbers in a Uint8Array or Int32Array, given ${inWords(labels)}`)
  }
  if (!Array.isArray(classes)) throw wrong(`classes must be a list of names, given ${inWords(classes)}`)
  if ('images' in source) {
    const needed = size * sizeOf(shape)
    if (!(source.images instanceof Uint8Array) || source.images.length < needed) {
      throw wrong(`images must be a Uint8Array of ${needed} pixels, given ${inWords(source.images)}`)
    }
  } else if (typeof source.read !== 'function') throw wrong('the data set has neither images nor read(index)')
}

/** Names for an error, the first of very many. */
export const listed = (names: readonly string[]): string =>
  `${names.slice(0, 20).map(named).join(', ')}${names.length > 20 ? ` and ${names.length - 20} more` : ''}`
