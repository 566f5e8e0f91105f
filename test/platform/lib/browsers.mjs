/**
 * Real browsers without a driver: a page is opened, and says what it found by posting it back to the server that it
 * came from.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { extname, join, normalize } from 'node:path'
import { findProgram, start, within } from './processes.mjs'

const types = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
  '.json': 'application/json',
}

/** Where Debian puts WebKitGTK's browser. */
const miniBrowsers = ['x86_64', 'aarch64'].flatMap((processor) =>
  ['4.1', '4.0'].map((version) => `/usr/lib/${processor}-linux-gnu/webkit2gtk-${version}/MiniBrowser`),
)

/** Headers that let a page share memory with workers. */
export const isolated = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
}

/** How each browser is found and started; `install` tells how to get it. */
export const browsers = {
  Chromium: {
    install: 'apt-get install chromium',
    find: () => findProgram('chromium', 'chromium-headless-shell', 'google-chrome', 'chromium-browser'),
    start: (program, address, profile) =>
      start(program, [
        '--headless=new',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-dev-shm-usage',
        '--no-first-run',
        `--user-data-dir=${profile}`,
        address,
      ]),
    version: /Chrom\w*\/([\d.]+)/,
  },
  Firefox: {
    install: 'apt-get install firefox-esr',
    find: () => findProgram('firefox-esr', 'firefox'),
    start: (program, address, profile) =>
      start(program, ['--headless', '--no-remote', '--profile', profile, address], { env: { HOME: profile } }),
    version: /Firefox\/([\d.]+)/,
  },
  WebKitGTK: {
    install: 'apt-get install webkit2gtk-driver xvfb xauth',
    find: () => findProgram('xvfb-run') && findProgram(...miniBrowsers),
    start: (program, address, profile) =>
      start('xvfb-run', ['-a', program, address], {
        env: {
          HOME: profile,
          WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: '1',
          JSC_useSharedArrayBuffer: '1',
          LIBGL_ALWAYS_SOFTWARE: '1',
        },
      }),
    version: /Version\/([\d.]+)/,
  },
}

/** Bytes of a report: what a page that runs wild may send. */
const largestReport = 64 * 2 ** 20

/** The body of a request as JSON. */
async function readJson(request) {
  const parts = []
  let length = 0
  for await (const part of request) {
    length += part.length
    if (length > largestReport) throw new Error(`the report is larger than ${largestReport} bytes`)
    parts.push(part)
  }
  return JSON.parse(Buffer.concat(parts).toString('utf8'))
}

/** A server of the files in `folder` on a free port. `posted` gets what pages post to /report. */
export async function serve(folder, { headers = {}, posted = () => {} } = {}) {
  const server = createServer((request, response) => {
    const answer = async () => {
      const { pathname } = new URL(request.url, 'http://localhost')
      for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
      if (request.method === 'POST') {
        posted(await readJson(request), request.headers['user-agent'] ?? '')
        response.end()
        return
      }
      const path = pathname.endsWith('/') ? `${pathname}index.html` : pathname
      const body = await readFile(join(folder, normalize(decodeURIComponent(path))))
      response.setHeader('Content-Type', types[extname(path)] ?? 'application/octet-stream')
      response.end(body)
    }
    answer().catch((error) => {
      response.statusCode = 404
      response.end(error.message)
    })
  })
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening))
  return {
    address: `http://127.0.0.1:${server.address().port}/`,
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** Opens an address. @returns a function that ends the browser. */
export async function open(name, address) {
  const browser = browsers[name]
  const program = browser.find()
  if (!program) throw new Error(`${name} is not installed (${browser.install})`)
  const profile = await mkdtemp(join(tmpdir(), 'toeplitz-browser-'))
  const running = browser.start(program, address, profile)
  return {
    running,
    close: async () => {
      running.stop()
      await running.ended.catch(() => {})
      await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
    },
  }
}

/**
 * Opens a page of `folder` and waits for what it posts to /report, as `{ value }` or `{ error }`. `address` gives the
 * address of a page that another server has, for the one to report to.
 * @returns the value, and the version of the browser.
 */
export async function reportOf(name, folder, { page = '', headers = isolated, timeout = 150_000, address } = {}) {
  let posted
  const report = new Promise((resolve) => {
    posted = (body, agent) => resolve({ body, agent })
  })
  const server = await serve(folder, { headers, posted })
  const browser = await open(name, address ? address(`${server.address}report`) : server.address + page)
  try {
    const gone = browser.running.ended.then(({ code, err }) => {
      throw new Error(`${name} ended with ${code}: ${err.trim().slice(-1000)}`)
    })
    const { body, agent } = await within(timeout, Promise.race([report, gone]), name)
    if (body.error !== undefined) throw new Error(`${name}: ${body.error}`)
    return { value: body.value, version: browsers[name].version.exec(agent)?.[1] ?? agent }
  } finally {
    await browser.close()
    server.close()
  }
}
