// @ts-check
// Native PyTorch's side of the training step: a Python process on one thread, told by lines what to do. What the pipe
// costs, about 0.1 ms a step, is part of what is measured.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** Says that a peer cannot be had here, and what it needs. */
class MissingError extends Error {
  code = 'ERR_MODULE_NOT_FOUND'
}

/**
 * @param {import('../train-step.mjs').Problem} problem
 * @param {readonly Float32Array[]} parameters the weights to begin with, in our layout
 * @returns {Promise<import('../train-step.mjs').Contender>}
 */
export async function createTrainStep({ images, labels, batch, optimizer }, parameters) {
  const folder = mkdtempSync(join(tmpdir(), 'toeplitz-bench-'))
  const file = (/** @type {string} */ name) => join(folder, name)
  const sizes = parameters.map(({ length }) => length)
  writeFileSync(file('images'), bytesOf(images))
  writeFileSync(file('labels'), labels)
  writeFileSync(file('parameters'), Buffer.concat(parameters.map(bytesOf)))
  const script = fileURLToPath(new URL('pytorch.py', import.meta.url))
  const files = ['images', 'labels', 'parameters'].map(file)
  const python = process.env['PYTHON'] ?? '/usr/bin/python3'
  const child = spawn(python, [script, ...files, String(batch), JSON.stringify(optimizer)], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const gone = new Promise((resolve) => child.once('error', resolve).once('close', resolve))
  const answer = async () => {
    const line = await Promise.race([lines.next(), gone.then(() => undefined)])
    if (line === undefined || line.done) throw new MissingError('Python with torch did not answer')
    return line.value
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
      const all = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
      let begin = 0
      return sizes.map((size) => all.slice(begin, (begin += size)))
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
