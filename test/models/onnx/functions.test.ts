/** Functions and reductions of ONNX: what ONNX's own cases leave out, refusals when a file is loaded, and gradients. */
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { gradcheck } from '../../../src/autodiff/gradcheck.js'
import { vjp } from '../../../src/autodiff/vjp.js'
import { loadOnnx } from '../../../src/models/onnx/index.js'
import { init } from '../../../src/runtime/embedded.js'
import { FormatError, ShapeError, ToeplitzError, UnsupportedError } from '../../../src/runtime/errors.js'
import { normal, tensor, uniform } from '../../../src/tensor/create.js'
import type { DType } from '../../../src/tensor/dtype.js'
import { scope, type AnyTensor, type Tensor } from '../../../src/tensor/tensor.js'
import { size } from '../../helpers/reference.js'
import { node, onnx, value } from '../../helpers/onnx.js'

beforeAll(() => init())

type Attributes = NonNullable<Parameters<typeof node>[3]>
const letters = ['a', 'b', 'c', 'd', 'e']

/** The bytes of a model of one node; types are those of its inputs and outputs. */
function single(
  operator: string,
  opset: number,
  types: readonly DType[],
  attributes: Attributes = {},
  outputs: readonly DType[] = ['float32'],
): Uint8Array {
  const inputs = types.map((type, i) => value(letters[i]!, undefined, type))
  const given = outputs.map((type, i) => value(`y${i}`, undefined, type))
  const names = (list: readonly unknown[], of: (i: number) => string): string[] => list.map((_, i) => of(i))
  return onnx(
    {
      inputs,
      outputs: given,
      nodes: [
        node(
          operator,
          names(types, (i) => letters[i]!),
          names(outputs, (i) => `y${i}`),
          attributes,
        ),
      ],
    },
    opset,
  )
}

const run = (
  operator: string,
  opset: number,
  inputs: readonly AnyTensor[],
  attributes: Attributes = {},
  outputs: readonly DType[] = ['float32'],
): AnyTensor[] =>
  scope(() => {
    const types = inputs.map(({ dtype }) => dtype)
    const program = loadOnnx(single(operator, opset, types, attributes, outputs))
    const results = program.run(Object.fromEntries(inputs.map((x, i) => [letters[i]!, x])))
    program.dispose()
    return outputs.map((_, i) => results[`y${i}`]!)
  })

const numbers = (x: AnyTensor | undefined): number[] => Array.from(x!.data() as ArrayLike<number | bigint>, Number)
const of = (
  values: readonly number[],
  dtype: DType = 'float32',
  shape: readonly number[] = [values.length],
): AnyTensor => tensor(values, shape, { dtype })

describe('meanings by opset', () => {
  it('takes the axes of a reduction from an attribute, then from an input', () => {
    const x = of([1, 2, 3, 4, 5, 6], 'float32', [2, 3])
    const axes = of([1], 'int64')
    const keepdims = { keepdims: 0n }
    expect(numbers(run('ReduceSum', 12, [x], { axes: [1n], ...keepdims })[0])).toEqual([6, 15])
    expect(numbers(run('ReduceSum', 13, [x, axes], keepdims)[0])).toEqual([6, 15])
    expect(numbers(run('ReduceProd', 17, [x], { axes: [-2n], ...keepdims })[0])).toEqual([4, 10, 18])
    expect(numbers(run('ReduceProd', 18, [x, axes], keepdims)[0])).toEqual([6, 120])
    expect(numbers(run('ReduceProd', 18, [x])[0])).toEqual([720])
    expect(run('ReduceProd', 18, [x])[0]!.shape).toEqual([1, 1])
    const none = of([], 'int64')
    expect(run('ReduceMax', 18, [x, none], { noop_with_empty_axes: 1n })[0]!.shape).toEqual([2, 3])
    expect(numbers(run('ReduceMax', 18, [x, none], keepdims)[0])).toEqual([6])
  })

  it('reduces whole numbers in their own type, and nothing to what changes nothing', () => {
    const x = of([3, -4, 5, -6], 'int32', [2, 2])
    const reduced = (operator: string, input = x): number[] =>
      numbers(run(operator, 13, [input], operator === 'ReduceSum' ? {} : { axes: [1n] }, [input.dtype])[0])
    expect(reduced('ReduceSum')).toEqual([-2])
    expect(reduced('ReduceProd')).toEqual([-12, -30])
    expect(reduced('ReduceMean')).toEqual([0, 0])
    expect(reduced('ReduceL1')).toEqual([7, 11])
    expect(reduced('ReduceSumSquare')).toEqual([25, 61])
    expect(reduced('ReduceMax', of([3, 200, 7, 1], 'uint8', [2, 2]))).toEqual([200, 7])
    expect(reduced('ReduceMin', of([1, 0, 1, 1], 'bool', [2, 2]))).toEqual([0, 1])
    expect(() => reduced('ReduceProd', of([1, 0, 1, 1], 'bool', [2, 2]))).toThrow(UnsupportedError)
    expect(() => reduced('ReduceL2')).toThrow(/float32, and the input is of int32/)
    const empty = of([], 'float32', [2, 0])
    expect(numbers(run('ReduceMax', 18, [empty, of([1], 'int64')])[0])).toEqual([-Infinity, -Infinity])
    expect(numbers(run('ReduceMin', 18, [empty, of([1], 'int64')])[0])).toEqual([Infinity, Infinity])
    expect(numbers(run('ReduceProd', 18, [empty, of([1], 'int64')])[0])).toEqual([1, 1])
    const far = of([-Infinity, -Infinity, Infinity, 1, 1000, 1000], 'float32', [3, 2])
    expect(numbers(run('ReduceLogSumExp', 13, [far], { axes: [1n] })[0])).toEqual([
      -Infinity,
      Infinity,
      Math.fround(1000 + Math.LN2),
    ])
  })

  it('finds the k largest by an attribute, by an input, and the smallest from opset 11 on', () => {
    const x = of([3, 1, 4, 1, 5, 9], 'float32', [2, 3])
    const both: DType[] = ['float32', 'int64']
    const k = of([2], 'int64')
    expect(run('TopK', 9, [x], { k: 2n }, both).map(numbers)).toEqual([
      [4, 3, 9, 5],
      [2, 0, 2, 1],
    ])
    expect(run('TopK', 10, [x, k], { axis: 0n }, both).map(numbers)).toEqual([
      [3, 5, 9, 1, 1, 4],
      [0, 1, 1, 1, 0, 0],
    ])
    expect(run('TopK', 11, [x, k], { largest: 0n, sorted: 0n }, both).map(numbers)).toEqual([
      [1, 3, 1, 5],
      [1, 0, 0, 1],
    ])
    expect(run('TopK', 11, [of([5, 7, 6], 'int64'), of([1], 'int64')], {}, ['int64', 'int64']).map(numbers)).toEqual([
      [7],
      [1],
    ])
    expect(() => run('TopK', 11, [x, of([4], 'int64')], {}, both)).toThrow(/there are no 4/)
  })

  it('makes one axis of all from the given one on before opset 13, and in hardmax too', () => {
    const x = of([1, 5, 2, 7, 3, 4, 6, 7], 'float32', [2, 2, 2])
    expect(numbers(run('Hardmax', 12, [x])[0])).toEqual([0, 0, 0, 1, 0, 0, 0, 1])
    expect(numbers(run('Hardmax', 13, [x])[0])).toEqual([0, 1, 0, 1, 0, 1, 0, 1])
  })

  it('raises to any powers, laid over as the opset says', () => {
    const x = of([1, 2, 3, 4], 'float32', [2, 2])
    expect(numbers(run('Pow', 6, [x, of([2, 3])], { broadcast: 1n, axis: 0n })[0])).toEqual([1, 4, 27, 64])
    expect(() => run('Pow', 6, [x, of([2, 3])])).toThrow(/before opset 7/)
    expect(numbers(run('Pow', 7, [x, of([2, 3])])[0])).toEqual([1, 8, 9, 64])
    const y = run('Pow', 15, [of([2, -3], 'int32'), of([3, 2], 'int64')], {}, ['int32'])[0]
    expect([y!.dtype, numbers(y)]).toEqual(['int32', [8, 9]])
  })

  it('shifts whole numbers without a sign as wide as they are', () => {
    const shifted = (type: DType, values: number[], by: number[], direction: string): number[] =>
      numbers(run('BitShift', 11, [of(values, type), of(by, type)], { direction }, [type])[0])
    expect(shifted('uint8', [200, 1, 255], [1, 7, 8], 'LEFT')).toEqual([144, 128, 0])
    // int32 holds uint16, and int64 uint32.
    expect(shifted('int32', [40000, 65535], [1, 16], 'LEFT')).toEqual([14464, 0])
    expect(shifted('int64', [2 ** 32 - 1, 5], [4, 1], 'RIGHT')).toEqual([2 ** 28 - 1, 2])
    expect(shifted('int64', [2 ** 32 - 1], [4], 'LEFT')).toEqual([2 ** 32 - 16])
  })

  it('keeps odd values where they belong', () => {
    const x = of([-Infinity, -1, NaN, 2, Infinity])
    const isInf = (attributes: Attributes): number[] => numbers(run('IsInf', 20, [x], attributes, ['bool'])[0])
    expect(isInf({})).toEqual([1, 0, 0, 0, 1])
    expect(isInf({ detect_negative: 0n })).toEqual([0, 0, 0, 0, 1])
    expect(isInf({ detect_positive: 0n })).toEqual([1, 0, 0, 0, 0])
    expect(isInf({ detect_positive: 0n, detect_negative: 0n })).toEqual([0, 0, 0, 0, 0])
    expect(numbers(run('Shrink', 9, [of([-3, -1, 0, 1, 3], 'int32')], { lambd: 1, bias: 2 }, ['int32'])[0])).toEqual([
      -1, 0, 0, 0, 1,
    ])
    expect(numbers(run('Relu', 14, [of([-3, 3], 'int8')], {}, ['int8'])[0])).toEqual([0, 3])
    // Selu with a factor below 0, by its definition.
    expect(run('Selu', 6, [of([-1, 2])], { alpha: -2, gamma: 3 })[0]!.data()[0]).toBeCloseTo(-6 * (Math.exp(-1) - 1), 5)
    expect(numbers(run('Mish', 18, [of([0])])[0])).toEqual([0])
    expect(numbers(run('LpNormalization', 17, [of([3, 4, 0, 0], 'float32', [2, 2])])[0])).toEqual(
      [0.6, 0.8, 0, 0].map(Math.fround),
    )
    expect(
      numbers(run('OneHot', 11, [of([-1, 3, 0, -4]), of([3]), of([5, 7], 'int8')], { axis: 0n }, ['int8'])[0]),
    ).toEqual([5, 5, 7, 5, 5, 5, 5, 5, 7, 5, 5, 5])
    expect(
      numbers(run('Trilu', 14, [of([1, 2, 3, 4, 5, 6], 'int32', [2, 3]), of([1], 'int64', [])], {}, ['int32'])[0]),
    ).toEqual([0, 2, 3, 0, 0, 6])
    expect(numbers(run('EyeLike', 9, [of([1, 2, 3, 4], 'int32', [2, 2])], { k: -1n }, ['int32'])[0])).toEqual([
      0, 0, 1, 0,
    ])
    const all: DType[] = ['float32', 'int64', 'int64', 'int64']
    expect(run('Unique', 11, [of([2, NaN, 1, NaN, 2])], {}, all).map(numbers)).toEqual([
      [1, 2, NaN],
      [2, 0, 1],
      [1, 2, 0, 2, 1],
      [1, 2, 2],
    ])
  })

  it('normalizes by the batch where the file says so, and gives its statistics', () => {
    const x = of([1, 3, 5, 7], 'float32', [4, 1])
    const rest = [of([2]), of([1]), of([10]), of([20])]
    const attributes = { training_mode: 1n, momentum: 0.5, epsilon: 0 }
    const [y, mean, variance] = run('BatchNormalization', 15, [x, ...rest], attributes, [
      'float32',
      'float32',
      'float32',
    ])
    const deviation = Math.sqrt(5)
    numbers(y).forEach((given, i) => expect(given).toBeCloseTo((2 * (2 * i - 3)) / deviation + 1, 5))
    expect([numbers(mean), numbers(variance)]).toEqual([[7], [12.5]])
    const three: DType[] = ['float32', 'float32', 'float32']
    const rows = of([1, 3, 2, 6], 'float32', [2, 2])
    const [, average, inverse] = run('LayerNormalization', 17, [rows, of([1, 1])], { epsilon: 0 }, three)
    expect([numbers(average), numbers(inverse)]).toEqual([
      [2, 4],
      [1, 0.5],
    ])
    expect(inverse!.shape).toEqual([2, 1])
  })

  it('refuses a label that there is not', () => {
    const x = normal([2, 3], { seed: 1 })
    expect(() => run('NegativeLogLikelihoodLoss', 13, [x, of([0, 3], 'int64')])).toThrow(ToeplitzError)
    expect(() => run('NegativeLogLikelihoodLoss', 13, [x, of([0], 'int64')])).toThrow(ShapeError)
    const ignored = run('SoftmaxCrossEntropyLoss', 13, [x, of([0, -100], 'int32')], { ignore_index: -100n })
    const alone = run('SoftmaxCrossEntropyLoss', 13, [tensor(x.data().slice(0, 3), [1, 3]), of([0], 'int32')])
    expect(numbers(ignored[0])).toEqual(numbers(alone[0]))
  })
})

describe('what is refused when a file is loaded', () => {
  const refused: [string, number, number, Attributes, RegExp, (typeof FormatError | typeof UnsupportedError)?][] = [
    ['Erf', 8, 1, {}, /there from opset 9 on/],
    ['Mish', 17, 1, {}, /there from opset 18 on/],
    ['ArgMax', 11, 1, { select_last_index: 1n }, /select_last_index is not known in opset 11/],
    ['TopK', 10, 2, { largest: 0n }, /largest is not known in opset 10/],
    ['TopK', 9, 1, {}, /'k' is missing/, FormatError],
    ['ReduceSum', 12, 1, { noop_with_empty_axes: 1n }, /noop_with_empty_axes is not known/],
    ['ReduceMax', 17, 2, {}, /takes 1 inputs, given 2/, FormatError],
    ['Celu', 12, 1, { alpha: 0 }, /alpha 0 is not supported/],
    ['LpNormalization', 13, 1, { p: 3n }, /p 3 is not supported/],
    ['BitShift', 11, 2, { direction: 'UP' }, /direction 'UP' is not supported/],
    ['BitShift', 11, 2, {}, /direction '' is not supported/],
    ['EyeLike', 9, 1, { dtype: 8n }, /string is not supported/],
    ['NegativeLogLikelihoodLoss', 13, 2, { reduction: 'most' }, /reduction 'most'/],
    ['BatchNormalization', 13, 5, { training_mode: 1n }, /training_mode is not known in opset 13/],
    ['Einsum', 12, 2, {}, /equation is missing/, FormatError],
    ['Einsum', 12, 2, { equation: 'ij->i' }, /1 terms for 2 inputs/, FormatError],
    ['Einsum', 12, 1, { equation: 'ij->k' }, /gives k, which no term has/, FormatError],
    ['Einsum', 12, 1, { equation: 'ij->ii' }, /gives an axis twice/, FormatError],
    ['Einsum', 12, 1, { equation: 'i->j->k' }, /two arrows/, FormatError],
    ['Einsum', 12, 1, { equation: 'i1->i' }, /must be letters/, FormatError],
    ['Einsum', 12, 1, { equation: '...i...->i' }, /one ellipsis/, FormatError],
  ]
  it.each(refused)(
    '%s in opset %i of %i inputs with %o',
    (operator, opset, count, attributes, why, Kind = UnsupportedError) => {
      const bytes = single(operator, opset, new Array<DType>(count).fill('float32'), attributes)
      expect(() => loadOnnx(bytes)).toThrow(why)
      expect(() => loadOnnx(bytes)).toThrow(Kind)
    },
  )

  it('are outputs of statistics that only older opsets have', () => {
    const types = new Array<DType>(5).fill('float32')
    expect(() => loadOnnx(single('BatchNormalization', 9, types, {}, types))).toThrow(/outputs of statistics/)
  })
})

/** A sum by Einstein's convention, over every value of every letter. */
function einsum(terms: string[], output: string, shapes: number[][], values: number[][]): number[] {
  const extents = new Map<string, number>()
  terms.forEach((term, i) => Array.from(term, (letter, axis) => extents.set(letter, shapes[i]![axis]!)))
  const names = [...extents.keys()]
  const shape = Array.from(output, (letter) => extents.get(letter)!)
  const result = new Array<number>(size(shape)).fill(0)
  const place = (letters: string, at: Map<string, number>): number =>
    Array.from(letters).reduce((sum, letter) => sum * extents.get(letter)! + at.get(letter)!, 0)
  const go = (depth: number, at: Map<string, number>): void => {
    if (depth === names.length) {
      result[place(output, at)]! += terms.reduce((product, term, i) => product * values[i]![place(term, at)]!, 1)
      return
    }
    for (let i = 0; i < extents.get(names[depth]!)!; i++) go(depth + 1, at.set(names[depth]!, i))
  }
  go(0, new Map())
  return result
}

describe('Einsum', () => {
  it('is its definition, of float32 and of whole numbers', () => {
    const term = fc.array(fc.constantFrom('i', 'j', 'k', 'l'), { maxLength: 3 })
    fc.assert(
      fc.property(
        fc.array(term, { minLength: 1, maxLength: 3 }),
        fc.infiniteStream(fc.boolean()),
        fc.tuple(...[1, 2, 3, 4].map(() => fc.integer({ min: 1, max: 3 }))),
        fc.constantFrom<DType>('float32', 'int32', 'int64'),
        fc.boolean(),
        (parts, random, extents, dtype, isImplied) => {
          const stream = random[Symbol.iterator]()
          const terms = parts.map((part) => part.join(''))
          const all = terms.join('')
          const once = Array.from(all).filter((letter) => all.split(letter).length === 2)
          const output = isImplied
            ? once.sort().join('')
            : ['l', 'j', 'i', 'k'].filter((letter) => all.includes(letter) && (stream.next().value as boolean)).join('')
          const shapes = terms.map((letters) => Array.from(letters, (letter) => extents['ijkl'.indexOf(letter)]!))
          const values = shapes.map((shape, i) =>
            Array.from({ length: size(shape) }, (_, at) => ((at * 7 + i) % 9) - 4),
          )
          const inputs = values.map((given, i) => of(given, dtype, shapes[i]))
          const equation = isImplied ? terms.join(' , ') : `${terms.join(',')} -> ${output}`
          const [y] = run('Einsum', 12, inputs, { equation }, [dtype])
          expect(y!.dtype).toBe(dtype)
          expect(y!.shape).toEqual(Array.from(output, (letter) => extents['ijkl'.indexOf(letter)]!))
          expect(numbers(y).map((x) => x + 0)).toEqual(einsum(terms, output, shapes, values).map((x) => x + 0))
        },
      ),
    )
  })

  it('lays axes without a letter, and those of extent 1, over each other', () => {
    const a = of([1, 2, 3, 4], 'float32', [2, 1, 2])
    const b = of([1, 10, 100], 'float32', [3, 1])
    const [y] = run('Einsum', 12, [a, b], { equation: '...i,...i->...' })
    expect([y!.shape, numbers(y)]).toEqual([
      [2, 3],
      [3, 30, 300, 7, 70, 700],
    ])
    const [z] = run('Einsum', 12, [a], { equation: 'i...' })
    expect(z!.shape).toEqual([1, 2, 2])
    expect(() => run('Einsum', 12, [a, b], { equation: 'ij,jk' })).toThrow(ShapeError)
    expect(() => run('Einsum', 12, [b, of([1, 2])], { equation: 'ij,i' })).toThrow(/extents 3 and 2/)
    expect(() => run('Einsum', 12, [b], { equation: 'ii' })).toThrow(/not alike/)
  })
})

describe('gradients through a program', () => {
  const near = { low: -0.9, high: 0.9 }
  const cases: [string, number, Attributes, () => Tensor, () => AnyTensor[]][] = []
  const add = (
    operator: string,
    opset: number,
    attributes: Attributes = {},
    range = near,
    others: () => AnyTensor[] = () => [],
  ) => cases.push([operator, opset, attributes, () => uniform([2, 3, 4], { ...range, seed: 5 }), others])
  for (const operator of ['Sin', 'Cos', 'Tan', 'Asin', 'Acos', 'Atan']) add(operator, 7)
  for (const operator of ['Erf', 'Sinh', 'Cosh', 'Asinh', 'Atanh']) add(operator, 9)
  add('Acosh', 9, {}, { low: 1.3, high: 3 })
  add('Selu', 6)
  add('Celu', 12, { alpha: 0.5 })
  add('Mish', 18)
  add('Softsign', 6)
  add('Shrink', 9, { lambd: 0.05, bias: 0.2 })
  for (const operator of ['ReduceProd', 'ReduceMax', 'ReduceL2', 'ReduceLogSumExp'])
    add(operator, 13, { axes: [1n, 2n] })
  add('LpNormalization', 13, { axis: 1n })
  add('LpNormalization', 13, { p: 1n })
  add('MeanVarianceNormalization', 13, { axes: [1n, 2n] })
  add('Einsum', 12, { equation: 'aij,jk,iij->ak' }, near, () => [
    normal([4, 2], { seed: 1 }),
    normal([3, 3, 4], { seed: 2 }),
  ])
  add('CumSum', 14, { reverse: 1n }, near, () => [of([1], 'int64')])
  add('TopK', 11, {}, near, () => [of([2], 'int64')])
  add('Trilu', 14, { upper: 0n })
  add('Pow', 15, {}, { low: 0.5, high: 2 }, () => [normal([3, 4], { seed: 3 })])
  const labels = (): AnyTensor[] => [of([0, 2, 1, 1, 0, -1, 2, 1], 'int64', [2, 4]), of([1, 2, 0.5])]
  add('NegativeLogLikelihoodLoss', 13, { ignore_index: -1n }, near, labels)
  add('SoftmaxCrossEntropyLoss', 13, { ignore_index: -1n }, near, labels)
  const channels = (): AnyTensor[] => [1, 2, 3, 4].map((seed) => uniform([3], { low: 0.5, high: 1, seed }))
  add('BatchNormalization', 15, { training_mode: 1n }, near, channels)

  it.each(cases)('%s in opset %i with %o', (operator, opset, attributes, made, others) => {
    scope(() => {
      const x = made()
      const rest = others()
      const types: DType[] = ['float32', ...rest.map(({ dtype }) => dtype)]
      const outputs: DType[] = operator === 'TopK' ? ['float32', 'int64'] : ['float32']
      const program = loadOnnx(single(operator, opset, types, attributes, outputs))
      // Of the other inputs those of float32, too.
      const floats = rest.filter(({ dtype }) => dtype === 'float32') as Tensor[]
      const forward = (...given: Tensor[]): Tensor =>
        program.forward(
          Object.fromEntries(
            [x, ...rest].map((own, i) => {
              const at = i === 0 ? 0 : floats.indexOf(own as Tensor) + 1
              return [letters[i]!, i > 0 && at === 0 ? own : given[at]!]
            }),
          ),
        )
      expect(gradcheck(forward, [x, ...floats], { step: 1e-3, tolerance: 2e-2 })).toMatchObject({ ok: true })
      program.dispose()
    })
  })

  it('are those of a product where an element is 0, and of none where there is no derivative', () => {
    const program = loadOnnx(single('ReduceProd', 13, ['float32'], { keepdims: 0n }))
    const { pullback } = vjp((x) => program.forward(x), tensor([2, 0, 3, 5, 1], [5]))
    expect(numbers(pullback(tensor([1], []))[0])).toEqual([0, 30, 0, 0, 0])
    const det = loadOnnx(single('Det', 11, ['float32']))
    expect(() => vjp((x) => det.forward(x), normal([2, 2], { seed: 1 })).pullback(tensor([1], []))).toThrow(
      /no gradient/,
    )
  })
})
