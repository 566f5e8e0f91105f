import { expect, it } from 'vitest'
import {
  augmentationStream,
  dropoutStream,
  sceneStream,
  searchStream,
  shuffleStream,
} from '../../src/tensor/streams.js'

it('no two users of a seed share a stream of it, from the first to the last that each may have', () => {
  const last = 2 ** 29
  const ranges = [
    ['parameters', 0, 0xffff],
    ['shuffle', shuffleStream(0), shuffleStream(last)],
    ['search', searchStream(0), searchStream(last)],
    ['scenes', sceneStream(0), sceneStream(2 ** 28 - 1)],
    ['augmentation', augmentationStream(0), augmentationStream(2 ** 30 - 1)],
    ['dropout', dropoutStream(0), dropoutStream(2 ** 30 - 1)],
  ] as const
  ranges.forEach(([name, from, to], i) => {
    const [next, start] = ranges[i + 1] ?? ['the end', 2 ** 32]
    expect(to, `${name} before ${next}`).toBeLessThan(start)
    expect(from).toBeLessThan(to)
  })
  expect(augmentationStream(2 ** 30)).toBe(augmentationStream(0))
  expect(dropoutStream(2 ** 32 + 5)).toBe(dropoutStream(5))
})
