/** Graphs of ONNX as they are rewritten: constants and readers by name, and batch normalization folded into convolutions. */
import { tensorValues, type OnnxGraph, type OnnxInput, type OnnxNode, type OnnxTensor } from '../formats/onnx.js'

/** A node before it is written. */
export type NewNode = OnnxInput<OnnxNode>
/** A constant before it is written. */
export type NewTensor = OnnxInput<OnnxTensor>

/** Codes of element types. */
const codes = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7 } as const

/** A constant of a name. */
export function constant(
  name: string,
  dims: readonly number[],
  values: Float32Array | Uint8Array | Int8Array | Int32Array | BigInt64Array,
): NewTensor {
  const type =
    values instanceof Float32Array
      ? 'float32'
      : values instanceof Uint8Array
        ? 'uint8'
        : values instanceof Int8Array
          ? 'int8'
          : values instanceof Int32Array
            ? 'int32'
            : 'int64'
  const rawData = new Uint8Array(values.buffer as ArrayBuffer, values.byteOffset, values.byteLength)
  return { name, dims, elementType: codes[type], rawData }
}

/** The numbers of a node's list of whole numbers. */
export const intsOf = (node: OnnxNode, name: string): number[] | undefined => {
  const attribute = node.attributes.find((each) => each.name === name)
  return attribute?.kind === 'ints' ? Array.from(attribute.value, Number) : undefined
}

/** A number of a node. */
export const numberOf = (node: OnnxNode, name: string, otherwise: number): number => {
  const attribute = node.attributes.find((each) => each.name === name)
  return attribute?.kind === 'int' || attribute?.kind === 'float' ? Number(attribute.value) : otherwise
}

/** Constants of float32 by name. */
export const floatsOf = (
  graph: OnnxGraph,
): Map<string, { readonly dims: readonly number[]; readonly values: Float32Array }> =>
  new Map(
    graph.initializers.flatMap((stored) => {
      if (stored.elementType !== codes.float32) return []
      return [[stored.name, { dims: stored.dims, values: tensorValues(stored).values as Float32Array }] as const]
    }),
  )

/** The nodes that read each value; outputs of the graph count as read by one more. */
export function readersIn(graph: OnnxGraph): Map<string, (OnnxNode | undefined)[]> {
  const readers = new Map<string, (OnnxNode | undefined)[]>()
  const add = (name: string, node: OnnxNode | undefined): void => {
    const known = readers.get(name)
    if (known) known.push(node)
    else readers.set(name, [node])
  }
  for (const node of graph.nodes) for (const name of node.inputs) add(name, node)
  for (const { name } of graph.outputs) add(name, undefined)
  return readers
}

/** The graph with each batch normalization that alone reads a convolution of constant weights as a part of these. */
export function foldNormalization(graph: OnnxGraph): OnnxInput<OnnxGraph> {
  const floats = floatsOf(graph)
  const readers = readersIn(graph)
  const gone = new Set<OnnxNode>()
  const changed = new Map<OnnxNode, NewNode>()
  const added: NewTensor[] = []
  for (const node of graph.nodes) {
    const [next, ...more] = readers.get(node.outputs[0] ?? '') ?? []
    const w = floats.get(node.inputs[1] ?? '')
    if (node.opType !== 'Conv' || !w || next?.opType !== 'BatchNormalization' || more.length > 0) continue
    const [gamma, beta, mean, variance] = next.inputs.slice(1, 5).map((name) => floats.get(name)?.values)
    const bias = node.inputs[2] ? floats.get(node.inputs[2])?.values : undefined
    if (!gamma || !beta || !mean || !variance || (node.inputs[2] && !bias)) continue
    const eps = numberOf(next, 'epsilon', 1e-5)
    const K = w.dims[0] as number
    const each = w.values.length / K
    const weights = new Float32Array(w.values.length)
    const shift = new Float32Array(K)
    for (let k = 0; k < K; k++) {
      const by = (gamma[k] as number) / Math.sqrt((variance[k] as number) + eps)
      for (let i = k * each; i < (k + 1) * each; i++) weights[i] = (w.values[i] as number) * by
      shift[k] = ((bias?.[k] ?? 0) - (mean[k] as number)) * by + (beta[k] as number)
    }
    const [name, shiftName] = [`${next.outputs[0] ?? ''}#folded/weights`, `${next.outputs[0] ?? ''}#folded/bias`]
    added.push(constant(name, w.dims, weights), constant(shiftName, [K], shift))
    changed.set(node, {
      ...node,
      inputs: [node.inputs[0] as string, name, shiftName],
      outputs: [next.outputs[0] as string],
    })
    gone.add(next)
  }
  const nodes = graph.nodes.filter((node) => !gone.has(node)).map((node) => changed.get(node) ?? node)
  const read = new Set(nodes.flatMap((node) => (node.inputs ?? []) as string[]))
  const kept = graph.initializers.filter(({ name }) => read.has(name))
  return { ...graph, nodes, initializers: [...kept, ...added] }
}
