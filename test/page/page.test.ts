/** The page of examples/browser in Chromium: `npm run test:page`. */
import { spawnSync, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeModel, encodeModel } from '../../src/io/model-file.js'
import { Flatten, Linear, Sequential } from '../../src/nn/index.js'
import { plainPreprocessing } from '../../src/io/preprocessing.js'
import { init } from '../../src/runtime/embedded.js'
import { convnet } from '../../src/zoo/index.js'
import { chartTexts, chromiumPath, rememberTexts, startServer } from './browser.js'

const root = resolve(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'toeplitz-page-'))
let server: ChildProcess
let address: string
let browser: Browser

beforeAll(async () => {
  ;({ server, address } = await startServer('browser'))
  browser = await chromium.launch({ executablePath: chromiumPath(), args: ['--no-sandbox'] })
  await init()
})

afterAll(async () => {
  await browser.close()
  server.kill()
  rmSync(folder, { recursive: true, force: true })
})

/** A page whose errors fail the test that closes it. */
async function open(options: BrowserContextOptions = {}, prepare?: (page: Page) => Promise<unknown>) {
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })).newPage()
  // A machine that is busy elsewhere is slow, not wrong.
  page.setDefaultTimeout(90_000)
  const errors: string[] = []
  page.on('pageerror', ({ message }) => errors.push(message))
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text())
  })
  await prepare?.(page)
  await page.goto(address)
  return { page, errors }
}

async function ready(options: BrowserContextOptions = {}) {
  const opened = await open(options)
  await opened.page.waitForSelector('#train:enabled')
  await opened.page.waitForFunction(() => document.querySelector('#bars')?.textContent.includes('%'))
  return opened
}

const textOf = async (page: Page, id: string): Promise<string> => (await page.textContent(`#${id}`)) ?? ''
const numberIn = async (page: Page, id: string): Promise<number> =>
  Number.parseFloat((await textOf(page, id)).replaceAll(',', ''))

/** Trains until so many per cent of the test images are read right. */
async function trainTo(page: Page, percent: number): Promise<void> {
  await page.click('#train')
  await trained(page, percent)
}

const trained = (page: Page, percent: number): Promise<unknown> =>
  page.waitForFunction(
    (goal) => Number.parseFloat(document.querySelector('#accuracy')?.textContent ?? '') >= goal,
    percent,
    { timeout: 170_000 },
  )

/** Draws lines with the mouse, in shares of the pad. */
async function draw(page: Page, strokes: Lines): Promise<void> {
  await page.click('#clear')
  await stroke(page, strokes)
}

type Lines = readonly (readonly (readonly [number, number])[])[]

/** Adds lines to what is on the pad. */
async function stroke(page: Page, strokes: Lines): Promise<void> {
  await page.locator('#clear').scrollIntoViewIfNeeded()
  const box = (await page.locator('#pad').boundingBox()) as { x: number; y: number; width: number; height: number }
  for (const stroke of strokes) {
    for (const [index, [x, y]] of stroke.entries()) {
      await page.mouse.move(box.x + x * box.width, box.y + y * box.height, { steps: 4 })
      if (index === 0) await page.mouse.down()
    }
    await page.mouse.up()
  }
}

const circle = Array.from({ length: 25 }, (_, i): [number, number] => {
  const turn = (2 * Math.PI * i) / 24
  return [0.5 + 0.2 * Math.sin(turn), 0.5 - 0.32 * Math.cos(turn)]
})
const digits = {
  0: [circle],
  1: [
    [
      [0.52, 0.15],
      [0.5, 0.85],
    ],
  ],
  7: [
    [
      [0.28, 0.2],
      [0.72, 0.2],
      [0.45, 0.85],
    ],
  ],
} as const

const answerIs = (page: Page, digit: string): Promise<unknown> =>
  page.waitForFunction((wanted) => document.querySelector('#answer strong')?.textContent === wanted, digit)

/** Saves the model by its button. */
async function save(page: Page, name: string): Promise<string> {
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#save')])
  expect(download.suggestedFilename()).toBe('convnet-mnist.safetensors')
  const path = join(folder, name)
  await download.saveAs(path)
  return path
}

async function load(page: Page, path: string): Promise<void> {
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.click('#load')])
  await chooser.setFiles(path)
}

describe('a trained page', () => {
  let page: Page
  let errors: string[]
  let model: string

  beforeAll(async () => {
    ;({ page, errors } = await ready())
  })
  afterAll(() => page.close())

  it('learns to read, with curves, filters and maps that change, and keeps drawing frames', async () => {
    const picture = (selector: string): Promise<string> =>
      page.locator(selector).evaluate((canvas) => (canvas as HTMLCanvasElement).toDataURL())
    const before = [await picture('#filters canvas'), await picture('#maps canvas')]
    await trainTo(page, 92)
    expect(await numberIn(page, 'images')).toBeGreaterThan(1000)
    expect(await numberIn(page, 'speed')).toBeGreaterThan(10)
    expect(await numberIn(page, 'frames')).toBeGreaterThan(0)
    const after = [await picture('#filters canvas'), await picture('#maps canvas')]
    expect(after[0]).not.toBe(before[0])
    expect(after[1]).not.toBe(before[1])
    await page.waitForFunction(() =>
      /test accuracy 9\d\.\d\d % after [\d,]+ training images/.test(
        document.querySelector('#accuracy-chart')?.ariaLabel ?? '',
      ),
    )
    expect(await page.locator('.chart canvas').count()).toBe(2)
  })

  it('pauses, changes its learning rate, and goes on', async () => {
    await page.click('#train')
    await page.waitForFunction(() => document.querySelector('#train')?.textContent === 'Go on')
    await page.waitForTimeout(1500)
    const paused = await numberIn(page, 'images')
    await page.waitForTimeout(1000)
    expect(await numberIn(page, 'images')).toBe(paused)
    await page.locator('#rate').fill('-2')
    expect(await textOf(page, 'rate-value')).toBe('0.01')
    await page.click('#train')
    await page.waitForFunction(
      (images) => Number.parseInt(document.querySelector('#images')?.textContent.replaceAll(',', '') ?? '') > images,
      paused,
    )
    await page.click('#train')
    await page.waitForFunction(() => document.querySelector('#train')?.textContent === 'Go on')
  })

  it.each(['0', '1', '7'] as const)('reads a %s that is drawn with the mouse', async (digit) => {
    await draw(page, digits[digit])
    await answerIs(page, digit)
    const shares = (await page.locator('#bars li > :last-child').allTextContents()).map(Number.parseFloat)
    expect(shares).toHaveLength(10)
    expect(shares.indexOf(Math.max(...shares))).toBe(Number(digit))
    expect(shares.reduce((sum, share) => sum + share)).toBeCloseTo(100, -0.5)
    await page.waitForFunction(
      (wanted) => document.querySelector('#occlusion')?.ariaLabel?.includes(`makes ${wanted} less likely`),
      digit,
    )
    expect(await textOf(page, 'spoken')).toMatch(new RegExp(`It reads ${digit}, [\\d.]+ % sure`))
  })

  it('takes test images, and says whether it was right', async () => {
    await page.click('#pick')
    await page.waitForFunction(() =>
      /and right|but it is a \d/.test(document.querySelector('#answer')?.textContent ?? ''),
    )
    await page.click('#clear')
    await answerIs(page, '–')
    await page.waitForFunction(
      () => document.querySelector('#occlusion')?.ariaLabel === 'Occlusion map: nothing is drawn',
    )
  })

  it('is drawn on by keyboard alone', async () => {
    await page.click('#clear')
    await page.focus('#pad')
    for (let i = 0; i < 7; i++) await page.keyboard.press('ArrowUp')
    await page.keyboard.press(' ')
    for (let i = 0; i < 14; i++) await page.keyboard.press('ArrowDown')
    await page.keyboard.press(' ')
    await answerIs(page, '1')
    await page.keyboard.press('Delete')
    await answerIs(page, '–')
    await page.keyboard.press('Tab')
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('clear')
  })

  it('finds the map of a filter by pointer and by keys', async () => {
    await draw(page, digits[1])
    await answerIs(page, '1')
    await page.locator('#filters canvas').hover({ position: { x: 10, y: 10 } })
    expect(await textOf(page, 'tile-note')).toMatch(/^Filter 1: weights from −?\d\.\d\d to \d\.\d\d; its map reaches/)
    await page.mouse.move(0, 0)
    await page.focus('#maps')
    for (const key of ['ArrowDown', 'ArrowDown', 'ArrowRight']) await page.keyboard.press(key)
    expect(await textOf(page, 'tile-note')).toMatch(/^Filter 10:/)
    expect(await page.locator('.ring:visible').count()).toBe(2)
  })

  it('saves a model that the command reads', async () => {
    await draw(page, digits[0])
    await answerIs(page, '0')
    model = await save(page, 'saved.safetensors')
    const { file, model: read } = decodeModel(readFileSync(model), 'saved')
    expect(file.normalization).toEqual({ mean: 0.1307, std: 0.3081 })
    expect(read.summary().total.parameters).toBe(155_606)
    read.dispose()
    const { stdout, stderr, status } = spawnSync(process.execPath, [join(root, 'dist/cli/main.js'), 'summary', model], {
      encoding: 'utf8',
    })
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 })
    expect(stdout).toContain('conv(5, 32)')
  })

  it('starts over, and takes the saved model back with its answers', async () => {
    const shares = (): Promise<string[]> => page.locator('#bars li > :last-child').allTextContents()
    const before = await shares()
    await page.click('#restart')
    await page.waitForFunction(() => document.querySelector('#images')?.textContent === '0')
    await page.waitForFunction(
      (old) => document.querySelector('#bars li > :last-child')?.textContent !== old,
      before[0],
    )
    await load(page, model)
    await page.waitForFunction(
      (old) => [...document.querySelectorAll('#bars li > :last-child')].map((e) => e.textContent).join() === old,
      before.join(),
    )
    // The loaded model is tested at once.
    await page.waitForFunction(() => Number.parseFloat(document.querySelector('#accuracy')?.textContent ?? '') > 90)
    const again = await save(page, 'again.safetensors')
    expect(readFileSync(again).equals(readFileSync(model))).toBe(true)
    await page.click('#train')
    await page.waitForFunction(() => (document.querySelector('#images')?.textContent ?? '0') !== '0')
    await page.click('#train')
  })

  it('says what is wrong with a file, and goes on with the model that it has', async () => {
    const other = new Sequential([new Flatten(), new Linear({ outFeatures: 3 })], { input: [1, 8, 8] })
    const facts = { name: 'other', normalization: { mean: 0, std: 1 }, classes: ['a', 'b', 'c'] }
    const files: [string, Uint8Array, RegExp][] = [
      ['text.safetensors', new TextEncoder().encode('{"not": "a model"}'), /^text\.safetensors: .*not a safetensors/],
      ['plain.safetensors', other.save(), /plain\.safetensors: the file holds weights without their architecture/],
      ['other.safetensors', encodeModel(other, facts), /3 classes of 1 × 8 × 8 pictures apart; this page draws/],
      ['cut.safetensors', readFileSync(model).subarray(0, 50_000), /cut\.safetensors: its checksum does not/],
    ]
    other.dispose()
    await page.waitForFunction(() => document.querySelector('#train')?.textContent !== 'Pause')
    for (const [name, bytes, message] of files) {
      const path = join(folder, name)
      writeFileSync(path, bytes)
      await load(page, path)
      await page.waitForFunction((part) => document.querySelector('#notice')?.textContent.includes(part), name)
      expect(await textOf(page, 'notice')).toMatch(message)
      expect(await page.locator('#notice').isVisible()).toBe(true)
    }
    await draw(page, digits[1])
    await answerIs(page, '1')
    expect(errors).toEqual([])
  })
})

describe('training that does not go straight on', () => {
  const images = (page: Page): Promise<number> => numberIn(page, 'images')
  const imagesReach = (page: Page, number: number): Promise<unknown> =>
    page.waitForFunction(
      (wanted) => Number.parseInt(document.querySelector('#images')?.textContent.replaceAll(',', '') ?? '') >= wanted,
      number,
    )
  const isTold = async (page: Page, message: RegExp): Promise<void> => {
    await page.waitForSelector('#notice:not([hidden])')
    expect(await textOf(page, 'notice')).toMatch(message)
  }

  it('starts over while it trains, and trains the new network', async () => {
    const { page, errors } = await ready()
    await page.click('#train')
    for (const pause of [0, 150, 400, 30]) {
      await imagesReach(page, 640)
      await page.waitForTimeout(pause)
      await page.click('#restart')
      await page.waitForFunction(
        () => Number.parseInt(document.querySelector('#images')?.textContent.replaceAll(',', '') ?? '') < 640,
      )
    }
    await trained(page, 80)
    expect(await textOf(page, 'train')).toBe('Pause')
    expect(await page.locator('#notice').isVisible()).toBe(false)
    expect(errors).toEqual([])
    await page.close()
  })

  it('answers for what is drawn while it trains, and for nothing that was there before', async () => {
    const { page, errors } = await ready()
    await page.click('#train')
    await imagesReach(page, 640)
    for (const digit of ['1', '7', '0', '1'] as const) {
      await draw(page, digits[digit])
      await page.waitForFunction(() => /^\d/.test(document.querySelector('#answer')?.textContent ?? ''))
      await page.click('#clear')
      await answerIs(page, '–')
    }
    expect(await textOf(page, 'train')).toBe('Pause')
    expect(errors).toEqual([])
    await page.close()
  })

  it('takes a model while it trains, and then trains that', async () => {
    const { page, errors } = await ready()
    await page.click('#train')
    await trained(page, 60)
    const path = await save(page, 'while.safetensors')
    for (const pause of [0, 250]) {
      await imagesReach(page, 640)
      await page.waitForTimeout(pause)
      await load(page, path)
      await page.waitForFunction(() => document.querySelector('#images')?.textContent === '0')
      expect(await textOf(page, 'train')).toBe('Train')
      // The loaded network is the one that is tested, and it stays as it was until it is trained.
      await trained(page, 60)
      expect(await images(page)).toBe(0)
      expect(readFileSync(await save(page, 'still.safetensors')).equals(readFileSync(path))).toBe(true)
      await page.click('#train')
    }
    await imagesReach(page, 640)
    expect(await page.locator('#notice').isVisible()).toBe(false)
    expect(errors).toEqual([])
    await page.close()
  })

  it('says that a learning rate is too high; with a lower one, starting over learns', async () => {
    const { page, errors } = await ready()
    await page.locator('#rate').fill('-0.3')
    await page.click('#train')
    await isTold(page, /^Training was stopped: over the last 50 steps the loss was 2\.3\d, no better than guessing/)
    expect(await textOf(page, 'notice')).toContain('learning rate of 0.5 seems too high; lower it and start over')
    await page.waitForFunction(() => document.querySelector('#train')?.textContent === 'Go on')
    await page.locator('#rate').fill('-2')
    // Lowering alone does not help: nothing is left that could learn.
    await page.click('#train')
    expect(await page.locator('#notice').isVisible()).toBe(false)
    await isTold(page, /learning rate of 0\.5 seems too high/)
    await page.click('#restart')
    await page.waitForFunction(() => document.querySelector('#train')?.textContent === 'Train')
    await page.click('#train')
    await trained(page, 80)
    expect(await page.locator('#notice').isVisible()).toBe(false)
    expect(errors).toEqual([])
    await page.close()
  })

  it('goes on with a network whose scores are too large for numbers', async () => {
    const { page, errors } = await open({}, rememberTexts)
    await page.waitForSelector('#train:enabled')
    const grown = (name: string, factor: number): string => {
      const net = convnet({ seed: 1 })
      for (const weights of net.parameters().filter(({ ndim }) => ndim > 1)) {
        weights.assign(weights.data().map((value) => factor * value))
      }
      const preprocessing = plainPreprocessing([1, 28, 28], { mean: 0.1307, std: 0.3081 })
      const bytes = encodeModel(net, { name, preprocessing, classes: Array.from({ length: 10 }, (_, i) => String(i)) })
      net.dispose()
      writeFileSync(join(folder, name), bytes)
      return join(folder, name)
    }
    await load(page, grown('infinite.safetensors', 1e30))
    await isTold(page, /scores that the model gives to the test images are not numbers/)
    expect(await textOf(page, 'answer')).toContain('its scores are not numbers')
    await page.click('#train')
    await isTold(
      page,
      /Training was stopped: the loss became NaN at step 1 [^;]*\. The learning rate of [\d.]+ seems too high; lower it and start over\.$/,
    )
    // Nothing that was seen of other weights stands beside that.
    expect(await textOf(page, 'accuracy')).toBe('–')
    expect(await textOf(page, 'occlusion-note')).toBe('The scores are not numbers: no place speaks for an answer.')
    // A loss of trillions, too, has a few numbers beside its axis, and as many lines.
    await load(page, grown('huge.safetensors', 2000))
    await page.waitForFunction(() => /e\+1\d/.test(document.querySelector('#loss-chart')?.textContent ?? ''))
    const huge = await chartTexts(page)
    const powers = huge.texts.filter((text) => /^(10+|1e\d+)$/.test(text))
    expect(powers.length).toBeGreaterThan(2)
    expect(powers.length).toBeLessThan(8)
    expect({ ...huge, texts: [] }).toEqual({ texts: [], overlapping: [], cut: [] })
    // A loss of millions has numbers beside the axis that leave its title alone.
    await load(page, grown('large.safetensors', 30))
    await trained(page, 0)
    // The chart of the network before stands until this one is measured.
    await page.waitForFunction(() => /test[\d.]+e\+\d\b/.test(document.querySelector('#loss-chart')?.textContent ?? ''))
    const { texts, overlapping, cut } = await chartTexts(page)
    expect(texts).toContain('Loss (cross-entropy, nats)')
    expect(texts.some((text) => /^10{5,}$/.test(text))).toBe(true)
    expect({ overlapping, cut }).toEqual({ overlapping: [], cut: [] })
    await draw(page, digits[1])
    await page.waitForFunction(() => /^\d$/.test(document.querySelector('#answer strong')?.textContent ?? ''))
    expect(errors).toEqual([])
    await page.close()
  })
})

describe('the pad', () => {
  it('loses the digit that was on it at the first stroke, and gives everything back', async () => {
    const { page, errors } = await ready()
    // A failure prints less of a hash than of a picture.
    const picture = async (): Promise<string> =>
      createHash('sha256')
        .update(await page.locator('#pad').evaluate((pad) => (pad as HTMLCanvasElement).toDataURL()))
        .digest('hex')
    const undo = page.locator('#undo')
    const preset = await picture()
    expect(await undo.isDisabled()).toBe(true)
    await stroke(page, digits[1])
    const first = await picture()
    await stroke(page, [digits[7][0]])
    const second = await picture()
    // The same strokes on an empty pad: nothing of the preset digit is left.
    await page.click('#clear')
    const blank = await picture()
    await stroke(page, digits[1])
    expect(await picture()).toBe(first)
    await stroke(page, [digits[7][0]])
    expect(await picture()).toBe(second)
    await page.click('#pick')
    await page.waitForFunction(() =>
      /and right|but it is a \d/.test(document.querySelector('#answer')?.textContent ?? ''),
    )
    const test = await picture()
    await page.click('#clear')
    await undo.click()
    expect(await picture()).toBe(test)
    // With the picture its label comes back.
    await page.waitForFunction(() =>
      /and right|but it is a \d/.test(document.querySelector('#answer')?.textContent ?? ''),
    )
    for (const before of [second, first, blank, second]) {
      await undo.click()
      expect(await picture()).toBe(before)
    }
    expect(await textOf(page, 'answer')).not.toMatch(/and right|but it is/)
    await page.focus('#pad')
    await page.keyboard.press('Control+z')
    await page.keyboard.press('Control+z')
    await page.locator('#pad').blur()
    expect(await picture()).toBe(preset)
    expect(await undo.isDisabled()).toBe(true)
    await page.keyboard.press('Control+z')
    // By keyboard, too, the first stroke is the only one.
    await page.focus('#pad')
    for (let i = 0; i < 7; i++) await page.keyboard.press('ArrowUp')
    await page.keyboard.press(' ')
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press(' ')
    await undo.focus()
    await page.keyboard.press('Enter')
    // The button is off now; the focus is where the next stroke is.
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('pad')
    expect(errors).toEqual([])
    await page.close()
  })
})

describe('the page', () => {
  it('fits a phone, takes a finger, and stays light or dark', async () => {
    const phone = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true }
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page, errors } = await ready({ ...phone, colorScheme })
      await page.waitForTimeout(300)
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360)
      const [red] = (await page.evaluate(() => getComputedStyle(document.body).backgroundColor)).match(/\d+/g) ?? []
      expect(Number(red) > 127).toBe(colorScheme === 'light')
      await page.tap('#clear')
      await answerIs(page, '–')
      await page.tap('#pad')
      await page.waitForFunction(() => document.querySelector('#answer strong')?.textContent !== '–')
      // Nothing that is to be touched is smaller than WCAG 2.2's 24 pixels.
      for (const button of await page.locator('button:visible').all()) {
        expect((await button.boundingBox())?.height).toBeGreaterThanOrEqual(24)
      }
      expect(errors).toEqual([])
      await page.close()
    }
  })

  it('names every control, and nothing that is focused is hidden', async () => {
    const { page } = await ready()
    const unnamed = await page.evaluate(() =>
      [...document.querySelectorAll<HTMLElement>('button, input, canvas[tabindex], [role=img], [role=group]')]
        .filter((element) => {
          const label = element instanceof HTMLInputElement ? element.labels?.[0]?.textContent : element.textContent
          return !(element.ariaLabel ?? '') && !(label ?? '').trim()
        })
        .map(({ outerHTML }) => outerHTML),
    )
    expect(unnamed).toEqual([])
    const visited: string[] = []
    for (let i = 0; i < 10; i++) {
      await page.keyboard.press('Tab')
      visited.push(await page.evaluate(() => document.activeElement?.id ?? ''))
      expect(await page.locator(':focus').isVisible()).toBe(true)
    }
    expect(visited).toEqual(['train', 'restart', 'rate', 'save', 'load', 'pad', 'clear', 'pick', 'filters', 'maps'])
    await page.close()
  })

  it('has text of enough contrast in both schemes', async () => {
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page } = await ready({ colorScheme })
      const ratios = await page.evaluate(() => {
        const style = getComputedStyle(document.documentElement)
        const luminance = (name: string): number => {
          const [red, green, blue] = [1, 3, 5].map((at) => {
            const share =
              parseInt(
                style
                  .getPropertyValue(name)
                  .trim()
                  .slice(at, at + 2),
                16,
              ) / 255
            return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
          }) as [number, number, number]
          return 0.2126 * red + 0.7152 * green + 0.0722 * blue
        }
        const pairs = [
          ['--ink', '--page'],
          ['--muted', '--page'],
          ['--muted', '--panel'],
          ['--ink', '--panel'],
          ['--training', '--page'],
          ['--test', '--page'],
          ['--on-training', '--training'],
          ['--pad-ink', '--pad'],
        ] as const
        return pairs.map(([a, b]): [string, number] => {
          const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number]
          return [`${a} on ${b}`, (light + 0.05) / (dark + 0.05)]
        })
      })
      for (const [pair, ratio] of ratios) expect({ pair, ratio: ratio >= 4.5 }).toEqual({ pair, ratio: true })
      await page.close()
    }
  })

  it.each(['light', 'dark'] as const)('has nothing that axe finds fault with, %s', async (colorScheme) => {
    for (const viewport of [
      { width: 1280, height: 900 },
      { width: 360, height: 740 },
    ]) {
      const { page } = await ready({ colorScheme, viewport })
      await draw(page, digits[1])
      await page.evaluate(readFileSync(join(root, 'node_modules/axe-core/axe.min.js'), 'utf8'))
      const { violations } = await page.evaluate(() =>
        (window as unknown as { axe: { run(): Promise<{ violations: unknown[] }> } }).axe.run(),
      )
      expect(violations).toEqual([])
      await page.close()
    }
  })

  it('draws its pictures seldom where less motion is wanted', async () => {
    const { page } = await ready({ reducedMotion: 'reduce' })
    await page.evaluate(() => {
      const put = CanvasRenderingContext2D.prototype.putImageData
      const seen = window as unknown as { drawn: number }
      seen.drawn = 0
      CanvasRenderingContext2D.prototype.putImageData = function (this: CanvasRenderingContext2D, ...given: unknown[]) {
        if (this.canvas.parentElement?.id === 'filters') seen.drawn++
        Reflect.apply(put, this, given)
      }
    })
    await page.click('#train')
    await page.waitForFunction(() => (document.querySelector('#images')?.textContent ?? '0') !== '0')
    const count = (): Promise<number> => page.evaluate(() => (window as unknown as { drawn: number }).drawn)
    const [began, before] = [Date.now(), await count()]
    await page.waitForTimeout(4500)
    await page.waitForFunction((old) => (window as unknown as { drawn: number }).drawn > old, before)
    const drawn = (await count()) - before
    expect(drawn).toBeLessThanOrEqual(Math.ceil((Date.now() - began) / 2000) + 1)
    await page.close()
  })
})

/** What is said when the page cannot compute; the pad still draws. */
async function expectRefusal(page: Page, message: RegExp): Promise<void> {
  await page.waitForSelector('#notice:not([hidden])')
  expect(await textOf(page, 'notice')).toMatch(message)
  expect(await page.locator('#train').isDisabled()).toBe(true)
  const picture = (): Promise<string> => page.locator('#pad').evaluate((pad) => (pad as HTMLCanvasElement).toDataURL())
  const before = await picture()
  await draw(page, digits[7])
  expect(await picture()).not.toBe(before)
  await page.close()
}

describe('a browser or a server that does not let it', () => {
  it('no WebAssembly SIMD', async () => {
    const { page } = await open({}, (opened) =>
      opened.route('**/worker.js', async (route) => {
        const response = await route.fetch()
        await route.fulfill({ response, body: `WebAssembly.validate = () => false;${await response.text()}` })
      }),
    )
    await expectRefusal(page, /no WebAssembly SIMD; it came with Chrome/)
  })

  it('a policy that forbids WebAssembly', async () => {
    const { page } = await open({}, (opened) =>
      opened.route('**/*', async (route) => {
        const response = await route.fetch()
        const headers = { ...response.headers(), 'content-security-policy': "script-src 'self'" }
        await route.fulfill({ response, headers })
      }),
    )
    await expectRefusal(page, /Content-Security-Policy blocks WebAssembly; add 'wasm-unsafe-eval'/)
  })

  it('a worker that is missing', async () => {
    const { page } = await open({}, (opened) => opened.route('**/worker.js', (route) => route.fulfill({ status: 404 })))
    await expectRefusal(page, /The worker that computes could not be started/)
  })

  it('data that are missing: says so, and tries again when asked again', async () => {
    const { page } = await ready()
    await page.route('**/data/**', (route) => route.fulfill({ status: 404 }))
    await page.click('#train')
    await page.waitForSelector('#notice:not([hidden])')
    expect(await textOf(page, 'notice')).toMatch(/MNIST could not be loaded: .*ubyte\.gz answered 404, not 200/)
    expect(await textOf(page, 'train')).toBe('Train')
    await page.unroute('**/data/**')
    await page.click('#train')
    await page.waitForFunction(() => (document.querySelector('#images')?.textContent ?? '0') !== '0')
    expect(await page.locator('#notice').isVisible()).toBe(false)
    await page.close()
  })

  it('no isolation: one thread, and everything works', async () => {
    const { page } = await open({}, (opened) =>
      opened.route('**/*', async (route) => {
        const response = await route.fetch()
        const { 'cross-origin-opener-policy': _, 'cross-origin-embedder-policy': __, ...headers } = response.headers()
        await route.fulfill({ response, headers })
      }),
    )
    await page.waitForSelector('#train:enabled')
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(false)
    expect(await textOf(page, 'threads-note')).toBe('of training, in 1 thread')
    await draw(page, digits[1])
    await page.waitForFunction(() => document.querySelector('#bars')?.textContent.includes('%'))
    await page.close()
  })

  it('a server that is asked for what it has not', async () => {
    for (const [path, status] of [
      ['nothing', 404],
      ['%00', 404],
      ['..%2f..%2f..%2fpackage.json', 404],
      ['%zz', 400],
      ['data/', 404],
    ] as const) {
      expect((await fetch(address + path)).status).toBe(status)
    }
    expect((await fetch(address, { method: 'POST' })).status).toBe(405)
  })
})
