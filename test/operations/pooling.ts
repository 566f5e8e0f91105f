/** What summarizes windows, parts of a map, or groups of channels. */
import * as ops from '../../src/ops/index.js'
import { normal } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import type { Json } from '../fuzz/mutate.js'
import type { Random } from '../fuzz/random.js'
import { t as tensorOf, tag } from '../fuzz/tags.js'
import { indices, size, type Reference } from '../helpers/reference.js'
import {
  define,
  each,
  extent,
  few,
  from,
  get,
  largest,
  mean,
  numbers,
  of,
  paddings,
  positive,
  shapeOf,
  small,
  total,
  volume,
  type Choice,
  type Definition,
  type MakeCase,
  type Operation,
  type Options,
  type Rows,
  type Small,
} from './operation.js'

/** Options of a pooling with every entry filled in. */
interface PoolChoice {
  readonly kernel: number[]
  readonly stride: number[]
  readonly padding: [number, number][]
  readonly dilation: number[]
  readonly ceil: boolean
  readonly countIncludePad: boolean
  readonly p: number
}

/** Options as the library takes them. */
interface Given {
  readonly kernel: unknown
  readonly stride?: unknown
  readonly padding?: unknown
  readonly dilation?: unknown
  readonly ceil?: boolean
  readonly countIncludePad?: boolean
  readonly p?: number
}

function resolve(given: Given, directions: number): PoolChoice {
  const kernel = each(given.kernel, directions, 1)
  const dilation = each(given.dilation, directions, 1)
  return {
    kernel,
    dilation,
    stride: given.stride === undefined ? kernel : each(given.stride, directions, 1),
    padding: paddings(
      given.padding,
      kernel.map((taps, axis) => (dilation[axis] as number) * (taps - 1)),
    ),
    ceil: given.ceil ?? false,
    countIncludePad: given.countIncludePad ?? true,
    p: given.p ?? 2,
  }
}

/** One window along one direction: its taps in the input, and how many taps lie there or in the padding. */
interface Along {
  readonly positions: number[]
  readonly extent: number
}

function windowsAlong(n: number, axis: number, { kernel, stride, padding, dilation, ceil }: PoolChoice): Along[] {
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

/** The parts, nearly alike, into which m outputs divide n inputs. */
const partsAlong = (n: number, m: number): Along[] =>
  Array.from({ length: m }, (_, i) => {
    const first = Math.floor((i * n) / m)
    const positions = Array.from({ length: Math.ceil(((i + 1) * n) / m) - first }, (__, tap) => first + tap)
    return { positions, extent: positions.length }
  })

type Summary = (values: number[], counted: number) => number

function pooledOver(x: Reference, along: readonly (readonly Along[])[], summarize: Summary): Reference {
  return from([...x.shape.slice(0, 2), ...along.map((list) => list.length)], ([n, c, ...place]) => {
    const chosen = place.map((i, axis) => (along[axis] as readonly Along[])[i] as Along)
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

const pooled = (x: Reference, options: PoolChoice, summarize: Summary): Reference =>
  pooledOver(
    x,
    x.shape.slice(2).map((n, axis) => windowsAlong(n, axis, options)),
    summarize,
  )

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

/** The options that a pooling has, of all. */
const only = <K extends keyof Given>(given: Given, ...names: readonly K[]): Pick<Given, K> =>
  Object.fromEntries(names.filter((name) => name in given).map((name) => [name, given[name]])) as Pick<Given, K>

type Pool<O> = (x: Tensor, options: O) => Tensor

const spatial = (directions: number): number[] => [2, 4, ...[5, 6, 7].slice(3 - directions)]
const list = (count: number, value: Json): Json[] => new Array<Json>(count).fill(value)
const maps = [3, 4, 9, 11]
const volumes = (directions: number, ...options: readonly object[]): Small[] =>
  options.map((each) => [[volume(directions)], each])

const overlapping = { kernel: 3, stride: 2, padding: 1 } as const
const ceiled = { kernel: 3, stride: 2, ceil: true } as const
const maxOptions = ['kernel', 'stride', 'padding', 'dilation', 'ceil'] as const

const maximumOf = (directions: number, pool: Pool<ops.MaxPoolOptions>): Definition =>
  define({
    values: 'distinct',
    choose: (random) => choosePool(random, directions, true, true),
    run: ([x], options: Given) => pool(x as Tensor, only(options, ...maxOptions) as ops.MaxPoolOptions),
    value: ([x], options: Given) => pooled(x as Reference, resolve(options, directions), largest),
  })

function maxRow(
  directions: number,
  pool: Pool<ops.MaxPoolOptions>,
  cases: readonly object[],
  divided: Operation['divided'] = {},
): Operation {
  const definition = maximumOf(directions, pool)
  return {
    definition,
    cases: small(definition, ...volumes(directions, ...cases)),
    calls: [
      [
        tensorOf(...spatial(directions)),
        { kernel: 2, stride: list(directions, 2), padding: 1, dilation: 1, ceil: true },
      ],
    ],
    divided,
  }
}

function averageRow(
  directions: number,
  pool: Pool<ops.AvgPoolOptions>,
  cases: readonly object[],
  divided: Operation['divided'] = {},
): Operation {
  const definition = define({
    choose: (random) => choosePool(random, directions, true, false),
    run: ([x], options: Given) =>
      pool(x as Tensor, only(options, 'kernel', 'stride', 'padding', 'ceil', 'countIncludePad') as ops.AvgPoolOptions),
    value([x], given: Given) {
      const options = resolve(given, directions)
      return pooled(x as Reference, options, (values, counted) =>
        options.countIncludePad ? total(values) / counted : mean(values),
      )
    },
  })
  return {
    definition,
    cases: small(definition, ...volumes(directions, ...cases)),
    calls: [
      [
        tensorOf(...spatial(directions)),
        {
          ...{ kernel: list(directions, 2), stride: 2, padding: list(directions, [0, 1]) },
          ...{ ceil: true, countIncludePad: false },
        },
      ],
    ],
    linear: [[0]],
    divided,
  }
}

type OutputSize = number | readonly (number | null)[]
type Adaptive = (x: Tensor, outputSize: never) => Tensor

function adaptiveRow(
  directions: number,
  pool: Adaptive,
  outputSize: OutputSize,
  summarize: Summary,
  values: Definition['values'] = 'any',
): Operation {
  const definition = define({
    values,
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
    run: ([x], given: { outputSize: OutputSize }) => pool(x as Tensor, given.outputSize as never),
    value([x], given: { outputSize: OutputSize }) {
      const plane = (x as Reference).shape.slice(2)
      const along = plane.map((n, axis) => partsAlong(n, each(given.outputSize, directions, 1)[axis] as number))
      return pooledOver(x as Reference, along, summarize)
    },
  })
  return {
    definition,
    cases: small(definition, [[volume(directions)], { outputSize }]),
    calls: [
      [tensorOf(...spatial(directions)), 3],
      [tensorOf(...spatial(directions)), summarize === mean ? list(directions, 2) : [null, 2, 2].slice(0, directions)],
    ],
    ...(summarize === mean ? { linear: [[0]] } : {}),
  }
}

function lpRow(
  directions: number,
  pool: Pool<ops.LpPoolOptions>,
  cases: readonly MakeCase[],
  calls: Operation['calls'],
  divided: Operation['divided'] = {},
): Operation {
  return { definition: powersOf(directions, pool), cases, calls, divided }
}

const powersOf = (directions: number, pool: Pool<ops.LpPoolOptions>): Definition =>
  define({
    values: 'positive',
    choose: (random) => choosePool(random, directions, false, false),
    run: ([x], options: Given) =>
      pool(x as Tensor, only(options, 'kernel', 'stride', 'ceil', 'p') as ops.LpPoolOptions),
    value([x], given: Given) {
      const options = resolve(given, directions)
      return pooled(x as Reference, options, (values, counted) => {
        const sum = total(values.map((value) => Math.abs(value) ** options.p))
        return (sum * (size(options.kernel) / counted)) ** (1 / options.p)
      })
    },
  })

const powers1d = powersOf(1, ops.lpPool1d)
const powers2d = powersOf(2, ops.lpPool2d)
/** Of normal numbers, whose magnitudes are taken. */
const powers = (definition: Definition, directions: number, ...options: readonly object[]): MakeCase[] =>
  small({ ...definition, values: 'any' }, ...volumes(directions, ...options))

interface WeightedChoice extends Given {
  readonly weights?: number[][]
  readonly sigma?: number
}

const weighted = define({
  choose(random) {
    const { shapes, options } = choosePool(random, 2, false, false)
    const { kernel, stride } = options as unknown as PoolChoice
    const [R, S] = kernel as [number, number]
    return { shapes, options: { stride, weights: random.list(R, () => random.list(S, () => random.between(1, 9))) } }
  },
  run: ([x], options: WeightedChoice) => ops.weightedPool2d(x as Tensor, options as ops.WeightedPoolOptions),
  value([x], { weights, sigma, kernel, ...given }: WeightedChoice) {
    const extents = weights ? [weights.length, (weights[0] as number[]).length] : each(kernel, 2, 1)
    const taps = weights
      ? weights.flat()
      : Array.from(indices(extents), (tap) => {
          const far = tap.map((i, axis) => i - ((extents[axis] as number) - 1) / 2)
          return Math.exp(-total(far.map((distance) => distance ** 2)) / (2 * (sigma as number) ** 2))
        })
    const sum = total(taps)
    return pooled(x as Reference, resolve({ ...given, kernel: extents }, 2), (values) =>
      total(values.map((value, i) => (value * (taps[i] as number)) / sum)),
    )
  },
})

function globalRow(
  pool: (x: Tensor) => Tensor,
  summarize: Summary,
  call: readonly Json[],
  values?: 'distinct',
): Operation {
  const definition = define({
    values: values ?? 'any',
    choose: (random) => ({ shapes: [[few(random), extent(random, 9), ...shapeOf(random, random.between(1, 3), 9)]], options: {} }), // prettier-ignore
    run: ([x]) => pool(x as Tensor),
    value: ([x]) =>
      pooledOver(
        x as Reference,
        (x as Reference).shape.slice(2).map((n) => partsAlong(n, 1)),
        summarize,
      ),
  })
  return {
    definition,
    cases: small(definition, [[volume(2)]]),
    calls: [call],
    ...(summarize === mean ? { linear: [[0]] } : {}),
  }
}

const maxout = define({
  values: 'distinct',
  choose(random) {
    const groupSize = random.between(1, 4)
    const rest = shapeOf(random, random.below(3) + 1, 9)
    return { shapes: [[few(random), groupSize * random.between(1, 5), ...rest.slice(1)]], options: { groupSize } }
  },
  run: ([x], { groupSize }: { groupSize: number }) => ops.maxout(x as Tensor, groupSize),
  value([x], { groupSize }: { groupSize: number }) {
    const [N, C, ...rest] = (x as Reference).shape as [number, number, ...number[]]
    return from([N, C / groupSize, ...rest], ([n, k, ...place]) =>
      largest(
        Array.from({ length: groupSize }, (_, i) =>
          get(x as Reference, [n as number, (k as number) * groupSize + i, ...place]),
        ),
      ),
    )
  },
})

/** Where the maxima of a map were that is twice as high and wide as y. */
const placesFor = ([N, C, P, Q]: readonly number[]): ops.PoolIndices =>
  ops.maxPool2dWithIndices(normal([N, C, 2 * (P as number), 2 * (Q as number)] as number[], { seed: 5 }), { kernel: 2 })
    .indices

const maxUnpool = define({
  choose: (random) => ({
    shapes: [[few(random), random.between(1, 5), random.between(1, 6), random.between(1, 9)]],
    options: {},
  }),
  run: ([y]) => ops.maxUnpool2d(y as Tensor, placesFor((y as Tensor).shape), { kernel: 2 }),
  value([y]) {
    const { shape, data } = y as Reference
    const [N, C, P, Q] = shape as [number, number, number, number]
    const x = from([N, C, 2 * P, 2 * Q], () => 0)
    const places = scope(() => placesFor(shape).data())
    // A place counts the elements of its map from 0.
    places.forEach((place, i) => (x.data[Math.floor(i / (P * Q)) * 4 * P * Q + place] = data[i] as number))
    return x
  },
})

export const pooling = {
  maxPool1d: maxRow(1, ops.maxPool1d, [{ kernel: 2 }, overlapping]),
  maxPool2d: maxRow(2, ops.maxPool2d, [{ kernel: 2 }, overlapping, ceiled, { kernel: 2, stride: 1, dilation: 2 }], {
    '': of([maps], (x) => ops.maxPool2d(x, overlapping)),
  }),
  maxPool3d: maxRow(3, ops.maxPool3d, [{ kernel: 2 }, ceiled]),
  maxPool2dWithIndices: {
    definition: maximumOf(2, (x, options) => ops.maxPool2dWithIndices(x, options).y),
    cases: [
      of([volume(2)], (x) => ops.maxPool2dWithIndices(x, { kernel: 2 }).y),
      numbers(() => ops.maxPool2dWithIndices(normal(volume(2)), overlapping).indices.data()),
    ],
    calls: [[tensorOf(2, 2, 6, 6), { kernel: 2, stride: 1, padding: 1 }]],
    compound: true,
  },
  maxUnpool2d: {
    definition: maxUnpool,
    cases: small(maxUnpool, [[[2, 4, 3, 3]]]),
    calls: [[tensorOf(2, 2, 3, 3), tag('indices'), { kernel: 2, stride: 2, padding: 0, outputSize: [6, 6] }]],
    linear: [[0]],
    compound: true,
  },
  avgPool1d: averageRow(1, ops.avgPool1d, [overlapping]),
  avgPool2d: averageRow(2, ops.avgPool2d, [{ kernel: 2 }, { ...overlapping, countIncludePad: false }, ceiled], {
    '': of([maps], (x) => ops.avgPool2d(x, overlapping)),
  }),
  avgPool3d: averageRow(3, ops.avgPool3d, [{ kernel: 2 }, overlapping]),
  lpPool1d: lpRow(1, ops.lpPool1d, powers(powers1d, 1, { kernel: 3 }), [
    [tensorOf(...spatial(1)), { kernel: 2, stride: 1, p: 2, ceil: true }],
  ]),
  lpPool2d: lpRow(
    2,
    ops.lpPool2d,
    [
      ...powers(powers2d, 2, { kernel: 3, stride: 2 }),
      () => ({
        inputs: [positive(volume(2))],
        fn: (x) => ops.lpPool2d(x, { kernel: 2, p: 3.5 }),
        value: (inputs) => powers2d.value(inputs, { kernel: 2, p: 3.5 } as never),
      }),
    ],
    [[tensorOf(...spatial(2)), { kernel: [2, 3], stride: [1, 2], p: 3 }]],
    { '': of([maps], (x) => ops.lpPool2d(ops.abs(x), { kernel: 3, stride: 2, p: 3 })) },
  ),
  weightedPool2d: {
    definition: weighted,
    cases: small(
      weighted,
      ...volumes(
        2,
        { kernel: 3, sigma: 0.8 },
        {
          weights: [
            [1, 2],
            [3, 4],
          ],
          stride: 1,
        },
      ),
    ),
    calls: [
      [tensorOf(2, 2, 6, 6), { kernel: 3, stride: 1, padding: 1, sigma: 1, ceil: true, countIncludePad: true }],
      [
        tensorOf(2, 2, 6, 6),
        {
          weights: [
            [1, 2],
            [3, 4],
          ],
          stride: 1,
        },
      ],
      [tensorOf(2, 2, 6, 5), { weights: tag('positive', { shape: [3, 2] }), stride: 2, padding: [1, 1], ceil: true }],
      [
        tensorOf(2, 2, 6, 5),
        { weights: tag('positive', { shape: [3, 2] }), stride: [1, 2], padding: [1, 0], countIncludePad: false },
      ],
      [tensorOf(1, 2, 4, 4), { weights: tag('positive', { shape: [2, 2] }) }],
    ],
    linear: [[0]],
    divided: { '': of([maps], (x) => ops.weightedPool2d(x, { kernel: 3, stride: 2, sigma: 1 })) },
  },
  adaptiveAvgPool1d: adaptiveRow(1, ops.adaptiveAvgPool1d, 4, mean),
  adaptiveAvgPool2d: {
    ...adaptiveRow(2, ops.adaptiveAvgPool2d, [3, 4], mean),
    divided: { '': of([maps], (x) => ops.adaptiveAvgPool2d(x, [4, 5])) },
  },
  adaptiveAvgPool3d: adaptiveRow(3, ops.adaptiveAvgPool3d, 2, mean),
  adaptiveMaxPool1d: adaptiveRow(1, ops.adaptiveMaxPool1d, 4, largest, 'distinct'),
  adaptiveMaxPool2d: adaptiveRow(2, ops.adaptiveMaxPool2d, [3, 4], largest, 'distinct'),
  adaptiveMaxPool3d: adaptiveRow(3, ops.adaptiveMaxPool3d, 2, largest, 'distinct'),
  globalAvgPool: globalRow(ops.globalAvgPool, mean, [tensorOf(2, 3, 4)]),
  globalMaxPool: globalRow(ops.globalMaxPool, largest, [tensorOf(2, 3, 4, 5)], 'distinct'),
  maxout: {
    definition: maxout,
    cases: small(maxout, [[[3, 6, 5, 5]], { groupSize: 3 }]),
    calls: [[tensorOf(2, 6, 3), 3]],
  },
} as const satisfies Rows
