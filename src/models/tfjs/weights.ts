/**
 * The weights of a model.json. `weightsManifest` is a list of groups. The files (shards) of a group, one behind the other, are the
 * bytes of its weights in their order, little endian; a weight may begin in one file and end in the next. A quantized weight is
 * q · scale + min of bytes or 16-bit numbers, or holds halves (float16).
 */
import { elementsOf, floatsOfHalves, type ArrayType } from '../../formats/elements.js'
import { formatOf } from '../../formats/formats.js'
import { fileBytes, type FileBytes } from '../../formats/limits.js'
import { FormatError, ToeplitzError, UnsupportedError } from '../../runtime/errors.js'
import { inWords } from '../../runtime/text.js'
import type { DType } from '../../tensor/dtype.js'
import { sizeOf } from '../../tensor/shape.js'
import { extentsOf, listOf, member, numberOf, objectOf, textOf } from './json.js'

/** Reads a file that the model names. */
export type ReadShard = (path: string) => FileBytes | Promise<FileBytes>

/** Types that weights have once they are read. */
export type WeightType = Extract<DType, 'float32' | 'int32' | 'bool'>

/** How bytes become numbers. */
interface Quantization {
  readonly kind: 'uint8' | 'uint16' | 'float16'
  readonly scale: number
  readonly min: number
}

/** A weight as the manifest describes it. */
export interface WeightEntry {
  readonly name: string
  readonly shape: readonly number[]
  readonly dtype: WeightType
  readonly quantization: Quantization | undefined
  /** Where its bytes lie in its group. */
  readonly begin: number
  readonly end: number
  readonly group: Group
}

/** Weights whose bytes lie in the same files. */
interface Group {
  readonly paths: readonly string[]
  /** Bytes of all of its weights. */
  bytes: number
  /** The files' bytes, once they are read. */
  shards: readonly Uint8Array[]
}

/** Values of a weight as JavaScript has them. */
export type WeightValues = Float32Array | Int32Array | Uint8Array

const bytesOfType: Readonly<Record<WeightType, number>> = { float32: 4, int32: 4, bool: 1 }
const bytesOfKind: Readonly<Record<Quantization['kind'], number>> = { uint8: 1, uint16: 2, float16: 2 }

function quantizationOf(value: unknown, dtype: WeightType, what: string): Quantization | undefined {
  if (value === undefined || value === null) return undefined
  const fields = objectOf(value, `${what}: quantization`)
  const kind = textOf(member(fields, 'dtype'), `${what}: quantization.dtype`)
  if (!Object.hasOwn(bytesOfKind, kind))
    throw new UnsupportedError(
      `${what} is quantized as ${inWords(kind)}; supported are ${Object.keys(bytesOfKind).join(', ')}`,
    )
  if (dtype === 'bool' || (dtype === 'int32' && kind === 'float16'))
    throw new UnsupportedError(`${what} is of ${dtype} and quantized as ${kind}, which is not supported`)
  if (kind === 'float16') return { kind, scale: 1, min: 0 }
  return {
    kind: kind as Quantization['kind'],
    scale: numberOf(member(fields, 'scale'), `${what}: quantization.scale`),
    min: numberOf(member(fields, 'min'), `${what}: quantization.min`),
  }
}

/** The weights of a file and the bytes that they are read from. */
export class Weights {
  readonly entries = new Map<string, WeightEntry>()
  readonly #groups: Group[] = []
  readonly #decoded = new Map<string, WeightValues>()

  /** @throws FormatError, UnsupportedError */
  constructor(manifest: unknown) {
    listOf(manifest ?? [], 'weightsManifest').forEach((given, index) => {
      const what = `weightsManifest[${index}]`
      const fields = objectOf(given, what)
      const paths = listOf(member(fields, 'paths'), `${what}: paths`).map((path) => textOf(path, `${what}: a path`))
      const group: Group = { paths, bytes: 0, shards: [] }
      this.#groups.push(group)
      for (const weight of listOf(member(fields, 'weights'), `${what}: weights`)) this.#add(weight, group, what)
    })
  }

  #add(given: unknown, group: Group, where: string): void {
    const fields = objectOf(given, `${where}: a weight`)
    const name = textOf(member(fields, 'name'), `${where}: the name of a weight`)
    const what = `the weight ${inWords(name)}`
    if (this.entries.has(name)) throw new FormatError(`two weights are called ${inWords(name)}`)
    const dtype = textOf(member(fields, 'dtype'), `${what}: dtype`)
    if (!Object.hasOwn(bytesOfType, dtype)) {
      throw new UnsupportedError(
        `${what} is of ${inWords(dtype)}; supported are ${Object.keys(bytesOfType).join(', ')}`,
      )
    }
    const type = dtype as WeightType
    const shape = extentsOf(member(fields, 'shape'), `${what}: shape`)
    const quantization = quantizationOf(member(fields, 'quantization'), type, what)
    const begin = group.bytes
    group.bytes += sizeOf(shape) * (quantization ? bytesOfKind[quantization.kind] : bytesOfType[type])
    if (!Number.isSafeInteger(group.bytes)) throw new FormatError(`${what} has more elements than any file`)
    this.entries.set(name, { name, shape, dtype: type, quantization, begin, end: group.bytes, group })
  }

  /** Reads the files of every group. @throws FormatError when one is missing, or a group has fewer or more bytes than its weights */
  async read(read: ReadShard): Promise<void> {
    for (const group of this.#groups) {
      group.shards = await Promise.all(group.paths.map((path) => shardOf(read, path)))
      const given = group.shards.reduce((sum, { length }) => sum + length, 0)
      if (given === group.bytes) continue
      const odd = group.shards.findIndex((bytes) => formatOf(bytes) !== undefined)
      const files = group.paths.map(inWords).join(', ') || 'no file'
      const reason =
        odd < 0 || given > group.bytes
          ? 'a file is cut short, or of another model'
          : `${inWords(group.paths[odd])} is ${formatOf(group.shards[odd] as Uint8Array)}`
      throw new FormatError(`${files}: ${given} bytes for weights of ${group.bytes}; ${reason}`)
    }
  }

  /** The numbers of a weight, whose files have been read. */
  values(name: string): WeightValues {
    const known = this.#decoded.get(name)
    if (known) return known
    const values = decoded(this.entries.get(name) as WeightEntry)
    // Axes, shapes and the like are asked for again and again; large weights once.
    if (values.length <= MOST_KEPT) this.#decoded.set(name, values)
    return values
  }

  /** Lets go of the files. */
  close(): void {
    for (const group of this.#groups) group.shards = []
    this.#decoded.clear()
  }
}

/** Elements of a weight that is kept decoded, at most. */
const MOST_KEPT = 256

async function shardOf(read: ReadShard, path: string): Promise<Uint8Array> {
  let bytes: unknown
  try {
    bytes = await read(path)
  } catch (error) {
    if (error instanceof ToeplitzError) throw error
    const reason = error instanceof Error ? error.message : inWords(error)
    throw new FormatError(`${inWords(path)} could not be read (${reason})`, { cause: error })
  }
  return fileBytes(bytes as FileBytes, inWords(path))
}

/** The bytes of a weight: in their place where they lie in one file. */
function bytesOf({ group, begin, end }: WeightEntry): Uint8Array {
  const parts: Uint8Array[] = []
  let at = 0
  for (const shard of group.shards) {
    const [from, to] = [Math.max(begin - at, 0), Math.min(end - at, shard.length)]
    if (from < to) parts.push(shard.subarray(from, to))
    at += shard.length
  }
  if (parts.length === 1) return parts[0] as Uint8Array
  const whole = new Uint8Array(end - begin)
  let to = 0
  for (const part of parts) {
    whole.set(part, to)
    to += part.length
  }
  return whole
}

const elements = <A>(bytes: Uint8Array, elementBytes: number, View: ArrayType<A>): A =>
  elementsOf(bytes, elementBytes, View)

function decoded(entry: WeightEntry): WeightValues {
  const bytes = bytesOf(entry)
  const { dtype, quantization } = entry
  if (quantization) {
    const { kind, scale, min } = quantization
    if (kind === 'float16') return floatsOfHalves(elements(bytes, 2, Uint16Array))
    const stored = kind === 'uint8' ? bytes : elements(bytes, 2, Uint16Array)
    return dtype === 'int32'
      ? Int32Array.from(stored, (value) => Math.round(value * scale + min))
      : Float32Array.from(stored, (value) => value * scale + min)
  }
  if (dtype === 'bool') return bytes.map((value) => Number(value !== 0))
  return dtype === 'int32' ? elements(bytes, 4, Int32Array) : elements(bytes, 4, Float32Array)
}
