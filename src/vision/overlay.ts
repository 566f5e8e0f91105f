/** A map of numbers over the picture that it is about, as heat over a grey ground. */
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkFunction, checkNumber, checkWhole } from '../runtime/check.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { inWords } from '../runtime/text.js'
import { showShape } from '../tensor/shape.js'
import { diverging, type Palette } from './palette.js'
import { blank, planesOf, type Picture, type Planes } from './planes.js'
import { rangeOf, type Range } from './tiles.js'

/** Options of `heatMap`. */
export interface HeatOptions {
  /** Which numbers of the map lie at the ends of the palette. Default: symmetric. */
  readonly range?: Range
  /** Default: `diverging`, of which blue is against and red for. */
  readonly palette?: Palette
  /** How much of the ground the largest magnitude covers, 0 to 1. Default 0.85. */
  readonly opacity?: number
  /** Side of the square that a pixel becomes. Default 1. */
  readonly zoom?: number
}

const heatNames = { range: 0, palette: 0, opacity: 0, zoom: 0 } satisfies Names<HeatOptions>

/**
 * A map (rows, columns) over a picture (C, H, W) of one or three channels, such as an occlusion map over what it explains. The
 * picture becomes grey, between its least and its greatest number; a number of the map covers it the more the farther it is from
 * the middle of the range. Maps of fewer numbers than pixels are spread over the picture, each number over its square.
 *
 * @example
 * const { shape, values } = occlusionMap(model, picture)
 * encodePng(heatMap(picture, { shape, values }, { zoom: 4 }))
 * @throws ShapeError when shapes or options do not fit
 */
export function heatMap(picture: Planes, map: Planes, options: HeatOptions = {}): Picture {
  checkCount('heatMap', 3, arguments)
  checkKeys('heatMap', options, heatNames)
  const { palette = diverging, opacity = 0.85 } = options
  const ground = planesOf(picture, 'heatMap')
  const heat = planesOf(map, 'heatMap: the map')
  const shape = ground.shape.length === 4 && ground.shape[0] === 1 ? ground.shape.slice(1) : ground.shape
  const [C = 0, H = 0, W = 0] = shape
  if (shape.length !== 3 || (C !== 1 && C !== 3)) {
    throw new ShapeError(`heatMap: expected a picture (1, H, W) or (3, H, W), given ${showShape(ground.shape)}`)
  }
  const [rows = 0, columns = 0] = heat.shape
  if (heat.shape.length !== 2 || rows > H || columns > W) {
    throw new ShapeError(
      `heatMap: the map must be (rows, columns), at most ${H} × ${W} as the picture, given ${showShape(heat.shape)}`,
    )
  }
  checkFunction(palette, 'heatMap: palette', 'a function of a number from 0 to 1')
  checkNumber(opacity, 'heatMap: opacity', 0)
  if (opacity > 1) throw new ArgumentError(`heatMap: opacity must be from 0 to 1, given ${inWords(opacity)}`)
  const zoom = checkWhole(options.zoom ?? 1, 'heatMap: zoom', 1, 4096)
  const [least, most] = rangeOf(ground.values, 'extent')
  const [low, high] = rangeOf(heat.values, options.range)
  const drawn = blank(W * zoom, H * zoom)
  for (let y = 0; y < H * zoom; y++) {
    for (let x = 0; x < W * zoom; x++) {
      const [row, column] = [Math.floor(y / zoom), Math.floor(x / zoom)]
      let sum = 0
      for (let c = 0; c < C; c++) sum += ground.values[(c * H + row) * W + column] as number
      const grey = most > least ? (255 * (sum / C - least)) / (most - least) : 128
      const at = Math.floor((row * rows) / H) * columns + Math.floor((column * columns) / W)
      const value = heat.values[at] as number
      // Where the map says nothing, the picture is seen.
      const place = high > low && !Number.isNaN(value) ? (value - low) / (high - low) : 0.5
      const cover = Math.min(1, Math.abs(2 * place - 1)) * opacity
      const colour = palette(place)
      const to = (y * W * zoom + x) * 4
      for (let part = 0; part < 3; part++) {
        drawn.data[to + part] = Math.round((1 - cover) * grey + cover * (colour[part] as number))
      }
      drawn.data[to + 3] = 255
    }
  }
  return drawn
}
