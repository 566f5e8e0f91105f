/**
 * A training run and its folder: the one place that knows what lies there, in which order it is written, and what is to be
 * made of a folder that a killed process left.
 *
 * While a run goes on, its folder holds `checkpoint.safetensors` (everything that the rest of the run depends on, the data
 * apart), `data.json` (of which parts the data is made, to name what changed) and `metrics.jsonl`. When it ends, the
 * results are written, and the checkpoint is renamed last, to `state.safetensors`, from which the run can be extended: whoever
 * finds a checkpoint goes on from it, whatever else is there, and the results that a folder without one holds are complete.
 */
import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describeModel, encodeModel, encodeModelFile } from '../../io/model-file.js'
import { shown } from '../../node/files.js'
import { InUseError } from '../../node/lock.js'
import type { Folder, Note } from '../../node/resultFolder.js'
import { ToeplitzError } from '../../runtime/errors.js'
import type { FitState } from '../../train/options.js'
import type { TrainOptions } from '../actions.js'
import type { Data } from '../data.js'
import { factsOf, type RunParts } from '../models.js'
import type { EpochRecord, StepRecord } from '../records.js'
import { reportOf, resultOf, type Recorded, type TestResult } from '../results.js'
import type { RunSettings } from '../settings.js'
import { optionWords } from '../shell.js'
import { choose, type Chosen } from '../suited.js'
import {
  checkSize,
  decodeCheckpoint,
  isCheckpoint,
  modelOf,
  readCheckpoint,
  restore,
  weightsOf,
  writeCheckpoint,
  type Checkpoint,
  type Weights,
} from './checkpoint.js'
import type { Described } from '../described.js'
import { existing, removed, runFiles } from './files.js'
import { EventsFile } from './events.js'
import { decodeFingerprint, differences, encodeFingerprint, fingerprintOf, type Fingerprint } from '../fingerprint.js'
import { MetricsFile } from './metrics.js'
import { openFolder, type Opened } from './opening.js'

export class Run {
  #settings: RunSettings
  /** Names of the settings that were typed, and stay. */
  readonly #given: ReadonlySet<string>
  readonly #folder: Folder
  readonly #note: Note
  /** Where a resumed run goes on, until it does. */
  #resumed: Checkpoint | undefined
  /** What epochs it had been given whenever it ended before, and was extended. */
  readonly #extended: readonly number[]
  /** Whether the checkpoint in the folder is one of this run. */
  #hasCheckpoint = false
  #parts: RunParts | undefined
  #metrics: MetricsFile | undefined
  /** Whether the curves are to be written for TensorBoard too. */
  readonly #hasEvents: boolean
  #events: EventsFile | undefined
  #fingerprint: Fingerprint | undefined
  /** The weights of the best epoch so far, where training may stop early. */
  #best: Weights | undefined
  #secondsBefore = 0
  #began = 0
  #ended: number | undefined

  private constructor({ folder, settings, resumed }: Opened, { given, tensorboard = false }: TrainOptions, note: Note) {
    this.#folder = folder
    this.#settings = settings
    this.#given = given
    this.#hasEvents = tensorboard
    this.#note = note
    this.#resumed = resumed
    const { extended = [], settings: before = settings } = resumed ?? {}
    this.#extended = before.epochs === settings.epochs ? extended : [...extended, before.epochs]
  }

  /**
   * Takes the folder of a new run, or that of one to go on with. Nothing in it is changed before `begin`.
   *
   * @throws UsageError when the options contradict one another or the folder, InUseError when another process writes to
   *   the folder, FormatError when there is no checkpoint or it is damaged
   */
  static async open(options: TrainOptions, note: Note): Promise<Run> {
    return new Run(await openFolder(options, note), options, note)
  }

  /** The file of the model in the folder of a run; undefined where the path is no folder. */
  static async modelFile(path: string): Promise<string | undefined> {
    const found = await stat(path).catch(() => undefined)
    if (found?.isDirectory() !== true) return undefined
    // As long as a run is not finished, its model is that of its checkpoint.
    return (await existing(path, 'checkpoint')) ?? join(path, runFiles.model)
  }

  /** The model of a run that stands at a checkpoint; undefined where the bytes are of another file. */
  static modelAt(bytes: Uint8Array, path: string): Described | undefined {
    if (!isCheckpoint(bytes)) return undefined
    const checkpoint = decodeCheckpoint(bytes, path)
    const { step, best } = checkpoint.fit
    const at = best === undefined ? '' : `, at its best epoch, ${best.epoch},`
    return { ...modelOf(checkpoint), note: `${path}: the run stands at step ${step}; its model${at} is used` }
  }

  /** The settings of the run in a folder; undefined where the path is no folder of a run. */
  static async settingsOf(path: string): Promise<RunSettings | undefined> {
    return (await checkpointIn(path))?.settings
  }

  /** What has changed in the data since the run in a folder, in words; undefined where nothing has. */
  static async changedSince(path: string, data: Data, directory: string): Promise<string | undefined> {
    const then = (await checkpointIn(path))?.data
    const now = await fingerprintOf(data, directory)
    if (then === undefined || then.digest === now.digest) return undefined
    const list = await existing(path, 'data')
    return changes(list === undefined ? '' : await readFile(list, 'utf8'), then.digest, now)
  }

  get settings(): RunSettings {
    return this.#settings
  }

  /**
   * Chooses the settings of a new run that follow from its data, and tells what model and pictures the run is to have. `read` gives the
   * trained model that a new run goes on with.
   */
  async choose(read?: (name: string) => Promise<Described>): Promise<Chosen> {
    const chosen = await choose(this.settings, this.#given, this.#resumed?.description, read)
    this.#settings = chosen.settings
    return chosen
  }

  get path(): string {
    return this.#folder.path
  }

  /**
   * Lets a run begin, or go on, with its data and its model: gives the state to go on from. From here on the folder is
   * this run's, and what an earlier one left in it is gone.
   *
   * @throws ToeplitzError with code DATA_CHANGED when the data is not what the run was started on, unless that is accepted
   */
  async begin(parts: RunParts, acceptChangedData: boolean): Promise<FitState | undefined> {
    checkSize(parts, this.settings)
    this.#parts = parts
    this.#fingerprint = await fingerprintOf(parts.data, this.settings.data)
    this.#began = performance.now()
    const start = this.#resumed && (await this.#goOn(this.#resumed, parts, acceptChangedData))
    this.#resumed = undefined
    // The checkpoint comes first: until it is there, the folder holds what it held before, whole.
    if (!start) await this.checkpoint({ step: 0, sums: noSums })
    await this.#folder.write(runFiles.data, encodeFingerprint(this.#fingerprint))
    // What a run was asked for once goes on with it.
    const hasEvents = this.#hasEvents || (start !== undefined && (await this.#folder.has(runFiles.events)))
    await this.#folder.remove(...removed)
    this.#metrics ??= await MetricsFile.create(this.#folder)
    const { steps, epochs } = this.#metrics
    if (hasEvents) this.#events = await EventsFile.create(this.#folder, steps, epochs)
    return start
  }

  /** Records a step. Records are written with the next checkpoint. */
  step(record: StepRecord): void {
    begun(this.#metrics).add('step', record)
    this.#events?.step(record)
  }

  /** Records an epoch; where it is the best so far, its weights are those that the run ends with, unless a later one is better. */
  epoch(record: EpochRecord, isBest: boolean): void {
    begun(this.#metrics).add('epoch', record)
    this.#events?.epoch(record)
    if (isBest) this.#best = weightsOf(begun(this.#parts).model)
  }

  /** Writes where the run stands; what is killed after this goes on from here. */
  async checkpoint(fit: FitState): Promise<void> {
    const parts = begun(this.#parts)
    await this.#folder.check()
    await writeCheckpoint(
      this.#folder.pathOf(runFiles.checkpoint),
      { ...parts, best: this.#best },
      {
        settings: this.settings,
        fit,
        description: describeModel(parts.model, factsOf(this.settings, parts.data)),
        data: { training: parts.data.training.size, digest: begun(this.#fingerprint).digest },
        seconds: this.#seconds,
        extended: this.#extended,
        metrics: this.#metrics ? await this.#metrics.flush() : (this.#resumed?.metrics ?? MetricsFile.start),
      },
    )
    this.#hasCheckpoint = true
    await this.#events?.flush()
  }

  /** Writes the report of a run that was interrupted, and gives its path. */
  writeReport(): Promise<string> {
    return this.#folder.write(runFiles.report, reportOf(this.#recorded, begun(this.#parts)))
  }

  /** Ends the training, before the test: the clock stops, and the model takes the weights of the best epoch, if they were kept. */
  endTraining(): void {
    this.#ended = performance.now()
    if (this.#best) begun(this.#parts).model.assign(this.#best, 'the weights of the best epoch')
  }

  /** Leaves the results, and what the run can be extended from. Gives the paths of two of them. */
  async finish(
    test: TestResult,
  ): Promise<Record<'weights' | 'report' | 'sha256', string> & { readonly seconds: number }> {
    const [parts, metrics, seconds] = [begun(this.#parts), begun(this.#metrics), this.#seconds]
    const facts = factsOf(this.settings, parts.data)
    const weights = encodeModel(parts.model, facts, { dtype: this.settings.dtype })
    const sha256 = createHash('sha256').update(weights).digest('hex')
    const { images, errors, loss } = test
    metrics.add('test', { images, errors, loss, sha256, seconds })
    const described = { ...describeModel(parts.model, facts), weights: { file: runFiles.weights, sha256 } }
    const model = encodeModelFile(described)
    const outcome = { test, sha256 }
    const report = reportOf(this.#recorded, parts, outcome)
    const result = resultOf(this.#recorded, parts, outcome)
    await this.#folder.check()
    await metrics.flush()
    this.#events?.test(test)
    await this.#events?.flush()
    const paths = {
      weights: await this.#folder.write(runFiles.weights, weights),
      report: await this.#folder.write(runFiles.report, report),
    }
    await this.#folder.write(runFiles.model, model)
    await this.#folder.write(runFiles.result, result)
    await this.#folder.rename(runFiles.checkpoint, runFiles.state)
    return { ...paths, sha256, seconds }
  }

  /** The error that a run ended with, and where it can be gone on from. */
  async explained(error: unknown): Promise<unknown> {
    const isKept = this.#hasCheckpoint && (await this.#folder.has(runFiles.checkpoint).catch(() => false))
    if (isKept && error instanceof ToeplitzError && !(error instanceof InUseError))
      error.message += `; the last checkpoint is kept in ${shown(this.path)}`
    return error
  }

  /** Gives the folder back. */
  close(): void {
    this.#folder.close()
  }

  /** Seconds of training so far, those before an interruption included. */
  get #seconds(): number {
    return this.#secondsBefore + ((this.#ended ?? performance.now()) - this.#began) / 1000
  }

  /** What the report and the record tell of the run. */
  get #recorded(): Recorded {
    const { steps, epochs } = begun(this.#metrics)
    return { settings: this.settings, extended: this.#extended, seconds: this.#seconds, steps, epochs }
  }

  async #goOn(
    checkpoint: Checkpoint,
    { data, model, optimizer }: RunParts,
    acceptChangedData: boolean,
  ): Promise<FitState> {
    const { digest } = begun(this.#fingerprint)
    const changes = digest === checkpoint.data.digest ? undefined : await this.#changesOf(checkpoint)
    if (changes !== undefined && !acceptChangedData) {
      throw new ToeplitzError(
        'DATA_CHANGED',
        `${optionWords('--resume', this.path)}: the data is not what the run was started on: ${changes}; ` +
          'bring it back (--data-dir), or go on with what is there by --accept-changed-data',
      )
    }
    this.#best = restore(checkpoint, model, optimizer)
    this.#hasCheckpoint = true
    this.#secondsBefore = checkpoint.seconds
    // The results of a run that is extended stay until the longer one has a checkpoint, and the metrics until then whole.
    if (checkpoint.settings.epochs !== this.settings.epochs) {
      await this.checkpoint(checkpoint.fit)
      this.#note(
        `the run of ${checkpoint.settings.epochs} epochs is extended to ${this.settings.epochs}; the learning rate goes on as in one of ${this.settings.epochs}`,
      )
    }
    this.#metrics = await MetricsFile.resume(this.#folder, checkpoint.metrics, this.#note)
    if (changes === undefined) return checkpoint.fit
    this.#note(`the data is not what the run was started on: ${changes}; accepted`)
    const fit = movedTo(data.training.size, checkpoint)
    // From now on, this data is the run's.
    await this.checkpoint(fit)
    return fit
  }

  /** What has changed in the data since a checkpoint, in words. */
  async #changesOf({ data }: Checkpoint): Promise<string> {
    const list = (await this.#folder.has(runFiles.data))
      ? new TextDecoder().decode(await this.#folder.read(runFiles.data))
      : ''
    return changes(list, data.digest, begun(this.#fingerprint))
  }
}

/** The checkpoint of an unfinished run, or the state in which one ended. */
async function checkpointIn(path: string): Promise<Checkpoint | undefined> {
  const file = (await existing(path, 'checkpoint')) ?? (await existing(path, 'state'))
  return file === undefined ? undefined : readCheckpoint(file)
}

/** What has changed since a list of this digest was written, in words. */
function changes(list: string, digest: string, now: Fingerprint): string {
  const before = decodeFingerprint(list, digest)
  const told = before ? differences(before, now) : ''
  return told === '' ? `what has changed cannot be told, as ${runFiles.data} is missing or too short` : told
}

const noSums = { examples: 0, loss: 0, metrics: {} }

function begun<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error('begin() comes before everything that writes')
  return value
}

/** Where a run stands on data of another size: at the start of its epoch, which has other steps now. */
function movedTo(size: number, { fit, data, settings: { batchSize } }: Checkpoint): FitState {
  if (size === data.training) return fit
  const epoch = Math.floor(fit.step / Math.ceil(data.training / batchSize))
  const run = fit.run && { ...fit.run, examples: size }
  return { ...fit, step: epoch * Math.ceil(size / batchSize), sums: noSums, ...(run ? { run } : {}) }
}
