/** Transcendental functions against those of the engine and against exact reduction, their edges, and their gradients. */
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { gradcheck } from '../../src/autodiff/gradcheck.js'
import { vjp } from '../../src/autodiff/vjp.js'
import * as transcendental from '../../src/ops/transcendental.js'
import { init } from '../../src/runtime/embedded.js'
import { tensor, uniform } from '../../src/tensor/create.js'
import type { DType } from '../../src/tensor/dtype.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'

beforeAll(() => init())

type Name = Exclude<keyof typeof transcendental, 'power' | 'atan2'>

/** erf by the sum of its power series in bigints, 30 places behind the point. */
function erfExactly(x: number): number {
  if (Math.abs(x) > 7) return Math.sign(x)
  const one = 10n ** 60n
  // x to 60 bits behind the point: exact from 2⁻³⁷ on, and below it to 1e-9 of x at worst.
  const fixed = (BigInt(Math.round(x * 2 ** 60)) * one) / 2n ** 60n
  let term = fixed
  let sum = 0n
  for (let n = 0n; term !== 0n; n++) {
    sum += term / (2n * n + 1n)
    term = (-term * ((fixed * fixed) / one)) / one / (n + 1n)
  }
  return (Number(sum / 10n ** 30n) / 1e30) * (2 / Math.sqrt(Math.PI))
}

const definitions: Record<Name, (x: number) => number> = {
  erf: (x) => (!(Math.abs(x) >= 1e-8) ? x * (2 / Math.sqrt(Math.PI)) : erfExactly(x)),
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  asin: Math.asin,
  acos: Math.acos,
  atan: Math.atan,
  sinh: Math.sinh,
  cosh: Math.cosh,
  asinh: Math.asinh,
  acosh: Math.acosh,
  atanh: Math.atanh,
}
const names = Object.keys(definitions) as Name[]

/** Every float32, by its bits, and those around the places where formulas change. */
const numbers = fc.oneof(
  fc.float(),
  fc.float({ min: -10, max: 10, noNaN: true }),
  fc.float({ min: -1, max: 1, noNaN: true }),
  fc.constantFrom(0, -0, 1, -1, 0.5, 2 ** 20, -(2 ** 20), 1.5, 4.5, Infinity, -Infinity, NaN, 2 ** -149, 3.4028234e38),
)

/** Within one unit in the last place, and of the same kind. */
function expectNear(given: number, due: number, what: string): void {
  const rounded = Math.fround(due)
  if (Object.is(given, rounded)) return
  const near = Number.isFinite(rounded) && Math.abs(given - due) <= 1e-7 * Math.abs(due) + 2 ** -149
  expect(near, `${what}: ${given}, due ${due}`).toBe(true)
}

describe('functions of one number', () => {
  it.each(names)('%s is what the engine says, of every float32', (name) => {
    fc.assert(
      fc.property(fc.array(numbers, { minLength: 1, maxLength: 50 }), (values) => {
        scope(() => {
          const x = tensor(values, [values.length])
          const y = transcendental[name](x).data()
          x.data().forEach((value, i) => expectNear(y[i]!, definitions[name](value), `${name}(${value})`))
        })
      }),
    )
  })

  it('atan2 is what the engine says, of every two float32, and has its gradient', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(numbers, numbers), { minLength: 1, maxLength: 50 }), (points) => {
        scope(() => {
          const [y, x] = [0, 1].map((place) => tensor(points.map((point) => point[place]!))) as [Tensor, Tensor]
          const angles = transcendental.atan2(y, x).data()
          const [heights, widths] = [y.data(), x.data()]
          angles.forEach((angle, i) => {
            expectNear(angle, Math.atan2(heights[i]!, widths[i]!), `atan2(${heights[i]}, ${widths[i]})`)
          })
        })
      }),
    )
    const [y, x] = [tensor([[0.5], [-1.5]]), tensor([2, -0.7, 1.1])]
    expect(gradcheck(transcendental.atan2, [y, x])).toMatchObject({ ok: true })
  })

  it('counts the turns of large angles exactly', () => {
    // The float32 that comes nearest to a multiple of π/2, and others; by 600 bits of π.
    const pi = piBits(600)
    for (const value of [16367173 * 2 ** 72, 3.4028234e38, 1048577, 2 ** 24 + 2, 710, 5.3e13, -(2 ** 100)]) {
      const x = Math.fround(value)
      const half = pi >> 1n
      const scaled = BigInt(x) << 600n
      const quarter = scaled >= 0n ? scaled / half : -((-scaled + half - 1n) / half)
      const rest = Number((scaled - quarter * half) >> 500n) / 2 ** 100
      const y = [Math.sin(rest), Math.cos(rest), -Math.sin(rest), -Math.cos(rest)]
      const place = Number(BigInt.asUintN(2, quarter))
      expectNear(transcendental.sin(tensor([x], [])).item(), y[place]!, `sin ${x}`)
      expectNear(transcendental.cos(tensor([x], [])).item(), y[(place + 1) % 4]!, `cos ${x}`)
    }
  })

  it.each(names)('%s has the gradient of its differences', (name) => {
    const [low, high] = name === 'acosh' ? [1.3, 3] : [-0.9, 0.9]
    const x = uniform([20], { low, high, seed: 3 })
    expect(gradcheck(transcendental[name], [x], { step: 1e-3 })).toMatchObject({ ok: true })
    expect(
      gradcheck(
        (at) => vjp(transcendental[name], at).pullback(tensor(new Float32Array(20).fill(1), [20]))[0] as Tensor,
        [x],
        { step: 1e-3 },
      ),
    ).toMatchObject({ ok: true })
  })
})

/** ⌊π·2ⁿ⌋ by Machin's formula. */
function piBits(n: number): bigint {
  const one = 1n << BigInt(n + 20)
  const arctan = (inverse: bigint): bigint => {
    let [power, sum] = [one / inverse, 0n]
    for (let k = 0n; power !== 0n; k++) {
      sum += (k % 2n === 0n ? power : -power) / (2n * k + 1n)
      power /= inverse * inverse
    }
    return sum
  }
  return (4n * (4n * arctan(5n) - arctan(239n))) >> 20n
}

describe('power', () => {
  it('is that of the engine, where C and JavaScript agree', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(numbers, numbers), { minLength: 1, maxLength: 50 }), (pairs) => {
        scope(() => {
          const [a, b] = [0, 1].map((side) =>
            tensor(
              pairs.map((pair) => pair[side]!),
              [pairs.length],
            ),
          )
          const [x, p] = [a!.data(), b!.data()]
          const y = transcendental.power(a!, b!).data()
          pairs.forEach((_, i) => {
            // By C 1 to any power is 1, and so is −1 to an infinite one.
            const isOne = x[i] === 1 || (x[i] === -1 && Math.abs(p[i]!) === Infinity)
            expectNear(y[i] as number, isOne ? 1 : Math.pow(x[i]!, p[i]!), `${x[i]} ** ${p[i]}`)
          })
        })
      }),
    )
  })

  it('of whole numbers is exact and wraps; to powers that are not whole it is cut', () => {
    const bits = { int32: 32, int64: 64, uint8: 8, int8: 8 } as const
    fc.assert(
      fc.property(
        fc.constantFrom<keyof typeof bits>('int32', 'int64', 'uint8', 'int8'),
        fc.integer({ min: 0, max: 100 }),
        fc.integer({ min: 0, max: 70 }),
        fc.boolean(),
        fc.constantFrom<DType>('int64', 'int32', 'float32', 'uint8'),
        (dtype, size, exponent, isNegative, type) => {
          const a = isNegative && dtype !== 'uint8' ? -size : size
          const exact = BigInt(a) ** BigInt(exponent)
          const due = dtype === 'uint8' ? BigInt.asUintN(8, exact) : BigInt.asIntN(bits[dtype], exact)
          const y = transcendental.power(tensor([a], [], { dtype }), tensor([exponent], [], { dtype: type }))
          expect(y.dtype).toBe(dtype)
          expect(BigInt(y.item())).toBe(due)
        },
      ),
    )
    const of = (a: number, b: number, dtype: DType): number =>
      Number(transcendental.power(tensor([a], [], { dtype }), tensor([b], [])).item())
    expect(of(10, 0.5, 'int32')).toBe(3)
    expect(of(10, 0.5, 'int64')).toBe(3)
    expect(of(2, -1, 'int32')).toBe(0)
    expect(of(-1, -3, 'int64')).toBe(-1)
    expect(of(0, -1, 'int32')).toBe(2 ** 31 - 1)
    expect(of(100, 1.5, 'int8')).toBe(127)
    expect(of(-2, 0.5, 'int32')).toBe(0)
  })

  it('has gradients of base and exponent, broadcast, and none where there is nothing to gain', () => {
    const a = uniform([3, 4], { low: 0.5, high: 2, seed: 1 })
    const b = uniform([4], { low: -2, high: 2, seed: 2 })
    const power = transcendental.power as (a: Tensor, b: Tensor) => Tensor
    expect(gradcheck(power, [a, b], { step: 1e-3 })).toMatchObject({ ok: true })
    const whole = tensor([3, 2, 1, 0], [4], { dtype: 'int64' })
    expect(gradcheck((x) => transcendental.power(x, whole) as Tensor, [a], { step: 1e-3 })).toMatchObject({ ok: true })
    const { pullback } = vjp(power, tensor([0, 0, -2], [3]), tensor([0, 2, 3], [3]))
    const [da, db] = pullback(tensor([1, 1, 1], [3]))
    expect([...da!.data()]).toEqual([0, 0, 12])
    expect([...db!.data()]).toEqual([0, 0, NaN])
  })
})
