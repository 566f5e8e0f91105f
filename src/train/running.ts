/** Averages over the examples of an epoch. */
import type { Averages, FitState } from './options.js'

/** Sums over examples, and their averages. The mean of a loss that weighs its rows is over their weights. */
export class Running {
  #examples = 0
  #counted = 0
  #loss = 0
  readonly #metrics: Record<string, number> = {}

  constructor(names: readonly string[], from?: FitState['sums']) {
    for (const name of names) {
      const sum: number | null | undefined = from?.metrics[name]
      // What is no number is null in JSON.
      this.#metrics[name] = sum === null ? Number.NaN : (sum ?? 0)
    }
    if (from) {
      this.#examples = from.examples
      this.#counted = from.counted ?? from.examples
      this.#loss = from.loss
    }
  }

  add(examples: number, loss: number, metrics: Readonly<Record<string, number>>, counted = examples): void {
    this.#examples += examples
    this.#counted += counted
    // The mean of nothing is no number.
    if (counted > 0) this.#loss += loss * counted
    for (const name of Object.keys(this.#metrics))
      this.#metrics[name] = (this.#metrics[name] as number) + (metrics[name] as number) * examples
  }

  averages(): Averages {
    const mean = (sum: number, count = this.#examples): number => (this.#examples === 0 ? 0 : sum / count)
    return {
      loss: mean(this.#loss, this.#counted),
      metrics: Object.fromEntries(Object.entries(this.#metrics).map(([name, sum]) => [name, mean(sum)])),
    }
  }

  sums(): FitState['sums'] {
    const [examples, counted] = [this.#examples, this.#counted]
    return { examples, loss: this.#loss, metrics: { ...this.#metrics }, ...(counted === examples ? {} : { counted }) }
  }
}
