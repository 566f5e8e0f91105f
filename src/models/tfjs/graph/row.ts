/** How the tables of graph-models' operators are written. */
import type { AnyTensor } from '../../../tensor/tensor.js'
import type { NodeContext } from '../../imported.js'
import { need, type Given } from '../../inputs.js'
import { laidFirst } from '../values.js'
import type { NodeReader } from './node.js'

/** What a node computes of its inputs. */
export type Step = (inputs: readonly (AnyTensor | undefined)[], context: NodeContext) => Given

/** A step, and the form of the tensors that it reads and gives. */
export interface Lowered {
  readonly step: Step
  /** Inputs that it reads channels first; the others have their channels last. */
  readonly first?: readonly number[]
  /** Whether what it gives is channels first. */
  readonly isFirst?: boolean
  /** Axes of what it gives, where that is known and it is channels first. */
  readonly ndim?: number | undefined
  /** Number of outputs, if more than one. */
  readonly outputs?: number
}

/** One operator. */
export interface Row {
  /** Fewest and most inputs. */
  readonly inputs: readonly [least: number, most: number]
  /** Inputs that are weights where they are constants, and those that keep statistics. */
  readonly weights?: readonly number[]
  readonly statistics?: readonly number[]
  /** Reads the attributes, when the file is loaded; what cannot be meant or done is refused here. */
  lower(node: NodeReader): Lowered | Step
}

/** Rows by the names of operators. */
export type Rows = Readonly<Record<string, Row>>

/** A row. */
export const row = (
  inputs: Row['inputs'],
  lower: Row['lower'],
  more: Pick<Row, 'weights' | 'statistics'> = {},
): Row => ({
  inputs,
  lower,
  ...more,
})

/** A function of each number of one tensor, in whichever form that is computed. */
export const each = (of: (x: AnyTensor) => AnyTensor): Row => row([1, 1], (node) => eachOf(node, of))

/** The same of a node whose attributes have been read. */
export const eachOf = (node: NodeReader, of: (x: AnyTensor) => AnyTensor): Lowered => ({
  step: (inputs) => of(need(inputs, 0)),
  ...(node.isFirst(0) && { first: [0], isFirst: true, ndim: node.ndim(0) }),
})

/** A function of tensors that are laid over each other: channels first where one of them is computed so. */
export function laid(node: NodeReader, of: (operands: readonly AnyTensor[]) => AnyTensor): Lowered {
  const all = Array.from({ length: node.inputs }, (_, input) => input)
  const first = all.filter((input) => node.isFirst(input))
  if (first.length === 0) return { step: (inputs) => of(inputs.map((_, input) => need(inputs, input))) }
  const known = first.map((input) => node.ndim(input))
  return {
    first,
    isFirst: true,
    ndim: known.includes(undefined) ? undefined : Math.max(...(known as number[])),
    step: (inputs) => {
      const ndim = Math.max(...first.map((input) => need(inputs, input).ndim))
      return of(
        inputs.map((_, input) => (first.includes(input) ? need(inputs, input) : laidFirst(need(inputs, input), ndim))),
      )
    },
  }
}

/** A row of `laid` of two operands. */
export const both = (of: (a: AnyTensor, b: AnyTensor) => AnyTensor): Row =>
  row([2, 2], (node) => laid(node, ([a, b]) => of(a as AnyTensor, b as AnyTensor)))
