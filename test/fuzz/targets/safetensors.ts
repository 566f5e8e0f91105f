/** Safetensors files: headers changed as JSON with their length repaired, offsets, types and shapes that do not fit. */
import { decodeSafetensors, encodeSafetensors } from '../../../src/formats/safetensors.js'
import { concat, latin1, mutateBytes, mutateJson, oddJsonText, textBytes, viewOf, type Json } from '../mutate.js'
import type { Random } from '../random.js'
import { accepted, attempt, defineTarget, expect, type Outcome } from '../target.js'

const widths: Readonly<Record<string, number>> = {
  ...{ F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, U64: 8, I32: 4, U32: 4, I16: 2, U16: 2, I8: 1, U8: 1, BOOL: 1 },
}

/** A file of this header and these data. */
export function safetensorsOf(header: string, data: Uint8Array, claimed?: number): Uint8Array {
  const text = textBytes(header)
  const length = new Uint8Array(8)
  viewOf(length).setBigUint64(0, BigInt.asUintN(64, BigInt(Math.trunc(claimed ?? text.length))), true)
  return concat(length, text, data)
}

/** Header and data of a file that is well formed. */
export function splitSafetensors(bytes: Uint8Array): { header: { [key: string]: Json }; data: Uint8Array } {
  const length = Number(viewOf(bytes).getBigUint64(0, true))
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as { [key: string]: Json }
  return { header, data: bytes.slice(8 + length) }
}

const SEAL = 'toeplitz-checksum'
const MARK = 'toeplitz-murmur3:'
/** How a header with a checksum begins. */
const SEALED = `{"__metadata__":{"${SEAL}":"${MARK}`
const DIGITS = 32

/** Whether a file carries a checksum over all of its bytes. */
export const isSealed = (bytes: Uint8Array): boolean =>
  Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 100)).indexOf(SEALED) === 8

/** MurmurHash3_x86_128 with the seed 0, by its published definition. */
function murmur3(bytes: Uint8Array): string {
  const multiply = (a: number, b: number): number => Math.imul(a, b) >>> 0
  const turn = (word: number, by: number): number => ((word << by) | (word >>> (32 - by))) >>> 0
  const plus = (a: number, b: number): number => (a + b) >>> 0
  const constants = [0x239b961b, 0xab0e9789, 0x38b34ae5, 0xa1e38b93]
  const h = [0, 0, 0, 0] as [number, number, number, number]
  const mixed = (word: number, lane: number): number =>
    multiply(turn(multiply(word, constants[lane] as number), 15 + lane), constants[(lane + 1) % 4] as number)
  const padded = concat(bytes, new Uint8Array((16 - (bytes.length % 16)) % 16))
  const view = viewOf(padded)
  for (let at = 0; at < padded.length; at += 16) {
    const whole = at + 16 <= bytes.length
    for (let lane = 0; lane < 4; lane++) {
      h[lane] = (h[lane] as number) ^ mixed(view.getUint32(at + 4 * lane, true), lane)
      if (!whole) continue
      const turned = turn((h[lane] as number) >>> 0, [19, 17, 15, 13][lane] as number)
      const added = plus(turned, h[(lane + 1) % 4] as number)
      h[lane] = plus(multiply(added, 5), [0x561ccd1b, 0x0bcaa747, 0x96cd1c35, 0x32ac3b17][lane] as number)
    }
  }
  const spread = (words: number[]): number[] => {
    const first = words.reduce(plus)
    return [first, ...words.slice(1).map((word) => plus(word, first))]
  }
  const finished = (word: number): number => {
    const once = multiply(word ^ (word >>> 16), 0x85ebca6b)
    const twice = multiply(once ^ (once >>> 13), 0xc2b2ae35)
    return (twice ^ (twice >>> 16)) >>> 0
  }
  return spread(spread(h.map((word) => (word ^ bytes.length) >>> 0)).map(finished))
    .map((word) => word.toString(16).padStart(8, '0'))
    .join('')
}

const sealOf = (bytes: Uint8Array): string =>
  murmur3(concat(bytes.subarray(0, 8 + SEALED.length), bytes.subarray(8 + SEALED.length + DIGITS)))

/** Whether the checksum that a file carries is that of its bytes. */
export const sealFits = (bytes: Uint8Array): boolean =>
  Buffer.from(bytes).toString('latin1', 8 + SEALED.length, 8 + SEALED.length + DIGITS) === sealOf(bytes)

/** The same header and data with a checksum that fits, as of one who forges it. */
export function sealed(bytes: Uint8Array): Uint8Array {
  const open = withoutSeal(bytes)
  const { header, data } = splitSafetensors(open)
  const { __metadata__: metadata, ...tensors } = header
  // By hand, since JavaScript puts names that are whole numbers first.
  const rest = (members: object | undefined): string =>
    members && Object.keys(members).length > 0 ? `,${JSON.stringify(members).slice(1, -1)}` : ''
  const texts = `${SEALED}${'0'.repeat(DIGITS)}"${rest(metadata as object | undefined)}}`
  const file = safetensorsOf(`${texts}${rest(tensors)}}`, data)
  file.set(latin1(sealOf(file)), 8 + SEALED.length)
  return file
}

/** The same file as of a writer that does not know of the checksum. */
export function withoutSeal(bytes: Uint8Array): Uint8Array {
  const { header, data } = splitSafetensors(bytes)
  const metadata = header['__metadata__'] as { [key: string]: Json } | undefined
  const rest = Object.fromEntries(Object.entries(metadata ?? {}).filter(([key]) => key !== SEAL))
  return safetensorsOf(JSON.stringify({ ...header, ...(metadata ? { __metadata__: rest } : {}) }), data)
}

/** The file with its header, its data, or anything in it changed. */
export function mutateSafetensors(
  bytes: Uint8Array,
  random: Random,
  changeHeader: (header: Json, random: Random) => Json = mutateJson,
): Uint8Array {
  const { header, data } = splitSafetensors(bytes)
  switch (random.below(10)) {
    case 0:
      return mutateBytes(bytes, random)
    case 1:
      return safetensorsOf(JSON.stringify(header), mutateBytes(data, random))
    case 2:
      return safetensorsOf(oddJsonText(header, random), data)
    case 3:
      return safetensorsOf(JSON.stringify(header), data, random.size())
    default:
      return safetensorsOf(JSON.stringify(changeHeader(header, random)), data)
  }
}

/** The file with a checksum that fits, where it still has a header. */
export function resealed(bytes: Uint8Array): Uint8Array {
  try {
    return sealed(bytes)
  } catch {
    return bytes
  }
}

function validFile(random: Random): Uint8Array {
  const header: { [key: string]: Json } = {}
  if (random.chance(0.5)) header['__metadata__'] = { format: 'pt', 'a key': 'ü \u0000 \\"' }
  let end = 0
  for (let n = random.below(5); n > 0; n--) {
    const dtype = random.pick(Object.keys(widths))
    const shape = random.list(random.below(4), () => random.pick([0, 1, 2, 3, 5]))
    const begin = end
    end += shape.reduce((size, extent) => size * extent, widths[dtype] as number)
    header[random.pick(['weight', 'conv.bias', '0', '7', '__proto__x', 'ü']) + String(n)] = {
      dtype,
      shape,
      data_offsets: [begin, end],
    }
  }
  return safetensorsOf(JSON.stringify(header), random.bytes(end))
}

/** That the tensors are those bytes of the file which the header names, whatever it is that reads them. */
function check(bytes: Uint8Array): Outcome {
  const file = attempt(() => decodeSafetensors(bytes, 'x.safetensors'))
  if (!file) return 'refused'
  expect(!isSealed(bytes) || sealFits(bytes), 'a file that its checksum does not fit is accepted')
  const { header, data } = splitSafetensors(bytes)
  let total = 0
  for (const [name, { dtype, shape, data: values }] of file.tensors) {
    const entry = header[name] as { dtype: string; shape: number[]; data_offsets: [number, number] }
    const [begin, end] = entry.data_offsets
    const count = shape.reduce((size, extent) => size * extent, 1)
    expect(count === values.length, `${values.length} elements in shape (${shape.join()})`)
    expect(end - begin === count * (widths[dtype] as number), `${end - begin} bytes for ${count} of ${dtype}`)
    if (!['F16', 'BF16'].includes(dtype)) {
      const read = Buffer.from(values.buffer, values.byteOffset, values.byteLength)
      expect(read.compare(data.subarray(begin, end)) === 0, `tensor ${name} has other bytes`)
    }
    total += end - begin
  }
  expect(total === data.length, `${total} of ${data.length} bytes are covered`)
  const writable = [...file.tensors].every(([, { dtype }]) => ['F32', 'F64', 'I32', 'U8', 'I64'].includes(dtype))
  if (writable) {
    const again = attempt(() => encodeSafetensors(Object.fromEntries(file.tensors) as never, file.metadata))
    const second = again && decodeSafetensors(again, 'again')
    expect(second?.tensors.size === file.tensors.size, 'what was read cannot be written and read again')
  }
  return accepted(data.length)
}

export default defineTarget<Uint8Array>({
  about: 'decodeSafetensors: header as JSON, its length, offsets, types, data and bytes changed',
  cases: 400,
  readsFiles: true,
  make(random) {
    const valid = validFile(random)
    const file = random.chance(0.2) ? sealed(valid) : valid
    if (random.chance(0.1)) return file
    const changed = mutateSafetensors(file, random)
    return random.chance(0.1) ? resealed(changed) : changed
  },
  check,
})
