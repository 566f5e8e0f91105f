/** Parts and outcomes as bytes: safetensors files, whose reader is hardened against files from strangers. */
import { parseJson } from '../formats/json.js'
import { decodeSafetensors, encodeSafetensors, type SafetensorsInput } from '../formats/safetensors.js'
import { ArgumentError, FormatError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { tensor } from '../tensor/create.js'
import { Tensor } from '../tensor/tensor.js'
import type { ExchangePart, PartOutcome } from '../train/options.js'

/** Arrays that targets are given as, by the names of their constructors. */
const arrays = { Float32Array, Float64Array, Int32Array, Uint8Array, BigInt64Array } as const
type ArrayName = keyof typeof arrays

const isArrayName = (name: string): name is ArrayName => Object.hasOwn(arrays, name)

/** What a target is, and its numbers. @throws ArgumentError where it is nothing that can be sent */
function targetOf(target: unknown): readonly [kind: string, input: SafetensorsInput] {
  if (target instanceof Tensor) {
    const { shape, dtype } = target
    if (dtype === 'float32') return ['tensor', { shape, data: (target as Tensor).data() }]
    const data: ArrayLike<number | bigint> = target.data()
    return [`tensor ${dtype}`, { shape, data: BigInt64Array.from(data, BigInt) }]
  }
  if (Array.isArray(target) && target.every((value) => typeof value === 'number')) {
    return ['list', { shape: [target.length], data: Float64Array.from(target) }]
  }
  const kind = (Object(target) as { constructor: { name: string } }).constructor.name
  if (ArrayBuffer.isView(target) && isArrayName(kind)) {
    const data = target as InstanceType<(typeof arrays)[ArrayName]>
    return [kind, { shape: [data.length], data }]
  }
  throw new ArgumentError(`exchange: targets that travel are labels, typed arrays or tensors, given ${inWords(target)}`)
}

/** The inputs and targets of a part. `session` keeps the values of runs apart, so that each run may delete its own. */
export function encodePart({ x, target }: Pick<ExchangePart, 'x' | 'target'>, session: string): Uint8Array {
  const { dtype } = x as { readonly dtype: string }
  if (dtype !== 'float32') {
    throw new ArgumentError(`exchange: the inputs of a part are float32, given a tensor of ${dtype}; cast them before`)
  }
  const [kind, input] = targetOf(target)
  return encodeSafetensors({ x: { shape: x.shape, data: x.data() }, target: input }, { target: kind, session })
}

/** The same again: tensors that belong to the scope around the call. @throws FormatError where it is no part */
export function decodePart(bytes: Uint8Array): { readonly x: Tensor; readonly target: unknown } {
  const { tensors, metadata } = decodeSafetensors(bytes, 'part')
  const [x, given] = [tensors.get('x'), tensors.get('target')]
  const kind = metadata['target'] ?? ''
  if (!(x?.data instanceof Float32Array) || !given) throw new FormatError('part: x and target are missing')
  const input = tensor(x.data, x.shape)
  if (kind === 'list') return { x: input, target: Array.from(given.data as Float64Array) }
  if (kind === 'tensor') return { x: input, target: tensor(given.data as Float32Array, given.shape) }
  if (kind.startsWith('tensor ')) {
    const dtype = kind.slice('tensor '.length) as 'int32'
    return { x: input, target: tensor(given.data as BigInt64Array, given.shape, { dtype }) }
  }
  if (!isArrayName(kind) || !(given.data instanceof arrays[kind])) {
    throw new FormatError(`part: the target is ${inWords(kind)}, which no part has`)
  }
  return { x: input, target: given.data }
}

const flat = (data: Float32Array): SafetensorsInput => ({ shape: [data.length], data })

/** What the parts of a job gave. Numbers stand as text: JSON has no NaN. */
export function encodeOutcomes(outcomes: readonly PartOutcome[], of: string): Uint8Array {
  const tensors: Record<string, SafetensorsInput> = {}
  // The name of the first part keeps two outcomes with the same numbers apart, of which one may be deleted before the other is read.
  const facts: Record<string, string> = { of }
  outcomes.forEach(({ loss, weight, metrics, gradients, buffers, added }, part) => {
    gradients.forEach((data, n) => (tensors[`${part}.gradient.${n}`] = flat(data)))
    buffers.forEach((data, n) => (tensors[`${part}.buffer.${n}`] = flat(data)))
    for (const [name, value] of Object.entries({ loss, weight, added })) {
      if (value !== undefined) facts[`${part}.${name}`] = String(value)
    }
    for (const [name, value] of Object.entries(metrics)) facts[`${part}.metric.${name}`] = String(value)
  })
  return encodeSafetensors(tensors, facts)
}

/** How many numbers the gradients and the statistics of a part have. */
export interface OutcomeSizes {
  readonly gradients: readonly number[]
  readonly buffers: readonly number[]
}

/**
 * The same again, of parts with so many examples: these are what was sent, and not what came back, because they weigh the gradients.
 * @throws FormatError unless there are gradients and statistics of such sizes for these parts
 */
export function decodeOutcomes(bytes: Uint8Array, examples: readonly number[], sizes: OutcomeSizes): PartOutcome[] {
  const { tensors, metadata } = decodeSafetensors(bytes, 'outcome of a part')
  const isAdded = '0.added' in metadata
  return examples.map((count, part) => {
    const added = Number(metadata[`${part}.added`])
    if (isAdded && added !== (part === 0 ? examples.length : 0)) {
      throw new FormatError(`outcome of a part: ${inWords(metadata[`${part}.added`])} are added, of ${examples.length}`)
    }
    const listOf = (kind: string, lengths: readonly number[]): Float32Array[] =>
      lengths.map((length, n) => {
        const data = tensors.get(`${part}.${kind}.${n}`)?.data
        if (data instanceof Float32Array && data.length === length) return data
        throw new FormatError(
          `outcome of a part: ${kind} ${n} must have ${length} numbers, and has ${data?.length ?? 0}`,
        )
      })
    const numberOf = (name: string): number => Number(metadata[`${part}.${name}`])
    const head = `${part}.metric.`
    const names = Object.keys(metadata).filter((name) => name.startsWith(head))
    return {
      examples: count,
      loss: numberOf('loss'),
      ...(`${part}.weight` in metadata ? { weight: numberOf('weight') } : {}),
      metrics: Object.fromEntries(names.map((name) => [name.slice(head.length), Number(metadata[name])])),
      gradients: isAdded && part > 0 ? [] : listOf('gradient', sizes.gradients),
      ...(isAdded ? { added } : {}),
      buffers: listOf('buffer', sizes.buffers),
    }
  })
}

/** Pictures as they lie in files, by name; of one that could not be read, why. */
export interface SentPicture {
  readonly name: string
  readonly bytes?: Uint8Array
  readonly error?: string
}

/**
 * Pictures in one value. `first` is the place of the first one in its list: jobs with the same pictures at different places are
 * different jobs, each with an outcome of its own.
 */
export function encodePictures(pictures: readonly SentPicture[], first = 0): Uint8Array {
  const tensors = Object.fromEntries(
    pictures.map(
      ({ bytes = new Uint8Array() }, n) => [`picture.${n}`, { shape: [bytes.length], data: bytes }] as const,
    ),
  )
  const facts = pictures.map(({ name, error }) => (error === undefined ? { name } : { name, error }))
  return encodeSafetensors(tensors, { pictures: JSON.stringify(facts), first: String(first) })
}

/** The same again. @throws FormatError where it is no such value */
export function decodePictures(bytes: Uint8Array): SentPicture[] {
  const { tensors, metadata } = decodeSafetensors(bytes, 'pictures')
  const facts = parseJson(metadata['pictures'] ?? 'null', 'pictures')
  if (!Array.isArray(facts)) throw new FormatError('pictures: their names are missing')
  return facts.map((fact: unknown, n) => {
    const { name, error } = Object(fact) as Record<string, unknown>
    const data = tensors.get(`picture.${n}`)?.data
    if (typeof name !== 'string' || !(data instanceof Uint8Array)) throw new FormatError(`pictures: ${n} is missing`)
    return typeof error === 'string' ? { name, error } : { name, bytes: data }
  })
}

/**
 * The lines of some pictures in one value. The name of the pictures stands in a line before them, so that the outcomes of two jobs are
 * two values, of which one may be deleted before the other is read.
 */
export const encodeLines = (lines: readonly string[], of: string): Uint8Array =>
  new TextEncoder().encode([of, ...lines].map((line) => `${line}\n`).join(''))

/** The same again. @throws FormatError unless they are as many lines of JSON objects, of these pictures */
export function decodeLines(bytes: Uint8Array, of: string, count: number): string[] {
  const [head, ...lines] = new TextDecoder().decode(bytes).split('\n').slice(0, -1)
  if (head !== of) throw new FormatError('predict: a job gave the lines of other pictures')
  if (lines.length !== count) throw new FormatError(`predict: a job gave ${lines.length} lines for ${count} pictures`)
  for (const line of lines) {
    const found = parseJson(line, 'predict: a line')
    if (Object(found) !== found) throw new FormatError(`predict: a line must be an object, given ${inWords(found)}`)
  }
  return lines
}
