/** The numbers of volumes as files store them, and files that hold nothing else. */
import { checkList, checkNumber, checkWhole, wrongKind } from '../runtime/check.js'
import { FormatError } from '../runtime/errors.js'
import type { OwnFloats } from '../runtime/platform.js'
import { checkCount, needKeys, type Names } from '../runtime/options.js'
import { showShape } from '../runtime/text.js'
import { allocate, fileBytes, type FileBytes } from './limits.js'

/** A volume, or a series of volumes. */
export interface Volume {
  /** Extents, outermost first: (D, H, W), or (T, D, H, W) of a series; columns are next to each other. */
  readonly shape: readonly number[]
  /** The values, row-major. */
  readonly values: OwnFloats
}

interface VoxelKind {
  /** Bytes of a value. */
  readonly bytes: number
  readonly read: (view: DataView, at: number, isLittle: boolean) => number
}

/** Names of the types of stored values. */
export type VoxelType = 'uint8' | 'int8' | 'uint16' | 'int16' | 'uint32' | 'int32' | 'float32' | 'float64'

/** Types of stored values. */
export const voxelTypes: Readonly<Record<VoxelType, VoxelKind>> = {
  uint8: { bytes: 1, read: (view, at) => view.getUint8(at) },
  int8: { bytes: 1, read: (view, at) => view.getInt8(at) },
  uint16: { bytes: 2, read: (view, at, isLittle) => view.getUint16(at, isLittle) },
  int16: { bytes: 2, read: (view, at, isLittle) => view.getInt16(at, isLittle) },
  uint32: { bytes: 4, read: (view, at, isLittle) => view.getUint32(at, isLittle) },
  int32: { bytes: 4, read: (view, at, isLittle) => view.getInt32(at, isLittle) },
  float32: { bytes: 4, read: (view, at, isLittle) => view.getFloat32(at, isLittle) },
  float64: { bytes: 8, read: (view, at, isLittle) => view.getFloat64(at, isLittle) },
}

/** How values are stored, and what they stand for: slope · stored + intercept. */
export interface Stored {
  readonly type: VoxelType
  readonly isLittle: boolean
  readonly slope: number
  readonly intercept: number
}

/** The values of a part of a file, which holds as many. @throws OutOfMemoryError */
export function valuesOf(stored: Uint8Array, { type, isLittle, slope, intercept }: Stored, what: string): OwnFloats {
  const { bytes, read } = voxelTypes[type]
  const view = new DataView(stored.buffer, stored.byteOffset, stored.length)
  const count = stored.length / bytes
  const values = new Float32Array(allocate(4 * count, what).buffer)
  for (let i = 0; i < count; i++) values[i] = slope * read(view, i * bytes, isLittle) + intercept
  return values
}

/** Options of `readRaw`. */
export interface RawOptions {
  /** Extents, outermost first, such as (D, H, W). */
  readonly shape: readonly number[]
  /** How the values are stored. */
  readonly type: VoxelType
  /** Which byte of a value comes first: 'little', the lowest, or 'big'. Default 'little'. */
  readonly order?: 'little' | 'big'
  /** Bytes before the first value. Default 0. */
  readonly offset?: number
  /** Values are slope · stored + intercept. Default 1. */
  readonly slope?: number
  /** As `slope`. Default 0. */
  readonly intercept?: number
}

const rawNames = { shape: 0, type: 0, order: 0, offset: 0, slope: 0, intercept: 0 } satisfies Names<
  Required<RawOptions>
>

/**
 * Reads a file that holds the values of a volume one after another, and before them at most what `offset` passes over.
 *
 * @example
 * const { shape, values } = readRaw(bytes, 'foot.raw', { shape: [256, 256, 256], type: 'uint8' })
 * @param name what to call the file in errors, usually its path
 * @throws FormatError when the file has more or fewer bytes than the shape takes; ArgumentError; OutOfMemoryError
 */
export function readRaw(file: FileBytes, name: string, options: RawOptions): Volume {
  checkCount('readRaw', 3, arguments)
  if (typeof name !== 'string') throw wrongKind('readRaw: name', 'a text', name)
  const bytes = fileBytes(file, name)
  needKeys('readRaw', options, rawNames)
  const { shape, type, order = 'little', offset = 0, slope = 1, intercept = 0 } = options
  checkList(shape, 'readRaw: shape', 'a list of extents')
  for (const extent of shape) checkWhole(extent, 'readRaw: an extent')
  if (typeof type !== 'string' || !Object.hasOwn(voxelTypes, type)) {
    throw wrongKind('readRaw: type', `one of ${Object.keys(voxelTypes).join(', ')}`, type)
  }
  if (order !== 'little' && order !== 'big') throw wrongKind('readRaw: order', "'little' or 'big'", order)
  checkWhole(offset, 'readRaw: offset', 0)
  checkNumber(slope, 'readRaw: slope')
  checkNumber(intercept, 'readRaw: intercept')
  const needed = shape.reduce((product, extent) => product * extent, voxelTypes[type].bytes)
  if (offset + needed !== bytes.length) {
    const before = offset === 0 ? '' : ` after ${offset} others`
    throw new FormatError(
      `${name}: ${showShape(shape)} of ${type} takes ${needed} bytes${before}, the file has ${bytes.length}; is it another shape or type?`,
    )
  }
  const stored = { type, isLittle: order === 'little', slope, intercept }
  return { shape: [...shape], values: valuesOf(bytes.subarray(offset), stored, `${name}: the volume`) }
}
