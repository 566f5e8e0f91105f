/** Loading of the kernels of integers, a module of its own beside the core. */
import { addKernels, type BesideOrigin } from '../../runtime/core.js'
import { unpack } from '../../runtime/base64.js'
import { checkCount, checkKeys } from '../../runtime/options.js'
import type { ModuleSource } from '../../runtime/load.js'

/** Options of `initIntegers`. */
export interface InitIntegersOptions {
  /**
   * The module to load instead of the one that the package brings as text: integers.wasm, or integers-threads.wasm for a core
   * that has threads.
   */
  readonly module?: ModuleSource | undefined
}

const embedded: BesideOrigin = {
  strict: async () => unpack((await import('../../runtime/generated/integers.js')).default),
  relaxed: async () => unpack((await import('../../runtime/generated/integers.js')).default),
  threads: async () => unpack((await import('../../runtime/generated/integers-threads.js')).default),
}

/**
 * Loads the kernels of integers beside the core: once, after `init`. Without them quantized networks compute the same numbers in JavaScript,
 * about a hundred times slower.
 *
 *     await init()
 *     await initIntegers()
 *
 * @throws NotInitializedError before `init`, FormatError where `module` is not the module of this release
 */
export async function initIntegers(options: InitIntegersOptions = {}): Promise<void> {
  checkCount('initIntegers', 1, arguments)
  checkKeys('initIntegers', options, { module: 0 })
  const { module } = options
  const given = (): ModuleSource => module as ModuleSource
  await addKernels('integers', module === undefined ? embedded : { strict: given, relaxed: given, threads: given })
}
