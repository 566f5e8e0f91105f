/** `gradcheck`: compares the gradient of a function with finite differences of its values. */
import { checkList, checkNumber } from '../runtime/check.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { scope, type Tensor } from '../tensor/tensor.js'
import { tensor, uniform } from '../tensor/create.js'
import { vjp, type TensorFunction } from './vjp.js'

/** Options of `gradcheck`. */
export interface GradcheckOptions {
  /** Half the distance between the two evaluations. Default 1e-2: float32 leaves about 1e-5 of relative error. */
  readonly step?: number
  /** Largest difference allowed, relative to the largest gradient of the input. Default 1e-2. */
  readonly tolerance?: number
  /** Elements tried per input, spread evenly. Default 64. */
  readonly samples?: number
  /** Seed of the directions in which is differentiated. Default 1. */
  readonly seed?: number
}

/** What `gradcheck` gives. */
export interface GradcheckResult {
  /** Whether every difference is within the tolerance. */
  readonly ok: boolean
  /** Largest |analytic − numeric| over max(1, largest |gradient|), per input. */
  readonly errors: number[]
}

/**
 * Compares the gradients of ⟨v, fn(inputs)⟩ for a random v with central differences, one element at a time.
 * Keep inputs away from kinks (ReLU at zero, ties in a maximum).
 *
 *     gradcheck((x, w) => conv2d(x, w, { padding: 1 }), [x, w]).ok
 */
export function gradcheck(fn: TensorFunction, inputs: Tensor[], options: GradcheckOptions = {}): GradcheckResult {
  checkCount('gradcheck', 3, arguments)
  checkKeys('gradcheck', options, { step: 0, tolerance: 0, samples: 0, seed: 0 } satisfies Names<GradcheckOptions>)
  const { step = 1e-2, tolerance = 1e-2, samples = 64, seed = 1 } = options
  checkList(inputs, 'gradcheck: inputs', 'a list of tensors')
  for (const [name, value] of Object.entries({ step, tolerance, samples })) checkNumber(value, `gradcheck: ${name}`, 0)
  return scope(() => {
    const { value, pullback, dispose } = vjp(fn, ...inputs)
    const v = uniform(value.shape, { low: -1, high: 1, seed })
    const weights = v.data()
    const project = (y: Float32Array): number =>
      y.reduce((sum, element, i) => sum + element * (weights[i] as number), 0)
    const gradients = pullback(v).map((gradient) => gradient.data())
    dispose()
    const errors = inputs.map((input, index) => {
      const analytic = gradients[index] as Float32Array
      const values = input.data()
      const scale = analytic.reduce((largest, element) => Math.max(largest, Math.abs(element)), 1)
      const at = (i: number, x: number): number =>
        scope(() => {
          const moved = values.slice()
          moved[i] = x
          const copy = tensor(moved, input.shape)
          return project(fn(...inputs.map((other, position) => (position === index ? copy : other))).data())
        })
      let worst = 0
      const stride = Math.max(1, Math.floor(input.size / samples))
      for (let i = 0; i < input.size; i += stride) {
        const x = values[i] as number
        const high = Math.fround(x + step)
        const low = Math.fround(x - step)
        const numeric = (at(i, high) - at(i, low)) / (high - low)
        worst = Math.max(worst, Math.abs(numeric - (analytic[i] as number)) / scale)
      }
      return worst
    })
    return { ok: errors.every((error) => error <= tolerance), errors }
  })
}
