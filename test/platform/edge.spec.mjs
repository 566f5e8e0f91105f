/** examples/edge, started by its one command and asked over HTTP. */
import { request } from 'node:http'
import { join } from 'node:path'
import { deflateSync } from 'node:zlib'
import { encodePng } from '../../src/io/index.js'
import { loadMnist } from '../../src/node/index.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { crc32 } from '../../src/io/crc32.js'
import { findWorkerd } from './lib/runtimes.mjs'
import { start, within } from './lib/processes.mjs'

const root = join(import.meta.dirname, '../..')
let server
let address

beforeAll(async () => {
  const args = [join(root, 'examples/edge/serve.mjs'), '--address', '127.0.0.1:0']
  server = start(process.execPath, args, { env: { WORKERD: findWorkerd() } })
  const listening = new Promise((resolve) => {
    server.child.stdout.on('data', () => {
      const found = /http:\S+/.exec(server.texts.out)
      if (found) resolve(found[0])
    })
  })
  const gone = server.ended.then(({ err }) => {
    throw new Error(err)
  })
  address = await within(60_000, Promise.race([listening, gone]), 'examples/edge')
})
afterAll(() => server?.stop())

async function post(body, type = 'image/png', query = '') {
  const response = await fetch(address + query, { method: 'POST', body, headers: { 'Content-Type': type } })
  expect(response.headers.get('Content-Type')).toMatch(/^application\/json/)
  return { status: response.status, ...(await response.json()) }
}

/** A PNG of one grey pixel row after another, from chunks. */
function png(width, height, compressed) {
  const chunk = (type, data) => {
    const bytes = Buffer.concat([Buffer.from('    '), Buffer.from(type), data, Buffer.from('    ')])
    bytes.writeUInt32BE(data.length)
    bytes.writeUInt32BE(crc32(bytes.subarray(4, -4)), bytes.length - 4)
    return bytes
  }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header[8] = 8
  return Buffer.concat([
    Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]),
    chunk('IHDR', header),
    chunk('IDAT', compressed),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

const digits = 60

describe('examples/edge', () => {
  it('reads digits from PNG files and from raw pixels, with the same answer', async () => {
    const { test } = await loadMnist()
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

  it('reads a large colour picture, dark on light', async () => {
    // A vertical stroke: a one.
    const [width, height] = [280, 280]
    const data = new Uint8Array(width * height * 3).fill(255)
    for (let y = 40; y < 240; y++) data.fill(20, (y * width + 128) * 3, (y * width + 152) * 3)
    expect(await post(encodePng({ width, height, channels: 3, data }))).toMatchObject({ status: 200, class: '1' })
  })

  it('takes raw pixels of another size', async () => {
    expect(await post(new Uint8Array(600), 'application/octet-stream', '?width=20&height=30')).toMatchObject({
      status: 200,
    })
  })

  const pixels = new Uint8Array(784)
  const whole = encodePng({ width: 28, height: 28, channels: 1, data: pixels })
  it.each([
    ['an empty body', [new Uint8Array(0)], 400, 'EMPTY', /body is empty/],
    ['a body that is too large', [new Uint8Array(1024 * 1024 + 1)], 413, 'TOO_LARGE', /larger than 1048576 bytes/],
    ['no picture', ['hello'], 400, 'FORMAT', /not a PNG picture/],
    ['an HTML page', ['<!DOCTYPE html>'], 400, 'FORMAT', /not a PNG picture/],
    ['a PNG cut short', [whole.slice(0, -20)], 400, 'FORMAT', /cut short/],
    ['a PNG that claims to be huge', [png(60000, 60000, deflateSync(Buffer.alloc(100)))], 400, 'FORMAT', /pixels/],
    [
      'a decompression bomb',
      [png(28, 28, deflateSync(Buffer.alloc(400 * 1024 * 1024), { level: 9 }))],
      400,
      'FORMAT',
      /PNG is damaged/,
    ],
    [
      'another type',
      [pixels, 'text/plain'],
      415,
      'TYPE',
      /must be image\/png or application\/octet-stream, not 'text\/plain'/,
    ],
    [
      'raw pixels of the wrong number',
      [pixels.slice(1), 'application/octet-stream'],
      400,
      'SIZE',
      /784 bytes, the body has 783/,
    ],
    [
      'a size that is none',
      [pixels, 'application/octet-stream', '?width=x'],
      400,
      'SIZE',
      /width must be a whole number/,
    ],
  ])('refuses %s, and goes on', async (_, given, status, code, message) => {
    const answer = await post(...given)
    expect(answer).toMatchObject({ status, error: { code } })
    expect(answer.error.message).toMatch(message)
    expect(await post(whole)).toMatchObject({ status: 200 })
  })

  it('refuses a stream that grows too large without saying its length', async () => {
    // It has read all that was sent when it refuses, so that the answer is not lost with the connection.
    const status = await new Promise((resolve, reject) => {
      const growing = request(address, { method: 'POST', headers: { 'Content-Type': 'image/png' } })
      growing.on('response', (response) => {
        resolve(response.statusCode)
        growing.destroy()
      })
      growing.on('error', reject)
      for (let part = 0; part < 33; part++) growing.write(new Uint8Array(32 * 1024))
    })
    expect(status).toBe(413)
    expect(await post(whole)).toMatchObject({ status: 200 })
  })

  it('does not wait for ever for a body', async () => {
    const status = await new Promise((resolve, reject) => {
      const slow = request(address, {
        method: 'POST',
        headers: { 'Content-Type': 'image/png', 'Content-Length': 1000 },
      })
      slow.on('response', (response) => {
        resolve(response.statusCode)
        slow.destroy()
      })
      slow.on('error', reject)
      slow.write('only a little')
    })
    expect(status).toBe(408)
    expect(await post(whole)).toMatchObject({ status: 200 })
  })

  it('knows one address and one method', async () => {
    const get = await fetch(address)
    expect(get.status).toBe(405)
    expect(get.headers.get('Allow')).toBe('POST')
    expect((await fetch(new URL('/', address))).status).toBe(404)
  })
})
