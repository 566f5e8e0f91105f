/** ONNX's operators of 8-bit integers, and those that onnxruntime adds, are their definitions, byte for byte; what they refuse. */
import { beforeAll, describe, expect, it } from 'vitest'
import { loadOnnx } from '../../../src/models/onnx/index.js'
import { initIntegers } from '../../../src/quant/index.js'
import { memoryUsage } from '../../../src/runtime/core.js'
import { init } from '../../../src/runtime/embedded.js'
import { tensor } from '../../../src/tensor/create.js'
import { scope, type AnyTensor } from '../../../src/tensor/tensor.js'
import { inputNames, modelOf, type CaseTensor } from '../../onnx/opsetCases.js'
import { quantizedCases } from '../../onnx/quantizedCases.js'
import type { QuantizedCase } from '../../onnx/quantizedParts.js'

beforeAll(async () => {
  await init()
  await initIntegers()
})

const tensorOf = ({ dtype, shape, values }: CaseTensor): AnyTensor => tensor([...values], [...shape], { dtype })

type Given = Omit<QuantizedCase, 'name' | 'due'>

/** Runs a case twice, as it is planned and as it is repeated, and gives each output of both passes. */
function run(given: Given, areConstants: boolean): { dtype: string; shape: readonly number[]; values: number[] }[][] {
  const names = inputNames(given)
  const program = loadOnnx(modelOf(given, given.opset, areConstants), { name: 'case.onnx' })
  try {
    return scope(() => {
      const inputs = Object.fromEntries(
        given.inputs.flatMap((input, i) =>
          input && !(areConstants && i > 0) ? [[names[i] as string, tensorOf(input)]] : [],
        ),
      )
      return [0, 1].map(() => {
        const results = program.run(inputs)
        return given.outputs.map((_, i) => {
          const y = results[`y${i}`] as AnyTensor
          return { dtype: y.dtype, shape: y.shape, values: Array.from(y.data() as Iterable<number>, Number) }
        })
      })
    })
  } finally {
    program.dispose()
  }
}

describe('operators of integers', () => {
  it.each(quantizedCases)('$name', (given) => {
    const before = memoryUsage().liveBytes
    for (const areConstants of [false, true]) {
      for (const outputs of run(given, areConstants)) {
        outputs.forEach(({ dtype, shape, values }, i) => {
          const due = given.due[i]!
          expect([dtype, shape]).toEqual([due.dtype, due.shape])
          expect(values).toEqual(dtype === 'float32' ? due.values.map(Math.fround) : due.values)
        })
      }
    }
    expect(memoryUsage().liveBytes).toBe(before)
  })
})

/** A case that differs from one of the table. */
function caseOf(name: string, change: (given: QuantizedCase) => Partial<QuantizedCase>): Given {
  const given = quantizedCases.find((each) => each.name === name)
  if (!given) throw new Error(`there is no case '${name}'`)
  return { ...given, ...change(given) }
}

/** One input in place of another. */
const withInput =
  (index: number, input: CaseTensor | undefined) =>
  ({ inputs }: QuantizedCase): Partial<QuantizedCase> => ({
    inputs: inputs.map((each, i) => (i === index ? input : each)),
  })

const one = (dtype: CaseTensor['dtype'], shape: readonly number[] = [], by = 1): CaseTensor => ({
  ...{ dtype, shape, values: new Array<number>(shape.reduce((product, extent) => product * extent, 1)).fill(by) },
})

describe('zero points', () => {
  const conv = 'QLinearConv 3 × 3'
  // The operators with the places of the zero points of their operands, and of that of their result.
  it.each([
    ['QLinearConv of int8 to int8', [2], 'int8'],
    [conv, [2], 'uint8'],
    [conv, [5], 'int8'],
    ['ConvInteger of uint8 and int8 with 2 zero points', [2], 'uint8'],
    ['ConvInteger of uint8 and int8 with 2 zero points', [3], 'int8'],
    ['QLinearMatMul int8 matrices', [2, 5], 'int8'],
    ['MatMulInteger uint8 matrices', [2, 3], 'uint8'],
    ['DequantizeLinear int8', [2], 'int8'],
    ['DequantizeLinear int32 along an axis', [2], 'int32'],
    ['QLinearAdd int8', [2, 5], 'int8'],
    ['QLinearConcat uint8', [4, 7], 'uint8'],
    ['QLinearAveragePool int8', [2], 'int8'],
    ['QLinearGlobalAveragePool uint8', [2], 'uint8'],
  ] as const)('of %s must have the type of their tensors', (name, places, type) => {
    for (const place of places) {
      for (const dtype of ['uint8', 'int8', 'int32', 'float32'] as const) {
        if (dtype === type) continue
        const shape = quantizedCases.find((each) => each.name === name)?.inputs[place]?.shape
        const given = caseOf(name, withInput(place, one(dtype, shape)))
        expect(() => run(given, false), `${name}, input ${place}, ${dtype}`).toThrow(
          `input ${place}, a zero point, is ${dtype}, but must be ${type}, as its tensor is`,
        )
      }
    }
  })

  it.each([
    [conv, 7],
    ['QLinearMatMul int8 matrices', 7],
    ['QLinearAdd int8', 7],
    ['QLinearConcat uint8', 1],
    ['QLinearAveragePool int8', 4],
    ['QLinearGlobalAveragePool uint8', 4],
  ] as const)('of the result of %s must be bytes', (name, place) => {
    for (const dtype of ['int32', 'float32'] as const) {
      expect(() => run(caseOf(name, withInput(place, one(dtype))), false)).toThrow(
        `input ${place}, a zero point, is ${dtype}, but must be uint8 or int8`,
      )
    }
  })

  it('of QuantizeLinear must be of output_dtype', () => {
    const given = caseOf('QuantizeLinear blocks, by output_dtype', withInput(2, one('uint8', [2, 3, 2])))
    expect(() => run(given, false)).toThrow('input 2, a zero point, is uint8, but must be int8')
    for (const dtype of ['int32', 'float32'] as const)
      expect(() => run(caseOf('QuantizeLinear uint8', withInput(2, one(dtype))), false)).toThrow(
        `zero points of ${dtype} are not supported`,
      )
  })

  it('that are left out are 0 of the type of their tensors', () => {
    for (const name of ['QLinearConv of int8 to int8', 'QLinearMatMul int8 matrices', 'QLinearAveragePool int8']) {
      const places = name.startsWith('QLinearConv') ? [2, 7] : name.startsWith('QLinearMatMul') ? [2, 5, 7] : [2, 4]
      const without = (by: CaseTensor | undefined): Given =>
        caseOf(name, ({ inputs }) => ({ inputs: inputs.map((each, i) => (places.includes(i) ? by : each)) }))
      expect(run(without(undefined), false)).toEqual(run(without(one('int8', [], 0)), false))
    }
  })
})

describe('windows and operands that are none', () => {
  const windows = [
    ['strides of 0', { strides: [0n, 1n] }, /stride must be whole numbers from 1 on, given 0/],
    ['strides of 2^31', { strides: [2n ** 31n, 1n] }, /stride can be at most 2147483647/],
    ['negative dilations', { dilations: [1n, -1n] }, /dilation must be whole numbers from 1 on, given -1/],
    ['dilations of 0', { dilations: [0n, 1n] }, /dilation must be whole numbers from 1 on, given 0/],
    [
      'wide dilations',
      { dilations: [2n ** 30n, 1n] },
      /reaches over \d+ elements along direction 0, but the input has/,
    ],
    ['negative pads', { pads: [-1n, 0n, 1n, 0n] }, /padding must be whole numbers from 0 on, given -1/],
    ['wide pads', { pads: [2n ** 30n, 2n ** 30n, 0n, 0n] }, /needs more than the 4 GiB of WebAssembly memory/],
    [
      'one stride for two directions',
      { strides: [1n] },
      /strides must have 2 numbers, one for each direction, and has 1/,
    ],
  ] as const
  const operators = [
    'QLinearConv 3 × 3',
    'QLinearConv of each channel',
    'ConvInteger of uint8 and int8 with 2 zero points',
    'QLinearAveragePool uint8 counting pads',
  ]
  it.each(windows.flatMap((each) => operators.map((name) => [name, ...each] as const)))(
    'are refused: %s with %s',
    (name, _, attributes, message) => {
      const given = caseOf(name, (known) => ({ attributes: { ...known.attributes, ...attributes } }))
      const before = memoryUsage().liveBytes
      expect(() => run(given, false)).toThrow(message)
      expect(memoryUsage().liveBytes).toBe(before)
    },
  )

  it.each(windows.filter(([what]) => !what.includes('pads')))(
    'are refused: MaxPool of bytes with %s',
    (_, more, due) => {
      const given = caseOf('MaxPool uint8', ({ attributes }) => ({ attributes: { ...attributes, ...more } }))
      expect(() => run(given, false)).toThrow(due)
    },
  )

  it('are pads of MaxPool as of float32', () => {
    for (const pads of [
      [-1n, 0n, 0n, 0n],
      [0n, 0n, 0n, -2n],
      [3n, 3n, 0n, 0n],
    ]) {
      const bytes = caseOf('MaxPool uint8', ({ attributes }) => ({ attributes: { ...attributes, pads } }))
      const floats: Given = {
        ...bytes,
        inputs: bytes.inputs.map((input) => input && { ...input, dtype: 'float32' }),
        outputs: ['float32'],
      }
      const answer = (given: Given): unknown => {
        try {
          return run(given, false).map((outputs) =>
            outputs.map(({ shape, values }) => [shape, values.map((x) => Math.max(0, x))]),
          )
        } catch (error) {
          return String(error)
        }
      }
      expect(answer(bytes)).toEqual(answer(floats))
    }
  })

  it.each([
    [
      'QLinearConv 3 × 3',
      3,
      one('int8', [4, 3, 3]),
      /weights \(4, 3, 3\) must have as many axes as the input, \(2, 3, 5, 6\)/,
    ],
    ['QLinearConv 3 × 3', 3, one('int8', [4, 27]), /weights \(4, 27\) must have as many axes as the input/],
    ['QLinearConv of one direction', 3, one('int8', [4, 3, 1, 4]), /must have as many axes as the input, \(2, 3, 11\)/],
    ['QLinearConv 3 × 3', 3, one('int8', [4, 2, 3, 3]), /do not fit x \(2, 3, 5, 6\)/],
    ['QLinearConv 3 × 3', 0, one('uint8', [3, 5]), /one and two directions are supported, and the input is \(3, 5\)/],
    ['QLinearConv with a bias', 8, one('int32', [3]), /bias must be \(4\), one for each filter, given \(3\)/],
    ['QLinearConv with a bias', 8, one('float32', [4]), /bias must be of int32/],
    ['QLinearConv of one zero point that is not 0', 8, one('int32', [3]), /bias must be \(4\), one for each filter/],
    ['QLinearConv 3 × 3', 2, one('uint8', [2]), /input 2 must be one number, given \(2\)/],
    ['QLinearConv 3 × 3', 1, one('float32', [2]), /input 1, a scale, must be one number, given \(2\)/],
    ['QLinearConv 3 × 3', 4, one('float32', [3]), /scales of the weights must be one, or 4, given 3/],
    ['QLinearConv 3 × 3', 6, one('float32', [], 0), /input 6, a scale, must be a number from 2\^-126 on, .* given 0/],
    ['QLinearConv 3 × 3', 0, one('float32', [2, 3, 5, 6]), /input 0 must be of uint8 or int8/],
    ['QLinearAdd uint8', 1, one('float32', [], 2 ** 20), /a scale must be below 2\^20 times that of the sum/],
    ['QLinearAdd uint8', 3, one('uint8', [3, 5, 6]), /both must be of one shape, given \(2, 3, 5, 6\) and \(3, 5, 6\)/],
    ['QLinearConcat uint8', 3, one('float32', [], 2 ** 20), /must be below 2\^15, given/],
  ] as const)('are refused: %s, input %d', (name, index, input, message) => {
    const before = memoryUsage().liveBytes
    // With one zero point of the weights the kernels compute, with another the loops.
    const base = caseOf(name, ({ inputs }) => ({
      inputs: index === 8 && inputs.length === 8 ? [...inputs, input] : inputs,
    }))
    const given = { ...base, inputs: base.inputs.map((each, i) => (i === index ? input : each)) }
    expect(() => run(given, false)).toThrow(message)
    expect(memoryUsage().liveBytes).toBe(before)
  })
})
