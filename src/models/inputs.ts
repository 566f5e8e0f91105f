/** How nodes of models from elsewhere read their inputs. */
import { ArgumentError } from '../runtime/errors.js'
import { checkTensor, type AnyTensor, type Tensor } from '../tensor/tensor.js'

/** What a node computes of its inputs: one tensor, or several. */
export type Given = AnyTensor | readonly (AnyTensor | undefined)[]

/** An input that must be there. */
export function need(inputs: readonly (AnyTensor | undefined)[], index: number): AnyTensor {
  const x = inputs[index]
  if (!x) throw new ArgumentError(`input ${index} is missing`)
  return x
}

/** An input of float32. */
export function floats(inputs: readonly (AnyTensor | undefined)[], index: number): Tensor {
  const x = need(inputs, index)
  checkTensor(x, 'here', `input ${index}`)
  return x
}

/** The numbers of a small tensor of whole numbers, as a list. @throws UnplannedError where they are still to be computed */
export function numbersOf(x: AnyTensor): number[] {
  const values: ArrayLike<number | bigint> = x.data()
  return Array.from(values, (value: number | bigint) => {
    const number = Number(value)
    return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, number))
  })
}

/**
 * The numbers of a constant of any type, for which a pass is then planned: options that are inputs, never weights.
 * @throws UnplannedError where they are still to be computed
 */
export const constantsOf = (x: AnyTensor): number[] =>
  x.dtype === 'float32' ? Array.from(x.view() as Float32Array) : numbersOf(x)

/** The numbers of an input, if it is there. */
export const optionalNumbers = (inputs: readonly (AnyTensor | undefined)[], index: number): number[] | undefined => {
  const x = inputs[index]
  return x && numbersOf(x)
}
