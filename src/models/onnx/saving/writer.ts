/** A graph of ONNX that is being written: nodes, constants, and names that no two values have. */
import type { Node, Value } from '../../../graph/trace.js'
import { UnsupportedError } from '../../../runtime/errors.js'
import { sameShape, type Shape } from '../../../tensor/shape.js'
import type { DType } from '../../../tensor/dtype.js'
import type { AnyTensor } from '../../../tensor/tensor.js'

/** Codes of element types in onnx.proto. */
export const elementTypes: Readonly<Record<DType | 'float16' | 'uint16' | 'uint32', number>> = {
  ...{ float32: 1, uint8: 2, int8: 3, uint16: 4, int32: 6, int64: 7, bool: 9, float16: 10, uint32: 12 },
}

/** The value of an attribute: whole numbers, text, or numbers that are said to be floats. */
export type Attribute = number | readonly number[] | string | { readonly float: number }

/** A node, before it is bytes. */
export interface WrittenNode {
  readonly operator: string
  readonly name: string
  readonly inputs: readonly string[]
  /** The last is the one that others read. */
  readonly outputs: readonly string[]
  readonly attributes: Readonly<Record<string, Attribute>>
}

/** Numbers of int64, or of float32. */
interface Literal {
  readonly values: ArrayLike<number>
  readonly shape: Shape
  readonly isWhole: boolean
}

/** Literals of so many numbers are written once; larger ones are tables, of which a model has no two alike. */
const MOST_SHARED = 16

/** A constant: a tensor of the model, numbers, or extents, of which one may follow the batch. */
export type Constant = { readonly name: string } & (
  { readonly tensor: AnyTensor } | Literal | { readonly extents: readonly number[] }
)

/** A value as it was written: its name, and the shape that it has in the file. */
interface Written {
  readonly name: string
  readonly shape: Shape
}

/** What a row writes a node by. */
export class GraphWriter {
  readonly nodes: WrittenNode[] = []
  readonly constants: Constant[] = []
  /** Version of the operators. */
  readonly opset: number
  readonly #weights: (tensor: AnyTensor) => string | undefined
  readonly #values = new Map<Value, Written>()
  readonly #reshaped = new Map<string, string>()
  readonly #literals = new Map<string, string>()
  readonly #taken: Set<string>
  /** Names of outputs that nodes have. */
  readonly #outputs = new Set<string>()
  /** The node that is being written. */
  #node: Node | undefined

  /** `reserved` are names that outputs will have. */
  constructor(opset: number, weights: (tensor: AnyTensor) => string | undefined, reserved: Iterable<string>) {
    this.opset = opset
    this.#weights = weights
    this.#taken = new Set(reserved)
  }

  /** A name like this one that nothing has. */
  #unique(like: string): string {
    let name = like
    for (let count = 2; this.#taken.has(name); count++) name = `${like}_${count}`
    this.#taken.add(name)
    return name
  }

  /** Says what a value is called, and its shape. */
  name(value: Value, name: string, shape: Shape): void {
    this.#values.set(value, { name, shape })
  }

  /** The name of a value with a shape, which it may have under another name. */
  as(value: Value, shape: Shape): string {
    let written = this.#values.get(value)
    if (!written) {
      const tensor = value.constant as AnyTensor
      written = { name: this.#unique(this.#weights(tensor) ?? 'constant'), shape: tensor.shape }
      this.constants.push({ name: written.name, tensor })
      this.#values.set(value, written)
    }
    if (sameShape(written.shape, shape)) return written.name
    const key = JSON.stringify([written.name, shape])
    const known = this.#reshaped.get(key)
    if (known !== undefined) return known
    const name = this.reshape(written.name, shape)
    this.#reshaped.set(key, name)
    return name
  }

  /** A node of one output, whose name it gives; `before` outputs come before that one, which nobody reads. */
  emit(
    operator: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    { output, before = 0 }: { readonly output?: string | undefined; readonly before?: number } = {},
  ): string {
    const like = this.#node?.owner === '' || !this.#node ? operator.toLowerCase() : this.#node.owner
    const name = output ?? this.#unique(like)
    const unread = Array.from({ length: before }, () => this.#unique(`${like}_unread`))
    this.nodes.push({ operator, name, inputs, outputs: [...unread, name], attributes })
    return name
  }

  /** Whole numbers as a constant: int64. */
  whole(values: ArrayLike<number>, shape: Shape = [values.length]): string {
    return this.#literal({ values, shape, isWhole: true })
  }

  /** Numbers as a constant: float32. */
  floats(values: ArrayLike<number>, shape: Shape = []): string {
    return this.#literal({ values, shape, isWhole: false })
  }

  #literal(literal: Literal): string {
    const { values, shape, isWhole } = literal
    const key = values.length > MOST_SHARED ? undefined : [...Array.from(values, String), '|', ...shape, isWhole].join()
    const known = key === undefined ? undefined : this.#literals.get(key)
    if (known !== undefined) return known
    const name = this.#unique('constant')
    this.constants.push({ name, ...literal })
    if (key !== undefined) this.#literals.set(key, name)
    return name
  }

  /** x with other extents. */
  reshape(x: string, extents: Shape, output?: string): string {
    const name = this.#unique('extents')
    this.constants.push({ name, extents })
    // Otherwise 0 stands for what x has there.
    const isEmpty = extents.includes(0)
    if (isEmpty && this.opset < 14)
      throw new UnsupportedError(`extents of 0 are there from opset 14 on, and ${this.opset} is asked for`)
    return this.emit('Reshape', [x, name], isEmpty ? { allowzero: 1 } : {}, { output })
  }

  /** Says which value is an output: the node that makes it gives it the name, unless the value has one for others, or another shape. */
  output(value: Value, shape: Shape, name: string): void {
    const given = this.as(value, shape)
    const maker = this.nodes.findIndex(({ outputs }) => outputs.at(-1) === given)
    if (maker < 0 || this.#outputs.has(given)) {
      this.emit('Identity', [given], {}, { output: name })
      return
    }
    this.#outputs.add(name)
    this.nodes.forEach((node, index) => {
      const inputs = node.inputs.map((input) => (input === given ? name : input))
      this.nodes[index] = {
        ...node,
        inputs,
        outputs: index === maker ? [...node.outputs.slice(0, -1), name] : node.outputs,
      }
    })
    const written = this.#values.get(value) as Written
    if (written.name === given) this.#values.set(value, { name, shape })
    for (const [key, reshaped] of this.#reshaped) if (reshaped === given) this.#reshaped.set(key, name)
  }

  /** Writes a node by its row. */
  write(node: Node, row: (node: NodeWriter) => string): void {
    this.#node = node
    this.name(node.out, row(new NodeWriter(this, node)), node.shape)
    this.#node = undefined
  }
}

/** What a row sees: the node, and the graph that it is written to. */
export class NodeWriter {
  readonly graph: GraphWriter
  readonly node: Node

  constructor(graph: GraphWriter, node: Node) {
    this.graph = graph
    this.node = node
  }

  /** The name of an operand, with the shape that the operation sees. */
  operand(key: string): string {
    return this.operandAs(key, this.shapeOf(key))
  }

  /** The name of an operand with another shape. */
  operandAs(key: string, shape: Shape): string {
    return this.graph.as(this.node.inputs.get(key) as Value, shape)
  }

  /** Whether an operand is there. */
  has(key: string): boolean {
    return this.node.inputs.get(key) !== undefined
  }

  /** The shape of an operand. */
  shapeOf(key: string): Shape {
    return this.node.shapes.get(key) as Shape
  }

  /** What the operation was described by. */
  described<D>(): D {
    return this.node.described as D
  }

  /** The type of an operand. */
  typeOf(key: string): DType {
    return (this.node.inputs.get(key) as Value).dtype
  }

  /** A node of one output, whose name it gives; `before` outputs come before that one, which nobody reads. */
  emit(
    operator: string,
    inputs: readonly string[],
    attributes?: Readonly<Record<string, Attribute>>,
    before = 0,
  ): string {
    return this.graph.emit(operator, inputs, attributes, { before })
  }
}

/** Writes the nodes of an operation; gives the name of its result. */
export type SavingRow = (node: NodeWriter) => string
