/** Datasets: formats, splitting, batches. */
export * from './dataset.js'
export * from './idx.js'
export * from './images.js'
export * from './mnist.js'
