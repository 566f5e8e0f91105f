/** Training on tensors, typed arrays and lists. */
import { beforeAll, expect, it } from 'vitest'
import { init } from '../../src/runtime/embedded.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { Linear } from '../../src/nn/linear.js'
import { Sequential } from '../../src/nn/sequential.js'
import { crossEntropy, mseLoss } from '../../src/ops/loss.js'
import { SGD } from '../../src/optim/sgd.js'
import { tensor } from '../../src/tensor/create.js'
import type { Tensor } from '../../src/tensor/tensor.js'
import { arrayExamples, tensorExamples, type TrainingData } from '../../src/train/examples.js'
import { evaluate, fit } from '../../src/train/fit.js'
import { accuracy } from '../../src/train/metrics.js'

beforeAll(() => init())

const rows = Array.from({ length: 10 }, (_, i) => [i / 10, 1 - i / 10, (i % 3) / 3])
const labels = rows.map((_, i) => Number(i > 4))
const flat = Float32Array.from(rows.flat())

/** The weights after two epochs, and what else is measured. */
async function trained(data: TrainingData<never>, input: boolean): Promise<unknown> {
  const model = new Sequential([new Linear({ outFeatures: 2 })], input ? { input: [3] } : { input: [3], seed: 0 })
  const optimizer = new SGD(model.parameters(), { lr: 0.5 })
  const options = { epochs: 2, batchSize: 4, loss: crossEntropy, optimizer, metrics: { accuracy } }
  const history = await fit(model, data, { ...options, validation: data })
  const result = [history.epochs[1]?.validation, model.parameters().map((parameter) => [...parameter.data()])]
  for (const owned of [model, optimizer]) owned.dispose()
  return result
}

it('gives the same weights, however the examples are given', async () => {
  const before = memoryUsage().liveBytes
  const x = tensor(rows)
  const expected = await trained(tensorExamples(x, labels) as never, true)
  const forms: readonly TrainingData<unknown>[] = [
    { x, y: labels },
    { x: flat, y: labels },
    { x, y: BigInt64Array.from(labels, BigInt) },
    { x: Float64Array.from(flat), y: Int32Array.from(labels) },
    { x, y: tensor(labels) },
    tensorExamples(flat, Uint8Array.from(labels), [3]),
    arrayExamples(
      rows.map((values, index) => ({ values, y: labels[index] as number })),
      ({ values }) => tensor(values),
    ),
  ]
  for (const data of forms) expect(await trained(data as never, true)).toEqual(expected)
  ;(forms[4] as { y: Tensor }).y.dispose()
  x.dispose()
  expect(memoryUsage().liveBytes).toBe(before)
})

it('takes rows of floats as what is wanted', async () => {
  const model = new Sequential([new Linear({ outFeatures: 2 })], { input: [3] })
  const y = Float32Array.from({ length: 20 }, (_, i) => i)
  const measured = await evaluate(model, { x: flat, y } as TrainingData<Tensor>, { batchSize: 3, loss: mseLoss })
  const same = await evaluate(model, { x: tensor(rows), y: tensor(y, [10, 2]) }, { batchSize: 3, loss: mseLoss })
  expect(measured).toEqual(same)
  model.dispose()
})

it('says what does not go together', async () => {
  const x = tensor(rows)
  expect(() => tensorExamples(x, [1, 2])).toThrow(
    /^tensorExamples: 30 elements of x in examples of \(3\) and 2 of y do not match$/,
  )
  expect(() => tensorExamples(flat, labels, [4])).toThrow(/examples of \(4\) and 10 of y do not match/)
  expect(() => tensorExamples(flat, labels)).toThrow(/^tensorExamples: the shape of an example: a shape is an array/)
  expect(() => tensorExamples([1] as never, labels)).toThrow(
    /^tensorExamples: x must be a Tensor or a typed array, given \[1\]$/,
  )
  expect(() => tensorExamples(x, 3)).toThrow(/^tensorExamples: y must be a Tensor, labels or a typed array, given 3$/)
  expect(() => arrayExamples([], 3 as never)).toThrow(/toTensor must be a function of an item/)
  const uneven = arrayExamples(
    [
      { y: 0, n: 1 },
      { y: 1, n: 2 },
    ],
    ({ n }) => tensor(new Float32Array(n)),
  )
  expect(() => uneven.batch(Int32Array.of(0, 1))).toThrow(
    /toTensor gives \(1\) and \(2\); those of a batch must be equal/,
  )
  const model = new Sequential([new Linear({ outFeatures: 2 })])
  const loss = crossEntropy
  await expect(evaluate(model, { x: flat, y: labels }, { batchSize: 2, loss })).rejects.toThrow(
    /need the shape of an input/,
  )
  x.dispose()
})
