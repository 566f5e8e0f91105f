/**
 * A pass as a graph: operations are noted instead of computed, on tensors that have shapes and no numbers. Each noted operation is a
 * node, and each of its results a value. A value is known by the storage under its tensors, so that a reshape is no operation.
 */
import { CallList } from '../runtime/calls.js'
import { bytesOf, type DType } from '../tensor/dtype.js'
import type { Shape } from '../tensor/shape.js'
import {
  keep,
  planned,
  planning,
  scope,
  UnplannedError,
  type AnyTensor,
  type Noted,
  type PlannedOperation,
  type Planner,
  type Storage,
  type Tensor,
} from '../tensor/tensor.js'

/** What a node computes, what is given, or what is there before. */
export interface Value {
  /** The shape that it is made in. Who reads it may see another, of as many elements. */
  readonly shape: Shape
  /** Number of elements. */
  readonly size: number
  readonly dtype: DType
  /** The node that computes it. */
  readonly node: Node | undefined
  /** Name of the input that it is. */
  readonly input: string | undefined
  /** Weights, and what a layer has made: a handle of its own. */
  readonly constant: AnyTensor | undefined
}

/** No further results. */
const none: ReadonlyMap<string, Value> = new Map()

/** Bytes of a value. */
export const valueBytes = ({ size, dtype }: Value): number => size * bytesOf(dtype)

/** One operation. */
export interface Node {
  readonly name: string
  /** By the name of the operand; undefined where it is left out. */
  readonly inputs: ReadonlyMap<string, Value | undefined>
  /** What the definition of the operation made of shapes and options. */
  readonly described: unknown
  readonly list: CallList
  /** Its result. */
  readonly out: Value
  readonly shape: readonly number[]
  /** Further results by the names of operands. Those that nothing reads are what its kernels need besides. */
  readonly further: ReadonlyMap<string, Value>
  /** Shapes of the inputs. */
  readonly shapes: ReadonlyMap<string, Shape>
  readonly rectified: PlannedOperation['rectified']
  readonly affine: PlannedOperation['affine']
  readonly scaled: PlannedOperation['scaled']
  /** What it is part of: the name of a layer's node. */
  readonly owner: string
  /** Whether it stands for a layer that says for itself what it computes: it has no calls. */
  readonly opaque: boolean
}

/** What a node computes. */
export const resultsOf = ({ out, further }: Node): Value[] => [out, ...further.values()]

/** How many inputs of nodes each value is. */
export function readersOf(nodes: readonly Node[]): Map<Value, number> {
  const readers = new Map<Value, number>()
  for (const { inputs } of nodes) {
    for (const value of inputs.values()) if (value) readers.set(value, (readers.get(value) ?? 0) + 1)
  }
  return readers
}

/** A traced pass. */
export interface TracedPass {
  /** The value of each owner. */
  readonly results: ReadonlyMap<string, Value>
  readonly inputs: ReadonlyMap<string, Value>
  /** In the order in which they were noted: each after what it reads. */
  readonly nodes: readonly Node[]
  readonly outputs: ReadonlyMap<string, { readonly value: Value; readonly shape: readonly number[] }>
  /** Every constant. */
  readonly constants: readonly AnyTensor[]
  /** Memory of whole numbers that were read: where they change, so may all that follows. */
  readonly read: readonly Storage[]
}

/** Notes a pass. */
export class Trace implements Planner {
  owner = ''
  /** What each owner gave. */
  readonly results = new Map<string, Value>()
  readonly nodes: Node[] = []
  readonly constants: AnyTensor[] = []
  readonly readings: Storage[] = []
  readonly #values = new Map<Storage, Value>()

  /** Makes the tensor of an input. */
  input<D extends DType>(name: string, shape: Shape, dtype: D): Tensor<D> {
    const x = planned(shape, dtype)
    this.#values.set(x.storage, { shape, size: x.size, dtype, node: undefined, input: name, constant: undefined })
    return x
  }

  /** Makes the tensor of a weight that is not there yet. */
  weight(shape: Shape): Tensor {
    const w = planned(shape, 'float32')
    const { size, dtype } = w
    this.#values.set(w.storage, { shape, size, dtype, node: undefined, input: undefined, constant: w })
    return w
  }

  /** A tensor for a value that was noted by another. */
  adopt(value: Value, shape: Shape): AnyTensor {
    const x = planned(shape, value.dtype)
    this.#values.set(x.storage, value)
    return x
  }

  /** The value under a tensor: of one that was there before, a constant. */
  valueOf(tensor: AnyTensor): Value {
    const { storage, shape, size, dtype } = tensor
    let value = this.#values.get(storage)
    if (!value) {
      if (storage.isPlanned) throw new UnplannedError()
      const constant = keep(tensor.alias())
      this.constants.push(constant)
      this.#values.set(storage, (value = { shape, size, dtype, node: undefined, input: undefined, constant }))
    }
    return value
  }

  note(operation: PlannedOperation): Noted {
    return this.#note(operation, false)
  }

  /** Notes a layer that says for itself what it computes, with the workspace that it says it needs. */
  opaque(name: string, inputs: Readonly<Record<string, Tensor>>, shape: Shape, workspace: number): Tensor {
    const list = new CallList()
    list.block(workspace)
    const noted = { name, inputs, described: undefined, list, shape, further: new Map(), rectified: undefined }
    return this.#note({ ...noted, dtype: 'float32' }, true).y as Tensor
  }

  #note(
    { name, inputs, described, list, shape, dtype, further: shapesOfMore, rectified, affine, scaled }: PlannedOperation,
    opaque: boolean,
  ): Noted {
    const { owner } = this
    // Loops, not chains of lists: this runs once for each node of models that may have a hundred thousand.
    const read = new Map<string, Value | undefined>()
    const shapes = new Map<string, Shape>()
    for (const key in inputs) {
      const tensor = inputs[key]
      read.set(key, tensor && this.valueOf(tensor))
      if (tensor) shapes.set(key, tensor.shape)
    }
    const further = shapesOfMore.size > 0 ? new Map<string, Value>() : none
    const out = undefined as unknown as Value
    const node: { -readonly [key in keyof Node]: Node[key] } =
      // prettier-ignore
      { name, inputs: read, described, shapes, list, shape, further, rectified, affine, scaled, owner, opaque, out }
    this.nodes.push(node)
    const y = planned(shape, dtype)
    node.out = this.#result(node, y)
    const more: Record<string, Tensor> = {}
    for (const [key, extents] of shapesOfMore) {
      const result = planned(extents, 'float32')
      more[key] = result
      ;(further as Map<string, Value>).set(key, this.#result(node, result))
    }
    return { y, further: more }
  }

  /** The value of a tensor that a node computes. */
  #result(node: Node, { shape, size, dtype, storage }: AnyTensor): Value {
    const value = { shape, size, dtype, node, input: undefined, constant: undefined }
    this.#values.set(storage, value)
    return value
  }

  read({ dtype, storage }: AnyTensor): void {
    // Weights change from step to step; whole numbers are extents and indices, and stay.
    if (dtype === 'float32' || storage.isPlanned) throw new UnplannedError()
    this.readings.push(storage)
  }
}

/** Shapes by name. */
export type Shapes = ReadonlyMap<string, Shape>

/**
 * What `pass` does with inputs of these shapes; undefined where that depends on numbers, which it asks for. Constants
 * belong to what is traced, and are in no scope.
 */
export function trace(
  given: Shapes,
  pass: (inputs: ReadonlyMap<string, Tensor>, trace: Trace) => ReadonlyMap<string, Tensor>,
): TracedPass | undefined {
  const tracer = new Trace()
  let traced: TracedPass | undefined
  try {
    planning(tracer, () => {
      scope(() => {
        const inputs = new Map([...given].map(([name, shape]) => [name, tracer.input(name, shape, 'float32')]))
        const outputs = pass(inputs, tracer)
        traced = {
          inputs: new Map([...inputs].map(([name, tensor]) => [name, tracer.valueOf(tensor)])),
          results: tracer.results,
          nodes: tracer.nodes,
          outputs: new Map(
            [...outputs].map(([name, tensor]) => [name, { value: tracer.valueOf(tensor), shape: tensor.shape }]),
          ),
          constants: tracer.constants,
          read: tracer.readings,
        }
      })
    })
  } catch (error) {
    for (const constant of tracer.constants) constant.dispose()
    if (!(error instanceof UnplannedError)) throw error
  }
  return traced
}
