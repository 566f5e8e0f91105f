/**
 * toeplitz: convolutional networks, trained and run in WebAssembly, with the same bits in every runtime.
 * Call `await init()` once, then everything is synchronous.
 */
export { gradcheck, type GradcheckOptions, type GradcheckResult } from './autodiff/gradcheck.js'
export { grad, valueAndGrad, vjp, type TensorFunction, type Vjp } from './autodiff/vjp.js'
export * from './nn/index.js'
export * from './ops/index.js'
export * from './optim/index.js'
export {
  init,
  initSync,
  memoryUsage,
  runtimeInfo,
  type InitOptions,
  type RuntimeInfo,
  type Simd,
} from './runtime/core.js'
export * from './runtime/errors.js'
export type { ModuleSource } from './runtime/load.js'
export type { MemoryUsage } from './runtime/memory.js'
export * from './tensor/create.js'
export type { Shape } from './tensor/shape.js'
export { scope, Tensor } from './tensor/tensor.js'
export * from './train/index.js'
export { gabor, type GaborOptions } from './vision/gabor.js'
