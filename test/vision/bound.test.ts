/** Layers that are bound to the places of a picture, and layers that are linear and no ordinary convolution. */
import { describe, expect, it } from 'vitest'
import {
  Conv2d,
  Flatten,
  init,
  Linear,
  LocallyConnected2d,
  memoryUsage,
  MaxPool2d,
  ReLU,
  Sequential,
  uniform,
  type Layer,
} from '../../src/index.js'
import { PermutePixels, StructuredConv2d } from '../../src/layers/index.js'
import {
  deconvolve,
  heatMap,
  linearRegions,
  mapUnits,
  pictureWeights,
  reverseCorrelation,
} from '../../src/vision/index.js'

await init()

const model = (...layers: Layer[]): Sequential => new Sequential(layers, { input: [1, 6, 6], seed: 2 })
const conv = (): Conv2d => new Conv2d({ outChannels: 3, kernel: 3, padding: 1 })

describe('units of feature maps', () => {
  it('of a model that has not run yet are those of its first weights', () => {
    const fresh = model(conv(), new ReLU())
    const { shape, respond } = mapUnits(fresh, '0')
    const patches = uniform([2, ...shape], { seed: 1 })
    const first = [...respond(patches).data()]
    const again = model(conv(), new ReLU())
    again.forward(uniform([1, 1, 6, 6])).dispose()
    expect(first).toEqual([...mapUnits(again, '0').respond(patches).data()])
  })

  it.each([
    ['shuffled pixels', [new PermutePixels({ seed: 1 }), conv()], '1', /layer '0', permute, belongs to the places/],
    [
      'weights of each place',
      [new LocallyConnected2d({ outChannels: 2, kernel: 3 })],
      '0',
      /'0', local\(3, 2\), belongs/,
    ],
    [
      'no feature maps',
      [conv(), new Flatten(), new Linear({ outFeatures: 2 })],
      '2',
      /layer '2' gives no feature maps/,
    ],
  ] as const)('are refused behind %s', (_, layers, layer, message) => {
    expect(() => mapUnits(model(...layers), layer)).toThrow(message)
  })

  it('are carried back through shuffled pixels and structured kernels, which are linear', () => {
    const layers = [
      new PermutePixels({ seed: 1 }),
      new StructuredConv2d({ outChannels: 2, padding: 'same' }),
      new ReLU(),
    ]
    const own = model(...layers, new MaxPool2d({ kernel: 2 }))
    const x = uniform([1, 1, 6, 6], { seed: 4 })
    expect(deconvolve(own, x, { layer: '3', map: 1 }).values.some((value) => value !== 0)).toBe(true)
    const plane = [5, 6, 7].map((seed) => uniform([1, 6, 6], { seed, low: -1 }))
    expect(linearRegions(own, { plane: plane as never, size: 8 }).count).toBeGreaterThan(1)
  })

  it('have no pictures for weights behind shuffled pixels', () => {
    const own = model(new PermutePixels(), new Flatten(), new Linear({ outFeatures: 2 }))
    expect(() => pictureWeights(own)).toThrow(
      "pictureWeights: layer '0' shuffles the pixels; the weights behind it are no pictures",
    )
  })
})

describe('wrong arguments', () => {
  it('of heat maps: what is no number leaves the picture, and what is no palette is told', () => {
    const ground = { shape: [1, 1, 3], values: [1, 0, 1] }
    const { data } = heatMap(ground, { shape: [1, 3], values: [NaN, 1, 0] })
    expect([...data.subarray(0, 4)]).toEqual([255, 255, 255, 255])
    expect(() => heatMap(ground, { shape: [1, 3], values: [0, 1, 0] }, { palette: 'gray' as never })).toThrow(
      /^heatMap: palette must be a function/,
    )
  })

  it('of reverse correlation are told before anything is made, and nothing stays', () => {
    const { liveBytes } = memoryUsage()
    const respond = (x: ReturnType<typeof uniform>) => x
    expect(() => reverseCorrelation(respond, { shape: [3], count: 4, std: 1e-200 })).toThrow(
      /std must be from 1e-30 to 1e\+?30/,
    )
    expect(() => reverseCorrelation(respond, { shape: [70_000], count: 2 })).toThrow(/^reverseCorrelation: /)
    expect(memoryUsage().liveBytes).toBe(liveBytes)
  })
})
