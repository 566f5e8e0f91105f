/** What a target of `npm run fuzz` is: how a case is made from random choices, and how it is judged. */
import { ToeplitzError } from '../../src/runtime/errors.js'
import type { Json } from './mutate.js'
import type { Random } from './random.js'

/** A case: a file, or a description of a call. Both can be written down and read back. */
export type Input = Uint8Array | Json

/** What became of a case that was judged right. */
export type Outcome =
  | 'refused'
  /** Accepted, with this many bytes of results; left out, none to speak of. */
  | { readonly accepted: true; readonly bytes?: number }

export interface Target<I extends Input = Input> {
  /** One line for people. */
  readonly about: string
  /** Cases in CI and where nothing else is asked for. */
  readonly cases: number
  /** Threads that the core is started with; left out, the core is the one for one thread. */
  readonly threads?: number
  /** Whether a case is a file, whose reader may take 64 MiB and three times what it gives, and no more. */
  readonly readsFiles?: boolean
  /** Whether `check` itself tells what was slow, because it also computes, slowly, what is right. */
  readonly tellsSlow?: boolean
  /** Whether its cases are made of models in a folder, which is to be named. */
  readonly needsModels?: boolean
  /** What has to be loaded before the first case; `models` is the folder of --models. */
  prepare?(models?: string): void | Promise<void>
  make(random: Random): I
  /**
   * Judges a case. A `ToeplitzError` that comes out of it is a refusal; a `Fault` says what is wrong; every other error is
   * a foreign one, and a fault.
   */
  check(input: I): Outcome | Promise<Outcome>
}

/** Keeps the type of the cases to itself. */
export const defineTarget = <I extends Input>(target: Target<I>): Target => target

/** Something is wrong that no error of the library tells. */
export class Fault extends Error {}

export function expect(holds: boolean, what: string | (() => string)): asserts holds {
  if (!holds) throw new Fault(typeof what === 'string' ? what : what())
}

export const accepted = (bytes = 0): Outcome => ({ accepted: true, bytes })

/** What `use` gives, or undefined where the library refuses. Foreign errors go on. */
export function attempt<T>(use: () => T): T | undefined {
  try {
    return use()
  } catch (error) {
    if (error instanceof ToeplitzError && error.code !== 'CORE') return undefined
    throw error
  }
}
