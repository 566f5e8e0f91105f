/** Small models of TensorFlow.js for tests. */

/** A weight with its values. */
export interface Weight {
  readonly name: string
  readonly shape: readonly number[]
  readonly values: readonly number[]
  readonly dtype?: 'float32' | 'int32' | 'bool'
}

type Attributes = Readonly<Record<string, unknown>>

/** A node of a graph. */
export interface GraphNode {
  readonly name: string
  readonly op: string
  readonly input?: readonly string[]
  readonly attr?: Attributes
}

export const text = (value: string): Attributes => ({ s: btoa(value) })
export const texts = (...values: string[]): Attributes => ({ list: { s: values.map((value) => btoa(value)) } })
export const whole = (value: number): Attributes => ({ i: String(value) })
export const wholes = (...values: number[]): Attributes => ({ list: { i: values.map(String) } })
export const flag = (value: boolean): Attributes => ({ b: value })
export const float = (value: number): Attributes => ({ f: value })

/** An input of a graph; −1 for an extent that is open. */
export const placeholder = (name: string, shape: readonly number[], type = 'DT_FLOAT'): GraphNode => ({
  name,
  op: 'Placeholder',
  attr: { dtype: { type }, shape: { shape: { dim: shape.map((size) => ({ size: String(size) })) } } },
})

const arrays = { float32: Float32Array, int32: Int32Array, bool: Uint8Array }

/** The bytes of weights, one behind the other. */
export function bytesOf(weights: readonly Weight[]): Uint8Array {
  const parts = weights.map(({ values, dtype = 'float32' }) => new Uint8Array(arrays[dtype].from(values).buffer))
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

const manifest = (weights: readonly Weight[]): unknown[] => [
  { paths: ['w.bin'], weights: weights.map(({ name, shape, dtype = 'float32' }) => ({ name, shape, dtype })) },
]

/** The JSON of a graph-model; each weight is a constant of the graph. */
export const graphModel = (
  nodes: readonly GraphNode[],
  weights: readonly Weight[] = [],
  more: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> => ({
  format: 'graph-model',
  modelTopology: { node: [...weights.map(({ name }) => ({ name, op: 'Const', attr: {} })), ...nodes] },
  weightsManifest: manifest(weights),
  ...more,
})

/** A layer: its class, its name, its configuration, and the layers that each of its calls reads. */
export interface LayerOf {
  readonly type: string
  readonly name: string
  readonly config?: Attributes
  readonly calls?: readonly (readonly string[])[]
}

/** A layer as Keras 2 writes it; a name with `#1` is that of the second call of a layer. */
export const layer2 = ({ type, name, config = {}, calls = [] }: LayerOf): Record<string, unknown> => ({
  class_name: type,
  name,
  config: { name, ...config },
  inbound_nodes: calls.map((inputs) => inputs.map((input) => [...tupleOf(input), {}])),
})

/** As Keras 3 writes it. */
export const layer3 = ({ type, name, config = {}, calls = [] }: LayerOf): Record<string, unknown> => ({
  module: 'keras.layers',
  class_name: type,
  name,
  registered_name: null,
  build_config: { input_shape: [null] },
  config: { name, dtype: { module: 'keras', class_name: 'DTypePolicy', config: { name: 'float32' } }, ...config },
  inbound_nodes: calls.map((inputs) => {
    const tensors = inputs.map((input) => ({
      class_name: '__keras_tensor__',
      config: { shape: [null], dtype: 'float32', keras_history: tupleOf(input) },
    }))
    return { args: tensors.length === 1 ? tensors : [tensors], kwargs: {} }
  }),
})

const tupleOf = (reference: string): [string, number, number] => {
  const [name, call = '0'] = reference.split('#') as [string, string?]
  return [name, Number(call), 0]
}

/** The configuration of a model of layers. */
export const functional = (
  layers: readonly LayerOf[],
  inputs: readonly string[],
  outputs: readonly string[],
  write = layer2,
): Record<string, unknown> => ({
  name: 'model',
  layers: layers.map(write),
  input_layers: inputs.map(tupleOf),
  output_layers: outputs.map(tupleOf),
})

/** The JSON of a layers-model. */
export const layersModel = (
  type: string,
  config: unknown,
  weights: readonly Weight[] = [],
  version = '2.15.0',
): Record<string, unknown> => ({
  format: 'layers-model',
  modelTopology: { keras_version: version, backend: 'tensorflow', model_config: { class_name: type, config } },
  weightsManifest: manifest(weights),
})

/** Numbers by a rule, from −0.5 to 0.5. */
export const numbers = (count: number, seed = 1): number[] =>
  Array.from({ length: count }, (_, i) =>
    Math.fround(((Math.imul(i + seed * 977, 2654435761) >>> 8) % 1000) / 1000 - 0.5),
  )
