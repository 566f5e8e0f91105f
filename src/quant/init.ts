/** What quantized networks need besides the core: kernels, and the operators of ONNX that call them. */
import { addOperators } from '../models/onnx/operators/index.js'
import { contributed, CONTRIBUTED } from '../models/onnx/operators/contributed.js'
import { quantized } from '../models/onnx/operators/quantized.js'
import { loadIntegers } from '../ops/integers/load.js'
import type { ModuleSource } from '../runtime/load.js'
import { checkCount, checkKeys } from '../runtime/options.js'

/** Options of `initIntegers`. */
export interface InitIntegersOptions {
  /**
   * The module to load instead of the one that the package brings as text: integers.wasm, or integers-threads.wasm for a core
   * that has threads.
   */
  readonly module?: ModuleSource | undefined
}

/**
 * Loads the kernels of integers beside the core: once, after `init`. From then on `loadOnnx` reads models of integers, too.
 *
 *     await init()
 *     await initIntegers()
 *
 * @throws NotInitializedError before `init`, FormatError where `module` is not the module of this release
 */
export async function initIntegers(options: InitIntegersOptions = {}): Promise<void> {
  checkCount('initIntegers', 1, arguments)
  checkKeys('initIntegers', options, { module: 0 })
  await loadIntegers(options.module)
  addOperators('', quantized)
  addOperators(CONTRIBUTED, contributed)
}
