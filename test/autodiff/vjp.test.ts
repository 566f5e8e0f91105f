import { beforeAll, describe, expect, it } from 'vitest'
import { gradcheck } from '../../src/autodiff/gradcheck.js'
import { grad, valueAndGrad, vjp } from '../../src/autodiff/vjp.js'
import {
  add,
  batchNorm,
  conv2d,
  crossEntropy,
  exp,
  linear,
  localResponseNorm,
  lpPool2d,
  matmul,
  mul,
  softmax,
  square,
  sum,
} from '../../src/ops/index.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { DisposedError, ShapeError, UnsupportedError } from '../../src/runtime/errors.js'
import { normal, ones, tensor } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'

beforeAll(() => init())

const values = (list: readonly Tensor[]): number[][] => list.map((item) => [...item.data()])

describe('gradients', () => {
  it('of a product are its factors', () => {
    scope(() => {
      const { value, pullback } = vjp((a, b) => mul(a, b), tensor([1, 2, 3]), tensor([4, 5, 6]))
      expect([...value.data()]).toEqual([4, 10, 18])
      expect(values(pullback(tensor([1, 10, 100])))).toEqual([
        [4, 50, 600],
        [1, 20, 300],
      ])
      expect(values(pullback(ones([3])))[0]).toEqual([4, 5, 6])
    })
  })

  it('add up where a tensor is used more than once', () => {
    scope(() => {
      const x = tensor([2, 3])
      expect(values(grad((a) => sum(add(mul(a, a), a)))(x))).toEqual([[5, 7]])
    })
  })

  it('stay apart when one tensor is given twice', () => {
    scope(() => {
      const x = tensor([2, 3])
      expect(values(grad((a, b) => sum(mul(mul(a, a), b)))(x, x))).toEqual([
        [8, 18],
        [4, 9],
      ])
    })
  })

  it('flow through reshapes and stop where nothing depends', () => {
    scope(() => {
      const x = tensor([1, 2, 3, 4])
      const unused = tensor([1, 2])
      const [dx, dunused] = grad((a) =>
        sum(
          mul(
            a.reshape([2, 2]),
            tensor([
              [1, 2],
              [3, 4],
            ]),
          ),
        ),
      )(x, unused)
      expect([...dx!.data()]).toEqual([1, 2, 3, 4])
      expect([...dunused!.data()]).toEqual([0, 0])
    })
  })

  it('of gradients can be taken', () => {
    scope(() => {
      const x = tensor([2, -1])
      // d/dx Σ (d/dx x³)² = d/dx Σ 9 x⁴ = 36 x³
      const cube = (a: Tensor): Tensor => sum(mul(a, mul(a, a)))
      const outer = grad((a) => {
        const [inner] = grad((b) => cube(b))(a)
        return sum(mul(inner!, inner!))
      })
      expect(values(outer(x))).toEqual([[288, -36]])
    })
  })

  it('pass the check by finite differences, and a wrong one does not', () => {
    scope(() => {
      const x = normal([2, 3, 5, 5], { seed: 1 })
      const w = normal([4, 3, 3, 3], { seed: 2 })
      expect(gradcheck((a, b) => conv2d(a, b, { padding: 'same' }), [x, w])).toMatchObject({ ok: true })
      // The value of a·b with a gradient that ignores half of it.
      const half = gradcheck((a) => mul(a, tensor(a.data())), [tensor([1, 2, 3])])
      expect(half.ok).toBe(false)
    })
  })

  it('free everything they needed', () => {
    const before = memoryUsage().liveBytes
    const x = normal([2, 1, 8, 8])
    const w = normal([3, 1, 3, 3])
    let live = 0
    for (let i = 0; i < 4; i++) {
      const { value, gradients } = valueAndGrad((a, b) => sum(mul(conv2d(a, b), conv2d(a, b))))(x, w)
      for (const item of [value, ...gradients]) item.dispose()
      // From the second use on, weights that do not change keep their packed form.
      if (i > 1) expect(memoryUsage().liveBytes).toBe(live)
      live = memoryUsage().liveBytes
    }
    const { value, pullback, dispose } = vjp((a) => matmul(a.reshape([2, 64]), a.reshape([64, 2])), x)
    const dy = ones([2, 2])
    for (const item of [...pullback(dy), dy]) item.dispose()
    value.dispose()
    dispose()
    expect(memoryUsage().liveBytes).toBe(live)
    x.dispose()
    w.dispose()
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it('can be penalized: the gradient of a gradient runs through normalizations, poolings and losses', () => {
    const before = memoryUsage().liveBytes
    scope(() => {
      const inputs = [
        normal([3, 2, 4, 4], { seed: 1 }),
        normal([4, 2, 3, 3], { seed: 2 }),
        normal([4], { seed: 3 }),
        normal([4], { seed: 4 }),
      ]
      const loss = (x: Tensor, w: Tensor, gamma: Tensor, beta: Tensor): Tensor => {
        const maps = batchNorm(conv2d(x, w, { padding: 1 }), gamma, beta, { training: true })
        const pooled = lpPool2d(exp(localResponseNorm(maps, { size: 3, alpha: 1 })), { kernel: 2 })
        return crossEntropy(add(sum(pooled, [2, 3]), softmax(sum(maps, [2, 3]))), [2, 0, 3])
      }
      const penalty = (...given: Tensor[]): Tensor =>
        grad(loss as never)(...given).reduce((total, gradient) => add(total, sum(square(gradient))), tensor(0))
      expect(
        gradcheck(penalty, inputs, { step: 3e-3, samples: 16, tolerance: 5e-3 }).errors.every((e) => e < 5e-3),
      ).toBe(true)
    })
    expect(memoryUsage().liveBytes).toBeLessThan(before + 2000)
  })

  it('of a pass cannot be differentiated by a tape that did not see the pass', () => {
    scope(() => {
      const x = normal([2, 3], { seed: 1 })
      for (const f of [exp, square, (a: Tensor) => softmax(a), (a: Tensor) => localResponseNorm(a, { size: 3 })]) {
        const { pullback } = vjp(f, x)
        const late = vjp((a) => add(pullback(ones([2, 3]))[0] as Tensor, a), normal([2, 3]))
        expect([...late.pullback(ones([2, 3]))[0]!.data()]).toEqual([1, 1, 1, 1, 1, 1])
        expect(() => vjp(() => pullback(ones([2, 3]))[0] as Tensor, x)).toThrow(UnsupportedError)
        // By dy, of which the gradient is a linear function, it can.
        expect(vjp((dy) => pullback(dy)[0] as Tensor, ones([2, 3])).pullback(ones([2, 3]))[0]!.shape).toEqual([2, 3])
      }
    })
  })

  it('free everything after an error too', () => {
    const before = memoryUsage().liveBytes
    scope(() => {
      const x = ones([2, 3])
      expect(() => valueAndGrad((a) => sum(linear(mul(a, 2), ones([4, 5]))))(x)).toThrow(ShapeError)
      expect(() => valueAndGrad((a) => mul(a, 2))(x)).toThrow(/returned shape \(2, 3\); it must return a scalar/)
      expect(() => vjp((a) => mul(a, 2), x).pullback()).toThrow(/give dy of that shape/)
      expect(() => vjp((a) => mul(a, 2), x).pullback(ones([3]))).toThrow(/dy has shape \(3\), the value \(2, 3\)/)
      expect(() => vjp(() => 3 as never, x)).toThrow(/must return a Tensor, not 3$/)
      const { pullback, dispose } = vjp((a) => mul(a, 2), x)
      dispose()
      expect(() => pullback(ones([2, 3]))).toThrow(DisposedError)
    })
    // Tapes that were not disposed are freed by the collector; the tensors are gone.
    expect(memoryUsage().liveBytes).toBeLessThan(before + 2000)
  })
})
