/** The page of `toeplitz look` in Chromium, on a desk and on a phone. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { chromium, type Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { lookCommand, lookDefaults } from '../../src/cli/look.js'
import { defaultLimits } from '../../src/formats/limits.js'
import { encodePng } from '../../src/formats/png.js'
import { encodeModel } from '../../src/io/model-file.js'
import { plainPreprocessing } from '../../src/io/preprocessing.js'
import { init } from '../../src/runtime/embedded.js'
import { convnet } from '../../src/zoo/convnet.js'
import { chromiumPath } from './browser.js'

const root = resolve(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'toeplitz-look-page-'))
const out = join(folder, 'look.html')
let browser: Browser
beforeAll(async () => {
  browser = await chromium.launch({ executablePath: chromiumPath(), args: ['--no-sandbox'] })
  await init()
  const model = convnet({ input: [3, 32, 32], classes: 4, seed: 2 })
  const classes = ['an_unbroken_name_of_a_class_that_is_long', 'green and yellow stripes', 'a', 'b']
  const preprocessing = plainPreprocessing([3, 32, 32], { mean: 0.5, std: 0.25 })
  writeFileSync(
    join(folder, 'model.safetensors'),
    encodeModel(model, { name: 'a-long-name-of-a-model', classes, preprocessing }),
  )
  model.dispose()
  const pictures = [1, 2, 3].map((n) => {
    const path = join(folder, `a-picture-with-a-long-name-that-has-no-spaces-${n}.png`)
    const data = Uint8Array.from({ length: 32 * 32 * 3 }, (_, i) => (i * (7 + 2 * n)) % 256)
    writeFileSync(path, encodePng({ width: 32, height: 32, channels: 3, data }))
    return path
  })
  const nowhere = { write: () => undefined }
  const options = { ...lookDefaults, ...defaultLimits, layer: [], debug: false, out }
  await lookCommand(join(folder, 'model.safetensors'), pictures, options, { stdout: nowhere, stderr: nowhere })
})
afterAll(async () => {
  await browser.close()
  rmSync(folder, { recursive: true, force: true })
})

describe.each([1280, 390])('the page of a look, %d pixels wide', (width) => {
  it.each(['light', 'dark'] as const)('can be read, %s', async (colorScheme) => {
    const page = await (await browser.newContext({ viewport: { width, height: 800 }, colorScheme })).newPage()
    const errors: string[] = []
    page.on('pageerror', ({ message }) => errors.push(message))
    page.on('request', (request) => {
      if (!/^(file|data):/.test(request.url())) errors.push(request.url())
    })
    await page.goto(pathToFileURL(out).href)
    // Nothing is wider than the page, with every picture of it open.
    for (const summary of await page.locator('summary').all()) await summary.click()
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width)
    const pictures = await page.locator('img').evaluateAll((images) =>
      (images as HTMLImageElement[]).map((image) => {
        const { width, height, right } = image.getBoundingClientRect()
        return {
          loaded: image.naturalWidth > 0,
          ratio: width / height / (image.naturalWidth / image.naturalHeight),
          right,
          alt: image.alt,
        }
      }),
    )
    expect(pictures.length).toBeGreaterThan(30)
    for (const { loaded, ratio, right, alt } of pictures) {
      expect(loaded).toBe(true)
      expect(ratio).toBeCloseTo(1, 1)
      expect(right).toBeLessThanOrEqual(width)
      expect(alt).not.toBe('')
    }
    // A picture, the answers and the two maps are side by side: all of them on a desk, two and two on a phone.
    const rows = await page
      .locator('article.seen')
      .first()
      .locator('> div > *')
      .evaluateAll((parts) => new Set(parts.map((part) => Math.round(part.getBoundingClientRect().top))).size)
    expect(rows).toBe(width > 1000 ? 1 : 2)

    await page.evaluate(readFileSync(join(root, 'node_modules/axe-core/axe.min.js'), 'utf8'))
    const { violations } = await page.evaluate(() =>
      (window as unknown as { axe: { run(): Promise<{ violations: { id: string }[] }> } }).axe.run(),
    )
    expect(violations.map(({ id }) => id)).toEqual([])
    expect(errors).toEqual([])
    await page.close()
  })
})
