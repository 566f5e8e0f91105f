/** What a run makes of the folder and the data that it finds. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { UsageError } from '../../src/cli/errors.js'
import { Folder } from '../../src/node/resultFolder.js'
import type { TrainOptions } from '../../src/cli/actions.js'
import { commands, runCli } from '../../src/cli/program.js'
import { learningRates } from '../../src/cli/settings.js'
import { decodeModel } from '../../src/io/model-file.js'
import { trainCommand } from '../../src/cli/train.js'
import { encodePng } from '../../src/formats/png.js'
import { InUseError } from '../../src/node/lock.js'
import { ToeplitzError } from '../../src/runtime/errors.js'
import { faults, type Change, type Fault } from '../helpers/fileFaults.js'
import { recordsOf, scalarsOf } from '../helpers/tfevents.js'
import { bury, finished, goneProcess, hashIn, namesIn, tinyOptions, train, writeTinyData } from '../helpers/tinyRuns.js'

vi.mock('node:fs/promises', async (original) =>
  (await import('../helpers/fileFaults.js')).faultyPromises(await original()),
)

const root = mkdtempSync(join(tmpdir(), 'toeplitz-runs-'))
const home = process.cwd()
const data = join(root, 'data')
let place: string
let number = 0

/** A run in the folder of the test, `out`, unless another is named. */
const run = (changes: Partial<TrainOptions> = {}): Promise<string> =>
  train({ ...tinyOptions, dataDir: data, out: 'out', ...changes })

/** A run without a folder of its own. */
const unnamed: Partial<TrainOptions> = { out: undefined! }

/** Takes a folder as a run does that goes on for long. */
const hold = (path: string): Promise<Folder> => Folder.take(path, () => undefined, { make: false, files: [] })

async function refusal(work: Promise<unknown>): Promise<ToeplitzError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(ToeplitzError)
  expect((error as Error).message).toMatch(/^[^\n]+$/)
  return error as ToeplitzError
}

/** Lets a run be killed at one of its changes to the disk, from 0. */
async function killed(at: number, changes: Partial<TrainOptions> = {}): Promise<void> {
  const kill = (change: Change): Fault => (change.number >= at ? 'kill' : undefined)
  await faults.during('.', kill, () => run(changes))
  for (const name of ['out', ...namesIn('runs').map((name) => join('runs', name))]) bury(name)
}
/** All epochs of a run, however it goes. */
const long: Partial<TrainOptions> = { earlyStopping: 0 }
/** After the first checkpoint of an epoch. */
const later = 40

let whole: string
beforeAll(async () => {
  process.setMaxListeners(0)
  writeTinyData(data)
  await run({ out: join(root, 'whole') })
  whole = hashIn(join(root, 'whole'))
})
beforeEach(() => {
  place = join(root, String(number++))
  mkdirSync(place)
  process.chdir(place)
})
afterEach(() => process.chdir(home))
afterAll(() => rmSync(root, { recursive: true, force: true }))

it('says at which epoch a run stopped early and which one it keeps', async () => {
  const out = await run({ out: 'early', epochs: 30, earlyStopping: 2 })
  const told = /^stopped early after epoch (\d+); the weights are those of epoch (\d+) \((\d+\.\d\d) % of the validation images right\)$/m.exec(out) // prettier-ignore
  const [, stopped, kept, value] = told!.map(Number)
  const accuracies = readFileSync(join('early', 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string; validationAccuracy: number })
    .filter(({ type }) => type === 'epoch')
    .map(({ validationAccuracy }) => validationAccuracy)
  expect(accuracies).toHaveLength(stopped!)
  expect(kept).toBe(accuracies.indexOf(Math.max(...accuracies)) + 1)
  expect(value).toBeCloseTo(100 * Math.max(...accuracies), 1)
  expect(stopped).toBe(kept! + 2)
})

it('stores weights in float16, of half the bytes, and tests what it stores; its checkpoint keeps every bit', async () => {
  for (const dtype of ['float32', 'float16'] as const) await run({ ...long, out: dtype, dtype })
  const bytes = (folder: string): Buffer => readFileSync(join(folder, 'model.safetensors'))
  const { model } = decodeModel(bytes('float16'), 'half')
  // Two bytes less for each number, but for what the header is filled up with.
  expect(Math.abs(bytes('float32').length - bytes('float16').length - 2 * 170)).toBeLessThan(16)
  expect(bytes('float16').toString('latin1')).toContain('"dtype":"F16"')
  model.dispose()
  expect(readFileSync('float16/result.json', 'utf8')).toContain('--dtype float16')
  expect(readFileSync('float32/result.json', 'utf8')).not.toContain('--dtype')
  const extend = { ...long, epochs: 3, given: new Set(['epochs', 'dtype'] as const), dtype: 'float32' as const }
  for (const folder of ['float32', 'float16']) await run({ ...extend, out: folder, resume: folder })
  expect(hashIn('float16')).toBe(hashIn('float32'))
})

describe('a folder that is named', () => {
  it('is made with those above it, and removed again when nothing came of it', async () => {
    await run({ out: 'a/b/c' })
    expect(namesIn('a/b/c')).toEqual(finished)
    await refusal(run({ out: 'x/y', dataDir: 'nowhere' }))
    mkdirSync('empty')
    await refusal(run({ out: 'empty', dataDir: 'nowhere' }))
    await refusal(run({ ...unnamed, dataDir: 'nowhere' }))
    expect(namesIn('.')).toEqual(['a', 'empty'])
  })

  it('is not taken from a finished run without --force', async () => {
    cpSync(join(root, 'whole'), 'out', { recursive: true })
    const error = await refusal(run())
    expect(error).toBeInstanceOf(UsageError)
    expect(error.message).toBe(
      '--out out holds a finished run (model.json); choose another folder, or replace it with --force',
    )
    for (const name of ['model.json', 'result.json', 'report.html']) rmSync(join('out', name))
    expect((await refusal(run())).message).toContain('(model.safetensors)')
    expect(namesIn('out')).toEqual(['data.json', 'metrics.jsonl', 'model.safetensors', 'state.safetensors'])
    // What makes the new run impossible costs nothing of the old one.
    await refusal(run({ force: true, dataDir: 'nowhere' }))
    expect(namesIn('out')).toEqual(['data.json', 'metrics.jsonl', 'model.safetensors', 'state.safetensors'])
    await run({ force: true, seed: 2 })
    expect(namesIn('out')).toEqual(finished)
    expect(hashIn('out')).not.toBe(whole)
  })

  it('is extended by more epochs, with the learning rates of a run of as many', async () => {
    await run({ ...long, out: 'out' })
    const before = readFileSync('out/model.safetensors')
    const extend = { resume: 'out', epochs: 4, given: new Set(['epochs'] as const) }
    const text = await run(extend)
    expect(text).toContain('the run of 2 epochs is extended to 4; the learning rate goes on as in one of 4')
    expect(namesIn('out')).toEqual(finished)
    const [longer, metrics] = [hashIn('out'), readFileSync('out/metrics.jsonl', 'utf8')]
    const steps = metrics
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; step: number; learningRate: number })
    const learningRate = learningRates({ ...tinyOptions, ...long, epochs: 4 }, 416)
    const isStep = ({ type }: { type: string }): boolean => type === 'step'
    expect(steps.filter(isStep).map(({ step }) => step)).toEqual(Array.from({ length: 416 }, (_, i) => i + 1))
    for (const { step, learningRate: was } of steps.filter(isStep).slice(208)) expect(was).toBe(learningRate(step - 1))
    // Once tested, at its end.
    expect(steps.filter(({ type }) => type === 'test')).toHaveLength(1)
    const result = JSON.parse(readFileSync('out/result.json', 'utf8')) as { command: string; epochs: unknown[] }
    expect(result.epochs).toHaveLength(4)
    expect(result.command).toMatch(
      /^toeplitz train .*--epochs 2 .* && toeplitz train --model linear --data mnist --resume --epochs 4$/,
    )
    // Typed as they stand, but for the folder of the data, the commands make the run again.
    for (const line of result.command.split(' && ')) {
      const [, ...words] = line.split(' ')
      const [stdout, stderr] = [new PassThrough(), new PassThrough()]
      const actions = { ...commands, train: (options: TrainOptions) => trainCommand(options, { stdout }) }
      expect(await runCli([...words, '--data-dir', data], actions, { stdout, stderr }), String(stderr.read())).toBe(0)
    }
    expect(hashIn('runs/linear-mnist')).toBe(longer)
    rmSync('runs', { recursive: true })
    // The same again, killed meanwhile, ends with the same bits; and what is there stays until the longer run is under way.
    for (const at of [5, 8, later]) {
      rmSync('out', { recursive: true })
      await run({ ...long, out: 'out' })
      await killed(at, extend)
      if (!existsSync('out/checkpoint.safetensors')) expect(readFileSync('out/model.safetensors')).toEqual(before)
      await run(extend)
      expect(hashIn('out')).toBe(longer)
      expect(namesIn('out')).toEqual(finished)
    }
    // And once more, without its name.
    rmSync('out', { recursive: true })
    await run({ ...long, ...unnamed })
    await run({ ...unnamed, ...extend, resume: true })
    expect(hashIn('runs/linear-mnist')).toBe(longer)
    await run({ ...unnamed, resume: true, epochs: 5, given: new Set(['epochs'] as const) })
    expect(readFileSync('runs/linear-mnist/result.json', 'utf8')).toContain('--resume --epochs 4 && toeplitz train')
  })

  it('is extended by more epochs alone, of a run that has ended, on its data', async () => {
    cpSync(join(root, 'whole'), 'out', { recursive: true })
    const given = new Set(['epochs'] as const)
    const left = namesIn('out').map((name) => readFileSync(join('out', name)))
    for (const epochs of [1, 2]) {
      expect((await refusal(run({ resume: 'out', epochs, given }))).message).toBe(
        `--epochs ${epochs}: the run is finished, and was given 2; more of them extend it`,
      )
    }
    expect((await refusal(run({ resume: 'out' }))).message).toBe(
      '--resume out: the run is finished; more --epochs than it had extend it',
    )
    const changed = { resume: 'out', epochs: 3, seed: 2, given: new Set(['epochs', 'seed'] as const) }
    expect((await refusal(run(changed))).message).toContain('--seed 2: the run was started with 1')
    writeTinyData('other')
    writeFileSync('other/train-labels-idx1-ubyte', new Uint8Array([0, 0, 8, 1, 0, 0, 0, 113, ...new Uint8Array(113)]))
    const elsewhere = await refusal(run({ resume: 'out', epochs: 3, given, dataDir: 'other' }))
    expect(elsewhere.code).toBe('DATA_CHANGED')
    expect(namesIn('out').map((name) => readFileSync(join('out', name)))).toEqual(left)
    rmSync('out/state.safetensors')
    expect((await refusal(run({ resume: 'out', epochs: 3, given }))).message).toBe(
      '--resume out: the run is finished; it cannot be extended without state.safetensors',
    )
  })

  it('is not taken from an unfinished run without --force', async () => {
    await killed(later, { seed: 2 })
    expect((await refusal(run())).message).toBe(
      '--out out holds an unfinished run; go on with --resume out, choose another folder, or replace it with --force',
    )
    await run({ force: true })
    expect(hashIn('out')).toBe(whole)
  })

  it('is cleared of what an earlier run left, of which nothing is trusted', async () => {
    mkdirSync('out')
    const best = readFileSync(join(root, 'whole/model.safetensors'))
    writeFileSync('out/best.safetensors', best)
    writeFileSync('out/.toeplitz-12345678-1234-1234-1234-123456789abc.tmp', 'half a file')
    writeFileSync('out/run.lock.new-12345678-1234-1234-1234-123456789abc', '')
    writeFileSync('out/data.json', '{}')
    writeFileSync('out/metrics.jsonl', 'not JSON')
    writeFileSync('out/mine.txt', 'mine')
    await run({ seed: 2 })
    expect(namesIn('out')).toEqual([...finished, 'mine.txt'].sort())
    await run({ out: 'clean', seed: 2 })
    expect(hashIn('out')).toBe(hashIn('clean'))
  })

  it.each(['checkpoint.safetensors', 'data.json', 'metrics.jsonl', 'model.safetensors', 'model.json', 'report.html'])(
    'in which %s is no file is refused before anything is written, whatever is asked for',
    async (name) => {
      await killed(later)
      rmSync(join('out', name), { force: true })
      mkdirSync(join('out', name))
      const before = namesIn('out')
      for (const changes of [{}, { force: true }, { out: undefined!, resume: 'out' }]) {
        const { code, message } = await refusal(run(changes))
        expect({ code, message }).toEqual({
          code: 'FILE',
          message: `out/${name}: is a directory, where a file is to be written; remove it, or choose another folder`,
        })
      }
      expect(namesIn('out')).toEqual(before)
    },
  )

  it.each([
    'checkpoint.safetensors',
    'data.json',
    'metrics.jsonl',
    'model.safetensors',
    'model.json',
    'report.html',
    'best.safetensors',
    'run.lock',
  ])('in which %s is a link is refused, and what it leads to stays as it is', async (name) => {
    await killed(later)
    writeFileSync('mine.txt', 'mine')
    for (const target of ['mine.txt', 'nowhere.txt']) {
      rmSync(join('out', name), { force: true })
      symlinkSync(join('..', target), join('out', name))
      for (const changes of [{}, { force: true }, { out: undefined!, resume: 'out' }]) {
        expect((await refusal(run(changes))).message).toContain(`out/${name}: is a link, where a file is to be written`)
      }
    }
    expect(readFileSync('mine.txt', 'utf8')).toBe('mine')
    expect(existsSync('nowhere.txt')).toBe(false)
  })

  it.each(['result.json', 'best.safetensors', 'run.lock'])('in which %s is no file is refused', async (name) => {
    mkdirSync(join('out', name), { recursive: true })
    expect((await refusal(run())).message).toContain(`out/${name}: is a directory, where a file is to be written`)
    expect(namesIn('out')).toEqual([name])
    // A folder that is chosen by the command is another one.
    mkdirSync(join('runs/linear-mnist', name), { recursive: true })
    await run(unnamed)
    expect(namesIn('runs/linear-mnist-2')).toEqual(finished)
  })

  it('is named as a shell reads it back', async () => {
    const out = "it's mine; ls"
    cpSync(join(root, 'whole'), out, { recursive: true })
    const option = "--out 'it'\\''s mine; ls'"
    expect((await refusal(run({ out }))).message).toContain(`${option} holds a finished run (model.json)`)
    expect((await refusal(run({ out: undefined!, resume: out }))).message).toContain(
      `${option.replace('--out', '--resume')}: the run is finished`,
    )
  })

  it('has one writer: the second is told who has it', async () => {
    const runs = [run(), run(), run()]
    const refused: unknown[] = (await Promise.allSettled(runs)).flatMap((one) =>
      one.status === 'rejected' ? [one.reason as unknown] : [],
    )
    expect(refused).toHaveLength(2)
    const [error, second] = refused as [ToeplitzError, ToeplitzError]
    expect(second.message).toBe(error.message)
    expect(error).toBeInstanceOf(InUseError)
    expect(error.message).toBe(
      `out: in use by another run (pid ${process.pid}); wait until it ends, or choose another folder`,
    )
    expect(hashIn('out')).toBe(whole)
    expect(namesIn('out')).toEqual(finished)
    const folder = await hold('out')
    for (const changes of [{}, { force: true }, { resume: 'out' }])
      expect(await refusal(run(changes))).toBeInstanceOf(InUseError)
    folder.close()
    expect(namesIn('out')).toEqual(finished)
  })

  it('is taken over from a run that is gone, which is told', async () => {
    await killed(later)
    expect(await run({ resume: 'out' })).toMatch(
      new RegExp(`^out: taken over from a run that is gone \\(pid ${goneProcess}\\)$`, 'm'),
    )
    expect(hashIn('out')).toBe(whole)
  })

  it('is cleared of the lock of a run that was killed when it was over', async () => {
    await run()
    const folder = await hold('out')
    cpSync('out/run.lock', 'lock')
    folder.close()
    cpSync('lock', 'out/run.lock')
    bury('out')
    expect((await refusal(run({ resume: 'out' }))).message).toContain('the run is finished')
    expect(namesIn('out')).toEqual(finished)
  })
})

describe('a folder that is not named', () => {
  it('is one for each of the runs that start together', async () => {
    const outputs = await Promise.all([run(unnamed), run(unnamed), run(unnamed)])
    expect(namesIn('runs')).toEqual(['linear-mnist', 'linear-mnist-2', 'linear-mnist-3'])
    const told = outputs.map((text) => /results in (\S+)/.exec(text)![1]!)
    expect(told.sort()).toEqual(namesIn('runs').map((name) => join('runs', name)))
    for (const folder of told) {
      expect(hashIn(folder)).toBe(whole)
      expect(namesIn(folder)).toEqual(finished)
    }
  })

  it('is one in which nothing is lost, and may be that of a run that was killed before it had begun', async () => {
    mkdirSync('runs/linear-mnist', { recursive: true })
    writeFileSync('runs/linear-mnist/mine.txt', 'mine')
    writeFileSync('runs/linear-mnist-2', 'a file')
    await killed(8, unnamed)
    expect(namesIn('runs/linear-mnist-3').map((name) => name.slice(0, 9))).toEqual(['.toeplitz', 'run.lock'])
    expect(await run(unnamed)).toContain('results in runs/linear-mnist-3')
    expect(namesIn('runs/linear-mnist-3')).toEqual(finished)
    expect(namesIn('runs')).toHaveLength(3)
  })

  it('is to be resumed where it is the last that is not finished, nor in use', async () => {
    expect((await refusal(run({ ...unnamed, resume: true }))).message).toContain('there is no unfinished run')
    await killed(later, unnamed)
    await killed(later, unnamed)
    await run(unnamed)
    expect(namesIn('runs')).toHaveLength(3)
    // Numbers that are missing are passed over.
    cpSync('runs/linear-mnist-2', 'runs/linear-mnist-11', { recursive: true })
    const folder = await hold('runs/linear-mnist-11')
    expect(await run({ ...unnamed, resume: true })).toContain('results in runs/linear-mnist-2\n')
    expect(await run({ ...unnamed, resume: true })).toContain('results in runs/linear-mnist\n')
    const error = await refusal(run({ ...unnamed, resume: true }))
    expect(error).toBeInstanceOf(InUseError)
    expect(error.message).toContain('runs/linear-mnist-11: in use by another run')
    folder.close()
    expect(await run({ ...unnamed, resume: true })).toContain('results in runs/linear-mnist-11\n')
    for (const name of namesIn('runs')) expect(hashIn(join('runs', name))).toBe(whole)
  })
})

describe('options that contradict one another', () => {
  it.each<[Partial<TrainOptions>, string]>([
    [{ resume: 'out', force: true }, '--force starts a run over, --resume goes on with it; give one of the two'],
    [{ acceptChangedData: true }, '--accept-changed-data: only a run that goes on by --resume has data to compare'],
  ])('%j', async (changes, message) => {
    const error = await refusal(run(changes))
    expect(error).toBeInstanceOf(UsageError)
    expect(error.message).toBe(message)
    expect(namesIn('.')).toEqual([])
  })
})

describe('metrics', () => {
  it.each<[string, () => void]>([
    ['lost', () => rmSync('out/metrics.jsonl')],
    ['cut short', () => writeFileSync('out/metrics.jsonl', readFileSync('out/metrics.jsonl').subarray(0, 500))],
    [
      'changed',
      () =>
        writeFileSync('out/metrics.jsonl', readFileSync('out/metrics.jsonl', 'utf8').replace('"step":1,', '"step":9,')),
    ],
  ])('that are %s do not prevent going on', async (_, damage) => {
    await killed(later)
    const steps = (): number[] =>
      readFileSync('out/metrics.jsonl', 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { type: string; step: number })
        .filter(({ type }) => type === 'step')
        .map(({ step }) => step)
    const before = steps()
    expect(before.length).toBeGreaterThan(99)
    damage()
    const out = await run({ resume: 'out' })
    expect(out).toContain('out/metrics.jsonl: lost or damaged; the run goes on, but its report lacks the steps so far')
    expect(hashIn('out')).toBe(whole)
    expect(namesIn('out')).toEqual(finished)
    const after = steps()
    expect(after.at(-1)).toBe(208)
    expect(after).toEqual(Array.from(after, (_, index) => 209 - after.length + index))
  })
})

describe('data that changed since a run was started', () => {
  /** 40 pictures of 6 × 6 in two classes. */
  function writePictures(): void {
    for (let n = 0; n < 40; n++) {
      const directory = n % 2 ? 'photos/dark' : 'photos/light'
      mkdirSync(directory, { recursive: true })
      const data = new Uint8Array(36).fill(n % 2 ? n : 255 - n)
      writeFileSync(join(directory, `${n}.png`), encodePng({ width: 6, height: 6, channels: 1, data }))
    }
  }
  const photos: Partial<TrainOptions> = { data: 'photos', dataDir: undefined!, epochs: 3 }
  const resume: Partial<TrainOptions> = { ...photos, resume: 'out' }
  const another = encodePng({ width: 6, height: 6, channels: 1, data: new Uint8Array(36).fill(77) })

  beforeEach(async () => {
    writePictures()
    await run({ ...photos, out: 'straight' })
    await killed(later, photos)
    expect(existsSync('out/checkpoint.safetensors')).toBe(true)
  })

  it('is refused by the names of what changed, and goes on when it is brought back', async () => {
    const before = readFileSync('photos/dark/1.png')
    writeFileSync('photos/dark/1.png', another)
    writeFileSync('photos/light/new.png', another)
    rmSync('photos/light/0.png')
    const left = namesIn('out').filter((name) => !name.startsWith('.') && !name.startsWith('run.lock'))
    const error = await refusal(run(resume))
    expect(error.code).toBe('DATA_CHANGED')
    expect(error.message).toBe(
      '--resume out: the data is not what the run was started on: 1 changed (dark/1.png), 1 new (light/new.png), ' +
        '1 missing (light/0.png); bring it back (--data-dir), or go on with what is there by --accept-changed-data',
    )
    expect(namesIn('out')).toEqual(left)
    writePictures()
    rmSync('photos/light/new.png')
    expect(readFileSync('photos/dark/1.png')).toEqual(before)
    await run(resume)
    expect(hashIn('out')).toBe(hashIn('straight'))
  })

  it('is accepted on request, and is the data of the run from then on', async () => {
    for (const name of namesIn('photos/dark')) writeFileSync(join('photos/dark', name), another)
    const accepted = killed(later, { ...resume, acceptChangedData: true })
    await accepted
    // Without being asked again, but for what changes after.
    expect(await run(resume)).not.toContain('the data is not')
    expect(namesIn('out')).toEqual(finished)
    expect(hashIn('out')).not.toBe(hashIn('straight'))
  })

  it('is told when it is accepted, more pictures too', async () => {
    for (let n = 0; n < 9; n++) writeFileSync(`photos/dark/more${n}.png`, another)
    const out = await run({ ...resume, acceptChangedData: true })
    expect(out).toContain(
      'the data is not what the run was started on: 9 new (dark/more0.png, dark/more1.png, dark/more2.png, ' +
        'dark/more3.png, dark/more4.png, and 4 more); accepted',
    )
    expect(namesIn('out')).toEqual(finished)
    // An epoch of more steps, from its start.
    const steps = readFileSync('out/metrics.jsonl', 'utf8').match(/"type":"epoch","epoch":\d/g)
    expect(steps).toEqual([1, 2, 3].map((epoch) => `"type":"epoch","epoch":${epoch}`))
  })

  it.each<[string, () => void]>([
    ['lost', () => rmSync('out/data.json')],
    ['damaged', () => writeFileSync('out/data.json', '{')],
  ])('is refused though the list of its parts is %s; the same data is not', async (_, damage) => {
    damage()
    writeFileSync('photos/dark/1.png', another)
    expect((await refusal(run(resume))).message).toContain('what has changed cannot be told, as data.json is missing')
    writePictures()
    await run(resume)
    expect(hashIn('out')).toBe(hashIn('straight'))
  })

  it('is refused in files of a published set; the same, gzipped and elsewhere, is not', async () => {
    await killed(later, { out: 'digits' })
    bury('digits')
    cpSync(data, 'moved', { recursive: true })
    const labels = readFileSync('moved/train-labels-idx1-ubyte')
    labels[20]! ^= 1
    writeFileSync('moved/train-labels-idx1-ubyte', labels)
    const error = await refusal(run({ resume: 'digits', dataDir: 'moved' }))
    expect(error.message).toContain('1 changed (training labels)')
    rmSync('moved', { recursive: true })
    mkdirSync('moved')
    for (const name of namesIn(data)) writeFileSync(`moved/${name}.gz`, gzipSync(readFileSync(join(data, name))))
    await run({ resume: 'digits', dataDir: 'moved' })
    expect(hashIn('digits')).toBe(whole)
  })
})

describe('a learning rate that is too high', () => {
  it('is told where training ends no better than by guessing, though every number is finite', async () => {
    const told = /warning: the training loss is [\d.]+, no lower than that of guessing \(2\.3026\): .*; try --lr 3$/m
    expect(await run({ ...long, lr: 30, force: true })).toMatch(told)
    expect(await run({ ...long, force: true })).not.toContain('guessing')
  })
})

describe('an event file for TensorBoard', () => {
  const file = 'events.out.tfevents.toeplitz'
  const eventsIn = (folder: string) =>
    recordsOf(readFileSync(join(folder, file)))
      .slice(1)
      .map(scalarsOf)

  it('holds what metrics.jsonl holds, and is only written on request', async () => {
    await run({ ...long, tensorboard: true })
    expect(namesIn('out')).toEqual([...finished, file].sort())
    const lines = readFileSync('out/metrics.jsonl', 'utf8').trim().split('\n')
    const events = eventsIn('out')
    expect(events).toHaveLength(lines.length)
    let last = 0
    for (const [n, line] of lines.entries()) {
      const record = JSON.parse(line) as Record<string, number> & { type: string }
      const { step, scalars } = events[n]!
      if (record.type === 'step') last = record['step']!
      expect(step).toBe(last)
      if (record.type === 'step') {
        const { loss, accuracy, learningRate } = record
        const expected = { 'loss/step': loss!, 'accuracy/running': accuracy!, 'learning rate': learningRate! }
        expect(scalars).toEqual(Object.fromEntries(Object.entries(expected).map(([k, v]) => [k, Math.fround(v)])))
      } else if (record.type === 'epoch') {
        expect(scalars['loss/validation']).toBe(Math.fround(record['validationLoss']!))
        expect(scalars['accuracy/training']).toBe(Math.fround(record['trainingAccuracy']!))
      } else expect(scalars['loss/test']).toBe(Math.fround(record['loss']!))
    }
    await run({ ...long, force: true })
    expect(namesIn('out')).toEqual(finished)
  })

  it('is whole after a kill and another start', async () => {
    await killed(later, { ...long, tensorboard: true })
    // The file alone says that it is wanted.
    await run({ ...long, resume: 'out' })
    const steps = eventsIn('out').filter(({ scalars }) => 'loss/step' in scalars)
    expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: 208 }, (_, n) => n + 1))
    expect(eventsIn('out').at(-1).scalars).toHaveProperty('loss/test')
  })
})
