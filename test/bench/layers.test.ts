import { describe, expect, it } from 'vitest'

interface Layer {
  name: string
  family: string
  C: number
  H: number
  W: number
  K: number
  R: number
  S: number
  stride: number
  padding: number
  groups: number
  selected: boolean
}

interface Table {
  layers: readonly Layer[]
  findLayers: (queries: string[]) => { found: readonly Layer[]; unknown: string | undefined }
  operationsOf: (layer: Layer) => number
  describeShape: (layer: Layer) => string
}

const load = async (file: string): Promise<unknown> => import(new URL(`../../bench/${file}`, import.meta.url).href)

describe('the table of layers', async () => {
  const { layers, findLayers, operationsOf, describeShape } = (await load('layers/table.mjs')) as Table
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0)

  it('has every name and every shape once', () => {
    expect(new Set(layers.map(({ name }) => name)).size).toBe(layers.length)
    expect(new Set(layers.map(describeShape)).size).toBe(layers.length)
  })

  it('has whole groups, and maps that are as large as their kernels', () => {
    for (const { C, K, H, W, R, S, padding, groups } of layers) {
      expect([C % groups, K % groups]).toEqual([0, 0])
      expect(Math.min(H + 2 * padding - R, W + 2 * padding - S)).toBeGreaterThanOrEqual(0)
    }
  })

  it.each([
    // Multiply-adds of whole networks without their biases, from the sizes of their maps and kernels.
    ['lenet5', 28 ** 2 * 6 * 25 + 10 ** 2 * 16 * 6 * 25 + 120 * 16 * 25],
    ['alexnet', 55 ** 2 * 96 * 363 + 27 ** 2 * 256 * 96 * 25 + 13 ** 2 * 9 * (256 * 384 + 384 * 384 + 384 * 256)],
    ['caffenet', 27 ** 2 * 256 * 48 * 25 + 13 ** 2 * 9 * (192 * 384 + 192 * 256)],
  ])('does the work of %s', (network, multiplyAdds) => {
    expect(sum(findLayers([network]).found.map(operationsOf))).toBe(2 * multiplyAdds)
  })

  it('has nine different layers of VGG-16 and the different ones of GoogLeNet', () => {
    expect(findLayers(['vgg16']).found).toHaveLength(9)
    expect(findLayers(['googlenet']).found).toHaveLength(49)
  })

  it('finds by name, family, beginning and selection', () => {
    const names = (...queries: string[]) => findLayers(queries).found.map(({ name }) => name)
    expect(names('vgg16/conv1_2', 'depthwise')).toEqual(['vgg16/conv1_2', 'depthwise'])
    expect(names('first')).toEqual(['alexnet/conv1', 'vgg16/conv1_1', 'googlenet/conv1'])
    expect(names('googlenet/5a')).toHaveLength(6)
    expect(names('googlenet/4c/5x5', 'vgg16/conv5_3')).toEqual(['vgg16/conv5_1', 'googlenet/4b/5x5'])
    expect(names('selected')).toHaveLength(13)
    expect(findLayers(['vgg'])).toEqual({ found: [], unknown: 'vgg' })
  })
})

describe('geometricMeans', () => {
  it('gives every family, the selected rows and all', async () => {
    const { geometricMeans } = (await load('lib/summary.mjs')) as { geometricMeans: (rows: object[]) => object[] }
    const row = (family: string, ratio: number | null, selected: boolean) => ({ family, ratio, selected })
    const means = geometricMeans([row('a', 1, true), row('b', 2, false), row('a', 4, true), row('c', null, true)])
    expect(means).toEqual([
      { name: 'a', rows: 2, ratio: 2 },
      { name: 'b', rows: 1, ratio: 2 },
      { name: 'selected', rows: 2, ratio: 2 },
      { name: 'all', rows: 3, ratio: expect.closeTo(2, 12) as number },
    ])
    expect(geometricMeans([{ ratio: 2 }])).toEqual([])
  })
})

describe('the register tile', () => {
  it.each([4, 5, 6])('of %i rows adds A · B to every element of C', async (rows) => {
    const { registerTile } = (await load('lib/register-tile.mjs')) as {
      registerTile: (rows: number, simd: 'strict') => { operations: number; run: (repeats: number) => Float32Array }
    }
    const { operations, run } = registerTile(rows, 'strict')
    expect(operations).toBe(2 * rows * 8 * 256)
    const tile = run(3)
    expect(tile).toHaveLength(rows * 8)
    for (const value of tile) expect(value).toBeCloseTo(3 * 256 * 1e-6, 8)
  })
})
