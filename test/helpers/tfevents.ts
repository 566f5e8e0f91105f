/** Reads event files as their documentation states them, bit by bit and without the tables of what writes them. */

/** CRC-32C by long division, one bit at a time. */
function castagnoli(bytes: Uint8Array): number {
  let remainder = 0xffffffff
  for (const byte of bytes) {
    for (let bit = 0; bit < 8; bit++) {
      const low = (remainder ^ (byte >> bit)) & 1
      remainder = (remainder >>> 1) ^ (low ? 0x82f63b78 : 0)
    }
  }
  return ~remainder >>> 0
}

const masked = (bytes: Uint8Array): number => {
  const check = castagnoli(bytes)
  return (((check >>> 15) | (check << 17)) + 0xa282ead8) >>> 0
}

/** The records of a file. Throws where a check does not match or bytes are missing. */
export function recordsOf(bytes: Uint8Array): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const records = []
  let at = 0
  while (at < bytes.length) {
    const length = Number(view.getBigUint64(at, true))
    if (view.getUint32(at + 8, true) !== masked(bytes.subarray(at, at + 8))) throw new Error('the length is damaged')
    const record = bytes.subarray(at + 12, at + 12 + length)
    if (view.getUint32(at + 12 + length, true) !== masked(record)) throw new Error('the record is damaged')
    records.push(record)
    at += 16 + length
  }
  return records
}

/** The fields of a message: numbers, and bytes of parts. */
function* fieldsOf(bytes: Uint8Array): Generator<[number: number, value: bigint | number | Uint8Array]> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = view.getUint8(at++)
      value |= BigInt(byte & 127) << shift
      if (byte < 128) return value
    }
  }
  while (at < bytes.length) {
    const key = Number(varint())
    const [number, wire] = [key >> 3, key & 7]
    if (wire === 0) yield [number, varint()]
    else if (wire === 1) yield [number, view.getFloat64((at += 8) - 8, true)]
    else if (wire === 5) yield [number, view.getFloat32((at += 4) - 4, true)]
    else {
      const length = Number(varint())
      yield [number, bytes.subarray(at, (at += length))]
    }
  }
}

/** An event of scalars. */
export function scalarsOf(event: Uint8Array): { time: number; step: number; scalars: Record<string, number> } {
  const fields = new Map(fieldsOf(event))
  const scalars: Record<string, number> = {}
  for (const [, value] of fieldsOf(fields.get(5) as Uint8Array)) {
    const parts = new Map(fieldsOf(value as Uint8Array))
    scalars[new TextDecoder().decode(parts.get(1) as Uint8Array)] = parts.get(2) as number
  }
  return { time: fields.get(1) as number, step: Number(fields.get(2) ?? 0n), scalars }
}
