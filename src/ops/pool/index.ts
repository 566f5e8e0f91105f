/** Table of contents: a summary of each window of each map. */
export type { OutputSize, PoolOptions } from '../../plan/pool.js'
export {
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPool3d,
  adaptiveMaxPool1d,
  adaptiveMaxPool2d,
  adaptiveMaxPool3d,
  globalAvgPool,
  globalMaxPool,
} from './adaptive.js'
export { avgPool1d, avgPool2d, avgPool3d, type AvgPoolOptions } from './average.js'
export { lpPool1d, lpPool2d, type LpPoolOptions } from './lp.js'
export { maxPool1d, maxPool2d, maxPool2dWithIndices, maxPool3d, type MaxPoolOptions, type PoolIndices } from './max.js'
export { maxout } from './maxout.js'
export * from './unpool.js'
export * from './weighted.js'
