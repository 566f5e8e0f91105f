/** Where jobs run: in this process one after another, or on a queue whose workers may be anywhere. */
import { ToeplitzError } from '../runtime/errors.js'
import { Computer } from './compute.js'
import type { Functions } from './functions.js'
import { checkJob, type Job, type JobResult } from './jobs.js'
import { ownRelease } from './release.js'
import { memoryStore, type Store } from './store.js'

/** A job, whose values are in the store. */
export interface Submission {
  readonly job: Job
  /** Puts all values that the job refers to once more: for when the store has lost them. */
  readonly put: () => Promise<unknown>
  /** Whether the outcome is kept for a day, so that whoever asks again gets it at once. */
  readonly keep: boolean
}

/** What runs jobs. */
export interface Engine {
  readonly store: Store
  /** Whether outcomes are kept for those who ask again; where they are not, who has read a value deletes it. */
  readonly keeps: boolean
  /** Jobs that are worth having in flight. */
  readonly width: number
  /** How many jobs are computed at the same time, 0 where nobody works. */
  slots(): Promise<number>
  /** Gives what a job gave. @throws ToeplitzError when it failed for good */
  submit(submission: Submission): Promise<JobResult>
  /** Forgets a kept outcome whose value is gone. */
  forget(job: Job): Promise<void>
  /** Gives a job up whose outcome is not waited for any more. Where nobody else waits, `submit` rejects, and no worker need take the job. */
  withdraw(job: Job): Promise<void>
  /** Gives jobs up that run, and disconnects. */
  close(): Promise<void>
}

/** What who submitted a job is told when it was given up. */
export const withdrawnError = (): ToeplitzError =>
  new ToeplitzError('CLOSED', 'job: it was given up before it was done; submit it again')

/** Jobs in this process, one after another. */
export function engineHere(functions: Functions): Engine {
  const store = memoryStore()
  const computer = new Computer(store, functions)
  const withdrawn = new WeakSet<Job>()
  let last: Promise<unknown> = Promise.resolve()
  return {
    store,
    keeps: false,
    width: 1,
    slots: () => Promise.resolve(1),
    submit({ job }) {
      const run = last.then(() => {
        if (withdrawn.has(job)) throw withdrawnError()
        return computer.run(checkJob(job, ownRelease()))
      })
      last = run.catch(() => undefined)
      return run
    },
    forget: () => Promise.resolve(),
    withdraw(job) {
      withdrawn.add(job)
      return Promise.resolve()
    },
    async close() {
      await last
      computer.close()
    },
  }
}
