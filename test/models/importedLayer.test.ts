/** Programs as layers: features that another library trained, with a head of our own. */
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { valueAndGrad } from '../../src/autodiff/vjp.js'
import { decodeModel, encodeModel } from '../../src/io/model-file.js'
import { Imported, loadOnnx, saveOnnx, type Program } from '../../src/models/onnx/index.js'
import { Flatten, Graph, Linear, modelFromJSON, Sequential } from '../../src/nn/index.js'
import { SGD } from '../../src/optim/index.js'
import { crossEntropy } from '../../src/ops/index.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { FormatError, ShapeError, UnsupportedError } from '../../src/runtime/errors.js'
import { normal } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { evaluate, fit } from '../../src/train/fit.js'
import { constant, node, onnx, value } from '../helpers/onnx.js'

beforeAll(() => init())
const models: Graph[] = []
afterEach(() => models.splice(0).forEach((model) => model.dispose()))
const owned = <M extends Graph>(model: M): M => {
  models.push(model)
  return model
}

const list = (count: number, seed: number): number[] =>
  Array.from({ length: count }, (_, i) => ((i * 37 + seed) % 19) / 20 - 0.4)

/** Convolution, batch normalization, relu, the mean of each map; and a head that is cut away. */
const features = (): Program => {
  const whole = loadOnnx(
    onnx({
      inputs: [value('image', ['N', 1, 'H', 'W'])],
      outputs: [value('logits')],
      initializers: [
        constant('w', [3, 1, 3, 3], list(27, 1)),
        constant('gamma', [3], [1, 0.5, 2]),
        constant('beta', [3], [0, 0.1, -0.1]),
        constant('mean', [3], [0.1, 0, -0.1]),
        constant('var', [3], [0.5, 1, 2]),
        constant('head', [3, 2], list(6, 3)),
        constant('shape', [2], [0n, 3n]),
      ],
      nodes: [
        node('Conv', ['image', 'w'], ['maps']),
        node('BatchNormalization', ['maps', 'gamma', 'beta', 'mean', 'var'], ['normed']),
        node('Relu', ['normed'], ['active']),
        node('GlobalAveragePool', ['active'], ['pooled']),
        node('Reshape', ['pooled', 'shape'], ['flat']),
        node('MatMul', ['flat', 'head'], ['logits']),
      ],
    }),
    { name: 'net.onnx' },
  )
  const cut = whole.until('pooled')
  whole.dispose()
  return cut
}

const classifier = (options: { trainable?: boolean } = {}): Sequential =>
  owned(
    new Sequential([new Imported({ program: features(), ...options }), new Flatten(), new Linear({ outFeatures: 2 })], {
      input: [1, 6, 6],
      seed: 2,
    }),
  )

const bits = (x: Tensor): number[] => [...x.data()]
const facts = { name: 'tuned', normalization: { mean: 0, std: 1 }, classes: ['a', 'b'] }

/** One step, and what it changed. */
function step(model: Graph): string[] {
  const before = new Map([...model.namedState()].map(([name, x]) => [name, bits(x).join()]))
  const optimizer = new SGD(model.parameters(), { lr: 0.1 })
  scope(() => {
    const x = normal([4, 1, 6, 6], { seed: 9 })
    const lossOf = valueAndGrad(() => crossEntropy(model.forward(x, { training: true }), [0, 1, 0, 1]))
    optimizer.step(lossOf(...model.parameters()).gradients)
  })
  optimizer.dispose()
  return [...model.namedState()].filter(([name, x]) => bits(x).join() !== before.get(name)).map(([name]) => name)
}

describe('a program as a layer', () => {
  it('gives what the program gives, has its weights, and is told in summaries', () => {
    const model = classifier()
    const program = features()
    expect([...model.namedState().keys()]).toEqual([
      '0.w',
      '0.gamma',
      '0.beta',
      '0.mean',
      '0.var',
      '2.weight',
      '2.bias',
    ])
    expect([...model.namedParameters().keys()]).toEqual(['0.w', '0.gamma', '0.beta', '2.weight', '2.bias'])
    expect(model.outputShape()).toEqual([2])
    const { layers, total } = model.summary()
    expect(layers[1]).toMatchObject({
      layer: 'imported(net.onnx)',
      output: [3, 1, 1],
      parameters: 33,
      operations: 10 * 3 * 16,
    })
    expect(total.parameters).toBe(33 + 8)
    scope(() => {
      const x = normal([2, 1, 6, 6], { seed: 1 })
      expect(bits(model.run(x, ['0'])['0'] as Tensor)).toEqual(bits(program.forward(x)))
    })
    program.dispose()
  })

  it('is trained with the model, its statistics moved', () => {
    const names = ['0.w', '0.gamma', '0.beta', '0.mean', '0.var', '2.weight', '2.bias']
    expect(step(classifier()).sort()).toEqual(names.sort())
  })

  it('stays as it is where it is not trainable, or frozen', () => {
    expect(step(classifier({ trainable: false })).sort()).toEqual(['2.bias', '2.weight'])
    expect(step(classifier().freeze('0')).sort()).toEqual(['2.bias', '2.weight'])
  })

  it('is trained by fit', async () => {
    const model = classifier()
    const x = normal([32, 1, 6, 6], { seed: 4 })
    const labels = Int32Array.from({ length: 32 }, (_, i) => (x.data().slice(36 * i, 36 * i + 36).reduce((a, b) => a + b, 0) > 0 ? 1 : 0)) // prettier-ignore
    const before = await evaluate(model, { x, y: labels }, { batchSize: 32, loss: crossEntropy })
    const optimizer = new SGD(model.parameters(), { lr: 0.2, momentum: 0.9 })
    await fit(model, { x, y: labels }, { epochs: 20, batchSize: 16, loss: crossEntropy, optimizer, seed: 1 })
    const after = await evaluate(model, { x, y: labels }, { batchSize: 32, loss: crossEntropy })
    expect(after.loss).toBeLessThan(0.7 * before.loss)
    optimizer.dispose()
    x.dispose()
  })

  it('is saved in a model file with the model, and read with the class', () => {
    const model = classifier()
    step(model)
    const bytes = encodeModel(model, facts)
    expect(() => decodeModel(bytes, 'tuned')).toThrow(
      /tuned: .*'Imported'.*others are given, as \{ layers: \{ Imported \} \}/,
    )
    const { model: read } = decodeModel(bytes, 'tuned', { layers: { Imported } })
    owned(read)
    expect([...read.namedParameters().keys()]).toEqual([...model.namedParameters().keys()])
    scope(() => {
      const x = normal([3, 1, 6, 6], { seed: 5 })
      expect(bits(read.forward(x))).toEqual(bits(model.forward(x)))
    })
    // What was read is trained and saved again.
    expect(step(read)).toContain('0.var')
    owned(decodeModel(encodeModel(read, facts), 'again', { layers: { Imported } }).model)
  })

  it('is saved as ONNX with the model', () => {
    const model = classifier()
    step(model)
    const program = loadOnnx(saveOnnx(model))
    expect([...program.namedParameters().keys()].sort()).toEqual(['0.beta', '0.gamma', '0.w', '2.bias', '2.weight'])
    scope(() => {
      const x = normal([3, 1, 6, 6], { seed: 5 })
      const [due, given] = [bits(model.forward(x)), bits(program.forward(x))]
      due.forEach((number, i) => expect(given[i]).toBeCloseTo(number, 5))
    })
    program.dispose()
  })

  it('takes no memory for weights before a file has them', () => {
    const model = classifier()
    const config = JSON.parse(JSON.stringify(model)) as unknown
    const before = memoryUsage().liveBytes
    const read = modelFromJSON(config, 'net', { layers: { Imported } })
    expect(read.outputShape()).toEqual([2])
    expect(memoryUsage().liveBytes).toBe(before)
    const other = owned(new Sequential([new Flatten(), new Linear({ outFeatures: 2 })], { input: [1, 6, 6] }))
    const weights = other.save()
    const between = memoryUsage().liveBytes
    expect(() => read.load(weights, 'weights')).toThrow(FormatError)
    expect(memoryUsage().liveBytes).toBe(between)
    read.dispose()
  })

  it('is refused where a file says something else than its program does, and nothing stays in memory', () => {
    const model = classifier()
    const [weights, config] = [model.save(), JSON.parse(JSON.stringify(model)) as { layers: [Record<string, unknown>] }]
    const changed = (change: object, rest: readonly object[] = []): Graph =>
      owned(
        modelFromJSON(
          {
            ...config,
            layers: [{ ...config.layers[0], ...change }, ...(rest.length > 0 ? rest : config.layers.slice(1))],
          },
          'file',
          { layers: { Imported } },
        ),
      )
    const structure = (nodes: ReturnType<typeof node>[], more: object[] = [], type: 'float32' | 'int64' = 'float32') =>
      btoa(
        String.fromCharCode(
          ...onnx({
            inputs: [value('x', ['N', 1, 6, 6], type), ...(more.length > 1 ? [value('z', ['N'])] : [])],
            outputs: [value('y')],
            initializers: more.slice(0, 1),
            nodes,
          }),
        ),
      )
    const far = { name: 'w', dims: [2 ** 20, 2 ** 12], elementType: 1, dataLocation: 1, externalData: [{ key: 'location', value: 'weights' }] } // prettier-ignore
    const same = { output: [1, 6, 6] }
    const rest = [{ type: 'Flatten' }]
    const before = memoryUsage().liveBytes
    const wider = changed({ output: [4, 1, 1] })
    expect(() => wider.load(weights, 'weights')).toThrow(FormatError)
    for (const [onnxFile, message] of [
      [
        structure([node('Identity', ['x'], ['y'])], [], 'int64'),
        /takes x of int64; a layer takes one input of float32/,
      ],
      [structure([node('Identity', ['x'], ['y'])], [{ name: 'a', dims: [1], elementType: 1, floatData: Float32Array.of(1) }, {}]), /takes x of float32, z of float32/], // prettier-ignore
      [structure([node('Flatten', ['x'], ['y'])]), /the program gives \(36\), and the file says \(1, 6, 6\)/],
      [structure([node('GlobalAveragePool', ['x'], ['y'])]), /the program gives \(1, 1, 1\)/],
    ] as const) {
      const odd = changed({ onnx: onnxFile, ...same }, rest)
      expect(() => odd.parameters()).toThrow(message)
      expect(memoryUsage().liveBytes).toBe(before)
    }
    // Weights that are not in the file are refused before they are made.
    expect(() => changed({ onnx: structure([node('Identity', ['x'], ['y'])], [far]), ...same }, rest)).toThrow(
      /the weights of this model take/,
    )
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it('is refused where it cannot be one, or is none', () => {
    const several = loadOnnx(
      onnx({
        inputs: [value('a', [2]), value('b', [2])],
        outputs: [value('c')],
        nodes: [node('Add', ['a', 'b'], ['c'])],
      }),
    )
    expect(() => new Imported({ program: several })).toThrow(UnsupportedError)
    several.dispose()
    expect(() => new Imported({ program: {} } as object)).toThrow(/program must be a Program, as loadOnnx\(\) makes/)
    expect(() => new Imported({ program: undefined } as object)).toThrow(/give a program, as loadOnnx\(\) makes/)
    expect(() => new Imported({ onnx: '!', input: [1], output: [1] })).toThrow(/onnx must be a file in base64/)
    expect(() => new Imported({ programm: 3 } as object)).toThrow(/there is no option 'programm'/)
    const config = {
      type: 'Sequential',
      input: [1, 6, 6],
      layers: [{ type: 'Imported', onnx: btoa('nothing'), input: [1], output: [1] }],
    }
    expect(() => modelFromJSON(config, 'file', { layers: { Imported } })).toThrow(FormatError)
    expect(() => modelFromJSON(config, 'file', { layers: { Imported: Flatten.prototype } as never })).toThrow(
      /a class of layers/,
    )
    const model = classifier()
    const saved = JSON.parse(JSON.stringify(model)) as { layers: object[] }
    expect(() => modelFromJSON({ ...saved, input: [1, 7, 7] }, 'file', { layers: { Imported } })).toThrow(
      /was saved for inputs of \(1, 6, 6\), given \(1, 7, 7\)/,
    )
    expect(() => new Graph([{ name: 'a', layer: new Imported({ program: features() }) }], { inputs: { input: [1, 1, 1] } })).toThrow(ShapeError) // prettier-ignore
  })
})
