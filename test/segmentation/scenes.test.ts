/** Scenes of digits, and label maps as examples, at full resolution and coarser. */
import { beforeAll, describe, expect, it } from 'vitest'
import { coarseLabels, digitScenes, pixelExamples } from '../../src/segmentation/index.js'
import { init } from '../../src/runtime/embedded.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { ArgumentError, ShapeError } from '../../src/runtime/errors.js'
import { scope } from '../../src/tensor/tensor.js'
import { digits } from './digits.js'

beforeAll(() => init())

const options = { count: 8, size: 40, digits: [2, 3], digitSize: [9, 12], clutter: 3, seed: 5 } as const

describe('scenes of digits', () => {
  it('have a label for every pixel, ink that is brighter than the ground, and both classes', () => {
    const before = memoryUsage().liveBytes
    const { images, labels, size, shape, classes } = digitScenes(digits(), options)
    expect([size, shape, classes]).toEqual([8, [1, 40, 40], ['ground', 'bar', 'ring']])
    expect([images.length, labels.length]).toEqual([8 * 1600, 8 * 1600])
    expect(new Set(labels)).toEqual(new Set([0, 1, 2]))
    const mean = (isInk: boolean): number => {
      const chosen = [...images].filter((_, i) => labels[i]! > 0 === isInk)
      return chosen.reduce((sum, value) => sum + value, 0) / chosen.length
    }
    expect(mean(true)).toBeGreaterThan(mean(false) + 50)
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it('are the same for a seed however many there are, and others for another', () => {
    const all = digitScenes(digits(), options)
    const fewer = digitScenes(digits(), { ...options, count: 3 })
    expect(fewer.images).toEqual(all.images.slice(0, 3 * 1600))
    expect(fewer.labels).toEqual(all.labels.slice(0, 3 * 1600))
    expect(digitScenes(digits(), { ...options, seed: 6 }).images).not.toEqual(all.images)
    const scenes = [0, 1, 2].map((n) => all.images.slice(n * 1600, (n + 1) * 1600).join())
    expect(new Set(scenes).size).toBe(3)
  })

  it('have ground alone where pieces are, and as many digits as asked for where there is room', () => {
    const plain = digitScenes(digits(), { ...options, clutter: 0 })
    const cluttered = digitScenes(digits(), { ...options, clutter: 40, digits: 1 })
    const shareOf = (labels: Uint8Array): number => labels.filter((label) => label > 0).length / labels.length
    // Forty pieces add no label: one bar or ring has at most 44 pixels of ink and their edges.
    expect(shareOf(cluttered.labels)).toBeLessThan(80 / 1600)
    expect(shareOf(plain.labels)).toBeGreaterThan(shareOf(cluttered.labels))
  })

  it('hold as many as the options allow at their largest', () => {
    // All random numbers that a scene may need are drawn.
    const { images } = digitScenes(digits(), { count: 1, size: 7, digits: 30, digitSize: 7, clutter: 30, seed: 1 })
    expect(images).toHaveLength(49)
    const wide = digitScenes(digits(), { count: 1, size: 130, digits: [200, 200], digitSize: 8, clutter: 99, seed: 2 })
    expect(new Set(wide.labels).size).toBe(3)
  })

  it('take a picture without ink, of which nothing is drawn', () => {
    const empty = { ...digits(), images: new Uint8Array(6 * 144) }
    const { labels } = digitScenes(empty, options)
    expect(labels.every((label) => label === 0)).toBe(true)
  })

  it.each<[string, object, RegExp]>([
    ['no count', { count: undefined }, /^digitScenes: count must be a whole number from 1 on, given undefined$/],
    ['a size below a piece', { size: 6 }, /^digitScenes: size must be a whole number from 7 to 4096, given 6$/],
    [
      'digits that descend',
      { digits: [3, 2] },
      /^digitScenes: digits must be a whole number from 1 to 1024, or the least/,
    ],
    ['digits beyond the scene', { digitSize: 41 }, /^digitScenes: digitSize must be a whole number from 1 to 40/],
    ['clutter that is none', { clutter: -1 }, /^digitScenes: clutter must be a whole number from 0/],
    ['too many', { count: 1e6 }, /^digitScenes: 1000000 scenes of 40 × 40 pixels are more than/],
    ['an option that there is not', { extent: 40 }, /there is no option 'extent'/],
    ['a seed that is none', { seed: -1 }, /^digitScenes: a seed is a whole number/],
  ])('refuse %s', (_, wrong, message) => {
    expect(() => digitScenes(digits(), { ...options, ...wrong })).toThrow(message)
  })

  it('refuse digits of other kinds', () => {
    const colour = { ...digits(), shape: [3, 4, 12] as const }
    expect(() => digitScenes(colour, options)).toThrow('digitScenes: the pictures must be (1, H, W), given (3, 4, 12)')
    const labels = Uint8Array.of(0, 1, 0, 1, 0, 2)
    expect(() => digitScenes({ ...digits(), labels }, options)).toThrow(
      'digitScenes: label 5 is 2; a label must be a whole number from 0 to 1',
    )
    expect(() => digitScenes({ ...digits(), size: 0 }, options)).toThrow(/has no pictures$/)
  })
})

describe('label maps as examples', () => {
  const scenes = () => digitScenes(digits(), options)

  it('give normalized pictures, and the labels of each in a row', () => {
    const data = scenes()
    const examples = pixelExamples(data, { mean: 0.5, std: 0.25 })
    expect(examples.size).toBe(8)
    scope(() => {
      const { x, target } = examples.batch(Int32Array.of(4, 1))
      expect(x.shape).toEqual([2, 1, 40, 40])
      expect(x.data()[7]).toBeCloseTo((data.images[4 * 1600 + 7]! / 255 - 0.5) / 0.25, 4)
      expect([...target]).toEqual([...data.labels.slice(4 * 1600, 5 * 1600), ...data.labels.slice(1600, 3200)])
    })
  })

  it('are coarser by majority, the smallest of equals', () => {
    const map = Uint8Array.of(1, 1, 2, 2, 3, 1, 0, 2, 0, 0, 5, 5, 4, 4, 0, 0)
    expect([...coarseLabels(map, [4, 4], 2)]).toEqual([1, 2, 0, 0])
    expect([...coarseLabels(map, [4, 4], 1)]).toEqual([...map])
    expect([...coarseLabels(map, [2, 4], 2)]).toEqual([1, 2, 0, 0])
    const data = scenes()
    const examples = pixelExamples(data, { mean: 0, std: 1 }, { factor: 4 })
    const expected = coarseLabels(data.labels, [40, 40], 4)
    scope(() => {
      expect([...examples.batch(Int32Array.of(2)).target]).toEqual([...expected.slice(200, 300)])
    })
  })

  it('refuse maps of another size, and labels that are no class', () => {
    const data = scenes()
    const normalization = { mean: 0.5, std: 0.25 }
    const before = memoryUsage().liveBytes
    const short = { ...data, labels: data.labels.slice(1) }
    expect(() => pixelExamples(short, normalization)).toThrow(ShapeError)
    expect(() => pixelExamples(short, normalization)).toThrow(
      'pixelExamples: the label map must be (8, 40, 40), 12800 labels, given 12799',
    )
    const labels = data.labels.map((label, i) => (i === 12 ? 3 : label))
    expect(() => pixelExamples({ ...data, labels }, normalization)).toThrow(ArgumentError)
    expect(() => pixelExamples({ ...data, labels }, normalization)).toThrow(
      'pixelExamples: label 12 of the map is 3; a label must be a whole number from 0 to 2',
    )
    expect(() => pixelExamples({ ...data, labels }, normalization, { ignoreIndex: 3 })).not.toThrow()
    expect(() => pixelExamples({ ...data, images: data.images.slice(1) }, normalization)).toThrow(
      'pixelExamples: 8 pictures (1, 40, 40) have 12800 pixels, given 12799',
    )
    expect(() => pixelExamples(data, normalization, { factor: 3 })).toThrow(
      'coarseLabels: the factor 3 must divide the size (40, 40) of the label maps',
    )
    expect(() => pixelExamples(data, { mean: 0, std: 0 })).toThrow(/std/)
    expect(() => coarseLabels(data.labels, [40, 39], 1)).toThrow(/are no maps of \(40, 39\)/)
    expect(memoryUsage().liveBytes).toBe(before)
  })
})
