/** toeplitz for Vercel's edge runtime, which wants to be told by ?module: the module is imported, because it may not be compiled at run time. */
import core from './core.wasm?module'
import { initFrom, initSyncFrom, type InitOptions, type InitSyncOptions } from './runtime/core.js'
import { imported } from './runtime/imported.js'

export * from './api.js'

export const init = (options?: InitOptions): Promise<void> => initFrom(imported(core), options)

export const initSync = (options?: InitSyncOptions): void => initSyncFrom(imported(core), options)
