/** Files: models, safetensors and PNG. */
export * from './grayscale.js'
export * from './model-file.js'
export * from './png.js'
export * from './safetensors.js'
