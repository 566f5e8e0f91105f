/**
 * Who owns what: what a function of the library gives belongs to the caller, or to the scope around; what it is given stays;
 * and a function of the user's that throws leaves memory as it was.
 */
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { gradcheck } from '../../src/autodiff/gradcheck.js'
import { grad, valueAndGrad, vjp } from '../../src/autodiff/vjp.js'
import { add, conv2d, mul, sum } from '../../src/ops/index.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { DisposedError, ShapeError, UnsupportedError } from '../../src/runtime/errors.js'
import { normal, ones, tensor, zeros } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'

beforeAll(() => init())

let before: object
const usage = (): object => {
  const { liveBytes, blocks } = memoryUsage()
  return { liveBytes, blocks }
}
beforeEach(() => {
  before = usage()
})
// Every test disposes what is its own: nobody else holds anything.
afterEach(() => {
  expect(usage()).toEqual(before)
})

const values = (...list: readonly Tensor[]): number[][] => list.map((item) => [...item.data()])
const free = (...list: readonly Tensor[]): void => {
  for (const item of list) item.dispose()
}

describe('what a gradient is taken of', () => {
  it('stays alive when the function returns it', () => {
    const x = tensor([3])
    const [dx] = grad((a) => a)(x) as [Tensor]
    expect(values(x, dx)).toEqual([[3], [1]])
    free(x, dx)
  })

  it.each<[string, (a: Tensor) => Tensor]>([
    ['itself', (a) => a],
    ['reshaped', (a) => a.reshape([1, 1])],
    ['under another handle', (a) => a.alias()],
    ['out of scopes of its own', (a) => scope(() => scope(() => a))],
  ])('and the value is the caller’s: the input %s', (_, fn) => {
    const x = tensor([3])
    const { value, gradients } = valueAndGrad(fn)(x)
    const handle = vjp(fn, x)
    const pulled = handle.pullback()
    handle.dispose()
    expect(values(value, handle.value, ...gradients, ...pulled)).toEqual([[3], [3], [1], [1]])
    free(value, handle.value)
    expect(values(x)).toEqual([[3]])
    x.dispose()
    expect(values(...gradients, ...pulled)).toEqual([[1], [1]])
    free(...gradients, ...pulled)
  })

  it('given twice has a gradient for each, and is returned as either', () => {
    const x = tensor([3])
    for (const pick of [0, 1]) {
      const { value, gradients } = valueAndGrad((...given) => given[pick]!)(x, x)
      expect(values(value, ...gradients)).toEqual([[3], pick === 0 ? [1] : [0], pick === 0 ? [0] : [1]])
      free(value, ...gradients)
      const handle = vjp((...given) => given[pick]!, x, x)
      const pulled = handle.pullback()
      handle.dispose()
      expect(values(handle.value, ...pulled)).toEqual([[3], pick === 0 ? [1] : [0], pick === 0 ? [0] : [1]])
      free(handle.value, ...pulled)
    }
    expect(values(x)).toEqual([[3]])
    free(x)
  })

  it('does not own what else the function returns', () => {
    const [x, w] = [tensor([3]), tensor([5])]
    const gradients = grad(() => w)(x)
    expect(values(w, ...gradients)).toEqual([[5], [0]])
    expect(() => valueAndGrad(() => zeros([2]))(x)).toThrow(/must return a scalar/)
    free(x, w, ...gradients)
  })

  it('stays alive when the function is refused', () => {
    const x = tensor([1, 2])
    expect(() => grad((a) => a)(x)).toThrow(/returned shape \(2\); it must return a scalar/)
    expect(values(x)).toEqual([[1, 2]])
    free(x)
  })

  it('may be disposed by the function, which is an error and no leak', () => {
    for (const take of [
      (x: Tensor) => vjp((a) => (a.dispose(), ones([2])), x),
      (x: Tensor) => grad((a) => (a.dispose(), a))(x),
      (x: Tensor) => grad((a) => scope(() => [sum(a)])[0]!.reshape([2]))(x),
      (x: Tensor) => {
        let lost: Tensor | undefined
        scope(() => void (lost = mul(x, 2)))
        return grad(() => lost as Tensor)(x)
      },
    ]) {
      const x = tensor([1, 2])
      expect(() => take(x)).toThrow()
      free(x)
    }
  })

  it('must be tensors', () => {
    const x = tensor([1])
    const clone = { ...structuredClone({ shape: [1], size: 1 }), pointer: 64 } as never
    for (const wrong of [3, null, undefined, [1], clone] as never[]) {
      expect(() => vjp((a) => a, x, wrong)).toThrow(/vjp: input 1 must be a Tensor, not/)
      expect(() => grad((a) => a)(wrong)).toThrow(/valueAndGrad: input 0 must be a Tensor, not/)
      const { value, pullback, dispose } = vjp((a) => a, x)
      if (wrong !== undefined) expect(() => pullback(wrong)).toThrow(/pullback: dy must be a Tensor, not/)
      dispose()
      free(value)
    }
    free(x)
  })
})

describe('a function that throws', () => {
  const boom = (): never => {
    throw new Error('boom')
  }
  const attempts: [string, (x: Tensor, w: Tensor) => unknown][] = [
    ['grad', (x, w) => grad((a, b) => (sum(conv2d(a, b)), boom()))(x, w)],
    ['grad of one tensor twice', (x) => grad((a, b) => (mul(a, b), boom()))(x, x)],
    ['valueAndGrad', (x, w) => valueAndGrad((a, b) => (conv2d(a, b), boom()))(x, w)],
    ['vjp', (x, w) => vjp((a, b) => (conv2d(a, b), boom()), x, w)],
    ['vjp of one tensor twice', (x) => vjp((a, b) => (mul(a, b), boom()), x, x)],
    ['vjp in vjp', (x) => vjp((a) => (vjp((b) => mul(b, b), a), boom()), x)],
    ['grad of grad', (x) => grad((a) => sum(grad((b) => (sum(mul(b, b)), boom()))(a)[0]!))(x)],
    ['scope', (x) => scope(() => (mul(x, 2), scope(() => mul(x, 3)), boom()))],
    ['scope, after vjp', (x) => scope(() => (vjp((a) => mul(a, a), x), boom()))],
    ['gradcheck', (x, w) => gradcheck((a, b) => (conv2d(a, b), boom()), [x, w])],
    ['gradcheck, later', (x) => {
      let calls = 0
      return gradcheck((a) => (calls++ === 3 ? boom() : mul(a, a)), [x])
    }],
  ] // prettier-ignore
  it.each(attempts)('under %s leaves memory as it was', (_, attempt) => {
    const [x, w] = [normal([1, 2, 5, 5], { seed: 1 }), normal([3, 2, 3, 3], { seed: 2 })]
    const bits = values(x, w)
    const inside = usage()
    expect(() => attempt(x, w)).toThrow('boom')
    expect(usage()).toEqual(inside)
    expect(values(x, w)).toEqual(bits)
    free(x, w)
  })

  it('in the pullback of a pullback leaves memory as it was', () => {
    const x = normal([2, 2], { seed: 1 })
    const handle = vjp((a) => mul(a, a), x)
    const inside = usage()
    const wrong = ones([3])
    expect(() => handle.pullback(wrong)).toThrow(ShapeError)
    wrong.dispose()
    expect(usage()).toEqual(inside)
    handle.dispose()
    free(x, handle.value)
  })
})

describe('scopes', () => {
  it('keep what was there before, and hand on what they return, however it is wrapped', () => {
    const x = tensor([1, 2])
    const given = scope(() => {
      const y = mul(x, 2)
      const bare: Record<string, unknown> = Object.assign(Object.create(null) as object, { z: mul(x, 3) })
      const circle: unknown[] = [bare, y]
      circle.push(circle)
      return { x, y, again: [y, [y]], circle, nothing: null, number: 3 }
    })
    const { z } = given.circle[0] as { z: Tensor }
    expect(values(given.x, given.y, z)).toEqual([
      [1, 2],
      [2, 4],
      [3, 6],
    ])
    free(x, given.y, z)
  })

  it('hand tensors through every scope around', () => {
    const outer = scope(() => {
      const inner = scope(() => {
        const [kept] = scope(() => [ones([2]), ones([3])])
        return { kept: kept }
      })
      const lost = add(inner.kept, 1)
      return { ...inner, shape: lost.shape }
    })
    expect(values(outer.kept)).toEqual([[1, 1]])
    free(outer.kept)
  })

  it('free what vjp keeps, unless they return it', () => {
    const x = tensor([3, 4])
    const lost = scope(() => {
      const { value, pullback } = vjp((a) => sum(mul(a, a)), x)
      // A function is nothing that a scope looks into.
      return { value, call: () => pullback() }
    })
    expect(lost.call).toThrow(DisposedError)
    const handle = scope(() => scope(() => ({ deep: [vjp((a) => mul(a, a), x)] }))).deep[0]!
    const dy = ones([2])
    const pulled = handle.pullback(dy)
    expect(values(...pulled)).toEqual([[6, 8]])
    handle.dispose()
    handle.dispose()
    expect(() => handle.pullback(dy)).toThrow(DisposedError)
    free(x, dy, lost.value, handle.value, ...pulled)
  })

  it('hold nothing of what was disposed in them', () => {
    const x = tensor([3, 4])
    scope(() => {
      const inside = usage()
      for (let i = 0; i < 100; i++) {
        const { value, dispose } = vjp((a) => mul(a, a), x)
        dispose()
        value.dispose()
      }
      expect(usage()).toEqual(inside)
    })
    free(x)
  })

  it('refuse asynchronous functions, whose failure afterwards is told once', async () => {
    const x = tensor([1])
    expect(() =>
      scope(async () => {
        const y = mul(x, 2)
        await Promise.resolve()
        mul(y, 2)
      }),
    ).toThrow(UnsupportedError)
    // What comes of the rest would be an unhandled rejection.
    await new Promise((resolve) => setTimeout(resolve, 10))
    free(x)
  })
})

describe('tensors that are refused', () => {
  it.each<[string, (x: Tensor) => unknown]>([
    ['reshape that does not fit', (x) => x.reshape([7])],
    ['reshape with two wild extents', (x) => x.reshape([-1, -1])],
    ['reshape that does not divide', (x) => x.reshape([7, -1])],
    ['reshape to no shape', (x) => x.reshape('7' as never)],
    ['reshape to nothing', (x) => x.reshape(undefined as never)],
  ])('%s: its memory can be freed', (_, attempt) => {
    const x = zeros([500, 500])
    for (let i = 0; i < 3; i++) expect(() => attempt(x)).toThrow(ShapeError)
    x.dispose()
    // The check after each test: nobody holds a reference.
  })

  it.each<[string, () => unknown]>([
    ['numbers that are none', () => tensor(new BigInt64Array(3) as never)],
    ['nested numbers that are none', () => tensor([[1, 'a' as never]])],
    ['a fill that is no number', () => zeros([3]).assign([1, 2, 3n as never])],
  ])('%s', (_, attempt) => {
    expect(() => scope(attempt)).toThrow()
  })

  it('assign all of the values or none', () => {
    const x = tensor([1, 2, 3])
    expect(() => x.assign([7, 8, 9n as never])).toThrow()
    expect(values(x)).toEqual([[1, 2, 3]])
    free(x)
  })
})
