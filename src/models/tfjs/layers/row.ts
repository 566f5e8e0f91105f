/** How the table of layers is written. */
import { FormatError } from '../../../runtime/errors.js'
import type { AnyTensor, Tensor } from '../../../tensor/tensor.js'
import type { NodeContext } from '../../imported.js'
import { floats } from '../../inputs.js'
import type { Config } from './config.js'

/** What a layer computes: its inputs, then its weights in the order in which it named them. */
export type Step = (inputs: readonly Tensor[], weights: readonly (Tensor | undefined)[], context: NodeContext) => Tensor

/** A step, and the form of the tensors that it reads and gives. */
export interface Lowered {
  readonly step: Step
  /** Whether its inputs, or each of them, have their channels first; else they have them last. */
  readonly readsFirst?: boolean | readonly boolean[]
  /** Whether what it gives has its channels first; default whether one that it reads has. */
  readonly givesFirst?: boolean
}

/** A layer of a file. */
export interface LayerReader {
  readonly config: Config
  /** Which of its inputs are computed channels first, and whether all are. */
  readonly firsts: readonly boolean[]
  readonly allFirst: boolean
  /** Number of inputs. */
  readonly inputs: number
  /** The place of a weight among those that the step is given. @throws FormatError where the file has none of that name */
  weight(...names: readonly [string, ...string[]]): number
  /** The same of a weight that keeps statistics. */
  statistic(name: string): number
}

/** A layer by the name of its class. */
export interface Row {
  /** Fewest and most inputs. */
  readonly inputs: readonly [least: number, most: number]
  /** Reads the configuration, when the file is loaded; what cannot be meant or done is refused here. */
  lower(layer: LayerReader): Lowered
}

export type Rows = Readonly<Record<string, Row>>

/** A row of one input. */
export const row = (lower: Row['lower']): Row => ({ inputs: [1, 1], lower })

/** A function of each number, in whichever form its input is computed. */
export const each = (layer: LayerReader, step: (x: Tensor, context: NodeContext) => Tensor): Lowered => ({
  readsFirst: layer.allFirst,
  step: ([x], _, context) => step(x as Tensor, context),
})

/** A weight that must be there. */
export function needWeight(weights: readonly (Tensor | undefined)[], place: number): Tensor {
  const w = weights[place]
  if (!w) throw new FormatError(`weight ${place} is missing`)
  return w
}

/** Inputs of float32, checked. */
export const allFloats = (inputs: readonly (AnyTensor | undefined)[]): Tensor[] =>
  inputs.map((_, i) => floats(inputs, i))
