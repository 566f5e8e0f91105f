/**
 * `toeplitz train`: settings, data, model, run, fit, report, in this order. A run can be interrupted at any moment and resumed
 * to the bit.
 */
import { roundToFloat16 } from '../io/model-file.js'
import { crossEntropy } from '../ops/loss.js'
import type { Note } from '../node/resultFolder.js'
import { zeros } from '../tensor/create.js'
import { scope } from '../tensor/tensor.js'
import type { EpochEvent, FitState, History, StepEvent } from '../train/options.js'
import { exitCodes, type TrainOptions } from './actions.js'
import { loadData } from './data.js'
import { workersOf, type Workers } from './distributed.js'
import { Interrupt } from './interrupt.js'
import { lossFor, makeModel, stepsPerEpoch, trainModel, type RunParts } from './models.js'
import { makeOptimizer } from './optimizers.js'
import { createProgress, type ProgressStream } from './progress.js'
import { errorLines, testModel } from './results.js'
import { Run } from './run/run.js'
import { optionWords } from './shell.js'
import { startCore } from './startCore.js'
import { outputTo } from './terminal.js'
import { readTrainedModel } from './trained.js'
import { sourceOf } from './settings.js'

/** Steps between checkpoints: a few seconds of work that a crash can cost. */
const CHECKPOINT_STEPS = 100

/** The action behind `toeplitz train`; gives the exit code. */
export async function trainCommand(
  options: TrainOptions,
  { stdout }: { readonly stdout: ProgressStream } = process,
): Promise<number> {
  const { threads, dataDir, redis, strict, acceptChangedData = false } = options
  const out = outputTo(stdout)
  const note = out.line
  const interrupt = new Interrupt('SIGINT', 'SIGTERM')
  let run: Run | undefined
  let workers: Workers | undefined
  // What the connection tells goes above the progress, as long as there is one.
  const telling = { note }
  try {
    // The settings are those that were typed, or those of the run that goes on: its folder comes first.
    run = await Run.open(options, note)
    await startCore(threads, note)
    workers = await workersOf(redis, (line) => telling.note(line))
    const { settings, lines, own, pictures, trained } = await run.choose(readTrainedModel)
    Object.values(lines).forEach(note)

    const skipped: string[] = []
    const onSkip = ({ message }: Error) => skipped.push(message)
    const data = await loadData(settings.data, { ...settings, ...pictures, trained, dataDir, strict, onSkip, note })

    const model = makeModel(settings, data.training, own)
    const parts = { data, model, optimizer: makeOptimizer(model, settings) }

    const start = await run.begin(parts, acceptChangedData)
    const { path } = run
    const { training, validation, test } = data
    out.text(`${model.summary().toString()}\n`)
    note(
      `${sourceOf(settings)} on ${settings.data}: ${training.size} training, ${validation.size} validation, ${test.size} test images; results in ${path}`,
    )

    if (workers) note(`a batch is computed in ${counted(settings.parts)} by the workers on ${workers.shown}`)
    const history = await fitRun(run, parts, start, { stdout, interrupt, skipped, workers, telling })
    if (history.stopped === 'aborted') {
      const report = await run.writeReport()
      const steps = settings.epochs * stepsPerEpoch(settings, data)
      out.text([
        `Interrupted after step ${history.state.step} of ${steps}; the checkpoint is in ${path} (${report}).`,
        `Go on with: ${resumeCommand(path, options, workers)}`,
      ])
      return exitCodes.interrupted
    }
    tellKept(history, note)
    tellGuessing(history, parts, settings.lr, note)

    run.endTraining()
    // What is tested is what is stored.
    if (settings.dtype === 'float16') roundToFloat16(model)
    const tested = await testModel(settings, parts)
    const { weights, report, sha256, seconds } = await run.finish(tested)
    errorLines(tested.images, tested.errors, tested.top5Errors).forEach(note)
    if (skipped.length > 0)
      note(`skipped      ${skipped.length} picture${skipped.length === 1 ? '' : 's'}, as told above`)
    note(`time         ${seconds.toFixed(1)} s`)
    note(`weights      ${weights}`)
    note(`SHA-256      ${sha256}`)
    note(`report       ${report}`)
    model.dispose()
    parts.optimizer.dispose()
    return exitCodes.success
  } catch (error) {
    throw run ? await run.explained(error) : error
  } finally {
    await workers?.pool.close()
    run?.close()
    interrupt.stop()
  }
}

interface Fitting {
  readonly stdout: ProgressStream
  readonly interrupt: Interrupt
  /** What was wrong with the pictures that were skipped, as it becomes known. */
  readonly skipped: readonly string[]
  /** Those that compute the parts of a batch. */
  readonly workers: Workers | undefined
  /** Where their connection tells how it is. */
  readonly telling: { note: Note }
}

const counted = (parts: number): string => `${parts} part${parts === 1 ? '' : 's'}`

/** Trains until the end or an interrupt, which leaves a checkpoint. Shows how it goes, and lets the run record it. */
async function fitRun(
  run: Run,
  parts: RunParts,
  start: FitState | undefined,
  { stdout, interrupt, skipped, workers, telling }: Fitting,
): Promise<History> {
  const { settings } = run
  const { epochs, batchSize } = settings
  const { size } = parts.data.training
  const perEpoch = stepsPerEpoch(settings, parts.data)
  const progress = createProgress(stdout)
  const began = performance.now()
  let examples = 0
  let warned = 0
  const warn = (): void => {
    for (; warned < skipped.length; warned++) progress.note(`warning: ${skipped[warned]}; skipped`)
  }
  const onStep = async ({ step, epoch, loss, learningRate, running, state }: StepEvent): Promise<void> => {
    warn()
    examples += Math.min(batchSize, size - ((step - 1) % perEpoch) * batchSize)
    const { accuracy = 0 } = running.metrics
    run.step({ step, epoch, loss, accuracy, learningRate })
    const imagesPerSecond = examples / ((performance.now() - began) / 1000)
    progress.step({ epoch, step, loss: running.loss, accuracy, imagesPerSecond })
    if (step % CHECKPOINT_STEPS === 0 && step % perEpoch !== 0) await run.checkpoint(state)
  }
  const onEpoch = async ({ epoch, training, validation, improved = false, ...event }: EpochEvent): Promise<void> => {
    warn()
    const record = {
      epoch,
      trainingLoss: training.loss,
      trainingAccuracy: training.metrics['accuracy'] ?? 0,
      validationLoss: validation?.loss ?? null,
      validationAccuracy: validation?.metrics['accuracy'] ?? null,
      seconds: event.seconds,
      imagesPerSecond: event.examplesPerSecond,
    }
    run.epoch(record, improved)
    progress.epoch(record)
    await run.checkpoint(event.state)
  }
  interrupt.onFinishing = () => {
    // A step whose parts are with workers is not waited for.
    const first = workers ? 'Writing a checkpoint' : 'Finishing the step, then writing a checkpoint'
    progress.note(`${first}. Ctrl-C again ends at once.`)
  }
  progress.start({ epochs, stepsPerEpoch: perEpoch, batchSize, firstStep: start?.step ?? 0 })
  const { note } = telling
  telling.note = (line) => {
    progress.note(line)
  }
  try {
    const how = {
      ...{ callbacks: { onStep, onEpoch }, signal: interrupt.signal, ...(start ? { start } : {}) },
      ...(workers ? { exchange: workers.pool } : {}),
    }
    const history = await trainModel(settings, parts, how)
    if (history.stopped === 'aborted') await run.checkpoint(history.state)
    return history
  } finally {
    progress.stop()
    telling.note = note
    interrupt.onFinishing = undefined
  }
}

/** Says at which epoch a run stopped early and which one it keeps, where these are not the last. */
function tellKept({ stopped, epoch, state: { best } }: History, note: Note): void {
  if (!best || (stopped === 'finished' && best.epoch === epoch)) return
  const why = stopped === 'early' ? `stopped early after epoch ${epoch}` : `finished after epoch ${epoch}`
  const value = `${(100 * best.value).toFixed(2)} % of the validation images right`
  note(`${why}; the weights are those of epoch ${best.epoch} (${value})`)
}

/** Says that a run has learned nothing, as it is where the learning rate is too high though every number stayed finite. */
function tellGuessing({ epochs }: History, { model, data }: RunParts, lr: number, note: Note): void {
  const loss = epochs.at(-1)?.training.loss
  const guessed = scope(() => crossEntropy(zeros([1, data.training.classes.length]), [0]).item())
  if (loss === undefined || lossFor(model) !== crossEntropy || Object.keys(model.auxiliary).length > 0) return
  if (loss < guessed) return
  note(
    `warning: the training loss is ${loss.toFixed(4)}, no lower than that of guessing (${guessed.toFixed(4)}): the learning rate may be too high; try --lr ${Number((lr / 10).toPrecision(1))}`,
  )
}

/** The command that goes on with a run, with what no checkpoint knows. */
const resumeCommand = (
  directory: string,
  { dataDir, threads, strict }: TrainOptions,
  workers: Workers | undefined,
): string =>
  [
    'toeplitz train',
    optionWords('--resume', directory),
    ...(dataDir === undefined ? [] : [optionWords('--data-dir', dataDir)]),
    ...(threads === undefined ? [] : [optionWords('--threads', threads)]),
    ...(workers ? [optionWords('--redis', workers.shown)] : []),
    ...(strict === true ? ['--strict'] : []),
  ].join(' ')
