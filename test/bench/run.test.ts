import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

type Measure = (
  contenders: Record<string, () => unknown>,
  options: { rounds: number; warmups: number; shortestSample: number },
) => Promise<Record<string, { median: number; spread: number; samples: number[] }>>

const bench = (...args: string[]) =>
  spawnSync(process.execPath, [fileURLToPath(new URL('../../bench/run.mjs', import.meta.url)), ...args], {
    encoding: 'utf8',
  })

describe('npm run bench', () => {
  it.each([
    [
      ['nonsense'],
      /^bench: unknown bench nonsense: expected train-step, layers, forward, start, gemm, growth, accuracy\n$/,
    ],
    [['--nonsense'], /^bench: Unknown option '--nonsense'.*\n$/],
    [['train-step', '--batch', 'abc'], /^bench: --batch abc: expected a whole number.*\n$/],
    [['train-step', '--rounds', '0'], /^bench: --rounds 0: expected a whole number.*\n$/],
    [
      ['train-step', '--peers', 'nonsense'],
      /^bench: --peers nonsense: no peer "nonsense" here, expected convnetjs.*\n$/,
    ],
    [['train-step', '--layer', 'vgg16'], /^bench: --layer vgg16: not an option of train-step\n$/],
    [
      ['train-step', '--network', 'mnist,resnet'],
      /^bench: --network mnist,resnet: no network "resnet", expected mnist.*\n$/,
    ],
    [['train-step', '--network', 'mnist', '--save'], /^bench: --save with --network mnist: .*\n$/],
    [['layers', '--network', 'lenet5'], /^bench: --network lenet5: not an option of layers\n$/],
    [['forward', '--network', 'mnist'], /^bench: --network mnist: no network "mnist", expected lenet5, alexnet.*\n$/],
    [['start', '--network', 'lenet5', '--save'], /^bench: --save with --network lenet5: .*\n$/],
    [['layers', 'gemm', '--batch', '2'], /^bench: --batch 2: not an option of layers or gemm\n$/],
    [['layers', '--layer', 'vgg16,nonsense'], /^bench: --layer vgg16,nonsense: no layer "nonsense", expected .*\n$/],
    [['layers', '--layer', 'vgg16', '--save'], /^bench: --save with --layer vgg16: .*\n$/],
    [['layers', '--threads', 'two'], /^bench: --threads two: expected a whole number.*\n$/],
    [['gemm', '--peers', 'tfjs-wasm'], /^bench: --peers tfjs-wasm: no peer "tfjs-wasm" here, expected none\n$/],
  ])('refuses %j in one line, exit code 2', (args, message) => {
    const { status, stdout, stderr } = bench(...args)
    expect(stderr).toMatch(message)
    expect(stdout).toBe('')
    expect(status).toBe(2)
  })

  it('explains itself before anything is built or installed', () => {
    const { status, stdout } = bench('--help')
    for (const name of ['train-step', 'layers', 'forward', 'start', 'gemm', 'growth', 'accuracy'])
      expect(stdout).toContain(name)
    expect(status).toBe(0)
  })
})

describe('measure', () => {
  it('warms everyone up, then lets them take turns, beginning with another one each round', async () => {
    const { measure } = (await import(new URL('../../bench/lib/measure.mjs', import.meta.url).href)) as {
      measure: Measure
    }
    const calls: string[] = []
    const timings = await measure(
      { a: () => calls.push('a'), b: async () => Promise.resolve(calls.push('b')) },
      { rounds: 3, warmups: 2, shortestSample: 0 },
    )
    expect(calls.join('')).toBe('aabb' + 'ab' + 'ba' + 'ab')
    expect(Object.keys(timings)).toEqual(['a', 'b'])
    expect(timings.a?.samples).toHaveLength(3)
    expect(timings.a?.median).toBe([...(timings.a?.samples ?? [])].sort((x, y) => x - y)[1])
  })
})
