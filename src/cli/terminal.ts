/**
 * Where commands print. Every line goes through here, and nothing in it reaches the terminal but what can be seen: a name
 * from a file can neither begin a line of its own nor move the cursor.
 */
import { visible, visibleJson } from '../runtime/text.js'

export interface CliStream {
  write(text: string): unknown
}

/** Where a process prints. */
export interface CliStreams {
  readonly stdout: CliStream
  readonly stderr: CliStream
}

export interface Output {
  /** One line, whatever it holds. */
  line(text?: string): void
  /** Text of several lines, such as a table, of which each is made visible on its own. */
  text(lines: string | readonly string[]): void
  /** A value as JSON. */
  json(value: unknown): void
}

/** Prints on a stream. */
export function outputTo(stream: CliStream): Output {
  const print = (lines: readonly string[]): void => {
    stream.write(lines.map((line) => `${visible(line)}\n`).join(''))
  }
  return {
    line: (text = '') => {
      print([text])
    },
    text: (lines) => {
      print(typeof lines === 'string' ? lines.split('\n') : lines)
    },
    json: (value) => {
      stream.write(`${visibleJson(value)}\n`)
    },
  }
}

/** Rows of cells as lines of aligned columns, two spaces apart; `right` tells which columns stand at the right. */
export function columns(
  rows: readonly (readonly string[])[],
  right: (column: number) => boolean = () => false,
): string[] {
  const cells = rows.map((row) => row.map(visible))
  const widths: number[] = []
  for (const row of cells) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length)
  }
  return cells.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] as number
        return right(column) ? cell.padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd(),
  )
}

/** Whether nobody reads an output any more: the reader of a pipe has ended, or a terminal is gone. */
const isClosed = (code: string | undefined, { isTTY }: { readonly isTTY?: boolean }): boolean =>
  code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED' || (code === 'EIO' && isTTY === true)

/**
 * Ends the process quietly where its output is no longer read, as in `toeplitz summary vgg16 | head -1`. A command that
 * handles an interrupt is given one, so that a training leaves its checkpoint. What is wrong with an output otherwise,
 * such as a full disk behind it, is said on stderr.
 */
export function endWithOutput(codes: { readonly unread: number; readonly failure: number }): void {
  const { stdout, stderr } = process
  let ending = false
  const end = (code: number): void => {
    if (ending) return
    ending = true
    // Whatever the command returns, its output was cut short.
    process.once('exit', () => (process.exitCode = code))
    if (process.listenerCount('SIGINT') > 0) process.emit('SIGINT')
    else process.exit(code)
  }
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (isClosed(error.code, stdout)) {
      end(codes.unread)
      return
    }
    if (!ending) stderr.write(`toeplitz: the output cannot be written (${visible(error.code ?? error.message)})\n`)
    end(codes.failure)
  })
  stderr.on('error', (error: NodeJS.ErrnoException) => {
    end(isClosed(error.code, stderr) ? codes.unread : codes.failure)
  })
}
