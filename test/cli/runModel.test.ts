/** `toeplitz run`, and `summary` and `explain` of models of other libraries. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { commands, runCli, type CliActions } from '../../src/cli/program.js'
import { encodePng } from '../../src/formats/png.js'
import { readNpy, writeNpy } from '../../src/formats/npy.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { constant, node, onnx, value } from '../helpers/onnx.js'

let folder: string
const at = (name: string): string => join(folder, name)

/** What a command line prints and ends with. */
async function run(...argv: string[]): Promise<{ out: string; err: string; code: number }> {
  let [out, err] = ['', '']
  const streams = {
    stdout: { write: (text: string) => Boolean((out += text)) },
    stderr: { write: (text: string) => Boolean((err += text)) },
  }
  const actions = Object.fromEntries(
    Object.entries(commands).map(([name, command]) => [
      name,
      (...given: unknown[]) => (command as (...all: unknown[]) => unknown)(...given.slice(0, command.length), streams),
    ]),
  ) as unknown as CliActions
  const code = await runCli(argv, actions, streams)
  return { out, err, code }
}

const save = (name: string, model: Uint8Array): void => writeFileSync(at(name), model)

beforeAll(async () => {
  await init()
  folder = mkdtempSync(join(tmpdir(), 'toeplitz-run-'))
  const sums = (shape: (string | number)[], axes: bigint[]): Uint8Array =>
    onnx({
      inputs: [value('image', shape)],
      outputs: [value('classes')],
      initializers: [constant('axes', [axes.length], axes)],
      nodes: [node('ReduceSum', ['image', 'axes'], ['classes'], { keepdims: 0n })],
    })
  save('first.onnx', sums([1, 3, 2, 2], [2n, 3n]))
  save('last.onnx', sums([1, 2, 2, 3], [1n, 2n]))
  save('any.onnx', sums(['N', 3, 'H', 'W'], [2n, 3n]))
  save(
    'two.onnx',
    onnx({
      inputs: [value('a', [2]), value('b', [2], 'int64')],
      outputs: [value('sum'), value('a')],
      nodes: [node('Cast', ['b'], ['floats'], { to: 1n }), node('Add', ['a', 'floats'], ['sum'])],
    }),
  )
  const weights = Float32Array.from({ length: 27 }, (_, i) => i)
  mkdirSync(at('parts'))
  writeFileSync(at('parts/w.bin'), weights)
  const entry = (location: string) => ({
    name: 'w',
    ...{ dims: [1, 3, 3, 3], elementType: 1, dataLocation: 1, externalData: [{ key: 'location', value: location }] },
  })
  const conv = (location: string): Uint8Array =>
    onnx({
      inputs: [value('image', [1, 3, 'H', 'W'])],
      outputs: [value('y')],
      initializers: [entry(location)],
      nodes: [node('Conv', ['image', 'w'], ['y'], { pads: [1n, 1n, 1n, 1n] })],
    })
  save('conv.onnx', conv('parts/w.bin'))
  save('outside.onnx', conv('../w.bin'))
  const dense = (paths: string[]): string =>
    JSON.stringify({
      format: 'layers-model',
      modelTopology: {
        model_config: {
          class_name: 'Sequential',
          config: {
            name: 'net',
            layers: [{ class_name: 'Dense', config: { name: 'dense', units: 2, activation: 'linear', use_bias: false, batch_input_shape: [null, 2] } }], // prettier-ignore
          },
        },
      },
      weightsManifest: [{ paths, weights: [{ name: 'dense/kernel', shape: [2, 2], dtype: 'float32' }] }],
    })
  mkdirSync(at('keras'))
  writeFileSync(at('keras/model.json'), dense(['shard.bin']))
  writeFileSync(at('keras/shard.bin'), Float32Array.of(1, 2, 3, 4))
  writeFileSync(at('keras/outside.json'), dense(['../shard.bin']))
  writeFileSync(at('keras/missing.json'), dense(['none.bin']))
  writeFileSync(at('keras/row.npy'), writeNpy({ dtype: 'float32', shape: [1, 2], values: Float32Array.of(1, 10) }))
  writeFileSync(at('page.onnx'), '<!DOCTYPE html><html></html>')
  // Red, green, blue and white.
  const data = Uint8Array.of(255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255)
  writeFileSync(at('four.png'), encodePng({ width: 2, height: 2, channels: 3, data }))
  writeFileSync(at('red.png'), encodePng({ width: 4, height: 2, channels: 3, data: Uint8Array.from({ length: 24 }, (_, i) => (i % 3 === 0 ? 255 : 0)) })) // prettier-ignore
  writeFileSync(at('a.npy'), writeNpy({ dtype: 'float32', shape: [2], values: Float32Array.of(1, 2) }))
  writeFileSync(at('b.npy'), writeNpy({ dtype: 'int64', shape: [2], values: BigInt64Array.of(10n, 20n) }))
  writeFileSync(at('labels.txt'), 'red\ngreen\nblue\n')
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('toeplitz run', () => {
  it('gives a picture to a model, channels first or last, and says what was done to it', async () => {
    for (const [name, shape] of [
      ['first', '(1, 3, 2, 2)'],
      ['last', '(1, 2, 2, 3)'],
    ]) {
      const { out, err, code } = await run('run', at(`${name}.onnx`), '--input', at('four.png'))
      expect([out, code]).toEqual(['classes float32 (1, 3)\n  from 2 to 2: 2, 2, 2\n', 0])
      expect(err).toBe(`image: ${at('four.png')}, 2 × 2 pixels, RGB, (pixel · 1/255 − 0) / 1, ${shape}\n`)
    }
  })

  it('scales, normalizes and orders colours as it is told', async () => {
    const options = ['--mean', '0,0.5,1', '--std', '1,0.5,2', '--order', 'bgr', '--json']
    const { out, err } = await run('run', at('first.onnx'), '--input', at('red.png'), ...options)
    // Blue, green, red: 0, 0 and 1 in all four pixels.
    expect(JSON.parse(out)).toEqual([{ output: 'classes', dtype: 'float32', shape: [1, 3], values: [0, -4, 0] }])
    expect(err).toContain('4 × 2 pixels, cover to 2 × 2, BGR, (pixel · 1/255 − 0,0.5,1) / 1,0.5,2')
    const bytes = await run('run', at('any.onnx'), '--input', at('red.png'), '--scale', '1', '--json')
    expect((JSON.parse(bytes.out) as { values: number[] }[])[0]?.values).toEqual([8 * 255, 0, 0])
    expect(bytes.err).not.toContain('cover')
  })

  it('prints the largest values, with names', async () => {
    const { out } = await run(
      'run',
      at('first.onnx'),
      '--input',
      at('red.png'),
      '--top',
      '2',
      '--labels',
      at('labels.txt'),
    )
    expect(out).toBe('classes float32 (1, 3)\n  0  red    4\n  1  green  0\n')
  })

  it('takes arrays for several inputs, and saves outputs', async () => {
    const inputs = ['--input', `a=${at('a.npy')}`, '--input', `b=${at('b.npy')}`]
    const all = await run('run', at('two.onnx'), ...inputs, '--save', at('out.npy'))
    expect([all.out, all.code]).toEqual([
      'sum float32 (2)\n  from 11 to 22: 11, 22\na float32 (2)\n  from 1 to 2: 1, 2\n',
      0,
    ])
    expect([...readNpy(readFileSync(at('out.sum.npy')), 'sum').values]).toEqual([11, 22])
    expect(all.err).toBe(`sum: saved as ${at('out.sum.npy')}\na: saved as ${at('out.a.npy')}\n`)
    await run('run', at('two.onnx'), ...inputs, '--output', 'floats', '--save', at('one.npy'))
    expect([...readNpy(readFileSync(at('one.npy')), 'floats').values]).toEqual([10, 20])
  })

  it('reads weights beside the model, and no others', async () => {
    const { code } = await run('run', at('conv.onnx'), '--input', at('four.png'))
    expect(code).toBe(0)
    const { err, code: failed } = await run('run', at('outside.onnx'), '--input', at('four.png'))
    expect([failed, err]).toEqual([
      1,
      expect.stringMatching(/a location must be a path within the folder of the model/),
    ])
  })

  it('runs models of TensorFlow.js, with the weights in their folder and no others', async () => {
    const { out, code } = await run('run', at('keras/model.json'), '--input', at('keras/row.npy'))
    expect([out, code]).toEqual(['dense float32 (1, 2)\n  from 31 to 42: 31, 42\n', 0])
    const summary = JSON.parse((await run('summary', at('keras/model.json'), '--json')).out) as { parameters: number }
    expect(summary.parameters).toBe(4)
    const outside = await run('run', at('keras/outside.json'), '--input', at('keras/row.npy'))
    expect([outside.code, outside.err]).toEqual([
      1,
      expect.stringMatching(/outside\.json: .*must lie within the folder/),
    ])
    const missing = await run('run', at('keras/missing.json'), '--input', at('keras/row.npy'))
    expect([missing.code, missing.err]).toEqual([1, expect.stringMatching(/none\.bin.*no such file/)])
  })

  it.each<[string, string[], number, RegExp]>([
    ['an input that is missing', ['two.onnx', '--input', 'a=a.npy'], 2, /--input is missing for b int64 \(2\)/],
    [
      'a file without the name of its input',
      ['two.onnx', '--input', 'a.npy'],
      2,
      /the model has the inputs a float32 \(2\); b int64 \(2\); say which/,
    ],
    [
      'an input that is given twice',
      ['first.onnx', '--input', 'four.png', '--input', 'four.png'],
      2,
      /'image' is given twice/,
    ],
    [
      'an array of another type',
      ['two.onnx', '--input', 'a=b.npy', '--input', 'b=b.npy'],
      1,
      /is of int64, and 'a' takes float32; save it with astype\('float32'\)/,
    ],
    [
      'an array of another shape',
      ['first.onnx', '--input', 'a.npy'],
      1,
      /input 'image' must be \(1, 3, 2, 2\), given \(2\)/,
    ],
    [
      'a picture where there is none',
      ['two.onnx', '--input', 'a=four.png', '--input', 'b=b.npy'],
      2,
      /'a' is float32 \(2\), which is no picture/,
    ],
    ['no picture', ['first.onnx', '--input', 'labels.txt'], 1, /labels\.txt/],
    ['a file that is not there', ['first.onnx', '--input', 'none.png'], 1, /none\.png/],
    ['a model that is none', ['page.onnx', '--input', 'four.png'], 1, /page\.onnx: is a web page \(HTML\)/],
    [
      'an output that is not there',
      ['first.onnx', '--input', 'four.png', '--output', 'nothing'],
      1,
      /there is no value 'nothing'/,
    ],
    [
      'labels of another number',
      ['first.onnx', '--input', 'four.png', '--top', '1', '--labels', 'page.onnx'],
      2,
      /there are 1 names, and 3 classes/,
    ],
    [
      'a mean of two numbers',
      ['first.onnx', '--input', 'four.png', '--mean', '1,2'],
      2,
      /--mean: there are 2 numbers, and 'image' has 3 channels/,
    ],
    [
      'a mean that is none',
      ['first.onnx', '--input', 'four.png', '--mean', 'a'],
      2,
      /It must be a number, or one for each channel/,
    ],
    [
      'a folder to save in that is not there',
      ['first.onnx', '--input', 'four.png', '--save', 'none/out.npy'],
      1,
      /none\/out\.npy/,
    ],
  ])('refuses %s, in one line, and leaves nothing in memory', async (_, [model, ...rest], due, message) => {
    const before = memoryUsage().liveBytes
    const argv = rest.map((word) => word.replace(/^(\w=)?([\w/]+\.(?:png|npy|txt|onnx))$/, (_all, name = '', file) => `${name as string}${at(file as string)}`)) // prettier-ignore
    const { out, err, code } = await run('run', at(model as string), ...argv)
    expect([code, out]).toEqual([due, ''])
    expect(err.trim().split('\n').at(-1)).toMatch(message)
    expect(memoryUsage().liveBytes).toBe(before)
  })
})

describe('of a model of another library', () => {
  it('summary tells the nodes, for extents that are given', async () => {
    const { out, code } = await run('summary', at('conv.onnx'), '--shape', '1,3,5,6')
    expect([out, code]).toEqual(['node  operator  output        parameters\ny     Conv      (1, 1, 5, 6)          27\n1 nodes, 27 parameters\n', 0]) // prettier-ignore
    expect(
      (JSON.parse((await run('summary', at('two.onnx'), '--json')).out) as { parameters: number }).parameters,
    ).toBe(0)
  })

  it('explain tells the algorithms', async () => {
    const { out } = await run('explain', at('conv.onnx'), '--shape', 'image=4,3,32,32', '--json')
    const { layers, batch } = JSON.parse(out) as {
      batch: number
      layers: { name: string; layer: string; input: number[] }[]
    }
    expect([batch, layers.map(({ name, layer, input }) => [name, layer, input])]).toEqual([
      4,
      [['y', 'conv(3, 1, p1)', [3, 32, 32]]],
    ])
    expect((await run('explain', at('first.onnx'))).out).toMatch(/No convolutional layer/)
  })

  it.each<[string[], number, RegExp]>([
    [['summary', 'conv.onnx', '--shape', 'x=1,3,5,5'], 1, /there is no option 'x'/],
    [['summary', 'two.onnx', '--shape', '2'], 2, /the model has the inputs a, b; say which, as in --shape a=2/],
    [['summary', 'conv.onnx', '--shape', '1,3,a'], 2, /It must be extents between commas/],
    [['explain', 'conv.onnx', '--batch', '3'], 2, /--batch: .*--shape/],
    [['summary', 'convnet', '--shape', '1,1,28,28'], 2, /convnet knows its input/],
    [['explain', 'page.onnx'], 1, /is a web page/],
  ])('%j is refused', async ([command, model, ...rest], due, message) => {
    const name = (model as string).endsWith('.onnx') ? at(model as string) : (model as string)
    const { err, code } = await run(command as string, name, ...rest)
    expect([code, err]).toEqual([due, expect.stringMatching(message)])
  })
})
