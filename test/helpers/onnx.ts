/** Small ONNX models for tests. */
import { writeOnnx, type OnnxAttribute, type OnnxGraph, type OnnxInput, type OnnxNode } from '../../src/formats/onnx.js'

const codes = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7, bool: 9, float16: 10, string: 8 } as const
export type ElementName = keyof typeof codes

/** An input or an output: a name, a type and extents. */
export const value = (
  name: string,
  shape?: readonly (number | string | undefined)[],
  type: ElementName = 'float32',
): OnnxInput<OnnxGraph['inputs'][number]> => ({ name, type: { kind: 'tensor', elementType: codes[type], shape } })

/** A constant of float32, or of int64. */
export const constant = (
  name: string,
  dims: number[],
  values: readonly number[] | readonly bigint[],
): OnnxInput<OnnxGraph['initializers'][number]> =>
  typeof values[0] === 'bigint'
    ? { name, dims, elementType: codes.int64, int64Data: BigInt64Array.from(values as readonly bigint[]) }
    : { name, dims, elementType: codes.float32, floatData: Float32Array.from(values as readonly number[]) }

type Plain = number | bigint | string | readonly number[] | readonly bigint[] | OnnxInput<OnnxGraph>

/** An attribute by what it holds: bigints are whole numbers, numbers floats. */
export function attribute(name: string, given: Plain): OnnxAttribute {
  if (typeof given === 'bigint') return { name, kind: 'int', value: given }
  if (typeof given === 'number') return { name, kind: 'float', value: given }
  if (typeof given === 'string') return { name, kind: 'string', value: new TextEncoder().encode(given) }
  if (!Array.isArray(given)) return { name, kind: 'graph', value: given as OnnxGraph }
  return typeof given[0] === 'number'
    ? { name, kind: 'floats', value: Float32Array.from(given as number[]) }
    : { name, kind: 'ints', value: BigInt64Array.from(given as bigint[]) }
}

/** A node. */
export const node = (
  opType: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, Plain>> = {},
  more: Partial<OnnxNode> = {},
): OnnxNode => ({
  ...{ name: '', domain: '', overload: '', opType, inputs, outputs },
  attributes: Object.entries(attributes).map(([name, given]) => attribute(name, given)),
  ...more,
})

/** A graph, complete enough to stand in an attribute. */
export const graph = (given: OnnxInput<OnnxGraph>): OnnxGraph =>
  ({ name: 'graph', nodes: [], initializers: [], inputs: [], outputs: [], valueInfo: [], ...given }) as OnnxGraph

/** The bytes of a model. */
export const onnx = (given: OnnxInput<OnnxGraph>, opset = 17, more: Parameters<typeof writeOnnx>[0] = {}): Uint8Array =>
  writeOnnx({ irVersion: 8, opsetImport: [{ domain: '', version: opset }], graph: { name: 'g', ...given }, ...more })
