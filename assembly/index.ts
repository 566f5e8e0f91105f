/** Table of contents: every kernel of the core, by family. See README.md for names and argument order. */
export * from './ops/activation'
export * from './ops/conv/depthwise'
export * from './ops/conv/direct'
export * from './ops/conv/gemm'
export * from './ops/conv/local'
export * from './ops/conv/phases'
export * from './ops/conv/transformed'
export * from './ops/conv/transformedFilter'
export * from './ops/elementwise'
export * from './ops/layout'
export * from './ops/loss'
export * from './ops/matmul'
export * from './ops/norm'
export * from './ops/optim'
export * from './ops/pool/average'
export * from './ops/pool/lp'
export * from './ops/pool/max'
export * from './ops/pool/unpool'
export * from './ops/pool/weighted'
export * from './ops/random'
export * from './ops/reduce'
export * from './ops/scalar'
export * from './ops/softmax'

/** First byte of linear memory that kernels leave to the allocator. */
export function heapBase(): usize {
  return __heap_base
}

/** Whether this is the relaxed core, which fuses multiply and add. */
export function isRelaxed(): bool {
  return ASC_FEATURE_RELAXED_SIMD
}
