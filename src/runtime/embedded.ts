/** Starting with the core that travels inside the package, as text: nothing to serve, nothing to configure. */
import { initFrom, initSyncFrom, type InitOptions, type InitSyncOptions, type Origin } from './core.js'
import strict from './generated/strict.js'
import { unpackCore } from './unpack.js'

function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  const native = (Uint8Array as unknown as { fromBase64?: (text: string) => Uint8Array<ArrayBuffer> }).fromBase64
  if (native) return native.call(Uint8Array, text)
  const binary = atob(text)
  const bytes = new Uint8Array(binary.length)
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i)
  return bytes
}

/** The module in a text: compressed before it became base64, which alone would take nearly twice as much on the way. */
const unpack = (text: string): Uint8Array<ArrayBuffer> => unpackCore(decodeBase64(text))

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
