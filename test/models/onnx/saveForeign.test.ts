/** Programs of operations that only models from elsewhere call, saved as ONNX and read again: the same numbers, or a reason why not. */
import { beforeAll, describe, expect, it } from 'vitest'
import { loadOnnx, saveOnnx, type Program } from '../../../src/models/onnx/index.js'
import { loadTfjs } from '../../../src/models/tfjs/index.js'
import { memoryUsage } from '../../../src/runtime/core.js'
import { init } from '../../../src/runtime/embedded.js'
import { UnsupportedError } from '../../../src/runtime/errors.js'
import { tensor } from '../../../src/tensor/create.js'
import type { DType } from '../../../src/tensor/dtype.js'
import { scope, type AnyTensor, type Tensor } from '../../../src/tensor/tensor.js'
import { constant, node, onnx, value } from '../../helpers/onnx.js'
import { inputNames, modelOf, numbers, opsetCases } from '../../onnx/opsetCases.js'

beforeAll(() => init())

type Values = Readonly<Record<string, AnyTensor>>

const list = (x: AnyTensor): unknown[] => Array.from(x.data() as Iterable<unknown>)
const floats = (shape: number[], low = -1, high = 1): Tensor =>
  tensor(
    numbers(
      shape.reduce((product, extent) => product * extent, 1),
      low,
      high,
    ),
    shape,
  )
const whole = (values: number[], shape = [values.length], dtype: DType = 'int64'): AnyTensor =>
  tensor(values, shape, { dtype })

/**
 * Saves a program and reads it again: what both give must be the same, bit for bit, or within `bound` of the
 * largest number where an operation is written as others.
 */
function expectSame(program: Program, inputs: Values, opset: number, bound = 0): void {
  const again = loadOnnx(saveOnnx(program, { opset }), { name: 'again.onnx' })
  scope(() => {
    const [before, after] = [program.run(inputs), again.run(inputs)]
    expect(Object.keys(after)).toEqual(Object.keys(before))
    for (const [name, y] of Object.entries(before)) {
      expect([after[name]!.dtype, after[name]!.shape]).toEqual([y.dtype, y.shape])
      const [due, given] = [list(y), list(after[name]!)]
      if (bound === 0) expect(given).toEqual(due)
      else {
        const largest = due.reduce<number>((most, x) => Math.max(most, Math.abs(Number(x))), 0)
        given.forEach((x, i) => expect(Math.abs(Number(x) - Number(due[i]))).toBeLessThanOrEqual(bound * largest))
      }
    }
  })
  again.dispose()
}

/** What cannot be saved, by the beginning of a case's name. */
const refused: Readonly<Record<string, string>> = {
  'ConstantOfShape 20': 'depends on numbers',
  'ConstantOfShape 21': 'depends on numbers',
  'MaxPool 22: with places': 'of maxPool2d only the first result is written',
}

/** Operators that are written as several nodes, or as another one: they round differently. */
const rounded =
  /^(Resize|AveragePool|LpPool|Gelu|Selu|Elu|LpNormalization|GroupNormalization|InstanceNormalization|Reduce)/

describe('what opsets 18 to 22 have', () => {
  it.each(opsetCases)('$name is saved', (given) => {
    const names = inputNames(given)
    const before = memoryUsage().liveBytes
    scope(() => {
      // Whole numbers are constants, as exporters have them, so that no shape depends on an input.
      const inputs = Object.fromEntries(
        given.inputs.flatMap((input, i) =>
          input ? [[names[i] as string, tensor([...input.values], [...input.shape], { dtype: input.dtype })]] : [],
        ),
      )
      const program = loadOnnx(modelOf(given, given.opset, true), { name: 'case.onnx' })
      const own = Object.fromEntries(program.inputs.map(({ name }) => [name, inputs[name] as AnyTensor]))
      const why = refused[given.name]
      if (why === undefined) expectSame(program, own, 22, rounded.test(given.name) ? 2e-6 : 0)
      else expect(() => saveOnnx(program, { opset: 22 })).toThrow(why)
      program.dispose()
    })
    expect(memoryUsage().liveBytes).toBe(before)
  })
})

type Case = readonly [
  what: string,
  node: ReturnType<typeof node>,
  inputs: Values,
  outputs: Readonly<Record<string, DType>>,
  opset?: number,
]

/** Nodes whose places, types or counts are computed of what they are given. */
const cases = (): readonly Case[] => [
  ['rows at places that are computed', node('Gather', ['x', 'i'], ['y'], { axis: 1n }), { x: floats([2, 4, 3]), i: whole([3, -1, 0, 2], [2, 2]) }, { y: 'float32' }],
  ['rows at bytes', node('Gather', ['x', 'i'], ['y']), { x: floats([4, 3]), i: whole([3, 1], [2], 'int32') }, { y: 'float32' }],
  ['elements at places', node('GatherElements', ['x', 'i'], ['y'], { axis: 1n }), { x: floats([2, 3]), i: whole([2, -3, 1, 1], [2, 2]) }, { y: 'float32' }],
  ['parts at places', node('GatherND', ['x', 'i'], ['y']), { x: floats([3, 2, 4]), i: whole([2, 0, -1, 1], [2, 2]) }, { y: 'float32' }],
  ['parts of each of a batch', node('GatherND', ['x', 'i'], ['y'], { batch_dims: 1n }), { x: floats([2, 3, 4]), i: whole([2, 0], [2, 1]) }, { y: 'float32' }],
  ['elements that are put', node('ScatterElements', ['x', 'i', 'u'], ['y'], { axis: 0n }), { x: floats([3, 2]), i: whole([2, 0], [1, 2]), u: floats([1, 2], 2, 3) }, { y: 'float32' }],
  ['parts that are added', node('ScatterND', ['x', 'i', 'u'], ['y'], { reduction: 'add' }), { x: floats([3, 2]), i: whole([1, 1], [2, 1]), u: floats([2, 2], 2, 3) }, { y: 'float32' }],
  ['sequences in reverse', node('ReverseSequence', ['x', 'n'], ['y'], { batch_axis: 1n, time_axis: 0n }), { x: floats([4, 2, 3]), n: whole([3, 2]) }, { y: 'float32' }],
  ['the largest and their places', node('TopK', ['x', 'k'], ['y', 'at'], { axis: 1n }), { x: floats([2, 5, 3]) }, { y: 'float32', at: 'int64' }],
  ['the smallest of whole numbers', node('TopK', ['x', 'k'], ['y', 'at'], { axis: 0n, largest: 0n }), { x: whole([5, 2, 2, 9]) }, { y: 'int64', at: 'int64' }],
  ['places of the largest', node('ArgMax', ['x'], ['y'], { axis: 1n, keepdims: 0n, select_last_index: 1n }), { x: whole([3, 1, 3, 2, 2, 0], [2, 3], 'int32') }, { y: 'int64' }],
  ['places of the smallest', node('ArgMin', ['x'], ['y'], { axis: -1n }), { x: floats([2, 4]) }, { y: 'int64' }],
  ['running sums', node('CumSum', ['x', 'axis'], ['y'], { exclusive: 1n, reverse: 1n }), { x: floats([2, 4]) }, { y: 'float32' }],
  ['running sums of whole numbers', node('CumSum', ['x', 'axis'], ['y']), { x: whole([1, 2, 3, 4], [2, 2], 'int32') }, { y: 'int32' }],
  ...(['int64', 'int32', 'uint8', 'int8', 'bool'] as const).map((dtype): Case => [
    `float32 to ${dtype}`, node('Cast', ['x'], ['y'], { to: { int64: 7n, int32: 6n, uint8: 2n, int8: 3n, bool: 9n }[dtype] }), { x: tensor([0, 1.5, 2.999, 100]) }, { y: dtype },
  ]),
  ['float16 between', node('Cast', ['x'], ['y'], { to: 10n }), { x: tensor([0.1, 1 / 3, 70000]) }, { y: 'float32' }],
  ['whole numbers to float32', node('Cast', ['x'], ['y'], { to: 1n }), { x: whole([3, -4]) }, { y: 'float32' }],
  ...(['Sum', 'Mean', 'Prod', 'Max', 'Min', 'SumSquare', 'L1'] as const).map((fold): Case => [
    `${fold} of whole numbers`, node(`Reduce${fold}`, ['x'], ['y'], { keepdims: 0n }), { x: whole([1, -2, 3, 4], [2, 2]) }, { y: 'int64' },
  ]),
  ['remainders as in Python', node('Mod', ['x', 'b'], ['y']), { x: whole([5, -5, 7]), b: whole([3, 3, -4]) }, { y: 'int64' }],
  ['remainders as in C', node('Mod', ['x', 'b'], ['y'], { fmod: 1n }), { x: tensor([5.5, -5.5]), b: tensor([3, 3]) }, { y: 'float32' }],
  ['shifts of bytes', node('BitShift', ['x', 'b'], ['y'], { direction: 'LEFT' }), { x: whole([3, 129], [2], 'uint8'), b: whole([1, 1], [2], 'uint8') }, { y: 'uint8' }],
  ['the first of the largest', node('Hardmax', ['x'], ['y']), { x: floats([2, 4]) }, { y: 'float32' }],
  ['determinants', node('Det', ['x'], ['y']), { x: floats([2, 3, 3]) }, { y: 'float32' }],
  ['choices', node('Where', ['c', 'x', 'b'], ['y']), { c: whole([1, 0], [2], 'bool'), x: floats([2]), b: floats([2], 3, 4) }, { y: 'float32' }],
  ['values between pixels', node('GridSample', ['x', 'g'], ['y'], { mode: 'bicubic', padding_mode: 'border' }), { x: floats([1, 2, 4, 5]), g: floats([1, 3, 2, 2]) }, { y: 'float32' }],
  ['regions', node('RoiAlign', ['x', 'r', 'm'], ['y'], { output_height: 2n, output_width: 2n, sampling_ratio: 2n }), { x: floats([2, 2, 6, 6]), r: tensor([[0, 0, 4, 4], [1, 1, 5, 3]]), m: whole([1, 0]) }, { y: 'float32' }],
  ['infinities', node('IsInf', ['x'], ['y'], { detect_negative: 0n }), { x: tensor([Infinity, -Infinity, 1]) }, { y: 'bool' }],
] // prettier-ignore

const constants = [constant('k', [1], [2n]), constant('axis', [], [1n])]

const programOf = ([, made, inputs, outputs, opset = 17]: Case): Program =>
  loadOnnx(
    onnx(
      {
        inputs: Object.entries(inputs).map(([name, { shape, dtype }]) => value(name, [...shape], dtype)),
        outputs: Object.entries(outputs).map(([name, dtype]) => value(name, undefined, dtype)),
        initializers: constants.filter(({ name }) => made.inputs.includes(name as string)),
        nodes: [made],
      },
      opset,
    ),
  )

describe('places, types and counts that are computed', () => {
  it('are saved at opsets 17 and 22, and read again with the same bits', () => {
    scope(() => {
      for (const given of cases()) {
        const program = programOf(given)
        for (const opset of [17, 22]) {
          try {
            expectSame(program, given[2], opset)
          } catch (error) {
            throw new Error(`${given[0]}, opset ${opset}: ${String(error)}`, { cause: error })
          }
        }
        program.dispose()
      }
    })
  })

  it('keep a batch that varies', () => {
    const nodes = [
      node('TopK', ['x', 'k'], ['best', 'at'], { axis: 1n }),
      node('GatherElements', ['x', 'at'], ['same'], { axis: 1n }),
      node('Sub', ['best', 'same'], ['y']),
      node('Cast', ['at'], ['places'], { to: 1n }),
    ]
    const given = {
      inputs: [value('x', ['N', 5])],
      outputs: [value('y'), value('places')],
      initializers: [constant('k', [1], [2n])],
      nodes,
    }
    const program = loadOnnx(onnx(given))
    const again = loadOnnx(saveOnnx(program))
    expect(again.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: ['N', 5] }])
    scope(() => {
      const x = floats([3, 5])
      expect(list(again.run(x)['places']!)).toEqual(list(program.run(x)['places']!))
      expect(list(again.run(x)['y']!)).toEqual([0, 0, 0, 0, 0, 0])
    })
    program.dispose()
    again.dispose()
  })

  it.each([
    [
      node('ScatterND', ['x', 'i', 'u'], ['y'], { reduction: 'max' }),
      { x: [3], i: [1, 1], u: [1] },
      18,
      17,
      'reduction max is there from opset 18 on, and 17 is asked for',
    ],
    [
      node('ScatterND', ['x', 'i', 'u'], ['y'], { reduction: 'add' }),
      { x: [3], i: [1, 1], u: [1] },
      18,
      13,
      'reduction add is there from opset 16 on, and 13 is asked for',
    ],
    [
      node('GridSample', ['x', 'g'], ['y']),
      { x: [1, 1, 2, 2], g: [1, 2, 2, 2] },
      20,
      15,
      'GridSample is there from opset 16 on, and 15 is asked for',
    ],
    [
      node('GridSample', ['x', 'g'], ['y']),
      { x: [1, 1, 2, 2, 2], g: [1, 2, 2, 2, 3] },
      20,
      19,
      'GridSample of other than two directions is there from opset 20 on, and 19 is asked for',
    ],
  ] as const)('are refused where their operator came later: %#', (made, shapes, from, to, why) => {
    const extents: Readonly<Record<string, readonly number[]>> = shapes
    const inputs = Object.entries(extents).map(([name, shape]) =>
      value(name, [...shape], name === 'i' ? 'int64' : 'float32'),
    )
    const program = loadOnnx(onnx({ inputs, outputs: [value('y')], nodes: [made] }, from))
    expect(() => saveOnnx(program, { opset: to })).toThrow(UnsupportedError)
    expect(() => saveOnnx(program, { opset: to })).toThrow(why)
    program.dispose()
  })
})

describe('recurrent layers', () => {
  it.each([
    ['RNN', 1],
    ['GRU', 3],
    ['LSTM', 4],
  ] as const)('%s is saved step by step, with its weights by their names', (operator, gates) => {
    const weights = [
      constant('w', [2, gates * 3, 4], numbers(2 * gates * 12)),
      constant('r', [2, gates * 3, 3], numbers(2 * gates * 9)),
      constant('b', [2, 2 * gates * 3], numbers(4 * gates * 3)),
    ]
    const made = node(operator, ['x', 'w', 'r', 'b'], ['y', 'h'], { hidden_size: 3n, direction: 'bidirectional' })
    const given = {
      inputs: [value('x', [3, 2, 4])],
      outputs: [value('y'), value('h')],
      initializers: weights,
      nodes: [made],
    }
    const program = loadOnnx(onnx(given))
    scope(() => expectSame(program, { x: floats([3, 2, 4]) }, 17))
    const again = loadOnnx(saveOnnx(program))
    expect([...again.namedConstants().keys()]).toEqual(expect.arrayContaining(['w', 'r', 'b'] as string[]))
    program.dispose()
    again.dispose()
  })
})

describe('functions of TensorFlow.js that ONNX has not', () => {
  const program = (op: string): Promise<Program> =>
    loadTfjs(
      {
        format: 'graph-model',
        modelTopology: {
          node: [
            ...['a', 'b'].map((name) => ({
              ...{ name, op: 'Placeholder', attr: { dtype: { type: 'DT_FLOAT' }, shape: { shape: { dim: [{ size: '12' }] } } } }, // prettier-ignore
            })),
            { name: 'y', op, input: ['a', 'b'], attr: { T: { type: 'DT_FLOAT' } } },
          ],
        },
        weightsManifest: [],
      },
      () => new Uint8Array(),
    )
  const a = [0, 0, 0, 1, -1, 2, -2, 3, -3, 1.5, -7.25, 0.5]
  const b = [1, -1, 2, 0.5, 0.5, -3, -3, 4, 4, -2, 2, -0.25]

  it.each([
    ['Atan2', [...a, 0, 1, -1], [...b, 0, 0, 0]],
    ['FloorMod', a, b],
  ] as const)('%s is written by others', async (op, first, second) => {
    const before = await program(op)
    scope(() => {
      const given = { a: tensor(first.slice(-12)), b: tensor(second.slice(-12)) }
      for (const opset of [13, 22]) expectSame(before, given, opset, 1e-6)
    })
    before.dispose()
  })
})
