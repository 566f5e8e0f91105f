/** What an operation keeps of a call must be what the next one asks for. */
import { beforeAll, describe, expect, it } from 'vitest'
import { Recall } from '../../src/autodiff/recall.js'
import { vjp } from '../../src/autodiff/vjp.js'
import {
  add,
  clamp,
  conv2d,
  crossEntropy,
  div,
  dropout,
  mul,
  pad,
  slice,
  sub,
  weightedPool2d,
} from '../../src/ops/index.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { normal, tensor } from '../../src/tensor/create.js'
import type { Shape } from '../../src/tensor/shape.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'

beforeAll(() => init())

const bits = (y: Tensor): number[] => [...new Int32Array(y.data().buffer)]

describe('a call after another', () => {
  it.each<[string, (x: Tensor, value: number) => Tensor]>([
    ['add', add],
    ['sub', sub],
    ['mul', mul],
    ['div', div],
    ['pad', (x, value) => pad(x, [1], { value })],
    ['clamp', (x, value) => clamp(x, { min: value })],
  ])('%s tells 0, −0, NaN and other numbers apart', (_, operation) => {
    scope(() => {
      const values = [-1, 1, -0, 0, 2]
      const numbers = [0, -0, 1, -1, NaN, NaN, -0, 0]
      const x = tensor(values)
      const once = (value: number): number[] | string => {
        try {
          return bits(operation(tensor(values), value))
        } catch (error) {
          return String(error)
        }
      }
      const again = numbers.map((value): number[] | string => {
        try {
          return bits(operation(x, value))
        } catch (error) {
          return String(error)
        }
      })
      expect(again).toEqual(numbers.map(once))
    })
  })

  it('sees options that were changed in place', () => {
    scope(() => {
      const [x, w] = [normal([1, 1, 6, 6], { seed: 1 }), normal([1, 1, 3, 3], { seed: 2 })]
      const options = { stride: [1, 1], padding: [[0, 0], [0, 0]] as [number, number][] } // prettier-ignore
      expect(conv2d(x, w, options).shape).toEqual([1, 1, 4, 4])
      options.stride[0] = 2
      expect(conv2d(x, w, options).shape).toEqual([1, 1, 2, 4])
      options.padding[1]![0] = 1
      expect(conv2d(x, w, options).shape).toEqual([1, 1, 2, 5])
    })
  })

  it('reads labels anew', () => {
    scope(() => {
      const logits = normal([2, 3], { seed: 1 })
      const labels = [0, 1]
      const first = crossEntropy(logits, labels).item()
      labels[0] = 2
      expect(crossEntropy(logits, labels).item()).not.toBe(first)
      expect(crossEntropy(logits, Int32Array.of(0, 1)).item()).toBe(first)
    })
  })

  it('refuses an option that there is not, after a call without', () => {
    scope(() => {
      const x = normal([3, 3], { seed: 1 })
      expect(slice(x, {}).shape).toEqual([3, 3])
      expect(() => slice(x, { start: 1 } as never)).toThrow(ShapeError)
    })
  })
})

describe('a gradient', () => {
  it.each<[string, { seed?: number; sigma?: number[] }, (x: Tensor, options: object) => Tensor, () => Tensor]>([
    ['dropout', { seed: 1 }, (x, options) => dropout(x, options), () => normal([40], { seed: 1 })],
    [
      'weightedPool2d',
      { sigma: [1, 1] },
      (x, options) => weightedPool2d(x, { kernel: 3, ...options }),
      () => normal([1, 1, 6, 6], { seed: 1 }),
    ],
  ])('of %s is that of the options as they were', (_, options, operation, make) => {
    scope(() => {
      const x = make()
      const expected = vjp((t) => operation(t, structuredClone(options)), x)
      const given = vjp((t) => operation(t, options), make())
      if (options.seed !== undefined) options.seed = 2
      if (options.sigma) options.sigma[0] = 3
      const dy = expected.value
      expect(bits(given.pullback(dy)[0]!)).toEqual(bits(expected.pullback(dy)[0]!))
    })
  })
})

describe('what is kept', () => {
  const shapeOf = (n: number): Shape => [n, 3]
  const x = (n: number): { readonly x: { readonly shape: Shape; readonly dtype: string } } => ({
    x: { shape: shapeOf(n), dtype: 'float32' },
  })

  it('is found for shapes that were made anew, the last eight of them, and for no other options or types', () => {
    const recall = new Recall<{ readonly d: number }>()
    for (let n = 1; n <= 10; n++) recall.keep(x(n), { axis: 1 }, { d: n })
    expect(recall.find(x(3), { axis: 1 })).toEqual({ d: 3 })
    expect(recall.find(x(10), { axis: 1 })).toEqual({ d: 10 })
    expect(recall.find(x(2), { axis: 1 })).toBeUndefined()
    expect(recall.find(x(11), { axis: 1 })).toBeUndefined()
    expect(recall.find(x(10), { axis: 0 })).toBeUndefined()
    expect(recall.find({ x: { shape: shapeOf(10), dtype: 'int32' } }, { axis: 1 })).toBeUndefined()
    expect(recall.find({ x: x(10).x, bias: x(1).x }, { axis: 1 })).toBeUndefined()
  })

  it('tells options apart that have the name of an input, unless they are what became it', () => {
    const recall = new Recall<{ readonly d: number }>()
    const problem = { d: 1 }
    recall.keep(x(1), { x: { scale: 0.5 } }, problem)
    expect(recall.find(x(1), { x: { scale: 0.5 } })).toBe(problem)
    expect(recall.find(x(1), { x: { scale: 0.25 } })).toBeUndefined()
    expect(recall.find(x(1), { x: 0.5 })).toBeUndefined()
    expect(recall.find(x(1), {})).toBeUndefined()
    const kept = { d: 2 }
    recall.keep(x(2), { x: [1, 2, 3] }, kept)
    // The input has its shape; the numbers are read anew.
    expect(recall.find(x(2), { x: [4, 5, 6] })).toBe(kept)
    expect(recall.find(x(2), { x: 4 })).toBeUndefined()
  })
})
