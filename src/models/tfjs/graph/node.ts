/** A node of a graph-model as operators read it: every attribute that it has must be read by one, so that none is passed over. */
import { FormatError, UnsupportedError } from '../../../runtime/errors.js'
import { inWords } from '../../../runtime/text.js'
import type { DType } from '../../../tensor/dtype.js'
import { isMembers, listOf, member, objectOf, textOf, wholeOf, type Members } from '../json.js'
import type { Values } from '../values.js'
import type { Weights } from '../weights.js'

/** A node as the file describes it. */
export interface GraphNode {
  readonly name: string
  readonly op: string
  /** Names of values: `a` is the first output of the node a, `a:1` its second. */
  readonly inputs: readonly string[]
  readonly attributes: Members
}

/** The name of an output of a node. */
export const outputName = (node: string, index: number): string => (index === 0 ? node : `${node}:${index}`)

/** Reads a node. @throws FormatError */
export function readNode(given: unknown, index: number): GraphNode {
  const what = `modelTopology.node[${index}]`
  const fields = objectOf(given, what)
  const name = textOf(member(fields, 'name'), `${what}: name`)
  const inputs = listOf(member(fields, 'input') ?? [], `${what}: input`).map((input) =>
    textOf(input, `${what}: an input`),
  )
  return {
    name,
    op: textOf(member(fields, 'op'), `${what}: op`),
    // Those with a ^ say what must be run before, which changes nothing where nothing has side effects.
    inputs: inputs.filter((input) => !input.startsWith('^')).map((input) => input.replace(/:0$/, '')),
    attributes: objectOf(member(fields, 'attr') ?? {}, `${what}: attr`),
  }
}

/** Types of TensorFlow by the types of tensors that hold them here, as TensorFlow.js does. */
const types: Readonly<Record<string, DType>> = {
  DT_FLOAT: 'float32',
  DT_DOUBLE: 'float32',
  DT_HALF: 'float32',
  DT_INT32: 'int32',
  DT_INT64: 'int32',
  DT_UINT8: 'int32',
  DT_INT8: 'int32',
  DT_INT16: 'int32',
  DT_BOOL: 'bool',
}
/** The same as numbers, which older files hold. */
const typeCodes: Readonly<Record<number, string>> = {
  1: 'DT_FLOAT',
  2: 'DT_DOUBLE',
  3: 'DT_INT32',
  4: 'DT_UINT8',
  5: 'DT_INT16',
  6: 'DT_INT8',
  9: 'DT_INT64',
  10: 'DT_BOOL',
  19: 'DT_HALF',
}

/** The type of tensors for one of TensorFlow. @throws UnsupportedError */
export function typeOf(value: unknown): DType {
  const name = typeof value === 'number' ? typeCodes[value] : value
  if (typeof name !== 'string' || !Object.hasOwn(types, name))
    throw new UnsupportedError(
      `the type ${inWords(value)} is not supported; supported are ${Object.keys(types).join(', ')}`,
    )
  return types[name] as DType
}

/** Extents of a `shape` attribute or a `tensorShape`: null for any; undefined where the number of axes is not known. */
export function shapeOf(value: unknown): (number | null)[] | undefined {
  const fields = objectOf(value, 'a shape')
  if (member(fields, 'unknownRank') === true) return undefined
  return listOf(member(fields, 'dim') ?? [], 'the extents of a shape').map((dim, axis) => {
    const size = toWhole(member(objectOf(dim, `extent ${axis}`), 'size') ?? 0, `extent ${axis}`)
    return size < 0 ? null : size
  })
}

/** Whole numbers are written as texts, so that none is rounded. */
function toWhole(value: unknown, what: string): number {
  return wholeOf(typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value, what)
}

function toFloat(value: unknown, what: string): number {
  const named: Readonly<Record<string, number>> = { Infinity: Infinity, '-Infinity': -Infinity, NaN: NaN }
  if (typeof value === 'string' && Object.hasOwn(named, value)) return named[value] as number
  if (typeof value === 'number') return value
  throw new FormatError(`${what} must be a number, and is ${inWords(value)}`)
}

/** Texts are bytes: in base64, or as a list. */
function toText(value: unknown, what: string): string {
  if (Array.isArray(value)) return String.fromCharCode(...value.map((code) => wholeOf(code, what)))
  try {
    return atob(textOf(value, what))
  } catch (error) {
    if (error instanceof FormatError) throw error
    throw new FormatError(`${what} must be a text in base64, and is ${inWords(value)}`)
  }
}

/** Attributes that change nothing here: types, which the tensors tell, and hints. */
const ignored = new Set(
  (
    'T T_threshold Tidx Tshape Tpaddings Tperm Tlen Tdim Tdims Taxis Tindices Tparams Tmultiples Tblock_shape Tcrops Tnumsegments Index SrcT N ' +
    'num_args use_cudnn_on_gpu index_type validate_indices Truncate incompatible_shape_error bad_indices_policy TArgs Tk TI output_type ' +
    'cudnn_output_format num_host_args host_args'
  ).split(' '),
)

/** What a row of the tables is given: attributes, what is known of inputs, and which of them are computed channels first. */
export class NodeReader {
  readonly node: GraphNode
  /** Number of outputs that somebody reads, at least 1. */
  readonly read: number
  readonly #weights: Weights
  readonly #values: Values
  readonly #known = new Set<string>()

  constructor(node: GraphNode, read: number, weights: Weights, values: Values) {
    this.node = node
    this.read = read
    this.#weights = weights
    this.#values = values
  }

  /** Number of inputs. */
  get inputs(): number {
    return this.node.inputs.length
  }

  /** Whether an input is computed channels first. */
  isFirst(input: number): boolean {
    return this.#values.isFirst(this.node.inputs[input] ?? '')
  }

  /** The axes of an input that is computed channels first, where their number is known. */
  ndim(input: number): number | undefined {
    return this.#values.ndim(this.node.inputs[input] ?? '')
  }

  /** The numbers of an input that is a constant; undefined where they are computed. */
  constant(input: number): number[] | undefined {
    const name = this.node.inputs[input] ?? ''
    return this.#weights.entries.has(name) ? Array.from(this.#weights.values(name)) : undefined
  }

  #attribute(name: string, kind: string): unknown {
    this.#known.add(name)
    const given = member(this.node.attributes, name)
    if (given === undefined) return undefined
    const fields = objectOf(given, `attribute ${inWords(name)}`)
    const value = member(fields, kind)
    // An attribute with nothing in it is one whose value is the default of its kind, which JSON leaves out.
    if (value === undefined && Object.keys(fields).length > 0)
      throw new FormatError(
        `attribute ${inWords(name)} must have '${kind}', and has ${Object.keys(fields).map(inWords).join(', ')}`,
      )
    return value
  }

  #list(name: string, kind: string): readonly unknown[] | undefined {
    const list = this.#attribute(name, 'list')
    if (list === undefined || list === null) return undefined
    return listOf(member(objectOf(list, `attribute ${inWords(name)}`), kind) ?? [], `attribute ${inWords(name)}`)
  }

  /** A whole number. */
  int(name: string, otherwise: number): number {
    const value = this.#attribute(name, 'i')
    return value === undefined ? otherwise : toWhole(value, `attribute ${inWords(name)}`)
  }

  /** Whole numbers. */
  ints(name: string): number[] | undefined {
    return this.#list(name, 'i')?.map((value) => toWhole(value, `attribute ${inWords(name)}`))
  }

  /** Any number. */
  float(name: string, otherwise: number): number {
    const value = this.#attribute(name, 'f')
    return value === undefined ? otherwise : toFloat(value, `attribute ${inWords(name)}`)
  }

  /** True or false. */
  flag(name: string, otherwise = false): boolean {
    const value = this.#attribute(name, 'b')
    if (value === undefined) return otherwise
    if (typeof value !== 'boolean') throw new FormatError(`attribute ${inWords(name)} must be true or false`)
    return value
  }

  /** One of some texts. */
  text(name: string, otherwise: string, allowed: readonly string[]): string {
    const value = this.#attribute(name, 's')
    const text = value === undefined ? otherwise : toText(value, `attribute ${inWords(name)}`)
    if (allowed.includes(text)) return text
    throw new UnsupportedError(`${name} ${inWords(text)} is not supported; supported are ${allowed.join(', ')}`)
  }

  /** Texts. */
  texts(name: string): string[] {
    return (this.#list(name, 's') ?? []).map((value) => toText(value, `attribute ${inWords(name)}`))
  }

  /** A type of numbers. */
  type(name: string, otherwise: DType): DType {
    const value = this.#attribute(name, 'type')
    return value === undefined ? otherwise : typeOf(value)
  }

  /** Extents; undefined where they are not told. */
  shape(name: string): (number | null)[] | undefined {
    const value = this.#attribute(name, 'shape')
    return value === undefined || !isMembers(value) ? undefined : shapeOf(value)
  }

  /** Attributes that change nothing here. */
  ignore(...names: string[]): void {
    for (const name of names) this.#known.add(name)
  }

  /** @throws UnsupportedError where an attribute was not read */
  end(): void {
    const left = Object.keys(this.node.attributes).filter(
      (name) => !this.#known.has(name) && !ignored.has(name) && !name.startsWith('_'),
    )
    if (left.length > 0) throw new UnsupportedError(`the attribute ${left.map(inWords).join(', ')} is not known`)
  }
}
