/** How much memory a planned pass takes, in bytes: a walk through its nodes that adds up their values, workspace and packed weights. */
import { blockBytes, type CallList } from '../runtime/calls.js'
import { blockOf } from '../runtime/memory.js'
import type { Plan } from './plan.js'
import { valueBytes, type Node, type Value } from './trace.js'

/** Bytes of some nodes. */
export interface NodeMemory {
  /** Used while they run: the most that one of them needs. */
  readonly workspace: number
  /** Weights as kernels want them, and what depends on weights alone: kept from the second pass on. */
  readonly packed: number
}

/** Bytes of a whole pass. */
export interface PassMemory {
  /** What is kept between passes besides the weights: packed weights, results that depend on weights alone, and records. */
  readonly packed: number
  /** Inputs, outputs, and the arena of a pass that is repeated. */
  readonly working: number
  /** The most at a time that a single pass takes: each value is there only as long as it is needed, and weights are packed one by one. */
  readonly single: number
  /** What the node belongs to at which `single` is reached. */
  readonly at: string
  /** The value of each input and of each owner of nodes. Owners that share memory have the same value. */
  readonly results: ReadonlyMap<string, Value>
  /** By what nodes belong to. */
  readonly byOwner: ReadonlyMap<string, NodeMemory>
}

/** Bytes of a value. */
const bytesOf = (value: Value): number => blockOf(valueBytes(value))

/** Bytes of the workspace of a list. */
const workspaceOf = ({ entries }: CallList): number =>
  entries.reduce((sum, entry) => sum + (entry.kind === 'block' ? blockBytes(entry) : 0), 0)

/** Bytes that each node packs. A packing of a weight that several nodes use counts for the first of them. */
function packings(plan: Plan): Map<Node, number> {
  const seen = new Map<Value, Set<string>>()
  const bytes = new Map<Node, number>()
  for (const { node, list } of plan.repeated) {
    for (const entry of list.entries) {
      if (entry.kind !== 'packed') continue
      const value = plan.valueOf(node.inputs.get(entry.from) as Value)
      let keys = seen.get(value)
      if (!keys) seen.set(value, (keys = new Set()))
      if (keys.has(entry.key)) continue
      keys.add(entry.key)
      bytes.set(node, (bytes.get(node) ?? 0) + blockOf(entry.bytes))
    }
  }
  return bytes
}

/** Walks through a plan and counts. */
export function measurePlan(plan: Plan): PassMemory {
  const { traced, order, constants, outputs } = plan
  const packedBy = packings(plan)
  const byOwner = new Map<string, { workspace: number; packed: number }>()
  const count = ({ owner }: Node, workspace: number, packed: number): void => {
    const before = byOwner.get(owner) ?? { workspace: 0, packed: 0 }
    byOwner.set(owner, { workspace: Math.max(before.workspace, workspace), packed: before.packed + packed })
  }
  const folded = new Set(constants.map(({ node }) => node))
  const inputs = [...traced.inputs.values()].reduce((sum, value) => sum + bytesOf(value), 0)
  let live = inputs
  let single = live
  let at = [...traced.inputs.keys()][0] ?? ''
  for (const { node, list, last } of order) {
    live += bytesOf(node.out)
    let unread = 0
    for (const value of node.further.values()) {
      live += bytesOf(value)
      // What nothing reads is there for the kernels alone.
      if (last.includes(value)) unread += bytesOf(value)
    }
    const workspace = workspaceOf(list)
    const packed = packedBy.get(node) ?? 0
    if (folded.has(node)) count(node, 0, bytesOf(node.out))
    else count(node, workspace + unread, packed)
    if (live + workspace + packed > single) {
      single = live + workspace + packed
      at = node.owner
    }
    for (const value of last) live -= bytesOf(value)
  }
  const kept = [...folded].reduce((sum, { out }) => sum + bytesOf(out), 0)
  const packed = [...packedBy.values()].reduce((sum, bytes) => sum + bytes, kept)
  const results = [...new Set(outputs.map(({ value }) => value))].filter(({ node }) => node && !folded.has(node))
  const handedOut = results.reduce((sum, value) => sum + bytesOf(value), 0)
  return {
    // What a pass takes that is repeated is known when its memory is arranged.
    get packed() {
      return packed + plan.arranged().recordBytes
    },
    get working() {
      return inputs + handedOut + plan.arranged().bytes
    },
    single,
    at,
    byOwner,
    results: new Map([...traced.inputs, ...traced.results]),
  }
}
