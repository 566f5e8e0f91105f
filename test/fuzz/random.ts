/** Seeded random choices for generated cases: the same path of seeds gives the same choices in every engine. */

/** Numbers at which sizes, offsets and counters tend to go wrong. */
export const interesting: readonly number[] = [
  ...[0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 1000, 1023, 1024, 4096],
  ...[2 ** 15 - 1, 2 ** 15, 2 ** 16 - 1, 2 ** 16, 2 ** 16 + 1, 2 ** 20, 2 ** 24, 2 ** 24 + 1, 2 ** 26, 2 ** 28],
  ...[2 ** 30, 2 ** 31 - 1, 2 ** 31, 2 ** 31 + 1, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 40, 2 ** 53 - 1, 2 ** 53],
  ...[-1, -2, -128, -(2 ** 31), -(2 ** 31) - 1, -(2 ** 53), 0.5, 1.5, 1e-30, 1e30, 1e300, -0.5],
]

/** The generator sfc32 (C. Doty-Humphrey): 128 bits of state, seeded by a hash of the path. */
export class Random {
  readonly #state: Uint32Array

  /** @param path seed, name of the target and number of the case: each changes every choice */
  constructor(...path: readonly (string | number)[]) {
    // FNV-1a over the text of the path, four times from different offsets.
    const text = path.join('/')
    this.#state = Uint32Array.from({ length: 4 }, (_, lane) => {
      let hash = 0x811c9dc5 ^ Math.imul(lane + 1, 0x9e3779b1)
      for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
      return hash
    })
    for (let i = 0; i < 16; i++) this.bits()
  }

  /** A whole number from 0 to 2³² − 1. */
  bits(): number {
    const state = this.#state as unknown as [number, number, number, number]
    const [a, b, c, counter] = state
    const sum = (a + b + counter) | 0
    state[3] = counter + 1
    state[0] = b ^ (b >>> 9)
    state[1] = c + (c << 3)
    state[2] = ((c << 21) | (c >>> 11)) + sum
    return sum >>> 0
  }

  /** A whole number from 0 to count − 1. */
  below(count: number): number {
    return Math.floor((this.bits() / 2 ** 32) * count)
  }

  /** A whole number from low to high, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1)
  }

  /** True in this share of the calls. */
  chance(share: number): boolean {
    return this.bits() / 2 ** 32 < share
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T
  }

  /** `count` choices by `make`. */
  list<T>(count: number, make: (index: number) => T): T[] {
    return Array.from({ length: count }, (_, index) => make(index))
  }

  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.bits() & 255)
  }

  /** The elements in another order. */
  shuffled<T>(list: readonly T[]): T[] {
    const order = [...list]
    for (let i = order.length - 1; i > 0; i--) {
      const j = this.below(i + 1)
      ;[order[i], order[j]] = [order[j] as T, order[i] as T]
    }
    return order
  }

  /** A small number most of the time, and one from `interesting` otherwise. */
  size(): number {
    return this.chance(0.6) ? this.below(12) : this.pick(interesting)
  }
}
