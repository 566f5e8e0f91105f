/** How the tables of operators are written: for each operator its meanings, by the first opset that has them. */
import type { AnyTensor } from '../../tensor/tensor.js'
import type { NodeContext } from '../imported.js'
import type { Given } from '../inputs.js'
import type { OnnxGraph } from '../../formats/onnx.js'
import type { NodeReader } from './node.js'

export type Lowered = (
  inputs: readonly (AnyTensor | undefined)[],
  context: NodeContext,
  /** Values of the graph around the node that graphs in it read. */
  outer: ReadonlyMap<string, AnyTensor>,
) => Given

/** A graph within a node, such as the branch of a choice. */
export interface Subgraph {
  /** Numbers of its inputs and outputs. */
  readonly inputs: number
  readonly outputs: number
  /** Its outputs, which belong to the scope around. */
  run(
    inputs: readonly (AnyTensor | undefined)[],
    context: NodeContext,
    outer: ReadonlyMap<string, AnyTensor>,
  ): readonly AnyTensor[]
}

/** One meaning of an operator. */
export interface Meaning {
  /** First opset that it has it in. */
  readonly since: number
  /** Fewest and most inputs. */
  readonly inputs: readonly [least: number, most: number]
  /** Inputs that are weights where they are constants, and those that keep statistics. */
  readonly weights?: readonly number[]
  readonly statistics?: readonly number[]
  /** Reads the attributes, when the file is loaded; what cannot be meant or done is refused here. */
  lower(node: NodeReader, subgraph: (graph: OnnxGraph, what: string) => Subgraph): Lowered
}

/** Meanings by the names of operators. */
export type Rows = Readonly<Record<string, readonly Meaning[]>>

/** A row with one meaning in all opsets. */
export const always = (
  inputs: Meaning['inputs'],
  lower: Meaning['lower'],
  more: Omit<Meaning, 'since' | 'inputs' | 'lower'> = {},
): readonly Meaning[] => [{ since: 1, inputs, lower, ...more }]

export { constantsOf, floats, need, numbersOf, optionalNumbers, type Given } from '../inputs.js'
