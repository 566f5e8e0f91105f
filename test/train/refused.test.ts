/** What would destroy a run is refused before it does, and what early stopping and iteration leave behind. */
import { beforeAll, describe, expect, it } from 'vitest'
import { BatchNorm1d, BatchNorm2d, Conv2d, Flatten, Linear, Sequential } from '../../src/nn/index.js'
import { add, crossEntropy, mseLoss, mul, sqrt, sum } from '../../src/ops/index.js'
import { SGD } from '../../src/optim/index.js'
import { init } from '../../src/runtime/embedded.js'
import { DivergedError, FormatError, ShapeError } from '../../src/runtime/errors.js'
import { normal, tensor, zeros } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import {
  accuracy,
  argmax,
  evaluate,
  fit,
  type EpochEvent,
  type Examples,
  type FitOptions,
  type FitState,
} from '../../src/train/index.js'
import { examples, options, setting } from '../helpers/bars.js'

beforeAll(() => init())

const bits = (model: Sequential): number[] =>
  [...model.namedState().values()].flatMap((tensor) => [...new Int32Array(tensor.data().buffer)])

/** A model of features with batch normalization, and data for it. */
function normalized(accumulate?: number): { model: Sequential; given: FitOptions<Int32Array> } {
  const model = new Sequential([new Linear({ outFeatures: 4 }), new BatchNorm1d(), new Linear({ outFeatures: 2 })], { input: [3], seed: 2 }) // prettier-ignore
  const optimizer = new SGD(model.parameters(), { lr: 0.1 })
  const given = { epochs: 1, batchSize: 64, loss: crossEntropy, optimizer, ...(accumulate ? { accumulate } : {}) }
  return { model, given }
}
const points = (size: number): Examples<Int32Array> => ({
  size,
  batch: (indices) => ({
    x: normal([indices.length, 3], { seed: 7 + indices.length }),
    target: indices.map((index) => index % 2),
  }),
})

describe('gradients that are not finite', () => {
  it('are refused before the update: the error names the first parameter, the step and the norm', async () => {
    const { model, optimizer } = setting()
    const before = bits(model)
    const state = optimizer.state()
    // d√u/du is infinite at 0, and the loss a finite number.
    const loss = (o: Tensor, t: Int32Array): Tensor => add(crossEntropy(o, t), mul(sum(sqrt(mul(o, 0))), 0))
    const run = fit(model, examples(64), options(optimizer, { loss }))
    await expect(run).rejects.toThrow(DivergedError)
    await expect(run).rejects.toThrow(
      /^the gradient of 0\.weight is not finite \(the norm of all gradients is NaN\) at step 1 with learning rate 0.05; the weights are those before the step; try 0.005/,
    )
    expect(bits(model)).toEqual(before)
    expect(optimizer.state()).toEqual(state)
  })

  it('are named by the parameter that has them, in whatever order the optimizer has them', async () => {
    const { model } = setting()
    const [w, b, v, c] = model.parameters() as [Tensor, Tensor, Tensor, Tensor]
    const optimizer = new SGD([{ parameters: [v, c], lr: 0.1 }, { parameters: [b, w] }], { lr: 0.1 }) // prettier-ignore
    let step = 0
    const onlyBias = (): Tensor => mul(sum(sqrt(mul(b, step++ < 2 ? 1e-9 : 0))), 0)
    b.assign([1, 1, 1, 1])
    const run = fit(model, examples(64), options(optimizer, { clipNorm: 1, loss: (o, t) => add(crossEntropy(o, t), onlyBias()) })) // prettier-ignore
    await expect(run).rejects.toThrow(
      /^the gradient of 0\.bias is not finite \(the norm of all gradients is NaN\) at step 3/,
    )
  })

  it('leave the statistics of batch normalization as they were, as does a loss that is no number', async () => {
    for (const wrong of [NaN, 0]) {
      const { model, given } = normalized()
      const before = bits(model)
      const loss = (o: Tensor, t: Int32Array): Tensor =>
        wrong === 0 ? add(crossEntropy(o, t), sum(sqrt(mul(o, 0)))) : mul(crossEntropy(o, t), wrong)
      await expect(fit(model, points(64), { ...given, loss })).rejects.toThrow(DivergedError)
      expect(bits(model)).toEqual(before)
    }
  })
})

describe('an optimizer that is not the model’s', () => {
  it.each<[string, (own: Sequential, other: Sequential) => SGD, RegExp]>([
    [
      'of another model',
      (_, other) => new SGD(other.parameters(), { lr: 0.1 }),
      /^fit: parameter 0 of the optimizer is none that this model trains; make it with model.parameters\(\)/,
    ],
    [
      'of a part',
      (own) => new SGD(own.parameters().slice(0, 3), { lr: 0.1 }),
      /^fit: the optimizer does not have 4\.bias of this model/,
    ],
    [
      'with one more',
      (own) => new SGD([...own.parameters(), tensor([1])], { lr: 0.1 }),
      /^fit: parameter 4 of the optimizer is none/,
    ],
    [
      'made before freezing',
      (own) => {
        const optimizer = new SGD(own.parameters(), { lr: 0.1 })
        own.freeze('0')
        return optimizer
      },
      /^fit: parameter 0 of the optimizer is none that this model trains; make it with model.parameters\(\), after freeze\(\) and unfreeze\(\)/,
    ],
  ])('%s is refused', async (_, make, message) => {
    const { model } = setting()
    const before = bits(model)
    const optimizer = make(model, setting().model)
    await expect(fit(model, examples(20), options(optimizer))).rejects.toThrow(ShapeError)
    await expect(fit(model, examples(20), options(optimizer))).rejects.toThrow(message)
    expect(bits(model)).toEqual(before)
  })

  it('may have the parameters in another order, to the bit', async () => {
    const run = async (groups: boolean): Promise<number[]> => {
      const { model } = setting()
      const [w, b, v, c] = model.parameters() as [Tensor, Tensor, Tensor, Tensor]
      const optimizer = groups
        ? new SGD([{ parameters: [v, c] }, { parameters: [b, w] }], { lr: 0.1 })
        : new SGD([w, b, v, c], { lr: 0.1 })
      await fit(model, examples(20), options(optimizer, { epochs: 2 }))
      return bits(model)
    }
    expect(await run(true)).toEqual(await run(false))
  })

  it('is told when there is none, or no loss', async () => {
    const { model, optimizer } = setting()
    const without = (name: string): FitOptions<Int32Array> => ({ ...options(optimizer), [name]: undefined })
    await expect(fit(model, examples(20), without('optimizer'))).rejects.toThrow(
      /^fit: optimizer must be one, such as new SGD/,
    )
    await expect(fit(model, examples(20), without('loss'))).rejects.toThrow(/^fit: loss must be a function/)
  })
})

describe('a last batch that is too small for batch normalization', () => {
  it('is told before the first step; dropLast leaves it out', async () => {
    const { model, given } = normalized()
    const before = bits(model)
    await expect(fit(model, points(65), given)).rejects.toThrow(
      /^fit: the last batch has 1 example, and batch normalization needs 2 in training; use dropLast, or another batch size$/,
    )
    expect(bits(model)).toEqual(before)
    const { steps, epochs } = await fit(model, points(65), { ...given, dropLast: true })
    expect([steps.length, epochs.length]).toEqual([1, 1])
  })

  it('is told of parts, of batches of one, and of batches that dropLast leaves nothing of', async () => {
    const { model, given } = normalized()
    await expect(fit(model, points(64), { ...given, batchSize: 9, accumulate: 4 })).rejects.toThrow(
      /^fit: the last batch has a part of 1 of its 1 example, /,
    )
    await expect(fit(model, points(65), { ...given, batchSize: 13, accumulate: 4 })).rejects.toThrow(
      /^fit: a batch has a part of 1 of its 13 examples, and .* use larger batches$/,
    )
    await expect(fit(model, points(3), { ...given, batchSize: 1 })).rejects.toThrow(/^fit: a batch has 1 example, /)
    await expect(fit(model, points(3), { ...given, dropLast: true })).rejects.toThrow(
      /^batches: dropLast leaves nothing of 3 examples in batches of 64/,
    )
  })

  it('is none where the maps have places, or the layer is frozen', async () => {
    const layers = [
      new Conv2d({ outChannels: 2, kernel: 3 }),
      new BatchNorm2d(),
      new Flatten(),
      new Linear({ outFeatures: 2 }),
    ]
    const model = new Sequential(layers, { input: [1, 8, 8] })
    const optimizer = new SGD(model.parameters(), { lr: 0.1 })
    const { steps } = await fit(model, examples(21), options(optimizer, { epochs: 1 }))
    expect(steps).toHaveLength(3)
    const frozen = normalized()
    frozen.model.freeze('1')
    const own = new SGD(frozen.model.parameters(), { lr: 0.1 })
    expect((await fit(frozen.model, points(65), { ...frozen.given, optimizer: own })).steps).toHaveLength(2)
  })

  it('goes on after a drop to the bit', async () => {
    const whole = setting()
    const data = examples(34)
    const dropping = (optimizer: SGD, more: Partial<FitOptions<Int32Array>> = {}): FitOptions<Int32Array> =>
      options(optimizer, { dropLast: true, ...more })
    const all = await fit(whole.model, data, dropping(whole.optimizer))
    expect(all.steps).toHaveLength(9)
    const { model, optimizer } = setting()
    const controller = new AbortController()
    const onStep = ({ step }: { step: number }): void => {
      if (step === 4) controller.abort()
    }
    const { state } = await fit(model, data, dropping(optimizer, { signal: controller.signal, callbacks: { onStep } }))
    const start = JSON.parse(JSON.stringify(state)) as FitState
    await fit(model, data, dropping(optimizer, { start }))
    expect(bits(model)).toEqual(bits(whole.model))
    await expect(fit(model, data, options(optimizer, { start }))).rejects.toThrow(
      /^fit: start is the state of a run with another dropLast, true and not false/,
    )
  })
})

describe('a start', () => {
  it.each<[string, number, Partial<FitOptions<Int32Array>>, RegExp]>([
    [
      'batch size',
      40,
      { batchSize: 8 },
      /another batchSize, 10 and not 8; go on with what that run had, or leave start out$/,
    ],
    ['number of examples', 41, {}, /another number of examples, 40 and not 41/],
    ['seed', 40, { seed: 5 }, /another seed, 4 and not 5/],
  ])('from a state with another %s is refused', async (_, size, more, message) => {
    const { model, optimizer } = setting()
    const { state } = await fit(model, examples(40), options(optimizer, { epochs: 1 }))
    const before = bits(model)
    const start = JSON.parse(JSON.stringify(state)) as FitState
    await expect(fit(model, examples(size), options(optimizer, { start, ...more }))).rejects.toThrow(message)
    expect(bits(model)).toEqual(before)
    const { run: _run, ...old } = start
    expect((await fit(model, examples(size), options(optimizer, { start: old, ...more }))).stopped).toBe('finished')
  })

  it('from a state of another model, or with other frozen layers, is refused', async () => {
    const { model, optimizer } = setting()
    const { state: start } = await fit(model, examples(40), options(optimizer, { epochs: 1 }))
    const other = new Sequential([new Flatten(), new Linear({ outFeatures: 2 })], { input: [1, 8, 8] })
    const own = new SGD(other.parameters(), { lr: 0.1 })
    await expect(fit(other, examples(40), options(own, { start }))).rejects.toThrow(
      /^fit: start is the state of a run with another model, or other frozen layers; /,
    )
    model.freeze('0')
    const rest = new SGD(model.parameters(), { lr: 0.1 })
    await expect(fit(model, examples(40), options(rest, { start }))).rejects.toThrow(/another model, or other frozen/)
  })
})

describe('a loss that is a sum', () => {
  it('is refused with accumulate, and taken without', async () => {
    const summed = (o: Tensor, t: Int32Array): Tensor => crossEntropy(o, t, { reduction: 'sum' })
    for (const target of [(t: Int32Array) => t, (t: Int32Array) => [...t], (t: Int32Array) => tensor(t)]) {
      const { model, optimizer } = setting()
      const data = examples(20)
      const given = {
        ...options(optimizer),
        metrics: {},
        loss: (o: Tensor, t: unknown) => summed(o, t as Int32Array),
        accumulate: 2,
      }
      const changed = {
        size: 20,
        batch: (indices: Int32Array) => {
          const batch = data.batch(indices)
          return { x: batch.x, target: target(batch.target) as unknown }
        },
      }
      await expect(fit(model, changed, given)).rejects.toThrow(
        /^fit: the loss is a sum over the examples .* accumulate needs a mean; use reduction: 'mean'$/,
      )
    }
    const { model, optimizer } = setting(0.001)
    expect((await fit(model, examples(20), options(optimizer, { loss: summed }))).stopped).toBe('finished')
  })

  it('is none where the first example is ignored', async () => {
    const { model, optimizer } = setting()
    const data = examples(20)
    const ignored = {
      size: 20,
      batch: (indices: Int32Array) => {
        const { x, target } = data.batch(indices)
        return { x, target: target.map((label, n) => (n === 0 ? -1 : label)) }
      },
    }
    const loss = (o: Tensor, t: Int32Array): Tensor => crossEntropy(o, t, { ignoreIndex: -1 })
    const { stopped } = await fit(model, ignored, options(optimizer, { loss, metrics: {}, accumulate: 2 }))
    expect(stopped).toBe('finished')
  })

  it('that is divided by its number is a mean', async () => {
    const { model, optimizer } = setting(0.001)
    const loss = (o: Tensor, t: Int32Array): Tensor => mul(crossEntropy(o, t, { reduction: 'sum' }), 1 / t.length)
    const { stopped } = await fit(model, examples(20), options(optimizer, { loss, accumulate: 3 }))
    expect(stopped).toBe('finished')
    const same = setting(0.001)
    const squares = (o: Tensor): Tensor => mseLoss(o, mul(o, 0))
    const history = await fit(same.model, examples(20), options(same.optimizer, { loss: squares, accumulate: 3 }))
    expect(history.stopped).toBe('finished')
  })
})

describe('an option of another kind than is due', () => {
  const stopping = { validation: examples(4), earlyStopping: { patience: 2 } }
  it.each<[string, object, RegExp]>([
    ['schedule', { schedule: 0.1 }, /^fit: schedule must be a function of the step, such as .*, given 0.1$/],
    ['callbacks', { callbacks: { onStep: 3 } }, /^fit: callbacks.onStep must be a function, given 3$/],
    ['callbacks', { callbacks: { onEpoch: {} } }, /^fit: callbacks.onEpoch must be a function, given an object$/],
    ['metrics', { metrics: null }, /^fit: metrics must be an object of functions, .*, given null$/],
    ['metrics', { metrics: Promise.resolve({}) }, /^fit: metrics must be .* given a Promise, which must be awaited/],
    [
      'signal',
      { signal: new AbortController() },
      /^fit: signal must be an AbortSignal, such as the signal of an Abort/,
    ],
    ['signal', { signal: true }, /^fit: signal must be an AbortSignal, .*, given true$/],
    ['dropLast', { dropLast: 'false' }, /^fit: dropLast must be true or false, given 'false'$/],
    ['optimizer', { optimizer: { parameters: [] } }, /^fit: optimizer must be one, such as new SGD/],
    ['start', { start: 3 }, /^fit: start must be the state of an event or of a history, given 3$/],
    ['start', { start: { step: 4 } }, /^fit: start must be the state of an event or of a history; it has no sums$/],
    [
      'start',
      { start: { step: '4', sums: { examples: 0, loss: 0, metrics: {} } } },
      /^fit: the step of start must be a whole number from 0 on, given '4'$/,
    ],
    [
      'minimumChange',
      { ...stopping, earlyStopping: { patience: 2, minimumChange: NaN } },
      /^fit: earlyStopping.minimumChange must be a finite number from 0 on, given NaN$/,
    ],
    [
      'restoreBest',
      { ...stopping, earlyStopping: { patience: 2, restoreBest: 'no' } },
      /^fit: earlyStopping.restoreBest must be true or false, given 'no'$/,
    ],
  ])('%s is refused before the first step: %j', async (_, more, message) => {
    const { model, optimizer } = setting()
    const before = bits(model)
    const run = fit(model, examples(20), options(optimizer, more as Partial<FitOptions<Int32Array>>))
    await expect(run).rejects.toThrow(ShapeError)
    await expect(run).rejects.toThrow(message)
    expect(bits(model)).toEqual(before)
  })

  it('is validation data that is none, before the first step', async () => {
    const x = tensor([[1], [2]])
    for (const [validation, message] of [
      [[x, [0]], /^batches: .* of a list of inputs and one of labels, give { x, y }$/],
      [{ x, y: [0] }, /^tensorExamples: 2 elements of x in examples of \(1\) and 1 of y do not match$/],
      [{ size: 0, batch: () => ({ x, target: [] }) }, /^batches: the number of examples must be a whole number from 1/],
    ] as const) {
      const { model, optimizer } = setting()
      const before = bits(model)
      const given = options(optimizer, { validation: validation as never })
      await expect(fit(model, examples(20), given)).rejects.toThrow(message)
      expect(bits(model)).toEqual(before)
    }
  })

  it('is refused by evaluate, too', async () => {
    const { model } = setting()
    const given = { batchSize: 10, loss: crossEntropy }
    for (const [more, message] of [
      [{ loss: () => 3 }, /^evaluate: what loss gives must be a Tensor, not 3/],
      [{ loss: async () => Promise.resolve(tensor(1)) }, /^evaluate: what loss gives must be a Tensor, not a Promise/],
      [{ onBatch: 3 }, /^evaluate: onBatch must be a function, given 3$/],
      [{ signal: new AbortController() }, /^evaluate: signal must be an AbortSignal/],
      [{ metrics: { odd: () => '0.5' } }, /^what the metric odd gives must be a number, given '0.5'$/],
    ] as const) {
      await expect(evaluate(model, examples(20), { ...given, ...(more as object) })).rejects.toThrow(message)
    }
  })

  it('is what a metric gives that is no number, which would be NaN in the history', async () => {
    for (const [value, said] of [
      [undefined, 'undefined'],
      [Promise.resolve(1), 'a Promise, which must be awaited first'],
      [tensor([1]), 'a Tensor'],
      [3n, '3'],
    ]) {
      const { model, optimizer } = setting()
      const metrics = { odd: () => value as never }
      await expect(fit(model, examples(20), options(optimizer, { metrics }))).rejects.toThrow(
        `what the metric odd gives must be a number, given ${said as string}`,
      )
    }
  })

  it('is a layer’s trainable that is neither true nor false', () => {
    const { layers } = setting().model
    for (const wrong of ['no', 1, null, undefined]) {
      expect(() => {
        layers[0]!.trainable = wrong as never
      }).toThrow(/^Conv2d: trainable must be true or false, given /)
    }
    expect(layers[0]!.trainable).toBe(true)
  })
})

describe('measures of what is not a number', () => {
  it('accuracy refuses labels that are no whole numbers, none of which any class equals', () => {
    scope(() => {
      const scores = tensor([[2, 1], [0, 1]]) // prettier-ignore
      expect(accuracy(scores, BigInt64Array.of(0n, 1n))).toBe(1)
      expect(accuracy(scores, [0, 1n])).toBe(1)
      for (const [labels, message] of [
        [[false, 1n], /^accuracy: label 0 must be a whole number, given false$/],
        [[0n, '1'], /^accuracy: label 1 must be a whole number, given '1'$/],
        [[false, true], /^accuracy: label 0 must be a whole number, given false$/],
        [[0, 0.5], /^accuracy: label 1 must be a whole number, given 0.5$/],
        [['0', '1'], /^accuracy: label 0 must be a whole number, given '0'$/],
      ] as const) {
        expect(() => accuracy(scores, labels as unknown as number[])).toThrow(message)
      }
    })
  })

  it('accuracy refuses what cannot be left out, and distributions of another shape', () => {
    scope(() => {
      const scores = tensor([[2, 1], [0, 1]]) // prettier-ignore
      expect(() => accuracy(scores, [0, 1], { ignoreIndex: 0.5 })).toThrow(
        /^accuracy: ignoreIndex must be a whole number, given 0.5$/,
      )
      expect(() =>
        accuracy(
          scores,
          [
            [1, 0],
            [0, 1],
          ],
          { ignoreIndex: 0 },
        ),
      ).toThrow(
        // prettier-ignore
        /^accuracy: ignoreIndex is for labels, not for distributions$/,
      )
      expect(() => accuracy(scores, [0, 1], { ignore: 0 } as never)).toThrow(/ignoreIndex/)
      // Labels of pixels as nested lists would else be read as distributions along the rows.
      expect(() => accuracy(zeros([1, 2, 1, 3]), [[[0, 1, 0]]] as never)).toThrow(
        /^accuracy: distributions must be \(1, 2, 1, 3\), as the output, given \(1, 1, 3\)$/,
      )
      expect(() => argmax(tensor([1, 2]))).toThrow(/^argmax: scores must be \(N, classes\) or \(N, classes, …\), given/)
    })
  })

  it('accuracy counts scores with NaN as wrong', () => {
    scope(() => {
      const scores = tensor([[NaN, NaN], [NaN, 1], [2, NaN], [0, 1]]) // prettier-ignore
      expect(accuracy(scores, [0, 1, 0, 1])).toBe(0.25)
      expect([...argmax(scores)]).toEqual([-1, -1, -1, 1])
      expect(accuracy(tensor([[3, 1], [0, 1]]), [[0.9, 0.1], [0.8, 0.2]])).toBe(0.5) // prettier-ignore
      expect(accuracy(tensor([[3, 1]]), tensor([[0.9, 0.1]]))).toBe(1)
      expect(() => accuracy(scores, [0, 1])).toThrow(/^accuracy: 4 outputs need as many labels, given 2$/)
    })
  })

  it('a metric that is NaN never counts as the best, and does not make training end', async () => {
    const { model, optimizer } = setting()
    let epoch = 0
    const given = options(optimizer, {
      epochs: 6,
      validation: examples(4),
      metrics: { f1: () => (epoch ? epoch / 20 : NaN) },
      earlyStopping: { monitor: 'f1', patience: 3 },
      callbacks: {
        onEpoch() {
          epoch++
        },
      },
    })
    const { epochs, state, stopped } = await fit(model, examples(20), given)
    expect(epochs.map(({ improved }) => improved)).toEqual([false, true, true, true, true, true])
    expect(epochs[0]!.state.best).toBeUndefined()
    expect([state.best, stopped]).toEqual([{ epoch: 6, value: 0.25 }, 'finished'])
  })

  it.each([NaN, Infinity])('%s is not the best of the losses either', async (first) => {
    const { model, optimizer } = setting()
    let calls = 0
    const values = [0.5, first, 0.4, first]
    const given = options(optimizer, {
      ...{ epochs: 4, batchSize: 20, validation: examples(4), earlyStopping: { patience: 3 } },
      loss: (o, t) => (o.shape[0] === 4 ? tensor(values[calls++]!) : crossEntropy(o, t)),
    })
    const { epochs, state } = await fit(model, examples(20), given)
    expect(epochs.map(({ improved }) => improved)).toEqual([true, false, true, false])
    expect(state.best!.epoch).toBe(3)
  })

  it('stays NaN in a state that was written as JSON', async () => {
    const { model, optimizer } = setting()
    const controller = new AbortController()
    const metrics = { odd: () => NaN }
    const onStep = (): void => {
      controller.abort()
    }
    const first = await fit(model, examples(30), options(optimizer, { epochs: 1, metrics, signal: controller.signal, callbacks: { onStep } })) // prettier-ignore
    const start = JSON.parse(JSON.stringify(first.state)) as FitState
    const rest = await fit(model, examples(30), options(optimizer, { epochs: 1, metrics: { odd: () => 1 }, start }))
    expect(rest.epochs[0]!.training.metrics['odd']).toBeNaN()
  })
})

describe('early stopping', () => {
  /** Trains with values of validation as given, one for each epoch, and notes the weights after each. */
  async function run(values: readonly number[], more: Partial<FitOptions<Int32Array>> = {}, own = setting(0.01)) {
    const { model, optimizer } = own
    let epoch = more.start ? more.start.step / 2 : 0
    const after: number[][] = []
    const saved: Uint8Array[] = []
    const states: FitState[] = []
    const history = await fit(
      model,
      examples(20),
      options(optimizer, {
        ...{ epochs: values.length, validation: examples(4), earlyStopping: { patience: 2, monitor: 'score' } },
        metrics: { score: () => values[epoch]! },
        callbacks: {
          onEpoch({ state }: EpochEvent) {
            epoch++
            after.push(bits(model))
            saved.push(model.save())
            states.push(state)
          },
        },
        ...more,
      }),
    )
    return { history, after, saved, states, own, weights: bits(model) }
  }

  it('goes back to the best weights, and says where it stopped and what it kept', async () => {
    const { history, after, weights } = await run([1, 3, 2, 2, 5])
    expect(history).toMatchObject({ stopped: 'early', epoch: 4, kept: 2 })
    expect(weights).toEqual(after[1])
    expect(weights).not.toEqual(after[3])
    const finished = await run([1, 3, 2])
    expect(finished.history).toMatchObject({ stopped: 'finished', epoch: 3, kept: 2 })
    expect(finished.weights).toEqual(finished.after[1])
    const last = await run([1, 2, 3])
    expect(last.history).toMatchObject({ stopped: 'finished', epoch: 3, kept: 3 })
    expect(last.weights).toEqual(last.after[2])
  })

  it('leaves the last weights where that is asked for, and where a run is aborted', async () => {
    const earlyStopping = { patience: 2, monitor: 'score', restoreBest: false }
    const { history, after, weights } = await run([1, 3, 2, 2, 5], { earlyStopping })
    expect(history).toMatchObject({ stopped: 'early', epoch: 4, kept: 4 })
    expect(weights).toEqual(after[3])
    const controller = new AbortController()
    let epochs = 0
    const metrics = { score: () => [1, 3, 2, 2, 5][epochs]! }
    const onEpoch = (): void => {
      if (++epochs === 3) controller.abort()
    }
    const aborted = await run([1, 3, 2, 2, 5], { metrics, signal: controller.signal, callbacks: { onEpoch } })
    expect(aborted.history).toMatchObject({ stopped: 'aborted', epoch: 3, kept: 3 })
    expect(aborted.weights).toEqual(after[2])
  })

  it('goes on with the best weights of an earlier run, which must be given', async () => {
    const values = [1, 3, 2, 2, 5]
    const whole = await run(values)
    const begun = await run(values.slice(0, 3), {
      earlyStopping: { patience: 2, monitor: 'score', restoreBest: false },
    })
    const start = JSON.parse(JSON.stringify(begun.states[2])) as FitState
    const earlyStopping = { patience: 2, monitor: 'score' }
    await expect(run(values, { start, earlyStopping }, begun.own)).rejects.toThrow(
      /^fit: the weights of epoch 2, the best of start, are not here; give them as earlyStopping.bestWeights/,
    )
    const wrong = run(values, { start, earlyStopping: { ...earlyStopping, bestWeights: new Uint8Array(9) } }, begun.own)
    await expect(wrong).rejects.toThrow(FormatError)
    expect(bits(begun.own.model)).toEqual(begun.weights)
    const rest = await run(
      values,
      { start, earlyStopping: { ...earlyStopping, bestWeights: begun.saved[1]! } },
      begun.own,
    )
    expect(rest.history).toMatchObject({ stopped: 'early', epoch: 4, kept: 2 })
    expect(rest.weights).toEqual(whole.weights)
  })
})

describe('a run that was iterated', () => {
  it('gives its history when it is awaited afterwards, without the steps', async () => {
    const whole = setting()
    const awaited = await fit(whole.model, examples(20), options(whole.optimizer))
    const { model, optimizer } = setting()
    const run = fit(model, examples(20), options(optimizer))
    for await (const event of run) if (event.type === 'step' && event.step === 1) await expect(run).rejects.toThrow(/^fit: the run is being iterated; await it after the loop/) // prettier-ignore
    const history = await run
    const timeless = ({ seconds: _s, examplesPerSecond: _e, ...rest }: EpochEvent): object => rest
    expect(history.epochs.map(timeless)).toEqual(awaited.epochs.map(timeless))
    expect({ ...history, epochs: [] }).toEqual({ ...awaited, steps: [], epochs: [] })
    expect(await run).toBe(history)
  })

  it('tells of a loop that was left, and of an error', async () => {
    const { model, optimizer } = setting()
    const run = fit(model, examples(20), options(optimizer))
    for await (const event of run) if (event.type === 'epoch') break
    expect(await run).toMatchObject({ stopped: 'aborted', epoch: 1, kept: 1, steps: [], epochs: [{ epoch: 1 }], state: { step: 2 } }) // prettier-ignore
    const failing = fit(model, examples(20), options(optimizer, { loss: () => tensor(NaN) }))
    const all = async (): Promise<void> => {
      for await (const event of failing) expect(event.type).toBe('never')
    }
    await expect(all()).rejects.toThrow(DivergedError)
    await expect(failing).rejects.toThrow(DivergedError)
  })
})
