// @ts-check
// The same work on one thread and on several, by turns in one process: both see the same machine, whose second core may
// be faster or slower from minute to minute. The process is a new one: a core that was loaded for one thread has no more.
import { names as forward } from './forward.mjs'
import { runChild } from './lib/child.mjs'
import { cases, nameOf } from './train-step.mjs'

/** @type {import('./run.mjs').Bench} */
export const bench = {
  description: 'forward passes and training steps on several threads (default: 2) beside the same on one',
  peers: [],
  options: ['network', 'threads'],
  networks: [...new Set([...forward, ...cases.map(({ model, input }) => nameOf(model, input))])],
  async run({ networks = [], threads = 2, rounds = 0, log }) {
    const args = [String(threads), String(rounds), ...networks]
    return runChild('scaling', new URL('scaling/child.mjs', import.meta.url), args, log)
  },
}
