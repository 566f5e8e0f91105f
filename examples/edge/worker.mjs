/**
 * An edge function that reads digits: POST /predict with a PNG (Content-Type: image/png), or with raw grey pixels, one
 * byte each (application/octet-stream, ?width=28&height=28), gives classes and probabilities as JSON.
 */
import { init, scope, softmax, ToeplitzError } from 'toeplitz'
import { imageTensor } from 'toeplitz/data'
import { decodeModel, decodePng, lightOnDark, resizeGrayscale, toGrayscale } from 'toeplitz/io'
import weights from './model.safetensors'

const limits = { bytes: 1024 * 1024, pixels: 1024 * 1024, milliseconds: 5000 }

/** What the client did wrong, and the status that says so. */
class RequestError extends Error {
  constructor(status, code, message) {
    super(message)
    this.status = status
    this.code = code
  }
}

let loading

/** The model, loaded by the first request; a load that failed is tried again by the next. */
async function trainedModel() {
  loading ??= init().then(() => decodeModel(new Uint8Array(weights), 'model.safetensors'))
  try {
    return await loading
  } catch (error) {
    loading = undefined
    throw error
  }
}

/** The body, refused as soon as it is too large, and when it takes too long. */
async function readBody(request) {
  const tooLarge = new RequestError(413, 'TOO_LARGE', `the body is larger than ${limits.bytes} bytes`)
  if (Number(request.headers.get('Content-Length') ?? 0) > limits.bytes) throw tooLarge
  if (!request.body) throw new RequestError(400, 'EMPTY', 'the body is empty; send a PNG or raw pixels')
  const reader = request.body.getReader()
  let timer
  const late = new Promise((_, reject) => {
    const error = new RequestError(408, 'TIMEOUT', `the body did not arrive within ${limits.milliseconds / 1000} s`)
    timer = setTimeout(() => reject(error), limits.milliseconds)
  })
  const parts = []
  let length = 0
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), late])
      if (done) break
      length += value.length
      if (length > limits.bytes) throw tooLarge
      parts.push(value)
    }
  } catch (error) {
    reader.cancel().catch(() => {})
    throw error
  } finally {
    clearTimeout(timer)
  }
  if (length === 0) throw new RequestError(400, 'EMPTY', 'the body is empty; send a PNG or raw pixels')
  const body = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    body.set(part, at)
    at += part.length
  }
  return body
}

/** A grey picture of raw pixels, whose size the address tells. */
function rawPicture(body, parameters, [height, width]) {
  const size = (name, otherwise) => {
    const value = Number(parameters.get(name) ?? otherwise)
    if (Number.isInteger(value) && value >= 1 && value <= limits.pixels) return value
    throw new RequestError(400, 'SIZE', `${name} must be a whole number from 1 on, not ${parameters.get(name)}`)
  }
  const picture = { width: size('width', width), height: size('height', height), data: body }
  if (picture.width * picture.height !== body.length) {
    const expected = `${picture.width} × ${picture.height} pixels of one byte take ${picture.width * picture.height}`
    throw new RequestError(400, 'SIZE', `${expected} bytes, the body has ${body.length}`)
  }
  return picture
}

function readPicture(body, request, [, H, W]) {
  const type = (request.headers.get('Content-Type') ?? '').split(';')[0].trim().toLowerCase()
  if (type === 'application/octet-stream') return rawPicture(body, new URL(request.url).searchParams, [H, W])
  if (type === 'image/png') return toGrayscale(decodePng(body, 'the body', { maxPixels: limits.pixels }))
  throw new RequestError(415, 'TYPE', `Content-Type must be image/png or application/octet-stream, not '${type}'`)
}

async function predict(request) {
  const body = await readBody(request)
  const { file, model } = await trainedModel()
  const [, H, W] = model.input
  const { data } = resizeGrayscale(lightOnDark(readPicture(body, request, model.input)), W, H)
  const probabilities = scope(() => softmax(model.forward(imageTensor(data, [1, H, W], file.normalization))).data())
  const best = probabilities.indexOf(Math.max(...probabilities))
  return {
    class: file.classes[best],
    probability: probabilities[best],
    probabilities: Object.fromEntries(file.classes.map((name, i) => [name, probabilities[i]])),
  }
}

async function route(request) {
  const { pathname } = new URL(request.url)
  if (pathname !== '/predict') throw new RequestError(404, 'NOT_FOUND', `there is no ${pathname}; POST to /predict`)
  if (request.method !== 'POST') throw new RequestError(405, 'METHOD', `use POST, not ${request.method}`)
  return predict(request)
}

/** Errors as JSON. What is wrong with the picture is the client's; anything else is ours and stays here. */
function refusal(error) {
  const known = error instanceof RequestError
  const wrongPicture = error instanceof ToeplitzError && ['FORMAT', 'SHAPE'].includes(error.code)
  if (!known && !wrongPicture) console.error(error)
  const status = known ? error.status : wrongPicture ? 400 : 500
  const body =
    known || wrongPicture ? { code: error.code, message: error.message } : { code: 'INTERNAL', message: 'failed' }
  return Response.json({ error: body }, { status, headers: status === 405 ? { Allow: 'POST' } : {} })
}

export default {
  async fetch(request) {
    try {
      return Response.json(await route(request))
    } catch (error) {
      return refusal(error)
    }
  },
}
