/** Tensors of bytes for tests, and lists of what they hold. */
import fc from 'fast-check'
import { limitsOf, type ByteType } from '../../../src/ops/integers/bytes.js'
import type { Bytes } from '../../../src/ops/integers/conv.js'
import { tensor } from '../../../src/tensor/create.js'

export const byteType = fc.constantFrom<ByteType>('uint8', 'int8')

/** Bytes of a type. */
export const listOf = (type: ByteType, length: number) => {
  const [min, max] = limitsOf(type)
  return fc.array(fc.integer({ min, max }), { minLength: length, maxLength: length })
}

export const bytesOf = (values: readonly number[], shape: readonly number[], type: ByteType): Bytes =>
  tensor([...values], [...shape], { dtype: type }) as Bytes
export const listed = (y: Bytes): number[] => [...(y.data() as Uint8Array)]
