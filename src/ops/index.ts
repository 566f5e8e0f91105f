/** Table of contents: every operation. */
export * from './activation.js'
export * from './cast.js'
export { conv1d, conv2d, conv3d, type Activation, type ConvOptions } from './conv.js'
export * from './convGradients.js'
export * from './convMatrix.js'
export { convTranspose1d, convTranspose2d, convTranspose3d, type ConvTransposeOptions } from './convTranspose.js'
export { dropout, type DropoutOptions } from './dropout.js'
export * from './elementwise.js'
export {
  concat,
  flatten,
  pad,
  slice,
  transpose,
  upsample2d,
  type PadOptions,
  type PaddingMode,
  type SliceOptions,
  type Upsample2dOptions,
} from './layout.js'
export * from './linear.js'
export { locallyConnected1d, locallyConnected2d, tiledConv1d, tiledConv2d, type LocalOptions } from './local.js'
export {
  bceWithLogits,
  crossEntropy,
  hingeLoss,
  mseLoss,
  type CrossEntropyOptions,
  type Distributions,
  type HingeOptions,
  type Labels,
  type LossOptions,
  type Reduction,
} from './loss.js'
export { batchNorm, localResponseNorm, type BatchNormOptions, type LocalResponseNormOptions } from './norm.js'
export * from './pool/index.js'
export { max, mean, min, sum, type Axes, type ReduceOptions } from './reduce.js'
export { connectedConv2d, factorKernel, separableConv2d, type SeparableOptions } from './separable.js'
export * from './softmax.js'
