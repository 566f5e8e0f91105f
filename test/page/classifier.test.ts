/** The pages of docs/classifying.md in Chromium, and what else a page can give to a classifier. */
import { createServer, type Server } from 'node:http'
import { existsSync, readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join, normalize, resolve } from 'node:path'
import { chromium, type Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadClassifier, type PictureClassifier } from '../../src/classifier/index.js'
import { encodeModel } from '../../src/io/model-file.js'
import { encodePng } from '../../src/formats/png.js'
import { plainPreprocessing } from '../../src/io/preprocessing.js'
import { Flatten, Linear, Sequential } from '../../src/nn/index.js'
import { init } from '../../src/runtime/embedded.js'
import { blocksIn } from '../docs/blocks.js'
import { chromiumPath } from './browser.js'

const root = resolve(import.meta.dirname, '../..')
const pages = blocksIn(readFileSync(join(root, 'docs/classifying.md'), 'utf8')).filter(({ kind }) => kind === 'html')

/** A picture in colours, without transparency. */
const photo = {
  ...({ width: 37, height: 21, channels: 3 } as const),
  data: Uint8Array.from({ length: 37 * 21 * 3 }, (_, i) => (i * 31 + (i >> 3)) % 256),
}
/** A page that only loads. */
const loading = `<!doctype html><title>loading</title><output></output><script type="module">
  import { init } from '/toeplitz/index.js'
  import { loadClassifier } from '/toeplitz/classifier.js'
  await init()
  globalThis.loadClassifier = loadClassifier
  document.querySelector('output').textContent = 'ready'
</script>`
const classes = ['ape', 'bee', 'cat', 'dog']

let server: Server
let address: string
let elsewhere: Server
let browser: Browser
let classifier: PictureClassifier
beforeAll(async () => {
  await init()
  const model = new Sequential([new Flatten(), new Linear({ outFeatures: 4 })], { input: [3, 9, 9], seed: 5 })
  const preprocessing = plainPreprocessing([3, 9, 9], { mean: 0.5, std: 0.25 })
  const file = encodeModel(model, { name: 'animals', preprocessing, classes })
  classifier = await loadClassifier(file)
  const html = 'text/html; charset=utf-8'
  server = createServer((request, response) => {
    const path = new URL(request.url!, 'http://page').pathname
    const page = /^\/page-(\d)$/.exec(path)
    const answer = (type: string, body: string | Uint8Array): unknown =>
      response.writeHead(200, { 'Content-Type': type }).end(body)
    if (page) answer(html, pages[Number(page[1])]!.code)
    else if (path === '/empty') answer(html, loading)
    else if (path === '/photo.png') answer('image/png', encodePng(photo))
    else if (path === '/model.safetensors') answer('application/octet-stream', file)
    else if (path.startsWith('/toeplitz/')) {
      const found = join(root, 'dist', normalize(path.slice('/toeplitz'.length)))
      if (existsSync(found)) answer('text/javascript', readFileSync(found))
      else response.writeHead(404).end()
    } else response.writeHead(path === '/favicon.ico' ? 204 : 404).end()
  }).listen(0)
  elsewhere = createServer((_, response) =>
    response.writeHead(200, { 'Content-Type': 'image/png' }).end(encodePng(photo)),
  ).listen(0)
  address = `http://localhost:${(server.address() as AddressInfo).port}`
  const args = ['--no-sandbox', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream']
  browser = await chromium.launch({ executablePath: chromiumPath(), args })
})
afterAll(async () => {
  await browser.close()
  server.close()
  elsewhere.close()
  classifier.dispose()
})

async function open(path: string) {
  const page = await browser.newPage()
  const errors: string[] = []
  page.on('pageerror', ({ message }) => errors.push(message))
  await page.goto(`${address}${path}`)
  return { page, errors, output: () => page.locator('output').textContent() }
}

/** Waits until a page says something. */
const said = async ({ page, output }: Awaited<ReturnType<typeof open>>): Promise<string> => {
  await page.waitForFunction(() => document.querySelector('output')?.textContent !== '')
  return (await output())!
}

describe('docs/classifying.md', () => {
  it('classifies an <img>', async () => {
    const opened = await open('/page-0')
    const [best] = classifier.predict(photo)
    expect(await said(opened)).toBe(`${best!.label}, ${(100 * best!.probability).toFixed(1)} %`)
    expect(opened.errors).toEqual([])
    await opened.page.close()
  })

  it('classifies a canvas, and a file that is chosen', async () => {
    const opened = await open('/page-1')
    const { page } = opened
    await page.waitForFunction(() => document.querySelector('input')!.onchange !== null)
    await page
      .locator('input')
      .setInputFiles({ name: 'x.png', mimeType: 'image/png', buffer: Buffer.from(encodePng(photo)) })
    expect(await said(opened)).toBe(classifier.predict(photo)[0]!.label)
    await page.evaluate(() => (document.querySelector('output')!.textContent = ''))
    await page.mouse.move(60, 60)
    await page.mouse.down()
    await page.mouse.move(200, 220, { steps: 10 })
    await page.mouse.up()
    const drawn = await page.evaluate(() => {
      const { data } = document.querySelector('canvas')!.getContext('2d')!.getImageData(0, 0, 280, 280)
      return [...data]
    })
    expect(new Set(drawn).size).toBeGreaterThan(1)
    const picture = { width: 280, height: 280, data: Uint8Array.from(drawn) }
    expect(await said(opened)).toBe(classifier.predict(picture)[0]!.label)
    expect(opened.errors).toEqual([])
    await page.close()
  })

  it('classifies what a camera sees', async () => {
    const opened = await open('/page-2')
    expect(classes).toContain(await said(opened))
    // A frame of size 0 is passed over, and the page goes on with the next that has pixels.
    const skipped = await opened.page.evaluate(async () => {
      const [video, output] = [document.querySelector('video')!, document.querySelector('output')!]
      const frames = (): Promise<unknown> => new Promise((resolve) => video.requestVideoFrameCallback(resolve))
      Object.defineProperties(video, {
        videoWidth: { value: 0, configurable: true },
        videoHeight: { value: 0, configurable: true },
      })
      await frames()
      output.textContent = ''
      for (let i = 0; i < 3; i++) await frames()
      const text = output.textContent
      Reflect.deleteProperty(video, 'videoWidth')
      Reflect.deleteProperty(video, 'videoHeight')
      return text
    })
    expect(skipped).toBe('')
    expect(classes).toContain(await said(opened))
    expect(opened.errors).toEqual([])
    await opened.page.close()
  })
})

describe('on a page', () => {
  it('gives the same to the bit for all that has the same pixels, and says what is wrong with the rest', async () => {
    const opened = await open('/empty')
    const { page } = opened
    await said(opened)
    const other = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/photo.png`
    const found = await page.evaluate(async (other) => {
      interface Loaded {
        predict(image: unknown): unknown
      }
      const { loadClassifier } = globalThis as unknown as { loadClassifier(source: unknown): Promise<Loaded> }
      const classifier = await loadClassifier(new URL('/model.safetensors', location.href))
      const fetched = await loadClassifier(await (await fetch('/model.safetensors')).blob())
      const image = Object.assign(new Image(), { src: '/photo.png' })
      await image.decode()
      // Neither the box nor the attributes of an element are its size.
      image.width = 5
      const bitmap = await createImageBitmap(image)
      const canvas = Object.assign(document.createElement('canvas'), { width: 37, height: 21 })
      const context = canvas.getContext('2d')!
      context.drawImage(image, 0, 0, 37, 21)
      const offscreen = new OffscreenCanvas(37, 21)
      offscreen.getContext('2d')!.drawImage(bitmap, 0, 0)
      const frame = new VideoFrame(canvas, { timestamp: 0 })
      const pixels = context.getImageData(0, 0, 37, 21)
      const same: Record<string, unknown> = { image, bitmap, canvas, offscreen, frame, pixels }
      const answers = Object.fromEntries(
        Object.entries(same).map(([name, picture]) => [name, classifier.predict(picture)]),
      )
      answers['fetched'] = fetched.predict(pixels)
      const tainted = Object.assign(new Image(), { src: other })
      await tainted.decode()
      const closed = frame.clone()
      closed.close()
      const wrong: Record<string, unknown> = {
        tainted,
        closed,
        unloaded: new Image(),
        video: document.createElement('video'),
        canvas: Object.assign(document.createElement('canvas'), { width: 0 }),
        element: document.createElement('div'),
      }
      const errors = Object.entries(wrong).map(([name, picture]) => {
        try {
          classifier.predict(picture)
          return [name, 'nothing was wrong']
        } catch (error) {
          return [name, (error as Error).message]
        }
      })
      // The page goes on.
      answers['after'] = classifier.predict(image)
      return { answers, errors: Object.fromEntries(errors) as Record<string, string>, pixels: [...pixels.data] }
    }, other)
    const rgb = photo.data
    expect(found.pixels.filter((_, i) => i % 4 < 3)).toEqual([...rgb])
    for (const [name, answer] of Object.entries(found.answers)) {
      // A VideoFrame of a canvas may keep its colours in another form.
      if (name !== 'frame') expect(answer, name).toEqual(classifier.predict(photo))
    }
    const messages: Readonly<Record<string, RegExp>> = {
      tainted: /the <img> is of another origin, .* set crossOrigin = 'anonymous' before src/,
      closed: /the VideoFrame has 0 × 0 pixels|cannot be drawn/,
      unloaded: /the <img> has 0 × 0 pixels; wait until it is loaded/,
      video: /the <video> has 0 × 0 pixels; wait until it is loaded/,
      canvas: /the picture has 0 × 150 pixels/,
      element: /the object has no pixels: neither data nor a width and a height/,
    }
    expect(Object.keys(found.errors)).toEqual(Object.keys(messages))
    for (const [name, message] of Object.entries(messages)) expect(found.errors[name]).toMatch(message)
    await page.close()
  })
})

describe('a browser’s console', () => {
  it('shows a tensor’s shape, type and values where custom formatters are on, and calls its class Tensor', async () => {
    const { page } = await open('/empty')
    const session = await page.context().newCDPSession(page)
    await session.send('Runtime.enable')
    await session.send('Runtime.setCustomObjectFormatterEnabled', { enabled: true })
    const shown = new Promise<{ header: string; name: string | undefined }>((resolve) => {
      session.on('Runtime.consoleAPICalled', ({ args: [first] }) =>
        resolve({ header: first?.customPreview?.header ?? '', name: first?.className }),
      )
    })
    // As text: what stands in a function here has its import() rewritten.
    await page.evaluate(
      `import('/toeplitz/index.js').then(async ({ init, tensor }) => { await init(); console.log(tensor([1, 2.5])) })`,
    )
    expect(await shown).toEqual({
      header: JSON.stringify(['span', {}, 'Tensor (2) float32 [1, 2.5]']),
      name: 'Tensor',
    })
    await page.close()
  })
})
