/** Files: models, safetensors, PNG and JPEG. */
export { decodeImage } from './decode.js'
export type { FileBytes } from './limits.js'
export {
  Axis,
  lightOnDark,
  resample,
  resizeGrayscale,
  toGrayscale,
  type GrayscaleImage,
  type Interpolation,
} from './grayscale.js'
export * from './jpeg.js'
export {
  decodeModel,
  decodeModelFile,
  describeModel,
  encodeModel,
  encodeModelFile,
  type ModelDescription,
  type ModelFacts,
  type ModelFile,
} from './model-file.js'
export { coverImage, coverPlanes, toPlanes, type Fit, type PlanarImage } from './planar.js'
export * from './png.js'
export {
  digitPictures,
  plainPreprocessing,
  preparePixels,
  type Normalization,
  type Picture,
  type PixelPreprocessing,
  type Preprocessing,
} from './preprocessing.js'
export {
  decodeSafetensors,
  encodeSafetensors,
  type EncodeSafetensorsOptions,
  type SafetensorsData,
  type SafetensorsFile,
  type SafetensorsInput,
  type SafetensorsTensor,
} from './safetensors.js'
