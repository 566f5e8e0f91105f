/**
 * Collections of pictures of different sizes, as they are (Goodfellow et al., section 9.7): a convolution and a global pooling take
 * any size, and pictures of one size stand in one batch.
 */
import { floatsAt } from '../runtime/core.js'
import { checkFunction, checkList, checkObject, checkWhole, wrongKind } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { inWords } from '../runtime/text.js'
import { isBytes } from '../formats/limits.js'
import { filled } from '../tensor/tensor.js'
import type { DistantExamples } from '../train/examples.js'
import { WarpScratch } from './warp.js'
import { Painter, type Augmentation } from './augment.js'
import type { Normalization } from './images.js'

/** Labelled pictures of different sizes. */
export interface SizedImages {
  /** N, the number of pictures. */
  readonly size: number
  /** N class numbers, each an index into `classes`. */
  readonly labels: Uint8Array | Int32Array
  /** Names of the classes, by class number. */
  readonly classes: readonly string[]
  /** C, channels of every picture. */
  readonly channels: number
  /** Height and width of each picture, in pixels. */
  readonly sizes: readonly (readonly [height: number, width: number])[]
  /** The path of each picture, where each is a file of its own. */
  readonly files?: readonly string[]
  /** Pixels (C, H, W) of one picture, 0..255; undefined when it is to be left out. */
  read(index: number): Promise<Uint8Array | undefined> | Uint8Array | undefined
}

/** Options of `sizedExamples`. */
export interface SizedOptions {
  /**
   * Height and width are cut to multiples of this, around the middle, so that more pictures share a size: pictures from cameras
   * are rarely as large as each other to the pixel. Default 1: nothing is cut.
   */
  readonly multiple?: number
  /** What may happen to a picture in training, but for `crop`. Default nothing. */
  readonly augmentation?: Omit<Augmentation, 'crop'>
}

const optionNames = { multiple: 0, augmentation: 0 } satisfies Names<Required<SizedOptions>>

/** @throws ArgumentError unless it is a collection of pictures, each with its size */
function checkSized(source: SizedImages, name: string): void {
  checkObject(source, `${name}: the pictures`, 'pictures of different sizes', ['size', 'labels', 'sizes', 'channels'])
  const { size, labels, sizes, channels, read } = source
  checkWhole(size, `${name}: the number of pictures`)
  checkWhole(channels, `${name}: channels`)
  checkFunction(read, `${name}: read of the pictures`)
  checkList(sizes, `${name}: sizes`)
  if (!(labels instanceof Uint8Array || labels instanceof Int32Array) || labels.length !== size) {
    throw wrongKind(`${name}: labels`, `${size} numbers in a Uint8Array or Int32Array`, labels)
  }
  if (sizes.length !== size) throw new ArgumentError(`${name}: there are ${sizes.length} sizes of ${size} pictures`)
  const isSize = (each: unknown): boolean =>
    Array.isArray(each) && each.length === 2 && each.every((extent) => Number.isInteger(extent) && extent >= 1)
  const wrong = sizes.findIndex((each) => !isSize(each))
  if (wrong >= 0) throw wrongKind(`${name}: the size of picture ${wrong}`, '[height, width]', sizes[wrong])
}

/** Pictures begin ≤ i < end as a collection of their own. @throws ArgumentError */
export function sizedRange(source: SizedImages, begin: number, end: number): SizedImages {
  checkCount('sizedRange', 3, arguments)
  checkSized(source, 'sizedRange')
  checkWhole(begin, 'sizedRange: begin', 0, source.size)
  checkWhole(end, 'sizedRange: end', begin, source.size)
  return {
    ...source,
    size: end - begin,
    labels: source.labels.slice(begin, end),
    sizes: source.sizes.slice(begin, end),
    ...(source.files ? { files: source.files.slice(begin, end) } : {}),
    read: (index) => source.read(begin + index),
  }
}

/**
 * Examples of pictures of different sizes for `fit`, `evaluate` and `batches`, normalized: each batch has pictures of one size, drawn
 * in an order of the seed. Without augmentation every picture is seen whole, or, with `multiple`, its middle.
 *
 * @example
 * const pictures = await openImageFolder('shells', { size: 'as is' })
 * await fit(model, sizedExamples(pictures, { mean: 0.5, std: 0.25 }), { … }) // x (N, C, H, W), of another H and W in each batch
 * @throws ArgumentError when an option does not fit; ShapeError when a picture is smaller than the multiple
 */
export function sizedExamples(
  source: SizedImages,
  normalization: Normalization,
  options: SizedOptions = {},
): DistantExamples<Int32Array> {
  const name = 'sizedExamples'
  checkCount(name, 3, arguments)
  checkSized(source, name)
  checkKeys(name, options, optionNames)
  const { augmentation } = options
  const multiple = checkWhole(options.multiple ?? 1, `${name}: multiple`, 1, 2 ** 16)
  if (augmentation !== undefined)
    checkObject(augmentation, `${name}: augmentation`, 'an object, such as { flip: true }')
  if (augmentation && 'crop' in augmentation)
    throw new ArgumentError(`${name}: pictures as they are have no crop of one size; use imageExamples for that`)
  const { channels: C, sizes, labels } = source
  // One painter for each size that there is, and a group for each size that is left of them.
  const painters = new Map<string, Painter>()
  const scratch = new WarpScratch()
  const groups = new Map<string, number>()
  const groupOf = Int32Array.from(sizes, ([H, W], index) => {
    const [h, w] = [H - (H % multiple), W - (W % multiple)]
    if (h === 0 || w === 0)
      throw new ShapeError(`${name}: picture ${index} has ${H} × ${W} pixels, less than the multiple ${multiple}`)
    const size = `${H} ${W}`
    if (!painters.has(size))
      painters.set(size, new Painter([C, H, W], normalization, { ...augmentation, crop: [h, w] }).warpIn(scratch))
    const left = `${h} ${w}`
    if (!groups.has(left)) groups.set(left, groups.size)
    return groups.get(left) as number
  })
  return {
    size: source.size,
    labels,
    groups: groupOf,
    async read(indices) {
      const all = await Promise.all(Array.from(indices, async (index) => source.read(index)))
      const sound = indices.filter((_, n) => all[n] !== undefined)
      const pictures = all.filter((picture) => picture !== undefined)
      return {
        indices: sound,
        batch(draw) {
          if (sound.length === 0) throw new ArgumentError(`${name}: none of the pictures of the batch can be read`)
          const painterOf = (n: number): Painter => {
            const [H, W] = sizes[sound[n] as number] as readonly [number, number]
            return painters.get(`${H} ${W}`) as Painter
          }
          const [, h, w] = painterOf(0).shape
          const words = painterOf(0).words(sound.length, augmentation ? draw : undefined)
          const x = filled([sound.length, C, h, w], 'a batch of images', (batch) => {
            const to = floatsAt(batch.pointer, batch.size)
            pictures.forEach((pixels, n) => {
              const painter = painterOf(n)
              const [H, W] = sizes[sound[n] as number] as readonly [number, number]
              if (painter.shape[1] !== h || painter.shape[2] !== w)
                throw new ShapeError(`${name}: a batch has pictures of several sizes; let fit or batches choose them`)
              if (!isBytes(pixels) || pixels.length !== C * H * W) {
                const given = isBytes(pixels) ? `${pixels.length} bytes` : inWords(pixels)
                throw new ShapeError(
                  `${name}: read(${sound[n]}) must give (${C}, ${H}, ${W}) as ${C * H * W} bytes, given ${given}`,
                )
              }
              painter.paint(to, n * C * h * w, pixels, 0, words, n)
            })
          })
          return { x, target: sound.map((index) => labels[index] as number) }
        },
      }
    },
  }
}
