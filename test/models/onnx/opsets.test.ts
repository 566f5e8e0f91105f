/**
 * What opsets 18 to 22 changed, against what onnxruntime-web gives, or the text of the operator where that has it not or differs:
 * test/onnx/opsets.mjs wrote the answers.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { loadOnnx } from '../../../src/models/onnx/index.js'
import { memoryUsage } from '../../../src/runtime/core.js'
import { init } from '../../../src/runtime/embedded.js'
import { ToeplitzError, UnsupportedError } from '../../../src/runtime/errors.js'
import { tensor } from '../../../src/tensor/create.js'
import { scope, type AnyTensor } from '../../../src/tensor/tensor.js'
import { node, onnx, value } from '../../helpers/onnx.js'
import { inputNames, modelOf, numbers, opsetCases, type CaseTensor, type CaseType } from '../../onnx/opsetCases.js'

beforeAll(() => init())

interface Answer {
  readonly by: string
  readonly outputs: readonly {
    readonly dtype: CaseType
    readonly shape: readonly number[]
    readonly values: readonly (number | string)[]
  }[]
}
const path = join(import.meta.dirname, '..', '..', 'fixtures', 'onnx', 'opsets.json')
const answers = JSON.parse(readFileSync(path, 'utf8')) as Readonly<Record<string, Answer>>

const tensorOf = ({ dtype, shape, values }: CaseTensor): AnyTensor => tensor([...values], [...shape], { dtype })

/** Within 1e-5 of the largest number of an output, and of whole numbers exactly. */
function expectNear(given: AnyTensor, due: Answer['outputs'][number], what: string): void {
  expect([given.dtype, given.shape], what).toEqual([due.dtype, due.shape])
  const values = due.values.map(Number)
  const largest = values.reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 0)
  Array.from(given.data() as Iterable<number | bigint>, Number).forEach((x, i) => {
    const wanted = values[i] as number
    const isSame = x === wanted || (Number.isNaN(x) && Number.isNaN(wanted))
    const isNear = due.dtype === 'float32' && Math.abs(x - wanted) <= 1e-5 * largest
    expect(isSame || isNear, `${what}, element ${i}: ${x}, due ${wanted}`).toBe(true)
  })
}

describe('opsets 18 to 22', () => {
  it('have an answer for each case, and no others', () => {
    expect(Object.keys(answers)).toEqual(opsetCases.map(({ name }) => name))
  })

  it.each(opsetCases)('$name', (given) => {
    const before = memoryUsage().liveBytes
    const names = inputNames(given)
    const program = loadOnnx(modelOf(given), { name: 'case.onnx' })
    scope(() => {
      const inputs = Object.fromEntries(
        given.inputs.flatMap((input, i) => (input ? [[names[i] as string, tensorOf(input)]] : [])),
      )
      // As it is planned, and as it is repeated.
      for (let pass = 0; pass < 2; pass++) {
        const results = program.run(inputs)
        answers[given.name]?.outputs.forEach((due, i) => expectNear(results[`y${i}`]!, due, `y${i}, pass ${pass}`))
      }
    })
    program.dispose()
    expect(memoryUsage().liveBytes).toBe(before)
  })
})

describe('what opsets 18 to 22 brought and is not supported', () => {
  it.each([
    ...['BitwiseAnd', 'BitwiseNot', 'BitwiseOr', 'BitwiseXor', 'CenterCropPad', 'Col2Im', 'SplitToSequence'].map(
      (operator) => [operator, 18] as const,
    ),
    ...['OptionalGetElement', 'OptionalHasElement', 'OptionalHasElement'].map((operator) => [operator, 18] as const),
    ['DeformConv', 19] as const,
    ...['AffineGrid', 'DFT', 'ImageDecoder', 'RegexFullMatch', 'StringConcat', 'StringSplit'].map(
      (operator) => [operator, 20] as const,
    ),
    ...['Bernoulli', 'DeformConv', 'MaxRoiPool', 'Multinomial', 'RandomNormal', 'RandomUniformLike'].map(
      (operator) => [operator, 22] as const,
    ),
  ])('%s of opset %i is refused by name, when the file is loaded', (operator, opset) => {
    const given = { inputs: [value('x', [2, 3])], outputs: [value('y')], nodes: [node(operator, ['x'], ['y'])] }
    expect(() => loadOnnx(onnx(given, opset), { name: 'new.onnx' })).toThrow(
      new UnsupportedError(`new.onnx: node 'y' (${operator}): the operator is not supported`),
    )
  })

  it.each(['QuantizeLinear', 'DequantizeLinear', 'QLinearConv', 'ConvInteger'])(
    '%s is refused with what makes it readable',
    (operator) => {
      const given = { inputs: [value('x', [2, 3])], outputs: [value('y')], nodes: [node(operator, ['x'], ['y'])] }
      expect(() => loadOnnx(onnx(given, 19), { name: 'new.onnx' })).toThrow(
        `new.onnx: node 'y' (${operator}): the operator is not supported; those of integers are after initIntegers() of toeplitz/quant`,
      )
    },
  )

  it.each([
    ['float8e4m3fn', 17n, 19],
    ['float8e5m2', 19n, 19],
    ['uint4', 21n, 21],
    ['int4', 22n, 21],
  ] as const)('a conversion to %s is refused by its name', (name, to, opset) => {
    const cast = node('Cast', ['x'], ['y'], { to })
    const given = { inputs: [value('x', [2])], outputs: [value('y')], nodes: [cast] }
    expect(() => loadOnnx(onnx(given, opset))).toThrow(UnsupportedError)
    expect(() => loadOnnx(onnx(given, opset))).toThrow(name)
  })

  it('texts, which Equal takes from opset 19 on, are refused as inputs', () => {
    const inputs = [value('a', [2], 'string'), value('b', [2], 'string')]
    const given = { inputs, outputs: [value('y', [2], 'bool')], nodes: [node('Equal', ['a', 'b'], ['y'])] }
    expect(() => loadOnnx(onnx(given, 19))).toThrow(/'a' is of string, which is not supported/)
  })

  it.each([
    [{ antialias: 1n, mode: 'nearest' }, 'antialias'],
    [{ keep_aspect_ratio_policy: 'crop' }, 'keep_aspect_ratio_policy'],
    [{ coordinate_transformation_mode: 'tf_half_pixel_for_nn' }, 'coordinate_transformation_mode'],
  ])('options of Resize that there are not: %o', (attributes, name) => {
    const resize = node('Resize', ['x', '', 's'], ['y'], attributes)
    const inputs = [value('x', [1, 1, 4, 4]), value('s', [4])]
    expect(() => loadOnnx(onnx({ inputs, outputs: [value('y')], nodes: [resize] }, 18))).toThrow(name)
  })
})

describe('means of windows whose elements are apart', () => {
  /** Means by their definition; padding of any width, which counts where `counted` says so. */
  function means(
    x: readonly number[],
    options: { k: number; s: number; d: number; lo: number; hi: number; ceil: boolean; counted: boolean },
  ) {
    const { k, s, d, lo, hi, ceil, counted } = options
    const n = x.length
    const steps = (n + lo + hi - d * (k - 1) - 1) / s
    let count = (ceil ? Math.ceil(steps) : Math.floor(steps)) + 1
    if (ceil && (count - 1) * s >= n + lo) count--
    return Array.from({ length: count }, (_, i) => {
      const places = Array.from({ length: k }, (__, tap) => i * s - lo + tap * d)
      const own = places.filter((place) => place >= 0 && place < n)
      const due = counted ? places.filter((place) => place >= -lo && place < n + hi) : own
      return own.reduce((sum, place) => sum + (x[place] as number), 0) / Math.max(1, due.length)
    })
  }

  it('are those of the definition, with padding wider than half a window and partial windows', () => {
    const values = numbers(11)
    let compared = 0
    for (const k of [1, 2, 3]) {
      for (const d of [1, 2, 3]) {
        for (const s of [1, 2, 3]) {
          for (const [lo, hi] of [
            [0, 0],
            [1, 0],
            [0, 3],
            [4, 2],
          ] as const) {
            for (const ceil of [false, true]) {
              for (const counted of [false, true]) {
                const due = means(values, { k, s, d, lo, hi, ceil, counted })
                const pool = node('AveragePool', ['x'], ['y'], {
                  ...{ kernel_shape: [BigInt(k)], strides: [BigInt(s)], dilations: [BigInt(d)] },
                  ...{ pads: [BigInt(lo), BigInt(hi)], ceil_mode: BigInt(ceil), count_include_pad: BigInt(counted) },
                })
                const program = loadOnnx(onnx({ inputs: [value('x')], outputs: [value('y')], nodes: [pool] }, 19))
                scope(() => {
                  const y = program.run(tensor(values, [1, 1, values.length]))['y']!
                  const what = JSON.stringify({ k, d, s, lo, hi, ceil, counted })
                  expect(y.shape, what).toEqual([1, 1, due.length])
                  Array.from(y.data() as Float32Array).forEach((x, i) => expect(x, what).toBeCloseTo(due[i]!, 5))
                })
                program.dispose()
                compared++
              }
            }
          }
        }
      }
    }
    expect(compared).toBe(432)
  })

  it('refuse windows that do not fit', () => {
    const pool = node('AveragePool', ['x'], ['y'], { kernel_shape: [3n], dilations: [4n] })
    const program = loadOnnx(onnx({ inputs: [value('x')], outputs: [value('y')], nodes: [pool] }, 19))
    scope(() => {
      expect(() => program.run(tensor([1, 2, 3], [1, 1, 3]))).toThrow(ToeplitzError)
      expect(() => program.run(tensor([1, 2, 3], [1, 1, 3]))).toThrow('9 elements do not fit into 3')
    })
    program.dispose()
  })
})
