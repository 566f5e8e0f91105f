import { beforeAll, describe, expect, it } from 'vitest'
import { withNumber } from '../../src/ops/number.js'
import { CallList, makeCalls } from '../../src/runtime/calls.js'
import { init } from '../../src/runtime/embedded.js'
import { tensor, zeros } from '../../src/tensor/create.js'
import { scope } from '../../src/tensor/tensor.js'

beforeAll(() => init())

const arithmetic = {
  add: (a: number, b: number) => a + b,
  sub: (a: number, b: number) => a - b,
  mul: (a: number, b: number) => a * b,
  div: (a: number, b: number) => a / b,
}

describe('arithmetic with one number', () => {
  it.each(Object.keys(arithmetic) as (keyof typeof arithmetic)[])('%s: every element, rounded once', (operation) => {
    for (let size = 1; size < 40; size += size < 9 ? 1 : 7) {
      for (const value of [0.1, -3, 0, -0, Infinity, NaN, 1e-45, 3e38]) {
        scope(() => {
          const x = tensor(Array.from({ length: size }, (_, i) => (i - 3) * 0.7))
          const y = zeros([size])
          const list = new CallList()
          withNumber(list, operation, list.operand('y'), list.operand('x'), size, value)
          makeCalls(list, [y.pointer, x.pointer])
          const expected = x.data().map((element) => arithmetic[operation](element, Math.fround(value)))
          expect(y.data()).toEqual(expected)
        })
      }
    }
  })
})
