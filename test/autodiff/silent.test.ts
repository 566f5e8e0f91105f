/**
 * No gradient is zero without a word: of every operation and every tensor that it is given, wherever that stands in the
 * arguments, there is a gradient that agrees with finite differences, or an error. Where two tensors have a gradient, each
 * gradient can be differentiated by both, and by that of the output.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { clipGradNorm, SGD } from '../../src/optim/index.js'
import * as operations from '../../src/ops/index.js'
import { rbfLoss } from '../../src/nn/rbf.js'
import { gradcheck } from '../../src/autodiff/gradcheck.js'
import { vjp } from '../../src/autodiff/vjp.js'
import { init } from '../../src/runtime/embedded.js'
import { UnsupportedError } from '../../src/runtime/errors.js'
import { tensor, uniform } from '../../src/tensor/create.js'
import { scope, Tensor } from '../../src/tensor/tensor.js'
import { calls } from '../fuzz/calls.js'
import type { Json } from '../fuzz/mutate.js'
import { decodeValue } from '../fuzz/values.js'

beforeAll(() => init())

type Call = (...args: unknown[]) => unknown
const exported = { ...operations, rbfLoss, clipGradNorm } as unknown as Readonly<Record<string, Call>>
const isTensorTag = (value: unknown): value is { readonly shape: number[] } =>
  typeof value === 'object' && value !== null && '$' in value && (value.$ === 'tensor' || value.$ === 'positive')

/** Arguments with the tensors that they hold, each at its place. */
function decode(args: readonly unknown[]): { readonly args: unknown[]; readonly tensors: Tensor[] } {
  const tensors: Tensor[] = []
  const note = (made: Tensor): Tensor => {
    tensors.push(made)
    return made
  }
  const go = (value: unknown): unknown => {
    // No kinks, poles or ties within reach of a difference.
    if (isTensorTag(value)) return note(uniform(value.shape, { low: 0.6, high: 1.6, seed: 11 + tensors.length }))
    if (Array.isArray(value)) return value.map(go)
    if (typeof value !== 'object' || value === null) return value
    if ('$' in value) {
      const decoded = decodeValue(value as Json, [])
      return decoded instanceof Tensor ? note(decoded as Tensor) : decoded
    }
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, go(item)]))
  }
  return { args: args.map(go), tensors }
}

/** The arguments with a tensor in another's place. */
function replaced(value: unknown, old: Tensor, by: Tensor): unknown {
  if (value === old) return by
  if (value instanceof Tensor || ArrayBuffer.isView(value)) return value
  if (Array.isArray(value)) return value.map((item) => replaced(item, old, by))
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, replaced(item, old, by)]))
}

/** The first tensor in a result. */
function firstTensor(value: unknown): Tensor {
  const found = value instanceof Tensor ? value : Object.values(value as object).flat().find((item) => item instanceof Tensor) // prettier-ignore
  if (!(found instanceof Tensor)) throw new Error('the call gives no tensor')
  return found as Tensor
}

/** Whether the gradient of f is right; undefined where there is none, and an error says so. */
function judged(f: (x: Tensor) => Tensor, x: Tensor): boolean | undefined {
  try {
    return gradcheck(f, [x], { step: 3e-3, tolerance: 5e-2, samples: 12 }).ok
  } catch (error) {
    if (error instanceof UnsupportedError && / gradient/.test(error.message)) return undefined
    throw error
  }
}

/** What gives numbers, or nothing where there is no factor of the kernel: nothing of it can be differentiated. */
const numbersOnly = new Set(['convMatrix', 'transposeMatrix', 'multiplyMatrix'])
const rows = Object.keys(exported)
  .filter((name) => typeof exported[name] === 'function' && !numbersOnly.has(name))
  .flatMap((name) => (calls[name] ?? []).map((args, index) => [name, index, args] as const))

/** Arguments that have no gradient, and whose error says so. */
const withoutGradient =
  /^(batchNorm.*running|crossEntropy.*(target|weight)|hingeLoss.*target|factorKernel|clipGradNorm|vjp: the function returns int32)/

describe('every tensor argument has a gradient, or an error', () => {
  it('is asked of every operation', () => {
    const asked = new Set(rows.map(([name]) => name))
    expect(Object.keys(exported).filter((name) => !asked.has(name) && !numbersOnly.has(name))).toEqual([])
  })

  it.each(rows)('%s, call %i', (name, _, json) => {
    scope(() => {
      const { args, tensors } = decode(json)
      const call = exported[name]!
      expect(tensors.length).toBeGreaterThan(0)
      const by =
        (x: Tensor, moved: readonly unknown[] = args) =>
        (given: Tensor) =>
          firstTensor(call(...(replaced(moved, x, given) as unknown[])))
      const firsts = tensors.map((x) => judged(by(x), x))
      for (const [index, x] of tensors.entries()) {
        const f = by(x)
        if (firsts[index] === undefined) {
          expect(() => vjp(f, x).pullback(vjp(f, x).value)).toThrow(withoutGradient)
          continue
        }
        expect(firsts[index], `${name} by tensor ${index} of ${JSON.stringify(json)}`).toBe(true)
        // The gradient by this tensor as a function of each of the tensors, and of the gradient of the output.
        const seed = uniform(f(x).shape, { low: 0.5, high: 1, seed: 5 })
        const linear = (dy: Tensor): Tensor => vjp(f, x).pullback(dy)[0] as Tensor
        expect(judged(linear, seed), `the gradient of ${name} by tensor ${index}, by dy`).toBe(true)
        for (const [other, z] of tensors.entries()) {
          const gradient = (given: Tensor): Tensor => {
            const moved = replaced(args, z, given) as unknown[]
            const point = other === index ? given : x
            return vjp(by(point, moved), point).pullback(seed)[0] as Tensor
          }
          expect(judged(gradient, z), `the gradient of ${name} by tensor ${index}, by ${other}`).toBe(firsts[other])
        }
      }
    })
  })

  it('is told where a tensor is written in place', () => {
    scope(() => {
      const [w, x] = [tensor([1, 2]), tensor([3, 4])]
      const optimizer = new SGD([w], { lr: 0.1 })
      const step = (given: Tensor): Tensor => {
        optimizer.step([operations.mul(given, 2)])
        return w
      }
      expect(() => vjp(step, x)).toThrow(/^SGD: step: gradient 0 has no gradient/)
      expect(w.data()).toEqual(Float32Array.of(1, 2))
    })
  })
})
