/** In the steady state nothing is allocated that was not there before: every step finds what the step before it returned. */
import { beforeAll, describe, expect, it } from 'vitest'
import { valueAndGrad } from '../../src/autodiff/vjp.js'
import { Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential } from '../../src/nn/index.js'
import { conv2d, conv2dInputGrad, conv2dWeightGrad, crossEntropy } from '../../src/ops/index.js'
import { Adam, SGD } from '../../src/optim/index.js'
import { algorithms, algorithmsFor, type ConvAlgorithm } from '../../src/plan/conv.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { normal } from '../../src/tensor/create.js'
import { scope } from '../../src/tensor/tensor.js'

beforeAll(() => init())

/** Runs a few times, then many times more: what is in use, its peak and the memory held stay as they were. */
function staysFlat(step: () => void, times: number): void {
  for (let warmup = 0; warmup < 4; warmup++) step()
  const before = memoryUsage()
  for (let time = 0; time < times; time++) {
    step()
    expect(memoryUsage()).toEqual(before)
  }
}

const problem = {
  ...{ N: 2, groups: 1, flip: false, stride: [1, 1], dilation: [1, 1] },
  ...{ lo: [0, 0], hi: [0, 0] },
}

describe('the steady state', () => {
  it.each(Object.keys(algorithms) as ConvAlgorithm[])('of a convolution by %s', (algorithm) => {
    const [C, K, R, H] = algorithm === 'dense' ? [18, 20, 5, 5] : [18, 20, algorithm === 'winograd2' ? 3 : 5, 21]
    const groups = algorithm === 'depthwise' ? C : 1
    const maps = algorithm === 'depthwise' ? C : K
    const stride = algorithm === 'phases' ? 2 : 1
    const P = Math.floor((H - R) / stride) + 1
    const [x, w, dy] = [
      normal([2, C, H, H], { seed: 1 }),
      normal([maps, C / groups, R, R], { seed: 2 }),
      normal([2, maps, P, P], { seed: 3 }),
    ]
    const strides = { stride: [stride, stride] }
    const shape = { ...problem, ...strides, C, K: maps, groups, input: [H, H], kernel: [R, R], output: [P, P] }
    for (const pass of ['fwd', 'dx', 'dw'] as const) expect(algorithmsFor(shape, pass)).toContain(algorithm)
    // Not in the public list of names.
    const options = { groups, stride, algorithm: algorithm as 'gemm' }
    staysFlat(() => scope(() => void conv2d(x, w, options)), 10)
    staysFlat(() => scope(() => void conv2dInputGrad(w, dy, { inputSize: [H, H], ...options })), 10)
    staysFlat(() => scope(() => void conv2dWeightGrad(x, dy, { kernel: [R, R], ...options })), 10)
    for (const owned of [x, w, dy]) owned.dispose()
  })

  const layers = () => [
    new Conv2d({ outChannels: 16, kernel: 5 }),
    new ReLU(),
    new MaxPool2d({ kernel: 2 }),
    new Conv2d({ outChannels: 32, kernel: 3 }),
    new ReLU(),
    new MaxPool2d({ kernel: 2 }),
    new Flatten(),
    new Linear({ outFeatures: 10 }),
  ]

  it.each([true, false])('of a model’s forward passes, keepPacked %s', (keepPacked) => {
    const model = new Sequential(layers(), { input: [1, 20, 20], keepPacked }).eval()
    const x = normal([4, 1, 20, 20], { seed: 1 })
    staysFlat(() => scope(() => void model.forward(x)), 50)
    x.dispose()
    model.dispose()
  })

  it.each([
    ['SGD with momentum', (model: Sequential) => new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 })],
    ['Adam', (model: Sequential) => new Adam(model.parameters(), { lr: 0.001 })],
  ])('of training steps by %s', (_, optimizerOf) => {
    const model = new Sequential(layers(), { input: [1, 20, 20] }).train()
    const optimizer = optimizerOf(model)
    const x = normal([8, 1, 20, 20], { seed: 1 })
    const labels = Int32Array.from({ length: 8 }, (_, index) => index)
    staysFlat(
      () =>
        scope(() => {
          const { gradients } = valueAndGrad(() => crossEntropy(model.forward(x), labels))(...model.parameters())
          optimizer.step(gradients)
        }),
      50,
    )
    x.dispose()
    optimizer.dispose()
    model.dispose()
  })
})
