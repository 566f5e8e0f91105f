/** K-means of the few vectors of one example, in float64, without random numbers: the same clusters everywhere. */
import { sizeOf, type Shape } from '../../tensor/shape.js'

/** What is clustered, and how. */
export interface Clustering {
  /** Components of a vector. */
  readonly D: number
  /** Vectors. */
  readonly P: number
  /** Clusters. */
  readonly K: number
  /** How much the distance of places counts. */
  readonly location: number
  /** Rounds at most. */
  readonly rounds: number
  /** Extents of the maps whose places the vectors are. */
  readonly extents: Shape
  /** Cells along each direction from which clusters begin. */
  readonly grid: Shape | undefined
}

/** Vectors as rows: responses, of variance 1 where places count, and behind them the places times λ. */
function vectorsOf(x: Float32Array, { D, P, location, extents }: Clustering): { rows: Float64Array; width: number } {
  const width = location > 0 ? D + extents.length : D
  const rows = new Float64Array(P * width)
  for (let d = 0; d < D; d++) for (let p = 0; p < P; p++) rows[p * width + d] = x[d * P + p] as number
  if (location === 0) return { rows, width }
  const scale = 1 / Math.sqrt(varianceOf(x, D, P) || 1)
  const longest = Math.max(...extents)
  for (let p = 0; p < P; p++) {
    for (let d = 0; d < D; d++) rows[p * width + d] = (rows[p * width + d] as number) * scale
    let place = p
    for (let axis = extents.length - 1; axis >= 0; axis--) {
      const extent = extents[axis] as number
      rows[p * width + D + axis] = (location * (place % extent)) / longest
      place = Math.floor(place / extent)
    }
  }
  return { rows, width }
}

/** The mean squared distance of the columns of x (D, P) from their mean. */
function varianceOf(x: Float32Array, D: number, P: number): number {
  let total = 0
  for (let d = 0; d < D; d++) {
    let sum = 0
    for (let p = 0; p < P; p++) sum += x[d * P + p] as number
    for (let p = 0; p < P; p++) {
      const apart = (x[d * P + p] as number) - sum / P
      total += apart * apart
    }
  }
  return total / P
}

/** ‖a − b‖² of the row of `a` at `i` and that of `b` at `j`. */
function distance(a: Float64Array, i: number, b: Float64Array, j: number, width: number): number {
  let sum = 0
  for (let d = 0; d < width; d++) {
    const apart = (a[i * width + d] as number) - (b[j * width + d] as number)
    sum += apart * apart
  }
  return sum
}

/** The cell of a grid that each place lies in. */
function cellsOf(extents: Shape, grid: Shape): Int32Array {
  return Int32Array.from({ length: sizeOf(extents) }, (_, p) => {
    let [place, cell, stride] = [p, 0, 1]
    for (let axis = extents.length - 1; axis >= 0; axis--) {
      const [extent, cells] = [extents[axis] as number, grid[axis] as number]
      cell += stride * Math.floor(((place % extent) * cells) / extent)
      stride *= cells
      place = Math.floor(place / extent)
    }
    return cell
  })
}

/** First centres: the longest row, and then, again and again, the one that is farthest from all that were taken. */
function farthest(rows: Float64Array, width: number, P: number, K: number): Float64Array {
  const centres = new Float64Array(K * width)
  const origin = new Float64Array(width)
  const apart = Float64Array.from({ length: P }, (_, p) => distance(rows, p, origin, 0, width))
  for (let k = 0; k < K; k++) {
    let next = 0
    for (let p = 1; p < P; p++) if ((apart[p] as number) > (apart[next] as number)) next = p
    centres.set(rows.subarray(next * width, (next + 1) * width), k * width)
    for (let p = 0; p < P; p++) {
      const own = distance(rows, p, centres, k, width)
      apart[p] = k === 0 ? own : Math.min(apart[p] as number, own)
    }
  }
  return centres
}

/** Moves each centre to the mean of its rows; one without rows stays. */
function toMeans(centres: Float64Array, rows: Float64Array, labels: Int32Array, width: number): void {
  const K = centres.length / width
  const sums = new Float64Array(centres.length)
  const counts = new Int32Array(K)
  labels.forEach((k, p) => {
    counts[k] = (counts[k] as number) + 1
    for (let d = 0; d < width; d++)
      sums[k * width + d] = (sums[k * width + d] as number) + (rows[p * width + d] as number)
  })
  for (let k = 0; k < K; k++) {
    const count = counts[k] as number
    if (count > 0) for (let d = 0; d < width; d++) centres[k * width + d] = (sums[k * width + d] as number) / count
  }
}

/** Gives each row to the nearest centre, of equals to the first; whether one changed. */
function toNearest(labels: Int32Array, rows: Float64Array, centres: Float64Array, width: number): boolean {
  const K = centres.length / width
  let changed = false
  for (let p = 0; p < labels.length; p++) {
    let best = 0
    let least = distance(rows, p, centres, 0, width)
    for (let k = 1; k < K; k++) {
      const own = distance(rows, p, centres, k, width)
      if (own < least) {
        best = k
        least = own
      }
    }
    if (best !== labels[p]) changed = true
    labels[p] = best
  }
  return changed
}

/** Numbers clusters by the lengths of their mean responses, the longest first, and those without rows last. */
function strongestFirst(labels: Int32Array, centres: Float64Array, width: number, D: number): void {
  const K = centres.length / width
  const filled = new Set(labels)
  const strength = Array.from({ length: K }, (_, k) => {
    if (!filled.has(k)) return -1
    let sum = 0
    for (let d = 0; d < D; d++) sum += (centres[k * width + d] as number) * (centres[k * width + d] as number)
    // Two that are NaN would have no order.
    return Number.isNaN(sum) ? Infinity : sum
  })
  const order = strength.map((_, k) => k).sort((a, b) => (strength[b] as number) - (strength[a] as number) || a - b)
  const rank = new Int32Array(K)
  order.forEach((k, place) => (rank[k] = place))
  labels.forEach((k, p) => (labels[p] = rank[k] as number))
}

/** The cluster of each column of x (D, P). Where a response is NaN or infinite, which one that is is not said. */
export function assignClusters(x: Float32Array, how: Clustering): Int32Array {
  const { D, P, K, rounds, extents, grid } = how
  const { rows, width } = vectorsOf(x, how)
  const labels = grid ? cellsOf(extents, grid) : new Int32Array(P)
  const centres = grid ? new Float64Array(K * width) : farthest(rows, width, P, K)
  if (grid) toMeans(centres, rows, labels, width)
  for (let round = 0; round < rounds; round++) {
    const changed = toNearest(labels, rows, centres, width)
    if (!changed && round > 0) break
    toMeans(centres, rows, labels, width)
  }
  if (!grid) strongestFirst(labels, centres, width, D)
  return labels
}
