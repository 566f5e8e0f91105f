/**
 * Structured outputs (Goodfellow et al., section 9.6): a label for every pixel, how well they are predicted, what neighbours say of
 * them, and the regions that they make.
 */
export { coarseLabels, pixelExamples, type PixelDataset, type PixelExampleOptions } from './dataset.js'
export {
  freeEnergy,
  meanFieldStep,
  pottsModel,
  pseudoLikelihood,
  refine,
  type FieldPart,
  type GridModel,
  type MeanFieldStepOptions,
  type PottsOptions,
  type PseudoLikelihoodOptions,
  type RefineOptions,
} from './grid.js'
export { MeanField, type MeanFieldOptions } from './meanField.js'
export { meanIoU, pixelAccuracy, PixelConfusion, type PixelConfusionOptions, type PixelOptions } from './measures.js'
export { recurrentConv, scoresOf, type RecurrentConvOptions } from './recurrent.js'
export {
  dropSmallRegions,
  regionsOf,
  type LabelMap,
  type Region,
  type RegionOptions,
  type Regions,
  type SmallRegionOptions,
} from './regions.js'
export { digitScenes, type DigitSceneOptions } from './scenes.js'
