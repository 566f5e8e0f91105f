/** What a file cannot be run for: everything is noted, and told in one error. */
import { FormatError, ToeplitzError, UnsupportedError } from '../runtime/errors.js'

/** Notes what is refused while a file is read. */
export class Refusals {
  /** What errors call the file. */
  readonly name: string
  readonly refused: string[] = []
  /** Whether something contradicts itself: it is not only not supported. */
  isDamaged = false

  constructor(name: string) {
    this.name = name
  }

  /** What `use` gives; where it throws that is noted. */
  attempt<T>(what: string, use: () => T): T | undefined {
    try {
      return use()
    } catch (error) {
      if (!(error instanceof ToeplitzError)) throw error
      this.isDamaged ||= !(error instanceof UnsupportedError)
      this.refused.push(`${what}: ${error.message}`)
      return undefined
    }
  }

  /** @throws FormatError or UnsupportedError with all that was noted */
  end(): void {
    const { refused, name } = this
    if (refused.length === 0) return
    const message = `${name}: ${refused.length === 1 ? '' : `${refused.length} things cannot be run: `}${refused.join('; ')}`
    throw this.isDamaged ? new FormatError(message) : new UnsupportedError(message)
  }
}
