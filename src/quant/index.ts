/** Quantized networks: integers of eight bits instead of float32. */
export { initIntegers, type InitIntegersOptions } from '../ops/integers/load.js'
