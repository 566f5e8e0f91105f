/** The weights of a model as files and as tensors decoded from them. */
import { FormatError } from '../runtime/errors.js'
import { sameShape, showShape, type Shape } from '../tensor/shape.js'

/** A tensor as it comes out of a file. */
export interface DecodedTensor {
  /** Extents, outermost first. */
  readonly shape: Shape
  /** The values in row-major order: of F32 and F16 a Float32Array. */
  readonly data: ArrayLike<number | bigint>
  /** The type in the file: F32, F64, I32, … */
  readonly dtype: string
}

/** Problems that the error lists. */
const LISTED = 20

/**
 * Compares decoded tensors with the shapes that a model needs.
 * @throws FormatError that lists each one that is missing, left over, of another shape or not finite.
 */
export function checkState(
  needed: ReadonlyMap<string, Shape>,
  tensors: ReadonlyMap<string, DecodedTensor>,
  name: string,
): void {
  const problems: string[] = []
  for (const [key, shape] of needed) {
    const given = tensors.get(key)
    if (!given) problems.push(`${key} ${showShape(shape)} is missing`)
    else if (given.dtype !== 'F32' && given.dtype !== 'F16') problems.push(`${key} is ${given.dtype}, not F32`)
    else if (!sameShape(given.shape, shape)) {
      problems.push(`${key} is ${showShape(given.shape)}, not ${showShape(shape)}`)
    } else if (!(given.data as Float32Array).every(Number.isFinite))
      problems.push(`${key} has values that are not finite`)
  }
  for (const key of tensors.keys()) if (!needed.has(key)) problems.push(`${key} is not part of the model`)
  if (problems.length === 0) return
  const more = problems.length > LISTED ? `; and ${problems.length - LISTED} more` : ''
  throw new FormatError(`${name}: the weights do not match the model: ${problems.slice(0, LISTED).join('; ')}${more}`)
}
