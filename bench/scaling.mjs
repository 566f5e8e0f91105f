// @ts-check
// The same work on one thread and on several, by turns in one process: both see the same machine, whose second core may
// be faster or slower from minute to minute. The process is a new one: a core that was loaded for one thread has no more.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { names as forward } from './forward.mjs'
import { BenchError } from './lib/errors.mjs'
import { cases, nameOf } from './train-step.mjs'

const child = fileURLToPath(new URL('scaling/child.mjs', import.meta.url))

/** @type {import('./run.mjs').Bench} */
export const bench = {
  description: 'forward passes and training steps on several threads (default: 2) beside the same on one',
  peers: [],
  options: ['network', 'threads'],
  networks: [...new Set([...forward, ...cases.map(({ model, input }) => nameOf(model, input))])],
  async run({ networks = [], threads = 2, rounds = 0, log }) {
    const running = promisify(execFile)(process.execPath, [child, String(threads), String(rounds), ...networks])
    running.child.stderr?.on('data', (/** @type {Buffer} */ lines) => log(String(lines).trimEnd()))
    try {
      return JSON.parse((await running).stdout)
    } catch (error) {
      const [reason] = /\w*Error: .*/.exec(/** @type {{ stderr?: string }} */ (error).stderr ?? '') ?? [String(error)]
      throw new BenchError(`scaling: ${reason}`)
    }
  },
}
