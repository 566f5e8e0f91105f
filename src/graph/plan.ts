/**
 * What a traced pass will do: nodes that nothing wants are dropped, those that depend on weights alone are computed before, relu
 * becomes part of the operation before it, and every value and workspace has its place in one block of memory.
 */
import { OUT, blockBytes, type CallList, type Packed } from '../runtime/calls.js'
import { blockOf } from '../runtime/memory.js'
import { arrange, type Arrangement, type Placement, type Span } from './arena.js'
import { foldAffine } from './fold.js'
import { readersOf, resultsOf, valueBytes, type Node, type TracedPass, type Value } from './trace.js'

/** Where a value lies. */
export type Address =
  /** Bytes from the beginning of the arena, region 0, or of a result that is handed out. */
  | ({ readonly from: 'arena' } & Placement)
  /** The tensor of an input, a weight, a result that depends on weights alone, or one that is handed out. */
  | { readonly from: 'value'; readonly value: Value }

/** Where the address of an entry of a node's table comes from. */
export type Source =
  | Address
  /** A record, by bytes from the beginning of all records. */
  | { readonly from: 'records'; readonly offset: number }
  /** Weights as a kernel wants them. */
  | { readonly from: 'packed'; readonly of: Value; readonly packed: Packed }
  /** An operand that is left out. */
  | { readonly from: 'nothing' }

/** A source before the arena is arranged: a number is a span. */
type Unplaced = number | Source

/** A node with its calls. */
export interface ListedNode {
  readonly node: Node
  readonly list: CallList
}

/** A node that is computed where it stands. */
export interface OrderedNode extends ListedNode {
  /** What nothing reads after it. */
  readonly last: readonly Value[]
}

/** A node that is run in the arena. */
export interface PlacedNode extends ListedNode {
  /** One for each entry of the list. */
  readonly sources: readonly Source[]
}

/** A value that is handed out. */
export interface PlannedOutput {
  readonly name: string
  readonly value: Value
  readonly shape: readonly number[]
}

/** Where everything lies in passes that are repeated. */
export interface Arranged {
  /** The nodes that are repeated. */
  readonly placed: readonly PlacedNode[]
  /** Whether a pass can be repeated. It cannot where it has too many nodes, or computes weights itself that a kernel wants packed. */
  readonly repeats: boolean
  /** Results whose memory holds other values before: regions 1, 2, … */
  readonly regions: readonly Value[]
  /** Bytes of the arena, and of the records. */
  readonly bytes: number
  readonly recordBytes: number
}

/** A planned pass: which nodes are computed, in which order, and where their values lie. */
export interface Plan {
  readonly traced: TracedPass
  /** Every node that is needed: for a pass that is made once. */
  readonly order: readonly OrderedNode[]
  /** Nodes that depend on constants alone: for passes that are repeated they are computed before, for each version of the weights. */
  readonly constants: readonly OrderedNode[]
  /** The others. */
  readonly repeated: readonly ListedNode[]
  readonly outputs: readonly PlannedOutput[]
  /** The value whose memory holds the numbers of another: where relu became part of a convolution, that of the convolution. */
  valueOf(value: Value): Value
  /** Found when it is asked for: a pass that is made once needs none of it. */
  arranged(): Arranged
}

/** Nodes whose results are wanted, or read by such. */
function live(nodes: readonly Node[], wanted: ReadonlySet<Value>): Node[] {
  const needed = new Set(wanted)
  const kept: Node[] = []
  for (let index = nodes.length - 1; index >= 0; index--) {
    const node = nodes[index] as Node
    if (!resultsOf(node).some((value) => needed.has(value))) continue
    for (const value of node.inputs.values()) if (value) needed.add(value)
    kept.push(node)
  }
  return kept.reverse()
}

/** Nodes with their calls, some of which end with relu: the value of such a node stands for that of the relu. */
interface Fused {
  readonly nodes: readonly ListedNode[]
  valueOf(value: Value): Value
}

/** Puts relu into the operation before it, where that operation can end with relu and nothing else reads its result. */
function fuse(nodes: readonly Node[], wanted: ReadonlySet<Value>): Fused {
  let readers: ReadonlyMap<Value, number> | undefined
  const held = new Map<Value, Value>()
  const lists = new Map<Node, CallList>()
  const left = nodes.filter(({ name, inputs, out }) => {
    const x = inputs.get('x')
    if (name !== 'relu' || !x?.node?.rectified || x.node.further.size > 0 || wanted.has(x)) return true
    readers ??= readersOf(nodes)
    if (readers.get(x) !== 1) return true
    lists.set(x.node, x.node.rectified())
    held.set(out, x)
    return false
  })
  return {
    nodes: left.map((node) => ({ node, list: lists.get(node) ?? node.list })),
    valueOf: (value) => held.get(value) ?? value,
  }
}

/** Nodes in order, each with what nothing reads after it: not what is handed out. */
function ordered(
  nodes: readonly ListedNode[],
  handedOut: ReadonlySet<Value>,
  valueOf: Fused['valueOf'],
): OrderedNode[] {
  const last = new Map<Value, number>()
  nodes.forEach(({ node }, step) => {
    last.set(node.out, step)
    for (const value of node.further.values()) last.set(value, step)
    for (const value of node.inputs.values()) if (value?.node) last.set(valueOf(value), step)
  })
  const done = nodes.map((): Value[] => [])
  for (const [value, step] of last) if (!handedOut.has(value)) done[step]?.push(value)
  return nodes.map(({ node, list }, step) => ({ node, list, last: done[step] as Value[] }))
}

/** Share of the arena that must be saved before values lie in the memory of results, which is elsewhere in each run. */
const SAVING = 0.02

/** The arena alone, or with the memory of results where that saves enough. */
function arrangeWithResults(
  spans: readonly Span[],
  nodes: readonly ListedNode[],
  handedOut: ReadonlySet<Value>,
): (Arrangement & { readonly regions: readonly Value[] }) | undefined {
  const alone = arrange(spans)
  if (!alone) return undefined
  const results = nodes.flatMap(({ node }, before) =>
    resultsOf(node)
      .filter((value) => handedOut.has(value) && valueBytes(value) > SAVING * alone.bytes)
      .map((value) => ({ value, bytes: valueBytes(value), before })),
  )
  if (results.length === 0) return { ...alone, regions: [] }
  const together = arrange(spans, results) as Arrangement
  return together.bytes < (1 - SAVING) * alone.bytes
    ? { ...together, regions: results.map(({ value }) => value) }
    : { ...alone, regions: [] }
}

/** Plans a pass for the threads that there are. */
export function planPass(given: TracedPass): Plan {
  const traced = foldAffine(given, new Set([...given.outputs.values()].map(({ value }) => value)))
  const wanted = new Set([...traced.outputs.values()].map(({ value }) => value))
  const { nodes: fused, valueOf } = fuse(live(traced.nodes, wanted), wanted)
  const outputs = [...traced.outputs].map(([name, { value, shape }]) => ({ name, value: valueOf(value), shape }))
  const handedOut = new Set(outputs.map(({ value }) => value))

  const constant = new Set<Value>()
  const isConstant = (value: Value | undefined): boolean =>
    !value || value.constant !== undefined || constant.has(valueOf(value))
  const order = ordered(fused, handedOut, valueOf)
  const constants: OrderedNode[] = []
  const nodes = order.filter((each) => {
    if (each.node.opaque) return true
    for (const value of each.node.inputs.values()) if (!isConstant(value)) return true
    for (const value of resultsOf(each.node)) constant.add(value)
    constants.push(each)
    return false
  })

  let arranged: Arranged | undefined
  return {
    traced,
    order,
    constants,
    repeated: nodes,
    outputs,
    valueOf,
    arranged: () =>
      (arranged ??= arrangeNodes(
        constants.length === 0 ? nodes : ordered(nodes, handedOut, valueOf),
        handedOut,
        valueOf,
      )),
  }
}

/** A place in the arena, or in a result; where there were too many to be found, none is used. */
const addressOf = ({ region, offset }: Placement = { region: 0, offset: 0 }): Address => ({
  from: 'arena',
  region,
  offset,
})

/** Places for the values, the workspace and the records of nodes. */
function arrangeNodes(
  nodes: readonly OrderedNode[],
  handedOut: ReadonlySet<Value>,
  valueOf: Fused['valueOf'],
): Arranged {
  const spans: Span[] = []
  let recordBytes = 0
  let packsValues = false
  const spanOf = new Map<Value, number>()
  const take = (bytes: number, first: number, last: number): number => spans.push({ bytes, first, last }) - 1
  const placeOf = (value: Value): Address | number => spanOf.get(value) ?? { from: 'value', value }
  const lastStep = new Map<Value, number>()
  nodes.forEach(({ last }, step) => {
    for (const value of last) lastStep.set(value, step)
  })
  const unplaced = nodes.map(({ node, list }, step) => {
    const { inputs, out, further } = node
    const spanned = (value: Value): Address | number => {
      if (!handedOut.has(value)) spanOf.set(value, take(valueBytes(value), step, lastStep.get(value) as number))
      return placeOf(value)
    }
    const result = spanned(out)
    return list.entries.map((entry): Unplaced => {
      switch (entry.kind) {
        case 'integers': {
          const offset = recordBytes
          recordBytes += blockOf(4 * entry.values.length)
          return { from: 'records', offset }
        }
        case 'block':
          return take(blockBytes(entry), step, step)
        case 'packed': {
          const of = valueOf(inputs.get(entry.from) as Value)
          packsValues ||= spanOf.has(of)
          return { from: 'packed', of, packed: entry }
        }
        case 'operand': {
          if (entry.name === OUT) return result
          const more = further.get(entry.name)
          if (more) return spanned(more)
          const value = inputs.get(entry.name)
          return value ? placeOf(valueOf(value)) : { from: 'nothing' }
        }
      }
    })
  })
  const arrangement = arrangeWithResults(spans, nodes, handedOut)
  const { regions = [], placements = [], bytes = 0 } = arrangement ?? {}
  const place = (source: Unplaced): Source => (typeof source === 'number' ? addressOf(placements[source]) : source)
  return {
    placed: nodes.map(({ node, list }, step) => ({ node, list, sources: (unplaced[step] as Unplaced[]).map(place) })),
    repeats: arrangement !== undefined && !packsValues,
    regions,
    bytes,
    recordBytes,
  }
}
