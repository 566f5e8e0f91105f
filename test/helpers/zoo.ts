/** Models of the zoo, small enough for tests. */
import type { Graph } from '../../src/nn/index.js'
import { createModel, type ZooOptions } from '../../src/zoo/index.js'

/** Every architecture narrow, for images as small as it takes. */
export function small(name: string, options: ZooOptions = {}): Graph {
  if (name.startsWith('convnet')) return createModel(name, options)
  if (name.startsWith('lenet5')) return createModel(name, options)
  const size = /^(alexnet|caffenet|zfnet)/.test(name) ? 67 : name.startsWith('nin') ? 67 : 64
  // Classifiers without feature maps have no width.
  const width = name === 'linear' || name === 'two-layer' ? {} : { width: 1 / 16 }
  return createModel(name, { input: [3, size, size], classes: 6, ...width, ...options })
}
