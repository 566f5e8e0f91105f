/** What moves elements: to the borders, to other axes, apart and together. */
import * as ops from '../../src/ops/index.js'
import { tensor } from '../../src/tensor/create.js'
import type { Tensor } from '../../src/tensor/tensor.js'
import { t as tensorOf } from '../fuzz/tags.js'
import type { Reference } from '../helpers/reference.js'
import {
  define,
  few,
  from,
  get,
  numbers,
  of,
  paddings,
  reshaped,
  shapeOf,
  small,
  total,
  type Rows,
} from './operation.js'

const mirrored: Record<string, (i: number, n: number) => number> = {
  replicate: (i, n) => Math.min(n - 1, Math.max(0, i)),
  circular: (i, n) => ((i % n) + n) % n,
  reflect: (i, n) => (n === 1 ? 0 : n - 1 - Math.abs((((i % (2 * n - 2)) + 2 * n - 2) % (2 * n - 2)) - (n - 1))),
}

/** x with elements before and behind along each axis. */
export const padded = (x: Reference, padding: readonly (readonly number[])[], mode: string, value = 0): Reference =>
  from(
    x.shape.map((n, axis) => n + (padding[axis]?.[0] as number) + (padding[axis]?.[1] as number)),
    (index) => {
      const place = index.map((i, axis) => i - (padding[axis]?.[0] as number))
      const inside = place.every((i, axis) => i >= 0 && i < (x.shape[axis] as number))
      if (mode === 'zeros' && !inside) return value
      return get(
        x,
        place.map((i, axis) => mirrored[mode]?.(i, x.shape[axis] as number) ?? i),
      )
    },
  )

interface PadChoice {
  readonly padding: number | (number | [number, number])[]
  readonly mode: 'zeros' | 'reflect' | 'replicate' | 'circular'
  readonly value?: number
}

const pad = define({
  choose(random) {
    const shape = shapeOf(random)
    const mode = random.pick(['zeros', 'reflect', 'replicate', 'circular'])
    const most = (n: number): number => (mode === 'reflect' ? n - 1 : mode === 'circular' ? n : 4)
    const padding = shape.map((n) => [random.below(Math.min(4, most(n)) + 1), random.below(Math.min(4, most(n)) + 1)])
    return { shapes: [shape], options: { padding, mode, value: mode === 'zeros' ? random.pick([0, 2.5]) : 0 } }
  },
  run: ([x], { padding, mode, value }: PadChoice) =>
    ops.pad(x as Tensor, padding, mode === 'zeros' && value !== undefined ? { mode, value } : { mode }),
  value: ([x], { padding, mode, value }: PadChoice) => {
    const { shape } = x as Reference
    // One number pads the axes after (N, C); fewer entries than axes pad the last ones.
    const entries = Array.isArray(padding) ? padding : shape.slice(2).map(() => padding)
    const along = [...new Array<number>(shape.length - entries.length).fill(0), ...entries]
    return padded(x as Reference, paddings(along, shape), mode, value)
  },
})

/** Numbers that each type holds, and some that it does not. */
const mixed = (): Tensor => tensor([0, -0.5, 2.75, -3, 255.5, 1e10, -1e10, NaN])

const slice = define({
  choose(random) {
    const shape = shapeOf(random)
    const begin = shape.map((n) => random.below(n))
    return {
      shapes: [shape],
      options: { begin, end: shape.map((n, axis) => random.between((begin[axis] as number) + 1, n)) },
    }
  },
  run: ([x], options: { begin: number[]; end: number[] }) => ops.slice(x as Tensor, options),
  value([x], { begin, end }: { begin: number[]; end: number[] }) {
    const { shape } = x as Reference
    // What is left out is all of the axis; negative ends count from behind.
    const place = (of: number[], axis: number, otherwise: number): number => {
      const given = of[axis] ?? otherwise
      return given < 0 ? given + (shape[axis] as number) : given
    }
    return from(
      shape.map((n, axis) => place(end, axis, n) - place(begin, axis, 0)),
      (index) =>
        get(
          x as Reference,
          index.map((i, axis) => i + place(begin, axis, 0)),
        ),
    )
  },
})

const transpose = define({
  choose(random) {
    const shape = shapeOf(random)
    return { shapes: [shape], options: { permutation: random.shuffled(shape.map((_, axis) => axis)) } }
  },
  run: ([x], { permutation }: { permutation?: number[] }) => ops.transpose(x as Tensor, permutation),
  value([x], { permutation }: { permutation?: number[] }) {
    const { shape } = x as Reference
    const order = permutation ?? shape.map((_, axis) => axis).reverse()
    return from(
      order.map((axis) => shape[axis] as number),
      (index) => {
        const place: number[] = []
        order.forEach((axis, i) => (place[axis] = index[i] as number))
        return get(x as Reference, place)
      },
    )
  },
})

const concat = define({
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
})

const flatten = define({
  choose(random) {
    const shape = shapeOf(random, random.between(2, 4))
    return { shapes: [shape], options: { startAxis: random.below(shape.length) } }
  },
  run: ([x], { startAxis }: { startAxis?: number }) => ops.flatten(x as Tensor, startAxis),
  value([x], { startAxis = 1 }: { startAxis?: number }) {
    const { shape } = x as Reference
    const rest = shape.slice(startAxis).reduce((product, n) => product * n, 1)
    return reshaped(x as Reference, [...shape.slice(0, startAxis), rest])
  },
})

interface UpsampleChoice {
  readonly scale: number | [number, number]
  readonly mode?: 'nearest' | 'bilinear'
}

const upsample2d = define({
  choose: (random) => ({
    shapes: [[few(random), few(random), random.between(1, 7), random.between(1, 9)]],
    options: { scale: [random.between(1, 4), random.between(1, 4)], mode: random.pick(['nearest', 'bilinear']) },
  }),
  run: ([x], options: UpsampleChoice) => ops.upsample2d(x as Tensor, options),
  value([x], { scale: given, mode = 'nearest' }: UpsampleChoice) {
    const scale = Array.isArray(given) ? given : [given, given]
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
    const [down, across] = scale as [number, number]
    return from([shape[0] as number, shape[1] as number, H * down, W * across], ([n, c, p, q]) => {
      let sum = 0
      for (const [h, share] of along(p as number, H, down)) {
        for (const [w, part] of along(q as number, W, across))
          sum += share * part * get(x as Reference, [n as number, c as number, h, w])
      }
      return sum
    })
  },
})

export const layout = {
  concat: {
    definition: concat,
    cases: small(concat, [
      [
        [2, 3, 5],
        [2, 4, 5],
      ],
      { axis: 1 },
    ]),
    calls: [[[tensorOf(2, 3), tensorOf(2, 4)], 1]],
    linear: [[0, 1]],
  },
  slice: {
    definition: slice,
    cases: small(slice, [[[4, 5, 6]], { begin: [1, 0, 2], end: [3, -1] }]),
    calls: [[tensorOf(4, 5), { begin: [1, 0], end: [3, -1] }]],
    linear: [[0]],
  },
  transpose: {
    definition: transpose,
    cases: small(transpose, [[[4, 5, 6]], { permutation: [2, 0, 1] }], [[[33, 18]]]),
    calls: [[tensorOf(2, 3, 4), [2, 0, 1]]],
    linear: [[0]],
    divided: { '': of([[13, 17, 11]], (x) => ops.transpose(x, [2, 0, 1])) },
  },
  flatten: {
    definition: flatten,
    cases: small(flatten, [[[4, 5, 6]]]),
    calls: [[tensorOf(2, 3, 4), 1]],
    linear: [[0]],
  },
  pad: {
    definition: pad,
    cases: small(
      pad,
      ...(['zeros', 'reflect', 'replicate', 'circular'] as const).map(
        (mode) => [[[2, 3, 5, 6]], { padding: [1, [2, 0]], mode }] as const,
      ),
    ),
    calls: [
      [tensorOf(2, 3, 4), [0, 1, [2, 1]], { mode: 'zeros', value: 2 }],
      [tensorOf(2, 3, 4), 1, { mode: 'reflect' }],
    ],
    linear: [[0]],
    divided: {
      '': small(pad, [
        [[3, 4, 7, 9]],
        {
          padding: [
            [0, 0],
            [0, 0],
            [2, 3],
            [1, 2],
          ],
          mode: 'reflect',
        },
      ])[0]!,
    },
  },
  upsample2d: {
    definition: upsample2d,
    cases: small(upsample2d, [[[2, 3, 5, 6]], { scale: 2 }], [[[2, 3, 5, 6]], { scale: [3, 2], mode: 'bilinear' }]),
    calls: [[tensorOf(2, 3, 4, 4), { scale: [2, 3], mode: 'bilinear' }]],
    linear: [[0]],
    divided: { '': of([[3, 4, 7, 9]], (x) => ops.upsample2d(x, { scale: 2, mode: 'bilinear' })) },
  },
  cast: {
    undefinedBecause: 'gives other types than float32; test/ops/cast.test.ts converts every type to every other',
    cases: [
      numbers(
        ...(['int32', 'uint8', 'int8', 'bool'] as const).map((dtype) => () => ops.cast(mixed(), dtype).data()),
        () => ops.cast(ops.cast(mixed(), 'int64'), 'float32').data(),
      ),
    ],
    calls: [[tensorOf(2, 3), 'int32']],
  },
} as const satisfies Rows
