/** What a run has to show: the test, the page and the record of it. */
import { arch, availableParallelism, cpus, platform } from 'node:os'
import { readImage } from '../data/dataset.js'
import { imageExamples } from '../data/images.js'
import { softmax } from '../ops/softmax.js'
import { runtimeInfo } from '../runtime/core.js'
import { evaluate } from '../train/fit.js'
import { argmax } from '../train/metrics.js'
import { lossOf } from '../zoo/registry.js'
import { packageVersion } from './assets.js'
import { renderReport, type Mistake } from './report.js'
import { nameOf, type Run, type RunParts } from './run.js'
import { commandOf } from './settings.js'

/** Images in one forward pass when measuring. */
const EVALUATION_BATCH = 250
/** Wrongly classified images in the report. */
const MISTAKES = 36

export interface TestResult {
  /** Images that could be read. */
  readonly images: number
  readonly loss: number
  readonly errors: number
  readonly confusion: number[][]
  readonly mistakes: Mistake[]
}

/** How a run ended: what the test gave, of which weights, after how long a training. */
export interface Outcome {
  readonly test: TestResult
  /** SHA-256 of model.safetensors, in hexadecimal. */
  readonly sha256: string
  readonly seconds: number
}

/** Measures a model on the test images. */
export async function testModel(
  { settings }: Run,
  { model, data: { test: images, normalization } }: RunParts,
): Promise<TestResult> {
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

/** The page of a run. Without an outcome, it is that of one that was interrupted. */
export function reportOf(run: Run, { data, model }: RunParts, outcome?: Outcome): string {
  const { settings, metrics } = run
  const { test, sha256: weightsHash = 'of an unfinished run', seconds = run.seconds } = outcome ?? {}
  const images = metrics.epochs.reduce((total, epoch) => total + epoch.imagesPerSecond * epoch.seconds, 0)
  const trainingSeconds = metrics.epochs.reduce((total, epoch) => total + epoch.seconds, 0)
  const first = [...model.namedParameters().values()].find((tensor) => tensor.ndim === 4)
  return renderReport({
    model: settings.model,
    dataset: settings.data,
    classes: data.test.classes,
    status: test ? 'finished' : 'interrupted',
    test: test ? { images: test.images, errors: test.errors, loss: test.loss } : null,
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
    confusion: test?.confusion ?? null,
    mistakes: test?.mistakes ?? [],
  })
}

/** What a run gave, how to repeat it, and where it ran. */
export function resultOf({ settings, metrics }: Run, { data }: RunParts, { test, sha256, seconds }: Outcome): string {
  const [first] = cpus()
  const record = {
    name: nameOf(settings),
    command: commandOf(settings),
    seed: settings.seed,
    test_error: test.errors / test.images,
    test: { images: test.images, errors: test.errors, loss: test.loss },
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
