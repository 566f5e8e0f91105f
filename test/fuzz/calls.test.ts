/** The table of calls: that nothing which is exported is missing, and that what it calls right is. */
import { beforeAll, expect, it } from 'vitest'
import { init } from '../../src/runtime/embedded.js'
import { ToeplitzError } from '../../src/runtime/errors.js'
import { layerTypes } from '../helpers/layers.js'
import { calls, exempt } from './calls.js'
import { Random } from './random.js'
import options, { exported } from './targets/options.js'

beforeAll(() => init())

it('names everything that is exported', () => {
  const named = new Set([
    ...Object.keys(calls).map((name) => name.replace(/^(new|layer) /, '')),
    ...Object.keys(exempt),
  ])
  const prefixes = new Set([...named].map((name) => name.split('.')[0]))
  expect(Object.keys(exported).filter((name) => !named.has(name) && !prefixes.has(name))).toEqual([])
  expect(layerTypes.filter((type) => !named.has(type))).toEqual([])
})

/** Files that are none: their readers refuse them. */
const refused = [
  'loadStateDict',
  'loadOnnx',
  'loadTfjs',
  'readTensorFile',
  'decodePng',
  'decodeJpeg',
  'decodeImage',
  'decodeSafetensors',
  'decodeModel',
  'decodeModelFile',
  'loadClassifier',
  'Graph.load',
  'readIdx',
  'decodeWav',
  'decodeNifti',
  'mnistFromIdx',
]

it.each(Object.keys(calls))('%s is called as it should be', async (call) => {
  let accepted = 0
  for (const args of calls[call] ?? []) {
    const outcome = await Promise.resolve(options.check({ call, args: [...args], gradient: false })).catch(
      (error: unknown) => {
        if (refused.includes(call)) return 'refused'
        throw error
      },
    )
    if (outcome !== 'refused') accepted++
  }
  expect(accepted > 0).toBe(!refused.includes(call))
})

it('makes the same choices of the same seed', () => {
  const draw = (): number[] => {
    const random = new Random(7, 'x', 3)
    return random.list(5, () => random.bits())
  }
  expect(draw()).toEqual(draw())
  expect(draw()).not.toEqual(new Random(7, 'x', 4).list(5, () => new Random(7, 'x', 4).bits()))
})

const isMade = (made: unknown): made is new (...args: unknown[]) => unknown =>
  typeof made === 'function' && String(made).startsWith('class') && !(made.prototype instanceof Error)

it.each(Object.keys(exempt).filter((name) => isMade(exported[name])))(
  '%s, which no call of the table makes, refuses to be made of what is wrong',
  (name) => {
    const Made = exported[name] as new (...args: unknown[]) => unknown
    for (const wrong of [undefined, null, 0, NaN, '', {}, Symbol('wrong'), () => undefined]) {
      try {
        new Made(wrong)
      } catch (error) {
        expect(error).toBeInstanceOf(ToeplitzError)
      }
    }
  },
)
