/**
 * Numbers as pictures: planes (…, rows, columns) of weights, feature maps or gradients become coloured tiles, one by
 * one or side by side. Pictures are plain bytes: `encodePng` of toeplitz/io writes them, `imageDataOf` fits a canvas.
 */
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { type OwnClampedBytes } from '../runtime/platform.js'
import { checkObject, checkWhole, wrongKind } from '../runtime/check.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { inWords } from '../runtime/text.js'
import { showShape } from '../tensor/shape.js'
import { diverging, gray, type Palette } from './palette.js'
import { blank, isNumbers, planesOf, type Picture, type Planes } from './planes.js'

export type { Picture, Planes } from './planes.js'

/** The most columns, and pixels of a gap or of a magnified element. */
const MOST_COLUMNS = 4096

/**
 * Which numbers lie at the ends of the palette. `symmetric`: −m and m, m the largest magnitude, so that zero has the
 * colour of the middle; `extent`: the least and the greatest; `positive`: 0 and the greatest; or two numbers.
 */
export type Range = 'symmetric' | 'extent' | 'positive' | readonly [low: number, high: number]

/** Options of pictures of numbers. */
export interface TileOptions {
  /** Default: symmetric. */
  readonly range?: Range
  /** Whether `all` tiles share one range, so that they can be compared, or `each` has its own. Default: all. */
  readonly normalize?: 'all' | 'each'
  /** Default: `diverging`. Ignored for tiles of three channels. */
  readonly palette?: Palette
  /** Whether three planes at a time are the red, green and blue of one tile. Default false. */
  readonly color?: boolean
  /** Side of the square that a number becomes, in pixels. Default 1. */
  readonly zoom?: number
}

/** Options of pictures of several tiles. */
export interface GridOptions extends TileOptions {
  /** Tiles in a row. Default: as many as make the grid nearly square. */
  readonly columns?: number
  /** Transparent pixels between tiles. Default 1. */
  readonly gap?: number
}

const tileNames = { range: 0, normalize: 0, palette: 0, color: 0, zoom: 0 } satisfies Names<TileOptions>
const gridNames = { columns: 0, gap: 0 } satisfies Names<Omit<GridOptions, keyof TileOptions>>

/** What the ends of a palette mean for these numbers; those that are not finite do not count. */
export function rangeOf(values: ArrayLike<number>, range: Range = 'symmetric'): readonly [low: number, high: number] {
  checkCount('rangeOf', 2, arguments)
  if (typeof range !== 'string') {
    const [low, high, more] = (Array.isArray(range) ? range : []) as readonly (number | undefined)[]
    if (more === undefined && Number.isFinite(low) && Number.isFinite(high) && low! <= high!) return [low!, high!]
    throw new ArgumentError(`range must be two finite numbers in ascending order, given ${inWords(range)}`)
  }
  if (range !== 'symmetric' && range !== 'extent' && range !== 'positive') {
    throw new ArgumentError(`range must be 'symmetric', 'extent', 'positive' or two numbers, given ${inWords(range)}`)
  }
  if (!isNumbers(values)) throw wrongKind('rangeOf: the values', 'a list of numbers', values)
  let low = Infinity
  let high = -Infinity
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number
    if (!Number.isFinite(value)) continue
    if (value < low) low = value
    if (value > high) high = value
  }
  if (low > high) return [0, 0]
  if (range === 'extent') return [low, high]
  if (range === 'positive') return [0, Math.max(0, high)]
  const largest = Math.max(Math.abs(low), Math.abs(high))
  return [-largest, largest]
}

interface Tiles {
  readonly values: ArrayLike<number>
  readonly rows: number
  readonly columns: number
  /** Planes of one tile. */
  readonly channels: 1 | 3
  readonly count: number
  readonly range: (tile: number) => readonly [low: number, high: number]
  /** The place of everything where the range has no extent. */
  readonly start: number
  readonly palette: Palette
  readonly zoom: number
}

function tilesOf(x: Planes, options: TileOptions, name: string): Tiles {
  const { shape, values } = planesOf(x, name)
  const { normalize = 'all', palette = diverging, color = false, zoom = 1 } = options
  if (shape.length < 2) throw new ShapeError(`${name}: expected (…, rows, columns), given ${showShape(shape)}`)
  if (normalize !== 'all' && normalize !== 'each') {
    throw new ArgumentError(`${name}: normalize must be 'all' or 'each', given ${inWords(normalize)}`)
  }
  const [rows, columns] = shape.slice(-2) as [number, number]
  if (color && shape.at(-3) !== 3) {
    throw new ShapeError(`${name}: colour needs three channels, (…, 3, rows, columns), given ${showShape(shape)}`)
  }
  const channels = color ? 3 : 1
  const size = channels * rows * columns
  const partOf = (tile: number): ArrayLike<number> =>
    Float64Array.from({ length: size }, (_, i) => values[tile * size + i] as number)
  const shared = normalize === 'all' ? rangeOf(values, options.range) : undefined
  return {
    values,
    rows,
    columns,
    channels,
    count: values.length / size,
    range: (tile) => shared ?? rangeOf(partOf(tile), options.range),
    start: options.range === 'positive' ? 0 : 0.5,
    palette,
    zoom: checkWhole(zoom, `${name}: zoom`, 1, MOST_COLUMNS),
  }
}

/** Draws one tile with its upper left corner at (left, top). What is not finite stays transparent. */
function draw(picture: Picture, tiles: Tiles, tile: number, left: number, top: number): void {
  const { values, rows, columns, channels, palette, zoom } = tiles
  const plane = rows * columns
  const [low, high] = tiles.range(tile)
  const place = (value: number): number => (high > low ? (value - low) / (high - low) : tiles.start)
  const at = (channel: number, i: number): number => values[(tile * channels + channel) * plane + i] as number
  for (let i = 0; i < plane; i++) {
    const shown = channels === 1 ? [at(0, i)] : [at(0, i), at(1, i), at(2, i)]
    if (!shown.every(Number.isFinite)) continue
    const [red, green, blue] =
      channels === 1
        ? palette(place(shown[0] as number))
        : (shown.map((value) => gray(place(value))[0]) as [number, number, number])
    const x = left + (i % columns) * zoom
    const y = top + Math.floor(i / columns) * zoom
    for (let row = y; row < y + zoom; row++) {
      for (let to = (row * picture.width + x) * 4, end = to + 4 * zoom; to < end; to += 4) {
        picture.data[to] = red
        picture.data[to + 1] = green
        picture.data[to + 2] = blue
        picture.data[to + 3] = 255
      }
    }
  }
}

/**
 * Every plane of (…, rows, columns) as a picture of its own, in order; with `color`, every three planes.
 * @throws ShapeError when shape or options do not fit.
 */
export function tilePictures(x: Planes, options: TileOptions = {}): Picture[] {
  checkCount('tilePictures', 2, arguments)
  checkKeys('tilePictures', options, tileNames)
  const tiles = tilesOf(x, options, 'tilePictures')
  return Array.from({ length: tiles.count }, (_, tile) => {
    const picture = blank(tiles.columns * tiles.zoom, tiles.rows * tiles.zoom, tiles.count)
    draw(picture, tiles, tile, 0, 0)
    return picture
  })
}

function gridOf(x: Planes, options: GridOptions, name: string): Picture {
  checkKeys(name, options, tileNames, gridNames)
  const tiles = tilesOf(x, options, name)
  const { count, rows, columns, zoom } = tiles
  const across = checkWhole(options.columns ?? Math.ceil(Math.sqrt(count)), `${name}: columns`, 1, MOST_COLUMNS)
  const gap = checkWhole(options.gap ?? 1, `${name}: gap`, 0, MOST_COLUMNS)
  const down = Math.ceil(count / across)
  const picture = blank(Math.min(across, count) * (columns * zoom + gap) - gap, down * (rows * zoom + gap) - gap)
  for (let tile = 0; tile < count; tile++) {
    draw(
      picture,
      tiles,
      tile,
      (tile % across) * (columns * zoom + gap),
      Math.floor(tile / across) * (rows * zoom + gap),
    )
  }
  return picture
}

/**
 * The planes of (…, rows, columns) side by side, row by row, with transparent gaps.
 * @throws ShapeError when shape or options do not fit.
 */
export function tileGrid(x: Planes, options: GridOptions = {}): Picture {
  checkCount('tileGrid', 2, arguments)
  return gridOf(x, options, 'tileGrid')
}

/**
 * The filters (K, C, R, S) of a convolution: for three channels one coloured tile each, normalized for itself, as
 * figure 9.19 shows them; for others a tile for each input channel, C in a row, all on one scale with zero in the middle.
 * @throws ShapeError when the weights are not (K, C, R, S) or options do not fit.
 */
export function filterGrid(weights: Planes, options: GridOptions = {}): Picture {
  checkCount('filterGrid', 2, arguments)
  checkKeys('filterGrid', options, tileNames, gridNames)
  const { shape } = planesOf(weights, 'filterGrid')
  if (shape.length !== 4) throw new ShapeError(`filterGrid: expected filters (K, C, R, S), given ${showShape(shape)}`)
  const C = shape[1] as number
  const { color = C === 3 } = options
  const defaults: GridOptions = color ? { color, range: 'extent', normalize: 'each' } : C > 1 ? { columns: C } : {}
  return gridOf(weights, { ...defaults, ...options }, 'filterGrid')
}

/**
 * The feature maps (C, H, W) or (1, C, H, W) of one input, all on one scale with zero in the middle.
 * @throws ShapeError when the maps are of several inputs or options do not fit.
 */
export function featureMapGrid(maps: Planes, options: GridOptions = {}): Picture {
  checkCount('featureMapGrid', 2, arguments)
  const { shape } = planesOf(maps, 'featureMapGrid')
  if (shape.length === 3 || (shape.length === 4 && shape[0] === 1)) return gridOf(maps, options, 'featureMapGrid')
  throw new ShapeError(
    `featureMapGrid: expected the maps of one input, (C, H, W) or (1, C, H, W), given ${showShape(shape)}`,
  )
}

/**
 * What a canvas takes: `new ImageData(data, width, height)`, and `fromImageData`. The bytes are those of the picture.
 */
export function imageDataOf(picture: Picture): {
  readonly width: number
  readonly height: number
  readonly data: OwnClampedBytes
} {
  checkObject(picture, 'imageDataOf: the picture', 'one of tileGrid() and the like', ['width', 'height', 'data'])
  const { width, height, data } = picture
  return {
    width,
    height,
    data: new Uint8ClampedArray(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength),
  }
}
