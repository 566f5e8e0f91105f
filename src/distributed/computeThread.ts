/** A thread that computes one job at a time, seen from the worker that started it. It is replaced when it dies or takes too long. */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Worker as Thread } from 'node:worker_threads'
import { ToeplitzError } from '../runtime/errors.js'
import type { Job, JobResult } from './jobs.js'
import type { Store } from './store.js'
import type { FromThread, ThreadData, ToThread } from './threadMessages.js'

/** What the thread begins with. The file is imported, because a bundler takes what only has effects for nothing. */
const BOOT = `import(require('node:worker_threads').workerData.file).then(({ serve }) => serve())`

/** The address of the file of the thread in the package, wherever this text stands: in dist, in the command or in the sources. */
function threadFile(): string {
  const file = join(
    dirname(createRequire(import.meta.url).resolve('toeplitz/package.json')),
    'dist/distributed-thread.js',
  )
  if (existsSync(file)) return pathToFileURL(file).href
  throw new ToeplitzError('FILE', `${file}: the worker's thread is not in the package; install toeplitz again`)
}

/** The job that a thread has, or that it is starting. */
interface Pending {
  readonly resolve: (result: JobResult) => void
  readonly reject: (error: Error) => void
}

export class ComputeThread {
  readonly #data: Omit<ThreadData, 'file'>
  readonly #store: Store
  #thread: Thread | undefined
  #pending: Pending | undefined
  #ready: Promise<void> | undefined

  constructor(data: Omit<ThreadData, 'file'>, store: Store) {
    this.#data = data
    this.#store = store
  }

  /** Starts the thread, if it does not run. @throws what its core or its module cannot be loaded for */
  start(): Promise<void> {
    if (this.#ready) return this.#ready
    const ready = new Promise<void>((resolve, reject) => {
      const thread = new Thread(BOOT, {
        eval: true,
        workerData: { file: threadFile(), ...this.#data } satisfies ThreadData,
      })
      this.#thread = thread
      const lost = (error: Error): void => {
        reject(error)
        if (this.#thread !== thread) return
        this.#thread = this.#ready = undefined
        this.#settle()?.reject(error)
      }
      thread.on('message', (message: FromThread) => {
        // What a thread still says that was replaced is not of the job that its successor has.
        if (this.#thread !== thread) return
        if (message.kind === 'ready') resolve()
        else if (message.kind === 'done') this.#settle()?.resolve(message.result)
        else if (message.kind === 'failed') this.#settle()?.reject(told(message.error))
        else void this.#serve(thread, message)
      })
      thread.on('error', (error: unknown) => {
        // A module may throw anything, null as well.
        lost(error instanceof Error ? error : new ToeplitzError('THREAD', `worker: ${String(error)}`))
      })
      thread.on('exit', (code) => {
        lost(new ToeplitzError('THREAD', `worker: the computing thread ended with code ${code}`))
      })
    })
    this.#ready = ready
    // The next job tries again, where the thread could not be made.
    ready.catch(() => {
      if (this.#ready === ready) this.#ready = undefined
    })
    return ready
  }

  /** Runs a job. @throws ToeplitzError with code TIMEOUT after so many seconds: the thread is ended then */
  async run(job: Job, seconds: number): Promise<JobResult> {
    await this.start()
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const error = new ToeplitzError('TIMEOUT', `worker: the job took more than ${seconds} seconds, and was ended`)
        void this.close(error)
      }, seconds * 1000)
      this.#pending = {
        resolve(result) {
          clearTimeout(timer)
          resolve(result)
        },
        reject(error) {
          clearTimeout(timer)
          reject(error)
        },
      }
      this.#thread?.postMessage({ kind: 'run', job } satisfies ToThread)
    })
  }

  /** Ends the thread; the job that it has fails. */
  async close(error: Error = new ToeplitzError('CLOSED', 'worker: closed while the job ran')): Promise<void> {
    const thread = this.#thread
    this.#thread = this.#ready = undefined
    this.#settle()?.reject(error)
    await thread?.terminate()
  }

  #settle(): Pending | undefined {
    const pending = this.#pending
    this.#pending = undefined
    return pending
  }

  async #serve(
    thread: Thread,
    message: Extract<FromThread, { readonly kind: 'get' | 'delete' | 'put' }>,
  ): Promise<void> {
    const call = message.call ?? 0
    let answer: ToThread
    const moved: ArrayBuffer[] = []
    try {
      let value: unknown
      if (message.kind === 'get') {
        // The store may keep what it gave for other threads: this thread gets a copy of its own, which is moved.
        const copy = new Uint8Array(await this.#store.get(message.name))
        moved.push(copy.buffer)
        value = copy
      } else if (message.kind === 'put') value = await this.#store.put(message.bytes, message.seconds)
      else await this.#store.delete(message.name)
      answer = { kind: 'answer', call, value }
    } catch (error) {
      const { code, message: text } = Object(error) as { readonly code?: string; readonly message?: string }
      answer = { kind: 'answer', call, error: { code: code ?? 'STORE', message: text ?? String(error) } }
    }
    thread.postMessage(answer, moved)
  }
}

const told = ({ code, message }: { readonly code: string; readonly message: string }): ToeplitzError =>
  new ToeplitzError(code, message)
