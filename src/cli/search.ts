/** `toeplitz search`: hyperparameters by short trainings, as lines, a table and a page with plots. */
import { join } from 'node:path'
import { imageRange } from '../data/dataset.js'
import { Folder, type Note } from '../node/resultFolder.js'
import { init as start } from '../runtime/embedded.js'
import { gridSearch, randomSearch } from '../train/search.js'
import { ranked, type SearchResult, type Trial, type TrialFunction } from '../train/trials.js'
import { exitCodes, type SearchOptions } from './actions.js'
import { packageVersion } from './assets.js'
import { assertOutside, loadData, type Data } from './data.js'
import { UsageError } from './errors.js'
import { Interrupt } from './interrupt.js'
import { makeModel, stepsPerEpoch, trainModel } from './models.js'
import { makeOptimizer } from './optimizers.js'
import type { Values } from './options.js'
import type { OwnModel } from './ownModel.js'
import { LossCurves } from './searchCurves.js'
import { renderSearch } from './searchReport.js'
import { commandOf, flagOf, nameOf, trainDefaults, withRecipe, type RunSettings } from './settings.js'
import { optionWords } from './shell.js'
import { choose } from './suited.js'
import { columns, outputTo, type CliStreams, type Output } from './terminal.js'

const percent = (share: number | null): string => (share === null ? 'diverged' : `${(100 * share).toFixed(2)} %`)
const describe = ({ values }: Trial): string =>
  Object.entries(values)
    .map(([name, value]) => `${flagOf(name)} ${value}`)
    .join(' ')

/** The settings that all trials have. */
const settingsOf = (options: SearchOptions): RunSettings => {
  const { model, data, imageSize, fit, maxPixels, maxBytes, epochs, batchSize, init, augment, seed } = options
  return {
    ...trainDefaults,
    ...{ model, data, imageSize, fit, maxPixels, maxBytes, epochs, batchSize, init, augment, seed },
  }
}

/** The validation accuracy after a short training. */
function trialOf(
  all: RunSettings,
  data: Data,
  own: OwnModel | undefined,
  curves: LossCurves,
  signal: AbortSignal,
): TrialFunction {
  return async (values, { number, round }) => {
    // Later rounds look more closely: they train for longer.
    const settings = { ...all, ...values, epochs: all.epochs * round }
    const model = makeModel(settings, data.training, own)
    const optimizer = makeOptimizer(model, settings)
    const onStep = curves.begin(number)
    try {
      const { epochs } = await trainModel(settings, { data, model, optimizer }, { signal, callbacks: { onStep } })
      return epochs.at(-1)?.validation?.metrics['accuracy'] ?? Number.NaN
    } finally {
      model.dispose()
      optimizer.dispose()
    }
  }
}

const isList = (values: Values): values is readonly number[] => Array.isArray(values)

/** Trials of a random search over ranges, or of a grid over lists. */
async function runSearch(
  { lr, weightDecay, trials, rounds, seed }: SearchOptions,
  evaluationOf: (signal: AbortSignal) => TrialFunction,
  out: Output,
): Promise<SearchResult> {
  const lists = isList(lr) && isList(weightDecay) ? { lr, weightDecay } : undefined
  const count = lists ? lists.lr.length * lists.weightDecay.length : trials * rounds
  const interrupt = new Interrupt('SIGINT')
  interrupt.onFinishing = () => {
    out.line('Finishing the step, then writing what was found. Ctrl-C again ends at once.')
  }
  const callbacks = {
    signal: interrupt.signal,
    onTrial(trial: Trial) {
      const place = `${String(trial.number).padStart(String(count).length)}/${count}`
      out.line(`${place}  ${describe(trial)}  accuracy ${percent(trial.score)}  in ${trial.seconds.toFixed(1)} s`)
    },
  }
  const evaluate = evaluationOf(interrupt.signal)
  try {
    if (lists) return await gridSearch(evaluate, { values: lists, ...callbacks })
    if (isList(lr) || isList(weightDecay)) {
      throw new UsageError('--lr and --weight-decay must both be ranges (1e-4..1e-1), or both lists (0.01,0.03)')
    }
    return await randomSearch(evaluate, { space: { lr, weightDecay }, trials, rounds, seed, ...callbacks })
  } finally {
    interrupt.stop()
  }
}

/** Trials as lines of a table, the best first. */
function tableOf(trials: readonly Trial[]): string[] {
  const rows = [
    ['rank', 'trial', 'round', 'lr', 'weight decay', 'accuracy', 'time'],
    ...ranked(trials).map((trial, index) => [
      ...[String(index + 1), String(trial.number), String(trial.round), String(trial.values['lr'])],
      ...[String(trial.values['weightDecay']), percent(trial.score), `${trial.seconds.toFixed(1)} s`],
    ]),
  ]
  return columns(rows, () => true)
}

const names = { record: 'search.json', report: 'search.html' } as const

/** Takes the folder for the results of a search. */
async function takeFolder(options: SearchOptions, note: Note): Promise<Folder> {
  const { out, force = false } = options
  const base = join('runs', `search-${nameOf(options)}`)
  await assertOutside(options.data, out ?? base, out !== undefined)
  return Folder.takeNew({ out, base }, Object.values(names), note, async (folder) => {
    if (force || !(await folder.has(names.record))) return
    throw new UsageError(
      `${optionWords('--out', folder.path)} holds a finished search (${names.record}); choose another folder, or replace it with --force`,
    )
  })
}

/** The action behind `toeplitz search`; gives the exit code. */
export async function searchCommand(
  options: SearchOptions,
  { stdout }: Pick<CliStreams, 'stdout'> = process,
): Promise<number> {
  const out = outputTo(stdout)
  const note = out.line
  const folder = await takeFolder(options, note)
  try {
    await start()
    const { model, data: name, dataDir, images, seed } = options
    const typed = settingsOf(options)
    // As a training chooses them, which the search is for, and which is as long as it is by default.
    const whole = withRecipe({ ...typed, epochs: trainDefaults.epochs }, new Set())
    const given = new Set(options.imageSize > 0 ? ['imageSize', 'lr'] : ['lr'])
    const { settings, lines, own, pictures } = await choose(whole, given)
    for (const line of [lines.imageSize, lines.channels]) if (line !== undefined) note(line)
    const trial = { ...typed, imageSize: settings.imageSize }

    const onSkip = ({ message }: Error): void => note(`warning: ${message}; skipped`)
    const all = await loadData(name, { ...settings, ...pictures, dataDir, onSkip, note })
    const training = images > 0 && images < all.training.size ? imageRange(all.training, 0, images) : all.training
    const data = { ...all, training }
    note(
      `${model} on ${name}: ${training.size} training, ${data.validation.size} validation images; results in ${folder.path}`,
    )

    const began = performance.now()
    const curves = new LossCurves(trial.epochs * stepsPerEpoch(trial, data))
    const found = await runSearch(options, (signal) => trialOf(trial, data, own, curves, signal), out)
    const seconds = (performance.now() - began) / 1000

    const { trials, best, stopped } = found
    const command = best ? commandOf({ ...trial, ...best.values, epochs: settings.epochs }) : undefined
    const record = {
      model,
      data: name,
      images: training.size,
      seed,
      seconds,
      best,
      command,
      trials,
      curves: curves.all,
    }
    await folder.check()
    await folder.write(names.record, `${JSON.stringify(record, null, 2)}\n`)
    const page = renderSearch({ ...record, command: command ?? 'no trial gave a result', version: packageVersion() })
    const report = await folder.write(names.report, page)
    out.text(['', ...tableOf(trials), ''])
    const folders = dataDir === undefined ? '' : ` ${optionWords('--data-dir', dataDir)}`
    if (command !== undefined) note(`best    ${command}${folders}`)
    note(`report  ${report}`)
    return stopped === 'aborted' ? exitCodes.interrupted : exitCodes.success
  } finally {
    folder.close()
  }
}
