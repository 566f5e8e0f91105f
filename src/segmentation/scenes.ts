/**
 * Scenes of digits on textured grounds, with a label for every pixel: 0 for the ground, 1 + d for the ink of the digit d. Pieces
 * of other digits lie on the ground and belong to it, so that neither brightness nor a small window tells the label of a pixel:
 * it takes the whole digit, which is what section 9.6 is about.
 *
 * Everything is computed by sums, products and square roots of seeded random numbers, so that a seed gives the same bytes
 * everywhere.
 */
import type { ImageDataset } from '../data/dataset.js'
import { checkSource } from '../data/source.js'
import { checkWhole, wrongKind } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkCount, needKeys, type Names } from '../runtime/options.js'
import { inWords } from '../runtime/text.js'
import { checkSeed, uniform } from '../tensor/create.js'
import { showShape } from '../tensor/shape.js'
import { sceneStream } from '../tensor/streams.js'
import { scope } from '../tensor/tensor.js'
import type { PixelDataset } from './dataset.js'

/** Options of `digitScenes`. */
export interface DigitSceneOptions {
  /** N, the number of scenes. */
  readonly count: number
  /** H and W of a scene in pixels. Default 40. */
  readonly size?: number
  /** Digits in a scene: one number, or the least and the most. Those that find no free place are left out. Default [4, 6]. */
  readonly digits?: number | readonly [least: number, most: number]
  /** Longer side of a digit's ink in pixels: one number, or the least and the most. Default [12, 15]. */
  readonly digitSize?: number | readonly [least: number, most: number]
  /** Pieces of digits on the ground. Default 3. */
  readonly clutter?: number
  /** Seed of the scenes: scene i of a seed is the same however many there are. Default 0. */
  readonly seed?: number
}

const sceneNames = {
  count: 0,
  size: 0,
  digits: 0,
  digitSize: 0,
  clutter: 0,
  seed: 0,
} satisfies Names<DigitSceneOptions>

/** Pixels of all scenes together. */
const MOST_PIXELS = 2 ** 29
/** Places that are tried for a digit. */
const TRIES = 12
/** Side of a piece of clutter in pixels. */
const PIECE = 7
/** Share of ink from which on a pixel is labelled as the digit's. */
const INK = 0.4

/** Least and most of an option. @throws ArgumentError */
function rangeOf(value: unknown, what: string, most: number): readonly [number, number] {
  const [least, largest, more] = (Array.isArray(value) ? value : [value, value]) as unknown[]
  const isRight = [least, largest].every(
    (one) => Number.isInteger(one) && (one as number) >= 1 && (one as number) <= most,
  )
  if (more === undefined && isRight && (least as number) <= (largest as number))
    return [least as number, largest as number]
  throw wrongKind(what, `a whole number from 1 to ${most}, or the least and the most of them`, value)
}

/** Random numbers of a scene, one after another. */
class Draws {
  readonly #values: Float32Array
  #at = 0

  constructor(count: number, seed: number, scene: number) {
    this.#values = scope(() => uniform([count], { seed, stream: sceneStream(scene) }).data())
  }

  /** The next number in [low, high). */
  next(low = 0, high = 1): number {
    return low + (high - low) * (this.#values[this.#at++] as number)
  }

  /** The next whole number from low to high, both included. */
  whole(low: number, high: number): number {
    return Math.min(high, Math.floor(this.next(low, high + 1)))
  }
}

/** The ink of a digit: rows and columns within its picture. */
interface Glyph {
  readonly pixels: Uint8Array
  readonly width: number
  readonly top: number
  readonly left: number
  readonly rows: number
  readonly columns: number
}

/** The part of a picture that has ink. */
function glyphOf({ images, shape: [, H, W] }: ImageDataset, index: number): Glyph {
  const pixels = images.subarray(index * H * W, (index + 1) * H * W)
  let [top, left, bottom, right] = [H, W, 0, 0]
  pixels.forEach((value, i) => {
    if (value === 0) return
    const [row, column] = [Math.floor(i / W), i % W]
    top = Math.min(top, row)
    left = Math.min(left, column)
    bottom = Math.max(bottom, row + 1)
    right = Math.max(right, column + 1)
  })
  return { pixels, width: W, top, left, rows: Math.max(0, bottom - top), columns: Math.max(0, right - left) }
}

/** Share of ink, 0 to 1, at a place of a glyph, between its pixels linearly. */
function inkAt({ pixels, width, top, left, rows, columns }: Glyph, row: number, column: number): number {
  const [r, c] = [Math.floor(row), Math.floor(column)]
  const at = (y: number, x: number): number =>
    y < 0 || x < 0 || y >= rows || x >= columns ? 0 : (pixels[(top + y) * width + left + x] as number) / 255
  const [down, along] = [row - r, column - c]
  const upper = at(r, c) * (1 - along) + at(r, c + 1) * along
  const lower = at(r + 1, c) * (1 - along) + at(r + 1, c + 1) * along
  return upper * (1 - down) + lower * down
}

/** A digit of a size in pixels: ink (rows, columns), 0 to 1. */
function scaled(
  glyph: Glyph,
  size: number,
): { readonly rows: number; readonly columns: number; readonly ink: Float64Array } {
  const ratio = Math.max(glyph.rows, glyph.columns) / size
  const rows = Math.max(1, Math.round(glyph.rows / ratio))
  const columns = Math.max(1, Math.round(glyph.columns / ratio))
  const ink = new Float64Array(rows * columns)
  for (let i = 0; i < ink.length; i++) {
    ink[i] = inkAt(glyph, (Math.floor(i / columns) + 0.5) * ratio - 0.5, ((i % columns) + 0.5) * ratio - 0.5)
  }
  return { rows, columns, ink }
}

/** A ground of stripes, blobs and noise, in levels of grey. */
function ground(size: number, draws: Draws): Float64Array {
  const base = draws.next(50, 120)
  // A direction that is uniform enough needs no sine: a point in the square, divided by its distance from the middle.
  const [dx, dy] = [draws.next(-1, 1), draws.next(-1, 1)]
  const frequency = draws.next(0.08, 0.25) / Math.max(0.05, Math.sqrt(dx * dx + dy * dy))
  const [stripes, phase] = [draws.next(0, 35), draws.next()]
  const cell = draws.whole(6, 12)
  const across = Math.ceil(size / cell) + 2
  const blobs = draws.next(5, 40)
  const lattice = Float64Array.from({ length: across * across }, () => draws.next(-1, 1))
  const latticeAt = (row: number, column: number): number => lattice[row * across + column] as number
  return Float64Array.from({ length: size * size }, (_, i) => {
    const [row, column] = [Math.floor(i / size), i % size]
    const turn = (column * dx + row * dy) * frequency + phase
    const triangle = 4 * Math.abs(turn - Math.floor(turn) - 0.5) - 1
    const [y, x] = [row / cell, column / cell]
    const [r, c] = [Math.floor(y), Math.floor(x)]
    const upper = latticeAt(r, c) * (1 - x + c) + latticeAt(r, c + 1) * (x - c)
    const lower = latticeAt(r + 1, c) * (1 - x + c) + latticeAt(r + 1, c + 1) * (x - c)
    const blob = upper * (1 - y + r) + lower * (y - r)
    return base + stripes * triangle + blobs * blob + draws.next(-12, 12)
  })
}

/** Draws the pieces of digits that belong to the ground. */
function scatter(scene: Float64Array, size: number, glyph: Glyph, draws: Draws): void {
  const level = draws.next(170, 255)
  const ratio = Math.max(glyph.rows, glyph.columns) / draws.next(12, 15)
  const [fromRow, fromColumn] = [
    draws.next(0, glyph.rows - PIECE * ratio),
    draws.next(0, glyph.columns - PIECE * ratio),
  ]
  const [top, left] = [draws.whole(0, size - PIECE), draws.whole(0, size - PIECE)]
  for (let i = 0; i < PIECE * PIECE; i++) {
    const [row, column] = [Math.floor(i / PIECE), i % PIECE]
    const ink = inkAt(glyph, fromRow + row * ratio, fromColumn + column * ratio)
    const at = (top + row) * size + left + column
    scene[at] = (scene[at] as number) * (1 - ink) + level * ink
  }
}

interface Plan {
  readonly size: number
  readonly digits: readonly [number, number]
  readonly digitSize: readonly [number, number]
  readonly clutter: number
}

/** Draws a scene into `scene` and its labels into `labels`. */
function draw(dataset: ImageDataset, plan: Plan, draws: Draws, scene: Float64Array, labels: Uint8Array): void {
  const { size } = plan
  const index = (): number => draws.whole(0, dataset.size - 1)
  for (let piece = 0; piece < plan.clutter; piece++) scatter(scene, size, glyphOf(dataset, index()), draws)
  const taken: (readonly [top: number, left: number, bottom: number, right: number])[] = []
  const wanted = draws.whole(...plan.digits)
  for (let digit = 0; digit < wanted; digit++) {
    const which = index()
    const level = draws.next(170, 255)
    const { rows, columns, ink } = scaled(glyphOf(dataset, which), draws.whole(...plan.digitSize))
    const label = 1 + (dataset.labels[which] as number)
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const [top, left] = [draws.whole(0, size - rows), draws.whole(0, size - columns)]
      if (taken.some(([t, l, b, r]) => top < b && t < top + rows && left < r && l < left + columns)) continue
      taken.push([top, left, top + rows, left + columns])
      ink.forEach((share, i) => {
        const at = (top + Math.floor(i / columns)) * size + left + (i % columns)
        scene[at] = (scene[at] as number) * (1 - share) + level * share
        if (share >= INK) labels[at] = label
      })
      break
    }
  }
}

/**
 * Scenes made of a data set of bright digits on black, such as MNIST, or of other small pictures of one channel: each has some of
 * them, scaled, on a ground of stripes, blobs and noise, among pieces of others.
 *
 * @returns pictures (N, 1, H, W) and labels (N, H, W): 0 is the ground, and 1 + c the class c of the data set
 * @example
 * const { training, test } = await loadMnist()
 * const scenes = digitScenes(training, { count: 2000, seed: 1 })
 * const examples = pixelExamples(scenes, { mean: 0.5, std: 0.25 })
 * @throws ShapeError when the pictures have more than one channel or the scenes are too many; ArgumentError when an option does not fit
 */
export function digitScenes(dataset: ImageDataset, options: DigitSceneOptions): PixelDataset {
  checkCount('digitScenes', 2, arguments)
  needKeys('digitScenes', options, sceneNames)
  checkSource(dataset, 'digitScenes')
  if (!('images' in dataset))
    throw new ArgumentError('digitScenes: the pictures are in files; give some that are in memory')
  if (dataset.shape[0] !== 1)
    throw new ShapeError(`digitScenes: the pictures must be (1, H, W), given ${showShape(dataset.shape)}`)
  if (dataset.size === 0) throw new ArgumentError('digitScenes: the data set has no pictures')
  if (dataset.classes.length > 254)
    throw new ArgumentError(
      `digitScenes: the data set has ${dataset.classes.length} classes; labels of scenes are bytes, for 254 and the ground`,
    )
  const count = checkWhole(options.count, 'digitScenes: count', 1)
  const size = checkWhole(options.size ?? 40, 'digitScenes: size', PIECE, 4096)
  if (!(count * size * size <= MOST_PIXELS)) {
    throw new ShapeError(
      `digitScenes: ${count} scenes of ${size} × ${size} pixels are more than ${MOST_PIXELS} pixels; make fewer, or smaller ones`,
    )
  }
  const digits = rangeOf(options.digits ?? [4, 6], 'digitScenes: digits', 1024)
  const digitSize = rangeOf(
    options.digitSize ?? [Math.min(12, size), Math.min(15, size)],
    'digitScenes: digitSize',
    size,
  )
  const clutter = checkWhole(options.clutter ?? 3, 'digitScenes: clutter', 0, 1024)
  const seed = checkSeed(options.seed ?? 0, 'digitScenes')
  const wrong = dataset.labels
    .subarray(0, dataset.size)
    .findIndex((label) => !(label >= 0 && label < dataset.classes.length))
  if (wrong >= 0) {
    throw new ArgumentError(
      `digitScenes: label ${wrong} is ${inWords(dataset.labels[wrong])}; a label must be a whole number from 0 to ${dataset.classes.length - 1}`,
    )
  }
  const plane = size * size
  const images = new Uint8Array(count * plane)
  const labels = new Uint8Array(count * plane)
  const across = Math.ceil(size / 6) + 2
  // Of the ground, of each piece and of each digit with all its tries.
  const most = plane + across * across + 16 + clutter * 8 + digits[1] * (4 + 2 * TRIES)
  for (let n = 0; n < count; n++) {
    const draws = new Draws(most, seed, n)
    const scene = ground(size, draws)
    draw(dataset, { size, digits, digitSize, clutter }, draws, scene, labels.subarray(n * plane, (n + 1) * plane))
    scene.forEach((value, i) => (images[n * plane + i] = Math.max(0, Math.min(255, Math.round(value)))))
  }
  return { images, labels, size: count, shape: [1, size, size], classes: ['ground', ...dataset.classes] }
}
