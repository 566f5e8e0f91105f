/** Models as files of ONNX. */
import { writeOnnx, type OnnxAttribute, type OnnxInput, type OnnxNode, type OnnxTensor } from '../../formats/onnx.js'
import { resultsOf, Trace, type Node, type Value } from '../../graph/trace.js'
import { checkObject } from '../../runtime/check.js'
import { kernels } from '../../runtime/core.js'
import { ArgumentError, UnsupportedError } from '../../runtime/errors.js'
import { checkCount, checkKeys } from '../../runtime/options.js'
import { inWords } from '../../runtime/text.js'
import { zeros } from '../../tensor/create.js'
import type { DType } from '../../tensor/dtype.js'
import { checkShape, sameShape, showShape, type Shape } from '../../tensor/shape.js'
import { planning, scope, UnplannedError, type AnyTensor, type Storage, type Tensor } from '../../tensor/tensor.js'
import type { ProgramValue } from '../imported.js'
import { NEWEST } from './opsets.js'
import { savingRows } from './saving/rows.js'
import { elementTypes, GraphWriter, type Attribute, type Constant, type WrittenNode } from './saving/writer.js'

/** A model of layers, such as a `Graph` or a `Sequential`. */
export interface SavableModel {
  /** Inputs with their extents but the batch; null where they are not known yet. */
  readonly inputs: Readonly<Record<string, Shape | null>>
  /** Names of what it gives. */
  readonly outputs: readonly string[]
  /** Everything that it keeps, by name. */
  namedState(): ReadonlyMap<string, Tensor>
  /** Values by name. */
  run(
    x: Readonly<Record<string, Tensor>>,
    wanted: readonly string[],
    options: { readonly training: false },
  ): Record<string, AnyTensor>
}

/** A program, such as `loadOnnx` gives. */
export interface SavableProgram {
  /** Inputs with all of their extents. */
  readonly inputs: readonly ProgramValue[]
  /** What it gives. */
  readonly outputs: readonly ProgramValue[]
  /** Everything that it keeps, by name. */
  namedConstants(): ReadonlyMap<string, AnyTensor>
  /** Values by name. */
  run(
    x: Readonly<Record<string, AnyTensor>>,
    wanted: readonly string[],
    options: { readonly training: false },
  ): Record<string, AnyTensor>
}

/** A program whose weights are told apart. */
export interface StructuredProgram extends SavableProgram {
  namedParameters(): ReadonlyMap<string, Tensor>
  namedBuffers(): ReadonlyMap<string, Tensor>
}

/** Options of `saveOnnx`. */
export interface SaveOnnxOptions {
  /** Version of ONNX's operators, from 13 on; default 17. */
  readonly opset?: number | undefined
  /**
   * Extents of the input, or of each by name: of a model without the batch, as in `summary`, where it does not know them; of a program
   * with the batch, where they may vary.
   */
  readonly input?: Shape | Readonly<Record<string, Shape>> | undefined
}

const optionNames = { opset: 0, input: 0 }

/** Oldest version that is written: from it on, axes and factors are inputs. */
const OLDEST_WRITTEN = 13

/** Version in which structures are written. */
const STRUCTURE_OPSET = 17

/** Versions of the format, by the first opset that asks for it. */
const irVersions: readonly (readonly [opset: number, version: number])[] = [
  [21, 10],
  [19, 9],
  [13, 8],
]

/** A model in one form, whatever it is. */
interface Source {
  /** With a batch that is chosen; `varies` tells whether the first extent is one. */
  readonly inputs: readonly {
    readonly name: string
    readonly dtype: DType
    readonly shape: Shape
    readonly varies: boolean
  }[]
  readonly outputs: readonly string[]
  readonly state: ReadonlyMap<string, AnyTensor>
  run(x: Readonly<Record<string, AnyTensor>>): Record<string, AnyTensor>
}

/** Extents by the names of inputs; of one alone they need no name. */
function givenShapes(input: SaveOnnxOptions['input'], names: readonly string[]): ReadonlyMap<string, Shape> {
  if (input === undefined) return new Map()
  if (!Array.isArray(input)) checkKeys('saveOnnx: input', input, Object.fromEntries(names.map((name) => [name, 0])))
  else if (names.length !== 1)
    throw new ArgumentError(
      `saveOnnx: the model has the inputs ${names.join(', ')}; give an object with extents for each`,
    )
  const entries = Array.isArray(input)
    ? [[names[0] as string, input as Shape] as const]
    : Object.entries(input as object)
  return new Map(entries.map(([name, shape]) => [name, checkShape(shape as Shape, `saveOnnx: input '${name}'`)]))
}

function sourceOfModel(model: SavableModel, input: SaveOnnxOptions['input']): Source {
  const names = Object.keys(model.inputs)
  const given = givenShapes(input, names)
  const inputs = Object.entries(model.inputs).map(([name, known]) => {
    const own = given.get(name)
    if (known && own && !sameShape(known, own))
      throw new ArgumentError(`saveOnnx: the model takes '${name}' of ${showShape(known)}, given ${showShape(own)}`)
    const shape = known ?? own
    if (!shape) throw new ArgumentError(`saveOnnx: the input is not known yet; give it, as in { input: [3, 224, 224] }`)
    return { name, dtype: 'float32' as const, shape: [1, ...shape], varies: true }
  })
  const run: Source['run'] = (x) => model.run(x as Record<string, Tensor>, model.outputs, { training: false })
  // A first pass tells a model what its weights are.
  if (Object.values(model.inputs).some((shape) => shape === null))
    scope(() => run(Object.fromEntries(inputs.map(({ name, shape }) => [name, zeros(shape)]))))
  return { inputs, outputs: model.outputs, state: model.namedState(), run }
}

function sourceOfProgram(program: SavableProgram, input: SaveOnnxOptions['input']): Source {
  const given = givenShapes(
    input,
    program.inputs.map(({ name }) => name),
  )
  const outputs = program.outputs.map(({ name }) => name)
  const inputs = program.inputs.map(({ name, dtype, shape }) => {
    const own = given.get(name)
    const varies = !own && shape !== undefined && shape.length > 0 && typeof shape[0] !== 'number'
    const known = own ?? shape?.map((extent, axis) => (varies && axis === 0 ? 1 : extent))
    if (!known || known.some((extent) => typeof extent !== 'number'))
      throw new ArgumentError(
        `saveOnnx: '${name}' is ${shape ? `(${shape.map((extent) => extent ?? '?').join(', ')})` : 'of no known shape'}; give its extents, as in { input: { '${name}': [1, 3, 224, 224] } }`,
      )
    return { name, dtype, shape: known as Shape, varies }
  })
  return { inputs, outputs, state: program.namedConstants(), run: (x) => program.run(x, outputs, { training: false }) }
}

/** A graph as it is written for one batch. */
interface Written {
  readonly writer: GraphWriter
  /** Handles of the weights, which are to be disposed. */
  readonly handles: readonly AnyTensor[]
  readonly inputs: readonly Shape[]
  readonly outputs: readonly { readonly dtype: DType; readonly shape: Shape }[]
}

/** What outputs need, of all that was noted. */
function needed(nodes: readonly Node[], outputs: Iterable<Value>): Node[] {
  const wanted = new Set(outputs)
  const kept: Node[] = []
  for (const node of [...nodes].reverse()) {
    if (!resultsOf(node).some((value) => wanted.has(value))) continue
    for (const value of node.inputs.values()) if (value) wanted.add(value)
    kept.push(node)
  }
  return kept.reverse()
}

/** The graph for a batch, by what a pass through the model notes. */
function write(source: Source, opset: number, batch: number): Written {
  const trace = new Trace()
  const rows = savingRows()
  const names = new Map<Storage, string>([...source.state].map(([name, { storage }]) => [storage, name]))
  const writer = new GraphWriter(opset, ({ storage }) => names.get(storage), [
    ...source.inputs.map(({ name }) => name),
    ...source.outputs,
  ])
  const shapes = source.inputs.map(({ shape, varies }) => (varies ? [batch, ...shape.slice(1)] : shape))
  try {
    const written = planning(trace, () =>
      scope(() => {
        const inputs = source.inputs.map(({ name, dtype }, index) => {
          const x = trace.input(name, shapes[index] as Shape, dtype)
          writer.name(trace.valueOf(x), name, x.shape)
          return [name, x] as const
        })
        const given = source.run(Object.fromEntries(inputs))
        const results = source.outputs.map((name) => given[name] as AnyTensor)
        const values = results.map((y) => trace.valueOf(y))
        const refused = new Set<string>()
        const nodes = needed(trace.nodes, values)
        const read = new Set(values)
        for (const { inputs } of nodes) for (const value of inputs.values()) if (value) read.add(value)
        for (const node of nodes) {
          const row = Object.hasOwn(rows, node.name) ? rows[node.name] : undefined
          try {
            if (!row) throw new UnsupportedError(`${node.name} has no counterpart in ONNX that is written`)
            if ([...node.further.values()].some((value) => read.has(value)))
              throw new UnsupportedError(`of ${node.name} only the first result is written`)
            if (refused.size === 0) writer.write(node, row)
          } catch (error) {
            if (!(error instanceof UnsupportedError)) throw error
            refused.add(`${node.owner === '' ? '' : `'${node.owner}': `}${error.message}`)
          }
        }
        if (refused.size > 0) throw new UnsupportedError(`saveOnnx: ${[...refused].join('; ')}`)
        results.forEach((y, index) => writer.output(values[index] as Value, y.shape, source.outputs[index] as string))
        return { outputs: results.map(({ dtype, shape }) => ({ dtype, shape })) }
      }),
    )
    return { writer, handles: trace.constants, inputs: shapes, ...written }
  } catch (error) {
    for (const handle of trace.constants) handle.dispose()
    if (!(error instanceof UnplannedError)) throw error
    throw new UnsupportedError(
      'saveOnnx: what the model computes depends on numbers, not on shapes alone; cut it before by until()',
    )
  }
}

/** Whether lists hold the same numbers. */
function sameNumbers(a: ArrayLike<unknown>, b: ArrayLike<unknown>): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false
  return true
}

/** Whether two constants are the same weight, or the same numbers: a layer may make a tensor anew in each pass, by the batch. */
function areAlike(a: Constant, b: Constant): boolean {
  if (a.name !== b.name) return false
  if ('tensor' in a && 'tensor' in b) {
    const [x, y] = [a.tensor, b.tensor]
    if (x.storage === y.storage) return sameShape(x.shape, y.shape)
    return x.dtype === y.dtype && sameShape(x.shape, y.shape) && sameNumbers(x.data(), y.data())
  }
  if (!('values' in a && 'values' in b)) return false
  return a.isWhole === b.isWhole && sameShape(a.shape, b.shape) && sameNumbers(a.values, b.values)
}

/**
 * Extents for any batch, by those for two: where one follows the batch it is −1, which ONNX infers. Undefined where more than that
 * depends on the batch.
 */
function forAnyBatch({ writer: a }: Written, { writer: b }: Written): readonly Constant[] | undefined {
  if (JSON.stringify(a.nodes) !== JSON.stringify(b.nodes) || a.constants.length !== b.constants.length) return undefined
  const constants: Constant[] = []
  for (const [index, constant] of a.constants.entries()) {
    const other = b.constants[index] as Constant
    if (!('extents' in constant && 'extents' in other)) {
      if (!areAlike(constant, other)) return undefined
      constants.push(constant)
      continue
    }
    if (constant.extents.length !== other.extents.length) return undefined
    const varies = constant.extents.map((extent, axis) => extent !== other.extents[axis])
    if (varies.filter(Boolean).length > 1) return undefined
    constants.push({ ...constant, extents: constant.extents.map((extent, axis) => (varies[axis] ? -1 : extent)) })
  }
  return constants
}

/** Bytes of numbers, in the order of all machines that there are. */
const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength)

function initializerOf(constant: Constant): OnnxInput<OnnxTensor> {
  const { name } = constant
  if ('tensor' in constant) {
    const { dtype, shape } = constant.tensor
    return { name, dims: shape, elementType: elementTypes[dtype], rawData: bytesOf(constant.tensor.data()) }
  }
  const whole = (values: ArrayLike<number>): Uint8Array => bytesOf(BigInt64Array.from(Array.from(values, BigInt)))
  if ('extents' in constant) {
    const { extents } = constant
    return { name, dims: [extents.length], elementType: elementTypes.int64, rawData: whole(extents) }
  }
  const { values, shape, isWhole } = constant
  return isWhole
    ? { name, dims: shape, elementType: elementTypes.int64, rawData: whole(values) }
    : { name, dims: shape, elementType: elementTypes.float32, rawData: bytesOf(Float32Array.from(values)) }
}

function attributeOf(name: string, value: Attribute): OnnxAttribute {
  if (typeof value === 'number') return { name, kind: 'int', value: BigInt(value) }
  if (typeof value === 'string') return { name, kind: 'string', value: new TextEncoder().encode(value) }
  if ('float' in value) return { name, kind: 'float', value: value.float }
  return { name, kind: 'ints', value: BigInt64Array.from(value, BigInt) }
}

const nodeOf = ({ operator, name, inputs, outputs, attributes }: WrittenNode): OnnxInput<OnnxNode> => ({
  name,
  opType: operator,
  inputs,
  outputs,
  attributes: Object.entries(attributes).map(([key, value]) => attributeOf(key, value)),
})

/** Batches that extents are compared of: none that an extent of a layer is likely to be by chance in both. */
const BATCHES = [2, 3] as const

/**
 * The bytes of a model in ONNX's format: what it computes outside of training, operation by operation, with its weights by their names.
 * The batch may vary, unless what the model computes needs it to be 1. A program whose shapes vary otherwise is saved for one of them.
 *
 *     await writeFile('model.onnx', saveOnnx(model))
 *
 * @param model a `Graph`, a `Sequential` or a `Program`
 * @throws UnsupportedError that names every operation that has no counterpart, ArgumentError where extents are not known
 */
export function saveOnnx(model: SavableModel | SavableProgram, options: SaveOnnxOptions = {}): Uint8Array {
  checkCount('saveOnnx', 2, arguments)
  checkKeys('saveOnnx', options, optionNames)
  kernels('saveOnnx')
  const { opset = 17, input } = options
  if (!Number.isInteger(opset) || opset < OLDEST_WRITTEN || opset > NEWEST)
    throw new ArgumentError(
      `saveOnnx: opset must be a whole number from ${OLDEST_WRITTEN} to ${NEWEST}, given ${inWords(opset)}`,
    )
  checkObject(model, 'saveOnnx: the model', 'a Graph, a Sequential or a Program', ['inputs', 'outputs', 'run'])
  return writeModel('namedConstants' in model ? sourceOfProgram(model, input) : sourceOfModel(model, input), opset)
}

/**
 * The bytes of a program of one input without its weights, which are said to be at `location`: what a layer has of it in a model file.
 * Those that are trained say so.
 */
export function saveStructure(program: StructuredProgram, input: Shape, location: string): Uint8Array {
  const [{ name }] = program.inputs as readonly [ProgramValue]
  const trained = program.namedParameters()
  const state = new Map([...trained, ...program.namedBuffers()])
  const source = sourceOfProgram(program, { [name]: [1, ...input] })
  return writeModel(
    { ...source, inputs: source.inputs.map((each) => ({ ...each, varies: true })) },
    STRUCTURE_OPSET,
    (constant) => {
      const tensor = state.get(constant)
      if (!tensor) return undefined
      const entries = [
        { key: 'location', value: location },
        ...(trained.has(constant) ? [{ key: 'trained', value: 'true' }] : []),
      ]
      return {
        name: constant,
        dims: tensor.shape,
        elementType: elementTypes.float32,
        dataLocation: 1,
        externalData: entries,
      }
    },
    [...state.keys()],
  )
}

/** A graph as bytes; `elsewhere` tells constants that are not in it, `all` are there even where nothing reads them. */
function writeModel(
  source: Source,
  opset: number,
  elsewhere: (name: string) => OnnxInput<OnnxTensor> | undefined = () => undefined,
  all: readonly string[] = [],
): Uint8Array {
  const written: Written[] = []
  try {
    const [two, three] = BATCHES.map((batch) => {
      const each = write(source, opset, batch)
      written.push(each)
      return each
    }) as [Written, Written]
    let constants = forAnyBatch(two, three)
    const isAny = constants !== undefined
    let chosen = two
    if (!constants) {
      chosen = write(source, opset, 1)
      written.push(chosen)
      constants = chosen.writer.constants
    }
    const read = new Set(constants.map(({ name }) => name))
    const unread = all.filter((name) => !read.has(name))
    const typeOf = (dtype: DType, shape: Shape, other: Shape) => ({
      kind: 'tensor' as const,
      elementType: elementTypes[dtype],
      shape: shape.map((extent, axis) => (isAny && extent !== other[axis] ? (axis === 0 ? 'N' : undefined) : extent)),
    })
    return writeOnnx({
      irVersion: (irVersions.find(([first]) => opset >= first) as readonly [number, number])[1],
      producerName: 'toeplitz',
      opsetImport: [{ domain: '', version: opset }],
      graph: {
        name: 'model',
        nodes: chosen.writer.nodes.map(nodeOf),
        initializers: [
          ...constants.map((constant) => elsewhere(constant.name) ?? initializerOf(constant)),
          ...unread.flatMap((name) => elsewhere(name) ?? []),
        ],
        inputs: source.inputs.map(({ name, dtype }, index) => ({
          name,
          type: typeOf(dtype, chosen.inputs[index] as Shape, three.inputs[index] as Shape),
        })),
        outputs: chosen.outputs.map(({ dtype, shape }, index) => ({
          name: source.outputs[index] as string,
          type: typeOf(dtype, shape, (three.outputs[index] as { readonly shape: Shape }).shape),
        })),
      },
    })
  } finally {
    for (const { handles } of written) for (const handle of handles) handle.dispose()
  }
}
