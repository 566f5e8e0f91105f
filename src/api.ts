/** The public API but for `init`, which each entry of the package brings with its way to the core. */
export { gradcheck, type GradcheckOptions, type GradcheckResult } from './autodiff/gradcheck.js'
export { grad, valueAndGrad, vjp, type TensorFunction, type Vjp } from './autodiff/vjp.js'
export * from './nn/index.js'
export * from './ops/index.js'
export * from './optim/index.js'
export type { Candidate, ConvAlgorithm, ConvProblem } from './plan/conv.js'
export type { Windows } from './plan/window.js'
export {
  memoryUsage,
  runtimeInfo,
  type InitOptions,
  type InitSyncOptions,
  type RuntimeInfo,
  type Simd,
} from './runtime/core.js'
export * from './runtime/errors.js'
export type { Footprint } from './nn/layer.js'
export type { Padding, PerDirection } from './plan/window.js'
export type { ModuleSource } from './runtime/load.js'
export type { MemoryUsage } from './runtime/memory.js'
export type { WorkerHandle } from './runtime/threads.js'
export * from './tensor/create.js'
export type { Shape } from './tensor/shape.js'
export type { ElementArrays, DType, ElementOf } from './tensor/dtype.js'
export { scope, Tensor, type AnyTensor } from './tensor/tensor.js'
export * from './train/index.js'
export { gabor, type GaborOptions } from './vision/gabor.js'
