/** `toeplitz search`: hyperparameters by short trainings, as lines, a table and a page with plots. */
import { join } from 'node:path'
import { imageRange } from '../data/dataset.js'
import { imageExamples } from '../data/images.js'
import { SGD } from '../optim/sgd.js'
import { init as start } from '../runtime/embedded.js'
import { fit as train } from '../train/fit.js'
import { accuracy } from '../train/metrics.js'
import { gridSearch, randomSearch } from '../train/search.js'
import { ranked, type SearchResult, type Trial, type TrialFunction } from '../train/trials.js'
import { packageVersion } from './assets.js'
import { assertOutside, channelsFor, loadData, lookAt, type Data } from './data.js'
import { UsageError } from './errors.js'
import { Folder, type Note } from './folder.js'
import { factsOf, lossFor, makeModel, picturesFor } from './models.js'
import { augmentationOf, type Values } from './options.js'
import { readOwnModel, type OwnModel } from './ownModel.js'
import { suited } from './suited.js'
import { exitCodes, type SearchOptions } from './program.js'
import { renderSearch } from './searchReport.js'
import {
  commandOf,
  flagOf,
  learningRates,
  nameOf,
  isModelFile,
  trainDefaults,
  withRecipe,
  type RunSettings,
} from './settings.js'
import { optionWords } from './shell.js'
import { columns, outputTo, type CliStream, type Output } from './terminal.js'

const formatValue = (value: number): string => String(value)
const percent = (share: number | null): string => (share === null ? 'diverged' : `${(100 * share).toFixed(2)} %`)
const describe = ({ values }: Trial): string =>
  Object.entries(values)
    .map(([name, value]) => `${flagOf(name)} ${formatValue(value)}`)
    .join(' ')

/** The settings of a trial. */
const settingsOf = (options: SearchOptions, values: Readonly<Record<string, number>>): RunSettings => {
  const { model, data, imageSize, fit, maxPixels, maxBytes, epochs, batchSize, init, augment, seed } = options
  const pictures = { data, imageSize, fit, maxPixels, maxBytes, augment }
  return { ...trainDefaults, ...pictures, model, epochs, batchSize, init, seed, ...values }
}

/** The validation accuracy after a short training. */
function trialOf(options: SearchOptions, data: Data, own: OwnModel | undefined, signal: AbortSignal): TrialFunction {
  const { training, validation } = data
  return async (values, { round }) => {
    const settings = settingsOf(options, values)
    // Later rounds look more closely: they train for longer.
    const epochs = settings.epochs * round
    const { batchSize, lr, momentum, weightDecay, seed } = settings
    const model = makeModel(settings, training, own)
    const { preprocessing } = factsOf(settings, data)
    const optimizer = new SGD(model.parameters(), { lr, momentum, weightDecay })
    try {
      const { epochs: done } = await train(
        model,
        imageExamples(training, preprocessing, augmentationOf(settings.augment)),
        {
          ...{ epochs, batchSize, seed, optimizer, signal, loss: lossFor(model), metrics: { accuracy } },
          schedule: learningRates(settings, epochs * Math.ceil(training.size / batchSize)),
          validation: imageExamples(validation, preprocessing),
        },
      )
      return done.at(-1)?.validation?.metrics['accuracy'] ?? Number.NaN
    } finally {
      model.dispose()
      optimizer.dispose()
    }
  }
}

const isList = (values: Values): values is readonly number[] => Array.isArray(values)

/** Trials of a random search over ranges, or of a grid over lists. */
async function runSearch(
  options: SearchOptions,
  data: Data,
  own: OwnModel | undefined,
  out: Output,
): Promise<SearchResult> {
  const { lr, weightDecay, trials, rounds, seed } = options
  const controller = new AbortController()
  const interrupt = (): void => {
    if (controller.signal.aborted) process.exit(exitCodes.interrupted)
    out.line('Finishing the step, then writing what was found. Ctrl-C again ends at once.')
    controller.abort()
  }
  const lists = isList(lr) && isList(weightDecay) ? { lr, weightDecay } : undefined
  const count = lists ? lists.lr.length * lists.weightDecay.length : trials * rounds
  const callbacks = {
    signal: controller.signal,
    onTrial(trial: Trial) {
      const place = `${String(trial.number).padStart(String(count).length)}/${count}`
      out.line(`${place}  ${describe(trial)}  accuracy ${percent(trial.score)}  in ${trial.seconds.toFixed(1)} s`)
    },
  }
  const evaluate = trialOf(options, data, own, controller.signal)
  process.on('SIGINT', interrupt)
  try {
    if (lists) return await gridSearch(evaluate, { values: lists, ...callbacks })
    if (isList(lr) || isList(weightDecay)) {
      throw new UsageError('--lr and --weight-decay must both be ranges (1e-4..1e-1), or both lists (0.01,0.03)')
    }
    return await randomSearch(evaluate, { space: { lr, weightDecay }, trials, rounds, seed, ...callbacks })
  } finally {
    process.off('SIGINT', interrupt)
  }
}

/** Trials as lines of a table, the best first. */
function tableOf(trials: readonly Trial[]): string[] {
  const rows = [
    ['rank', 'trial', 'round', 'lr', 'weight decay', 'accuracy', 'time'],
    ...ranked(trials).map((trial, index) => [
      ...[String(index + 1), String(trial.number), String(trial.round), formatValue(trial.values['lr'] as number)],
      ...[formatValue(trial.values['weightDecay'] as number), percent(trial.score), `${trial.seconds.toFixed(1)} s`],
    ]),
  ]
  return columns(rows, () => true)
}

const names = { record: 'search.json', report: 'search.html' } as const
const files = Object.values(names)

/** Takes the folder for the results of a search. */
async function takeFolder(options: SearchOptions, note: Note): Promise<Folder> {
  const { out, force = false } = options
  const base = join('runs', `search-${nameOf(options)}`)
  await assertOutside(options.data, out ?? base, out !== undefined)
  if (out === undefined) return Folder.takeNumbered(base, note, files)
  const folder = await Folder.take(out, note, { make: true, files })
  if (force || !(await folder.has(names.record))) return folder
  folder.close()
  throw new UsageError(
    `${optionWords('--out', out)} holds a finished search (${names.record}); choose another folder, or replace it with --force`,
  )
}

/** The action behind `toeplitz search`; gives the exit code. */
export async function searchCommand(
  typed: SearchOptions,
  { stdout }: { readonly stdout: CliStream } = process,
): Promise<number> {
  const out = outputTo(stdout)
  const note = out.line
  const folder = await takeFolder(typed, note)
  try {
    await start()
    const { data: name, dataDir, fit, maxPixels, maxBytes, images } = typed
    const own = isModelFile(typed.model) ? await readOwnModel(typed.model) : undefined
    // As a training chooses them, which the search is for.
    let settings: RunSettings = withRecipe({ ...settingsOf(typed, {}), epochs: trainDefaults.epochs }, new Set())
    const facts = await lookAt(name, typed)
    if (facts) {
      const found = suited(settings, new Set(typed.imageSize > 0 ? ['imageSize', 'lr'] : ['lr']), facts, own)
      settings = found.settings
      const { imageSize, channels } = found.lines
      for (const line of [imageSize, channels]) if (line !== undefined) note(line)
    }
    const { imageSize, epochs } = settings
    const options = { ...typed, imageSize }
    const all = await loadData(name, {
      dataDir,
      ...{ imageSize, fit, maxPixels, maxBytes, channels: facts && channelsFor(facts) },
      ...(own ? picturesFor(own, options) : {}),
      strict: false,
      onSkip: ({ message }) => note(`warning: ${message}; skipped`),
      note,
    })
    const training = images > 0 && images < all.training.size ? imageRange(all.training, 0, images) : all.training
    const data = { ...all, training }
    note(
      `${options.model} on ${name}: ${training.size} training, ${data.validation.size} validation images; results in ${folder.path}`,
    )
    const began = performance.now()
    const { trials, best, stopped } = await runSearch(options, data, own, out)
    const seconds = (performance.now() - began) / 1000
    // As long as a whole training is by default, not as a trial.
    const command = best ? commandOf({ ...settingsOf(options, best.values), epochs }) : undefined
    const folders = dataDir === undefined ? '' : ` ${optionWords('--data-dir', dataDir)}`
    const record = {
      model: options.model,
      data: name,
      images: training.size,
      seed: options.seed,
      seconds,
      best,
      command,
      trials,
    }
    await folder.check()
    await folder.write(names.record, `${JSON.stringify(record, null, 2)}\n`)
    const page = renderSearch({ ...record, command: command ?? 'no trial gave a result', version: packageVersion() })
    const report = await folder.write(names.report, page)
    out.text(['', ...tableOf(trials), ''])
    if (command !== undefined) note(`best    ${command}${folders}`)
    note(`report  ${report}`)
    return stopped === 'aborted' ? exitCodes.interrupted : exitCodes.success
  } finally {
    folder.close()
  }
}
