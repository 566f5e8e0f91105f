/** What models from elsewhere become: named values, and nodes that compute them by operations. */
import type { DType } from '../tensor/dtype.js'
import type { AnyTensor, Tensor } from '../tensor/tensor.js'

/** An input or an output of a program. */
export interface ProgramValue {
  /** The name that the file gives it. */
  readonly name: string
  /** Type of its elements. */
  readonly dtype: DType
  /** Extents: a number, the name of one that may vary, or null for any. Undefined where the file does not tell. */
  readonly shape: readonly (number | string | null)[] | undefined
}

/** How a pass is made. */
export interface NodeContext {
  readonly training: boolean
  /** Seeds what is drawn at random, with the stream of the node in this step. */
  readonly seed: number
  readonly stream: number
}

/** The tensors that a node reads, undefined for those that are left out, to those that it gives. */
export type Compute = (inputs: readonly (AnyTensor | undefined)[], context: NodeContext) => readonly AnyTensor[]

/** One use of an operator. */
export interface ImportedNode {
  /** A name that no other node has. */
  readonly name: string
  readonly operator: string
  /** Names of values; '' for one that is left out. */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly compute: Compute
}

/** A model with its constants. */
export interface ImportedModel {
  /** What errors call it. */
  readonly name: string
  readonly inputs: readonly ProgramValue[]
  readonly outputs: readonly ProgramValue[]
  /** In an order in which they can be computed. */
  readonly nodes: readonly ImportedNode[]
  readonly constants: ReadonlyMap<string, AnyTensor>
  /** Constants that are trained, and those that keep statistics, by name. */
  readonly parameters: ReadonlyMap<string, Tensor>
  readonly buffers: ReadonlyMap<string, Tensor>
}
