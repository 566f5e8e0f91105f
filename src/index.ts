/**
 * toeplitz: convolutional networks, trained and run in WebAssembly, with the same bits in every runtime.
 * Call `await init()` once, then everything is synchronous.
 */
export * from './api.js'
export { init, initSync } from './runtime/embedded.js'
