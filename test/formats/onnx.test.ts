import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  elementTypeName,
  readOnnx,
  readTensorProto,
  tensorValues,
  writeOnnx,
  type OnnxAttribute,
  type OnnxFunction,
  type OnnxGraph,
  type OnnxInput,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type OnnxType,
  type OnnxValueInfo,
} from '../../src/formats/onnx.js'
import { encodeSafetensors } from '../../src/formats/safetensors.js'
import { ArgumentError, FormatError, ToeplitzError, UnsupportedError } from '../../src/runtime/errors.js'

const folder = join(import.meta.dirname, '../fixtures/onnx')
const fixture = (name: string): Uint8Array<ArrayBuffer> => new Uint8Array(readFileSync(join(folder, name)))
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

function failure(use: () => unknown, Kind: new (message: string) => ToeplitzError = FormatError): string {
  try {
    use()
  } catch (error) {
    expect(error).toBeInstanceOf(Kind)
    const { message } = error as Error
    expect(message).not.toContain('\n')
    return message
  }
  throw new Error('no error was thrown')
}

const emptyTensor: OnnxTensor = {
  dims: [],
  elementType: 0,
  floatData: new Float32Array(0),
  int32Data: new Int32Array(0),
  stringData: [],
  int64Data: new BigInt64Array(0),
  name: '',
  rawData: undefined,
  doubleData: new Float64Array(0),
  uint64Data: new BigUint64Array(0),
  externalData: [],
  dataLocation: 0,
}

const words = fc.string({ unit: 'grapheme', maxLength: 6 })
const named = words.filter((word) => word !== '')
const bytesOf = fc.uint8Array({ maxLength: 6 })
const int64Of = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const int64sOf = fc.array(int64Of, { maxLength: 3 }).map((list) => BigInt64Array.from(list))
const listOf = <T>(item: fc.Arbitrary<T>): fc.Arbitrary<readonly T[]> => fc.array(item, { maxLength: 2 })
const entries = listOf(fc.record({ key: words, value: words }))
const opsets = listOf(fc.record({ domain: words, version: fc.maxSafeInteger() }))
const tensors: fc.Arbitrary<OnnxTensor> = fc.record({
  dims: fc.array(fc.maxSafeInteger(), { maxLength: 4 }),
  elementType: fc.nat(30),
  floatData: fc.float32Array({ maxLength: 3 }),
  int32Data: fc.int32Array({ maxLength: 3 }),
  stringData: listOf(bytesOf),
  int64Data: int64sOf,
  name: words,
  rawData: fc.option(bytesOf, { nil: undefined }),
  doubleData: fc.float64Array({ maxLength: 3 }),
  uint64Data: int64sOf.map((list) => new BigUint64Array(list.buffer)),
  externalData: entries,
  dataLocation: fc.nat(1),
})
const types: fc.Arbitrary<OnnxType> = fc.oneof(
  fc.record({
    kind: fc.constant('tensor' as const),
    elementType: fc.nat(30),
    shape: fc.option(listOf(fc.option(fc.oneof(fc.maxSafeInteger(), named), { nil: undefined })), { nil: undefined }),
  }),
  fc.record({
    kind: fc.constantFrom(
      'sequence' as const,
      'map' as const,
      'optional' as const,
      'sparse_tensor' as const,
      'opaque' as const,
    ),
    bytes: bytesOf,
  }),
)
const values: fc.Arbitrary<OnnxValueInfo> = fc.record({ name: words, type: fc.option(types, { nil: undefined }) })

const attributesOf = (levels: number): fc.Arbitrary<OnnxAttribute> => {
  const of = <K extends OnnxAttribute['kind']>(kind: K, value: fc.Arbitrary<unknown>): fc.Arbitrary<OnnxAttribute> =>
    fc.record({ name: named, kind: fc.constant(kind), value }) as unknown as fc.Arbitrary<OnnxAttribute>
  return fc.oneof(
    of('float', fc.float()),
    of('int', int64Of),
    of('string', bytesOf),
    of('tensor', tensors),
    of('floats', fc.float32Array({ maxLength: 3 })),
    of('ints', int64sOf),
    of('strings', listOf(bytesOf)),
    of('tensors', listOf(tensors)),
    of('sparse_tensor', bytesOf),
    of('sparse_tensors', listOf(bytesOf)),
    of('type', bytesOf),
    of('types', listOf(bytesOf)),
    fc.record({
      name: named,
      kind: fc.constant('reference' as const),
      value: named,
      of: fc.constantFrom(undefined, 'float' as const, 'graphs' as const),
    }),
    ...(levels > 0 ? [of('graph', graphsOf(levels - 1)), of('graphs', listOf(graphsOf(levels - 1)))] : []),
  )
}
const nodesOf = (levels: number): fc.Arbitrary<OnnxNode> =>
  fc.record({
    inputs: listOf(words),
    outputs: listOf(words),
    name: words,
    opType: named,
    attributes: listOf(attributesOf(levels)),
    domain: words,
    overload: words,
  })
const graphsOf = (levels: number): fc.Arbitrary<OnnxGraph> =>
  fc.record({
    nodes: listOf(nodesOf(levels)),
    name: words,
    initializers: listOf(tensors),
    inputs: listOf(values),
    outputs: listOf(values),
    valueInfo: listOf(values),
  })
const functions: fc.Arbitrary<OnnxFunction> = fc.record({
  name: words,
  inputs: listOf(words),
  outputs: listOf(words),
  attributes: listOf(words),
  nodes: listOf(nodesOf(0)),
  opsetImport: opsets,
  domain: words,
  attributeDefaults: listOf(attributesOf(0)),
  valueInfo: listOf(values),
  overload: words,
})
const models: fc.Arbitrary<OnnxModel> = fc.record({
  irVersion: fc.maxSafeInteger(),
  producerName: words,
  producerVersion: words,
  domain: words,
  modelVersion: int64Of,
  graph: graphsOf(2),
  opsetImport: opsets,
  metadataProps: entries,
  functions: listOf(functions),
})

/** A model of these nodes. */
const withNodes = (...nodes: OnnxInput<OnnxNode>[]): Uint8Array => writeOnnx({ irVersion: 8, graph: { nodes } })
const attributeOf = (bytes: Uint8Array): OnnxAttribute | undefined =>
  readOnnx(bytes, 'x.onnx').graph.nodes[0]?.attributes[0]

const varint = (value: number): number[] =>
  value < 128 ? [value] : [(value & 127) | 128, ...varint(Math.floor(value / 128))]
/** A field of wire type 2. */
const field = (number: number, content: ArrayLike<number>): number[] => [
  ...varint(number * 8 + 2),
  ...varint(content.length),
  ...Array.from(content),
]
/** A model with one node of type T, whose one attribute has these fields. */
const withAttribute = (...content: readonly number[]): Uint8Array =>
  Uint8Array.from(field(7, field(1, [...field(4, utf8('T')), ...field(5, content)])))

describe('readOnnx and writeOnnx', () => {
  it('give back every model', () => {
    fc.assert(
      fc.property(models, (model) => {
        const bytes = writeOnnx(model)
        expect(readOnnx(bytes, 'x')).toEqual(model)
      }),
      { numRuns: 200 },
    )
  })

  it('fill what is left out', () => {
    const model = readOnnx(writeOnnx({ graph: { initializers: [{ name: 'w' }], nodes: [{ opType: 'Relu' }] } }), 'x')
    expect(model.graph.initializers).toEqual([{ ...emptyTensor, name: 'w' }])
    expect(model.graph.nodes[0]).toEqual({
      ...{ inputs: [], outputs: [], name: '', opType: 'Relu', attributes: [], domain: '', overload: '' },
    })
    expect(model).toMatchObject({ irVersion: 0, modelVersion: 0n, opsetImport: [], functions: [] })
  })

  it.each([
    ['light_bvlc_alexnet.onnx', 'bvlc_alexnet', 9, 'data_0', 'prob_1'],
    ['light_zfnet512.onnx', 'zfnet512', 9, 'gpu_0/data_0', 'gpu_0/softmax_1'],
    ['light_squeezenet.onnx', 'squeezenet_old', 9, 'data_0', 'softmaxout_1'],
  ])('read %s', (file, name, version, input, output) => {
    const bytes = fixture(file)
    const model = readOnnx(bytes, file)
    expect([model.irVersion, model.producerName, model.graph.name]).toEqual([3, 'onnx-caffe2', name])
    expect(model.opsetImport).toEqual([{ domain: '', version }])
    // Initializers are inputs too in files of IR version 3, in any order.
    expect(model.graph.inputs.find((value) => value.name === input)).toEqual({
      name: input,
      type: { kind: 'tensor', elementType: 1, shape: [1, 3, 224, 224] },
    })
    expect(model.graph.outputs.map((value) => value.name)).toEqual([output])
    expect(readOnnx(bytes.buffer, file)).toEqual(model)
    expect(readOnnx(writeOnnx(model), file)).toEqual(model)
    const convolutions = model.graph.nodes.filter(({ opType }) => opType === 'Conv')
    for (const { attributes } of convolutions) {
      const strides = attributes.find((attribute) => attribute.name === 'strides')
      expect(strides).toMatchObject({ kind: 'ints', value: expect.any(BigInt64Array) as BigInt64Array })
    }
    expect(convolutions.length).toBeGreaterThan(4)
    for (const { opType, attributes } of model.graph.nodes) {
      const value = attributes.find((attribute) => attribute.name === 'value')
      if (opType !== 'ConstantOfShape' || value?.kind !== 'tensor') continue
      expect(tensorValues(value.value)).toMatchObject({ dtype: 'float32', dims: [1] })
    }
    for (const tensor of model.graph.initializers) {
      const { dims, values } = tensorValues(tensor)
      expect(values).toHaveLength(dims.reduce((product, size) => product * size, 1))
    }
  })

  it('refuse fixtures that are cut, by name', () => {
    for (const name of readdirSync(folder).filter((file) => file.endsWith('.onnx'))) {
      const bytes = fixture(name)
      for (let length = 1; length < bytes.length; length += 97) {
        const part = bytes.subarray(0, length)
        try {
          readOnnx(part, name)
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError)
          expect((error as Error).message).toMatch(new RegExp(`^${name}: `))
        }
      }
    }
  })

  it('leave bytes in the file', () => {
    const rawData = Uint8Array.of(0, 0, 0x80, 0x3f, 0, 0, 0, 0x40)
    const file = writeOnnx({ graph: { initializers: [{ name: 'w', dims: [2], elementType: 1, rawData }] } })
    const inPlace = [0, 1, 2, 3].map((shift) => {
      const moved = new Uint8Array(file.length + shift).subarray(shift)
      moved.set(file)
      const tensor = readOnnx(moved, 'x').graph.initializers[0] as OnnxTensor
      expect(tensor.rawData?.buffer).toBe(moved.buffer)
      const { values } = tensorValues(tensor)
      expect(values).toEqual(Float32Array.of(1, 2))
      return values.buffer === moved.buffer
    })
    expect(inPlace.filter(Boolean)).toHaveLength(1)
  })
})

describe('attributes', () => {
  it('have the kind that their value has, in files of the first version', () => {
    const name = field(1, utf8('a'))
    expect(attributeOf(withAttribute(...name, 0x18, 5))).toEqual({ name: 'a', kind: 'int', value: 5n })
    expect(attributeOf(withAttribute(...name, 0x15, 0, 0, 0x80, 0x3f))).toEqual({ name: 'a', kind: 'float', value: 1 })
    expect(attributeOf(withAttribute(...name, 0x40, 5, 0x40, 6))).toEqual({
      ...{ name: 'a', kind: 'ints', value: BigInt64Array.of(5n, 6n) },
    })
  })

  it('are zero or empty where a kind is told and no value, as some programs leave zeros out', () => {
    const of = (code: number): OnnxAttribute | undefined =>
      attributeOf(withAttribute(...field(1, [0x61]), 0xa0, 1, code))
    expect(of(1)).toEqual({ name: 'a', kind: 'float', value: 0 })
    expect(of(2)).toEqual({ name: 'a', kind: 'int', value: 0n })
    expect(of(3)).toEqual({ name: 'a', kind: 'string', value: new Uint8Array(0) })
    expect(of(7)).toEqual({ name: 'a', kind: 'ints', value: new BigInt64Array(0) })
    for (const [code, kind] of [
      [4, 'tensor'],
      [5, 'graph'],
      [11, 'sparse_tensor'],
      [13, 'type'],
    ] as const) {
      expect(failure(() => of(code))).toMatch(new RegExp(`attribute 'a' is to be a ${kind}, and holds none`))
    }
    expect(failure(() => of(0))).toMatch(/attribute 'a' has neither a type nor a value/)
    expect(failure(() => of(15))).toMatch(/attribute 'a' has the unknown type 15/)
    expect(failure(() => attributeOf(withAttribute(0x18, 5)))).toMatch(/node 0 \(T\): an attribute has no name/)
  })

  it('hold integers of 64 bits', () => {
    const value = BigInt64Array.of(2n ** 63n - 1n, -(2n ** 63n))
    const bytes = withNodes({ opType: 'Slice', attributes: [{ name: 'ends', kind: 'ints', value }] })
    expect(attributeOf(bytes)).toEqual({ name: 'ends', kind: 'ints', value })
  })
})

describe('what is no model', () => {
  const savedModel = Uint8Array.of(8, 1, 0x12, 4, 0x0a, 2, 0x2a, 0)
  it.each<[string, Uint8Array, RegExp]>([
    ['an empty file', new Uint8Array(0), /^x\.onnx: the file is empty; give an \.onnx file$/],
    ['HTML', utf8('<!DOCTYPE html><html>404</html>'), /is a web page \(HTML\) in place of the model/],
    ['HTML after a byte order mark', utf8('\uFEFF\n <html>'), /is a web page \(HTML\)/],
    ['JSON', utf8('{"format": "layers-model"}'), /is JSON, and no ONNX/],
    ['a list in JSON', utf8('\n[1, 2]'), /is JSON, and no ONNX/],
    [
      'a pointer of Git LFS',
      utf8('version https://git-lfs.github.com/spec/v1\noid sha256:4d\n'),
      /Git LFS .*git lfs pull/,
    ],
    ['gzip', gzipSync(fixture('light_zfnet512.onnx')), /is compressed \(gzip\); unpack it/],
    ['a ZIP archive', Uint8Array.of(0x50, 0x4b, 3, 4, 20, 0), /is a ZIP archive.*torch\.onnx\.export/],
    ['a pickle', Uint8Array.of(0x80, 2, 0x8a, 0x0a), /is a pickle of Python/],
    ['HDF5', Uint8Array.of(0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a), /is HDF5, as Keras saves/],
    ['NumPy', Uint8Array.of(0x93, ...utf8('NUMPY'), 1, 0), /is an array of NumPy/],
    ['TensorFlow Lite', Uint8Array.of(0x1c, 0, 0, 0, ...utf8('TFL3')), /is a model of TensorFlow Lite/],
    ['onnxruntime', Uint8Array.of(0x1c, 0, 0, 0, ...utf8('ORTM')), /is in onnxruntime's own format/],
    ['text', utf8('ir_version: 7\ngraph {'), /is a model in the text form/],
    ['a SavedModel', savedModel, /is a SavedModel of TensorFlow; convert it/],
    [
      'a frozen graph',
      Uint8Array.from(field(1, [...field(1, utf8('x')), ...field(2, utf8('Placeholder'))])),
      /frozen graphs/,
    ],
    ['a tensor', Uint8Array.of(8, 2, 0x10, 1, 0x4a, 8, 0, 0, 0, 0, 0, 0, 0, 0), /is a single tensor/],
    ['safetensors', encodeSafetensors({}), /is a model, or other weights \(safetensors\)/],
    ['a PNG', Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a), /is a PNG; give an \.onnx file/],
    ['no graph', Uint8Array.of(8, 7), /has no graph, which every model of ONNX has/],
    ['noise', Uint8Array.of(0xff, 0xfe, 0xfd), /bytes are due|the wire type 7|has a number/],
  ])('is told: %s', (_, bytes, reason) => {
    const message = failure(() => readOnnx(bytes, 'x.onnx'))
    expect(message).toMatch(reason)
    expect(message.startsWith('x.onnx: ')).toBe(true)
  })

  it('is no bytes at all', () => {
    expect(() => readOnnx('x' as unknown as Uint8Array, 'x')).toThrow(ArgumentError)
  })
})

describe('what is refused of a model', () => {
  const inGraph = (...content: readonly number[]): Uint8Array =>
    Uint8Array.from(field(7, [...field(2, [0x67]), ...content]))

  it('is told by name', () => {
    expect(failure(() => readOnnx(inGraph(...field(15, [])), 'x.onnx'), UnsupportedError)).toBe(
      "x.onnx: graph 'g': an initializer is sparse (sparse_initializer), which is not read; store it as a dense initializer",
    )
    const segment = inGraph(...field(5, [...field(8, utf8('w')), ...field(3, [])]))
    expect(failure(() => readOnnx(segment, 'x.onnx'), UnsupportedError)).toBe(
      "x.onnx: graph 'g', initializer 'w': the tensor is stored in segments, which are not read; store it as a whole",
    )
    const unnamed = inGraph(...field(1, field(4, utf8('Relu'))), ...field(1, field(1, [])))
    expect(failure(() => readOnnx(unnamed, 'x.onnx'))).toMatch(/graph 'g', node 1: the node has no op_type/)
    const damaged = inGraph(
      ...field(1, [...field(3, utf8('c')), ...field(4, utf8('Conv')), ...field(5, field(1, [0xff]))]),
    )
    expect(failure(() => readOnnx(damaged, 'x.onnx'))).toMatch(
      /^x\.onnx: graph 'g', node 'c' \(Conv\), attribute 0: a text is not in UTF-8/,
    )
    const rank = inGraph(...field(5, [...field(8, utf8('w')), ...new Array<number[]>(40).fill([8, 1]).flat()]))
    expect(readOnnx(rank, 'x').graph.initializers[0]?.dims).toHaveLength(40)
    const manySizes = inGraph(...field(5, [...field(8, utf8('w')), ...field(1, new Array<number>(257).fill(1))]))
    expect(failure(() => readOnnx(manySizes, 'x'))).toMatch(/initializer 'w': a list has 257 numbers; at most 256/)
  })

  it('are graphs within graphs without end', () => {
    const nested = (levels: number): OnnxGraph =>
      ({
        nodes:
          levels > 0 ? [{ opType: 'If', attributes: [{ name: 'b', kind: 'graph', value: nested(levels - 1) }] }] : [],
      }) as unknown as OnnxGraph
    const of = (levels: number): Uint8Array => writeOnnx({ graph: nested(levels) })
    expect(() => readOnnx(of(20), 'x')).not.toThrow()
    expect(() => of(22)).toThrow(ArgumentError)
    // What no writer of ours writes.
    let graph: number[] = []
    for (let level = 0; level < 22; level++) {
      graph = field(1, [...field(4, utf8('If')), ...field(5, [...field(1, [0x62]), 0xa0, 1, 5, ...field(6, graph)])])
    }
    const message = failure(() => readOnnx(Uint8Array.from(field(7, graph)), 'x'))
    expect(message).toMatch(/node 0 \(If\).*: there are more than 64 messages within one another/)
    expect(message.length).toBeLessThan(200)
  })
})

/** A little-endian copy of the bytes of numbers. */
const rawOf = (list: ArrayBufferView): Uint8Array =>
  new Uint8Array(list.buffer, list.byteOffset, list.byteLength).slice()
const stored = (elementType: number, dims: readonly number[], data: Partial<OnnxTensor>): OnnxTensor => ({
  ...emptyTensor,
  name: 'w',
  elementType,
  dims,
  ...data,
})

describe('tensorValues', () => {
  const halves = Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7c00, 0x8000, 0x7bff, 0xfc00)
  const ofHalves = Float32Array.of(1, -2, 2 ** -24, Infinity, -0, 65504, -Infinity)
  const brains = Uint16Array.of(0x3f80, 0xc000, 0x0001, 0x7f80)
  const ofBrains = Float32Array.of(1, -2, 2 ** -133, Infinity)
  const doubles = Float64Array.of(0.1, 1 + 2 ** -24, 1 + 3 * 2 ** -24, 1e300, -0)
  const big = BigInt64Array.of(2n ** 63n - 1n, -(2n ** 63n), 0n)
  const bigs = BigUint64Array.of(0n, 2n ** 63n - 1n)

  it.each<[string, number, ArrayBufferView, Partial<OnnxTensor>, string, ArrayLike<number | bigint>]>([
    ['float32', 1, Float32Array.of(1, 2.5), { floatData: Float32Array.of(1, 2.5) }, 'float32', Float32Array.of(1, 2.5)],
    ['uint8', 2, Uint8Array.of(0, 255), { int32Data: Int32Array.of(0, 255) }, 'uint8', Uint8Array.of(0, 255)],
    ['int8', 3, Int8Array.of(-128, 127), { int32Data: Int32Array.of(-128, 127) }, 'int8', Int8Array.of(-128, 127)],
    ['uint16', 4, Uint16Array.of(0, 65535), { int32Data: Int32Array.of(0, 65535) }, 'int32', Int32Array.of(0, 65535)],
    ['int16', 5, Int16Array.of(-32768, 1), { int32Data: Int32Array.of(-32768, 1) }, 'int32', Int32Array.of(-32768, 1)],
    [
      'int32',
      6,
      Int32Array.of(-(2 ** 31), 1),
      { int32Data: Int32Array.of(-(2 ** 31), 1) },
      'int32',
      Int32Array.of(-(2 ** 31), 1),
    ],
    ['int64', 7, big, { int64Data: big }, 'int64', big],
    ['bool', 9, Uint8Array.of(0, 1), { int32Data: Int32Array.of(0, 1) }, 'bool', Uint8Array.of(0, 1)],
    ['bool above 1', 9, Uint8Array.of(0, 255), { int32Data: Int32Array.of(0, 2) }, 'bool', Uint8Array.of(0, 1)],
    ['float16', 10, halves, { int32Data: Int32Array.from(halves) }, 'float32', ofHalves],
    ['float64', 11, doubles, { doubleData: doubles }, 'float32', Float32Array.of(0.1, 1, 1 + 2 ** -22, Infinity, -0)],
    [
      'uint32',
      12,
      Uint32Array.of(0, 2 ** 32 - 1),
      { uint64Data: BigUint64Array.of(0n, 2n ** 32n - 1n) },
      'int64',
      BigInt64Array.of(0n, 2n ** 32n - 1n),
    ],
    ['uint64', 13, bigs, { uint64Data: bigs }, 'int64', BigInt64Array.of(0n, 2n ** 63n - 1n)],
    ['bfloat16', 16, brains, { int32Data: Int32Array.from(brains) }, 'float32', ofBrains],
  ])('reads %s, raw and listed', (_, elementType, raw, listed, dtype, values) => {
    const dims = [1, values.length]
    for (const data of [{ rawData: rawOf(raw) }, listed]) {
      expect(tensorValues(stored(elementType, dims, data))).toEqual({ dtype, dims, values })
      // Not aligned.
      if (data.rawData === undefined) continue
      const moved = new Uint8Array(data.rawData.length + 1).subarray(1)
      moved.set(data.rawData)
      expect(tensorValues(stored(elementType, dims, { rawData: moved }))).toEqual({ dtype, dims, values })
    }
    expect(tensorValues(stored(elementType, [3, 0], {})).values).toHaveLength(0)
    expect(tensorValues(stored(elementType, [0], { rawData: new Uint8Array(0) })).values).toHaveLength(0)
    const message = failure(() => tensorValues(stored(elementType, [9, 9], { rawData: rawOf(raw) })))
    expect(message).toMatch(/^tensor 'w': \w+ of shape \(9, 9\) takes \d+ bytes, and \d+ are stored$/)
    expect(failure(() => tensorValues(stored(elementType, [9, 9], listed)))).toMatch(
      /has 81 values, and \d are stored$/,
    )
    expect(failure(() => tensorValues(stored(elementType, dims, { rawData: rawOf(raw), ...listed })))).toMatch(
      /raw data, and a list of values as well/,
    )
  })

  it('takes one value for a tensor without sizes', () => {
    expect(tensorValues(stored(7, [], { int64Data: BigInt64Array.of(5n) })).values).toEqual(BigInt64Array.of(5n))
    expect(failure(() => tensorValues(stored(7, [], {})))).toMatch(/int64 of shape \(\) has 1 values, and 0 are stored/)
  })

  it('widens every half exactly', () => {
    const all = Uint16Array.from({ length: 65536 }, (_, i) => i)
    const { values } = tensorValues(stored(10, [65536], { rawData: rawOf(all) }))
    const view = new DataView(new ArrayBuffer(2))
    const expected = Array.from(all, (half) => {
      view.setUint16(0, half)
      const [exponent, fraction] = [(half >> 10) & 31, half & 1023]
      const size =
        exponent === 0
          ? fraction * 2 ** -24
          : exponent === 31
            ? fraction === 0
              ? Infinity
              : NaN
            : (1024 + fraction) * 2 ** (exponent - 25)
      return half >> 15 === 0 ? size : -size
    })
    expect(values).toEqual(Float32Array.from(expected))
  })

  it('refuses what does not fit its type', () => {
    const list = (elementType: number, value: number): (() => unknown) => {
      return () => tensorValues(stored(elementType, [1], { int32Data: Int32Array.of(value) }))
    }
    expect(failure(list(2, 256))).toBe("tensor 'w': the value 256 is out of the range of uint8")
    expect(failure(list(2, -1))).toMatch(/-1 is out of the range of uint8/)
    expect(failure(list(3, 128))).toMatch(/128 is out of the range of int8/)
    expect(failure(list(4, -1))).toMatch(/uint16/)
    expect(failure(list(5, 32768))).toMatch(/int16/)
    expect(failure(list(10, 65536))).toMatch(/float16/)
    expect(failure(list(16, -1))).toMatch(/bfloat16/)
    const large = BigUint64Array.of(1n, 2n ** 63n)
    expect(failure(() => tensorValues(stored(13, [2], { uint64Data: large })), UnsupportedError)).toMatch(
      /9223372036854775808 does not fit int64/,
    )
    expect(failure(() => tensorValues(stored(13, [2], { rawData: rawOf(large) })), UnsupportedError)).toMatch(/int64/)
    expect(failure(() => tensorValues(stored(12, [2], { uint64Data: large })))).toMatch(/out of the range of uint32/)
  })

  it.each([0, 8, 14, 15, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, -1, 2 ** 31])(
    'refuses the type %i by name',
    (code) => {
      const message = failure(
        () => tensorValues(stored(code, [1], {}), {}, "x.onnx: initializer 'w'"),
        UnsupportedError,
      )
      expect(message).toBe(
        `x.onnx: initializer 'w': elements of ${elementTypeName(code)} are not read; those of float32, float64, float16, bfloat16, ` +
          'uint8, int8, bool, uint16, int16, int32, int64, uint32, uint64 are',
      )
    },
  )

  it('computes sizes without overflow, and takes no memory for what is not there', () => {
    expect(failure(() => tensorValues(stored(1, [-1], {})))).toMatch(/the shape \(-1\) has a negative size/)
    expect(failure(() => tensorValues(stored(1, [0, -1], {})))).toMatch(/negative size/)
    expect(failure(() => tensorValues(stored(1, [2 ** 30 + 1], {})))).toMatch(/more than 1073741824 elements/)
    expect(failure(() => tensorValues(stored(1, [2 ** 53 - 1, 2 ** 53 - 1], {})))).toMatch(
      /more than 1073741824 elements/,
    )
    expect(failure(() => tensorValues(stored(1, new Array<number>(200).fill(2 ** 53 - 1), {})))).toMatch(/elements/)
    expect(failure(() => tensorValues(stored(1, [2 ** 30], {})))).toMatch(/has 1073741824 values, and 0 are stored/)
    expect(tensorValues(stored(1, [2 ** 53 - 1, 2 ** 53 - 1, 0], {})).values).toHaveLength(0)
    expect(tensorValues(stored(1, [0, 2 ** 53 - 1, 2 ** 53 - 1], {})).values).toHaveLength(0)
  })
})

describe('external data', () => {
  const at = (entries: Readonly<Record<string, string>>, elementType = 1, dims = [2]): OnnxTensor =>
    stored(elementType, dims, {
      dataLocation: 1,
      externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
    })
  const file = rawOf(Float32Array.of(1, 2, 3, 4))
  const files = { 'a.bin': file, 'sub/b.bin': file }

  it('is looked up in what is given', () => {
    const first = tensorValues(at({ location: 'a.bin' }), files)
    expect(first).toEqual({ dtype: 'float32', dims: [2], values: Float32Array.of(1, 2) })
    expect(first.values.buffer).toBe(file.buffer)
    const entries = { location: 'sub/b.bin', offset: '8', length: '8', checksum: 'any' }
    expect(tensorValues(at(entries), files).values).toEqual(Float32Array.of(3, 4))
    expect(tensorValues(at({ location: 'a.bin', offset: '16' }, 1, [0]), files).values).toHaveLength(0)
  })

  it.each([
    ['/etc/passwd'],
    ['../a.bin'],
    ['sub/../../a.bin'],
    ['sub/..'],
    ['a\\b.bin'],
    ['C:a.bin'],
    ['~/a.bin'],
    ['a\0'],
    [''],
  ])('is refused at %j, given or not', (location) => {
    const given = { ...files, [location]: file }
    expect(failure(() => tensorValues(at({ location }), given))).toMatch(
      /^tensor 'w': its data are at '.*'; a location must be a path within the folder of the model$/,
    )
  })

  it('is refused where it is not given, or is of another size', () => {
    expect(failure(() => tensorValues(at({ location: 'c.bin' })))).toBe(
      "tensor 'w': its data are in the file 'c.bin', which is not given; no files are",
    )
    expect(failure(() => tensorValues(at({ location: 'c.bin' }), files))).toMatch(/given are 'a.bin', 'sub\/b.bin'$/)
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`${i}.bin`, file]))
    expect(failure(() => tensorValues(at({ location: 'c.bin' }), many))).toMatch(
      /'0.bin', '1.bin', '2.bin', '3.bin', …$/,
    )
    expect(failure(() => tensorValues(at({ location: 'toString' }), files))).toMatch(/not given/)
    expect(failure(() => tensorValues(at({ location: './a.bin' }), files))).toMatch(/not given/)
    expect(failure(() => tensorValues(at({}), files))).toMatch(/its data are at ''/)
    const of = (entries: Readonly<Record<string, string>>) => (): unknown =>
      tensorValues(at({ location: 'a.bin', ...entries }), files)
    expect(failure(of({ length: '4' }))).toMatch(/takes 8 bytes, and 4 are stored in 'a.bin'/)
    expect(failure(of({ offset: '12' }))).toMatch(/end at byte 20 of 'a.bin', which has 16/)
    for (const offset of ['-1', '1.5', '', ' 1', '0x1', '1e3', '9'.repeat(16)]) {
      expect(failure(of({ offset }))).toMatch(/the offset of its data is '.*'; it must be a whole number/)
    }
    expect(failure(of({ offset: '9'.repeat(15) }))).toMatch(/which has 16/)
    expect(failure(() => tensorValues(stored(1, [2], { dataLocation: 2 })))).toMatch(/unknown location 2/)
    expect(failure(() => tensorValues(at({ location: 'a.bin' }), { 'a.bin': 'x' as never }), ArgumentError)).toMatch(
      /Uint8Array/,
    )
  })
})

it('reads a tensor that is a file, as test data are', () => {
  const tensor = readTensorProto(
    Uint8Array.of(8, 2, 0x10, 1, 0x22, 8, 0, 0, 0x80, 0x3f, 0, 0, 0, 0x40, 0x42, 1, 0x79),
    'y.pb',
  )
  expect(tensor).toMatchObject({ name: 'y', dims: [2], elementType: 1 })
  expect(tensorValues(tensor).values).toEqual(Float32Array.of(1, 2))
  expect(failure(() => readTensorProto(Uint8Array.of(8), 'y.pb'))).toMatch(/^y\.pb: tensor: 1 bytes are due/)
})
