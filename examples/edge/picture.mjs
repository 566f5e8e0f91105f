/**
 * Pictures, and what it takes to decode them: known from the header, before anything is decoded.
 *
 * Work is counted in bytes: eight for each of the body, one for each that inflating makes of them, and four for each pixel,
 * which is made grey and scaled. Where this was written, a MiB of it took 2 to 16 ms for every kind of PNG. The worst that
 * an enemy can do is to send blocks in which nothing is compressed: they take 70 ms, and are why the body counts for so
 * much. `node test/platform/load-edge.mjs` measures it.
 */
import { decodePng } from 'toeplitz/io'
import { RequestError } from './errors.mjs'

/**
 * How the pictures of a request are read, by its Content-Type: `measure(body)` gives the work of a picture and
 * `decode(body)` its pixels.
 *
 * @param size of raw pixels when the address does not tell: [height, width]
 * @throws RequestError 400, 415, 422
 */
export function pictureFormat(request, limits, size) {
  const type = (request.headers.get('Content-Type') ?? '').split(';')[0].trim().toLowerCase()
  if (type === 'image/png') return png(limits)
  if (type === 'application/octet-stream') return rawPixels(new URL(request.url).searchParams, limits, size)
  const given = JSON.stringify(type.slice(0, 80))
  throw new RequestError(415, 'TYPE', `Content-Type must be image/png or application/octet-stream, not ${given}`)
}

function png(limits) {
  return {
    measure(body) {
      const header = pngHeader(body)
      // What is no PNG is refused by the first step of decoding.
      if (!header) return body.length
      const { width, height, bits } = header
      const inflated = height * (1 + Math.ceil((width * bits) / 8))
      checkSize(width, height, limits)
      if (inflated > limits.inflated) {
        const given = `${width} × ${height} pixels of ${bits} bits take ${inflated} bytes`
        throw new RequestError(422, 'LIMIT', `${given}, more than the limit of ${limits.inflated}; make it smaller`)
      }
      return 8 * body.length + inflated + 4 * width * height
    },
    decode(body) {
      const bounds = { maxPixels: limits.pixels, maxBytes: limits.inflated }
      return decodePng(body, 'the body', bounds)
    },
  }
}

/** Samples of a pixel, by the colour type of a PNG: grey, RGB, palette, grey and alpha, RGBA. */
const samples = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }

/** Size and bits for each pixel, of what begins as a PNG does: signature, then IHDR with its length before it. */
function pngHeader(body) {
  if (body.length < 33) return undefined
  const view = new DataView(body.buffer, body.byteOffset, 33)
  if (view.getUint32(0) !== 0x89504e47 || view.getUint32(12) !== 0x49484452) return undefined
  return {
    width: view.getUint32(16),
    height: view.getUint32(20),
    bits: view.getUint8(24) * (samples[view.getUint8(25)] ?? 4),
  }
}

/** Grey pixels, one byte each. */
function rawPixels(parameters, limits, size) {
  const [height, width] = ['height', 'width'].map((name, i) => {
    const value = Number(parameters.get(name) ?? size[i])
    if (Number.isInteger(value) && value >= 1) return value
    const given = JSON.stringify(parameters.get(name).slice(0, 80))
    throw new RequestError(400, 'SIZE', `${name} must be a whole number from 1 on, not ${given}`)
  })
  checkSize(width, height, limits)
  return {
    measure(body) {
      if (body.length === width * height) return 4 * body.length
      const expected = `${width} × ${height} pixels of one byte take ${width * height}`
      throw new RequestError(400, 'SIZE', `${expected} bytes, the body has ${body.length}`)
    },
    decode: (data) => ({ width, height, channels: 1, data }),
  }
}

function checkSize(width, height, limits) {
  const given = `${width} × ${height} pixels`
  if (width * height > limits.pixels) {
    throw new RequestError(
      422,
      'LIMIT',
      `${given} are more than the limit of ${limits.pixels}; make the picture smaller`,
    )
  }
  const shorter = Math.min(width, height)
  // That there must be one is for the decoder to say.
  if (shorter > 0 && Math.max(width, height) > limits.aspect * shorter) {
    const limit = `one side may be at most ${limits.aspect} times the other`
    throw new RequestError(422, 'LIMIT', `${given}: ${limit}; crop the picture`)
  }
}
