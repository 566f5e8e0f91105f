/** Wrong things in place of every argument of everything that is exported: an error of the library tells what is due. */
import { beforeAll, expect, it } from 'vitest'
import { init } from '../../src/runtime/embedded.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { ToeplitzError } from '../../src/runtime/errors.js'
import { calls, exempt } from './calls.js'
import options, { exported } from './targets/options.js'
import { tag } from './tags.js'
import type { Json } from './mutate.js'

beforeAll(() => init())

/** As JSON, so that calls of the table take them. */
const wrong: readonly Json[] = [
  ...['undefined', 'promise', 'async', 'function', 'symbol', 'bigint', 'null-prototype', 'date', 'cycle'].map((kind) =>
    tag(kind),
  ),
  ...[null, true, -1, 1.5, 'wrong', [], {}, [1, 'two'], [null]],
  tag('number', { of: 'NaN' }),
  tag('disposed', { shape: [2, 2] }),
  tag('tensor-like', { shape: [2, 2] }),
  tag('Float32Array', { values: [0.5] }),
  tag('ArrayBuffer'),
]

/** What a call ends with that is no error of the library's own; undefined where there is none. */
async function foreign(call: () => unknown): Promise<string | undefined> {
  try {
    const result = await call()
    // What is asynchronous without a promise, such as batches.
    if (typeof result === 'object' && result !== null && Symbol.asyncIterator in result) {
      for await (const _ of result as AsyncIterable<unknown>) break
    }
  } catch (error) {
    const isOwn =
      error instanceof ToeplitzError && error.code !== 'CORE' && !/\n|undefined \(|\[object/.test(error.message)
    if (!isOwn) return String(error)
  }
  return undefined
}

it.each(Object.keys(calls))('%s says what is due in place of each argument', async (call) => {
  const faults: string[] = []
  for (const args of calls[call] ?? []) {
    // What a method belongs to stays, and the input of a layer.
    const first = /^[A-Z].*\./.test(call) ? 1 : 0
    const end = call.startsWith('layer') ? args.length - 1 : args.length
    for (let at = first; at < end; at++) {
      for (const value of wrong) {
        const given = args.map((arg, index) => (index === at ? value : arg))
        const before = memoryUsage().liveBytes
        const fault = await foreign(() => options.check({ call, args: given, gradient: false }))
        if (fault !== undefined) faults.push(`argument ${at}, ${JSON.stringify(value)}: ${fault}`)
        if (memoryUsage().liveBytes !== before)
          faults.push(`argument ${at}, ${JSON.stringify(value)} leaves memory in use`)
      }
    }
  }
  expect(faults).toEqual([])
})

/** What takes other types than float32: what moves or converts elements, and labels. */
const takesTypes: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(['slice', 'pad', 'transpose', 'flatten', 'cast'].map((name) => [name, ['0']])),
  ...Object.fromEntries(['reshape', 'assign', 'item', 'data', 'toString'].map((name) => [`Tensor.${name}`, ['0']])),
  crossEntropy: ['1', '2.weight'],
  hingeLoss: ['1'],
}

/** The arguments with each tensor in turn as one of whole numbers, and where it stands. */
function* retyped(value: Json, dtype: string, place: readonly (string | number)[] = []): Generator<[string, Json]> {
  if (typeof value !== 'object' || value === null) return
  if (!Array.isArray(value) && ['tensor', 'positive', 'labels'].includes(value['$'] as string)) {
    const shape = (value['shape'] ?? [(value['values'] as Json[]).length]) as Json
    yield [place.join('.'), tag('typed', { dtype, shape })]
    return
  }
  for (const [key, item] of Object.entries(value)) {
    for (const [at, changed] of retyped(item, dtype, [...place, key])) {
      const copy = (Array.isArray(value) ? [...value] : { ...value }) as { [key: string]: Json }
      copy[key] = changed
      yield [at, copy]
    }
  }
}

it.each(Object.keys(calls))('%s refuses tensors of other types by name, or takes them', async (call) => {
  const taken = new Set<string>()
  const faults: string[] = []
  for (const args of calls[call] ?? []) {
    for (const dtype of ['int64', 'int32', 'bool']) {
      for (const [at, given] of retyped(args as Json, dtype)) {
        const before = memoryUsage().liveBytes
        try {
          await options.check({ call, args: given, gradient: false })
          taken.add(at)
        } catch (error) {
          if (!(error instanceof ToeplitzError) || !/float32|int64|int32|bool|true, false, 0 or 1/.test(error.message))
            faults.push(`${dtype} at ${at}: ${String(error)}`)
        }
        if (memoryUsage().liveBytes !== before) faults.push(`${dtype} at ${at} leaves memory in use`)
      }
    }
  }
  expect({ faults, taken: [...taken] }).toEqual({ faults: [], taken: takesTypes[call] ?? [] })
})

/** Those that only the library makes, and what belongs to the process. */
const notCalled = ['made by the library', 'abstract', 'made by functions', 'of the process as a whole']
/** Called without the table: what else it exempts is among them. */
const functions = Object.entries(exported).filter(
  ([name, value]) => typeof value === 'function' && !notCalled.includes(exempt[name] ?? ''),
)

it.each(functions)('%s of nothing, and of one thing in place of everything, is refused or right', async (_, value) => {
  const call = value as (...args: unknown[]) => unknown
  const isClass = /^class\b/.test(Function.prototype.toString.call(value))
  const things = [undefined, null, 3, 'wrong', {}, [], Symbol('odd'), async () => Promise.resolve(), Promise.resolve(1)]
  const faults: string[] = []
  for (const thing of things) {
    for (const count of [0, 1, 2, 3]) {
      const args = new Array<unknown>(count).fill(thing)
      const fault = await foreign(() =>
        isClass ? new (value as new (...given: unknown[]) => unknown)(...args) : call(...args),
      )
      if (fault !== undefined) faults.push(`${count} of ${typeof thing}: ${fault}`)
    }
  }
  expect(faults).toEqual([])
})
