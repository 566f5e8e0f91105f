/**
 * Prints how long the page trains in Chromium until 97 % of MNIST's 10,000 test images are read right, and how many
 * frames a second it draws meanwhile: `node test/page/measure.mjs`, alone on the machine; THREADS=2 asks for two threads. With --images it leaves the README's pictures of the page.
 */
import { chromium } from 'playwright-core'
import { buildPage } from '../../examples/browser/build.mjs'
import { pageServer } from '../../examples/browser/serve.mjs'

const goal = 97
const server = pageServer(await buildPage())
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const browser = await chromium.launch({
  executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
  args: ['--no-sandbox'],
})
try {
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 900 } })).newPage()
  await page.goto(
    `http://127.0.0.1:${server.address().port}/${process.env['THREADS'] ? `?threads=${process.env['THREADS']}` : ''}`,
  )
  await page.waitForSelector('#train:enabled')
  const result = await page.evaluate(async (wanted) => {
    /* global document, performance, requestAnimationFrame */
    const textOf = (id) => document.getElementById(id).textContent
    document.getElementById('train').click()
    const began = performance.now()
    const frames = []
    const results = []
    for (;;) {
      frames.push(await new Promise((resolve) => requestAnimationFrame(resolve)))
      const accuracy = Number.parseFloat(textOf('accuracy'))
      if (accuracy >= 0 && results.at(-1)?.accuracy !== accuracy) {
        results.push({ seconds: (performance.now() - began) / 1000, images: textOf('images'), accuracy })
      }
      if (accuracy >= wanted || performance.now() - began > 170_000) break
    }
    // Frames in each whole second.
    const perSecond = []
    for (const time of frames) {
      const second = Math.floor((time - frames[0]) / 1000)
      perSecond[second] = (perSecond[second] ?? 0) + 1
    }
    const whole = perSecond.slice(0, -1).map((count) => count ?? 0)
    const longest = frames.reduce((most, time, i) => Math.max(most, time - (frames[i - 1] ?? time)), 0)
    return {
      results,
      framesPerSecond: { least: Math.min(...whole), each: whole },
      longestFrameMs: longest,
      speed: textOf('speed'),
      threads: textOf('threads-note'),
    }
  }, goal)
  if (process.argv.includes('--images')) {
    await page.click('#train')
    await page.waitForFunction(() => document.getElementById('train').textContent === 'Go on')
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme })
      await page.waitForTimeout(1000)
      const { y, height } = await page.locator('#tile-note').boundingBox()
      const clip = { x: 0, y: 0, width: 1280, height: y + height + 24 }
      await page.screenshot({ path: `docs/images/page-${colorScheme}.png`, fullPage: true, clip })
    }
  }
  process.stdout.write(`${JSON.stringify(result, null, 2)}\n`)
} finally {
  await browser.close()
  server.close()
}
