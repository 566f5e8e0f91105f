/**
 * Folds normalization by constants into the weights before it. Where the result of a convolution or a matrix product is read by one
 * node alone, and that node multiplies each channel by a constant and adds another, the two nodes become one: the same convolution
 * with scaled weights and a shifted bias. The new weights are operations on constants, and are computed once for each version of the
 * weights.
 */
import { planning, scope, type Affine, type AnyTensor, type PlannedInputs } from '../tensor/tensor.js'
import { readersOf, Trace, type Node, type TracedPass, type Value } from './trace.js'

/** Tensors for what a node reads, but for one input. */
function tensorsOf(node: Node, trace: Trace, but?: string): PlannedInputs {
  return Object.fromEntries(
    [...node.inputs].map(([key, value]): [string, AnyTensor | undefined] => [
      key,
      value && key !== but ? trace.adopt(value, node.shapes.get(key) as readonly number[]) : undefined,
    ]),
  )
}

/** The operation that computes what `node` and the affine one behind it do, noted after those of its weights. */
function joined(
  node: Node,
  behind: Node,
  at: string,
): { readonly nodes: readonly Node[]; readonly out: Value } | undefined {
  const trace = new Trace()
  trace.owner = node.owner
  return planning(trace, () =>
    scope(() => {
      const by: Affine | undefined = behind.affine?.(tensorsOf(behind, trace, at))
      const y = by && node.scaled?.(tensorsOf(node, trace), by)
      return y && { nodes: trace.nodes, out: trace.valueOf(y) }
    }),
  )
}

/**
 * Whether it pays: other weights take memory, and where they are more than one example's result, normalizing that costs next to
 * nothing. The batch does not count, so that results do not depend on it.
 */
const pays = ({ inputs, shape, out }: Node): boolean => {
  const weights = Math.max(0, ...[...inputs.values()].map((value) => (value?.constant ? value.size : 0)))
  return weights <= out.size / (shape[0] as number)
}

/** The pass with each such pair of nodes as one. `wanted` are values that must be there as they are. */
export function foldAffine(traced: TracedPass, wanted: ReadonlySet<Value>): TracedPass {
  if (!traced.nodes.some(({ affine }) => affine)) return traced
  const readers = readersOf(traced.nodes)
  const instead = new Map<Value, Value>()
  const replaced = new Map<Node, readonly Node[]>()
  for (const behind of traced.nodes) {
    if (!behind.affine) continue
    const [at, ...more] = [...behind.inputs].filter(([, value]) => value && value.constant === undefined)
    const [name, x] = at ?? []
    if (name === undefined || !x?.node || more.length > 0 || readers.get(x) !== 1 || wanted.has(x)) continue
    // The node that gives it, or that and what has been joined to it.
    const before = replaced.get(x.node) ?? [x.node]
    const node = before.at(-1) as Node
    if (x.node.further.size > 0) continue
    const fits = behind.shapes.get(name)?.join() === node.shape.join() && behind.shape.join() === node.shape.join()
    if (!node.scaled || !fits || !pays(node)) continue
    const both = joined(node, behind, name)
    if (!both) continue
    replaced.set(x.node, []).set(behind, [...before.slice(0, -1), ...both.nodes])
    instead.set(node.out, both.out).set(behind.out, both.out)
  }
  if (replaced.size === 0) return traced
  const valueOf = (value: Value): Value => {
    let found = value
    for (let next = instead.get(found); next; next = instead.get(found)) found = next
    return found
  }
  const nodes = traced.nodes.flatMap((node) => replaced.get(node) ?? [node])
  for (const node of nodes) {
    const inputs = node.inputs as Map<string, Value | undefined>
    for (const [key, value] of inputs) if (value) inputs.set(key, valueOf(value))
  }
  return {
    ...traced,
    nodes,
    results: new Map([...traced.results].map(([owner, value]) => [owner, valueOf(value)])),
    outputs: new Map([...traced.outputs].map(([name, { value, shape }]) => [name, { value: valueOf(value), shape }])),
  }
}
