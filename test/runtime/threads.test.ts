/** Every family of kernels gives the same bits on one thread and on three, however its items are divided. */
import { createHash } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { vjp } from '../../src/autodiff/vjp.js'
import * as ops from '../../src/ops/index.js'
import { Adagrad, Adam, clipGradNorm, RMSprop, SGD, type Optimizer } from '../../src/optim/index.js'
import { forceChunks, memoryUsage, runtimeInfo } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
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
import { imageExamples } from '../../src/data/images.js'

beforeAll(() => init({ threads: 3 }))
afterEach(() => {
  forceChunks(undefined)
})
afterAll(() => init({ threads: 1 }))

type Operation = (x: Tensor, w: Tensor) => Tensor

/** Name, shape of x, shape of w (for those that take one), and the operation. */
const families: readonly (readonly [string, readonly number[], readonly number[], Operation])[] = [
  ...(['direct', 'gemm', 'winograd', 'winograd2', 'fft'] as const).map(
    (algorithm) =>
      [
        `conv2d 3 × 3, ${algorithm}`,
        [5, 6, 11, 13],
        [7, 6, 3, 3],
        (x: Tensor, w: Tensor) => ops.conv2d(x, w, { padding: 'same', algorithm }),
      ] as const,
  ),
  [
    'conv2d of several large images, winograd',
    [4, 5, 33, 29],
    [9, 5, 3, 3],
    (x, w) => ops.conv2d(x, w, { padding: 1, algorithm: 'winograd' }),
  ],
  ['conv2d 5 × 5, winograd', [4, 4, 9, 10], [6, 4, 5, 5], (x, w) => ops.conv2d(x, w, { algorithm: 'winograd' })],
  [
    'conv2d 7 × 7 of one image, fft',
    [1, 6, 40, 45],
    [65, 6, 7, 7],
    (x, w) => ops.conv2d(x, w, { padding: 3, algorithm: 'fft' }),
  ],
  ['conv2d in groups', [3, 8, 7, 9], [12, 4, 3, 3], (x, w) => ops.conv2d(x, w, { groups: 2, stride: 2, padding: 1 })],
  ['conv2d of one image', [1, 5, 33, 29], [9, 5, 3, 3], (x, w) => ops.conv2d(x, w, { padding: 1, algorithm: 'gemm' })],
  [
    'conv2d of one image, winograd',
    [1, 16, 33, 29],
    [18, 16, 3, 3],
    (x, w) => ops.conv2d(x, w, { padding: 1, algorithm: 'winograd' }),
  ],
  [
    'conv2d over the whole input',
    [6, 3, 5, 4],
    [9, 3, 5, 4],
    (x, w) => ops.conv2d(x, w, { algorithm: 'dense' as never }),
  ],
  ['depthwise', [3, 6, 9, 21], [6, 1, 3, 3], (x, w) => ops.conv2d(x, w, { groups: 6, padding: 1 })],
  ['conv1d', [4, 3, 40], [5, 3, 4], (x, w) => ops.conv1d(x, w, { stride: 3 })],
  ['conv3d', [2, 3, 5, 6, 7], [4, 3, 2, 3, 2], (x, w) => ops.conv3d(x, w, { padding: 1 })],
  ['convTranspose2d', [3, 4, 6, 5], [4, 3, 3, 3], (x, w) => ops.convTranspose2d(x, w, { stride: 2 })],
  ['locallyConnected2d', [3, 2, 6, 5], [4, 4, 3, 2, 3, 3], (x, w) => ops.locallyConnected2d(x, w)],
  ['tiledConv2d', [3, 2, 6, 5], [4, 2, 3, 3, 2, 2], (x, w) => ops.tiledConv2d(x, w)],
  ['linear', [37, 45], [22, 45], (x, w) => ops.linear(x, w)],
  ['linear of two rows', [2, 45], [39, 45], (x, w) => ops.linear(x, w)],
  ['matmul', [41, 23], [23, 50], (x, w) => ops.matmul(x, w)],
  ['maxPool2d', [3, 4, 9, 11], [1], (x) => ops.maxPool2d(x, { kernel: 3, stride: 2, padding: 1 })],
  ['avgPool2d', [3, 4, 9, 11], [1], (x) => ops.avgPool2d(x, { kernel: 3, stride: 2, padding: 1 })],
  ['lpPool2d', [3, 4, 9, 11], [1], (x) => ops.lpPool2d(ops.abs(x), { kernel: 3, stride: 2, p: 3 })],
  ['weightedPool2d', [3, 4, 9, 11], [1], (x) => ops.weightedPool2d(x, { kernel: 3, stride: 2, sigma: 1 })],
  ['adaptiveAvgPool2d', [3, 4, 9, 11], [1], (x) => ops.adaptiveAvgPool2d(x, [4, 5])],
  ['localResponseNorm', [3, 9, 5, 7], [1], (x) => ops.localResponseNorm(x, { size: 5, alpha: 1 })],
  ['batchNorm', [5, 7, 4, 5], [7], (x, w) => ops.batchNorm(x, w, w, { training: true })],
  ['softmax', [19, 23], [1], (x) => ops.softmax(x)],
  ['logSoftmax', [5, 7, 6], [1], (x) => ops.logSoftmax(x, 1)],
  [
    'crossEntropy',
    [33, 10],
    [1],
    (x) =>
      ops.crossEntropy(
        x,
        Array.from({ length: 33 }, (_, i) => i % 10),
      ),
  ],
  [
    'hingeLoss',
    [33, 10],
    [1],
    (x) =>
      ops.hingeLoss(
        x,
        Array.from({ length: 33 }, (_, i) => i % 10),
      ),
  ],
  ['mseLoss', [41, 53], [41, 53], (x, w) => ops.mseLoss(x, w)],
  ['bceWithLogits', [41, 53], [1], (x) => ops.bceWithLogits(x, ops.sigmoid(x))],
  ['sum over rows', [33, 7, 29], [1], (x) => ops.sum(x, 0)],
  ['sum over channels', [13, 17, 11], [1], (x) => ops.sum(x, [0, 2])],
  ['max', [13, 17, 11], [1], (x) => ops.max(x, 1)],
  ['broadcasting', [13, 17, 11], [17, 1], (x, w) => ops.mul(ops.add(x, w), 3)],
  ['div', [13, 17, 11], [13, 17, 11], (x, w) => ops.div(x, w)],
  ['transpose', [13, 17, 11], [1], (x) => ops.transpose(x, [2, 0, 1])],
  [
    'pad',
    [3, 4, 7, 9],
    [1],
    (x) =>
      ops.pad(
        x,
        [
          [0, 0],
          [0, 0],
          [2, 3],
          [1, 2],
        ],
        { mode: 'reflect' },
      ),
  ],
  ['upsample2d', [3, 4, 7, 9], [1], (x) => ops.upsample2d(x, { scale: 2, mode: 'bilinear' })],
  ['dropout', [13, 17, 11], [1], (x) => ops.dropout(x, { p: 0.4, seed: 3 })],
  ...(
    ['relu', 'elu', 'gelu', 'silu', 'sigmoid', 'tanh', 'scaledTanh', 'softplus', 'exp', 'abs', 'square'] as const
  ).map((name) => [name, [1003], [1], (x: Tensor) => ops[name](x)] as const),
  ['clamp', [1003], [1], (x) => ops.clamp(x, { min: -0.5, max: 0.5 })],
  ['pow', [1003], [1], (x) => ops.pow(ops.abs(x), 1.3)],
]

const hash = (values: Float32Array): string => createHash('sha256').update(values).digest('hex')

/** Hashes of the value and of the gradients. */
function bitsOf([, xShape, wShape, operation]: (typeof families)[number]): string[] {
  return scope(() => {
    const { value, pullback, dispose } = vjp(
      (x, w) => operation(x, w),
      normal(xShape, { seed: 1 }),
      normal(wShape, { seed: 2 }),
    )
    const gradients = pullback(normal(value.shape, { seed: 3 }))
    dispose()
    return [value, ...gradients].map((result) => hash(result.data()))
  })
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

  it.each(families)('%s', (...family) => {
    const serial = bitsOf(family)
    for (const items of [1, 3, 16]) {
      forceChunks(items)
      for (let repetition = 0; repetition < 3; repetition++) expect(bitsOf(family)).toEqual(serial)
    }
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
  it('is an error of the operation, with the reason; tensors stay, and the next call is right', async () => {
    await init({ threads: 1 })
    await init({ threads: 2, createWorker: faultyWorker('exp_fwd', `throw new Error('no power')`) })
    forceChunks(16)
    scope(() => {
      const x = normal([1 << 16], { seed: 1 })
      const before = hash(x.data())
      const { blocks } = memoryUsage()
      let failure: unknown
      for (let attempt = 0; attempt < 500 && failure === undefined; attempt++) {
        try {
          ops.exp(x).dispose()
        } catch (error) {
          failure = error
        }
      }
      expect(failure).toMatchObject({ code: 'WORKER', message: 'exp_fwd: worker thread 1 failed: no power' })
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
