/** Models of the zoo, small enough for tests. */
import type { Graph } from '../../src/nn/index.js'
import { createModel, type ZooOptions } from '../../src/zoo/index.js'
import { ShapeError } from '../../src/runtime/errors.js'

/** Every architecture narrow, for images as small as it takes. */
export function small(name: string, options: ZooOptions = {}): Graph {
  if (name.startsWith('convnet')) return createModel(name, options)
  if (name.startsWith('lenet5')) return createModel(name, options)
  const size = /^(alexnet|caffenet|zfnet)/.test(name) ? 67 : name.startsWith('nin') ? 67 : 64
  const narrow = { input: [3, size, size] as const, classes: 6, ...options }
  try {
    return createModel(name, { width: 1 / 16, ...narrow })
  } catch (error) {
    // Classifiers without feature maps have no width.
    if (error instanceof ShapeError && error.message.includes("no option 'width'")) return createModel(name, narrow)
    throw error
  }
}
