/** A cyclic redundancy check of 32 bits by a reflected polynomial: of the bytes from `begin` to `end`, as an unsigned number. */
function checkBy(polynomial: number): (bytes: Uint8Array, begin?: number, end?: number) => number {
  const table = Uint32Array.from({ length: 256 }, (_, byte) => {
    let remainder = byte
    for (let bit = 0; bit < 8; bit++)
      remainder = (remainder & 1) === 1 ? (remainder >>> 1) ^ polynomial : remainder >>> 1
    return remainder
  })
  return (bytes, begin = 0, end = bytes.length) => {
    let remainder = 0xffffffff
    for (let i = begin; i < end; i++) {
      remainder = (table[(remainder ^ (bytes[i] as number)) & 0xff] as number) ^ (remainder >>> 8)
    }
    return (remainder ^ 0xffffffff) >>> 0
  }
}

/** CRC-32 of gzip and PNG. */
export const crc32 = /* @__PURE__ */ checkBy(0xedb88320)
/** CRC-32C, by Castagnoli's polynomial, of TensorBoard's files. */
export const crc32c = /* @__PURE__ */ checkBy(0x82f63b78)
