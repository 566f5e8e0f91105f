/** The lecture's tables, row by row, and the parameter counts of the papers. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import type { SummaryRow } from '../../src/nn/index.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { architectures, createModel, googlenet, lenet5, nin, vgg, type VggConfiguration } from '../../src/zoo/index.js'

beforeAll(() => init())

type TableRow = readonly [layer: string, parameters: number, operations: number, output: readonly number[]]

const path = join(import.meta.dirname, '../fixtures/architectures.json')
const { about, ...tables } = JSON.parse(readFileSync(path, 'utf8')) as { about: string } & Record<string, TableRow[]>

/** (W, H, C) of the tables as (C, H, W). */
const volume = (output: readonly number[]): number[] => [...output].reverse()

describe('the lecture’s tables', () => {
  it('are seven', () => {
    expect(about).toContain('Per layer')
    expect(Object.keys(tables)).toHaveLength(7)
  })

  it.each(Object.entries(tables))('%s: every row, and nothing that costs between them', (name, rows) => {
    const before = memoryUsage().liveBytes
    const { layers, total } = createModel(name).summary()
    expect(memoryUsage().liveBytes).toBe(before)
    const left = [...rows]
    const extra: SummaryRow[] = []
    for (const row of layers) {
      if (row.layer !== left[0]?.[0]) extra.push(row)
      else {
        const [layer, parameters, operations, output] = left.shift()!
        expect([row.layer, row.parameters, row.operations, row.output]).toEqual([
          layer,
          parameters,
          operations,
          volume(output),
        ])
      }
    }
    expect(left).toEqual([])
    expect(extra.filter(({ parameters, operations }) => parameters > 0 || operations > 0)).toEqual([])
    expect(total.parameters).toBe(rows.reduce((sum, row) => sum + row[1], 0))
    expect(total.operations).toBe(rows.reduce((sum, row) => sum + row[2], 0))
  })

  it('show the branches of an inception module as children that add up to it', () => {
    const rows = googlenet()
      .summary()
      .layers.filter(({ children }) => children)
    expect(rows).toHaveLength(9)
    for (const { parameters, operations, children } of rows) {
      expect(children!.reduce((sum, child) => sum + child.parameters, 0)).toBe(parameters)
      expect(children!.reduce((sum, child) => sum + child.operations, 0)).toBe(operations)
    }
    expect(rows[0]!.children!.filter((child) => child.parameters > 0).map(({ layer }) => layer)).toEqual([
      'conv(1, 64)',
      'conv(1, 96)',
      'conv(3, 128, p1)',
      'conv(1, 16)',
      'conv(5, 32, p2)',
      'conv(1, 32)',
    ])
  })
})

describe('the papers’ parameter counts', () => {
  // Simonyan & Zisserman, table 2, in millions.
  it.each<[VggConfiguration, number]>([
    ['A', 133],
    ['A-LRN', 133],
    ['B', 133],
    ['C', 134],
    ['D', 138],
    ['E', 144],
  ])('VGG %s has %i million', (configuration, millions) => {
    expect(Math.round(vgg({ configuration }).summary().total.parameters / 1e6)).toBe(millions)
  })

  it('Network in Network has the 29 MB of the authors’ file, and 0.97 million for CIFAR-10', () => {
    const { parameters } = nin().summary().total
    expect(parameters).toBe(7_595_176)
    expect(Math.round((4 * parameters) / 2 ** 20)).toBe(29)
    expect(nin({ variant: 'cifar10' }).summary().total.parameters).toBe(966_986)
    // The paper's sizes of the feature maps.
    expect(
      nin({ variant: 'cifar10' })
        .shapes()
        .filter((shape) => shape.length === 3)
        .map(([, H]) => H),
    ).toEqual(
      [...new Array<number>(6).fill(32), 16, 16, ...new Array<number>(6).fill(16), 8, 8, ...new Array<number>(6).fill(8), 1], // prettier-ignore
    )
  })

  it('LeNet-5 has 60,000, layer by layer as in section II.B', () => {
    const { layers, total } = lenet5({ variant: 'paper' }).summary()
    const trained = layers.filter(({ parameters }) => parameters > 0)
    expect(trained.map(({ name, parameters }) => [name, parameters])).toEqual([
      ['c1', 156],
      ['s2', 12],
      ['c3', 1516],
      ['s4', 32],
      ['c5', 48120],
      ['f6', 10164],
    ])
    expect(total.parameters).toBe(60_000)
  })

  it('AlexNet has 60 million in two groups, and the same for both orders', () => {
    expect(createModel('caffenet').summary().total.parameters).toBe(60_965_224)
    expect(createModel('alexnet-paper').summary().total.parameters).toBe(60_965_224)
  })

  it('GoogLeNet has 7 million, with auxiliary classifiers 13', () => {
    expect(googlenet().summary().total.parameters).toBe(6_998_552)
    expect(googlenet().summary(undefined, { training: true }).total.parameters).toBe(13_378_280)
  })
})

describe('receptive fields', () => {
  const fieldsOf = (name: string): Record<string, (number | undefined)[]> =>
    Object.fromEntries(
      createModel(name)
        .summary()
        .layers.map((row) => [
          row.name,
          [row.receptiveField?.size[0], row.receptiveField?.stride[0], row.receptiveField?.offset[0]],
        ]),
    )

  it('of VGG-16 and AlexNet are those computed by hand', () => {
    const { pool1, conv3_3, pool5, fc6 } = fieldsOf('vgg16')
    expect([pool1, conv3_3, pool5, fc6]).toEqual([
      [6, 2, -2],
      [40, 4, -18],
      [212, 32, -90],
      [404, 32, -90],
    ])
    const { conv1, pool1: first, conv2, pool5: last } = fieldsOf('alexnet')
    expect([conv1, first, conv2, last]).toEqual([
      [11, 4, 0],
      [19, 8, 0],
      [51, 8, -16],
      [195, 32, -64],
    ])
  })

  it('of an inception module are those of its widest branch', () => {
    const fields = fieldsOf('googlenet')
    // pool2 sees 27 by 8 from −13 on; two more on each side of 5 × 5, at a stride of 8.
    expect(fields['pool2']).toEqual([27, 8, -13])
    expect(fields['3a']).toEqual([27 + 4 * 8, 8, -13 - 2 * 8])
  })
})

describe('names', () => {
  it('that do not exist are answered by the nearest', () => {
    const make = (name: string) => createModel(name)
    expect(() => make('vgg17')).toThrow(ShapeError)
    expect(() => make('vgg17')).toThrow(/no architecture 'vgg17'; did you mean vgg16 or vgg19/)
    expect(() => make('vgg61')).toThrow(/did you mean vgg-a or/)
    expect(() => make('GoogleNet2')).toThrow(/did you mean googlenet\?/)
    expect(() => make('lenet')).toThrow(/did you mean lenet5/)
    expect(() => make('toString')).toThrow(/there is no architecture 'toString'/)
    expect(() => make('zzzzzzzzzzzzzz')).toThrow(/there are linear, .*googlenet/)
  })

  it('all make models', () => {
    for (const [name, { about: line }] of Object.entries(architectures)) {
      expect(line).not.toContain('\n')
      expect(createModel(name).summary().total.parameters).toBeGreaterThan(0)
    }
  })
})
