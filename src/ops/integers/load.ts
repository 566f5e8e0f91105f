/** Loading of the kernels of integers, a module of its own beside the core. */
import { addKernels, type BesideOrigin } from '../../runtime/core.js'
import { unpack } from '../../runtime/base64.js'
import type { ModuleSource } from '../../runtime/load.js'

const embedded: BesideOrigin = {
  strict: async () => unpack((await import('../../runtime/generated/integers.js')).default),
  relaxed: async () => unpack((await import('../../runtime/generated/integers.js')).default),
  threads: async () => unpack((await import('../../runtime/generated/integers-threads.js')).default),
}

/** Loads the kernels of integers beside the core: once, after `init`. @throws as `initIntegers` */
export async function loadIntegers(module: ModuleSource | undefined): Promise<void> {
  const given = (): ModuleSource => module as ModuleSource
  await addKernels('integers', module === undefined ? embedded : { strict: given, relaxed: given, threads: given })
}
