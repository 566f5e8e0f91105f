import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Checksum, isChecksumLike, isIntact, seal } from '../../src/formats/checksum.js'

const digest = (...parts: Uint8Array[]): string =>
  parts.reduce((sum, part) => sum.update(part), new Checksum()).digest()

describe('Checksum', () => {
  // Of the reference implementation: mmh3 5.3.0 of PyPI, mmh3_x86_128_digest, as four words.
  it.each([
    ['', '00000000000000000000000000000000'],
    ['a', 'a794933c5556b01b5556b01b5556b01b'],
    ['hello', '2b2444a0db91def79adb31b69adb31b6'],
    ['hello, world', '8b21605cb9b98a1e93273a83eb5957c7'],
    ['0123456789abcdef', 'fb7d440936aed30a48ad1d9b572b3bfd'],
    ['The quick brown fox jumps over the lazy dog', '2f1583c3ecee2c675d7bf66ce5e91d2c'],
    [String.fromCharCode(...Array.from({ length: 1280 }, (_, i) => i & 127)), '05a4c2558dfab229ea44153c0e63b272'],
  ])('is MurmurHash3_x86_128 of %j', (text, expected) => {
    expect(digest(new TextEncoder().encode(text))).toBe(expected)
  })

  it('does not depend on the parts that bytes come in, nor on where they lie', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 6 }), (parts) => {
        const whole = Uint8Array.from(parts.flatMap((part) => [...part]))
        expect(digest(...parts)).toBe(digest(whole))
        const shifted = new Uint8Array(whole.length + 3).subarray(3)
        shifted.set(whole)
        expect(digest(shifted)).toBe(digest(whole))
      }),
    )
  })

  it('changes with the number of zeros at the end', () => {
    const digests = Array.from({ length: 40 }, (_, length) => digest(new Uint8Array(length)))
    expect(new Set(digests).size).toBe(40)
  })
})

describe('a sealed file', () => {
  it('is intact, until a bit of it flips', () => {
    for (const at of [0, 5, 16, 37]) {
      const bytes = Uint8Array.from({ length: 70 }, (_, i) => i * 37)
      seal(bytes, at)
      expect(isIntact(bytes, at)).toBe(true)
      for (let bit = 0; bit < 8 * bytes.length; bit++) {
        bytes[bit >> 3] = bytes[bit >> 3]! ^ (1 << (bit & 7))
        expect(isIntact(bytes, at)).toBe(false)
        bytes[bit >> 3] = bytes[bit >> 3]! ^ (1 << (bit & 7))
      }
    }
  })

  it('is told by what is left of its checksum', () => {
    const digits = '0123456789abcdef'.repeat(2)
    expect(isChecksumLike(`toeplitz-murmur3:${digits}`)).toBe(true)
    expect(isChecksumLike('toeplitz-murmur3:')).toBe(true)
    expect(isChecksumLike(`toeplits-murmur3:${digits}`)).toBe(true)
    expect(isChecksumLike(`toeplits-murmur3:${digits.slice(1)}`)).toBe(false)
    expect(isChecksumLike(digits)).toBe(false)
  })
})
