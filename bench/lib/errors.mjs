// @ts-check

/** Something that is told in one line, without a stack trace. */
export class BenchError extends Error {
  exitCode = 1
}

/** A peer that cannot take part: the message stands in its column. */
export class LeftOutError extends Error {}

/** The command line asks for something that does not exist. */
export class UsageError extends BenchError {
  /** @override */
  exitCode = 2
}
