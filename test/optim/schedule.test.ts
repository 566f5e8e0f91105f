import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { schedule } from '../../src/optim/index.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError } from '../../src/runtime/errors.js'

beforeAll(() => init())

const { constant, step, exponential, cosine, linear, warmup } = schedule

const close = (given: number, wanted: number): void => {
  expect(Math.abs(given - wanted)).toBeLessThanOrEqual(1e-14 * Math.max(1, Math.abs(wanted)))
}

describe('schedules', () => {
  it('follow their equations at every step', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1e-6, max: 2, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 0, max: 300 }),
        (lr, share, steps, at) => {
          close(constant(lr)(at), lr)
          close(step({ lr, every: steps, gamma: share })(at), lr * share ** Math.floor(at / steps))
          close(exponential({ lr, gamma: share })(at), lr * share ** at)
          const low = lr * share
          const t = Math.min(1, at / steps)
          close(cosine({ lr, steps, minimum: low })(at), low + ((lr - low) * (1 + Math.cos(Math.PI * t))) / 2)
          close(linear({ lr, steps, end: low })(at), lr + (low - lr) * t)
          const after = linear({ lr, steps: 50 })
          close(warmup(steps, after)(at), at < steps ? (lr * (at + 1)) / steps : after(at - steps))
        },
      ),
    )
  })

  it('meet their ends exactly', () => {
    const down = cosine({ lr: 0.1, steps: 10, minimum: 0.01 })
    expect([down(0), down(10), down(1000)]).toEqual([0.1, 0.01, 0.01])
    expect(cosine({ lr: 0.1, steps: 10 })(5)).toBeCloseTo(0.05, 15)
    const line = linear({ lr: 0.1, steps: 10, end: 0.3 })
    expect([line(0), line(10), line(11)]).toEqual([0.1, 0.3, 0.3])
    const stairs = step({ lr: 1, every: 3, gamma: 0.5 })
    expect([0, 2, 3, 5, 6].map(stairs)).toEqual([1, 1, 0.5, 0.5, 0.25])
    expect(step({ lr: 1, every: 1 })(1)).toBe(0.1)
    const rise = warmup(4, constant(0.8))
    expect([0, 1, 3, 4, 100].map(rise)).toEqual([0.2, 0.4, 0.8, 0.8, 0.8])
  })

  it('give the same bits everywhere: a golden sum', () => {
    const down = cosine({ lr: 0.1, steps: 1000 })
    const decay = exponential({ lr: 0.1, gamma: 0.999 })
    let sum = 0
    for (let at = 0; at < 1000; at++) sum = sum * 1.01 + down(at) - decay(at)
    expect(sum).toMatchInlineSnapshot(`9604.27684521338`)
  })

  it.each<[string, () => unknown, RegExp]>([
    ['lr', () => constant(NaN), /^constant: lr must be a finite number from 0 on, given NaN$/],
    ['every', () => step({ lr: 1, every: 0 }), /^step: every must be a whole number from 1 on, given 0$/],
    ['gamma', () => step({ lr: 1, every: 1, gamma: -1 }), /^step: gamma must be/],
    ['gamma of exponential', () => exponential({ lr: 1, gamma: Infinity }), /^exponential: gamma must be/],
    ['missing gamma', () => exponential({ lr: 1 } as never), /given undefined/],
    ['steps', () => cosine({ lr: 1, steps: 1.5 }), /^cosine: steps must be a whole number from 1 on, given 1.5$/],
    ['minimum', () => cosine({ lr: 1, steps: 1, minimum: -1 }), /^cosine: minimum must be/],
    ['end', () => linear({ lr: 1, steps: 1, end: NaN }), /^linear: end must be/],
    ['steps of linear', () => linear({ lr: 1, steps: NaN }), /^linear: steps must be/],
    ['steps of warmup', () => warmup(0, constant(1)), /^warmup: steps must be/],
    ['after', () => warmup(1, 0.1 as never), /^warmup: after must be a schedule, such as constant\(0.1\), given 0\.1$/],
    ['step', () => constant(1)(-1), /^constant: step must be a finite number from 0 on, given -1$/],
    ['NaN step', () => cosine({ lr: 1, steps: 5 })(NaN), /^cosine: step must be/],
  ])('refuse a wrong %s', (_, call, message) => {
    expect(call).toThrow(message)
    expect(call).toThrow(ShapeError)
  })
})
