import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { vjp } from '../../src/autodiff/vjp.js'
import { conv1d, conv2d, conv3d } from '../../src/ops/index.js'
import { SGD } from '../../src/optim/index.js'
import { algorithms, isTransformed, type ConvAlgorithm } from '../../src/plan/conv.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError, UnsupportedError } from '../../src/runtime/errors.js'
import { ones, tensor, zeros } from '../../src/tensor/create.js'
import { scope } from '../../src/tensor/tensor.js'
import { difference, size, visitConv } from '../helpers/reference.js'

beforeAll(() => init())

const byDirections = [conv1d, conv2d, conv3d]

interface Case {
  readonly directions: number
  readonly N: number
  readonly groups: number
  readonly groupC: number
  readonly groupK: number
  readonly input: number[]
  readonly kernel: number[]
  readonly stride: number[]
  readonly dilation: number[]
  readonly padding: [number, number][]
  readonly flip: boolean
  readonly bias: 'none' | 'channel' | 'location'
  readonly integers: boolean
  readonly seed: number
}

const list = (directions: number, smallest: number, largest: number): fc.Arbitrary<number[]> =>
  fc.array(fc.integer({ min: smallest, max: largest }), { minLength: directions, maxLength: directions })

/** Shapes that reach every remainder of tiles (4 × 8), kernels larger than the input, one-pixel inputs. */
const cases: fc.Arbitrary<Case> = fc
  .integer({ min: 1, max: 3 })
  .chain((directions) =>
    fc.record({
      directions: fc.constant(directions),
      N: fc.integer({ min: 1, max: 3 }),
      groups: fc.constantFrom(1, 1, 1, 2, 3),
      groupC: fc.integer({ min: 1, max: 5 }),
      groupK: fc.integer({ min: 1, max: 9 }),
      input: list(directions, 1, directions === 1 ? 40 : directions === 2 ? 13 : 6),
      kernel: list(directions, 1, directions === 3 ? 3 : 5),
      stride: list(directions, 1, 3),
      dilation: list(directions, 1, 2),
      padding: fc.array(fc.tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 4 })), {
        minLength: directions,
        maxLength: directions,
      }),
      flip: fc.boolean(),
      bias: fc.constantFrom('none', 'channel', 'location'),
      integers: fc.boolean(),
      seed: fc.integer({ min: 1, max: 1e6 }),
    }),
  )
  .filter(({ input, kernel, dilation, padding }) =>
    input.every((n, axis) => {
      const [lo, hi] = padding[axis] as [number, number]
      return n + lo + hi >= (dilation[axis] as number) * ((kernel[axis] as number) - 1) + 1
    }),
  )

/** Numbers of a small generator: integers from -4 to 4, or fractions. */
function numbers(count: number, seed: number, integers: boolean): Float32Array {
  let state = seed
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return integers ? ((state >>> 8) % 9) - 4 : (state >>> 8) / 2 ** 23 - 1
  })
}

function check(test: Case, algorithm: ConvAlgorithm): void {
  const {
    directions,
    N,
    groups,
    groupC,
    groupK,
    input,
    kernel,
    stride,
    dilation,
    padding,
    flip,
    bias,
    integers,
    seed,
  } = test
  const xShape = [N, groups * groupC, ...input]
  const wShape = [groups * groupK, groupC, ...kernel]
  const output = input.map((n, axis) => {
    const [lo, hi] = padding[axis] as [number, number]
    return (
      Math.floor(
        (n + lo + hi - (dilation[axis] as number) * ((kernel[axis] as number) - 1) - 1) / (stride[axis] as number),
      ) + 1
    )
  })
  const yShape = [N, groups * groupK, ...output]
  const biasShape = bias === 'none' ? undefined : bias === 'channel' ? [groups * groupK] : yShape.slice(1)
  const xs = numbers(size(xShape), seed, integers)
  const ws = numbers(size(wShape), seed + 1, integers)
  const bs = biasShape && numbers(size(biasShape), seed + 2, integers)
  const dys = numbers(size(yShape), seed + 3, integers)

  const spec = { stride, lo: padding.map(([lo]) => lo), dilation, groups, flip }
  const perMap = size(output)
  const expected = {
    y: Float64Array.from(dys, (_, i) =>
      bs ? (bias === 'channel' ? bs[Math.floor(i / perMap) % wShape[0]!]! : bs[i % bs.length]!) : 0,
    ),
    dx: new Float64Array(xs.length),
    dw: new Float64Array(ws.length),
    db: new Float64Array(bs?.length ?? 0),
  }
  visitConv(xShape, wShape, yShape, spec, (xi, wi, yi) => {
    expected.y[yi]! += xs[xi]! * ws[wi]!
    expected.dx[xi]! += dys[yi]! * ws[wi]!
    expected.dw[wi]! += dys[yi]! * xs[xi]!
  })
  if (bs)
    dys.forEach(
      (value, i) => (expected.db[bias === 'channel' ? Math.floor(i / perMap) % bs.length : i % bs.length]! += value),
    )

  scope(() => {
    const inputs = [tensor(xs, xShape), tensor(ws, wShape), ...(bs ? [tensor(bs, biasShape)] : [])]
    const operation = byDirections[directions - 1]!
    const { value, pullback, dispose } = vjp(
      (x, w, b) => operation(x, w, { bias: b, stride, padding, dilation, groups, flip, algorithm }),
      ...inputs,
    )
    expect(value.shape).toEqual(yShape)
    const [dx, dw, db] = pullback(tensor(dys, yShape))
    const pairs = [
      [value.data(), expected.y],
      [dx!.data(), expected.dx],
      [dw!.data(), expected.dw],
      ...(db ? [[db.data(), expected.db] as const] : []),
    ] as const
    for (const [given, wanted] of pairs) {
      const { error, scale } = difference(given, wanted)
      expect(error).toBeLessThanOrEqual(integers && exact.has(algorithm) ? 0 : 1e-5 * scale + 1e-6)
    }
    dispose()
  })
}

/** Algorithms that add up the very products of the definition: exact for small whole numbers. */
const exact: ReadonlySet<ConvAlgorithm> = new Set(['dense', 'depthwise', 'direct', 'gemm'])

/** A case for transformed tiles: a square kernel of one of these sizes, stride 1, padding below the kernel. */
function forTiles(test: Case, sizes: readonly number[]): Case {
  const r = sizes[test.kernel[0]! % sizes.length]!
  const side = (axis: number): number => (test.input[axis] ?? 1) + r
  return {
    ...test,
    directions: 2,
    kernel: [r, r],
    stride: [1, 1],
    dilation: [1, 1],
    input: [side(0), side(1)],
    padding: [0, 1].map(
      (axis) => (test.padding[axis] ?? [1, 2]).map((zeros) => Math.min(zeros, r - 1)) as [number, number],
    ),
  }
}

/** Kernels for Fourier transforms by directions: of all numbers of points, square and not, of one tap along a direction. */
const fourierKernels: readonly (readonly (readonly number[])[])[] = [
  [[7], [2], [16], [17], [40], [129], [290]],
  [
    [7, 7],
    [2, 5],
    [11, 3],
    [1, 17],
    [31, 31],
    [4, 4],
    [13, 30],
    [9, 1],
  ],
  [
    [2, 3, 5],
    [3, 7, 2],
    [1, 5, 5],
    [5, 1, 4],
    [3, 3, 3],
  ],
]

/** A case for Fourier transforms: a kernel of `fourierKernels`, stride 1, padding below the kernel. */
function forFourier(test: Case): Case {
  const kernels = fourierKernels[test.directions - 1]!
  const kernel = kernels[test.seed % kernels.length]!
  const ones = kernel.map(() => 1)
  return {
    ...test,
    kernel: [...kernel],
    stride: ones,
    dilation: ones,
    input: kernel.map((extent, axis) => (test.input[axis] ?? 1) + extent),
    padding: kernel.map(
      (extent, axis) => (test.padding[axis] ?? [1, 2]).map((zeros) => Math.min(zeros, extent - 1)) as [number, number],
    ),
  }
}

/** A case for the phases of a stride: kernels three to five times as wide, padding of any width. */
function forPhases(test: Case): Case {
  const tiled = forTiles(test, [3, 4, 5])
  const stride = 2 + (test.seed % 3)
  const extent = stride * tiled.kernel[0]! - (test.seed % stride)
  return {
    ...tiled,
    kernel: [extent, extent],
    stride: [stride, stride],
    input: tiled.input.map((side) => side + extent + (test.seed % 7)),
  }
}

describe.each(Object.keys(algorithms) as ConvAlgorithm[])('convolution by %s', (algorithm) => {
  const suited = (test: Case): Case => {
    if (algorithm === 'winograd') return forTiles(test, [3, 5, 4])
    if (algorithm === 'phases') return forPhases({ ...test, N: Math.min(test.N, 6), groupC: Math.min(test.groupC, 18) })
    if (algorithm === 'winograd2') return forTiles(test, [3])
    // The definition is slow for large kernels: fewer images and channels.
    if (algorithm === 'fft') {
      const { N, groupC, groupK } = test
      const fewer = { N: Math.min(N, 6), groupC: Math.min(groupC, 66), groupK: Math.min(groupK, 21) }
      const least = test.directions === 1 ? fewer : { ...fewer, N: Math.min(N, 2), groupC: Math.min(groupC, 19) }
      return test.seed % 3 === 0
        ? forTiles({ ...test, ...fewer }, [7, 2, 11, 4, 17])
        : forFourier({ ...test, ...least })
    }
    if (algorithm === 'dense') {
      const padding = test.padding.map(() => [0, 0] as [number, number])
      return { ...test, groups: 1, kernel: test.input, dilation: test.input.map(() => 1), padding, flip: false }
    }
    if (algorithm !== 'depthwise') return test
    // Wide rows too, for the blocks of sixteen; half of the cases with the stride that has an input gradient.
    const stride = test.seed % 2 === 0 ? test.stride.map(() => 1) : test.stride
    const input = test.input.map((n, axis) => (axis === test.directions - 1 ? n + (test.seed % 20) : n))
    return { ...test, stride, input, groups: test.groupC + 1, groupC: 1, groupK: 1 + (test.seed % 3 === 0 ? 1 : 0) }
  }

  it('agrees with the definition, exactly for small integers, with all gradients', () => {
    fc.assert(
      fc.property(cases, (test) => {
        check(suited(test), algorithm)
      }),
      { numRuns: algorithm === 'fft' ? 60 : isTransformed(algorithm) ? 100 : 300 },
    )
  })

  it('agrees over every remainder of the register tile', () => {
    for (let groupK = 1; groupK <= 9; groupK++) {
      for (const width of [1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17]) {
        check(
          suited({
            directions: 1,
            N: 2,
            groups: 1,
            groupC: 3,
            groupK,
            input: [width + 2],
            kernel: [3],
            stride: [1],
            dilation: [1],
            padding: [[0, 0]],
            flip: false,
            bias: 'channel',
            integers: true,
            seed: groupK * 100 + width,
          }),
          algorithm,
        )
      }
    }
  })

  it('agrees where the taps and the pixels fill more than one block', () => {
    const base = {
      directions: 2,
      N: 3,
      groups: 1,
      flip: false,
      stride: [1, 1],
      dilation: [1, 1],
      integers: true,
      bias: 'location',
      seed: 5,
    } as const
    check(
      suited({
        ...base,
        groupC: 130,
        groupK: 5,
        input: [4, 5],
        kernel: [3, 3],
        padding: [
          [1, 1],
          [1, 1],
        ],
      } as unknown as Case),
      algorithm,
    )
    check(
      suited({
        ...base,
        groupC: 2,
        groupK: 5,
        input: [33, 41],
        kernel: [3, 3],
        padding: [
          [1, 0],
          [0, 1],
        ],
      } as unknown as Case),
      algorithm,
    )
    check(
      suited({
        ...base,
        N: 40,
        groups: 2,
        groupC: 3,
        groupK: 67,
        input: [4, 3],
        kernel: [3, 3],
        padding: [
          [0, 1],
          [2, 0],
        ],
      } as unknown as Case),
      algorithm,
    )
  })
})

describe('convolution', () => {
  it('resolves same, full and valid padding', () => {
    scope(() => {
      const shape = (padding: 'same' | 'full' | 'valid', stride = 1, kernel = 3): readonly number[] =>
        conv1d(zeros([1, 1, 10]), zeros([1, 1, kernel]), { padding, stride }).shape
      expect(shape('valid')).toEqual([1, 1, 8])
      expect(shape('same')).toEqual([1, 1, 10])
      expect(shape('same', 3, 4)).toEqual([1, 1, 4])
      expect(shape('full')).toEqual([1, 1, 12])
    })
  })

  it('puts the odd zero of same padding at the end', () => {
    scope(() => {
      expect([...conv1d(tensor([[[1, 2, 3]]]), tensor([[[1, 10]]]), { padding: 'same' }).data()]).toEqual([21, 32, 3])
    })
  })

  it.each(['gemm', 'winograd', 'winograd2', 'fft'] as const)(
    'keeps packed weights (%s) from their second use until they change',
    (algorithm) => {
      const x = ones([1, 2, 6, 6])
      const w = ones([3, 2, 3, 3])
      const before = memoryUsage().liveBytes
      const first = (): number =>
        scope(() => {
          const y = conv2d(x, w, { algorithm })
          return y.data()[0]!
        })
      expect(first()).toBeCloseTo(18, 4)
      expect(memoryUsage().liveBytes).toBe(before)
      expect(first()).toBeCloseTo(18, 4)
      const kept = memoryUsage().liveBytes
      expect(kept).toBeGreaterThan(before)
      expect(first()).toBeCloseTo(18, 4)
      expect(memoryUsage().liveBytes).toBe(kept)
      w.assign(new Float32Array(54).fill(2))
      expect(memoryUsage().liveBytes).toBe(before)
      expect(first()).toBeCloseTo(36, 4)
      const optimizer = new SGD([w], { lr: 1 })
      first()
      scope(() => optimizer.step([ones([3, 2, 3, 3])]))
      expect(first()).toBeCloseTo(18, 4)
      first()
      optimizer.dispose()
      w.dispose()
      x.dispose()
      expect(memoryUsage().blocks).toBe(0)
    },
  )

  it('can be differentiated twice', () => {
    scope(() => {
      const x = tensor([[[1, 2, 3, 4]]])
      const w = tensor([[[2, -1]]])
      const dy = ones([1, 1, 3])
      // The gradient with respect to w is g(x, dy): linear in x, so its gradient is h(dy, dw).
      const { pullback } = vjp((given) => {
        const inner = vjp((kernel) => conv1d(given, kernel), w)
        return inner.pullback(dy)[0]!
      }, x)
      expect([...pullback(tensor([[[1, 10]]]))[0]!.data()]).toEqual([1, 11, 11, 10])
    })
  })

  const x = (): ReturnType<typeof zeros> => zeros([1, 4, 5, 5])
  const w = (): ReturnType<typeof zeros> => zeros([6, 4, 3, 3])
  it.each<[string, () => unknown, RegExp]>([
    ['rank of x', () => conv2d(zeros([4, 5, 5]), w()), /conv2d: x must be \(N, C, H, W\), given \(4, 5, 5\)/],
    ['rank of w', () => conv2d(x(), zeros([6, 4, 3])), /conv2d: w must be \(K, C\/groups, R, S\)/],
    ['channels', () => conv2d(x(), zeros([6, 3, 3, 3])), /w must be \(K, 4, R, S\), given \(6, 3, 3, 3\)/],
    [
      'groups',
      () => conv2d(x(), w(), { groups: 3 }),
      /groups must divide the 4 input and the 6 output channels, given 3/,
    ],
    ['groups of zero', () => conv2d(x(), w(), { groups: 0 }), /groups must divide/],
    [
      'kernel too wide',
      () => conv2d(x(), zeros([6, 4, 7, 3])),
      /reaches over 7 elements along direction 0, but the input has 5/,
    ],
    [
      'stride of zero',
      () => conv2d(x(), w(), { stride: 0 }),
      /conv2d: stride must be whole numbers from 1 on, given 0/,
    ],
    ['fractional stride', () => conv2d(x(), w(), { stride: 1.5 }), /given 1.5/],
    ['NaN dilation', () => conv2d(x(), w(), { dilation: NaN }), /dilation must be whole numbers from 1 on, given NaN/],
    ['negative padding', () => conv2d(x(), w(), { padding: -1 }), /padding must be whole numbers from 0 on, given -1/],
    ['unknown padding', () => conv2d(x(), w(), { padding: 'all' as 'full' }), /given 'all'/],
    [
      'number of strides',
      () => conv2d(x(), w(), { stride: [1, 1, 1] }),
      /stride must be a number or 2 numbers, given 3 numbers/,
    ],
    ['bias', () => conv2d(x(), w(), { bias: zeros([4]) }), /bias must be \(6\), one for each channel, or \(6, 3, 3\)/],
    ['type of w', () => conv2d(x(), [1] as never), /conv2d: w must be a Tensor, not \[1\]; make one with tensor\(\)/],
  ])('refuses a wrong %s and allocates nothing', (_, call, message) => {
    scope(() => {
      expect(call).toThrow(message)
    })
    const before = memoryUsage().liveBytes
    scope(() => {
      expect(call).toThrow(ShapeError)
    })
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it('names the algorithms that exist when asked for another', () => {
    scope(() => {
      expect(() => conv2d(x(), w(), { algorithm: 'magic' as 'gemm' })).toThrow(UnsupportedError)
      expect(() => conv2d(x(), w(), { algorithm: 'magic' as 'gemm' })).toThrow(
        /use direct, .*gemm, winograd, winograd2, fft or auto/,
      )
    })
  })
})
