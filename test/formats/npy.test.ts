/** Arrays of NumPy, as numpy.save writes them. */
import { describe, expect, it } from 'vitest'
import { readNpy, writeNpy, type NpyArray } from '../../src/formats/npy.js'
import { FormatError, UnsupportedError } from '../../src/runtime/errors.js'

/** A file with a header as given, and bytes behind it. */
function file(header: string, data: ArrayBufferView, version = 1): Uint8Array {
  const length = header.length
  const head = version === 1 ? [length & 255, length >> 8] : [length & 255, length >> 8, 0, 0]
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  return Uint8Array.of(
    ...[0x93, ...Array.from('NUMPY', (letter) => letter.charCodeAt(0)), version, 0, ...head],
    ...Array.from(header, (letter) => letter.charCodeAt(0)),
    ...bytes,
  )
}
const header = (descr: string, shape: string, order = 'False'): string =>
  `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${shape}), }\n`

describe('an array of NumPy', () => {
  it.each<[string, ArrayBufferView, NpyArray['dtype'], readonly (number | bigint)[]]>([
    ['<f4', Float32Array.of(1.5, -2), 'float32', [1.5, -2]],
    ['<f8', Float64Array.of(0.1, -2), 'float32', [Math.fround(0.1), -2]],
    ['<f2', Uint16Array.of(0x3c00, 0xc000), 'float32', [1, -2]],
    ['<i8', BigInt64Array.of(1n, -(2n ** 40n)), 'int64', [1n, -(2n ** 40n)]],
    ['<i4', Int32Array.of(1, -2), 'int32', [1, -2]],
    ['<i2', Int16Array.of(1, -2), 'int32', [1, -2]],
    ['<u2', Uint16Array.of(1, 65535), 'int32', [1, 65535]],
    ['<u4', Uint32Array.of(1, 2 ** 32 - 1), 'int64', [1n, 2n ** 32n - 1n]],
    ['|i1', Int8Array.of(1, -2), 'int8', [1, -2]],
    ['|u1', Uint8Array.of(1, 255), 'uint8', [1, 255]],
    ['|b1', Uint8Array.of(1, 0), 'bool', [1, 0]],
  ])('of %s is read', (code, data, dtype, values) => {
    for (const version of [1, 2]) {
      const { dtype: found, shape, values: read } = readNpy(file(header(code, '2,'), data, version), 'x.npy')
      expect([found, shape, [...read]]).toEqual([dtype, [2], values])
    }
  })

  it.each<NpyArray>([
    { dtype: 'float32', shape: [2, 3], values: Float32Array.of(1, 2, 3, 4, 5, 6) },
    { dtype: 'int64', shape: [1], values: BigInt64Array.of(-5n) },
    { dtype: 'bool', shape: [], values: Uint8Array.of(1) },
    { dtype: 'uint8', shape: [0, 4], values: new Uint8Array(0) },
  ])('that is written is read again, and begins at a multiple of 64 bytes', (array) => {
    const bytes = writeNpy(array)
    expect(readNpy(bytes, 'x.npy')).toEqual(array)
    expect((bytes.length - array.values.byteLength) % 64).toBe(0)
  })

  it('is what numpy.save writes', () => {
    // numpy.save of numpy.arange(3, dtype='<f4').
    const text =
      'k05VTVBZAQB2AHsnZGVzY3InOiAnPGY0JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDMsKSwgfSAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAAAAACAPwAAAEA='
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))
    expect(writeNpy({ dtype: 'float32', shape: [3], values: Float32Array.of(0, 1, 2) })).toEqual(bytes)
  })

  it.each<[string, Uint8Array, typeof FormatError | typeof UnsupportedError, RegExp]>([
    ['another file', Uint8Array.of(1, 2, 3), FormatError, /x\.npy: is no array of NumPy/],
    [
      'a cut header',
      file(header('<f4', '2,'), new Uint8Array(0)).subarray(0, 9),
      FormatError,
      /ends within its header/,
    ],
    ['a header that is longer than the file', file(header('<f4', '2,'), new Uint8Array(0)).subarray(0, 30), FormatError, /its header is to have \d+ bytes, and the file has 30/], // prettier-ignore
    [
      'a header of something else',
      file("{'a': 1}", new Uint8Array(0)),
      FormatError,
      /does not tell type, order and shape/,
    ],
    ['texts', file(header('<U3', '2,'), new Uint8Array(24)), UnsupportedError, /elements of '<U3' are not read/],
    [
      'big-endian numbers',
      file(header('>f4', '2,'), new Uint8Array(8)),
      UnsupportedError,
      /elements of '>f4' are not read/,
    ],
    ['columns first', file(header('<f4', '2, 2', 'True'), new Uint8Array(16)), UnsupportedError, /ascontiguousarray/],
    ['too few elements', file(header('<f4', '2, 3'), new Uint8Array(20)), FormatError, /of shape \(2, 3\) takes 24 bytes, and 20 are stored/], // prettier-ignore
    ['an immense shape', file(header('<f4', '4294967296, 4294967296'), new Uint8Array(4)), FormatError, /takes \S+ bytes, and 4 are stored/], // prettier-ignore
  ])('refuses %s', (_, bytes, Failure, message) => {
    expect(() => readNpy(bytes, 'x.npy')).toThrow(Failure)
    expect(() => readNpy(bytes, 'x.npy')).toThrow(message)
  })
})
