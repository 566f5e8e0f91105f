/** Faults on purpose: an allocation or a kernel call, counted from 0, fails in the middle of an operation. */
import { expect, vi } from 'vitest'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { OutOfMemoryError } from '../../src/runtime/errors.js'
import { Allocator } from '../../src/runtime/memory.js'
import type { Tensor } from '../../src/tensor/tensor.js'

export const faults = ['allocation', 'kernel call'] as const
export type Fault = (typeof faults)[number]

/** Counts the kernel calls, and throws in place of one; undefined outside of `withFault`. */
let onKernel: (() => void) | undefined

/** Loads the core so that `withFault` can let its kernels fail. */
export async function initWithFaults(load: () => Promise<void> = init): Promise<void> {
  const Original = WebAssembly.Instance
  const stub = vi.spyOn(WebAssembly, 'Instance').mockImplementation(function (module, imports) {
    const exports = Object.entries(new Original(module, imports).exports).map(([name, value]) => {
      if (typeof value !== 'function') return [name, value]
      const kernel = value as (...args: unknown[]) => unknown
      return [
        name,
        (...args: unknown[]) => {
          onKernel?.()
          return kernel(...args)
        },
      ]
    })
    return { exports: Object.fromEntries(exports) as WebAssembly.Exports }
  })
  try {
    await load()
  } finally {
    stub.mockRestore()
  }
}

export const injected: Readonly<Record<Fault, () => Error>> = {
  allocation: () => new OutOfMemoryError('this allocation fails on purpose'),
  'kernel call': () => new Error('this kernel call fails on purpose'),
}

export interface Outcome {
  /** How often the fault could have happened. */
  readonly chances: number
  readonly thrown: unknown
  /** What was thrown on purpose, if it came to that. */
  readonly injected: Error
}

/** Begins to count; at number `index` the fault happens. */
function arm(fault: Fault, index: number, make: () => Error): { readonly outcome: (thrown: unknown) => Outcome } {
  const error = make()
  let chances = 0
  const chance = (): void => {
    if (chances++ === index) throw error
  }
  const { allocate } = Allocator.prototype
  const spy = vi.spyOn(Allocator.prototype, 'allocate').mockImplementation(function (this: Allocator, bytes) {
    if (fault === 'allocation') chance()
    return allocate.call(this, bytes)
  })
  if (fault === 'kernel call') onKernel = chance
  const outcome = (thrown: unknown): Outcome => {
    onKernel = undefined
    spy.mockRestore()
    return { chances, thrown, injected: error }
  }
  return { outcome }
}

/** Lets the fault number `index` of a kind happen in `use`, if it has so many chances. */
export function withFault(fault: Fault, index: number, use: () => void, make = injected[fault]): Outcome {
  const { outcome } = arm(fault, index, make)
  try {
    use()
  } catch (error) {
    return outcome(error)
  }
  return outcome(undefined)
}

/** The same for what is asynchronous. */
export async function withFaults(fault: Fault, index: number, use: () => Promise<unknown>): Promise<Outcome> {
  const { outcome } = arm(fault, index, injected[fault])
  try {
    await use()
  } catch (error) {
    return outcome(error)
  }
  return outcome(undefined)
}

const usage = (): object => {
  const { liveBytes, blocks } = memoryUsage()
  return { liveBytes, blocks }
}

/** Numbers as bits, for comparing. */
export const bitsOf = (values: ArrayLike<number>): number[] => [
  ...new Int32Array((values instanceof Float64Array ? values : Float32Array.from(values)).buffer),
]

export interface Trial {
  /** What is to survive: one call of the library outside of every scope; it gives numbers, and disposes what it was given. */
  readonly use: () => readonly ArrayLike<number>[]
  /** Tensors that must stay as they are. */
  readonly kept?: () => readonly Tensor[]
  /** Brings everything into the state in which `use` is to begin. */
  readonly prepare?: () => void
  /** Faults of this kind, and chances, that `use` may get over by itself. */
  readonly forgives?: Fault
}

/**
 * Lets each allocation and each kernel call of `use` fail, one at a time. Afterwards as much memory is in use as before, and
 * all that is kept has its bits; and the same call then succeeds with the bits that it always has.
 */
export function expectSurvival({ use, kept = () => [], prepare = () => undefined, forgives }: Trial): number {
  const run = (): number[][] => use().map(bitsOf)
  const keptBits = (): number[][] => kept().map((tensor) => bitsOf(tensor.data()))
  prepare()
  const expected = run()
  let count = 0
  for (const fault of faults) {
    for (let index = 0; ; index++) {
      prepare()
      const before = [usage(), keptBits()]
      const { chances, thrown, injected } = withFault(fault, index, run)
      if (chances <= index) break
      const place = `${fault} ${index}`
      if (thrown !== undefined || fault !== forgives) expect(thrown, place).toBe(injected)
      expect([usage(), keptBits()], place).toEqual(before)
      expect(run(), place).toEqual(expected)
      count++
    }
  }
  return count
}

/** Numbers of tensors, which are disposed. */
export const consumed = (...tensors: readonly Tensor[]): Float32Array[] =>
  tensors.map((tensor) => {
    const values = tensor.data()
    tensor.dispose()
    return values
  })
