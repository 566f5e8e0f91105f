/** Table of contents: every operation. */
export * from './conv.js'
export * from './linear.js'
