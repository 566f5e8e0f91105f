/** ONNX models: loaded, run by name and shape, cut, trained, and refused where they cannot be run. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { gradcheck } from '../../../src/autodiff/gradcheck.js'
import { grad, vjp } from '../../../src/autodiff/vjp.js'
import { Trace } from '../../../src/graph/trace.js'
import { loadOnnx } from '../../../src/models/onnx/index.js'
import { add, conv2d, mseLoss, mul, relu, square, sum } from '../../../src/ops/index.js'
import { SGD } from '../../../src/optim/index.js'
import { memoryUsage } from '../../../src/runtime/core.js'
import { init } from '../../../src/runtime/embedded.js'
import { FormatError, ShapeError, ToeplitzError, UnsupportedError } from '../../../src/runtime/errors.js'
import { normal, ones, tensor, zeros } from '../../../src/tensor/create.js'
import { scope, type Tensor } from '../../../src/tensor/tensor.js'
import { fit, tensorExamples } from '../../../src/train/index.js'
import { constant, graph, node, onnx, value } from '../../helpers/onnx.js'

beforeAll(() => init())

const list = (x: { data(): ArrayLike<unknown> } | undefined): unknown[] => Array.from(x!.data())
const fixtures = join(import.meta.dirname, '..', '..', 'fixtures', 'onnx')

describe('the light models of the ONNX project', () => {
  it.each(readdirSync(fixtures).filter((name) => name.endsWith('.onnx')))('%s runs, and gives all back', (file) => {
    const before = memoryUsage().liveBytes
    const program = loadOnnx(readFileSync(join(fixtures, file)), { name: file })
    const [input] = program.inputs
    scope(() => {
      const x = normal(input!.shape as number[], { seed: 1 })
      const first = program.run(x)
      const again = program.run(x)
      expect(Object.keys(first)).toEqual(program.outputs.map(({ name }) => name))
      for (const name of Object.keys(first)) expect(list(again[name])).toEqual(list(first[name]))
    })
    program.dispose()
    expect(memoryUsage().liveBytes).toBe(before)
  })
})

/** relu(conv(x, w) + b), then a linear layer; the batch is a name. */
const small = (opset = 17): Uint8Array =>
  onnx(
    {
      inputs: [value('x', ['N', 1, 4, 4])],
      outputs: [value('y', ['N', 2])],
      initializers: [
        constant(
          'w',
          [3, 1, 3, 3],
          Array.from({ length: 27 }, (_, i) => Math.sin(i) / 3),
        ),
        constant('b', [3], [0.1, -0.2, 0.3]),
        constant(
          'v',
          [2, 12],
          Array.from({ length: 24 }, (_, i) => Math.cos(i) / 4),
        ),
        constant('c', [2], [0.5, -0.5]),
      ],
      nodes: [
        node('Conv', ['x', 'w', 'b'], ['h'], { kernel_shape: [3n, 3n] }),
        node('Relu', ['h'], ['r']),
        node('Flatten', ['r'], ['f']),
        node('Gemm', ['f', 'v', 'c'], ['y'], { transB: 1n }),
      ],
    },
    opset,
  )

describe('a program', () => {
  it('tells its inputs and outputs, and takes a tensor alone or by name', () => {
    scope(() => {
      const program = loadOnnx(small())
      expect(program.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: ['N', 1, 4, 4] }])
      expect(program.outputs).toEqual([{ name: 'y', dtype: 'float32', shape: ['N', 2] }])
      const x = normal([3, 1, 4, 4], { seed: 3 })
      const { y } = program.run({ x })
      expect(y!.shape).toEqual([3, 2])
      expect(list(program.run(x)['y'])).toEqual(list(y))
      expect(list(program.forward(x))).toEqual(list(y))
      program.dispose()
    })
  })

  it('is planned anew for each shape, and gives the same as operations one by one', () => {
    const before = memoryUsage().liveBytes
    const program = loadOnnx(small())
    const parameters = program.namedParameters()
    expect([...parameters.keys()].sort()).toEqual(['b', 'c', 'v', 'w'])
    for (const N of [1, 5, 2, 5, 1, 0]) {
      scope(() => {
        const x = normal([N, 1, 4, 4], { seed: N })
        const h = relu(conv2d(x, parameters.get('w')!, { bias: parameters.get('b')! }))
        for (let round = 0; round < 3; round++) {
          const { r, y } = program.run(x, ['r', 'y'])
          expect(list(r)).toEqual(list(h))
          expect(y!.shape).toEqual([N, 2])
        }
      })
    }
    program.dispose()
    expect(memoryUsage().liveBytes).toBe(before)
    expect(() => program.run(ones([1, 1, 4, 4]))).toThrow(/used after it was disposed/)
  })

  it('gives any value by name, ends at it, and outlives the program that it was cut from', () => {
    const before = memoryUsage().liveBytes
    scope(() => {
      const program = loadOnnx(small())
      const x = normal([2, 1, 4, 4])
      const features = program.until('f')
      expect(features.outputs.map(({ name }) => name)).toEqual(['f'])
      expect([...features.namedParameters().keys()].sort()).toEqual(['b', 'w'])
      const { f } = program.run(x, ['f'])
      program.dispose()
      expect(list(features.forward(x))).toEqual(list(f))
      expect(() => features.until('nothing')).toThrow(/there is no value 'nothing'/)
      features.dispose()
    })
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it('tells its nodes, shapes and weights without computing them', () => {
    const program = loadOnnx(small())
    const before = memoryUsage().liveBytes
    const summary = program.summary({ x: [5, 1, 4, 4] })
    expect(summary.rows.map(({ operator, outputs }) => [operator, outputs[0]!.shape])).toEqual([
      ['Conv', [5, 3, 2, 2]],
      ['Relu', [5, 3, 2, 2]],
      ['Flatten', [5, 12]],
      ['Gemm', [5, 2]],
    ])
    expect(summary.parameters).toBe(27 + 3 + 24 + 2)
    expect(String(program.summary())).toBe(
      [
        'node  operator  output        parameters',
        'h     Conv      (1, 3, 2, 2)          30',
        'r     Relu      (1, 3, 2, 2)',
        'f     Flatten   (1, 12)',
        'y     Gemm      (1, 2)                26',
        '4 nodes, 56 parameters',
      ].join('\n'),
    )
    expect(() => program.summary({ y: [1] })).toThrow(/there is no option 'y'/)
    expect(memoryUsage().liveBytes).toBe(before)
    program.dispose()
  })

  it('has gradients by its weights and its input, and is trained by fit', async () => {
    const program = loadOnnx(small())
    scope(() => {
      const x = normal([2, 1, 4, 4], { seed: 9 })
      expect(gradcheck((a) => sum(square(program.forward(a))), [x], { step: 1e-2, tolerance: 2e-2 }).ok).toBe(true)
      const weights = program.parameters()
      const { pullback } = vjp(
        (...own: Tensor[]) => {
          expect(own).toHaveLength(weights.length)
          return sum(square(program.forward(x)))
        },
        ...weights,
      )
      for (const gradient of pullback()) expect(list(gradient).some((slope) => slope !== 0)).toBe(true)
    })
    const x = normal([64, 1, 4, 4], { seed: 2 })
    const y = scope(() => add(mul(sum(x, [1, 2, 3], { keepDims: false }).reshape([64, 1]), ones([1, 2])), 0))
    const optimizer = new SGD(program.parameters(), { lr: 0.01 })
    const history = await fit(program, tensorExamples(x, y), {
      ...{ epochs: 15, batchSize: 16, optimizer, seed: 1 },
      loss: (output: Tensor, target: Tensor) => mseLoss(output, target),
    })
    expect(history.epochs.at(-1)!.training.loss).toBeLessThan(0.3 * history.epochs[0]!.training.loss)
    const trained = scope(() => list(program.run(x)['y']))
    const direct = scope(() => list(vjp((a) => program.forward(a), x).value))
    trained.forEach((number, i) => expect(number).toBeCloseTo(direct[i] as number, 4))
    for (const tensor of [x, y]) tensor.dispose()
    optimizer.dispose?.()
    program.dispose()
  })

  it.each<[string, (program: ReturnType<typeof loadOnnx>) => unknown, RegExp]>([
    [
      'nothing',
      (program) => program.run(undefined as never),
      /give a Tensor, or an object with one for each of x, not undefined/,
    ],
    ['another name', (program) => program.run({ image: ones([1]) }), /there is no input 'image'; the model has x/],
    ['no tensor', (program) => program.run({ x: 3 as never }), /input 'x' must be a Tensor, not 3/],
    ['a missing input', (program) => program.run({}), /input 'x' must be a Tensor, and is missing/],
    [
      'another shape',
      (program) => program.run(ones([1, 1, 4, 5])),
      /input 'x' must be \(N, 1, 4, 4\), given \(1, 1, 4, 5\)/,
    ],
    [
      'another type',
      (program) => program.run(tensor([1], [1, 1, 1, 1], { dtype: 'int64' }) as never),
      /must be of float32, given int64/,
    ],
    ['an unknown value', (program) => program.run(ones([1, 1, 4, 4]), ['z']), /there is no value 'z'; outputs are y/],
    [
      'an unknown option',
      (program) => program.run(ones([1, 1, 4, 4]), ['y'], { trainning: true } as never),
      /did you mean 'training'/,
    ],
  ])('refuses %s', (_, use, message) => {
    const program = loadOnnx(small())
    const before = memoryUsage().liveBytes
    scope(() => {
      expect(() => use(program)).toThrow(ShapeError)
      expect(() => use(program)).toThrow(message)
    })
    expect(memoryUsage().liveBytes).toBe(before)
    program.dispose()
  })
})

describe('shapes that are computed', () => {
  it('from shapes are part of the plan, for every batch', () => {
    scope(() => {
      const program = loadOnnx(
        onnx({
          inputs: [value('x', ['N', 2, 3])],
          outputs: [value('y')],
          initializers: [constant('zero', [], [0n]), constant('six', [1], [6n]), constant('axis', [1], [0n])],
          nodes: [
            node('Shape', ['x'], ['s']),
            node('Gather', ['s', 'zero'], ['n']),
            node('Unsqueeze', ['n', 'axis'], ['n1']),
            node('Concat', ['n1', 'six'], ['target'], { axis: 0n }),
            node('Relu', ['x'], ['r']),
            node('Reshape', ['r', 'target'], ['y']),
          ],
        }),
      )
      const noted = vi.spyOn(Trace.prototype, 'note')
      for (const N of [1, 4, 2]) expect(program.run(ones([N, 2, 3]))['y']!.shape).toEqual([N, 6])
      const plans = noted.mock.calls.length
      for (const N of [1, 2, 4, 4]) expect(program.run(ones([N, 2, 3]))['y']!.shape).toEqual([N, 6])
      // Nothing is planned again.
      expect(noted.mock.calls.length).toBe(plans)
      noted.mockRestore()
      program.dispose()
    })
  })

  it('from whole numbers that are given, whatever they are', () => {
    scope(() => {
      const program = loadOnnx(
        onnx({
          inputs: [value('x', [6]), value('shape', [2], 'int64')],
          outputs: [value('y')],
          nodes: [node('Reshape', ['x', 'shape'], ['r']), node('Relu', ['r'], ['y'])],
        }),
      )
      const x = tensor([-1, 2, -3, 4, -5, 6])
      for (const shape of [
        [2, 3],
        [3, 2],
        [6, 1],
        [2, 3],
      ]) {
        const { y } = program.run({ x, shape: tensor(shape, [2], { dtype: 'int64' }) })
        expect(y!.shape).toEqual(shape)
        expect(list(y)).toEqual([0, 2, 0, 4, 0, 6])
      }
      program.dispose()
    })
  })

  it('from results end a part of the plan, and what follows is planned then', () => {
    const before = memoryUsage().liveBytes
    // As many copies of x as twice its first element says.
    const program = loadOnnx(
      onnx({
        inputs: [value('x', [4])],
        outputs: [value('y'), value('again')],
        initializers: [constant('two', [1], [2]), constant('from', [1], [0n]), constant('one', [1], [1n])],
        nodes: [
          node('Mul', ['x', 'two'], ['doubled']),
          node('Cast', ['doubled'], ['whole'], { to: 7n }),
          node('Slice', ['whole', 'from', 'one'], ['count']),
          node('Relu', ['doubled'], ['again']),
          node('Tile', ['x', 'count'], ['copies']),
          node('Mul', ['copies', 'two'], ['y']),
        ],
      }),
    )
    for (const first of [1, 2, 1, 3, 2, 0]) {
      scope(() => {
        const { y, again } = program.run(tensor([first, -1, 5, 7]))
        expect(list(y)).toEqual(new Array(2 * first).fill([2 * first, -2, 10, 14]).flat())
        expect(list(again)).toEqual([2 * first, 0, 10, 14])
      })
    }
    program.dispose()
    expect(memoryUsage().liveBytes).toBe(before)
  })
})

describe('graphs in nodes', () => {
  const branches = (): Uint8Array =>
    onnx({
      inputs: [value('x', [3]), value('which', [], 'bool')],
      outputs: [value('y')],
      initializers: [constant('two', [1], [2])],
      nodes: [
        node('If', ['which'], ['h'], {
          then_branch: graph({ outputs: [value('t')], nodes: [node('Mul', ['x', 'two'], ['t'])] }),
          else_branch: graph({
            outputs: [value('e')],
            initializers: [constant('ten', [1], [10])],
            nodes: [node('Add', ['x', 'ten'], ['e'])],
          }),
        }),
        node('Relu', ['h'], ['y']),
      ],
    })

  it('choose by a condition, and read what is around them', () => {
    const before = memoryUsage().liveBytes
    const program = loadOnnx(branches())
    for (const which of [true, false, true]) {
      scope(() => {
        const { y } = program.run({ x: tensor([-1, 2, 3]), which: tensor([which], [], { dtype: 'bool' }) })
        expect(list(y)).toEqual(which ? [0, 4, 6] : [9, 12, 13])
      })
    }
    const cut = program.until('h')
    program.dispose()
    scope(() => {
      const { h } = cut.run({ x: tensor([1, 2, 3]), which: tensor([false], [], { dtype: 'bool' }) })
      expect(list(h)).toEqual([11, 12, 13])
    })
    cut.dispose()
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it('loop with values that are carried and results that are put together', () => {
    scope(() => {
      const program = loadOnnx(
        onnx({
          inputs: [value('x', [2]), value('rounds', [], 'int64')],
          outputs: [value('last'), value('all')],
          initializers: [constant('one', [1], [1])],
          nodes: [
            node('Loop', ['rounds', '', 'x'], ['last', 'all'], {
              body: graph({
                inputs: [value('i', [], 'int64'), value('on', [], 'bool'), value('before')],
                outputs: [value('go', [], 'bool'), value('after'), value('scan')],
                nodes: [
                  node('Identity', ['on'], ['go']),
                  node('Add', ['before', 'one'], ['after']),
                  node('Mul', ['after', 'x'], ['scan']),
                ],
              }),
            }),
          ],
        }),
      )
      const { last, all } = program.run({ x: tensor([1, 10]), rounds: tensor([3], [], { dtype: 'int64' }) })
      expect(list(last)).toEqual([4, 13])
      expect(all!.shape).toEqual([3, 2])
      expect(list(all)).toEqual([2, 110, 3, 120, 4, 130])
      program.dispose()
    })
  })

  it('stand for functions of the model, with attributes of their calls', () => {
    scope(() => {
      const program = loadOnnx(
        onnx(
          {
            inputs: [value('x', [3])],
            outputs: [value('y')],
            nodes: [
              node('Leak', ['x'], ['h'], { slope: 0.5 }, { domain: 'own' }),
              node('Leak', ['h'], ['y'], {}, { domain: 'own' }),
            ],
          },
          17,
          {
            opsetImport: [
              { domain: '', version: 17 },
              { domain: 'own', version: 1 },
            ],
            functions: [
              {
                ...{ name: 'Leak', domain: 'own', inputs: ['a'], outputs: ['b'] },
                attributeDefaults: [{ name: 'slope', kind: 'float', value: 0.1 }],
                opsetImport: [{ domain: '', version: 17 }],
                nodes: [
                  node(
                    'LeakyRelu',
                    ['a'],
                    ['b'],
                    {},
                    {
                      attributes: [{ name: 'alpha', kind: 'reference', value: 'slope', of: 'float' }],
                    },
                  ),
                ],
              },
            ],
          },
        ),
      )
      expect(list(program.run(tensor([-4, 2, -1]))['y']).map((x) => Math.round(1e6 * (x as number)))).toEqual([
        -200000, 2000000, -50000,
      ])
      program.dispose()
    })
  })
})

describe('what cannot be run', () => {
  const one = (nodes: ReturnType<typeof node>[], more = {}): Uint8Array =>
    onnx({ inputs: [value('x', [2, 3])], outputs: [value('y')], nodes, ...more })

  it('is told when it is loaded, all of it, with the nodes', () => {
    const before = memoryUsage().liveBytes
    const bytes = onnx({
      inputs: [value('x', [2]), value('text', [1], 'string')],
      outputs: [value('y')],
      initializers: [constant('w', [2], [1, 2])],
      nodes: [
        node('Wavelet', ['x'], ['a'], {}, { name: 'first' }),
        node('Relu', ['a'], ['b'], { slope: 1 }),
        node('Conv', ['b'], ['c']),
        node('Mine', ['c'], ['y'], {}, { domain: 'com.example' }),
      ],
    })
    let error: unknown
    try {
      loadOnnx(bytes, { name: 'model.onnx' })
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(ToeplitzError)
    expect((error as Error).message).toBe(
      'model.onnx: 5 things cannot be run: ' +
        "inputs: the input 'text' is of string, which is not supported; " +
        "node 'first' (Wavelet): the operator is not supported; " +
        "node 'b' (Relu): the attribute slope is not known in opset 17; " +
        "node 'c' (Conv): the operator takes 2 to 3 inputs, given 1; " +
        "node 'y' (Mine): the operator is of the set 'com.example', which is not supported",
    )
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it.each<[string, () => Uint8Array, typeof FormatError | typeof UnsupportedError, RegExp]>([
    [
      'an old opset',
      () => onnx({ inputs: [value('x')], outputs: [value('x')] }, 5),
      UnsupportedError,
      /it is of opset 5; supported are 6 to 22/,
    ],
    [
      'a new opset',
      () => onnx({ inputs: [value('x')], outputs: [value('x')] }, 99),
      UnsupportedError,
      /it is of opset 99/,
    ],
    [
      'a circle',
      () => one([node('Relu', ['b'], ['a']), node('Relu', ['a'], ['b']), node('Add', ['a', 'x'], ['y'])]),
      FormatError,
      /node 'a' \(Relu\) reads 'b', which node 'b' \(Relu\) gives only after it/,
    ],
    ['a node that reads itself', () => one([node('Relu', ['y'], ['y'])]), FormatError, /gives itself/],
    ['a value of nothing', () => one([node('Relu', ['z'], ['y'])]), FormatError, /reads 'z', which nothing gives/],
    [
      'a value made twice',
      () => one([node('Relu', ['x'], ['y']), node('Relu', ['x'], ['y'])]),
      FormatError,
      /gives 'y', which is there already/,
    ],
    ['an output of nothing', () => one([]), FormatError, /the output 'y' is given by nothing/],
    [
      'no output',
      () => onnx({ inputs: [value('x')], nodes: [node('Relu', ['x'], ['y'])] }),
      FormatError,
      /outputs: there is none/,
    ],
    [
      'two inputs of one name',
      () => one([node('Relu', ['x'], ['y'])], { inputs: [value('x'), value('x')] }),
      FormatError,
      /two inputs are called 'x'/,
    ],
    [
      'two initializers of one name',
      () => one([node('Relu', ['x'], ['y'])], { initializers: [constant('w', [1], [1]), constant('w', [1], [1])] }),
      FormatError,
      /two initializers are called 'w'/,
    ],
    [
      'an operator of a later opset',
      () =>
        onnx(
          { inputs: [value('x')], outputs: [value('y')], nodes: [node('LayerNormalization', ['x', 'x'], ['y'])] },
          16,
        ),
      UnsupportedError,
      /there from opset 17 on, and the model is of 16/,
    ],
    [
      'an attribute of another kind',
      () => one([node('Flatten', ['x'], ['y'], { axis: 1.5 })]),
      FormatError,
      /attribute 'axis' must be int, and is float/,
    ],
    ['an attribute that is missing', () => one([node('Cast', ['x'], ['y'])]), FormatError, /attribute 'to' is missing/],
    [
      'an unknown mode',
      () => one([node('Pad', ['x', 'x'], ['y'], { mode: 'spiral' })]),
      UnsupportedError,
      /mode 'spiral' is not supported; supported are constant/,
    ],
    [
      'a branch that is refused',
      () =>
        one([
          node('If', ['x'], ['y'], {
            then_branch: graph({ outputs: [value('t')], nodes: [node('Wavelet', ['x'], ['t'])] }),
            else_branch: graph({ outputs: [value('x')] }),
          }),
        ]),
      UnsupportedError,
      /node 'y\/then\/t' \(Wavelet\): the operator is not supported/,
    ],
    [
      'a body that reads nothing',
      () =>
        one([
          node('If', ['x'], ['y'], {
            then_branch: graph({ outputs: [value('t')], nodes: [node('Relu', ['q'], ['t'])] }),
            else_branch: graph({ outputs: [value('x')] }),
          }),
        ]),
      FormatError,
      /reads 'q', which nothing gives/,
    ],
  ])('refuses %s', (_, make, kind, message) => {
    const before = memoryUsage().liveBytes
    expect(() => loadOnnx(make())).toThrow(kind)
    expect(() => loadOnnx(make())).toThrow(message)
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it('names the node where shapes do not go together', () => {
    const program = loadOnnx(
      one([
        node('Transpose', ['x'], ['t'], {}, { name: 'turn' }),
        node('Add', ['x', 't'], ['y'], {}, { name: 'both' }),
      ]),
      { name: 'm.onnx' },
    )
    const before = memoryUsage().liveBytes
    scope(() => {
      expect(() => program.run(zeros([2, 3]))).toThrow(
        /^m\.onnx: node 'both' \(Add\): add: shapes \(2, 3\) and \(3, 2\) do not broadcast/,
      )
    })
    expect(memoryUsage().liveBytes).toBe(before)
    program.dispose()
  })

  it('tells what is no ONNX file, and where weights in other files are missing', () => {
    expect(() => loadOnnx(new TextEncoder().encode('<!doctype html><html>'))).toThrow(/HTML|web page/)
    expect(() => loadOnnx(small(), { names: 'x' } as never)).toThrow(/did you mean 'name'/)
    expect(() => loadOnnx('model.onnx' as never)).toThrow(ToeplitzError)
  })
})

it('gradients pass through a whole imported network', () => {
  scope(() => {
    const program = loadOnnx(small())
    const [dx] = grad((x: Tensor) => sum(program.forward(x)))(normal([1, 1, 4, 4]))
    expect(dx!.shape).toEqual([1, 1, 4, 4])
    program.dispose()
  })
})
