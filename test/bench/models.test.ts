/** Models from elsewhere: which there are, what they are given, the rows that are made of them and what these come to. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const load = async (file: string): Promise<unknown> => import(new URL(`../../bench/${file}`, import.meta.url).href)

interface Listed {
  readonly name: string
  readonly family: string
  readonly extents?: readonly number[]
}

interface Row {
  readonly case: string
  readonly threads: number
  readonly ratio: number | null
  readonly start_ms: Record<string, number>
  readonly peak_mb: Record<string, number>
}

let folder: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'toeplitz-models-'))
  const { onnxModel } = (await load('lib/onnx.mjs')) as {
    onnxModel: (input: number[], nodes: object[], constants: object) => Uint8Array
  }
  const model = onnxModel([1, 2, 6, 6], [{ operator: 'Conv', inputs: ['x', 'w'], output: 'y' }], {
    w: { shape: [3, 2, 3, 3], data: Float32Array.from({ length: 54 }, (_, i) => i / 54) },
  })
  writeFileSync(join(folder, 'light_edges.onnx'), model)
  writeFileSync(join(folder, 'open@1x3x32x48.onnx'), '<html>')
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('the list of models', async () => {
  const { listModels } = (await load('models/list.mjs')) as { listModels: (folders?: object) => Listed[] }

  it('has every name once, and the files of folders that are given', () => {
    const names = listModels({ light: folder, models: folder }).map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    const own = listModels().map(({ name }) => name)
    expect(names.filter((name) => !own.includes(name))).toEqual([
      'light/edges',
      'light/open',
      'export/edges',
      'export/open',
    ])
    expect(own).toEqual(expect.arrayContaining(['npm/blazeface-front', 'zoo/googlenet']))
  })

  it('reads extents off the name of a file', () => {
    const extents = Object.fromEntries(listModels({ models: folder }).map(({ name, extents }) => [name, extents]))
    expect(extents).toMatchObject({ 'export/edges': undefined, 'export/open': [1, 3, 32, 48] })
  })
})

describe('the extents of inputs', async () => {
  const { extentsOf } = (await load('models/values.mjs')) as {
    extentsOf: (inputs: object[], extents?: number[]) => object[]
  }
  const input = (shape?: (number | string | null)[], dtype = 'float32') => [{ name: 'x', dtype, shape }]

  it.each<[string, (number | string | null)[] | undefined, number[] | undefined, number[]]>([
    ['those of the file', [2, 3, 4, 5], undefined, [2, 3, 4, 5]],
    ['one picture of an open batch', ['N', 3, 4, 5], undefined, [1, 3, 4, 5]],
    ['one picture of a batch without a name', [null, 3, 4, 5], undefined, [1, 3, 4, 5]],
    ['those that are given', ['N', 3, 'H', null], [1, 3, 32, 48], [1, 3, 32, 48]],
    ['those that are given where the file tells none', undefined, [1, 3, 32, 48], [1, 3, 32, 48]],
  ])('are %s', (_, shape, given, expected) => {
    expect(extentsOf(input(shape), given)).toEqual([{ name: 'x', shape: expected }])
  })

  it('must be known', () => {
    expect(() => extentsOf(input(['N', 3, 'H', null]))).toThrow(/^input 'x' is \(N, 3, H, \?\): name the file NAME@/)
    expect(() => extentsOf(input())).toThrow(/^input 'x' is \(\?\): name the file/)
    expect(() => extentsOf(input(['N', 3, 4, 5]), [1, 3])).toThrow(/^input 'x' is \(N, 3, 4, 5\): name the file/)
    expect(() => extentsOf(input([1], 'int64'))).toThrow("input 'x' is int64, only float32 can be measured here")
    expect(() => extentsOf([...input([1]), ...input([1])], [1])).toThrow('has 2 inputs, extents are given for one')
  })
})

describe('npm run bench -- models', () => {
  it('times a model on one thread and on two and starts it, and refuses a file that is no model', async () => {
    const { bench } = (await load('models.mjs')) as { bench: { run: (options: object) => Promise<Row[]> } }
    const refused: string[] = []
    const rows = await bench.run({
      ...{ networks: ['export'], models: folder, rounds: 1, peers: [] },
      log: () => undefined,
      refuse: (line: string) => void refused.push(line),
    })
    const number = expect.any(Number) as number
    const row = { bench: 'models', case: 'export/edges', family: 'export', ours_ms: number, peers: {}, ratio: null }
    const more = { algorithm: expect.stringMatching(/^[a-z]+2? 1$/) as string, simd: 'strict', start_ratio: null }
    expect(rows).toEqual(
      [1, 2].map((threads) => expect.objectContaining({ ...row, ...more, threads }) as Row), // one row each
    )
    for (const { start_ms, peak_mb } of rows) {
      expect(start_ms.ours).toBeGreaterThan(0)
      expect(peak_mb.ours).toBeGreaterThan(20)
    }
    expect(refused).toEqual([expect.stringMatching(/^models: export\/open, 1 thread: .*is a web page/)])
  })

  it('holds an output that is further from ours than the tolerance for wrong', async () => {
    const { distanceOf } = (await load('lib/peers.mjs')) as {
      distanceOf: (what: string, ours: Float32Array, peer: string, theirs: Float32Array, most: number) => number
    }
    const ours = Float32Array.of(1, -4)
    expect(distanceOf('y', ours, 'peer', Float32Array.of(1, -4.0002), 1e-4)).toBeCloseTo(5e-5, 6)
    expect(distanceOf('y', new Float32Array(2), 'peer', new Float32Array(2), 1e-4)).toBe(0)
    expect(() => distanceOf('y', ours, 'peer', Float32Array.of(1, -4.001), 1e-4)).toThrow(
      'y: ours and peer differ by 2.5e-4 of the largest output',
    )
    expect(() => distanceOf('y', ours, 'peer', Float32Array.of(1, NaN), 1e-4)).toThrow('differ by NaN')
    expect(() => distanceOf('y', ours, 'peer', ours.subarray(1), 1e-4)).toThrow('ours has 2 outputs, peer 1')
  })
})

describe('summarizeModels', async () => {
  const { summarizeModels } = (await load('lib/summary.mjs')) as { summarizeModels: (rows: object[]) => string[] }
  const row = (name: string, threads: number, ratio: number | null, start_ratio: number | null) => ({
    ...{ case: name, family: name.split('/')[0], threads, ratio, start_ratio },
  })

  it('tells means, the worst, the rows that are too slow and the starts that are not faster, by threads', () => {
    const rows = [row('npm/a', 1, 1, 0.5), row('zoo/b', 1, 4, 2), row('npm/a', 2, 9, 1), row('npm/c', 1, null, null)]
    expect(summarizeModels(rows)).toEqual([
      '1 thread: geometric mean all 2.00 × (2), real models and exports 1.00 × (1), npm 1.00 × (1), zoo 4.00 × (1); ' +
        'worst: npm/a 1.00 ×; below 1.1: npm/a 1.00 ×; starts that are not faster: npm/a 0.50 ×.',
      '2 threads: geometric mean all 9.00 × (1), real models and exports 9.00 × (1), npm 9.00 × (1); ' +
        'worst: npm/a 9.00 ×; below 1.1: none; starts that are not faster: npm/a 1.00 ×.',
    ])
    expect(summarizeModels([row('npm/a', 1, null, null)])).toEqual([])
  })
})
