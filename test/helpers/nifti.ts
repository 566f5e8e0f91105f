/** NIfTI-1 files made by hand. */

interface NiftiOptions {
  readonly code?: number
  readonly bits?: number
  readonly isLittle?: boolean
  readonly slope?: number
  readonly intercept?: number
  readonly offset?: number
  readonly magic?: string
  readonly headerSize?: number
  readonly rank?: number
  readonly spacing?: readonly number[]
}

type Setter = 'setUint8' | 'setInt8' | 'setInt16' | 'setUint16' | 'setInt32' | 'setUint32' | 'setFloat32' | 'setFloat64'

/** Bits and writers by the codes of types. */
const kinds: Readonly<Record<number, readonly [bits: number, set: Setter]>> = {
  2: [8, 'setUint8'],
  4: [16, 'setInt16'],
  8: [32, 'setInt32'],
  16: [32, 'setFloat32'],
  64: [64, 'setFloat64'],
  256: [8, 'setInt8'],
  512: [16, 'setUint16'],
  768: [32, 'setUint32'],
}

/** A file with the extents of the header, columns first, and values in the order of the file. */
export function nifti(extents: readonly number[], values: readonly number[], options: NiftiOptions = {}): Uint8Array {
  const { code = 4, isLittle = true, slope = 0, intercept = 0, offset = 352, magic = 'n+1\0' } = options
  const [own, set] = kinds[code] ?? [16, 'setInt16']
  const { bits = own, headerSize = 348, rank = extents.length, spacing = extents.map(() => 1) } = options
  const start = Number.isInteger(offset) && offset >= 348 && offset < 4096 ? offset : 352
  const bytes = new Uint8Array(start + (values.length * own) / 8)
  const view = new DataView(bytes.buffer)
  view.setInt32(0, headerSize, isLittle)
  view.setInt16(40, rank, isLittle)
  for (let axis = 0; axis < 7; axis++) {
    view.setInt16(42 + 2 * axis, extents[axis] ?? 1, isLittle)
    view.setFloat32(80 + 4 * axis, spacing[axis] ?? 1, isLittle)
  }
  view.setInt16(70, code, isLittle)
  view.setInt16(72, bits, isLittle)
  view.setFloat32(108, offset, isLittle)
  view.setFloat32(112, slope, isLittle)
  view.setFloat32(116, intercept, isLittle)
  Array.from(magic, (letter, i) => view.setUint8(344 + i, letter.charCodeAt(0)))
  values.forEach((value, i) => view[set](start + (i * own) / 8, value, isLittle))
  return bytes
}
