/** Steps in parts: the sum of their gradients by its definition, what they leave as it is, and what they refuse. */
import { beforeAll, describe, expect, it } from 'vitest'
import { BatchNorm2d, Conv2d, Dropout, Flatten, Linear, ReLU, Sequential } from '../../src/nn/index.js'
import { crossEntropy, mul } from '../../src/ops/index.js'
import { SGD } from '../../src/optim/index.js'
import { init } from '../../src/runtime/embedded.js'
import { normal } from '../../src/tensor/create.js'
import type { Tensor } from '../../src/tensor/tensor.js'
import { fit, type Exchange, type ExchangePart, type FitOptions } from '../../src/train/index.js'
import { movedBuffers, pairwiseMean, partsHere } from '../../src/train/part.js'

let x: Tensor
beforeAll(async () => {
  await init()
  x = normal([labels.length, 1, 6, 6], { seed: 4 })
})

const labels = Array.from({ length: 22 }, (_, n) => n % 3)

function made({ dropout = true } = {}): Sequential {
  const layers = [
    new Conv2d({ outChannels: 3, kernel: 3 }),
    new BatchNorm2d(),
    new ReLU(),
    ...(dropout ? [new Dropout({ p: 0.5 })] : []),
    new Flatten(),
    new Linear({ outFeatures: 3 }),
  ]
  return new Sequential(layers, { input: [1, 6, 6], seed: 2 })
}

async function trained(given: Partial<FitOptions<number[]>>, model = made()): Promise<number[]> {
  const optimizer = new SGD(model.parameters(), { lr: 0.1, momentum: 0.9 })
  await fit(model, { x, y: labels }, { epochs: 2, batchSize: 10, loss: crossEntropy, optimizer, ...given })
  return [...model.namedState().values()].flatMap((tensor) => [...tensor.data()])
}

describe('the pairwise mean', () => {
  const parts = [3, 1, 4, 2, 5, 2, 6].map((weight, n) => ({
    weight,
    values: [Float32Array.from({ length: 4 }, (_, i) => Math.fround(((n * 7 + i * 3) % 11) / 7 - 0.6))],
  }))

  it.each([1, 2, 3, 5, 7])('of %i parts is the sum of products over the sum of weights', (count) => {
    const used = parts.slice(0, count)
    const total = used.reduce((sum, { weight }) => sum + weight, 0)
    const [mean] = pairwiseMean(used)
    for (let i = 0; i < 4; i++) {
      const wanted = used.reduce((sum, { weight, values }) => sum + weight * values[0]![i]!, 0) / total
      expect(mean![i]).toBeCloseTo(wanted, 6)
    }
  })

  it('adds in the order ((0 + 1) + (2 + 3)) + 4, to the bit', () => {
    const g = [2 ** 24, 1, 1, 1, -(2 ** 24)]
    const used = g.map((value) => ({ weight: 1, values: [Float32Array.of(value)] }))
    const f = Math.fround
    expect(pairwiseMean(used)[0]![0]).toBe(f(f(f(f(g[0]! + g[1]!) + f(g[2]! + g[3]!)) + g[4]!) / 5))
  })

  it.each([1, 2, 3, 4, 6, 8, 9])(
    'of %i parts has the bits of products and sums that are rounded one by one',
    (count) => {
      const values = normal([count, 40], { seed: 3 }).data()
      const used = Array.from({ length: count }, (_, n) => ({
        weight: n % 3 === 1 ? 0.1 + n : 1 + n,
        values: [values.slice(40 * n, 40 * (n + 1))],
      }))
      const total = used.reduce((sum, { weight }) => sum + weight, 0)
      /** The sum of element i over a list of parts: that of the largest power of two below their number, and that of the others. */
      const sumOf = (i: number, list: typeof used): number => {
        if (list.length === 1) return Math.fround(list[0]!.values[0]![i]! * list[0]!.weight)
        const half = 2 ** Math.ceil(Math.log2(list.length) - 1)
        return Math.fround(sumOf(i, list.slice(0, half)) + sumOf(i, list.slice(half)))
      }
      const wanted = Array.from({ length: 40 }, (_, i) =>
        count === 1 ? used[0]!.values[0]![i]! : Math.fround(sumOf(i, used) / total),
      )
      expect([...pairwiseMean(used)[0]!]).toEqual(wanted)
    },
  )

  it('leaves statistics that no part moves as they are', () => {
    const before = [Float32Array.of(0.1, 0.7, 1 / 3)]
    const part = { examples: 3, loss: 0, metrics: {}, gradients: [], buffers: before }
    expect(movedBuffers(before, [part, { ...part, examples: 4 }])).toEqual(before)
  })
})

describe('a step in parts', () => {
  it('of one part is the step of the whole batch, to the bit', async () => {
    expect(await trained({ parts: 1 })).toEqual(await trained({}))
  })

  it('is nearly that of the whole batch, where nothing in a pass depends on the others of its batch', async () => {
    const model = (): Sequential =>
      new Sequential([new Flatten(), new Linear({ outFeatures: 3 })], { input: [1, 6, 6], seed: 2 })
    const [whole, parts] = [await trained({}, model()), await trained({ parts: 4 }, model())]
    parts.forEach((value, i) => expect(value).toBeCloseTo(whole[i]!, 5))
  })

  it('has the same bits where an exchange computes the parts, in whatever order they come', async () => {
    const steps: number[] = []
    const exchange = (own: Sequential): Exchange => ({
      openExchange({ parameters, seed }) {
        expect(parameters).toEqual([...own.namedParameters().keys()])
        const here = partsHere(own, own.parameters(), { loss: crossEntropy, metrics: {}, seed })
        return Promise.resolve({
          close: () => here.close(),
          async step(parts: readonly ExchangePart[]) {
            // Tensors last until the first await.
            const reversed = [...parts].reverse().map((part) => here.step([part]))
            const outcomes = (await Promise.all(reversed)).flat().reverse()
            steps.push(parts.length)
            return outcomes
          },
        })
      },
    })
    const model = made()
    expect(await trained({ parts: 4, exchange: exchange(model) }, model)).toEqual(await trained({ parts: 4 }))
    // Of 10 in parts of 3: 3 + 3 + 3 + 1. The last batch of an epoch has 2 of 22.
    expect(steps).toEqual([4, 4, 1, 4, 4, 1])
  })

  it('leaves labels out that the loss ignores, a part of nothing else included', async () => {
    const y = labels.map((label, n) => (n % 2 === 0 ? label : -1))
    const model = (): Sequential =>
      new Sequential([new Flatten(), new Linear({ outFeatures: 3 })], { input: [1, 6, 6], seed: 2 })
    const run = async (given: Partial<FitOptions<number[]>>): Promise<number[]> => {
      const own = model()
      const optimizer = new SGD(own.parameters(), { lr: 0.1 })
      const loss: FitOptions<number[]>['loss'] = (o, t) => crossEntropy(o, t, { ignoreIndex: -1 })
      await fit(own, { x, y }, { epochs: 1, batchSize: 22, loss, optimizer, ...given })
      return own.parameters().flatMap((tensor) => [...tensor.data()])
    }
    const [whole, parts] = [await run({}), await run({ parts: 22 })]
    parts.forEach((value, i) => expect(value).toBeCloseTo(whole[i]!, 5))
  })

  it('leaves weights and statistics as they were where a part gives no number', async () => {
    const model = made({ dropout: false })
    const before = [...model.namedState().values()].map((tensor) => tensor.data())
    let calls = 0
    const loss: FitOptions<number[]>['loss'] = (o, t) => {
      const value = crossEntropy(o, t)
      // The first calls check that the loss is a mean.
      return ++calls === 4 ? mul(mul(value, 1e38), 1e38) : value
    }
    await expect(trained({ parts: 2, loss }, model)).rejects.toThrow(
      /^the loss became Infinity at step 1 .*the weights are those before the step/,
    )
    expect([...model.namedState().values()].map((tensor) => tensor.data())).toEqual(before)
  })

  it('refuses what contradicts itself, and parts that batch normalization cannot take', async () => {
    await expect(trained({ parts: 2, accumulate: 2 })).rejects.toThrow('fit: accumulate and parts both divide a batch')
    await expect(trained({ parts: 0 })).rejects.toThrow('fit: parts must be a whole number from 1 on')
    await expect(trained({ exchange: {} as Exchange })).rejects.toThrow('fit: exchange')
    const sum: FitOptions<number[]>['loss'] = (o, t) => crossEntropy(o, t, { reduction: 'sum' })
    await expect(trained({ parts: 2, loss: sum })).rejects.toThrow('needs a mean')
  })
})
