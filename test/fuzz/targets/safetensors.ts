/** Safetensors files: headers changed as JSON with their length repaired, offsets, types and shapes that do not fit. */
import { checksumMark, isIntact, seal, unsealedChecksum } from '../../../src/io/checksum.js'
import { decodeSafetensors, encodeSafetensors } from '../../../src/io/safetensors.js'
import { concat, mutateBytes, mutateJson, oddJsonText, textBytes, viewOf, type Json } from '../mutate.js'
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

/** Whether a file carries a checksum over all of its bytes. */
export const isSealed = (bytes: Uint8Array): boolean =>
  Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 100)).includes(`{"__metadata__":{"${SEAL}":"`)

/** The same file as of a writer that does not know of the checksum. */
export function withoutSeal(bytes: Uint8Array): Uint8Array {
  const { header, data } = splitSafetensors(bytes)
  const metadata = header['__metadata__'] as { [key: string]: Json } | undefined
  const rest = Object.fromEntries(Object.entries(metadata ?? {}).filter(([key]) => key !== SEAL))
  return safetensorsOf(JSON.stringify({ ...header, ...(metadata ? { __metadata__: rest } : {}) }), data)
}

/** Where the digits of the checksum begin. */
const SEALED = 8 + `{"__metadata__":{"${SEAL}":"${checksumMark}`.length

/** Whether a file carries a checksum that is right. */
export const isRightlySealed = (bytes: Uint8Array): boolean => isSealed(bytes) && isIntact(bytes, SEALED)

/** The same file with a checksum that is right, where its header is an object: changed by one who knows of it. */
export function withSeal(bytes: Uint8Array): Uint8Array {
  try {
    const { header, data } = splitSafetensors(withoutSeal(bytes))
    const { __metadata__: metadata = {}, ...tensors } = header
    const sealed = { __metadata__: { [SEAL]: unsealedChecksum, ...(metadata as { [key: string]: Json }) }, ...tensors }
    const file = safetensorsOf(JSON.stringify(sealed), data)
    seal(file, SEALED)
    return file
  } catch {
    return bytes
  }
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

function validFile(random: Random): Uint8Array {
  const header: { [key: string]: Json } = {}
  if (random.chance(0.5)) header['__metadata__'] = { format: 'pt', 'a key': 'ü \u0000 \\"' }
  let end = 0
  for (let n = random.below(5); n > 0; n--) {
    const dtype = random.pick(Object.keys(widths))
    const shape = random.list(random.below(4), () => random.pick([0, 1, 2, 3, 5]))
    const begin = end
    end += shape.reduce((size, extent) => size * extent, widths[dtype] as number)
    header[random.pick(['weight', 'conv.bias', '0', '7', '__proto__x', 'ü']) + String(n)] = { dtype, shape, data_offsets: [begin, end] }
  }
  return safetensorsOf(JSON.stringify(header), random.bytes(end))
}

/** That the tensors are those bytes of the file which the header names, whatever it is that reads them. */
function check(bytes: Uint8Array): Outcome {
  const file = attempt(() => decodeSafetensors(bytes, 'x.safetensors'))
  if (!file) return 'refused'
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
  cases: 600,
  readsFiles: true,
  make(random) {
    const file = validFile(random)
    return random.chance(0.1) ? file : mutateSafetensors(file, random)
  },
  check,
})
