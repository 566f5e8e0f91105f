/** Data that are made by a seed: what each holds, and that it tells no more than it should. */
import { beforeAll, describe, expect, it } from 'vitest'
import type { ImageDataset } from '../../src/data/dataset.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { joints, movements, movingPictures, solids, type MadeExamples } from '../../src/volumes/index.js'

beforeAll(() => init())

/** Two pictures of 3 × 2: a bright one and a dim one, of different pixels. */
const pictures: ImageDataset = {
  images: Uint8Array.of(255, 0, 255, 255, 0, 0, 0, 51, 0, 51, 51, 51),
  labels: Uint8Array.of(0, 1),
  size: 2,
  shape: [1, 2, 3],
  classes: ['a', 'b'],
}

describe.each([
  ['solids', (count: number, seed: number) => solids({ count, seed, size: 10 }), [1, 10, 10, 10], 5],
  ['movements', (count: number, seed: number) => movements({ count, seed, frames: 20 }), [9, 20], 6],
  [
    'movingPictures',
    (count: number, seed: number) => movingPictures(pictures, { count, seed, frames: 3, size: 8 }),
    [3, 3, 8, 8],
    8,
  ],
] as const)('%s', (_, make, shape, K) => {
  it('are of their seed: the same each time, and the first ones the same however many there are', () => {
    const before = memoryUsage().blocks
    const [all, few, others] = [make(20, 3), make(7, 3), make(20, 4)]
    expect(memoryUsage().blocks).toBe(before)
    expect(all.x).toEqual(make(20, 3).x)
    expect(few.x).toEqual(all.x.subarray(0, few.x.length))
    expect(others.x).not.toEqual(all.x)
  })

  it('have classes in turn, and are examples for fit', () => {
    const data = make(20, 3)
    expect(data.classes).toHaveLength(K)
    expect([...data.labels]).toEqual(Array.from({ length: 20 }, (__, n) => n % K))
    expect(data.shape).toEqual(shape)
    const { x, target } = data.batch(Int32Array.of(4, 9))
    expect(x.shape).toEqual([2, ...shape])
    expect([...target]).toEqual([4 % K, 9 % K])
    const size = data.shape.reduce((product, extent) => product * extent, 1)
    expect(x.data().subarray(0, size)).toEqual(data.x.subarray(4 * size, 5 * size))
    x.dispose()
  })
})

describe('solids', () => {
  let data: MadeExamples
  beforeAll(() => {
    data = solids({ count: 60, size: 24, noise: 0, seed: 2 })
  })
  const volumeOf = (n: number): Float32Array => data.x.subarray(n * 24 ** 3, (n + 1) * 24 ** 3)

  it('are whole within their volume, and of about the same size', () => {
    for (let n = 0; n < 60; n++) {
      const values = volumeOf(n)
      const bright = Math.max(...values)
      expect(bright).toBeGreaterThanOrEqual(0.5)
      const filled = values.reduce((sum, value) => sum + value / bright, 0)
      expect(filled).toBeGreaterThan(150)
      expect(filled).toBeLessThan(3500)
      const border = values.filter((_, i) =>
        [i % 24, Math.floor(i / 24) % 24, Math.floor(i / 576)].some((at) => at % 23 === 0),
      )
      expect(Math.max(...border)).toBe(0)
    }
  })

  it('are what their names say: a torus has a hole, a ball looks alike from everywhere', () => {
    const centreOf = (values: Float32Array): number[] => {
      const sums = [0, 0, 0, 0]
      values.forEach((value, i) => {
        const at = [Math.floor(i / 576), Math.floor(i / 24) % 24, i % 24]
        sums[3]! += value
        at.forEach((place, axis) => (sums[axis]! += value * place))
      })
      return sums.slice(0, 3).map((sum) => sum / sums[3]!)
    }
    for (let n = 0; n < 60; n++) {
      const values = volumeOf(n)
      const kind = data.classes[data.labels[n]!]
      const centre = centreOf(values)
      const [z, y, x] = centre.map(Math.round) as [number, number, number]
      const middle = values[(z * 24 + y) * 24 + x]! / Math.max(...values)
      if (kind === 'torus') expect(middle).toBeLessThan(0.5)
      else expect(middle).toBe(1)
      if (kind !== 'ball') continue
      // Variances along the three axes.
      const spread = [0, 0, 0]
      let mass = 0
      values.forEach((value, i) => {
        mass += value
        ;[Math.floor(i / 576), Math.floor(i / 24) % 24, i % 24].forEach((at, axis) => {
          spread[axis]! += value * (at - centre[axis]!) ** 2
        })
      })
      expect(Math.max(...spread) / Math.min(...spread)).toBeLessThan(1.02)
      expect(spread[0]! / mass).toBeGreaterThan(1)
    }
  })

  it('have noise of the standard deviation that is told', () => {
    const noisy = solids({ count: 5, size: 24, noise: 0.4, seed: 2 }).x
    let squares = 0
    for (let i = 0; i < noisy.length; i++) squares += (noisy[i]! - data.x[i]!) ** 2
    expect(Math.sqrt(squares / noisy.length)).toBeCloseTo(0.4, 2)
  })
})

describe('movingPictures', () => {
  it('move by whole pixels in the direction of the class, and come in again on the other side', () => {
    const data = movingPictures(pictures, { count: 40, frames: 4, size: 6, channels: 1, noise: 0, speed: 2, seed: 5 })
    const steps = [
      [0, 1],
      [1, 1],
      [1, 0],
      [1, -1],
      [0, -1],
      [-1, -1],
      [-1, 0],
      [-1, 1],
    ]
    const speeds = new Set<number>()
    for (let n = 0; n < 40; n++) {
      const [down, across] = steps[data.labels[n]!] as [number, number]
      const frame = (t: number): Float32Array => data.x.subarray((n * 4 + t) * 36, (n * 4 + t + 1) * 36)
      const moved = (by: number): number[] =>
        Array.from({ length: 36 }, (_, i) => {
          const [row, column] = [Math.floor(i / 6) - by * down, (i % 6) - by * across]
          return frame(0)[((row + 60) % 6) * 6 + ((column + 60) % 6)]!
        })
      const by = [1, 2].filter((pixels) => frame(1).every((value, i) => value === moved(pixels)[i]))
      expect(by).toHaveLength(1)
      speeds.add(by[0]!)
      for (const t of [2, 3]) expect([...frame(t)]).toEqual(moved(t * by[0]!))
    }
    expect(speeds).toEqual(new Set([1, 2]))
  })

  it('have colours within 0 to 1, with picture and ground apart in every channel', () => {
    const data = movingPictures(pictures, { count: 30, frames: 2, size: 6, noise: 0, seed: 1 })
    expect(Math.min(...data.x)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...data.x)).toBeLessThanOrEqual(1)
    for (let at = 0; at < data.x.length; at += 36) {
      const values = data.x.subarray(at, at + 36)
      // The dim picture has a fifth of the contrast.
      expect(Math.max(...values) - Math.min(...values)).toBeGreaterThan(0.049)
    }
  })
})

describe('movements', () => {
  it('are angles of nine joints, of knees and elbows never below 0', () => {
    expect(joints).toHaveLength(9)
    const { x, classes } = movements({ count: 60, noise: 0, seed: 1 })
    expect(classes).toEqual(['stand', 'walk', 'run', 'wave', 'squat', 'jump'])
    for (let n = 0; n < 60; n++)
      for (const joint of [2, 3, 6, 7])
        expect(Math.min(...x.subarray((n * 9 + joint) * 45, (n * 9 + joint + 1) * 45))).toBeGreaterThanOrEqual(0)
    expect(Math.max(...x.map(Math.abs))).toBeLessThan(4.5)
  })

  it('of one side are made of either', () => {
    const { x } = movements({ count: 120, noise: 0, seed: 1 })
    const raised = Array.from({ length: 20 }, (_, i) => (x[(3 + 6 * i) * 405]! > 1 ? 'left' : 'right'))
    expect(new Set(raised)).toEqual(new Set(['left', 'right']))
  })
})

describe('bad options', () => {
  it.each<[() => unknown, RegExp]>([
    [() => solids({ count: 0 }), /^solids: count must be a whole number from 1 /],
    [() => solids({ count: 1, size: 4 }), /^solids: size must be a whole number from 10 to 512, given 4/],
    [
      () => solids({ count: 10_000, size: 100 }),
      /^solids: 10000 examples of \(1, 100, 100, 100\) are \d+ numbers; at most/,
    ],
    [() => solids({ count: 1, noise: -1 }), /^solids: noise must be a finite number from 0 on/],
    [() => solids({ count: 1, seed: 0.5 }), /^solids: a seed is a whole number/],
    [() => solids(undefined as never), /^solids: the options are missing/],
    [() => movements({ count: 3, frames: 1 }), /^movements: frames must be a whole number from 2 /],
    [() => movements({ count: 3, frame: 9 } as never), /there is no option 'frame'; did you mean 'frames'/],
    [() => movingPictures(pictures, { count: 3, size: 2 }), /must be grey and at most 2 × 2 pixels, given \(1, 2, 3\)/],
    [() => movingPictures(pictures, { count: 3, channels: 2 as never }), /^movingPictures: channels must be 1 or 3/],
    [() => movingPictures(pictures, { count: 3, size: 9, speed: 5 }), /^movingPictures: speed must be .* from 1 to 4/],
    [() => movingPictures({} as never, { count: 3 }), /^movingPictures: /],
  ])('%s', (call, message) => {
    expect(call).toThrow(ShapeError)
    expect(call).toThrow(message)
  })
})
