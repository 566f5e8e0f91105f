import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { gradcheck } from '../../src/autodiff/gradcheck.js'
import { vjp } from '../../src/autodiff/vjp.js'
import { concat, flatten, mul, pad, slice, square, transpose, upsample2d } from '../../src/ops/index.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { DisposedError, ShapeError } from '../../src/runtime/errors.js'
import { tensor, uniform, zeros } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { expectAdjoint, numbers, numbersLike } from '../helpers/linear.js'
import { at, difference, indices, size } from '../helpers/reference.js'

beforeAll(() => init())

/**
 * Checks an operation that moves elements: sources(index of the output) gives the input's position, or -1 for
 * `filler`. Its gradient adds every dy to where its element came from.
 */
function expectMoved(
  op: (x: Tensor) => Tensor,
  xShape: readonly number[],
  yShape: readonly number[],
  source: (index: readonly number[]) => number,
  filler = 0,
): void {
  const xs = numbers(size(xShape), size(xShape))
  const dys = numbers(size(yShape), size(yShape) + 1)
  const y = new Float32Array(dys.length)
  const dx = new Float32Array(xs.length)
  let i = 0
  for (const index of indices(yShape)) {
    const from = source(index)
    y[i] = from < 0 ? filler : xs[from]!
    if (from >= 0) dx[from]! += dys[i]!
    i++
  }
  scope(() => {
    const { value, pullback, dispose } = vjp((x) => op(x), tensor(xs, xShape))
    expect(value.shape).toEqual(yShape)
    expect(value.data()).toEqual(y)
    const gradient = pullback(tensor(dys, yShape))[0]!
    expect(gradient.shape).toEqual(xShape)
    expect(gradient.data()).toEqual(dx)
    dispose()
  })
}

/** Linear operations are differentiated twice where something nonlinear stands around them. */
function expectTwice(op: (x: Tensor) => Tensor, x: Tensor): void {
  const gradient = (t: Tensor): Tensor => {
    const { value, pullback } = vjp((u) => square(op(u)), t)
    return pullback(mul(value, 0.5))[0]!
  }
  expect(gradcheck((t) => gradient(t), [x]).errors[0]).toBeLessThan(5e-3)
}

const extents = (smallest: number, largest: number, max = 11): fc.Arbitrary<number[]> =>
  fc.array(fc.integer({ min: 1, max }), { minLength: smallest, maxLength: largest })

describe('transpose', () => {
  it('permutes any axes, with its gradient', () => {
    fc.assert(
      fc.property(
        extents(0, 5, 9).chain((shape) =>
          fc.tuple(
            fc.constant(shape),
            fc.shuffledSubarray([...shape.keys()], { minLength: shape.length, maxLength: shape.length }),
          ),
        ),
        ([shape, permutation]) => {
          expectMoved(
            (x) => transpose(x, permutation),
            shape,
            permutation.map((axis) => shape[axis]!),
            (index) =>
              at(
                shape,
                shape.map((_, axis) => index[permutation.indexOf(axis)]!),
              ),
          )
        },
      ),
      { numRuns: 150 },
    )
  })

  it('reaches every remainder of the blocks', () => {
    for (let rows = 1; rows <= 13; rows++) {
      for (let columns = 1; columns <= 13; columns++) {
        expectMoved(
          (x) => transpose(x),
          [rows, columns],
          [columns, rows],
          ([i, j]) => j! * columns + i!,
        )
        expectMoved(
          (x) => transpose(x, [0, -1, 1]),
          [2, rows, columns],
          [2, columns, rows],
          ([n, i, j]) => (n! * rows + j!) * columns + i!,
        )
      }
    }
  })

  it('can be differentiated twice', () => {
    scope(() => {
      expectTwice((x) => transpose(x, [1, 2, 0]), uniform([2, 3, 4], { low: -1 }))
    })
  })
})

describe('slice', () => {
  it('cuts any box, with its gradient', () => {
    const boxes = extents(0, 4).chain((shape) =>
      fc.record({
        shape: fc.constant(shape),
        bounds: fc.tuple(
          ...shape.map((extent) =>
            fc
              .tuple(fc.integer({ min: 0, max: extent - 1 }), fc.integer({ min: 1, max: extent }))
              .filter(([begin, end]) => begin < end),
          ),
        ),
        negative: fc.boolean(),
      }),
    )
    fc.assert(
      fc.property(boxes, ({ shape, bounds, negative }) => {
        const begin = bounds.map(([first]) => first)
        const end = bounds.map(([, last]) => last)
        const count = (values: number[]): number[] =>
          values.map((value, axis) => (negative && value < shape[axis]! ? value - shape[axis]! : value))
        expectMoved(
          (x) => slice(x, { begin: count(begin), end: count(end) }),
          shape,
          end.map((last, axis) => last - begin[axis]!),
          (index) =>
            at(
              shape,
              index.map((position, axis) => position + begin[axis]!),
            ),
        )
      }),
      { numRuns: 150 },
    )
  })

  it('takes whole axes where bounds are left out', () => {
    scope(() => {
      const x = tensor([
        [1, 2, 3],
        [4, 5, 6],
      ])
      expect([...slice(x, { begin: [1] }).data()]).toEqual([4, 5, 6])
      expect([...slice(x, { end: [2, 1] }).data()]).toEqual([1, 4])
      expect([...slice(x, { begin: [0, -1] }).data()]).toEqual([3, 6])
      expect(slice(x, {}).data()).toEqual(x.data())
      expectTwice((t) => slice(t, { begin: [0, 1] }), x)
    })
  })
})

describe('concat', () => {
  it('joins any number of tensors along any axis, with every gradient', () => {
    const joins = extents(1, 4, 7).chain((shape) =>
      fc.record({
        shape: fc.constant(shape),
        axis: fc.integer({ min: -shape.length, max: shape.length - 1 }),
        lengths: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
      }),
    )
    fc.assert(
      fc.property(joins, ({ shape, axis, lengths }) => {
        const along = axis < 0 ? axis + shape.length : axis
        const withLength = (length: number): number[] => shape.map((own, i) => (i === along ? length : own))
        const total = lengths.reduce((left, right) => left + right, 0)
        scope(() => {
          const inputs = lengths.map((length, i) => numbersLike(withLength(length), i + 1))
          const values = inputs.map((input) => input.data())
          const { value, pullback, dispose } = vjp((...given) => concat(given, axis), ...inputs)
          expect(value.shape).toEqual(withLength(total))
          const dy = numbersLike(value.shape, 9)
          const dys = dy.data()
          const gradients = pullback(dy).map((gradient) => gradient.data())
          const y = value.data()
          let i = 0
          for (const index of indices(value.shape)) {
            let which = 0
            let place = index[along]!
            while (place >= lengths[which]!) place -= lengths[which++]!
            const position = at(
              withLength(lengths[which]!),
              index.map((own, other) => (other === along ? place : own)),
            )
            expect(y[i]).toBe(values[which]![position])
            expect(gradients[which]![position]).toBe(dys[i])
            i++
          }
          dispose()
        })
      }),
      { numRuns: 60 },
    )
  })

  it('takes one tensor more than once, and can be differentiated twice', () => {
    scope(() => {
      const x = uniform([2, 3], { low: -1 })
      const { pullback } = vjp((t) => concat([t, t, t], 0), x)
      expect([...pullback(tensor(new Float32Array(18).fill(1), [6, 3]))[0]!.data()]).toEqual([3, 3, 3, 3, 3, 3])
      expectTwice((t) => concat([t, mul(t, 2)], 1), x)
    })
  })
})

describe('pad', () => {
  const modes = ['zeros', 'reflect', 'replicate', 'circular'] as const
  const sources: Record<(typeof modes)[number], (i: number, n: number) => number> = {
    zeros: (i, n) => (i < 0 || i >= n ? -1 : i),
    reflect: (i, n) => (i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i),
    replicate: (i, n) => Math.min(Math.max(i, 0), n - 1),
    circular: (i, n) => (i + n) % n,
  }

  it.each(modes)('continues by %s along any axes, with its gradient', (mode) => {
    const paddings = extents(1, 4, 9).chain((shape) =>
      fc.record({
        shape: fc.constant(shape),
        pairs: fc
          .tuple(
            ...shape.map((extent) => {
              const room = mode === 'reflect' ? extent - 1 : mode === 'circular' ? extent : 6
              return fc.tuple(fc.nat(room), fc.nat(room))
            }),
          )
          .chain((pairs) => fc.nat(shape.length).map((from) => pairs.slice(from))),
      }),
    )
    fc.assert(
      fc.property(paddings, ({ shape, pairs }) => {
        const added = shape.length - pairs.length
        const lo = shape.map((_, axis) => pairs[axis - added]?.[0] ?? 0)
        const hi = shape.map((_, axis) => pairs[axis - added]?.[1] ?? 0)
        expectMoved(
          (x) => pad(x, pairs, { mode, value: mode === 'zeros' ? 7 : 0 }),
          shape,
          shape.map((extent, axis) => extent + lo[axis]! + hi[axis]!),
          (index) => {
            const from = index.map((i, axis) => sources[mode](i - lo[axis]!, shape[axis]!))
            return from.includes(-1) ? -1 : at(shape, from)
          },
          7,
        )
      }),
      { numRuns: 60 },
    )
  })

  it('reaches every remainder of the rows', () => {
    for (let n = 1; n <= 40; n++) {
      expectMoved(
        (x) => pad(x, [[1, 2]], { mode: 'replicate' }),
        [2, n],
        [2, n + 3],
        ([row, i]) => row! * n + sources.replicate(i! - 1, n),
      )
      expectMoved(
        (x) => pad(x, [[1, 1], 0], { mode: 'circular' }),
        [3, n],
        [5, n],
        ([row, i]) => sources.circular(row! - 1, 3) * n + i!,
      )
    }
  })

  it('takes one number for the axes after (N, C)', () => {
    scope(() => {
      expect(pad(zeros([2, 3, 4, 5]), 2).shape).toEqual([2, 3, 8, 9])
      expect(pad(zeros([2, 3, 4]), 1, { mode: 'reflect' }).shape).toEqual([2, 3, 6])
      expect(pad(zeros([2, 3]), [1, [0, 2]]).shape).toEqual([4, 5])
      expect([...pad(tensor([1]), [1], { value: -2 }).data()]).toEqual([-2, 1, -2])
      for (const mode of modes) expectTwice((x) => pad(x, 1, { mode }), uniform([1, 2, 3, 3], { low: -1 }))
    })
  })
})

describe('flatten', () => {
  it('joins the axes from startAxis on and shares memory', () => {
    scope(() => {
      const x = uniform([2, 3, 4, 5])
      const { blocks } = memoryUsage()
      expect(flatten(x).shape).toEqual([2, 60])
      expect(flatten(x, 0).shape).toEqual([120])
      expect(flatten(x, -2).shape).toEqual([2, 3, 20])
      expect(flatten(zeros([3]), 0).shape).toEqual([3])
      expect(memoryUsage().blocks).toBe(blocks + 1)
      const { pullback } = vjp((t) => flatten(t), x)
      expect(pullback(zeros([2, 60]))[0]!.shape).toEqual([2, 3, 4, 5])
    })
  })
})

describe('upsample2d', () => {
  it('repeats pixels, with its gradient', () => {
    for (const [H, W, rows, columns] of [
      [1, 1, 2, 3],
      [3, 5, 2, 2],
      [4, 7, 1, 3],
      [2, 9, 5, 1],
    ] as const) {
      expectMoved(
        (x) => upsample2d(x, { scale: [rows, columns] }),
        [2, 3, H, W],
        [2, 3, H * rows, W * columns],
        ([n, c, p, q]) => at([2, 3, H, W], [n!, c!, Math.floor(p! / rows), Math.floor(q! / columns)]),
      )
    }
  })

  it('interpolates between the centres of pixels, as PyTorch does', () => {
    /** Weights of one axis: rows of the interpolation matrix. */
    const weights = (n: number, scale: number): number[][] =>
      Array.from({ length: n * scale }, (_, i) => {
        const place = Math.max((i + 0.5) / scale - 0.5, 0)
        const low = Math.floor(place)
        const high = Math.min(low + 1, n - 1)
        const row = new Array<number>(n).fill(0)
        row[low]! += 1 - (place - low)
        row[high]! += place - low
        return row
      })
    for (let W = 1; W <= 20; W++) {
      const [H, rows, columns] = [1 + (W % 4), 1 + (W % 3), 1 + (W % 5)]
      scope(() => {
        const x = numbersLike([2, 2, H, W], W)
        const xs = x.data()
        const op = (t: Tensor): Tensor => upsample2d(t, { scale: [rows, columns], mode: 'bilinear' })
        const { value, pullback } = vjp((t) => op(t), x)
        const dy = numbersLike(value.shape, 3)
        const dys = dy.data()
        const expected = new Float64Array(value.size)
        const dx = new Float64Array(xs.length)
        const down = weights(H, rows)
        const across = weights(W, columns)
        let i = 0
        for (const [n, c, p, q] of indices(value.shape)) {
          down[p!]!.forEach((v, h) => {
            across[q!]!.forEach((w, k) => {
              const position = at([2, 2, H, W], [n!, c!, h, k])
              expected[i]! += v * w * xs[position]!
              dx[position]! += v * w * dys[i]!
            })
          })
          i++
        }
        expect(difference(value.data(), expected).error).toBeLessThan(2e-6)
        expect(difference(pullback(dy)[0]!.data(), dx).error).toBeLessThan(2e-5)
      })
    }
    scope(() => {
      // torch.nn.functional.interpolate(torch.tensor([[[[0., 1.]]]]), scale_factor=2, mode='bilinear')
      const y = upsample2d(tensor([[[[0, 1]]]]), { scale: 2, mode: 'bilinear' })
      expect([...y.data()]).toEqual([0, 0.25, 0.75, 1, 0, 0.25, 0.75, 1])
    })
  })

  it('has an exact adjoint, and can be differentiated twice', () => {
    scope(() => {
      for (const mode of ['nearest', 'bilinear'] as const) {
        const op = (x: Tensor): Tensor => upsample2d(x, { scale: [2, 4], mode })
        expectAdjoint(op, [numbersLike([2, 3, 4, 5], 8)])
        expectTwice(op, uniform([1, 2, 2, 3], { low: -1 }))
      }
    })
  })
})

describe('layout', () => {
  const x = (): Tensor => zeros([2, 3, 4, 5])
  it.each<[string, () => unknown, RegExp]>([
    [
      'permutation',
      () => transpose(x(), [0, 1, 2]),
      /transpose: permutation must name each of the 4 axes .* given \(0, 1, 2\)/,
    ],
    ['axis twice', () => transpose(x(), [0, 1, 2, 2]), /must name each of the 4 axes/],
    ['axis of a permutation', () => transpose(x(), [0, 1, 2, 4]), /transpose: axis 4 does not exist/],
    ['number of bounds', () => slice(x(), { begin: [0, 0, 0, 0, 0] }), /slice: begin must be an array of at most 4/],
    ['bound', () => slice(x(), { end: [2, 4] }), /slice: end of axis 1 must be a whole number from -3 to 3, given 4/],
    ['fraction of a bound', () => slice(x(), { begin: [0.5] }), /given 0.5/],
    ['backward slice', () => slice(x(), { begin: [2], end: [1] }), /slice: of \(2, 3, 4, 5\), .* holds nothing/],
    ['empty list', () => concat([], 0), /concat: tensors is empty/],
    ['list', () => concat(x() as never, 0), /concat: tensors must be an array, given a Tensor/],
    ['element', () => concat([x(), 1 as never], 0), /concat: tensors\[1\] must be a Tensor, not 1;/],
    ['axis of concat', () => concat([x()], 4), /concat: axis 4 does not exist/],
    [
      'shapes',
      () => concat([x(), zeros([2, 3, 4, 6])], 1),
      /concat: shapes \(2, 3, 4, 5\) and \(2, 3, 4, 6\) differ outside axis 1/,
    ],
    ['rank', () => concat([x(), zeros([2, 3, 4])], 1), /concat: shapes \(2, 3, 4, 5\) and \(2, 3, 4\) differ/],
    ['negative padding', () => pad(x(), -1), /pad: padding must be whole numbers from 0 on, given -1/],
    ['number of pads', () => pad(x(), [1, 1, 1, 1, 1]), /pad: padding must be a number or at most 4/],
    ['pair', () => pad(x(), [[1, 2, 3] as never]), /pad: padding must be a number or 2 numbers/],
    ['padding without axes', () => pad(zeros([3, 3]), 1), /one number pads the axes after \(N, C\), which \(3, 3\)/],
    ['mode', () => pad(x(), 1, { mode: 'mirror' as never }), /pad: mode must be 'zeros', .* given 'mirror'/],
    [
      'reflection',
      () => pad(x(), [4, 4], { mode: 'reflect' }),
      /pad: axis 2 of \(2, 3, 4, 5\) can be padded by at most 3 with 'reflect', given 4/,
    ],
    ['circle', () => pad(x(), 5, { mode: 'circular' }), /can be padded by at most 4 with 'circular', given 5/],
    ['value', () => pad(x(), 1, { mode: 'reflect', value: 1 }), /value must be a number, and is for mode 'zeros' only/],
    ['axis of flatten', () => flatten(x(), 4), /flatten: axis 4 does not exist/],
    [
      'rank of maps',
      () => upsample2d(zeros([3, 4, 5]), { scale: 2 }),
      /upsample2d: x must be \(N, C, H, W\), given \(3, 4, 5\)/,
    ],
    ['scale', () => upsample2d(x(), { scale: 1.5 }), /upsample2d: scale must be whole numbers from 1 on, given 1.5/],
    ['scale of zero', () => upsample2d(x(), { scale: 0 }), /given 0/],
    [
      'interpolation',
      () => upsample2d(x(), { scale: 2, mode: 'cubic' as never }),
      /must be 'nearest' or 'bilinear', given 'cubic'/,
    ],
    ['size', () => upsample2d(x(), { scale: 30_000 }), /needs more than the 4 GiB/],
  ])('refuses a wrong %s and allocates nothing', (_, call, message) => {
    scope(() => {
      expect(call).toThrow(message)
      expect(call).toThrow(ShapeError)
    })
    const before = memoryUsage().liveBytes
    scope(() => {
      expect(call).toThrow()
    })
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it('refuses what is not a tensor, or no longer one', () => {
    scope(() => {
      const gone = x()
      gone.dispose()
      for (const call of [
        (t: Tensor) => pad(t, 1),
        (t: Tensor) => upsample2d(t, { scale: 2 }),
        (t: Tensor) => upsample2d(t, { scale: 2, mode: 'bilinear' }),
        (t: Tensor) => transpose(t),
        (t: Tensor) => slice(t, {}),
        (t: Tensor) => concat([t], 0),
        (t: Tensor) => flatten(t),
      ]) {
        expect(() => call(gone)).toThrow(DisposedError)
        expect(() => call('x' as never)).toThrow(/must be a Tensor, not 'x';/)
      }
    })
  })

  it('leaves no memory behind', () => {
    const before = memoryUsage()
    scope(() => {
      const t = uniform([1, 2, 4, 4])
      for (const op of [
        (u: Tensor) => pad(u, 1, { mode: 'reflect' }),
        (u: Tensor) => upsample2d(u, { scale: 2, mode: 'bilinear' }),
        (u: Tensor) => transpose(concat([u, slice(u, { begin: [0, 1] })], 1)),
      ]) {
        const { value, pullback, dispose } = vjp((u) => op(u), t)
        pullback(value)
        dispose()
      }
    })
    expect(memoryUsage()).toMatchObject({ liveBytes: before.liveBytes, blocks: before.blocks })
  })
})
