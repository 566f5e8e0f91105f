/** Worker threads of Node, apart from what the public types reach: programs have no types of Node. */

/** Node's worker threads, or undefined in other runtimes. */
export const nodeWorkers = (): typeof import('node:worker_threads') | undefined =>
  typeof process === 'object' && typeof process.getBuiltinModule === 'function'
    ? process.getBuiltinModule('node:worker_threads')
    : undefined
