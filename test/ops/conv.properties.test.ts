/** What holds for every convolution: PyTorch's values, equivariance, IEEE rules, any size of image. */
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { valueAndGrad, vjp } from '../../src/autodiff/vjp.js'
import * as activations from '../../src/ops/activation.js'
import type { Activation } from '../../src/ops/conv.js'
import {
  adaptiveAvgPool2d,
  conv1d,
  conv2d,
  conv3d,
  crossEntropy,
  flatten,
  linear,
  relu,
  type ConvOptions,
  type OutputSize,
} from '../../src/ops/index.js'
import { SGD } from '../../src/optim/index.js'
import { algorithms, type ConvAlgorithm } from '../../src/plan/conv.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError, UnsupportedError } from '../../src/runtime/errors.js'
import { normal, tensor, zeros } from '../../src/tensor/create.js'
import { keep, scope, type Tensor } from '../../src/tensor/tensor.js'
import { expectOracle, numbers, numbersLike } from '../helpers/linear.js'
import { expectClose, oracleCases } from '../helpers/oracle.js'
import { at, indices, size, visitConv, type ConvSpec } from '../helpers/reference.js'

beforeAll(() => init())

const operations = { conv1d, conv2d, conv3d }
type Name = keyof typeof operations
const names = Object.keys(operations) as Name[]
const byDirections = [conv1d, conv2d, conv3d]
/** Those that compute by the definition's multiplications and additions. */
const definitional: readonly ConvAlgorithm[] = ['direct', 'gemm']

describe.each(names)('%s', (name) => {
  const cases = oracleCases(name)

  it.each(cases)('agrees with PyTorch, case $id', (test) => {
    expectOracle(test, ({ x, w, bias }, options) => operations[name](x!, w!, { ...(options as ConvOptions), bias }))
  })

  it.each(definitional)('agrees with PyTorch by algorithm %s', (algorithm) => {
    for (const test of cases) {
      expectOracle(test, ({ x, w, bias }, options) =>
        operations[name](x!, w!, { ...(options as ConvOptions), bias, algorithm }),
      )
    }
  })

  it('is compared with PyTorch in every option', () => {
    const seen = (option: string): Set<unknown> => new Set(cases.map(({ options }) => options[option]))
    for (const mode of ['zeros', 'replicate', 'circular']) expect(seen('paddingMode')).toContain(mode)
    expect(seen('flip')).toEqual(new Set([true, false]))
    for (const option of ['stride', 'dilation', 'groups', 'padding']) expect(seen(option).size).toBeGreaterThan(1)
  })
})

describe('shifting', () => {
  interface Shifted {
    readonly input: readonly number[]
    readonly kernel: readonly number[]
    readonly dilation: readonly number[]
    readonly shift: readonly number[]
    readonly N: number
    readonly groups: number
    readonly groupC: number
    readonly groupK: number
    readonly flip: boolean
    readonly seed: number
  }

  const list = (directions: number, min: number, max: number): fc.Arbitrary<number[]> =>
    fc.array(fc.integer({ min, max }), { minLength: directions, maxLength: directions })

  const reach = ({ kernel, dilation }: Shifted): number[] =>
    kernel.map((taps, axis) => dilation[axis]! * (taps - 1) + 1)

  /** Some window must lie within the input, and within it still when shifted. */
  const overlaps = (test: Shifted): boolean =>
    reach(test).every((extent, axis) => test.input[axis]! >= extent + Math.abs(test.shift[axis]!))

  const shifts = (directions: number): fc.Arbitrary<Shifted> =>
    fc
      .record({
        input: list(directions, 1, [40, 14, 8][directions - 1]!),
        kernel: list(directions, 1, directions === 3 ? 3 : 5),
        dilation: list(directions, 1, 2),
        shift: list(directions, -3, 3),
        N: fc.integer({ min: 1, max: 2 }),
        groups: fc.integer({ min: 1, max: 2 }),
        groupC: fc.integer({ min: 1, max: 4 }),
        groupK: fc.integer({ min: 1, max: 6 }),
        flip: fc.boolean(),
        seed: fc.integer({ min: 1, max: 1e6 }),
      })
      .filter(overlaps)

  /**
   * Compares conv(shift(x)) with shift(conv(x)) where no window touches a border: bit for bit, except by default, where
   * the choice may fall on an algorithm that works in tiles. Gives the number of outputs.
   */
  function compare(test: Shifted, algorithm: ConvAlgorithm | 'auto'): number {
    const { input, kernel, dilation, shift, N, groups, groupC, groupK, flip, seed } = test
    const xShape = [N, groups * groupC, ...input]
    const x = numbers(size(xShape), seed, false)
    // What comes in over the border is new.
    const moved = numbers(size(xShape), seed + 1, false)
    for (const index of indices(xShape)) {
      const from = [...index.slice(0, 2), ...shift.map((step, axis) => index[axis + 2]! - step)]
      const inside = from.every((place, axis) => place >= 0 && place < xShape[axis]!)
      if (inside) moved[at(xShape, index)] = x[at(xShape, from)]!
    }
    const yShape = [N, groups * groupK, ...input]
    return scope(() => {
      const w = numbersLike([groups * groupK, groupC, ...kernel], seed + 2, false)
      const bias = numbersLike([groups * groupK], seed + 3, false)
      const convolve = (values: Float32Array): Float32Array =>
        byDirections[input.length - 1]!(tensor(values, xShape), w, {
          bias,
          padding: 'same',
          dilation,
          groups,
          flip,
          algorithm,
        }).data()
      const [y, shifted] = [convolve(x), convolve(moved)]
      const [given, wanted]: [number[], number[]] = [[], []]
      const extents = reach(test)
      const inside = (pixel: readonly number[]): boolean =>
        pixel.every((p, axis) => {
          const first = p - ((extents[axis]! - 1) >> 1)
          return first >= 0 && first + extents[axis]! <= input[axis]!
        })
      for (const index of indices(yShape)) {
        const pixel = index.slice(2)
        const from = pixel.map((p, axis) => p - shift[axis]!)
        if (!inside(pixel) || !inside(from)) continue
        given.push(shifted[at(yShape, index)]!)
        wanted.push(y[at(yShape, [...index.slice(0, 2), ...from])]!)
      }
      if (algorithm === 'auto') expectClose(given, wanted)
      else expect(given).toEqual(wanted)
      return given.length
    })
  }

  it.each(([...definitional, 'auto'] as const).flatMap((algorithm) => names.map((name) => [algorithm, name] as const)))(
    'and convolving by %s (%s) can be exchanged',
    (algorithm, name) => {
      fc.assert(
        fc.property(shifts(names.indexOf(name) + 1), (test) => {
          expect(compare(test, algorithm)).toBeGreaterThan(0)
        }),
        { numRuns: 80 },
      )
    },
  )

  it.each([...definitional, 'auto'] as const)('can be exchanged over many blocks by %s', (algorithm) => {
    const base = { kernel: [3, 3], dilation: [1, 1], N: 1, groups: 1, flip: false, seed: 3 }
    const count = compare({ ...base, input: [37, 61], shift: [3, -5], groupC: 3, groupK: 7 }, algorithm)
    expect(count).toBe(7 * (37 - 2 - 3) * (61 - 2 - 5))
    compare({ ...base, input: [9, 21], shift: [1, 1], groupC: 130, groupK: 5 }, algorithm)
  })
})

describe.each(definitional)('numbers that are not finite, by %s', (algorithm) => {
  interface Setting {
    readonly x: readonly number[]
    readonly w: readonly number[]
    readonly y: readonly number[]
    readonly spec: ConvSpec
    readonly padding: readonly (readonly [number, number])[]
  }

  const bare: readonly Setting[] = [
    {
      x: [2, 2, 21],
      w: [5, 2, 3],
      y: [2, 5, 19],
      padding: [[0, 0]],
      spec: { stride: [1], lo: [0], dilation: [1], groups: 1, flip: false },
    },
    {
      x: [1, 4, 6, 5],
      w: [6, 2, 3, 2],
      y: [1, 6, 2, 3],
      padding: [
        [0, 0],
        [0, 0],
      ],
      spec: { stride: [2, 1], lo: [0, 0], dilation: [1, 2], groups: 2, flip: true },
    },
    {
      x: [1, 2, 4, 3, 4],
      w: [3, 2, 2, 2, 2],
      y: [1, 3, 3, 2, 2],
      padding: [
        [0, 0],
        [0, 0],
        [0, 0],
      ],
      spec: { stride: [1, 1, 2], lo: [0, 0, 0], dilation: [1, 1, 1], groups: 1, flip: false },
    },
  ]
  const padded: readonly Setting[] = [
    { ...bare[0]!, padding: [[2, 1]], y: [2, 5, 22], spec: { ...bare[0]!.spec, lo: [2] } },
    {
      ...bare[1]!,
      padding: [
        [1, 2],
        [0, 1],
      ],
      y: [1, 6, 4, 4],
      spec: { ...bare[1]!.spec, lo: [1, 0] },
    },
    {
      ...bare[2]!,
      padding: [
        [1, 0],
        [0, 1],
        [1, 1],
      ],
      y: [1, 3, 4, 3, 3],
      spec: { ...bare[2]!.spec, lo: [1, 0, 1] },
    },
  ]

  type Part = 'x' | 'w' | 'y'

  /** y, dx and dw (the results named y, x, w) of given values of x, w and dy (named y). */
  function results(setting: Setting, values: Readonly<Record<Part, Float32Array>>): Record<Part, Float32Array> {
    const { x, w, y, spec, padding } = setting
    const { stride, dilation, groups, flip } = spec
    return scope(() => {
      const operation = byDirections[x.length - 3]!
      const { value, pullback, dispose } = vjp(
        (a, b) => operation(a, b, { stride, dilation, groups, flip, padding, algorithm }),
        tensor(values.x, x),
        tensor(values.w, w),
      )
      expect(value.shape).toEqual(y)
      const [dx, dw] = pullback(tensor(values.y, y))
      dispose()
      return { y: value.data(), x: dx!.data(), w: dw!.data() }
    })
  }

  /** One NaN in `from`, at each place in turn, must show in the results that use it, and change nothing else. */
  function expectSpread(setting: Setting, from: Part, to: readonly Part[]): void {
    const { x, w, y, spec } = setting
    const shapes = { x, w, y }
    const values = { x: numbers(size(x), 1, false), w: numbers(size(w), 2, false), y: numbers(size(y), 3, false) }
    const clean = results(setting, values)
    const triples: Record<Part, number>[] = []
    visitConv(x, w, y, spec, (xi, wi, yi) => triples.push({ x: xi, w: wi, y: yi }))
    for (let place = 0; place < size(shapes[from]); place++) {
      const poisoned = values[from].slice()
      poisoned[place] = NaN
      const given = results(setting, { ...values, [from]: poisoned })
      for (const part of to) {
        const wanted = clean[part].slice()
        for (const triple of triples) if (triple[from] === place) wanted[triple[part]] = NaN
        expect(given[part]).toEqual(wanted)
      }
    }
  }

  it('a NaN in x reaches exactly the outputs whose windows hold it, and the weights that meet it', () => {
    for (const setting of [...bare, ...padded]) expectSpread(setting, 'x', ['y', 'w'])
  })

  it('a NaN in w reaches exactly its output channel, and the inputs that it weighs', () => {
    for (const setting of bare) expectSpread(setting, 'w', ['y', 'x'])
    for (const setting of padded) expectSpread(setting, 'w', ['x'])
  })

  it('a NaN in dy reaches exactly the inputs of its window, and the kernel of its channel', () => {
    for (const setting of bare) expectSpread(setting, 'y', ['x', 'w'])
    for (const setting of padded) expectSpread(setting, 'y', ['x'])
  })

  it('infinity times zero is NaN, times other numbers infinity of their sign', () => {
    scope(() => {
      const w = tensor([[[1, 0, -1]]])
      const row = (...values: number[]): number[] => [...conv1d(tensor([[values]]), w, { algorithm }).data()]
      expect(row(1, 2, Infinity, 3, 4, 6)).toEqual([-Infinity, NaN, Infinity, -3])
      expect(row(1, 2, -Infinity, 3, 4, 6)).toEqual([Infinity, NaN, -Infinity, -3])
    })
  })

  it('infinities of both signs make NaN, of one sign infinity, and 0 · NaN is NaN', () => {
    scope(() => {
      const w = tensor([[[1, 1, 0]]])
      const row = (...values: number[]): number[] => [...conv1d(tensor([[values]]), w, { algorithm }).data()]
      expect(row(Infinity, -Infinity, 1)).toEqual([NaN])
      expect(row(Infinity, Infinity, 1)).toEqual([Infinity])
      expect(row(1, 2, NaN)).toEqual([NaN])
    })
  })

  it('pass through biases and the activation', () => {
    scope(() => {
      const run = (bias: Tensor): number[] => [
        ...conv1d(zeros([1, 1, 3]), zeros([3, 1, 2]), { bias, activation: 'relu', algorithm }).data(),
      ]
      expect(run(tensor([NaN, Infinity, -Infinity]))).toEqual([NaN, NaN, Infinity, Infinity, 0, 0])
      expect(
        run(
          tensor([
            [NaN, 1],
            [Infinity, 2],
            [-Infinity, 3],
          ]),
        ),
      ).toEqual([NaN, 1, Infinity, 2, 0, 3])
    })
  })
})

describe('the option activation', () => {
  const activationNames = Object.keys(activations) as Activation[]
  const settings: readonly ConvOptions[] = [
    { padding: 'same' },
    { stride: 2, groups: 2, flip: true },
    { padding: 1, paddingMode: 'reflect' },
  ]

  it.each(activationNames.flatMap((activation) => names.map((name) => [activation, name] as const)))(
    '%s of %s is the activation applied afterwards, gradients included',
    (activation, name) => {
      for (const options of settings) {
        scope(() => {
          const directions = names.indexOf(name) + 1
          const x = numbersLike([2, 4, ...[7, 6, 5].slice(0, directions)], 1, false)
          const w = numbersLike([6, 4 / (options.groups ?? 1), ...[3, 2, 3].slice(0, directions)], 2, false)
          const b = numbersLike([6], 3, false)
          const operation = operations[name]
          const fused = vjp(
            (...given) => operation(given[0]!, given[1]!, { ...options, bias: given[2], activation }),
            x,
            w,
            b,
          )
          const apart = vjp(
            (...given) => activations[activation](operation(given[0]!, given[1]!, { ...options, bias: given[2] })),
            x,
            w,
            b,
          )
          expect(fused.value.data()).toEqual(apart.value.data())
          const dy = numbersLike(fused.value.shape, 4, false)
          const wanted = apart.pullback(dy).map((gradient) => gradient.data())
          expect(fused.pullback(dy).map((gradient) => gradient.data())).toEqual(wanted)
          fused.dispose()
          apart.dispose()
        })
      }
    },
  )
})

describe.each(Object.keys(algorithms) as ConvAlgorithm[])('relu within the pass of %s', (algorithm) => {
  it('has the bits of relu afterwards, with all gradients, NaN and both zeros included', () => {
    const sliding = [1, 3, 5, 11].flatMap((side) =>
      [1, 2].map((stride) => ({ kernel: [side, side], stride, padding: 'same' as const })),
    )
    const kernels = [...sliding, { kernel: [13, 15], stride: 1, padding: 'valid' as const }]
    let compared = 0
    for (const { kernel, stride, padding } of kernels) {
      for (const [N, C, K, groups] of [
        [1, 3, 5, 1],
        [2, 8, 9, 1],
        [3, 4, 4, 4],
      ] as const) {
        scope(() => {
          const x = numbersLike([N, C, 13, 15], 1, false)
          const w = numbersLike([K, C / groups, ...kernel], 2, false)
          const b = tensor(Array.from({ length: K }, (_, k) => [NaN, 0.5, -0.5, -0, Infinity][k % 5]!))
          const options = { stride, groups, padding, algorithm }
          try {
            conv2d(x, w, options)
          } catch (error) {
            if (error instanceof UnsupportedError) return
            throw error
          }
          compared++
          const compute = (rectify: (...given: Tensor[]) => Tensor): Float32Array[] => {
            const { value, pullback, dispose } = vjp(rectify, x, w, b)
            const results = [value, ...pullback(numbersLike(value.shape, 4, false))].map((result) => result.data())
            dispose()
            return results
          }
          const within = compute((a, k, bias) => conv2d(a, k, { ...options, bias, activation: 'relu' }))
          const after = compute((a, k, bias) => activations.relu(conv2d(a, k, { ...options, bias })))
          expect(within).toEqual(after)
        })
      }
    }
    expect(compared).toBeGreaterThan(0)
  })
})

describe('what is refused', () => {
  const wide = (directions: number, axis: number, pair: readonly [number, number]): ConvOptions => ({
    padding: Array.from({ length: directions }, (_, i) => (i === axis ? pair : ([0, 0] as const))),
    paddingMode: 'reflect',
  })

  interface Refused {
    readonly name: Name
    readonly what: string
    readonly options: ConvOptions
    readonly message: RegExp
  }

  const cases = names.flatMap((name, index): Refused[] => {
    const directions = index + 1
    const last = 39 - index
    return [
      ...[
        [40, 0],
        [0, 40],
        [1000, 1000],
      ].map((pair) => ({
        name,
        what: `reflection by ${pair.join(' and ')} of 40 elements`,
        options: wide(directions, 0, pair as [number, number]),
        message: /at most 39 with 'reflect', given (40|1000)/,
      })),
      {
        name,
        what: 'reflection of the last direction',
        options: wide(directions, index, [last + 1, 0]),
        message: new RegExp(`at most ${last} with 'reflect', given ${last + 1}`),
      },
      ...[
        { padding: 2 ** 28, stride: 2 ** 26 },
        { padding: 2 ** 30, stride: 2 ** 30 },
        { padding: 'same' as const, dilation: 2 ** 28 },
        { padding: 'same' as const, dilation: 2 ** 30 },
      ].map((options) => ({
        name,
        what: `repeated borders far wider than the input, ${JSON.stringify(options)}`,
        options: { ...options, paddingMode: 'replicate' as const },
        message: new RegExp(
          `^${name}: padding and dilation make \\(1, 2, .*\\) of the input .*, far more than what is read of it`,
        ),
      })),
      {
        name,
        what: 'an unknown padding mode',
        options: { padding: 1, paddingMode: 'mirror' as 'reflect' },
        message: new RegExp(`${name}: paddingMode must be zeros, reflect, replicate, circular, given 'mirror'`),
      },
      {
        name,
        what: 'a padding mode that is a property of every object',
        options: { padding: 1, paddingMode: 'toString' as 'reflect' },
        message: /paddingMode must be .*, given 'toString'/,
      },
      {
        name,
        what: 'an unknown activation',
        options: { activation: 'step' as 'relu' },
        message: new RegExp(`${name}: activation must be one of relu, leakyRelu, .*, given 'step'`),
      },
      {
        name,
        what: 'an activation that is a property of every object',
        options: { activation: 'toString' as 'relu' },
        message: /activation must be one of .*, given 'toString'/,
      },
    ]
  })

  it.each(cases)('$name refuses $what and allocates nothing, not even for a moment', ({ name, options, message }) => {
    scope(() => {
      const index = names.indexOf(name)
      const x = zeros([1, 2, ...[40, 39, 38].slice(0, index + 1)])
      const w = zeros([2, 2, ...[3, 3, 3].slice(0, index + 1)])
      // As much in use as ever: whatever is allocated now moves the peak.
      const { liveBytes, peakBytes } = memoryUsage()
      if (peakBytes > liveBytes) zeros([Math.ceil((peakBytes - liveBytes) / 4)])
      const before = memoryUsage()
      expect(before.liveBytes).toBe(before.peakBytes)
      expect(() => operations[name](x, w, options)).toThrow(ShapeError)
      expect(() => operations[name](x, w, options)).toThrow(message)
      expect(memoryUsage()).toEqual(before)
    })
  })

  it.each(names)('%s takes the widest reflection that there is', (name) => {
    scope(() => {
      const index = names.indexOf(name)
      const extents = [4, 3, 5].slice(0, index + 1)
      const padding = extents.map((n) => [n - 1, n - 1] as const)
      const w = zeros([1, 1, ...extents.map(() => 1)])
      const y = operations[name](zeros([1, 1, ...extents]), w, { padding, paddingMode: 'reflect' })
      expect(y.shape.slice(2)).toEqual(extents.map((n) => 3 * n - 2))
    })
  })
})

describe('one model for images of any size', () => {
  const sizes = [
    [28, 28],
    [61, 37],
    [200, 300],
  ] as const

  /** Stripes across, down, or checks, with a period of 4 pixels; noise on top. */
  function picture(kind: number, [height, width]: readonly [number, number], seed: number): Float32Array {
    const noise = numbers(height * width, seed, false)
    return noise.map((value, i) => {
      const [across, down] = [(Math.floor(i / width) + seed) & 2, ((i % width) + seed) & 2]
      const bright = [across, down, across ^ down][kind]! > 0
      return (bright ? 1 : -1) + value / 2
    })
  }

  function batch(extents: readonly [number, number], count: number, seed: number): { x: Tensor; labels: number[] } {
    const labels = Array.from({ length: count }, (_, n) => (n + seed) % 3)
    const pixels = labels.flatMap((kind, n) => [...picture(kind, extents, seed * 100 + n)])
    return { x: tensor(pixels, [count, 1, ...extents]), labels }
  }

  it.each<[string, OutputSize, number]>([
    ['one mean of each map', 1, 1],
    ['a grid of 2 × 2', [2, 2], 4],
  ])('runs and is trained on a mix of sizes, with %s', (_, grid, cells) => {
    const parameters = scope(() =>
      [
        normal([4, 1, 3, 3], { seed: 1, std: 0.4 }),
        zeros([4]),
        normal([6, 4, 3, 3], { seed: 2, std: 0.2 }),
        zeros([6]),
        normal([3, 6 * cells], { seed: 3, std: 0.2 }),
        zeros([3]),
      ].map((parameter) => keep(parameter)),
    )
    const scores = (x: Tensor, [w1, b1, w2, b2, w3, b3]: readonly Tensor[]): Tensor => {
      const hidden = relu(conv2d(x, w1!, { bias: b1, padding: 'same' }))
      const maps = conv2d(hidden, w2!, { bias: b2, stride: 2 })
      return linear(flatten(adaptiveAvgPool2d(maps, grid)), w3!, b3)
    }
    for (const extents of sizes) {
      scope(() => {
        const y = scores(zeros([2, 1, ...extents]), parameters)
        expect(y.shape).toEqual([2, 3])
        expect(y.data().every(Number.isFinite)).toBe(true)
      })
    }

    const optimizer = new SGD(parameters, { lr: 0.05, momentum: 0.9 })
    const losses: number[] = []
    const live: number[] = []
    for (let step = 0; step < 45; step++) {
      scope(() => {
        const { x, labels } = batch(sizes[step % 3]!, [9, 6, 3][step % 3]!, step)
        const { value, gradients } = valueAndGrad((...given) => crossEntropy(scores(x, given), labels))(...parameters)
        optimizer.step(gradients)
        losses.push(value.item())
      })
      live.push(memoryUsage().liveBytes)
    }
    // Three steps: one of each size.
    const average = (from: number): number => losses.slice(from, from + 3).reduce((sum, loss) => sum + loss, 0) / 3
    expect(average(42)).toBeLessThan(average(0) / 4)
    expect(new Set(live.slice(1)).size).toBe(1)

    // It tells the three kinds apart, in sizes that it has seen and one that it has not.
    for (const extents of [...sizes, [45, 83]] as const) {
      scope(() => {
        const { x, labels } = batch(extents, 6, 1000)
        const y = scores(x, parameters).data()
        const told = labels.map((__, n) => {
          const row = [...y.subarray(n * 3, n * 3 + 3)]
          return row.indexOf(Math.max(...row))
        })
        expect(told).toEqual(labels)
      })
    }
    optimizer.dispose()
    for (const parameter of parameters) parameter.dispose()
  })
})
