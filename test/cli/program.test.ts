import { describe, expect, it, test } from 'vitest'
import { packageVersion } from '../../src/cli/assets.js'
import { commands, runCli, type CliActions } from '../../src/cli/program.js'
import { trainDefaults } from '../../src/cli/settings.js'
import type { TrainOptions } from '../../src/cli/actions.js'
import { FormatError } from '../../src/runtime/errors.js'

interface Call {
  readonly name: string
  readonly values: readonly unknown[]
}

/** Runs a command line with actions that only take notes, unless others are given. */
async function run(argv: readonly string[], actions: Partial<CliActions> = {}) {
  const calls: Call[] = []
  const noting = Object.fromEntries(
    Object.keys(commands).map((name) => [
      name,
      (...values: unknown[]) => {
        calls.push({ name, values })
        return Promise.resolve(undefined)
      },
    ]),
  ) as unknown as CliActions
  let stdout = ''
  let stderr = ''
  const code = await runCli(
    argv,
    { ...noting, ...actions },
    { stdout: { write: (text) => (stdout += text) }, stderr: { write: (text) => (stderr += text) } },
  )
  return { code, stdout, stderr, calls }
}

async function trainOptions(...argv: string[]): Promise<TrainOptions> {
  const { code, calls, stderr } = await run(['train', ...argv])
  expect(stderr).toBe('')
  expect(code).toBe(0)
  return calls[0]?.values[0] as TrainOptions
}

describe('good command lines', () => {
  it('train has defaults, and says that none was typed', async () => {
    expect(await trainOptions()).toEqual({ ...trainDefaults, debug: false, given: new Set() })
  })

  it('train passes every option on, as numbers', async () => {
    const options = await trainOptions(
      ...['--model', 'convnet', '--data', 'mnist', '--epochs', '7', '--batch-size=128', '--lr', '1e-2'],
      ...['--momentum', '0', '--weight-decay', '0', '--seed', '4294967295', '--out', 'runs/a', '--data-dir', 'd'],
      ...['--schedule', 'step', '--init', 'gaussian=0.01', '--augment', 'flip,shift=4', '--clip-norm', '5'],
      ...['--accumulate', '2', '--early-stopping', '3', '--image-size', '32', '--strict'],
      ...['--max-pixels', '100004', '--max-bytes', '9007199254740991', '--fit', 'contain'],
      ...['--optimizer', 'rmsprop', '--dtype', 'float16', '--permute-pixels', '7'],
      ...['--from', 'runs/b', '--freeze', '^conv', '--head-only', '--unfreeze', '--lr-head', '0.5'],
      ...['--parts', '4', '--redis', 'redis://127.0.0.1:6379'],
    )
    expect(options).toEqual({
      ...{ model: 'convnet', data: 'mnist', epochs: 7, batchSize: 128, lr: 0.01, momentum: 0, weightDecay: 0 },
      ...{ seed: 4294967295, out: 'runs/a', dataDir: 'd', debug: false, schedule: 'step', init: 'gaussian=0.01' },
      ...{ augment: 'flip,shift=4', clipNorm: 5, accumulate: 2, earlyStopping: 3, imageSize: 32, strict: true },
      ...{
        ...{ from: 'runs/b', freeze: '^conv', headOnly: true, unfreeze: true, lrHead: 0.5 },
        ...{ parts: 4, redis: 'redis://127.0.0.1:6379' },
        permutePixels: '7',
        optimizer: 'rmsprop',
        dtype: 'float16',
        fit: 'contain',
        maxPixels: 100004,
        maxBytes: 9007199254740991,
      },
      given: new Set([
        ...(['model', 'data', 'epochs', 'batchSize', 'lr', 'momentum', 'weightDecay', 'seed', 'out'] as const),
        ...(['from', 'freeze', 'headOnly', 'unfreeze', 'lrHead', 'parts', 'redis'] as const),
        ...([
          'dataDir',
          'schedule',
          'init',
          'augment',
          'permutePixels',
          'clipNorm',
          'accumulate',
          'earlyStopping',
          'imageSize',
          'fit',
          'maxPixels',
          'maxBytes',
          'optimizer',
          'dtype',
          'strict',
        ] as const),
      ]),
    })
  })

  it('train has better defaults for a model on a data set, where none was typed', async () => {
    const { epochs, lr, augment } = await trainOptions('--data', 'cifar10', '--lr', '0.5')
    expect(epochs).toBeGreaterThan(trainDefaults.epochs)
    expect({ lr, augment }).toEqual({ lr: 0.5, augment: 'flip,shift=3' })
  })

  it('train has rates of their own for optimizers, and keeps what else is better for a model', async () => {
    const { lr, weightDecay, momentum, augment } = await trainOptions('--data', 'cifar10', '--optimizer', 'adamw')
    expect({ lr, weightDecay, momentum, augment }).toEqual({
      ...{ lr: 0.001, weightDecay: 0.01, momentum: 0, augment: 'flip,shift=3' },
    })
    expect(await trainOptions('--optimizer', 'adam', '--lr', '0.5')).toMatchObject({ lr: 0.5, weightDecay: 0 })
  })

  it('evaluate takes a model and a folder', async () => {
    const { calls, code } = await run(['evaluate', 'run', 'photos', '--batch-size', '9', '--strict', '--json'])
    expect(code).toBe(0)
    const given = { batchSize: 9, strict: true, json: true, debug: false }
    const { maxPixels, maxBytes } = trainDefaults
    expect(calls).toEqual([{ name: 'evaluate', values: ['run', 'photos', { ...given, maxPixels, maxBytes }] }])
    for (const argv of [['evaluate'], ['evaluate', 'run'], ['evaluate', 'run', 'photos', 'more']]) {
      expect((await run(argv)).code).toBe(2)
    }
  })

  it('an option typed with its default value counts as given', async () => {
    expect((await trainOptions('--seed', '1')).given).toEqual(new Set(['seed']))
  })

  it('resume takes a folder or none', async () => {
    expect((await trainOptions('--resume')).resume).toBe(true)
    expect((await trainOptions('--resume', '--epochs', '3')).resume).toBe(true)
    expect((await trainOptions('--resume', 'runs/a')).resume).toBe('runs/a')
    expect(await trainOptions()).not.toHaveProperty('resume')
  })

  it('what may be replaced or accepted must be said', async () => {
    expect(await trainOptions('--out', 'a', '--force')).toMatchObject({ out: 'a', force: true })
    expect(await trainOptions('--resume', 'a', '--accept-changed-data')).toMatchObject({ acceptChangedData: true })
    expect(await trainOptions()).not.toHaveProperty('force')
    expect(await trainOptions()).not.toHaveProperty('acceptChangedData')
    const { calls } = await run(['search', '--out', 'a', '--force'])
    expect(calls[0]?.values[0]).toMatchObject({ out: 'a', force: true })
  })

  it('debug may stand before or after the command', async () => {
    expect((await trainOptions('--debug')).debug).toBe(true)
    const { calls } = await run(['--debug', 'summary', 'm.json'])
    expect(calls).toEqual([{ name: 'summary', values: ['m.json', { json: false, debug: true }] }])
  })

  it('search takes ranges and lists', async () => {
    const { calls, code } = await run(['search', '--lr', '1e-3..0.1', '--weight-decay', '0,5e-4', '--trials', '3'])
    expect(code).toBe(0)
    expect(calls[0]?.values[0]).toMatchObject({
      lr: { low: 1e-3, high: 0.1 },
      weightDecay: [0, 5e-4],
      trials: 3,
      rounds: 2,
    })
  })

  it('predict takes one image or more', async () => {
    const { calls, code } = await run(['predict', 'm.json', 'a.png', 'b.png', '--json', '--max-pixels', '9'])
    expect(code).toBe(0)
    const options = { json: true, csv: false, debug: false, batchSize: 250, maxPixels: 9, maxBytes: 2 ** 29 }
    expect(calls).toEqual([{ name: 'predict', values: ['m.json', ['a.png', 'b.png'], options] }])
  })

  it('explain has defaults, and takes a batch and a pass', async () => {
    const flags = { json: false, debug: false }
    expect((await run(['explain', 'vgg16'])).calls).toEqual([
      { name: 'explain', values: ['vgg16', { batch: 1, pass: 'forward', ...flags }] },
    ])
    const { calls, code } = await run(['explain', 'm.json', '--batch', '128', '--pass=weight-gradient', '--json'])
    expect(code).toBe(0)
    expect(calls).toEqual([
      { name: 'explain', values: ['m.json', { batch: 128, pass: 'weight-gradient', ...flags, json: true }] },
    ])
  })

  it('an action decides on its exit code', async () => {
    expect((await run(['train'], { train: () => Promise.resolve(130) })).code).toBe(130)
    expect((await run(['summary', 'm'], { summary: () => Promise.resolve(3) })).code).toBe(3)
    expect((await run(['explain', 'm'], { explain: () => Promise.resolve(5) })).code).toBe(5)
    expect((await run(['predict', 'm', 'i'], { predict: () => Promise.resolve(4) })).code).toBe(4)
  })
})

describe('help and version', () => {
  it.each([[['--help']], [['-h']], [['help']]])('%j', async (argv) => {
    const { code, stdout, stderr, calls } = await run(argv)
    expect({ code, stderr, calls }).toEqual({ code: 0, stderr: '', calls: [] })
    for (const word of ['train', 'predict', 'summary', 'explain', '--debug', '--version', 'Examples:', 'Exit codes:']) {
      expect(stdout).toContain(word)
    }
  })

  it('train --help lists every option with its default', async () => {
    const { code, stdout } = await run(['train', '--help'])
    expect(code).toBe(0)
    const options = ['--model <name>', '--data <name>', '--epochs <count>', '--batch-size <count>', '--lr <rate>']
    options.push('--force ', '--accept-changed-data ', '--strict ', '--threads <count>')
    options.push('--momentum <', '--weight-decay <', '--seed <', '--out <dir>', '--resume [dir]', '--data-dir <dir>')
    for (const option of options) expect(stdout).toContain(option)
    expect(stdout.replace(/\s+/g, ' ')).toContain(`(default: ${trainDefaults.batchSize})`)
    expect(stdout).toContain('Examples:')
  })

  it('--version prints the version of the package', async () => {
    const { code, stdout } = await run(['--version'])
    expect(code).toBe(0)
    expect(stdout.trim()).toBe(packageVersion())
    expect(stdout).toMatch(/^\d+\.\d+\.\d+/)
  })

  it('no command at all shows the help as a usage error', async () => {
    const { code, stdout, stderr } = await run([])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain('Usage: toeplitz')
  })
})

describe('wrong usage: exit code 2, one line, nothing started', () => {
  const train = (...argv: string[]) => ['train', ...argv]
  const cases: [argv: string[], ...expected: string[]][] = [
    ...['0', '1.5', 'abc', '1e99', '-1', '', ' 1', '0x10', 'NaN', 'Infinity', '2147483648'].flatMap((value) =>
      ['--batch-size', '--epochs'].map((option): [string[], ...string[]] => [
        train(`${option}=${value}`),
        `'${option} <count>' argument '${value}'`,
        'whole number from 1 to 2147483647',
      ]),
    ),
    ...['abc', 'NaN', 'Infinity', '-1', '0', '', '0.1x', '1e999', '1e39', '1e-60', '0x1'].map(
      (value): [string[], ...string[]] => [train(`--lr=${value}`), `'--lr <rate>' argument '${value}'`, 'above 0'],
    ),
    [train('--lr', '-1'), "'--lr <rate>' argument '-1'", 'above 0'],
    [train('--lr'), "'--lr <rate>' argument missing"],
    ...['1', '-0.1', 'abc', 'NaN', '1.5', '0.9999999999'].map((value): [string[], ...string[]] => [
      train(`--momentum=${value}`),
      `'--momentum <fraction>' argument '${value}'`,
      'from 0 up to, but not including, 1',
    ]),
    ...['-1e-4', 'abc', 'NaN', 'Infinity'].map((value): [string[], ...string[]] => [
      train(`--weight-decay=${value}`),
      `'--weight-decay <factor>' argument '${value}'`,
      '0 or a number above it',
    ]),
    ...['-1', '4294967296', '1.5', 'abc'].map((value): [string[], ...string[]] => [
      train(`--seed=${value}`),
      `'--seed <number>' argument '${value}'`,
      'whole number from 0 to 4294967295',
    ]),
    ...['-1', '1.5', '16385', '100000'].map((value): [string[], ...string[]] => [
      train(`--image-size=${value}`),
      `'--image-size <pixels>' argument '${value}'`,
      'whole number from 0 to 16384',
    ]),
    ...['', 'float64', 'int8'].map((value): [string[], ...string[]] => [
      train(`--dtype=${value}`),
      `'--dtype <name>' argument '${value}'`,
      'must be one of float32, float16',
    ]),
    [train('--model', 'convnetz'), "'--model <name>' argument 'convnetz'", 'Did you mean convnet?'],
    [train('--model', 'perceptron'), "argument 'perceptron'", 'must be one of linear, two-layer, convnet, '],
    [['search', '--model', 'lenet'], "argument 'lenet'", 'Did you mean lenet5'],
    [
      train('--data', 'imagenet'),
      "'--data <name>' argument 'imagenet'",
      'must be one of mnist, fashion-mnist, cifar10, or a folder of pictures',
    ],
    ...['', 'flop', 'shift', 'shift=0', 'flip,shift=-1', 'contrast=1', 'flip=1'].map(
      (value): [string[], ...string[]] => [train(`--augment=${value}`), `'--augment <list>' argument '${value}'`],
    ),
    ...['best', 'gaussian', 'gaussian=0', 'gaussian=x'].map((value): [string[], ...string[]] => [
      train(`--init=${value}`),
      `'--init <name>' argument '${value}'`,
      'gaussian=<sigma>',
    ]),
    ...['', '1..', '2..1', '1..2..3', '0..1', 'a,b', '-1'].map((value): [string[], ...string[]] => [
      ['search', `--lr=${value}`],
      `'--lr <values>' argument '${value}'`,
      'a range, such as 1e-4..1e-1, or a list',
    ]),
    ...['0', '1.5', '-1', '9007199254740992'].map((value): [string[], ...string[]] => [
      ['predict', 'm.json', 'a.png', `--max-pixels=${value}`],
      `'--max-pixels <count>' argument '${value}'`,
      'whole number from 1 to 9007199254740991',
    ]),
    [train('--schedule', 'none'), "'--schedule <name>' argument 'none'", 'cosine, step, constant'],
    [train('--out='), "'--out <dir>' argument ''", 'path of a folder'],
    [train('--resume='), "'--resume [dir]' argument ''", 'path of a folder'],
    [train('--data-dir', ' '), "'--data-dir <dir>' argument ' '", 'path of a folder'],
    [train('--lr', 'two\nlines'), "'--lr <rate>' argument 'two lines'"],
    [train('--model', 'unet'), "argument 'unet'", 'It labels every pixel, and the data have a label for each picture.'],
    [train('--epoch', '3'), "unknown option '--epoch'", 'Did you mean --epochs?'],
    [train('--batchsize', '3'), "unknown option '--batchsize'", 'Did you mean --batch-size?'],
    [train('convnet'), 'too many arguments'],
    [['--nonsense'], "unknown option '--nonsense'"],
    [['trian'], "unknown command 'trian'", 'Did you mean train?'],
    [['predict'], "missing required argument 'model'"],
    [['predict', 'm.json'], "missing required argument 'image'"],
    [['predict', 'm', 'a', '--top', '0'], "'--top <count>' argument '0'", 'whole number from 1'],
    [['predict', 'm', 'a', '--csv', '--json'], "'--json' cannot be used with option '--csv'"],
    [train('--fit', 'fill'), "'--fit <name>' argument 'fill'", 'one of cover, contain, stretch'],
    [['summary'], "missing required argument 'model'"],
    [['summary', 'a', 'b'], 'too many arguments'],
    [['explain'], "missing required argument 'model'"],
    [['explain', 'a', '--batch', '0'], "'--batch <count>' argument '0'", 'whole number from 1'],
    [['explain', 'a', '--pass', 'fwd'], "'--pass <name>' argument 'fwd'", 'one of forward, input-gradient, '],
    [['summary', 'a', '--jsn'], "unknown option '--jsn'", 'Did you mean --json?'],
  ]

  test.each(cases)('%j', async (argv, ...expected) => {
    const { code, stdout, stderr, calls } = await run(argv)
    expect({ code, stdout, calls }).toEqual({ code: 2, stdout: '', calls: [] })
    expect(stderr).toMatch(/^toeplitz: [^\n]+\n$/)
    for (const part of expected) expect(stderr).toContain(part)
  })
})

describe('failures: exit code 1, one line', () => {
  const formatError = new FormatError('digit.png: not a PNG file; expected the signature 89 50 4e 47')
  const typeError = new TypeError('undefined is not\n  a function')
  const failing = (error: unknown): Partial<CliActions> => ({
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- anything may be thrown
    predict: () => Promise.reject(error),
  })
  const argv = ['predict', 'm.json', 'digit.png']

  it('an expected error is its message and no more', async () => {
    const { code, stdout, stderr } = await run(argv, failing(formatError))
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toBe('toeplitz: digit.png: not a PNG file; expected the signature 89 50 4e 47\n')
  })

  it('an unexpected error says how to see more', async () => {
    const { code, stderr } = await run(argv, failing(typeError))
    expect(code).toBe(1)
    expect(stderr).toBe('toeplitz: undefined is not a function (run again with --debug for the stack)\n')
  })

  it('what is no error is shown as well', async () => {
    expect(await run(argv, failing('plain text'))).toMatchObject({
      code: 1,
      stderr: 'toeplitz: plain text (run again with --debug for the stack)\n',
    })
    expect((await run(argv, failing(undefined))).stderr).toMatch(/^toeplitz: undefined \(.*\n$/)
    expect((await run(argv, failing(new RangeError()))).stderr).toMatch(/^toeplitz: RangeError \(.*\n$/)
  })

  it.each([
    new RangeError('Array buffer allocation failed'),
    new FormatError('a.jpg: damaged', { cause: new RangeError('Invalid string length') }),
    Object.assign(new Error('read failed'), { code: 'ENOMEM' }),
  ])('says that memory ran out: %s', async (error) => {
    const { code, stderr } = await run(argv, failing(error))
    expect(code).toBe(1)
    expect(stderr).toMatch(/^toeplitz: memory ran out \([^\n]+\); close other programs, [^\n]+\n$/)
  })

  it('an action that throws before its promise is caught too', async () => {
    const summary = () => {
      throw formatError
    }
    expect((await run(['summary', 'm'], { summary })).code).toBe(1)
  })

  it.each([formatError, typeError])('--debug shows the stack of %s', async (error) => {
    const { code, stderr } = await run(['--debug', ...argv], failing(error))
    expect(code).toBe(1)
    expect(stderr).toContain(error.message)
    expect(stderr).toMatch(/\n\s+at .*program\.test\.ts/)
    expect((await run(argv, failing(error))).stderr).not.toContain('program.test.ts')
  })
})
