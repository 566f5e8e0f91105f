/** What `toeplitz summary` prints for the architectures of the zoo. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { summaryCommand } from '../../src/cli/summary.js'
import { init } from '../../src/runtime/embedded.js'
import { architectures, createModel } from '../../src/zoo/index.js'

beforeAll(() => init())

type TableRow = readonly [layer: string, parameters: number, operations: number, output: readonly number[]]
interface Printed {
  layers: {
    layer: string
    output: number[]
    parameters: number
    operations: number
    receptiveField?: { size: number[]; stride: number[]; offset: number[] }
    children?: object[]
  }[]
  total: { parameters: number; operations: number; memory: { peak: number } }
}

const path = join(import.meta.dirname, '../fixtures/architectures.json')
const { about: _, ...tables } = JSON.parse(readFileSync(path, 'utf8')) as { about: string } & Record<string, TableRow[]>

async function print(name: string, json: boolean): Promise<string> {
  let text = ''
  const stdout = { write: (part: string) => Boolean((text += part)) }
  await summaryCommand(name, { json, debug: false }, { stdout })
  return text
}

describe('toeplitz summary', () => {
  it.each(Object.keys(architectures))('%s: the summary as data and as text', async (name) => {
    const printed = JSON.parse(await print(name, true)) as Printed
    const summary = createModel(name).summary()
    expect(printed).toEqual(JSON.parse(JSON.stringify(summary)))
    expect(printed.layers.every(({ receptiveField }) => receptiveField?.size.length === 2)).toBe(true)
    expect(printed.total.memory.peak).toBeGreaterThan(4 * printed.total.parameters)
    const text = await print(name, false)
    for (const { layer } of summary.layers) expect(text).toContain(layer)
    expect(text).toContain(summary.total.parameters.toLocaleString('en-US'))
  })

  it.each(Object.entries(tables))('%s: --json has every row of the lecture’s table in order', async (name, rows) => {
    const { layers } = JSON.parse(await print(name, true)) as Printed
    const left = layers.map((row) => JSON.stringify([row.layer, row.parameters, row.operations, row.output]))
    for (const [layer, parameters, operations, output] of rows) {
      const at = left.indexOf(JSON.stringify([layer, parameters, operations, [...output].reverse()]))
      expect(at, `${layer} of ${name}`).toBeGreaterThanOrEqual(0)
      left.splice(0, at + 1)
    }
    const blocks = layers.filter(({ layer }) => layer.startsWith('inc('))
    expect(blocks.every(({ children }) => children!.length > 0)).toBe(true)
    expect(blocks).toHaveLength(rows.filter(([layer]) => layer.startsWith('inc(')).length)
  })
})
