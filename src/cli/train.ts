/** `toeplitz train`: a run from data to report, that can be interrupted at any moment and resumed to the bit. */
import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { arch, availableParallelism, cpus, platform } from 'node:os'
import { basename, join } from 'node:path'
import { readImage } from '../data/dataset.js'
import { imageExamples } from '../data/images.js'
import { describeModel, encodeModel, encodeModelFile } from '../io/model-file.js'
import type { Graph } from '../nn/graph.js'
import { ensureDirectory, readFileOrExplain, writeFileAtomically } from '../node/files.js'
import { softmax } from '../ops/softmax.js'
import { SGD } from '../optim/sgd.js'
import { runtimeInfo } from '../runtime/core.js'
import { init } from '../runtime/embedded.js'
import { DivergedError } from '../runtime/errors.js'
import { evaluate, fit, type EpochEvent, type FitState, type StepEvent } from '../train/fit.js'
import { accuracy, argmax } from '../train/metrics.js'
import { lossOf } from '../zoo/registry.js'
import { packageVersion } from './assets.js'
import { checkpointPath, readCheckpoint, restore, writeCheckpoint, type Checkpoint } from './checkpoint.js'
import { loadData, type Data } from './data.js'
import { UsageError } from './errors.js'
import { exists, MetricsFile } from './metrics.js'
import { makeModel } from './models.js'
import { augmentationOf } from './options.js'
import { exitCodes, type TrainOptions } from './program.js'
import { createProgress, type ProgressStream } from './progress.js'
import { renderReport, type Mistake, type ReportData } from './report.js'
import { commandOf, flagOf, learningRates, settingNames, type RunSettings } from './settings.js'

/** Steps between checkpoints: a few seconds of work that a crash can cost. */
const CHECKPOINT_STEPS = 100
/** Images in one forward pass when measuring. */
const EVALUATION_BATCH = 250
/** Wrongly classified images in the report. */
const MISTAKES = 36

interface Streams {
  readonly stdout: ProgressStream
}

interface TestResult {
  /** Images that could be read. */
  readonly images: number
  readonly loss: number
  readonly errors: number
  readonly confusion: number[][]
  readonly mistakes: Mistake[]
}

/** A run's name, as `convnet-mnist`. */
const nameOf = ({ model, data }: RunSettings): string => `${model}-${basename(data)}`

/** The folder of a new run. Left to us, it is one that nothing is lost in. */
async function chooseDirectory(options: TrainOptions): Promise<string> {
  if (options.out !== undefined) {
    if (await exists(checkpointPath(options.out))) {
      throw new UsageError(
        `--out ${options.out} holds an unfinished run; go on with --resume ${options.out}, or choose another folder`,
      )
    }
    return options.out
  }
  const base = join('runs', nameOf(options))
  for (let number = 1; ; number++) {
    const directory = number === 1 ? base : `${base}-${number}`
    if (!(await exists(directory))) return directory
  }
}

/** The run to go on with when `--resume` names none: the last of the numbered folders that is not finished. */
async function findUnfinished(options: TrainOptions): Promise<string> {
  if (options.out !== undefined) return options.out
  const base = join('runs', nameOf(options))
  let found: string | undefined
  for (let number = 1; number === 1 || (await exists(`${base}-${number}`)); number++) {
    const directory = number === 1 ? base : `${base}-${number}`
    if (await exists(checkpointPath(directory))) found = directory
  }
  if (found === undefined)
    throw new UsageError(
      `--resume: there is no unfinished run in ${base} (or ${base}-2, …); name its folder, or start one without --resume`,
    )
  return found
}

async function resumeFrom(options: TrainOptions): Promise<{ directory: string; checkpoint: Checkpoint }> {
  const directory = typeof options.resume === 'string' ? options.resume : await findUnfinished(options)
  if (!(await exists(checkpointPath(directory))) && (await exists(join(directory, 'model.json')))) {
    throw new UsageError(`--resume ${directory}: the run is finished; there is nothing to go on with`)
  }
  const checkpoint = await readCheckpoint(directory)
  for (const name of settingNames) {
    if (options.given.has(name) && options[name] !== checkpoint.settings[name]) {
      throw new UsageError(
        `${flagOf(name)} ${options[name]}: the run was started with ${checkpoint.settings[name]}; leave the option out, or start a new run`,
      )
    }
  }
  return { directory, checkpoint }
}

const settingsOf = (options: RunSettings): RunSettings =>
  Object.fromEntries(settingNames.map((name) => [name, options[name]])) as unknown as RunSettings

/** Weights of the best epoch so far, where training may stop early. */
const bestPath = (directory: string): string => join(directory, 'best.safetensors')

const percent = (share: number): string => `${(100 * share).toFixed(2)} %`

async function test({ settings, model, data: { test: images, normalization } }: Run): Promise<TestResult> {
  const classes = images.classes.length
  const confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0))
  let measured = 0
  const wrong: { index: number; label: number; predicted: number; probability: number; ofLabel: number }[] = []
  const { loss } = await evaluate(model, imageExamples(images, normalization), {
    batchSize: EVALUATION_BATCH,
    loss: lossOf(settings.model),
    onBatch(output, labels, indices) {
      const probabilities = softmax(output).data()
      measured += indices.length
      argmax(output).forEach((predicted, n) => {
        const label = labels[n] as number
        const row = confusion[label] as number[]
        row[predicted] = (row[predicted] as number) + 1
        if (predicted !== label) {
          wrong.push({
            index: indices[n] as number,
            label,
            predicted,
            probability: probabilities[n * classes + predicted] as number,
            ofLabel: probabilities[n * classes + label] as number,
          })
        }
      })
    },
  })
  wrong.sort((a, b) => a.ofLabel - b.ofLabel || a.index - b.index)
  const mistakes: Mistake[] = []
  for (const { index, label, predicted, probability } of wrong.slice(0, MISTAKES)) {
    const pixels = await readImage(images, index)
    if (pixels) mistakes.push({ pixels, shape: images.shape, label, predicted, probability })
  }
  return { images: measured, loss, errors: wrong.length, confusion, mistakes }
}

/** Everything a run holds while it goes on. */
interface Run {
  readonly directory: string
  readonly settings: RunSettings
  readonly data: Data
  readonly model: Graph
  readonly optimizer: SGD
  readonly metrics: MetricsFile
  /** What was wrong with the pictures that were skipped. */
  readonly skipped: readonly string[]
  /** Seconds of training before this process. */
  readonly secondsBefore: number
  readonly began: number
}

const secondsOf = (run: Run): number => run.secondsBefore + (performance.now() - run.began) / 1000

async function checkpoint(run: Run, state: FitState): Promise<void> {
  await writeCheckpoint(run.directory, run.model, run.optimizer, {
    settings: run.settings,
    fit: state,
    examples: run.data.training.size,
    seconds: secondsOf(run),
    metricsBytes: await run.metrics.flush(),
  })
}

async function writeReport(
  run: Run,
  result: TestResult | undefined,
  weightsHash: string,
  seconds: number,
): Promise<string> {
  const { directory, settings, data, model, metrics } = run
  const images = metrics.epochs.reduce((total, epoch) => total + epoch.imagesPerSecond * epoch.seconds, 0)
  const trainingSeconds = metrics.epochs.reduce((total, epoch) => total + epoch.seconds, 0)
  const first = [...model.namedParameters().values()].find((tensor) => tensor.ndim === 4)
  const report: ReportData = {
    model: settings.model,
    dataset: settings.data,
    classes: data.test.classes,
    status: result ? 'finished' : 'interrupted',
    test: result ? { images: result.images, errors: result.errors, loss: result.loss } : null,
    seconds,
    imagesPerSecond: trainingSeconds > 0 ? images / trainingSeconds : 0,
    command: commandOf(settings),
    seed: settings.seed,
    weightsHash,
    version: packageVersion(),
    environment: `Node ${process.versions.node}, ${runtimeInfo().simd} SIMD, ${runtimeInfo().threads} thread${runtimeInfo().threads === 1 ? '' : 's'}`,
    layers: model.summary().layers.map((row) => ({ ...row, output: row.output.join(' × ') })),
    batchSize: settings.batchSize,
    stepsPerEpoch: Math.ceil(data.training.size / settings.batchSize),
    steps: metrics.steps,
    epochs: metrics.epochs,
    filters: first ? { values: first.data(), shape: first.shape } : null,
    confusion: result?.confusion ?? null,
    mistakes: result?.mistakes ?? [],
  }
  const path = join(directory, 'report.html')
  await writeFileAtomically(path, new TextEncoder().encode(renderReport(report)))
  return path
}

/** What a run gave, how to repeat it, and where it ran. */
function resultOf({ settings, data, metrics }: Run, result: TestResult, sha256: string, seconds: number): string {
  const [first] = cpus()
  const record = {
    name: nameOf(settings),
    command: commandOf(settings),
    seed: settings.seed,
    test_error: result.errors / result.images,
    test: { images: result.images, errors: result.errors, loss: result.loss },
    training_images: data.training.size,
    epochs: metrics.epochs.map(({ epoch, trainingLoss, trainingAccuracy, validationLoss, validationAccuracy }) => ({
      ...{ epoch, trainingLoss, trainingAccuracy, validationLoss, validationAccuracy },
    })),
    seconds: Math.round(seconds),
    sha256,
    machine: {
      cpu: first?.model.trim() ?? 'unknown processor',
      cores: availableParallelism(),
      threads: runtimeInfo().threads,
      platform: `${platform()} ${arch()}`,
      versions: { node: process.versions.node, toeplitz: packageVersion() },
      date: new Date().toISOString(),
    },
  }
  return `${JSON.stringify(record, null, 2)}\n`
}

/** Tests the model and leaves the results; the checkpoint goes last. */
async function finish(run: Run, stdout: ProgressStream): Promise<void> {
  const { directory, settings, data, model, metrics } = run
  const seconds = secondsOf(run)
  const best = bestPath(directory)
  if (await exists(best)) model.load(await readFileOrExplain(best), best)
  const result = await test(run)
  const facts = {
    name: nameOf(settings),
    normalization: data.normalization,
    classes: data.test.classes,
  }
  const weights = encodeModel(model, facts)
  const sha256 = createHash('sha256').update(weights).digest('hex')
  const modelFile = encodeModelFile({
    ...describeModel(model, facts),
    weights: { file: 'model.safetensors', sha256 },
  })
  metrics.add('test', { images: result.images, errors: result.errors, loss: result.loss, sha256, seconds })
  await metrics.flush()
  await writeFileAtomically(join(directory, 'model.safetensors'), weights)
  await writeFileAtomically(join(directory, 'model.json'), new TextEncoder().encode(modelFile))
  const report = await writeReport(run, result, sha256, seconds)
  await writeFileAtomically(
    join(directory, 'result.json'),
    new TextEncoder().encode(resultOf(run, result, sha256, seconds)),
  )
  await rm(best, { force: true })
  await rm(checkpointPath(directory), { force: true })
  stdout.write(
    [
      `test error   ${percent(result.errors / result.images)}  (${result.errors} of ${result.images} wrong)`,
      ...(run.skipped.length > 0
        ? [`skipped      ${run.skipped.length} damaged picture${run.skipped.length === 1 ? '' : 's'}`]
        : []),
      `time         ${seconds.toFixed(1)} s`,
      `weights      ${join(directory, 'model.safetensors')}`,
      `SHA-256      ${sha256}`,
      `report       ${report}`,
      '',
    ].join('\n'),
  )
}

/** Aborts on the first Ctrl-C (or SIGTERM); a second one ends the process at once. */
function onInterrupt(note: (line: string) => void): { signal: AbortSignal; stop: () => void } {
  const controller = new AbortController()
  const handle = (): void => {
    if (controller.signal.aborted) process.exit(exitCodes.interrupted)
    note('Finishing the step, then writing a checkpoint. Ctrl-C again ends at once.')
    controller.abort()
  }
  process.on('SIGINT', handle)
  process.on('SIGTERM', handle)
  return {
    signal: controller.signal,
    stop() {
      process.off('SIGINT', handle)
      process.off('SIGTERM', handle)
    },
  }
}

/** Trains until the end or an interrupt; gives whether it finished. */
async function train(run: Run, start: FitState | undefined, stdout: ProgressStream): Promise<boolean> {
  const { settings, data, model, optimizer, metrics, directory } = run
  const { epochs, batchSize, seed, accumulate, clipNorm, earlyStopping } = settings
  const augmentation = augmentationOf(settings.augment)
  const stepsPerEpoch = Math.ceil(data.training.size / batchSize)
  const progress = createProgress(stdout)
  const interrupt = onInterrupt((line) => {
    progress.note(line)
  })
  const first = start?.step ?? 0
  let examples = 0
  let warned = 0
  const warn = (): void => {
    for (; warned < run.skipped.length; warned++) progress.note(`warning: ${run.skipped[warned]}; skipped`)
  }
  const onStep = async (event: StepEvent): Promise<void> => {
    warn()
    const { step, epoch, running } = event
    examples += Math.min(batchSize, data.training.size - ((step - 1) % stepsPerEpoch) * batchSize)
    const { accuracy: share = 0 } = running.metrics
    metrics.step({ step, epoch, loss: event.loss, accuracy: share, learningRate: event.learningRate })
    const imagesPerSecond = examples / ((performance.now() - run.began) / 1000)
    progress.step({ epoch, step, loss: running.loss, accuracy: share, imagesPerSecond })
    if (step % CHECKPOINT_STEPS === 0 && step % stepsPerEpoch !== 0) await checkpoint(run, event.state)
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
    if (event.improved) await writeFileAtomically(bestPath(directory), model.save())
    await checkpoint(run, event.state)
  }
  progress.start({ epochs, stepsPerEpoch, batchSize, firstStep: first })
  try {
    const history = await fit(model, imageExamples(data.training, data.normalization, augmentation), {
      epochs,
      batchSize,
      seed,
      optimizer,
      loss: lossOf(settings.model),
      schedule: learningRates(settings, epochs * stepsPerEpoch),
      accumulate,
      ...(clipNorm > 0 ? { clipNorm } : {}),
      ...(earlyStopping > 0 ? { earlyStopping: { patience: earlyStopping, monitor: 'accuracy' } } : {}),
      metrics: { accuracy },
      validation: imageExamples(data.validation, data.normalization),
      callbacks: { onStep, onEpoch },
      signal: interrupt.signal,
      ...(start ? { start } : {}),
    })
    if (history.stopped !== 'aborted') return true
    await checkpoint(run, history.state)
    progress.stop()
    const report = await writeReport(run, undefined, 'of an unfinished run', secondsOf(run))
    stdout.write(
      `Interrupted after step ${history.state.step} of ${epochs * stepsPerEpoch}; the checkpoint is in ${directory} (${report}).\n` +
        `Go on with: toeplitz train --resume ${directory}\n`,
    )
    return false
  } catch (error) {
    if (!(error instanceof DivergedError)) throw error
    throw new DivergedError(`${error.message}; the last checkpoint is kept in ${directory}`)
  } finally {
    progress.stop()
    interrupt.stop()
  }
}

/** The action behind `toeplitz train`; gives the exit code. */
export async function trainCommand(options: TrainOptions, { stdout }: Streams = process): Promise<number> {
  const resumed = options.resume === undefined ? undefined : await resumeFrom(options)
  const settings = settingsOf(resumed?.checkpoint.settings ?? options)
  const directory = resumed?.directory ?? (await chooseDirectory(options))
  await init({ threads: options.threads ?? 1 })
  const { threads, threadsOffBecause } = runtimeInfo()
  if (threadsOffBecause !== undefined) stdout.write(`Computing on ${threads} thread: ${threadsOffBecause}\n`)
  const skipped: string[] = []
  const data = await loadData(settings.data, {
    ...{ dataDir: options.dataDir, imageSize: settings.imageSize, strict: options.strict },
    onSkip: ({ message }) => skipped.push(message),
  })
  const model = makeModel(settings, data.training)
  const { lr, momentum, weightDecay } = settings
  const optimizer = new SGD(model.parameters(), { lr, momentum, weightDecay })
  let metrics: MetricsFile
  if (resumed) {
    if (resumed.checkpoint.examples !== data.training.size) {
      throw new UsageError(
        `--resume ${directory}: the run was started on ${resumed.checkpoint.examples} training images, here are ${data.training.size}; give the same --data-dir`,
      )
    }
    restore(resumed.checkpoint, model, optimizer)
    metrics = await MetricsFile.resume(directory, resumed.checkpoint.metricsBytes)
  } else {
    await ensureDirectory(directory)
    metrics = await MetricsFile.create(directory)
  }
  const run: Run = {
    directory,
    settings,
    data,
    model,
    optimizer,
    metrics,
    skipped,
    secondsBefore: resumed?.checkpoint.seconds ?? 0,
    began: performance.now(),
  }
  stdout.write(`${model.summary().toString()}\n\n`)
  stdout.write(
    `${settings.model} on ${settings.data}: ${data.training.size} training, ${data.validation.size} validation, ${data.test.size} test images; results in ${directory}\n`,
  )
  if (!resumed) await checkpoint(run, { step: 0, sums: { examples: 0, loss: 0, metrics: {} } })
  if (!(await train(run, resumed?.checkpoint.fit, stdout))) return exitCodes.interrupted
  await finish(run, stdout)
  model.dispose()
  optimizer.dispose()
  return exitCodes.success
}
