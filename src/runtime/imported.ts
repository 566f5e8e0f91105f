/** Starting with a module that the runtime compiled when it loaded the program: edge functions compile nothing later. */
import { type WasmModule } from './platform.js'
import type { Origin } from './core.js'
import { UnsupportedError } from './errors.js'

/** The cores of an entry that brings the strict one as a module which the runtime has compiled. */
export const imported = (strict: WasmModule): Origin => ({
  preferred: 'strict',
  strict: () => strict,
  relaxed: () => {
    throw new UnsupportedError(
      "init: the relaxed core must be imported here: import module from 'toeplitz/relaxed.wasm', then init({ simd: 'relaxed', module })",
    )
  },
  threads: () => {
    throw new UnsupportedError(
      "init: the core for threads must be imported here: import module from 'toeplitz/threads.wasm', then init({ threads, module })",
    )
  },
})
