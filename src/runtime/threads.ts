/**
 * What every user of the core loads of threads: whether there can be any, and what is thrown when the core is lost. The
 * pool of workers itself is loaded when more than one thread is asked for.
 */
import { CoreError } from './errors.js'
import { nodeWorkers } from './node-workers.js'

/** The most threads of a job, the main thread included: more help no shape. */
export const MOST_THREADS = 64

/** What `createWorker` returns: a Worker of the web or of node:worker_threads that runs toeplitz/worker. */
export interface WorkerHandle {
  /** As of a Worker. */
  postMessage(message: unknown): void
  /** As of a Worker. */
  terminate(): unknown
}

/** Why this runtime has no threads, or undefined if it has. */
export function threadsMissing(ownWorkers: boolean): string | undefined {
  if ((globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === false && !nodeWorkers()) {
    return (
      'the page is not cross-origin isolated; serve it with the headers Cross-Origin-Opener-Policy: same-origin and ' +
      'Cross-Origin-Embedder-Policy: require-corp'
    )
  }
  if (typeof SharedArrayBuffer !== 'function') return 'this runtime has no SharedArrayBuffer'
  if (!ownWorkers && typeof Worker !== 'function' && !nodeWorkers()) return 'this runtime has no Worker'
  return undefined
}

/** The error after which the core can no longer be trusted. */
export const distrust = (name: string, what: string, cause?: unknown): CoreError =>
  new CoreError(
    `${name}: ${what}, so nothing more is computed on it: start a new process, worker or page, and please report what was called`,
    { cause },
  )

/** The error for a kernel that trapped. */
export const trapped = (name: string, reason: string, cause?: unknown): CoreError =>
  distrust(name, `the WebAssembly core trapped (${reason}) and may have damaged memory`, cause)
