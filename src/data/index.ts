/** Datasets: formats, splitting, batches. */
export * from './augment.js'
export * from './cifar10.js'
export * from './dataset.js'
export * from './idx.js'
export * from './images.js'
export * from './mnist.js'
