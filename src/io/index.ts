/** Files: models, safetensors, PNG and JPEG. */
export { decodeImage } from './decode.js'
export * from './grayscale.js'
export * from './jpeg.js'
export * from './model-file.js'
export * from './planar.js'
export * from './png.js'
export {
  checkPreprocessing,
  digitPictures,
  cropped,
  plainPixels,
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
