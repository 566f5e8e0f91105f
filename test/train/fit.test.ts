import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { beforeAll, describe, expect, it } from 'vitest'
import { imageExamples } from '../../src/data/images.js'
import { Conv2d, Dropout, Flatten, Linear, ReLU, Sequential } from '../../src/nn/index.js'
import { crossEntropy } from '../../src/ops/index.js'
import { SGD } from '../../src/optim/index.js'
import { init } from '../../src/runtime/embedded.js'
import { DivergedError } from '../../src/runtime/errors.js'
import { tensor } from '../../src/tensor/create.js'
import {
  accuracy,
  argmax,
  evaluate,
  fit,
  permutation,
  type EarlyStopping,
  type FitEvent,
  type FitOptions,
  type FitState,
} from '../../src/train/index.js'
import { bars, examples, normalization, options, setting } from '../helpers/bars.js'

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
    expect(() => run[Symbol.asyncIterator]()).toThrow(/once/)
  })

  it('keeps nothing of what it was iterated for', async () => {
    const { model, optimizer } = setting()
    const events: WeakRef<FitEvent>[] = []
    const run = fit(model, examples(20), options(optimizer, { epochs: 20 }))[Symbol.asyncIterator]()
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    for (;;) {
      const next = await run.next()
      if (next.done) {
        expect(next.value).toMatchObject({ steps: [], epochs: [], stopped: 'finished', state: { step: 40 } })
        break
      }
      events.push(new WeakRef(next.value))
    }
    expect(events).toHaveLength(60)
    await new Promise((resolve) => setTimeout(resolve, 10))
    collect()
    // The last few may still lie in registers and promises.
    const alive = events.flatMap((event, index) => (event.deref() ? [index] : []))
    expect(alive.filter((index) => index < 55)).toEqual([])
    // One that is awaited gives all of them.
    const again = await fit(model, examples(20), options(optimizer, { epochs: 20 }))
    expect([again.steps.length, again.epochs.length]).toEqual([40, 20])
  })

  it.each([0, 1])('is aborted after batch %i of validation, and goes on to the bit', async (number) => {
    const run = async (
      at: number,
    ): Promise<{ validated: number; losses: number[]; epochs: unknown[]; w: number[] }> => {
      const { model, optimizer } = setting()
      let controller = new AbortController()
      let [validated, calls] = [0, 0]
      const validation = examples(30)
      const more = (): Partial<FitOptions<Int32Array>> => ({
        signal: controller.signal,
        earlyStopping: { patience: 1 },
        epochs: 6,
        validation: {
          size: 30,
          batch(indices) {
            validated++
            if (calls++ === at) controller.abort()
            return validation.batch(indices)
          },
        },
      })
      const first = await fit(model, examples(64), options(optimizer, more()))
      const losses = first.steps.map(({ loss }) => loss)
      const epochs = first.epochs.map(({ training, validation: measured, improved }) => ({
        training,
        measured,
        improved,
      }))
      if (at < 0) return { validated, losses, epochs, w: bits(model) }
      expect(first).toMatchObject({ stopped: 'aborted', epochs: [], state: { step: 7 } })
      expect(validated).toBe(at + 1)
      controller = new AbortController()
      // As it comes out of a checkpoint.
      const start = JSON.parse(JSON.stringify(first.state)) as FitState
      const rest = await fit(model, examples(64), options(optimizer, { ...more(), start }))
      return {
        validated: validated - (at + 1),
        losses: [...losses, ...rest.steps.map(({ loss }) => loss)],
        epochs: rest.epochs.map(({ training, validation: measured, improved }) => ({ training, measured, improved })),
        w: bits(model),
      }
    }
    expect(await run(number)).toEqual(await run(-1))
  })

  it('goes on from states that earlier releases wrote at the end of an epoch', async () => {
    const { model, optimizer } = setting()
    const start = { step: 7, sums: { examples: 0, loss: 0, metrics: { accuracy: 0 } } }
    const rest = await fit(model, examples(64), options(optimizer, { start, epochs: 2, validation: examples(10) }))
    expect(rest.epochs.map(({ epoch }) => epoch)).toEqual([2])
    expect(rest.steps[0]!.step).toBe(8)
  })

  it('stops when the loss is no longer a number, before the update', async () => {
    const { model, optimizer } = setting(1e30)
    await expect(fit(model, examples(64), options(optimizer))).rejects.toThrow(DivergedError)
    const other = setting()
    await expect(
      fit(other.model, examples(64), { ...options(other.optimizer), loss: () => tensor(NaN) }),
    ).rejects.toThrow(
      /the loss became NaN at step 1 with learning rate 0.05; the weights are those before the step; try 0.005/,
    )
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

describe('parts of a batch', () => {
  it('make the step of the whole batch, up to rounding', async () => {
    const run = async (accumulate: number): Promise<{ weights: number[]; losses: number[] }> => {
      const { model, optimizer } = setting()
      const { steps } = await fit(model, examples(37), options(optimizer, { epochs: 1, accumulate }))
      const weights = model.parameters().flatMap((parameter) => [...parameter.data()])
      return { weights, losses: steps.flatMap(({ loss, running }) => [loss, running.metrics['accuracy']!]) }
    }
    const whole = await run(1)
    for (const accumulate of [2, 3, 10, 25]) {
      const parts = await run(accumulate)
      parts.weights.forEach((weight, i) => expect(weight).toBeCloseTo(whole.weights[i]!, 5))
      parts.losses.forEach((loss, i) => expect(loss).toBeCloseTo(whole.losses[i]!, 5))
    }
  })

  it('are augmented as the whole batch is', async () => {
    const seen = async (accumulate: number): Promise<number[]> => {
      const { model, optimizer } = setting()
      const values: number[] = []
      const data = imageExamples(bars(23), normalization, { flip: true, shift: 2 })
      const watched = {
        ...data,
        batch: (...given: Parameters<typeof data.batch>) => {
          const batch = data.batch(...given)
          values.push(...batch.x.data())
          return batch
        },
      }
      await fit(model, watched, options(optimizer, { epochs: 1, accumulate }))
      return values
    }
    expect(await seen(3)).toEqual(await seen(1))
  })
})

describe('clipping', () => {
  it('tells the norm and limits the step', async () => {
    const run = async (clipNorm?: number): Promise<{ moved: number; norm: number | undefined }> => {
      const { model } = setting()
      const before = model.parameters().flatMap((parameter) => [...parameter.data()])
      const optimizer = new SGD(model.parameters(), { lr: 1 })
      const given = options(optimizer, { epochs: 1, batchSize: 10, ...(clipNorm === undefined ? {} : { clipNorm }) })
      const { steps } = await fit(model, examples(10), given)
      const after = model.parameters().flatMap((parameter) => [...parameter.data()])
      return { moved: Math.hypot(...after.map((value, i) => value - before[i]!)), norm: steps[0]!.gradientNorm }
    }
    const free = await run()
    expect(free.norm).toBeUndefined()
    // With a learning rate of 1 and nothing else, the step is the gradient.
    const loose = await run(1000)
    expect(loose.norm).toBeCloseTo(free.moved, 4)
    expect(loose.moved).toBeCloseTo(free.moved, 4)
    const tight = await run(free.moved / 4)
    expect(tight.norm).toBeCloseTo(free.moved, 4)
    expect(tight.moved).toBeCloseTo(free.moved / 4, 4)
  })
})

describe('early stopping', () => {
  /** Trains with losses of validation as given, one for each epoch. */
  async function run(values: readonly number[], earlyStopping: EarlyStopping, start?: FitState) {
    const { model, optimizer } = setting(0.001)
    let epoch = start ? start.step / 2 : 0
    const given = options(optimizer, {
      ...{ epochs: values.length, validation: examples(4), earlyStopping, ...(start ? { start } : {}) },
      metrics: { score: () => values[epoch]! },
      callbacks: {
        onEpoch() {
          epoch++
        },
      },
    })
    return fit(model, examples(20), given)
  }

  it('ends when the monitored value has not improved for long enough', async () => {
    const values = [1, 3, 2, 3, 2.9, 5, 6]
    const { stopped, epochs, state } = await run(values, { patience: 3, monitor: 'score' })
    expect(stopped).toBe('early')
    expect(epochs.map(({ improved }) => improved)).toEqual([true, true, false, false, false])
    expect(state.best).toEqual({ epoch: 2, value: 3 })
    const patient = await run(values, { patience: 4, monitor: 'score' })
    expect({ stopped: patient.stopped, best: patient.state.best }).toEqual({
      stopped: 'finished',
      best: { epoch: 7, value: 6 },
    })
    const strict = await run([1, 1.4, 1.8, 2.2], { patience: 2, monitor: 'score', minimumChange: 0.5 })
    expect(strict.epochs.map(({ improved }) => improved)).toEqual([true, false, true, false])
  })

  it('ends when the monitored value never was a number', async () => {
    const values = [NaN, NaN, NaN, NaN, NaN]
    const { stopped, epochs, state } = await run(values, { patience: 2, monitor: 'score' })
    expect([stopped, epochs.length, state.best]).toEqual(['early', 2, undefined])
    const late = await run([NaN, 1, NaN, NaN, NaN], { patience: 2, monitor: 'score', restoreBest: false })
    expect([late.stopped, late.epochs.length, late.state.best]).toEqual(['early', 4, { epoch: 2, value: 1 }])
  })

  it('knows after a resume what it knew before', async () => {
    const values = [1, 3, 2, 3, 2.9, 5, 6]
    const whole = await run(values, { patience: 3, monitor: 'score' })
    const start = JSON.parse(JSON.stringify(whole.epochs[2]!.state)) as FitState
    const rest = await run(values, { patience: 3, monitor: 'score', restoreBest: false }, start)
    expect(rest.stopped).toBe('early')
    expect(rest.epochs.map(({ epoch }) => epoch)).toEqual([4, 5])
    expect(rest.state).toEqual(whole.state)
    const over = await run(values, { patience: 3, monitor: 'score', restoreBest: false }, whole.state)
    expect(over.epochs).toEqual([])
  })

  it('looks at the loss of validation, the lower the better', async () => {
    const { model, optimizer } = setting(0)
    const given = options(optimizer, { epochs: 5, validation: examples(8), earlyStopping: { patience: 2 } })
    const { stopped, epochs } = await fit(model, examples(20), given)
    // Nothing changes at a learning rate of 0.
    expect([stopped, epochs.map(({ improved }) => improved)]).toEqual(['early', [true, false, false]])
  })

  it.each<[Partial<FitOptions<Int32Array>>, RegExp]>([
    [{ earlyStopping: { patience: 0 } }, /earlyStopping.patience must be a whole number from 1 on, given 0/],
    [{ earlyStopping: { patience: 1 } }, /earlyStopping needs validation examples/],
    [
      { earlyStopping: { patience: 1, monitor: 'speed' }, validation: examples(2) },
      /must be one of loss, accuracy, given 'speed'/,
    ],
    [{ clipNorm: 0 }, /clipNorm must be a number above 0, given 0/],
    [{ accumulate: 1.5 }, /accumulate must be a whole number from 1 on, given 1.5/],
  ])('refuses %j', async (more, message) => {
    const { model, optimizer } = setting()
    await expect(fit(model, examples(20), options(optimizer, more))).rejects.toThrow(message)
  })
})

describe('a data set that is none', () => {
  const batch = () => {
    throw new Error('not to be called')
  }
  it.each<[string, unknown, RegExp]>([
    ['no size', { batch }, /a data set has a size, the number of examples, .*; its size is undefined$/],
    ['a size that is no number', { size: '30', batch }, /its size is '30'$/],
    ['nothing to read', { size: 30 }, /and batch\(\) or read\(\); it has neither function$/],
    [
      'a batch that is no function',
      { size: 30, batch: 3 },
      /^batches: batch of the data set must be a function, given 3$/,
    ],
    [
      'a read that is no function',
      { size: 30, read: {} },
      /^batches: read of the data set must be a function, given an/,
    ],
    [
      'a batch of nothing',
      { size: 30, batch: () => undefined },
      /^batches: what batch\(\) gives must be { x, target }, given undefined$/,
    ],
    [
      'a batch that must be awaited',
      { size: 30, batch: () => Promise.resolve({}) },
      /^batches: what batch\(\) gives must be { x, target }, given a Promise, which must be awaited first$/,
    ],
    [
      'a batch with y',
      { size: 30, batch: () => ({ x: [], y: [] }) },
      /^batches: what batch\(\) gives must be { x, target }; it has no target$/,
    ],
    [
      'nothing that was read',
      { size: 30, read: () => Promise.resolve() },
      /^batches: what read\(\) gives must be { indices, batch }, given undefined$/,
    ],
    [
      'what was read without a batch',
      { size: 30, read: (indices: Int32Array) => Promise.resolve({ indices }) },
      /^batches: what read\(\) gives must be { indices, batch }; it has no batch$/,
    ],
    ['a list', [[1], [0]], /of a list of inputs and one of labels, give { x, y }$/],
    ['nothing at all', undefined, /it is undefined$/],
  ])('is refused: %s', async (_, data, message) => {
    const { model, optimizer } = setting()
    await expect(fit(model, data as never, options(optimizer, {}))).rejects.toThrow(message)
    await expect(evaluate(model, data as never, { batchSize: 4, loss: crossEntropy })).rejects.toThrow(message)
  })
})

describe('two trainings with one seed', () => {
  async function train(seed: number, stop?: number): Promise<number[]> {
    const make = (): { model: Sequential; optimizer: SGD } => {
      const layers = [new Conv2d({ outChannels: 4, kernel: 3 }), new ReLU(), new Flatten(), new Dropout({ p: 0.3 })]
      const model = new Sequential([...layers, new Linear({ outFeatures: 2 })], { input: [1, 8, 8], seed: 1 })
      return { model, optimizer: new SGD(model.parameters(), { lr: 0.05, momentum: 0.9, nesterov: true }) }
    }
    const data = imageExamples(bars(50), normalization, { flip: true, shift: 2, brightness: 0.3, contrast: 0.3 })
    const { model, optimizer } = make()
    const controller = new AbortController()
    const onStep = ({ step }: { step: number }): void => {
      if (step === stop) controller.abort()
    }
    const more = { seed, accumulate: 2, clipNorm: 1, signal: controller.signal, callbacks: { onStep } }
    const { state } = await fit(model, data, options(optimizer, more))
    if (stop === undefined) return bits(model)
    const second = make()
    second.model.load(model.save())
    second.optimizer.loadState(optimizer.state())
    await fit(second.model, data, options(second.optimizer, { seed, accumulate: 2, clipNorm: 1, start: state }))
    return bits(second.model)
  }

  it('give the same bits with augmentation, dropout, parts and clipping, interrupted or not', async () => {
    const whole = await train(3)
    expect(await train(3)).toEqual(whole)
    expect(await train(3, 7)).toEqual(whole)
    expect(await train(4)).not.toEqual(whole)
  })
})

describe('evaluate', () => {
  it('ends between two batches when its signal says so', async () => {
    const { model } = setting()
    const controller = new AbortController()
    let batches = 0
    const run = evaluate(model, examples(50), {
      batchSize: 10,
      loss: crossEntropy,
      signal: controller.signal,
      onBatch() {
        if (++batches === 2) controller.abort()
      },
    })
    await expect(run).rejects.toMatchObject({ name: 'AbortError' })
    expect(batches).toBe(2)
  })

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
    expect(() => permutation(-2147483649, 3, 0)).toThrow('permutation: the size must be a whole number from 0 to')
    expect(() => permutation(1.5, 3, 0)).toThrow('permutation: the size must be')
    expect(() => permutation(4, -1, 0)).toThrow('permutation: the seed must be')
    expect(() => permutation(4, 3, NaN)).toThrow('permutation: the epoch must be')
    expect(permutation(101, 3, 1)).not.toEqual(order)
    expect(permutation(101, 4, 0)).not.toEqual(order)
  })
})
