/** `toeplitz worker`, `toeplitz jobs` and `--redis`: workers of a queue, what the queue holds, and who lets them work. */
import { checkUrl, shownUrl } from '../distributed/connection.js'
import type { Engine } from '../distributed/engine.js'
import { jobsOn, type QueueFacts } from '../distributed/jobsOn.js'
import { remote, type Pool } from '../distributed/pool.js'
import { queueEngine } from '../distributed/queueEngine.js'
import { startWorker } from '../distributed/worker.js'
import type { Note } from '../node/resultFolder.js'
import type { JobsOptions, WorkerCommandOptions } from './actions.js'
import { exitCodes } from './actions.js'
import { Interrupt } from './interrupt.js'
import { columns, outputTo, type CliStreams } from './terminal.js'

/** The workers of a queue, with its address as it may be shown: without passwords. */
export interface Workers {
  readonly pool: Pool
  readonly shown: string
}

/** Connects to the queue of `--redis`; without one, everything is computed in this process. The core has been started. @throws as `remote` */
export async function workersOf(redis: string | undefined, onNote: Note): Promise<Workers | undefined> {
  if (redis === undefined) return undefined
  return { pool: await remote({ redis, onNote }), shown: shownUrl(redis) }
}

/** The queue of `--redis`, for jobs of which a pool has no method. The core has been started. @throws as `remote` */
export const queueOf = (redis: string, onNote: Note): Promise<Engine> =>
  queueEngine({ url: checkUrl(redis), store: undefined, tries: 3, onNote })

/** The action behind `toeplitz worker`: it ends at a signal, when the jobs that run are done, and at a second one at once. */
export async function workerCommand(
  { redis, store, threads, concurrency, module, tries, timeout, lock }: WorkerCommandOptions,
  { stdout }: Pick<CliStreams, 'stdout'> = process,
): Promise<number> {
  const out = outputTo(stdout)
  const interrupt = new Interrupt('SIGINT', 'SIGTERM')
  try {
    const worker = await startWorker({
      ...{ redis, threads, concurrency, tries, timeout, lock, onLog: out.line },
      ...(store === undefined ? {} : { store: { folder: store } }),
      ...(module === undefined ? {} : { module }),
    })
    out.line(`worker ${worker.id} takes jobs; Ctrl-C ends it after those that run`)
    await new Promise<void>((resolve) => {
      interrupt.onFinishing = resolve
    })
    out.line('the worker takes no more jobs, and ends when those that run are done; once more ends it at once')
    await worker.close()
    return exitCodes.success
  } finally {
    interrupt.stop()
  }
}

const shown = ({ counts, workers, failures, version, simd }: QueueFacts): string[] => {
  const rows = workers.map(({ id, host, pid, version: own, threads, concurrency, done, failed, busySeconds }) => [
    ...[id.slice(0, 8), host, String(pid), own, `${concurrency} × ${threads}`, String(done), String(failed)],
    busySeconds > 0 ? (done / busySeconds).toFixed(2) : '',
  ])
  const head = ['worker', 'host', 'process', 'release', 'jobs × threads', 'done', 'failed', 'jobs a busy second']
  return [
    `jobs of toeplitz ${version} with the ${simd} core: ${Object.entries(counts)
      .map(([state, count]) => `${count} ${state}`)
      .join(', ')}`,
    ...(rows.length === 0 ? ['no worker is there'] : columns([head, ...rows], (column) => column > 3)),
    ...failures.map(({ id, type, reason }) => `failed  ${type} ${id.slice(0, 8)}: ${reason}`),
  ]
}

/** The action behind `toeplitz jobs`. */
export async function jobsCommand(
  { redis, json }: JobsOptions,
  { stdout }: Pick<CliStreams, 'stdout'> = process,
): Promise<undefined> {
  const facts = await jobsOn(redis)
  const out = outputTo(stdout)
  if (json) out.json(facts)
  else out.text(shown(facts))
}
