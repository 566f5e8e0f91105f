/** Table of contents: every kernel of the core, by family. See README.md for names and argument order. */
export * from './ops/conv/direct'
export * from './ops/conv/gemm'
export * from './ops/matmul'
export * from './ops/random'
export * from './ops/reduce'

/** First byte of linear memory that kernels leave to the allocator. */
export function heapBase(): usize {
  return __heap_base
}
