/** examples/edge as strangers meet it: started by its one command, asked over HTTP, well and badly. */
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { crc32, deflateSync } from 'node:zlib'
import { findWorkerd } from './runtimes.mjs'
import { start, within } from './processes.mjs'

const program = join(import.meta.dirname, '../../../examples/edge/serve.mjs')

/**
 * Starts the example on a free port. Clients are told apart by the header X-Client.
 * @returns its address, `stop`, and `measure`, which tells of the process that answers the largest memory it has had, in
 *   MB, and for how many seconds it has kept a processor busy (Linux)
 */
export async function startEdge(runtime) {
  const env = { WORKERD: findWorkerd(), CLIENT_HEADER: 'X-Client' }
  const server = start(process.execPath, [program, '--runtime', runtime, '--address', '127.0.0.1:0'], { env })
  // It is in a process group of its own, and would outlive a program that fails.
  process.on('exit', server.stop)
  const listening = new Promise((resolve) => {
    server.child.stdout.on('data', () => {
      const found = /http:\S+/.exec(server.texts.out)
      if (found) resolve(found[0])
    })
  })
  const gone = server.ended.then(({ err }) => {
    throw new Error(`examples/edge ended: ${err}`)
  })
  gone.catch(() => {})
  const address = await within(60_000, Promise.race([listening, gone]), 'examples/edge')
  const { pid } = server.child
  const answering = () => {
    if (runtime === 'node') return pid
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
    return children.find((child) => readFileSync(`/proc/${child}/comm`, 'utf8').trim() === 'workerd')
  }
  const measure = () => {
    const status = readFileSync(`/proc/${answering()}/status`, 'utf8')
    // Behind the name, which may have spaces; in hundredths of a second.
    const [user, system] = readFileSync(`/proc/${answering()}/stat`, 'utf8').split(') ').at(-1).split(' ').slice(11, 13)
    return { peak: Number(/VmHWM:\s*(\d+) kB/.exec(status)[1]) / 1000, busy: (Number(user) + Number(system)) / 100 }
  }
  return { address, measure, stop: server.stop, texts: server.texts }
}

/**
 * Sends one request on a connection of its own.
 * @param parts bodies that are sent one after another, without telling the length; each waits `pause` milliseconds
 * @param declared a Content-Length that is not that of the body
 * @returns status, headers, the JSON of the answer, and the milliseconds until it was there
 */
export function send(address, { body, parts, pause = 0, declared, type = 'image/png', client = 'one', query = '' }) {
  const began = performance.now()
  const headers = { 'Content-Type': type, 'X-Client': client }
  if (declared ?? body) headers['Content-Length'] = declared ?? body.length
  return new Promise((resolve, reject) => {
    const sent = request(address + query, { method: 'POST', headers, agent: new Agent() })
    sent.on('error', reject)
    sent.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (part) => (text += part))
      response.on('error', reject)
      response.on('end', () => {
        // What has not been sent by now never is.
        sent.destroy()
        const ms = performance.now() - began
        try {
          resolve({ status: response.statusCode, headers: response.headers, answer: JSON.parse(text), ms })
        } catch (error) {
          reject(error)
        }
      })
    })
    if (body) sent.write(body)
    if (body && declared === undefined) sent.end()
    if (parts) {
      const next = ([part, ...rest]) => {
        if (sent.destroyed) return
        if (part === undefined) sent.end()
        else sent.write(part, () => setTimeout(next, pause, rest))
      }
      next(parts)
    }
  })
}

/** A PNG with these compressed pixels, whatever they are. */
export function png(width, height, compressed, { depth = 8, colorType = 0 } = {}) {
  const chunk = (type, data) => {
    const bytes = Buffer.concat([Buffer.from('    '), Buffer.from(type), data, Buffer.from('    ')])
    bytes.writeUInt32BE(data.length)
    bytes.writeUInt32BE(crc32(bytes.subarray(4, -4)), bytes.length - 4)
    return bytes
  }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header[8] = depth
  header[9] = colorType
  const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10])
  const end = chunk('IEND', Buffer.alloc(0))
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', compressed), end])
}

/** A PNG of pixels that follow no pattern, or one that compresses well. */
export function filledPng(width, height, samples, { depth = 8, colorType, noise = false }) {
  const row = 1 + Math.ceil((width * samples * depth) / 8)
  const pixels = Buffer.alloc(row * height)
  let state = 1
  for (let i = 0; i < pixels.length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    // A row begins with its filter: Paeth, the dearest.
    if (i % row === 0) pixels[i] = 4
    else pixels[i] = noise ? state >>> 16 : i >> 6
  }
  return png(width, height, deflateSync(pixels, { level: noise ? 1 : 6 }), { depth, colorType })
}

const MiB = 2 ** 20

/** A zlib stream of blocks that hold nothing but the two codes by which nothing is compressed. It does not end. */
function emptyBlocks(bytes) {
  let bits = ''
  const put = (value, count) => {
    for (let i = 0; i < count; i++) bits += (value >> i) & 1
  }
  // Eight of them, which end with a byte.
  for (let block = 0; block < 8; block++) {
    // Not the last one; with codes of its own: 257 literals and lengths, 1 distance, 18 lengths of the code for lengths.
    for (const [value, count] of [
      [0, 1],
      [2, 2],
      [0, 5],
      [0, 5],
      [14, 4],
    ])
      put(value, count)
    // That code has two symbols, in the order of RFC 1951: 18, which is many zeros, and 1.
    for (let i = 0; i < 18; i++) put(i === 2 || i === 17 ? 1 : 0, 3)
    // 138 and 118 zeros, then 1 for the end of a block and 1 for a distance. The end of this block.
    for (const [value, count] of [
      [1, 1],
      [127, 7],
      [1, 1],
      [107, 7],
      [0, 1],
      [0, 1],
      [0, 1],
    ])
      put(value, count)
  }
  const eight = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt([...byte].reverse().join(''), 2)))
  return Buffer.concat([Buffer.from([0x78, 0x01]), Buffer.alloc(bytes, eight)])
}

/**
 * Requests that cost a server much, and the answers that are right: 200 for a picture within the limits, a refusal for
 * others, 503 for any. Each takes long to make, so they are made once.
 */
export function expensiveRequests() {
  const zeros = (bytes) => deflateSync(Buffer.alloc(bytes), { level: 9 })
  const noise = filledPng(1024, 1000, 1, { noise: true })
  const bomb = zeros(400 * MiB)
  return [
    { name: 'the largest picture, RGBA', statuses: [200], body: filledPng(1024, 1024, 4, { colorType: 6 }) },
    { name: 'a large body, grey noise', statuses: [200], body: noise },
    { name: 'a long picture', statuses: [200], body: filledPng(4096, 256, 4, { colorType: 6 }) },
    {
      name: 'large raw pixels',
      statuses: [200],
      body: Buffer.alloc(MiB, 7),
      type: 'application/octet-stream',
      query: '?width=1024&height=1024',
    },
    {
      name: '16 bits for RGBA',
      statuses: [422],
      body: filledPng(1024, 1024, 4, { depth: 16, colorType: 6 }),
    },
    { name: 'a claim of 3,600,000,000 pixels', statuses: [422], body: png(60000, 60000, zeros(100)) },
    { name: '1,000,000 × 1 pixels', statuses: [422], body: png(1000000, 1, zeros(1000001)) },
    // The pixels come first: what is behind them is passed over, and not inflated.
    { name: 'a bomb of 400 MB', statuses: [200], body: png(28, 28, bomb) },
    { name: 'a bomb in a large picture', statuses: [200], body: png(1024, 1024, bomb) },
    { name: 'blocks of nothing', statuses: [400], body: png(28, 28, emptyBlocks(1000000)) },
    { name: 'garbage', statuses: [400], body: noise.subarray(16) },
    { name: 'a body that is too large', statuses: [413], body: Buffer.alloc(2 * MiB) },
    {
      name: 'a body that is too large, its length not told',
      statuses: [413],
      parts: Array.from({ length: 32 }, () => Buffer.alloc(64 * 1024)),
    },
    { name: 'a body that does not come', statuses: [408], body: Buffer.alloc(100), declared: MiB },
    {
      name: 'a body that trickles',
      // It is complete, and no picture, when a server that is busy looks at it late.
      statuses: [408, 400],
      parts: Array.from({ length: 100 }, () => Buffer.alloc(1)),
      pause: 100,
    },
  ]
}

/** Sends until there is an answer other than 503, waiting as long as that says. @returns the answers, the last one last */
export async function sendPatiently(address, wanted, milliseconds) {
  const until = performance.now() + milliseconds
  const answers = []
  for (;;) {
    const answer = await send(address, wanted)
    answers.push(answer)
    const wait = Number(answer.headers['retry-after']) * 1000
    if (answer.status !== 503 || performance.now() + wait >= until) return answers
    await new Promise((resolve) => setTimeout(resolve, wait))
  }
}
