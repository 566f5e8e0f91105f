import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assertSameImages, holdOut, imageRange, type ImageDataset } from '../../src/data/dataset.js'
import { ShapeError } from '../../src/runtime/errors.js'

function dataset(size: number, shape: readonly [number, number, number] = [2, 3, 1]): ImageDataset {
  const [channels, height, width] = shape
  return {
    images: Uint8Array.from({ length: size * channels * height * width }, (_, i) => i),
    labels: Uint8Array.from({ length: size }, (_, i) => i % 2),
    size,
    shape,
    classes: ['even', 'odd'],
  }
}

describe('holdOut', () => {
  it('splits off the last images as views', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 30 }), fc.nat(), (size, seed) => {
        const whole = dataset(size)
        const count = 1 + (seed % (size - 1))
        const { training, validation } = holdOut(whole, count)
        expect([training.size, validation.size]).toEqual([size - count, count])
        for (const part of [training, validation]) {
          expect(part.images.buffer).toBe(whole.images.buffer)
          expect(part.labels.buffer).toBe(whole.labels.buffer)
          expect(part.shape).toEqual(whole.shape)
          expect(part.classes).toEqual(whole.classes)
          expect(part.labels.length).toBe(part.size)
        }
        expect([...training.images, ...validation.images]).toEqual([...whole.images])
        expect([...training.labels, ...validation.labels]).toEqual([...whole.labels])
      }),
      { numRuns: 50 },
    )
  })

  it('splits a part again', () => {
    const { training } = holdOut(dataset(10), 3)
    const { validation } = holdOut(training, 2)
    expect([...validation.labels]).toEqual([1, 0])
    expect([...validation.images]).toEqual(Array.from({ length: 12 }, (_, i) => 30 + i))
  })

  it.each([0, -1, 10, 11, 1.5, NaN, Infinity])('refuses a count of %d of 10', (count) => {
    expect(() => holdOut(dataset(10), count)).toThrow(ShapeError)
    expect(() => holdOut(dataset(10), count)).toThrow(`count is ${count}; it must be a whole number from 1 to 9`)
  })
})

describe('assertSameImages', () => {
  it('accepts other counts of the same images', () => {
    expect(() => {
      assertSameImages(dataset(4), dataset(2))
    }).not.toThrow()
  })

  it('refuses another size, and names the two', () => {
    const act = () => {
      assertSameImages(dataset(4), dataset(4, [1, 3, 2]), { training: 'a.idx', test: 'b.idx' })
    }
    expect(act).toThrow(ShapeError)
    expect(act).toThrow('b.idx: images are (1, 3, 2), those of a.idx are (2, 3, 1); both must have the same')
  })

  it.each([[['odd', 'even']], [['even']], [['even', 'odd', 'none']]])('refuses classes %j', (classes) => {
    const act = () => {
      assertSameImages(dataset(4), { ...dataset(4), classes })
    }
    expect(act).toThrow(ShapeError)
    expect(act).toThrow('test set: the classes')
  })
})

describe('a source that is none', () => {
  it.each<[string, object, RegExp]>([
    ['no shape', { shape: undefined }, /a shape is an array of whole numbers, not undefined/],
    ['a shape of two extents', { shape: [2, 3] }, /must be \(C, H, W\), given \(2, 3\)/],
    ['no size', { size: undefined }, /size must be the number of pictures, given undefined/],
    ['labels of another kind', { labels: [0, 1, 0, 1] }, /labels must be 4 numbers in a Uint8Array or Int32Array/],
    ['fewer labels', { labels: new Uint8Array(3) }, /labels must be 4 numbers/],
    ['fewer pixels', { images: new Uint8Array(23) }, /images must be a Uint8Array of 24 pixels/],
  ])('is refused: %s', (_, changed, message) => {
    const source = { ...dataset(4), ...changed }
    for (const act of [
      () => holdOut(source, 1),
      () => imageRange(source, 0, 1),
      () => {
        assertSameImages(source, dataset(4))
      },
      () => {
        assertSameImages(dataset(4), source)
      },
    ]) {
      expect(act).toThrow(ShapeError)
      expect(act).toThrow(message)
    }
  })
})
