/** Text from strangers, as it may be shown. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FormatError, isOutOfMemory, OutOfMemoryError, ToeplitzError } from '../../src/runtime/errors.js'
import { visible, visibleJson } from '../../src/runtime/text.js'

/** What no terminal, log or table may get: said anew here, by Unicode's own names for it. */
const forbidden = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Cs}\u2060-\u206f\ufeff]/u

/** Any code units, and often those that matter. */
const anyText = fc.string({
  unit: fc.oneof(
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    fc.constantFrom(
      ...Array.from('\0\t\n\r\u001b\u007f\u0085\u009b\u061c\u200e\u202e\u2066\u2028\u2029\ud800\udcff\ufeff\u{e0041}'),
    ),
  ),
})

describe('visible', () => {
  it('writes an escape for what could not be seen or would do something', () => {
    expect(visible('a\n\r\t\0\u001b[2J\u007f')).toBe('a\\n\\r\\t\\x00\\x1b[2J\\x7f')
    expect(visible('\u0085\u009b31m')).toBe('\\u0085\\u009b31m')
    expect(visible('\u202egpj.exe\u2069\u2028\u2029\u200f\u061c\ufeff')).toBe(
      '\\u202egpj.exe\\u2069\\u2028\\u2029\\u200f\\u061c\\ufeff',
    )
    expect(visible('\ud800 \udce9 \u{e0041}')).toBe('\\ud800 \\xe9 \\u{e0041}')
  })

  it('leaves every script and emoji as it is', () => {
    const texts = ['Größe ✓ 猫 кот חתול قطة बिल्ली', '👩‍👩‍👧‍👦 🏳️‍🌈', 'نمی‌خواهم', '~!"#$%&\'()*+,-./\\[]{}|']
    for (const text of texts) expect(visible(text)).toBe(text)
  })

  it('gives one line without anything hidden, whatever it is given', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(visible(text)).not.toMatch(forbidden)
        expect(visible(visible(text))).toBe(visible(text))
      }),
      { numRuns: 2000 },
    )
  })
})

describe('visibleJson', () => {
  it('is the same value, with nothing hidden in any line', () => {
    fc.assert(
      fc.property(fc.dictionary(anyText, fc.array(anyText, { maxLength: 3 })), (value) => {
        const text = visibleJson({ value })
        // As data, not by toEqual: a key may be called __proto__.
        expect(JSON.stringify(JSON.parse(text))).toBe(JSON.stringify({ value }))
        for (const line of text.split('\n')) expect(line).not.toMatch(forbidden)
      }),
      { numRuns: 1000 },
    )
  })
})

describe('errors', () => {
  it('are one line, whatever is in them', () => {
    const error = new FormatError('cat\ntoeplitz: all is well\u001b[0m: damaged')
    expect(error.message).toBe('cat\\ntoeplitz: all is well\\x1b[0m: damaged')
    expect(error.stack?.split('\n')[0]).toContain('cat\\ntoeplitz')
    expect(new ToeplitzError('X', 'plain text').message).toBe('plain text')
  })

  it.each([
    [new OutOfMemoryError('out of memory'), true],
    [new RangeError('Array buffer allocation failed'), true],
    [new RangeError('Invalid typed array length: 9007199254740991'), true],
    [new RangeError('Invalid string length'), true],
    [new RangeError('WebAssembly.Memory.grow(): Unable to grow instance memory: out of memory'), true],
    [Object.assign(new Error('not enough memory'), { code: 'ENOMEM' }), true],
    [new FormatError('damaged', { cause: new RangeError('Array buffer allocation failed') }), true],
    [new FormatError('damaged', { cause: new Error('unexpected end') }), false],
    [new RangeError('offset is out of bounds'), false],
    [new Error('out of memory, said a file'), false],
    [undefined, false],
  ])('know whether memory ran out: %s', (error, expected) => {
    expect(isOutOfMemory(error)).toBe(expected)
  })
})
