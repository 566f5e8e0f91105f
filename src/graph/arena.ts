/** Where the values and workspace of a pass lie in one block of memory, each at whole cache lines. */
import { blockOf } from '../runtime/memory.js'

/** Bytes that are in use from one step to another, both included. */
export interface Span {
  readonly bytes: number
  readonly first: number
  readonly last: number
}

/** Memory that is there anyway and not used before a step: that of a result. */
export interface Region {
  readonly bytes: number
  readonly before: number
}

/** Where a span lies: in the arena, region 0, or in region i + 1, that of the i-th given. */
export interface Placement {
  readonly region: number
  readonly offset: number
}

/** Where all spans of a pass lie. */
export interface Arrangement {
  readonly placements: readonly Placement[]
  /** Bytes of the arena. */
  readonly bytes: number
}

/** A place that is taken. */
interface Taken extends Placement {
  readonly end: number
  /** The span that met it last, by its number. */
  metBy: number
}

/** Where the first gap of a region begins that is wide enough, among what is taken there in the order of the offsets. */
function gapIn(region: number, taken: readonly Taken[], needed: number): number {
  let at = 0
  for (const { region: own, offset, end } of taken) {
    if (own !== region) continue
    if (offset - at >= needed) break
    at = Math.max(at, end)
  }
  return at
}

/** Steps of all spans together for which places are found: for more it would take too long. */
const MOST_STEPS = 200_000

/**
 * A place for each span, so that those in use at the same time do not overlap: the largest first, of equals the last, each in a
 * region or else at the first gap of the arena that is wide enough among those that it meets. Chains need hardly more than the most
 * that is in use at a time; branches may need more. Undefined where there are too many.
 */
export function arrange(spans: readonly Span[], regions: readonly Region[] = []): Arrangement | undefined {
  if (spans.reduce((sum, { first, last }) => sum + last - first + 1, 0) > MOST_STEPS) return undefined
  const placements = new Array<Placement>(spans.length)
  /** What is taken at each step: spans are entered at every step that they are in use. */
  const atStep: Taken[][] = []
  let total = 0
  const order = spans.map((_, index) => index)
  order.sort((a, b) => (spans[b] as Span).bytes - (spans[a] as Span).bytes || b - a)
  for (const index of order) {
    const { bytes, first, last } = spans[index] as Span
    const needed = blockOf(bytes)
    const met: Taken[] = []
    for (let step = first; step <= last; step++) {
      for (const taken of (atStep[step] ??= [])) {
        if (taken.metBy === index) continue
        taken.metBy = index
        met.push(taken)
      }
    }
    if (met.length > 1) met.sort((a, b) => a.offset - b.offset)
    const region =
      1 + regions.findIndex(({ before, bytes: room }, i) => last < before && gapIn(i + 1, met, needed) + needed <= room)
    const offset = gapIn(region, met, needed)
    const taken = { region, offset, end: offset + needed, metBy: index }
    for (let step = first; step <= last; step++) atStep[step]?.push(taken)
    placements[index] = taken
    if (region === 0) total = Math.max(total, taken.end)
  }
  return { placements, bytes: total }
}
