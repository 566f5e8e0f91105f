/** The models that `toeplitz train` can make, by name. */
import type { Graph } from '../nn/graph.js'
import type { Initializer } from '../nn/initialize.js'
import { convnet } from '../zoo/convnet.js'
import { linearClassifier } from '../zoo/linear.js'
import { twoLayerClassifier } from '../zoo/twoLayer.js'

export interface ArchitectureOptions {
  readonly input: readonly [C: number, H: number, W: number]
  readonly classes: number
  readonly seed: number
  /** Left out, the architecture's own. */
  readonly weightInit?: Initializer
}

export const architectures: Readonly<Record<string, (options?: Partial<ArchitectureOptions>) => Graph>> = {
  convnet,
  linear: linearClassifier,
  'two-layer': twoLayerClassifier,
}
