/**
 * What goes with `fit`: measures of classes, rates that fall on a plateau, averages of weights, progress, outputs in batches, and
 * models that are trained further for other classes.
 */
export { ema, WeightAverage, type Averaged, type AverageState, type EmaOptions } from './average.js'
export { combineCallbacks, progress, type ProgressEvent, type ProgressOptions } from './callbacks.js'
export { ConfusionMatrix, type AverageOptions, type ClassReport, type ConfusionMatrixOptions } from './confusion.js'
export { Plateau, reduceOnPlateau, type PlateauOptions, type PlateauState } from './plateau.js'
export { predictBatches, type PredictData, type PredictOptions, type Predicting } from './predict.js'
export {
  confusionMatrix,
  f1,
  precision,
  recall,
  topK,
  type ConfusionOptions,
  type ScoreOptions,
  type TopKOptions,
} from './scores.js'
export {
  parameterGroups,
  replaceHead,
  type GroupOptions,
  type LayerGroup,
  type ReplaceHeadOptions,
  type Retargeted,
} from './tuning.js'
