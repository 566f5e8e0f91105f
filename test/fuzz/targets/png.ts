/** PNG files: valid ones of every kind, damaged by chunk, in their streams or anywhere, with checksums repaired or not. */
import { constants, crc32, deflateSync, inflateSync } from 'node:zlib'
import { Inflator } from '../../../src/formats/inflate.js'
import { decodePng, type PngImage } from '../../../src/formats/png.js'
import { concat, latin1, mutateBytes, viewOf } from '../mutate.js'
import { interesting, type Random } from '../random.js'
import { accepted, attempt, defineTarget, expect } from '../target.js'

interface Chunk {
  readonly type: string
  readonly data: Uint8Array
}

const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)

function chunkBytes({ type, data }: Chunk): Uint8Array {
  const body = concat(latin1(type), data)
  const frame = new Uint8Array(4)
  viewOf(frame).setUint32(0, data.length)
  const checksum = new Uint8Array(4)
  viewOf(checksum).setUint32(0, crc32(body))
  return concat(frame, body, checksum)
}

const fileOf = (chunks: readonly Chunk[]): Uint8Array => concat(signature, ...chunks.map(chunkBytes))

/** Chunks up to IEND, and whether the checksum of one does not match; undefined where there is no such row of chunks. */
function readChunks(bytes: Uint8Array): { readonly chunks: Chunk[]; readonly damaged: boolean } | undefined {
  if (!signature.every((byte, i) => bytes[i] === byte)) return undefined
  const chunks: Chunk[] = []
  let damaged = false
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = viewOf(bytes).getUint32(at)
    if (length > bytes.length - at - 12) return undefined
    const body = bytes.subarray(at + 4, at + 8 + length)
    damaged ||= crc32(body) !== viewOf(bytes).getUint32(at + 8 + length)
    chunks.push({ type: String.fromCharCode(...body.subarray(0, 4)), data: body.subarray(4) })
    at += 12 + length
    if (chunks.at(-1)?.type === 'IEND') return { chunks, damaged }
  }
  return undefined
}

const samplesOf: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }
const depthsOf: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
}

/** Left, top, and steps of the passes of a picture. */
const passes = (interlaced: boolean): readonly (readonly [number, number, number, number])[] =>
  interlaced
    ? [
        [0, 0, 8, 8],
        [4, 0, 8, 8],
        [0, 4, 4, 8],
        [2, 0, 4, 4],
        [0, 2, 2, 4],
        [1, 0, 2, 2],
        [0, 1, 1, 2],
      ]
    : [[0, 0, 1, 1]]

interface Header {
  readonly width: number
  readonly height: number
  readonly depth: number
  readonly color: number
  readonly interlaced: boolean
}

function headerOf(data: Uint8Array): Header | undefined {
  if (data.length !== 13) return undefined
  const [depth = 0, color = 0, compression, filter, interlace = 0] = data.subarray(8)
  const width = viewOf(data).getUint32(0)
  const height = viewOf(data).getUint32(4)
  const legal = width > 0 && height > 0 && depthsOf[color]?.includes(depth) === true
  if (!legal || compression !== 0 || filter !== 0 || interlace > 1) return undefined
  return { width, height, depth, color, interlaced: interlace === 1 }
}

const rowBytes = ({ depth, color }: Header, columns: number): number =>
  Math.ceil((columns * (samplesOf[color] as number) * depth) / 8)

/** The rows of each pass: how many there are, and pixels in each. */
const rowsOf = (
  header: Header,
): { left: number; top: number; stepX: number; stepY: number; rows: number; columns: number }[] =>
  passes(header.interlaced)
    .map(([left, top, stepX, stepY]) => ({
      ...{ left, top, stepX, stepY },
      rows: Math.ceil((header.height - top) / stepY),
      columns: Math.ceil((header.width - left) / stepX),
    }))
    .filter(({ rows, columns }) => rows > 0 && columns > 0)

const paeth = (a: number, b: number, c: number): number => {
  const [pa, pb, pc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)]
  return pa <= pb && pa <= pc ? a : pb <= pc ? b : c
}

/** Samples (height, width, samples) by definition; undefined where the filters are none. */
function unfilter(stream: Uint8Array, header: Header): Uint16Array | undefined {
  const { width, height, depth, color } = header
  const samples = samplesOf[color] as number
  const back = Math.max(1, (samples * depth) >> 3)
  const values = new Uint16Array(width * height * samples)
  let at = 0
  for (const { left, top, stepX, stepY, rows, columns } of rowsOf(header)) {
    const length = rowBytes(header, columns)
    let above = new Uint8Array(length)
    for (let row = 0; row < rows; row++) {
      const filter = stream[at++] as number
      if (filter > 4) return undefined
      const line = stream.slice(at, at + length)
      at += length
      for (let i = 0; i < length; i++) {
        const a = line[i - back] ?? 0
        const b = above[i] as number
        const c = above[i - back] ?? 0
        const guess = [0, a, b, (a + b) >> 1, paeth(a, b, c)][filter] as number
        line[i] = (line[i] as number) + guess
      }
      above = line
      for (let i = 0; i < columns * samples; i++) {
        const bit = i * depth
        const value =
          depth === 16
            ? ((line[2 * i] as number) << 8) | (line[2 * i + 1] as number)
            : ((line[bit >> 3] as number) >> (8 - depth - (bit & 7))) & ((1 << depth) - 1)
        const x = left + stepX * Math.floor(i / samples)
        const y = top + stepY * row
        values[(y * width + x) * samples + (i % samples)] = value
      }
    }
  }
  return values
}

/** What a picture is by the definition of PNG, slowly. */
interface Reference {
  /** A checksum does not match, or data are missing: it must be refused. */
  readonly damaged: boolean
  /** Nothing is wrong with it: it must be read. */
  readonly valid: boolean
  readonly image?: PngImage
}

const unknown: Reference = { damaged: false, valid: false }
const damaged: Reference = { damaged: true, valid: false }

/** Whether a stream gives more than so many bytes before anything is wrong with it, which zlib does not tell. */
function isLonger(compressed: Uint8Array, bytes: number): boolean {
  const parts = [compressed]
  try {
    const inflator = new Inflator(
      () => parts.pop(),
      (what) => new Error(what),
    )
    inflator.byte()
    inflator.byte()
    return inflator.read(new Uint8Array(bytes)) === bytes && inflator.read(new Uint8Array(1)) === 1
  } catch {
    return false
  }
}

/** What a stream inflates to, up to a byte more than the limit; what follows the stream is passed over. */
function inflate(compressed: Uint8Array, limit: number): Uint8Array | 'longer' | undefined {
  try {
    return inflateSync(compressed, { maxOutputLength: limit + 1 })
  } catch (error) {
    const isLarge = (error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE'
    return isLarge || isLonger(compressed, limit) ? 'longer' : undefined
  }
}

function reference(bytes: Uint8Array): Reference {
  const read = readChunks(bytes)
  if (!read || read.damaged) return damaged
  const [first, ...rest] = read.chunks
  const header = first?.type === 'IHDR' ? headerOf(first.data) : undefined
  if (!header) return damaged
  const { width, height, depth, color } = header
  if (width * height > 2 ** 22) return unknown
  const expected = rowsOf(header).reduce((sum, { rows, columns }) => sum + rows * (1 + rowBytes(header, columns)), 0)
  const compressed = concat(...rest.filter(({ type }) => type === 'IDAT').map(({ data }) => data))
  const inflated = inflate(compressed, expected)
  // More rows than there are need not be inflated, so that nothing is known of their checksum.
  if (inflated === 'longer') return unknown
  if (inflated === undefined || inflated.length < expected) return damaged
  const samples = unfilter(inflated.subarray(0, expected), header)
  const of = (type: string): Chunk[] => rest.filter((chunk) => chunk.type === type)
  const order = rest
    .map(({ type }) => type)
    .filter((type) => !/^[a-z]/.test(type) || type === 'tRNS')
    .join(' ')
  const [palette, transparency] = [of('PLTE').at(-1)?.data, of('tRNS').at(-1)?.data]
  const orderly =
    /^(PLTE )?(tRNS )?(IDAT )+IEND$/.test(order) &&
    /(^| )IDAT( IDAT)* (?!.*IDAT)/.test(rest.map(({ type }) => type).join(' '))
  const grey = color === 0 || color === 4
  const paletteFits = palette
    ? !grey && palette.length % 3 === 0 && palette.length > 0 && palette.length <= 768
    : color !== 3
  const depthFits = color !== 3 || !palette || palette.length / 3 <= 1 << depth
  const transparencyFits =
    !transparency ||
    (color === 3 && palette !== undefined && transparency.length <= palette.length / 3) ||
    (color < 3 && transparency.length === 2 * (samplesOf[color] as number))
  const sound = samples !== undefined && paletteFits && depthFits && transparencyFits
  const inRange = color !== 3 || samples?.every((value) => value < (palette?.length ?? 0) / 3) === true
  if (!sound || !inRange) return unknown
  return {
    damaged: false,
    valid: orderly && rest.at(-1)?.data.length === 0,
    image: imageOf(header, samples, palette, transparency),
  }
}

function imageOf(
  { width, height, depth, color }: Header,
  values: Uint16Array,
  palette: Uint8Array | undefined,
  transparency: Uint8Array | undefined,
): PngImage {
  const samples = samplesOf[color] as number
  const keyed = transparency !== undefined && color < 4
  const colors = color === 3 ? 3 : samples
  const channels = colors + (keyed ? 1 : 0)
  const key =
    keyed && color < 3
      ? Array.from({ length: samples }, (_, i) => viewOf(transparency).getUint16(2 * i) & ((1 << depth) - 1))
      : []
  const data = new Uint8Array(width * height * channels)
  for (let i = 0; i < width * height; i++) {
    const pixel = values.subarray(i * samples, (i + 1) * samples)
    if (color === 3) {
      const index = pixel[0] as number
      data.set((palette as Uint8Array).subarray(3 * index, 3 * index + 3), i * channels)
      if (keyed) data[i * channels + 3] = transparency[index] ?? 255
    } else {
      pixel.forEach((value, c) => (data[i * channels + c] = Math.round((value * 255) / ((1 << depth) - 1))))
      if (keyed) data[i * channels + samples] = pixel.every((value, c) => value === key[c]) ? 0 : 255
    }
  }
  return { width, height, channels: channels as PngImage['channels'], data }
}

const zlib = (stream: Uint8Array, random: Random): Uint8Array =>
  deflateSync(stream, {
    level: random.between(0, 9),
    strategy: random.pick([constants.Z_DEFAULT_STRATEGY, constants.Z_FIXED, constants.Z_RLE]),
  })

function headerData({ width, height, depth, color, interlaced }: Header): Uint8Array {
  const data = new Uint8Array(13)
  viewOf(data).setUint32(0, width)
  viewOf(data).setUint32(4, height)
  data.set([depth, color, 0, 0, interlaced ? 1 : 0], 8)
  return data
}

/** A valid picture, small. */
function validChunks(random: Random): Chunk[] {
  const color = random.pick([0, 2, 3, 4, 6])
  const depth = random.pick(depthsOf[color] as number[])
  const extent = (): number => random.pick([1, 2, 3, 4, 5, 7, 8, 9, 12, 17])
  const header: Header = { width: extent(), height: extent(), depth, color, interlaced: random.chance(0.3) }
  const entries = Math.min(1 << depth, 256)
  const stream = concat(
    ...rowsOf(header).flatMap(({ rows, columns }) =>
      random.list(rows, () => {
        const content = random.chance(0.5)
          ? random.bytes(rowBytes(header, columns))
          : new Uint8Array(rowBytes(header, columns))
        return concat(Uint8Array.of(random.below(5)), content)
      }),
    ),
  )
  const compressed = zlib(stream, random)
  const cut = random.chance(0.3) ? random.below(compressed.length + 1) : compressed.length
  const transparency =
    color === 3 ? random.bytes(random.between(0, entries)) : random.bytes(2 * (samplesOf[color] as number))
  return [
    { type: 'IHDR', data: headerData(header) },
    ...(random.chance(0.1) ? [{ type: 'tEXt', data: latin1('Title\u0000x') }] : []),
    ...(color === 3 ? [{ type: 'PLTE', data: random.bytes(3 * entries) }] : []),
    ...(color < 4 && random.chance(0.4) ? [{ type: 'tRNS', data: transparency }] : []),
    { type: 'IDAT', data: compressed.subarray(0, cut) },
    ...(cut < compressed.length ? [{ type: 'IDAT', data: compressed.subarray(cut) }] : []),
    { type: 'IEND', data: new Uint8Array(0) },
  ]
}

/** The pixels' stream changed and compressed again: another length, other filters, a bomb. */
function changeStream(chunks: readonly Chunk[], random: Random): Chunk[] {
  const compressed = concat(...chunks.filter(({ type }) => type === 'IDAT').map(({ data }) => data))
  const stream = new Uint8Array(inflateSync(compressed))
  const changed = ((): Uint8Array => {
    switch (random.below(5)) {
      case 0:
        return zlib(mutateBytes(stream, random), random)
      case 1:
        return zlib(new Uint8Array(random.pick([0, 1, stream.length, 1 << 16, 1 << 20, 1 << 23])), random)
      case 2:
        return mutateBytes(compressed, random)
      case 3:
        return compressed.subarray(0, random.below(compressed.length))
      default:
        return concat(compressed, random.bytes(random.between(1, 9)))
    }
  })()
  const at = chunks.findIndex(({ type }) => type === 'IDAT')
  return chunks
    .filter(({ type }, i) => type !== 'IDAT' || i === at)
    .map((chunk, i) => (i === at ? { type: 'IDAT', data: changed } : chunk))
}

function changeHeader(chunks: readonly Chunk[], random: Random): Chunk[] {
  return chunks.map((chunk) => {
    if (chunk.type !== 'IHDR') return chunk
    const data = chunk.data.slice()
    if (random.chance(0.7)) viewOf(data).setUint32(4 * random.below(2), random.pick(interesting))
    else data[random.between(8, 12)] = random.pick([0, 1, 2, 3, 4, 6, 8, 16, random.below(256)])
    return { type: 'IHDR', data }
  })
}

function changeChunks(chunks: readonly Chunk[], random: Random): Chunk[] {
  const at = random.below(chunks.length)
  const chunk = chunks[at] as Chunk
  const types = [
    'IHDR',
    'PLTE',
    'tRNS',
    'IDAT',
    'IEND',
    'iCCP',
    'zTXt',
    'acTL',
    'fdAT',
    'gAMA',
    'ABCD',
    'abcd',
    '\u0000\u0000\u0000\u0000',
  ]
  switch (random.below(6)) {
    case 0:
      return chunks.filter((_, i) => i !== at)
    case 1:
      return [
        ...chunks.slice(0, at),
        ...new Array<Chunk>(random.pick([2, 2, 3, 500])).fill(chunk),
        ...chunks.slice(at + 1),
      ]
    case 2:
      return random.shuffled(chunks)
    case 3:
      return chunks.map((other, i) => (i === at ? { type: random.pick(types), data: other.data } : other))
    case 4: {
      const data = random.chance(0.5)
        ? zlib(new Uint8Array(1 << random.between(4, 22)), random)
        : random.bytes(random.below(30))
      return [...chunks.slice(0, at), { type: random.pick(types), data }, ...chunks.slice(at)]
    }
    default:
      return chunks.map((other, i) => (i === at ? { type: other.type, data: mutateBytes(other.data, random) } : other))
  }
}

export function makePng(random: Random): Uint8Array {
  let chunks = validChunks(random)
  for (let changes = random.pick([0, 1, 1, 1, 2, 3]); changes > 0; changes--) {
    const change = random.pick([changeHeader, changeChunks, changeChunks, changeStream])
    try {
      chunks = change(chunks, random)
    } catch {
      // There is no stream left to be changed.
    }
  }
  const file = fileOf(chunks)
  return random.chance(0.25) ? mutateBytes(file, random, [fileOf(validChunks(random))]) : file
}

export function checkPng(bytes: Uint8Array): ReturnType<typeof accepted> | 'refused' {
  const known = reference(bytes)
  const image = attempt(() => decodePng(bytes, 'x.png'))
  if (!image) {
    expect(!known.valid, 'a valid PNG is refused')
    return 'refused'
  }
  expect(!known.damaged, 'a damaged PNG is accepted')
  const { width, height, channels, data } = image
  expect(data.length === width * height * channels, `${width} × ${height} × ${channels} pixels in ${data.length} bytes`)
  if (known.image) {
    const same = known.image.width === width && known.image.height === height && known.image.channels === channels
    expect(same && Buffer.compare(known.image.data, data) === 0, 'the pixels are not those of the definition')
  }
  return accepted(data.length)
}

export default defineTarget<Uint8Array>({
  about: 'decodePng: chunks, streams and bytes changed, checksums repaired or not; pixels against the definition',
  cases: 400,
  readsFiles: true,
  make: makePng,
  check: checkPng,
})
