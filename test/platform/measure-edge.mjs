/**
 * The cold start of examples/edge in workerd: from the start of the process until it listens, from then until the first
 * request is answered (instantiating the core, decoding the model, a prediction), and the answers after it. Medians.
 *
 *   node test/platform/measure-edge.mjs [--rounds 20] [--save]
 *
 * --save writes bench/results/edge.json.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { describeMachine } from '../../bench/lib/machine.mjs'
import { bundleWorker } from '../../examples/edge/serve.mjs'
import { findWorkerd } from './lib/runtimes.mjs'
import { startWorkerd } from './lib/workerd.mjs'

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '20' }, save: { type: 'boolean' } } })
const program = findWorkerd()
if (!program) throw new Error('workerd is not installed: npm install in test/platform')
const machine = describeMachine([])
machine.versions.workerd = execFileSync(program, ['--version'], { encoding: 'utf8' }).replace('workerd', '').trim()

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]
const rounded = (numbers) => Number(median(numbers).toFixed(2))

/** A grey ramp: what is predicted does not matter. */
const body = Uint8Array.from({ length: 784 }, (_, i) => i % 256)
async function ask(address) {
  const began = performance.now()
  const headers = { 'Content-Type': 'application/octet-stream' }
  const response = await fetch(new URL('/predict', address), { method: 'POST', body, headers })
  const answer = await response.json()
  if (response.status !== 200) throw new Error(JSON.stringify(answer))
  return performance.now() - began
}

const { folder, remove } = await bundleWorker()
try {
  const [listening, first, later] = [[], [], []]
  for (let round = 0; round < Number(values.rounds); round++) {
    const began = performance.now()
    const workerd = await startWorkerd(program, join(folder, 'workerd.capnp'), {
      args: ['--socket-addr=http=127.0.0.1:0'],
    })
    try {
      listening.push(performance.now() - began)
      // The connection is no part of it.
      await fetch(workerd.address).then((response) => response.text())
      first.push(await ask(workerd.address))
      for (let i = 0; i < 10; i++) later.push(await ask(workerd.address))
    } finally {
      workerd.close()
      await workerd.running.ended
    }
  }
  const row = {
    bench: 'edge',
    case: 'examples/edge, POST /predict',
    rounds: Number(values.rounds),
    listening_ms: rounded(listening),
    first_answer_ms: rounded(first),
    later_answers_ms: rounded(later),
    machine,
  }
  const text = `${JSON.stringify([row], null, 2)}\n`
  if (values.save) writeFileSync(join(import.meta.dirname, '../../bench/results/edge.json'), text)
  process.stdout.write(text)
} finally {
  await remove()
}
