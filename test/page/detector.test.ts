/** The page of examples/detector in Chromium, with the network that its build fetches: `npm run test:page`. */
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import jpeg from 'jpeg-js'
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chromiumPath, startServer } from './browser.js'

const root = resolve(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'toeplitz-detector-'))
const astronaut = join(root, 'examples/detector/astronaut.jpg')
let server: ChildProcess
let address: string
let browser: Browser

beforeAll(async () => {
  ;({ server, address } = await startServer('detector'))
  browser = await chromium.launch({ executablePath: chromiumPath(), args: ['--no-sandbox'] })
})

afterAll(async () => {
  await browser.close()
  server.kill()
  rmSync(folder, { recursive: true, force: true })
})

/** A page, and the errors that it did not expect itself. */
async function open(options: BrowserContextOptions = {}, prepare?: (page: Page) => Promise<unknown>) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })
  const page = await context.newPage()
  page.setDefaultTimeout(90_000)
  const errors: string[] = []
  page.on('pageerror', ({ message }) => errors.push(message))
  await prepare?.(page)
  await page.goto(address)
  return { page, errors, context }
}

const textOf = async (page: Page, id: string): Promise<string> => (await page.textContent(`#${id}`)) ?? ''

const facesAre = (page: Page, count: number): Promise<unknown> =>
  page.waitForFunction((due) => document.querySelector('#faces')?.textContent === String(due), count)

/** The page with the face of the picture that it comes with. */
async function ready(options: BrowserContextOptions = {}) {
  const opened = await open(options)
  await facesAre(opened.page, 1)
  return opened
}

const choose = async (page: Page, path: string): Promise<void> => {
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.click('#choose')])
  await chooser.setFiles(path)
}

/** Drops files of these texts on the page. */
const drop = (page: Page, files: readonly { name: string; base64: string }[]): Promise<unknown> =>
  page.evaluate((given) => {
    const dataTransfer = new DataTransfer()
    for (const { name, base64 } of given) {
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))
      dataTransfer.items.add(new File([bytes], name))
    }
    window.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }))
  }, files)

/** Where yellow, the colour of boxes and points, lies on the canvas: the extents, in shares. */
const drawn = (page: Page): Promise<{ left: number; right: number; top: number; bottom: number }> =>
  page.evaluate(() => {
    const canvas = document.querySelector('canvas') as HTMLCanvasElement
    const { width, height } = canvas
    const { data } = (canvas.getContext('2d') as CanvasRenderingContext2D).getImageData(0, 0, width, height)
    const [xs, ys]: [number[], number[]] = [[], []]
    for (let i = 0; i < width * height; i++) {
      if (data[4 * i] !== 255 || data[4 * i + 1] !== 216 || data[4 * i + 2] !== 77) continue
      xs.push((i % width) / width)
      ys.push(Math.floor(i / width) / height)
    }
    return { left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys) }
  })

/**
 * A camera that sees the picture of the page, on a canvas: Chromium's headless shell has none, nor those that Chromium makes up for tests.
 */
const withCamera = (page: Page): Promise<unknown> =>
  page.addInitScript(() => {
    navigator.mediaDevices.getUserMedia = async () => {
      const picture = await createImageBitmap(await (await fetch('astronaut.jpg')).blob())
      const canvas = document.createElement('canvas')
      Object.assign(canvas, { width: 640, height: 480 })
      const draw = (): void => canvas.getContext('2d')?.drawImage(picture, 80, 0, 480, 480)
      const stream = canvas.captureStream(25)
      const timer = setInterval(() => {
        if (stream.active) draw()
        else clearInterval(timer)
      }, 40)
      return stream
    }
  })

/** A picture without a face: two colours. */
function plainPicture(): string {
  const [width, height] = [300, 200]
  const data = Buffer.alloc(4 * width * height, 200)
  data.fill(40, 0, data.length / 2)
  const path = join(folder, 'plain.jpg')
  writeFileSync(path, jpeg.encode({ width, height, data }, 80).data)
  return path
}

describe('a picture', () => {
  it('that comes with the page has one face, which is drawn where it is', async () => {
    const { page, errors } = await ready()
    expect(await textOf(page, 'score-note')).toMatch(/^sure by (9\d|100) %$/)
    expect(await textOf(page, 'source')).toBe('Eileen Collins, by NASA, 384 × 384')
    expect(Number(await textOf(page, 'frame'))).toBeGreaterThan(0)
    expect(await page.getAttribute('#picture', 'aria-label')).toBe('Picture with 1 face')
    expect(await textOf(page, 'model-note')).toMatch(/^The network has 10\d,\d{3} weights\.$/)
    // Her face is in the upper part of the picture, left of its middle on the whole.
    const { left, right, top, bottom } = await drawn(page)
    expect((left + right) / 2).toBeCloseTo(0.43, 1)
    expect((top + bottom) / 2).toBeCloseTo(0.23, 1)
    expect(right - left).toBeGreaterThan(0.15)
    expect(right - left).toBeLessThan(0.4)
    expect(errors).toEqual([])
    await page.close()
  })

  it('that is chosen takes its place, with a face or without', async () => {
    const { page, errors } = await ready()
    await choose(page, plainPicture())
    await facesAre(page, 0)
    expect(await textOf(page, 'score-note')).toBe('none is sure enough')
    expect(await textOf(page, 'source')).toBe('plain.jpg, 300 × 200')
    expect(await textOf(page, 'spoken')).toBe('no faces in plain.jpg')
    await choose(page, astronaut)
    await facesAre(page, 1)
    expect(errors).toEqual([])
    await page.close()
  })

  it('that is dropped is taken; what is none is said to be none, and what was there stays', async () => {
    const { page, errors } = await ready()
    await drop(page, [{ name: 'plain.jpg', base64: readFileSync(plainPicture()).toString('base64') }])
    await facesAre(page, 0)
    await drop(page, [{ name: 'notes.txt', base64: btoa('no picture') }])
    await page.waitForSelector('#notice:not([hidden])')
    expect(await textOf(page, 'notice')).toBe(
      'notes.txt is not a picture that this browser reads; choose a JPEG, PNG, WebP, GIF or AVIF.',
    )
    expect(await textOf(page, 'source')).toBe('plain.jpg, 300 × 200')
    await drop(page, [])
    expect(await textOf(page, 'notice')).toBe('What was dropped is no file: drop a picture from a folder.')
    await drop(page, [{ name: 'face.jpg', base64: readFileSync(astronaut).toString('base64') }])
    await facesAre(page, 1)
    await page.waitForSelector('#notice', { state: 'hidden' })
    expect(errors).toEqual([])
    await page.close()
  })
})

describe('the camera', () => {
  it('shows every frame with its faces, as a mirror does, and how long each takes; and is stopped', async () => {
    const { page, errors } = await open({}, withCamera)
    await facesAre(page, 1)
    const before = await drawn(page)
    await page.click('#camera')
    await page.waitForFunction(() => Number(document.querySelector('#rate')?.textContent) > 0)
    expect(await textOf(page, 'source')).toBe('The camera, 640 × 480')
    expect(await textOf(page, 'faces')).toBe('1')
    const mirrored = await drawn(page)
    // The square picture is in the middle three quarters of the camera's.
    expect((mirrored.left + mirrored.right) / 2).toBeCloseTo(0.125 + 0.75 * (1 - (before.left + before.right) / 2), 1)
    expect(await textOf(page, 'camera')).toBe('Stop the camera')
    await page.click('#camera')
    expect(await textOf(page, 'camera')).toBe('Start the camera')
    expect(await textOf(page, 'rate')).toBe('–')
    // A picture ends it, too.
    await page.click('#camera')
    await page.waitForFunction(() => Number(document.querySelector('#rate')?.textContent) > 0)
    await choose(page, plainPicture())
    await facesAre(page, 0)
    expect(await textOf(page, 'camera')).toBe('Start the camera')
    await page.waitForTimeout(300)
    expect(await textOf(page, 'source')).toBe('plain.jpg, 300 × 200')
    expect(errors).toEqual([])
    await page.close()
  })

  it.each([
    ['NotAllowedError', 'The camera was not allowed.'],
    ['NotFoundError', 'There is no camera.'],
    ['NotReadableError', 'The camera does not start: another program may be using it.'],
    ['AbortError', 'The camera does not start: no more'],
  ])('that is not to be had is told of: %s', async (name, text) => {
    const { page, errors } = await open({}, (each) =>
      each.addInitScript((kind) => {
        navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no more', kind))
      }, name),
    )
    await facesAre(page, 1)
    await page.click('#camera')
    await page.waitForSelector('#notice:not([hidden])')
    expect(await textOf(page, 'notice')).toContain(text)
    expect(await textOf(page, 'camera')).toBe('Start the camera')
    expect(errors).toEqual([])
    await page.close()
  })

  it('is not there for pages of which browsers do not know where they come from', async () => {
    const { page } = await open({}, (each) =>
      each.addInitScript(() => {
        Object.defineProperty(navigator, 'mediaDevices', { value: undefined })
      }),
    )
    await facesAre(page, 1)
    await page.click('#camera')
    await page.waitForSelector('#notice:not([hidden])')
    expect(await textOf(page, 'notice')).toContain('over https')
    await page.close()
  })
})

describe('the page', () => {
  it.each(['light', 'dark'] as const)('fits a phone, and axe finds no fault with it, %s', async (colorScheme) => {
    for (const viewport of [
      { width: 1280, height: 900 },
      { width: 360, height: 740 },
    ]) {
      const { page, errors } = await ready({ colorScheme, viewport })
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(viewport.width)
      const [red] = (await page.evaluate(() => getComputedStyle(document.body).backgroundColor)).match(/\d+/g) ?? []
      expect(Number(red) > 127).toBe(colorScheme === 'light')
      await page.evaluate(readFileSync(join(root, 'node_modules/axe-core/axe.min.js'), 'utf8'))
      const { violations } = await page.evaluate(() =>
        (window as unknown as { axe: { run(): Promise<{ violations: unknown[] }> } }).axe.run(),
      )
      expect(violations).toEqual([])
      expect(errors).toEqual([])
      await page.close()
    }
  })

  it('says that the network is missing, and where it comes from', async () => {
    const { page, errors } = await open({}, (each) =>
      each.route('**/blazeface.onnx', (route) => route.fulfill({ status: 404, body: '' })),
    )
    await page.waitForSelector('#notice:not([hidden])')
    expect(await textOf(page, 'notice')).toBe(
      'The network is missing: /blazeface.onnx answers 404. `node examples/detector/build.mjs` fetches it.',
    )
    expect(await page.isDisabled('#choose')).toBe(true)
    expect(errors).toEqual([])
    await page.close()
  })

  it('says that what came is no network', async () => {
    const { page } = await open({}, (each) =>
      each.route('**/blazeface.onnx', (route) => route.fulfill({ status: 200, body: '<!doctype html><p>hello' })),
    )
    await page.waitForSelector('#notice:not([hidden])')
    expect(await textOf(page, 'notice')).toContain('BlazeFace')
    await page.close()
  })
})
