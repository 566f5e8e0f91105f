/**
 * A graph of float32 as one of bytes: convolutions and matrix products with constant weights become QLinearConv, what moves bytes or takes their
 * largest stays as it is, sums, means and concatenations become those of com.microsoft. Everything else is computed in float32; values are
 * converted where the two meet, and nowhere else.
 */
import type { OnnxGraph, OnnxInput, OnnxNode } from '../formats/onnx.js'
import type { Quantization } from '../ops/integers/bytes.js'
import { MOST_PRODUCT, MOST_SUM } from '../ops/integers/bytes.js'
import type { Shape } from '../tensor/shape.js'
import { constant, floatsOf, intsOf, numberOf, readersIn, type NewNode, type NewTensor } from './graph.js'
import { estimatesOf, type Estimates } from './select.js'
import { quantizedWeights, type Weights } from './weights.js'

/** What a graph is rewritten by. */
export interface RewriteOptions {
  /** Whether each filter has a scale, or all of a layer have one. */
  readonly perChannel: boolean
  /** Whether layers that are estimated to be slower in integers stay in float32, with weights of int8. */
  readonly selects: boolean
  /** Names of nodes that stay in float32. */
  readonly skip: ReadonlySet<string>
  /** Scale and zero point of a value. */
  quantizationOf(value: string): Quantization
  /** The shapes of a value in the calibration, one for each example; none where it was not computed in float32. */
  shapesOf(value: string): readonly Shape[]
}

/** A layer whose weights are int8. */
export interface IntegerNode {
  readonly node: OnnxNode
  readonly computes: 'integers' | 'float32'
  /** The value that it gives in the graph of float32, and its bytes; the same value again where it computes in float32. */
  readonly value: string
  readonly bytes: string
  readonly quantization: Quantization
  /** Left out where there is nothing to choose: sums, means and concatenations. */
  readonly estimates?: Estimates | undefined
}

/** Operators that move elements, or choose among them, and keep scale and zero point. */
const movers = new Set(['Flatten', 'Reshape', 'Transpose', 'Squeeze', 'Unsqueeze', 'Identity', 'Dropout', 'MaxPool'])

/** Scales of operands are below so many times that of the result: the limit of `fixedOf`, and within that of sums. */
const MOST_RATIO = 2 ** 15

/** Rewrites a graph, node by node. */
export class Rewriter {
  readonly nodes: NewNode[] = []
  readonly constants: NewTensor[] = []
  readonly layers: IntegerNode[] = []
  readonly #graph: OnnxGraph
  readonly #options: RewriteOptions
  readonly #floats: ReturnType<typeof floatsOf>
  readonly #readers: ReturnType<typeof readersIn>
  /** Values that are there as bytes, and those that are there as float32. */
  readonly #bytes = new Map<string, { readonly name: string; readonly how: Quantization }>()
  readonly #there: Set<string>
  readonly #absorbed = new Set<OnnxNode>()

  constructor(graph: OnnxGraph, options: RewriteOptions) {
    this.#graph = graph
    this.#options = options
    this.#floats = floatsOf(graph)
    this.#readers = readersIn(graph)
    this.#there = new Set([...graph.inputs.map(({ name }) => name), ...graph.initializers.map(({ name }) => name)])
  }

  /** The graph of bytes. */
  run(): OnnxInput<OnnxGraph> {
    for (const node of this.#graph.nodes) {
      if (this.#absorbed.has(node)) continue
      const isSkipped = this.#options.skip.has(node.name)
      if (isSkipped || !(this.#filters(node) || this.#moved(node) || this.#joined(node))) this.#kept(node)
    }
    for (const { name } of this.#graph.outputs) this.#asFloats(name)
    const read = new Set(this.nodes.flatMap((node) => (node.inputs ?? []) as string[]))
    const kept = this.#graph.initializers.filter(({ name }) => read.has(name))
    return { ...this.#graph, nodes: this.nodes, initializers: [...kept, ...this.constants], valueInfo: [] }
  }

  #node(opType: string, name: string, inputs: readonly string[], output: string, more: Partial<NewNode> = {}): void {
    this.nodes.push({ name, opType, inputs, outputs: [output], ...more })
  }

  /** Names of constants for a scale and a zero point. */
  #scale(bytes: string, { scale, zero, type }: Quantization): [string, string] {
    const names: [string, string] = [`${bytes}#quantized/scale`, `${bytes}#quantized/zero`]
    if (!this.#there.has(names[0])) {
      this.constants.push(constant(names[0], [], Float32Array.of(scale)))
      this.constants.push(constant(names[1], [], type === 'int8' ? Int8Array.of(zero) : Uint8Array.of(zero)))
      this.#there.add(names[0])
    }
    return names
  }

  /** The bytes of a value, converted once. */
  #asBytes(value: string): { readonly name: string; readonly how: Quantization } {
    let found = this.#bytes.get(value)
    if (!found) {
      const name = `${value}#quantized/bytes`
      found = { name, how: this.#options.quantizationOf(value) }
      this.#node('QuantizeLinear', `${value}#quantized/quantize`, [value, ...this.#scale(name, found.how)], name)
      this.#bytes.set(value, found)
    }
    return found
  }

  /** Makes a value float32 where it is there as bytes alone. */
  #asFloats(value: string): void {
    const bytes = this.#bytes.get(value)
    if (this.#there.has(value) || !bytes) return
    this.#node(
      'DequantizeLinear',
      `${value}#quantized/dequantize`,
      [bytes.name, ...this.#scale(bytes.name, bytes.how)],
      value,
    )
    this.#there.add(value)
  }

  #kept(node: OnnxNode): void {
    for (const name of node.inputs) this.#asFloats(name)
    this.nodes.push(node)
    for (const name of node.outputs) this.#there.add(name)
  }

  /** How many axes a value has; undefined where it was not computed in float32. */
  #rankOf(value: string | undefined): number | undefined {
    return this.#options.shapesOf(value ?? '')[0]?.length
  }

  /** The relu behind a node, which the limits of bytes are where nothing else reads the node. */
  #reluBehind(node: OnnxNode): OnnxNode | undefined {
    const [next, ...more] = this.#readers.get(node.outputs[0] as string) ?? []
    return next?.opType === 'Relu' && more.length === 0 && !this.#options.skip.has(next.name) ? next : undefined
  }

  /** Notes bytes that a layer gives. */
  #gives(node: OnnxNode, value: string, how: Quantization, estimates?: Estimates): string {
    const bytes = `${value}#quantized/bytes`
    this.#bytes.set(value, { name: bytes, how })
    this.layers.push({ node, computes: 'integers', value, bytes, quantization: how, estimates })
    return bytes
  }

  /** Weights (K, C/groups, …) of a convolution, or of a matrix product, where they are constants. */
  #weightsOf(node: OnnxNode): Weights | undefined {
    const found = this.#floats.get(node.inputs[1] ?? '')
    const rank = this.#rankOf(node.inputs[0])
    if (!found) return undefined
    if (node.opType === 'Conv') return rank === 3 || rank === 4 ? found : undefined
    const isProduct = node.opType === 'MatMul' || (node.opType === 'Gemm' && isPlain(node))
    if (!isProduct || rank !== 2 || found.dims.length !== 2) return undefined
    const [rows, columns] = found.dims as [number, number]
    if (node.opType === 'Gemm' && numberOf(node, 'transB', 0) !== 0) return { ...found, dims: [rows, columns, 1, 1] }
    const values = new Float32Array(found.values.length)
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++) values[j * rows + i] = found.values[i * columns + j] as number
    return { dims: [columns, rows, 1, 1], values }
  }

  /** A convolution, or a matrix product as one of a single pixel. */
  #filters(node: OnnxNode): boolean {
    const weights = this.#weightsOf(node)
    const bias = node.inputs[2] ? this.#floats.get(node.inputs[2]) : undefined
    if (!weights || (node.inputs[2] && bias?.values.length !== weights.dims[0])) return false
    if ((weights.values.length / (weights.dims[0] as number)) * MOST_PRODUCT > MOST_SUM) return false
    const estimates = this.#estimatesOf(node, weights)
    const isConv = node.opType === 'Conv'
    if (isConv && this.#options.selects && estimates.float32 < estimates.integers) {
      this.#filtersInFloats(node, weights, estimates)
      return true
    }
    const x = this.#asBytes(node.inputs[0] as string)
    const relu = this.#reluBehind(node)
    if (relu) this.#absorbed.add(relu)
    const value = (relu ?? node).outputs[0] as string
    const how = this.#options.quantizationOf(value)
    const made = quantizedWeights(weights, bias?.values, x.how, this.#options.perChannel)
    const name = node.outputs[0] as string
    const K = made.bias.length
    const ofWeights = this.#weightsIn(node, weights, made)
    this.constants.push(constant(`${name}#quantized/bias`, [K], made.bias))
    const bytes = this.#gives(node, value, how, estimates)
    const [from, to] = isConv ? [x.name, bytes] : [`${name}#quantized/pixels`, `${name}#quantized/maps`]
    if (!isConv) this.#node('Unsqueeze', `${name}#quantized/pixels`, [x.name, this.#axes()], from)
    const inputs = [from, ...this.#scale(x.name, x.how), ...ofWeights]
    this.#node('QLinearConv', node.name, [...inputs, ...this.#scale(bytes, how), `${name}#quantized/bias`], to, {
      attributes: isConv ? node.attributes : [],
    })
    if (!isConv) this.#node('Flatten', `${name}#quantized/flat`, [to], bytes)
    return true
  }

  /** Names of constants for weights of int8, their scales and their zero points, which are added. */
  #weightsIn(node: OnnxNode, { dims }: Weights, { w, scales }: { w: Int8Array; scales: Float32Array }): string[] {
    const names = ['w', 'w/scale', 'w/zero'].map((part) => `${node.outputs[0] ?? ''}#quantized/${part}`)
    const shape = scales.length === 1 ? [] : [scales.length]
    const [own, scale, zero] = names as [string, string, string]
    const zeros = new Int8Array(scales.length)
    this.constants.push(constant(own, dims, w), constant(scale, shape, scales), constant(zero, shape, zeros))
    return names
  }

  /** What a convolution or a product takes in integers and in float32, by the first of the examples. */
  #estimatesOf(node: OnnxNode, { dims }: Weights): Estimates {
    const input = node.inputs[0] as string
    const [x, y] = [input, node.outputs[0] as string].map((name) => this.#options.shapesOf(name)[0] as Shape)
    return estimatesOf(node, x as Shape, y as Shape, dims, this.#bytes.has(input))
  }

  /** A convolution in float32, whose weights are stored as int8. */
  #filtersInFloats(node: OnnxNode, weights: Weights, estimates: Estimates): void {
    const [x, , ...bias] = node.inputs as [string, string, ...string[]]
    const value = node.outputs[0] as string
    const floats = `${value}#quantized/weights`
    // Without a bias in integers the scale of the input says nothing.
    const unscaled = { scale: 1, zero: 0, type: 'uint8' } as const
    const names = this.#weightsIn(
      node,
      weights,
      quantizedWeights(weights, undefined, unscaled, this.#options.perChannel),
    )
    this.#node('DequantizeLinear', `${floats}/dequantize`, names, floats, {
      attributes: [{ name: 'axis', kind: 'int', value: 0n }],
    })
    this.#there.add(floats)
    this.#kept({ ...node, inputs: [x, floats, ...bias] })
    const quantization = this.#options.quantizationOf(value)
    this.layers.push({ node, computes: 'float32', value, bytes: value, quantization, estimates })
  }

  /** The axes of a single pixel. */
  #axes(): string {
    const name = 'quantize/pixel'
    if (!this.#there.has(name)) this.constants.push(constant(name, [2], BigInt64Array.of(2n, 3n)))
    this.#there.add(name)
    return name
  }

  /** What moves bytes that are there. */
  #moved(node: OnnxNode): boolean {
    const x = this.#bytes.get(node.inputs[0] ?? '')
    if (!x || !movers.has(node.opType) || node.outputs.slice(1).some((name) => name !== '')) return false
    if (node.opType === 'MaxPool' && this.#rankOf(node.inputs[0]) !== 4) return false
    const value = node.outputs[0] as string
    const name = `${value}#quantized/bytes`
    this.#node(
      node.opType === 'Dropout' ? 'Identity' : node.opType,
      node.name,
      node.opType === 'Dropout' ? [x.name] : [x.name, ...node.inputs.slice(1)],
      name,
      {
        attributes: node.opType === 'Dropout' ? [] : node.attributes,
      },
    )
    this.#bytes.set(value, { name, how: x.how })
    return true
  }

  /** Sums, means and concatenations of bytes that are there. */
  #joined(node: OnnxNode): boolean {
    const given = node.inputs.map((name) => this.#bytes.get(name))
    if (given.length === 0 || given.some((each) => !each)) return false
    const parts = given as { readonly name: string; readonly how: Quantization }[]
    // Shapes that differ in one example are broadcast there, which sums of bytes are not.
    const shapes = node.inputs.map((name) => this.#options.shapesOf(name).join(' '))
    const kinds: Record<string, string | undefined> = {
      Add: shapes[0] === shapes[1] ? 'QLinearAdd' : undefined,
      Concat: 'QLinearConcat',
      AveragePool: intsOf(node, 'dilations') ? undefined : 'QLinearAveragePool',
      GlobalAveragePool: 'QLinearGlobalAveragePool',
    }
    const operator = kinds[node.opType]
    const isMean = node.opType.endsWith('Pool')
    if (!operator || (isMean && this.#rankOf(node.inputs[0]) !== 4)) return false
    const relu = node.opType === 'Add' ? this.#reluBehind(node) : undefined
    const value = (relu ?? node).outputs[0] as string
    const how = this.#options.quantizationOf(value)
    if (parts.some((part) => part.how.scale / how.scale >= MOST_RATIO)) return false
    if (relu) this.#absorbed.add(relu)
    const bytes = this.#gives(node, value, how)
    const read = parts.flatMap((part) => [part.name, ...this.#scale(part.name, part.how)])
    const to = this.#scale(bytes, how)
    this.#node(operator, node.name, node.opType === 'Concat' ? [...to, ...read] : [...read, ...to], bytes, {
      domain: 'com.microsoft',
      attributes: node.attributes,
    })
    return true
  }
}

/** Whether a Gemm is a product and a bias. */
const isPlain = (node: OnnxNode): boolean =>
  numberOf(node, 'alpha', 1) === 1 && numberOf(node, 'beta', 1) === 1 && numberOf(node, 'transA', 0) === 0
