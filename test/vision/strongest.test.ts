import { beforeAll, describe, expect, it } from 'vitest'
import { Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential, Upsample2d } from '../../src/nn/index.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { UnsupportedError } from '../../src/runtime/errors.js'
import { init } from '../../src/runtime/embedded.js'
import { tensor, uniform } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { sparsity } from '../../src/vision/sparsity.js'
import { strongestPatches, type StrongestOptions } from '../../src/vision/strongest.js'
import { itRefuses } from '../helpers/refusals.js'

beforeAll(() => init())

const shape = [2, 9, 8] as const
let made: Sequential | undefined
const model = (): Sequential =>
  (made ??= new Sequential(
    [
      new Conv2d({ outChannels: 4, kernel: 3, padding: 1 }),
      new ReLU(),
      new MaxPool2d({ kernel: 2 }),
      new Conv2d({ outChannels: 3, kernel: 2 }),
      new Flatten(),
      new Linear({ outFeatures: 5 }),
    ],
    { input: shape, seed: 3, keepPacked: false },
  ))
const pictures = (): Tensor => uniform([23, ...shape], { seed: 5, low: -1 })

/** Every response of every picture, sorted; the patch by the field of the layer: conv 3 sees 3, pooled 4 every 2, conv 2 6 every 2. */
function byHand(layer: '0' | '3', map: number, count: number): object[] {
  const [size, stride, offset] = layer === '0' ? [3, 1, -1] : [6, 2, -1]
  const x = pictures()
  const y = model().run(x, [layer])[layer] as Tensor
  const [N, K, P, Q] = y.shape as [number, number, number, number]
  const [pixels, values] = [x.data(), y.data()]
  const strongest = Array.from({ length: N }, (_, picture) => {
    const plane = values.subarray((picture * K + map) * P * Q, (picture * K + map + 1) * P * Q)
    const at = plane.indexOf(Math.max(...plane))
    return { picture, response: plane[at] as number, place: [Math.floor(at / Q), at % Q] as const }
  })
  strongest.sort((a, b) => b.response - a.response || a.picture - b.picture)
  return strongest.slice(0, count).map(({ picture, response, place }) => {
    const begin = place.map((at) => offset + at * stride) as [number, number]
    const patch: number[] = []
    for (let c = 0; c < 2; c++)
      for (let r = 0; r < size; r++)
        for (let s = 0; s < size; s++) {
          const [i, j] = [begin[0] + r, begin[1] + s]
          const outside = i < 0 || i >= 9 || j < 0 || j >= 8
          patch.push(outside ? Number.NaN : (pixels[((picture * 2 + c) * 9 + i) * 8 + j] as number))
        }
    return { picture, response, place, begin, shape: [2, size, size], values: Float32Array.from(patch) }
  })
}

describe('the strongest patches', () => {
  it.each([
    ['0', 9],
    ['3', 4],
    ['3', 40],
  ] as const)('of layer %s, %i of each map, are those of brute force', (layer, count) => {
    // prettier-ignore
    scope(() => {
      const found = strongestPatches(model(), pictures(), { layer, count, batchSize: 7 })
      expect(found.map(({ map }) => map)).toEqual(layer === '0' ? [0, 1, 2, 3] : [0, 1, 2])
      for (const { map, patches } of found) expect(patches).toEqual(byHand(layer, map, count))
      // Some of them hang over the border.
      expect(found.some(({ patches }) => patches.some(({ values }) => values.some(Number.isNaN)))).toBe(true)
    })
  })

  it('of chosen maps come in their order, from batches that a generator makes and this frees', () => {
    const all = pictures()
    const whole = strongestPatches(model(), all, { layer: '3', maps: [2, 0] })
    let most = 0
    function* batches(): Generator<Tensor> {
      const values = all.data()
      for (let first = 0; first < 23; first += 5) {
        most = Math.max(most, memoryUsage().liveBytes)
        yield tensor(values.slice(first * 144, Math.min(23, first + 5) * 144), [Math.min(5, 23 - first), ...shape])
      }
    }
    const before = memoryUsage().liveBytes
    expect(strongestPatches(model(), batches(), { layer: '3', maps: [2, 0] })).toEqual(whole)
    expect(memoryUsage().liveBytes).toBe(before)
    expect(most).toBe(before)
    expect(whole.map(({ map }) => map)).toEqual([2, 0])
    expect(whole[0]?.patches).toHaveLength(9)
    all.dispose()
  })

  it('of a unit are whole pictures', () => {
    scope(() => {
      const x = pictures()
      const [first] = strongestPatches(model(), x, { layer: '5', maps: [4], count: 2 })
      const { picture, values, begin, shape: extents, place, response } = first!.patches[0]!
      expect({ begin, extents, place }).toEqual({ begin: [0, 0], extents: [...shape], place: [0, 0] })
      expect(values).toEqual(x.data().slice(picture * 144, (picture + 1) * 144))
      const scores = model().forward(x).data().filter((_, i) => i % 5 === 4) // prettier-ignore
      expect(response).toBe(Math.max(...scores))
    })
  })

  it('need windows of whole pixels', () => {
    scope(() => {
      const up = new Sequential([new Upsample2d({ scale: 2 }), new Conv2d({ outChannels: 1, kernel: 3 })], {
        input: [1, 4, 4],
      })
      const call = (): unknown => strongestPatches(up, uniform([2, 1, 4, 4]), { layer: '1' })
      expect(call).toThrow(UnsupportedError)
      expect(call).toThrow(/what layer '1' sees of a picture is no window of whole pixels/)
      up.dispose()
    })
  })

  const call = (options: unknown, x: unknown = pictures()): unknown =>
    strongestPatches(model(), x as Tensor, options as StrongestOptions)
  itRefuses(
    ['layer', () => call({ layer: 'conv' }), /strongestPatches: there is no layer 'conv'/],
    ['count', () => call({ layer: '0', count: 0 }), /strongestPatches: count must be a whole number from 1 to 4096/],
    [
      'map',
      () => call({ layer: '0', maps: [4] }),
      /strongestPatches: a map must be a whole number from 0 to 3, given 4/,
    ],
    ['list of maps', () => call({ layer: '0', maps: 4 }), /maps must be a list of numbers of maps/],
    ['number of pictures', () => call({ layer: '0' }, []), /strongestPatches: there is no picture/],
    [
      'kind of pictures',
      () => call({ layer: '0' }, 7),
      /the pictures must be a Tensor \(N, …\) or batches of such, given 7/,
    ],
    [
      'shape of pictures',
      () => call({ layer: '0' }, uniform([2, 9])),
      /pictures must be \(N, C, H, W\), given \(2, 9\)/,
    ],
    ['small picture', () => call({ layer: '3' }, uniform([1, 2, 2, 2])), /kernel of \(2, 2\) reaches over 2/],
  )
})

describe('sparsity', () => {
  it('counts zeros, and units that are zero throughout', () => {
    scope(() => {
      const net = new Sequential(
        [
          new Conv2d({ outChannels: 4, kernel: 3 }),
          new ReLU(),
          new Flatten(),
          new Linear({ outFeatures: 6 }),
          new ReLU(),
        ],
        { input: shape, seed: 8 },
      )
      // A map whose bias is far below every response, and two units.
      const state = net.namedState()
      state.get('0.bias')?.assign([0.1, -100, 0, -0.2])
      state.get('3.bias')?.assign([0, -100, 0, 0, -100, 0])
      const x = pictures()
      const found = sparsity(net, x, { batchSize: 6 })
      expect(found.map(({ name, layer, units }) => [name, layer, units])).toEqual([
        ['0', 'conv(3, 4)', 4],
        ['1', 'relu', 4],
        ['2', 'flatten', 4 * 42],
        ['3', 'fc(6)', 6],
        ['4', 'relu', 6],
      ])
      const outputs = net.run(x, ['0', '1', '2', '3', '4'])
      for (const { name, zeros } of found) {
        const values = (outputs[name] as Tensor).data()
        expect(zeros).toBeCloseTo(values.filter((value) => value === 0).length / values.length, 12)
      }
      expect(found.map(({ dead }) => dead.length)).toEqual([0, 1, 42, 0, found[4]!.dead.length])
      expect(found[1]?.dead).toEqual([1])
      const last = (outputs['4'] as Tensor).data()
      const dead = [0, 1, 2, 3, 4, 5].filter((unit) => last.every((value, i) => i % 6 !== unit || value === 0))
      expect(found[4]?.dead).toEqual(dead)
      expect(dead).toEqual(expect.arrayContaining([1, 4]))
      expect(dead.length).toBeLessThan(6)
      net.dispose()
    })
  })

  itRefuses(
    ['model', () => sparsity({} as never, pictures()), /sparsity: the model must be a Sequential or a Graph/],
    ['option', () => sparsity(model(), pictures(), { batch: 3 } as never), /sparsity: there is no option 'batch'/],
    ['batch', () => sparsity(model(), [tensor(3)]), /sparsity: pictures must be \(N, …\)/],
    ['shape of pictures', () => sparsity(model(), uniform([2, 1, 9, 8])), /./],
  )
})
