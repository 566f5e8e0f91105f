import { beforeAll, describe, expect, it } from 'vitest'
import { Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential } from '../../src/nn/index.js'
import { softmax } from '../../src/ops/softmax.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { tensor, uniform } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { activations } from '../../src/vision/activations.js'
import { occlusionMap, type OcclusionOptions } from '../../src/vision/occlusion.js'
import { inputGradient, saliencyMap } from '../../src/vision/saliency.js'
import { itRefuses } from '../helpers/refusals.js'

beforeAll(() => init())

const shape = [2, 7, 6] as const
let made: Sequential | undefined
/** Two channels of 7 × 6 pixels, four classes, no biases; between passes nothing stays, so that what is allocated shows. */
const model = (): Sequential =>
  (made ??= new Sequential(
    [
      new Conv2d({ outChannels: 5, kernel: 3, bias: false }),
      new ReLU(),
      new MaxPool2d({ kernel: 2 }),
      new Flatten(),
      new Linear({ outFeatures: 4, bias: false }),
    ],
    { input: shape, seed: 3, keepPacked: false },
  ))
const picture = (): Tensor => uniform([1, ...shape], { seed: 5, low: -1 })

describe('activations', () => {
  it('are the outputs of the layers one after another', () => {
    scope(() => {
      const x = uniform([3, ...shape], { seed: 1 })
      const found = activations(model(), x)
      expect(found.map(({ layer, output }) => [layer, output.shape])).toEqual([
        ['conv(3, 5)', [3, 5, 5, 4]],
        ['relu', [3, 5, 5, 4]],
        ['pool(2)', [3, 5, 2, 2]],
        ['flatten', [3, 20]],
        ['fc(4)', [3, 4]],
      ])
      expect(found.at(-1)?.output.data()).toEqual(model().forward(x).data())
      const before = found[0]?.output.data() as Float32Array
      expect(found[1]?.output.data()).toEqual(before.map((value) => Math.max(0, value)))
    })
  })
})

/** The definition, one covered picture at a time. */
function naiveOcclusion(x: Tensor, options: Required<OcclusionOptions>): number[] {
  const [C, H, W] = shape
  const { target, size, stride, fill } = options
  const [tall, wide] = size as [number, number]
  const [down, across] = stride as [number, number]
  const of = (values: Float32Array): number =>
    scope(() => softmax(model().forward(tensor(values, [1, ...shape]))).data()[target] as number)
  const whole = of(x.data())
  const drops: number[] = []
  for (let i = 0; i < H; i += down) {
    for (let j = 0; j < W; j += across) {
      const covered = x.data()
      for (let c = 0; c < C; c++) {
        for (let row = 0; row < H; row++) {
          for (let column = 0; column < W; column++) {
            const above = row - (i - Math.floor((tall - 1) / 2))
            const before = column - (j - Math.floor((wide - 1) / 2))
            if (above >= 0 && above < tall && before >= 0 && before < wide) {
              covered[(c * H + row) * W + column] = (fill as number[])[c] as number
            }
          }
        }
      }
      drops.push(whole - of(covered))
    }
  }
  return drops
}

describe('the occlusion map', () => {
  it.each([
    [[3, 3], [1, 1], 64],
    [[2, 5], [1, 2], 7],
    [[1, 1], [3, 2], 1],
    [[4, 2], [2, 5], 3],
    [[20, 20], [3, 3], 64],
  ])('of patches of %j every %j, %i at a time, is its definition', (size, stride, batchSize) => {
    scope(() => {
      const x = picture()
      const options = { target: 2, size, stride, fill: [0.5, -0.25], batchSize }
      const map = occlusionMap(model(), x, options)
      const wanted = naiveOcclusion(x, options)
      expect(map.shape[0] * map.shape[1]).toBe(wanted.length)
      expect(map.shape).toEqual([Math.ceil(7 / (stride[0] as number)), Math.ceil(6 / (stride[1] as number))])
      map.values.forEach((value, i) => expect(value).toBeCloseTo(wanted[i] as number, 6))
      expect(Math.max(...map.values.map(Math.abs))).toBeGreaterThan(0.001)
    })
  })

  it('explains the likeliest class by itself, and takes pictures without a batch', () => {
    scope(() => {
      const x = picture()
      const probabilities = softmax(model().forward(x)).data()
      const best = probabilities.indexOf(Math.max(...probabilities))
      const map = occlusionMap(model(), x.reshape(shape), { size: 3 })
      expect(map).toMatchObject({ target: best, probability: probabilities[best] })
      expect(map).toEqual(
        occlusionMap(model(), x, { size: [3, 3], stride: [1, 1], target: best, fill: 0, batchSize: 64 }),
      )
    })
  })

  it('is flat where nothing changes', () => {
    scope(() => {
      const map = occlusionMap(model(), tensor(new Float32Array(84).fill(0.3), [1, ...shape]), { fill: 0.3 })
      expect([...map.values]).toEqual(new Array(42).fill(0))
    })
  })
})

describe('gradients of scores', () => {
  it('are those of finite differences', () => {
    scope(() => {
      const x = picture()
      const { gradient, target } = inputGradient(model(), x, 1)
      expect([gradient.shape, target]).toEqual([x.shape, 1])
      const score = (values: Float32Array): number =>
        scope(
          () =>
            model()
              .forward(tensor(values, [1, ...shape]))
              .data()[1] as number,
        )
      const slopes = gradient.data()
      for (const i of [0, 9, 23, 40, 61, 83]) {
        const [up, down] = [x.data(), x.data()]
        up[i] = (up[i] as number) + 1e-3
        down[i] = (down[i] as number) - 1e-3
        expect(slopes[i]).toBeCloseTo((score(up) - score(down)) / 2e-3, 2)
      }
    })
  })

  it('make maps of their magnitude', () => {
    scope(() => {
      const x = picture()
      const slopes = inputGradient(model(), x).gradient.data()
      const map = saliencyMap(model(), x)
      expect(map.shape).toEqual([7, 6])
      map.values.forEach((value, i) =>
        expect(value).toBe(Math.max(Math.abs(slopes[i] as number), Math.abs(slopes[i + 42] as number))),
      )
    })
  })

  it('make maps of contributions, which add up to the score', () => {
    scope(() => {
      const x = picture()
      const scores = model().forward(x).data()
      for (const target of [0, 1, 2, 3]) {
        const { values } = saliencyMap(model(), x.reshape(shape), { target, kind: 'contribution' })
        expect(values.reduce((sum, value) => sum + value)).toBeCloseTo(scores[target] as number, 5)
      }
    })
  })
})

describe('pictures of reasons', () => {
  it('leave no memory behind', () => {
    const x = picture()
    const work = (): void => {
      scope(() => {
        activations(model(), x)
      })
      occlusionMap(model(), x)
      saliencyMap(model(), x)
    }
    // Packed weights are kept from their second use on.
    for (let i = 0; i < 3; i++) work()
    const before = memoryUsage().liveBytes
    for (let i = 0; i < 5; i++) work()
    expect(memoryUsage().liveBytes).toBe(before)
    x.dispose()
  })

  const image = (): Tensor => picture()
  itRefuses(
    ['input', () => activations(model(), uniform([1, 2, 7, 7])), /activations: the model takes \(N, 2, 7, 6\)/],
    ['batch', () => occlusionMap(model(), uniform([2, ...shape])), /occlusionMap: expected one picture/],
    ['target', () => occlusionMap(model(), image(), { target: 4 }), /target must be a class from 0 to 3, given 4/],
    ['patch', () => occlusionMap(model(), image(), { size: 0 }), /occlusionMap: size must be whole numbers from 1/],
    ['stride', () => occlusionMap(model(), image(), { stride: [1] }), /stride must be a number or 2 numbers/],
    ['batch size', () => occlusionMap(model(), image(), { batchSize: 0 }), /batchSize must be whole numbers from 1/],
    ['fill', () => occlusionMap(model(), image(), { fill: [1] }), /one for each of the 2 channels, given \[1\]/],
    ['saliency target', () => saliencyMap(model(), image(), { target: -1 }), /target must be a class from 0 to 3/],
    ['kind', () => saliencyMap(model(), image(), { kind: 'loud' as 'magnitude' }), /kind must be 'magnitude' or/],
  )
})
