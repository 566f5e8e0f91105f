/**
 * From directions in the space of patches to the weights of an ordinary convolution with a rectifier behind it.
 *
 * A patch x is whitened to z = M · (x − mean(x) − μ); a direction d of whitened patches responds by d · z = (M·d − mean(M·d)) · x
 * − d·M·μ, which is a convolution with a bias. The division of each patch by its own contrast is left out, because it is not
 * linear. In its place every filter is scaled to responses of variance 1 over the data, and its bias is chosen so that a share
 * of the responses is positive: max(0, w·x − α), the soft threshold of Coates & Ng 2011, with a threshold for each filter.
 */
import { linear } from '../ops/linear.js'
import { checkSignal, checkWhole } from '../runtime/check.js'
import { ShapeError } from '../runtime/errors.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import type { Signal } from '../runtime/platform.js'
import { checkSeed, tensor } from '../tensor/create.js'
import { showShape } from '../tensor/shape.js'
import { checkTensor, scope, type Tensor } from '../tensor/tensor.js'
import { checkShare } from './check.js'
import { checkData, type FeatureData } from './data.js'
import { extractPatches } from './patches.js'
import type { Whitening } from './whiten.js'

/** Options of `calibrateFilters`. */
export interface CalibrationOptions {
  /** Share of the places of a picture at which a filter is to respond, above 0 and below 1. Default 0.2. */
  readonly active?: number
  /** How many patches are looked at. Default 20,000. */
  readonly patches?: number
  /** Seed of the patches. Default 0. */
  readonly seed?: number
  /** Ends the work after the batch in progress. */
  readonly signal?: Signal
}

/** Weights and bias of a convolution, for `assign` or for `conv2d`. */
export interface Filters {
  /** Weights (K, C, R, S). */
  readonly weight: Tensor
  /** Bias (K). */
  readonly bias: Tensor
}

const calibrationNames = { active: 0, patches: 0, seed: 0, signal: 0 } satisfies Names<CalibrationOptions>

/** Responses of one batch of filters: 64 MiB of the default number of patches. */
const FILTERS = 800

/**
 * Scales filters to responses of variance 1 on data, and gives each the bias with which a rectifier lets so large a share of
 * the responses through: filters drawn at random, made by hand or learned become comparable, and their features sparse.
 *
 * @param weight filters (K, C, R, S), which are not changed
 * @param data pictures of C channels, as the layer sees them
 * @example
 * const { weight, bias } = await calibrateFilters(gaborBank({ size: 7 }), examples, { active: 0.2 })
 * @throws ShapeError when options, filters and pictures do not fit; the reason of the signal when that ended it
 */
export async function calibrateFilters(
  weight: Tensor,
  data: FeatureData,
  options: CalibrationOptions = {},
): Promise<Filters> {
  checkCount('calibrateFilters', 3, arguments)
  const name = 'calibrateFilters'
  checkKeys(name, options, calibrationNames)
  const { active = 0.2, seed = 0, signal } = options
  checkTensor(weight, name, 'the weights')
  if (weight.ndim !== 4 || weight.size === 0)
    throw new ShapeError(`${name}: the weights must be (K, C, R, S), given ${showShape(weight.shape)}`)
  checkData(data, name)
  checkShare(active, `${name}: active`)
  const count = checkWhole(options.patches ?? 20_000, `${name}: patches`, 2, 2 ** 24)
  checkSeed(seed, name)
  checkSignal(signal, `${name}: signal`)
  const [K, C, R, S] = weight.shape as readonly [number, number, number, number]
  const patches = await extractPatches(data, {
    ...{ size: [R, S], count, seed, normalize: false },
    ...(signal ? { signal } : {}),
  })
  try {
    const [N, D] = patches.shape as readonly [number, number]
    if (D !== C * R * S) {
      throw new ShapeError(
        `${name}: the filters take ${C} channels, and the pictures have ${D / (R * S)}; both must have the same`,
      )
    }
    const scaled = weight.data()
    const bias = new Float32Array(K)
    for (let first = 0; first < K; first += FILTERS) {
      const rows = scaled.subarray(first * D, Math.min(K, first + FILTERS) * D)
      const part = rows.length / D
      const responses = scope(() => linear(tensor(rows, [part, D]), patches).data())
      for (let k = 0; k < part; k++) {
        const { scale, threshold } = levelOf(responses.subarray(k * N, (k + 1) * N), active)
        for (let i = k * D; i < (k + 1) * D; i++) rows[i] = (rows[i] as number) * scale
        bias[first + k] = -threshold
      }
    }
    return { weight: tensor(scaled, weight.shape), bias: tensor(bias) }
  } finally {
    patches.dispose()
  }
}

/** The factor that gives responses the variance 1, and the value that a share of the scaled ones is above. Sorts them. */
function levelOf(responses: Float32Array, active: number): { scale: number; threshold: number } {
  let sum = 0
  for (const value of responses) sum += value
  const mean = sum / responses.length
  let squares = 0
  for (const value of responses) squares += (value - mean) * (value - mean)
  const deviation = Math.sqrt(squares / responses.length)
  // A filter that responds to all patches alike has nothing to be scaled by.
  const scale = deviation > 0 ? 1 / deviation : 1
  responses.sort()
  const place = Math.min(responses.length - 1, Math.floor((1 - active) * responses.length))
  return { scale, threshold: scale * (responses[place] as number) }
}

/**
 * Directions (K, D) of whitened patches as the weights (K, C, R, S) that respond to patches as they are: M · d with its mean
 * taken off, as each patch has.
 */
export function foldWhitening(
  directions: Tensor,
  { matrix }: Pick<Whitening, 'matrix'>,
  shape: readonly number[],
): Tensor {
  const folded = scope(() => linear(directions, matrix).data())
  const [K, D] = directions.shape as readonly [number, number]
  for (let k = 0; k < K; k++) {
    const row = folded.subarray(k * D, (k + 1) * D)
    let sum = 0
    for (const value of row) sum += value
    const mean = sum / D
    for (let i = 0; i < D; i++) row[i] = (row[i] as number) - mean
  }
  return tensor(folded, [K, ...shape])
}
