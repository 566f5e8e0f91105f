/** The rows that the benches make, without peers and with one round of their smallest cases. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

interface Row {
  readonly bench: string
  readonly case: string
  readonly algorithm: string
  readonly ours_ms: number
  readonly peers: Readonly<Record<string, number>>
  readonly ratio: number | null
  readonly growth?: Growth
}

interface Growth {
  readonly by: 'images' | 'pixels'
  readonly sizes: readonly number[]
  readonly ms: readonly number[]
  readonly algorithms: readonly string[]
  readonly exponent: number
  readonly memory_bytes: { readonly live: number; readonly peak: number; readonly reserved: number }
}

interface Bench {
  readonly bench: { run: (options: object) => Promise<Row[]> }
}

const load = async (file: string): Promise<unknown> => import(new URL(`../../bench/${file}`, import.meta.url).href)

const smallest: [name: string, options: object, rows: number, algorithm: RegExp][] = [
  ['train-step', { networks: ['lenet5'], batch: 2 }, 1, /^forward .*; linear: dot 1 \| input gradient .* \| weight .*/],
  ['layers', { layers: ['lenet5/c1', 'lenet5/c5'] }, 2, /^[a-z]+2?$/],
  ['forward', { networks: ['lenet5'] }, 1, /^[a-z]+ \d.*; linear: dot 1$/],
  ['start', { networks: ['lenet5'] }, 1, /^[a-z]+ \d.*; linear: dot 1$/],
  ['gemm', {}, 10, /^(gemm|register tile)$/],
  ['large', {}, 11, /^(fft|separable)$/],
  ['integers', {}, 23, /^integers; [a-z]+2? in float32$/],
  ['growth', { layers: ['linear'] }, 1, /^(gemm|dot)$/],
  ['accuracy', { layers: ['lenet5/c5'] }, 5, /^[a-z]+2?(, asked for)?$/],
]

describe('a row', () => {
  it.each(smallest)('of %s has every field that is promised', async (name, options, count, algorithm) => {
    const { bench } = (await load(`${name}.mjs`)) as Bench
    const rows = await bench.run({ ...options, threads: 1, rounds: 1, peers: [], log: () => undefined })
    for (const row of rows) {
      expect(row).toMatchObject({
        bench: name,
        case: expect.stringMatching(/./) as string,
        family: expect.stringMatching(/./) as string,
        ours_ms: expect.any(Number) as number,
        peers: {},
        ratio: null,
        algorithm: expect.stringMatching(algorithm) as string,
        threads: 1,
        simd: 'strict',
      })
    }
    expect(rows).toHaveLength(count)
  })
})

describe('scaling', () => {
  it('has one thread beside several', async () => {
    const { bench } = (await load('scaling.mjs')) as Bench
    const rows = await bench.run({ networks: ['lenet5'], rounds: 1, log: () => undefined })
    expect(rows).toMatchObject([
      { case: 'lenet5', threads: 2, peers: { 'one thread': expect.any(Number) as number } },
      { case: 'LeNet-5, batch 128', threads: 2, peers: { 'one thread': expect.any(Number) as number } },
    ])
    for (const { ratio, ours_ms, peers } of rows) expect(ratio).toBeCloseTo(peers['one thread']! / ours_ms, 9)
  })
})

describe('resultTables', () => {
  it('shows how many rounds a peer had that was too slow for all, and why another has no time', async () => {
    const { resultTables } = (await load('lib/markdown.mjs')) as { resultTables: (rows: object[]) => string }
    const machine = { cpu: 'CPU', versions: { node: '20', jax: '1' }, date: '2026-01-02T03:04:05Z' }
    const row = {
      ...{ bench: 'b', case: 'c', family: 'f', algorithm: 'gemm', threads: 1, simd: 'strict', machine },
      ...{ ours_ms: 2, peers: { jax: 20 }, ratio: 10, ratios: { jax: 10 }, left_out: { torch: 'not installed' } },
      ...{ spread_ms: { ours: 0, jax: 0 }, rounds: 9, peer_rounds: { jax: 1 } },
    }
    expect(resultTables([row]).split('\n')).toEqual([
      '| case | ours, ms | jax, ms | torch, ms | ratio |',
      '| --- | --: | --: | --: | --: |',
      '| c | 2 | 20 (1 round) | not installed | 10 × |',
      '',
      'CPU, 1 thread, Node 20, jax 1, torch not installed, 2026-01-02.',
    ])
    expect(resultTables([{ ...row, peer_rounds: { jax: 2 } }])).toContain('| 20 (2 rounds) |')
    // Other ways of the library itself have a time, and no version.
    const ways = { ...row, peers: { gemm: 20 }, ratios: { gemm: 10 }, left_out: {}, peer_rounds: {} }
    expect(resultTables([ways]).split('\n').at(-1)).toBe('CPU, 1 thread, Node 20, 2026-01-02.')
  })
})

describe('growth', async () => {
  const { exponentOf, timesEach, memoryChange } = (await load('lib/growth.mjs')) as {
    exponentOf: (sizes: readonly number[], times: readonly number[]) => number
    timesEach: (growth: Growth) => string
    memoryChange: (growth: Growth) => string
  }
  const growth: Growth = {
    by: 'images',
    sizes: [1, 2, 4],
    ms: [0.5, 1, 1.6],
    algorithms: ['dot', 'dot', 'gemm'],
    exponent: 1,
    memory_bytes: { live: 0, peak: 0, reserved: 0 },
  }

  it('is fitted to all sizes', () => {
    const sizes = [1, 2, 4, 8]
    for (const exponent of [0, 1, 1.5]) {
      const times = sizes.map((size) => 3 * size ** exponent)
      expect(exponentOf(sizes, times)).toBeCloseTo(exponent, 12)
    }
    // Slope 1 from 1 to 2 and 0 from 2 to 4: by symmetry half.
    expect(exponentOf([1, 2, 4], [1, 2, 2])).toBeCloseTo(0.5, 12)
  })

  it('shows the time of one, where the algorithm changes, and what memory was taken', () => {
    expect(timesEach(growth)).toBe('500 500 | 400 µs/image')
    expect(timesEach({ ...growth, by: 'pixels' })).toBe('500000 500000 | 400000 ns/pixel')
    expect(memoryChange(growth)).toBe('same')
    const more = { live: 64, peak: 0, reserved: 65536 }
    expect(memoryChange({ ...growth, memory_bytes: more })).toBe('live +64, reserved +65536')
  })

  it('is linear in the committed results, and takes no memory', () => {
    const text = readFileSync(new URL('../../bench/results/growth.json', import.meta.url), 'utf8')
    const rows = JSON.parse(text) as Required<Row>[]
    expect(new Set(rows.map((row) => row.growth.by))).toEqual(new Set(['images', 'pixels']))
    for (const { case: name, ours_ms: last, algorithm, growth } of rows) {
      expect(growth.exponent, name).toBeLessThan(1.1)
      expect(growth.exponent, name).toBeCloseTo(exponentOf(growth.sizes, growth.ms), 4)
      expect(growth.memory_bytes, name).toEqual({ live: 0, peak: 0, reserved: 0 })
      expect([growth.ms.at(-1), growth.algorithms.at(-1)]).toEqual([last, algorithm])
    }
  })
})
