/**
 * The thread in which a worker computes, so that its event loop is free to renew the locks of jobs while kernels run. It asks the
 * thread that started it for values, and gives it those that it makes.
 */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import type { InitOptions } from '../runtime/core.js'
import { ToeplitzError } from '../runtime/errors.js'
import { Computer } from './compute.js'
import { functionsOf } from './functions.js'
import type { Job } from './jobs.js'
import type { Store } from './store.js'
import type { FromThread, ThreadData, ToThread } from './threadMessages.js'

/** The buffer of some bytes, where it has nothing else in it. */
const bufferOf = ({ buffer, byteLength }: Uint8Array): readonly ArrayBuffer[] =>
  buffer instanceof ArrayBuffer && buffer.byteLength === byteLength ? [buffer] : []

/** The store of the thread that started this one. */
function storeBehind(port: MessagePort): { readonly store: Store; readonly answer: (message: ToThread) => void } {
  const open = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>()
  let calls = 0
  const ask = <T>(message: FromThread, moved: readonly ArrayBuffer[] = []): Promise<T> =>
    new Promise((resolve, reject) => {
      open.set(++calls, { resolve, reject })
      port.postMessage({ ...message, call: calls }, moved)
    })
  return {
    store: {
      get: (name) => ask({ kind: 'get', name }),
      // What was made for the store belongs to the store: its buffer is moved, not copied.
      put: (bytes, seconds) => ask({ kind: 'put', bytes, seconds }, bufferOf(bytes)),
      delete: (name) => ask({ kind: 'delete', name }),
    },
    answer(message) {
      if (message.kind !== 'answer') return
      const waiting = open.get(message.call)
      open.delete(message.call)
      if (message.error) waiting?.reject(new ToeplitzError(message.error.code, message.error.message))
      else waiting?.resolve(message.value as never)
    },
  }
}

/** Serves the thread that started this one. */
export async function serve(): Promise<void> {
  if (!parentPort) throw new ToeplitzError('THREAD', 'worker: this file is for threads, and runs in none')
  const port = parentPort
  const { threads, module, simd } = workerData as ThreadData
  // The main entry brings the core, and its address stands in a variable so that no bundler puts the core in here once more.
  const entry: string = 'toeplitz'
  const { init } = (await import(entry)) as { readonly init: (options: InitOptions) => Promise<void> }
  await init({ threads, simd })
  const { store, answer } = storeBehind(port)
  const computer = new Computer(store, await functionsOf(module))
  port.on('message', (message: ToThread) => {
    if (message.kind === 'answer') {
      answer(message)
      return
    }
    computer.run(message.job as Job).then(
      (result) => port.postMessage({ kind: 'done', result } satisfies FromThread),
      (error: unknown) => {
        const { message: text, code } = Object(error) as { message?: string; code?: string }
        const failed = {
          code: error instanceof ToeplitzError ? error.code : (code ?? 'FAILED'),
          message: text ?? String(error),
        }
        port.postMessage({ kind: 'failed', error: failed } satisfies FromThread)
      },
    )
  })
  port.postMessage({ kind: 'ready' } satisfies FromThread)
}
