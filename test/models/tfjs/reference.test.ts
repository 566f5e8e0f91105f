/** Every operator of graph-models and every layer against what TensorFlow.js gives: test/tfjs/fixtures.mjs wrote the cases. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { loadTfjs, tfjsLayers, tfjsOperators } from '../../../src/models/tfjs/index.js'
import { memoryUsage } from '../../../src/runtime/core.js'
import { init } from '../../../src/runtime/embedded.js'
import { tensor } from '../../../src/tensor/create.js'
import { scope, type AnyTensor } from '../../../src/tensor/tensor.js'

beforeAll(() => init())

interface Packed {
  readonly shape: number[]
  readonly dtype: 'float32' | 'int32' | 'bool'
  readonly data: string
}
interface Case {
  readonly name: string
  readonly model: Readonly<Record<string, unknown>>
  readonly weights: string
  readonly inputs: Readonly<Record<string, Packed>>
}
interface GraphCase extends Case {
  readonly op: string
  readonly outputs: Readonly<Record<string, Packed>>
}
interface LayersCase extends Case {
  readonly layers: readonly string[]
  readonly outputs: readonly Packed[]
}

const read = (name: string): unknown =>
  JSON.parse(readFileSync(join(import.meta.dirname, '..', '..', 'fixtures', 'tfjs', name), 'utf8'))
const graphs = read('graphs.json') as GraphCase[]
const models = read('layers.json') as LayersCase[]

const arrays = { float32: Float32Array, int32: Int32Array, bool: Uint8Array }
const bytesOf = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(Buffer.from(text, 'base64'))
const valuesOf = ({ data, dtype }: Packed): number[] => Array.from(new arrays[dtype](bytesOf(data).buffer))

function expectNear(given: AnyTensor, due: Packed, what: string): void {
  expect([given.shape, given.dtype], what).toEqual([due.shape, due.dtype])
  const values = valuesOf(due)
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  Array.from(given.data() as Iterable<number>).forEach((value, i) => {
    if (Object.is(value, values[i])) return
    const isNear = Math.abs(value - values[i]!) <= 2e-6 * largest + 1e-7
    expect(isNear, `${what}[${i}]: ${value}, due ${values[i]}`).toBe(true)
  })
}

async function check(each: Case, outputs: Readonly<Record<string, Packed>> | readonly Packed[]): Promise<void> {
  const before = memoryUsage().liveBytes
  const program = await loadTfjs(each.model, () => Promise.resolve(bytesOf(each.weights)), { name: each.name })
  const due = Array.isArray(outputs)
    ? Object.fromEntries(program.outputs.map(({ name }, i) => [name, (outputs as Packed[])[i]!]))
    : (outputs as Readonly<Record<string, Packed>>)
  expect(Object.keys(due)).toEqual(program.outputs.map(({ name }) => name))
  scope(() => {
    const inputs = Object.fromEntries(
      Object.entries(each.inputs).map(([name, input]) => [
        name,
        tensor(valuesOf(input), input.shape, { dtype: input.dtype }),
      ]),
    )
    // As it is planned, and as it is repeated.
    for (let pass = 0; pass < 2; pass++) {
      const results = program.run(inputs)
      for (const [name, y] of Object.entries(due)) expectNear(results[name]!, y, name)
    }
  })
  program.dispose()
  expect(memoryUsage().liveBytes).toBe(before)
}

describe('operators of graph-models', () => {
  it.each(graphs.map((each) => [each.name, each] as const))('%s', (_, each) => check(each, each.outputs))

  it('each have a case', () => {
    const own = tfjsOperators.filter((name) => !['Const', 'Placeholder', 'NoOp'].includes(name))
    expect([...new Set(graphs.map(({ op }) => op))].sort()).toEqual(own)
  })
})

/** Layers that TensorFlow.js has not: layers.test.ts compares them with their definitions. */
const apart = [
  'ActivityRegularization',
  'Conv1DTranspose',
  'Cropping1D',
  'Cropping3D',
  'DepthwiseConv1D',
  'GlobalAveragePooling3D',
  'GlobalMaxPooling3D',
  'Identity',
  'SeparableConv1D',
  'SpatialDropout2D',
  'SpatialDropout3D',
  'Subtract',
  'UpSampling1D',
  'UpSampling3D',
  'ZeroPadding1D',
  'ZeroPadding3D',
]

describe('layers', () => {
  it.each(models.map((each) => [each.name, each] as const))('%s', (_, each) => check(each, each.outputs))

  it('each have a case, but for those that TensorFlow.js has not', () => {
    const cased = new Set(models.flatMap(({ layers }) => layers))
    expect(tfjsLayers.filter((name) => !cased.has(name) && !['Model', 'Functional'].includes(name))).toEqual(apart)
  })
})
