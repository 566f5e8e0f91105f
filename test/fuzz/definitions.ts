/**
 * Operations by their definition, in float64, on plain arrays: what `targets/operations.ts` compares with. Each is chosen
 * with random shapes and options that are legal; what is illegal or reaches far is tried by others.
 */
import * as ops from '../../src/ops/index.js'
import { ones } from '../../src/tensor/create.js'
import type { Tensor } from '../../src/tensor/tensor.js'
import { visitMeetings } from '../helpers/geometry.js'
import { at, indices, size, type Reference } from '../helpers/reference.js'
import { normalCdf } from '../helpers/special.js'
import type { Json } from './mutate.js'
import type { Random } from './random.js'

type Options = { [key: string]: Json }

/** A choice: the shapes of the tensors, and options. */
export interface Choice {
  readonly shapes: number[][]
  readonly options: Options
}

export interface Definition {
  choose(random: Random): Choice
  run(inputs: readonly Tensor[], options: never): Tensor
  /** The same by definition. */
  value(inputs: readonly Reference[], options: never): Reference
  /** What the elements of the tensors are: any, above 0, none like another. Default 'any'. */
  readonly values?: 'any' | 'positive' | 'distinct'
  /** Whether it has a gradient that finite differences find. Default true. */
  readonly smooth?: boolean
}

const define = (definition: Definition): Definition => definition

const from = (shape: readonly number[], of: (index: readonly number[]) => number): Reference => {
  const data = new Float64Array(size(shape))
  let i = 0
  for (const index of indices(shape)) data[i++] = of(index)
  return { shape: [...shape], data }
}

const get = ({ shape, data }: Reference, index: readonly number[]): number => data[at(shape, index)] as number

const mapped = ({ shape, data }: Reference, of: (value: number) => number): Reference => ({ shape, data: data.map(of) })

/** An extent that is small, or leaves a remainder of the widths that kernels have. */
const extent = (random: Random, most = 20): number =>
  Math.min(most, random.pick([1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 16, 17, 20, 31, 33, 64]))
const few = (random: Random): number => random.between(1, 3)
const shapeOf = (random: Random, rank = random.between(1, 4), most = [400, 60, 20, 10, 6][rank - 1] ?? 4): number[] =>
  random.list(rank, () => random.between(1, random.chance(0.3) ? 3 : most))

// ---- convolutions ----------------------------------------------------------------------------------------------------

interface ConvChoice {
  readonly stride: number[]
  readonly padding: [number, number][]
  readonly dilation: number[]
  readonly groups: number
  readonly flip: boolean
  readonly bias: boolean
  readonly algorithm: string
}

const outputExtent = (
  n: number,
  kernel: number,
  stride: number,
  [lo, hi]: readonly [number, number],
  dilation: number,
): number => Math.floor((n + lo + hi - dilation * (kernel - 1) - 1) / stride) + 1

const algorithms = [
  'auto',
  'auto',
  'auto',
  'direct',
  'gemm',
  'winograd',
  'winograd2',
  'fft',
  'depthwise',
  'dense',
  'phases',
]

/** Products that the definition may take. */
const MOST_PRODUCTS = 1e6

function chooseConv(random: Random, directions: number, transposed: boolean): Choice {
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
  const output = plane.map((n, axis) =>
    outputExtent(
      n,
      kernel[axis] as number,
      stride[axis] as number,
      padding[axis] as [number, number],
      dilation[axis] as number,
    ),
  )
  const N = few(random)
  const [C, K] = [groups * inputs, groups * outputs]
  if (N * K * inputs * size(output) * size(kernel) > MOST_PRODUCTS) return chooseConv(random, directions, transposed)
  const bias = random.chance(0.5)
  const options: ConvChoice = {
    stride,
    padding,
    dilation,
    groups,
    flip: random.chance(0.2),
    bias,
    algorithm: random.pick(algorithms),
  }
  const x = transposed ? [N, K, ...output] : [N, C, ...plane]
  return {
    shapes: [x, [K, inputs, ...kernel], ...(bias ? [[transposed ? C : K]] : [])],
    options: { ...options, ...(transposed ? { outputSize: plane } : {}) },
  }
}

/** visit(position in x, in w, in y) for every product of a convolution of these shapes. */
function visitProducts(
  x: Reference,
  w: Reference,
  y: Reference,
  { padding, ...options }: ConvChoice,
  visit: (xi: number, wi: number, yi: number) => void,
): void {
  const lo = padding.map(([zeros]) => zeros)
  visitMeetings({ name: '', directions: 1, x: x.shape, w: w.shape, y: y.shape, lo, options } as never, visit)
}

function convolve([x, w, bias]: readonly Reference[], options: ConvChoice): Reference {
  const [image, filter] = [x as Reference, w as Reference]
  const [N, , ...plane] = image.shape as [number, number, ...number[]]
  const [K, , ...kernel] = filter.shape as [number, number, ...number[]]
  const output = plane.map((n, axis) =>
    outputExtent(
      n,
      kernel[axis] as number,
      options.stride[axis] as number,
      options.padding[axis] as [number, number],
      options.dilation[axis] as number,
    ),
  )
  const y = from([N, K, ...output], ([, k]) => bias?.data[k as number] ?? 0)
  visitProducts(image, filter, y, options, (xi, wi, yi) => {
    y.data[yi] = (y.data[yi] as number) + (image.data[xi] as number) * (filter.data[wi] as number)
  })
  return y
}

/** The adjoint: every product the other way. */
function convolveBack([y, w, bias]: readonly Reference[], options: ConvChoice & { outputSize: number[] }): Reference {
  const [image, filter] = [y as Reference, w as Reference]
  const C = (filter.shape[1] as number) * options.groups
  const x = from([image.shape[0] as number, C, ...options.outputSize], ([, c]) => bias?.data[c as number] ?? 0)
  visitProducts(x, filter, image, options, (xi, wi, yi) => {
    x.data[xi] = (x.data[xi] as number) + (image.data[yi] as number) * (filter.data[wi] as number)
  })
  return x
}

const convs = Object.fromEntries(
  [1, 2, 3].flatMap((directions) => {
    const forward = [ops.conv1d, ops.conv2d, ops.conv3d][directions - 1] as typeof ops.conv2d
    const backward = [ops.convTranspose1d, ops.convTranspose2d, ops.convTranspose3d][
      directions - 1
    ] as typeof ops.convTranspose2d
    return [
      [
        `conv${directions}d`,
        define({
          choose: (random) => chooseConv(random, directions, false),
          run: ([x, w, bias], { bias: _, ...options }: ConvChoice) =>
            forward(x as Tensor, w as Tensor, { ...options, bias } as ops.ConvOptions),
          value: convolve,
        }),
      ],
      [
        `convTranspose${directions}d`,
        define({
          choose: (random) => chooseConv(random, directions, true),
          run: ([x, w, bias], { bias: _, ...options }: ConvChoice) =>
            backward(x as Tensor, w as Tensor, { ...options, bias } as ops.ConvTransposeOptions),
          value: convolveBack,
        }),
      ],
    ] as const
  }),
)

const local = define({
  choose(random) {
    const [R, S] = [random.between(1, 4), random.between(1, 4)]
    const [P, Q] = [random.between(1, 6), random.between(1, 9)]
    const stride = random.between(1, 2)
    const [C, K] = [random.between(1, 6), extent(random, 17)]
    const bias = random.chance(0.5)
    const x = [few(random), C, (P - 1) * stride + R, (Q - 1) * stride + S]
    return { shapes: [x, [K, P, Q, C, R, S], ...(bias ? [[K, P, Q]] : [])], options: { stride } }
  },
  run: ([x, w, bias], options: { stride: number }) =>
    ops.locallyConnected2d(x as Tensor, w as Tensor, { ...options, ...(bias ? { bias } : {}) }),
  value([x, w, bias], { stride }: { stride: number }) {
    const [K, P, Q, C, R, S] = (w as Reference).shape as [number, number, number, number, number, number]
    return from([(x as Reference).shape[0] as number, K, P, Q], ([n, k, p, q]) => {
      let sum = bias ? get(bias, [k as number, p as number, q as number]) : 0
      for (const [c, r, s] of indices([C, R, S]) as Iterable<[number, number, number]>) {
        const seen = get(x as Reference, [n as number, c, (p as number) * stride + r, (q as number) * stride + s])
        sum += seen * get(w as Reference, [k as number, p as number, q as number, c, r, s])
      }
      return sum
    })
  },
})

const tiled = define({
  choose(random) {
    const [R, S] = [random.between(1, 4), random.between(1, 4)]
    const [T, U] = [random.between(1, 3), random.between(1, 3)]
    const padding = random.below(3)
    const [C, K] = [random.between(1, 6), extent(random, 17)]
    const bias = random.chance(0.5)
    const x = [few(random), C, R + random.below(9), S + random.below(12)]
    return { shapes: [x, [K, C, R, S, T, U], ...(bias ? [[K, T, U]] : [])], options: { padding } }
  },
  run: ([x, w, bias], options: { padding: number }) =>
    ops.tiledConv2d(x as Tensor, w as Tensor, { ...options, ...(bias ? { bias } : {}) }),
  value([x, w, bias], { padding }: { padding: number }) {
    const [N, , H, W] = (x as Reference).shape as [number, number, number, number]
    const [K, C, R, S, T, U] = (w as Reference).shape as [number, number, number, number, number, number]
    return from([N, K, H + 2 * padding - R + 1, W + 2 * padding - S + 1], (index) => {
      const [n, k, p, q] = index as [number, number, number, number]
      let sum = bias ? get(bias, [k, p % T, q % U]) : 0
      for (const [c, r, s] of indices([C, R, S]) as Iterable<[number, number, number]>) {
        const [h, v] = [p + r - padding, q + s - padding]
        if (h < 0 || h >= H || v < 0 || v >= W) continue
        sum += get(x as Reference, [n, c, h, v]) * get(w as Reference, [k, c, r, s, p % T, q % U])
      }
      return sum
    })
  },
})

// ---- pooling -----------------------------------------------------------------------------------------------------------

interface PoolChoice {
  readonly kernel: number[]
  readonly stride: number[]
  readonly padding: [number, number][]
  readonly dilation: number[]
  readonly ceil: boolean
  readonly countIncludePad: boolean
  readonly p: number
}

/** Positions of the taps of each window along one direction, and how many taps lie in the input or its padding. */
function windowsAlong(
  n: number,
  axis: number,
  { kernel, stride, padding, dilation, ceil }: PoolChoice,
): { positions: number[]; extent: number }[] {
  const [r, s, d] = [kernel[axis] as number, stride[axis] as number, dilation[axis] as number]
  const [lo, hi] = padding[axis] as [number, number]
  const windows = []
  for (let origin = -lo; ; origin += s) {
    const end = origin + d * (r - 1) + 1
    if (ceil ? origin >= n || end - s >= n + hi : end > n + hi) return windows
    const positions = Array.from({ length: r }, (_, tap) => origin + tap * d).filter((place) => place >= 0 && place < n)
    windows.push({ positions, extent: Math.min(r, n + hi - origin) })
  }
}

function choosePool(random: Random, directions: number, padded: boolean, dilated: boolean): Choice {
  const most = [70, 20, 7][directions - 1] as number
  const kernel = random.list(directions, () => random.between(1, 4))
  const stride = random.chance(0.4) ? [...kernel] : random.list(directions, () => random.between(1, 3))
  const dilation =
    dilated && random.chance(0.3) ? random.list(directions, () => random.between(1, 3)) : kernel.map(() => 1)
  const reach = kernel.map((r, axis) => (dilation[axis] as number) * (r - 1) + 1)
  const padding = reach.map((extent): [number, number] =>
    padded && random.chance(0.5) ? [random.below((extent >> 1) + 1), random.below((extent >> 1) + 1)] : [0, 0],
  )
  const plane = reach.map((extent) => Math.max(extent, random.between(1, most)))
  const options: PoolChoice = {
    kernel,
    stride,
    padding,
    dilation,
    ceil: random.chance(0.4),
    countIncludePad: random.chance(0.5),
    p: random.pick([1, 2, 3]),
  }
  return { shapes: [[few(random), extent(random, 9), ...plane]], options: options as unknown as Options }
}

function pooled(
  x: Reference,
  options: PoolChoice,
  summarize: (values: number[], counted: number) => number,
): Reference {
  const along = x.shape.slice(2).map((n, axis) => windowsAlong(n, axis, options))
  return pooledOver(x, along, summarize)
}

function pooledOver(
  x: Reference,
  along: { positions: number[]; extent: number }[][],
  summarize: (values: number[], counted: number) => number,
): Reference {
  return from([...x.shape.slice(0, 2), ...along.map((list) => list.length)], ([n, c, ...place]) => {
    const chosen = place.map(
      (i, axis) =>
        (along[axis] as { positions: number[]; extent: number }[])[i] as { positions: number[]; extent: number },
    )
    const values: number[] = []
    for (const tap of indices(chosen.map(({ positions }) => positions.length))) {
      values.push(get(x, [n as number, c as number, ...tap.map((i, axis) => chosen[axis]?.positions[i] as number)]))
    }
    return summarize(
      values,
      chosen.reduce((product, window) => product * window.extent, 1),
    )
  })
}

const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
const largest = (values: number[]): number => values.reduce((most, value) => Math.max(most, value), -Infinity)
const withoutRest = ({ kernel, stride, padding, dilation, ceil }: PoolChoice): object => ({
  kernel,
  stride,
  padding,
  dilation,
  ceil,
})

const pools = Object.fromEntries(
  [1, 2, 3].flatMap((directions): [string, Definition][] => {
    const max = [ops.maxPool1d, ops.maxPool2d, ops.maxPool3d][directions - 1] as typeof ops.maxPool2d
    const avg = [ops.avgPool1d, ops.avgPool2d, ops.avgPool3d][directions - 1] as typeof ops.avgPool2d
    const adaptive = [ops.adaptiveAvgPool1d, ops.adaptiveAvgPool2d, ops.adaptiveAvgPool3d][
      directions - 1
    ] as typeof ops.adaptiveAvgPool2d
    const lp = [ops.lpPool1d, ops.lpPool2d][directions - 1]
    const average = (values: number[], counted: number, include: boolean): number =>
      include ? values.reduce((sum, value) => sum + value, 0) / counted : mean(values)
    return [
      [
        `maxPool${directions}d`,
        define({
          values: 'distinct',
          choose: (random) => choosePool(random, directions, true, true),
          run: ([x], options: PoolChoice) => max(x as Tensor, withoutRest(options) as ops.MaxPoolOptions),
          value: ([x], options: PoolChoice) => pooled(x as Reference, options, largest),
        }),
      ],
      [
        `avgPool${directions}d`,
        define({
          choose: (random) => choosePool(random, directions, true, false),
          run: ([x], { kernel, stride, padding, ceil, countIncludePad }: PoolChoice) =>
            avg(x as Tensor, { kernel, stride, padding, ceil, countIncludePad }),
          value: ([x], options: PoolChoice) =>
            pooled(x as Reference, options, (values, counted) => average(values, counted, options.countIncludePad)),
        }),
      ],
      [
        `adaptiveAvgPool${directions}d`,
        define({
          choose: (random) => ({
            shapes: [
              [
                few(random),
                extent(random, 9),
                ...random.list(directions, () => random.between(1, directions === 3 ? 7 : 20)),
              ],
            ],
            options: { outputSize: random.list(directions, () => random.between(1, 7)) },
          }),
          run: ([x], { outputSize }: { outputSize: number[] }) => adaptive(x as Tensor, outputSize),
          value([x], { outputSize }: { outputSize: number[] }) {
            const along = outputSize.map((m, axis) => {
              const n = (x as Reference).shape[axis + 2] as number
              return Array.from({ length: m }, (_, i) => {
                const first = Math.floor((i * n) / m)
                const positions = Array.from({ length: Math.ceil(((i + 1) * n) / m) - first }, (__, tap) => first + tap)
                return { positions, extent: positions.length }
              })
            })
            return pooledOver(x as Reference, along, mean)
          },
        }),
      ],
      ...(lp
        ? [
            [
              `lpPool${directions}d`,
              define({
                values: 'positive',
                choose: (random) => choosePool(random, directions, false, false),
                run: ([x], { kernel, stride, ceil, p }: PoolChoice) => lp(x as Tensor, { kernel, stride, ceil, p }),
                value: ([x], options: PoolChoice) =>
                  pooled(x as Reference, options, (values, counted) => {
                    const sum = values.reduce((total, value) => total + value ** options.p, 0)
                    return (sum * (size(options.kernel) / counted)) ** (1 / options.p)
                  }),
              }),
            ] as [string, Definition],
          ]
        : []),
    ]
  }),
)

const weighted = define({
  choose(random) {
    const { shapes, options } = choosePool(random, 2, false, false)
    const [R, S] = (options as unknown as PoolChoice).kernel as [number, number]
    return {
      shapes,
      options: { ...options, ceil: false, weights: random.list(R, () => random.list(S, () => random.between(1, 9))) },
    }
  },
  run: ([x], { stride, weights }: PoolChoice & { weights: number[][] }) =>
    ops.weightedPool2d(x as Tensor, { stride, weights }),
  value([x], options: PoolChoice & { weights: number[][] }) {
    const flat = options.weights.flat()
    const sum = flat.reduce((total, weight) => total + weight, 0)
    return pooled(x as Reference, options, (values) =>
      values.reduce((total, value, i) => total + (value * (flat[i] as number)) / sum, 0),
    )
  },
})

// ---- one element at a time -------------------------------------------------------------------------------------------------

type Unary = (x: Tensor) => Tensor

const unary = (run: Unary, of: (value: number) => number, values: Definition['values'] = 'any'): Definition =>
  define({
    values,
    choose: (random) => ({ shapes: [shapeOf(random)], options: {} }),
    run: ([x]) => run(x as Tensor),
    value: ([x]) => mapped(x as Reference, of),
  })

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))

const unaries: Record<string, Definition> = {
  relu: unary(ops.relu, (x) => Math.max(0, x)),
  leakyRelu: unary(
    (x) => ops.leakyRelu(x, { negativeSlope: 0.2 }),
    (x) => (x > 0 ? x : 0.2 * x),
  ),
  elu: unary(
    (x) => ops.elu(x, { alpha: 1.5 }),
    (x) => (x > 0 ? x : 1.5 * Math.expm1(x)),
  ),
  gelu: unary(
    (x) => ops.gelu(x),
    (x) => x * normalCdf(x),
  ),
  silu: unary(ops.silu, (x) => x * sigmoid(x)),
  sigmoid: unary(ops.sigmoid, sigmoid),
  tanh: unary(ops.tanh, Math.tanh),
  scaledTanh: unary(ops.scaledTanh, (x) => 1.7159 * Math.tanh((2 / 3) * x)),
  softplus: unary(
    (x) => ops.softplus(x, { beta: 2 }),
    (x) => Math.log1p(Math.exp(2 * x)) / 2,
  ),
  exp: unary(ops.exp, Math.exp),
  log: unary(ops.log, Math.log, 'positive'),
  sqrt: unary(ops.sqrt, Math.sqrt, 'positive'),
  square: unary(ops.square, (x) => x * x),
  abs: unary(ops.abs, Math.abs),
  neg: unary(ops.neg, (x) => -x),
  pow: unary(
    (x) => ops.pow(x, 1.7),
    (x) => x ** 1.7,
    'positive',
  ),
  // What is left of x is x times what is left of ones: the difference is 0 everywhere.
  dropout: unary(
    (x) => {
      const options = { p: 0.4, seed: x.size, stream: 3 }
      return ops.sub(ops.dropout(x, options), ops.mul(x, ops.dropout(ones(x.shape), options)))
    },
    () => 0,
  ),
  clamp: unary(
    (x) => ops.clamp(x, { min: -0.9, max: 1.1 }),
    (x) => Math.min(1.1, Math.max(-0.9, x)),
  ),
}

/** Shapes that broadcast to one another. */
function broadcastable(random: Random): number[][] {
  const full = shapeOf(random)
  const part = full.map((n) => (random.chance(0.4) ? 1 : n)).slice(random.chance(0.4) ? random.below(full.length) : 0)
  return random.chance(0.5) ? [full, part] : [part, full]
}

const binary = (
  run: (a: Tensor, b: Tensor) => Tensor,
  of: (a: number, b: number) => number,
  values: Definition['values'] = 'any',
): Definition =>
  define({
    values,
    choose: (random) => ({ shapes: broadcastable(random), options: {} }),
    run: ([a, b]) => run(a as Tensor, b as Tensor),
    value([a, b]) {
      const [left, right] = [a as Reference, b as Reference]
      const rank = Math.max(left.shape.length, right.shape.length)
      const padded = (shape: readonly number[]): number[] => [
        ...new Array<number>(rank - shape.length).fill(1),
        ...shape,
      ]
      const shape = padded(left.shape).map((n, axis) => Math.max(n, padded(right.shape)[axis] as number))
      const pick = ({ shape: own, data }: Reference, index: readonly number[]): number =>
        data[
          at(
            own,
            index.slice(rank - own.length).map((i, axis) => (own[axis] === 1 ? 0 : i)),
          )
        ] as number
      return from(shape, (index) => of(pick(left, index), pick(right, index)))
    },
  })

const binaries: Record<string, Definition> = {
  add: binary(ops.add, (a, b) => a + b),
  sub: binary(ops.sub, (a, b) => a - b),
  mul: binary(ops.mul, (a, b) => a * b),
  div: binary(ops.div, (a, b) => a / b, 'positive'),
}

// ---- sums, norms, products ---------------------------------------------------------------------------------------------------

/** Values along some axes, gathered for each place of the others. */
function reduced(
  x: Reference,
  axes: readonly number[],
  keepDims: boolean,
  of: (values: number[]) => number,
): Reference {
  const kept = x.shape.map((n, axis) => (axes.includes(axis) ? 1 : n))
  const groups = new Map<number, number[]>()
  let i = 0
  for (const index of indices(x.shape)) {
    const place = at(
      kept,
      index.map((position, axis) => (axes.includes(axis) ? 0 : position)),
    )
    const group = groups.get(place) ?? []
    group.push(x.data[i++] as number)
    groups.set(place, group)
  }
  const data = Float64Array.from({ length: size(kept) }, (_, place) => of(groups.get(place) ?? []))
  return { shape: keepDims ? kept : x.shape.filter((_, axis) => !axes.includes(axis)), data }
}

const reduction = (
  run: typeof ops.sum,
  of: (values: number[]) => number,
  values: Definition['values'] = 'any',
): Definition =>
  define({
    values,
    choose(random) {
      const shape = shapeOf(random)
      const axes = shape.map((_, axis) => axis).filter(() => random.chance(0.5))
      return {
        shapes: [shape],
        options: { axes: axes.length > 0 ? axes : [shape.length - 1], keepDims: random.chance(0.5) },
      }
    },
    run: ([x], { axes, keepDims }: { axes: number[]; keepDims: boolean }) => run(x as Tensor, axes, { keepDims }),
    value: ([x], { axes, keepDims }: { axes: number[]; keepDims: boolean }) =>
      reduced(x as Reference, axes, keepDims, of),
  })

const total = (values: number[]): number => values.reduce((sum, value) => sum + value, 0)

/** x with the values along one axis replaced by a function of all of them. */
function alongAxis(x: Reference, axis: number, of: (values: number[]) => number[]): Reference {
  const data = new Float64Array(x.data.length)
  for (const index of indices(x.shape.map((n, other) => (other === axis ? 1 : n)))) {
    const places = Array.from({ length: x.shape[axis] as number }, (_, i) =>
      at(
        x.shape,
        index.map((position, other) => (other === axis ? i : position)),
      ),
    )
    const values = of(places.map((place) => x.data[place] as number))
    places.forEach((place, i) => (data[place] = values[i] as number))
  }
  return { shape: x.shape, data }
}

const logSumExp = (values: number[]): number => {
  const most = largest(values)
  return most + Math.log(total(values.map((value) => Math.exp(value - most))))
}

const overChannels = (run: (x: Tensor, axis: number) => Tensor, of: (values: number[]) => number[]): Definition =>
  define({
    choose(random) {
      const shape = shapeOf(random)
      return { shapes: [shape], options: { axis: random.below(shape.length) } }
    },
    run: ([x], { axis }: { axis: number }) => run(x as Tensor, axis),
    value: ([x], { axis }: { axis: number }) => alongAxis(x as Reference, axis, of),
  })

const sums: Record<string, Definition> = {
  sum: reduction(ops.sum, total),
  mean: reduction(ops.mean, mean),
  max: reduction(ops.max, largest, 'distinct'),
  min: reduction(ops.min, (values) => -largest(values.map((value) => -value)), 'distinct'),
  softmax: overChannels(ops.softmax, (values) => values.map((value) => Math.exp(value - logSumExp(values)))),
  logSoftmax: overChannels(ops.logSoftmax, (values) => values.map((value) => value - logSumExp(values))),
  linear: define({
    choose(random) {
      const [N, I, O] = [extent(random, 64), random.between(1, 90), random.between(1, 90)]
      return { shapes: [[N, I], [O, I], ...(random.chance(0.5) ? [[O]] : [])], options: {} }
    },
    run: ([x, w, bias]) => ops.linear(x as Tensor, w as Tensor, bias),
    value: ([x, w, bias]) =>
      from([(x as Reference).shape[0] as number, (w as Reference).shape[0] as number], ([n, o]) => {
        let sum = bias?.data[o as number] ?? 0
        for (let i = 0; i < ((x as Reference).shape[1] as number); i++)
          sum += get(x as Reference, [n as number, i]) * get(w as Reference, [o as number, i])
        return sum
      }),
  }),
  matmul: define({
    choose(random) {
      const [M, K, N] = [random.between(1, 70), random.between(1, 70), random.between(1, 70)]
      return {
        shapes: [
          [M, K],
          [K, N],
        ],
        options: {},
      }
    },
    run: ([a, b]) => ops.matmul(a as Tensor, b as Tensor),
    value: ([a, b]) =>
      from([(a as Reference).shape[0] as number, (b as Reference).shape[1] as number], ([m, n]) => {
        let sum = 0
        for (let k = 0; k < ((b as Reference).shape[0] as number); k++)
          sum += get(a as Reference, [m as number, k]) * get(b as Reference, [k, n as number])
        return sum
      }),
  }),
  batchNorm: define({
    choose(random) {
      const C = extent(random, 20)
      const spatial = shapeOf(random, random.below(3) + 1, 9)
      return { shapes: [[random.between(2, 5), C, ...spatial], [C], [C]], options: {} }
    },
    run: ([x, gamma, beta]) => ops.batchNorm(x as Tensor, gamma, beta, { training: true, eps: 0.1 }),
    value([x, gamma, beta]) {
      const { shape } = x as Reference
      const axes = shape.map((_, axis) => axis).filter((axis) => axis !== 1)
      const centre = reduced(x as Reference, axes, false, mean)
      const spread = reduced(x as Reference, axes, false, (values) =>
        mean(values.map((value) => (value - mean(values)) ** 2)),
      )
      return from(shape, (index) => {
        const c = index[1] as number
        const normal =
          (get(x as Reference, index) - (centre.data[c] as number)) / Math.sqrt((spread.data[c] as number) + 0.1)
        return normal * ((gamma as Reference).data[c] as number) + ((beta as Reference).data[c] as number)
      })
    },
  }),
  localResponseNorm: define({
    choose: (random) => ({
      shapes: [[few(random), extent(random, 17), ...shapeOf(random, 2, 9)]],
      options: { size: random.between(1, 7), alpha: 0.5, beta: 0.75, k: 1.5 },
    }),
    run: ([x], options: ops.LocalResponseNormOptions) => ops.localResponseNorm(x as Tensor, options),
    value: ([x], { size: width, alpha, beta, k }: { size: number; alpha: number; beta: number; k: number }) =>
      alongAxis(x as Reference, 1, (values) =>
        values.map((value, c) => {
          const first = c - (width >> 1)
          const near = values.filter((_, other) => other >= first && other < first + width)
          return value / (k + (alpha / width) * total(near.map((other) => other * other))) ** beta
        }),
      ),
  }),
}

// ---- layout and losses -----------------------------------------------------------------------------------------------------------

const mirrored: Record<string, (i: number, n: number) => number> = {
  replicate: (i, n) => Math.min(n - 1, Math.max(0, i)),
  circular: (i, n) => ((i % n) + n) % n,
  reflect: (i, n) => (n === 1 ? 0 : n - 1 - Math.abs((((i % (2 * n - 2)) + 2 * n - 2) % (2 * n - 2)) - (n - 1))),
}

const layout: Record<string, Definition> = {
  pad: define({
    choose(random) {
      const shape = shapeOf(random)
      const mode = random.pick(['zeros', 'reflect', 'replicate', 'circular'])
      const most = (n: number): number => (mode === 'reflect' ? n - 1 : mode === 'circular' ? n : 4)
      const padding = shape.map((n) => [random.below(Math.min(4, most(n)) + 1), random.below(Math.min(4, most(n)) + 1)])
      return { shapes: [shape], options: { padding, mode, value: mode === 'zeros' ? random.pick([0, 2.5]) : 0 } }
    },
    run: ([x], { padding, mode, value }: { padding: [number, number][]; mode: 'zeros'; value: number }) =>
      ops.pad(x as Tensor, padding, mode === 'zeros' ? { mode, value } : { mode }),
    value: ([x], { padding, mode, value }: { padding: [number, number][]; mode: string; value: number }) =>
      from(
        (x as Reference).shape.map((n, axis) => n + (padding[axis]?.[0] as number) + (padding[axis]?.[1] as number)),
        (index) => {
          const place = index.map((i, axis) => i - (padding[axis]?.[0] as number))
          const inside = place.every((i, axis) => i >= 0 && i < ((x as Reference).shape[axis] as number))
          if (mode === 'zeros' && !inside) return value
          return get(
            x as Reference,
            place.map((i, axis) => mirrored[mode]?.(i, (x as Reference).shape[axis] as number) ?? i),
          )
        },
      ),
  }),
  slice: define({
    choose(random) {
      const shape = shapeOf(random)
      const begin = shape.map((n) => random.below(n))
      return {
        shapes: [shape],
        options: { begin, end: shape.map((n, axis) => random.between((begin[axis] as number) + 1, n)) },
      }
    },
    run: ([x], options: { begin: number[]; end: number[] }) => ops.slice(x as Tensor, options),
    value: ([x], { begin, end }: { begin: number[]; end: number[] }) =>
      from(
        end.map((last, axis) => last - (begin[axis] as number)),
        (index) =>
          get(
            x as Reference,
            index.map((i, axis) => i + (begin[axis] as number)),
          ),
      ),
  }),
  transpose: define({
    choose(random) {
      const shape = shapeOf(random)
      return { shapes: [shape], options: { permutation: random.shuffled(shape.map((_, axis) => axis)) } }
    },
    run: ([x], { permutation }: { permutation: number[] }) => ops.transpose(x as Tensor, permutation),
    value: ([x], { permutation }: { permutation: number[] }) =>
      from(
        permutation.map((axis) => (x as Reference).shape[axis] as number),
        (index) => {
          const place: number[] = []
          permutation.forEach((axis, i) => (place[axis] = index[i] as number))
          return get(x as Reference, place)
        },
      ),
  }),
  concat: define({
    choose(random) {
      const shape = shapeOf(random)
      const axis = random.below(shape.length)
      const shapes = random.list(random.between(1, 4), () =>
        shape.map((n, other) => (other === axis ? random.between(1, 9) : n)),
      )
      return { shapes, options: { axis } }
    },
    run: (inputs, { axis }: { axis: number }) => ops.concat(inputs, axis),
    value(inputs, { axis }: { axis: number }) {
      const [first] = inputs as [Reference]
      const length = total(inputs.map(({ shape }) => shape[axis] as number))
      return from(
        first.shape.map((n, other) => (other === axis ? length : n)),
        (index) => {
          let i = index[axis] as number
          for (const input of inputs) {
            const own = input.shape[axis] as number
            if (i < own)
              return get(
                input,
                index.map((position, other) => (other === axis ? i : position)),
              )
            i -= own
          }
          return NaN
        },
      )
    },
  }),
  upsample2d: define({
    choose: (random) => ({
      shapes: [[few(random), few(random), random.between(1, 7), random.between(1, 9)]],
      options: { scale: [random.between(1, 4), random.between(1, 4)], mode: random.pick(['nearest', 'bilinear']) },
    }),
    run: ([x], options: { scale: [number, number]; mode: 'nearest' }) => ops.upsample2d(x as Tensor, options),
    value([x], { scale, mode }: { scale: [number, number]; mode: string }) {
      const { shape } = x as Reference
      const [, , H, W] = shape as [number, number, number, number]
      const along = (i: number, n: number, factor: number): [place: number, weight: number][] => {
        if (mode === 'nearest') return [[Math.floor(i / factor), 1]]
        const centre = Math.min(n - 1, Math.max(0, (i + 0.5) / factor - 0.5))
        const below = Math.floor(centre)
        return [
          [below, 1 - (centre - below)],
          [Math.min(n - 1, below + 1), centre - below],
        ]
      }
      return from([shape[0] as number, shape[1] as number, H * scale[0], W * scale[1]], ([n, c, p, q]) => {
        let sum = 0
        for (const [h, down] of along(p as number, H, scale[0])) {
          for (const [w, across] of along(q as number, W, scale[1]))
            sum += down * across * get(x as Reference, [n as number, c as number, h, w])
        }
        return sum
      })
    },
  }),
}

const reductions = {
  none: (values: number[]): Reference => ({ shape: [], data: Float64Array.from(values) }),
  sum: (values: number[]): Reference => ({ shape: [], data: Float64Array.of(total(values)) }),
  mean: (values: number[]): Reference => ({ shape: [], data: Float64Array.of(mean(values)) }),
}

interface LossChoice {
  readonly labels: number[]
  readonly reduction: keyof typeof reductions
  readonly labelSmoothing: number
  readonly margin: number
}

/** A loss of scores (N, classes, …) and labels. */
const classLoss = (
  run: (x: Tensor, options: LossChoice) => Tensor,
  of: (scores: number[], label: number, options: LossChoice) => number,
): Definition =>
  define({
    values: 'distinct',
    choose(random) {
      const [N, classes] = [random.between(1, 20), random.between(2, 12)]
      const places = random.chance(0.3) ? [random.between(1, 5)] : []
      const options: LossChoice = {
        labels: random.list(N * size(places), () => random.below(classes)),
        reduction: random.pick(['none', 'sum', 'mean']),
        labelSmoothing: random.pick([0, 0.2]),
        margin: random.pick([1, 0.5]),
      }
      return { shapes: [[N, classes, ...places]], options: options as unknown as Options }
    },
    run: ([x], options: LossChoice) => run(x as Tensor, options),
    value([x], options: LossChoice) {
      const { shape } = x as Reference
      const rows = shape.filter((_, axis) => axis !== 1)
      const values: number[] = []
      for (const [n, ...place] of indices(rows)) {
        const scores = Array.from({ length: shape[1] as number }, (_, c) =>
          get(x as Reference, [n as number, c, ...place]),
        )
        values.push(of(scores, options.labels[values.length] as number, options))
      }
      const result = reductions[options.reduction](values)
      return options.reduction === 'none' ? { ...result, shape: rows } : result
    },
  })

const pairLoss = (
  run: (a: Tensor, b: Tensor, options: { reduction: 'sum' }) => Tensor,
  of: (a: number, b: number) => number,
): Definition =>
  define({
    choose(random) {
      const shape = shapeOf(random)
      return { shapes: [shape, shape], options: { reduction: random.pick(['none', 'sum', 'mean']) } }
    },
    run: ([a, b], options: { reduction: 'sum' }) => run(a as Tensor, b as Tensor, options),
    value([a, b], { reduction }: { reduction: keyof typeof reductions }) {
      const values = [...(a as Reference).data].map((value, i) => of(value, (b as Reference).data[i] as number))
      const result = reductions[reduction](values)
      return reduction === 'none' ? { ...result, shape: (a as Reference).shape } : result
    },
  })

const losses: Record<string, Definition> = {
  crossEntropy: classLoss(
    (x, { labels, reduction, labelSmoothing }) => ops.crossEntropy(x, labels, { reduction, labelSmoothing }),
    (scores, label, { labelSmoothing }) =>
      total(
        scores.map(
          (score, c) =>
            -(score - logSumExp(scores)) * ((c === label ? 1 - labelSmoothing : 0) + labelSmoothing / scores.length),
        ),
      ),
  ),
  hingeLoss: classLoss(
    (x, { labels, reduction, margin }) => ops.hingeLoss(x, labels, { reduction, margin }),
    (scores, label, { margin }) =>
      total(scores.map((score, c) => (c === label ? 0 : Math.max(0, score - (scores[label] as number) + margin)))),
  ),
  mseLoss: pairLoss(ops.mseLoss, (a, b) => (a - b) ** 2),
  bceWithLogits: pairLoss(
    ops.bceWithLogits,
    (logit, target) => Math.max(logit, 0) - logit * target + Math.log1p(Math.exp(-Math.abs(logit))),
  ),
}

export const definitions: Readonly<Record<string, Definition>> = {
  ...convs,
  locallyConnected2d: local,
  tiledConv2d: tiled,
  weightedPool2d: weighted,
  ...pools,
  ...unaries,
  ...binaries,
  ...sums,
  ...layout,
  ...losses,
}
