import { beforeAll, describe, expect, it } from 'vitest'
import {
  Add,
  AvgPool2d,
  Conv2d,
  Flatten,
  Graph,
  Linear,
  LocalResponseNorm,
  MaxPool2d,
  ReLU,
  ScaledTanh,
  Sequential,
  Sigmoid,
} from '../../src/nn/index.js'
import { convTranspose2d } from '../../src/ops/convTranspose.js'
import { scaledTanh } from '../../src/ops/activation.js'
import { maxPool2dWithIndices, maxUnpool2d } from '../../src/ops/pool/index.js'
import { UnsupportedError } from '../../src/runtime/errors.js'
import { init } from '../../src/runtime/embedded.js'
import { tensor, uniform } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { deconvolve } from '../../src/vision/deconvolve.js'
import { itRefuses } from '../helpers/refusals.js'

beforeAll(() => init())

/** Planes of numbers in float64, the way the definitions write them. */
type Maps = number[][][]

const mapsOf = ({ shape, values }: { shape: readonly number[]; values: ArrayLike<number> }): Maps => {
  const [C, H, W] = shape as [number, number, number]
  return Array.from({ length: C }, (_, c) =>
    Array.from({ length: H }, (_, i) => Array.from({ length: W }, (_, j) => values[(c * H + i) * W + j] as number)),
  )
}
const zerosLike = (maps: Maps): Maps => maps.map((plane) => plane.map((row) => row.map(() => 0)))
const rectified = (maps: Maps): Maps => maps.map((plane) => plane.map((row) => row.map((value) => Math.max(0, value))))

interface Filters {
  readonly w: Float32Array
  readonly bias: Float32Array
  readonly shape: readonly [K: number, C: number, R: number, S: number]
  readonly stride: number
  readonly padding: number
}

/** Every product of a convolution: an output, an input and the weight between them. */
function eachTap(
  x: Maps,
  y: Maps,
  { shape, stride, padding }: Filters,
  use: (k: number, p: number, q: number, c: number, i: number, j: number, at: number) => void,
): void {
  // prettier-ignore
  const [, C, R, S] = shape
  y.forEach((plane, k) =>
    plane.forEach((row, p) =>
      row.forEach((_, q) => {
        for (let tap = 0; tap < C * R * S; tap++) {
          const [c, r, s] = [Math.floor(tap / (R * S)), Math.floor(tap / S) % R, tap % S]
          const [i, j] = [p * stride - padding + r, q * stride - padding + s]
          if (x[c]?.[i]?.[j] !== undefined) use(k, p, q, c, i, j, k * C * R * S + tap)
        }
      }),
    ),
  )
}

function convolved(x: Maps, filters: Filters): Maps {
  const [K, , R, S] = filters.shape
  const extent = (n: number, kernel: number): number =>
    Math.floor((n + 2 * filters.padding - kernel) / filters.stride) + 1
  const y = Array.from({ length: K }, (_, k) =>
    Array.from({ length: extent(x[0]!.length, R) }, () =>
      Array.from({ length: extent(x[0]![0]!.length, S) }, () => filters.bias[k] as number),
    ),
  )
  eachTap(x, y, filters, (k, p, q, c, i, j, at) => (y[k]![p]![q]! += x[c]![i]![j]! * (filters.w[at] as number)))
  return y
}

function transposed(x: Maps, y: Maps, filters: Filters): Maps {
  const sum = zerosLike(x)
  eachTap(x, y, filters, (k, p, q, c, i, j, at) => (sum[c]![i]![j]! += y[k]![p]![q]! * (filters.w[at] as number)))
  return sum
}

/** Pooling over windows of `kernel` every `stride`, with the place of each maximum: the first of equal ones. */
function pooled(x: Maps, kernel: number, stride: number): { y: Maps; switches: [number, number][][][] } {
  const switches = x.map((plane) => {
    const places: [number, number][][] = []
    for (let i = 0; i + kernel <= plane.length; i += stride) {
      const row: [number, number][] = []
      for (let j = 0; j + kernel <= plane[0]!.length; j += stride) {
        let best: [number, number] = [i, j]
        for (let r = 0; r < kernel; r++)
          for (let s = 0; s < kernel; s++) if (plane[i + r]![j + s]! > plane[best[0]]![best[1]]!) best = [i + r, j + s]
        row.push(best)
      }
      places.push(row)
    }
    return places
  })
  return { switches, y: switches.map((rows, c) => rows.map((row) => row.map(([i, j]) => x[c]![i]![j]!))) }
}

function unpooled(x: Maps, y: Maps, switches: [number, number][][][]): Maps {
  const sum = zerosLike(x)
  switches.forEach((rows, c) =>
    rows.forEach((row, p) => row.forEach(([i, j], q) => (sum[c]![i]![j]! += y[c]![p]![q]!))),
  )
  return sum
}

const filtersOf = (model: Graph, name: string, stride = 1, padding = 0): Filters => {
  const state = model.namedState()
  const w = state.get(`${name}.weight`) as Tensor
  const bias = (state.get(`${name}.bias`) as Tensor).data()
  return { w: w.data(), bias, shape: w.shape as unknown as Filters['shape'], stride, padding }
}
const closeTo = (found: { values: Float32Array }, wanted: Maps): void => {
  const flat = wanted.flat(2)
  expect(found.values).toHaveLength(flat.length)
  const largest = Math.max(...flat.map(Math.abs))
  expect(largest).toBeGreaterThan(1e-3)
  flat.forEach((value, i) => expect(Math.abs((found.values[i] as number) - value)).toBeLessThan(1e-5 * (1 + largest)))
}

describe('one convolution, rectifier and pooling', () => {
  const model = (): Sequential =>
    new Sequential(
      [new Conv2d({ outChannels: 4, kernel: [3, 2], biasInit: { name: 'normal', std: 0.1 } }), new ReLU(), new MaxPool2d({ kernel: 2 })],
      { input: [2, 8, 7], seed: 4 },
    ) // prettier-ignore

  it.each(['0', '1', '2'])('give the filter at the place of the maximum, behind layer %s', (layer) => {
    scope(() => {
      const net = model()
      const x = uniform([2, 8, 7], { seed: 2, low: -1 })
      const filters = filtersOf(net, '0')
      const y = convolved(mapsOf({ shape: x.shape, values: x.data() }), filters)
      const [, C, R, S] = filters.shape
      for (let map = 0; map < 4; map++) {
        const { shape, values, response } = deconvolve(net, x, { layer, map })
        expect(shape).toEqual([2, 8, 7])
        // Pooling keeps rows 0 to 5 and columns 0 to 5 of the map: all of them.
        const best = Math.max(...y[map]!.flat())
        expect(response).toBeCloseTo(best, 5)
        const p = y[map]!.findIndex((row) => row.includes(best))
        const q = y[map]![p]!.indexOf(best)
        mapsOf({ shape, values }).forEach((plane, c) =>
          plane.forEach((row, i) =>
            row.forEach((value, j) => {
              const inside = i >= p && i < p + R && j >= q && j < q + S
              const weight = inside ? (filters.w[((map * C + c) * R + i - p) * S + j - q] as number) : 0
              expect(value).toBeCloseTo(best * weight, 5)
            }),
          ),
        )
      }
      net.dispose()
    })
  })

  it('go back from a place that is given, and from all of them', () => {
    scope(() => {
      const net = model()
      const x = uniform([2, 8, 7], { seed: 3, low: -1 })
      const picture = mapsOf({ shape: x.shape, values: x.data() })
      const filters = filtersOf(net, '0')
      const y = convolved(picture, filters)
      const one = zerosLike(y)
      one[1]![2]![3] = y[1]![2]![3]!
      const found = deconvolve(net, x, { layer: '0', map: 1, place: [2, 3] })
      closeTo(found, transposed(picture, one, filters))
      expect(found).toMatchObject({ place: [2, 3] })
      const all = zerosLike(y)
      all[1] = y[1]!
      closeTo(deconvolve(net, x, { layer: '0', map: 1, place: 'all' }), transposed(picture, all, filters))
      net.dispose()
    })
  })
})

describe('two convolutions', () => {
  it.each([
    ['windows side by side', 2, 2],
    ['windows that overlap', 3, 2],
  ])('are the definition in float64, with padding, strides and %s', (_, kernel, step) => {
    scope(() => {
      const biasInit = { name: 'normal', std: 0.2 } as const
      const net = new Sequential(
        [
          new Conv2d({ outChannels: 5, kernel: 3, padding: 1, biasInit }),
          new ReLU(),
          new MaxPool2d({ kernel, stride: step }),
          new Conv2d({ outChannels: 6, kernel: 3, stride: 2, padding: 1, biasInit }),
          new ReLU(),
        ],
        { input: [3, 11, 12], seed: 7 },
      )
      const x = uniform([1, 3, 11, 12], { seed: 9, low: -1 })
      const picture = mapsOf({ shape: [3, 11, 12], values: x.data() })
      const [first, second] = [filtersOf(net, '0', 1, 1), filtersOf(net, '3', 2, 1)]
      const a = rectified(convolved(picture, first))
      const { y: b, switches } = pooled(a, kernel, step)
      const c = rectified(convolved(b, second))
      let signs = 0
      for (let map = 0; map < 6; map++) {
        const start = zerosLike(c)
        start[map] = c[map]!
        if (Math.max(...c[map]!.flat()) === 0) continue
        const behind = transposed(b, start, second)
        signs += behind.flat(2).filter((value) => value < 0).length
        const wanted = transposed(picture, rectified(unpooled(a, behind, switches)), first)
        closeTo(deconvolve(net, x, { layer: '4', map, place: 'all' }), wanted)
      }
      // Otherwise nothing is there to be rectified.
      expect(signs).toBeGreaterThan(20)
      net.dispose()
    })
  })

  it('are unpooled by switches, rectified and transposed, as the operations do it', () => {
    scope(() => {
      const net = new Sequential(
        [
          new Conv2d({ outChannels: 4, kernel: 3 }),
          new ReLU(),
          new MaxPool2d({ kernel: 2 }),
          new Conv2d({ outChannels: 3, kernel: 2 }),
          new ReLU(),
        ],
        { input: [1, 10, 10], seed: 2 },
      )
      const x = uniform([1, 1, 10, 10], { seed: 5 })
      const state = net.namedState()
      const { 1: a, 4: top } = net.run(x, ['1', '4'])
      const { indices } = maxPool2dWithIndices(a as Tensor, { kernel: 2 })
      const only = (top as Tensor).data().map((value, i) => (Math.floor(i / 9) === 1 ? value : 0))
      const signal = convTranspose2d(tensor(only, [1, 3, 3, 3]), state.get('3.weight') as Tensor)
      const up = maxUnpool2d(signal, indices, { kernel: 2 }).data()
      const wanted = convTranspose2d(
        tensor(up.map((value) => Math.max(0, value)), [1, 4, 8, 8]), // prettier-ignore
        state.get('0.weight') as Tensor,
      ).data()
      const { values } = deconvolve(net, x, { layer: '4', map: 1, place: 'all' })
      values.forEach((value, i) => expect(value).toBeCloseTo(wanted[i] as number, 5))
      expect(Math.max(...wanted)).toBeGreaterThan(0)
      net.dispose()
    })
  })
})

describe('other layers', () => {
  it('that are linear carry back what their gradients do: a branch that joins, an average, a unit of a last layer', () => {
    scope(() => {
      const net = new Graph(
        [
          { name: 'a', layer: new Conv2d({ outChannels: 2, kernel: 1, bias: false }), inputs: 'input' },
          { name: 'b', layer: new Conv2d({ outChannels: 2, kernel: 1, bias: false }), inputs: 'input' },
          { name: 'sum', layer: new Add(), inputs: ['a', 'b'] },
          { name: 'mean', layer: new AvgPool2d({ kernel: 2 }) },
          { name: 'flat', layer: new Flatten() },
          { name: 'unit', layer: new Linear({ outFeatures: 3, bias: false }) },
        ],
        { inputs: { input: [1, 4, 4] }, seed: 3 },
      )
      const x = uniform([1, 1, 4, 4], { seed: 1 })
      const state = net.namedState()
      const [a, b, unit] = ['a', 'b', 'unit'].map((name) => (state.get(`${name}.weight`) as Tensor).data())
      const { values, place, response } = deconvolve(net, x, { layer: 'unit', map: 2 })
      expect(place).toEqual([0, 0])
      expect(response).toBeCloseTo(net.forward(x).data()[2] as number, 6)
      values.forEach((value, i) => {
        const cell = Math.floor(i / 8) * 2 + Math.floor((i % 4) / 2)
        const slope = [0, 1].reduce((sum, c) => sum + (((unit![16 + c * 4 + cell] as number) / 4) * (a![c]! + b![c]!)), 0) // prettier-ignore
        expect(value).toBeCloseTo(response * slope, 6)
      })
      net.dispose()
    })
  })

  it('that bend without a rectifier bend the signal again; contrast normalization lets it pass', () => {
    scope(() => {
      const net = new Sequential(
        [
          new Conv2d({ outChannels: 2, kernel: 1, bias: false }),
          new ScaledTanh(),
          new LocalResponseNorm({ size: 3, alpha: 0.1, beta: 0.75, k: 1 }),
          new AvgPool2d({ kernel: 1 }),
        ],
        { input: [1, 2, 2], seed: 6 },
      )
      const x = uniform([1, 2, 2], { seed: 2 })
      const [w] = (net.namedState().get('0.weight') as Tensor).data()
      const { values, place, response } = deconvolve(net, x, { layer: '3', map: 0 })
      const bent = scaledTanh(tensor([response])).data()[0] as number
      const at = place[0] * 2 + place[1]
      values.forEach((value, i) => expect(value).toBeCloseTo(i === at ? bent * (w as number) : 0, 6))
      net.dispose()
    })
  })

  it('through which nothing goes back are named', () => {
    scope(() => {
      const net = new Sequential([new Conv2d({ outChannels: 2, kernel: 1 }), new Sigmoid(), new ReLU()], {
        input: [1, 3, 3],
      })
      const x = uniform([1, 3, 3])
      const call = (): unknown => deconvolve(net, x, { layer: '2', map: 0 })
      expect(call).toThrow(/^deconvolve: layer '1', sigmoid, cannot be passed backwards; choose a layer before it$/)
      expect(call).toThrow(UnsupportedError)
      expect(deconvolve(net, x, { layer: '0', map: 0 }).values).toHaveLength(9)
      net.dispose()
    })
  })
})

describe('wrong arguments', () => {
  let made: Sequential | undefined
  const net = (): Sequential =>
    (made ??= new Sequential([new Conv2d({ outChannels: 2, kernel: 3 }), new ReLU()], {
      input: [1, 5, 5],
      keepPacked: false,
    }))
  const x = (): Tensor => uniform([1, 5, 5])
  const call = (options: unknown, picture = x()): unknown => deconvolve(net(), picture, options as never)
  itRefuses(
    ['layer', () => call({ layer: '7', map: 0 }), /deconvolve: there is no layer '7'/],
    ['kind of layer', () => call({ layer: 1, map: 0 }), /deconvolve: layer must be the name of a layer, given 1/],
    ['map', () => call({ layer: '1', map: 2 }), /deconvolve: map must be a whole number from 0 to 1, given 2/],
    ['place', () => call({ layer: '1', map: 0, place: 'best' }), /place must be 'strongest', 'all' or \[row, column\]/],
    ['row', () => call({ layer: '1', map: 0, place: [3, 0] }), /row of the place must be a whole number from 0 to 2/],
    ['option', () => call({ layer: '1', map: 0, unit: 3 }), /there is no option 'unit'/],
    ['picture', () => call({ layer: '1', map: 0 }, uniform([2, 1, 5, 5])), /expected one picture/],
    ['small picture', () => call({ layer: '1', map: 0 }, uniform([1, 2, 5])), /kernel of \(3, 3\) reaches over 3/],
  )
})
