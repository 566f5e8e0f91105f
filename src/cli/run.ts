/**
 * A training run and its folder: the one place that knows what lies there, in which order it is written, and what is to be
 * made of a folder that a killed process left.
 *
 * While a run goes on, its folder holds `checkpoint.safetensors` (everything that the rest of the run depends on, the data
 * apart), `data.json` (of which parts the data is made, to name what changed) and `metrics.jsonl`. When it ends, the
 * results are written, and the checkpoint is renamed last, to `state.safetensors`, from which the run can be extended: whoever
 * finds a checkpoint goes on from it, whatever else is there, and the results that a folder without one holds are complete.
 */
import { join } from 'node:path'
import { describeModel } from '../io/model-file.js'
import type { Graph } from '../nn/graph.js'
import { isA, shown } from '../node/files.js'
import { InUseError } from '../node/lock.js'
import type { Optimizer } from '../optim/optimizer.js'
import { ToeplitzError } from '../runtime/errors.js'
import type { FitState } from '../train/options.js'
import {
  checkSize,
  readCheckpoint,
  restore,
  weightsOf,
  writeCheckpoint,
  type Checkpoint,
  type Weights,
} from './checkpoint.js'
import { assertOutside, type Data } from './data.js'
import { UsageError } from './errors.js'
import { decodeFingerprint, differences, encodeFingerprint, fingerprintOf, type Fingerprint } from './fingerprint.js'
import { Folder, numberedFolders, type Note } from './folder.js'
import { MetricsFile } from './metrics.js'
import { factsOf } from './models.js'
import type { TrainOptions } from './program.js'
import { runFiles } from './runFiles.js'
import { flagOf, hasMomentum, nameOf, optimizerNames, settingNames, type RunSettings } from './settings.js'
import { optionWords } from './shell.js'

/** What a run that has ended leaves beside its metrics, and what one of an earlier version left behind. */
const results = [runFiles.model, runFiles.result, runFiles.report, runFiles.weights, runFiles.state]
const outdated = ['best.safetensors']

/** All that a run writes or removes. */
const files = [...Object.values(runFiles), ...outdated]

const baseOf = (settings: RunSettings): string => join('runs', nameOf(settings))

const settingsOf = (options: RunSettings): RunSettings =>
  Object.fromEntries(settingNames.map((name) => [name, options[name]])) as unknown as RunSettings

/** What a run computes with. */
export interface RunParts {
  readonly data: Data
  readonly model: Graph
  readonly optimizer: Optimizer
}

/** What is left of a run that has ended. */
export interface RunResults {
  readonly weights: Uint8Array
  /** Texts of model.json, report.html and result.json. */
  readonly model: string
  readonly report: string
  readonly result: string
}

export class Run {
  #settings: RunSettings
  readonly #folder: Folder
  readonly #note: Note
  /** Where a resumed run goes on, until it does. */
  #resumed: Checkpoint | undefined
  /** What epochs it had been given whenever it ended before, and was extended. */
  readonly extended: readonly number[]
  /** Whether the checkpoint in the folder is one of this run. */
  #hasCheckpoint = false
  #parts: RunParts | undefined
  #metrics: MetricsFile | undefined
  #fingerprint: Fingerprint | undefined
  /** The weights of the best epoch so far, where training may stop early. */
  #best: Weights | undefined
  #secondsBefore = 0
  #began = 0

  private constructor(folder: Folder, settings: RunSettings, note: Note, resumed?: Checkpoint) {
    this.#folder = folder
    this.#settings = settings
    this.#note = note
    this.#resumed = resumed
    const { extended = [], settings: before = settings } = resumed ?? {}
    this.extended = before.epochs === settings.epochs ? extended : [...extended, before.epochs]
  }

  /**
   * Takes the folder of a new run, or that of one to go on with. Nothing in it is changed before `begin`.
   *
   * @throws UsageError when the options contradict one another or the folder, InUseError when another process writes to
   *   the folder, FormatError when there is no checkpoint or it is damaged
   */
  static async open(options: TrainOptions, note: Note): Promise<Run> {
    const { out, resume, force = false, acceptChangedData = false } = options
    if (resume !== undefined) {
      if (force) throw new UsageError('--force starts a run over, --resume goes on with it; give one of the two')
      return Run.#resume(options, note)
    }
    if (acceptChangedData)
      throw new UsageError('--accept-changed-data: only a run that goes on by --resume has data to compare')
    const { optimizer, momentum, given } = options
    if (given.has('momentum') && !hasMomentum(optimizer)) {
      throw new UsageError(
        `--momentum ${momentum}: ${optimizer} has none; it is for ${optimizerNames.filter(hasMomentum).join(' and ')}`,
      )
    }
    await assertOutside(options.data, out ?? baseOf(options), out !== undefined)
    const folder =
      out === undefined
        ? await Folder.takeNumbered(baseOf(options), note, files)
        : await Folder.take(out, note, { make: true, files })
    try {
      if (!force) await refuseRun(folder)
      return new Run(folder, settingsOf(options), note)
    } catch (error) {
      folder.close()
      throw error
    }
  }

  static async #resume(options: TrainOptions, note: Note): Promise<Run> {
    const folder = await takeUnfinished(options, note)
    try {
      const isOver = !(await folder.has(runFiles.checkpoint))
      const checkpoint = await readCheckpoint(folder.pathOf(isOver ? runFiles.state : runFiles.checkpoint))
      const { epochs } = isOver ? options : checkpoint.settings
      if (isOver && epochs <= checkpoint.settings.epochs) {
        throw new UsageError(
          `--epochs ${epochs}: the run is finished, and was given ${checkpoint.settings.epochs}; more of them extend it`,
        )
      }
      for (const name of settingNames) {
        if (isOver && name === 'epochs') continue
        if (options.given.has(name) && options[name] !== checkpoint.settings[name]) {
          throw new UsageError(
            `${optionWords(flagOf(name), options[name])}: the run was started with ${checkpoint.settings[name]}; leave the option out, or start a new run`,
          )
        }
      }
      await assertOutside(checkpoint.settings.data, folder.path, false)
      return new Run(folder, { ...checkpoint.settings, epochs }, note, checkpoint)
    } catch (error) {
      folder.close()
      throw error
    }
  }

  get settings(): RunSettings {
    return this.#settings
  }

  /** The architecture that the run goes on with, where it goes on. */
  get architecture(): unknown {
    return this.#resumed?.description.architecture
  }

  /** Takes the settings of a new run, before it begins, that follow from its data. */
  settle(settings: RunSettings): void {
    if (!this.#resumed) this.#settings = settings
  }

  get path(): string {
    return this.#folder.path
  }

  get metrics(): MetricsFile {
    return begun(this.#metrics)
  }

  /** Seconds of training so far, those before an interruption included. */
  get seconds(): number {
    return this.#secondsBefore + (performance.now() - this.#began) / 1000
  }

  /** The weights of the best epoch, where training may stop early. */
  get best(): Weights | undefined {
    return this.#best
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
    await this.#folder.remove(...results, ...outdated)
    this.#metrics ??= await MetricsFile.create(this.#folder)
    return start
  }

  /** Makes the weights of the epoch that has just ended those that the run ends with, if no later ones are better. */
  keepBest(): void {
    this.#best = weightsOf(begun(this.#parts).model)
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
        seconds: this.seconds,
        extended: this.extended,
        metrics: this.#metrics ? await this.#metrics.flush() : (this.#resumed?.metrics ?? MetricsFile.start),
      },
    )
    this.#hasCheckpoint = true
  }

  /** Writes the report of a run that was interrupted, and gives its path. */
  writeReport(page: string): Promise<string> {
    return this.#folder.write(runFiles.report, page)
  }

  /** Leaves the results, and what the run can be extended from. Gives their paths. */
  async finish({ weights, model, report, result }: RunResults): Promise<{ weights: string; report: string }> {
    await this.#folder.check()
    await this.metrics.flush()
    const paths = {
      weights: await this.#folder.write(runFiles.weights, weights),
      report: await this.#folder.write(runFiles.report, report),
    }
    await this.#folder.write(runFiles.model, model)
    await this.#folder.write(runFiles.result, result)
    await this.#folder.rename(runFiles.checkpoint, runFiles.state)
    return paths
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
    const before = decodeFingerprint(list, data.digest)
    const told = before ? differences(before, begun(this.#fingerprint)) : ''
    return told === '' ? `what has changed cannot be told, as ${runFiles.data} is missing or too short` : told
  }
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

/** @throws UsageError when there is a run in the folder, which a new one would replace */
async function refuseRun(folder: Folder): Promise<void> {
  const out = optionWords('--out', folder.path)
  if (await folder.has(runFiles.checkpoint)) {
    throw new UsageError(
      `${out} holds an unfinished run; go on with ${optionWords('--resume', folder.path)}, choose another folder, or replace it with --force`,
    )
  }
  for (const name of results) {
    if (await folder.has(name)) {
      throw new UsageError(`${out} holds a finished run (${name}); choose another folder, or replace it with --force`)
    }
  }
}

const isUnfinished = (path: string): Promise<boolean> => isA('file', join(path, runFiles.checkpoint))

/** Whether the options ask for more epochs, and there is a run that has ended and can have them. */
const isExtensible = async (path: string, { given }: TrainOptions): Promise<boolean> =>
  given.has('epochs') && (await isA('file', join(path, runFiles.state)))

/**
 * Takes the folder of the run to go on with, or to extend. Where none is named, it is the last of the numbered ones that is not
 * finished; if there is none, the last that can be extended.
 */
async function takeUnfinished(options: TrainOptions, note: Note): Promise<Folder> {
  const named = typeof options.resume === 'string' ? options.resume : options.out
  if (named !== undefined) {
    await Folder.assertFree(named, files)
    // A folder in which no run was killed is only read, if there is nothing to go on with.
    if (!(await Folder.isLocked(named))) await refuseFinished(named, options)
    const folder = await Folder.take(named, note, { make: false, files })
    try {
      // The run that held the folder until now may have ended in the meantime.
      await refuseFinished(named, options)
      return folder
    } catch (error) {
      folder.close()
      throw error
    }
  }
  let inUse: InUseError | undefined
  const paths = await numberedFolders(baseOf(options))
  for (const isWanted of [isUnfinished, (path: string) => isExtensible(path, options)]) {
    for (const path of paths) {
      if (!(await isWanted(path))) continue
      try {
        const folder = await Folder.take(path, note, { make: false, files })
        if (await isWanted(path)) return folder
        folder.close()
      } catch (error) {
        if (!(error instanceof InUseError)) throw error
        inUse ??= error
      }
    }
  }
  if (inUse) throw inUse
  const base = baseOf(options)
  throw new UsageError(
    `--resume: there is no unfinished run in ${base} (or ${base}-2, …); name its folder, or start one without --resume`,
  )
}

/** @throws UsageError when the run is finished and not to be extended, FormatError when there is none */
async function refuseFinished(path: string, options: TrainOptions): Promise<void> {
  if ((await isUnfinished(path)) || (await isExtensible(path, options))) return
  if (await isA('file', join(path, runFiles.model))) {
    const way = options.given.has('epochs')
      ? `it cannot be extended without ${runFiles.state}`
      : 'more --epochs than it had extend it'
    throw new UsageError(`${optionWords('--resume', path)}: the run is finished; ${way}`)
  }
  await readCheckpoint(join(path, runFiles.checkpoint))
}
