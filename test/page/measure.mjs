/**
 * How long the page trains in Chromium until 97 % of MNIST's 10,000 test images are read right, and how many frames a
 * second it draws meanwhile. Wants the machine for itself.
 *
 *   node test/page/measure.mjs [--threads 1,2] [--save] [--images]
 *
 * --save writes bench/results/page.json, --images the README's pictures of the page.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { URL } from 'node:url'
import { chromium } from 'playwright-core'
import { buildPage } from '../../examples/browser/build.mjs'
import { pageServer } from '../../examples/browser/serve.mjs'
import { describeMachine } from '../../bench/lib/machine.mjs'
import { browsers } from '../platform/lib/browsers.mjs'

const goal = 97
const root = new URL('../../', import.meta.url)
const { values } = parseArgs({
  options: { threads: { type: 'string' }, save: { type: 'boolean' }, images: { type: 'boolean' } },
})
const machine = describeMachine([])
const server = pageServer(await buildPage())
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const address = `http://127.0.0.1:${server.address().port}/`
const browser = await chromium.launch({
  executablePath: process.env['CHROMIUM'] ?? browsers.Chromium.find(),
  args: ['--no-sandbox'],
})
machine.versions.chromium = browser.version()

/** Presses Train and waits for the goal. Runs in the page. */
async function trainAndCount(wanted) {
  /* global document, performance, requestAnimationFrame */
  const textOf = (id) => document.getElementById(id).textContent
  document.getElementById('train').click()
  const began = performance.now()
  const frames = []
  const tests = []
  for (;;) {
    frames.push(await new Promise((resolve) => requestAnimationFrame(resolve)))
    const accuracy = Number.parseFloat(textOf('accuracy'))
    if (accuracy >= 0 && tests.at(-1)?.accuracy !== accuracy) {
      const images = Number(textOf('images').replaceAll(',', ''))
      tests.push({ seconds: Number(((performance.now() - began) / 1000).toFixed(1)), images, accuracy })
    }
    if (accuracy >= wanted) break
    if (performance.now() - began > 170_000) throw new Error(`only ${accuracy} % after 170 s`)
  }
  // Frames in each whole second.
  const perSecond = Array.from({ length: Math.floor((frames.at(-1) - frames[0]) / 1000) }, () => 0)
  for (const time of frames) {
    const second = Math.floor((time - frames[0]) / 1000)
    if (second < perSecond.length) perSecond[second]++
  }
  const longest = frames.reduce((most, time, i) => Math.max(most, time - (frames[i - 1] ?? time)), 0)
  return {
    seconds: tests.at(-1).seconds,
    images: tests.at(-1).images,
    accuracy: tests.at(-1).accuracy,
    tests,
    frames_per_second: {
      least: Math.min(...perSecond),
      mean: Number((perSecond.reduce((sum, count) => sum + count) / perSecond.length).toFixed(1)),
    },
    longest_frame_ms: Math.round(longest),
  }
}

/** A three, in shares of the pad. */
const three = [
  [0.3, 0.27],
  [0.36, 0.19],
  [0.52, 0.16],
  [0.64, 0.21],
  [0.67, 0.33],
  [0.62, 0.43],
  [0.46, 0.48],
  [0.64, 0.53],
  [0.7, 0.63],
  [0.69, 0.75],
  [0.6, 0.83],
  [0.44, 0.84],
  [0.3, 0.75],
]

/** The README's pictures: the page paused, a digit drawn, in both schemes. */
async function takePictures(page) {
  await page.click('#train')
  await page.waitForFunction(() => document.getElementById('train').textContent === 'Go on')
  await page.click('#clear')
  const pad = await page.locator('#pad').boundingBox()
  for (const [index, [x, y]] of three.entries()) {
    await page.mouse.move(pad.x + x * pad.width, pad.y + y * pad.height, { steps: 4 })
    if (index === 0) await page.mouse.down()
  }
  await page.mouse.up()
  await page.waitForFunction(() => document.getElementById('occlusion').ariaLabel.includes('makes 3'))
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme })
    await page.waitForTimeout(1000)
    await page.evaluate(() => document.documentElement.scrollIntoView())
    const { y, height } = await page.locator('#tile-note').boundingBox()
    const clip = { x: 0, y: 0, width: 1280, height: y + height + 24 }
    await page.screenshot({ path: `docs/images/page-${colorScheme}.png`, fullPage: true, clip })
  }
}

try {
  const rows = []
  for (const threads of (values.threads ?? '1').split(',').map(Number)) {
    const page = await (await browser.newContext({ viewport: { width: 1280, height: 900 } })).newPage()
    await page.goto(`${address}?threads=${threads}`)
    await page.waitForSelector('#train:enabled')
    const measured = await page.evaluate(trainAndCount, goal)
    rows.push({ bench: 'page', case: `${goal} % of MNIST's test images`, threads, ...measured, machine })
    if (values.images) await takePictures(page)
    await page.close()
  }
  const text = `${JSON.stringify(rows, null, 2)}\n`
  if (values.save) writeFileSync(new URL('bench/results/page.json', root), text)
  process.stdout.write(text)
} finally {
  await browser.close()
  server.close()
}
