/** What `toeplitz explain` prints: what the model's own explanation says, layer by layer. */
import { beforeAll, describe, expect, it } from 'vitest'
import { explainCommand } from '../../src/cli/explain.js'
import type { ExplainOptions } from '../../src/cli/actions.js'
import { init } from '../../src/runtime/embedded.js'
import { createModel } from '../../src/zoo/index.js'

beforeAll(() => init())

async function print(name: string, options: Partial<ExplainOptions> = {}): Promise<string> {
  let text = ''
  const stdout = { write: (part: string) => Boolean((text += part)) }
  await explainCommand(name, { batch: 1, pass: 'forward', json: false, debug: false, ...options }, { stdout })
  return text
}

/** Rows of the table, as cells; without the head and what is below. */
const rowsOf = (text: string): string[][] => {
  const lines = text.split('\n')
  return lines.slice(1, lines.indexOf('')).map((line) => line.trim().split(/ {2,}/))
}

describe('toeplitz explain', () => {
  it.each(['convnet', 'alexnet', 'googlenet', 'lenet5-paper'])('%s: a row for each layer', async (name) => {
    const model = createModel(name)
    const { layers } = model.explain(undefined, { batch: 8 })
    model.dispose()
    const rows = rowsOf(await print(name, { batch: 8 }))
    expect(rows).toHaveLength(layers.length)
    layers.forEach(({ layer, name, input, passes: [forward] }, index) => {
      const [best, ...others] = forward!.candidates
      const next = others.find(({ reason }) => reason === undefined)
      const [about, extents, pass, algorithm, time, nextBest, nextTime] = rows[index]!
      expect([about, extents, pass]).toEqual([`${name} ${layer}`, `(8, ${input.join(', ')})`, 'forward'])
      expect([algorithm, nextBest]).toEqual([forward!.chosen, next!.algorithm])
      expect(Number(time) / best!.milliseconds!).toBeCloseTo(1, 1)
      expect(Number(nextTime) / next!.milliseconds!).toBeCloseTo(1, 1)
    })
  })

  it('adds up the passes that are asked for', async () => {
    const text = await print('convnet', { batch: 128, pass: 'all' })
    const rows = rowsOf(text)
    expect(rows.map((cells) => cells.at(-5))).toEqual([
      ...['forward', 'input gradient', 'weight gradient'],
      ...['forward', 'input gradient', 'weight gradient'],
    ])
    const last = text.trimEnd().split('\n').at(-1)
    const sums = ['forward', 'input gradient', 'weight gradient'].map((pass) =>
      rows.reduce((sum, cells) => sum + (cells.at(-5) === pass ? Number(cells.at(-3)) : 0), 0),
    )
    const shown = [...last.matchAll(/([\d.]+) ms/g)].map((match) => Number(match[1]))
    expect(shown).toHaveLength(3)
    shown.forEach((total, index) => expect(total / sums[index]!).toBeCloseTo(1, 1))
    expect(last).toMatch(/^forward .* in all; estimates for one thread\.$/)
  })

  it('gives everything as data, of the pass that is asked for', async () => {
    const model = createModel('lenet5')
    const { layers } = model.explain()
    model.dispose()
    const printed = JSON.parse(await print('lenet5', { pass: 'weight-gradient', json: true })) as unknown
    const expected = layers.map((layer) => ({
      ...layer,
      passes: layer.passes.filter(({ pass }) => pass === 'weight gradient'),
    }))
    expect(printed).toEqual({ layers: expected, batch: 1 })
    expect(expected.map(({ passes }) => passes.length)).toEqual(layers.map(() => 1))
  })

  it('says of a model without convolutions that there is nothing to choose', async () => {
    expect(await print('linear')).toBe('No convolutional layer: every other kind has one algorithm.\n')
  })
})
