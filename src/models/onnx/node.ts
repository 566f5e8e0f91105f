/** A node of an ONNX file as operators read it: every attribute that it has must be read by one, so that none is passed over. */
import { FormatError, UnsupportedError } from '../../runtime/errors.js'
import { inWords } from '../../runtime/text.js'
import type { OnnxAttribute, OnnxAttributeValues, OnnxGraph, OnnxNode, OnnxTensor } from '../../formats/onnx.js'

const decoder = new TextDecoder()

/** What a row of the tables is given: attributes by name, and the version of the operators. */
export class NodeReader {
  readonly node: OnnxNode
  /** Version of the set of operators that the node belongs to. */
  readonly opset: number
  readonly #attributes: Map<string, OnnxAttribute>
  readonly #read = new Set<string>()

  constructor(node: OnnxNode, opset: number) {
    this.node = node
    this.opset = opset
    this.#attributes = new Map(node.attributes.map((attribute) => [attribute.name, attribute]))
    if (this.#attributes.size < node.attributes.length) throw new FormatError('an attribute is there twice')
  }

  /** Number of inputs, with those that are left out in between. */
  get inputs(): number {
    return this.node.inputs.length
  }

  /** Whether an input is there. */
  has(input: number): boolean {
    return (this.node.inputs[input] ?? '') !== ''
  }

  /** Whether somebody takes an output. */
  gives(output: number): boolean {
    return (this.node.outputs[output] ?? '') !== ''
  }

  #value<K extends keyof OnnxAttributeValues>(name: string, kind: K): OnnxAttributeValues[K] | undefined {
    this.#read.add(name)
    const attribute = this.#attributes.get(name)
    if (attribute === undefined) return undefined
    if (attribute.kind !== kind)
      throw new FormatError(`attribute ${inWords(name)} must be ${kind}, and is ${attribute.kind}`)
    return attribute.value as OnnxAttributeValues[K]
  }

  #required<T>(name: string, value: T | undefined): T {
    if (value === undefined) throw new FormatError(`attribute ${inWords(name)} is missing`)
    return value
  }

  /** A whole number that a double holds; larger ones, which stand for the end of an axis, become the largest. */
  int(name: string, otherwise?: number): number {
    const value = this.#value(name, 'int')
    return value === undefined ? this.#required(name, otherwise) : toNumber(value)
  }

  /** Whether a whole number is not 0. */
  flag(name: string, otherwise = false): boolean {
    return this.int(name, Number(otherwise)) !== 0
  }

  ints(name: string): number[] | undefined {
    const value = this.#value(name, 'ints')
    return value && Array.from(value, toNumber)
  }

  /** Attributes are floats of 32 bits, and so are the values that stand for those that are left out. */
  float(name: string, otherwise?: number): number {
    return this.#value(name, 'float') ?? Math.fround(this.#required(name, otherwise))
  }

  floats(name: string): number[] | undefined {
    const value = this.#value(name, 'floats')
    return value && Array.from(value)
  }

  /** Any text. */
  string(name: string): string | undefined {
    const value = this.#value(name, 'string')
    return value && decoder.decode(value)
  }

  /** One of some texts. */
  text(name: string, otherwise: string, allowed: readonly string[]): string {
    const text = this.string(name) ?? otherwise
    if (allowed.includes(text)) return text
    throw new UnsupportedError(`${name} ${inWords(text)} is not supported; supported are ${allowed.join(', ')}`)
  }

  texts(name: string): string[] | undefined {
    return this.#value(name, 'strings')?.map((text) => decoder.decode(text))
  }

  tensor(name: string): OnnxTensor | undefined {
    return this.#value(name, 'tensor')
  }

  graph(name: string): OnnxGraph {
    return this.#required(name, this.#value(name, 'graph'))
  }

  /** Whether the node has an attribute; it counts as read. */
  hasAttribute(name: string): boolean {
    this.#read.add(name)
    return this.#attributes.has(name)
  }

  /** An attribute that changes nothing here. */
  ignore(...names: string[]): void {
    for (const name of names) this.#read.add(name)
  }

  /** @throws UnsupportedError where an attribute was not read */
  end(): void {
    const left = [...this.#attributes.keys()].filter((name) => !this.#read.has(name))
    if (left.length > 0)
      throw new UnsupportedError(`the attribute ${left.join(', ')} is not known in opset ${this.opset}`)
  }
}

const toNumber = (value: bigint): number =>
  Number(
    value > BigInt(Number.MAX_SAFE_INTEGER)
      ? Number.MAX_SAFE_INTEGER
      : value < BigInt(Number.MIN_SAFE_INTEGER)
        ? Number.MIN_SAFE_INTEGER
        : value,
  )
