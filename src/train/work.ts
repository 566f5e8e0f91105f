/**
 * What training, measuring, reading batches and searching do: `fit`, `evaluate`, `batches` and the searches load this file when
 * the first of them runs, so that a page that only uses a model does not carry it. It is one file for all of them, because a
 * bundler cuts what a page loads at once into a part for each set of such files that share it.
 */
export { makeBatches, readAhead } from './batches.js'
export { evaluateAll, run } from './loop.js'
export { addedParts, buffersOf, outcomeOf } from './part.js'
export { searchAtRandom, searchGrid } from './rounds.js'
