/** `toeplitz train`: a run from data to report, that can be interrupted at any moment and resumed to the bit. */
import { createHash } from 'node:crypto'
import { imageExamples } from '../data/images.js'
import { describeModel, encodeModel, encodeModelFile } from '../io/model-file.js'
import { runtimeInfo } from '../runtime/core.js'
import { init } from '../runtime/embedded.js'
import { fit } from '../train/fit.js'
import type { EpochEvent, FitState, History, StepEvent } from '../train/options.js'
import { accuracy } from '../train/metrics.js'
import { channelsFor, loadData, lookAt } from './data.js'
import type { Note } from './folder.js'
import { factsOf, lossFor, makeModel, picturesFor } from './models.js'
import { makeOptimizer } from './optimizers.js'
import { augmentationOf } from './options.js'
import { channelsOf, ownModel, readOwnModel } from './ownModel.js'
import { exitCodes, type TrainOptions } from './program.js'
import { createProgress, type ProgressStream } from './progress.js'
import { errorLine, reportOf, resultOf, testModel } from './results.js'
import { Run, type RunParts } from './run.js'
import { isModelFile, learningRates } from './settings.js'
import { optionWords } from './shell.js'
import { suited } from './suited.js'
import { outputTo, type Output } from './terminal.js'

/** Steps between checkpoints: a few seconds of work that a crash can cost. */
const CHECKPOINT_STEPS = 100

interface Streams {
  readonly stdout: ProgressStream
}

/** The action behind `toeplitz train`; gives the exit code. */
export async function trainCommand(options: TrainOptions, { stdout }: Streams = process): Promise<number> {
  const out = outputTo(stdout)
  const note = out.line
  const interrupt = new Interrupt()
  let run: Run | undefined
  try {
    run = await Run.open(options, note)
    await start(options.threads, note)
    const skipped: string[] = []
    const parts = await makeParts(run, options, skipped, note)
    const from = await run.begin(parts, options.acceptChangedData === true)
    describe(run, parts, out)
    if (!(await train(run, parts, from, { stdout, options, interrupt, skipped }))) return exitCodes.interrupted
    await finish(run, parts, skipped.length, note)
    parts.model.dispose()
    parts.optimizer.dispose()
    return exitCodes.success
  } catch (error) {
    throw run ? await run.explained(error) : error
  } finally {
    run?.close()
    interrupt.stop()
  }
}

/** Loads the core, and says when it cannot have the threads that were asked for. */
async function start(wanted = 1, note: Note): Promise<void> {
  await init({ threads: wanted })
  const { threads, threadsOffBecause } = runtimeInfo()
  if (threadsOffBecause !== undefined) note(`Computing on ${threads} thread: ${threadsOffBecause}`)
}

/** The data, the model and the optimizer of a run. What is wrong with pictures that are skipped is added to `skipped`. */
async function makeParts(run: Run, options: TrainOptions, skipped: string[], note: Note): Promise<RunParts> {
  const { model: name } = run.settings
  const own = isModelFile(name)
    ? run.architecture === undefined
      ? await readOwnModel(name)
      : ownModel(run.architecture, name)
    : undefined
  const facts = run.architecture === undefined ? await lookAt(run.settings.data, run.settings) : undefined
  if (facts) {
    const { settings, lines } = suited(run.settings, options.given, facts, own)
    run.settle(settings)
    Object.values(lines).forEach(note)
  }
  const { settings } = run
  const data = await loadData(settings.data, {
    ...settings,
    channels: facts ? channelsFor(facts) : channelsOf(run.architecture, name),
    ...(own ? picturesFor(own, settings) : {}),
    ...{ dataDir: options.dataDir, strict: options.strict },
    onSkip: ({ message }) => skipped.push(message),
    note,
  })
  const model = makeModel(settings, data.training, own)
  return { data, model, optimizer: makeOptimizer(model, settings) }
}

function describe({ settings, path }: Run, { data, model }: RunParts, out: Output): void {
  out.text(`${model.summary().toString()}\n`)
  out.line(
    `${settings.model} on ${settings.data}: ${data.training.size} training, ${data.validation.size} validation, ${data.test.size} test images; results in ${path}`,
  )
}

interface Training {
  readonly stdout: ProgressStream
  readonly options: TrainOptions
  readonly interrupt: Interrupt
  /** What was wrong with the pictures that were skipped, as it becomes known. */
  readonly skipped: readonly string[]
}

/** Trains until the end or an interrupt; gives whether it finished. */
async function train(
  run: Run,
  parts: RunParts,
  start: FitState | undefined,
  { stdout, options, interrupt, skipped }: Training,
): Promise<boolean> {
  const { settings, metrics } = run
  const { data, model, optimizer } = parts
  const { epochs, batchSize, seed, accumulate, clipNorm, earlyStopping } = settings
  const augmentation = augmentationOf(settings.augment)
  const { preprocessing } = factsOf(settings, data)
  const stepsPerEpoch = Math.ceil(data.training.size / batchSize)
  const progress = createProgress(stdout)
  const began = performance.now()
  let examples = 0
  let warned = 0
  const warn = (): void => {
    for (; warned < skipped.length; warned++) progress.note(`warning: ${skipped[warned]}; skipped`)
  }
  const onStep = async (event: StepEvent): Promise<void> => {
    warn()
    const { step, epoch, running } = event
    examples += Math.min(batchSize, data.training.size - ((step - 1) % stepsPerEpoch) * batchSize)
    const { accuracy: share = 0 } = running.metrics
    metrics.step({ step, epoch, loss: event.loss, accuracy: share, learningRate: event.learningRate })
    const imagesPerSecond = examples / ((performance.now() - began) / 1000)
    progress.step({ epoch, step, loss: running.loss, accuracy: share, imagesPerSecond })
    if (step % CHECKPOINT_STEPS === 0 && step % stepsPerEpoch !== 0) await run.checkpoint(event.state)
  }
  const onEpoch = async (event: EpochEvent): Promise<void> => {
    warn()
    const record = {
      epoch: event.epoch,
      trainingLoss: event.training.loss,
      trainingAccuracy: event.training.metrics['accuracy'] ?? 0,
      validationLoss: event.validation?.loss ?? null,
      validationAccuracy: event.validation?.metrics['accuracy'] ?? null,
      seconds: event.seconds,
      imagesPerSecond: event.examplesPerSecond,
    }
    metrics.epoch(record)
    progress.epoch(record)
    if (event.improved) run.keepBest()
    await run.checkpoint(event.state)
  }
  interrupt.finishStep = (line) => progress.note(line)
  progress.start({ epochs, stepsPerEpoch, batchSize, firstStep: start?.step ?? 0 })
  try {
    const history = await fit(model, imageExamples(data.training, preprocessing, augmentation), {
      epochs,
      batchSize,
      seed,
      optimizer,
      loss: lossFor(model),
      schedule: learningRates(settings, epochs * stepsPerEpoch),
      accumulate,
      ...(clipNorm > 0 ? { clipNorm } : {}),
      // The best weights are the run's, which a checkpoint keeps.
      ...(earlyStopping > 0
        ? { earlyStopping: { patience: earlyStopping, monitor: 'accuracy', restoreBest: false } }
        : {}),
      metrics: { accuracy },
      validation: imageExamples(data.validation, preprocessing),
      callbacks: { onStep, onEpoch },
      signal: interrupt.signal,
      ...(start ? { start } : {}),
    })
    if (history.stopped !== 'aborted') {
      progress.stop()
      tellKept(history, outputTo(stdout).line)
      return true
    }
    await run.checkpoint(history.state)
    progress.stop()
    const report = await run.writeReport(reportOf(run, parts))
    const { path } = run
    outputTo(stdout).text([
      `Interrupted after step ${history.state.step} of ${epochs * stepsPerEpoch}; the checkpoint is in ${path} (${report}).`,
      `Go on with: ${resumeCommand(path, options)}`,
    ])
    return false
  } finally {
    progress.stop()
    interrupt.finishStep = undefined
  }
}

/** Says at which epoch a run stopped early and which one it keeps, where these are not the last. */
function tellKept({ stopped, epoch, state: { best } }: History, note: Note): void {
  if (!best || (stopped === 'finished' && best.epoch === epoch)) return
  const why = stopped === 'early' ? `stopped early after epoch ${epoch}` : `finished after epoch ${epoch}`
  const value = `${(100 * best.value).toFixed(2)} % of the validation images right`
  note(`${why}; the weights are those of epoch ${best.epoch} (${value})`)
}

/** The command that goes on with a run, with what no checkpoint knows. */
const resumeCommand = (directory: string, { dataDir, threads, strict }: TrainOptions): string =>
  [
    'toeplitz train',
    optionWords('--resume', directory),
    ...(dataDir === undefined ? [] : [optionWords('--data-dir', dataDir)]),
    ...(threads === undefined ? [] : [optionWords('--threads', threads)]),
    ...(strict === true ? ['--strict'] : []),
  ].join(' ')

/** Tests the model of the best epoch, or else of the last, and leaves the results. */
async function finish(run: Run, parts: RunParts, skipped: number, note: Note): Promise<void> {
  const { settings, metrics, seconds, best } = run
  const { data, model } = parts
  if (best) model.assign(best, 'the weights of the best epoch')
  const test = await testModel(run, parts)
  const { images, errors, loss } = test
  const facts = factsOf(settings, data)
  const weights = encodeModel(model, facts)
  const sha256 = createHash('sha256').update(weights).digest('hex')
  const outcome = { test, sha256, seconds }
  metrics.add('test', { images, errors, loss, sha256, seconds })
  const paths = await run.finish({
    weights,
    model: encodeModelFile({ ...describeModel(model, facts), weights: { file: 'model.safetensors', sha256 } }),
    report: reportOf(run, parts, outcome),
    result: resultOf(run, parts, outcome),
  })
  note(errorLine(images, errors))
  if (skipped > 0) note(`skipped      ${skipped} picture${skipped === 1 ? '' : 's'}, as told above`)
  note(`time         ${seconds.toFixed(1)} s`)
  note(`weights      ${paths.weights}`)
  note(`SHA-256      ${sha256}`)
  note(`report       ${paths.report}`)
}

/** What Ctrl-C (or SIGTERM) does: it ends the process, in training not before the step in progress and a checkpoint. */
class Interrupt {
  /** Told, while a step can be finished, that it will be. Without it, the process ends at once. */
  finishStep: ((line: string) => void) | undefined
  readonly #controller = new AbortController()
  readonly #handle = (): void => {
    // The folder is given back as the process exits.
    if (!this.finishStep || this.signal.aborted) process.exit(exitCodes.interrupted)
    this.finishStep('Finishing the step, then writing a checkpoint. Ctrl-C again ends at once.')
    this.#controller.abort()
  }

  constructor() {
    process.on('SIGINT', this.#handle)
    process.on('SIGTERM', this.#handle)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  stop(): void {
    process.off('SIGINT', this.#handle)
    process.off('SIGTERM', this.#handle)
  }
}
