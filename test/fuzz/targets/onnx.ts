/** ONNX files: published models whose fields are changed with their lengths repaired, or bytes anywhere. */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { readOnnx, tensorValues, writeOnnx, type OnnxGraph, type OnnxTensor } from '../../../src/formats/onnx.js'
import { loadOnnx } from '../../../src/models/onnx/index.js'
import { constant, graph, node, onnx, value } from '../../helpers/onnx.js'
import { concat, latin1, mutateBytes } from '../mutate.js'
import { interesting, type Random } from '../random.js'
import { runSmall } from '../programs.js'
import { accepted, attempt, defineTarget, expect, type Outcome } from '../target.js'

declare const __SEEDS__: string

/** A field: its key, and its content as bytes or, where bytes with a length can be read so, as fields. */
interface Part {
  readonly number: number
  readonly wire: number
  readonly content: Uint8Array | readonly Part[]
}

const isParts = (content: Part['content']): content is readonly Part[] => Array.isArray(content)

function varint(value: number | bigint): Uint8Array {
  const bytes: number[] = []
  let left = BigInt.asUintN(64, BigInt(value))
  for (; left > 127n; left >>= 7n) bytes.push(Number(left & 127n) | 128)
  return Uint8Array.of(...bytes, Number(left))
}

/** The fields that bytes are; undefined where they are none. */
function partsOf(bytes: Uint8Array, depth = 0): Part[] | undefined {
  const parts: Part[] = []
  let at = 0
  const next = (): number => {
    let value = 0
    for (let scale = 1; at < bytes.length; scale *= 128) {
      const byte = bytes[at++] as number
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
    return Infinity
  }
  while (at < bytes.length) {
    const key = next()
    const [number, wire] = [Math.floor(key / 8), key % 8]
    if (!(number > 0 && number < 100)) return undefined
    let from = at
    if (wire === 0) next()
    else if (wire === 2) {
      const length = next()
      from = at
      at += length
    } else if (wire === 1 || wire === 5) at += wire === 1 ? 8 : 4
    else return undefined
    if (!(at <= bytes.length)) return undefined
    const content = bytes.slice(from, at)
    const inner = wire === 2 && content.length > 1 && depth < 12 ? partsOf(content, depth + 1) : undefined
    parts.push({ number, wire, content: inner ?? content })
  }
  return parts
}

const bytesOf = (parts: readonly Part[]): Uint8Array =>
  concat(
    ...parts.flatMap(({ number, wire, content }) => {
      const bytes = isParts(content) ? bytesOf(content) : content
      return [varint(number * 8 + wire), ...(wire === 2 ? [varint(bytes.length)] : []), bytes]
    }),
  )

/** Numbers of fields that the messages have, and some that they have not. */
const numbers = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 20, 21, 22, 23, 25, 99]
const texts = [
  '',
  'Conv',
  'w',
  '../x',
  '/etc/passwd',
  'location',
  'length',
  'offset',
  '__proto__',
  'ü',
  '\xff',
  '\0',
  '\n',
]

function changedContent({ wire, content }: Part, random: Random): Uint8Array {
  if (wire === 0)
    return varint(random.pick([0n, 1n, 2n ** 63n, 2n ** 64n - 1n, BigInt(Math.trunc(random.pick(interesting)))]))
  if (random.chance(0.3)) return latin1(random.pick(texts))
  if (random.chance(0.2)) return concat(...random.list(random.below(6), () => varint(Math.trunc(random.size()))))
  return mutateBytes(isParts(content) ? bytesOf(content) : content, random)
}

/** The fields with one of them, at any depth, changed. */
function changeParts(parts: readonly Part[], random: Random): readonly Part[] {
  if (parts.length === 0) return [{ number: random.pick(numbers), wire: 0, content: varint(1) }]
  const at = random.below(parts.length)
  const part = parts[at] as Part
  const replace = (...by: readonly Part[]): readonly Part[] => [...parts.slice(0, at), ...by, ...parts.slice(at + 1)]
  if (isParts(part.content) && random.chance(0.75)) {
    return replace({ ...part, content: changeParts(part.content, random) })
  }
  switch (random.below(8)) {
    case 0:
      return replace()
    case 1:
      return replace(...new Array<Part>(random.pick([2, 2, 3, 300])).fill(part))
    case 2:
      return random.shuffled(parts)
    case 3:
      return replace({ ...part, number: random.pick(numbers) })
    case 4:
      return replace({ ...part, wire: random.below(8) })
    case 5: {
      // Within itself, again and again.
      let deep = part
      for (let depth = random.pick([1, 3, 30, 100]); depth > 0; depth--) deep = { ...part, wire: 2, content: [deep] }
      return replace(deep)
    }
    case 6:
      return replace(part, {
        number: random.pick(numbers),
        wire: random.pick([0, 1, 2, 2, 5]),
        content: random.bytes(random.pick([1, 4, 8])),
      })
    default:
      return replace({ ...part, content: changedContent(part, random) })
  }
}

let seeds: { readonly bytes: Uint8Array; readonly parts: readonly Part[] }[] = []

function* tensorsOf({ initializers, nodes }: OnnxGraph): Generator<OnnxTensor> {
  yield* initializers
  for (const { attributes } of nodes) {
    for (const { kind, value } of attributes) {
      if (kind === 'tensor') yield value
      else if (kind === 'tensors') yield* value
      else if (kind === 'graph') yield* tensorsOf(value)
      else if (kind === 'graphs') for (const graph of value) yield* tensorsOf(graph)
    }
  }
}

/** A graph with a convolution, control flow, shapes that are computed and constants of several types. */
function smallModel(): Uint8Array {
  return onnx({
    inputs: [value('x', ['N', 1, 4, 4]), value('which', [], 'bool')],
    outputs: [value('y'), value('s', undefined, 'int64')],
    initializers: [
      constant('w', [2, 1, 3, 3], new Array<number>(18).fill(0.5)),
      constant('b', [2], [1, -1]),
      constant('target', [2], [0n, -1n]),
      constant('v', [8, 3], new Array<number>(24).fill(0.25)),
    ],
    nodes: [
      node('Conv', ['x', 'w', 'b'], ['c'], { pads: [0n, 0n, 0n, 0n], strides: [1n, 1n] }),
      node('Shape', ['c'], ['s']),
      node('Reshape', ['c', 'target'], ['f'], {}, { name: 'flat' }),
      node('MatMul', ['f', 'v'], ['m']),
      node('If', ['which'], ['h'], {
        then_branch: graph({ outputs: [value('t')], nodes: [node('Relu', ['m'], ['t'])] }),
        else_branch: graph({ outputs: [value('e')], nodes: [node('LeakyRelu', ['m'], ['e'], { alpha: 0.5 })] }),
      }),
      node('Softmax', ['h'], ['y'], { axis: 1n }),
    ],
  })
}

/** Loads what can be loaded, runs it where its inputs are small, and gives it back. */
const loadAndRun =
  (most?: number) =>
  (bytes: Uint8Array): Outcome => {
    const program = attempt(() => loadOnnx(bytes, { name: 'x.onnx' }))
    if (!program) {
      expect(!seeds.some((seed) => Buffer.compare(seed.bytes, bytes) === 0), 'a valid model is refused')
      return 'refused'
    }
    try {
      runSmall(program, most)
    } finally {
      program.dispose()
    }
    return accepted(bytes.length)
  }

const seedOf = (bytes: Uint8Array): (typeof seeds)[number] => ({ bytes, parts: partsOf(bytes) ?? [] })

/** The .onnx files of a folder, in the order of their names. */
function seedsIn(folder: string): typeof seeds {
  const names = readdirSync(folder).filter((name) => name.endsWith('.onnx'))
  if (names.length === 0) throw new Error(`the folder ${folder} has no .onnx files`)
  return names.sort().map((name) => seedOf(new Uint8Array(readFileSync(join(folder, name)))))
}

export const onnxPrograms = defineTarget<Uint8Array>({
  about: 'loadOnnx and run: fields at any depth, their lengths and bytes changed',
  cases: 300,
  prepare() {
    seeds = [seedOf(smallModel())]
  },
  make: makeFile,
  check: loadAndRun(),
})

/** Inputs of models for pictures that are run, at most 256 × 256 of one channel. */
const MOST_OF_REAL = 2 ** 16

/** The same of whole models, as others publish them, which the project has not. */
export const onnxReal = defineTarget<Uint8Array>({
  about: 'loadOnnx and run: the models of --models FOLDER, changed in the same ways',
  cases: 0,
  needsModels: true,
  prepare(models) {
    if (models === undefined) throw new Error('onnx-real needs --models FOLDER, with .onnx files')
    seeds = seedsIn(models)
  },
  make: makeFile,
  check: loadAndRun(MOST_OF_REAL),
})

/** One of the seeds, changed. */
function makeFile(random: Random): Uint8Array {
  const seed = random.pick(seeds)
  if (random.chance(0.2)) {
    return mutateBytes(
      seed.bytes,
      random,
      seeds.map(({ bytes }) => bytes),
    )
  }
  let parts = seed.parts
  for (let changes = random.pick([0, 1, 1, 1, 2, 3]); changes > 0; changes--) parts = changeParts(parts, random)
  return bytesOf(parts)
}

export default defineTarget<Uint8Array>({
  about: 'readOnnx, tensorValues, writeOnnx: fields at any depth, their lengths and bytes changed',
  cases: 400,
  readsFiles: true,
  prepare() {
    seeds = seedsIn(join(__SEEDS__, '../../fixtures/onnx'))
  },
  make: makeFile,
  check(bytes) {
    const model = attempt(() => readOnnx(bytes, 'x.onnx'))
    if (!model) {
      expect(!seeds.some((seed) => Buffer.compare(seed.bytes, bytes) === 0), 'a valid model is refused')
      return 'refused'
    }
    const external = { w: bytes, 'x.bin': bytes }
    let size = 0
    for (const tensor of tensorsOf(model.graph)) {
      const read = attempt(() => tensorValues(tensor, external))
      if (!read) continue
      const count = read.dims.includes(0) ? 0 : read.dims.reduce((product, extent) => product * extent, 1)
      expect(count === read.values.length, `${read.values.length} elements in shape (${read.dims.join()})`)
      size += read.values.byteLength
    }
    const again = writeOnnx(model)
    expect(isDeepStrictEqual(readOnnx(again, 'again'), model), 'what was read is another model when it is written')
    return accepted(bytes.length + size)
  },
})
