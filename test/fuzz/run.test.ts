/** The runner of `npm run fuzz`: that it finds each kind of fault, goes on after it, and says how to see it again. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'

interface Run {
  readonly code: number
  readonly output: string
}

const fuzz = (...args: readonly string[]): Promise<Run> =>
  new Promise((resolve) => {
    execFile(process.execPath, ['test/fuzz/run.mjs', ...args], (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, output: stdout + stderr })
    })
  })

/** The counts of a target: cases, refused, accepted, wrong, slow. */
const countsOf = (output: string, target: string): number[] =>
  (new RegExp(`^${target} +(.*) \\d+ MiB$`, 'm').exec(output)?.[1] ?? '').trim().split(/ +/).map(Number)

const kinds = {
  foreign: /foreign error.*TypeError: foreign on purpose/,
  wrong: /wrong.*wrong on purpose/,
  leak: /leak.*bytes of linear memory stay in use/,
  guard: /wrong.*the guards of a (live|released) block of 64 bytes were overwritten/,
  memory: /memory.*took 1\d\d MiB for 0 MiB of results/,
  slow: /slow.*took \d+\.\d s of computing/,
  trap: /foreign error.*CoreError: norm_scale/,
  crash: /crash.*the process ended with SIG/,
  hang: /hang.*no end after 8 s/,
}

it('finds faults of every kind, goes on after them, and says how to see them again', async () => {
  const names = Object.keys(kinds).map((kind) => `self-test-${kind}`)
  // Of the first four cases of this seed, each target has one that is a fault.
  const { code, output } = await fuzz('--target', names.join(), '--seed', '60', '--cases', '4', '--patience', '8')
  expect(code).toBe(1)
  for (const [kind, message] of Object.entries(kinds)) {
    const target = `self-test-${kind}`
    expect(output).toMatch(message)
    const [cases, refused, accepted, wrong, slow] = countsOf(output, target) as [number, number, number, number, number]
    expect([target, cases, refused + accepted + wrong + slow]).toEqual([target, 4, 4])
    expect([target, kind === 'slow' ? slow : wrong]).toEqual([target, 1])
  }
  for (const [target, said] of [
    ['self-test-foreign', /foreign on purpose/],
    ['self-test-crash', /crash: the process ended with SIG/],
  ] as const) {
    const repeat = new RegExp(`npm run fuzz -- (--target ${target} --seed 60 --case \\d+)`).exec(output)?.[1] ?? ''
    const again = await fuzz(...repeat.split(' '))
    expect(again.output).toMatch(said)
    expect(again.code).toBe(1)
  }
})

it('finds nothing where nothing is wrong, and draws the same cases again', async () => {
  const first = await fuzz('--target', 'cifar10,idx', '--cases', '30', '--seed', '5')
  expect(first.code).toBe(0)
  expect(first.output).toContain('seed 5')
  expect(first.output).toContain('no fault')
  const second = await fuzz('--target', 'cifar10,idx', '--cases', '30', '--seed', '5')
  for (const target of ['cifar10', 'idx'])
    expect(countsOf(second.output, target)).toEqual(countsOf(first.output, target))
})

it('makes cases of the models in a folder', async () => {
  const given = ['--target', 'onnx-real', '--cases', '4', '--models', 'test/fixtures/onnx']
  const { code, output } = await fuzz(...given)
  expect(output).toContain('no fault')
  expect(code).toBe(0)
  const [cases, refused, accepted] = countsOf(output, 'onnx-real') as [number, number, number]
  expect([cases, refused + accepted]).toEqual([4, 4])
})

it('makes a case smaller and saves it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'toeplitz-fuzz-test-'))
  try {
    const file = join(folder, 'case.json')
    const { output } = await fuzz('--target', 'self-test-sum', '--case', '2', '--shrink', '--save', file)
    expect(output).toContain('smaller:')
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual([100])
    const { code } = await fuzz('--target', 'self-test-sum', '--file', file)
    expect(code).toBe(1)
  } finally {
    await rm(folder, { recursive: true })
  }
})

it('refuses what it does not know', async () => {
  for (const args of [
    ['--target', 'nothing'],
    ['--cases', 'many'],
    ['--nothing'],
    ['--case', '3'],
    ['--target', 'onnx-real'],
  ]) {
    const { code, output } = await fuzz(...args)
    expect(output).toMatch(/^fuzz: /m)
    expect(code).toBe(2)
  }
})

it('judges every case that was a fault once, and none is one again', async () => {
  const { code, output } = await fuzz('--corpus')
  expect(output).toContain('no fault')
  expect(code).toBe(0)
})
