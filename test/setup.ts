/** Equality of typed arrays by their bytes: element by element, as matchers compare, a million floats take a second. */
import { expect } from 'vitest'

/** Whether two arrays of one kind hold the same bytes; undefined where the matcher is to tell. */
function sameBytes(a: unknown, b: unknown): boolean | undefined {
  if (!ArrayBuffer.isView(a) || !ArrayBuffer.isView(b) || a.constructor !== b.constructor) return undefined
  const [left, right] = [a, b].map(({ buffer, byteOffset, byteLength }) =>
    Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength),
  )
  return (left as Buffer).equals(right as Buffer) ? true : undefined
}

expect.addEqualityTesters([sameBytes])
