/** The report of a training run in Chromium, on a desk and on a phone. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { chromium, type Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ReportData } from '../../src/cli/records.js'
import { renderReport } from '../../src/cli/report.js'
import { chartTexts, chromiumPath, rememberTexts } from './browser.js'

const root = resolve(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'toeplitz-report-'))
let browser: Browser
beforeAll(async () => {
  browser = await chromium.launch({ executablePath: chromiumPath(), args: ['--no-sandbox'] })
})
afterAll(async () => {
  await browser.close()
  rmSync(folder, { recursive: true, force: true })
})

const classes = [
  'a-class-with-a-rather-long-name',
  'an_unbroken_name_of_a_class_that_is_long',
  'green and yellow stripes',
].concat(Array.from({ length: 12 }, (_, i) => `class ${i}`))
const picture = Uint8Array.from({ length: 3 * 24 * 24 }, (_, i) => (i * 7) % 256)

/** A run with long names and a loss between 10^−6 and 10^6. */
const data: ReportData = {
  ...{ model: 'convnet', dataset: 'pictures', classes, status: 'finished', seconds: 133, imagesPerSecond: 1843.4 },
  test: { images: 150, errors: 60, loss: 2e-7 },
  command: 'toeplitz train --model convnet --data /home/someone/pictures --epochs 2 --batch-size 64 --lr 0.04',
  ...{ seed: 7, weightsHash: 'ab'.repeat(32), version: '0.1.0', environment: 'Node 20, strict SIMD, 1 thread' },
  ...{ machine: 'A processor of some name, 4 cores, linux x64', date: new Date('2026-03-04T05:06:07Z') },
  layers: ['conv(5, 32)', 'relu', 'fc(15)'].map((layer) => ({
    ...{ layer, output: '32 × 28 × 28', parameters: 1_254_400, operations: 1_254_400_000 },
  })),
  ...{ batchSize: 64, stepsPerEpoch: 100 },
  steps: Array.from({ length: 200 }, (_, i) => ({
    ...{ step: i + 1, epoch: 1 + Math.floor(i / 100), loss: 10 ** (6 - i * 0.06), accuracy: 0.9, learningRate: 0.04 },
  })),
  epochs: [1, 2].map((epoch) => ({
    ...{ epoch, trainingLoss: 0.2, trainingAccuracy: 0.95, seconds: 30, imagesPerSecond: 1800 },
    ...{ validationLoss: 0.0654, validationAccuracy: 0.9812 },
  })),
  filters: { values: Float32Array.from({ length: 8 * 75 }, (_, i) => Math.sin(i)), shape: [8, 3, 5, 5] },
  confusion: classes.map((_, row) => classes.map((_, column) => (row === column ? 6 : (row + column) % 3))),
  mistakes: Array.from({ length: 12 }, (_, i) => ({
    ...{ pixels: picture, shape: [3, 24, 24] as const, label: i % 3, predicted: (i + 1) % 3 },
    ...{ probability: 0.9, ofLabel: 0.05 },
  })),
}

describe.each([1280, 390])('the report, %d pixels wide', (width) => {
  it.each(['light', 'dark'] as const)('can be read, %s', async (colorScheme) => {
    const file = join(folder, 'report.html')
    writeFileSync(file, renderReport(data))
    const page = await (await browser.newContext({ viewport: { width, height: 800 }, colorScheme })).newPage()
    const errors: string[] = []
    page.on('pageerror', ({ message }) => errors.push(message))
    await rememberTexts(page)
    await page.goto(pathToFileURL(file).href)
    await page.waitForFunction(() => document.querySelectorAll('.uplot').length === 2)

    // The titles of the axes lie clear of the numbers, and the numbers have one digit that counts.
    const { texts, overlapping, cut } = await chartTexts(page)
    expect(texts).toEqual(expect.arrayContaining(['Loss (cross-entropy, nats)', 'Accuracy (%)', '1000000']))
    expect({ overlapping, cut }).toEqual({ overlapping: [], cut: [] })

    // Wide tables scroll within the page; to their last column, and the names of rows leave room for it.
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width)
    const tables = await page.locator('.scroll').all()
    expect(tables).toHaveLength(3)
    for (const table of tables) {
      const room = await table.evaluate((scroll) => {
        scroll.scrollLeft = scroll.scrollWidth
        const row = scroll.querySelector('tbody tr') as HTMLTableRowElement
        const last = row.cells[row.cells.length - 1]!.getBoundingClientRect()
        const head = row.querySelector('th')!.getBoundingClientRect()
        const { left, right, width } = scroll.getBoundingClientRect()
        return {
          last: right - last.right,
          clear: last.left - head.right,
          head: head.width / width,
          begins: head.left - left,
        }
      })
      expect(room.last).toBeGreaterThan(-1)
      expect(room.clear).toBeGreaterThanOrEqual(-1)
      expect(room.head).toBeLessThan(0.6)
      expect(room.begins).toBeGreaterThanOrEqual(-1)
    }

    // Each mistake has its words beside it.
    const beside = await page.locator('.mistakes figure').evaluateAll((figures) =>
      figures.map((figure) => {
        const [image, words] = ['img', 'figcaption'].map((name) => figure.querySelector(name)!.getBoundingClientRect())
        return words!.left > image!.right && words!.top < image!.bottom && words!.right <= innerWidth
      }),
    )
    expect(beside).toEqual(Array(12).fill(true))
    // Filters of colour pictures have colours.
    const colours = await page
      .locator('.filters img')
      .first()
      .evaluate((image) => {
        const canvas = document.createElement('canvas')
        const context = canvas.getContext('2d')!
        context.drawImage(image as HTMLImageElement, 0, 0)
        return [...context.getImageData(0, 0, 1, 1).data]
      })
    expect(new Set(colours.slice(0, 3)).size).toBeGreaterThan(1)

    await page.evaluate(readFileSync(join(root, 'node_modules/axe-core/axe.min.js'), 'utf8'))
    const { violations } = await page.evaluate(() =>
      (window as unknown as { axe: { run(): Promise<{ violations: { id: string }[] }> } }).axe.run(),
    )
    expect(violations.map(({ id }) => id)).toEqual([])
    expect(errors).toEqual([])
    await page.close()
  })
})
