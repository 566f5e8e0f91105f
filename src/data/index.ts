/** Datasets: formats, splitting, batches. */
export type { PictureLimits } from '../formats/limits.js'
export * from './augment.js'
export {
  balanceClasses,
  shuffled,
  stratifiedSplit,
  subset,
  type BalanceOptions,
  type Choosable,
  type StratifiedSplitOptions,
} from './choosing.js'
export * from './cifar10.js'
export {
  imageDataset,
  collectExamples,
  cached,
  type LabelledPicture,
  type ImageDatasetOptions,
  type GivenExample,
  type CollectOptions,
  type CacheOptions,
} from './collecting.js'
export {
  assertSameImages,
  holdOut,
  imageRange,
  readImage,
  type ImageDataset,
  type ImageFiles,
  type ImageSource,
} from './dataset.js'
export { readIdx, writeIdx, type DataLimits, type IdxArray, type IdxData } from '../formats/idx.js'
export {
  fitNormalization,
  fitNormalizationOf,
  imageExamples,
  imageTensor,
  preprocess,
  type Normalization,
} from './images.js'
export type { Picture, PixelPreprocessing, Preprocessing } from '../io/preprocessing.js'
export { meanImage } from './meanImage.js'
export * from './mixup.js'
export * from './mnist.js'
export * from './sized.js'
export type { WarpOptions } from './warp.js'
