/**
 * Pooling by definition: windows enumerated one by one, in float64, for comparison of values and gradients; and the
 * checks that every pooling shares.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { gradcheck } from '../../src/autodiff/gradcheck.js'
import { vjp, type TensorFunction } from '../../src/autodiff/vjp.js'
import { normal, tensor } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { expectOracle, numbers } from './linear.js'
import { oracleCases } from './oracle.js'
import { at, difference, indices, size } from './reference.js'

/** One window along one direction: positions in the input, taps, and how many taps count with padding. */
interface Range {
  readonly positions: number[]
  readonly taps: number[]
  readonly extent: number
}

export interface Windows {
  readonly kernel: readonly number[]
  readonly stride: readonly number[]
  readonly padding: readonly (readonly [number, number])[]
  readonly dilation: readonly number[]
  readonly ceil: boolean
}

/** PyTorch's windows along one direction. */
export function sliding(n: number, { kernel, stride, padding, dilation, ceil }: Windows, axis: number): Range[] {
  const [lo, hi] = padding[axis]!
  const ranges: Range[] = []
  for (let origin = -lo; ; origin += stride[axis]!) {
    const end = origin + dilation[axis]! * (kernel[axis]! - 1) + 1
    // A window is kept while it fits, or, with ceil, while one more step would have fitted partly and it starts inside.
    if (ceil ? origin >= n || end - stride[axis]! >= n + hi : end > n + hi) return ranges
    const taps = Array.from({ length: kernel[axis]! }, (_, tap) => tap)
    const inside = taps.filter((tap) => {
      const position = origin + tap * dilation[axis]!
      return position >= 0 && position < n
    })
    ranges.push({
      positions: inside.map((tap) => origin + tap * dilation[axis]!),
      taps: inside,
      extent: Math.min(kernel[axis]!, n + hi - origin),
    })
  }
}

export function adaptive(n: number, output: number): Range[] {
  return Array.from({ length: output }, (_, i) => {
    const first = Math.floor((i * n) / output)
    const count = Math.ceil(((i + 1) * n) / output) - first
    const taps = Array.from({ length: count }, (__, tap) => tap)
    return { positions: taps.map((tap) => first + tap), taps, extent: count }
  })
}

export interface Window {
  /** Position in y; positions in x and the taps they belong to, in row-major order. */
  readonly to: number
  readonly from: number[]
  readonly taps: number[][]
  readonly counted: number
  readonly countedTaps: number[]
}

/** Every window of every map. */
export function* visitWindows(x: readonly number[], ranges: readonly Range[][]): Generator<Window> {
  const output = ranges.map((list) => list.length)
  const yShape = [...x.slice(0, 2), ...output]
  for (const index of indices(yShape)) {
    const chosen = index.slice(2).map((i, axis) => ranges[axis]![i]!)
    const from: number[] = []
    const taps: number[][] = []
    for (const element of indices(chosen.map(({ positions }) => positions.length))) {
      from.push(at(x, [...index.slice(0, 2), ...element.map((i, axis) => chosen[axis]!.positions[i]!)]))
      taps.push(element.map((i, axis) => chosen[axis]!.taps[i]!))
    }
    yield {
      to: at(yShape, index),
      from,
      taps,
      counted: chosen.reduce((product, { extent }) => product * extent, 1),
      countedTaps: chosen.map(({ extent }) => extent),
    }
  }
}

/** A pooling's value and gradient by definition, given the windows. */
export interface Naive {
  value(x: Float32Array, window: Window): number
  /** Adds dy times the derivative of the window. */
  gradient(dx: Float64Array, dy: number, x: Float32Array, window: Window): void
}

export const naiveMax: Naive = {
  value: (x, { from }) => Math.max(...from.map((i) => x[i]!)),
  gradient(dx, dy, x, { from }) {
    const first = from.find((i) => x[i] === Math.max(...from.map((j) => x[j]!)))
    if (first !== undefined) dx[first]! += dy
  },
}

export const naiveMean = (countPadding: boolean): Naive => ({
  value: (x, { from, counted }) => from.reduce((sum, i) => sum + x[i]!, 0) / (countPadding ? counted : from.length),
  gradient(dx, dy, _, { from, counted }) {
    for (const i of from) dx[i]! += dy / (countPadding ? counted : from.length)
  },
})

/** Compares value and gradient with the definition. */
export function compare(
  operation: TensorFunction,
  naive: Naive,
  x: Float32Array,
  xShape: readonly number[],
  ranges: readonly Range[][],
  tolerance = 1e-5,
  seed = 7,
): void {
  const yShape = [...xShape.slice(0, 2), ...ranges.map((list) => list.length)]
  const dy = numbers(size(yShape), seed, false)
  const y = new Float64Array(dy.length)
  const dx = new Float64Array(x.length)
  for (const window of visitWindows(xShape, ranges)) {
    y[window.to] = naive.value(x, window)
    naive.gradient(dx, dy[window.to]!, x, window)
  }
  scope(() => {
    const input = tensor(x, xShape)
    const { value, pullback, dispose } = vjp(operation, input)
    expect(value.shape).toEqual(yShape)
    expect(operation(input).data()).toEqual(value.data())
    const [given] = pullback(tensor(dy, yShape))
    const finite = (values: ArrayLike<number>): Float64Array =>
      Float64Array.from(values, (v) => (v === -Infinity ? -1e3 : v))
    for (const [a, b] of [
      [finite(value.data()), finite(y)],
      [given!.data(), dx],
    ] as const) {
      const { error, scale } = difference(a, b)
      expect(error).toBeLessThanOrEqual(tolerance * scale + 1e-6)
    }
    dispose()
  })
}

export interface Case extends Windows {
  readonly directions: number
  readonly maps: [number, number]
  readonly input: number[]
  readonly integers: boolean
  readonly seed: number
}

export const list = (directions: number, smallest: number, largest: number): fc.Arbitrary<number[]> =>
  fc.array(fc.integer({ min: smallest, max: largest }), { minLength: directions, maxLength: directions })

/** Windows of every kind: larger than the input, with gaps, overlapping, dilated, partial; one-pixel inputs. */
export const cases = (mostDirections: number, largestDilation: number): fc.Arbitrary<Case> =>
  fc
    .integer({ min: 1, max: mostDirections })
    .chain((directions) =>
      fc.record({
        directions: fc.constant(directions),
        maps: fc.tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 3 })),
        input: list(directions, 1, directions === 1 ? 45 : directions === 2 ? 15 : 6),
        kernel: list(directions, 1, directions === 3 ? 3 : 5),
        stride: list(directions, 1, 4),
        dilation: list(directions, 1, largestDilation),
        fraction: fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 3 })), {
          minLength: directions,
          maxLength: directions,
        }),
        ceil: fc.boolean(),
        integers: fc.boolean(),
        seed: fc.integer({ min: 1, max: 1e6 }),
      }),
    )
    .map(({ fraction, ...rest }) => ({
      ...rest,
      padding: fraction.map(([lo, hi], axis): [number, number] => {
        const most = (rest.dilation[axis]! * (rest.kernel[axis]! - 1) + 1) >> 1
        return [Math.min(lo, most), Math.min(hi, most)]
      }),
    }))
    .filter((test) => test.input.every((n, axis) => sliding(n, test, axis).length > 0))

export const options = ({ kernel, stride, padding, dilation, ceil }: Windows): Windows => ({
  kernel,
  stride,
  padding,
  dilation,
  ceil,
})

export const rangesOf = (test: Case): Range[][] => test.input.map((n, axis) => sliding(n, test, axis))

/** Values and gradients of PyTorch, for poolings by name. */
export function itAgreesWithPyTorch(pools: Readonly<Record<string, (x: Tensor, given: never) => Tensor>>): void {
  it.each(Object.entries(pools))('%s has the values and gradients of PyTorch', (name, pool) => {
    const all = oracleCases(name)
    expect(all.length).toBeGreaterThan(0)
    for (const test of all) expectOracle(test, ({ x }, given) => pool(x!, given as never))
  })
}

/** Gradients against finite differences, where no two elements are equal. */
export function expectFiniteDifferences(...functions: readonly TensorFunction[]): void {
  scope(() => {
    const x = tensor(
      Float32Array.from({ length: 2 * 2 * 6 * 6 }, (_, i) => (((i * 37) % 144) - 72) / 20),
      [2, 2, 6, 6],
    )
    for (const fn of functions) expect(gradcheck(fn, [x], { samples: 40 }).ok).toBe(true)
  })
}

/** The gradient of the gradient, for a function that is linear around x. */
export function expectSecondDerivative(fn: TensorFunction): void {
  scope(() => {
    const x = normal([1, 2, 6, 6], { seed: 1 })
    const value = fn(x)
    const dy = normal(value.shape, { seed: 2 })
    // ⟨gradient(dy), v⟩ is linear in dy, with the coefficients J·v.
    const outer = vjp((given) => vjp(fn, x).pullback(given)[0]!, dy)
    const [second] = outer.pullback(x)
    const { error, scale } = difference(second!.data(), value.data())
    expect(error).toBeLessThanOrEqual(1e-5 * scale)
  })
}
