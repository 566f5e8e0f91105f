/** Wrong usage: exit code 2 instead of 1. */
import { ToeplitzError } from '../runtime/errors.js'

export class UsageError extends ToeplitzError {
  constructor(message: string) {
    super('USAGE', message)
  }
}
