import { beforeAll, describe, expect, it } from 'vitest'
import {
  Conv2d,
  Flatten,
  LeakyReLU,
  Linear,
  MaxPool2d,
  ReLU,
  ReLU6,
  Sequential,
  Softmax,
  Tanh,
} from '../../src/nn/index.js'
import { UnsupportedError } from '../../src/runtime/errors.js'
import { init } from '../../src/runtime/embedded.js'
import { tensor, uniform } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import type { Layer } from '../../src/nn/index.js'
import { linearRegions, regionPicture, type RegionOptions } from '../../src/vision/regions.js'
import { itRefuses } from '../helpers/refusals.js'

beforeAll(() => init())

/** A network of two inputs and a layer whose units are lines w · x + b = 0. */
function lines(rows: readonly (readonly [number, number, number])[], bend: Layer = new ReLU()): Sequential {
  const net = new Sequential([new Linear({ outFeatures: rows.length }), bend, new Linear({ outFeatures: 1 })], {
    input: [2],
    keepPacked: false,
  })
  const state = net.namedState()
  state.get('0.weight')?.assign(rows.flatMap(([a, b]) => [a, b]))
  state.get('0.bias')?.assign(rows.map(([, , c]) => c))
  return net
}

/** n lines in general position cut a plane into 1 + n + n(n − 1)/2 regions. */
const general = [
  [1, 0, 0.03],
  [0, 1, -0.21],
  [1, 1, 0.17],
  [1, -1, 0.11],
  [0.5, 1.3, -0.917],
] as const

describe('linear regions', () => {
  it.each([1, 2, 3, 4, 5])('of %i lines in general position are 1 + n + n(n − 1)/2', (n) => {
    const net = lines(general.slice(0, n))
    const regions = linearRegions(net, { range: [-4, 4], size: 200 })
    expect(regions.count).toBe(1 + n + (n * (n - 1)) / 2)
    expect(regions.units).toBe(n)
    expect(new Set(regions.values).size).toBe(regions.count)
    net.dispose()
  })

  it('lie where the same units are active, with axes as they are drawn', () => {
    const net = lines(general, new LeakyReLU())
    const size = 31
    const { values, shape } = linearRegions(net, { range: [-1, 2], size, batchSize: 50 })
    expect(shape).toEqual([size, size])
    const numbers = new Map<string, number>()
    for (let i = 0; i < size * size; i++) {
      const [s, t] = [-1 + (3 * (i % size)) / (size - 1), 2 - (3 * Math.floor(i / size)) / (size - 1)]
      const pattern = general.map(([a, b, c]) => Number(Math.fround(a) * s + Math.fround(b) * t + c > 0)).join('')
      const known = numbers.get(pattern) ?? numbers.size
      numbers.set(pattern, known)
      expect(values[i]).toBe(known)
    }
    net.dispose()
  })

  it('are bent by a second layer: |x| folds a line into two', () => {
    // Units x and −x give |x|; its line |x| = 1/2 is two lines, which with x = 0 make four strips.
    const net = new Sequential(
      [new Linear({ outFeatures: 2 }), new ReLU(), new Linear({ outFeatures: 1 }), new ReLU()],
      {
        input: [2],
      },
    )
    const state = net.namedState()
    state.get('0.weight')?.assign([1, 0, -1, 0])
    state.get('2.weight')?.assign([1, 1])
    state.get('2.bias')?.assign([-0.5])
    expect(linearRegions(net, { size: 100 }).count).toBe(4)
    expect(linearRegions(net, { size: 100, layers: ['1'] })).toMatchObject({ count: 2, units: 2 })
    expect(linearRegions(net, { size: 100, layers: ['3'] })).toMatchObject({ count: 2, units: 1 })
    net.dispose()
  })

  it('of ReLU6 have two bends to a unit, and of max pooling the place of the maximum', () => {
    const six = lines([[10, 0, 0]], new ReLU6())
    expect(linearRegions(six, { size: 50 }).count).toBe(3)
    six.dispose()
    // The largest of x, y, −x and −y: four sectors.
    const pool = new Sequential(
      [new Conv2d({ outChannels: 1, kernel: 1 }), new MaxPool2d({ kernel: 2 }), new Flatten()],
      {
        input: [1, 2, 2],
      },
    )
    pool.namedState().get('0.weight')?.assign([1])
    scope(() => {
      const at = (s: number, t: number): Tensor => tensor([s, t, -s, -t], [1, 2, 2])
      const plane = [at(0, 0), at(1, 0), at(0, 1)] as const
      expect(linearRegions(pool, { plane, size: 64 })).toMatchObject({ count: 4, units: 1 })
    })
    pool.dispose()
  })

  it('of a plane through three pictures are those of the plane’s own two numbers', () => {
    scope(() => {
      const net = new Sequential(
        [new Conv2d({ outChannels: 4, kernel: 3 }), new ReLU(), new Flatten(), new Linear({ outFeatures: 10 }), new ReLU(), new Linear({ outFeatures: 3 }), new Softmax()],
        { input: [1, 5, 5], seed: 4 },
      ) // prettier-ignore
      const plane = [1, 2, 3].map((seed) => uniform([1, 5, 5], { seed, low: -1 })) as [Tensor, Tensor, Tensor]
      const [a, b, c] = plane.map((point) => point.data()) as [Float32Array, Float32Array, Float32Array]
      const size = 24
      const { values, count, units } = linearRegions(net, { plane, size, range: [-0.5, 1.5] })
      expect(units).toBe(4 * 9 + 10)
      const numbers = new Map<string, number>()
      for (let i = 0; i < size * size; i++) {
        const [s, t] = [
          -0.5 + (2 * (i % size)) / (size - 1),
          -0.5 + (2 * (size - 1 - Math.floor(i / size))) / (size - 1),
        ]
        const x = tensor(a.map((from, n) => from + s * (b[n]! - from) + t * (c[n]! - from)), [1, 1, 5, 5]) // prettier-ignore
        const outputs = net.run(x, ['0', '3'])
        const pattern = ['0', '3'].map((name) => outputs[name]!.data().map((value) => Number(value > 0)).join('')).join('') // prettier-ignore
        const known = numbers.get(pattern) ?? numbers.size
        numbers.set(pattern, known)
        expect(values[i]).toBe(known)
      }
      expect(count).toBe(numbers.size)
      expect(count).toBeGreaterThan(20)
      net.dispose()
    })
  })

  it('of a linear model are one; of one with a tanh none can be told', () => {
    const linear = new Sequential([new Linear({ outFeatures: 3 }), new Softmax({ inLoss: true })], { input: [2] })
    expect(linearRegions(linear, { size: 8 })).toMatchObject({ count: 1, units: 0 })
    linear.dispose()
    const curved = lines(general, new Tanh())
    expect(() => linearRegions(curved)).toThrow(UnsupportedError)
    expect(() => linearRegions(curved)).toThrow(/layer '1', tanh, is not piecewise linear/)
    curved.dispose()
  })

  it('become a picture of as many colours', () => {
    const net = lines(general)
    const regions = linearRegions(net, { range: [-4, 4], size: 60 })
    const { width, height, data } = regionPicture(regions, 2)
    expect([width, height]).toEqual([120, 120])
    const colours = new Set(Array.from({ length: 120 * 120 }, (_, i) => data.slice(4 * i, 4 * i + 4).join()))
    expect(colours.size).toBe(regions.count)
    net.dispose()
  })

  let made: Sequential | undefined
  const net = (): Sequential => (made ??= lines(general))
  let images: Sequential | undefined
  const ofPictures = (): Sequential =>
    (images ??= new Sequential([new Conv2d({ outChannels: 1, kernel: 2 }), new ReLU()], {
      input: [1, 3, 3],
      keepPacked: false,
    }))
  const call = (options: unknown): unknown => linearRegions(net(), options as RegionOptions)
  itRefuses(
    ['size', () => call({ size: 1 }), /linearRegions: size must be a whole number from 2 to 1024/],
    ['range', () => call({ range: [1, 1] }), /range must be two finite numbers in ascending order/],
    ['layer', () => call({ layers: ['0'] }), /layer '0', fc\(5\), does not bend/],
    ['name of a layer', () => call({ layers: ['9'] }), /there is no layer '9'/],
    ['plane', () => call({ plane: [1, 2] }), /plane must be three inputs of the model/],
    [
      'point',
      () => call({ plane: [tensor([0, 0]), tensor([1, 0]), tensor([1, 2, 3])] }),
      /point 2 of the plane must be \(2\), given \(3\)/,
    ],
    ['missing plane', () => linearRegions(ofPictures()), /the model takes \(1, 3, 3\), so plane is needed/],
    ['option', () => call({ zoom: 3 }), /there is no option 'zoom'/],
  )
})
