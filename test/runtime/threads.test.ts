/** Every family of kernels gives the same bits on one thread and on three, however its items are divided. */
import { createHash } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { vjp } from '../../src/autodiff/vjp.js'
import * as ops from '../../src/ops/index.js'
import { Adagrad, Adam, clipGradNorm, RMSprop, SGD, type Optimizer } from '../../src/optim/index.js'
import { algorithms, type ConvAlgorithm } from '../../src/plan/conv.js'
import { forceChunks, memoryUsage, runtimeInfo } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { UnsupportedError } from '../../src/runtime/errors.js'
import { normal, tensor } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { fit } from '../../src/train/index.js'
import {
  AvgPool2d,
  BatchNorm2d,
  Conv2d,
  Dropout,
  Flatten,
  Linear,
  MaxPool2d,
  ReLU,
  Sequential,
} from '../../src/nn/index.js'
import { convnet } from '../../src/zoo/convnet.js'
import { lenet5 } from '../../src/zoo/lenet5.js'
import { bars, normalization } from '../helpers/bars.js'
import { faultyWorker } from '../helpers/threads.js'
import { byName, problems } from '../operations/convolution.js'
import { dividedCases, everyCase, type MakeCase } from '../operations/index.js'
import { imageExamples } from '../../src/data/images.js'

beforeAll(() => init({ threads: 3 }))
afterEach(() => {
  forceChunks(undefined)
})
afterAll(() => init({ threads: 1 }))

const hash = (values: Float32Array): string => createHash('sha256').update(values).digest('hex')

/** Hashes of the value and of the gradients. */
function bitsOf(make: MakeCase): string[] {
  return scope(() => {
    const made = make()
    if ('numbers' in made) return made.numbers.map((numbers) => hash(Float32Array.from(numbers)))
    const { value, pullback, dispose } = vjp(made.fn, ...made.inputs)
    const gradients = pullback(normal(value.shape, { seed: 3 }))
    dispose()
    return [value, ...gradients].map((result) => hash(result.data()))
  })
}

/** Items of a chunk: one alone, a few that leave remainders, and more than many operations have. */
const divisions = [1, 2, 3, 5, 16]

function expectSameBits(make: MakeCase, repetitions = 1): void {
  const serial = bitsOf(make)
  for (const items of divisions) {
    forceChunks(items)
    for (let repetition = 0; repetition < repetitions; repetition++) expect(bitsOf(make)).toEqual(serial)
  }
}

describe('the same bits as on one thread', () => {
  it('repeats forward passes with the same bits, also after the threads have changed', async () => {
    const model = lenet5({ seed: 1 })
    const x = normal([3, 1, 32, 32], { seed: 1 })
    const answer = (): number[] => scope(() => [...model.forward(x).data()])
    const expected = answer()
    for (const chunk of [1, 5, undefined]) {
      forceChunks(chunk)
      for (let pass = 0; pass < 5; pass++) expect(answer()).toEqual(expected)
      await init({ threads: 2 })
      for (let pass = 0; pass < 5; pass++) expect(answer()).toEqual(expected)
      await init({ threads: 3 })
    }
    for (const owned of [model, x]) owned.dispose()
  })

  it('has threads', () => {
    expect(runtimeInfo().threads).toBe(3)
    expect(runtimeInfo()).not.toHaveProperty('threadsOffBecause')
  })

  // Which thread takes which chunk is not determined, so that a fault may show in one of several repetitions.
  it.each(dividedCases)('%s', (_, make) => {
    expectSameBits(make, 3)
  })

  it.each(everyCase)('%s', (_, __, make) => {
    expectSameBits(make)
  })

  describe.each(Object.keys(algorithms) as ConvAlgorithm[])('of a convolution by %s', (algorithm) => {
    const done: string[] = []

    it.each(Object.entries(problems))('%s', (name, problem) => {
      const make = byName(problem, algorithm)
      try {
        bitsOf(make)
      } catch (error) {
        if (error instanceof UnsupportedError) return
        throw error
      }
      done.push(name)
      expectSameBits(make, 3)
    })

    it('is tried, with a stride where it strides at all', () => {
      expect(done).not.toEqual([])
      const strides = done.some((name) => name.includes('stride'))
      expect(strides).toBe(!['dense', 'winograd', 'winograd2', 'fft'].includes(algorithm))
    })
  })

  it.each<[string, (parameters: Tensor[]) => Optimizer]>([
    ['SGD', (parameters) => new SGD(parameters, { lr: 0.1 })],
    ['momentum', (parameters) => new SGD(parameters, { lr: 0.1, momentum: 0.9 })],
    ['Adam', (parameters) => new Adam(parameters, { lr: 0.1 })],
    ['RMSprop', (parameters) => new RMSprop(parameters, { lr: 0.1 })],
    ['Adagrad', (parameters) => new Adagrad(parameters, { lr: 0.1 })],
  ])('%s', (_, make) => {
    const bits = (): string => {
      const w = normal([1003], { seed: 1 })
      const optimizer = make([w])
      for (let step = 0; step < 3; step++) {
        const { gradients } = clipGradNorm([normal([1003], { seed: 2 + step })], 1)
        optimizer.step(gradients)
      }
      return hash(w.data())
    }
    const serial = bits()
    for (const items of [1, 3, 16]) {
      forceChunks(items)
      expect(bits()).toBe(serial)
    }
  })
})

describe('training', () => {
  type Make = () => Sequential

  /** Hash of the weights and running statistics of a model after 50 steps. */
  async function weightsAfterTraining(threads: number, make: Make): Promise<string> {
    await init({ threads })
    expect(runtimeInfo().threads).toBe(threads)
    const data = bars(48)
    const model = make()
    const optimizer = new SGD(model.parameters(), { lr: 0.02, momentum: 0.9 })
    const larger = {
      ...data,
      shape: [1, 16, 16] as const,
      images: Uint8Array.from({ length: 48 * 256 }, (_, i) => data.images[(i >> 8) * 64 + ((i >> 2) & 63)]!),
    }
    let steps = 0
    await fit(model, imageExamples(larger, normalization), {
      epochs: 25,
      batchSize: 24,
      loss: ops.crossEntropy,
      optimizer,
      seed: 4,
      callbacks: {
        onStep() {
          steps++
        },
      },
    })
    expect(steps).toBe(50)
    const bits = createHash('sha256')
    for (const values of model.namedState().values()) bits.update(values.data())
    model.dispose()
    return bits.digest('hex')
  }

  it.each<[string, Make]>([
    ['the MNIST ConvNet', () => convnet({ input: [1, 16, 16], classes: 2, seed: 5 })],
    [
      'a network with batch normalization and dropout',
      () =>
        new Sequential(
          [
            new Conv2d({ outChannels: 12, kernel: 3, padding: 1 }),
            new BatchNorm2d(),
            new ReLU(),
            new AvgPool2d({ kernel: 2 }),
            new Conv2d({ outChannels: 18, kernel: 3 }),
            new BatchNorm2d(),
            new ReLU(),
            new MaxPool2d({ kernel: 2 }),
            new Dropout({ p: 0.3 }),
            new Flatten(),
            new Linear({ outFeatures: 2 }),
          ],
          { input: [1, 16, 16], seed: 5 },
        ),
    ],
  ])('gives the same weights after 50 steps with 0, 1, 2 and 3 workers: %s', async (_, make) => {
    const serial = await weightsAfterTraining(1, make)
    for (const threads of [2, 3, 4]) expect(await weightsAfterTraining(threads, make)).toBe(serial)
    await init({ threads: 3 })
  })
})

describe('a worker that fails', () => {
  it.each([
    [`throw new Error('no power')`, 'exp_fwd: worker thread 1 failed: no power'],
    [
      'process.exit(1)',
      'exp_fwd: worker thread 1 ended inside the kernel; the result is lost, and another thread is started',
    ],
  ])('is an error of the operation; tensors stay, and the next call is right: %s', async (action, message) => {
    await init({ threads: 1 })
    await init({ threads: 2, createWorker: faultyWorker('exp_fwd', action) })
    forceChunks(16)
    scope(() => {
      const x = normal([1 << 16], { seed: 1 })
      const before = hash(x.data())
      const { blocks } = memoryUsage()
      let failure: unknown
      let began = 0
      for (let attempt = 0; attempt < 500 && failure === undefined; attempt++) {
        began = performance.now()
        try {
          ops.exp(x).dispose()
        } catch (error) {
          failure = error
        }
      }
      expect(performance.now() - began).toBeLessThan(2000)
      expect(failure).toMatchObject({ code: 'WORKER', message })
      expect(memoryUsage().blocks).toBe(blocks)
      expect(hash(x.data())).toBe(before)
      expect(hash(ops.relu(x).data())).toBe(hash(x.data().map((value) => Math.max(0, value))))
    })
    await init({ threads: 1 })
    await init({ threads: 3 })
  })
})

describe('memory', () => {
  it('may grow between jobs', () => {
    forceChunks(64)
    scope(() => {
      const x = normal([4096], { seed: 1 })
      const before = hash(ops.relu(x).data())
      for (let i = 0; i < 6; i++) {
        normal([3 << 20])
        expect(hash(ops.relu(x).data())).toBe(before)
      }
    })
  })

  it('that cannot grow is an error which leaves tensors as they were', () => {
    forceChunks(16)
    scope(() => {
      const x = tensor([1, -2, 3])
      expect(() => normal([1 << 29, 2])).toThrow(/out of memory: 4096\.0 MiB asked for/)
      expect([...ops.relu(x).data()]).toEqual([1, 0, 3])
    })
  })

  it('is copied by data(), so that results can be given to what refuses shared memory', () => {
    expect(tensor([1, 2]).data().buffer).toBeInstanceOf(ArrayBuffer)
  })
})
