/**
 * Patches of pictures, drawn at random: what k-means and sparse coding learn filters from. Each is made independent of the
 * light that falls on it by taking its mean off and dividing by its standard deviation (Coates, Ng & Lee 2011, section 3.1).
 */
import { perDirection } from '../plan/window.js'
import { checkNumber, checkSignal, checkSwitch, checkWhole } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkCount, needKeys, type Names } from '../runtime/options.js'
import type { Signal } from '../runtime/platform.js'
import { checkSeed, tensor, uniform } from '../tensor/create.js'
import { showShape, type Shape } from '../tensor/shape.js'
import { featureStream } from '../tensor/streams.js'
import type { Tensor } from '../tensor/tensor.js'
import { turnTaker } from '../train/host.js'
import { checkData, checkMaps, withInputs, type FeatureData } from './data.js'

/** Options of `extractPatches`. */
export interface PatchOptions {
  /** Extents (R, S) of a patch in pixels, or one for both. */
  readonly size: number | readonly number[]
  /** How many patches are drawn. */
  readonly count: number
  /** Seed of the pictures and the places. Default 0. */
  readonly seed?: number
  /** Whether each patch has its mean taken off and is divided by √(variance + contrast). Default true. */
  readonly normalize?: boolean
  /**
   * Added to the variance of a patch, in units of the input squared, so that noise on plain ground is not made large.
   * Default 0.01.
   */
  readonly contrast?: number
  /** Ends the work after the batch in progress. */
  readonly signal?: Signal
}

const patchNames = { size: 0, count: 0, seed: 0, normalize: 0, contrast: 0, signal: 0 } satisfies Names<PatchOptions>

/** Pictures that are read at a time. */
const BATCH = 256
/** Numbers of all patches together: 1 GiB of them. */
const MOST_NUMBERS = 2 ** 28

/**
 * Takes patches (count, C · R · S) out of pictures (N, C, H, W), each of any picture and place with the same probability, in
 * the order C, R, S of a filter's weights. Of pictures that cannot be read there are none, so that the rows may be fewer.
 *
 * @example
 * const patches = await extractPatches(imageExamples(training, normalization), { size: 6, count: 100_000, seed: 1 })
 * @throws ShapeError when options do not fit, or pictures are smaller than a patch; the reason of the signal when that ended it
 */
export async function extractPatches(data: FeatureData, options: PatchOptions): Promise<Tensor> {
  checkCount('extractPatches', 2, arguments)
  const name = 'extractPatches'
  needKeys(name, options, patchNames)
  const { seed = 0, normalize = true, contrast = 0.01, signal } = options
  const N = checkData(data, name)
  const [R, S] = perDirection(options.size, 2, 1, `${name}: size`) as [number, number]
  const count = checkWhole(options.count, `${name}: count`, 1, 2 ** 26)
  checkSeed(seed, name)
  checkSwitch(normalize, `${name}: normalize`)
  checkNumber(contrast, `${name}: contrast`, 0)
  checkSignal(signal, `${name}: signal`)

  const drawn = uniform([3, count], { seed, stream: featureStream(0) })
  const places = drawn.data()
  drawn.dispose()
  const pictureOf = (patch: number): number => Math.floor((places[patch] as number) * N)
  // Every picture is read once: patches are taken in the order of the pictures, and stand in that of the draw.
  const order = Int32Array.from({ length: count }, (_, patch) => patch).sort(
    (a, b) => pictureOf(a) - pictureOf(b) || a - b,
  )

  let shape: Shape | undefined
  let rows = new Float32Array(0)
  let length = 0
  const taken = new Uint8Array(count)
  const turn = turnTaker()
  for (let first = 0; first < count;) {
    // The patches of the next pictures.
    const pictures: number[] = []
    let end = first
    for (; end < count; end++) {
      const picture = pictureOf(order[end] as number)
      if (picture === pictures.at(-1)) continue
      if (pictures.length === BATCH) break
      pictures.push(picture)
    }
    const wanted = order.subarray(first, end)
    await withInputs(data, Int32Array.from(pictures), ({ x, indices }) => {
      checkMaps(x, shape, name)
      const [, C, H, W] = x.shape as readonly [number, number, number, number]
      if (!shape) {
        if (H < R || W < S)
          throw new ShapeError(
            `${name}: pictures of ${H} × ${W} pixels hold no patch of ${R} × ${S}; use a smaller size`,
          )
        length = C * R * S
        if (!(count * length <= MOST_NUMBERS)) {
          throw new ShapeError(
            `${name}: ${count} patches of ${showShape([C, R, S])} are ${count * length} numbers; at most ${MOST_NUMBERS} are taken: use fewer or smaller ones`,
          )
        }
        rows = new Float32Array(count * length)
        shape = x.shape.slice(1)
      }
      const values = x.view()
      const at = new Map(Array.from(indices, (picture, n) => [picture, n]))
      for (const patch of wanted) {
        const n = at.get(pictureOf(patch))
        if (n === undefined) continue
        const top = Math.floor((places[count + patch] as number) * (H - R + 1))
        const left = Math.floor((places[2 * count + patch] as number) * (W - S + 1))
        const row = rows.subarray(patch * length, (patch + 1) * length)
        for (let c = 0; c < C; c++) {
          for (let r = 0; r < R; r++) {
            const from = ((n * C + c) * H + top + r) * W + left
            row.set(values.subarray(from, from + S), (c * R + r) * S)
          }
        }
        if (normalize) normalizePatch(row, contrast)
        taken[patch] = 1
      }
    })
    first = end
    await turn()
    if (signal?.aborted) throw signal.reason
  }
  return tensor(...compact(rows, taken, length, name))
}

/** Takes the mean off a patch and divides it by √(variance + contrast), summed in float64 from first to last. */
function normalizePatch(row: Float32Array, contrast: number): void {
  let sum = 0
  for (const value of row) sum += value
  const mean = sum / row.length
  let squares = 0
  for (const value of row) squares += (value - mean) * (value - mean)
  const deviation = Math.sqrt(squares / row.length + contrast)
  for (let i = 0; i < row.length; i++) row[i] = deviation > 0 ? ((row[i] as number) - mean) / deviation : 0
}

/** The rows that were taken, side by side, with their shape. */
function compact(
  rows: Float32Array,
  taken: Uint8Array,
  length: number,
  name: string,
): [values: Float32Array, shape: number[]] {
  const count = taken.reduce((sum, one) => sum + one, 0)
  if (count === 0) throw new ArgumentError(`${name}: none of the pictures can be read`)
  let to = 0
  for (let row = 0; row < taken.length && count < taken.length; row++) {
    if (taken[row] === 1) rows.copyWithin(length * to++, length * row, length * (row + 1))
  }
  return [rows.subarray(0, count * length), [count, length]]
}
