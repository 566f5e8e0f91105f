/** Whether a layer computes in integers or in float32: by the time that both are estimated to take, conversions counted. */
import type { OnnxNode } from '../formats/onnx.js'
import { costOf, planConv } from '../plan/conv.js'
import { product, type ConvProblem } from '../plan/problem.js'
import { LIGHT } from '../runtime/work.js'
import type { Shape } from '../tensor/shape.js'
import { costs } from './costs.js'
import { countsOf } from './counts.js'
import { intsOf, numberOf } from './graph.js'

/** What a layer is estimated to take for one input, on one thread of the machine on which costs were fitted. */
export interface Estimates {
  /** Milliseconds in integers, with the conversion of the input where that is not there in bytes. */
  readonly integers: number
  /** Milliseconds in float32, with the conversion of the input where that is there in bytes alone, and of the result back. */
  readonly float32: number
}

/** The convolution of a node over maps x (N, C, …) with weights (K, C/groups, …) that gives y, or the matrix product as one of a single pixel. */
function problemOf(node: OnnxNode, x: Shape, y: Shape, weights: Shape): ConvProblem {
  const isConv = node.opType === 'Conv'
  const input = isConv ? x.slice(2) : [1, 1]
  const ones = input.map(() => 1)
  const pads = (isConv && intsOf(node, 'pads')) || [...input, ...input].map(() => 0)
  return {
    ...{
      N: 1,
      C: x[1] as number,
      K: weights[0] as number,
      groups: isConv ? numberOf(node, 'group', 1) : 1,
      flip: false,
    },
    ...{ input, output: isConv ? y.slice(2) : [1, 1], kernel: weights.slice(2) },
    stride: (isConv && intsOf(node, 'strides')) || ones,
    dilation: (isConv && intsOf(node, 'dilations')) || ones,
    ...{ lo: pads.slice(0, input.length), hi: pads.slice(input.length) },
  }
}

/** Milliseconds of both, for a node whose input is there `inBytes`, or in float32. */
export function estimatesOf(node: OnnxNode, x: Shape, y: Shape, weights: Shape, inBytes: boolean): Estimates {
  const problem = problemOf(node, x, y, weights)
  const { kind, counts } = countsOf(problem)
  const integers = Object.entries(costs[kind]).reduce((sum, [what, each]) => sum + each * (counts[what] ?? 0), 0)
  const floats = costOf(problem, 'fwd', planConv(problem, 'fwd'))
  const [read, given] = [product(x.slice(1)), product(y.slice(1))].map((size) => LIGHT * size) as [number, number]
  return {
    integers: (integers + (inBytes ? 0 : read)) / 1e6,
    float32: (floats + (inBytes ? read : 0) + given) / 1e6,
  }
}
