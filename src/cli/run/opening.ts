/** Which folder a run takes, and whether it may: one for a new run, or that of a run to go on with or to extend. */
import { join } from 'node:path'
import { InUseError } from '../../node/lock.js'
import { Folder, numberedFolders, type Note } from '../../node/resultFolder.js'
import type { TrainOptions } from '../actions.js'
import { assertOutside } from '../data.js'
import { UsageError } from '../errors.js'
import { checkParts, partsOf } from '../parts.js'
import { hasMomentum, nameOf, optimizerNames, settingNames, wordsOf, type RunSettings } from '../settings.js'
import { optionWords } from '../shell.js'
import { checkTuning } from '../tuning.js'
import { readCheckpoint, type Checkpoint } from './checkpoint.js'
import { existing, results, runFiles, written } from './files.js'

/** A folder that is taken, and what is known of the run in it. */
export interface Opened {
  readonly folder: Folder
  readonly settings: RunSettings
  /** Where a run stands that goes on. */
  readonly resumed?: Checkpoint
}

const baseOf = (settings: RunSettings): string => join('runs', nameOf(settings))

/** Takes the folder of a run, without changing anything in it. @throws as `Run.open` */
export async function openFolder(options: TrainOptions, note: Note): Promise<Opened> {
  const { resume, force = false, acceptChangedData = false } = options
  if (resume !== undefined) {
    if (force) throw new UsageError('--force starts a run over, --resume goes on with it; give one of the two')
    const folder = await takeUnfinished(options, note)
    return folder.keptIf(() => resumeIn(folder, options))
  }
  if (acceptChangedData)
    throw new UsageError('--accept-changed-data: only a run that goes on by --resume has data to compare')
  return openNew(options, note)
}

async function openNew(options: TrainOptions, note: Note): Promise<Opened> {
  const { out, force = false, optimizer, momentum, given } = options
  if (given.has('momentum') && !hasMomentum(optimizer)) {
    throw new UsageError(
      `--momentum ${momentum}: ${optimizer} has none; it is for ${optimizerNames.filter(hasMomentum).join(' and ')}`,
    )
  }
  checkTuning(options, given)
  const parts = partsOf(options)
  checkParts({ ...options, parts }, options)
  const base = baseOf(options)
  await assertOutside(options.data, out ?? base, out !== undefined)
  const folder = await Folder.takeNew({ out, base }, written, note, async (taken) => {
    if (!force) await refuseRun(taken.path)
  })
  const settings = Object.fromEntries(settingNames.map((name) => [name, options[name]])) as unknown as RunSettings
  return { folder, settings: { ...settings, parts } }
}

/** @throws UsageError when there is a run in the folder, which a new one would replace */
async function refuseRun(path: string): Promise<void> {
  const out = optionWords('--out', path)
  if (await existing(path, 'checkpoint')) {
    throw new UsageError(
      `${out} holds an unfinished run; go on with ${optionWords('--resume', path)}, choose another folder, or replace it with --force`,
    )
  }
  for (const name of results) {
    if (await existing(path, name)) {
      throw new UsageError(
        `${out} holds a finished run (${runFiles[name]}); choose another folder, or replace it with --force`,
      )
    }
  }
}

/** The run in a folder, to go on with, or to extend where it has ended. */
async function resumeIn(folder: Folder, options: TrainOptions): Promise<Opened> {
  const unfinished = await existing(folder.path, 'checkpoint')
  const isOver = unfinished === undefined
  const resumed = await readCheckpoint(unfinished ?? folder.pathOf(runFiles.state))
  const before = resumed.settings
  const { epochs } = isOver ? options : before
  if (isOver && epochs <= before.epochs) {
    throw new UsageError(
      `--epochs ${epochs}: the run is finished, and was given ${before.epochs}; more of them extend it`,
    )
  }
  for (const name of settingNames) {
    // How weights are stored changes nothing of what comes before.
    if ((isOver && name === 'epochs') || name === 'dtype') continue
    if (options.given.has(name) && options[name] !== before[name]) {
      throw new UsageError(
        `${wordsOf(name, options[name])}: the run was started with ${before[name]}; leave the option out, or start a new run`,
      )
    }
  }
  checkParts(before, options)
  await assertOutside(before.data, folder.path, false)
  const { dtype } = options.given.has('dtype') ? options : before
  return { folder, settings: { ...before, epochs, dtype }, resumed }
}

const isUnfinished = async (path: string): Promise<boolean> => (await existing(path, 'checkpoint')) !== undefined

/** Whether the options ask for more epochs, and there is a run that has ended and can have them. */
const isExtensible = async (path: string, { given }: TrainOptions): Promise<boolean> =>
  given.has('epochs') && (await existing(path, 'state')) !== undefined

/**
 * Takes the folder of the run to go on with, or to extend. Where none is named, it is the last of the numbered ones that is not
 * finished; if there is none, the last that can be extended.
 */
async function takeUnfinished(options: TrainOptions, note: Note): Promise<Folder> {
  const taking = { make: false, files: written }
  const named = typeof options.resume === 'string' ? options.resume : options.out
  if (named !== undefined) {
    await Folder.assertFree(named, written)
    // A folder in which no run was killed is only read, if there is nothing to go on with.
    if (!(await Folder.isLocked(named))) await refuseFinished(named, options)
    const folder = await Folder.take(named, note, taking)
    // The run that held the folder until now may have ended in the meantime.
    await folder.keptIf(() => refuseFinished(named, options))
    return folder
  }
  let inUse: InUseError | undefined
  const base = baseOf(options)
  const paths = await numberedFolders(base)
  for (const isWanted of [isUnfinished, (path: string) => isExtensible(path, options)]) {
    for (const path of paths) {
      if (!(await isWanted(path))) continue
      try {
        const folder = await Folder.take(path, note, taking)
        if (await isWanted(path)) return folder
        folder.close()
      } catch (error) {
        if (!(error instanceof InUseError)) throw error
        inUse ??= error
      }
    }
  }
  if (inUse) throw inUse
  throw new UsageError(
    `--resume: there is no unfinished run in ${base} (or ${base}-2, …); name its folder, or start one without --resume`,
  )
}

/** @throws UsageError when the run is finished and not to be extended, FormatError when there is none */
async function refuseFinished(path: string, options: TrainOptions): Promise<void> {
  if ((await isUnfinished(path)) || (await isExtensible(path, options))) return
  if (await existing(path, 'model')) {
    const way = options.given.has('epochs')
      ? `it cannot be extended without ${runFiles.state}`
      : 'more --epochs than it had extend it'
    throw new UsageError(`${optionWords('--resume', path)}: the run is finished; ${way}`)
  }
  await readCheckpoint(join(path, runFiles.checkpoint))
}
