/**
 * An edge function that reads digits: POST /predict with a PNG (Content-Type: image/png), or with raw grey pixels, one
 * byte each (application/octet-stream, ?width=28&height=28), gives classes and probabilities as JSON.
 *
 * It is made to be left alone with strangers: body.mjs bounds what is read, picture.mjs what is decoded, queue.mjs what
 * waits, and limits.mjs says how much.
 */
import { initSync, ToeplitzError } from 'toeplitz'
import { loadClassifier } from 'toeplitz/classifier'
import { discardBody, readBody } from './body.mjs'
import { clientOf } from './client.mjs'
import { RequestError } from './errors.mjs'
import { limits } from './limits.mjs'
import { pictureFormat } from './picture.mjs'
import { Queue } from './queue.mjs'
import weights from './model.safetensors'

const queue = new Queue(limits)

let loaded

/** The model, loaded by the first request; a load that failed is tried again by the next. */
async function trainedModel() {
  if (!loaded) {
    initSync()
    loaded = await loadClassifier(new Uint8Array(weights))
  }
  return loaded
}

async function predict(request, env) {
  const classifier = await trainedModel()
  const { classes, preprocessing } = classifier
  const picture = pictureFormat(request, limits, preprocessing.size)
  const ticket = queue.enter(clientOf(request, env))
  try {
    const body = await readBody(request, limits, (bytes) => queue.hold(ticket, bytes))
    const all = await queue.run(ticket, picture.measure(body), () =>
      classifier.predict(picture.decode(body), { top: classes.length }),
    )
    const of = new Map(all.map(({ label, probability }) => [label, probability]))
    const [{ label, probability }] = all
    return {
      class: label,
      probability,
      probabilities: Object.fromEntries(classes.map((name) => [name, of.get(name)])),
    }
  } finally {
    queue.leave(ticket)
  }
}

async function answer(request, env) {
  const { pathname } = new URL(request.url)
  if (pathname !== '/predict') {
    throw new RequestError(404, 'NOT_FOUND', `there is no ${pathname.slice(0, 80)}; POST to /predict`)
  }
  if (request.method === 'OPTIONS') return new Response(null, { status: 204, headers: { Allow: 'POST' } })
  if (request.method !== 'POST') throw new RequestError(405, 'METHOD', `use POST, not ${request.method}`)
  return Response.json(await predict(request, env))
}

/** Errors as JSON. What is wrong with the picture is the client's; anything else is ours and stays here. */
function refusal(error) {
  const wrongPicture = error instanceof ToeplitzError && ['FORMAT', 'SHAPE'].includes(error.code)
  const { status, code, message } =
    error instanceof RequestError
      ? error
      : wrongPicture
        ? { status: 400, code: error.code, message: error.message }
        : { status: 500, code: 'INTERNAL', message: 'failed; the reason is in the log' }
  if (status === 500) console.error(error)
  const headers = {}
  if (status === 405) headers.Allow = 'POST'
  // Not all at the same moment.
  if (status === 503) headers['Retry-After'] = String(1 + Math.round(Math.random()))
  return Response.json({ error: { code, message } }, { status, headers })
}

export default {
  async fetch(request, env) {
    try {
      return await answer(request, env)
    } catch (error) {
      await discardBody(request, limits)
      return refusal(error)
    }
  },
}
