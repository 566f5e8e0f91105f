/** metrics.jsonl: one JSON object for each step and each epoch, appended in blocks. */
import { appendFile, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { readFileOrExplain, writeFileAtomically } from '../node/files.js'
import { FormatError, ToeplitzError } from '../runtime/errors.js'
import type { EpochRecord, StepRecord } from './report.js'

export class MetricsFile {
  readonly path: string
  readonly steps: StepRecord[] = []
  readonly epochs: EpochRecord[] = []
  #pending = ''
  #bytes = 0

  private constructor(path: string) {
    this.path = path
  }

  /** An empty file, replacing one that is there. */
  static async create(directory: string): Promise<MetricsFile> {
    const file = new MetricsFile(join(directory, 'metrics.jsonl'))
    await writeFileAtomically(file.path, new Uint8Array())
    return file
  }

  /** The first `bytes` bytes of the file of an earlier run; the rest is cut off. */
  static async resume(directory: string, bytes: number): Promise<MetricsFile> {
    const file = new MetricsFile(join(directory, 'metrics.jsonl'))
    const content = await readFileOrExplain(file.path)
    if (content.length < bytes) {
      throw new FormatError(
        `${file.path}: ${content.length} bytes, but the checkpoint was made after ${bytes}; start the run again without --resume`,
      )
    }
    for (const line of new TextDecoder().decode(content.subarray(0, bytes)).split('\n')) {
      if (line === '') continue
      try {
        const { type, ...record } = JSON.parse(line) as { type: string }
        if (type === 'step') file.steps.push(record as unknown as StepRecord)
        else if (type === 'epoch') file.epochs.push(record as unknown as EpochRecord)
      } catch {
        throw new FormatError(`${file.path}: a line is not JSON; start the run again without --resume`)
      }
    }
    await truncate(file.path, bytes)
    file.#bytes = bytes
    return file
  }

  step(record: StepRecord): void {
    this.steps.push(record)
    this.add('step', record)
  }

  epoch(record: EpochRecord): void {
    this.epochs.push(record)
    this.add('epoch', record)
  }

  add(type: string, record: object): void {
    this.#pending += `${JSON.stringify({ type, ...record })}\n`
  }

  /** Appends what has been added; gives the length of the file in bytes. */
  async flush(): Promise<number> {
    if (this.#pending !== '') {
      const bytes = Buffer.from(this.#pending)
      try {
        await appendFile(this.path, bytes)
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        const reason = code === 'ENOSPC' ? 'no space left; free some and go on with --resume' : (error as Error).message
        throw new ToeplitzError('FILE', `${this.path}: cannot append: ${reason}`, { cause: error })
      }
      this.#pending = ''
      this.#bytes += bytes.length
    }
    return this.#bytes
  }
}

/** Whether a path exists. */
export const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
