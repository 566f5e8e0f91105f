/** Architectures by name. */
export * from './convnet.js'
export * from './linear.js'
export * from './twoLayer.js'
