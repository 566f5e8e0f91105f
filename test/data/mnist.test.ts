import fc from 'fast-check'
import { gzipSync } from 'fflate'
import { describe, expect, it } from 'vitest'
import { writeIdx } from '../../src/formats/idx.js'
import { mnistFromIdx } from '../../src/data/mnist.js'
import { FormatError } from '../../src/runtime/errors.js'

const imageFile = (shape: number[], fill = 7) =>
  writeIdx(shape, new Uint8Array(shape.reduce((a, b) => a * b, 1)).fill(fill))
const labelFile = (...labels: number[]) => writeIdx([labels.length], Uint8Array.from(labels))

function load(images: Uint8Array, labels: Uint8Array) {
  return mnistFromIdx({ bytes: images, name: 'images.idx' }, { bytes: labels, name: 'labels.idx' })
}

describe('mnistFromIdx', () => {
  it('pairs images with labels, of any size, plain or compressed', () => {
    const sizes = fc.tuple(
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 9 }),
    )
    fc.assert(
      fc.property(sizes, fc.boolean(), fc.infiniteStream(fc.integer({ min: 0, max: 255 })), (shape, packed, stream) => {
        const [count, height, width] = shape
        const next = () => Number(stream.next().value)
        const pixels = Uint8Array.from({ length: count * height * width }, next)
        const labels = Uint8Array.from({ length: count }, () => next() % 10)
        const wrap = packed ? (bytes: Uint8Array) => gzipSync(bytes) : (bytes: Uint8Array) => bytes
        expect(load(wrap(writeIdx(shape, pixels)), wrap(writeIdx([count], labels)))).toEqual({
          images: pixels,
          labels,
          size: count,
          shape: [1, height, width],
          classes: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
        })
      }),
      { numRuns: 50 },
    )
  })

  const int8 = imageFile([1, 2, 2])
  int8[2] = 0x09
  it.each([
    ['labels as images', labelFile(1, 2), labelFile(1, 2), 'images.idx: is of shape (2), uint8, but an image file'],
    [
      'images as labels',
      imageFile([2, 1, 1]),
      imageFile([2, 1, 1]),
      'labels.idx: is of shape (2, 1, 1), uint8, but a label',
    ],
    ['signed pixels', int8, labelFile(1), 'images.idx: is of shape (1, 2, 2), int8, but an image file: 3 dimensions'],
    ['colour images', imageFile([1, 2, 2, 3]), labelFile(1), 'images.idx: is of shape (1, 2, 2, 3), uint8'],
    [
      'fewer labels',
      imageFile([3, 2, 2]),
      labelFile(1, 2),
      'labels.idx: holds 2 labels for the 3 images of images.idx',
    ],
    ['a label of 10', imageFile([3, 2, 2]), labelFile(1, 10, 3), 'labels.idx: label 1 is 10; labels must be 0 to 9'],
    ['damaged images', imageFile([3, 2, 2]).subarray(1), labelFile(1), 'images.idx: not an IDX file'],
    ['truncated labels', imageFile([3, 2, 2]), labelFile(1, 2, 3).subarray(0, 9), 'labels.idx: cut short'],
  ])('explains %s', (_, images, labels, expected) => {
    expect(() => load(images, labels)).toThrow(FormatError)
    expect(() => load(images, labels)).toThrow(expected)
  })
})
