/** Pictures: Gabor functions, filters, feature maps, and where a model looks. */
export * from './activations.js'
export type { Classifier } from './classifier.js'
export * from './gabor.js'
export * from './occlusion.js'
export * from './palette.js'
export * from './saliency.js'
export * from './tiles.js'
