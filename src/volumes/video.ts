/** Videos of pictures that move: nothing in one frame tells the direction. */
import type { ImageDataset } from '../data/dataset.js'
import { checkSource } from '../data/source.js'
import { checkWhole, wrongKind } from '../runtime/check.js'
import { ArgumentError } from '../runtime/errors.js'
import { checkCount, needKeys, type Names } from '../runtime/options.js'
import { checkSeed } from '../tensor/create.js'
import { checkMaker, drawn, made, type MadeExamples, type MakerOptions } from './made.js'

/** Options of `movingPictures`. */
export interface MovingPicturesOptions extends MakerOptions {
  /** T, frames of a video. Default 8. */
  readonly frames?: number
  /** Height and width of a frame in pixels. Default 32. */
  readonly size?: number
  /** 3: picture and ground have colours that are drawn; 1: bright on dark. Default 3. */
  readonly channels?: 1 | 3
  /** The fastest that a picture moves along an axis, in whole pixels for each frame; the slowest is 1. Default 2. */
  readonly speed?: number
}

/** Columns and rows from one frame to the next, by direction: clockwise from the right. */
const directions: readonly (readonly [name: string, across: number, down: number])[] = [
  ['right', 1, 0],
  ['down right', 1, 1],
  ['down', 0, 1],
  ['down left', -1, 1],
  ['left', -1, 0],
  ['up left', -1, -1],
  ['up', 0, -1],
  ['up right', 1, -1],
]

const names = { count: 0, noise: 0, seed: 0, frames: 0, size: 0, channels: 0, speed: 0 } satisfies Names<
  Required<MovingPicturesOptions>
>

/** How much the ground of a channel differs from the picture at least. */
const CONTRAST = 0.25

/**
 * Videos (C, T, H, W) of grey pictures, such as MNIST's digits, that move in one of eight directions, which is the class. A picture
 * begins anywhere, and comes in again where it went out on the other side, so that its place tells nothing. Colours of picture
 * and ground are drawn; noise is 0.05 where none is told. The same seed gives the same bits everywhere.
 *
 * @example
 * const { training } = await loadMnist()
 * const videos = movingPictures(training, { count: 4000, seed: 1 }) // (3, 8, 32, 32) each
 * @throws ArgumentError when an option does not fit, or the pictures are coloured or larger than a frame; ShapeError when the videos
 *   are more than memory is for
 */
export function movingPictures(pictures: ImageDataset, options: MovingPicturesOptions): MadeExamples {
  const name = 'movingPictures'
  checkCount(name, 2, arguments)
  checkSource(pictures, name)
  if (!('images' in pictures)) throw wrongKind(`${name}: the pictures`, 'a data set in memory', pictures)
  needKeys(name, options, names)
  const { count, seed = 0, noise = 0.05, channels = 3 } = options
  const T = checkWhole(options.frames ?? 8, `${name}: frames`, 2, 4096)
  const size = checkWhole(options.size ?? 32, `${name}: size`, 2, 4096)
  // A step of half a frame is the same in both directions.
  const limit = Math.max(1, Math.floor((size - 1) / 2))
  const fastest = checkWhole(options.speed ?? Math.min(2, limit), `${name}: speed`, 1, limit)
  if (channels !== 1 && channels !== 3) throw wrongKind(`${name}: channels`, '1 or 3', channels)
  checkMaker(name, options, [channels, T, size, size])
  checkSeed(seed, name)
  const [C, H, W] = pictures.shape
  if (C !== 1 || H > size || W > size) {
    throw new ArgumentError(
      `${name}: the pictures must be grey and at most ${size} × ${size} pixels, given (${pictures.shape.join(', ')}); use a larger size`,
    )
  }
  const draws = drawn(count, 4 + 2 * 3, seed, 1)
  const plane = size * size
  const classes = directions.map(([direction]) => direction)
  return made({ count, seed, noise }, [channels, T, size, size], classes, (to, label, n) => {
    const [which, left, top, speed, ...colours] = draws(n) as unknown as number[] as [
      ...[number, number, number, number],
      ...number[],
    ]
    const below = (share: number, most: number): number => Math.floor(share * most)
    const from = below(which, pictures.size) * H * W
    const pixels = 1 + below(speed, fastest)
    const [, across, down] = directions[label] as (typeof directions)[number]
    const inks = Array.from({ length: channels }, (_, c) => {
      if (channels === 1) return [0, 1] as const
      const [ground, contrast] = [colours[2 * c] as number, colours[2 * c + 1] as number]
      // The picture is brighter or darker than the ground, by what the range from 0 to 1 has room for.
      const up = contrast >= 0.5 ? 1 : -1
      const room = up === 1 ? 1 - ground : ground
      const ink = room < CONTRAST ? ground - up * (CONTRAST + contrast * 0.5) : ground + up * room
      return [ground, ink] as const
    })
    for (let c = 0; c < channels; c++) {
      const [ground, ink] = inks[c] as readonly [number, number]
      to.fill(ground, c * T * plane, (c + 1) * T * plane)
      for (let t = 0; t < T; t++) {
        const frame = (c * T + t) * plane
        const [row, column] = [below(top, size) + t * pixels * down, below(left, size) + t * pixels * across]
        for (let y = 0; y < H; y++) {
          for (let x = 0; x < W; x++) {
            const value = (pictures.images[from + y * W + x] as number) / 255
            if (value === 0) continue
            const place = modulo(row + y, size) * size + modulo(column + x, size)
            to[frame + place] = ground + value * (ink - ground)
          }
        }
      }
    }
  })
}

/** The rest from 0 on. */
const modulo = (value: number, by: number): number => ((value % by) + by) % by
