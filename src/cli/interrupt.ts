/** What Ctrl-C does: it ends the process, but in training not before the step in progress, and what is to follow it. */
import { exitCodes } from './actions.js'

export class Interrupt {
  /** Called at the first signal, while there is a step that can be finished. Without it, the process ends at once. */
  onFinishing: (() => void) | undefined
  readonly #controller = new AbortController()
  readonly #signals: readonly NodeJS.Signals[]
  readonly #handle = (): void => {
    // A folder for results is given back as the process exits.
    if (!this.onFinishing || this.signal.aborted) process.exit(exitCodes.interrupted)
    this.onFinishing()
    this.#controller.abort()
  }

  /** Listens until `stop` is called. */
  constructor(...signals: readonly NodeJS.Signals[]) {
    this.#signals = signals
    for (const name of signals) process.on(name, this.#handle)
  }

  /** Aborted by the first of the signals. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  stop(): void {
    for (const name of this.#signals) process.off(name, this.#handle)
  }
}
