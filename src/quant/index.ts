/** Quantized networks: integers of eight bits instead of float32. */
export { initIntegers, type InitIntegersOptions } from '../ops/integers/load.js'
export type { Calibration } from './calibrate.js'
export { quantize, quantizeToOnnx, type Quantizable, type QuantizedLayer, type QuantizeOptions } from './quantize.js'
