/** Workers that misbehave on purpose. */
import { Worker } from 'node:worker_threads'
import workerSource from '../../src/runtime/generated/worker.js'

/** A worker that runs `action` in place of the kernel `name`, and everything else as it should. */
export const faultyWorker = (name: string, action: string) => (): Worker =>
  new Worker(
    `const Original = WebAssembly.Instance
       WebAssembly.Instance = function (module, imports) {
         const exports = { ...new Original(module, imports).exports }
         exports[${JSON.stringify(name)}] = () => { ${action} }
         return { exports }
       }
       ${workerSource}`,
    { eval: true, execArgv: [] },
  )
