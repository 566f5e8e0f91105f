import { beforeAll, describe, expect, it } from 'vitest'
import { elu, exp, gelu, log, pow, sigmoid, silu, softplus, sqrt, tanh } from '../../src/ops/index.js'
import { init } from '../../src/runtime/embedded.js'
import { tensor } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { normalCdf, ulps } from '../helpers/special.js'

beforeAll(() => init())

/** Every `step`-th float by its bits, of both signs, between the bounds: dense in every power of two. */
function floats(low: number, high: number, step: number): Float32Array {
  const values: number[] = []
  const bits = new Uint32Array(1)
  const value = new Float32Array(bits.buffer)
  for (const sign of [0, 0x80000000]) {
    for (let magnitude = 0; magnitude < 0x7f800000; magnitude += step) {
      bits[0] = sign + magnitude
      if (value[0]! >= low && value[0]! <= high) values.push(value[0]!)
    }
  }
  return Float32Array.from(values)
}

const values = (x: ArrayLike<number>, f: (x: Tensor) => Tensor): Float32Array =>
  scope(() => f(tensor(Float32Array.from(x))).data())

interface Stated {
  readonly name: string
  readonly f: (x: Tensor) => Tensor
  readonly reference: (x: number) => number
  readonly low: number
  readonly high: number
  /** The largest error that assembly/math.ts and the documentation promise. */
  readonly ulp: number
}

const stated: Stated[] = [
  { name: 'exp', f: exp, reference: Math.exp, low: -104, high: 88.7228, ulp: 1 },
  { name: 'log', f: log, reference: Math.log, low: 0, high: Infinity, ulp: 1 },
  { name: 'sqrt', f: sqrt, reference: Math.sqrt, low: 0, high: Infinity, ulp: 0.5 },
  { name: 'expm1, by elu', f: elu, reference: Math.expm1, low: -104, high: -1e-45, ulp: 2 },
  { name: 'sigmoid', f: sigmoid, reference: (x) => 1 / (1 + Math.exp(-x)), low: -87, high: Infinity, ulp: 3 },
  { name: 'tanh', f: tanh, reference: Math.tanh, low: -Infinity, high: Infinity, ulp: 3 },
  {
    name: 'softplus',
    f: softplus,
    reference: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
    low: -87,
    high: Infinity,
    ulp: 2,
  },
  { name: 'silu', f: silu, reference: (x) => x / (1 + Math.exp(-x)), low: -87, high: Infinity, ulp: 4 },
  { name: 'gelu', f: gelu, reference: (x) => x * normalCdf(x), low: -13, high: Infinity, ulp: 8 },
  ...[0.75, -0.75, 0.5, 2, 3, -1, 1 / 3, 10.5, 1e-3].map((p) => ({
    name: `pow ${p}`,
    f: (x: Tensor) => pow(x, p),
    reference: (x: number) => x ** p,
    low: 0,
    high: Infinity,
    ulp: 0.51,
  })),
]

describe('errors of elementary functions over all powers of two', () => {
  it.each(stated)('$name is within $ulp ulp', ({ f, reference, low, high, ulp }) => {
    const x = floats(low, high, 50_021)
    const y = values(x, f)
    let worst = 0
    let at = 0
    x.forEach((value, i) => {
      const error = ulps(y[i]!, reference(value))
      if (!(error <= worst)) {
        worst = error
        at = value
      }
    })
    expect(worst, `at ${at}`).toBeLessThanOrEqual(ulp)
  })

  it('has the same errors where results are subnormal', () => {
    const x = Float32Array.from({ length: 20_000 }, (_, i) => -87 - i / 1250)
    for (const f of [exp, sigmoid, softplus]) {
      const y = values(x, f)
      x.forEach((value, i) => expect(ulps(y[i]!, Math.exp(value))).toBeLessThanOrEqual(1.5))
    }
  })
})

describe('special values', () => {
  const special = [NaN, Infinity, -Infinity, 0, -0]
  it.each<[string, (x: Tensor) => Tensor, number[]]>([
    ['exp', exp, [NaN, Infinity, 0, 1, 1]],
    ['log', log, [NaN, Infinity, NaN, -Infinity, -Infinity]],
    ['sqrt', sqrt, [NaN, Infinity, NaN, 0, -0]],
    ['tanh', tanh, [NaN, 1, -1, 0, -0]],
    ['sigmoid', sigmoid, [NaN, 1, 0, 0.5, 0.5]],
    ['softplus', softplus, [NaN, Infinity, 0, Math.fround(Math.LN2), Math.fround(Math.LN2)]],
    ['silu', silu, [NaN, Infinity, -0, 0, -0]],
    ['gelu', gelu, [NaN, Infinity, -0, 0, -0]],
    ['gelu by tanh', (x) => gelu(x, { approximate: 'tanh' }), [NaN, Infinity, -0, 0, -0]],
    ['elu', elu, [NaN, Infinity, -1, 0, 0]],
  ])('%s of NaN, ±∞ and ±0', (_, f, expected) => {
    expect([...values(special, f)]).toEqual(expected)
  })

  it('overflows to infinity and underflows to zero by degrees', () => {
    expect([...values([88.7228, 88.7229, 89, 1e30], exp)].map(Number.isFinite)).toEqual([true, false, false, false])
    expect([...values([-103.97, -103.98, -1e30], exp)]).toEqual([2 ** -149, 0, 0])
    expect([...values([2 ** -149, -1], log)]).toEqual([Math.fround(-149 * Math.LN2), NaN])
  })

  it.each([2, 3, -2, -3, 0.5, -0.5, 0, 1, 2.5, 1e10, -1e10])('pow %f follows IEEE 754', (p) => {
    const x = [...special, 1, -1, 2, -2, 0.25, -0.25, 3e38, -3e38, 1e-45, -1e-45].map(Math.fround)
    const expected = x.map((value) => Math.fround(value ** p))
    expect([...values(x, (t) => pow(t, p))]).toEqual(expected)
  })
})
