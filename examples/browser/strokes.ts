/**
 * Strokes of a pen as the kind of picture that MNIST holds: the digit fills 20 × 20 of 28 × 28 pixels, and its centre of
 * mass lies in the middle (LeCun et al. 1998). The strokes are lines, so the pen is as wide on a small drawing as on a
 * large one.
 */
import { SIDE } from './messages.js'

export interface Point {
  readonly x: number
  readonly y: number
}

export type Stroke = readonly Point[]

/** Pixels that a digit fills. */
const BOX = 20
/** Half the width of the pen, in pixels of the picture. */
const PEN = 1.15

/** Distance of (x, y) from the line between two points. */
function distance(x: number, y: number, from: Point, to: Point): number {
  const [dx, dy] = [to.x - from.x, to.y - from.y]
  const length = dx * dx + dy * dy
  const along = length === 0 ? 0 : Math.min(1, Math.max(0, ((x - from.x) * dx + (y - from.y) * dy) / length))
  return Math.hypot(x - from.x - along * dx, y - from.y - along * dy)
}

/** Draws strokes given in pixels; a pixel is as light as it is covered. */
function raster(strokes: readonly Stroke[]): Uint8Array<ArrayBuffer> {
  const pixels = new Uint8Array(SIDE * SIDE)
  for (const stroke of strokes) {
    stroke.forEach((to, index) => {
      const from = stroke[Math.max(0, index - 1)] as Point
      const reach = PEN + 1
      const [left, right] = [Math.min(from.x, to.x) - reach, Math.max(from.x, to.x) + reach]
      const [top, bottom] = [Math.min(from.y, to.y) - reach, Math.max(from.y, to.y) + reach]
      for (let y = Math.max(0, Math.floor(top)); y < Math.min(SIDE, bottom); y++) {
        for (let x = Math.max(0, Math.floor(left)); x < Math.min(SIDE, right); x++) {
          const covered = Math.min(1, Math.max(0, PEN + 0.5 - distance(x + 0.5, y + 0.5, from, to)))
          pixels[y * SIDE + x] = Math.max(pixels[y * SIDE + x] as number, Math.round(255 * covered))
        }
      }
    })
  }
  return pixels
}

/** SIDE × SIDE bytes, light strokes on black; all black without strokes. Strokes are in any unit. */
export function digitOf(strokes: readonly Stroke[]): Uint8Array<ArrayBuffer> {
  const points = strokes.flat()
  if (points.length === 0) return new Uint8Array(SIDE * SIDE)
  const [xs, ys] = [points.map(({ x }) => x), points.map(({ y }) => y)]
  const [left, top] = [Math.min(...xs), Math.min(...ys)]
  const [width, height] = [Math.max(...xs) - left, Math.max(...ys) - top]
  const scale = Math.max(width, height) > 0 ? (BOX - 2 * PEN) / Math.max(width, height) : 1
  const placed = (dx: number, dy: number): Stroke[] =>
    strokes.map((stroke) =>
      stroke.map(({ x, y }) => ({
        x: SIDE / 2 + (x - left - width / 2) * scale + dx,
        y: SIDE / 2 + (y - top - height / 2) * scale + dy,
      })),
    )
  let [mass, x, y] = [0, 0, 0]
  raster(placed(0, 0)).forEach((value, i) => {
    mass += value
    x += value * ((i % SIDE) + 0.5)
    y += value * (Math.floor(i / SIDE) + 0.5)
  })
  const shift = (sum: number): number => Math.max(-4, Math.min(4, SIDE / 2 - sum / mass))
  return raster(placed(shift(x), shift(y)))
}
