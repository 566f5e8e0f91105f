/** Quantized networks: integers of eight bits instead of float32. */
export { initIntegers, type InitIntegersOptions } from './init.js'
export type { Calibration } from './calibrate.js'
export { quantize, quantizeToOnnx, type Quantizable, type QuantizedLayer, type QuantizeOptions } from './quantize.js'
export type { Estimates } from './select.js'
