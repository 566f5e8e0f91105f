import { beforeAll, describe, expect, it } from 'vitest'
import type { Sequential } from '../../src/nn/index.js'
import { crossEntropy } from '../../src/ops/index.js'
import { init } from '../../src/runtime/embedded.js'
import { DivergedError } from '../../src/runtime/errors.js'
import { tensor } from '../../src/tensor/create.js'
import { accuracy, argmax, evaluate, fit, permutation, type FitState } from '../../src/train/index.js'
import { examples, options, setting } from '../helpers/bars.js'

beforeAll(() => init())

const bits = (model: Sequential): number[] =>
  model.parameters().flatMap((parameter) => [...new Int32Array(parameter.data().buffer)])

describe('fit', () => {
  it('learns, and reports steps and epochs', async () => {
    const { model, optimizer } = setting()
    const history = await fit(model, examples(64), options(optimizer, { validation: examples(20) }))
    expect(history.stopped).toBe('finished')
    expect(history.steps.map(({ step }) => step)).toEqual(Array.from({ length: 21 }, (_, i) => i + 1))
    expect(history.steps.map(({ epoch }) => epoch).filter((epoch) => epoch === 2)).toHaveLength(7)
    expect(history.epochs).toHaveLength(3)
    expect(history.epochs[2]!.validation!.metrics['accuracy']).toBe(1)
    expect(history.epochs[2]!.training.loss).toBeLessThan(history.epochs[0]!.training.loss / 2)
    expect(model.training).toBe(false)
  })

  it('gives the same bits twice, and others for another seed', async () => {
    const run = async (seed: number): Promise<number[]> => {
      const { model, optimizer } = setting()
      await fit(model, examples(64), options(optimizer, { seed }))
      return bits(model)
    }
    expect(await run(4)).toEqual(await run(4))
    expect(await run(4)).not.toEqual(await run(5))
  })

  it.each([1, 6, 7, 8, 13])(
    'goes on after step %i with the bits and the averages of a run that was not stopped',
    async (stop) => {
      const whole = setting()
      const expected = await fit(whole.model, examples(64), options(whole.optimizer))
      const { model, optimizer } = setting()
      const controller = new AbortController()
      const first = await fit(
        model,
        examples(64),
        options(optimizer, {
          signal: controller.signal,
          callbacks: {
            onStep({ step }) {
              if (step === stop) controller.abort()
            },
          },
        }),
      )
      expect(first.stopped).toBe('aborted')
      expect(first.state.step).toBe(stop)
      // All that goes on is what a checkpoint holds: weights, optimizer state and numbers.
      const second = setting()
      second.model.load(model.save())
      second.optimizer.loadState(optimizer.state())
      const start = JSON.parse(JSON.stringify(first.state)) as FitState
      const rest = await fit(second.model, examples(64), options(second.optimizer, { start }))
      expect(rest.stopped).toBe('finished')
      expect(bits(second.model)).toEqual(bits(whole.model))
      expect(rest.steps.map(({ loss, running }) => [loss, running])).toEqual(
        expected.steps.slice(stop).map(({ loss, running }) => [loss, running]),
      )
    },
  )

  it('can be iterated, once', async () => {
    const { model, optimizer } = setting()
    const run = fit(model, examples(20), options(optimizer, { epochs: 1 }))
    const types: string[] = []
    for await (const event of run) types.push(event.type)
    expect(types).toEqual(['step', 'step', 'epoch'])
    await expect(run).rejects.toThrow(/once/)
  })

  it('stops when the loss is no longer a number, before the update', async () => {
    const { model, optimizer } = setting(1e30)
    await expect(fit(model, examples(64), options(optimizer))).rejects.toThrow(DivergedError)
    await expect(
      fit(setting().model, examples(64), { ...options(setting().optimizer), loss: () => tensor(NaN) }),
    ).rejects.toThrow(/the loss became NaN at step 1 with learning rate 0.05; try 0.005/)
  })

  it('follows a schedule and checks its options', async () => {
    const { model, optimizer } = setting()
    const { steps } = await fit(
      model,
      examples(30),
      options(optimizer, { epochs: 1, schedule: (step) => 0.1 / (step + 1) }),
    )
    expect(steps.map(({ learningRate }) => learningRate)).toEqual([0.1, 0.05, 0.1 / 3])
    for (const wrong of [{ epochs: 0 }, { batchSize: 0 }, { batchSize: 1.5 }]) {
      await expect(fit(model, examples(30), options(optimizer, wrong))).rejects.toThrow(
        /must be a whole number from 1 on/,
      )
    }
  })
})

describe('evaluate', () => {
  it('averages over all examples, whatever the batch', async () => {
    const { model } = setting()
    const measure = (batchSize: number): ReturnType<typeof evaluate> =>
      evaluate(model, examples(23), { batchSize, loss: crossEntropy, metrics: { accuracy } })
    const whole = await measure(23)
    const parts = await measure(5)
    expect(parts.loss).toBeCloseTo(whole.loss, 5)
    expect(parts.metrics['accuracy']).toBeCloseTo(whole.metrics['accuracy']!, 10)
  })

  it('takes the first of equal scores', () => {
    expect([
      ...argmax(
        tensor([
          [1, 3, 3],
          [0, -1, -2],
        ]),
      ),
    ]).toEqual([1, 0])
    expect(() => argmax(tensor([1, 2]))).toThrow(/scores must be \(N, classes\)/)
  })
})

describe('permutation', () => {
  it('holds every number once, differently in each epoch', () => {
    const order = permutation(101, 3, 0)
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 101 }, (_, i) => i))
    expect(permutation(101, 3, 0)).toEqual(order)
    expect(permutation(101, 3, 1)).not.toEqual(order)
    expect(permutation(101, 4, 0)).not.toEqual(order)
  })
})
