/** Convolutions of every kind, their gradients and their adjoints; and small convolutions for each algorithm. */
import * as ops from '../../src/ops/index.js'
import { algorithms, type ConvAlgorithm } from '../../src/plan/conv.js'
import { normal } from '../../src/tensor/create.js'
import type { Tensor } from '../../src/tensor/tensor.js'
import type { Json } from '../fuzz/mutate.js'
import type { Random } from '../fuzz/random.js'
import { t as tensorOf, tag } from '../fuzz/tags.js'
import { visitMeetings } from '../helpers/geometry.js'
import { indices, size, type Reference } from '../helpers/reference.js'
import { functions } from './elementwise.js'
import { padded } from './layout.js'
import {
  define,
  each,
  extent,
  few,
  from,
  get,
  mapped,
  numbers,
  of,
  paddings,
  small,
  volume,
  type Choice,
  type Definition,
  type MakeCase,
  type Operation,
  type Options,
  type Rows,
  type Small,
} from './operation.js'

// ---- definitions ------------------------------------------------------------------------------------------------------

/** Options with every entry filled in. */
interface Resolved {
  readonly stride: number[]
  readonly padding: [before: number, behind: number][]
  readonly dilation: number[]
  readonly groups: number
  readonly flip: boolean
}

/** Options of a case: those of the library but for the bias, which is an input. */
type Given = Omit<ops.ConvOptions, 'bias'>

function resolve(given: Given, kernel: readonly number[]): Resolved {
  const directions = kernel.length
  const dilation = each(given.dilation, directions, 1)
  return {
    stride: each(given.stride, directions, 1),
    dilation,
    padding: paddings(
      given.padding,
      kernel.map((taps, axis) => (dilation[axis] as number) * (taps - 1)),
    ),
    groups: given.groups ?? 1,
    flip: given.flip ?? false,
  }
}

const outputExtents = (
  plane: readonly number[],
  kernel: readonly number[],
  { stride, padding, dilation }: Resolved,
): number[] =>
  plane.map((n, axis) => {
    const [lo, hi] = padding[axis] as [number, number]
    const reach = (dilation[axis] as number) * ((kernel[axis] as number) - 1)
    return Math.floor((n + lo + hi - reach - 1) / (stride[axis] as number)) + 1
  })

/** visit(position in x, in w, in y) for every product of a convolution of these shapes. */
function visitProducts(
  x: Reference,
  w: Reference,
  y: Reference,
  { padding, ...options }: Resolved,
  visit: (xi: number, wi: number, yi: number) => void,
): void {
  const lo = padding.map(([zeros]) => zeros)
  visitMeetings({ name: '', directions: 1, x: x.shape, w: w.shape, y: y.shape, lo, options } as never, visit)
}

/** x with its border where that is no zeros, and the options of the convolution that is left. */
function bordered(x: Reference, options: Resolved, mode = 'zeros'): [Reference, Resolved] {
  if (mode === 'zeros') return [x, options]
  const border = [[0, 0], [0, 0], ...options.padding]
  return [padded(x, border, mode), { ...options, padding: options.padding.map(() => [0, 0]) }]
}

/** Numbers (N, K, …) of which each is that of a bias (K), or (K, …). */
const biased = (shape: readonly number[], bias: Reference | undefined): Reference =>
  from(shape, ([, k, ...place]) => {
    if (!bias) return 0
    return get(bias, bias.shape.length > 1 ? [k as number, ...place] : [k as number])
  })

function convolve([given, w, bias]: readonly Reference[], options: Given): Reference {
  const filter = w as Reference
  const [K, , ...kernel] = filter.shape as [number, number, ...number[]]
  const [x, resolved] = bordered(given as Reference, resolve(options, kernel), options.paddingMode)
  const y = biased([x.shape[0] as number, K, ...outputExtents(x.shape.slice(2), kernel, resolved)], bias)
  visitProducts(x, filter, y, resolved, (xi, wi, yi) => {
    y.data[yi] = (y.data[yi] as number) + (x.data[xi] as number) * (filter.data[wi] as number)
  })
  const { activation } = options
  return activation ? mapped(y, (value) => functions[activation].value(value, {} as never)) : y
}

/** The adjoint, to planes of these extents: every product the other way. */
function convolveBack([y, w, bias]: readonly Reference[], options: Given, inputSize: readonly number[]): Reference {
  const [image, filter] = [y as Reference, w as Reference]
  const resolved = resolve(options, filter.shape.slice(2))
  const x = biased([image.shape[0] as number, (filter.shape[1] as number) * resolved.groups, ...inputSize], bias)
  visitProducts(x, filter, image, resolved, (xi, wi, yi) => {
    x.data[xi] = (x.data[xi] as number) + (image.data[yi] as number) * (filter.data[wi] as number)
  })
  return x
}

/** The gradient by the kernel. */
function correlate([x, dy]: readonly Reference[], options: Given, kernel: readonly number[]): Reference {
  const [image, seed] = [x as Reference, dy as Reference]
  const resolved = resolve(options, kernel)
  const w = from([seed.shape[1] as number, (image.shape[1] as number) / resolved.groups, ...kernel], () => 0)
  visitProducts(image, w, seed, resolved, (xi, wi, yi) => {
    w.data[wi] = (w.data[wi] as number) + (image.data[xi] as number) * (seed.data[yi] as number)
  })
  return w
}

const names = Object.keys(algorithms) as ConvAlgorithm[]

/** Products that the definition may take. */
const MOST_PRODUCTS = 1e6

interface ConvChoice extends Resolved {
  readonly bias: boolean
  readonly algorithm: string
}

/** A problem at random: shapes of x, w and y, and options. */
function chooseProblem(
  random: Random,
  directions: number,
): { x: number[]; w: number[]; y: number[]; options: ConvChoice } {
  const groups = random.pick([1, 1, 1, 2, 3, 8])
  const depthwise = random.chance(0.2)
  const [inputs, outputs] = depthwise ? [1, random.pick([1, 1, 2])] : [extent(random, 33), extent(random, 33)]
  const most = [70, 17, 6][directions - 1] as number
  const kernel = random.list(directions, () =>
    random.pick(directions === 1 ? [1, 2, 3, 5, 9, 17] : directions === 2 ? [1, 2, 3, 3, 5, 7] : [1, 2, 3]),
  )
  const stride = random.chance(0.6) ? kernel.map(() => 1) : random.list(directions, () => random.between(1, 3))
  const dilation = random.chance(0.8) ? kernel.map(() => 1) : random.list(directions, () => random.between(1, 3))
  const padding = random.list(directions, (axis): [number, number] => {
    const reach = (dilation[axis] as number) * ((kernel[axis] as number) - 1)
    return random.pick<() => [number, number]>([
      () => [0, 0],
      () => [reach >> 1, reach - (reach >> 1)],
      () => [random.below(reach + 2), random.below(reach + 2)],
    ])()
  })
  const plane = random.list(directions, (axis) => {
    const [lo, hi] = padding[axis] as [number, number]
    const least = Math.max(1, (dilation[axis] as number) * ((kernel[axis] as number) - 1) + 1 - lo - hi)
    return Math.max(least, random.between(1, most))
  })
  const geometry = { stride, padding, dilation, groups, flip: false }
  const output = outputExtents(plane, kernel, geometry)
  const N = few(random)
  const [C, K] = [groups * inputs, groups * outputs]
  if (N * K * inputs * size(output) * size(kernel) > MOST_PRODUCTS) return chooseProblem(random, directions)
  const bias = random.chance(0.5)
  const options: ConvChoice = {
    ...geometry,
    flip: random.chance(0.2),
    bias,
    // A third of the cases leave the choice to the library.
    algorithm: random.pick(['auto', 'auto', 'auto', ...names]),
  }
  return { x: [N, C, ...plane], w: [K, inputs, ...kernel], y: [N, K, ...output], options }
}

function chooseConv(random: Random, directions: number, transposed: boolean): Choice {
  const { x, w, y, options } = chooseProblem(random, directions)
  const channels = (transposed ? x : y)[1] as number
  return {
    shapes: [transposed ? y : x, w, ...(options.bias ? [[channels]] : [])],
    options: { ...(options as unknown as Options), ...(transposed ? { outputSize: x.slice(2) } : {}) },
  }
}

/** Options that a gradient of a convolution has. */
const geometryOf = ({ stride, padding, dilation, groups, flip }: ConvChoice): Options => ({
  stride,
  padding,
  dilation,
  groups,
  flip,
})

/** Groups of inputs in which x, w and a bias are linear. */
const bilinear = [
  [0, 2],
  [1, 2],
]

// ---- convolutions -----------------------------------------------------------------------------------------------------

type Convolution = typeof ops.conv2d

const convolution = (directions: number, conv: Convolution): Definition =>
  define({
    choose: (random) => chooseConv(random, directions, false),
    run: ([x, w, bias], { bias: _, ...options }: ConvChoice) =>
      conv(x as Tensor, w as Tensor, { ...options, bias } as ops.ConvOptions),
    value: convolve,
  })

const kernelOf = (directions: number): number[] => [2, 3, 3].slice(3 - directions)
const list = (count: number, value: Json): Json[] => new Array<Json>(count).fill(value)
const spatial = (directions: number): number[] => [2, 4, ...[5, 6, 7].slice(3 - directions)]
const weights = (directions: number, K = 3, C = 4): number[] => [K, C, ...kernelOf(directions)]

/** Options that each number of directions has its case for. */
const each3 = (directions: number): Small[] => {
  const case3 = (options: Given, groups = 1): Small => [
    [volume(directions), [6, 4 / groups, ...kernelOf(directions)], [6]],
    { ...options, groups },
  ]
  return [
    case3({}),
    case3({ algorithm: 'direct', padding: 'same' }),
    case3({ algorithm: 'gemm', padding: 'full', stride: 2 }),
    case3({ flip: true, dilation: 2, padding: 2 }),
    case3({ padding: 1, paddingMode: 'reflect' }, 2),
  ]
}

const square = (channels: number, K: number, kernel: number, options: Given, extent = 11): Small => [
  [
    [2, channels, extent, extent],
    [K, channels / (options.groups ?? 1), kernel, kernel],
  ],
  options,
]

function convolutionRow(
  directions: number,
  conv: Convolution,
  more: readonly Small[] = [],
  divided: Readonly<Record<string, MakeCase>> = {},
): Operation {
  const definition = convolution(directions, conv)
  return {
    definition,
    cases: small(definition, ...each3(directions), ...more),
    calls: [
      [
        tensorOf(...spatial(directions)),
        tensorOf(...weights(directions)),
        {
          ...{ bias: tensorOf(3), stride: 2, padding: 'same', dilation: list(directions, 1) },
          ...{ groups: 1, flip: true, activation: 'relu' },
        },
      ],
      [
        tensorOf(...spatial(directions)),
        tensorOf(...weights(directions, 4, 2)),
        {
          ...{ stride: list(directions, 1), padding: list(directions, [1, 2]), groups: 2 },
          ...{ paddingMode: 'reflect', algorithm: 'gemm' },
        },
      ],
      [
        tensorOf(...spatial(directions)),
        tensorOf(...weights(directions)),
        { padding: 1, algorithm: 'direct', activation: 'tanh' },
      ],
    ],
    linear: bilinear,
    // The last case of two directions ends with tanh.
    linearCases: each3(directions).length,
    divided,
  }
}

/** A convolution of two directions with weights of these shapes. */
const shaped = (x: readonly number[], w: readonly number[], options: Given): MakeCase =>
  small(convolution(2, ops.conv2d), [[x, w], options])[0] as MakeCase

/** What conv2d divides among threads: 3 × 3 by each algorithm that can do it, and what else reaches other loops. */
const dividedConvolutions: Readonly<Record<string, MakeCase>> = {
  ...Object.fromEntries(
    (['direct', 'gemm', 'winograd', 'winograd2', 'fft'] as const).map((algorithm) => [
      `3 × 3, ${algorithm}`,
      shaped([5, 6, 11, 13], [7, 6, 3, 3], { padding: 'same', algorithm }),
    ]),
  ),
  'of several large images, winograd': shaped([4, 5, 33, 29], [9, 5, 3, 3], { padding: 1, algorithm: 'winograd' }),
  '5 × 5, winograd': shaped([4, 4, 9, 10], [6, 4, 5, 5], { algorithm: 'winograd' }),
  '7 × 7 of one image, fft': shaped([1, 6, 40, 45], [65, 6, 7, 7], { padding: 3, algorithm: 'fft' }),
  'of rows that panels fill': shaped([3, 3, 9, 16], [7, 3, 3, 3], { padding: 1, algorithm: 'gemm' }),
  'in groups': shaped([3, 8, 7, 9], [12, 4, 3, 3], { groups: 2, stride: 2, padding: 1 }),
  'of one image': shaped([1, 5, 33, 29], [9, 5, 3, 3], { padding: 1, algorithm: 'gemm' }),
  'of one image, winograd': shaped([1, 16, 33, 29], [18, 16, 3, 3], { padding: 1, algorithm: 'winograd' }),
  'over the whole input': shaped([6, 3, 5, 4], [9, 3, 5, 4], { algorithm: 'dense' }),
  depthwise: shaped([3, 6, 9, 21], [6, 1, 3, 3], { groups: 6, padding: 1 }),
}

// ---- gradients of convolutions ------------------------------------------------------------------------------------------

function gradientRows(
  directions: number,
  weight: typeof ops.conv2dWeightGrad,
  input: typeof ops.conv2dInputGrad,
): { readonly weight: Operation; readonly input: Operation } {
  const [N, C, ...extents] = volume(directions) as [number, number, ...number[]]
  const kernel = kernelOf(directions)
  const output = extents.map((extent, axis) => extent - (kernel[axis] as number) + 1)
  const byWeight = define({
    choose(random) {
      const { x, w, y, options } = chooseProblem(random, directions)
      return { shapes: [x, y], options: { ...geometryOf(options), kernel: w.slice(2) } }
    },
    run: ([x, dy], options: ops.WeightGradOptions) => weight(x as Tensor, dy as Tensor, options),
    value: (inputs, { kernel: taps, ...options }: ops.WeightGradOptions) => correlate(inputs, options, taps),
  })
  const byInput = define({
    choose(random) {
      const { x, w, y, options } = chooseProblem(random, directions)
      return { shapes: [w, y], options: { ...geometryOf(options), inputSize: x.slice(2) } }
    },
    run: ([w, dy], options: ops.InputGradOptions) => input(w as Tensor, dy as Tensor, options),
    value: ([w, dy], { inputSize, ...options }: ops.InputGradOptions) =>
      convolveBack([dy as Reference, w as Reference], options, inputSize),
  })
  const dy = tensorOf(2, 3, ...spatial(directions).slice(2))
  const common = { padding: 'same', stride: 1 }
  return {
    weight: {
      definition: byWeight,
      cases: small(byWeight, [
        [
          [N, C, ...extents],
          [N, 6, ...output],
        ],
        { kernel },
      ]),
      calls: [[tensorOf(...spatial(directions)), dy, { kernel: list(directions, 3), ...common, groups: 1 }]],
      linear: [[0], [1]],
    },
    input: {
      definition: byInput,
      cases: small(byInput, [
        [
          [6, C, ...kernel],
          [N, 6, ...output],
        ],
        { inputSize: extents },
      ]),
      calls: [
        [
          tensorOf(3, 4, ...(list(directions, 3) as number[])),
          dy,
          { inputSize: spatial(directions).slice(2), ...common },
        ],
      ],
      linear: [[0], [1]],
    },
  }
}

const gradients1d = gradientRows(1, ops.conv1dWeightGrad, ops.conv1dInputGrad)
const gradients2d = gradientRows(2, ops.conv2dWeightGrad, ops.conv2dInputGrad)
const gradients3d = gradientRows(3, ops.conv3dWeightGrad, ops.conv3dInputGrad)

type Transposed = typeof ops.convTranspose2d
type TransposedGiven = Omit<ops.ConvTransposeOptions, 'bias'>

function transposedRow(
  directions: number,
  conv: Transposed,
  divided: Readonly<Record<string, MakeCase>> = {},
): Operation {
  const kernel = kernelOf(directions)
  const definition = define({
    choose: (random) => chooseConv(random, directions, true),
    run: ([x, w, bias], { bias: _, ...options }: ConvChoice) =>
      conv(x as Tensor, w as Tensor, { ...options, bias } as ops.ConvTransposeOptions),
    value([x, w, bias], { outputSize, outputPadding, ...options }: TransposedGiven) {
      const [image, filter] = [x as Reference, w as Reference]
      const taps = filter.shape.slice(2)
      const { stride, padding, dilation } = resolve(options, taps)
      const added = each(outputPadding, directions, 0)
      const natural = image.shape.slice(2).map((n, axis) => {
        const [lo, hi] = padding[axis] as [number, number]
        const reach = (dilation[axis] as number) * ((taps[axis] as number) - 1)
        return (n - 1) * (stride[axis] as number) - lo - hi + reach + 1 + (added[axis] as number)
      })
      const extents = (outputSize as number[] | undefined) ?? natural
      return convolveBack(bias ? [image, filter, bias] : [image, filter], options, extents)
    },
  })
  return {
    definition,
    cases: small(
      definition,
      [[volume(directions), [4, 5, ...kernel], [5]]],
      [[volume(directions), [4, 3, ...kernel]], { stride: 2, padding: 1, outputPadding: 1, groups: 2 }],
    ),
    calls: [
      [
        tensorOf(...spatial(directions)),
        tensorOf(...weights(directions, 4, 3)),
        {
          ...{ bias: tensorOf(3), stride: 2, padding: 1, outputPadding: list(directions, 1), dilation: 1 },
          flip: false,
        },
      ],
      [
        tensorOf(...spatial(directions)),
        tensorOf(...weights(directions, 4, 3)),
        { stride: list(directions, 1), groups: 2, algorithm: 'gemm' },
      ],
    ],
    linear: bilinear,
    divided,
  }
}

// ---- kernels that depend on the place -------------------------------------------------------------------------------------

type Local = typeof ops.locallyConnected2d
type LocalGiven = Omit<ops.LocalOptions, 'bias'>

/** Sums over windows whose kernel is a function of the place: `weight` and `added` read w and the bias. */
function convolveLocally(
  x: Reference,
  [K, C]: readonly [K: number, C: number],
  kernel: readonly number[],
  options: LocalGiven,
  weight: (k: number, place: readonly number[], tap: readonly number[]) => number,
  added: (k: number, place: readonly number[]) => number,
): Reference {
  const resolved = resolve(options, kernel)
  const plane = x.shape.slice(2)
  return from([x.shape[0] as number, K, ...outputExtents(plane, kernel, resolved)], ([n, k, ...place]) => {
    let sum = added(k as number, place)
    for (const tap of indices([C, ...kernel])) {
      const [c, ...offset] = tap as [number, ...number[]]
      const seen = place.map(
        (p, axis) =>
          p * (resolved.stride[axis] as number) - (resolved.padding[axis]?.[0] as number) + (offset[axis] as number),
      )
      if (seen.some((position, axis) => position < 0 || position >= (plane[axis] as number))) continue
      sum += get(x, [n as number, c, ...seen]) * weight(k as number, place, tap)
    }
    return sum
  })
}

function locallyConnected(directions: number, conv: Local): Definition {
  return define({
    choose(random) {
      const kernel = random.list(directions, () => random.between(1, 4))
      const output = random.list(directions, (axis) => random.between(1, axis === 0 ? 6 : 9))
      const stride = random.between(1, 2)
      const [C, K] = [random.between(1, 6), extent(random, 17)]
      const bias = random.chance(0.5)
      const plane = output.map((p, axis) => (p - 1) * stride + (kernel[axis] as number))
      return {
        shapes: [[few(random), C, ...plane], [K, ...output, C, ...kernel], ...(bias ? [[K, ...output]] : [])],
        options: { stride },
      }
    },
    run: ([x, w, bias], options: LocalGiven) =>
      conv(x as Tensor, w as Tensor, { ...options, ...(bias ? { bias } : {}) }),
    value([x, w, bias], options: LocalGiven) {
      const { shape } = w as Reference
      const [K, C] = [shape[0] as number, shape[directions + 1] as number]
      return convolveLocally(
        x as Reference,
        [K, C],
        shape.slice(directions + 2),
        options,
        (k, place, tap) => get(w as Reference, [k, ...place, ...tap]),
        (k, place) => (bias ? get(bias, [k, ...place]) : 0),
      )
    },
  })
}

function tiled(directions: number, conv: Local): Definition {
  return define({
    choose(random) {
      const kernel = random.list(directions, () => random.between(1, 4))
      const periods = random.list(directions, () => random.between(1, 3))
      const padding = random.below(3)
      const [C, K] = [random.between(1, 6), extent(random, 17)]
      const bias = random.chance(0.5)
      const plane = kernel.map((taps, axis) => taps + random.below(axis === 0 ? 9 : 12))
      return {
        shapes: [[few(random), C, ...plane], [K, C, ...kernel, ...periods], ...(bias ? [[K, ...periods]] : [])],
        options: { padding },
      }
    },
    run: ([x, w, bias], options: LocalGiven) =>
      conv(x as Tensor, w as Tensor, { ...options, ...(bias ? { bias } : {}) }),
    value([x, w, bias], options: LocalGiven) {
      const { shape } = w as Reference
      const periods = shape.slice(directions + 2)
      const kind = (place: readonly number[]): number[] => place.map((p, axis) => p % (periods[axis] as number))
      return convolveLocally(
        x as Reference,
        [shape[0] as number, shape[1] as number],
        shape.slice(2, directions + 2),
        options,
        (k, place, tap) => get(w as Reference, [k, ...tap, ...kind(place)]),
        (k, place) => (bias ? get(bias, [k, ...kind(place)]) : 0),
      )
    },
  })
}

const locallyConnected1d = locallyConnected(1, ops.locallyConnected1d)
const locallyConnected2d = locallyConnected(2, ops.locallyConnected2d)
const tiledConv1d = tiled(1, ops.tiledConv1d)
const tiledConv2d = tiled(2, ops.tiledConv2d)

// ---- products of vectors, and tables of connections -----------------------------------------------------------------------

type SeparableGiven = Omit<ops.SeparableOptions, 'bias'>

const separable = define({
  choose(random) {
    const C = random.between(1, 9)
    const vector = (): number[] => [...(random.chance(0.5) ? [C] : []), random.between(1, 5)]
    const bias = random.chance(0.5)
    return {
      shapes: [
        [few(random), C, random.between(5, 12), random.between(5, 14)],
        vector(),
        vector(),
        ...(bias ? [[C]] : []),
      ],
      options: { padding: random.below(3), stride: random.between(1, 2), flip: random.chance(0.3) },
    }
  },
  run: ([x, column, row, bias], options: SeparableGiven) =>
    ops.separableConv2d(
      x as Tensor,
      { column: column as Tensor, row: row as Tensor },
      { ...options, ...(bias ? { bias } : {}) },
    ),
  value([x, column, row, bias], options: SeparableGiven) {
    const C = (x as Reference).shape[1] as number
    const [R, S] = [column, row].map((vector) => (vector as Reference).shape.at(-1) as number) as [number, number]
    const along = (vector: Reference, c: number, i: number): number =>
      get(vector, vector.shape.length === 2 ? [c, i] : [i])
    const w = from(
      [C, 1, R, S],
      ([c, , r, s]) =>
        along(column as Reference, c as number, r as number) * along(row as Reference, c as number, s as number),
    )
    return convolve([x as Reference, w, ...(bias ? [bias] : [])], { ...options, groups: C })
  },
})

interface ConnectedChoice extends Given {
  readonly table: readonly (readonly boolean[])[]
}

const connected = define({
  choose(random) {
    const [K, C] = [random.between(1, 9), random.between(1, 6)]
    const bias = random.chance(0.5)
    return {
      shapes: [
        [few(random), C, random.between(4, 12), random.between(4, 14)],
        [K, C, random.between(1, 4), random.between(1, 4)],
        ...(bias ? [[K]] : []),
      ],
      options: {
        table: random.list(K, () => random.list(C, () => random.chance(0.6))),
        padding: random.below(3),
        stride: random.between(1, 2),
      },
    }
  },
  run: ([x, w, bias], { table, ...options }: ConnectedChoice) =>
    ops.connectedConv2d(x as Tensor, w as Tensor, table, { ...options, ...(bias ? { bias } : {}) }),
  value([x, w, bias], { table, ...options }: ConnectedChoice) {
    const masked = from((w as Reference).shape, (index) => {
      const [k, c] = index as [number, number]
      return table[k]?.[c] ? get(w as Reference, index) : 0
    })
    return convolve([x as Reference, masked, ...(bias ? [bias] : [])], options)
  },
})

const table = [
  [true, false, true],
  [false, true, true],
]

// ---- matrices -------------------------------------------------------------------------------------------------------------

const giveNumbers = 'gives numbers; test/ops/convMatrix.test.ts compares them with the convolution'
const matrix = (...shape: number[]) => ops.convMatrix(normal(shape), [5, 6].slice(0, shape.length - 2))

export const convolutions = {
  conv1d: convolutionRow(1, ops.conv1d, [], {
    'of stride 3': of(
      [
        [4, 3, 40],
        [5, 3, 4],
      ],
      (x, w) => ops.conv1d(x, w, { stride: 3 }),
    ),
  }),
  conv2d: convolutionRow(
    2,
    ops.conv2d,
    [
      square(32, 32, 5, { padding: 'same' }),
      square(16, 24, 3, { padding: 1 }, 13),
      square(24, 40, 1, {}),
      [
        [
          [2, 3, 6, 6],
          [4, 3, 3, 3],
          [4, 4, 4],
        ],
        { activation: 'tanh' },
      ],
    ],
    dividedConvolutions,
  ),
  conv3d: convolutionRow(3, ops.conv3d, [], {
    'of padding 1': of(
      [
        [2, 3, 5, 6, 7],
        [4, 3, 2, 3, 2],
      ],
      (x, w) => ops.conv3d(x, w, { padding: 1 }),
    ),
  }),
  conv1dWeightGrad: gradients1d.weight,
  conv2dWeightGrad: gradients2d.weight,
  conv3dWeightGrad: gradients3d.weight,
  conv1dInputGrad: gradients1d.input,
  conv2dInputGrad: gradients2d.input,
  conv3dInputGrad: gradients3d.input,
  convTranspose1d: transposedRow(1, ops.convTranspose1d),
  convTranspose2d: transposedRow(2, ops.convTranspose2d, {
    'of stride 2': of(
      [
        [3, 4, 6, 5],
        [4, 3, 3, 3],
      ],
      (x, w) => ops.convTranspose2d(x, w, { stride: 2 }),
    ),
  }),
  convTranspose3d: transposedRow(3, ops.convTranspose3d),
  locallyConnected1d: {
    definition: locallyConnected1d,
    cases: small(locallyConnected1d, [
      [
        [2, 3, 7],
        [4, 5, 3, 3],
        [4, 5],
      ],
    ]),
    calls: [[tensorOf(2, 3, 7), tensorOf(4, 5, 3, 3), { bias: tensorOf(4, 5), stride: 1, padding: 0 }]],
    linear: bilinear,
  },
  locallyConnected2d: {
    definition: locallyConnected2d,
    cases: small(locallyConnected2d, [
      [
        [2, 3, 7, 6],
        [4, 3, 3, 3, 3, 2],
        [4, 3, 3],
      ],
      { stride: 2 },
    ]),
    calls: [
      [tensorOf(2, 3, 7, 6), tensorOf(4, 3, 3, 3, 3, 2), { bias: tensorOf(4, 3, 3), stride: 2, padding: [0, 0] }],
    ],
    linear: bilinear,
    divided: {
      '': of(
        [
          [3, 2, 6, 5],
          [4, 4, 3, 2, 3, 3],
        ],
        (x, w) => ops.locallyConnected2d(x, w),
      ),
    },
  },
  tiledConv1d: {
    definition: tiledConv1d,
    cases: small(tiledConv1d, [
      [
        [2, 3, 7],
        [4, 3, 3, 2],
        [4, 2],
      ],
    ]),
    calls: [[tensorOf(2, 3, 7), tensorOf(4, 3, 3, 2), { bias: tensorOf(4, 2), stride: 1, padding: 'same' }]],
    linear: bilinear,
  },
  tiledConv2d: {
    definition: tiledConv2d,
    cases: small(tiledConv2d, [
      [
        [2, 3, 7, 6],
        [4, 3, 3, 2, 2, 3],
        [4, 2, 3],
      ],
      { padding: 1 },
    ]),
    calls: [[tensorOf(2, 3, 7, 6), tensorOf(4, 3, 3, 2, 2, 3), { bias: tensorOf(4, 2, 3), stride: 1, padding: 1 }]],
    linear: bilinear,
    divided: {
      '': of(
        [
          [3, 2, 6, 5],
          [4, 2, 3, 3, 2, 2],
        ],
        (x, w) => ops.tiledConv2d(x, w),
      ),
    },
  },
  separableConv2d: {
    definition: separable,
    cases: small(separable, [[[2, 4, 7, 6], [3], [5], [4]], { padding: 2 }]),
    calls: [
      [
        tensorOf(2, 4, 7, 6),
        { column: tensorOf(3), row: tensorOf(5) },
        {
          ...{ bias: tensorOf(4), stride: [1, 2], padding: [2, [1, 2]], dilation: 1 },
          ...{ flip: true, paddingMode: 'reflect' },
        },
      ],
    ],
    linear: [
      [0, 3],
      [1, 3],
      [2, 3],
    ],
  },
  connectedConv2d: {
    definition: connected,
    cases: small(connected, [[[2, 3, 7, 6], [2, 3, 3, 3], [2]], { table }]),
    calls: [[tensorOf(2, 3, 7, 6), tensorOf(2, 3, 3, 3), table, { bias: tensorOf(2), padding: 1 }]],
    linear: bilinear,
  },
  convMatrix: {
    undefinedBecause: giveNumbers,
    cases: [numbers(() => matrix(2, 3, 3, 3).values)],
    calls: [
      [
        tensorOf(2, 1, 3, 3),
        [5, 6],
        { stride: 2, padding: [[1, 1], 2], dilation: [1, 1], groups: 1, flip: true, variant: 'conv' },
      ],
      [tensorOf(2, 1, 3), [5], { stride: 2, variant: 'transpose', outputPadding: 1 }],
      [tensorOf(2, 2, 3, 2), [5], { variant: 'tiled' }],
      [tensorOf(2, 3, 2, 3), [5], { variant: 'locallyConnected', padding: 0, stride: 1 }],
    ],
  },
  transposeMatrix: {
    undefinedBecause: giveNumbers,
    cases: [numbers(() => ops.transposeMatrix(matrix(2, 3, 3)).values)],
    calls: [[tag('matrix')]],
  },
  multiplyMatrix: {
    undefinedBecause: giveNumbers,
    cases: [numbers(() => ops.multiplyMatrix(matrix(2, 1, 3, 3), normal([30], { seed: 2 }).data()))],
    calls: [[tag('matrix'), tag('Float32Array', { values: list(5, 1) })]],
  },
  factorKernel: {
    undefinedBecause: 'gives two vectors or none; test/ops/separable.test.ts multiplies them again',
    cases: [
      () => {
        const outer = ops.matmul(normal([5, 1]), normal([1, 3], { seed: 2 }))
        const { column, row } = ops.factorKernel(outer) as { column: Tensor; row: Tensor }
        return { numbers: [column.data(), row.data()] }
      },
    ],
    calls: [[tensorOf(3, 3), 0.1]],
  },
} as const satisfies Rows

// ---- algorithms -----------------------------------------------------------------------------------------------------------

/** Problems of which every algorithm can do one that has stride 1, and strided ones where it strides at all. */
export const problems: Readonly<Record<string, Small>> = {
  '3 × 3': square(3, 5, 3, {}),
  '3 × 3, stride 2': square(4, 6, 3, { stride: 2, padding: 1 }),
  '3 × 3, stride 3 by 2 of several groups': square(4, 6, 3, { stride: [3, 2], groups: 2, padding: [[1, 2], 0] }, 12),
  '5 × 5, stride 2': square(13, 14, 5, { stride: 2, padding: 2 }),
  'depthwise 3 × 3': square(6, 6, 3, { groups: 6, padding: 1 }),
  'depthwise 3 × 3, stride 2': square(6, 12, 3, { groups: 6, padding: 1, stride: 2 }),
  'as large as the input': square(5, 12, 11, {}),
  '7 × 7': square(9, 10, 7, { padding: 3 }, 23),
}

/** The case of an algorithm whose bits are hashed, where the first of `problems` that it can do is not the one. */
const hashed: { readonly [name in ConvAlgorithm]?: Small } = {
  gemm: square(17, 9, 3, { algorithm: 'gemm' }),
  dense: square(5, 12, 11, { algorithm: 'dense' }),
  depthwise: square(6, 6, 3, { algorithm: 'depthwise', groups: 6, padding: 1 }),
  winograd: square(19, 17, 3, { algorithm: 'winograd', padding: 1 }),
  phases: square(19, 17, 5, { algorithm: 'phases', stride: 2, padding: 2 }),
  winograd2: square(19, 17, 3, { algorithm: 'winograd2', padding: 1 }),
  fft: square(19, 17, 7, { algorithm: 'fft', padding: 3 }, 23),
}

const conv2d = convolution(2, ops.conv2d)

/** A convolution by an algorithm. */
export const byName = ([shapes, options]: Small, algorithm: ConvAlgorithm): MakeCase =>
  small(conv2d, [shapes, { ...(options as object), algorithm }])[0] as MakeCase

/** A convolution for each algorithm by name. */
export const byAlgorithm = Object.fromEntries(
  names.map((name) => [name, byName(hashed[name] ?? (problems['3 × 3'] as Small), name)]),
) as Readonly<Record<ConvAlgorithm, MakeCase>>

/** Fourier transforms of other shapes than square ones: of 16, 32 and 64 points, of one direction and of three. */
export const byFourier: Readonly<Record<string, readonly [name: string, make: MakeCase]>> = Object.fromEntries(
  (
    [
      [
        '40 taps',
        1,
        ops.conv1d,
        [
          [2, 3, 75],
          [5, 3, 40],
        ],
        { padding: 'same' },
      ],
      [
        '290 taps, flipped, in groups',
        1,
        ops.conv1d,
        [
          [1, 4, 300],
          [6, 2, 290],
        ],
        { groups: 2, flip: true, padding: [[7, 3]] },
      ],
      [
        '5 × 9',
        2,
        ops.conv2d,
        [
          [2, 3, 12, 14],
          [5, 3, 5, 9],
        ],
        { padding: [2, 4] },
      ],
      [
        '31 × 30',
        2,
        ops.conv2d,
        [
          [1, 2, 33, 32],
          [3, 2, 31, 30],
        ],
        { padding: 'same' },
      ],
      [
        '3 × 5 × 4',
        3,
        ops.conv3d,
        [
          [2, 3, 5, 7, 6],
          [4, 3, 3, 5, 4],
        ],
        { padding: 'same' },
      ],
      [
        '2 × 3 × 5, flipped, in groups',
        3,
        ops.conv3d,
        [
          [1, 4, 4, 7, 8],
          [6, 2, 2, 3, 5],
        ],
        { groups: 2, flip: true, padding: [0, 2, 1] },
      ],
    ] as readonly [string, number, Convolution, readonly [readonly number[], readonly number[]], Given][]
  ).map(([what, directions, conv, shapes, options]) => [
    what,
    [
      `conv${directions}d`,
      small(convolution(directions, conv), [shapes, { ...options, algorithm: 'fft' }])[0] as MakeCase,
    ],
  ]),
)
