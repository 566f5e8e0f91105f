/** Layers and models. */
export * from './activation.js'
export {
  Conv1d,
  Conv2d,
  Conv3d,
  ConvTranspose1d,
  ConvTranspose2d,
  ConvTranspose3d,
  type Conv1dOptions,
  type Conv2dOptions,
  type Conv3dOptions,
  type ConvTranspose1dOptions,
  type ConvTranspose2dOptions,
  type ConvTranspose3dOptions,
  type KernelOptions,
} from './conv.js'
export * from './dropout.js'
export {
  explain,
  type Explanation,
  type ExplanationData,
  type LayerExplanation,
  type PassExplanation,
} from './explain.js'
export * from './graph.js'
export {
  initialize,
  type Initializer,
  type InitializerName,
  type InitializerOptions,
  type Source,
} from './initialize.js'
export {
  Layer,
  LoweredLayer,
  type ForwardContext,
  type Json,
  type LayerConfig,
  type LayerConvolution,
  type OptionRule,
  type OptionRules,
  type WeightSpec,
} from './layer.js'
export * from './layout.js'
export { Linear, type LinearOptions } from './linear.js'
export * from './local.js'
export * from './norm.js'
export * from './pool.js'
export * from './rbf.js'
export type { ReceptiveField, Window } from './receptive.js'
export * from './registry.js'
export type { ModelMemory } from './schedule.js'
export * from './sequential.js'
export type { DecodedTensor } from './state.js'
export { Summary, type LayerMemory, type SummaryData, type SummaryRow, type SummaryTotal } from './summary.js'
export type { GraphNode } from './wiring.js'
