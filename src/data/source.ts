/** What every source of pictures must have. */
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { inWords, named } from '../runtime/text.js'
import { checkShape, showShape, sizeOf, type Shape } from '../tensor/shape.js'

const isCount = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0

/**
 * Checks that a source of pictures has what it must have: as many labels and pixels as it says.
 * @throws ShapeError that says what it has instead
 */
export function checkSource(source: unknown, operation: string): void {
  const wrong = (what: string): ShapeError => new ArgumentError(`${named(operation)}: ${what}`)
  if (typeof source !== 'object' || source === null) throw wrong(`expected a data set, given ${inWords(source)}`)
  const { size, labels, classes, images, read, shape: given } = source as Readonly<Record<string, unknown>>
  const shape = checkShape(given as Shape, `${named(operation)}: the shape of a picture`)
  if (shape.length !== 3) throw wrong(`the shape of a picture must be (C, H, W), given ${showShape(shape)}`)
  if (!isCount(size)) throw wrong(`size must be the number of pictures, given ${inWords(size)}`)
  if (!(labels instanceof Uint8Array || labels instanceof Int32Array) || labels.length < size) {
    throw wrong(`labels must be ${size} numbers in a Uint8Array or Int32Array, given ${inWords(labels)}`)
  }
  if (!Array.isArray(classes)) throw wrong(`classes must be a list of names, given ${inWords(classes)}`)
  if ('images' in source) {
    const needed = size * sizeOf(shape)
    if (!(images instanceof Uint8Array) || images.length < needed) {
      throw wrong(`images must be a Uint8Array of ${needed} pixels, given ${inWords(images)}`)
    }
  } else if (typeof read !== 'function') throw wrong('the data set has neither images nor read(index)')
}

/** Names for an error, the first of very many. */
export const listed = (names: readonly string[]): string =>
  `${names.slice(0, 20).map(named).join(', ')}${names.length > 20 ? ` and ${names.length - 20} more` : ''}`
