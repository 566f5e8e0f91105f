/** Rates that fall on a plateau, averages of weights, progress and several callbacks, in runs of `fit`. */
import { beforeAll, describe, expect, it } from 'vitest'
import * as t from '../../src/index.js'
import { init } from '../../src/runtime/embedded.js'
import type { EpochEvent } from '../../src/train/options.js'
import {
  combineCallbacks,
  ema,
  progress,
  reduceOnPlateau,
  type PlateauState,
  type ProgressEvent,
} from '../../src/training/index.js'

beforeAll(() => init())

const x = Float32Array.from({ length: 16 }, (_, i) => ((i * 7) % 5) / 5 - 0.4)
const data = { x, y: [0, 1, 1, 0, 1, 0, 0, 1] }
const makeModel = (): t.Sequential =>
  new t.Sequential(
    [new t.Linear({ outFeatures: 4 }), new t.BatchNorm1d(), new t.ReLU(), new t.Linear({ outFeatures: 2 })],
    {
      input: [2],
      seed: 3,
    },
  )
const settings = { batchSize: 4, loss: t.crossEntropy, metrics: { accuracy: t.accuracy } }

/** An epoch whose validation gave this. */
const epoch = (number: number, loss: number, accuracy = 0): EpochEvent => {
  const measured = { loss, metrics: { accuracy } }
  const state = { step: number, sums: { examples: 0, loss: 0, metrics: {} } }
  return {
    type: 'epoch',
    epoch: number,
    training: measured,
    validation: measured,
    seconds: 1,
    examplesPerSecond: 1,
    state,
  }
}

const optimizers: Record<string, (parameters: t.Tensor[]) => t.Optimizer> = {
  SGD: (parameters) => new t.SGD(parameters, { lr: 0.1, momentum: 0.9 }),
  Adam: (parameters) => new t.Adam(parameters, { lr: 0.1 }),
  AdamW: (parameters) => new t.AdamW(parameters, { lr: 0.1 }),
  RMSprop: (parameters) => new t.RMSprop(parameters, { lr: 0.1 }),
  Adagrad: (parameters) => new t.Adagrad(parameters, { lr: 0.1 }),
}

describe('a plateau', () => {
  it.each(Object.keys(optimizers))('lowers the rate of %s in a run', async (name) => {
    const model = makeModel()
    const optimizer = optimizers[name]!(model.parameters())
    // No improvement is large enough: epochs 2 and 3 wait, and so on.
    const plateau = reduceOnPlateau({ optimizer, factor: 0.5, patience: 2, minLr: 0.03, minimumChange: 100 })
    const rates: number[] = []
    for await (const event of t.fit(model, data, {
      ...settings,
      epochs: 8,
      optimizer,
      validation: data,
      callbacks: plateau,
    }))
      if (event.type === 'step' && event.step % 2 === 1) rates.push(event.learningRate)
    expect(rates).toEqual([0.1, 0.1, 0.1, 0.05, 0.05, 0.03, 0.03, 0.03])
    expect(plateau.scale).toBe(0.125)
    model.dispose()
    optimizer.dispose()
  })

  it('watches a metric, waits in between, and ignores what is no number', () => {
    const optimizer = optimizers['SGD']!([t.zeros([1])])
    const plateau = reduceOnPlateau({ optimizer, factor: 0.5, patience: 1, monitor: 'accuracy', cooldown: 2 })
    const rates = [0.5, 0.4, NaN, 0.4, 0.4, 0.6].map((value, n) => {
      plateau.onEpoch(epoch(n + 1, 1, value))
      return optimizer.lr
    })
    expect(rates).toEqual([0.1, 0.05, 0.05, 0.05, 0.025, 0.025])
    expect(plateau.state()).toEqual({ best: { epoch: 6, value: 0.6 }, waited: 0, cooling: 1, scale: 0.25 })
  })

  it('lowers what a schedule gives, but raises nothing', () => {
    const optimizer = optimizers['SGD']!([t.zeros([1])])
    const plateau = reduceOnPlateau({ optimizer, factor: 0.5, patience: 1, minLr: 0.3 })
    const rate = plateau.schedule((step) => [2, 1, 0.1][step]!)
    expect([rate(0), rate(1), rate(2)]).toEqual([2, 1, 0.1])
    for (const n of [1, 2, 3]) plateau.onEpoch(epoch(n, 1))
    expect([rate(0), rate(1), rate(2)]).toEqual([0.5, 0.3, 0.1])
    // A rate below the least one is left alone.
    expect(optimizer.lr).toBe(0.1)
  })

  it('goes on from its state as JSON', () => {
    const make = () => {
      const optimizer = optimizers['SGD']!([t.zeros([1])])
      return { optimizer, plateau: reduceOnPlateau({ optimizer, factor: 0.5, patience: 2 }) }
    }
    const losses = [3, 2, 2, 2, 1, 2, 2]
    const whole = make()
    losses.forEach((loss, n) => whole.plateau.onEpoch(epoch(n + 1, loss)))
    const [first, second] = [make(), make()]
    losses.slice(0, 3).forEach((loss, n) => first.plateau.onEpoch(epoch(n + 1, loss)))
    second.optimizer.loadState(first.optimizer.state())
    second.plateau.loadState(JSON.parse(JSON.stringify(first.plateau.state())) as PlateauState)
    losses.slice(3).forEach((loss, n) => second.plateau.onEpoch(epoch(n + 4, loss)))
    expect(second.plateau.state()).toEqual(whole.plateau.state())
    expect(second.optimizer.lr).toBe(whole.optimizer.lr)
  })

  const sgd = (): t.Optimizer => optimizers['SGD']!([t.zeros([1])])
  it.each<[string, object, RegExp]>([
    ['no optimizer', {}, /^reduceOnPlateau: optimizer must be the one of the run/],
    ['a factor of 1', { factor: 1 }, /factor must be a number above 0 and below 1, given 1$/],
    ['a factor of NaN', { factor: NaN }, /factor must be/],
    ['a negative patience', { patience: -1 }, /patience must be a whole number from 1 on, given -1$/],
    ['a half patience', { patience: 1.5 }, /patience must be a whole number/],
    ['a negative rate', { minLr: -1 }, /minLr must be a finite number from 0 on, given -1$/],
    ['an endless change', { minimumChange: Infinity }, /minimumChange must be a finite number/],
    ['a negative cooldown', { cooldown: -1 }, /cooldown must be a whole number from 0 on/],
    ['a monitor that is no name', { monitor: 3 }, /monitor must be 'loss' or the name of a metric, given 3$/],
    ['an unknown option', { patient: 3 }, /there is no option 'patient'; did you mean 'patience'\?/],
  ])('refuses %s', (what, options, message) => {
    const optimizer = what === 'no optimizer' ? {} : { optimizer: sgd() }
    expect(() => reduceOnPlateau({ ...optimizer, ...options } as never)).toThrow(message)
  })

  it('refuses a run without validation, or without its metric, and other states', async () => {
    const model = makeModel()
    const optimizer = optimizers['SGD']!(model.parameters())
    const callbacks = reduceOnPlateau({ optimizer, monitor: 'top5' })
    const run = (rest: object) => t.fit(model, data, { ...settings, epochs: 1, optimizer, callbacks, ...rest })
    await expect(run({})).rejects.toThrow(/fit needs validation examples/)
    await expect(run({ validation: data })).rejects.toThrow(/monitor must be one of loss, accuracy, given 'top5'$/)
    const state = { waited: 1, cooling: 0, scale: 1 }
    for (const wrong of [{ waited: -1 }, { cooling: NaN }, { scale: 2 }, { best: { epoch: 0, value: 1 } }, { best: 3 }])
      expect(() => callbacks.loadState({ ...state, ...wrong } as never)).toThrow(/^reduceOnPlateau: the state/)
    expect(callbacks.state()).toEqual({ waited: 0, cooling: 0, scale: 1 })
  })
})

describe('an average of weights', () => {
  /** Weights after each step of a run, and the model after it. */
  async function trained(decay: number, start?: (model: t.Sequential) => void) {
    const model = makeModel()
    start?.(model)
    const optimizer = optimizers['SGD']!(model.parameters())
    const average = ema(model, { decay })
    const steps: Float32Array[][] = []
    const weights = (): Float32Array[] => [...model.namedState().values()].map((tensor) => tensor.data())
    const callbacks = combineCallbacks(average, { onStep: () => void steps.push(weights()) })
    await t.fit(model, data, { ...settings, epochs: 3, optimizer, callbacks })
    return { model, optimizer, average, steps, weights }
  }

  it('is the sum with falling shares, of weights and statistics, and leaves the run alone', async () => {
    const { model, average, steps, weights } = await trained(0.8)
    const plain = makeModel()
    await t.fit(plain, data, { ...settings, epochs: 3, optimizer: optimizers['SGD']!(plain.parameters()) })
    expect(weights()).toEqual([...plain.namedState().values()].map((tensor) => tensor.data()))
    expect(average.updates).toBe(6)
    const own = weights()
    average.swap()
    expect(average.swapped).toBe(true)
    weights().forEach((averages, index) => {
      averages.forEach((value, i) => {
        let sum = 0
        let shares = 0
        steps.forEach((each, step) => {
          const share = 0.2 * 0.8 ** (steps.length - 1 - step)
          sum += share * each[index]![i]!
          shares += share
        })
        expect(value).toBeCloseTo(sum / shares, 5)
      })
    })
    average.swap()
    expect(weights()).toEqual(own)
    expect([...model.namedState().keys()]).toContain('1.runningMean')
  })

  it('without decay is the weights themselves, and of weights that stay it is these to the bit', async () => {
    const { average, weights } = await trained(0)
    const own = weights()
    average.swap()
    expect(weights()).toEqual(own)
    const still = makeModel()
    const other = ema(still, { decay: 0.7 })
    for (let step = 0; step < 50; step++) other.update()
    other.swap()
    expect([...still.namedState().values()].map((w) => w.data())).toEqual(
      [...makeModel().namedState().values()].map((w) => w.data()),
    )
  })

  it('is used for a while, or for good', async () => {
    const { average, weights } = await trained(0.9)
    const own = weights()
    const seen = await average.use(() => Promise.resolve(weights()))
    expect(weights()).toEqual(own)
    expect(seen).not.toEqual(own)
    const later = async () => {
      await Promise.resolve()
      await Promise.resolve()
      return weights()
    }
    expect(await Promise.all([average.use(weights), average.use(later)])).toEqual([seen, seen])
    expect(weights()).toEqual(own)
    await expect(average.use(() => Promise.reject(new Error('mine')))).rejects.toThrow('mine')
    expect(weights()).toEqual(own)
    average.apply()
    expect(weights()).toEqual(seen)
    average.swap()
    average.apply()
    expect(average.swapped).toBe(false)
    expect(weights()).toEqual(seen)
  })

  it('goes on from its state to the bit', async () => {
    const { model, average, weights } = await trained(0.8)
    const again = makeModel()
    again.load(model.save())
    const second = ema(again, { decay: 0.8 })
    second.loadState(average.state())
    for (const each of [average, second]) {
      each.update()
      each.swap()
    }
    expect([...again.namedState().values()].map((w) => w.data())).toEqual(weights())
    expect(second.updates).toBe(7)
  })

  it.each([1, -0.1, NaN, Infinity, '0.9'])('refuses a decay of %s', (decay) => {
    expect(() => ema(makeModel(), { decay: decay as number })).toThrow(/^ema: decay must be a number from 0 to below 1/)
  })

  it('refuses other models, states and times', () => {
    expect(() => ema({} as never)).toThrow(/the model must be a Sequential, a Graph or a Program; it has no/)
    expect(() => ema(makeModel(), { decai: 0.5 } as never)).toThrow(/did you mean 'decay'\?/)
    const average = ema(makeModel())
    const state = average.state()
    const tensors = { ...state.tensors, more: state.tensors['0.bias']! }
    expect(() => average.loadState({ ...state, tensors })).toThrow(/^ema: the state has 'more'/)
    expect(() => average.loadState({ ...state, tensors: {} })).toThrow(/must have '0.weight' \(4, 2\)/)
    expect(() => average.loadState({ ...state, numbers: { updates: -1, kept: 1 } })).toThrow(/updates must be/)
    expect(() => average.loadState({ ...state, numbers: { updates: 1, kept: NaN } })).toThrow(/kept must be/)
    average.swap()
    expect(() => average.update()).toThrow(/swap\(\) back before the next step/)
    expect(() => average.state()).toThrow(/swap\(\) back before a checkpoint/)
    expect(() => average.loadState(state)).toThrow(/swap\(\) back first/)
  })
})

describe('progress', () => {
  it('tells steps, shares and the time that is left', async () => {
    const model = makeModel()
    const told: ProgressEvent[] = []
    const callbacks = progress({ epochs: 2, onProgress: (event) => void told.push(event) })
    await t.fit(model, data, { ...settings, epochs: 2, optimizer: optimizers['SGD']!(model.parameters()), callbacks })
    expect(told.map(({ epoch, step, steps, share }) => [epoch, step, steps, share])).toEqual([
      [1, 1, 4, 0.25],
      [1, 2, 4, 0.5],
      [1, 2, 4, 0.5],
      [2, 3, 4, 0.75],
      [2, 4, 4, 1],
      [2, 4, 4, 1],
    ])
    expect(told[0]!.secondsLeft).toBeUndefined()
    const { seconds, secondsLeft } = told[3]!
    expect(secondsLeft).toBeCloseTo(seconds / 2, 9)
    expect(told.at(-1).secondsLeft).toBe(0)
  })

  it('refuses what it cannot count with', () => {
    const onProgress = (): void => undefined
    expect(() => progress({ epochs: 0, onProgress })).toThrow(/^progress: epochs must be a whole number from 1 on/)
    expect(() => progress({ epochs: 1 } as never)).toThrow(/onProgress must be a function/)
    expect(() => progress({ epochs: 1, onProgress, stepsPerEpoch: 0.5 })).toThrow(/stepsPerEpoch must be/)
    expect(() => progress({ epochs: 1, onProgress, epoch: 3 } as never)).toThrow(/did you mean 'epochs'\?/)
  })
})

it('calls several callbacks in turn, and waits for each', async () => {
  const order: string[] = []
  const slow = {
    onEpoch: async () => {
      await new Promise((done) => setTimeout(done, 5))
      order.push('slow')
    },
  }
  const both = combineCallbacks(slow, undefined, { onEpoch: () => void order.push('fast') })
  await both.onEpoch(epoch(1, 1))
  expect(order).toEqual(['slow', 'fast'])
  expect(() => combineCallbacks({})).toThrow(/argument 1 must be callbacks of fit; it has neither onStep nor onEpoch/)
  expect(() => combineCallbacks({ onStep: 3 } as never)).toThrow(/onStep must be a function/)
  expect(() => combineCallbacks(null as never)).toThrow(/argument 1 must be callbacks/)
})
