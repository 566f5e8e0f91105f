/**
 * Models that are saved in ONNX's format and read again give what they gave. The two ways have nothing in common but the file;
 * `npm run test:onnx` lets onnxruntime read the same files.
 */
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { valueAndGrad } from '../../../src/autodiff/vjp.js'
import { readOnnx } from '../../../src/formats/onnx.js'
import { loadOnnx, saveOnnx } from '../../../src/models/onnx/index.js'
import { BatchNorm2d, Conv2d, Flatten, Graph, Layer, Linear, ReLU, Sequential, Add } from '../../../src/nn/index.js'
import { conv2d, crossEntropy, dropout, mul } from '../../../src/ops/index.js'
import { SGD } from '../../../src/optim/index.js'
import { memoryUsage } from '../../../src/runtime/core.js'
import { init } from '../../../src/runtime/embedded.js'
import { ArgumentError, UnsupportedError } from '../../../src/runtime/errors.js'
import { full, normal, tensor } from '../../../src/tensor/create.js'
import { scope, type Tensor } from '../../../src/tensor/tensor.js'
import { constant, node, onnx, value } from '../../helpers/onnx.js'
import { layerCases, readModel } from '../../helpers/layers.js'
import { savedCases, unsavedLayers } from '../../onnx/savedCases.js'

beforeAll(() => init())

const models: Graph[] = []
const owned = <M extends Graph>(model: M): M => {
  models.push(model)
  return model
}
afterEach(() => models.splice(0).forEach((model) => model.dispose()))

/** The largest difference, by the largest number. */
function apart(a: Tensor, b: Tensor): number {
  expect(a.shape).toEqual(b.shape)
  const [left, right] = [a.data(), b.data()]
  const most = left.reduce((max, x) => Math.max(max, Math.abs(x)), 0)
  return left.reduce((max, x, i) => Math.max(max, Math.abs(x - (right[i] as number))), 0) / most
}

const shapesOf = (bytes: Uint8Array): unknown => {
  const { inputs, outputs } = readOnnx(bytes, 'the file').graph
  return [inputs, outputs].map((list) => list.map(({ name, type }) => [name, type?.kind === 'tensor' && type.shape]))
}

describe.each([13, 17, 18, 22])('what is saved of opset %i', (opset) => {
  it.each(savedCases.map((each) => [each.name, each] as const))('%s', (_, { make }) => {
    const model = owned(make())
    const bytes = saveOnnx(model, { opset })
    using program = loadOnnx(bytes)
    expect(program.inputs).toEqual([{ name: 'input', dtype: 'float32', shape: ['N', ...(model.input ?? [])] }])
    expect(program.outputs.map(({ name }) => name)).toEqual(model.outputs)
    // Weights keep their names.
    const names = readOnnx(bytes, 'the file').graph.initializers.map(({ name }) => name)
    const used = [...model.namedState().keys()].filter((name) => !/aux/.test(name))
    expect(names).toEqual(expect.arrayContaining(used))
    // Batches that it was not written for.
    for (const batch of [1, 5]) {
      scope(() => {
        const x = normal([batch, ...(model.input ?? [])], { seed: batch })
        expect(apart(model.forward(x), program.forward(x))).toBeLessThanOrEqual(2e-6)
      })
    }
  })
})

describe('models', () => {
  const twoInputs = (): Graph =>
    new Graph(
      [
        { name: 'left', layer: new Conv2d({ outChannels: 2, kernel: 3 }), inputs: 'a' },
        { name: 'right', layer: new Conv2d({ outChannels: 2, kernel: 1 }), inputs: 'b' },
        { name: 'sum', layer: new Add(), inputs: ['left', 'right'] },
        { name: 'flat', layer: new Flatten(), inputs: 'sum' },
      ],
      { inputs: { a: [3, 6, 6], b: [3, 4, 4] }, outputs: ['flat', 'left', 'sum'] },
    )

  it('keep several inputs and outputs', () => {
    const model = owned(twoInputs())
    const bytes = saveOnnx(model)
    expect(shapesOf(bytes)).toEqual([
      [
        ['a', ['N', 3, 6, 6]],
        ['b', ['N', 3, 4, 4]],
      ],
      [
        ['flat', ['N', 32]],
        ['left', ['N', 2, 4, 4]],
        ['sum', ['N', 2, 4, 4]],
      ],
    ])
    using program = loadOnnx(bytes)
    scope(() => {
      const given = { a: normal([2, 3, 6, 6], { seed: 1 }), b: normal([2, 3, 4, 4], { seed: 2 }) }
      const [due, got] = [model.run(given), program.run(given)]
      for (const name of model.outputs) expect(apart(due[name] as Tensor, got[name] as Tensor)).toBe(0)
    })
  })

  it('are told their input where they do not know it', () => {
    const model = owned(new Sequential([new Conv2d({ outChannels: 2, kernel: 3 }), new ReLU()]))
    expect(() => saveOnnx(model)).toThrow(/the input is not known yet; give it/)
    using program = loadOnnx(saveOnnx(model, { input: [3, 5, 5] }))
    expect(program.inputs[0]?.shape).toEqual(['N', 3, 5, 5])
    expect(() => saveOnnx(model, { input: [3, 6, 6] })).toThrow(
      /the model takes 'input' of \(3, 5, 5\), given \(3, 6, 6\)/,
    )
  })

  it('are saved as they are used, whatever their mode is', () => {
    const model = owned(
      new Sequential([new Conv2d({ outChannels: 2, kernel: 3 }), new BatchNorm2d()], { input: [1, 5, 5] }),
    )
    const before = saveOnnx(model)
    model.train()
    expect(saveOnnx(model)).toEqual(before)
    expect(model.training).toBe(true)
  })

  it('of layers of their own are saved by their operations', () => {
    class Halved extends Layer {
      readonly type = 'Halved'
      outputShape(input: readonly number[]): number[] {
        return [...input]
      }
      forward(x: Tensor): Tensor {
        return mul(x, 0.5)
      }
      describe(): string {
        return 'half'
      }
    }
    const model = owned(new Sequential([new Halved(), new ReLU()], { input: [2, 3] }))
    using program = loadOnnx(saveOnnx(model))
    scope(() => {
      const x = normal([3, 2, 3])
      expect(apart(model.forward(x), program.forward(x))).toBe(0)
    })
  })

  it('whose batch decides more than one extent are saved for a batch of 1', () => {
    class Crossed extends Layer {
      readonly type = 'Crossed'
      outputShape(input: readonly number[]): number[] {
        return [...input]
      }
      forward(x: Tensor): Tensor {
        const [N, F] = x.shape as unknown as [number, number]
        return x
          .reshape([N * F, 1])
          .reshape([1, N, F])
          .reshape([N, F])
      }
      describe(): string {
        return 'crossed'
      }
    }
    class Weighted extends Crossed {
      override forward(x: Tensor): Tensor {
        return mul(x, 1 / (x.shape[0] as number))
      }
    }
    const free = owned(new Sequential([new ReLU(), new Crossed()], { input: [3] }))
    expect(shapesOf(saveOnnx(free))).toEqual([[['input', ['N', 3]]], [['1', ['N', 3]]]])
    class Made extends Crossed {
      override forward(x: Tensor): Tensor {
        return mul(x, full([...x.shape], x.shape[0] as number))
      }
    }
    const made = owned(new Sequential([new ReLU(), new Made()], { input: [3] }))
    expect(shapesOf(saveOnnx(made))).toEqual([[['input', [1, 3]]], [['1', [1, 3]]]])
    const fixed = owned(new Sequential([new ReLU(), new Weighted()], { input: [3] }))
    expect(shapesOf(saveOnnx(fixed))).toEqual([[['input', [1, 3]]], [['1', [1, 3]]]])
  })

  it('are refused where an operation has no counterpart, all of them at once', () => {
    class Odd extends Layer {
      readonly type = 'Odd'
      outputShape(input: readonly number[]): number[] {
        return [...input]
      }
      forward(x: Tensor): Tensor {
        return dropout(x, { p: 0.5, seed: 1 })
      }
      describe(): string {
        return 'odd'
      }
    }
    const model = owned(
      new Graph(
        [
          { name: 'first', layer: new Odd() },
          { name: 'second', layer: new Odd() },
        ],
        { inputs: { input: [4] } },
      ),
    )
    const before = memoryUsage().liveBytes
    expect(() => saveOnnx(model)).toThrow(UnsupportedError)
    expect(() => saveOnnx(model)).toThrow(/saveOnnx: 'first': dropout has no counterpart.*; 'second': dropout/)
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it.each(unsavedLayers)('are refused by name where they have a %s', (type) => {
    const { input, options } = layerCases[type]!
    const model = owned(readModel({ type: 'Sequential', input: [...input], layers: [{ ...options, type }] }))
    expect(() => saveOnnx(model)).toThrow(
      /^saveOnnx: '0': clusters has no counterpart in ONNX that is written; '0': clusterSums has no/,
    )
  })

  it('are refused with wrong options, and leave nothing in memory', () => {
    const model = owned(twoInputs())
    model.parameters()
    const before = memoryUsage().liveBytes
    saveOnnx(model)
    expect(memoryUsage().liveBytes).toBe(before)
    for (const opset of [12, 23, 17.5, '17' as unknown as number])
      expect(() => saveOnnx(model, { opset })).toThrow(/opset must be a whole number from 13 to 22/)
    expect(() => saveOnnx(model, { version: 3 } as object)).toThrow(ArgumentError)
    expect(() => saveOnnx(model, { input: [3, 6, 6] })).toThrow(/the model has the inputs a, b; give an object/)
    expect(() => saveOnnx({} as unknown as Parameters<typeof saveOnnx>[0])).toThrow(
      /a Graph, a Sequential or a Program/,
    )
    expect(memoryUsage().liveBytes).toBe(before)
  })
})

describe('programs', () => {
  const file = (shape: (string | number)[] = ['N', 3, 6, 6]): Uint8Array =>
    onnx(
      {
        inputs: [value('image', shape)],
        outputs: [value('logits')],
        initializers: [
          constant(
            'w',
            [4, 3, 3, 3],
            Array.from({ length: 108 }, (_, i) => ((i * 37) % 19) / 40 - 0.2),
          ),
          constant('head', [4, 2], [1, -1, 0.5, 2, -0.5, 1, 0.25, -1]),
          constant('axes', [2], [2n, 3n]),
        ],
        nodes: [
          node('Conv', ['image', 'w'], ['maps']),
          node('Relu', ['maps'], ['active']),
          node('ReduceMean', ['active', 'axes'], ['pooled'], { keepdims: 0n }),
          node('MatMul', ['pooled', 'head'], ['logits']),
        ],
      },
      18,
    )

  it('are saved after training, and give what they give', () => {
    using program = loadOnnx(file())
    const x = normal([4, 3, 6, 6], { seed: 5 })
    const optimizer = new SGD(program.parameters(), { lr: 0.1 })
    const before = program.namedParameters().get('head')?.data()
    for (let step = 0; step < 3; step++) {
      scope(() => {
        const lossOf = valueAndGrad(() => crossEntropy(program.forward(x), [0, 1, 0, 1]))
        optimizer.step(lossOf(...program.parameters()).gradients)
      })
    }
    using again = loadOnnx(saveOnnx(program))
    expect([...again.namedParameters().keys()].sort()).toEqual(['head', 'w'])
    expect(again.namedParameters().get('head')?.data()).not.toEqual(before)
    scope(() => {
      const other = normal([2, 3, 6, 6], { seed: 6 })
      expect(apart(program.forward(other), again.forward(other))).toBeLessThanOrEqual(1e-6)
    })
    using part = loadOnnx(saveOnnx(program.until('pooled')))
    expect(part.outputs.map(({ name }) => name)).toEqual(['pooled'])
    optimizer.dispose()
    x.dispose()
  })

  it('whose extents vary are told them', () => {
    using program = loadOnnx(file(['N', 3, 'H', 'W']))
    expect(() => saveOnnx(program)).toThrow(/'image' is \(N, 3, H, W\); give its extents/)
    using again = loadOnnx(saveOnnx(program, { input: { image: [2, 3, 8, 7] } }))
    expect(again.inputs[0]?.shape).toEqual([2, 3, 8, 7])
  })
})

describe('LRN of an even size', () => {
  it('sees the channels from c − (size − 1) / 2, rounded down, as ONNX says', () => {
    const bytes = onnx({
      inputs: [value('x', [1, 4, 1, 1])],
      outputs: [value('y')],
      nodes: [node('LRN', ['x'], ['y'], { size: 2n, alpha: 2, beta: 1, bias: 0 })],
    })
    using program = loadOnnx(bytes)
    scope(() => {
      // y[c] = x[c] / (x[c]² + x[c + 1]²).
      expect([...program.forward(tensor([1, 2, 3, 4], [1, 4, 1, 1])).data()]).toEqual(
        [1 / 5, 2 / 13, 3 / 25, 4 / 16].map(Math.fround),
      )
    })
  })
})

describe('a convolution with relu in it', () => {
  it('is saved with it', () => {
    class Both extends Layer {
      readonly type = 'Both'
      outputShape([, H, W]: [number, number, number]): number[] {
        return [1, H - 2, W - 2]
      }
      forward(x: Tensor): Tensor {
        return conv2d(x, normal([1, 1, 3, 3], { seed: 3 }), { activation: 'relu' })
      }
      describe(): string {
        return 'both'
      }
    }
    const model = owned(
      new Sequential([new Both(), new Flatten(), new Linear({ outFeatures: 2 })], { input: [1, 5, 5] }),
    )
    using program = loadOnnx(saveOnnx(model))
    scope(() => {
      const x = normal([2, 1, 5, 5], { seed: 4 })
      expect(apart(model.forward(x), program.forward(x))).toBe(0)
    })
  })
})
