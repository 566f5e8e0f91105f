import { describe, expect, it } from 'vitest'
import {
  Conv1d,
  Conv2d,
  ConvTranspose2d,
  ConnectedConv2d,
  explain,
  Flatten,
  Linear,
  ReLU,
  Sequential,
} from '../../src/nn/index.js'
import { algorithms } from '../../src/plan/conv.js'
import { ShapeError, UnsupportedError } from '../../src/runtime/errors.js'

const names = Object.keys(algorithms)

describe('explain', () => {
  const layer = new Conv2d({ outChannels: 64, kernel: 5 })

  it('tells of every pass what was chosen, what each algorithm would cost, and why some cannot be', () => {
    const { layers, batch } = explain(layer, [32, 12, 12], { batch: 128 })
    expect(batch).toBe(128)
    const [{ passes, ...about } = { passes: [] }] = layers
    expect(about).toEqual({ layer: 'conv(5, 64)', name: '', input: [32, 12, 12] })
    expect(passes.map(({ pass }) => pass)).toEqual(['forward', 'input gradient', 'weight gradient'])
    for (const { chosen, candidates } of passes) {
      expect(candidates.map(({ algorithm }) => algorithm).sort()).toEqual([...names].sort())
      expect(candidates[0]).toEqual({ algorithm: chosen, milliseconds: candidates[0]?.milliseconds })
      const taken = candidates.filter(({ reason }) => reason === undefined)
      expect(Math.min(...taken.map(({ milliseconds }) => milliseconds ?? 0))).toBe(candidates[0]?.milliseconds)
      const impossible = candidates.filter(({ milliseconds }) => milliseconds === null)
      expect(impossible.map(({ algorithm }) => algorithm)).toEqual(['dense', 'depthwise', 'phases', 'winograd2'])
      expect(impossible.every(({ reason }) => reason !== undefined)).toBe(true)
    }
    const small = explain(new Conv2d({ outChannels: 8, kernel: 3 }), [8, 9, 9]).layers[0]?.passes[0]
    const reasonOf = (name: string) => small?.candidates.find(({ algorithm }) => algorithm === name)?.reason
    expect(reasonOf('winograd')).toBe('kept for 16 channels and more: smaller layers stay exact')
    expect(reasonOf('gemm')).toBeUndefined()
  })

  it('is a table, and data', () => {
    const explanation = explain(layer, [32, 12, 12], { batch: 128 })
    const lines = String(explanation).split('\n')
    expect(lines[0]).toBe('conv(5, 64) of (128, 32, 12, 12)')
    expect(lines[1]).toMatch(/^pass +algorithm +ms$/)
    expect(lines[2]).toMatch(/^forward +winograd +\d+\.\d+ {2}chosen$/)
    expect(lines).toContainEqual(expect.stringMatching(/^ +winograd2 +– {2}the kernel must be 3 × 3$/))
    expect(lines.at(-1)).toBe('Times are estimates for one thread.')
    expect(JSON.parse(JSON.stringify(explanation))).toEqual({ layers: explanation.layers, batch: 128 })
  })

  it('tells where a matrix product gathers rows of the image', () => {
    const table = (input: number[]) => String(explain(new Conv2d({ outChannels: 6, kernel: 5 }), input))
    expect(table([1, 32, 32])).toMatch(/ gemm by rows +\d/)
    expect(table([1, 31, 31])).not.toMatch(/by rows/)
  })

  it('estimates more time for more images and more pixels', () => {
    const time = (batch: number, extent: number) =>
      explain(layer, [32, extent, extent], { batch }).layers[0]?.passes.map(
        ({ candidates }) => candidates[0]?.milliseconds ?? NaN,
      ) ?? []
    const [one, more, larger] = [time(32, 12), time(64, 12), time(32, 24)]
    one.forEach((milliseconds, pass) => {
      expect(more[pass]).toBeGreaterThan(1.5 * milliseconds)
      expect(larger[pass]).toBeGreaterThan(3 * milliseconds)
    })
  })

  it('takes an algorithm that is asked for, however slow, and in a gradient that it cannot do the cheapest', () => {
    const direct = new Conv2d({ outChannels: 64, kernel: 5, algorithm: 'direct' })
    const chosen = (given: Conv2d, input: number[]) =>
      explain(given, input).layers[0]?.passes.map(({ chosen }) => chosen)
    expect(chosen(direct, [32, 12, 12])).toEqual(['direct', 'direct', 'direct'])
    const strided = new Conv2d({ outChannels: 8, kernel: 3, stride: 2, groups: 8, algorithm: 'depthwise' })
    const [forward, input, weights] = chosen(strided, [8, 9, 9]) ?? []
    expect([forward, weights]).toEqual(['depthwise', 'depthwise'])
    expect(['direct', 'gemm']).toContain(input)
  })

  it('knows that a transposed layer computes the input gradient of a convolution', () => {
    const transposed = new ConvTranspose2d({ outChannels: 16, kernel: 3, stride: 2 })
    const [forward, input] = explain(transposed, [16, 9, 9]).layers[0]?.passes ?? []
    expect(forward?.candidates.find(({ algorithm }) => algorithm === 'depthwise')?.milliseconds).toBeNull()
    expect(forward?.chosen).toBe('gemm')
    expect(input?.chosen).toBe('gemm')
  })

  it('explains layers in one direction, with a table of connections, and at every place', () => {
    const connected = new ConnectedConv2d({ table: [[true, false], [true, true]], kernel: 3 }) // prettier-ignore
    expect(explain(new Conv1d({ outChannels: 4, kernel: 3 }), [2, 40]).layers).toHaveLength(1)
    expect(explain(connected, [2, 9, 9]).layers).toHaveLength(1)
    expect(explain(new Linear({ outFeatures: 4, everyPlace: true }), [2, 9, 9]).layers).toHaveLength(1)
  })

  it('explains the convolutional layers of a model by their names', () => {
    const model = new Sequential(
      [layer, new ReLU(), new Conv2d({ outChannels: 4, kernel: 3 }), new Flatten(), new Linear({ outFeatures: 10 })],
      { input: [3, 16, 16] },
    )
    const explanation = model.explain()
    expect(explanation.layers.map(({ name, input }) => [name, input])).toEqual([
      ['0', [3, 16, 16]],
      ['2', [64, 12, 12]],
    ])
    expect(String(explanation)).toContain('2: conv(3, 4) of (1, 64, 12, 12)')
    expect(model.explain([3, 20, 20], { batch: 2 }).layers[1]?.input).toEqual([64, 16, 16])
    model.dispose()
  })

  it('refuses what has no choice, inputs that do not fit, and batches that are none', () => {
    expect(() => explain(new ReLU(), [3, 8, 8])).toThrow(/explain: .* has one algorithm; give a convolutional layer/)
    expect(() => explain(layer, [3, 4, 4])).toThrow(ShapeError)
    expect(() => explain(layer, [3, 8, 8], { batch: 0 })).toThrow(/explain: batch/)
    const impossible = new Conv2d({ outChannels: 4, kernel: 3, stride: 2, algorithm: 'winograd' })
    expect(() => explain(impossible, [3, 9, 9])).toThrow(UnsupportedError)
  })
})
