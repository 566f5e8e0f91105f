/** Types of numbers: what tensors of them hold, give back and refuse. */
import { beforeAll, describe, expect, expectTypeOf, it } from 'vitest'
import { grad, vjp } from '../../src/autodiff/vjp.js'
import * as ops from '../../src/ops/index.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { ones, tensor, zeros } from '../../src/tensor/create.js'
import { dtypes, type DType } from '../../src/tensor/dtype.js'
import { scope, Tensor, type AnyTensor } from '../../src/tensor/tensor.js'
import { operations } from '../operations/index.js'

beforeAll(() => init())

/** Numbers that a type holds, its smallest and largest among them. */
const held: Record<DType, readonly (number | bigint)[]> = {
  float32: [0, -1.5, 3, 2 ** 24, 1, 2],
  int32: [0, -(2 ** 31), 2 ** 31 - 1, 7, 1, 2],
  int64: [0n, -(2n ** 63n), 2n ** 63n - 1n, 7n, 1n, 2n],
  uint8: [0, 255, 128, 7, 1, 2],
  int8: [0, -128, 127, 7, 1, 2],
  bool: [0, 1, 1, 0, 1, 0],
}
const classes = {
  float32: Float32Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  int8: Int8Array,
  bool: Uint8Array,
}
const make = (dtype: DType, shape: number[] = [2, 3]): AnyTensor => tensor([...held[dtype]], shape, { dtype })

describe('a tensor of each type', () => {
  it.each(dtypes)('%s: keeps its numbers, in its own array', (dtype) => {
    scope(() => {
      const x = make(dtype)
      expect(x.dtype).toBe(dtype)
      expect(x.data()).toBeInstanceOf(classes[dtype])
      expect([...(x.data() as unknown as Iterable<number>)]).toEqual(held[dtype])
      expect(x.reshape([3, -1]).shape).toEqual([3, 2])
      expect(x.reshape([6]).dtype).toBe(dtype)
      expect(x.alias().dtype).toBe(dtype)
      expect(ops.slice(x, { begin: [1, 1], end: [2, 2] }).item()).toBe(held[dtype][4])
      // Another tensor's data, of the same type.
      expect(tensor(x.data() as never, [6], { dtype }).data()).toEqual(x.data())
    })
  })

  it.each(dtypes)('%s: is cut, joined, padded and turned as float32 is', (dtype) => {
    scope(() => {
      const index = tensor([0, 1, 2, 3, 4, 5], [2, 3])
      const x = make(dtype)
      const told = (y: AnyTensor): unknown => {
        expect(y.dtype).toBe(dtype)
        return [...(y.data() as unknown as Iterable<number>)]
      }
      const picked = (y: Tensor): unknown => [...y.data()].map((i) => held[dtype][i])
      expect(told(ops.transpose(x))).toEqual(picked(ops.transpose(index)))
      const box = { begin: [0, 1], end: [2, 3] }
      expect(told(ops.slice(x, box))).toEqual(picked(ops.slice(index, box)))
      expect(told(ops.concat([x, x], 1))).toEqual(picked(ops.concat([index, index], 1)))
      expect(told(ops.concat([x, x], 0))).toEqual(picked(ops.concat([index, index], 0)))
      expect(told(ops.flatten(x, 0))).toEqual(picked(index))
      // 1 is element 4 of every list.
      const around = [
        [1, 0],
        [0, 2],
      ] as const
      expect(told(ops.pad(x, around, { value: 1 }))).toEqual(picked(ops.pad(index, around, { value: 4 })))
    })
  })

  it.each(dtypes)('%s: may have no elements', (dtype) => {
    scope(() => {
      const none = tensor([], [0, 3], { dtype })
      expect(none.data()).toHaveLength(0)
      const x = make(dtype)
      expect(ops.concat([none, x], 0).data()).toEqual(x.data())
      expect(ops.pad(none, [[1, 0], 0], { value: 1 }).data()).toHaveLength(3)
      expect(ops.transpose(none).shape).toEqual([3, 0])
    })
  })

  it('is shown with its type', () => {
    scope(() => {
      expect(String(make('int64'))).toBe('Tensor (2, 3) int64 [0, -9223372036854775808, 9223372036854775807, 7, 1, 2]')
      expect(String(make('bool'))).toBe('Tensor (2, 3) bool [0, 1, 1, 0, 1, 0]')
      expect(String(tensor(new Array(9).fill(-7), [9], { dtype: 'int8' }))).toBe(
        'Tensor (9) int8 [-7, -7, -7, -7, -7, …, -7, -7, -7]',
      )
    })
  })

  it('takes the numbers that are meant, in any form', () => {
    scope(() => {
      expect(tensor([[true, false]], undefined, { dtype: 'bool' }).data()).toEqual(Uint8Array.of(1, 0))
      expect(tensor([1, 2n], [2], { dtype: 'int64' }).data()).toEqual(BigInt64Array.of(1n, 2n))
      expect(tensor(Float32Array.of(3, -4), [2], { dtype: 'int8' }).data()).toEqual(Int8Array.of(3, -4))
      expect(tensor(BigInt64Array.of(3n), [1], { dtype: 'uint8' }).data()).toEqual(Uint8Array.of(3))
      const x = tensor([1, 2], [2], { dtype: 'int64' })
      x.assign([5n, 6n])
      expect(x.data()).toEqual(BigInt64Array.of(5n, 6n))
      expect(() => x.assign([2n ** 63n, 1n])).toThrow(/assign: values\[0\] must be a whole number that int64 holds/)
      expect(x.data()).toEqual(BigInt64Array.of(5n, 6n))
    })
  })

  it('has the array of its type for TypeScript', () => {
    scope(() => {
      const x = tensor([1n], [1], { dtype: 'int64' })
      expectTypeOf(x).toEqualTypeOf<Tensor<'int64'>>()
      expectTypeOf(x.data()).toEqualTypeOf<BigInt64Array>()
      expectTypeOf(x.item()).toEqualTypeOf<bigint>()
      expectTypeOf(tensor([1]).data()).toEqualTypeOf<Float32Array>()
      expectTypeOf(ops.transpose(x)).toEqualTypeOf<Tensor<'int64'>>()
      expectTypeOf(ops.cast(x, 'bool')).toEqualTypeOf<Tensor<'bool'>>()
      // @ts-expect-error relu takes float32 alone
      expect(() => ops.relu(x)).toThrow(ShapeError)
    })
  })
})

describe('what a type does not hold', () => {
  it.each<[string, () => unknown, RegExp]>([
    [
      'a number beyond',
      () => tensor([1, 300], [2], { dtype: 'uint8' }),
      /tensor: values\[1\] must be .* uint8 holds, given 300/,
    ],
    ['a number below', () => tensor([-1], [1], { dtype: 'uint8' }), /values\[0\] must be .* given -1/],
    [
      'a fraction',
      () => tensor([0.5], [1], { dtype: 'int32' }),
      /values\[0\] must be a whole number that int32 holds, given 0.5/,
    ],
    ['NaN', () => tensor(Float32Array.of(NaN), [1], { dtype: 'int64' }), /given NaN/],
    ['no safe whole number', () => tensor([2 ** 60], [1], { dtype: 'int64' }), /values\[0\] must be a whole number/],
    ['a bool of 2', () => tensor(Uint8Array.of(2), [1], { dtype: 'bool' }), /true, false, 0 or 1, given 2/],
    ['bigints as float32', () => tensor(BigInt64Array.of(1n) as never), /bigints; give \{ dtype: 'int64' \}/],
    ['a bigint as float32', () => tensor([1n] as never), /expected a number/],
    ['a wrong name', () => tensor([1], [1], { dtype: 'int46' as 'int64' }), /there is no type 'int46'; did you mean/],
    ['no name', () => tensor([1], [1], { dtype: 3 as never }), /dtype must be one of float32, int32/],
    ['a wrong option', () => tensor([1], [1], { type: 'int64' } as never), /there is no option 'type'/],
    [
      'types that differ',
      () => ops.concat([ones([1]), make('int32', [6]) as never], 0),
      /tensors\[1\] is of int32, the first tensor of float32; convert it with cast/,
    ],
    ['a padding that does not fit', () => ops.pad(make('bool'), 1, { value: 2 }), /pad/],
    [
      'a padding of another type',
      () => ops.pad(make('uint8'), [1, 1], { value: -1 }),
      /pad: value must be a whole number that uint8 holds/,
    ],
    [
      'reflected whole numbers',
      () => ops.pad(make('int32'), [1, 1], { mode: 'reflect' }),
      /pad: x must be of float32, given int32/,
    ],
  ])('%s', (_, use, message) => {
    const before = memoryUsage().liveBytes
    let thrown: unknown
    scope(() => {
      try {
        use()
      } catch (error) {
        thrown = error
      }
    })
    expect(thrown).toBeInstanceOf(ShapeError)
    expect((thrown as Error).message).toMatch(message)
    expect(memoryUsage().liveBytes).toBe(before)
  })

  /** What moves elements takes all types; the others say which. */
  const takesAll = new Set(['cast', 'concat', 'flatten', 'pad', 'slice', 'transpose'])

  it.each(Object.keys(operations).filter((name) => !takesAll.has(name)))('%s refuses other types by name', (name) => {
    for (const make of operations[name]!.cases) {
      scope(() => {
        const made = make()
        if (!('inputs' in made) || made.inputs.length === 0) return
        made.inputs.forEach((input, index) => {
          const wrong = made.inputs.map((tensor, other) =>
            other === index ? ops.cast(zeros(input.shape), 'int32') : tensor,
          )
          expect(() => made.fn(...(wrong as unknown as Tensor[]))).toThrow(
            /must be of float32, given int32; convert it/,
          )
        })
      })
    }
  })

  it('has no gradient', () => {
    scope(() => {
      const whole = make('int32') as unknown as Tensor
      expect(() => grad((x) => ops.sum(x))(whole)).toThrow(/of float32, given int32/)
      expect(() => vjp((x) => ops.cast(x, 'int32') as unknown as Tensor, ones([2]))).toThrow(/float32/)
      // What passes through a whole number is constant.
      const [dx] = grad((x) => ops.sum(ops.mul(x, ops.cast(ops.cast(x, 'int32'), 'float32'))))(tensor([2.5, -3.5]))
      expect([...dx!.data()]).toEqual([2, -3])
    })
  })
})
