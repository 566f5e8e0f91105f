/** Sums of more terms than float32 counts: 2²⁴ ones are as many as it can add one by one. */
import { beforeAll, describe, expect, it } from 'vitest'
import { vjp } from '../../src/autodiff/vjp.js'
import {
  adaptiveAvgPool1d,
  adaptiveMaxPool1d,
  batchNorm,
  globalAvgPool,
  linear,
  locallyConnected1d,
  matmul,
  mean,
  pad,
  sum,
  tiledConv1d,
  upsample2d,
  weightedPool2d,
} from '../../src/ops/index.js'
import { init } from '../../src/runtime/embedded.js'
import { full, ones, tensor } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'

beforeAll(() => init())

/** More than 2²⁴ by a quarter, and not a multiple of a run. */
const many = 5 * 2 ** 22 + 5

/** So many terms of 0.1 that are added one by one give less than half of their sum. */
const tenth = Math.fround(0.1)

const near = (actual: number, exact: number): void => {
  expect(Math.abs(actual - exact)).toBeLessThanOrEqual(1e-4 * Math.abs(exact))
}

/** Gradients for dy of ones. */
function gradients(f: (...inputs: Tensor[]) => Tensor, ...inputs: Tensor[]): Tensor[] {
  const { value, pullback, dispose } = vjp(f, ...inputs)
  const result = pullback(ones(value.shape))
  dispose()
  return result
}

describe(`sums of ${many} terms are right to 1e-4`, () => {
  const cases: readonly (readonly [string, number, (value: number) => number])[] = [
    ['sum', many, (v) => sum(full([many], v)).item()],
    ['mean', 1, (v) => mean(full([many], v)).item()],
    ['globalAvgPool', 1, (v) => globalAvgPool(full([1, 1, many], v)).item()],
    ['matmul, rows as they lie', many, (v) => linear(full([1, many], v), ones([1, many])).item()],
    ['matmul, packed', many, (v) => matmul(full([1, many], v), ones([many, 1])).item()],
    ['locallyConnected1d', many, (v) => locallyConnected1d(full([1, 1, many], v), ones([1, 1, 1, many])).item()],
    [
      'the bias gradient of tiledConv1d',
      many,
      (v) => {
        const f = (x: Tensor, w: Tensor, bias: Tensor): Tensor => tiledConv1d(x, w, { bias })
        const { value, pullback, dispose } = vjp(f, ones([1, 1, many]), ones([1, 1, 1, 1]), ones([1, 1]))
        const [, dw, db] = pullback(full(value.shape, v)) as [Tensor, Tensor, Tensor]
        near(dw.item(), db.item())
        dispose()
        return db.item()
      },
    ],
    [
      'dx of locallyConnected1d over filters',
      many,
      (v) => gradients((x) => locallyConnected1d(x, full([many, 1, 1, 1], v)), ones([1, 1, 1]))[0]!.item(),
    ],
    [
      'dx of adaptiveAvgPool1d',
      many,
      (v) => gradients((x) => sum(adaptiveAvgPool1d(x, many)), full([1, 1, 1], 1))[0]!.item() * v,
    ],
    [
      'dx of adaptiveMaxPool1d',
      many,
      (v) => gradients((x) => sum(adaptiveMaxPool1d(x, many)), full([1, 1, 1], 1))[0]!.item() * v,
    ],
    [
      'dx of pad',
      many,
      (v) => {
        const dx = gradients((x) => pad(x, [[0, many - 1]], { mode: 'replicate' }), ones([2]))[0]!.data()
        expect(dx[0]).toBe(1)
        return dx[1]! * v
      },
    ],
    [
      'dx of upsample2d',
      many,
      (v) => gradients((x) => upsample2d(x, { scale: [1, many], mode: 'bilinear' }), ones([1, 1, 1, 1]))[0]!.item() * v,
    ],
    ['weightedPool2d', 1, (v) => weightedPool2d(full([1, 1, 2000, 2000], v), { kernel: 2000, sigma: 1e6 }).item()],
  ]
  it.each(cases)('%s', (_, terms, f) => {
    scope(() => {
      near(f(tenth), terms * tenth)
    })
  })
})

describe('sums just above and below the number of terms from which runs are added', () => {
  const LONG = 2 ** 18
  const values = (count: number, seed: number): Float32Array =>
    Float32Array.from({ length: count }, (_, i) => ((i * 7919 + seed * 104729) % 1009) / 1009)
  const exact = (a: Float32Array, b: Float32Array): number => a.reduce((total, v, i) => total + v * b[i]!, 0)

  it.each([LONG - 1, LONG, LONG + 1, LONG + 4097])('agree with float64: %i', (count) => {
    scope(() => {
      const [a, b] = [values(count, 1), values(count, 2)]
      const expected = exact(a, b)
      const bound = (count > LONG ? 2e-5 : 2e-4) * expected
      const check = (y: Tensor, offset = 0): void => {
        for (const value of y.data()) expect(Math.abs(value - offset - expected)).toBeLessThanOrEqual(bound)
      }
      check(linear(tensor(a, [1, count]), tensor(b, [1, count])))
      check(matmul(tensor(a, [1, count]), tensor(b, [count, 1])))
      check(locallyConnected1d(tensor(a, [1, 1, count]), tensor(b, [1, 1, 1, count])))
      // Every element of a (7, 9) block, beside a bias.
      const rows = (v: Float32Array, n: number): Tensor =>
        tensor(
          Float32Array.from({ length: n * count }, (_, i) => v[i % count]!),
          [n, count],
        )
      check(linear(rows(a, 7), rows(b, 9)))
      check(linear(rows(a, 7), rows(b, 9), full([9], 1000)), 1000)
      check(linear(rows(a, 2), rows(b, 3), full([3], 1000)), 1000)
      const { pullback, dispose } = vjp((w) => tiledConv1d(tensor(a, [1, 1, count]), w), ones([2, 1, 1, 1]))
      check(pullback(tensor(Float32Array.from([...b, ...b]), [1, 2, count]))[0]!)
      dispose()
    })
  })

  it('agree for tiles of several classes, taps and filters', () => {
    const count = 3 * LONG + 100
    scope(() => {
      const x = values(count + 1, 3)
      const dy = values(2 * count, 4)
      const { pullback, dispose } = vjp((w) => tiledConv1d(tensor(x, [1, 1, count + 1]), w), ones([2, 1, 2, 3]))
      const dw = pullback(tensor(dy, [1, 2, count]))[0]!.data()
      dispose()
      for (let k = 0; k < 2; k++) {
        for (let s = 0; s < 2; s++) {
          for (let t = 0; t < 3; t++) {
            let expected = 0
            for (let q = t; q < count; q += 3) expected += dy[k * count + q]! * x[q + s]!
            expect(Math.abs(dw[(k * 2 + s) * 3 + t]! - expected)).toBeLessThanOrEqual(2e-5 * expected)
          }
        }
      }
    })
  })
})

it('statistics of a batch over many elements', () => {
  scope(() => {
    const x = full([1, 1, many], tenth)
    x.assign(x.data().map((value, i) => (i % 2 ? value : 3 * value)))
    const runningMean = ones([1])
    const runningVar = ones([1])
    batchNorm(x, undefined, undefined, { training: true, momentum: 1, runningMean, runningVar })
    near(runningMean.item(), 2 * tenth)
    near(runningVar.item(), tenth * tenth)
  })
})
