/**
 * Where the evidence for a class lies: a patch is laid over every place of a picture in turn, and the map shows by how
 * much the probability of the class falls (Zeiler & Fergus 2014, section 4.2).
 */
import { perDirection, type PerDirection } from '../plan/window.js'
import { softmax } from '../ops/softmax.js'
import { ArgumentError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { tensor } from '../tensor/create.js'
import { checkSize } from '../tensor/shape.js'
import { scope, type Tensor } from '../tensor/tensor.js'
import { onePicture, targetOf, type Classifier } from './classifier.js'

/** Options of `occlusionMap`. */
export interface OcclusionOptions {
  /** The class to explain. Default: the one with the largest score. */
  readonly target?: number
  /** Rows and columns of the patch, in pixels. Default 5. */
  readonly size?: PerDirection
  /** Distance between neighbouring places, in pixels. Default 1. */
  readonly stride?: PerDirection
  /** What the patch is made of: a value for all channels or one for each, as the model sees them. Default 0. */
  readonly fill?: number | readonly number[]
  /** Covered pictures in one forward pass. Default 64. */
  readonly batchSize?: number
}

const occlusionNames = { target: 0, size: 0, stride: 0, fill: 0, batchSize: 0 } satisfies Names<OcclusionOptions>

/** What `occlusionMap` gives. */
export interface OcclusionMap {
  /** Rows and columns of the map: `⌈H / stride⌉` and `⌈W / stride⌉`. */
  readonly shape: readonly [number, number]
  /**
   * Probability of the target for the whole picture minus that for the covered one, row by row, −1 to 1: above 0 where
   * what is covered speaks for the class, below 0 where it speaks against it.
   */
  readonly values: Float32Array
  /** The class whose probability was watched. */
  readonly target: number
  /** Probability of the target for the whole picture. */
  readonly probability: number
}

/**
 * The occlusion map of one picture (C, H, W) or (1, C, H, W). Place (i, j) has the patch centred on pixel
 * (i · stride, j · stride); at the border the part outside the picture is cut off.
 * @throws ShapeError when picture, model or options do not fit.
 */
export function occlusionMap(model: Classifier, x: Tensor, options: OcclusionOptions = {}): OcclusionMap {
  checkCount('occlusionMap', 3, arguments)
  checkKeys('occlusionMap', options, occlusionNames)
  const [tall, wide] = perDirection(options.size ?? 5, 2, 1, 'occlusionMap: size') as [number, number]
  const [down, across] = perDirection(options.stride ?? 1, 2, 1, 'occlusionMap: stride') as [number, number]
  const [batchSize] = perDirection(options.batchSize ?? 64, 1, 1, 'occlusionMap: batchSize') as [number]
  return scope(() => {
    const picture = onePicture(x, model, 'occlusionMap')
    const [, C, H, W] = picture.shape as readonly [number, number, number, number]
    const fill = fillOf(options.fill ?? 0, C)
    const scores = model.forward(picture, { training: false })
    const target = targetOf(scores, options.target, 'occlusionMap')
    const classes = scores.shape[1] as number
    const probability = softmax(scores).data()[target] as number
    const shape = [Math.ceil(H / down), Math.ceil(W / across)] as const
    const pixels = picture.data()
    const values = new Float32Array(shape[0] * shape[1])
    for (let begin = 0; begin < values.length; begin += batchSize) {
      const count = Math.min(batchSize, values.length - begin)
      checkSize([count, C, H, W], 'occlusionMap', 'a batch')
      const covered = new Float32Array(count * pixels.length)
      for (let n = 0; n < count; n++) {
        covered.set(pixels, n * pixels.length)
        const top = Math.floor((begin + n) / shape[1]) * down - Math.floor((tall - 1) / 2)
        const left = ((begin + n) % shape[1]) * across - Math.floor((wide - 1) / 2)
        for (let c = 0; c < C; c++) {
          for (let row = Math.max(0, top); row < Math.min(H, top + tall); row++) {
            const start = ((n * C + c) * H + row) * W
            covered.fill(fill[c] as number, start + Math.max(0, left), start + Math.min(W, left + wide))
          }
        }
      }
      const probabilities = scope(() =>
        softmax(model.forward(tensor(covered, [count, C, H, W]), { training: false })).data(),
      )
      for (let n = 0; n < count; n++) values[begin + n] = probability - (probabilities[n * classes + target] as number)
    }
    return { shape, values, target, probability }
  })
}

function fillOf(fill: number | readonly number[], C: number): readonly number[] {
  const list: readonly number[] = typeof fill === 'number' ? new Array<number>(C).fill(fill) : fill
  const fits = (typeof fill === 'number' || Array.isArray(fill)) && list.length === C && list.every(Number.isFinite)
  if (fits) return list
  throw new ArgumentError(
    `occlusionMap: fill must be a finite number, or one for each of the ${C} channels, given ${inWords(fill)}`,
  )
}
