/**
 * Checksums in files that this package writes, so that a damaged file is refused instead of used.
 *
 * The checksum is MurmurHash3_x86_128 (Austin Appleby, 2011; public domain) with the seed 0, of all bytes of a file except
 * its own 32 hexadecimal digits. Each step of it is a bijection of its state and of the 16 bytes that it reads. Damage
 * within 16 aligned bytes, above all a single flipped bit, is therefore always found; other damage is missed with a
 * probability of 2^-128. It protects against faults and not against forgers, who could write a new checksum as well as
 * we can, so that a cryptographic hash, which is slower and longer, would add nothing.
 */

/** Hexadecimal digits of a checksum. */
const DIGITS = 32
const BLOCK_BYTES = 16

/** Stands before the digits. */
export const checksumMark = 'toeplitz-murmur3:'

/** The mark, and as many zeros as there will be digits. */
export const unsealedChecksum = 'toeplitz-murmur3:00000000000000000000000000000000'

const rotate = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits))

const scramble = (word: number, first: number, bits: number, second: number): number =>
  Math.imul(rotate(Math.imul(word, first), bits), second)

/** Makes every bit of the result depend on every bit of the word. */
function finish(word: number): number {
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b)
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35)
  return word ^ (word >>> 16)
}

/** The checksum of bytes that are given in parts of any length. */
export class Checksum {
  #state: readonly [number, number, number, number] = [0, 0, 0, 0]
  /** The last bytes given, where they are less than a block; zeros after them. */
  readonly #rest = new Uint8Array(BLOCK_BYTES)
  #length = 0

  /** Adds bytes to those given before. */
  update(bytes: Uint8Array): this {
    const kept = this.#length % BLOCK_BYTES
    this.#length += bytes.length
    let position = 0
    if (kept > 0) {
      position = Math.min(BLOCK_BYTES - kept, bytes.length)
      this.#rest.set(bytes.subarray(0, position), kept)
      if (kept + position < BLOCK_BYTES) return this
      this.#mix(this.#rest)
    }
    const end = bytes.length - ((bytes.length - position) % BLOCK_BYTES)
    this.#mix(bytes.subarray(position, end))
    this.#rest.fill(0).set(bytes.subarray(end))
    return this
  }

  /** Whole blocks. */
  #mix(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    let [a, b, c, d] = this.#state
    for (let i = 0; i < bytes.length; i += BLOCK_BYTES) {
      a ^= scramble(view.getUint32(i, true), 0x239b961b, 15, 0xab0e9789)
      a = (Math.imul((rotate(a, 19) + b) | 0, 5) + 0x561ccd1b) | 0
      b ^= scramble(view.getUint32(i + 4, true), 0xab0e9789, 16, 0x38b34ae5)
      b = (Math.imul((rotate(b, 17) + c) | 0, 5) + 0x0bcaa747) | 0
      c ^= scramble(view.getUint32(i + 8, true), 0x38b34ae5, 17, 0xa1e38b93)
      c = (Math.imul((rotate(c, 15) + d) | 0, 5) + 0x96cd1c35) | 0
      d ^= scramble(view.getUint32(i + 12, true), 0xa1e38b93, 18, 0x239b961b)
      d = (Math.imul((rotate(d, 13) + a) | 0, 5) + 0x32ac3b17) | 0
    }
    this.#state = [a, b, c, d]
  }

  /** 32 hexadecimal digits for all bytes given so far. */
  digest(): string {
    const rest = new DataView(this.#rest.buffer)
    // A word of zeros changes nothing, so that what is missing of a block needs no rule of its own.
    const tail = this.#length % BLOCK_BYTES > 0 ? rest : new DataView(new ArrayBuffer(BLOCK_BYTES))
    let [a, b, c, d] = this.#state
    a ^= scramble(tail.getUint32(0, true), 0x239b961b, 15, 0xab0e9789)
    b ^= scramble(tail.getUint32(4, true), 0xab0e9789, 16, 0x38b34ae5)
    c ^= scramble(tail.getUint32(8, true), 0x38b34ae5, 17, 0xa1e38b93)
    d ^= scramble(tail.getUint32(12, true), 0xa1e38b93, 18, 0x239b961b)
    // The length counts modulo 2^32.
    const length = this.#length | 0
    const spread = (words: readonly [number, number, number, number]): [number, number, number, number] => {
      const sum = (words[0] + words[1] + words[2] + words[3]) | 0
      return [sum, (words[1] + sum) | 0, (words[2] + sum) | 0, (words[3] + sum) | 0]
    }
    const [p, q, r, s] = spread([a ^ length, b ^ length, c ^ length, d ^ length])
    return spread([finish(p), finish(q), finish(r), finish(s)])
      .map((word) => (word >>> 0).toString(16).padStart(8, '0'))
      .join('')
  }
}

/** The checksum of all bytes but the digits at `at`. */
const digestAround = (bytes: Uint8Array, at: number): string =>
  new Checksum()
    .update(bytes.subarray(0, at))
    .update(bytes.subarray(at + DIGITS))
    .digest()

/** Writes the checksum of a file into it, at the place of its digits. */
export function seal(bytes: Uint8Array, at: number): void {
  const digits = digestAround(bytes, at)
  for (let i = 0; i < DIGITS; i++) bytes[at + i] = digits.charCodeAt(i)
}

/** Whether the digits at `at` are the checksum of the file that they stand in. */
export function isIntact(bytes: Uint8Array, at: number): boolean {
  const digits = digestAround(bytes, at)
  for (let i = 0; i < DIGITS; i++) if (bytes[at + i] !== digits.charCodeAt(i)) return false
  return true
}

/**
 * Whether a text is a checksum, or has its beginning or its digits. A file whose key for the checksum is damaged, and with
 * it maybe a part of the checksum, is then not taken for one without a checksum.
 */
export const isChecksumLike = (text: string): boolean =>
  text.startsWith(checksumMark) || (text.length === unsealedChecksum.length && /[0-9a-f]{32}$/.test(text))
