/** The recurrent convolution of figure 9.17 against its equations, and how its steps share their kernels. */
import { beforeAll, describe, expect, it } from 'vitest'
import { modelFromJSON } from '../../src/nn/index.js'
import { crossEntropy } from '../../src/ops/loss.js'
import { SGD } from '../../src/optim/sgd.js'
import { init } from '../../src/runtime/embedded.js'
import { recurrentConv, scoresOf } from '../../src/segmentation/index.js'
import { normal } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { fit } from '../../src/train/fit.js'
import { gradientErrors } from './parameters.js'

beforeAll(() => init())

const [C, H, W, K, hidden] = [2, 5, 6, 3, 4]
const make = (steps: number, more: object = {}) =>
  recurrentConv({ input: [C, H, W], classes: K, hidden, steps, kernels: [3, 1, 3], seed: 2, ...more })

/** 'Same' cross-correlation of maps (C, H, W) in float64. */
function convolve(x: Float64Array, w: Tensor, bias?: Tensor): Float64Array {
  const [outputs, inputs, R, S] = w.shape as [number, number, number, number]
  const [kernel, offsets] = [w.data(), bias?.data()]
  return Float64Array.from({ length: outputs * H * W }, (_, i) => {
    const [k, row, column] = [Math.floor(i / (H * W)), Math.floor(i / W) % H, i % W]
    let sum = offsets?.[k] ?? 0
    for (let c = 0; c < inputs; c++)
      for (let r = 0; r < R; r++)
        for (let s = 0; s < S; s++) {
          const [y, z] = [row + r - (R - 1) / 2, column + s - (S - 1) / 2]
          if (y < 0 || z < 0 || y >= H || z >= W) continue
          sum += kernel[((k * inputs + c) * R + r) * S + s]! * x[(c * H + y) * W + z]!
        }
    return sum
  })
}

function softmaxOf(scores: Float64Array): Float64Array {
  return scores.map((value, i) => {
    const all = Array.from({ length: K }, (_, k) => scores[k * H * W + (i % (H * W))]!)
    return Math.exp(value) / all.reduce((sum, one) => sum + Math.exp(one), 0)
  })
}

describe('the recurrent convolution', () => {
  it('computes every step as its equations say', () => {
    const model = make(3)
    const named = model.namedParameters()
    expect([...named.keys()]).toEqual(['U.weight', 'U.bias', 'V1.weight', 'V1.bias', 'W2.weight'])
    scope(() => {
      for (const bias of ['U.bias', 'V1.bias'])
        named.get(bias)!.assign(normal(named.get(bias)!.shape, { seed: 5 }).data())
      const x = normal([2, C, H, W], { seed: 1 })
      const values = model.run(x, [1, 2, 3].map(scoresOf))
      for (let n = 0; n < 2; n++) {
        const image = Float64Array.from(x.data().slice(n * C * H * W, (n + 1) * C * H * W))
        const own = convolve(image, named.get('U.weight')!, named.get('U.bias'))
        let back: Float64Array | undefined
        for (let t = 1; t <= 3; t++) {
          const fed = back && convolve(back, named.get('W2.weight')!)
          const maps = own.map((value, i) => Math.max(0, value + (fed?.[i] ?? 0)))
          const scores = convolve(maps, named.get('V1.weight')!, named.get('V1.bias'))
          const found = values[scoresOf(t)]!.data().slice(n * K * H * W, (n + 1) * K * H * W)
          scores.forEach((score, i) => expect(found[i]).toBeCloseTo(score, 4))
          back = softmaxOf(scores)
        }
      }
      expect(model.forward(x).data()).toEqual(values['V3']!.data())
    })
    model.dispose()
  })

  it('has the same weights whatever the number of steps, and goes on with those of another', () => {
    const [three, six] = [make(3), make(6, { seed: 9 })]
    expect(three.summary().total.parameters).toBe(six.summary().total.parameters)
    expect(six.copyFrom(three)).toHaveLength(5)
    scope(() => {
      const x = normal([1, C, H, W], { seed: 1 })
      const wanted = [1, 2, 3].map(scoresOf)
      const [first, second] = [three.run(x, wanted), six.run(x, wanted)]
      for (const name of wanted) expect(second[name]!.data()).toEqual(first[name]!.data())
      expect(six.forward(x).data()).not.toEqual(first['V3']!.data())
    })
    for (const model of [three, six]) model.dispose()
  })

  it('has one gradient through all steps', () => {
    const model = make(3)
    scope(() => {
      const x = normal([1, C, H, W], { seed: 1 })
      for (const error of gradientErrors(model, x, 1e-3)) expect(error).toBeLessThan(1e-2)
    })
    model.dispose()
  })

  it('adds the losses of its steps in training, and is read from its JSON form', async () => {
    const x = normal([2, C, H, W], { seed: 1 })
    const target = Array.from({ length: 2 * H * W }, (_, i) => i % K)
    const lossOf = async (auxiliary: number): Promise<number> => {
      const model = modelFromJSON(JSON.parse(JSON.stringify(make(3, { auxiliary }))))
      const own = make(3)
      model.load(own.save())
      const optimizer = new SGD(model.parameters(), { lr: 0 })
      const data = { size: 2, batch: () => ({ x: scope(() => normal([2, C, H, W], { seed: 1 })), target }) }
      const { steps } = await fit(model, data, { epochs: 1, batchSize: 2, loss: crossEntropy, optimizer })
      for (const one of [model, own, optimizer]) one.dispose()
      return steps[0]!.loss
    }
    const model = make(3)
    const [first, second, third] = scope(() => {
      const values = model.run(x, [1, 2, 3].map(scoresOf))
      return [1, 2, 3].map((t) => crossEntropy(values[scoresOf(t)]!, target).item())
    }) as [number, number, number]
    expect(await lossOf(0)).toBeCloseTo(third, 5)
    expect(await lossOf(0.5)).toBeCloseTo(third + 0.5 * (first + second), 5)
    for (const one of [x, model]) one.dispose()
  })

  it('takes one step, in which nothing is fed back', () => {
    const model = make(1)
    expect(model.nodes.map(({ name }) => name)).toEqual(['U', 'H1', 'V1'])
    model.dispose()
  })

  it('refuses what it cannot be made of', () => {
    expect(() => make(0)).toThrow('recurrentConv: steps must be a whole number from 1 to 1000, given 0')
    expect(() => make(2, { kernels: [3, 2, 3] })).toThrow(/kernels must be three odd numbers from 1 on, of U, V and W/)
    expect(() => make(2, { kernels: 3 })).toThrow(/kernels must be three odd numbers/)
    expect(() => make(2, { auxiliary: -1 })).toThrow(/auxiliary must be a finite number from 0 on/)
    expect(() => make(2, { maps: 3 })).toThrow(/there is no option 'maps'/)
    expect(() => scoresOf(0)).toThrow(/the step must be a whole number from 1/)
    scope(() => {
      const model = make(2)
      const labels = new Array<number>(H * W).fill(K)
      expect(() => crossEntropy(model.forward(normal([1, C, H, W])), labels)).toThrow(/row 0 has the label 3/)
      expect(() => crossEntropy(model.forward(normal([1, C, H, W])), labels.slice(1))).toThrow(
        /target must be 30 labels/,
      )
      model.dispose()
    })
  })
})
