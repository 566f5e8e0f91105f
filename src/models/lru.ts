/** The few values that were used last. */
export class Lru<T> {
  readonly #most: number
  readonly #release: (value: T) => void
  readonly #values = new Map<string, T>()

  /** `release` gives back what is dropped. */
  constructor(most: number, release: (value: T) => void) {
    this.#most = most
    this.#release = release
  }

  /** A value, which is now the one that was used last. */
  get(key: string): T | undefined {
    const value = this.#values.get(key)
    if (value === undefined) return undefined
    this.#values.delete(key)
    this.#values.set(key, value)
    return value
  }

  /** Keeps a value in place of another of the same key, and drops the one that was not used for longest. */
  set(key: string, value: T): void {
    const before = this.#values.get(key)
    if (before !== undefined) this.#release(before)
    this.#values.delete(key)
    this.#values.set(key, value)
    for (const [oldest, dropped] of this.#values) {
      if (this.#values.size <= this.#most) break
      this.#values.delete(oldest)
      this.#release(dropped)
    }
  }

  /** Drops all. */
  clear(): void {
    for (const value of this.#values.values()) this.#release(value)
    this.#values.clear()
  }
}
