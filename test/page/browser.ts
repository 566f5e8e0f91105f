/** What the tests of pages share: the browser, the server of an example, and where a page writes on its canvases. */
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Page } from 'playwright-core'

/** Path of the Chromium that the tests use. */
export function chromiumPath(): string {
  const candidates = [process.env['CHROMIUM'], '/usr/bin/chromium', '/usr/bin/chromium-headless-shell']
  const found = candidates.find((path) => path !== undefined && existsSync(path))
  if (found === undefined) throw new Error('no Chromium: install the package chromium, or name one in CHROMIUM')
  return found
}

const root = resolve(import.meta.dirname, '../..')

/** Starts the server of an example on a free port; gives its process and the address that it prints. */
export async function startServer(example: string): Promise<{ server: ChildProcess; address: string }> {
  const server = spawn(process.execPath, [join(root, 'examples', example, 'serve.mjs'), '0'], { cwd: root })
  const address = await new Promise<string>((found, failed) => {
    let errors = ''
    server.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
    server.stdout.on('data', (chunk: Buffer) => {
      found(chunk.toString().trim())
    })
    server.on('exit', () => failed(new Error(`the server ended: ${errors}`)))
  })
  return { server, address }
}

/** A text on a canvas and the pixels that it covers. */
interface Written {
  readonly text: string
  readonly left: number
  readonly top: number
  readonly right: number
  readonly bottom: number
}

/** Makes canvases remember the texts that they show; call it before the page is opened. */
export const rememberTexts = (page: Page): Promise<unknown> =>
  page.addInitScript(() => {
    const { fillText, clearRect } = CanvasRenderingContext2D.prototype
    const texts = new Map<HTMLCanvasElement, Written[]>()
    Object.assign(window, { texts })
    CanvasRenderingContext2D.prototype.clearRect = function (this: CanvasRenderingContext2D, ...given) {
      texts.set(this.canvas, [])
      clearRect.apply(this, given)
    }
    CanvasRenderingContext2D.prototype.fillText = function (this: CanvasRenderingContext2D, text, x, y, ...more) {
      const box = this.measureText(text)
      const corners = [-box.actualBoundingBoxLeft, box.actualBoundingBoxRight].flatMap((dx) =>
        [-box.actualBoundingBoxAscent, box.actualBoundingBoxDescent].map((dy) =>
          new DOMPoint(x + dx, y + dy).matrixTransform(this.getTransform()),
        ),
      )
      const [xs, ys] = [corners.map((corner) => corner.x), corners.map((corner) => corner.y)]
      const place = { left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys) }
      if (text.trim() !== '') texts.get(this.canvas)?.push({ text, ...place })
      fillText.call(this, text, x, y, ...more)
    }
  })

/** What the charts show: their texts, those that lie on one another, and those that are cut off. */
export const chartTexts = (page: Page): Promise<{ texts: string[]; overlapping: string[]; cut: string[] }> =>
  page.evaluate(() => {
    const { texts } = window as unknown as { texts: Map<HTMLCanvasElement, Written[]> }
    const found = { texts: [] as string[], overlapping: [] as string[], cut: [] as string[] }
    for (const [canvas, written] of texts) {
      if (!canvas.isConnected || !canvas.closest('.uplot')) continue
      written.forEach((a, index) => {
        found.texts.push(a.text)
        if (a.left < 0 || a.top < 0 || a.right > canvas.width || a.bottom > canvas.height) found.cut.push(a.text)
        for (const b of written.slice(index + 1)) {
          if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom) {
            found.overlapping.push(`${a.text} and ${b.text}`)
          }
        }
      })
    }
    return found
  })
