/**
 * Table of contents of the second module: kernels of networks of 8-bit integers, which src/runtime/core.ts loads beside the core
 * (`addKernels`). They use nothing of relaxed SIMD, so that the strict and the relaxed core share one module and one result.
 */
export * from './ops/integers/conv'
export * from './ops/integers/depthwise'
export * from './ops/integers/elementwise'
export * from './ops/integers/linear'
export * from './ops/integers/pool'
