/** Files: models, safetensors, PNG and JPEG. */
export { decodeImage } from '../formats/decode.js'
export type { FileBytes } from '../formats/limits.js'
export {
  Axis,
  lightOnDark,
  resample,
  resizeGrayscale,
  toGrayscale,
  type GrayscaleImage,
  type Interpolation,
} from './grayscale.js'
export * from '../formats/jpeg.js'
export {
  decodeModel,
  decodeModelFile,
  describeModel,
  encodeModel,
  encodeModelFile,
  type EncodeModelOptions,
  type ModelDescription,
  type ModelFacts,
  type ModelFile,
} from './model-file.js'
export { coverImage, coverPlanes, toPlanes, type Fit, type PlanarImage } from './planar.js'
export { loadStateDict, type StateDictOptions, type StateDictReport, type Stateful } from './state-dict.js'
export * from '../formats/png.js'
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
} from '../formats/safetensors.js'
