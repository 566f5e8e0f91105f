/** The core's own decompression, beside the compressor of the build. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import lzma from 'lzma'
import { expect, it } from 'vitest'
import { unpackCore } from '../../src/runtime/unpack.js'

const packed = (bytes: Uint8Array): Uint8Array => Uint8Array.from(lzma.compress(bytes, 9))

it.each(['strict', 'relaxed', 'threads', 'relaxed-threads', 'integers', 'integers-threads'])(
  'gives the %s core',
  async (variant) => {
    const { default: text } = (await import(`../../src/runtime/generated/${variant}.ts`)) as { default: string }
    const found = unpackCore(Buffer.from(text, 'base64'))
    expect(Buffer.compare(found, readFileSync(`build/${variant}.wasm`))).toBe(0)
  },
)

/** Bytes of which pieces come again, near and far: what matches, repeated matches and literals are made of. */
const repetitive = fc
  .tuple(
    fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { minLength: 1, maxLength: 6 }),
    fc.array(fc.tuple(fc.nat(5), fc.nat(400)), { minLength: 1, maxLength: 120 }),
  )
  .map(([pieces, order]) => {
    const parts = order.map(([which, length]) => (pieces[which % pieces.length] as Uint8Array).subarray(0, length))
    return Uint8Array.from(Buffer.concat(parts))
  })

it('gives back whatever was compressed, matches of every kind included', () => {
  const property = fc.property(fc.oneof(repetitive, fc.uint8Array({ maxLength: 3000 })), (bytes) => {
    fc.pre(bytes.length > 0)
    expect(Buffer.compare(unpackCore(packed(bytes)), bytes)).toBe(0)
  })
  fc.assert(property, { numRuns: 60, seed: 1 })
}, 60_000)

it('follows distances over more than the core is long', () => {
  const bytes = new Uint8Array(300_000)
  for (let i = 0, state = 1; i < 3000; i++) bytes[i] = state = ((Math.imul(state, 75) + 74) % 65537) & 255
  bytes.set(bytes.subarray(0, 3000), 280_000)
  expect(Buffer.compare(unpackCore(packed(bytes)), bytes)).toBe(0)
}, 60_000)
