/** Event files, read back by the rules of TFRecord and protobuf that their documentation states. */
import { describe, expect, it } from 'vitest'
import { crc32, crc32c } from '../../src/formats/crc32.js'
import { encodeEvent, eventsHead } from '../../src/formats/tfevents.js'
import { recordsOf, scalarsOf } from '../helpers/tfevents.js'

describe('the checks', () => {
  // RFC 3720, B.4, and the check values of the catalogue of CRC algorithms.
  it.each([
    [crc32, '123456789', 0xcbf43926],
    [crc32c, '123456789', 0xe3069283],
    [crc32c, '\0'.repeat(32), 0x8a9136aa],
  ])('are those of the standards', (check, text, value) => {
    expect(check(new TextEncoder().encode(text))).toBe(value)
    expect(check(new TextEncoder().encode(`ab${text}c`), 2, 2 + text.length)).toBe(value)
  })
})

describe('an event file', () => {
  it('begins with its version', () => {
    const [head] = recordsOf(eventsHead(12.5))
    expect([...head!]).toEqual([9, 0, 0, 0, 0, 0, 0, 41, 64, 26, 13, ...new TextEncoder().encode('brain.Event:2')])
  })

  it('holds scalars by name, of any step and length', () => {
    const scalars = { loss: 0.5, 'accuracy/validation': NaN, [`a${'x'.repeat(300)}`]: -Infinity, Größe: 3e38 }
    for (const step of [0, 1, 127, 128, 300, 2 ** 31, 2 ** 40 + 7]) {
      const bytes = Buffer.concat([eventsHead(1), encodeEvent({ time: 1.75e9, step, scalars })])
      const [, event] = recordsOf(bytes)
      const read = scalarsOf(event!)
      expect(read).toEqual({ time: 1.75e9, step, scalars: { ...scalars, Größe: Math.fround(3e38) } })
    }
    expect(scalarsOf(recordsOf(encodeEvent({ time: 0, step: 3, scalars: {} }))[0]!)).toEqual({
      time: 0,
      step: 3,
      scalars: {},
    })
  })

  it('is damaged by any flipped bit', () => {
    const bytes = encodeEvent({ time: 1, step: 2, scalars: { loss: 1 } })
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const damaged = bytes.slice()
      damaged[bit >> 3]! ^= 1 << (bit & 7)
      expect(() => recordsOf(damaged)).toThrow()
    }
  })
})
