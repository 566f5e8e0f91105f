/** Architectures by name. */
export * from './convnet.js'
