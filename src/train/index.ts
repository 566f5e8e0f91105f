/** Training and measuring. */
export * from './examples.js'
export * from './fit.js'
export * from './metrics.js'
export * from './options.js'
export * from './reading.js'
export * from './search.js'
export * from './trials.js'
