/** How the tables of operators are written: for each operator its meanings, by the first opset that has them. */
import { ArgumentError } from '../../runtime/errors.js'
import { checkTensor, type AnyTensor, type Tensor } from '../../tensor/tensor.js'
import type { NodeContext } from '../imported.js'
import type { OnnxGraph } from '../../formats/onnx.js'
import type { NodeReader } from './node.js'

/** What a node computes of its inputs: one tensor, or several. */
export type Given = AnyTensor | readonly (AnyTensor | undefined)[]
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

/** An input that must be there. */
export function need(inputs: readonly (AnyTensor | undefined)[], index: number): AnyTensor {
  const x = inputs[index]
  if (!x) throw new ArgumentError(`input ${index} is missing`)
  return x
}

/** An input of float32. */
export function floats(inputs: readonly (AnyTensor | undefined)[], index: number): Tensor {
  const x = need(inputs, index)
  checkTensor(x, 'here', `input ${index}`)
  return x
}

/** The numbers of a small tensor of whole numbers, as a list. @throws UnplannedError where they are still to be computed */
export function numbersOf(x: AnyTensor): number[] {
  const values: ArrayLike<number | bigint> = x.data()
  return Array.from(values, (value: number | bigint) => {
    const number = Number(value)
    return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, number))
  })
}

/**
 * The numbers of a constant of any type, for which a pass is then planned: options that are inputs, never weights.
 * @throws UnplannedError where they are still to be computed
 */
export const constantsOf = (x: AnyTensor): number[] =>
  x.dtype === 'float32' ? Array.from(x.view() as Float32Array) : numbersOf(x)

/** The numbers of an input, if it is there. */
export const optionalNumbers = (inputs: readonly (AnyTensor | undefined)[], index: number): number[] | undefined => {
  const x = inputs[index]
  return x && numbersOf(x)
}
