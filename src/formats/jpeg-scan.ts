/**
 * The entropy coded data of JPEG pictures (ITU-T T.81, annexes F and G): Huffman codes, and the scans of sequential and
 * progressive pictures, which give the coefficients of blocks of 8 × 8 samples.
 */

/** What to throw where data are wrong. */
export type Fail = (what: string) => Error

/** Where the n-th coefficient of the file belongs in a block, row by row (T.81, figure 5). */
export const zigzag: Uint8Array = Uint8Array.of(
  ...[0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48],
  ...[41, 34, 27, 20, 13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23],
  ...[30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63],
)

/** One colour of a picture. */
export interface Component {
  readonly id: number
  /** Blocks of a unit, in which the components of a scan take turns: columns and rows. */
  readonly h: number
  readonly v: number
  /** Samples for each column and row of the picture. */
  readonly scaleX: number
  readonly scaleY: number
  /** The number of its quantization table, and the table, which is that of its first scan. */
  readonly quantizer: number
  table: Int32Array | undefined
  /** Blocks that cover the picture. */
  readonly columns: number
  readonly rows: number
  /** Blocks of whole units, which are stored. */
  readonly storedColumns: number
  readonly storedRows: number
  /** 64 coefficients of each stored block, row by row. */
  blocks: Int16Array
  /** Of each block of a progressive picture two words: a bit for each coefficient, in the order of the file, that is known. */
  known: Int32Array
  /** Coefficients that scans went through. */
  passed: number
}

/** Bits that are looked up at once. */
const LOOKUP_BITS = 9
const LONGEST_CODE = 16

/** The table of a code that is not ready. */
const none = new Uint16Array(0)

/** A Huffman code as T.81 writes it: how many codes there are of each length, and their values. */
export class HuffmanTable {
  readonly #values: Uint8Array
  readonly #counts: Uint8Array
  /** By the next bits: value · 32 + length; 0: a longer code, or none. Filled when a scan uses the code: many may be replaced before. */
  #lookup = none
  /** By length: the code after the last of it, filled up to 16 bits; and what to add to a code for the place of its value. */
  readonly #ends = new Int32Array(LONGEST_CODE + 1)
  readonly #offsets = new Int32Array(LONGEST_CODE + 1)

  constructor(counts: Uint8Array, values: Uint8Array, fail: Fail) {
    this.#values = values
    this.#counts = counts
    let code = 0
    let place = 0
    for (let length = 1; length <= LONGEST_CODE; length++) {
      const count = counts[length - 1]!
      if (code + count > 1 << length) throw fail('a Huffman table has more codes than fit their lengths')
      this.#offsets[length] = place - code
      place += count
      code += count
      this.#ends[length] = code << (LONGEST_CODE - length)
      code <<= 1
    }
  }

  /** The table, ready to be read by. */
  prepared(): this {
    if (this.#lookup !== none) return this
    const lookup = new Uint16Array(1 << LOOKUP_BITS)
    // Codes of one length are numbers in a row, and stand in the order of their values.
    let [begin, place] = [0, 0]
    for (let length = 1; length <= LOOKUP_BITS; length++) {
      const width = 1 << (LOOKUP_BITS - length)
      for (let i = 0; i < this.#counts[length - 1]!; i++) {
        lookup.fill((this.#values[place++]! << 5) | length, begin, (begin += width))
      }
    }
    this.#lookup = lookup
    return this
  }

  /** The value whose code comes next. */
  read(bits: BitReader): number {
    const next = bits.peek16()
    const entry = this.#lookup[next >> (LONGEST_CODE - LOOKUP_BITS)]!
    if (entry > 0) {
      bits.drop(entry & 31)
      return entry >> 5
    }
    for (let length = LOOKUP_BITS + 1; length <= LONGEST_CODE; length++) {
      if (next < this.#ends[length]!) {
        bits.drop(length)
        return this.#values[(next >> (LONGEST_CODE - length)) + this.#offsets[length]!]!
      }
    }
    throw bits.fail('a Huffman code that stands for nothing')
  }
}

/** The bits of a scan, the highest of each byte first, without the zeros that are stuffed after bytes of 255. */
export class BitReader {
  readonly #bytes: Uint8Array
  readonly fail: Fail
  /** The next byte: at the end of the data, the marker that comes there. */
  #at: number
  #hold = 0
  #bits = 0
  /** How many of the bits are zeros after the end. */
  #padding = 0

  constructor(bytes: Uint8Array, at: number, fail: Fail) {
    this.#bytes = bytes
    this.#at = at
    this.fail = fail
  }

  #need(count: number): void {
    while (this.#bits < count) {
      let byte = 0
      const next = this.#bytes[this.#at]
      if (next === undefined || (next === 0xff && this.#bytes[this.#at + 1] !== 0)) this.#padding += 8
      else {
        byte = next
        this.#at += next === 0xff ? 2 : 1
      }
      this.#hold = (this.#hold << 8) | byte
      this.#bits += 8
    }
  }

  /** Whether bits behind the end of the file were asked for. */
  get isPastEnd(): boolean {
    return this.#padding > 0 && this.#at + 1 >= this.#bytes.length
  }

  /** The next 16 bits, zeros after the end. */
  peek16(): number {
    this.#need(16)
    return (this.#hold >>> (this.#bits - 16)) & 0xffff
  }

  drop(count: number): void {
    this.#bits -= count
    if (this.#bits < this.#padding) throw this.fail('the data of a scan end too soon')
  }

  /** The next 0 to 16 bits as a number. */
  take(count: number): number {
    this.#need(count)
    const value = (this.#hold >>> (this.#bits - count)) & ((1 << count) - 1)
    this.drop(count)
    return value
  }

  /** A number of so many bits, negative ones below those that begin with 1 (T.81, F.2.2.1). */
  takeSigned(count: number): number {
    const value = this.take(count)
    return count > 0 && value < 1 << (count - 1) ? value - (1 << count) + 1 : value
  }

  /** Forgets the bits that are left, and gives the place of the marker that comes next. */
  marker(): number {
    this.#hold = this.#bits = this.#padding = 0
    const bytes = this.#bytes
    // A marker is 255 and neither 0, which is stuffed, nor 255, which fills.
    while (
      this.#at < bytes.length &&
      (bytes[this.#at] !== 0xff || bytes[this.#at + 1] === 0 || bytes[this.#at + 1] === 0xff)
    ) {
      this.#at++
    }
    return this.#at
  }

  /** Whether a restart marker (RST0 to RST7) stands at a place. */
  isRestart(place: number): boolean {
    const code = this.#bytes[place + 1] ?? 0
    return code >= 0xd0 && code <= 0xd7
  }

  /** Moves past the marker that `marker` found. */
  skipMarker(): void {
    this.#at += 2
  }
}

/** A scan: the components that take turns in it, with their codes, and which part of their coefficients it gives. */
export interface Scan {
  readonly parts: readonly ScanPart[]
  readonly progressive: boolean
  /** The coefficients from `first` to `last`, in the order of the file. */
  readonly first: number
  readonly last: number
  /** Whether earlier scans gave their higher bits. Then this one gives bit `low`, otherwise all bits from `low` on. */
  readonly refines: boolean
  readonly low: number
  /** Units after which the decoder starts anew, behind a marker; 0: never. */
  readonly restartInterval: number
}

/** A component with the Huffman codes that its scan uses: those that it does not need may be missing. */
export interface ScanPart {
  readonly component: Component
  readonly dc: HuffmanTable | undefined
  readonly ac: HuffmanTable | undefined
}

/** The most often that scans may go through a coefficient: once for each of its bits, 14 with a sign. */
const PASSES = 14

/**
 * Reads a scan into the blocks of its components, and gives the place of the marker after it.
 * @throws what `bits.fail` makes when data are missing or wrong
 */
export function readScan(
  scan: Scan,
  bits: BitReader,
  units: { readonly columns: number; readonly rows: number },
): number {
  const { parts, first, last, progressive, refines, restartInterval } = scan
  for (const { dc, ac } of parts) {
    if ((first === 0 && !refines && !dc) || ((!progressive || first > 0) && !ac)) {
      throw bits.fail('a scan whose Huffman table is missing')
    }
  }
  for (const { component } of parts) {
    component.passed += (last - first + 1) * component.columns * component.rows
    if (component.passed > PASSES * 64 * component.columns * component.rows) {
      throw bits.fail('more scans than a picture can have')
    }
  }
  const decoder = new BlockDecoder(scan, bits)
  const [{ component: only } = { component: undefined }] = parts
  // A component alone has its own blocks, without those that fill the last units.
  const alone = parts.length === 1 ? only : undefined
  const columns = alone?.columns ?? units.columns
  const total = columns * (alone?.rows ?? units.rows)
  const interval = restartInterval || total
  for (let unit = 0; unit < total;) {
    if (unit > 0) {
      const marker = bits.marker()
      if (!bits.isRestart(marker)) throw bits.fail('a restart marker is missing')
      bits.skipMarker()
      decoder.restart()
    }
    for (const end = Math.min(unit + interval, total); unit < end;) {
      if (alone) {
        const row = Math.floor(unit / columns)
        // Blocks of a run take no bits of their own, so that they must take next to no time.
        const skipped = Math.min(decoder.run, (row + 1) * columns - unit, end - unit)
        if (skipped > 0) {
          decoder.passOver(64 * (row * alone.storedColumns + (unit - row * columns)), skipped)
          unit += skipped
          continue
        }
        decoder.read(0, 64 * (row * alone.storedColumns + (unit - row * columns)))
      } else {
        const row = Math.floor(unit / columns)
        const column = unit - row * columns
        for (let part = 0; part < parts.length; part++) {
          const { h, v, storedColumns } = parts[part]!.component
          for (let y = row * v; y < (row + 1) * v; y++) {
            for (let x = column * h; x < (column + 1) * h; x++) decoder.read(part, 64 * (y * storedColumns + x))
          }
        }
      }
      unit++
    }
  }
  return bits.marker()
}

/** Reads blocks, one after another. */
class BlockDecoder {
  readonly #scan: Scan
  readonly #bits: BitReader
  /** The last constant coefficient of each component, from which the next one differs. */
  readonly #previous: Int32Array
  /** Blocks in a row, from this one on, that have no new coefficients. */
  #run = 0

  constructor(scan: Scan, bits: BitReader) {
    this.#scan = scan
    this.#bits = bits
    this.#previous = new Int32Array(scan.parts.length)
  }

  restart(): void {
    this.#previous.fill(0)
    this.#run = 0
  }

  /** Blocks from here on that have no new coefficients. */
  get run(): number {
    return this.#run
  }

  /** Passes over blocks of the run, the first at `at`, one behind the other: what is known of them gets its next bit. */
  passOver(at: number, count: number): void {
    const { parts, first, last, refines } = this.#scan
    this.#run -= count
    if (!refines) return
    const { component } = parts[0] as ScanPart
    const { known } = component
    // The coefficients of the scan among the first 32 of a block, and among the others.
    const among = (begin: number): number => {
      const [from, to] = [Math.max(first - begin, 0), Math.min(last - begin, 31)]
      return from > to ? 0 : (-1 << from) & (-1 >>> (31 - to))
    }
    const [low, high] = [among(0), among(32)]
    const end = (at >> 5) + 2 * count
    for (let word = at >> 5; word < end; word += 2) {
      if (((known[word]! & low) | (known[word + 1]! & high)) !== 0) this.#refineKnown(component, word << 5, first)
    }
  }

  /** One more bit of the known coefficients of a block from place k on. */
  #refineKnown({ blocks, known }: Component, at: number, k: number): void {
    const { last, low } = this.#scan
    for (let word = k >> 5; word <= last >> 5; word++) {
      let left = known[(at >> 5) + word]!
      if (word === k >> 5) left &= -1 << (k & 31)
      for (; left !== 0; left &= left - 1) {
        const place = 32 * word + 31 - Math.clz32(left & -left)
        if (place <= last) this.#refineOne(blocks, at + zigzag[place]!, low)
      }
    }
  }

  /** Reads the block at `at` of a part of the scan. */
  read(part: number, at: number): void {
    const { progressive, first, refines } = this.#scan
    const { component, ...codes } = this.#scan.parts[part]!
    const { blocks } = component
    const dc = codes.dc as HuffmanTable
    const ac = codes.ac as HuffmanTable
    if (!progressive) this.#readWhole(part, blocks, at, dc, ac)
    else if (first === 0) this.#readConstant(part, blocks, at, dc)
    else if (refines) this.#refine(component, at, ac)
    else this.#readBand(component, at, ac)
  }

  #difference(part: number, dc: HuffmanTable): number {
    const size = dc.read(this.#bits)
    if (size > 15) throw this.#bits.fail('a coefficient of more than 15 bits')
    return (this.#previous[part] = this.#previous[part]! + this.#bits.takeSigned(size))
  }

  /** All 64 coefficients (T.81, F.2.2). */
  #readWhole(part: number, blocks: Int16Array, at: number, dc: HuffmanTable, ac: HuffmanTable): void {
    const bits = this.#bits
    blocks[at] = this.#difference(part, dc)
    for (let k = 1; k < 64; k++) {
      const entry = ac.read(bits)
      const size = entry & 15
      const run = entry >> 4
      if (size === 0 && run < 15) break
      k += run
      if (size === 0) continue
      if (k > 63) throw bits.fail('a block of more than 64 coefficients')
      blocks[at + zigzag[k]!] = bits.takeSigned(size)
    }
  }

  /** The constant coefficient, or a bit more of it (T.81, G.1.2.1). */
  #readConstant(part: number, blocks: Int16Array, at: number, dc: HuffmanTable): void {
    const { refines, low } = this.#scan
    if (refines) blocks[at] = blocks[at]! | (this.#bits.take(1) << low)
    else blocks[at] = this.#difference(part, dc) << low
  }

  /** Coefficients of which nothing is known yet (T.81, G.1.2.2). */
  #readBand({ blocks, known }: Component, at: number, ac: HuffmanTable): void {
    const bits = this.#bits
    const { first, last, low } = this.#scan
    for (let k = first; k <= last; k++) {
      const entry = ac.read(bits)
      const size = entry & 15
      const run = entry >> 4
      if (size === 0 && run < 15) {
        // This block ends here, and with it all of the run.
        this.#run = (1 << run) - 1 + bits.take(run)
        break
      }
      k += run
      if (size === 0) continue
      if (k > last) throw bits.fail('a block of more coefficients than its scan has')
      blocks[at + zigzag[k]!] = bits.takeSigned(size) << low
      known[(at >> 5) + (k >> 5)]! |= 1 << (k & 31)
    }
  }

  /** One more bit of known coefficients, and new ones whose highest bit it is (T.81, G.1.2.3). */
  #refine(component: Component, at: number, ac: HuffmanTable): void {
    const { blocks, known } = component
    const bits = this.#bits
    const { first, last, low } = this.#scan
    let k = first
    if (this.#run === 0) {
      for (; k <= last; k++) {
        const entry = ac.read(bits)
        let run = entry >> 4
        let value = 0
        if ((entry & 15) === 0) {
          if (run < 15) {
            this.#run = (1 << run) + bits.take(run)
            break
          }
        } else {
          if ((entry & 15) !== 1) throw bits.fail('a refinement of more than one bit')
          value = bits.take(1) === 1 ? 1 << low : -1 << low
        }
        // Known coefficients are refined on the way; the run counts those that are not known.
        for (; k <= last; k++) {
          if ((known[(at >> 5) + (k >> 5)]! >> (k & 31)) & 1) this.#refineOne(blocks, at + zigzag[k]!, low)
          else if (--run < 0) break
        }
        if (value === 0) continue
        if (k > last) throw bits.fail('a block of more coefficients than its scan has')
        blocks[at + zigzag[k]!] = value
        known[(at >> 5) + (k >> 5)]! |= 1 << (k & 31)
      }
    }
    if (this.#run > 0) {
      this.#refineKnown(component, at, k)
      this.#run--
    }
  }

  #refineOne(blocks: Int16Array, place: number, low: number): void {
    const value = blocks[place]!
    if (this.#bits.take(1) === 1) blocks[place] = value + (value < 0 ? -1 << low : 1 << low)
  }
}
