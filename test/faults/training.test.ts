/** Training that fails, is broken off or stopped leaves nothing behind, and what it was given as it was. */
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Dropout, Flatten, Layer, Linear, Sequential } from '../../src/nn/index.js'
import { add, crossEntropy, mul, relu } from '../../src/ops/index.js'
import { SGD } from '../../src/optim/index.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { normal, ones, tensor } from '../../src/tensor/create.js'
import type { Tensor } from '../../src/tensor/tensor.js'
import {
  batches,
  evaluate,
  fit,
  gridSearch,
  randomSearch,
  type DistantExamples,
  type Examples,
  type FitOptions,
} from '../../src/train/index.js'
import { examples, options } from '../helpers/bars.js'
import { bitsOf, consumed, faults, initWithFaults, withFaults, type Fault } from '../helpers/faults.js'

beforeAll(() => initWithFaults())

let before: object
const usage = (): object => {
  const { liveBytes, blocks } = memoryUsage()
  return { liveBytes, blocks }
}
beforeEach(() => {
  before = usage()
})
afterEach(() => {
  expect(usage()).toEqual(before)
})

const boom = (): never => {
  throw new Error('boom')
}

const make = (): { model: Sequential; optimizer: SGD; dispose: () => void } => {
  const layers = [
    new Flatten(),
    new Linear({ outFeatures: 6 }),
    new Dropout({ p: 0.2 }),
    new Linear({ outFeatures: 2 }),
  ]
  const model = new Sequential(layers, { input: [1, 8, 8], seed: 1 })
  const optimizer = new SGD(model.parameters(), { lr: 0.05, momentum: 0.9 })
  const dispose = (): void => {
    for (const owned of [model, optimizer]) owned.dispose()
  }
  return { model, optimizer, dispose }
}

/** Two steps and a validation, with everything that fit does. */
const whole = (optimizer: SGD): FitOptions<Int32Array> =>
  options(optimizer, { epochs: 1, batchSize: 6, accumulate: 2, clipNorm: 0.1, validation: examples(4) })

describe('fit', () => {
  it.each(faults)('leaves nothing where an allocation or a kernel fails: %s', async (fault: Fault) => {
    const { model, optimizer, dispose } = make()
    const initial = [model.save(), optimizer.state()] as const
    const run = async (): Promise<number[]> => {
      model.load(initial[0])
      optimizer.loadState(initial[1])
      const { steps } = await fit(model, examples(10), whole(optimizer))
      return bitsOf([...steps.map(({ loss }) => loss), ...model.parameters().flatMap((w) => [...w.data()])])
    }
    const expected = await run()
    const { chances } = await withFaults(fault, -1, run)
    expect(chances).toBeGreaterThan(20)
    // One after another would take minutes: every seventh, and the ends.
    for (let index = 0; index < chances; index += index < 5 || index > chances - 8 ? 1 : 7) {
      const inside = usage()
      const { thrown, injected, chances: met } = await withFaults(fault, index, run)
      if (met <= index) {
        // Kernels are asked for their workspace when a problem is new: a run has some calls more or fewer than the one before.
        expect(thrown).toBeUndefined()
        expect(index, fault).toBeGreaterThan(0.9 * chances)
        break
      }
      expect(thrown, `${fault} ${index}`).toBe(injected)
      expect(usage(), `${fault} ${index}`).toEqual(inside)
      expect(model.training).toBe(false)
    }
    expect(await run()).toEqual(expected)
    dispose()
  })

  it.each<[string, (more: { tensors: Tensor[] }) => Partial<FitOptions<Int32Array>>]>([
    ['the loss', () => ({ loss: (output, target) => (crossEntropy(output, target), boom()) })],
    ['a metric', () => ({ metrics: { boom: (output) => (relu(output), boom()) } })],
    ['a schedule', () => ({ schedule: boom })],
    ['a callback after a step', () => ({ callbacks: { onStep: boom } })],
    ['a callback after an epoch', () => ({ callbacks: { onEpoch: boom } })],
    ['validation', () => ({ validation: { size: 2, batch: () => (ones([3]), boom()) } })],
    ['examples that are read', () => ({ validation: { size: 2, read: () => Promise.reject(new Error('boom')) } })],
  ])('leaves nothing where %s throws', async (_, more) => {
    const { model, optimizer, dispose } = make()
    const inside = usage()
    const run = fit(model, examples(10), { ...whole(optimizer), ...more({ tensors: [] }) })
    await expect(run).rejects.toThrow('boom')
    expect(usage()).toEqual(inside)
    expect(model.training).toBe(false)
    dispose()
  })

  it('leaves nothing when its iteration is broken off', async () => {
    const { model, optimizer, dispose } = make()
    const inside = usage()
    for await (const event of fit(model, examples(20), whole(optimizer))) if (event.type === 'step') break
    expect(usage()).toEqual(inside)
    expect(model.training).toBe(false)
    dispose()
  })

  it('does not own what the examples and the loss keep', async () => {
    const { model, optimizer, dispose } = make()
    const [x, target, zero] = [normal([4, 1, 8, 8], { seed: 1 }), tensor([0, 1, 0, 1]), tensor(0)]
    const data: Examples<Tensor> = { size: 4, batch: () => ({ x, target }) }
    const settings = { batchSize: 4, loss: crossEntropy }
    await fit(model, data, { ...settings, epochs: 3, optimizer })
    await fit(model, data, { ...settings, epochs: 1, optimizer, loss: () => zero })
    await evaluate(model, data, { ...settings, loss: () => zero })
    for await (const batch of batches(data, { batchSize: 4 })) expect(batch.x).toBe(x)
    expect([x, target, zero].map(({ disposed }) => disposed)).toEqual([false, false, false])
    for (const owned of [x, target, zero]) owned.dispose()
    dispose()
  })
})

describe('evaluate and batches', () => {
  it('leave nothing where something throws', async () => {
    const { model, dispose } = make()
    const inside = usage()
    const settings = { batchSize: 4, loss: crossEntropy }
    for (const more of [
      { loss: boom },
      { metrics: { boom: (output: Tensor) => (relu(output), boom()) } },
      { onBatch: (output: Tensor) => (relu(output), boom()) },
    ]) {
      await expect(evaluate(model, examples(10), { ...settings, ...more })).rejects.toThrow('boom')
      expect(usage()).toEqual(inside)
    }
    dispose()
  })

  it('free what was made for a batch, its target too, when the next is asked for and at the end', async () => {
    const data: Examples<{ wanted: Tensor; rows: number }> = {
      size: 10,
      batch: (indices) => ({ x: ones([indices.length, 3]), target: { wanted: ones([3]), rows: indices.length } }),
    }
    const seen: Tensor[] = []
    for await (const { x, target } of batches(data, { batchSize: 4 })) {
      expect(seen.every(({ disposed }) => disposed)).toBe(true)
      seen.push(x, target.wanted)
      expect(consumed(add(x, target.wanted))[0]).toHaveLength(x.size)
    }
    expect(seen).toHaveLength(6)
    for await (const { x } of batches(data, { batchSize: 4 })) {
      expect(x.disposed).toBe(false)
      break
    }
    const torn: DistantExamples<number> = {
      size: 4,
      read: (indices) => Promise.resolve({ indices, batch: () => (ones([7]), boom()) }),
    }
    const take = async (): Promise<void> => {
      for await (const { number } of batches(torn, { batchSize: 2 })) expect(number).toBe(-1)
    }
    await expect(take()).rejects.toThrow('boom')
  })
})

describe('searches', () => {
  it('leave nothing where an allocation or a kernel fails', async () => {
    const space = { lr: { low: 0.1, high: 1 } }
    const use = (): Promise<unknown> => randomSearch(({ lr }) => lr as number, { space, trials: 3, rounds: 2 })
    for (const fault of faults) {
      for (let index = 0; ; index++) {
        const { chances, thrown, injected } = await withFaults(fault, index, use)
        if (chances <= index) break
        expect(thrown).toBe(injected)
      }
    }
    await expect(gridSearch(boom, { values: { lr: [1, 2] } })).rejects.toThrow('boom')
  })
})

describe('layers of one’s own', () => {
  abstract class Own extends Layer {
    readonly type = 'Own'
    outputShape = (input: readonly number[]): number[] => [...input]
    describe = (): string => 'own'
  }
  const modelWith = (layer: Layer): Sequential =>
    new Sequential([new Linear({ outFeatures: 3 }), layer, new Linear({ outFeatures: 2 })], { input: [4] })

  it('that throw leave nothing, in every pass', () => {
    class Throwing extends Own {
      forward = (x: Tensor): Tensor => (mul(x, 2), boom())
    }
    const model = modelWith(new Throwing())
    model.parameters()
    const x = ones([2, 4])
    const inside = usage()
    for (let pass = 0; pass < 5; pass++) {
      expect(() => model.forward(x)).toThrow('boom')
      expect(() => model.run(x)).toThrow('boom')
      expect(() => model.forward(x, { training: true })).toThrow('boom')
      expect(usage()).toEqual(inside)
    }
    for (const owned of [model, x]) owned.dispose()
  })

  it('that give something else are told so', () => {
    class Wrong extends Own {
      forward = (): Tensor => [1] as never
    }
    const model = modelWith(new Wrong())
    const x = ones([2, 4])
    expect(() => model.forward(x)).toThrow(/layer 1, own: forward must return a Tensor, not \[1\]/)
    for (const owned of [model, x]) owned.dispose()
  })

  it('keep what is theirs, though they give it', () => {
    const constant = ones([2, 3])
    class Constant extends Own {
      forward = (): Tensor => constant
    }
    const inner = modelWith(new Constant())
    const last = new Sequential([new Linear({ outFeatures: 3 }), new Constant()], { input: [4] })
    const x = ones([2, 4])
    for (let pass = 0; pass < 5; pass++) {
      for (const model of [inner, last]) consumed(model.forward(x), ...Object.values(model.run(x)))
      expect([...constant.data()]).toEqual([1, 1, 1, 1, 1, 1])
    }
    for (const owned of [inner, last, x, constant]) owned.dispose()
  })

  it('whose weights cannot be made are not half made', () => {
    class Heavy extends Own {
      override weights = () => [
        { name: 'a', shape: [3], init: 'zeros' as const },
        { name: 'b', shape: [3], init: { name: 'unknown' as never } },
      ]
      forward = (x: Tensor): Tensor => x
    }
    const model = modelWith(new Heavy())
    const x = ones([2, 4])
    const inside = usage()
    expect(() => model.forward(x)).toThrow(/initializer 'unknown' does not exist/)
    expect(usage()).toEqual(inside)
    expect(model.layers.map(({ built }) => built)).toEqual([false, false, false])
    for (const owned of [model, x]) owned.dispose()
  })
})
