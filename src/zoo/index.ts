/** The networks of the lecture and of their papers. */
export type { ZooOptions } from './options.js'
export * from './registry.js'
