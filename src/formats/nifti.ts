/**
 * Volumes of medicine in the format NIfTI-1 (https://nifti.nimh.nih.gov/nifti-1): a header of 348 bytes in either order of bytes, what
 * extends it, and the values, columns first. One file, .nii, plain or compressed with gzip, .nii.gz.
 */
import { wrongKind } from '../runtime/check.js'
import { checkGzipEnd, isGzip, largestExpansion, openGzip } from './gzip.js'
import type { DataLimits } from './idx.js'
import { allocate, checkBytes, endsWithin, fileBytes, limitNames, type FileBytes } from './limits.js'
import { FormatError, UnsupportedError } from '../runtime/errors.js'
import { checkCount, checkKeys } from '../runtime/options.js'
import { showShape } from '../runtime/text.js'
import { valuesOf, voxelTypes, type Stored, type Volume, type VoxelType } from './voxels.js'

/** A volume of a NIfTI file. */
export interface NiftiVolume extends Volume {
  /** Distances between neighbours along the axes of the shape, in the order of the shape, as the header says them: mostly mm. */
  readonly spacing: readonly number[]
}

const HEADER = 348

/** Types by the codes of the header. */
const types: ReadonlyMap<number, VoxelType> = new Map([
  [2, 'uint8'],
  [4, 'int16'],
  [8, 'int32'],
  [16, 'float32'],
  [64, 'float64'],
  [256, 'int8'],
  [512, 'uint16'],
  [768, 'uint32'],
])

/** Types that are not read, for messages. */
const otherTypes: ReadonlyMap<number, string> = new Map([
  [1, 'single bits'],
  [32, 'complex numbers'],
  [128, 'colours (RGB)'],
  [1024, 'whole numbers of 64 bits'],
  [1280, 'whole numbers of 64 bits'],
  [1536, 'floats of 128 bits'],
  [1792, 'complex numbers'],
  [2048, 'complex numbers'],
  [2304, 'colours (RGBA)'],
])

interface Header extends Stored {
  readonly shape: readonly number[]
  readonly spacing: readonly number[]
  /** Where the values begin, and where they end. */
  readonly offset: number
  readonly end: number
}

/**
 * Reads a NIfTI-1 file, .nii or .nii.gz: values as the header scales them (scl_slope, scl_inter), the shape outermost first,
 * (D, H, W) or (T, D, H, W), where the header's first extent is W. Orientation is not applied.
 *
 * @example
 * const { shape, spacing, values } = decodeNifti(await readFile('head.nii.gz'), 'head.nii.gz')
 * const x = tensor(values, [1, 1, ...shape]) // (1, 1, D, H, W)
 * @param name what to call the file in errors, usually its path
 * @param limits of the memory that reading may take, by default 512 MiB
 * @throws FormatError when the file is none, is damaged, cut short or too long for what its header says; UnsupportedError for other
 *   types, pairs of files and NIfTI-2; OutOfMemoryError
 */
export function decodeNifti(file: FileBytes, name: string, limits: DataLimits = {}): NiftiVolume {
  checkCount('decodeNifti', 3, arguments)
  checkKeys('decodeNifti', limits, limitNames)
  if (typeof name !== 'string') throw wrongKind('decodeNifti: name', 'a text', name)
  const bytes = fileBytes(file, name)
  if (bytes.length === 0) throw new FormatError(`${name}: the file is empty; a NIfTI file was expected`)
  const isPacked = isGzip(bytes) || endsWithin(bytes, [0x1f, 0x8b])
  const [content, header] = isPacked ? unpack(bytes, name, limits) : [bytes, readHeader(bytes, name)]
  const { shape, spacing, offset, end, type } = header
  const takes = `${showShape(shape)} of ${type} takes ${end} bytes with the header`
  if (content.length < end) {
    throw new FormatError(`${name}: cut short: ${takes}, ${content.length} are given; fetch the file again`)
  }
  if (content.length > end) throw tooLong(name, takes, String(content.length))
  const stored = content.subarray(offset, end)
  const count = stored.length / voxelTypes[type].bytes
  checkBytes(`${name}: the volume`, 4 * count + (isPacked ? content.length : 0), limits)
  return { shape, spacing, values: valuesOf(stored, header, `${name}: the volume`) }
}

const tooLong = (name: string, takes: string, given: string): FormatError =>
  new FormatError(`${name}: bytes after the end: ${takes}, ${given} are given`)

/** What the header says, of a file of which at least the header is there. @throws FormatError, UnsupportedError */
function readHeader(bytes: Uint8Array, name: string): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (bytes.length < 4) throw new FormatError(`${name}: cut short: ${bytes.length} bytes hold no NIfTI header`)
  const isLittle = view.getInt32(0, true) === HEADER
  if (!isLittle && view.getInt32(0, false) !== HEADER) {
    if (view.getInt32(0, true) === 540 || view.getInt32(0, false) === 540)
      throw new UnsupportedError(`${name}: NIfTI-2 is not read; save it as NIfTI-1`)
    throw new FormatError(`${name}: no NIfTI file: it does not begin with the length of its header, 348`)
  }
  if (bytes.length < HEADER) {
    throw new FormatError(`${name}: cut short: a NIfTI header has ${HEADER} bytes, ${bytes.length} are given`)
  }
  const magic = String.fromCharCode(...bytes.subarray(344, 347))
  if (magic === 'ni1')
    throw new UnsupportedError(`${name}: is one of a pair of files (.hdr, .img); save both as one file, .nii`)
  if (magic !== 'n+1') throw new FormatError(`${name}: no NIfTI file: its header does not end with n+1 (Analyze 7.5?)`)
  const whole = (at: number): number => view.getInt16(at, isLittle)
  const float = (at: number): number => view.getFloat32(at, isLittle)
  const rank = whole(40)
  if (!(rank >= 1 && rank <= 7)) throw new FormatError(`${name}: the header says ${rank} axes; 1 to 7 are known`)
  const extents = Array.from({ length: rank }, (_, axis) => whole(42 + 2 * axis))
  if (!extents.every((extent) => extent >= 1))
    throw new FormatError(`${name}: the header says the extents ${showShape(extents)}; each must be at least 1`)
  const code = whole(70)
  const type = types.get(code)
  if (!type) {
    throw new UnsupportedError(
      `${name}: values of the type ${code}${otherTypes.has(code) ? `, ${otherTypes.get(code)},` : ''} are not read; ${[...types.values()].join(', ')} are`,
    )
  }
  const { bytes: size } = voxelTypes[type]
  if (whole(72) !== 8 * size) {
    throw new FormatError(
      `${name}: the header contradicts itself: ${type} has ${8 * size} bits, and it says ${whole(72)}`,
    )
  }
  const offset = float(108)
  if (!(Number.isInteger(offset) && offset >= HEADER))
    throw new FormatError(`${name}: the header says that the values begin at byte ${offset}, within it`)
  const end = extents.reduce((product, extent) => product * extent, size) + offset
  if (!Number.isSafeInteger(end))
    throw new FormatError(`${name}: ${showShape(extents)} takes more bytes than can be addressed`)
  const [slope, intercept] = [float(112), float(116)]
  const isScaled = Number.isFinite(slope) && slope !== 0 && Number.isFinite(intercept)
  // Outermost first, and of axes beyond three those that are one.
  const axes = Array.from({ length: rank }, (_, axis) => rank - 1 - axis)
  while (axes.length > 3 && extents[axes[0] as number] === 1) axes.shift()
  return {
    ...{ type, isLittle, offset, end },
    shape: axes.map((axis) => extents[axis] as number),
    spacing: axes.map((axis) => float(80 + 4 * axis)),
    slope: isScaled ? slope : 1,
    intercept: isScaled ? intercept : 0,
  }
}

/** The content of a gzip file, of which the header says how much there is: no more is inflated. */
function unpack(bytes: Uint8Array, name: string, limits: DataLimits): [content: Uint8Array, header: Header] {
  const { inflator, compressed, damaged } = openGzip(bytes, name)
  const start = new Uint8Array(HEADER)
  const begun = start.subarray(0, inflator.read(start))
  const header = readHeader(begun, name)
  const { end, shape, type } = header
  const takes = `${showShape(shape)} of ${type} takes ${end} bytes with the header`
  if (compressed * largestExpansion < end) throw damaged(`${takes}, which so few cannot hold`)
  const count = (end - header.offset) / voxelTypes[type].bytes
  checkBytes(`${name}: the volume`, end + 4 * count, limits)
  const content = allocate(end, `${name}: the content`)
  content.set(start)
  const length = HEADER + inflator.read(content.subarray(HEADER))
  if (inflator.read(new Uint8Array(1)) > 0) throw tooLong(name, takes, 'more')
  checkGzipEnd(inflator, content.subarray(0, length), name, 'a NIfTI file')
  return [content.subarray(0, length), header]
}
