/** An object of options behind the last argument of a function that takes none there is refused, and nothing else is. */
import { beforeAll, expect, it } from 'vitest'
import { Conv2d, ReLU, Sequential } from '../../src/nn/index.js'
import * as operations from '../../src/ops/index.js'
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
