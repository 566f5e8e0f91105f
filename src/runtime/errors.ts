/**
 * The errors of the library. Each says in one line what was wrong and what would be right, and carries a stable
 * `code`, so that programs need not read the message. Messages hold names from files: what could not be seen in them, or
 * would begin another line in a log, is written as an escape.
 */
import { visible } from './text.js'

/** Base class of every error that the library throws on purpose. */
export class ToeplitzError extends Error {
  /** Stable identifier, the same in every release: test this, not the message. */
  readonly code: string

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(visible(message), options)
    this.name = new.target.name
    this.code = code
  }
}

/** Arguments whose shapes or ranks do not fit an operation, or each other. Nothing was allocated. */
export class ShapeError extends ToeplitzError {
  constructor(message: string) {
    super('SHAPE', message)
  }
}

/**
 * An argument or an option of another kind than is due, out of its range, or unknown. Nothing was allocated. It is a
 * {@link ShapeError}, and has its code, because such arguments were told by that class alone.
 */
export class ArgumentError extends ShapeError {}

/** A tensor, model or tape that has been disposed was used. */
export class DisposedError extends ToeplitzError {
  constructor(message: string) {
    super('DISPOSED', message)
  }
}

/** Linear memory, or the engine's own, could not grow. Every existing tensor is intact. */
export class OutOfMemoryError extends ToeplitzError {
  constructor(message: string, options?: ErrorOptions) {
    super('OUT_OF_MEMORY', message, options)
  }
}

/** What engines and the system say when there is no memory for an array or a string. */
const exhausted =
  /out of memory|(allocation|allocate).*fail|fail.*allocat|invalid (typed )?array (buffer )?length|invalid string length/i

/**
 * Whether memory ran out, by the error or by one that caused it: then nothing is known of the input, and a damaged file
 * is not the reason.
 */
export function isOutOfMemory(error: unknown): boolean {
  for (let depth = 0; error instanceof Error && depth < 8; depth++, error = error.cause) {
    if (error instanceof OutOfMemoryError) return true
    if ((error as { code?: unknown }).code === 'ENOMEM') return true
    if ((error instanceof RangeError || error.name === 'InternalError') && exhausted.test(error.message)) return true
  }
  return false
}

/** A file or buffer is not what it claims to be. */
export class FormatError extends ToeplitzError {
  constructor(message: string, options?: ErrorOptions) {
    super('FORMAT', message, options)
  }
}

/** The runtime, or the combination of options, cannot do what was asked. */
export class UnsupportedError extends ToeplitzError {
  constructor(message: string, options?: ErrorOptions) {
    super('UNSUPPORTED', message, options)
  }
}

/** An operation was called before `init()` finished. */
export class NotInitializedError extends ToeplitzError {
  constructor(what: string) {
    super('NOT_INITIALIZED', `${what}: the WebAssembly core is not loaded; call \`await init()\` once before it`)
  }
}

/** Training cannot go on: the loss or a weight is no longer a number. */
export class DivergedError extends ToeplitzError {
  constructor(message: string) {
    super('DIVERGED', message)
  }
}

/**
 * The core can no longer be trusted: a kernel trapped, so that memory may be damaged, or a worker thread that was given up
 * may still write to it. Every later call, `init` included, throws the same error; only a new process, worker or page
 * starts afresh. `cause` is the trap.
 */
export class CoreError extends ToeplitzError {
  constructor(message: string, options?: ErrorOptions) {
    super('CORE', message, options)
  }
}

/**
 * A worker thread failed during an operation, whose result is lost. What the operation writes in place, as an optimizer's
 * step does, may be half written; every other tensor is intact.
 */
export class WorkerError extends ToeplitzError {
  constructor(message: string) {
    super('WORKER', message)
  }
}
