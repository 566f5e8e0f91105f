/** Training and measuring. */
export * from './examples.js'
export * from './fit.js'
export * from './metrics.js'
export * from './search.js'
