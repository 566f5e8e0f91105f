/**
 * docs/lecture.md: each block has an output that is compared (guides.test.ts runs them), no heading is empty, and the rows of
 * the networks are those of the lecture's tables.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { blocksIn } from './blocks.js'

const root = join(import.meta.dirname, '..', '..')
const page = readFileSync(join(root, 'docs/lecture.md'), 'utf8')
const blocks = blocksIn(page)

type TableRow = readonly [layer: string, parameters: number, operations: number, output: readonly number[]]
const { about, ...tables } = JSON.parse(readFileSync(join(root, 'test/fixtures/architectures.json'), 'utf8')) as {
  about: string
} & Record<string, TableRow[]>

/** The output of the block that prints the rows of a network. */
function rowsOf(network: string): string[] {
  const block = blocks.find(({ code }) => code.includes(`createModel('${network}').summary()\n`))
  return block?.output?.trimEnd().split('\n') ?? []
}

/** A row as its own words and the volume before it say, by the counts that the lecture tells of its tables. */
function rowOf(layer: string, before: readonly number[]): TableRow {
  const [, kind, words = ''] = /^(\w+)(?:\((.*)\))?$/.exec(layer)!
  const numbers = words.match(/\d+/g)?.map(Number) ?? []
  const option = (letter: string): number | undefined => {
    const found = new RegExp(`\\b${letter}(\\d+)`).exec(words)
    return found ? Number(found[1]) : undefined
  }
  const [size = 0, , channels = before.at(-1)!] = before
  const volume = before.reduce((product, extent) => product * extent)
  const padding = option('p') ?? 0
  const places = (kernel: number, stride: number): number => Math.floor((size + 2 * padding - kernel) / stride) + 1
  switch (kind) {
    case 'input':
      return [layer, 0, 0, [numbers[0]!, numbers[0]!, numbers[1]!]]
    case 'conv': {
      const [kernel, maps] = numbers as [number, number]
      const extent = places(kernel, option('s') ?? 1)
      const parameters = (kernel * kernel * channels + 1) * maps
      return [layer, parameters, parameters * extent * extent, [extent, extent, maps]]
    }
    case 'pool':
    case 'avg': {
      const [kernel, stride = kernel] = numbers.slice(0, padding > 0 ? -1 : undefined) as [number, number?]
      const extent = places(kernel, stride)
      return [layer, 0, volume, [extent, extent, channels]]
    }
    case 'inc': {
      const [a, b, c, d, e, f] = numbers as [number, number, number, number, number, number]
      const parameters = (channels + 1) * (a + b + d + f) + (9 * b + 1) * c + (25 * d + 1) * e
      return [layer, parameters, parameters * size * size + volume, [size, size, a + c + e + f]]
    }
    case 'fc':
      return [layer, (volume + 1) * numbers[0]!, (volume + 1) * numbers[0]!, [numbers[0]!]]
    case 'RBF':
      return [layer, volume * numbers[0]!, volume * numbers[0]!, [numbers[0]!]]
    default:
      return [layer, 0, volume, before]
  }
}

describe('docs/lecture.md', () => {
  it('says of each block what it prints', () => {
    expect(blocks.length).toBeGreaterThan(20)
    expect(blocks.filter(({ kind, output }) => kind !== 'js' || !output?.trim()).map(({ line }) => line)).toEqual([])
  })

  it.each(Object.entries(tables))('%s: the rows of the lecture’s table, and their sums', (network, rows) => {
    const printed = rows.map(([layer, parameters, operations, output]) =>
      [layer, parameters, operations, [...output].reverse().join(' × ')].join(' | '),
    )
    const sum = (column: 1 | 2): number => rows.reduce((total, row) => total + row[column], 0)
    expect(rowsOf(network)).toEqual([...printed, `together | ${sum(1)} | ${sum(2)}`])
  })

  it('names the rows of the tables that are not what their own words say', () => {
    const others = Object.entries(tables).flatMap(([network, rows]) =>
      rows.flatMap((row, n) => {
        const computed = rowOf(row[0], rows[n - 1]?.[3] ?? [1])
        return JSON.stringify(row) === JSON.stringify(computed) ? [] : [[network, row, computed] as const]
      }),
    )
    const softmax = (operations: number): TableRow => ['softmax', 0, operations, [10]]
    expect(others).toEqual([
      ['convnet-mnist', softmax(0), softmax(10)],
      ['convnet-cifar10', softmax(0), softmax(10)],
      ['lenet5', ['RBF(10)', 850, 850, [10]], ['RBF(10)', 840, 840, [10]]],
    ])
    const told = page.slice(page.indexOf('## Where the tables differ'))
    expect(told).toContain('softmax')
    expect(told).toMatch(/RBF\(10\) is printed with 850 [\s\S]* leaves 840,/)
  })

  it('names the misprint that the tables have', () => {
    const [wrong] = /89,915,\d+/.exec(about) ?? []
    expect(page).toContain(`${wrong} operations`)
    expect(page).toContain((89_915_392).toLocaleString('en-US'))
    expect(rowsOf('vgg16').some((row) => row.includes('| 89915392 |'))).toBe(true)
  })

  it('links to each part from its contents, and each heading has text', () => {
    const headings = [...page.matchAll(/^(#{2,3}) (.*)\n\n(.*)$/gm)]
    expect(headings.filter(([, , , next]) => /^(#|$)/.test(next!)).map(([, , title]) => title)).toEqual([])
    const parts = headings.filter(([, level]) => level === '##').map(([, , title]) => title)
    expect([...page.matchAll(/^\| \[(.*?)\]\(#/gm)].map(([, title]) => title)).toEqual(parts)
  })
})
