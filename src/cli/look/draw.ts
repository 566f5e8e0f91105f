/** Pictures of the page: pixels as people see them, and numbers as tiles. */
import type { Preprocessing } from '../../io/preprocessing.js'
import { gray, type Palette } from '../../vision/palette.js'
import { featureMapGrid, filterGrid, rangeOf, tileGrid, type GridOptions } from '../../vision/tiles.js'
import { formatWeight } from '../pictures.js'
import type { Drawn } from './records.js'

/** The whole number of screen pixels for a number with which so many of them come near to a width. */
export const zoomTo = (numbers: number, width: number): number => Math.max(1, Math.floor(width / numbers))

/** Numbers (…, C, rows, columns) of a model's input as red, green and blue, from 0 to 1: the normalization is undone. */
export function seenPixels(values: Float32Array, preprocessing: Preprocessing, plane: number): Float32Array {
  const { channels, scale, normalization, order } = preprocessing
  const of = (value: number | readonly number[], c: number): number =>
    typeof value === 'number' ? value : (value[c] as number)
  const pixels = new Float32Array(values.length)
  values.forEach((value, i) => {
    const c = Math.floor(i / plane) % channels
    const to = order === 'bgr' && channels === 3 ? i + (2 - 2 * c) * plane : i
    pixels[to] = (value * of(normalization.std, c) + of(normalization.mean, c)) / (scale * 255)
  })
  return pixels
}

/** Signed numbers of a model's input as colours of pixels: the order alone is undone, and 0 stays 0. */
export function seenSigns(values: Float32Array, { channels, order }: Preprocessing, plane: number): Float32Array {
  if (order === 'rgb' || channels === 1) return values
  return values.map((_, i) => {
    const c = Math.floor(i / plane) % channels
    return values[i + (2 - 2 * c) * plane] as number
  })
}

/** How pictures are drawn. */
interface Drawing {
  readonly zoom: number
  readonly alt: string
  readonly columns?: number
}

function drawTiles(
  values: ArrayLike<number>,
  shape: readonly number[],
  { zoom, alt, columns }: Drawing,
  scale: GridOptions,
): Drawn {
  const colour: GridOptions = shape[1] === 3 ? { color: true } : { palette: gray }
  const grid = columns === undefined ? {} : { columns }
  return { picture: tileGrid({ shape, values }, { ...colour, ...grid, ...scale }), zoom, alt }
}

/** One or more pictures (N, C, H, W) with pixels from 0 to 1, side by side. */
export const drawPictures = (values: ArrayLike<number>, shape: readonly number[], drawing: Drawing): Drawn =>
  drawTiles(values, shape, drawing, { range: [0, 1] })

/** The same of signed numbers, each picture with its own scale, where 0 is grey. */
export const drawSigned = (values: ArrayLike<number>, shape: readonly number[], drawing: Drawing): Drawn =>
  drawTiles(values, shape, drawing, { range: 'symmetric', normalize: 'each' })

/** Filters (K, C, R, S): in colour where C is 3, else a tile for each channel. */
export function drawFilters(
  values: Float32Array,
  shape: readonly number[],
  { width, alt }: { readonly width: number; readonly alt: string },
): Drawn {
  const [K = 1, C = 1, , S = 1] = shape
  const across = C === 1 || C === 3 ? Math.ceil(Math.sqrt(2 * K)) : C
  const picture = filterGrid({ shape, values }, { columns: across })
  return { picture, zoom: Math.min(8, zoomTo(across * (S + 1), width)), alt }
}

/** Feature maps (K, P, Q): black is 0 where none is negative, else blue and red are the signs. */
export function drawMaps(values: Float32Array, shape: readonly number[], name: string): Drawn {
  const [low, high] = rangeOf(values, 'extent')
  const rectified: { readonly range: 'positive'; readonly palette: Palette } | object =
    low >= 0 ? { range: 'positive', palette: gray } : {}
  const [K = 1, , Q = 1] = shape
  const columns = Math.min(8, Math.ceil(Math.sqrt(K)))
  return {
    picture: featureMapGrid({ shape, values }, { columns, ...rectified }),
    zoom: Math.min(12, zoomTo(columns * (Q + 1), 352)),
    alt: `${name}: values from ${formatWeight(low)} to ${formatWeight(high)}`,
  }
}
