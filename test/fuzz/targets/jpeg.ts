/** JPEG files: baseline, progressive, subsampled, grey and CMYK, damaged by segment, in their entropy-coded data or anywhere. */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { decodeJpeg } from '../../../src/formats/jpeg.js'
import { concat, mutateBytes, viewOf } from '../mutate.js'
import { interesting, type Random } from '../random.js'
import { accepted, attempt, defineTarget, expect } from '../target.js'

declare const __SEEDS__: string

/** A marker and what belongs to it: its length and parameters, and after SOS the entropy-coded data up to the next. */
interface Segment {
  readonly marker: number
  readonly data: Uint8Array
  /** Bytes after the parameters. */
  readonly scan: Uint8Array
}

const SOS = 0xda
const hasParameters = (marker: number): boolean => marker !== 0xd8 && marker !== 0xd9

function segmentsOf(bytes: Uint8Array): Segment[] {
  const segments: Segment[] = []
  for (let at = 0; at + 1 < bytes.length;) {
    const marker = bytes[at + 1] as number
    const length = hasParameters(marker) ? viewOf(bytes).getUint16(at + 2) : 0
    const after = at + 2 + length
    let end = after
    if (marker === SOS) {
      // Restart markers and stuffed zeros belong to the data.
      const isNext = (i: number): boolean =>
        bytes[i] === 0xff &&
        bytes[i + 1] !== 0 &&
        !((bytes[i + 1] as number) >= 0xd0 && (bytes[i + 1] as number) <= 0xd7)
      while (end < bytes.length && !isNext(end)) end++
    }
    segments.push({ marker, data: bytes.slice(at + 4, after), scan: bytes.slice(after, end) })
    at = end
  }
  return segments
}

const segmentBytes = ({ marker, data, scan }: Segment): Uint8Array => {
  if (!hasParameters(marker)) return concat(Uint8Array.of(0xff, marker), scan)
  const length = (data.length + 2) & 0xffff
  return concat(Uint8Array.of(0xff, marker, length >> 8, length & 255), data, scan)
}

let seeds: Segment[][] = []

/** The frame header's precision, rows, columns, components and their sampling. */
function changeFrame(data: Uint8Array, random: Random): Uint8Array {
  const copy = data.slice()
  if (copy.length < 7) return mutateBytes(copy, random)
  switch (random.below(5)) {
    case 0:
    case 1:
      viewOf(copy).setUint16(random.pick([1, 3]), random.pick([...interesting, 4000, 30_000, 65_500]))
      break
    case 2:
      copy[0] = random.pick([0, 1, 8, 12, 16, 255])
      break
    case 3:
      copy[5] = random.pick([0, 1, 2, 3, 4, 5, 255])
      break
    default:
      copy[random.between(6, copy.length - 1)] = random.pick([
        0,
        0x11,
        0x22,
        0x12,
        0x44,
        0xff,
        0x10,
        0x41,
        random.below(256),
      ])
  }
  return copy
}

function changeSegment(segments: readonly Segment[], random: Random): Segment[] {
  const at = random.below(segments.length)
  const segment = segments[at] as Segment
  const replace = (...by: Segment[]): Segment[] => [...segments.slice(0, at), ...by, ...segments.slice(at + 1)]
  switch (random.below(8)) {
    case 0:
      return replace()
    case 1:
      return replace(...new Array<Segment>(random.pick([2, 2, 3, 200])).fill(segment))
    case 2:
      return random.shuffled(segments)
    case 3:
      return replace({
        ...segment,
        marker: random.pick([
          0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc9, 0xda, 0xdb, 0xdc, 0xdd, 0xd8, 0xd9, 0xe0, 0xe1, 0xee, 0xfe, 0x01, 0xff,
        ]),
      })
    case 4:
      return replace({ ...segment, data: mutateBytes(segment.data, random) })
    case 5:
      return segments.map((other) =>
        other.scan.length > 0 ? { ...other, scan: mutateBytes(other.scan, random) } : other,
      )
    case 6:
      // Restart markers are expected every so many units.
      return replace(
        {
          marker: 0xdd,
          data: random.pick([Uint8Array.of(0, 1), Uint8Array.of(255, 255), Uint8Array.of(0, 0)]),
          scan: new Uint8Array(0),
        },
        segment,
      )
    default:
      return segments.map((other) =>
        (other.marker & 0xfc) === 0xc0 && other.marker !== 0xc4
          ? { ...other, data: changeFrame(other.data, random) }
          : other,
      )
  }
}

export default defineTarget<Uint8Array>({
  about: 'decodeJpeg: segments, frame headers, entropy-coded data and bytes changed',
  cases: 300,
  readsFiles: true,
  prepare() {
    const names = readdirSync(__SEEDS__).filter((name) => name.endsWith('.jpg'))
    seeds = names.sort().map((name) => segmentsOf(new Uint8Array(readFileSync(join(__SEEDS__, name)))))
  },
  make(random) {
    let segments = random.pick(seeds)
    for (let changes = random.pick([0, 1, 1, 1, 2, 3]); changes > 0 && segments.length > 0; changes--) {
      segments = changeSegment(segments, random)
    }
    const file = concat(...segments.map(segmentBytes))
    if (!random.chance(0.3)) return file
    const changed = mutateBytes(
      file,
      random,
      seeds.map((seed) => concat(...seed.map(segmentBytes))),
    )
    // The reader looks for an end first.
    return random.chance(0.5) ? changed : concat(changed, Uint8Array.of(0xff, 0xd9))
  },
  check(bytes) {
    const image = attempt(() => decodeJpeg(bytes, 'x.jpg'))
    const isSeed = seeds.some((seed) => Buffer.compare(concat(...seed.map(segmentBytes)), bytes) === 0)
    if (!image) {
      expect(!isSeed, 'a valid JPEG is refused')
      return 'refused'
    }
    const { width, height, channels, data } = image
    expect(width >= 1 && height >= 1, `${width} × ${height} pixels`)
    expect(
      data.length === width * height * channels,
      `${width} × ${height} × ${channels} pixels in ${data.length} bytes`,
    )
    return accepted(data.length)
  },
})
