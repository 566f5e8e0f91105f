import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assertSameImages, holdOut, type ImageDataset } from '../../src/data/dataset.js'
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
