import { describe, expect, it } from 'vitest'
import { crc32 } from '../../src/formats/crc32.js'

const ascii = (text: string) => new TextEncoder().encode(text)

describe('crc32', () => {
  it('has the check value of the standard', () => {
    expect(crc32(ascii('123456789'))).toBe(0xcbf43926)
    expect(crc32(new Uint8Array(0))).toBe(0)
  })
})
