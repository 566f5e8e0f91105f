/**
 * Planned passes through imported models. A pass is planned from a node on as far as shapes are known; a node that must read numbers
 * that the pass has yet to compute ends a segment, is computed when they are there, and what follows is planned then.
 */
import { planPass } from '../graph/plan.js'
import { PlannedProgram } from '../graph/program.js'
import { Trace, type Value } from '../graph/trace.js'
import { keep, planning, scope, UnplannedError, type AnyTensor } from '../tensor/tensor.js'
import type { ImportedNode } from './imported.js'

/** Tensors by the names of values. */
export type NamedTensors = ReadonlyMap<string, AnyTensor>

/** Whole numbers of at most so many elements are extents and indices: a plan may be made for their values. */
const MOST_KNOWN = 256

/** Whether a plan may be made for the numbers of a tensor. */
const canBeKnown = ({ dtype, size }: AnyTensor): boolean => dtype !== 'float32' && size <= MOST_KNOWN

/** Part of a pass. */
export interface Segment {
  /** The node that it ends before. */
  readonly end: number
  /** What is needed after it: computed by it. Undefined where it computes nothing. */
  readonly program: PlannedProgram | undefined
  /** What is needed after it and does not depend on numbers. */
  readonly known: NamedTensors
}

/** How nodes are computed: errors tell of which node they are. */
export type RunNode = (
  node: ImportedNode,
  index: number,
  inputs: readonly (AnyTensor | undefined)[],
) => readonly AnyTensor[]

/** What a segment is planned for: names, shapes and types, and the numbers of those that are known. */
export function keyOf(start: number, live: NamedTensors, isKnown: boolean): string {
  const parts = [...live].map(([name, x]) => {
    const numbers = isKnown && canBeKnown(x) ? `=${(x.data() as ArrayLike<unknown> as unknown[]).join()}` : ''
    return `${name}:${x.dtype}[${x.shape.join()}]${numbers}`
  })
  return `${start};${parts.join(';')}`
}

/** Plans from node `start` on, for values that are there, as far as it can be planned. `needed` are read at or after a node. */
export function planSegment(
  nodes: readonly ImportedNode[],
  start: number,
  live: NamedTensors,
  constants: NamedTensors,
  isKnown: boolean,
  neededFrom: (index: number) => ReadonlySet<string>,
  runNode: RunNode,
): Segment {
  const trace = new Trace()
  const known = new Map<string, AnyTensor>()
  let end = start
  const outputs = new Map<string, { readonly value: Value; readonly shape: readonly number[] }>()
  const inputs = new Map<string, Value>()
  try {
    planning(trace, () => {
      scope(() => {
        const values = new Map<string, AnyTensor>(constants)
        for (const [name, x] of live) {
          if (isKnown && canBeKnown(x)) values.set(name, x)
          else {
            const input = trace.input(name, x.shape, x.dtype)
            values.set(name, input)
            inputs.set(name, trace.valueOf(input))
          }
        }
        const made = new Set<string>()
        for (; end < nodes.length; end++) {
          const node = nodes[end] as ImportedNode
          let given: readonly AnyTensor[]
          try {
            given = runNode(
              node,
              end,
              node.inputs.map((name) => values.get(name)),
            )
          } catch (error) {
            if (error instanceof UnplannedError) break
            throw error
          }
          node.outputs.forEach((name, index) => {
            const y = given[index]
            if (name === '' || !y) return
            values.set(name, y)
            made.add(name)
            if (y.storage.isPlanned) trace.results.set(name, trace.valueOf(y))
          })
        }
        for (const name of neededFrom(end)) {
          const x = values.get(name)
          if (!x || !made.has(name)) continue
          if (x.storage.isPlanned) outputs.set(name, { value: trace.valueOf(x), shape: x.shape })
          else known.set(name, keep(x.alias()))
        }
      })
    })
    if (outputs.size === 0) {
      for (const constant of trace.constants) constant.dispose()
      return { end, program: undefined, known }
    }
    const traced = {
      ...{ inputs, outputs, results: trace.results, nodes: trace.nodes, constants: trace.constants },
      read: trace.readings,
    }
    return { end, program: new PlannedProgram(planPass(traced), true), known }
  } catch (error) {
    for (const constant of trace.constants) constant.dispose()
    for (const x of known.values()) x.dispose()
    throw error
  }
}

/** Gives back what a segment keeps. */
export function disposeSegment({ program, known }: Segment): void {
  program?.dispose()
  for (const x of known.values()) x.dispose()
}
