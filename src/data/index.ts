/** Datasets: formats, splitting, batches. */
export type { PictureLimits } from '../io/limits.js'
export * from './augment.js'
export * from './cifar10.js'
export * from './dataset.js'
export * from './idx.js'
export * from './images.js'
export * from './mnist.js'
