/** Serves the page: `node serve.mjs [port]`. COOP and COEP isolate it, so that browsers share memory with threads. */
import { open, realpath, stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname, join, normalize, sep } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { URL } from 'node:url'
import { buildPage } from './build.mjs'

const types = {
  '.css': 'text/css; charset=utf-8',
  '.gz': 'application/gzip',
  '.html': 'text/html; charset=utf-8',
  '.jpg': 'image/jpeg',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
}

/** What the page needs and no more; a server with headers of its own does not need these. */
export const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Content-Security-Policy':
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
    "worker-src 'self' blob:; base-uri 'none'; form-action 'none'",
}

/** The file of a path, if there is one below `root`, also when links are followed. Only a regular file is one. */
async function fileAt(root, path) {
  try {
    // A path that normalize has made absolute cannot climb out of the root.
    const file = await realpath(join(root, normalize(path.endsWith('/') ? `${path}index.html` : path)))
    const within = file.startsWith((await realpath(root)) + sep)
    // A pipe is not opened: that would wait for its other end.
    return within && (await stat(file)).isFile() ? await open(file) : undefined
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP', 'EACCES', 'ERR_INVALID_ARG_VALUE'].includes(error.code)) {
      return undefined
    }
    throw error
  }
}

/** A server of the files below `root`, with these headers on every answer. */
export function pageServer(root, headers = isolation) {
  const answer = async (request, response) => {
    const refuse = (status, text, more = {}) => {
      const type = { 'Content-Type': 'text/plain; charset=utf-8' }
      response.writeHead(status, { ...headers, ...type, ...more }).end(`${text}\n`)
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return refuse(405, 'GET and HEAD only', { Allow: 'GET, HEAD' })
    }
    let path
    try {
      path = decodeURIComponent(new URL(request.url, 'http://page').pathname)
    } catch {
      return refuse(400, 'not an address')
    }
    const file = await fileAt(root, path)
    if (!file) return refuse(404, 'no such file')
    try {
      const { size } = await file.stat()
      response.writeHead(200, {
        ...headers,
        'Content-Type': types[extname(path.endsWith('/') ? 'index.html' : path)] ?? 'application/octet-stream',
        'Content-Length': size,
        'Cache-Control': 'no-cache',
        'X-Content-Type-Options': 'nosniff',
      })
      // No more than was promised, if the file grows meanwhile.
      if (request.method === 'HEAD' || size === 0) response.end()
      else await pipeline(file.createReadStream({ end: size - 1, autoClose: false }), response)
    } finally {
      await file.close()
    }
  }
  const server = createServer({ headersTimeout: 5000, requestTimeout: 10_000 }, (request, response) => {
    answer(request, response).catch((error) => {
      // Not when the browser has left, which is its right.
      if (!response.headersSent && !response.destroyed) {
        console.error(error)
        response.writeHead(500, headers)
        response.end()
      } else response.destroy()
    })
  })
  // A browser that stops reading gives the file back.
  server.setTimeout(30_000)
  return server
}

/**
 * Builds a page and serves it on the port that the command line or PORT names, as `command` is to be called again with another one;
 * prints its address.
 */
export async function start(build, command) {
  const given = process.argv[2] ?? process.env['PORT'] ?? '8080'
  if (!/^\d+$/.test(given) || Number(given) > 65535) {
    process.stderr.write(`demo: the port must be a number from 0 to 65535, not ${JSON.stringify(given)}\n`)
    process.exit(1)
  }
  const port = Number(given)
  const server = pageServer(await build())
  server.on('error', (error) => {
    const reason =
      error.code === 'EADDRINUSE' ? `port ${port} is taken; give another: ${command} -- 8081` : error.message
    process.stderr.write(`demo: ${reason}\n`)
    process.exitCode = 1
  })
  server.listen(port, '127.0.0.1', () => {
    process.stdout.write(`http://127.0.0.1:${server.address().port}/\n`)
  })
}

if (process.argv[1] === import.meta.filename) await start(buildPage, 'npm run demo')
