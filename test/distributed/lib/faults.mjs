// @ts-check
/** Faults at random moments of a run: workers that are killed and started again, or paused beyond their lock, and a Redis that restarts. */
import { setTimeout as pause } from 'node:timers/promises'
import { startProcess } from './redis.mjs'

/** Seconds of a worker's lock in tests (`startProcess`), after which its job is given to another. */
const LOCK = 2

/** Mulberry32: the same numbers from 0 up to 1 for the same seed. @param {number} seed */
export function randomOf(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** @typedef {Awaited<ReturnType<typeof startProcess>>} Started */

/**
 * Faults of a run of so many events (steps, trials, shards), each at a random event other than the last, so that all of them happen while
 * jobs are left. `at` is to be called after each event, and `over` after the run.
 *
 * @param {object} given
 * @param {{ kills: number, restarts: number, pauses: number }} given.counts
 * @param {number} given.events
 * @param {() => number} given.random
 * @param {{ url: string, restart(): Promise<void> }} given.redis
 * @param {Started[]} given.workers of which those that are killed are replaced
 * @param {readonly string[]} [given.more] arguments of the workers that are started again
 */
export function faultsOf({ counts, events, random, redis, workers, more = [] }) {
  const done = { kills: 0, restarts: 0, pauses: 0 }
  const which = () => Math.floor(random() * workers.length)
  const acts = {
    async kills() {
      await pause(300 * random())
      const n = which()
      // A worker that ended by itself was not killed.
      if ((await /** @type {Started} */ (workers[n]).end('SIGKILL')) === 'SIGKILL') done.kills++
      workers[n] = await startProcess(redis.url, ...more)
    },
    async restarts() {
      await redis.restart()
      done.restarts++
    },
    async pauses() {
      const { child } = /** @type {Started} */ (workers[which()])
      child.kill('SIGSTOP')
      await pause(1000 * 2 * LOCK)
      if (child.kill('SIGCONT')) done.pauses++
    },
  }
  /** @type {(keyof typeof acts)[]} */
  const kinds = ['kills', 'restarts', 'pauses']
  const due = kinds.flatMap((kind) =>
    Array.from({ length: counts[kind] }, () => ({ kind, event: 1 + Math.floor(random() * (events - 1)) })),
  )
  /** @type {Promise<unknown>} */
  let last = Promise.resolve()
  return {
    /** @param {number} event from 1 on */
    async at(event) {
      for (const { kind } of due.filter((one) => one.event === event)) {
        // One after another: the run waits where the one before is not over, and goes on meanwhile otherwise.
        const before = last
        last = before.then(() => acts[kind]())
        last.catch(() => undefined)
        await before
      }
    },
    /** What happened. */
    async over() {
      await last
      return done
    },
  }
}
