/**
 * A filter found again from noise and the responses to it, as neuroscientists find the receptive field of a cell (section 9.10
 * of the book). For white noise x of variance σ² and responses r with the mean r̄,
 *
 *   w = E[(r − r̄)·x] / σ²
 *
 * which is the filter itself where r = w · x + b, and the mean gradient of any differentiable response (Stein's lemma): a
 * rectifier scales it and does not turn it.
 */
import { matmul } from '../ops/linear.js'
import { transpose } from '../ops/layout.js'
import { checkFunction, checkNumber, checkWhole, wrongKind } from '../runtime/check.js'
import { ShapeError } from '../runtime/errors.js'
import { checkCount, needKeys, type Names } from '../runtime/options.js'
import { checkSeed, normal, tensor } from '../tensor/create.js'
import { checkShape, checkSize, showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { checkTensor, scope, type Tensor } from '../tensor/tensor.js'

/** Options of `reverseCorrelation`. */
export interface ReverseCorrelationOptions {
  /** Shape of one input, such as [C, H, W]. */
  readonly shape: Shape
  /** Inputs of noise that are shown. Default 4096. */
  readonly count?: number
  /** Standard deviation σ of the noise, whose mean is 0. Default 1. */
  readonly std?: number
  /** Seed of the noise. Default 0. */
  readonly seed?: number
  /** Inputs that are shown together. Default 256. */
  readonly batchSize?: number
}

const reverseNames = { shape: 0, count: 0, std: 0, seed: 0, batchSize: 0 } satisfies Names<ReverseCorrelationOptions>

/** What `reverseCorrelation` gives. */
export interface FoundFilters {
  /** (K, …shape): one filter for each response. */
  readonly shape: readonly number[]
  /** Row-major; in units of the response for one unit of the input. */
  readonly values: Float32Array
}

/**
 * Filters (K, …) from the responses (N, K) of K units to white noise (N, …); responses (N) are those of one unit. The error of
 * each weight falls with the square root of `count`. The noise is that of `normal`, one stream for each batch.
 *
 * @example
 * const respond = (x) => relu(conv2d(x, w)).reshape([-1, K])          // w (K, C, R, S) over noise of its own extents
 * const { shape, values } = reverseCorrelation(respond, { shape: [C, R, S], count: 10_000, seed: 1 })
 * @throws ShapeError when an option does not fit, or the responses are not (N) or (N, K)
 */
export function reverseCorrelation(respond: (x: Tensor) => Tensor, options: ReverseCorrelationOptions): FoundFilters {
  checkCount('reverseCorrelation', 2, arguments)
  const name = 'reverseCorrelation'
  checkFunction(respond, `${name}: respond`, 'a function from inputs to responses')
  needKeys(name, options, reverseNames)
  const { std = 1, seed = 0 } = options
  const shape = checkShape(options.shape, `${name}: shape`)
  const count = checkWhole(options.count ?? 4096, `${name}: count`, 2, 2 ** 26)
  const batchSize = checkWhole(options.batchSize ?? 256, `${name}: batchSize`, 1, 2 ** 16)
  checkNumber(std, `${name}: std`, 0)
  if (std < 1e-30 || std > 1e30) throw wrongKind(`${name}: std`, 'from 1e-30 to 1e30', std)
  checkSeed(seed, name)
  checkSize([Math.min(batchSize, count), ...shape], name)
  const size = sizeOf(shape)
  // Sums over inputs in float64: of r·x for each weight, of r for each unit, of x for each number of the input. The responses to
  // the first batch tell a mean that is taken off all of them, so that a large one does not swallow the digits of the products.
  let products = new Float64Array(0)
  let responses = new Float64Array(0)
  let about = new Float64Array(0)
  const inputs = new Float64Array(size)
  for (let first = 0, stream = 0; first < count; first += batchSize, stream++) {
    const N = Math.min(batchSize, count - first)
    scope(() => {
      const x = normal([N, ...shape], { std, seed, stream })
      const [r, K] = responsesTo(respond, x, N)
      if (first === 0) {
        checkSize([K, ...shape], name)
        products = new Float64Array(K * size)
        responses = new Float64Array(K)
        about = meanRow(r, K)
      }
      if (K !== responses.length) {
        throw new ShapeError(`${name}: there were ${responses.length} responses to an input, and now there are ${K}`)
      }
      const centred = r.map((value, i) => value - (about[i % K] as number))
      const rows = x.reshape([N, size])
      addRows(products, matmul(transpose(tensor(centred, [N, K]), [1, 0]), rows).data())
      addRows(responses, centred)
      addRows(inputs, rows.data())
    })
  }
  const values = Float32Array.from(products, (product, i) => {
    const [response, input] = [responses[Math.floor(i / size)] as number, inputs[i % size] as number]
    return (product / count - (response / count) * (input / count)) / (std * std)
  })
  return { shape: [responses.length, ...shape], values }
}

/** The responses (N, K), and K. @throws ShapeError when they are of another shape */
function responsesTo(respond: (x: Tensor) => Tensor, x: Tensor, N: number): [values: Float32Array, K: number] {
  const r: unknown = respond(x)
  checkTensor(r, 'reverseCorrelation', 'what respond gives')
  const [first, K = 1] = r.shape
  if (first === N && r.ndim <= 2 && r.size > 0) return [r.data(), K]
  throw new ShapeError(
    `reverseCorrelation: respond must give (N) or (N, K) for ${showShape(x.shape)}, it gave ${showShape(r.shape)}`,
  )
}

/** Adds rows of numbers up, in their order. */
function addRows(sums: Float64Array, rows: Float32Array): void {
  for (let i = 0; i < rows.length; i++) sums[i % sums.length] = (sums[i % sums.length] as number) + (rows[i] as number)
}

/** The mean of rows of `length` numbers. */
function meanRow(rows: Float32Array, length: number): Float64Array<ArrayBuffer> {
  const sums = new Float64Array(length)
  addRows(sums, rows)
  return sums.map((sum) => (sum * length) / rows.length)
}
