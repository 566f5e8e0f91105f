const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte
  for (let bit = 0; bit < 8; bit++) remainder = (remainder & 1) === 1 ? (remainder >>> 1) ^ 0xedb88320 : remainder >>> 1
  return remainder
})

/** CRC-32 of gzip and PNG (polynomial 0xedb88320, reflected) of the bytes from `begin` to `end`, as an unsigned number. */
export function crc32(bytes: Uint8Array, begin = 0, end = bytes.length): number {
  let remainder = 0xffffffff
  for (let i = begin; i < end; i++) {
    remainder = (crcTable[(remainder ^ (bytes[i] as number)) & 0xff] as number) ^ (remainder >>> 8)
  }
  return (remainder ^ 0xffffffff) >>> 0
}
