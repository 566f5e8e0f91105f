/** What commands print of names from files: nothing that could not be seen, and no line but the command's own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { explainCommand } from '../../src/cli/explain.js'
import { predictCommand } from '../../src/cli/predict.js'
import { commands, runCli, type CliActions } from '../../src/cli/program.js'
import { summaryCommand } from '../../src/cli/summary.js'
import { columns, outputTo } from '../../src/cli/terminal.js'
import { defaultLimits } from '../../src/formats/limits.js'
import { encodeModel } from '../../src/io/model-file.js'
import { encodePng } from '../../src/formats/png.js'
import { Conv2d, Flatten, Graph, Linear, ReLU } from '../../src/nn/index.js'
import { init } from '../../src/runtime/embedded.js'

/** One function in the place of all that the commands do. */
const everyCommand = (act: () => Promise<undefined>): CliActions =>
  Object.fromEntries(Object.keys(commands).map((name) => [name, act])) as unknown as CliActions

/** All but the line breaks that end lines. */
const forbidden = /[^\P{Cc}\n]|[\p{Zl}\p{Zp}\p{Bidi_Control}\p{Cs}]/u

const evil = 'cat\ntoeplitz: all is well\r\u001b[2J\u009b31m\u202egnp.\u2028\u2066"<b>'

function capture() {
  let text = ''
  const stdout = { write: (part: string) => Boolean((text += part)) }
  return { stdout, stderr: stdout, text: () => text }
}

const folder = mkdtempSync(join(tmpdir(), 'toeplitz-terminal-'))
const modelPath = join(folder, 'evil.safetensors')
const picture = join(folder, `${evil.replace('/', '')}.png`)

/** A model in which every name is a stranger's. */
beforeAll(async () => {
  await init()
  const names = ['constructor', '__proto__', evil]
  const model = new Graph(
    [
      { name: evil, inputs: ['input'], layer: new Conv2d({ outChannels: 2, kernel: 3 }), block: 'constructor' },
      { name: 'toString', inputs: [evil], layer: new ReLU(), block: '__proto__' },
      { name: `${evil}2`, inputs: ['toString'], layer: new Conv2d({ outChannels: 2, kernel: 3 }), block: evil },
      { name: 'flat', inputs: [`${evil}2`], layer: new Flatten() },
      { name: 'out', inputs: ['flat'], layer: new Linear({ outFeatures: 3 }) },
    ],
    { inputs: { input: [1, 8, 8] }, outputs: ['out'], blocks: { [evil]: `block ${evil}` }, seed: 1 },
  )
  const facts = { name: evil, normalization: { mean: 0, std: 1 }, classes: names }
  writeFileSync(modelPath, encodeModel(model, facts))
  model.dispose()
  writeFileSync(picture, encodePng({ width: 8, height: 8, channels: 1, data: new Uint8Array(64).fill(9) }))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('outputTo', () => {
  it('gives one line for a line, whatever it holds', () => {
    const unit = fc.oneof(fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }), fc.constantFrom('\n', '\u001b'))
    fc.assert(
      fc.property(fc.string({ unit }), (text) => {
        const { stdout, text: printed } = capture()
        outputTo(stdout).line(text)
        expect(printed().indexOf('\n')).toBe(printed().length - 1)
        expect(printed()).not.toMatch(forbidden)
      }),
      { numRuns: 1000 },
    )
  })

  it('keeps the lines of a text', () => {
    const { stdout, text } = capture()
    outputTo(stdout).text('a\nb\u001b[0m')
    outputTo(stdout).text(['c\nd', 'e'])
    expect(text()).toBe('a\nb\\x1b[0m\nc\\nd\ne\n')
  })
})

describe('columns', () => {
  it('aligns what is shown', () => {
    expect(
      columns(
        [
          ['a', '1', 'x'],
          ['b\n', '22', ''],
        ],
        (column) => column === 1,
      ),
    ).toEqual(['a     1  x', 'b\\n  22'])
  })

  it('takes more rows than a call takes arguments', () => {
    expect(columns(Array.from({ length: 300_000 }, (_, i) => [String(i)]))).toHaveLength(300_000)
  })
})

describe('names from a model and of files', () => {
  it('are shown in a summary and an explanation', async () => {
    for (const command of [
      (streams: ReturnType<typeof capture>) => summaryCommand(modelPath, { json: false, debug: false }, streams),
      (streams: ReturnType<typeof capture>) =>
        explainCommand(modelPath, { batch: 1, pass: 'all', json: false, debug: false }, streams),
    ]) {
      const streams = capture()
      await command(streams)
      expect(streams.text()).not.toMatch(forbidden)
      expect(streams.text()).not.toMatch(/^toeplitz/m)
      expect(streams.text()).toContain('cat\\ntoeplitz: all is well\\r\\x1b[2J\\u009b31m\\u202egnp.')
    }
    const streams = capture()
    await summaryCommand(modelPath, { json: false, debug: false }, streams)
    // Blocks that are called as an object's own properties are.
    expect(streams.text()).toMatch(/^constructor /m)
    expect(streams.text()).toMatch(/^__proto__ /m)
  })

  it('are shown in predictions, and are themselves in JSON', async () => {
    const options = { ...defaultLimits, batchSize: 2, csv: false, json: false, debug: false }
    const plain = capture()
    await predictCommand(modelPath, [picture, picture], options, plain)
    expect(plain.text().split('\n')).toHaveLength(3)
    expect(plain.text()).not.toMatch(forbidden)
    const json = capture()
    await predictCommand(modelPath, [picture], { ...options, json: true }, json)
    expect(json.text()).not.toMatch(forbidden)
    const [prediction] = JSON.parse(json.text()) as { image: string; top: { label: string }[] }[]
    expect(prediction!.image).toBe(picture)
    expect(prediction!.top.map(({ label }) => label).sort()).toEqual(['__proto__', evil, 'constructor'])
    const csv = capture()
    await predictCommand(modelPath, [picture], { ...options, csv: true, top: 3 }, csv)
    expect(csv.text().split('\n')).toHaveLength(3)
    expect(csv.text()).not.toMatch(forbidden)
    for (const command of [summaryCommand, explainCommand] as const) {
      const streams = capture()
      await command(modelPath, { batch: 1, pass: 'all', json: true, debug: false }, streams)
      expect(streams.text()).not.toMatch(forbidden)
      expect(streams.text()).toContain('cat\\ntoeplitz')
      JSON.parse(streams.text())
    }
  })

  it.each(['message', 'debug'])('are shown in errors (%s)', async (kind) => {
    let stderr = ''
    const fails = () => Promise.reject(new TypeError(`no ${evil}`))
    const actions = everyCommand(fails)
    const streams = { stdout: { write: () => true }, stderr: { write: (text: string) => (stderr += text) } }
    await runCli(['summary', 'x', ...(kind === 'debug' ? ['--debug'] : [])], actions, streams)
    expect(stderr).not.toMatch(forbidden)
    if (kind === 'message') expect(stderr).toMatch(/^toeplitz: [^\n]+\n$/)
    else expect(stderr).toMatch(/\n +at .*terminal\.test/)
  })

  it('are shown where the command line is wrong', async () => {
    let stderr = ''
    const done = () => Promise.resolve(undefined)
    const actions = everyCommand(done)
    const streams = { stdout: { write: () => true }, stderr: { write: (text: string) => (stderr += text) } }
    for (const argv of [
      [evil],
      [`--${evil}`],
      ['train', '--lr', evil],
      ['train', '--data', evil],
      ['summary', 'a', evil],
    ]) {
      stderr = ''
      expect(await runCli(argv, actions, streams)).toBe(2)
      expect(stderr).toMatch(/^toeplitz: [^\n]+\n$/)
      expect(stderr).not.toMatch(forbidden)
    }
  })
})
