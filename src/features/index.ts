/**
 * Features learned without labels (Goodfellow et al., section 9.9): filters drawn at random, made by hand, or learned from
 * pictures by k-means, sparse coding, autoencoders or a Boltzmann machine, and the features of a data set computed once.
 */
export { greedyPretrain, type PretrainedLayer, type PretrainOptions, type PretrainStep } from './autoencoder.js'
export {
  differenceOfGaussians,
  gaborBank,
  randomFilters,
  type BankOptions,
  type DifferenceOfGaussiansOptions,
  type GaborBankOptions,
  type RandomFilterOptions,
} from './banks.js'
export { calibrateFilters, type CalibrationOptions, type Filters } from './calibrate.js'
export { clusterPool, clusterRegions, type ClusterOptions, type ClusterPoolOptions } from '../ops/pool/clusters.js'
export type { FeatureData } from './data.js'
export { extractFeatures, headOf, type ExtractOptions, type FeatureExamples } from './extract.js'
export {
  factorize,
  type Change,
  type Factorized,
  type FactorizedLayer,
  type FactorizeOptions,
  type KeptLayer,
} from './factorize.js'
export {
  kMeansFilters,
  type KMeansOptions,
  type LearnedFilters,
  type LearningOptions,
  type RoundEvent,
  type RoundOptions,
} from './kmeans.js'
export { extractPatches, type PatchOptions } from './patches.js'
export { ConvRBM, type ConvRBMOptions, type ConvRBMStep, type ConvRBMTraining } from './rbm.js'
export {
  separableConv,
  separableTerms,
  type SeparableConvOptions,
  type SeparableTerm,
  type SeparableTermsOptions,
} from './separate.js'
export {
  sparseCode,
  sparseFilters,
  type SparseCode,
  type SparseCodeOptions,
  type SparseFilterOptions,
  type SparseOptions,
} from './sparse.js'
export { svd } from './svd.js'
export { whiten, type Whitening, type WhitenOptions } from './whiten.js'
