/** Losses that weigh or ignore labels are means over what counts, however it is cut; labels that no loss takes are told before training. */
import { beforeAll, describe, expect, it } from 'vitest'
import { crossEntropy, mseLoss, mul } from '../../src/ops/index.js'
import { SGD } from '../../src/optim/index.js'
import { Linear, Sequential } from '../../src/nn/index.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { normal, tensor } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import {
  arrayExamples,
  evaluate,
  fit,
  tensorExamples,
  type Examples,
  type FitOptions,
  type FitState,
} from '../../src/train/index.js'
import { bars, examples, options, setting } from '../helpers/bars.js'
import { imageExamples } from '../../src/data/images.js'

beforeAll(() => init())

const IGNORED = -1
type Make = (outputs: Tensor, labels: ArrayLike<number>) => Tensor
/** Losses that weigh their rows: by classes, by ignoring, by both, and with smoothed labels. */
const losses: [string, Make][] = [
  ['ignoreIndex', (o, t) => crossEntropy(o, t as number[], { ignoreIndex: IGNORED })],
  ['weight', (o, t) => crossEntropy(o, t as number[], { ignoreIndex: IGNORED, weight: [0.2, 3] })],
  ['smoothed', (o, t) => crossEntropy(o, t as number[], { ignoreIndex: IGNORED, weight: [0.2, 3], labelSmoothing: 0.1 })], // prettier-ignore
]
const labels = [1, 0, 1, ...[IGNORED, IGNORED, IGNORED], 1, IGNORED, 0, 1]

function linear(): { model: Sequential; optimizer: SGD; data: { x: Tensor; y: number[] } } {
  const model = new Sequential([new Linear({ outFeatures: 2 })], { input: [3], seed: 3 })
  return {
    model,
    optimizer: new SGD(model.parameters(), { lr: 0.5 }),
    data: { x: normal([labels.length, 3], { seed: 1 }), y: labels },
  }
}
const weightsOf = (model: Sequential): number[] => model.parameters().flatMap((tensor) => [...tensor.data()])

describe.each(losses)('a loss with %s', (_, loss) => {
  it('is a mean over what counts in all batches of an evaluation', async () => {
    const { model, data } = linear()
    const whole = scope(() => loss(model.forward(data.x), data.y).item())
    for (const batchSize of [10, 4, 3, 1]) {
      const measured = await evaluate(model, data, { batchSize, loss })
      expect(measured.loss).toBeCloseTo(whole, 5)
    }
  })

  it('takes the same step in parts, those that are ignored as a whole included', async () => {
    const [one, parts] = [linear(), linear()]
    const given = (optimizer: SGD, accumulate: number): FitOptions<number[]> => ({ epochs: 2, batchSize: 10, loss, optimizer, accumulate }) // prettier-ignore
    const first = await fit(one.model, one.data, given(one.optimizer, 1))
    for (const accumulate of [3, 10]) {
      const other = linear()
      const { epochs } = await fit(other.model, other.data, given(other.optimizer, accumulate))
      expect(epochs[1]!.training.loss).toBeCloseTo(first.epochs[1]!.training.loss, 5)
      weightsOf(other.model).forEach((value, index) => {
        expect(value).toBeCloseTo(weightsOf(one.model)[index]!, 5)
      })
    }
    expect(weightsOf(one.model)).not.toEqual(weightsOf(parts.model))
  })

  it('leaves out a batch of which nothing counts, and its averages go on from a state', async () => {
    const run = async (start?: FitState, stop?: number) => {
      const { model, optimizer, data } = linear()
      optimizer.lr = 0
      const controller = new AbortController()
      const onStep = ({ step }: { step: number }): void => {
        if (step === stop) controller.abort()
      }
      const given = { epochs: 1, batchSize: 1, loss, optimizer, validation: data, signal: controller.signal, callbacks: { onStep }, ...(start ? { start } : {}) } // prettier-ignore
      const history = await fit(model, data, given)
      return { history, whole: scope(() => loss(model.forward(data.x), data.y).item()) }
    }
    const { history, whole } = await run()
    expect(history.steps).toHaveLength(6)
    expect(history.epochs[0]!.training.loss).toBeCloseTo(whole, 5)
    expect(history.epochs[0]!.validation!.loss).toBeCloseTo(whole, 5)
    const begun = await run(undefined, history.steps[3]!.step)
    const rest = await run(JSON.parse(JSON.stringify(begun.history.state)) as FitState)
    expect(rest.history.epochs[0]!.training.loss).toBeCloseTo(whole, 5)
  })
})

it('an epoch of which nothing counts is an error, and the mean of nothing is no number', async () => {
  const { model, optimizer, data } = linear()
  const loss: Make = (o, t) => crossEntropy(o, t as number[], { ignoreIndex: IGNORED })
  const ignored = { x: data.x, y: labels.map(() => IGNORED) }
  const before = weightsOf(model)
  await expect(fit(model, ignored, { epochs: 1, batchSize: 4, loss, optimizer })).rejects.toThrow(
    /^fit: the loss ignores the labels of all 10 examples of epoch 1; check ignoreIndex and the weights of classes$/,
  )
  expect(weightsOf(model)).toEqual(before)
  expect((await evaluate(model, ignored, { batchSize: 4, loss })).loss).toBeNaN()
})

describe('labels that no loss takes', () => {
  const wrong = (label: unknown, at = 3): number[] => Array.from({ length: 20 }, (_, n) => (n === at ? label : n % 2) as number) // prettier-ignore
  const classes = Array.from({ length: 8 }, (_, n) => `class ${n}`)
  const images = (size: number): Tensor => normal([size, 1, 8, 8], { seed: 5 })
  /** The same labels at hand in each way that there is. */
  const ways: [string, (labels: number[]) => unknown][] = [
    ['arrays', (y) => ({ x: images(20), y })],
    ['tensorExamples', (y) => tensorExamples(images(20), y)],
    ['a tensor', (y) => ({ x: images(20), y: tensor(y) })],
    ['floats', (y) => ({ x: images(20), y: Float32Array.from(y) })],
    ['arrayExamples', (y) => arrayExamples(y.map((label) => ({ y: label })), () => normal([1, 8, 8]))], // prettier-ignore
    [
      'imageExamples',
      (y) => imageExamples({ ...bars(20), labels: Uint8Array.from(y), classes }, { mean: 0.1, std: 0.3 }),
    ],
  ]
  it.each(ways)('are told before the first step, in %s', async (way, make) => {
    for (const label of way === 'imageExamples'
      ? [2, 7]
      : way === 'a tensor' || way === 'floats'
        ? [2, -1, 0.5, NaN]
        : [2, -1, 0.5, NaN, '1']) {
      for (const [what, index, place] of [
        ['validation', 3, 'validation'],
        ['data', 19, 'the data'],
      ] as const) {
        // prettier-ignore
        const { model, optimizer } = setting()
        const before = weightsOf(model)
        const bad = make(wrong(label, index)) as Examples<Int32Array>
        const run = what === 'data' ? fit(model, bad, options(optimizer)) : fit(model, examples(20), options(optimizer, { validation: bad })) // prettier-ignore
        const error: unknown = await run.then(undefined, (reason: unknown) => reason)
        expect(error).toBeInstanceOf(ShapeError)
        expect((error as Error).message).toMatch(
          new RegExp(`^fit: example ${index} of ${place} cannot be used: crossEntropy: row 0 has the label .*; with 2 classes a label is a whole number from 0 to 1$`), // prettier-ignore
        )
        expect(weightsOf(model)).toEqual(before)
      }
    }
  })

  it('are told of files, which are read one by one', async () => {
    const { model, optimizer } = setting()
    const { images: pixels, ...facts } = bars(20)
    const files = { ...facts, labels: Uint8Array.from(wrong(5)), classes, read: async (n: number) => Promise.resolve(pixels.subarray(n * 64, n * 64 + 64)) } // prettier-ignore
    const validation = imageExamples(files, { mean: 0.1, std: 0.3 })
    await expect(fit(model, examples(20), options(optimizer, { validation }))).rejects.toThrow(
      /^fit: example 3 of validation cannot be used: /,
    )
  })

  it('are none where the loss ignores them, or takes other numbers', async () => {
    const { model, optimizer } = setting()
    const ignoring: FitOptions<number[]>['loss'] = (o, t) => crossEntropy(o, t, { ignoreIndex: IGNORED })
    const data = { x: images(20), y: wrong(IGNORED) }
    const { stopped } = await fit(model, data, { ...(options(optimizer) as object), epochs: 1, batchSize: 5, loss: ignoring, optimizer, metrics: {}, validation: data }) // prettier-ignore
    expect(stopped).toBe('finished')
    const numbers = linear()
    const squares = (o: Tensor, t: readonly number[]): Tensor =>
      mseLoss(o, tensor(t.map((value) => [value, mul(o, 1).shape[0]!])))
    const y = Array.from({ length: 10 }, (_, n) => n / 10)
    const given = { epochs: 1, batchSize: 5, loss: squares, optimizer: numbers.optimizer }
    expect((await fit(numbers.model, { x: numbers.data.x, y }, given)).stopped).toBe('finished')
  })
})

it('validation inputs that the model does not take are told before the first step', async () => {
  const { model, optimizer, data } = linear()
  const before = [...model.namedState().values()].map((weights) => weights.data())
  await expect(
    fit(model, data, {
      ...{ epochs: 2, batchSize: 5, optimizer, loss: (o: Tensor, t: ArrayLike<number>) => losses[0]![1](o, t) },
      validation: { x: normal([4, 2], { seed: 2 }), y: [0, 1, 0, 1] },
    }),
  ).rejects.toThrow(/^fit: example 0 of validation cannot be used: .*\(2\)/)
  expect([...model.namedState().values()].map((weights) => weights.data())).toEqual(before)
  model.dispose()
})
