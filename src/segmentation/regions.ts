/** Regions of a label map: neighbouring pixels of one label, and maps of which the small regions are taken away. */
import { checkIgnored } from '../ops/loss.js'
import { checkWhole, wrongKind } from '../runtime/check.js'
import { ShapeError } from '../runtime/errors.js'
import { checkCount, checkKeys, needKeys, type Names } from '../runtime/options.js'
import { checkShape, showShape } from '../tensor/shape.js'

/** Neighbouring pixels of one label. */
export interface Region {
  /** The label of its pixels. */
  readonly label: number
  /** How many pixels it has. */
  readonly area: number
  /** Its bounding box in rows and columns: from top and left to before bottom and right. */
  readonly box: { readonly top: number; readonly left: number; readonly bottom: number; readonly right: number }
}

/** The regions of a label map. */
export interface Regions {
  /** In the order of their first pixels, row by row. */
  readonly regions: readonly Region[]
  /** For each pixel (H, W) the index of its region; −1 where the label is ignored. */
  readonly map: Int32Array
}

/** Options of `regionsOf`. */
export interface RegionOptions {
  /** Whether 4 or 8 pixels around one are its neighbours. Default 8. */
  readonly connectivity?: 4 | 8
  /** A label whose pixels belong to no region, such as that of the ground. */
  readonly ignoreIndex?: number
}

/** Options of `dropSmallRegions`. */
export interface SmallRegionOptions {
  /** Pixels of the smallest region that stays. */
  readonly smallest: number
  /** Whether 4 or 8 pixels around one are its neighbours. Default 8. */
  readonly connectivity?: 4 | 8
}

/** A label map (H, W), row by row. */
export type LabelMap = Uint8Array | Int32Array | readonly number[]

const regionNames = { connectivity: 0, ignoreIndex: 0 } satisfies Names<RegionOptions>
const smallNames = { smallest: 0, connectivity: 0 } satisfies Names<SmallRegionOptions>

/** Rows and columns to the neighbours: those that share an edge, then those that share a corner. */
const AROUND = [
  [-1, 0],
  [0, -1],
  [0, 1],
  [1, 0],
  [-1, -1],
  [-1, 1],
  [1, -1],
  [1, 1],
] as const

/** Pixels of the largest label map. */
const MOST_PIXELS = 2 ** 28

function checkMap(name: string, labels: unknown, size: readonly number[]): readonly [H: number, W: number] {
  const [H, W] = checkShape(size, `${name}: size`) as [number, number]
  const isMap = Array.isArray(labels) || labels instanceof Uint8Array || labels instanceof Int32Array
  if (!isMap) throw wrongKind(`${name}: the label map`, 'a Uint8Array, an Int32Array or a list', labels)
  const { length } = labels as ArrayLike<number>
  if (size.length !== 2 || length !== H * W || length > MOST_PIXELS)
    throw new ShapeError(
      `${name}: the label map must have H · W labels, at most ${MOST_PIXELS}, for a size [H, W]; given ${length} for ${showShape(size)}`,
    )
  const wrong = (labels as readonly unknown[]).findIndex((label) => (label as number) !== ((label as number) | 0))
  if (wrong >= 0) throw wrongKind(`${name}: label ${wrong} of the map`, 'a whole number of 32 bits', labels[wrong])
  return [H, W]
}

function neighboursOf(name: string, connectivity: unknown): readonly (readonly [number, number])[] {
  if (connectivity === 4 || connectivity === 8) return AROUND.slice(0, connectivity)
  throw wrongKind(`${name}: connectivity`, '4 or 8', connectivity)
}

/** Calls `visit` with each neighbour of a pixel that lies in the map. */
function eachNeighbour(
  at: number,
  [H, W]: readonly [number, number],
  around: readonly (readonly [number, number])[],
  visit: (neighbour: number) => void,
): void {
  const [row, column] = [Math.floor(at / W), at % W]
  for (const [down, along] of around) {
    const [y, x] = [row + down, column + along]
    if (y >= 0 && x >= 0 && y < H && x < W) visit(y * W + x)
  }
}

/** Regions by filling each from its first pixel; `pixels` are those of all regions, region by region. */
function fill(
  labels: LabelMap,
  size: readonly [number, number],
  around: readonly (readonly [number, number])[],
  ignoreIndex?: number,
): Regions & { readonly pixels: Int32Array } {
  const [H, W] = size
  const map = new Int32Array(H * W).fill(-1)
  const pixels = new Int32Array(H * W)
  const regions: Region[] = []
  let end = 0
  for (let first = 0; first < map.length; first++) {
    const label = labels[first] as number
    if ((map[first] as number) >= 0 || label === ignoreIndex) continue
    const region = regions.length
    const begin = end
    let [top, left, bottom, right] = [H, W, 0, 0]
    map[first] = region
    pixels[end++] = first
    for (let next = begin; next < end; next++) {
      const at = pixels[next] as number
      const [row, column] = [Math.floor(at / W), at % W]
      top = Math.min(top, row)
      left = Math.min(left, column)
      bottom = Math.max(bottom, row + 1)
      right = Math.max(right, column + 1)
      eachNeighbour(at, size, around, (neighbour) => {
        if ((map[neighbour] as number) >= 0 || labels[neighbour] !== label) return
        map[neighbour] = region
        pixels[end++] = neighbour
      })
    }
    regions.push({ label, area: end - begin, box: { top, left, bottom, right } })
  }
  return { regions, map, pixels }
}

/**
 * The connected regions of a label map: "large groups of contiguous pixels tend to be associated with the same label" (section 9.6).
 *
 * @param labels (H, W), row by row
 * @param size [H, W]
 * @example
 * const { regions } = regionsOf(argmax(model.forward(x)), [40, 40], { ignoreIndex: 0 })
 * for (const { label, area, box } of regions) console.log(label, area, box.top, box.left)
 * @throws ShapeError when the map is of another size; ArgumentError when a label is no whole number or an option does not fit
 */
export function regionsOf(
  labels: LabelMap,
  size: readonly [H: number, W: number],
  options: RegionOptions = {},
): Regions {
  checkCount('regionsOf', 3, arguments)
  checkKeys('regionsOf', options, regionNames)
  const extents = checkMap('regionsOf', labels, size)
  const { connectivity = 8, ignoreIndex } = options
  if (ignoreIndex !== undefined) checkIgnored('regionsOf', ignoreIndex)
  const { regions, map } = fill(labels, extents, neighboursOf('regionsOf', connectivity), ignoreIndex)
  return { regions, map }
}

/**
 * A label map whose small regions have the label of most pixels around them, the smallest of equals. Regions are those of the map
 * as it was, and are taken in the order of their first pixels; one that has nothing around it stays.
 *
 * @param labels (H, W), row by row
 * @param size [H, W]
 * @returns (H, W)
 * @example
 * dropSmallRegions(argmax(model.forward(x)), [40, 40], { smallest: 12 })
 * @throws as `regionsOf`
 */
export function dropSmallRegions(
  labels: LabelMap,
  size: readonly [H: number, W: number],
  options: SmallRegionOptions,
): Int32Array {
  const name = 'dropSmallRegions'
  checkCount(name, 3, arguments)
  needKeys(name, options, smallNames)
  const smallest = checkWhole(options.smallest, `${name}: smallest`, 1)
  const extents = checkMap(name, labels, size)
  const around = neighboursOf(name, options.connectivity ?? 8)
  const { regions, map, pixels } = fill(labels, extents, around)
  const kept = Int32Array.from(labels)
  let begin = 0
  regions.forEach(({ area }, region) => {
    const own = pixels.subarray(begin, begin + area)
    begin += area
    if (area >= smallest) return
    const votes = new Map<number, number>()
    // A pixel beside several of the region votes once.
    const voted = new Set<number>()
    for (const at of own) {
      eachNeighbour(at, extents, around, (neighbour) => {
        if (map[neighbour] === region || voted.has(neighbour)) return
        voted.add(neighbour)
        const label = kept[neighbour] as number
        votes.set(label, (votes.get(label) ?? 0) + 1)
      })
    }
    const [best] = [...votes].sort(([a, many], [b, more]) => more - many || a - b)
    if (best) for (const at of own) kept[at] = best[0]
  })
  return kept
}
