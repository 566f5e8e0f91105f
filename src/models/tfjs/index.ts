/** Models in TensorFlow.js' formats. */
export { loadTfjs, type TfjsOptions } from './load.js'
export type { CustomLayer, CustomLayers } from './layers/load.js'
export type { ReadShard } from './weights.js'
export type { FileBytes } from '../../formats/limits.js'
export { tfjsLayers, tfjsOperators } from './supported.js'
export { Program, type ProgramOptions } from '../program.js'
export type { ProgramRow, ProgramSummary, SummaryValue } from '../summary.js'
export type { ProgramValue } from '../imported.js'
