/**
 * Layers that fewer models have, as a part of their own: a model that has some is read with
 * `modelFromJSON(json, 'model', { layers })`, where `import * as layers from 'toeplitz/layers'`.
 */
export { MeanImage } from './meanImage.js'
export { ChannelPool, type ChannelPoolOptions } from './channelPool.js'
export { ClusterPool, type ClusterOptions, type ClusterPoolOptions } from './clusterPool.js'
export { LearnedPool2d, type LearnedPool2dOptions } from './learnedPool.js'
export { Reshape, Slice, Split, type ReshapeOptions, type SplitOptions } from './moves.js'
export { GroupNorm, LayerNorm, type GroupNormOptions, type LayerNormOptions } from './norm.js'
export { PermutePixels, type PermutePixelsOptions } from './permute.js'
export { SeparableConv2d, type SeparableConv2dOptions } from './separable.js'
export { StructuredConv2d, type StructuredConv2dOptions } from './structured.js'
