/** Tensors of bytes for tests, and lists of what they hold. */
import fc from 'fast-check'
import { limitsOf, type ByteType } from '../../../src/ops/integers/bytes.js'
import type { Bytes, ByteWindows } from '../../../src/ops/integers/windows.js'
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

/** Windows over a map of 2 × 2 pixels that no operation takes, as a file can tell them, and what is said of each. */
export const badWindows: readonly { what: string; windows: Partial<ByteWindows>; message: string }[] = [
  { what: 'stride 0', windows: { stride: [1, 0] }, message: 'stride must be whole numbers from 1 on, given 0' },
  { what: 'stride -1', windows: { stride: [-1, 1] }, message: 'stride must be whole numbers from 1 on, given -1' },
  { what: 'stride 2^31', windows: { stride: [2 ** 31, 1] }, message: 'stride can be at most 2147483647' },
  { what: 'dilation 0', windows: { dilation: [0, 1] }, message: 'dilation must be whole numbers from 1 on, given 0' },
  { what: 'dilation 2^32 + 1', windows: { dilation: [1, 2 ** 32 + 1] }, message: 'dilation can be at most 2147483647' },
  {
    what: 'padding -1',
    windows: {
      padding: [
        [-1, 1],
        [0, 0],
      ],
    },
    message: 'padding must be whole numbers from 0 on, given -1',
  },
  {
    what: 'padding of half a pixel',
    windows: {
      padding: [
        [0, 0],
        [0, 0.5],
      ],
    },
    message: 'padding must be whole numbers from 0 on, given 0.5',
  },
  {
    what: 'padding that no memory holds the result of',
    windows: {
      padding: [
        [2 ** 30, 2 ** 30],
        [2 ** 30, 2 ** 30],
      ],
    },
    message: 'the output (1, 1, 2147483650, 2147483650) needs more than the 4 GiB of WebAssembly memory',
  },
]
