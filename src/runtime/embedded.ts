/** Starting with the core that travels inside the package, as text: nothing to serve, nothing to configure. */
import { initFrom, initSyncFrom, type InitOptions, type InitSyncOptions, type Origin } from './core.js'
import strict from './generated/strict.js'
import { decodeBase64 } from './load.js'

const embedded: Origin = {
  preferred: 'relaxed',
  strict: () => decodeBase64(strict),
  relaxed: async () => decodeBase64((await import('./generated/relaxed.js')).default),
  threads: async (simd) => {
    const { default: text } =
      simd === 'strict' ? await import('./generated/threads.js') : await import('./generated/relaxed-threads.js')
    return decodeBase64(text)
  },
}

/**
 * Loads the core. Every operation needs it once before; later calls return at once, unless they ask for another number
 * of threads, and a failed call can be repeated.
 * @throws UnsupportedError when the runtime lacks what was asked for, FormatError when `module` is not the core.
 */
export const init = (options?: InitOptions): Promise<void> => initFrom(embedded, options)

/** Loads the core synchronously from a compiled module (or, outside a browser's main thread, its bytes). */
export const initSync = (options?: InitSyncOptions): void => initSyncFrom(embedded, options)
