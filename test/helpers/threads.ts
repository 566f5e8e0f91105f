/** Workers that misbehave on purpose. */
import { Worker, type ResourceLimits } from 'node:worker_threads'
import workerSource from '../../src/runtime/generated/worker.js'

/**
 * A worker that runs `action` in place of the kernel `name`, and everything else as it should. What `action` sees besides:
 * `memory`, the core's, and the properties of `globals` as globals.
 */
export const faultyWorker =
  (name: string, action: string, resourceLimits: ResourceLimits = {}, globals: object = {}) =>
  (): Worker =>
    new Worker(
      `Object.assign(globalThis, require('node:worker_threads').workerData)
       const Original = WebAssembly.Instance
       WebAssembly.Instance = function (module, imports) {
         const { memory } = imports.env
         const exports = { ...new Original(module, imports).exports }
         exports[${JSON.stringify(name)}] = () => { ${action} }
         return { exports }
       }
       ${workerSource}`,
      { eval: true, execArgv: [], resourceLimits, workerData: globals },
    )
