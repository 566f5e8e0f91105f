/**
 * Pooling over regions that are found in each picture: the places of its feature maps, or the maps themselves, are clustered by
 * their responses, and each cluster is summed up by its mean or its largest value. "Another approach is to dynamically pool
 * features together, for example, by running a clustering algorithm on the locations of interesting features (Boureau et al.,
 * 2011). This approach yields a different set of pooling regions for each image" (Goodfellow et al., section 9.3).
 *
 * The clusters are those of k-means, in float64 and without random numbers. Which cluster an element belongs to counts as a
 * constant: the gradient flows through the values that are pooled, to the largest of a cluster or to all of its elements alike.
 *
 * `cluster` of src/features/kmeans.ts learns a dictionary from many patches, waits between batches and draws its first means; this one
 * has few vectors, once for each picture, in an operation, which cannot wait.
 */
import { defineOp, type Op } from '../../autodiff/op.js'
import { perDirection } from '../../plan/window.js'
import { checkNumber, checkWhole } from '../../runtime/check.js'
import { ArgumentError, ShapeError } from '../../runtime/errors.js'
import { checkCount, needKeys, type Names } from '../../runtime/options.js'
import { inWords } from '../../runtime/text.js'
import { ones, zeros } from '../../tensor/create.js'
import { showShape, sizeOf, type Shape } from '../../tensor/shape.js'
import { checkTensor, elementsAt, scope, type AnyTensor, type Tensor } from '../../tensor/tensor.js'
import { clamp, div } from '../elementwise.js'
import { concat, transpose } from '../layout.js'
import { gatherElements } from '../places.js'
import { assignClusters, type Clustering } from './assign.js'

/** How elements are clustered. */
export interface ClusterOptions {
  /**
   * How many clusters there are, whose order is that of the lengths of their mean responses, the longest first. A list, one number for
   * each direction of the maps, such as [4, 4]: the clusters begin as the cells of such a grid and keep its order.
   */
  readonly clusters: number | readonly number[]
  /** What is clustered: the `places` of maps by their responses in all channels, or the `channels` by theirs at all places. Default 'places'. */
  readonly of?: 'places' | 'channels'
  /**
   * λ from 0 on, how much the distance of two places counts. Their squared distance is ‖x − y‖²/σ² + λ²·‖p − q‖², where σ² is the
   * mean squared distance of the responses from their mean, and p and q are places as shares of the longest extent. Default 0.
   */
  readonly location?: number
  /** Rounds of k-means at most, from 1 to 100: it ends where no element changes its cluster. Default 10. */
  readonly rounds?: number
}

/** Options of `clusterPool`. */
export interface ClusterPoolOptions extends ClusterOptions {
  /** What is taken of a cluster: its largest value or its mean, in each channel. Default 'max'. */
  readonly pool?: 'max' | 'mean'
}

/** Names of the options of clusters. */
export const clusterNames = { clusters: 0, of: 0, location: 0, rounds: 0 } as const satisfies Names<ClusterOptions>

/** Clusters of x (N, C, …), whose places or channels are the vectors. */
export interface Clusters extends Clustering {
  /** Whether places are clustered, or channels: then x is transposed. */
  readonly of: 'places' | 'channels'
  /** Shape of one pooled example. */
  readonly pooled: Shape
}

/** Checks the options that no shape is needed for, and gives them with their defaults. @throws ArgumentError */
export function checkClusters(name: string, options: ClusterPoolOptions) {
  const { of = 'places', location = 0, rounds = 10, pool = 'max' } = options
  if (of !== 'places' && of !== 'channels')
    throw new ArgumentError(`${name}: of must be 'places' or 'channels', given ${inWords(of)}`)
  const { clusters } = options
  perDirection(clusters, Array.isArray(clusters) ? clusters.length : 1, 1, `${name}: clusters`)
  checkNumber(location, `${name}: location`, 0)
  checkWhole(rounds, `${name}: rounds`, 1, 100)
  return { of, location, rounds, pool: checkPool(pool, name) }
}

/** Checks the options for inputs (C, …). @throws ArgumentError, or ShapeError where there are fewer elements than clusters */
export function describeClusters(name: string, input: Shape, options: ClusterOptions): Clusters {
  const [C, ...extents] = input as readonly [number, ...number[]]
  if (extents.length < 1 || extents.length > 3 || sizeOf(input) === 0)
    throw new ShapeError(`${name}: x must be (N, C, …) of one to three directions, given ${showShape(input)} behind N`)
  const { clusters } = options
  const { of, location, rounds } = checkClusters(name, options)
  const isGrid = typeof clusters !== 'number'
  const cells = perDirection(clusters, isGrid ? extents.length : 1, 1, `${name}: clusters`)
  if (of === 'channels' && (isGrid || location > 0))
    throw new ArgumentError(`${name}: channels have no places; give no ${isGrid ? 'grid of clusters' : 'location'}`)
  const places = sizeOf(extents)
  const [D, P, K] = of === 'places' ? [C, places, sizeOf(cells)] : [places, C, sizeOf(cells)]
  const few = isGrid ? cells.some((count, axis) => count > (extents[axis] as number)) : K > P
  if (few)
    throw new ShapeError(
      `${name}: ${isGrid ? `a grid ${showShape(cells)} of clusters` : `${K} clusters`} cannot be made of the ${of} of ${showShape(input)}`,
    )
  const pooled = of === 'places' ? [C, ...cells] : [K, ...extents]
  const found = { of, D, P, K, location, rounds, extents, grid: isGrid ? cells : undefined, pooled }
  if (distancesOf(found) > MOST_DISTANCES)
    throw new ShapeError(
      `${name}: ${K} clusters of ${P} ${of} take ${distancesOf(found)} differences for each example, and at most ${MOST_DISTANCES} are made; give fewer clusters or rounds`,
    )
  return found
}

/** Differences that are computed for one example at most: half a minute. */
const MOST_DISTANCES = 2 ** 34

/** Differences of numbers that clustering one example takes: each round, and where there is no grid the search of the first centres. */
export const distancesOf = ({ D, P, K, location, rounds, extents, grid }: Clusters): number =>
  K * P * (location > 0 ? D + extents.length : D) * (rounds + (grid ? 0 : 1))

/** The cluster of each vector of x (N, D, P): (N, 1, P). */
const labelled: Op<{ x: Tensor }, Clusters, never, 'int32'> = defineOp('clusters', {
  infer: ({ x }: { x: Tensor }, clusters: Clusters) => ({ N: x.shape[0] as number, clusters }),
  output: ({ N, clusters }) => [N, 1, clusters.P],
  dtype: () => 'int32' as const,
  prepare: (list, { N, clusters }) => {
    const { D, P } = clusters
    list.routine(
      (out, from) => {
        const [labels, x] = [elementsAt(out, N * P, 'int32'), elementsAt(from, N * D * P, 'float32')]
        for (let n = 0; n < N; n++) labels.set(assignClusters(x.subarray(n * D * P, (n + 1) * D * P), clusters), n * P)
      },
      list.out,
      list.operand('x'),
    )
  },
  keeps: [],
})

/** Extents of x (N, D, P), and the clusters. */
type Extents = Readonly<Record<'N' | 'D' | 'P' | 'K', number>>

const extentsOf = ([N, D, P]: Shape, K: number): Extents => ({ N, D, P, K }) as Extents

/** Where in each row of x (N, D, P) the largest element of each cluster is: (N, D, K); P for clusters of nothing. */
const largestAt: Op<{ x: Tensor; labels: AnyTensor }, number, never, 'int32'> = defineOp('clusterMaxima', {
  types: { labels: ['int32'] },
  infer: ({ x }: { x: Tensor; labels: AnyTensor }, K: number) => extentsOf(x.shape, K),
  output: ({ N, D, K }) => [N, D, K],
  dtype: () => 'int32' as const,
  prepare: (list, { N, D, P, K }) => {
    list.routine(
      (out, from, at) => {
        const x = elementsAt(from, N * D * P, 'float32')
        const [labels, places] = [elementsAt(at, N * P, 'int32'), elementsAt(out, N * D * K, 'int32')]
        for (let row = 0; row < N * D; row++) {
          const own = places.subarray(row * K, (row + 1) * K).fill(-1)
          const cluster = labels.subarray(Math.floor(row / D) * P)
          for (let p = 0; p < P; p++) {
            const k = cluster[p] as number
            const [value, best] = [x[row * P + p] as number, own[k] as number]
            const most = best < 0 ? -Infinity : (x[row * P + best] as number)
            // Of equals the first stays, and NaN outdoes every number.
            if (best < 0 || value > most || (value !== value && most === most)) own[k] = p
          }
          for (let k = 0; k < K; k++) if ((own[k] as number) < 0) own[k] = P
        }
      },
      list.out,
      list.operand('x'),
      list.operand('labels'),
    )
  },
  keeps: [],
})

/** The sums of each cluster in each row of x (N, D, P): (N, D, K), in float64, rounded once. */
const sums: Op<{ x: Tensor; labels: AnyTensor }, number> = defineOp('clusterSums', {
  types: { labels: ['int32'] },
  infer: ({ x }: { x: Tensor; labels: AnyTensor }, K: number) => extentsOf(x.shape, K),
  output: ({ N, D, K }) => [N, D, K],
  prepare: (list, { N, D, P, K }) => {
    list.routine(
      (out, from, at) => {
        const [x, labels] = [elementsAt(from, N * D * P, 'float32'), elementsAt(at, N * P, 'int32')]
        const y = elementsAt(out, N * D * K, 'float32')
        const own = new Float64Array(K)
        for (let row = 0; row < N * D; row++) {
          own.fill(0)
          const first = Math.floor(row / D) * P
          for (let p = 0; p < P; p++) {
            const k = labels[first + p] as number
            own[k] = (own[k] as number) + (x[row * P + p] as number)
          }
          y.set(own, row * K)
        }
      },
      list.out,
      list.operand('x'),
      list.operand('labels'),
    )
  },
  keeps: ['labels'],
  gradient: ({ inputs: { labels }, need }, dy, { P }) => ({ x: need.x && spread({ y: dy, labels }, P) }),
})

/** Each element of y (N, D, K) at all places of its cluster: (N, D, P). The adjoint of the sums. */
const spread: Op<{ y: Tensor; labels: AnyTensor }, number> = defineOp('clusterSpread', {
  types: { labels: ['int32'] },
  infer: ({ y }: { y: Tensor; labels: AnyTensor }, P: number): Extents => {
    const [N, D, K] = y.shape as readonly [number, number, number]
    return { N, D, P, K }
  },
  output: ({ N, D, P }) => [N, D, P],
  prepare: (list, { N, D, P, K }) => {
    list.routine(
      (out, from, at) => {
        const [y, labels] = [elementsAt(from, N * D * K, 'float32'), elementsAt(at, N * P, 'int32')]
        const x = elementsAt(out, N * D * P, 'float32')
        for (let row = 0; row < N * D; row++) {
          const first = Math.floor(row / D) * P
          for (let p = 0; p < P; p++) x[row * P + p] = y[row * K + (labels[first + p] as number)] as number
        }
      },
      list.out,
      list.operand('y'),
      list.operand('labels'),
    )
  },
  keeps: ['labels'],
  gradient: ({ inputs: { labels }, need }, dx, { K }) => ({ y: need.y && sums({ x: dx, labels }, K) }),
})

/** x (N, D, P) as it is clustered; within a scope. */
const vectorsOf = (x: Tensor, { of, D, P }: Clusters): Tensor => {
  const N = x.shape[0] as number
  return of === 'places' ? x.reshape([N, D, P]) : transpose(x.reshape([N, P, D]), [0, 2, 1])
}

/** The pooled values of x (N, C, …) by clusters that were described for it: (N, …pooled). */
export function poolClusters(x: Tensor, clusters: Clusters, pool: 'max' | 'mean'): Tensor {
  const { of, P, K, pooled } = clusters
  const N = x.shape[0] as number
  return scope(() => {
    const vectors = vectorsOf(x, clusters)
    const labels = labelled({ x: vectors }, clusters)
    // A cluster of nothing is 0: its sum by itself, its maximum by a zero behind the others.
    const largest = (): Tensor => {
      const withZero = concat([vectors, zeros([N, vectors.shape[1] as number, 1])], 2)
      return gatherElements(withZero, largestAt({ x: vectors, labels }, K), 2)
    }
    const mean = (): Tensor => {
      const counts = sums({ x: ones([N, 1, P]), labels }, K)
      return div(sums({ x: vectors, labels }, K), clamp(counts, { min: 1 }))
    }
    const y = pool === 'max' ? largest() : mean()
    return (of === 'places' ? y : transpose(y, [0, 2, 1])).reshape([N, ...pooled])
  })
}

/** The kind of pooling, checked. */
export function checkPool(value: unknown, name: string): 'max' | 'mean' {
  if (value === 'max' || value === 'mean') return value
  throw new ArgumentError(`${name}: pool must be 'max' or 'mean', given ${inWords(value)}`)
}

/**
 * Pools x (N, C, …) over clusters of its places, found in each example: (N, C, K) of K clusters, or (N, C, …grid) where they begin as
 * the cells of a grid. With `of: 'channels'` its channels are clustered, and pooled at each place: (N, K, …). A cluster that has
 * nothing gives 0. Gradients flow through the pooled values.
 *
 * @example
 * clusterPool(maps, { clusters: 4 })                          // (8, 16, 12, 12) -> (8, 16, 4)
 * clusterPool(maps, { clusters: [3, 3], location: 2 })        // (8, 16, 12, 12) -> (8, 16, 3, 3)
 * @throws ShapeError when x is no maps or has fewer elements than clusters; ArgumentError when an option does not fit
 */
export function clusterPool(x: Tensor, options: ClusterPoolOptions): Tensor {
  const name = 'clusterPool'
  checkCount(name, 2, arguments)
  checkTensor(x, name, 'x')
  needKeys(name, options, clusterNames, { pool: 0 })
  const { pool } = checkClusters(name, options)
  return poolClusters(x, describeClusters(name, x.shape.slice(1), options), pool)
}

/**
 * The cluster that `clusterPool` puts each place of x (N, C, …) into, from 0 on: (N, …); with `of: 'channels'` that of each channel:
 * (N, C).
 *
 * @example
 * clusterRegions(maps, { clusters: 4 })                       // (8, 16, 12, 12) -> (8, 12, 12) of 0 to 3
 * @throws as `clusterPool`
 */
export function clusterRegions(x: Tensor, options: ClusterOptions): Tensor<'int32'> {
  const name = 'clusterRegions'
  checkCount(name, 2, arguments)
  checkTensor(x, name, 'x')
  needKeys(name, options, clusterNames)
  const clusters = describeClusters(name, x.shape.slice(1), options)
  const N = x.shape[0] as number
  const shape = clusters.of === 'places' ? clusters.extents : [clusters.P]
  return scope(() => labelled({ x: vectorsOf(x, clusters) }, clusters).reshape([N, ...shape]))
}
