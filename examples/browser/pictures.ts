/** Pictures of numbers on canvases, in the colours of the page. */
import { diverging, divergingDark, gray, ink, tileGrid, type Palette } from 'toeplitz/vision'
import type { Values } from './messages.js'

export const darkPage = matchMedia('(prefers-color-scheme: dark)')

/** Blue below zero, red above. */
export const signed = (): Palette => (darkPage.matches ? divergingDark : diverging)
/** Light strokes: ink on a light page. */
export const strokes = (): Palette => (darkPage.matches ? gray : ink)

/** Tiles on a canvas, in its pixels. */
interface Layout {
  readonly columns: number
  readonly count: number
  readonly gap: number
  readonly wide: number
  readonly tall: number
}

const layouts = new WeakMap<HTMLCanvasElement, Layout>()

/** Most planes of one layer that are drawn. */
const LARGEST = 256

/**
 * Draws planes (…, rows, columns), or single numbers, side by side on one scale. `pitch` is the distance between tiles in
 * pixels of the page, of which a number gets a whole number.
 */
export function drawTiles(
  canvas: HTMLCanvasElement,
  { shape, values }: Values,
  { columns, pitch }: { readonly columns: number; readonly pitch: number },
): void {
  const [rows, wide] = shape.length >= 2 ? (shape.slice(-2) as [number, number]) : [1, 1]
  const count = Math.min(LARGEST, values.length / (rows * wide))
  const zoom = Math.max(1, Math.floor((pitch - 2) / wide))
  const gap = Math.max(2, pitch - zoom * wide)
  const picture = tileGrid(
    { shape: [count, rows, wide], values: values.subarray(0, count * rows * wide) },
    { columns, gap, zoom, palette: signed() },
  )
  put(canvas, picture.width, picture.height, picture.data)
  layouts.set(canvas, { columns, count, gap, wide: wide * zoom, tall: rows * zoom })
}

/** Puts RGBA bytes on a canvas, which becomes as large, unless the page is narrower. */
export function put(canvas: HTMLCanvasElement, width: number, height: number, data: Uint8Array): void {
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width
    canvas.height = height
  }
  canvas.style.setProperty('--width', `${width}px`)
  const bytes = new Uint8ClampedArray(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength)
  canvas.getContext('2d')?.putImageData(new ImageData(bytes, width, height), 0, 0)
}

/** Number of the tile at a place of the canvas, from 0 to 1 in both directions; undefined between and beyond tiles. */
export function tileAt(canvas: HTMLCanvasElement, x: number, y: number): number | undefined {
  const layout = layouts.get(canvas)
  if (!layout) return undefined
  const column = Math.floor((x * canvas.width) / (layout.wide + layout.gap))
  const row = Math.floor((y * canvas.height) / (layout.tall + layout.gap))
  const tile = row * layout.columns + column
  return column >= 0 && column < layout.columns && tile >= 0 && tile < layout.count ? tile : undefined
}

/** Where a tile lies on its canvas, in shares of its width and height. */
export function placeOf(
  canvas: HTMLCanvasElement,
  tile: number,
): { left: number; top: number; width: number; height: number } | undefined {
  const layout = layouts.get(canvas)
  if (!layout || tile >= layout.count) return undefined
  const { columns, gap, wide, tall } = layout
  return {
    left: ((tile % columns) * (wide + gap)) / canvas.width,
    top: (Math.floor(tile / columns) * (tall + gap)) / canvas.height,
    width: wide / canvas.width,
    height: tall / canvas.height,
  }
}
