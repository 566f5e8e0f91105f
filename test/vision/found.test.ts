/** Filters found again from noise, weights as pictures, and maps over pictures. */
import { beforeAll, describe, expect, it } from 'vitest'
import { Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential } from '../../src/nn/index.js'
import { relu } from '../../src/ops/activation.js'
import { conv2d } from '../../src/ops/conv.js'
import { slice } from '../../src/ops/layout.js'
import { UnsupportedError } from '../../src/runtime/errors.js'
import { init } from '../../src/runtime/embedded.js'
import { normal, tensor, uniform } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { linearClassifier, twoLayerClassifier, zfnet } from '../../src/zoo/index.js'
import { pictureWeights } from '../../src/vision/firstWeights.js'
import { gabor } from '../../src/vision/gabor.js'
import { heatMap } from '../../src/vision/overlay.js'
import { diverging } from '../../src/vision/palette.js'
import { reverseCorrelation, type ReverseCorrelationOptions } from '../../src/vision/reverseCorrelation.js'
import { mapUnits } from '../../src/vision/units.js'
import { itRefuses } from '../helpers/refusals.js'

beforeAll(() => init())

function correlation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const [x, y] = [Array.from(a), Array.from(b)].map((values) => {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    return values.map((value) => value - mean)
  }) as [number[], number[]]
  const product = (p: number[], q: number[]): number => p.reduce((sum, value, i) => sum + value * (q[i] as number), 0)
  return product(x, y) / Math.sqrt(product(x, x) * product(y, y))
}

describe('reverse correlation', () => {
  it('finds two Gabor functions again behind a rectifier', () => {
    scope(() => {
      const [first, second] = [
        gabor({ size: 11, frequency: 1, tau: 0.6, betaX: 0.08, betaY: 0.08 }),
        gabor({ size: 11, frequency: 0.7, tau: 2.1, phase: 1.2, betaX: 0.06, betaY: 0.1 }),
      ]
      const w = tensor([...first.data(), ...second.data()], [2, 1, 11, 11])
      const respond = (x: Tensor): Tensor => relu(conv2d(x, w)).reshape([x.shape[0] as number, 2])
      const { shape, values } = reverseCorrelation(respond, { shape: [1, 11, 11], count: 8000, seed: 3 })
      expect(shape).toEqual([2, 1, 11, 11])
      const found = [values.slice(0, 121), values.slice(121)] as const
      expect(correlation(found[0], first.data())).toBeGreaterThan(0.95)
      expect(correlation(found[1], second.data())).toBeGreaterThan(0.95)
      expect(Math.abs(correlation(found[0], second.data()))).toBeLessThan(0.3)
    })
  })

  it('gives the weights of a linear response, in their units, whatever its mean', () => {
    scope(() => {
      const w = [0.5, -2, 0, 3]
      const respond = (x: Tensor): Tensor => {
        const values = x.data()
        const N = x.shape[0] as number
        const sums = Array.from({ length: N }, (_, n) =>
          w.reduce((sum, weight, i) => sum + weight * values[n * 4 + i]!, 1e4),
        )
        return tensor(sums)
      }
      const { shape, values } = reverseCorrelation(respond, { shape: [4], count: 20_000, std: 0.5, seed: 1 })
      expect(shape).toEqual([1, 4])
      // The standard error of a weight is about |w| / √count.
      values.forEach((value, i) => expect(Math.abs(value - w[i]!)).toBeLessThan((4 * 3.7) / Math.sqrt(20_000)))
    })
  })

  it('is the mean of noise times response that it says, batch by batch', () => {
    scope(() => {
      const respond = (x: Tensor): Tensor => relu(x).reshape([x.shape[0] as number, 3])
      const { values } = reverseCorrelation(respond, { shape: [3], count: 50, batchSize: 20, seed: 9, std: 2 })
      const x = [20, 20, 10].flatMap((N, stream) => [...normal([N, 3], { std: 2, seed: 9, stream }).data()])
      const mean = (of: (n: number) => number): number => Array.from({ length: 50 }, (_, n) => of(n)).reduce((a, b) => a + b) / 50 // prettier-ignore
      for (let k = 0; k < 3; k++) {
        for (let i = 0; i < 3; i++) {
          const r = (n: number): number => Math.max(0, x[n * 3 + k]!)
          const covariance = mean((n) => r(n) * x[n * 3 + i]!) - mean(r) * mean((n) => x[n * 3 + i]!)
          expect(values[k * 3 + i]).toBeCloseTo(covariance / 4, 5)
        }
      }
    })
  })

  const same = (x: Tensor): Tensor => x.reshape([x.shape[0] as number, 4])
  const call = (options: unknown, respond: unknown = same): unknown =>
    reverseCorrelation(respond as typeof same, options as ReverseCorrelationOptions)
  itRefuses(
    ['count', () => call({ shape: [4], count: 1 }), /count must be a whole number from 2/],
    ['shape', () => call({ shape: [0] }), /reverseCorrelation: shape/],
    ['deviation', () => call({ shape: [4], std: 0 }), /std must be from 1e-30 to 1e30, given 0/],
    ['seed', () => call({ shape: [4], seed: -1 }), /a seed is a whole number/],
    ['response', () => call({ shape: [4] }, () => tensor([1, 2])), /respond must give \(N\) or \(N, K\) for \(256, 4\), it gave \(2\)/],
    ['function', () => call({ shape: [4] }, 3), /respond must be a function from inputs to responses/],
    ['option', () => call({ shape: [4], sigma: 1 }), /there is no option 'sigma'/],
    ['options', () => reverseCorrelation(same, undefined as never), /the options are missing/],
  ) // prettier-ignore
})

describe('the units of feature maps', () => {
  it('respond to patches as the model does at places that see no padding', () => {
    scope(() => {
      const net = new Sequential(
        [
          new Conv2d({ outChannels: 4, kernel: 5, stride: 2, padding: 2, biasInit: { name: 'normal', std: 0.3 } }),
          new ReLU(),
          new MaxPool2d({ kernel: 3, stride: 2, padding: 1 }),
          new Conv2d({ outChannels: 3, kernel: 3, padding: 'same' }),
          new Flatten(),
          new Linear({ outFeatures: 2 }),
        ],
        { input: [2, 45, 41], seed: 5 },
      )
      const x = uniform([1, 2, 45, 41], { seed: 8, low: -1 })
      for (const [layer, row, column, size, stride, offset] of [
        ['0', 5, 7, 5, 2, -2],
        ['2', 4, 3, 9, 4, -4],
        ['3', 5, 4, 17, 4, -8],
      ] as const) {
        const { shape, respond } = mapUnits(net, layer)
        const y = net.run(x, [layer])[layer] as Tensor
        const [, K, P, Q] = y.shape as [number, number, number, number]
        expect(shape).toEqual([2, size, size])
        const [top, left] = [offset + row * stride, offset + column * stride]
        const patch = slice(x, { begin: [0, 0, top, left], end: [1, 2, top + size, left + size] })
        const found = respond(patch)
        expect(found.shape).toEqual([1, K])
        const values = y.data()
        found.data().forEach((value, k) => expect(value).toBeCloseTo(values[(k * P + row) * Q + column] as number, 5))
      }
      net.dispose()
    })
  })

  let made: Sequential | undefined
  const net = (): Sequential =>
    (made ??= new Sequential([new Conv2d({ outChannels: 1, kernel: 3 })], { input: [1, 5, 5], keepPacked: false }))
  itRefuses(
    ['layer', () => mapUnits(net(), 'x'), /mapUnits: there is no layer 'x'/],
    [
      'patch',
      () => mapUnits(net(), '0').respond(uniform([2, 1, 4, 3])),
      /patches must be \(N, 1, 3, 3\), given \(2, 1, 4, 3\)/,
    ],
  )
})

describe('weights that are pictures', () => {
  it('are filters of a first convolution, and templates of linear and two-layer networks', () => {
    scope(() => {
      const nets = [
        [linearClassifier({ input: [3, 8, 8], classes: 4 }), 'templates', [4, 3, 8, 8]],
        [twoLayerClassifier({ input: [1, 6, 5], classes: 4, hidden: 7 }), 'templates', [7, 1, 6, 5]],
        [zfnet({ input: [3, 64, 64], width: 0.1 }), 'filters', undefined],
        [new Sequential([new MaxPool2d({ kernel: 2 }), new Conv2d({ outChannels: 2, kernel: 3 })], { input: [1, 8, 8] }), 'filters', [2, 1, 3, 3]],
      ] as const // prettier-ignore
      for (const [net, kind, shape] of nets) {
        const found = pictureWeights(net)
        const first = [...net.namedState()].find(([, { ndim }]) => ndim > 1)!
        expect(found.kind).toBe(kind)
        expect(found.shape).toEqual(shape ?? first[1].shape)
        expect(found.values).toEqual(first[1].data())
        expect(`${found.name}.weight`).toBe(first[0])
        net.dispose()
      }
    })
  })

  it('are missing where the first weights are no pictures', () => {
    const behind = new Sequential([new MaxPool2d({ kernel: 2 }), new Flatten(), new Linear({ outFeatures: 2 })], {
      input: [1, 8, 8],
    })
    expect(() => pictureWeights(behind)).toThrow(UnsupportedError)
    expect(() => pictureWeights(behind)).toThrow(/the weights \(2, 16\) of layer '2', fc\(2\), are no pictures/)
    behind.dispose()
    const none = new Sequential([new Flatten()], { input: [1, 8, 8] })
    expect(() => pictureWeights(none)).toThrow(/the model has no weights that are pictures/)
    none.dispose()
  })
})

describe('a map over a picture', () => {
  it('covers a grey ground the more the larger its numbers are', () => {
    const picture = { shape: [3, 2, 4], values: Array.from({ length: 24 }, (_, i) => i % 8) }
    const map = { shape: [1, 2], values: [-1, 0.5] }
    const { width, height, data } = heatMap(picture, map, { opacity: 0.5, zoom: 2 })
    expect([width, height]).toEqual([8, 4])
    for (let y = 0; y < 4; y++) {
      for (let x = 0; x < 8; x++) {
        const grey = (255 * (Math.floor(y / 2) * 4 + Math.floor(x / 2))) / 7
        const [value, cover] = x < 4 ? [-1, 0.5] : [0.5, 0.25]
        const wanted = diverging((value + 1) / 2).map((colour) => Math.round((1 - cover) * grey + cover * colour))
        expect([...data.slice((y * 8 + x) * 4, (y * 8 + x) * 4 + 4)]).toEqual([...wanted, 255])
      }
    }
  })

  it('of nothing leaves the ground as it is', () => {
    const picture = { shape: [1, 1, 2], values: [3, 5] }
    expect([...heatMap(picture, { shape: [1, 1], values: [0] }).data]).toEqual([0, 0, 0, 255, 255, 255, 255, 255])
  })

  const picture = (): Tensor => uniform([1, 4, 4])
  const map = { shape: [4, 4], values: new Float32Array(16) }
  itRefuses(
    ['picture', () => heatMap(uniform([2, 4, 4]), map), /expected a picture \(1, H, W\) or \(3, H, W\), given \(2, 4, 4\)/],
    ['map', () => heatMap(picture(), { shape: [5, 4], values: new Float32Array(20) }), /at most 4 × 4 as the picture, given \(5, 4\)/],
    ['opacity', () => heatMap(picture(), map, { opacity: 2 }), /opacity must be from 0 to 1, given 2/],
    ['zoom', () => heatMap(picture(), map, { zoom: 0 }), /zoom must be a whole number/],
    ['option', () => heatMap(picture(), map, { alpha: 1 } as never), /there is no option 'alpha'/],
  ) // prettier-ignore
})
