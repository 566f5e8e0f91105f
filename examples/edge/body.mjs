/** Bodies of requests: never more in memory than is allowed, never waited for longer than is allowed. */
import { RequestError } from './errors.mjs'

/**
 * Reads the body into one buffer, which grows when its length was not declared.
 *
 * @param hold is told the size of the buffer, at once and then again several times a second: what it throws ends the reading
 * @throws RequestError 400, 408, 413, or what `hold` throws
 */
export async function readBody(request, limits, hold) {
  const empty = () => new RequestError(400, 'EMPTY', 'the body is empty; send a PNG or raw pixels')
  const tooLarge = () => new RequestError(413, 'TOO_LARGE', `the body is larger than ${limits.body} bytes`)
  const brokenOff = () => new RequestError(400, 'BROKEN_OFF', 'the connection ended before the body did')
  const late = () => new RequestError(408, 'TIMEOUT', `the body did not arrive within ${limits.arrival / 1000} s`)
  const declared = Number(request.headers.get('Content-Length')) || 0
  if (declared > limits.body) throw tooLarge()
  if (!request.body) throw empty()

  // One byte more than is expected, because a read needs room to find the end.
  let size = declared > 0 ? declared + 1 : 4096
  const until = Date.now() + limits.arrival
  const check = () => {
    hold(size)
    if (Date.now() >= until) throw late()
  }
  check()
  let buffer = new ArrayBuffer(size)
  let length = 0
  const watch = watchfully(check)
  const reader = request.body.getReader({ mode: 'byob' })
  const read = (view) =>
    reader.read(view).catch(() => {
      throw brokenOff()
    })
  let reading = false
  try {
    for (;;) {
      reading = true
      // The buffer goes to the stream with each read, and comes back.
      const { done, value } = await Promise.race([read(new Uint8Array(buffer, length)), watch.broken])
      reading = false
      buffer = value.buffer
      length += value.length
      if (length > limits.body) throw tooLarge()
      if (done && length === 0) throw empty()
      if (done) return new Uint8Array(buffer, 0, length)
      if (length === size) size = Math.min(2 * size, limits.body + 1)
      check()
      if (length === buffer.byteLength) {
        const larger = new Uint8Array(size)
        larger.set(new Uint8Array(buffer))
        buffer = larger.buffer
      }
    }
  } finally {
    watch.stop()
    if (reading) reader.cancel().catch(() => {})
    else reader.releaseLock()
  }
}

/**
 * Lets the rest of a refused body arrive and keeps none of it. A server that closes a connection on which it has not
 * read everything resets it, and the answer is lost with it. Whoever sends more, or longer, may lose the answer.
 */
export async function discardBody(request, limits) {
  if (!request.body || request.body.locked) return
  const reader = request.body.getReader({ mode: 'byob' })
  const until = Date.now() + limits.linger
  const watch = watchfully(() => {
    if (Date.now() >= until) throw new Error('it takes too long')
  })
  try {
    let buffer = new ArrayBuffer(64 * 1024)
    for (let left = limits.lingerBytes; left > 0;) {
      const { done, value } = await Promise.race([reader.read(new Uint8Array(buffer)), watch.broken])
      if (done) break
      buffer = value.buffer
      left -= value.length
    }
  } catch {
    // The sender has gone, or takes too long.
  } finally {
    watch.stop()
    reader.cancel().catch(() => {})
  }
}

/** Calls `check` several times a second until `stop`; what it throws is what `broken` rejects with. */
function watchfully(check) {
  let timer
  const broken = new Promise((_, reject) => {
    timer = setInterval(() => {
      try {
        check()
      } catch (error) {
        reject(error)
      }
    }, 200)
  })
  broken.catch(() => {})
  return { broken, stop: () => clearInterval(timer) }
}
