/** Models in ONNX's format. */
export { loadOnnx, type OnnxOptions } from './load.js'
export { saveOnnx, type SavableModel, type SavableProgram, type SaveOnnxOptions } from './save.js'
export { Program, type ProgramOptions } from '../program.js'
export type { ProgramRow, ProgramSummary, SummaryValue } from '../summary.js'
export type { ProgramValue } from '../imported.js'
export type { OnnxExternal, OnnxValues } from '../../formats/onnx.js'
export { readTensorFile, type TensorFile } from './tensorFile.js'
export { onnxOperators } from './supported.js'
