/** IDX files, plain and in gzip, as MNIST is published: headers that promise too much, streams that are damaged. */
import { crc32, deflateRawSync, gunzipSync, inflateRawSync } from 'node:zlib'
import { readIdx, type IdxArray } from '../../../src/formats/idx.js'
import { mnistFromIdx } from '../../../src/data/mnist.js'
import { concat, latin1, mutateBytes, viewOf } from '../mutate.js'
import { interesting, type Random } from '../random.js'
import { accepted, attempt, defineTarget, expect, type Outcome } from '../target.js'

const bytesOf: Readonly<Record<number, number>> = { 8: 1, 9: 1, 0x0b: 2, 0x0c: 4, 0x0d: 4, 0x0e: 8 }

/** A valid file of a few elements. */
function validIdx(
  random: Random,
  type = Number(random.pick(Object.keys(bytesOf))),
  shape?: readonly number[],
): Uint8Array {
  const extents = shape ?? random.list(random.pick([1, 1, 2, 3, 3, 4, 30]), () => random.pick([1, 1, 2, 3, 5]))
  const kept = extents.length > 8 ? extents.map(() => 1) : extents
  const header = new Uint8Array(4 + 4 * kept.length)
  header.set([0, 0, type, kept.length])
  kept.forEach((extent, axis) => viewOf(header).setUint32(4 + 4 * axis, extent))
  return concat(header, random.bytes(kept.reduce((size, extent) => size * extent, bytesOf[type] as number)))
}

function changeHeader(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = bytes.slice()
  if (random.chance(0.3)) copy[random.below(4)] = random.below(256)
  else viewOf(copy).setUint32(4 + 4 * random.below(Math.max(1, copy[3] as number)), random.pick(interesting))
  return copy
}

const changedIdx = (random: Random): Uint8Array => {
  const bytes = validIdx(random)
  return random.pick([
    () => bytes,
    () => bytes,
    () => changeHeader(bytes, random),
    () => mutateBytes(bytes, random, [validIdx(random)]),
    // More or less than the header says, by much.
    () => concat(bytes, new Uint8Array(random.pick([1, 1000, 1 << 20, 1 << 24]))),
  ])()
}

/** A gzip file (RFC 1952) with any of the fields that its header may have. */
function gzip(content: Uint8Array, random: Random): Uint8Array {
  const flags = random.chance(0.4) ? random.below(32) : 0
  const extra = random.bytes(random.pick([0, 5, 500]))
  const length = Uint8Array.of(extra.length & 255, extra.length >> 8)
  const header = concat(
    Uint8Array.of(0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255),
    ...((flags & 4) !== 0 ? [length, extra] : []),
    ...((flags & 8) !== 0 ? [latin1('name\u0000')] : []),
    ...((flags & 16) !== 0 ? [latin1('comment\u0000')] : []),
  )
  const check = (flags & 2) === 0 ? [] : [Uint8Array.of(crc32(header) & 255, (crc32(header) >> 8) & 255)]
  const trailer = new Uint8Array(8)
  viewOf(trailer).setUint32(0, crc32(content), true)
  viewOf(trailer).setUint32(4, content.length, true)
  return concat(header, ...check, deflateRawSync(content, { level: random.between(0, 9) }), trailer)
}

function changedGzip(random: Random): Uint8Array {
  const file = gzip(changedIdx(random), random)
  return random.pick([
    () => file,
    () => file,
    () => mutateBytes(file, random, [gzip(validIdx(random), random)]),
    () => concat(file, gzip(validIdx(random), random)),
    () => gzip(file, random),
    () => concat(file, new Uint8Array(random.between(1, 40))),
  ])()
}

/** The content by zlib, which checks sums; 'damaged' where they tell, undefined where zlib takes the stream for none. */
function inflated(bytes: Uint8Array): Uint8Array | 'damaged' | undefined {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes
  try {
    return new Uint8Array(gunzipSync(bytes, { maxOutputLength: 1 << 26 }))
  } catch (error) {
    return /incorrect (data|length) check|unexpected end/.test((error as Error).message) ? 'damaged' : undefined
  }
}

/** Whether a gzip file is one member without flags that nobody has defined, and nothing after it. */
function isOrdinary(bytes: Uint8Array): boolean {
  const flags = bytes[3] as number
  if (flags >= 32) return false
  let at = 10
  if ((flags & 4) !== 0) at += 2 + viewOf(bytes).getUint16(at, true)
  for (const text of [8, 16]) if ((flags & text) !== 0) at = bytes.indexOf(0, at) + 1
  if ((flags & 2) !== 0) at += 2
  const { engine } = inflateRawSync(bytes.subarray(at), { info: true }) as unknown as {
    engine: { bytesWritten: number }
  }
  return at + engine.bytesWritten + 8 === bytes.length
}

/** Shape and elements by definition, as numbers; 'damaged' where the file is no IDX, undefined where zlib knows no better. */
function reference(bytes: Uint8Array): { shape: number[]; data: number[] } | 'damaged' | undefined {
  const content = inflated(bytes)
  if (content === undefined) return undefined
  if (content === 'damaged' || content.length < 8 || content[0] !== 0 || content[1] !== 0) return 'damaged'
  const [, , type = 0, rank = 0] = content
  const size = bytesOf[type]
  if (size === undefined || rank === 0 || content.length < 4 + 4 * rank) return 'damaged'
  const view = viewOf(content)
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis))
  const count = shape.reduce((product, extent) => product * extent, 1)
  if (count === 0 || content.length !== 4 + 4 * rank + count * size) return 'damaged'
  const readers: Readonly<Record<number, (at: number) => number>> = {
    8: (at) => view.getUint8(at),
    9: (at) => view.getInt8(at),
    0x0b: (at) => view.getInt16(at),
    0x0c: (at) => view.getInt32(at),
    0x0d: (at) => view.getFloat32(at),
    0x0e: (at) => view.getFloat64(at),
  }
  return {
    shape,
    data: Array.from({ length: count }, (_, i) => (readers[type] as (at: number) => number)(4 + 4 * rank + i * size)),
  }
}

function checkIdx(bytes: Uint8Array): Outcome {
  const known = reference(bytes)
  const array: IdxArray | undefined = attempt(() => readIdx(bytes, 'x.idx'))
  if (!array) {
    expect(typeof known !== 'object' || (bytes[0] === 0x1f && !isOrdinary(bytes)), 'a valid IDX file is refused')
    return 'refused'
  }
  expect(known !== 'damaged', 'a damaged IDX file is accepted')
  if (!known) return accepted(array.data.byteLength)
  expect(known.shape.join() === array.shape.join(), `shape (${array.shape.join()}) instead of (${known.shape.join()})`)
  expect(
    known.data.length === array.data.length && known.data.every((value, i) => Object.is(value, array.data[i])),
    'other elements',
  )
  return accepted(array.data.byteLength)
}

export const idx = defineTarget<Uint8Array>({
  about: 'readIdx of plain files: headers and bytes changed; elements against the definition',
  cases: 200,
  readsFiles: true,
  make: changedIdx,
  check: checkIdx,
})

export const gzipIdx = defineTarget<Uint8Array>({
  about: 'readIdx of gzip files: fields, streams, sums and bytes changed, bombs; elements against zlib',
  cases: 250,
  readsFiles: true,
  make: changedGzip,
  check: checkIdx,
})

/** Both files of a data set in one: the length of the first before them. */
export const mnist = defineTarget<Uint8Array>({
  about: 'mnistFromIdx of two files that may not belong together',
  cases: 150,
  readsFiles: true,
  make(random) {
    const N = random.between(1, 5)
    const images = validIdx(random, 8, [N, random.between(1, 4), random.between(1, 4)])
    const labels = concat(
      validIdx(random, 8, [N]).subarray(0, 8),
      Uint8Array.from(random.list(N, () => random.below(10))),
    )
    const change = (bytes: Uint8Array): Uint8Array =>
      random.pick([
        () => bytes,
        () => bytes,
        () => changeHeader(bytes, random),
        () => mutateBytes(bytes, random, [images, labels]),
      ])()
    const first = change(images)
    const length = new Uint8Array(4)
    viewOf(length).setUint32(0, first.length)
    return concat(length, first, change(labels))
  },
  check(bytes) {
    const length = bytes.length < 4 ? 0 : viewOf(bytes).getUint32(0)
    const set = mnistFromIdx(
      { bytes: bytes.subarray(4, 4 + length), name: 'images' },
      { bytes: bytes.subarray(4 + length), name: 'labels' },
    )
    const [C, H, W] = set.shape
    expect(
      set.images.length === set.size * C * H * W && set.labels.length === set.size,
      'images and labels of other sizes',
    )
    expect(
      set.labels.every((label) => label < set.classes.length),
      'a label without a class',
    )
    return accepted(set.images.length)
  },
})
