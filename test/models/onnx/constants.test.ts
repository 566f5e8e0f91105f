/** Weights that a file holds in Constant nodes: they are parameters as initializers are, by the names of their values. */
import { beforeAll, describe, expect, it } from 'vitest'
import { grad, valueAndGrad } from '../../../src/autodiff/vjp.js'
import { decodeModel, encodeModel } from '../../../src/io/model-file.js'
import { Imported, loadOnnx, saveOnnx, type Program } from '../../../src/models/onnx/index.js'
import { Flatten, Linear, Sequential } from '../../../src/nn/index.js'
import { square, sum } from '../../../src/ops/index.js'
import { SGD } from '../../../src/optim/index.js'
import { memoryUsage } from '../../../src/runtime/core.js'
import { init } from '../../../src/runtime/embedded.js'
import { normal, tensor } from '../../../src/tensor/create.js'
import { scope, type Tensor } from '../../../src/tensor/tensor.js'
import { constant, graph, node, onnx, value } from '../../helpers/onnx.js'

beforeAll(() => init())

const list = (count: number, seed: number): number[] =>
  Array.from({ length: count }, (_, i) => ((i * 37 + seed) % 19) / 20 - 0.4)

const held: readonly (readonly [name: string, dims: number[], values: number[]])[] = [
  ['w', [3, 1, 3, 3], list(27, 1)],
  ['b', [3], [0.1, -0.2, 0.3]],
  ['gamma', [3], [1, 0.5, 2]],
  ['beta', [3], [0, 0.1, -0.1]],
  ['mean', [3], [0.1, 0, -0.1]],
  ['var', [3], [0.5, 1, 2]],
  ['head', [3, 2], list(6, 3)],
]

/** A node that gives a tensor. */
const constantNode = (name: string, dims: number[], values: readonly number[]): ReturnType<typeof node> => ({
  ...node('Constant', [], [name]),
  attributes: [
    { name: 'value', kind: 'tensor', value: { dims, elementType: 1, floatData: Float32Array.from(values) } as never },
  ],
})

/** Convolution, batch normalization, the mean of each map times two, a product; weights in nodes or as initializers. */
const bytesOf = (asNodes: boolean): Uint8Array =>
  onnx({
    inputs: [value('image', ['N', 1, 'H', 'W'])],
    outputs: [value('logits')],
    initializers: asNodes ? [] : held.map(([name, dims, values]) => constant(name, dims, values)),
    nodes: [
      ...(asNodes ? held.map(([name, dims, values]) => constantNode(name, dims, values)) : []),
      constantNode('two', [], [2]),
      node('Constant', [], ['shape'], { value_ints: [0n, 3n] }),
      node('Constant', [], ['bias'], { value_floats: [0.5, -0.5] }),
      node('Conv', ['image', 'w', 'b'], ['maps']),
      node('BatchNormalization', ['maps', 'gamma', 'beta', 'mean', 'var'], ['normed']),
      node('GlobalAveragePool', ['normed'], ['pooled']),
      node('Mul', ['pooled', 'two'], ['doubled']),
      node('Reshape', ['doubled', 'shape'], ['flat']),
      node('Gemm', ['flat', 'head', 'bias'], ['logits']),
    ],
  })

const load = (asNodes = true): Program => loadOnnx(bytesOf(asNodes), { name: 'net.onnx' })
const valuesOf = (x: Tensor | undefined): number[] => Array.from(x!.data())

describe('weights in Constant nodes', () => {
  it('are parameters and statistics, by the names of their values; other constants are neither', () => {
    const before = memoryUsage().liveBytes
    const program = load()
    expect([...program.namedParameters().keys()]).toEqual(['w', 'b', 'gamma', 'beta', 'head', 'bias'])
    expect([...program.namedBuffers().keys()]).toEqual(['mean', 'var'])
    expect(valuesOf(program.namedParameters().get('bias'))).toEqual([0.5, -0.5])
    expect(program.namedParameters().get('w')?.shape).toEqual([3, 1, 3, 3])
    expect([...program.namedConstants().keys()].sort()).toEqual([
      ...['b', 'beta', 'bias', 'gamma', 'head', 'mean', 'var', 'w'],
    ])
    program.dispose()
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it('give the same numbers, gradients and parameter counts as initializers', () => {
    const [nodes, initializers] = [load(), load(false)]
    scope(() => {
      const x = normal([2, 1, 6, 5], { seed: 2 })
      expect(valuesOf(nodes.forward(x))).toEqual(valuesOf(initializers.forward(x)))
      const gradients = [nodes, initializers].map((program) => {
        const names = [...program.namedParameters().keys()].filter((name) => name !== 'bias')
        const weights = names.map((name) => program.namedParameters().get(name) as Tensor)
        const all = grad(() => sum(square(program.forward(x))))(...weights)
        return Object.fromEntries(names.map((name, i) => [name, valuesOf(all[i])]))
      })
      expect(gradients[0]).toEqual(gradients[1])
      const total = (program: Program): number => program.summary({ image: [1, 1, 6, 5] }).parameters
      expect(total(nodes)).toBe(total(initializers))
    })
    nodes.dispose()
    initializers.dispose()
  })

  it('are trained, also where a program ends before', () => {
    const whole = load()
    const features = whole.until('pooled')
    expect([...features.namedParameters().keys()]).toEqual(['w', 'b', 'gamma', 'beta'])
    scope(() => {
      const x = normal([2, 1, 6, 5], { seed: 2 })
      const parameters = features.parameters()
      const optimizer = new SGD(parameters, { lr: 0.01 })
      const loss = valueAndGrad(() => sum(square(features.forward(x))))
      const losses = Array.from({ length: 5 }, () => {
        const { value: now, gradients } = loss(...parameters)
        optimizer.step(gradients)
        return now.item()
      })
      optimizer.dispose()
      expect(losses[4]).toBeLessThan(losses[0] as number)
      // The weights are those of the whole program, too.
      expect(valuesOf(whole.namedParameters().get('w'))).toEqual(valuesOf(features.namedParameters().get('w')))
      expect(valuesOf(whole.namedParameters().get('w'))).not.toEqual(held[0]![2].map(Math.fround))
    })
    whole.dispose()
    features.dispose()
  })

  it('can be asked for by their names, and be outputs', () => {
    const given = {
      inputs: [value('x', ['N', 3])],
      outputs: [value('y'), value('w')],
      nodes: [constantNode('w', [3, 2], list(6, 3)), node('MatMul', ['x', 'w'], ['y'])],
    }
    const program = loadOnnx(onnx(given))
    scope(() => {
      const x = normal([2, 3], { seed: 2 })
      expect(valuesOf(program.run(x)['w'] as Tensor)).toEqual(list(6, 3).map(Math.fround))
      expect(Object.keys(program.run(x, ['w']))).toEqual(['w'])
    })
    program.dispose()
  })

  it('are read by graphs within nodes as well', () => {
    const branch = graph({ nodes: [node('MatMul', ['x', 'w'], ['z'])], outputs: [value('z')] })
    const other = graph({ nodes: [node('Identity', ['product'], ['z2'])], outputs: [value('z2')] })
    const given = {
      inputs: [value('x', [2, 3]), value('c', [], 'bool' as const)],
      outputs: [value('y')],
      nodes: [
        constantNode('w', [3, 2], list(6, 3)),
        node('MatMul', ['x', 'w'], ['product']),
        node('If', ['c'], ['y'], { then_branch: branch, else_branch: other }),
      ],
    }
    const program = loadOnnx(onnx(given))
    scope(() => {
      const x = normal([2, 3], { seed: 2 })
      const [yes, no] = [true, false].map((c) => program.run({ x, c: boolean(c) })['y'] as Tensor)
      expect(valuesOf(yes)).toEqual(valuesOf(no))
    })
    program.dispose()
  })

  it('are saved by their names, in ONNX and in model files', () => {
    const program = load()
    const again = loadOnnx(saveOnnx(program, { input: { image: [2, 1, 6, 5] } }))
    expect([...again.namedConstants().keys()]).toEqual(expect.arrayContaining(held.map(([name]) => name)))
    const features = program.until('pooled')
    const model = new Sequential([new Imported({ program: features }), new Flatten(), new Linear({ outFeatures: 2 })], {
      input: [1, 6, 5],
    })
    const facts = { name: 'tuned', classes: ['a', 'b'], normalization: { mean: 0.5, std: 0.25 } }
    const { model: read } = decodeModel(encodeModel(model, facts), 'tuned', { layers: { Imported } })
    scope(() => {
      const x = normal([2, 1, 6, 5], { seed: 2 })
      expect(valuesOf(again.forward(x))).toEqual(valuesOf(program.forward(x)))
      expect(valuesOf(read.forward(x))).toEqual(valuesOf(model.forward(x)))
      expect([...read.namedParameters().keys()]).toEqual([...model.namedParameters().keys()])
    })
    for (const each of [program, again, model, read]) each.dispose()
  })
})

const boolean = (is: boolean): Tensor<'bool'> => tensor([is], [], { dtype: 'bool' })
