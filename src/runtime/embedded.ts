/** Starting with the core that travels inside the package, as text: nothing to serve, nothing to configure. */
import { initFrom, initSyncFrom, type InitOptions, type InitSyncOptions, type Origin } from './core.js'
import strict from './generated/strict.js'
import { unpack } from './base64.js'

const embedded: Origin = {
  preferred: 'relaxed',
  strict: () => unpack(strict),
  relaxed: async () => unpack((await import('./generated/relaxed.js')).default),
  threads: async (simd) => {
    const { default: text } =
      simd === 'strict' ? await import('./generated/threads.js') : await import('./generated/relaxed-threads.js')
    return unpack(text)
  },
}

/**
 * Loads the core. Every operation needs it once before; later calls return at once, unless they ask for another number
 * of threads, and a failed call can be repeated.
 * @throws UnsupportedError when the runtime lacks what was asked for, FormatError when `module` is not the core, CoreError
 * when the core was lost before: it cannot be loaded again in the same process, worker or page.
 */
export const init = (options?: InitOptions): Promise<void> => initFrom(embedded, options)

/** Loads the core synchronously from a compiled module (or, outside a browser's main thread, its bytes). */
export const initSync = (options?: InitSyncOptions): void => initSyncFrom(embedded, options)
