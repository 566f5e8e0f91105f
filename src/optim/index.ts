/** Optimizers, gradient clipping, and learning-rate schedules (under `schedule`, as `schedule.cosine`). */
export { Adagrad, type AdagradOptions } from './adagrad.js'
export { Adam, AdamW, type AdamOptions } from './adam.js'
export { clipGradNorm, type ClippedGradients } from './clip.js'
export { Optimizer, type OptimizerParameters, type OptimizerState, type ParameterGroup } from './optimizer.js'
export { RMSprop, type RMSpropOptions } from './rmsprop.js'
/** Learning rates by step, as pure functions. */
export * as schedule from './schedule.js'
export type { Schedule } from './schedule.js'
export { SGD, type SGDOptions } from './sgd.js'
