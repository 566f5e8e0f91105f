/** Training and measuring. */
export * from './fit.js'
export * from './metrics.js'
