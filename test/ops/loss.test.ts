import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { gradcheck } from '../../src/autodiff/gradcheck.js'
import { valueAndGrad, vjp } from '../../src/autodiff/vjp.js'
import {
  bceWithLogits,
  crossEntropy,
  hingeLoss,
  mseLoss,
  type Labels,
  type LossOptions,
  type Reduction,
} from '../../src/ops/loss.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { DisposedError, ShapeError } from '../../src/runtime/errors.js'
import { normal, ones, tensor, uniform, zeros } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { expectClose, oracleCases } from '../helpers/oracle.js'
import { difference, size } from '../helpers/reference.js'
import { expectSecond, secondDerivatives } from '../helpers/second.js'

beforeAll(() => init())

const reductions: Reduction[] = ['mean', 'sum', 'none']
const total = (list: ArrayLike<number>): number => Array.from(list).reduce((sum, value) => sum + value, 0)

/** Losses by row, and the derivative of each with respect to its own scores. */
interface Reference {
  readonly loss: number
  readonly derivative: number[]
}

function crossEntropyRow(x: number[], label: number, smoothing: number): Reference {
  const largest = Math.max(...x)
  const logarithm = largest + Math.log(total(x.map((value) => Math.exp(value - largest))))
  const wanted = x.map((_, j) => (j === label ? 1 - smoothing : 0) + smoothing / x.length)
  return {
    loss: total(x.map((value, j) => wanted[j]! * (logarithm - value))),
    derivative: x.map((value, j) => Math.exp(value - logarithm) - wanted[j]!),
  }
}

function hingeRow(x: number[], label: number, margin: number): Reference {
  const excess = x.map((value, j) => (j === label ? 0 : Math.max(0, value - x[label]! + margin)))
  const derivative = excess.map((value) => (value > 0 ? 1 : 0) as number)
  derivative[label] = -total(derivative)
  return { loss: total(excess), derivative }
}

/** Applies a row's reference to (N, classes, …), reduces, and multiplies the derivative by dy. */
function reduceRows(
  shape: readonly number[],
  x: ArrayLike<number>,
  labels: ArrayLike<number>,
  row: (x: number[], label: number) => Reference,
  reduction: Reduction,
  dy: ArrayLike<number>,
): { value: Float64Array; gradient: Float64Array } {
  const [N, classes, ...spatial] = shape as [number, number, ...number[]]
  const inner = size(spatial)
  const losses = new Float64Array(N * inner)
  const gradient = new Float64Array(N * classes * inner)
  for (let n = 0; n < N; n++) {
    for (let i = 0; i < inner; i++) {
      const position = (c: number): number => (n * classes + c) * inner + i
      const { loss, derivative } = row(
        Array.from({ length: classes }, (_, c) => x[position(c)]!),
        labels[n * inner + i]!,
      )
      losses[n * inner + i] = loss
      const factor = reduction === 'none' ? dy[n * inner + i]! : reduction === 'sum' ? dy[0]! : dy[0]! / losses.length
      derivative.forEach((value, c) => (gradient[position(c)] = factor * value))
    }
  }
  const scale = reduction === 'mean' ? 1 / losses.length : 1
  return { value: reduction === 'none' ? losses : Float64Array.of(total(losses) * scale), gradient }
}

/** Labels spread over the classes, in each of the forms that are accepted. */
function makeLabels(form: string, rows: number[], classes: number, seed: number): { given: Labels; values: number[] } {
  let state = seed
  const values = Array.from({ length: size(rows) }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (state >>> 8) % classes
  })
  const forms: Record<string, () => Labels> = {
    array: () => values,
    int32: () => Int32Array.from(values),
    uint8: () => Uint8Array.from(values),
    tensor: () => tensor(Float32Array.from(values), rows),
  }
  return { given: forms[form]!(), values }
}

const cases = fc.record({
  N: fc.integer({ min: 1, max: 4 }),
  classes: fc.integer({ min: 1, max: 19 }),
  spatial: fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 2 }),
  reduction: fc.constantFrom(...reductions),
  share: fc.constantFrom(0, 0, 0.1, 1),
  spread: fc.constantFrom(0.1, 3, 30),
  form: fc.constantFrom('array', 'int32', 'uint8', 'tensor'),
  seed: fc.integer({ min: 1, max: 1e6 }),
})

interface Loss {
  readonly op: (logits: Tensor, target: Labels, options?: LossOptions) => Tensor
  readonly run: (logits: Tensor, target: Labels, share: number, reduction: Reduction) => Tensor
  readonly row: (x: number[], label: number, share: number) => Reference
}

const classLosses: Record<string, Loss> = {
  crossEntropy: {
    op: crossEntropy,
    run: (x, target, labelSmoothing, reduction) => crossEntropy(x, target, { labelSmoothing, reduction }),
    row: crossEntropyRow,
  },
  hingeLoss: {
    op: hingeLoss,
    run: (x, target, margin, reduction) => hingeLoss(x, target, { margin, reduction }),
    row: hingeRow,
  },
}

describe.each(Object.entries(classLosses))('%s', (name, { op, run, row }) => {
  it('agrees with its definition, with its gradient', () => {
    fc.assert(
      fc.property(cases, ({ N, classes, spatial, reduction, share, spread, form, seed }) => {
        scope(() => {
          const shape = [N, classes, ...spatial]
          const rows = [N, ...spatial]
          const { given, values } = makeLabels(form, rows, classes, seed)
          const x = normal(shape, { std: spread, mean: 50, seed })
          const { value, pullback, dispose } = vjp((logits) => run(logits, given, share, reduction), x)
          expect(value.shape).toEqual(reduction === 'none' ? rows : [])
          const dy = uniform(value.shape, { low: 0.5, high: 2, seed })
          const wanted = reduceRows(shape, x.data(), values, (r, label) => row(r, label, share), reduction, dy.data())
          const [dx] = pullback(dy) as [Tensor]
          expect(dx.shape).toEqual(shape)
          for (const [result, reference] of [
            [value, wanted.value],
            [dx, wanted.gradient],
          ] as const) {
            const { error, scale } = difference(result.data(), reference)
            expect(error).toBeLessThanOrEqual(2e-6 * scale + 1e-6)
          }
          // Without a gradient to come, the value is the same.
          expect(run(x, given, share, reduction).data()).toEqual(value.data())
          dispose()
        })
      }),
      { numRuns: 300 },
    )
  })

  it('has the gradient of its finite differences', () => {
    scope(() => {
      const labels = [3, 0, 4, 2, 2, 1]
      for (const reduction of reductions) {
        const loss = (x: Tensor): Tensor => run(x, labels, 0.2, reduction)
        expect(gradcheck(loss, [normal([6, 5], { seed: 3, std: 2 })], { step: 3e-3 }).ok).toBe(true)
        expect(gradcheck(loss, [normal([2, 5, 3], { seed: 5, std: 2 })], { step: 3e-3 }).ok).toBe(true)
      }
    })
  })

  it('takes the mean over the rows by default', () => {
    scope(() => {
      const x = normal([3, 4], { seed: 1 })
      expect(op(x, [1, 2, 3]).data()).toEqual(op(x, [1, 2, 3], { reduction: 'mean' }).data())
      expect(op(x, [1, 2, 3]).item()).toBeCloseTo(op(x, [1, 2, 3], { reduction: 'sum' }).item() / 3, 6)
    })
  })

  it('leaves no memory behind, whether a gradient follows or not', () => {
    const before = memoryUsage().liveBytes
    scope(() => {
      const x = normal([4, 5, 3])
      const labels = new Int32Array(12)
      op(x, labels)
      valueAndGrad((logits) => op(logits, labels))(x)
    })
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it('frees the logits early: the gradient does not read them', () => {
    scope(() => {
      const x = normal([2, 3], { seed: 1 })
      const { pullback, dispose } = vjp((logits) => op(logits, [0, 1]), x)
      const before = pullback()[0]!.data()
      x.assign(new Float32Array(6))
      expect(pullback()[0]!.data()).toEqual(before)
      dispose()
    })
  })

  it('keeps NaN', () => {
    scope(() => {
      for (const position of [0, 1, 6]) {
        const values = [[1, 2, 3, 4, 5, 6, 7]]
        values[0]![position] = NaN
        expect(op(tensor(values), [1]).item()).toBeNaN()
      }
    })
  })

  it.each([[[2, 3]], [[2, 5, 3]], [[1, 2, 2, 2]], [[3, 1]]])(
    'has the second derivatives of its definition, shape %j',
    (shape) => {
      const [N, classes, ...spatial] = shape as [number, number, ...number[]]
      const { given, values } = makeLabels('array', [N, ...spatial], classes, 7)
      scope(() => {
        for (const reduction of reductions) {
          for (const share of [0, 0.2]) {
            const definition = (x: Float64Array): Float64Array =>
              reduceRows(shape, x, values, (r, label) => row(r, label, share), reduction, new Float64Array(x.length))
                .value
            expectSecond((x) => run(x, given, share, reduction), definition, [normal(shape, { seed: 3, std: 2 })])
          }
        }
      })
    },
  )

  const x = (): Tensor => zeros([2, 3])
  it.each<[string, () => unknown, RegExp]>([
    ['rank', () => op(zeros([3]), [1]), /: logits must be \(N, classes, …\), given \(3\)$/],
    ['number of labels', () => op(x(), [1]), /: target must be 2 labels, rows of \(2\), given 1$/],
    ['lack of labels', () => op(x(), undefined as never), /target must be 2 labels, rows of \(2\), given undefined$/],
    [
      'shape of labels',
      () => op(x(), zeros([2, 1])),
      /: target must be (\(2\)|labels \(2\) or (distributions|one-hot rows) \(2, 3\)), given \(2, 1\)$/,
    ],
    ['number of axes of labels', () => op(x(), zeros([2, 1, 1])), /: target must be \(2\), given \(2, 1, 1\)$/],
    [
      'too large label',
      () => op(x(), [0, 3]),
      /: row 1 has the label 3; with 3 classes a label is a whole number from 0 to 2$/,
    ],
    ['negative label', () => op(x(), Int32Array.of(-1, 0)), /row 0 has the label -1; with 3 classes/],
    ['fractional label', () => op(x(), tensor([0, 0.5])), /row 1 has the label 0.5; with 3 classes/],
    ['NaN label', () => op(x(), [NaN, 0]), /row 0 has the label NaN/],
    [
      'nested labels',
      () => op(x(), [[0], [1]] as never),
      /: row 0 has the label 0; with|: target must be labels \(2\) or (distributions|one-hot rows) \(2, 3\), given \(2, 1\)$/,
    ],
    [
      'reduction',
      () => op(x(), [0, 1], { reduction: 'max' as 'sum' }),
      /: reduction must be 'mean', 'sum' or 'none', given 'max'$/,
    ],
    ['logits', () => op([1] as never, [0]), /: logits must be a Tensor, not \[1\];/],
    ['label in space', () => op(zeros([1, 2, 2, 2]), [0, 1, 2, 0]), /row 2 has the label 2; with 2 classes/],
  ])('refuses a wrong %s and allocates nothing', (_, call, message) => {
    scope(() => {
      expect(call).toThrow(message)
    })
    const before = memoryUsage().liveBytes
    scope(() => {
      expect(call).toThrow(ShapeError)
      expect(call).toThrow(new RegExp(`^${name}: `))
    })
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it('refuses labels in a disposed tensor', () => {
    scope(() => {
      const labels = zeros([2])
      labels.dispose()
      expect(() => op(x(), labels)).toThrow(DisposedError)
    })
  })
})

describe('crossEntropy', () => {
  it.each(oracleCases('crossEntropy'))('agrees with PyTorch, case $id', (test) => {
    scope(() => {
      const { shape, data } = test.inputs.get('logits')!
      const labels = Array.from(test.outputs.get('target')!.data)
      const { value, pullback, dispose } = vjp(
        (logits) => crossEntropy(logits, labels, test.options),
        tensor(data, shape),
      )
      expectClose(value.data(), test.outputs.get('y')!.data)
      expectClose(pullback(tensor(test.dy!.data, []))[0]!.data(), test.gradients.get('logits')!.data)
      dispose()
    })
  })

  it('is ln(classes) for equal logits', () => {
    scope(() => {
      expect(crossEntropy(zeros([4, 10]), [0, 3, 9, 5]).item()).toBe(Math.fround(Math.log(10)))
    })
  })

  it('neither overflows nor loses the digits of a small loss and its gradient', () => {
    scope(() => {
      const confident = tensor([[1e4 + 20, 1e4]])
      const { value, gradients } = valueAndGrad((x) => crossEntropy(x, [0]))(confident)
      const p = Math.exp(-20)
      expect(value.item() / Math.log1p(p)).toBeCloseTo(1, 6)
      gradients[0]!.data().forEach((element, j) => {
        expect(element / ((j === 0 ? -p : p) / (1 + p))).toBeCloseTo(1, 6)
      })
      expect(crossEntropy(tensor([[3e38, -3e38]]), [1]).item()).toBe(Infinity)
      expect(crossEntropy(tensor([[-Infinity, 0]]), [1]).item()).toBe(0)
      expect(crossEntropy(tensor([[-Infinity, 0]]), [0]).item()).toBe(Infinity)
    })
  })

  it('sums many small losses in float64', () => {
    scope(() => {
      const rows = 100_001
      const x = new Float32Array(2 * rows)
      for (let n = 0; n < rows; n++) x[2 * n] = n === 0 ? -1e6 : 10
      const sum = crossEntropy(tensor(x, [rows, 2]), new Uint8Array(rows), { reduction: 'sum' }).item()
      const wanted = 1e6 + (rows - 1) * Math.log1p(Math.exp(-10))
      expect(Math.abs(sum / wanted - 1)).toBeLessThan(1e-7)
    })
  })

  it.each([NaN, -0.1, 1.1, '0' as unknown as number])('refuses label smoothing of %s', (labelSmoothing) => {
    scope(() => {
      expect(() => crossEntropy(zeros([1, 2]), [0], { labelSmoothing })).toThrow(
        /^crossEntropy: labelSmoothing must be a number from 0 to 1, given/,
      )
    })
  })
})

describe('crossEntropy of weighted and ignored labels and of distributions', () => {
  it.each(oracleCases('crossEntropyTargets'))('agrees with PyTorch, case $id: $options', (test) => {
    scope(() => {
      const of = (name: string): Tensor => {
        const { shape, data } = (test.inputs.get(name) ?? test.outputs.get(name))!
        return tensor(data, shape)
      }
      const weight = test.outputs.get('weight')?.data as Float32Array | undefined
      const options = { ...test.options, weight }
      const isSoft = test.inputs.has('target')
      const run = isSoft
        ? vjp((x, target) => crossEntropy(x, target, options), of('logits'), of('target'))
        : vjp((x) => crossEntropy(x, of('target'), options), of('logits'))
      expectClose(run.value.data(), test.outputs.get('y')!.data)
      const gradients = run.pullback(tensor(test.dy!.data, test.dy!.shape))
      expectClose(gradients[0]!.data(), test.gradients.get('logits')!.data)
      if (isSoft) expectClose(gradients[1]!.data(), test.gradients.get('target')!.data)
      run.dispose()
    })
  })

  /** Σ −weight · q · ln p by rows of (N, classes, inner), with what the mean is divided by. */
  const definition =
    (shape: number[], reduction: Reduction, weight: readonly number[], count: number) =>
    (x: ArrayLike<number>, q: ArrayLike<number>): Float64Array => {
      const [N, classes, ...spatial] = shape as [number, number, ...number[]]
      const inner = size(spatial)
      const losses = new Float64Array(N * inner)
      losses.forEach((_, r) => {
        const position = (c: number): number => (Math.floor(r / inner) * classes + c) * inner + (r % inner)
        const row = Array.from({ length: classes }, (__, c) => x[position(c)]!)
        const logarithm = Math.log(total(row.map(Math.exp)))
        losses[r] = total(row.map((value, c) => weight[c]! * q[position(c)]! * (logarithm - value)))
      })
      if (reduction === 'none') return losses
      return Float64Array.of(total(losses) / (reduction === 'mean' ? count : 1))
    }

  it.each([
    { weight: [1, 0.5, 0, 2] },
    { ignoreIndex: 255 },
    { ignoreIndex: 3, weight: [1, 0.5, 3, 2] },
    { ignoreIndex: 255, labelSmoothing: 0.3 },
    { ignoreIndex: 255, labelSmoothing: 0.3, weight: [1, 0.5, 0.2, 2] },
  ])('has the second derivatives of its definition by the logits of labels: %j', (options) => {
    const shape = [2, 4, 3]
    const labels = [0, 3, 1, options.ignoreIndex ?? 2, 2, 0]
    const { labelSmoothing = 0, weight = [1, 1, 1, 1], ignoreIndex } = options
    // The distributions that the labels stand for, 0 in the rows that are ignored.
    const q = new Float64Array(24)
    labels.forEach((label, r) => {
      for (let c = 0; c < 4 && label !== ignoreIndex; c++) {
        q[(Math.floor(r / 3) * 4 + c) * 3 + (r % 3)] = (c === label ? 1 - labelSmoothing : 0) + labelSmoothing / 4
      }
    })
    const count = total(labels.map((label) => (label === ignoreIndex ? 0 : weight[label]!)))
    scope(() => {
      for (const reduction of reductions) {
        const reference = definition(shape, reduction, weight, count)
        expectSecond(
          (x) => crossEntropy(x, labels, { ...options, reduction }),
          (x) => reference(x, q),
          [normal(shape, { seed: 5 })],
        )
      }
    })
  })

  it.each([{}, { labelSmoothing: 0.3 }, { weight: [1, 0.5, 0, 2] }, { weight: [1, 0.5, 0, 2], labelSmoothing: 0.1 }])(
    'has the second derivatives of its definition by logits and distributions: %j',
    (options) => {
      const shape = [2, 4, 2]
      const { labelSmoothing = 0, weight = [1, 1, 1, 1] } = options
      scope(() => {
        for (const reduction of reductions) {
          const reference = definition(shape, reduction, weight, 4)
          expectSecond(
            (x, target) => crossEntropy(x, target, { ...options, reduction }),
            (x, target) =>
              reference(
                x,
                target.map((value) => value * (1 - labelSmoothing) + labelSmoothing / 4),
              ),
            [normal(shape, { seed: 5 }), uniform(shape, { seed: 6 })],
          )
        }
      })
    },
  )

  it('has second derivatives of 0 by the logits of ignored rows, whatever they hold', () => {
    scope(() => {
      const x = tensor([
        [1, 2, 3],
        [NaN, Infinity, 0],
      ])
      const f = (logits: Tensor): Tensor => crossEntropy(logits, [0, 255], { ignoreIndex: 255 })
      const [dx] = secondDerivatives(f, 0, normal([2, 3]), [x, tensor(1)])
      expect(Array.from(dx!.data().subarray(3), Math.abs)).toEqual([0, 0, 0])
      expect(dx!.data().every(Number.isFinite)).toBe(true)
    })
  })

  it('has finite second derivatives where a class is impossible or certain', () => {
    scope(() => {
      const x = tensor([
        [-Infinity, 2, 3],
        [0, 1e4, 0],
      ])
      const f = (logits: Tensor): Tensor => crossEntropy(logits, [1, 1])
      for (const gradient of secondDerivatives(f, 0, ones([2, 3]), [x, tensor(1)])) {
        expect(gradient.data().every(Number.isFinite)).toBe(true)
      }
    })
  })

  it('has a third derivative', () => {
    scope(() => {
      const inputs = [normal([2, 3], { seed: 1 }), ones([])]
      for (const options of [{}, { weight: [1, 2, 0.5], labelSmoothing: 0.2 }, { weight: [1, 2, 0.5] }]) {
        for (const k of [0, 1]) {
          const second = (...at: Tensor[]): Tensor =>
            secondDerivatives((x) => crossEntropy(x, [0, 2], options), 0, normal([2, 3], { seed: 2 }), at)[k]!
          expect(gradcheck(second, inputs).ok).toBe(true)
        }
      }
    })
  })

  it('reads nested lists as distributions', () => {
    scope(() => {
      const x = normal([2, 3], { seed: 4 })
      const rows = [
        [1, 0, 0],
        [0, 1, 0],
      ]
      expect(crossEntropy(x, rows).item()).toBeCloseTo(crossEntropy(x, [0, 1]).item(), 6)
      expect(crossEntropy(x, tensor(rows)).data()).toEqual(crossEntropy(x, rows).data())
    })
  })

  it('is the same without weights and with weights of one, to the bit', () => {
    scope(() => {
      const x = normal([5, 7, 3], { seed: 2 })
      const labels = Int32Array.from({ length: 15 }, (_, i) => i % 7)
      const weight = new Float32Array(7).fill(1)
      for (const options of [{ weight }, { ignoreIndex: 255 }, { weight: tensor(weight) }]) {
        const both = [{}, options].map((given) => valueAndGrad((y) => crossEntropy(y, labels, given))(x))
        expect(both[1]!.value.data()).toEqual(both[0]!.value.data())
        expect(both[1]!.gradients[0]!.data()).toEqual(both[0]!.gradients[0]!.data())
      }
    })
  })

  it('has gradients by finite differences, also of the distributions', () => {
    scope(() => {
      const inputs = [normal([3, 4], { seed: 1 }), uniform([3, 4], { seed: 2, low: 0.1, high: 1 })]
      const weight = [1, 0, 2, 0.5]
      for (const reduction of reductions) {
        const loss = (x: Tensor, target: Tensor): Tensor =>
          crossEntropy(x, target, { weight, reduction, labelSmoothing: 0.1 })
        expect(gradcheck(loss, inputs, { step: 3e-3 }).ok).toBe(true)
      }
    })
  })

  it('gives nothing for a row that is ignored, whatever its scores are', () => {
    scope(() => {
      const x = tensor([[1, 2, 3], [NaN, Infinity, -Infinity]]) // prettier-ignore
      const { value, gradients } = valueAndGrad((y) => crossEntropy(y, [1, -1], { ignoreIndex: -1 }))(x)
      expect(value.item()).toBeCloseTo(1.4076, 4)
      expect([...gradients[0]!.data().subarray(3)]).toEqual([0, 0, 0])
      expect(crossEntropy(x, [-1, -1], { ignoreIndex: -1 }).item()).toBeNaN()
      expect(crossEntropy(x, [-1, -1], { ignoreIndex: -1, reduction: 'sum' }).item()).toBe(0)
    })
  })

  it.each<[string, () => unknown, RegExp]>([
    ['number of weights', () => crossEntropy(zeros([2, 3]), [0, 1], { weight: [1, 2] }), /weight must be 3 finite/],
    ['negative weight', () => crossEntropy(zeros([2, 3]), [0, 1], { weight: [1, -1, 1] }), /weight must be 3 finite/],
    ['kind of weight', () => crossEntropy(zeros([2, 3]), [0, 1], { weight: 2 as never }), /weight must be 3 finite/],
    ['ignored label', () => crossEntropy(zeros([2, 3]), [0, 1], { ignoreIndex: 0.5 }), /ignoreIndex must be a whole/],
    [
      'ignored label of distributions',
      () => crossEntropy(zeros([1, 2]), [[1, 0]], { ignoreIndex: 0 }),
      /ignoreIndex is for labels/,
    ],
    [
      'label beside one ignored',
      () => crossEntropy(zeros([2, 3]), [255, 3], { ignoreIndex: 255 }),
      /row 1 has the label 3/,
    ],
    ['distribution', () => crossEntropy(zeros([2, 3]), [[1, 0], [0, 1]]), /given \(2, 2\)$/], // prettier-ignore
    ['nested text', () => crossEntropy(zeros([1, 1]), [['a']] as never), /expected a number/],
  ])('refuses a wrong %s and allocates nothing', (_, call, message) => {
    const before = memoryUsage().liveBytes
    scope(() => {
      expect(call).toThrow(ShapeError)
      expect(call).toThrow(message)
    })
    expect(memoryUsage().liveBytes).toBe(before)
  })
})

describe('hingeLoss', () => {
  it('gives the numbers of the CS231n lecture', () => {
    scope(() => {
      const scores = tensor([
        [3.2, 5.1, -1.7],
        [1.3, 4.9, 2.0],
        [2.2, 2.5, -3.1],
      ])
      const losses = hingeLoss(scores, [0, 1, 2], { reduction: 'none' }).data()
      ;[2.9, 0, 12.9].forEach((wanted, n) => {
        expect(losses[n]).toBeCloseTo(wanted, 5)
      })
    })
  })

  it.each([NaN, -1, Infinity])('refuses a margin of %s', (margin) => {
    scope(() => {
      expect(() => hingeLoss(zeros([1, 2]), [0], { margin })).toThrow(
        /^hingeLoss: margin must be a finite number from 0 on, given/,
      )
    })
  })
})

interface PairLoss {
  readonly op: (x: Tensor, target: Tensor, options?: LossOptions) => Tensor
  readonly argument: string
  readonly element: (x: number, target: number) => { loss: number; dx: number; dtarget: number }
}

const pairLosses: Record<string, PairLoss> = {
  mseLoss: {
    op: mseLoss,
    argument: 'x',
    element: (x, target) => ({ loss: (x - target) ** 2, dx: 2 * (x - target), dtarget: -2 * (x - target) }),
  },
  bceWithLogits: {
    op: bceWithLogits,
    argument: 'logits',
    element: (x, target) => ({
      loss: Math.max(x, 0) - x * target + Math.log1p(Math.exp(-Math.abs(x))),
      dx: 1 / (1 + Math.exp(-x)) - target,
      dtarget: -x,
    }),
  },
}

describe.each(Object.entries(pairLosses))('%s', (name, { op, argument, element }) => {
  const check = (shape: number[], reduction: Reduction, spread: number, seed: number): void => {
    scope(() => {
      const x = normal(shape, { std: spread, seed })
      const target = uniform(shape, { seed, stream: 1 })
      const { value, pullback, dispose } = vjp((a, b) => op(a, b, { reduction }), x, target)
      expect(value.shape).toEqual(reduction === 'none' ? shape : [])
      const dy = uniform(value.shape, { low: 0.5, high: 2, seed })
      const given = dy.data()
      const [xs, targets] = [x.data(), target.data()]
      const elements = Array.from(xs, (value, i) => element(value, targets[i]!))
      const factor = (i: number): number =>
        reduction === 'none' ? given[i]! : reduction === 'sum' ? given[0]! : given[0]! / xs.length
      const losses = elements.map(({ loss }) => loss)
      const sum = total(losses)
      const [dx, dtarget] = pullback(dy) as [Tensor, Tensor]
      const checks = [
        [value, reduction === 'none' ? losses : [reduction === 'sum' ? sum : sum / xs.length]],
        [dx, elements.map((one, i) => one.dx * factor(i))],
        [dtarget, elements.map((one, i) => one.dtarget * factor(i))],
      ] as const
      for (const [result, reference] of checks) {
        const { error, scale } = difference(result.data(), reference)
        // Terms as large as the logits cancel in a small loss.
        expect(error).toBeLessThanOrEqual(1e-6 * scale + 1e-7 * Math.max(1, spread))
      }
      dispose()
    })
  }

  it('agrees with its definition, with both gradients', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 7 }), { maxLength: 3 }),
        fc.constantFrom(...reductions),
        fc.constantFrom(0.1, 2, 20),
        fc.integer({ min: 1, max: 1e6 }),
        check,
      ),
      { numRuns: 200 },
    )
  })

  it('agrees where the elements fill more than one block', () => {
    for (const count of [4095, 4096, 4097, 8195])
      for (const reduction of reductions) check([count], reduction, 2, count)
  })

  it('leaves no memory behind', () => {
    const before = memoryUsage().liveBytes
    scope(() => {
      valueAndGrad((x, target) => op(x, target))(normal([4, 5]), zeros([4, 5]))
    })
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it.each([[[5]], [[2, 3]], [[]]])('has the second derivatives of its definition, shape %j', (shape) => {
    scope(() => {
      for (const reduction of reductions) {
        const definition = (x: Float64Array, target: Float64Array): ArrayLike<number> => {
          const losses = x.map((value, i) => element(value, target[i]!).loss)
          return reduction === 'none' ? losses : [total(losses) / (reduction === 'mean' ? losses.length : 1)]
        }
        const inputs = [normal(shape, { std: 2, seed: 3 }), uniform(shape, { seed: 4 })]
        expectSecond((x, target) => op(x, target, { reduction }), definition, inputs)
      }
    })
  })

  it('has a third derivative', () => {
    scope(() => {
      const inputs = [normal([4], { seed: 1 }), uniform([4], { seed: 2 }), ones([])]
      for (const k of [0, 1, 2]) {
        const second = (...at: Tensor[]): Tensor =>
          secondDerivatives((x, target) => op(x, target), 0, normal([4], { seed: 3 }), at)[k]!
        expect(gradcheck(second, inputs).ok).toBe(true)
      }
    })
  })

  it('computes only the gradient that is asked for', () => {
    scope(() => {
      const target = uniform([5])
      const { gradients } = valueAndGrad((x) => op(x, target))(normal([5]))
      expect(gradients).toHaveLength(1)
    })
  })

  it('refuses what does not fit, and allocates nothing', () => {
    scope(() => {
      const [x, target] = [zeros([2, 3]), zeros([3, 2])]
      const before = memoryUsage().liveBytes
      expect(() => op(x, target)).toThrow(
        new RegExp(`^${name}: target must be \\(2, 3\\) as ${argument}, given \\(3, 2\\)$`),
      )
      expect(() => op(x, x, { reduction: 'max' as 'sum' })).toThrow(ShapeError)
      expect(() => op(x, [1] as never)).toThrow(/target must be a Tensor/)
      expect(() => op(3 as never, x)).toThrow(new RegExp(`^${name}: ${argument} must be a Tensor`))
      expect(memoryUsage().liveBytes).toBe(before)
    })
  })
})

describe('bceWithLogits', () => {
  it('neither overflows nor loses the digits of a small loss', () => {
    scope(() => {
      const x = tensor([-20, 20, -200, 200])
      const target = tensor([0, 1, 0, 1])
      const losses = bceWithLogits(x, target, { reduction: 'none' }).data()
      expect(losses[0]! / Math.exp(-20)).toBeCloseTo(1, 6)
      expect(losses[1]).toBe(losses[0])
      expect([losses[2], losses[3]]).toEqual([0, 0])
      const wrong = bceWithLogits(tensor([3e38, -3e38]), tensor([0, 1]), { reduction: 'none' }).data()
      expect([...wrong]).toEqual([3e38, 3e38].map(Math.fround))
      expect(bceWithLogits(tensor([NaN]), tensor([1])).item()).toBeNaN()
    })
  })
})
