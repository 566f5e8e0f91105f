/** What `toeplitz summary` prints for the architectures of the zoo. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
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

async function printed(name: string, json: boolean): Promise<string> {
  let text = ''
  const stdout = { write: (part: string) => Boolean((text += part)) }
  await summaryCommand(name, { json, debug: false }, { stdout })
  return text
}

describe('toeplitz summary', () => {
  it.each(Object.keys(architectures))('%s: the summary as data and as text', async (name) => {
    const data = JSON.parse(await printed(name, true)) as Printed
    const summary = createModel(name).summary()
    expect(data).toEqual(JSON.parse(JSON.stringify(summary)))
    expect(data.layers.every(({ receptiveField }) => receptiveField?.size.length === 2)).toBe(true)
    expect(data.total.memory.peak).toBeGreaterThan(4 * data.total.parameters)
    const text = await printed(name, false)
    for (const { layer } of summary.layers) expect(text).toContain(layer)
    expect(text).toContain(summary.total.parameters.toLocaleString('en-US'))
  })

  it('reads a file with an architecture, as train takes it, and says what is wrong with it', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'toeplitz-summary-')), 'net.json')
    const layers = [{ type: 'Flatten' }, { type: 'Linear', outFeatures: 3 }]
    const print = async (value: unknown): Promise<string> => {
      writeFileSync(file, JSON.stringify(value))
      return printed(file, false)
    }
    expect(await print({ type: 'Sequential', input: [1, 4, 4], layers })).toMatch(/^fc\(3\) .* 51 /m)
    await expect(print({ type: 'Sequential', input: [1, 4, 4], layers: [{ type: 'Linear', outFeature: 3 }] })).rejects.toThrow(/net\.json: Linear: there is no option 'outFeature'; did you mean 'outFeatures'/) // prettier-ignore
    await expect(print({ type: 'Sequential', inputs: [1, 4, 4], layers })).rejects.toThrow(
      /net\.json: the chain: there is no option 'inputs'; did you mean 'input'\?/,
    )
    await expect(print({ type: 'Sequental', input: [1, 4, 4], layers })).rejects.toThrow(/did you mean 'Sequential'\?/)
    for (const input of [{}, { input: null }]) {
      await expect(print({ type: 'Sequential', ...input, layers })).rejects.toThrow(
        /net\.json: the shape of input is left to the data, and needed here; give one, such as \[3, 32, 32\]$/,
      )
    }
    await expect(print({ layers })).rejects.toThrow(/net\.json: expected an object with format 'toeplitz-model'/)
  })

  it.each(Object.entries(tables))('%s: --json has every row of the lecture’s table in order', async (name, rows) => {
    const { layers } = JSON.parse(await printed(name, true)) as Printed
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
