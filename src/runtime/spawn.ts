/** Starting worker threads in every runtime. */
import workerSource from './generated/worker.js'
import { nodeWorkers } from './node-workers.js'
import { type WorkerHandle } from './threads.js'

/** The two kinds of events: those of the web and those of Node. */
interface Events {
  addEventListener?(type: string, listener: (event: { data?: unknown; message?: string }) => void): void
  on?(type: string, listener: (value: unknown) => void): void
  /** Lets the process end while the worker runs. */
  unref?(): void
}

function startWorker(): WorkerHandle {
  const node = nodeWorkers()
  // Node's options, such as loaders of the main thread, are none of the worker's.
  if (node) return new node.Worker(workerSource, { eval: true, execArgv: [], name: 'toeplitz' })
  const address = URL.createObjectURL(new Blob([workerSource], { type: 'text/javascript' }))
  try {
    return new Worker(address, { name: 'toeplitz' })
  } finally {
    // The worker may not have fetched it yet: it is let go a little later.
    setTimeout(() => URL.revokeObjectURL(address), 60_000)
  }
}

/** What Node tells of a thread without a turn of the event loop. */
interface Measured {
  readonly performance?: { eventLoopUtilization?(): { readonly idle: number; readonly active: number } }
}

/** Bun and Deno have the name and not the meaning. */
const measures = (): boolean => {
  const { versions } = nodeWorkers() ? process : { versions: {} }
  return 'node' in versions && !('bun' in versions) && !('deno' in versions)
}

/**
 * Whether the thread of a worker has ended, told at once, without the event that the caller may be too busy to hear;
 * undefined where that cannot be told. Of a thread that is no more Node gives an idle time of −1 ms, provided that it was
 * asked for once while the thread ran, and zeros from the event 'exit' on.
 */
export function hasEnded(worker: WorkerHandle): boolean | undefined {
  if (!measures()) return undefined
  const measured = (worker as Measured).performance?.eventLoopUtilization?.()
  if (!measured || (measured.idle === 0 && measured.active === 0)) return undefined
  return measured.idle < 0
}

/** What is told of a worker. */
export interface Watch {
  ready(): void
  /** The worker has failed or ended. Called once. */
  lost(reason: string): void
}

/** Starts a worker, sends it `invitation` and reports what becomes of it. @throws what the runtime throws. */
export function spawn(invitation: object, watch: Watch, create: () => WorkerHandle = startWorker): WorkerHandle {
  const worker = create()
  if (typeof worker?.postMessage !== 'function' || typeof worker.terminate !== 'function') {
    throw new TypeError('createWorker must return a Worker')
  }
  let over = false
  const lost = (reason: string): void => {
    if (over) return
    over = true
    watch.lost(reason)
  }
  const events = worker as Events
  if (events.on) {
    events.on('message', () => watch.ready())
    events.on('error', (error) => lost(error instanceof Error ? error.message : String(error)))
    events.on('exit', (code) => lost(`it ended with code ${String(code)}`))
  } else {
    events.addEventListener?.('message', () => watch.ready())
    events.addEventListener?.('error', ({ message }) => {
      lost(message || 'it could not be started; a Content-Security-Policy needs worker-src blob:, or give createWorker')
    })
    events.addEventListener?.('messageerror', () => lost('it could not read the module'))
  }
  worker.postMessage(invitation)
  events.unref?.()
  return worker
}
