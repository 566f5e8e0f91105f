/** Checks that an operation refuses wrong arguments and leaves nothing behind. */
import { expect, it } from 'vitest'
import { memoryUsage } from '../../src/runtime/core.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { scope } from '../../src/tensor/tensor.js'

/** What is wrong, a call that shows it, and the message. */
export type Refusal = readonly [what: string, call: () => unknown, message: RegExp]

export function itRefuses(...refusals: readonly Refusal[]): void {
  it.each(refusals)('refuses a wrong %s and allocates nothing', (_, call, message) => {
    scope(() => {
      expect(call).toThrow(message)
      expect(call).toThrow(ShapeError)
    })
    const before = memoryUsage().liveBytes
    scope(() => {
      expect(call).toThrow(ShapeError)
    })
    expect(memoryUsage().liveBytes).toBe(before)
  })
}
