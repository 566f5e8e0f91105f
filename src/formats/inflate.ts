/**
 * Inflation (RFC 1951) of as many bytes as are asked for, and no more: a small stream cannot ask for memory.
 *
 * fflate inflates all that a part of the stream holds, up to 1032 times its length, into arrays that double, and does not
 * tell where the stream ends. This reader holds 64 KiB of the output whatever the stream says, stops in the middle of it,
 * and then gives the bytes that follow the stream, where PNG and gzip have their checksums.
 */

/** What to throw where the stream is wrong. */
export type Fail = (what: string) => Error

/** Distances reach back so far. */
const WINDOW = 32_768
const LONGEST_MATCH = 258
/** Codes of up to so many bits are looked up, longer ones read bit by bit. */
const LOOKUP_BITS = 9
const LONGEST_CODE = 15
/** The longest code of a code length. */
const LENGTH_BITS = 7
/** Matches that are at least as long, from at least as far, are copied in one call. */
const LONG_DISTANCE = 32

// Lengths and distances (RFC 1951, 3.2.5): the first of each code, and the number of bits that are added to it.
const lengthBits = Uint8Array.from({ length: 29 }, (_, i) => (i < 8 || i === 28 ? 0 : (i >> 2) - 1))
const distanceBits = Uint8Array.from({ length: 30 }, (_, i) => (i < 4 ? 0 : (i >> 1) - 1))
const startsOf = (first: number, bits: Uint8Array): Uint16Array => {
  let start = first
  return Uint16Array.from(bits, (extra) => {
    const own = start
    start += 1 << extra
    return own
  })
}
const lengthStarts = [...startsOf(3, lengthBits).slice(0, -1), LONGEST_MATCH]
const distanceStarts = startsOf(1, distanceBits)

/** The order in which the lengths of the code for code lengths are written. */
const orderOfLengths = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]

/** After so many symbols of a code its table is made: before, each is read bit by bit. */
const SYMBOLS_BEFORE_TABLE = 24

/** The symbols of a code that are used, in ascending order, and the bits of each: what a block says of its codes. */
class Lengths {
  readonly symbols = new Uint16Array(320)
  readonly bits = new Uint8Array(320)
  count = 0

  /** Adds the symbols begin ≤ i < end. */
  add(begin: number, end: number, bits: number): void {
    for (let symbol = begin; symbol < end; symbol++) {
      this.symbols[this.count] = symbol
      this.bits[this.count++] = bits
    }
  }
}

/**
 * A Huffman code: its symbols in the order of their codes, how many there are of each length, and a table to look up in. A
 * hostile stream has a block, and so three codes, in every eight bytes: one object takes all of them, one after another,
 * in time that grows with the symbols that are used, and no table is made for blocks that hold next to nothing.
 */
class Code {
  readonly counts = new Uint16Array(LONGEST_CODE + 1)
  readonly symbols = new Uint16Array(288)
  /** By the next bits of the stream: symbol · 16 + length of its code; 0 for codes that are longer than that. */
  readonly table: Uint16Array
  readonly mask: number
  readonly #lookupBits: number
  /** Symbols that can be read before the table is made; at 0 it is there. */
  pending = 0
  /** By length: where its next symbol goes. */
  readonly #places = new Uint16Array(LONGEST_CODE + 2)

  constructor(lookupBits = LOOKUP_BITS) {
    this.#lookupBits = lookupBits
    this.table = new Uint16Array(1 << lookupBits)
    this.mask = this.table.length - 1
  }

  /** Takes the code in which symbols have these lengths. @throws when there is no such code */
  set(lengths: Lengths, fail: Fail): this {
    const { counts, symbols } = this
    const places = this.#places
    const { count: used, bits, symbols: given } = lengths
    counts.fill(0)
    for (let i = 0; i < used; i++) counts[bits[i] as number]!++
    let left = 1
    places[1] = 0
    for (let length = 1; length <= LONGEST_CODE; length++) {
      const count = counts[length] as number
      left = 2 * left - count
      if (left < 0) throw fail('more codes than fit their lengths')
      places[length + 1] = (places[length] as number) + count
    }
    // One code of one bit may stand alone, and no code at all where none is used.
    if (left > 0 && used !== counts[1]) throw fail('fewer codes than their lengths have room for')
    for (let i = 0; i < used; i++) symbols[places[bits[i] as number]!++] = given[i] as number
    this.pending = SYMBOLS_BEFORE_TABLE
    return this
  }

  /** Makes the table. */
  tabulate(): void {
    const { counts, symbols, table } = this
    table.fill(0)
    let index = 0
    for (let length = 1, code = 0; length <= this.#lookupBits; length++, code <<= 1) {
      for (let count = counts[length] as number; count > 0; count--, code++) {
        const entry = ((symbols[index++] as number) << 4) | length
        // Codes are written from their highest bit on, other numbers from their lowest.
        let reversed = 0
        for (let bit = 0; bit < length; bit++) reversed |= ((code >> bit) & 1) << (length - 1 - bit)
        for (let i = reversed; i < table.length; i += 1 << length) table[i] = entry
      }
    }
  }
}

const fixedCodes = (): readonly [Code, Code] => {
  const never: Fail = (what) => new Error(what)
  const literals = new Lengths()
  literals.add(0, 144, 8)
  literals.add(144, 256, 9)
  literals.add(256, 280, 7)
  literals.add(280, 288, 8)
  const distances = new Lengths()
  // 32 distances, of which two stand for nothing.
  distances.add(0, 32, 5)
  return [new Code().set(literals, never), new Code().set(distances, never)]
}

/** Reads a deflate stream that lies in parts, and the bytes before and after it. */
export class Inflator {
  readonly #next: () => Uint8Array | undefined
  readonly #fail: Fail
  #part: Uint8Array = new Uint8Array(0)
  #at = 0
  /** Bits that were taken from the input and not used: the lowest is the next. */
  #hold = 0
  #bits = 0
  /** Bytes of `#hold` that are zeros after the end of the input. */
  #padding = 0
  /** Output: at least the last 32 KiB of what was made before, then what is made next. */
  readonly #output = new Uint8Array(2 * WINDOW + LONGEST_MATCH)
  /** Bytes [read, made) of the output were not asked for yet. */
  #read = 0
  #made = 0
  /** The block that is read: bytes that are left of a stored one, or codes. */
  #stored = 0
  #codes: readonly [Code, Code] | undefined
  #fixed: readonly [Code, Code] | undefined
  readonly #own = { lengths: new Code(LENGTH_BITS), literals: new Code(), distances: new Code() }
  readonly #ownCodes = [this.#own.literals, this.#own.distances] as const
  readonly #lengths = new Lengths()
  readonly #distanceLengths = new Lengths()
  /** Lengths of the code for code lengths, in the order of its symbols; zeros between blocks. */
  readonly #given = new Uint8Array(19)
  #last = false
  #ended = false

  /**
   * @param next the parts of the stream and of what follows it, one after another; undefined at the end
   * @param fail makes the error for a stream that is damaged or cut short
   */
  constructor(next: () => Uint8Array | undefined, fail: Fail) {
    this.#next = next
    this.#fail = fail
  }

  /** Fills the target from its beginning, and gives the number of bytes: less than its length where the stream has ended. */
  read(target: Uint8Array): number {
    let filled = 0
    while (filled < target.length) {
      if (this.#read === this.#made) {
        if (this.#ended) break
        this.#inflate()
        continue
      }
      const end = Math.min(this.#made, this.#read + target.length - filled)
      target.set(this.#output.subarray(this.#read, end), filled)
      filled += end - this.#read
      this.#read = end
    }
    return filled
  }

  /** Whether all of the stream was read. */
  get ended(): boolean {
    return this.#ended && this.#read === this.#made
  }

  /** The next byte before the stream begins, or after it has ended; undefined at the end of the input. */
  byte(): number | undefined {
    this.#drop(this.#bits & 7)
    this.#need(8)
    return 8 * this.#padding < this.#bits ? this.#take(8) : undefined
  }

  /** Makes bytes, until the output is full or the stream ends. */
  #inflate(): void {
    if (this.#made > WINDOW) {
      this.#output.copyWithin(0, this.#made - WINDOW, this.#made)
      this.#made = WINDOW
    }
    this.#read = this.#made
    while (!this.#ended && this.#made < 2 * WINDOW) {
      if (this.#stored > 0) this.#copyStored()
      else if (this.#codes) this.#decode(this.#codes)
      else if (this.#last) this.#ended = true
      else this.#beginBlock()
    }
  }

  #beginBlock(): void {
    this.#last = this.#take(1) === 1
    const kind = this.#take(2)
    if (kind === 0) {
      this.#drop(this.#bits & 7)
      const length = this.#take(16)
      if (length !== (this.#take(16) ^ 0xffff)) throw this.#fail('the length of a stored block')
      this.#stored = length
    } else if (kind === 1) this.#codes = this.#fixed ??= fixedCodes()
    else if (kind === 2) this.#codes = this.#readCodes()
    else throw this.#fail('a block of no known kind')
  }

  /** The two codes of a block, whose lengths are run-length and Huffman coded themselves. */
  #readCodes(): readonly [Code, Code] {
    const literals = this.#take(5) + 257
    const distances = this.#take(5) + 1
    const given = this.#take(4) + 4
    if (literals > 286 || distances > 30) throw this.#fail('more symbols than there are')
    const lengths = this.#lengths
    lengths.count = 0
    for (let i = 0; i < given; i++) this.#given[orderOfLengths[i] as number] = this.#take(3)
    for (let i = 0; i < 19; i++) {
      const bits = this.#given[i] as number
      if (bits > 0) lengths.add(i, i + 1, bits)
      this.#given[i] = 0
    }
    const code = this.#own.lengths.set(lengths, this.#fail)
    lengths.count = 0
    const distanceLengths = this.#distanceLengths
    distanceLengths.count = 0
    const total = literals + distances
    let bits = -1
    let ends = false
    for (let symbol = 0; symbol < total;) {
      const read = this.#symbol(code)
      if (read === 16 && bits < 0) throw this.#fail('a repeated length that none precedes')
      if (read !== 16) bits = read < 16 ? read : 0
      let next = symbol + 1
      if (read === 16) next = symbol + 3 + this.#take(2)
      else if (read === 17) next = symbol + 3 + this.#take(3)
      else if (read === 18) next = symbol + 11 + this.#take(7)
      if (next > total) throw this.#fail('more lengths than symbols')
      if (bits > 0) {
        ends ||= symbol <= 256 && next > 256
        // A run may begin with the lengths of literals and go on with those of distances.
        lengths.add(symbol, Math.min(next, literals), bits)
        distanceLengths.add(Math.max(symbol - literals, 0), next - literals, bits)
      }
      symbol = next
    }
    if (!ends) throw this.#fail('a block without an end')
    this.#own.literals.set(lengths, this.#fail)
    this.#own.distances.set(distanceLengths, this.#fail)
    return this.#ownCodes
  }

  #copyStored(): void {
    const end = Math.min(this.#made + this.#stored, 2 * WINDOW)
    this.#stored -= end - this.#made
    while (this.#made < end && this.#bits > 0) this.#output[this.#made++] = this.#take(8)
    while (this.#made < end) {
      if (this.#at === this.#part.length && !this.#nextPart()) throw this.#fail('the stream is cut short')
      const count = Math.min(end - this.#made, this.#part.length - this.#at)
      this.#output.set(this.#part.subarray(this.#at, this.#at + count), this.#made)
      this.#at += count
      this.#made += count
    }
  }

  /** Literals and matches, until the block ends or the output is full. */
  #decode([literals, distances]: readonly [Code, Code]): void {
    const output = this.#output
    let made = this.#made
    while (made < 2 * WINDOW) {
      const symbol = this.#symbol(literals)
      if (symbol < 256) {
        output[made++] = symbol
        continue
      }
      if (symbol === 256) {
        this.#codes = undefined
        break
      }
      if (symbol > 285) throw this.#fail('a length of no known code')
      const length = (lengthStarts[symbol - 257] as number) + this.#take(lengthBits[symbol - 257] as number)
      const code = this.#symbol(distances)
      if (code > 29) throw this.#fail('a distance of no known code')
      const distance = (distanceStarts[code] as number) + this.#take(distanceBits[code] as number)
      let from = made - distance
      // The output begins with the first byte of the stream, until more than a window of it was made.
      if (from < 0) throw this.#fail('a distance to before the beginning')
      const end = made + length
      if (distance === 1) output.fill(output[from] as number, made, end)
      else if (distance < LONG_DISTANCE || length < LONG_DISTANCE) {
        // One by one: a match may overlap itself.
        while (made < end) output[made++] = output[from++] as number
      } else {
        // In runs, of which each is as long as all before it together.
        for (let run = made - from; made < end; made += run, run = made - from) {
          output.copyWithin(made, from, from + Math.min(run, end - made))
        }
      }
      made = end
    }
    this.#made = made
  }

  #symbol(from: Code): number {
    this.#need(LONGEST_CODE)
    if (from.pending === 0) {
      const entry = from.table[this.#hold & from.mask] as number
      if (entry > 0) {
        this.#drop(entry & 15)
        return entry >> 4
      }
    } else if (--from.pending === 0) from.tabulate()
    const { counts, symbols } = from
    let code = 0
    let first = 0
    let index = 0
    for (let length = 1; length <= LONGEST_CODE; length++) {
      code |= (this.#hold >>> (length - 1)) & 1
      const count = counts[length] as number
      if (code - first < count) {
        this.#drop(length)
        return symbols[index + code - first] as number
      }
      index += count
      first = (first + count) << 1
      code <<= 1
    }
    throw this.#fail('a code that stands for nothing')
  }

  /** The next 0 to 16 bits as a number. */
  #take(count: number): number {
    this.#need(count)
    const value = this.#hold & ((1 << count) - 1)
    this.#drop(count)
    return value
  }

  /** Holds at least so many bits, at most 25; zeros after the end of the input. */
  #need(count: number): void {
    while (this.#bits < count) {
      let byte = 0
      if (this.#at < this.#part.length || this.#nextPart()) byte = this.#part[this.#at++] as number
      else this.#padding++
      this.#hold |= byte << this.#bits
      this.#bits += 8
    }
  }

  #drop(count: number): void {
    this.#hold >>>= count
    this.#bits -= count
    if (this.#bits < 8 * this.#padding) throw this.#fail('the stream is cut short')
  }

  /** Goes on to the next part that is not empty. */
  #nextPart(): boolean {
    let part: Uint8Array | undefined
    do part = this.#next()
    while (part?.length === 0)
    if (!part) return false
    this.#part = part
    this.#at = 0
    return true
  }
}
