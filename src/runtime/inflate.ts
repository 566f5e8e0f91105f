/**
 * Inflation (RFC 1951) of the core that the build deflated: behind four bytes that tell its size. The stream is our own, so
 * nothing is checked; src/io/inflate.ts reads those of strangers. It is a third of what a library's inflater takes, and
 * every page that loads the package carries it.
 */

/** First length or distance of each code by its number of extra bits: codes come in runs of `run` with equally many. */
function startsOf(first: number, codes: number, run: number): [start: number, bits: number][] {
  let start = first
  return Array.from({ length: codes }, (_, code) => {
    const bits = Math.max(0, Math.floor(code / run) - 1)
    const own = start
    start += 1 << bits
    return [own, bits]
  })
}

const LONGEST_CODE = 15

/** Decoding table of a Huffman code from the lengths of its codes: for every 15 bits symbol · 16 + length. */
function tableOf(lengths: ArrayLike<number>): Uint16Array {
  const table = new Uint16Array(1 << LONGEST_CODE)
  let code = 0
  for (let length = 1; length <= LONGEST_CODE; length++) {
    for (let symbol = 0; symbol < lengths.length; symbol++) {
      if (lengths[symbol] !== length) continue
      let reversed = 0
      for (let bit = 0; bit < length; bit++) reversed |= ((code >> bit) & 1) << (length - 1 - bit)
      for (let at = reversed; at < table.length; at += 1 << length) table[at] = symbol * 16 + length
      code++
    }
    code *= 2
  }
  return table
}

/** The bytes that were deflated. */
export function inflateCore(source: Uint8Array): Uint8Array<ArrayBuffer> {
  const output = new Uint8Array(new DataView(source.buffer, source.byteOffset).getUint32(0, true))
  // Lengths 3 to 257 in runs of four codes; 258 has one of its own, without extra bits.
  const lengthCodes = startsOf(3, 28, 4).concat([[258, 0]])
  const distanceCodes = startsOf(1, 30, 2)
  let at = 4
  let written = 0
  let bits = 0
  let held = 0
  const peek = (count: number): number => {
    for (; held < count; held += 8) bits |= (source[at++] as number) << held
    return bits & ((1 << count) - 1)
  }
  const take = (count: number): number => {
    const value = peek(count)
    bits >>>= count
    held -= count
    return value
  }
  const symbolOf = (table: Uint16Array): number => {
    const entry = table[peek(LONGEST_CODE)] as number
    take(entry & 15)
    return entry >> 4
  }
  for (let last = 0; last === 0;) {
    last = take(1)
    const kind = take(2)
    if (kind === 0) {
      take(held & 7)
      const count = take(16)
      take(16)
      for (let i = 0; i < count; i++) output[written++] = take(8)
      continue
    }
    let literals: ArrayLike<number> = Array.from({ length: 288 }, (_, symbol) =>
      symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8,
    )
    let distances: ArrayLike<number> = new Uint8Array(30).fill(5)
    if (kind === 2) {
      const [literalCount, distanceCount, codeCount] = [take(5) + 257, take(5) + 1, take(4) + 4]
      const codeLengths = new Uint8Array(19)
      for (let i = 0; i < codeCount; i++) {
        codeLengths[[16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15][i] as number] = take(3)
      }
      const codes = tableOf(codeLengths)
      const lengths = new Uint8Array(literalCount + distanceCount)
      for (let i = 0; i < lengths.length;) {
        const symbol = symbolOf(codes)
        const count = symbol < 16 ? 1 : symbol === 16 ? 3 + take(2) : symbol === 17 ? 3 + take(3) : 11 + take(7)
        lengths.fill(symbol < 16 ? symbol : symbol === 16 ? (lengths[i - 1] as number) : 0, i, (i += count))
      }
      literals = lengths.subarray(0, literalCount)
      distances = lengths.subarray(literalCount)
    }
    const [literalTable, distanceTable] = [tableOf(literals), tableOf(distances)]
    for (let symbol = symbolOf(literalTable); symbol !== 256; symbol = symbolOf(literalTable)) {
      if (symbol < 256) output[written++] = symbol
      else {
        const [length, lengthBits] = lengthCodes[symbol - 257] as [number, number]
        const end = written + length + take(lengthBits)
        const [distance, distanceBits] = distanceCodes[symbolOf(distanceTable)] as [number, number]
        const back = distance + take(distanceBits)
        for (; written < end; written++) output[written] = output[written - back] as number
      }
    }
  }
  return output
}
