import { runInNewContext } from 'node:vm'
import { decode } from 'fast-png'
import { describe, expect, it } from 'vitest'
import { renderReport } from '../../src/cli/report.js'
import type { ReportData, StepRecord } from '../../src/cli/records.js'
import { formatLoss } from '../../src/cli/numbers.js'
import { confusionOf } from '../../src/cli/results.js'

const stepsPerEpoch = 50

function steps(count: number, perEpoch = stepsPerEpoch): StepRecord[] {
  return Array.from({ length: count }, (_, index) => ({
    step: index + 1,
    epoch: Math.floor(index / perEpoch) + 1,
    loss: 2.3 / (1 + index / 10) + 0.01 * (index % 7),
    accuracy: Math.min(0.99, 0.1 + index / 50),
    learningRate: 0.05,
  }))
}

function reportData(overrides: Partial<ReportData> = {}): ReportData {
  return {
    model: 'convnet',
    dataset: 'mnist',
    classes: ['zero', 'one', 'two'],
    status: 'finished',
    test: { images: 10_000, errors: 87, loss: 0.0291 },
    seconds: 133,
    imagesPerSecond: 1843.4,
    command: 'toeplitz train --epochs 2 --seed 7',
    seed: 7,
    weightsHash: 'ab'.repeat(32),
    version: '0.1.0',
    environment: 'Node 20, strict SIMD, 1 thread',
    machine: 'A processor, 4 cores, linux x64',
    date: new Date('2026-03-04T05:06:07Z'),
    layers: [
      { layer: 'Conv2d(1, 32)', output: '32 × 28 × 28', parameters: 832, operations: 1_254_400 },
      { layer: 'Linear(3136, 10)', output: '10', parameters: 102_500, operations: 627_200 },
    ],
    batchSize: 64,
    stepsPerEpoch,
    steps: steps(100),
    epochs: [1, 2].map((epoch) => ({
      ...{ epoch, trainingLoss: 0.2 / epoch, trainingAccuracy: 0.95, seconds: 30, imagesPerSecond: 1800 },
      ...{ validationLoss: 0.0654 / epoch, validationAccuracy: 0.9812 },
    })),
    filters: { values: Float32Array.from([-0.5, 0, 0.25, 0.5, 0.1, 0.1, 0.1, 0.1]), shape: [2, 1, 2, 2] },
    confusion: [
      [8, 0, 0],
      [2, 6, 0],
      [1, 0, 3],
    ],
    mistakes: [
      {
        ...{ pixels: Uint8Array.from([0, 50, 100, 255]), shape: [1, 2, 2], label: 1, predicted: 0 },
        ...{ probability: 0.983, ofLabel: 0.0121 },
      },
    ],
    ...overrides,
  }
}

interface Chart {
  readonly steps: number[]
  readonly rawLoss: (number | null)[]
  readonly smoothLoss: (number | null)[]
  readonly validationLoss: (number | null)[]
  readonly trainingAccuracy: (number | null)[]
  readonly validationAccuracy: (number | null)[]
  readonly accuracySmoothing: number
  readonly lossRange: [number, number] | null
}

function chartOf(html: string): Chart {
  const json = /<script type="application\/json" id="chart-data">(.*?)<\/script>/s.exec(html)?.[1]
  return JSON.parse(json ?? 'null') as Chart
}

function section(html: string, heading: string): string {
  return html.split('<section>').find((part) => part.includes(`<h2>${heading}</h2>`)) ?? ''
}

/** The text of each cell, row by row. */
function cells(html: string, part: 'thead' | 'tbody' | 'tfoot'): string[][] {
  const body = new RegExp(`<${part}>(.*?)</${part}>`, 's').exec(html)?.[1] ?? ''
  return [...body.matchAll(/<tr>(.*?)<\/tr>/gs)].map((row) =>
    [...(row[1] ?? '').matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/gs)].map((cell) =>
      (cell[1] ?? '').replace(/<[^>]+>|&nbsp;/g, '').replaceAll('\u00a0', ' '),
    ),
  )
}

function pictures(html: string) {
  return [...html.matchAll(/<img src="data:image\/png;base64,([^"]+)"[^>]*alt="([^"]+)"/g)].map((match) => ({
    ...decode(Buffer.from(match[1] ?? '', 'base64')),
    alt: match[2],
  }))
}

describe('the page', () => {
  it('asks the network for nothing, and forbids it', () => {
    const html = renderReport(reportData())
    // Found strings, not matches of the page: a failure would print all of it.
    const found = (pattern: RegExp) => html.match(pattern)?.[0]
    expect(found(/<[a-z]+[^>]*\s(src|href|srcset|action|data)=(?!"data:)/i)).toBeUndefined()
    expect(found(/@import|url\(/i)).toBeUndefined()
    expect(found(/fetch\(|XMLHttpRequest|sendBeacon|WebSocket|import\(/)).toBeUndefined()
    expect(html).toContain("default-src 'none'")
    expect(html).toMatch(/^<!doctype html>\n<html lang="en">/)
  })

  it('says what was run and what came of it', () => {
    const html = renderReport(reportData({ settings: [['Optimizer', 'SGD']] }))
    const text = html.replace(/<[^>]+>/g, '').replaceAll('\u00a0', ' ')
    for (const part of ['convnet on mnist', '0.87 %', '87 of 10,000 wrong', '2 min 13 s', '1,843', '103,332']) {
      expect(text).toContain(part)
    }
    for (const part of ['toeplitz train --epochs 2 --seed 7', 'ab'.repeat(32), 'Node 20', 'SGD', 'toeplitz 0.1.0']) {
      expect(text).toContain(part)
    }
    for (const part of ['MachineA processor, 4 cores, linux x64', 'Date2026-03-04 05:06 UTC'])
      expect(text).toContain(part)
  })

  it('is the same for the same data', () => {
    expect(renderReport(reportData())).toBe(renderReport(reportData()))
  })

  it('never writes a loss as 0.0000', () => {
    const small = (factor: number) => ({
      test: { images: 10, errors: 1, loss: 3e-5 * factor },
      steps: steps(100).map((record) => ({ ...record, loss: record.loss * 1e-6 * factor })),
      epochs: reportData().epochs.map((row) => ({
        ...row,
        trainingLoss: 2e-7 * factor,
        validationLoss: 4.4e-4 * factor,
      })),
    })
    const html = renderReport(reportData(small(1)))
    expect(html).toContain('<dd>3e-5 (mean over the test images)</dd>')
    expect(cells(section(html, 'Training'), 'tbody')[0]?.slice(1, 4)).toEqual(['2e-7', '95.00 %', '4.4e-4'])
    expect(html).toMatch(
      /aria-label="Training loss over 100 steps, ending at [\d.]+e-7; validation loss ending at 4.4e-4"/,
    )
    for (const factor of [1, 0]) {
      const texts = renderReport(reportData(small(factor))).replace(/<(script|style)[^>]*>.*?<\/\1>/gs, '')
      expect(texts).not.toContain('0.0000')
    }
    // The charts have the same function, by its source.
    const source = /const lossText = (function formatLoss[^]*?\n\s*\})\n/.exec(html)?.[1] ?? ''
    const inPage = runInNewContext(`(${source})`) as typeof formatLoss
    for (const loss of [0, 1e-9, 0.00004, 0.5, 12.5, 1e7, Infinity]) expect(inPage(loss)).toBe(formatLoss(loss))
  })

  it('escapes every text', () => {
    const evil = `</script><script>alert("1")</script>&'`
    const html = renderReport(
      reportData({
        ...{
          model: evil,
          dataset: evil,
          command: evil,
          weightsHash: evil,
          version: evil,
          environment: evil,
          machine: evil,
        },
        classes: [evil, evil, evil],
        settings: [[evil, evil]],
        layers: [{ layer: evil, output: evil, parameters: 1, operations: 1 }],
      }),
    )
    expect(html).not.toContain('alert("1")')
    expect(html.match(/alert\(&quot;1&quot;\)/g)?.length).toBeGreaterThan(12)
    expect(html.match(/<script/g)).toHaveLength(3)
    expect(html.match(/<\/script>/g)).toHaveLength(3)
  })

  it('shows what could not be seen', () => {
    const evil = 'cat\n\u001b[2J\u202e\u0000'
    const html = renderReport(
      reportData({
        ...{
          model: evil,
          dataset: evil,
          command: evil,
          weightsHash: evil,
          version: evil,
          environment: evil,
          machine: evil,
        },
        classes: [evil, evil, evil],
        settings: [[evil, evil]],
        layers: [{ layer: evil, output: evil, parameters: 1, operations: 1 }],
      }),
    )
    expect(html.match(/[^\P{Cc}\n]|[\p{Zl}\p{Zp}\p{Bidi_Control}]/u)).toBeNull()
    expect(html.match(/cat\\n\\x1b\[2J\\u202e\\x00/g)?.length).toBeGreaterThan(12)
  })

  it('lists of many classes what was confused most, and not the square of them', () => {
    const classes = Array.from({ length: 3000 }, (_, i) => `class ${i}`)
    const wrong = Array.from({ length: 200 }, (_, i) => ({ label: i % 120, predicted: 2999 }))
    const confusion = confusionOf(new Int32Array(3000).fill(1), wrong)
    const html = renderReport(reportData({ classes, confusion, mistakes: [] }))
    expect(html.length).toBeLessThan(200_000)
    const table = cells(section(html, 'Confused classes'), 'tbody')
    expect(table).toHaveLength(50)
    expect(table[0]).toEqual(['class 0', 'class 2999', '2'])
    const small = confusionOf(Int32Array.of(1, 2, 0), [
      { label: 2, predicted: 0 },
      { label: 0, predicted: 1 },
      { label: 2, predicted: 0 },
    ])
    expect(small).toEqual([
      [1, 1, 0],
      [0, 2, 0],
      [2, 0, 0],
    ])
  })

  it('stays a page that can be opened, however many epochs and steps there were', () => {
    const [row] = reportData().epochs
    const epochs = Array.from({ length: 200_000 }, (_, index) => ({ ...row!, epoch: index + 1 }))
    const html = renderReport(reportData({ epochs, steps: steps(200_000, 1), stepsPerEpoch: 1 }))
    expect(html.length).toBeLessThan(1e6)
    expect(html).toContain('200,000 epochs')
    expect(html).toContain('The last 1,000 epochs.')
    const chart = chartOf(html)
    expect(chart.steps.length).toBeLessThan(4000)
    expect(chart.steps.at(-1)).toBe(200_000)
    expect(chart.validationLoss.at(-1)).toBe(0.0654)
  })

  it('lists the layers with their sums', () => {
    const html = section(renderReport(reportData()), 'Layers')
    expect(cells(html, 'tbody')).toEqual([
      ['1', 'Conv2d(1, 32)', '32 × 28 × 28', '832', '1,254,400'],
      ['2', 'Linear(3136, 10)', '10', '102,500', '627,200'],
    ])
    expect(cells(html, 'tfoot')).toEqual([['', 'Together', '103,332', '1,881,600']])
  })
})

describe('the curves', () => {
  it('hold every step of a short run, and validation at the end of each epoch', () => {
    const chart = chartOf(renderReport(reportData()))
    expect(chart.steps).toEqual(Array.from({ length: 100 }, (_, index) => index + 1))
    expect(chart.rawLoss[0]).toBe(2.3)
    expect(chart.rawLoss).not.toContain(null)
    const known = chart.validationLoss.flatMap((value, index) => (value === null ? [] : [[chart.steps[index], value]]))
    expect(known).toEqual([
      [50, 0.0654],
      [100, 0.0327],
    ])
    expect(chart.validationAccuracy[49]).toBe(98.12)
  })

  it('smooth with means that follow the start and keep a constant', () => {
    const constant = steps(1000).map((record) => ({ ...record, loss: 0.5 + (record.step % 2 === 0 ? 0.1 : -0.1) }))
    const { smoothLoss, rawLoss } = chartOf(renderReport(reportData({ steps: constant })))
    expect(smoothLoss[0]).toBe(rawLoss[0])
    for (const value of smoothLoss.slice(30)) expect(Math.abs((value ?? 0) - 0.5)).toBeLessThan(0.01)
    // A straight line stays where it is: no lag.
    const line = steps(1000).map((record) => ({ ...record, loss: record.step / 100 }))
    const straight = chartOf(renderReport(reportData({ steps: line })))
    for (let index = 0; index < 950; index++) expect(straight.smoothLoss[index]).toBeCloseTo((index + 1) / 100, 3)
  })

  it('show the accuracy of batches, smoothed: it does not begin anew with an epoch', () => {
    // Eight batches an epoch, the last of them smaller; the first of the second epoch is all right by chance.
    const sizes = [64, 64, 64, 64, 64, 64, 64, 16]
    const shares = [
      [4, 8, 9, 10, 11, 12, 13, 3],
      [64, 13, 14, 12, 13, 14, 13, 4],
      [12, 13, 14, 15, 13, 12, 14, 3],
    ]
    const records = shares.flatMap((right, epoch) =>
      right.map((_, index) => {
        const count = (of: readonly number[]): number => of.slice(0, index + 1).reduce((sum, each) => sum + each)
        const step = epoch * 8 + index + 1
        return { step, epoch: epoch + 1, loss: 1, accuracy: count(right) / count(sizes), learningRate: 0.1 }
      }),
    )
    expect(records[8]?.accuracy).toBe(1)
    const { trainingAccuracy, accuracySmoothing } = chartOf(
      renderReport(reportData({ steps: records, stepsPerEpoch: 8, epochs: [] })),
    )
    expect(accuracySmoothing).toBe(5)
    expect(trainingAccuracy[0]).toBeCloseTo((100 * 4) / 64, 3)
    expect(trainingAccuracy[3]).toBeCloseTo((100 * (8 + 9 + 10 + 11 + 12)) / 5 / 64, 3)
    // One batch in five, not the whole curve.
    expect(trainingAccuracy[8]).toBeLessThan(40)
    expect(trainingAccuracy[8]).toBeGreaterThan(30)
    for (const value of [...trainingAccuracy.slice(0, 6), ...trainingAccuracy.slice(11)]) expect(value).toBeLessThan(25)
  })

  it('smooth the accuracy as far as the loss, and follow from the first step that is known', () => {
    const late = Array.from({ length: 600 }, (_, index) => ({
      ...{ step: index + 501, epoch: Math.floor((index + 500) / 200) + 1, loss: 1, accuracy: 0.75, learningRate: 0.1 },
    }))
    const chart = chartOf(renderReport(reportData({ steps: late, stepsPerEpoch: 200, epochs: [] })))
    expect(chart.accuracySmoothing).toBe(21)
    for (const value of chart.trainingAccuracy) expect(value).toBeCloseTo(75, 8)
  })

  it('thin out 50,000 steps without losing a spike or an epoch', () => {
    const many = steps(50_000, 1000).map((record) => (record.step === 31_337 ? { ...record, loss: 99 } : record))
    const epochs = Array.from({ length: 50 }, (_, index) => ({
      ...{ epoch: index + 1, trainingLoss: 0.1, trainingAccuracy: 0.9, seconds: 9, imagesPerSecond: 9 },
      ...{ validationLoss: 0.1, validationAccuracy: 0.9 },
    }))
    const html = renderReport(reportData({ steps: many, stepsPerEpoch: 1000, epochs }))
    expect(Buffer.byteLength(html)).toBeLessThan(1_500_000)
    const chart = chartOf(html)
    expect(chart.steps.length).toBeLessThan(1700)
    expect(chart.steps.length).toBeGreaterThan(1000)
    expect([chart.steps[0], chart.steps.at(-1)]).toEqual([1, 50_000])
    expect(chart.rawLoss[chart.steps.indexOf(31_337)]).toBe(99)
    expect(chart.validationLoss.filter((value) => value !== null)).toHaveLength(50)
    expect([...chart.steps].sort((first, second) => first - second)).toEqual(chart.steps)
  })

  it('leave gaps where the loss was no number', () => {
    const broken = steps(20).map((record) => (record.step > 10 ? { ...record, loss: Number.NaN } : record))
    const chart = chartOf(renderReport(reportData({ steps: broken, epochs: [] })))
    expect(chart.rawLoss[9]).not.toBeNull()
    expect(chart.rawLoss[10]).toBeNull()
    expect(chart.lossRange).toBeNull()
  })

  it('have a logarithmic axis for a loss that falls by a power of ten', () => {
    expect(chartOf(renderReport(reportData())).lossRange?.[0]).toBeGreaterThan(0)
    const flat = steps(100).map((record) => ({ ...record, loss: 1 }))
    expect(chartOf(renderReport(reportData({ steps: flat, epochs: [] }))).lossRange).toBeNull()
  })
})

describe('runs with parts missing', () => {
  it('no step: no chart, no script', () => {
    const html = renderReport(
      reportData({ steps: [], epochs: [], filters: null, test: null, confusion: null, mistakes: [] }),
    )
    expect(html).toContain('No training step was recorded.')
    expect(html).toContain('not tested')
    expect(html).not.toContain('<script')
    for (const heading of ['Confusion matrix', 'Worst mistakes', 'Filters of the first layer']) {
      expect(html).not.toContain(heading)
    }
    expect(html).not.toMatch(/NaN|undefined|Infinity/)
  })

  it('no validation', () => {
    const epochs = reportData().epochs.map((row) => ({ ...row, validationLoss: null, validationAccuracy: null }))
    const html = renderReport(reportData({ epochs }))
    expect(html).toContain('There is no validation result.')
    expect(new Set(chartOf(html).validationLoss)).toEqual(new Set([null]))
    expect(cells(section(html, 'Training'), 'tbody')[0]).toEqual([
      '1',
      '0.2000',
      '95.00 %',
      '–',
      '–',
      '30.0 s',
      '1,800',
    ])
    expect(renderReport(reportData())).not.toContain('There is no validation result.')
  })

  it('an interrupted run says so', () => {
    const html = renderReport(
      reportData({ status: 'interrupted', steps: steps(12), epochs: [], test: null, confusion: null }),
    )
    expect(html).toContain('interrupted after 12 steps')
    expect(renderReport(reportData())).not.toContain('interrupted after')
  })

  it('no mistakes', () => {
    const html = renderReport(reportData({ mistakes: [], test: { images: 10, errors: 0, loss: 0 } }))
    expect(section(html, 'Worst mistakes')).toContain('Every test image was classified right.')
    expect(html).toContain('0.00\u00a0%')
  })
})

describe('the confusion matrix', () => {
  it('has counts, recall and precision, and a dash for a class that was never predicted', () => {
    const confusion = [
      [8, 2, 0],
      [1, 1199, 0],
      [4, 0, 0],
    ]
    const html = section(renderReport(reportData({ confusion })), 'Confusion matrix')
    expect(cells(html, 'thead')).toEqual([
      ['true', 'predicted', 'recall, %'],
      ['zero', 'one', 'two'],
    ])
    expect(cells(html, 'tbody')).toEqual([
      ['zero', '8', '2', '0', '80.0'],
      ['one', '1', '1,199', '0', '99.9'],
      ['two', '4', '0', '0', '0.0'],
    ])
    expect(cells(html, 'tfoot')).toEqual([['precision, %', '61.5', '99.8', '–', '']])
    expect(html).toContain('1,214 test images')
    expect(html.match(/scope="row"/g)).toHaveLength(4)
    expect(html.match(/scope="col"/g)).toHaveLength(5)
  })

  it('shades what was right, and mistakes by their number', () => {
    const html = section(renderReport(reportData()), 'Confusion matrix')
    const shade = (count: number, kind: string) =>
      Number(new RegExp(`class="${kind}" style="--shade:([0-9.]+)">${count}<`).exec(html)?.[1])
    expect(shade(2, 'bad')).toBeGreaterThan(shade(1, 'bad'))
    expect(shade(8, 'good')).toBeGreaterThan(shade(6, 'good'))
  })
})

describe('the pictures', () => {
  it('filters: white for zero, blue below it, red above it, on one scale', () => {
    const [first, second] = pictures(section(renderReport(reportData()), 'Filters of the first layer'))
    expect(first).toMatchObject({ width: 2, height: 2, channels: 4, alt: 'Filter 1: weights from −0.500 to 0.500' })
    const pixel = (index: number) =>
      [...(first?.data.slice(index * 4, index * 4 + 3) ?? [])] as [number, number, number]
    const [blueEnd, zero, weak, redEnd] = [pixel(0), pixel(1), pixel(2), pixel(3)]
    expect(Math.min(...zero)).toBeGreaterThan(240)
    expect(blueEnd[2]).toBeGreaterThan(2 * blueEnd[0])
    expect(redEnd[0]).toBeGreaterThan(2 * redEnd[2])
    expect(weak[2]).toBeGreaterThan(redEnd[2])
    expect(weak[2]).toBeLessThan(zero[2])
    // 0.1 of 0.5 is faint: the second filter is not stretched to its own largest weight.
    expect(Math.min(...(second?.data ?? []))).toBeGreaterThan(180)
  })

  it('filters: every channel, names them, and all zeros', () => {
    const filters = { values: new Float32Array(2 * 2 * 4), shape: [2, 2, 2, 2] }
    const found = pictures(section(renderReport(reportData({ filters })), 'Filters of the first layer'))
    expect(found).toHaveLength(4)
    expect(found[3]?.alt).toMatch(/^Filter 2, input channel 2:/)
    expect(new Set(found.flatMap((picture) => [...picture.data])).size).toBeLessThanOrEqual(2)
  })

  it('filters: those over red, green and blue in colour', () => {
    // Channel by channel: the first filter is red at the left and green at the right, the second is blue there.
    const values = Float32Array.from([1, -1, -1, 1, -1, -1, 0, 0, 0, 0, 0, 0.5])
    const html = section(
      renderReport(reportData({ filters: { values, shape: [2, 3, 1, 2] } })),
      'Filters of the first layer',
    )
    const found = pictures(html)
    expect(found.map(({ alt }) => alt)).toEqual([
      'Filter 1: weights from −1.000 to 1.000',
      'Filter 2: weights from 0.000 to 0.500',
    ])
    expect(found.map(({ data }) => [...data])).toEqual([
      [255, 0, 0, 255, 0, 255, 0, 255],
      [0, 0, 0, 255, 0, 0, 255, 255],
    ])
    expect(html).toContain('2 filters of 1 × 2 over 3 channels, in red, green and blue')
    // A scale of one colour says nothing about these.
    expect(html).not.toContain('class="scale"')
  })

  it('mistakes: the image itself, with both classes and the probability', () => {
    const html = section(renderReport(reportData()), 'Worst mistakes')
    const [picture] = pictures(html)
    expect(picture).toMatchObject({ width: 2, height: 2, channels: 1, alt: 'Test image of class one, taken for zero' })
    expect([...(picture?.data ?? [])]).toEqual([0, 50, 100, 255])
    expect(html.replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ')).toContain('right answer one 1.2 % predicted zero 98.3 %')
  })

  it('mistakes: no probability is rounded to a certainty', () => {
    const [mistake] = reportData().mistakes
    const html = renderReport(reportData({ mistakes: [{ ...mistake!, probability: 0.99999, ofLabel: 1e-6 }] }))
    const text = section(html, 'Worst mistakes')
      .replace(/<[^>]+>/g, ' ')
      .replace(/\s+/g, ' ')
    expect(text).toContain('right answer one &lt; 0.1 % predicted zero &gt; 99.9 %')
  })

  it('mistakes: colours are brought from planes to pixels', () => {
    const mistake = {
      pixels: Uint8Array.from([1, 2, 3, 4, 5, 6]),
      shape: [3, 1, 2],
      label: 0,
      predicted: 1,
      probability: 0.5,
      ofLabel: 0.25,
    } as const
    const [picture] = pictures(section(renderReport(reportData({ mistakes: [mistake] })), 'Worst mistakes'))
    expect(picture).toMatchObject({ width: 2, height: 1, channels: 3 })
    expect([...(picture?.data ?? [])]).toEqual([1, 3, 5, 2, 4, 6])
  })
})
