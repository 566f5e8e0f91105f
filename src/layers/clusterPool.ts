/** Pooling over regions that are found in each picture by clustering its responses. */
import { LoweredLayer, type OptionRules } from '../nn/layer.js'
import { notation } from '../nn/notation.js'
import { wholeWindow, type Window } from '../nn/receptive.js'
import {
  checkClusters,
  clusterNames,
  describeClusters,
  poolClusters,
  type ClusterPoolOptions,
  type Clusters,
  distancesOf,
} from '../ops/pool/clusters.js'
import { sizeOf, type Shape } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'

export type { ClusterOptions, ClusterPoolOptions } from '../ops/pool/clusters.js'

/**
 * The largest value or the mean of each cluster of the places of maps (C, …), in each channel: (C, K), or (C, …grid) where clusters
 * begin as the cells of a grid; or of each cluster of the channels at each place: (K, …). What is pooled together is found in each
 * example by `clusterPool` of `toeplitz/features`, whose options these are (section 9.3).
 *
 *     new ClusterPool({ clusters: [4, 4], location: 3 })
 */
export class ClusterPool extends LoweredLayer<ClusterPoolOptions> {
  static override readonly rules: OptionRules = Object.assign({}, clusterNames, { pool: 0 as const })
  readonly type = 'ClusterPool'

  constructor(...given: [options: ClusterPoolOptions]) {
    super(...given)
    checkClusters('ClusterPool', this.options)
  }

  #describe(input: Shape): Clusters {
    return describeClusters('ClusterPool', input, this.options)
  }

  outputShape(input: Shape): number[] {
    return [...this.#describe(input).pooled]
  }

  protected lower(x: Tensor): Tensor {
    return poolClusters(x, this.#describe(x.shape.slice(1)), this.options.pool ?? 'max')
  }

  /** Reading the input once, and the distances of each round from each centre, and from the first centres, where they are sought. */
  override operations(input: Shape): number {
    return sizeOf(input) + distancesOf(this.#describe(input))
  }

  override window(input: Shape): Window {
    return wholeWindow(input)
  }

  describe(): string {
    return notation('clusters', this.options, [this.options.clusters])
  }
}
