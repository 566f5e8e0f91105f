/** examples/edge, started by its one command in each of its runtimes, and asked over HTTP. */
import { request } from 'node:http'
import { encodePng } from '../../src/io/index.js'
import { loadMnist } from '../../src/node/index.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { expensiveRequests, filledPng, png, send, sendPatiently, startEdge } from './lib/edge.mjs'

const MiB = 2 ** 20
const blank = new Uint8Array(784)
const whole = encodePng({ width: 28, height: 28, channels: 1, data: blank })
const undecodable = Buffer.from('these are no pixels')

describe.each(['workerd', 'node'])('examples/edge in %s', (runtime) => {
  let server
  let address
  beforeAll(async () => {
    server = await startEdge(runtime)
    address = server.address
  })
  afterAll(() => server?.stop())

  async function post(body, type = 'image/png', query = '') {
    const { status, headers, answer } = await send(address, { body: Buffer.from(body), type, query })
    expect(headers['content-type']).toMatch(/^application\/json/)
    if (answer.error) expect(answer.error.message).not.toContain('\n')
    return { status, ...answer }
  }

  const goesOn = async () => expect(await post(whole)).toMatchObject({ status: 200 })

  it('reads digits from PNG files and from raw pixels, with the same answer', async () => {
    const { test } = await loadMnist()
    const digits = 60
    let right = 0
    for (let n = 0; n < digits; n++) {
      const data = test.images.slice(n * 784, (n + 1) * 784)
      const answer = await post(encodePng({ width: 28, height: 28, channels: 1, data }))
      expect(answer.status).toBe(200)
      expect(await post(data, 'application/octet-stream')).toEqual(answer)
      const sum = Object.values(answer.probabilities).reduce((total, value) => total + value, 0)
      expect(sum).toBeCloseTo(1, 5)
      expect(answer.probability).toBe(Math.max(...Object.values(answer.probabilities)))
      if (answer.class === String(test.labels[n])) right++
    }
    expect(right / digits).toBeGreaterThan(0.95)
  })

  it.each([
    [280, 280],
    // The most pixels that there may be.
    [1024, 1024],
  ])('reads a colour picture of %i × %i pixels, dark on light', async (width, height) => {
    // A vertical stroke: a one.
    const data = new Uint8Array(width * height * 3).fill(255)
    const row = (y) => y * width * 3
    for (let y = height >> 3; y < (height * 7) >> 3; y++) {
      data.fill(20, row(y) + 3 * Math.round(width * 0.46), row(y) + 3 * Math.round(width * 0.54))
    }
    expect(await post(encodePng({ width, height, channels: 3, data }))).toMatchObject({ status: 200, class: '1' })
  })

  it('takes raw pixels of another size', async () => {
    expect(await post(new Uint8Array(600), 'application/octet-stream', '?width=20&height=30')).toMatchObject({
      status: 200,
    })
  })

  it.each([
    ['an empty body', [''], 400, 'EMPTY', /body is empty/],
    ['a body that is too large', [new Uint8Array(MiB + 1)], 413, 'TOO_LARGE', /larger than 1048576 bytes/],
    ['no picture', ['hello'], 400, 'FORMAT', /not a PNG picture/],
    ['an HTML page', ['<!DOCTYPE html>'], 400, 'FORMAT', /not a PNG picture/],
    ['a PNG cut short', [whole.slice(0, -20)], 400, 'FORMAT', /cut short/],
    ['a PNG of which only the signature is there', [whole.slice(0, 8)], 400, 'FORMAT', /cut short/],
    ['a PNG without columns', [png(0, 28, undecodable)], 400, 'FORMAT', /0 × 28 pixels; both must be at least 1/],
    ['a PNG of no colour type', [png(28, 28, undecodable, { colorType: 5 })], 400, 'FORMAT', /damaged/],
    // Their pixels are none, which nobody has found out.
    ['a PNG that claims to be huge', [png(60000, 60000, undecodable)], 422, 'LIMIT', /60000 × 60000.*limit of 1048576/],
    ['the hugest PNG', [png(2 ** 31 - 1, 2 ** 31 - 1, undecodable)], 422, 'LIMIT', /more than the limit/],
    ['a PNG of one long row', [png(1000000, 1, undecodable)], 422, 'LIMIT', /at most 16 times the other; crop/],
    ['a PNG of one long column', [png(1, 1000, undecodable)], 422, 'LIMIT', /at most 16 times/],
    [
      'a PNG whose pixels take many bytes',
      [png(1024, 1024, undecodable, { depth: 16, colorType: 6 })],
      422,
      'LIMIT',
      /64 bits take 8389632 bytes, more than the limit/,
    ],
    [
      'another type',
      [blank, 'text/plain'],
      415,
      'TYPE',
      /must be image\/png or application\/octet-stream, not "text\/plain"/,
    ],
    ['no type', [blank, ''], 415, 'TYPE', /not ""/],
    [
      'raw pixels of the wrong number',
      [blank.slice(1), 'application/octet-stream'],
      400,
      'SIZE',
      /784 bytes, the body has 783/,
    ],
    [
      'a size that is none',
      [blank, 'application/octet-stream', '?width=x'],
      400,
      'SIZE',
      /width must be a whole number/,
    ],
    [
      'a size of nothing',
      [blank, 'application/octet-stream', '?height=0'],
      400,
      'SIZE',
      /height must be a whole number/,
    ],
    [
      'raw pixels in one row',
      [blank, 'application/octet-stream', '?width=784&height=1'],
      422,
      'LIMIT',
      /at most 16 times/,
    ],
    [
      'a raw size that is huge',
      [blank, 'application/octet-stream', '?width=4096&height=4096'],
      422,
      'LIMIT',
      /limit of/,
    ],
  ])('refuses %s, and goes on', async (_, given, status, code, message) => {
    const answer = await post(...given)
    expect(answer).toMatchObject({ status, error: { code } })
    expect(answer.error.message).toMatch(message)
    await goesOn()
  })

  it('refuses a stream that grows too large without saying its length', async () => {
    const parts = Array.from({ length: 40 }, () => Buffer.alloc(32 * 1024))
    expect(await send(address, { parts })).toMatchObject({ status: 413 })
    await goesOn()
  })

  it('reads a picture that comes in pieces, its length not told', async () => {
    const body = Buffer.from(filledPng(100, 100, 1, { noise: true }))
    const parts = Array.from({ length: 20 }, (_, n) =>
      body.subarray((n * body.length) / 20, ((n + 1) * body.length) / 20),
    )
    const { status, answer } = await send(address, { parts, pause: 5 })
    expect({ status, ...answer }).toEqual(await post(body))
  })

  it('does not wait for ever for a body', async () => {
    const answers = await Promise.all([
      send(address, { body: Buffer.from('only a little'), declared: 1000 }),
      send(address, { parts: Array.from({ length: 100 }, () => Buffer.alloc(1)), pause: 100 }),
    ])
    expect(answers.map(({ status }) => status)).toEqual([408, 408])
    await goesOn()
  })

  it('knows one address and one method', async () => {
    const answered = async (method, to = address) => {
      const response = await fetch(to, { method })
      return [response.status, response.headers.get('Allow')]
    }
    expect(await answered('GET')).toEqual([405, 'POST'])
    expect(await answered('HEAD')).toEqual([405, 'POST'])
    expect(await answered('DELETE')).toEqual([405, 'POST'])
    expect(await answered('OPTIONS')).toEqual([204, 'POST'])
    expect(await answered('GET', new URL('/', address))).toEqual([404, null])
    expect(await answered('HEAD', new URL('/..%2f..%2fetc/passwd', address))).toEqual([404, null])
  })

  it('is heard by whoever sends a large body to nowhere', async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => send(new URL('/elsewhere', address).href, { body: Buffer.alloc(4 * MiB) })),
    )
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 404))
  })

  it('outlives clients that leave', async () => {
    const leave = (written, options) =>
      new Promise((resolve) => {
        const leaving = request(address, { method: 'POST', headers: { 'Content-Type': 'image/png' }, ...options })
        leaving.on('error', () => {})
        leaving.on('close', resolve)
        leaving.write(written, () => setTimeout(() => leaving.destroy(), 10))
      })
    await Promise.all([
      ...Array.from({ length: 20 }, () => leave('only a little')),
      ...Array.from({ length: 20 }, () => leave(whole, { headers: { 'Content-Length': whole.length } })),
    ])
    await goesOn()
  })

  it('has room for one client when another takes up all of it', async () => {
    // Each says that it sends a MiB, of which 24 may be held.
    const declared = { body: Buffer.alloc(10), declared: MiB, client: 'two' }
    const held = Promise.all(Array.from({ length: 40 }, () => send(address, declared)))
    await new Promise((resolve) => setTimeout(resolve, 1000))
    expect(await send(address, { body: Buffer.from(whole), client: 'one' })).toMatchObject({ status: 200 })
    expect(await send(address, { body: Buffer.from(whole), client: 'two' })).toMatchObject({ status: 200 })
    const answers = await held
    const busy = answers.filter(({ status }) => status === 503)
    expect(answers.filter(({ status }) => status === 408)).toHaveLength(40 - busy.length)
    expect(busy.length).toBeGreaterThan(40 - 24)
    for (const { headers, answer } of busy) {
      expect(headers['retry-after']).toMatch(/^[12]$/)
      expect(answer.error).toMatchObject({ code: 'BUSY', message: /Retry-After/ })
    }
  })

  it('answers every request of many at once, expensive or not', async () => {
    const { test } = await loadMnist()
    const expensive = expensiveRequests()
    await Promise.all(
      Array.from({ length: 120 }, async (_, n) => {
        const wanted = expensive[(n >> 1) % expensive.length]
        const data = test.images.slice(n * 784, (n + 1) * 784)
        const body = Buffer.from(encodePng({ width: 28, height: 28, channels: 1, data }))
        const answers = await sendPatiently(address, n % 2 ? wanted : { body }, n % 2 ? 1 : 120_000)
        for (const { status, headers } of answers) {
          if (status === 503) expect(headers['retry-after']).toMatch(/^[12]$/)
        }
        const last = answers.at(-1)
        if (n % 2) expect([503, ...wanted.statuses]).toContain(last.status)
        else expect(last.status).toBe(200)
      }),
    )
    await goesOn()
    expect(server.texts.err).toBe('')
  })
})
