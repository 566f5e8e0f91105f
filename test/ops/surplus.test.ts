/** Surplus arguments, options above all, are refused where they would be ignored, and what callbacks are given is not. */
import { beforeAll, expect, it } from 'vitest'
import { grad } from '../../src/autodiff/vjp.js'
import { loadClassifier } from '../../src/classifier/index.js'
import { lightOnDark } from '../../src/io/grayscale.js'
import * as nn from '../../src/nn/index.js'
import { layerTypes } from '../../src/nn/registry.js'
import * as operations from '../../src/ops/index.js'
import { SGD } from '../../src/optim/sgd.js'
import { fit } from '../../src/train/fit.js'
import { architecture } from '../../src/zoo/registry.js'
import * as clip from '../../src/optim/clip.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError } from '../../src/runtime/errors.js'
import * as create from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import * as metrics from '../../src/train/metrics.js'
import { calls } from '../fuzz/calls.js'
import type { Json } from '../fuzz/mutate.js'
import options from '../fuzz/targets/options.js'
import { t, tag } from '../fuzz/tags.js'

const { Conv2d, ReLU, Sequential } = nn

beforeAll(() => init())

/** Helpers of other folders, which no user calls, are not asked. */
const helpers = ['checkSeed', 'checkStream', 'gradientNorm']
const functions = Object.entries<unknown>({ ...operations, ...create, ...metrics, ...clip }).filter(
  (entry): entry is [string, (...given: never[]) => unknown] =>
    typeof entry[1] === 'function' && !helpers.includes(entry[0]),
)

/** The call of the table with the most arguments: all that there are. */
const longest = (name: string): readonly Json[] =>
  (calls[name] as readonly (readonly Json[])[]).reduce((most, args) => (args.length > most.length ? args : most))

it.each(functions)('%s refuses options that it would ignore', async (name, call) => {
  const args = longest(name)
  expect(call.name).toBe(name)
  for (const surplus of [{ surplus: 1 }, {}, tag('null-prototype'), 'int32', true] as Json[]) {
    const run = async (): Promise<unknown> => options.check({ call: name, args: [...args, surplus], gradient: false })
    await expect(run()).rejects.toThrow(ShapeError)
    await expect(run()).rejects.toThrow(new RegExp(`^${name}: there are no options behind argument ., given ({.*}|'int32'|true)$`)) // prettier-ignore
  }
})

it.each(functions)('%s can be called back with more than it takes', async (name) => {
  for (const more of [[0, []], [0, [1, 2], 3], [null], [false]] as Json[][]) {
    await options.check({ call: name, args: [...longest(name), ...more], gradient: false })
  }
})

/**
 * Calls whose last argument is no end: more inputs may follow, the row leaves out an argument, the helper that calls them takes
 * its own arguments, or the tests above call them.
 */
const open = [
  'vjp',
  'fit',
  'combineCallbacks',
  'Graph.copyFrom',
  'Tensor.toString',
  'isOutOfMemory',
  'checkSeed',
  'checkStream',
]
/** Calls of the table that leave out limits behind a name. */
const limited = ['decodeImage', 'decodeJpeg', 'readIdx', 'mnistFromIdx', 'encodeSafetensors']
const others = Object.keys(calls).filter(
  (name) => !functions.some(([known]) => known === name) && !name.startsWith('layer ') && !open.includes(name),
)

it.each(others)('%s refuses arguments that it would ignore', async (name) => {
  const args = [...longest(name), ...(limited.includes(name) ? [{}] : [])]
  const own = name.replace(/^new |^(Graph|Tensor|schedule)\.|^SGD\./, '')
  for (const surplus of [{ surplus: 1 }, 'word', 2, t(2), true] as Json[]) {
    const run = async (): Promise<unknown> => options.check({ call: name, args: [...args, surplus], gradient: false })
    await expect(run(), JSON.stringify(surplus)).rejects.toThrow(new RegExp(`${own}: there is no argument \\d, given `))
  }
})

it.each(layerTypes)('a second argument of %s is refused', (type) => {
  const Layer = (nn as unknown as Record<string, new (...args: unknown[]) => unknown>)[type]!
  const [given] = (calls[`layer ${type}`]?.[0] ?? []) as [unknown]
  expect(() => new Layer(given, { bias: false })).toThrow(
    new RegExp(`^${type}: there is no argument 2, given { bias }$`),
  )
})

it('gives lists to functions of one thing, which they do not see', () => {
  const pictures = [{ width: 1, height: 1, channels: 1 as const, data: new Uint8Array(1) }]
  expect(pictures.map(lightOnDark)).toHaveLength(1)
  expect(() => (lightOnDark as (...args: unknown[]) => unknown)(pictures[0], 0, [])).toThrow(/there is no argument 2/)
})

it('refuses a third tensor, a second function, and members that data have not', async () => {
  const x = create.tensor([[1, 2]])
  const call = (operation: unknown, ...args: unknown[]): unknown =>
    (operation as (...given: unknown[]) => unknown)(...args)
  expect(() => call(operations.add, x, x, x)).toThrow(/^add: there is no argument 3, given a Tensor$/)
  expect(() => call(operations.relu, x, () => 0)).toThrow(/^relu: there is no argument 2, given a function$/)
  expect(() => call(grad, () => x, 1)).toThrow(/^grad: there is no argument 2, given 1$/)
  const model = new Sequential([new nn.Linear({ outFeatures: 2 })], { input: [2] })
  expect(() => call(model.freeze.bind(model), '0', '2')).toThrow(/^freeze: there is no argument 2, given '2'$/)
  expect(() => call(architecture, 'lenet5', { x: 1 })).toThrow(/^architecture: there is no argument 2, given { x }$/)
  await expect(call(loadClassifier, new Uint8Array(3), {}, { foo: 1 })).rejects.toThrow(/no argument 3, given { foo }$/)
  const optimizer = new SGD(model.parameters(), { lr: 0.1 })
  const settings = { epochs: 1, batchSize: 1, loss: operations.crossEntropy, optimizer }
  const run = async (data: object): Promise<unknown> => fit(model, data as never, settings as never)
  await expect(run({ x, y: [0], z: 1 })).rejects.toThrow(/^fit: the data: there is no member 'z'; there are x, y$/)
  await expect(run({ X: x, y: [0] })).rejects.toThrow(/did you mean 'x'\? There are x, y$/)
  expect((await fit(model, { x, y: [0] }, settings)).steps).toHaveLength(1)
  optimizer.dispose()
  model.dispose()
  x.dispose()
})

it('train takes the mode, as in PyTorch, and nothing else', () => {
  const model = new Sequential([new ReLU()])
  expect([true, undefined].map((mode) => model.eval().train(mode).training)).toEqual([true, true])
  expect(model.eval().train().training).toBe(true)
  expect(model.train(false).training).toBe(false)
  for (const wrong of [null, 0, 'false', {}]) {
    expect(() => model.train(wrong as never)).toThrow(/^train: the mode must be true or false, given /)
    expect(model.training).toBe(false)
  }
})

const isOptions = (value: Json | undefined): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !('$' in value)

it.each(functions.filter(([name]) => isOptions(longest(name).at(-1))))(
  '%s refuses a tensor, a number or a truth value in place of its options',
  async (name) => {
    for (const wrong of [t(3), tag('Float32Array', { values: [1] }), 2, true, [], null] as Json[]) {
      const args = [...longest(name).slice(0, -1), wrong]
      const run = async (): Promise<unknown> => options.check({ call: name, args, gradient: false })
      await expect(run(), JSON.stringify(wrong)).rejects.toThrow(ShapeError)
    }
  },
)

it('layers and models refuse what stands in place of their options', () => {
  const values = [create.tensor([1]), new Map(), new Float32Array(1), true, 3]
  for (const value of values) {
    expect(() => new Conv2d(value as never)).toThrow(/^Conv2d: the options must be an object, given /)
    expect(() => new ReLU(value as never)).toThrow(/^ReLU: the options must be an object, given /)
    expect(() => new Sequential([new ReLU()], value as never)).toThrow(
      /^Sequential: the options must be an object, given /,
    )
  }
  ;(values[0] as Tensor).dispose()
  const construct = (Layer: unknown, ...args: unknown[]): unknown =>
    new (Layer as new (...given: unknown[]) => unknown)(...args)
  expect(() => construct(Sequential, new ReLU(), new ReLU())).toThrow(
    /^Sequential: the layers must be a list, given an object$/,
  )
})

it('names what was given, and counts arguments', () => {
  scope(() => {
    const x = create.tensor([[-1, 2]])
    const call = (operation: unknown, ...args: unknown[]): unknown =>
      (operation as (...given: unknown[]) => unknown)(...args)
    expect(() => call(operations.relu, x, { inplace: true, odd: 1 })).toThrow(
      /^relu: there are no options behind argument 1, given { inplace, odd }$/,
    )
    expect(() => call(operations.add, x, x, { alpha: 2 })).toThrow(
      /^add: there are no options behind argument 2, given { alpha }$/,
    )
    expect([operations.relu, operations.add, operations.linear, operations.conv2d].map(({ length }) => length)).toEqual(
      [1, 2, 3, 2],
    )
    expect([x, x].map(operations.relu).map((y) => [...y.data()])).toEqual([[0, 2], [0, 2]]) // prettier-ignore
    expect([...[x, x, x].reduce<Tensor>(operations.add, x).data()]).toEqual([-4, 8])
  })
})
