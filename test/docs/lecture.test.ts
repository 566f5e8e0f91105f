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
