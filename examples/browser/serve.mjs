/** Serves the page: `node serve.mjs [port]`. COOP and COEP isolate it, so that browsers share memory with threads. */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { URL } from 'node:url'
import { buildPage } from './build.mjs'

const types = {
  '.css': 'text/css; charset=utf-8',
  '.gz': 'application/gzip',
  '.html': 'text/html; charset=utf-8',
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

/** A server of the files below `root`, with these headers on every answer. */
export function pageServer(root, headers = isolation) {
  return createServer((request, response) => {
    const refuse = (status, text) => {
      response.writeHead(status, { ...headers, 'Content-Type': 'text/plain; charset=utf-8' }).end(`${text}\n`)
    }
    const answer = async () => {
      if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(405, 'GET and HEAD only')
      let path
      try {
        path = decodeURIComponent(new URL(request.url, 'http://page').pathname)
      } catch {
        return refuse(400, 'not an address')
      }
      // A path that normalize has made absolute cannot climb out of the root.
      const file = join(root, normalize(path.endsWith('/') ? `${path}index.html` : path))
      const found = path.includes('\0') ? undefined : await stat(file).catch(() => undefined)
      if (!found?.isFile()) return refuse(404, 'no such file')
      response.writeHead(200, {
        ...headers,
        'Content-Type': types[extname(file)] ?? 'application/octet-stream',
        'Content-Length': found.size,
        'Cache-Control': 'no-cache',
        'X-Content-Type-Options': 'nosniff',
      })
      if (request.method === 'HEAD') response.end()
      else await pipeline(createReadStream(file), response)
    }
    answer().catch(() => response.destroy())
  })
}

if (process.argv[1] === import.meta.filename) {
  const port = Number(process.argv[2] ?? process.env['PORT'] ?? 8080)
  const server = pageServer(await buildPage())
  server.on('error', (error) => {
    const reason =
      error.code === 'EADDRINUSE' ? `port ${port} is taken; give another: npm run demo -- 8081` : error.message
    process.stderr.write(`demo: ${reason}\n`)
    process.exitCode = 1
  })
  server.listen(port, '127.0.0.1', () => {
    process.stdout.write(`http://127.0.0.1:${server.address().port}/\n`)
  })
}
