/** A model with what its file says of it. */
import type { ModelDescription } from '../io/model-file.js'
import type { Graph } from '../nn/graph.js'

export interface Described {
  readonly file: ModelDescription
  readonly model: Graph
  /** What a user should know of where it comes from. */
  readonly note?: string
}
