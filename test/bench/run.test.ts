import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it, vi } from 'vitest'

type Timings = Record<string, { median: number; spread: number; samples: number[] }>
type Measure = (
  contenders: Record<string, () => unknown>,
  options: Partial<
    Record<
      | 'rounds'
      | 'fewestRounds'
      | 'mostRounds'
      | 'budgetMilliseconds'
      | 'shareMilliseconds'
      | 'warmups'
      | 'shortestSample',
      number
    >
  >,
) => Promise<Timings>

const load = async (file: string): Promise<unknown> => import(new URL(`../../bench/${file}`, import.meta.url).href)

const bench = (...args: string[]) =>
  spawnSync(process.execPath, [fileURLToPath(new URL('../../bench/run.mjs', import.meta.url)), ...args], {
    encoding: 'utf8',
  })

describe('npm run bench', () => {
  it.each([
    [
      ['nonsense'],
      /^bench: unknown bench nonsense: expected train-step, layers, forward, start, gemm, growth, scaling, accuracy, models, large, integers\n$/,
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
    [
      ['models', '--network', 'zoo/resnet'],
      /^bench: --network zoo\/resnet: no network "zoo\/resnet", expected npm, zoo, npm.*\n$/,
    ],
    [['models', '--network', 'light'], /^bench: --network light: no network "light", expected npm.*\n$/],
    [['models', '--light', 'nowhere'], /^bench: --light nowhere: there is no such folder\n$/],
    [['models', '--models', 'test/bench'], /^bench: --models test\/bench: the folder has no \.onnx files\n$/],
    [['forward', '--models', 'test'], /^bench: --models test: not an option of forward\n$/],
    [['gemm', '--peers', 'tfjs-wasm'], /^bench: --peers tfjs-wasm: no peer "tfjs-wasm" here, expected none\n$/],
  ])('refuses %j in one line, exit code 2', (args, message) => {
    const { status, stdout, stderr } = bench(...args)
    expect(stderr).toMatch(message)
    expect(stdout).toBe('')
    expect(status).toBe(2)
  })

  it('explains itself before anything is built or installed', () => {
    const { status, stdout } = bench('--help')
    for (const name of [
      'train-step',
      'layers',
      'forward',
      'start',
      'gemm',
      'growth',
      'accuracy',
      'models',
      'large',
      'integers',
    ])
      expect(stdout).toContain(name)
    expect(status).toBe(0)
  })
})

describe('measure', async () => {
  const { measure } = (await load('lib/measure.mjs')) as { measure: Measure }

  it('warms everyone up, then lets them take turns, beginning with another one each round', async () => {
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

  describe('of 1 ms against 10 ms', () => {
    afterEach(() => void vi.restoreAllMocks())

    it.each([
      ['as many rounds as there may be', { mostRounds: 9 }, [9, 9]],
      ['until another round would overrun the budget', { fewestRounds: 2, budgetMilliseconds: 35 }, [3, 3]],
      ['the fewest rounds in any case', { fewestRounds: 2, budgetMilliseconds: 5 }, [2, 2]],
      [
        'to the slower one as many as fit into its share, warm-up included',
        { mostRounds: 9, shareMilliseconds: 35 },
        [9, 2],
      ],
      ['at least one to the slower one', { mostRounds: 9, shareMilliseconds: 9.5 }, [8, 1]],
      [
        'the others more, for what the slower one leaves of the budget',
        { budgetMilliseconds: 17, shareMilliseconds: 15 },
        [7, 1],
      ],
      ['what is asked for', { rounds: 4, budgetMilliseconds: 5, shareMilliseconds: 5 }, [4, 4]],
    ])('gives %s', async (_, options, rounds) => {
      let clock = 0
      vi.spyOn(performance, 'now').mockImplementation(() => clock)
      const contenders = { ours: () => void (clock += 1), slow: () => void (clock += 10) }
      const { ours, slow } = await measure(contenders, { warmups: 1, shortestSample: 0, ...options })
      expect([ours?.samples.length, slow?.samples.length]).toEqual(rounds)
      expect([ours?.median, slow?.median]).toEqual([1, 10])
    })
  })
})

describe('toRow', () => {
  it('says which peers had fewer rounds, and compares with the fastest that is not native', async () => {
    const { toRow } = (await load('lib/row.mjs')) as { toRow: (about: object, timings: Timings) => object }
    const timing = (...samples: number[]) => ({ median: samples[0] ?? NaN, spread: 0, samples })
    const about = { bench: 'b', case: 'c', family: 'f', algorithm: 'gemm', threads: 1, simd: 'strict' }
    expect(toRow(about, { ours: timing(2, 2), jax: timing(20), tfjs: timing(4, 4), pytorch: timing(1, 1) })).toEqual({
      ...about,
      ours_ms: 2,
      peers: { jax: 20, tfjs: 4, pytorch: 1 },
      ratio: 2,
      ratios: { jax: 10, tfjs: 2, pytorch: 0.5 },
      spread_ms: { ours: 0, jax: 0, tfjs: 0, pytorch: 0 },
      rounds: 2,
      peer_rounds: { jax: 1 },
    })
  })
})
