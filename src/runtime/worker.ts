/**
 * What a worker thread runs: it is sent the modules and the memory once, and then takes part in every job until it is
 * told to end. build.mjs makes one text of it, for runtimes that start workers from text, and dist/worker.js.
 */
import { Board, kernelEntries, type Invitation } from './job.js'

interface Port {
  postMessage(message: unknown): void
  close(): void
}

function serve({ modules, memory, board, thread }: Invitation, port: Port): void {
  const instances = modules.map((module) => new WebAssembly.Instance(module, { env: { memory } }).exports)
  const kernels = kernelEntries(instances).map(([, kernel]) => kernel)
  port.postMessage('ready')
  new Board(board).serve(kernels, thread)
  port.close()
}

// Bun has both kinds of worker; in its own `parentPort` is the one that hears.
const parent =
  typeof process === 'object' && typeof process.getBuiltinModule === 'function'
    ? process.getBuiltinModule('node:worker_threads').parentPort
    : null
if (parent) {
  parent.once('message', (invitation: Invitation) => {
    serve(invitation, parent)
  })
} else {
  const scope = globalThis as unknown as Port & { onmessage: (event: MessageEvent<Invitation>) => void }
  scope.onmessage = ({ data }) => {
    serve(data, scope)
  }
}
