/**
 * examples/edge under load, on this machine's loopback address: ordinary pictures, MNIST's digits as PNG files, beside
 * ones that cost much. It ends by itself, after a minute for each runtime at most, and wants the machine for itself.
 *
 *   node test/platform/load-edge.mjs [--runtime workerd] [--rate 50] [--seconds 10] [--burst 500]
 *
 * 1. At `rate` requests a second every ordinary picture is answered 200.
 * 2. Of `burst` requests at once, every second one expensive and all from one address, at least 90 % of the ordinary
 *    have the right label within 5 s, all clients heeding Retry-After; the 99th percentile of an answer is below 1 s.
 * 3. While one client keeps 16 expensive requests open, another's pictures at `rate` are answered 200.
 *
 * Before that it measures the unit of work: for how many milliseconds the kinds of pictures keep a processor busy.
 *
 * Every request is answered, and the memory of the process that answers stays below 400 MB. Time is measured here, from
 * the connection to the end of an answer; what does not arrive by the sender's own fault is left out of it.
 */
import { parseArgs } from 'node:util'
import { fileURLToPath } from 'node:url'
import { loadClassifier } from '../../dist/classifier.js'
import { init } from '../../dist/index.js'
import { encodePng } from '../../dist/io.js'
import { loadMnist } from '../../dist/node.js'
import { limits } from '../../examples/edge/limits.mjs'
import { pictureFormat } from '../../examples/edge/picture.mjs'
import { expensiveRequests, filledPng, send, sendPatiently, startEdge } from './lib/edge.mjs'

const { values } = parseArgs({
  options: {
    runtime: { type: 'string', default: 'workerd,node' },
    rate: { type: 'string', default: '50' },
    seconds: { type: 'string', default: '10' },
    burst: { type: 'string', default: '500' },
  },
})
const [rate, seconds, burst] = [Number(values.rate), Number(values.seconds), Number(values.burst)]

await init()
const classifier = await loadClassifier(
  fileURLToPath(new URL('../../examples/edge/model.safetensors', import.meta.url)),
)

const { test } = await loadMnist()
const digits = Array.from({ length: 200 }, (_, n) => {
  const data = test.images.slice(n * 784, (n + 1) * 784)
  return { body: Buffer.from(encodePng({ width: 28, height: 28, channels: 1, data })), label: String(test.labels[n]) }
})
const ordinary = (n) => digits[n % digits.length]
const expensive = expensiveRequests()

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))
const percentile = (numbers, p) => [...numbers].sort((a, b) => a - b)[Math.ceil(numbers.length * p) - 1] ?? NaN
const show = (milliseconds) => `${Math.round(milliseconds)} ms`
const percent = (part, whole) => `${((100 * part) / whole).toFixed(1)} %`

let failed = false
function row(what, value, right) {
  if (right === false) failed = true
  console.log(`  ${what.padEnd(58)} ${String(value).padStart(12)}${right === false ? '   NOT AS IT SHOULD BE' : ''}`)
}

/** Counts the requests that got no answer. */
function counting() {
  const counts = { sent: 0, unanswered: 0, errors: new Set() }
  const counted = async (sending) => {
    counts.sent++
    return sending.catch((error) => {
      counts.unanswered++
      counts.errors.add(error.code ?? error.message)
      return []
    })
  }
  return { counts, counted }
}

/** Ordinary pictures at a steady rate. @returns the answers */
async function steadily(address, client) {
  const answers = []
  const began = performance.now()
  for (let n = 0; n < rate * seconds; n++) {
    await sleep(began + (1000 * n) / rate - performance.now())
    answers.push(send(address, { ...ordinary(n), client }).catch((error) => ({ status: error.code, ms: NaN })))
  }
  return Promise.all(answers)
}

function steadyRows(answers) {
  const times = answers.map(({ ms }) => ms)
  const good = answers.filter(({ status }) => status === 200).length
  row('ordinary pictures answered 200', `${good} of ${answers.length}`, good === answers.length)
  row('median, 99th percentile, longest', [0.5, 0.99, 1].map((p) => show(percentile(times, p))).join(', '))
}

/** Milliseconds of a processor that each picture takes, and for each MiB of the work that its header tells: medians of 9. */
function workRows() {
  const kinds = { grey: [0, 1], RGB: [2, 3], 'grey and alpha': [4, 2], RGBA: [6, 4] }
  const made = Object.entries(kinds).flatMap(([name, [colorType, samples]]) =>
    [8, 16].map((depth) => {
      const side = depth === 8 ? 1024 : 724
      const body = filledPng(side, side, samples, { depth, colorType })
      return { name: `${side} × ${side} pixels, ${name} of ${depth} bits`, body }
    }),
  )
  const decoded = expensive.filter(({ statuses, body }) => body && (statuses.includes(200) || statuses.includes(400)))
  for (const { name, body, type = 'image/png', query = '' } of [
    ...made,
    ...decoded,
    { name: 'a digit', ...ordinary(0) },
  ]) {
    const request = new Request(`http://edge/predict${query}`, { headers: { 'Content-Type': type } })
    const times = []
    const picture = pictureFormat(request, limits, [28, 28])
    const work = picture.measure(body) / 2 ** 20
    for (let round = 0; round < 11; round++) {
      const began = process.cpuUsage()
      try {
        classifier.prepare(picture.decode(body))
      } catch (error) {
        if (error.code !== 'FORMAT') throw error
      }
      const { user, system } = process.cpuUsage(began)
      if (round > 1) times.push((user + system) / 1000)
    }
    const median = percentile(times, 0.5)
    row(name, `${median.toFixed(1)} ms${work < 1 ? '' : `, ${(median / work).toFixed(1)} for each MiB`}`)
  }
}

console.log('\nwork')
workRows()

for (const runtime of values.runtime.split(',')) {
  const { address, measure, stop } = await startEdge(runtime)
  try {
    console.log(`\n${runtime}: ${rate} ordinary pictures a second for ${seconds} s`)
    steadyRows(await steadily(address, 'one'))

    console.log(`\n${runtime}: ${burst} requests at once, every second one expensive, all of one client`)
    const { counts, counted } = counting()
    const kinds = new Map(expensive.map(({ name }) => [name, []]))
    const labels = []
    const times = []
    await Promise.all(
      Array.from({ length: burst }, async (_, n) => {
        const isOrdinary = n % 2 === 0
        const wanted = isOrdinary ? ordinary(n / 2) : expensive[((n - 1) / 2) % expensive.length]
        const began = performance.now()
        const answers = await counted(sendPatiently(address, wanted, 5000))
        const last = answers.at(-1)
        if (isOrdinary) {
          labels.push(last?.answer.class === wanted.label && performance.now() - began <= 5000)
        } else if (last) {
          kinds.get(wanted.name).push(last)
        }
        if (!wanted.statuses?.includes(408)) times.push(...answers.map(({ ms }) => ms))
      }),
    )
    const right = labels.filter(Boolean).length
    row(
      'ordinary pictures with the right label within 5 s',
      percent(right, labels.length),
      right >= 0.9 * labels.length,
    )
    row('answers, with those before a retry', times.length)
    row('their median', show(percentile(times, 0.5)))
    row('their 99th percentile', show(percentile(times, 0.99)), percentile(times, 0.99) < 1000)
    row(`requests without an answer ${[...counts.errors].join(' ')}`, counts.unanswered, counts.unanswered === 0)
    for (const { name, statuses } of expensive) {
      const given = kinds.get(name).map(({ status }) => status)
      const told = [...new Set(given)].sort().map((status) => `${status} × ${given.filter((s) => s === status).length}`)
      row(
        name,
        told.join(', '),
        given.every((status) => statuses.includes(status) || status === 503),
      )
    }

    console.log(`\n${runtime}: the same pictures a second, while another client keeps 16 expensive requests open`)
    let over = false
    let done = 0
    const flood = Array.from({ length: 16 }, async (_, n) => {
      const decoded = expensive.filter(({ statuses }) => !statuses.includes(408))
      for (let turn = n; !over; turn++) {
        const { status } = await send(address, { ...decoded[turn % decoded.length], client: 'two' }).catch(() => ({}))
        if (status !== 503) done++
        else await sleep(100)
      }
    })
    const answers = await steadily(address, 'one')
    over = true
    await Promise.all(flood)
    steadyRows(answers)
    row('expensive requests answered meanwhile, other than by 503', done)

    console.log(`\n${runtime}: memory`)
    const { peak } = measure()
    row('peak', `${Math.round(peak)} MB`, peak < 400)
  } finally {
    stop()
  }
}
process.exitCode = failed ? 1 : 0
