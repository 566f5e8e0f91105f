/** Damaged files, the same ones for the same seed. */

/** Whole numbers from 0 up to, but not including, what is asked for. */
export type Random = (below: number) => number

/** A generator of 32 bits (mulberry32), which is quick and good enough to choose damage by. */
export function randomOf(seed: number): Random {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let word = Math.imul(state ^ (state >>> 15), 1 | state)
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word
    return Math.floor((((word ^ (word >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

/** Numbers that programs stumble over, in the widths that files have. */
const numbers = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff]

/**
 * A copy of a file that is damaged in one to four places: bits flipped, bytes set, numbers replaced, parts zeroed, repeated,
 * exchanged, taken out or put in, or the end cut off. It may happen to be the same as the file.
 */
export function mutate(file: Uint8Array, random: Random): Uint8Array {
  let bytes = Uint8Array.from(file)
  for (let times = 1 + random(4); times > 0 && bytes.length > 0; times--) {
    const at = random(bytes.length)
    const length = Math.min(bytes.length - at, 1 + random(random(3) === 0 ? 64 : 6))
    const other = random(bytes.length - length + 1)
    const part = bytes.slice(at, at + length)
    switch (random(10)) {
      case 0:
      case 1:
        bytes[at] = bytes[at]! ^ (1 << random(8))
        break
      case 2:
        bytes[at] = random(256)
        break
      case 3: {
        const view = new DataView(bytes.buffer)
        const number = numbers[random(numbers.length)]!
        const little = random(2) === 0
        if (at + 4 <= bytes.length && random(2) === 0) view.setUint32(at, number, little)
        else if (at + 2 <= bytes.length) view.setUint16(at, number & 0xffff, little)
        break
      }
      case 4:
        bytes.fill(random(2) * 255, at, at + length)
        break
      case 5:
        bytes.copyWithin(at, other, other + length)
        break
      case 6:
        bytes.copyWithin(at, other, other + length).set(part, other)
        break
      case 7:
        bytes = Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(at + length)])
        break
      case 8:
        bytes = Uint8Array.from([...bytes.subarray(0, at), ...part, ...bytes.subarray(at)])
        break
      default:
        bytes = bytes.slice(0, at)
    }
  }
  return bytes
}
