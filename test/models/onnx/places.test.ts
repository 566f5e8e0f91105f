/** Operators of ONNX that move, resample and repeat, in what ONNX's own cases leave out: older opsets, refusals, gradients. */
import { beforeAll, describe, expect, it } from 'vitest'
import { vjp } from '../../../src/autodiff/vjp.js'
import { writeOnnx, type OnnxAttribute, type OnnxInput } from '../../../src/formats/onnx.js'
import { loadOnnx, saveOnnx } from '../../../src/models/onnx/index.js'
import { maxPool2d, relu, upsample2d } from '../../../src/ops/index.js'
import { init } from '../../../src/runtime/embedded.js'
import { FormatError, UnsupportedError } from '../../../src/runtime/errors.js'
import { normal, tensor } from '../../../src/tensor/create.js'
import { scope, type AnyTensor, type Tensor } from '../../../src/tensor/tensor.js'
import { node, onnx, value } from '../../helpers/onnx.js'

beforeAll(() => init())

type Value = number | string | readonly number[] | readonly string[]

const utf8 = new TextEncoder()

/** Attributes: whole numbers are ints, others floats; `floats` names those that are floats though they are whole. */
const attributesOf = (values: Readonly<Record<string, Value>>, floats: readonly string[]): OnnxInput<OnnxAttribute>[] =>
  Object.entries(values).map(([name, value]): OnnxInput<OnnxAttribute> => {
    if (typeof value === 'string') return { name, kind: 'string', value: utf8.encode(value) }
    const isFloat = floats.includes(name)
    if (typeof value === 'number') {
      return isFloat || !Number.isInteger(value)
        ? { name, kind: 'float', value }
        : { name, kind: 'int', value: BigInt(value) }
    }
    if (typeof value[0] === 'string')
      return { name, kind: 'strings', value: (value as string[]).map((text) => utf8.encode(text)) }
    return isFloat
      ? { name, kind: 'floats', value: Float32Array.from(value as number[]) }
      : { name, kind: 'ints', value: BigInt64Array.from(value as number[], BigInt) }
  })

const codes = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7, bool: 9 } as const

interface Options {
  readonly opset: number
  readonly attributes?: Readonly<Record<string, Value>>
  readonly floats?: readonly string[]
  readonly outputs?: readonly string[]
}

/** A model of one node, whose inputs are those that are tensors; undefined is left out. */
const modelOf = (
  opType: string,
  inputs: readonly (AnyTensor | undefined)[],
  { opset, attributes = {}, floats = [], outputs = ['y'] }: Options,
): Uint8Array =>
  writeOnnx({
    irVersion: 8,
    opsetImport: [{ domain: '', version: opset }],
    graph: {
      inputs: inputs.flatMap((x, i) =>
        x
          ? [{ name: `x${i}`, type: { kind: 'tensor', elementType: codes[x.dtype], shape: [...x.shape] } as const }]
          : [],
      ),
      outputs: outputs.flatMap((name) =>
        name === '' ? [] : [{ name, type: { kind: 'tensor', elementType: 1, shape: undefined } as const }],
      ),
      nodes: [
        {
          opType,
          inputs: inputs.map((x, i) => (x ? `x${i}` : '')),
          outputs: [...outputs],
          attributes: attributesOf(attributes, floats),
        },
      ],
    },
  })

const given = (inputs: readonly (AnyTensor | undefined)[]): Record<string, AnyTensor> =>
  Object.fromEntries(inputs.flatMap((x, i) => (x ? [[`x${i}`, x]] : [])))

/** What a node gives, the second time as it is repeated. */
function run(opType: string, inputs: readonly (AnyTensor | undefined)[], options: Options): Record<string, AnyTensor> {
  const program = loadOnnx(modelOf(opType, inputs, options))
  program.run(given(inputs))
  const results = program.run(given(inputs))
  program.dispose()
  return results
}

const numbers = (x: AnyTensor | undefined): number[] => Array.from(x!.data() as ArrayLike<number | bigint>, Number)
const y = (opType: string, inputs: readonly (AnyTensor | undefined)[], options: Options): AnyTensor =>
  run(opType, inputs, options)['y']!
const whole = (values: readonly number[], shape: readonly number[] = [values.length]): AnyTensor =>
  tensor([...values], [...shape], { dtype: 'int64' })

/** The error with which a model is refused when it is loaded. */
const refusal = (opType: string, count: number, options: Options): unknown => {
  try {
    loadOnnx(modelOf(opType, new Array<AnyTensor>(count).fill(tensor([1])), options)).dispose()
    return undefined
  } catch (error) {
    return error
  }
}

describe('Resize and Upsample', () => {
  const row = () => tensor([1, 2, 3, 4], [1, 1, 1, 4])

  it('mean something else before opset 11: coordinates from 0 on, and up where an axis shrinks', () => {
    scope(() => {
      const scales = tensor([1, 1, 1, 0.6])
      const nearest = { mode: 'nearest' }
      expect(numbers(y('Resize', [row(), scales], { opset: 10, attributes: nearest }))).toEqual([1, 3])
      const twice = tensor([1, 1, 1, 2])
      const linear = { attributes: { mode: 'linear' } }
      const older = [1, 1.5, 2, 2.5, 3, 3.5, 4, 4]
      expect(numbers(y('Resize', [row(), twice], { opset: 10, ...linear }))).toEqual(older)
      expect(numbers(y('Upsample', [row(), twice], { opset: 9, ...linear }))).toEqual(older)
      expect(
        numbers(
          y('Upsample', [row()], {
            opset: 7,
            attributes: { mode: 'linear', scales: [1, 1, 1, 2] },
            floats: ['scales'],
          }),
        ),
      ).toEqual(older)
      const newer = numbers(y('Resize', [row(), tensor([], [0]), twice], { opset: 11, ...linear }))
      expect(newer).toEqual([1, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75, 4])
      const first = { attributes: { height_scale: 1, width_scale: 2 }, floats: ['height_scale', 'width_scale'] }
      expect(numbers(y('Upsample', [row()], { opset: 6, ...first }))).toEqual([1, 1, 2, 2, 3, 3, 4, 4])
    })
  })

  it('repeat pixels where that is what is asked, and round factors in single precision', () => {
    scope(() => {
      const x = normal([1, 2, 3, 10], { seed: 1 })
      const options = { opset: 13, attributes: { coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' } }
      const repeated = y('Resize', [x, undefined, tensor([1, 1, 2, 3])], options)
      expect(repeated.shape).toEqual([1, 2, 6, 30])
      const [values, from] = [numbers(repeated), numbers(x)]
      expect(values).toEqual(
        values.map((_, i) => from[Math.floor(Math.floor(i / 30) / 2) * 10 + Math.floor((i % 30) / 3)]),
      )
      // 10 · 0.7 is 7, although the number that single precision has for 0.7 is less.
      expect(y('Resize', [x, undefined, tensor([1, 1, 1, 0.7])], options).shape).toEqual([1, 2, 3, 7])
    })
  })

  it('keep the proportions where opset 18 is told to', () => {
    scope(() => {
      const x = normal([1, 1, 4, 6], { seed: 1 })
      const shapeOf = (policy: string) =>
        y('Resize', [x, undefined, undefined, whole([6, 6])], {
          opset: 18,
          attributes: { axes: [-2, -1], keep_aspect_ratio_policy: policy, mode: 'linear' },
        }).shape
      expect(shapeOf('not_larger')).toEqual([1, 1, 4, 6])
      expect(shapeOf('not_smaller')).toEqual([1, 1, 6, 9])
      expect(shapeOf('stretch')).toEqual([1, 1, 6, 6])
    })
  })

  it('are differentiated', () => {
    scope(() => {
      const scales = tensor([1, 1, 1, 2])
      const program = loadOnnx(
        modelOf('Resize', [row(), undefined, scales], { opset: 13, attributes: { mode: 'cubic' } }),
      )
      const { pullback } = vjp((x: Tensor) => program.run({ x0: x, x2: scales })['y'] as Tensor, row())
      const dx = numbers(pullback(tensor(new Float32Array(8).fill(1), [1, 1, 1, 8]))[0])
      expect(dx.reduce((sum, value) => sum + value, 0)).toBeCloseTo(8, 5)
      program.dispose()
    })
  })

  it('refuse when they are loaded what an opset does not have', () => {
    scope(() => {
      const of = (opset: number, attributes: Record<string, Value>) => refusal('Resize', 3, { opset, attributes })
      for (const error of [
        of(13, { coordinate_transformation_mode: 'tf_half_pixel_for_nn' }),
        of(18, { coordinate_transformation_mode: 'half_pixel_symmetric' }),
        of(13, { antialias: 1 }),
        of(13, { axes: [0] }),
        of(13, { keep_aspect_ratio_policy: 'not_larger' }),
        of(18, { antialias: 1 }),
        refusal('Resize', 2, { opset: 10, attributes: { mode: 'cubic' } }),
        refusal('Resize', 1, { opset: 13 }),
      ])
        expect(error).toBeInstanceOf(UnsupportedError)
      expect(of(11, { coordinate_transformation_mode: 'tf_half_pixel_for_nn' })).toBeUndefined()
      expect(of(19, { coordinate_transformation_mode: 'half_pixel_symmetric' })).toBeUndefined()
    })
  })
})

describe('places', () => {
  it('have batches and reductions only from the opsets on that have them', () => {
    scope(() => {
      const of = (opType: string, count: number, opset: number, attributes: Record<string, Value>) =>
        refusal(opType, count, { opset, attributes })
      expect(of('GatherND', 2, 11, { batch_dims: 1 })).toBeInstanceOf(UnsupportedError)
      expect(of('GatherND', 2, 12, { batch_dims: 1 })).toBeUndefined()
      for (const opType of ['ScatterElements', 'ScatterND']) {
        expect(of(opType, 3, 13, { reduction: 'add' })).toBeInstanceOf(UnsupportedError)
        expect(of(opType, 3, 16, { reduction: 'add' })).toBeUndefined()
        expect(of(opType, 3, 16, { reduction: 'max' })).toBeInstanceOf(UnsupportedError)
        expect(of(opType, 3, 18, { reduction: 'max' })).toBeUndefined()
      }
      expect(of('GatherElements', 2, 10, {})).toBeInstanceOf(UnsupportedError)
      expect(of('GridSample', 2, 16, { mode: 'linear' })).toBeInstanceOf(UnsupportedError)
      expect(of('GridSample', 2, 20, { mode: 'bilinear' })).toBeInstanceOf(UnsupportedError)
      expect(of('RoiAlign', 3, 10, { coordinate_transformation_mode: 'half_pixel' })).toBeInstanceOf(UnsupportedError)
      expect(of('LpPool', 1, 11, { kernel_shape: [2], dilations: [2] })).toBeInstanceOf(UnsupportedError)
    })
  })

  it('tell how many there are by the numbers', () => {
    scope(() => {
      const program = loadOnnx(modelOf('NonZero', [tensor([0, 0], [1, 2])], { opset: 13 }))
      for (const [values, due] of [
        [
          [1, 0],
          [0, 0],
        ],
        [
          [1, 2],
          [0, 0, 0, 1],
        ],
        [[0, 0], []],
      ] as const) {
        const { y: places } = program.run({ x0: tensor([...values], [1, 2]) })
        expect([places!.shape, numbers(places)]).toEqual([[2, due.length / 2], due])
      }
      program.dispose()
      expect(y('NonZero', [tensor([3], [])], { opset: 13 }).shape).toEqual([0, 1])
      const condition = tensor([false, true], [2], { dtype: 'bool' })
      const x = whole([1, 2, 3, 4, 5, 6], [2, 3])
      expect(numbers(y('Compress', [x, condition], { opset: 11 }))).toEqual([2])
      expect(numbers(y('Compress', [x, condition], { opset: 11, attributes: { axis: -1 } }))).toEqual([2, 5])
    })
  })

  it('of pooled maps are refused in another shape', () => {
    scope(() => {
      const [x, places] = [tensor([1], [1, 1, 1]), whole([1], [1, 1, 1])]
      const options = { opset: 11, attributes: { kernel_shape: [2], strides: [2] } }
      expect(numbers(y('MaxUnpool', [x, places], options))).toEqual([0, 1])
      expect(numbers(y('MaxUnpool', [x, places, whole([1, 1, 2])], options))).toEqual([0, 1])
      expect(() => y('MaxUnpool', [x, places, whole([1, 1, 3])], options)).toThrow(UnsupportedError)
    })
  })
})

describe('places of maxima', () => {
  it('are planned with the pass in which they are used, and are not saved', () => {
    const windows = { kernel_shape: [2n, 2n], strides: [2n, 2n] }
    const program = loadOnnx(
      onnx({
        inputs: [value('x', ['N', 2, 6, 8])],
        outputs: [value('y')],
        nodes: [
          node('Relu', ['x'], ['r']),
          node('MaxPool', ['r'], ['m', 'places'], windows),
          node('MaxUnpool', ['m', 'places'], ['y'], windows),
        ],
      }),
    )
    for (let run = 0; run < 4; run++) {
      scope(() => {
        const x = normal([2, 2, 6, 8], { seed: run })
        const y = program.forward(x)
        const maxima = maxPool2d(relu(x), { kernel: 2 })
        const spread = upsample2d(maxima, { scale: 2 }).data()
        const expected = relu(x)
          .data()
          .map((value, i) => (value === spread[i] ? value : 0))
        expect(y.data()).toEqual(expected)
      })
    }
    // What is saved is what was planned.
    expect(() => saveOnnx(program)).toThrow('of maxPool2d only the first result is written')
    program.dispose()
  })
})

describe('LpPool', () => {
  it('has other powers, dilations, and windows that reach behind the input', () => {
    scope(() => {
      const x = tensor([1, -2, 3, -4, 5], [1, 1, 5])
      const of = (attributes: Record<string, Value>) => numbers(y('LpPool', [x], { opset: 18, attributes }))
      expect(of({ kernel_shape: [2], p: 1 })).toEqual([3, 5, 7, 9])
      expect(of({ kernel_shape: [2], p: 3 })[0]).toBeCloseTo(9 ** (1 / 3), 5)
      expect(of({ kernel_shape: [2], p: 1, dilations: [2] })).toEqual([4, 6, 8])
      expect(of({ kernel_shape: [2], strides: [2], p: 1, ceil_mode: 1 })).toEqual([3, 7, 5])
      expect(of({ kernel_shape: [2], strides: [2], p: 1, auto_pad: 'SAME_LOWER' })).toEqual([1, 5, 9])
      expect(numbers(y('GlobalLpPool', [x], { opset: 11, attributes: { p: 1 } }))).toEqual([15])
    })
  })
})

describe('recurrent layers', () => {
  const all = { outputs: ['y', 'h', 'c'] }
  const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))

  it('have other activations, with parameters in their order, and bounds', () => {
    scope(() => {
      const x = tensor([2, -3], [2, 1, 1])
      const [w, r] = [tensor([1, 1], [2, 1, 1]), tensor([0, 0], [2, 1, 1])]
      const of = (attributes: Record<string, Value>) =>
        numbers(
          y('RNN', [x, w, r], {
            opset: 14,
            attributes: { direction: 'bidirectional', ...attributes },
            floats: ['activation_alpha', 'activation_beta', 'clip'],
          }),
        )
      const names = ['LeakyRelu', 'Affine']
      expect(of({ activations: names })).toEqual([2, 2, Math.fround(-0.03), -3])
      expect(of({ activations: names, activation_alpha: [0.5, 2], activation_beta: [1] })).toEqual([2, 5, -1.5, -5])
      expect(of({ activations: names, activation_alpha: [0.5, 2], clip: 1 })).toEqual([1, 2, -0.5, -2])
      const rnn = (attributes: Record<string, Value>) => refusal('RNN', 3, { opset: 14, attributes })
      expect(rnn({ activations: ['Erf'] })).toBeInstanceOf(UnsupportedError)
      expect(rnn({ activations: ['Tanh', 'Tanh'] })).toBeInstanceOf(FormatError)
      expect(refusal('RNN', 3, { opset: 7, attributes: { layout: 1 } })).toBeInstanceOf(UnsupportedError)
    })
  })

  it('end where sequences end, in either direction', () => {
    scope(() => {
      const x = tensor([1, 2, 3, 4, 5, 6], [3, 2, 1])
      const [w, r] = [tensor([1, 1], [2, 1, 1]), tensor([1, 1], [2, 1, 1])]
      const lengths = tensor([2, 3], [2], { dtype: 'int32' })
      const results = run('RNN', [x, w, r, undefined, lengths], {
        ...{ opset: 14, outputs: ['y', 'h'] },
        attributes: { direction: 'bidirectional', activations: ['Affine', 'Affine'] },
      })
      // Sums of x so far: 1, 1 + 3 of the first sequence, 2, 2 + 4, 2 + 4 + 6 of the second, and from behind.
      expect(numbers(results['y'])).toEqual([1, 2, 4, 12, 4, 6, 3, 10, 0, 12, 0, 6])
      expect(numbers(results['h'])).toEqual([4, 12, 4, 12])
    })
  })

  it('couple the gates of an LSTM, and are differentiated by weights', () => {
    scope(() => {
      const x = tensor([0.5], [1, 1, 1])
      const w = tensor([0.1, 0.2, 0.3, 0.4], [1, 4, 1])
      const [r, b, p] = [tensor([0, 0, 0, 0], [1, 4, 1]), undefined, undefined]
      const c0 = tensor([2], [1, 1, 1])
      const inputs = [x, w, r, b, undefined, undefined, c0, p]
      const options = { opset: 14, attributes: { input_forget: 1, hidden_size: 1 }, ...all }
      const input = sigmoid(0.05)
      const c = (1 - input) * 2 + input * Math.tanh(0.2)
      const results = run('LSTM', inputs, options)
      expect(numbers(results['c'])[0]).toBeCloseTo(c, 6)
      expect(numbers(results['h'])[0]).toBeCloseTo(sigmoid(0.1) * Math.tanh(c), 6)
      const program = loadOnnx(modelOf('LSTM', inputs, options))
      const of = (weights: Tensor) => program.run({ ...given(inputs), x1: weights })['h'] as Tensor
      const [dw] = vjp(of, w).pullback(tensor([1], [1, 1, 1]))
      numbers(dw).forEach((value, i) => {
        const moved = (by: number): number => {
          const values = numbers(w)
          values[i]! += by
          return of(tensor(values, w.shape)).item()
        }
        expect(value).toBeCloseTo((moved(0.01) - moved(-0.01)) / 0.02, 3)
      })
      program.dispose()
    })
  })
})

describe('NonMaxSuppression', () => {
  it('keeps nothing unless told how many, and passes over scores that are none', () => {
    scope(() => {
      const boxes = tensor([0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 3, 3], [1, 3, 4])
      const scores = tensor([0.5, NaN, 0.9], [1, 1, 3])
      expect(y('NonMaxSuppression', [boxes, scores], { opset: 11 }).shape).toEqual([0, 3])
      const most = whole([5], [])
      expect(numbers(y('NonMaxSuppression', [boxes, scores, most], { opset: 11 }))).toEqual([0, 0, 2, 0, 0, 0])
      const least = tensor([0.6], [])
      expect(numbers(y('NonMaxSuppression', [boxes, scores, most, undefined, least], { opset: 10 }))).toEqual([0, 0, 2])
    })
  })
})
