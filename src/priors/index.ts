/** Priors on weights: terms of a loss that pull dense layers towards convolutions, or let weights find what they share. */
export { MixturePrior, type MixturePriorOptions, type SharedWeights } from './mixture.js'
export {
  nearestConvolution,
  toeplitzPenalty,
  type NearestConvolutionOptions,
  type ToeplitzPenaltyOptions,
} from './toeplitz.js'
