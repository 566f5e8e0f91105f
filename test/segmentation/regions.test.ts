/** Regions of label maps against a definition by paths, and small ones that are taken away. */
import { beforeAll, describe, expect, it } from 'vitest'
import { dropSmallRegions, regionsOf } from '../../src/segmentation/index.js'
import { init } from '../../src/runtime/embedded.js'
import { uniform } from '../../src/tensor/create.js'
import { scope } from '../../src/tensor/tensor.js'

beforeAll(() => init())

const map = (rows: readonly string[]): number[] => rows.flatMap((row) => Array.from(row, Number))

/** Whether pixels are joined, by the transitive closure of being neighbours of one label. */
function joined(labels: readonly number[], H: number, W: number, connectivity: number): boolean[][] {
  const size = H * W
  const near = (a: number, b: number): boolean => {
    const [down, along] = [Math.abs(Math.floor(a / W) - Math.floor(b / W)), Math.abs((a % W) - (b % W))]
    return labels[a] === labels[b] && (connectivity === 4 ? down + along <= 1 : Math.max(down, along) <= 1)
  }
  const table = Array.from({ length: size }, (_, a) => Array.from({ length: size }, (_, b) => near(a, b)))
  for (let k = 0; k < size; k++)
    for (let a = 0; a < size; a++)
      if (table[a]![k]) for (let b = 0; b < size; b++) if (table[k]![b]) table[a]![b] = true
  return table
}

describe('regions', () => {
  it.each([4, 8] as const)('are what is joined by neighbours of one label, %d of them', (connectivity) => {
    for (const [H, W, seed] of [
      [7, 9, 1],
      [1, 12, 2],
      [8, 3, 3],
    ] as const) {
      const labels = scope(() => Array.from(uniform([H * W], { seed }).data(), (value) => Math.floor(value * 3)))
      const { regions, map } = regionsOf(labels, [H, W], { connectivity })
      const table = joined(labels, H, W, connectivity)
      for (let a = 0; a < H * W; a++) for (let b = 0; b < H * W; b++) expect(map[a] === map[b]).toBe(table[a]![b])
      expect(regions).toHaveLength(new Set(map).size)
      regions.forEach(({ label, area, box }, region) => {
        const own = [...map.keys()].filter((i) => map[i] === region)
        const [rows, columns] = [own.map((i) => Math.floor(i / W)), own.map((i) => i % W)]
        expect(own.every((i) => labels[i] === label)).toBe(true)
        expect(area).toBe(own.length)
        expect(box).toEqual({
          top: Math.min(...rows),
          left: Math.min(...columns),
          bottom: Math.max(...rows) + 1,
          right: Math.max(...columns) + 1,
        })
      })
      // In the order of their first pixels.
      const firsts = regions.map((_, region) => map.indexOf(region))
      expect(firsts).toEqual([...firsts].sort((a, b) => a - b))
    }
  })

  it('leave out a label that is ignored', () => {
    const { regions, map: indices } = regionsOf(map(['0110', '0001', '2001']), [3, 4], { ignoreIndex: 0 })
    expect(regions.map(({ label, area }) => [label, area])).toEqual([
      [1, 4],
      [2, 1],
    ])
    expect([...indices]).toEqual([-1, 0, 0, -1, -1, -1, -1, 0, 1, -1, -1, 0])
  })

  it('fill a map that one of a recursion could not', () => {
    const { regions } = regionsOf(new Uint8Array(1e6), [1000, 1000])
    expect(regions).toEqual([{ label: 0, area: 1e6, box: { top: 0, left: 0, bottom: 1000, right: 1000 } }])
  })

  it('that are small have the label of most around them', () => {
    const labels = map(['0000', '0130', '0111', '2111'])
    expect([...dropSmallRegions(labels, [4, 4], { smallest: 2 })]).toEqual(map(['0000', '0100', '0111', '1111']))
    expect([...dropSmallRegions(labels, [4, 4], { smallest: 1 })]).toEqual(labels)
    expect([...dropSmallRegions([3, 3], [1, 2], { smallest: 9 })]).toEqual([3, 3])
    expect(labels).toEqual(map(['0000', '0130', '0111', '2111']))
  })

  it('of what is no map are refused', () => {
    expect(() => regionsOf([0, 1, 2], [2, 2])).toThrow(
      'regionsOf: the label map must have H · W labels, at most 268435456, for a size [H, W]; given 3 for (2, 2)',
    )
    expect(() => regionsOf([0, 1.5], [1, 2])).toThrow(
      'regionsOf: label 1 of the map must be a whole number of 32 bits, given 1.5',
    )
    expect(() => regionsOf([0, 1], [1, 2], { connectivity: 6 as never })).toThrow(
      'connectivity must be 4 or 8, given 6',
    )
    expect(() => dropSmallRegions([0, 1], [1, 2], { smallest: 0 })).toThrow(/smallest must be a whole number from 1/)
    expect(() => dropSmallRegions([0, 1], [1, 2], undefined as never)).toThrow(/the options are missing/)
    expect(() => regionsOf('01' as never, [1, 2])).toThrow(
      /the label map must be a Uint8Array, an Int32Array or a list/,
    )
  })
})
