import { describe, expect, it } from 'vitest'
import { decodeSealedJson, encodeSealedJson, parseJson } from '../../src/formats/json.js'
import { FormatError } from '../../src/runtime/errors.js'

function failure(text: string, read: typeof parseJson = parseJson): string {
  try {
    read(text, 'some.json')
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError)
    const { message } = error as FormatError
    expect(message).toMatch(/^some\.json: [^\p{Cc}]*$/u)
    return message
  }
  throw new Error('no error was thrown')
}

describe('parseJson', () => {
  it('reads JSON', () => {
    const value = { a: [1, 'x', null, { b: '"[{' }], '\\': '\\"[', c: [[], {}] }
    expect(parseJson(JSON.stringify(value), 'x')).toEqual(value)
    expect(parseJson(' 7 ', 'x')).toBe(7)
  })

  it('takes 64 levels and refuses any depth beyond, closed or not', () => {
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
    expect(parseJson(nested(64), 'x')).toHaveLength(1)
    for (const depth of [65, 1000, 10_000_000]) {
      expect(failure(nested(depth))).toContain('nested more than 64 levels deep')
      expect(failure('{"a":'.repeat(depth / 5))).toMatch(depth > 350 ? /nested more than 64/ : /not JSON/)
    }
    // Brackets in strings count for nothing.
    expect(parseJson(JSON.stringify(nested(100) + '\\"'), 'x')).toBe(nested(100) + '\\"')
  })

  it('refuses more values than any file has, before they take memory', () => {
    const text = `[${'{},'.repeat(2 ** 22)}0]`
    expect(failure(text)).toContain('more than 4194304 keys and values')
  })

  it('explains what is no JSON, in one line', () => {
    expect(failure('{"a":\n\u0007}')).toMatch(/^some\.json: not JSON \(/)
    expect(failure('')).toContain('not JSON')
    expect(failure('"never ends \\"')).toContain('not JSON')
  })
})

describe('sealed JSON', () => {
  const value = { format: 'x', classes: ['cat', 'dög'], nested: { mean: 0.5 } }
  const text = encodeSealedJson(value)

  it('comes back without its checksum', () => {
    expect(text).toMatch(/^\{\n {2}"checksum": "toeplitz-murmur3:[0-9a-f]{32}",\n {2}"format": "x",/)
    expect(decodeSealedJson(text, 'x')).toEqual(value)
    expect(decodeSealedJson(encodeSealedJson({}), 'x')).toEqual({})
    // What was written before there were checksums, or by hand.
    expect(decodeSealedJson(JSON.stringify(value), 'x')).toEqual(value)
    expect(decodeSealedJson('[1]', 'x')).toEqual([1])
  })

  it('is refused with any bit flipped', () => {
    const bytes = new TextEncoder().encode(text)
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const changed = bytes.slice()
      changed[bit >> 3] = changed[bit >> 3]! ^ (1 << (bit & 7))
      failure(new TextDecoder().decode(changed), decodeSealedJson)
    }
  })

  it('is refused when it was edited, and says what to do', () => {
    expect(failure(text.replace('cat', 'cot'), decodeSealedJson)).toContain('take the line "checksum" out')
    expect(failure(JSON.stringify(JSON.parse(text)), decodeSealedJson)).toContain('was changed by hand')
    const lines = text.split('\n')
    expect(decodeSealedJson([lines[0], ...lines.slice(2)].join('\n').replace('cat', 'cot'), 'x')).toEqual({
      ...value,
      classes: ['cot', 'dög'],
    })
  })
})
