/** metrics.jsonl: one JSON object for each step and each epoch, appended in blocks. */
import { createHash, type Hash } from 'node:crypto'
import { parseJson } from '../../formats/json.js'
import { shown } from '../../node/files.js'
import type { Folder, Note } from '../../node/resultFolder.js'
import type { EpochRecord, StepRecord } from '../records.js'
import { runFiles } from './files.js'

/** How much of the file belongs to a checkpoint: what came after it is written again. */
export interface MetricsPosition {
  readonly bytes: number
  /** SHA-256 of these bytes, in hexadecimal. */
  readonly sha256: string
}

const name = runFiles.metrics

export class MetricsFile {
  readonly steps: StepRecord[] = []
  readonly epochs: EpochRecord[] = []
  readonly #folder: Folder
  readonly #hash: Hash = createHash('sha256')
  #pending = ''
  #bytes = 0

  private constructor(folder: Folder) {
    this.#folder = folder
  }

  /** The position in a file of which nothing is written. */
  static readonly start: MetricsPosition = { bytes: 0, sha256: createHash('sha256').digest('hex') }

  /** An empty file, replacing one that is there. */
  static async create(folder: Folder): Promise<MetricsFile> {
    await folder.write(name, '')
    return new MetricsFile(folder)
  }

  /**
   * The file of an earlier run up to where its checkpoint was made; the rest is cut off. The run does not depend on it:
   * where the file is lost or damaged, a new one begins.
   */
  static async resume(folder: Folder, position: MetricsPosition, note: Note): Promise<MetricsFile> {
    // It is made after the first checkpoint, in which it has no bytes yet.
    if (position.bytes === 0) return MetricsFile.create(folder)
    const file = new MetricsFile(folder)
    const content = (await folder.read(name).catch(() => new Uint8Array())).subarray(0, position.bytes)
    file.#hash.update(content)
    const isWhole = content.length === position.bytes && file.#position().sha256 === position.sha256
    if (!isWhole || !file.#take(new TextDecoder().decode(content))) {
      note(`${shown(folder.pathOf(name))}: lost or damaged; the run goes on, but its report lacks the steps so far`)
      return MetricsFile.create(folder)
    }
    await folder.truncate(name, position.bytes)
    file.#bytes = position.bytes
    return file
  }

  /** Takes the records of earlier steps and epochs from lines of JSON; false where one is none. */
  #take(lines: string): boolean {
    try {
      for (const line of lines.split('\n').filter((line) => line !== '')) {
        const { type, ...record } = parseJson(line, name) as { type: string }
        if (!Object.values(record).every((value) => value === null || typeof value === 'number')) return false
        this.#keep(type, record)
      }
      return true
    } catch {
      return false
    }
  }

  /** Keeps a record for the report, which tells steps and epochs. */
  #keep(type: string, record: object): void {
    if (type === 'step') this.steps.push(record as StepRecord)
    else if (type === 'epoch') this.epochs.push(record as EpochRecord)
  }

  /** Adds a record, which is written by the next `flush`. */
  add(type: 'step' | 'epoch' | 'test', record: object): void {
    this.#keep(type, record)
    this.#pending += `${JSON.stringify({ type, ...record })}\n`
  }

  /** Appends what has been added; gives where the file ends now. */
  async flush(): Promise<MetricsPosition> {
    if (this.#pending !== '') {
      const bytes = Buffer.from(this.#pending)
      await this.#folder.append(name, bytes)
      this.#pending = ''
      this.#bytes += bytes.length
      this.#hash.update(bytes)
    }
    return this.#position()
  }

  #position(): MetricsPosition {
    return { bytes: this.#bytes, sha256: this.#hash.copy().digest('hex') }
  }
}
