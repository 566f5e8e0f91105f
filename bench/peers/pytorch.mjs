// @ts-check
// Native PyTorch's side of the training step: a Python process, told by lines what to do. What the pipe
// costs, about 0.1 ms a step, is part of what is measured.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { LeftOutError } from '../lib/errors.mjs'

let threads = 1

/** @param {number} wanted */
export function useThreads(wanted) {
  threads = wanted
}

/**
 * @param {import('../train-step.mjs').Problem} problem
 * @returns {Promise<import('../train-step.mjs').Contender>}
 */
export async function createTrainStep({ network, images, labels, batch, optimizer }) {
  const folder = mkdtempSync(join(tmpdir(), 'toeplitz-bench-'))
  const file = (/** @type {string} */ name) => join(folder, name)
  const weights = network.steps.flatMap(({ weight, bias }) => [weight, bias].filter((values) => values !== undefined))
  writeFileSync(file('images'), bytesOf(images))
  writeFileSync(file('labels'), labels)
  writeFileSync(file('parameters'), Buffer.concat(weights.map(({ data }) => bytesOf(data))))
  const steps = network.steps.map(({ type, options, relu, weight, bias }) => {
    return { type, options, relu, weight: weight !== undefined, bias: bias !== undefined }
  })
  const shapes = weights.map(({ shape }) => shape)
  const files = Object.fromEntries(['images', 'labels', 'parameters'].map((name) => [name, file(name)]))
  writeFileSync(
    file('problem'),
    JSON.stringify({ input: network.input, steps, shapes, batch, optimizer, threads, ...files }),
  )
  const script = fileURLToPath(new URL('pytorch.py', import.meta.url))
  const child = spawn(process.env['PYTHON'] ?? '/usr/bin/python3', [script, file('problem')], {
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text) => (complaint += text))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const gone = new Promise((resolve) => child.once('error', resolve).once('close', resolve))
  const answer = async () => {
    const line = await Promise.race([lines.next(), gone.then(() => undefined)])
    if (line !== undefined && !line.done) return line.value
    await gone
    const missing = complaint === '' || /No module named/.test(complaint)
    throw new LeftOutError(missing ? 'not installed' : `failed: ${complaint.trim().split('\n').at(-1)}`)
  }
  const ask = (/** @type {string} */ command) => {
    child.stdin.write(`${command}\n`)
    return answer()
  }
  try {
    await answer()
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
  return {
    name: 'pytorch',
    async parameters() {
      await ask(`parameters ${file('result')}`)
      const bytes = readFileSync(file('result'))
      const all = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
      let begin = 0
      return weights.map(({ data: { length } }) => all.slice(begin, (begin += length)))
    },
    step: async () => Number(await ask('step')),
    dispose() {
      child.stdin.end()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** @param {Float32Array} values */
const bytesOf = (values) => Buffer.from(values.buffer, values.byteOffset, values.byteLength)
