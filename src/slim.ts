/** toeplitz without a module inside, for pages that serve the .wasm file themselves: `init` needs `module`. */
import { initFrom, initSyncFrom, type InitOptions, type InitSyncOptions, type Origin } from './runtime/core.js'
import { UnsupportedError } from './runtime/errors.js'

export * from './api.js'

function missing(file: string): never {
  throw new UnsupportedError(
    `init: this entry has no module inside; give one, as in init({ module: fetch(address of toeplitz/${file}) })`,
  )
}

const nothing: Origin = {
  preferred: 'strict',
  strict: () => missing('core.wasm'),
  relaxed: () => missing('relaxed.wasm'),
  threads: (simd) => missing(simd === 'strict' ? 'threads.wasm' : 'relaxed-threads.wasm'),
}

/** As in the main entry, but `module` must be given. @throws UnsupportedError without it. */
export const init = (options?: InitOptions): Promise<void> => initFrom(nothing, options)

/** As in the main entry, but `module` must be given. @throws UnsupportedError without it. */
export const initSync = (options?: InitSyncOptions): void => initSyncFrom(nothing, options)
