/** Requests to the edge example: bodies, types, addresses and methods of all kinds; never an error of the server's own. */
import worker from '../../../examples/edge/worker.mjs'
import { encodePng } from '../../../src/formats/png.js'
import type { Json } from '../mutate.js'
import { Random } from '../random.js'
import { accepted, defineTarget, expect } from '../target.js'
import { makePng } from './png.js'

interface Case {
  readonly method: string
  readonly address: string
  readonly type: string
  readonly body: string | null
}

const fetch = (request: Request): Promise<Response> => worker.fetch(request)

const requestOf = ({ method, address, type, body }: Case): Request => {
  const bodies = method === 'GET' || method === 'HEAD' || body === null ? {} : { body: Buffer.from(body, 'base64') }
  return new Request(`http://localhost${address}`, {
    method,
    headers: type === '' ? {} : { 'Content-Type': type },
    ...bodies,
  })
}

/** A picture of 28 × 28 that is right. */
const picture = encodePng({ width: 28, height: 28, channels: 1, data: new Random('edge').bytes(784) })

const addresses = [
  '/predict',
  '/predict',
  '/predict?width=28&height=28',
  '/predict?width=1e9&height=1',
  '/predict?width=-1',
  '/predict?width=NaN&height=',
  '/',
  '/%00',
  '/predict/../x',
]

export default defineTarget<Json>({
  about: 'requests to the edge example: any picture, type, address and method',
  cases: 150,
  // The model is loaded by the first request.
  async prepare() {
    const body = Buffer.from(picture).toString('base64')
    await fetch(requestOf({ method: 'POST', address: '/predict', type: 'image/png', body }))
  },
  make(random) {
    const body = random.pick([
      () => picture,
      () => makePng(random),
      () => makePng(random),
      () => random.bytes(random.pick([0, 1, 784, 1000])),
      () => new Uint8Array(2 ** 21),
    ])()
    return {
      method: random.chance(0.9) ? 'POST' : random.pick(['GET', 'PUT', 'OPTIONS', 'DELETE']),
      address: random.chance(0.7) ? '/predict' : random.pick(addresses),
      type: random.pick([
        'image/png',
        'image/png',
        'image/png; charset=x',
        'application/octet-stream',
        'image/jpeg',
        '',
        'text/html',
      ]),
      body: random.chance(0.02) ? null : Buffer.from(body).toString('base64'),
    }
  },
  async check(input) {
    const { error } = console
    const logged: unknown[] = []
    console.error = (...given) => logged.push(...given)
    try {
      const response = await fetch(requestOf(input as unknown as Case))
      const text = await response.text()
      const said = logged
        .map((item) => (item instanceof Error ? (item.stack ?? item.message) : String(item)))
        .join('; ')
      expect(logged.length === 0, () => `the server logs ${said}`)
      expect(response.status < 500 || response.status === 503, `status ${response.status}`)
      if (response.status === 200) {
        const answer = JSON.parse(text) as { class: string; probability: number }
        expect(answer.probability > 0 && answer.probability <= 1, `probability ${answer.probability}`)
        return accepted()
      }
      return 'refused'
    } finally {
      console.error = error
    }
  },
})
