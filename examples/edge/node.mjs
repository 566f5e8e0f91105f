/** The worker in Node: what Cloudflare's runtime does around it. */
import { createServer } from 'node:http'

/**
 * @param worker what an edge function exports: `fetch(request, env)`
 * @returns a server that is not listening yet
 */
export function edgeServer(worker, env = {}) {
  const server = createServer(
    // A client that is slow with its headers, or holds a connection and asks nothing, is let go.
    { headersTimeout: 5000, requestTimeout: 15_000, keepAliveTimeout: 5000, connectionsCheckingInterval: 1000 },
    (incoming, outgoing) => {
      respond(worker, env, incoming, outgoing).catch((error) => {
        console.error(error)
        if (!outgoing.headersSent) outgoing.writeHead(500)
        outgoing.end()
      })
    },
  )
  server.maxConnections = 2000
  return server
}

async function respond(worker, env, incoming, outgoing) {
  let request
  try {
    request = toRequest(incoming)
  } catch {
    // An address or a method that there is none of.
    outgoing.writeHead(400, { 'Content-Type': 'application/json' })
    outgoing.end('{"error":{"code":"REQUEST","message":"this is no request that can be answered"}}')
    return
  }
  const response = await worker.fetch(request, env)
  outgoing.writeHead(response.status, Object.fromEntries(response.headers))
  outgoing.end(Buffer.from(await response.arrayBuffer()))
}

function toRequest(incoming) {
  const { method, rawHeaders } = incoming
  const headers = new Headers()
  for (let i = 0; i < rawHeaders.length; i += 2) headers.append(rawHeaders[i], rawHeaders[i + 1])
  const body = ['GET', 'HEAD'].includes(method) ? null : bytesOf(incoming)
  const request = new Request(new URL(incoming.url, 'http://edge'), { method, headers, body, duplex: 'half' })
  // Here workerd tells the address of the connection.
  return Object.assign(request, { cf: { clientIp: incoming.socket.remoteAddress } })
}

/** A body as the stream of bytes that the worker reads. Nothing is read before the worker asks for it. */
function bytesOf(incoming) {
  const parts = incoming.iterator({ destroyOnReturn: false })
  return new ReadableStream({
    type: 'bytes',
    async pull(controller) {
      const { done, value } = await parts.next()
      if (!done) controller.enqueue(value)
      else {
        controller.close()
        controller.byobRequest?.respond(0)
      }
    },
  })
}
