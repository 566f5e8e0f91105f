/** What is known of a model before its weights are there, and what a program is made of then. */
import type { ProgramValue } from '../imported.js'
import type { Values } from './values.js'

/** A model that is read as far as that can be done without its weights. */
export interface Draft {
  /** Makes the nodes, once the weights are there. */
  lower(): Draw
}

/** What a program is made of. */
export interface Draw {
  readonly inputs: readonly ProgramValue[]
  readonly outputs: readonly ProgramValue[]
  readonly values: Values
  /** Constants that are trained, and those that keep statistics. */
  readonly weights: ReadonlySet<string>
  readonly statistics: ReadonlySet<string>
}
