/** What a run has to show: the test, the page and the record of it. */
import { arch, availableParallelism, cpus, platform } from 'node:os'
import { readImage, type ImageSource } from '../data/dataset.js'
import { imageExamples } from '../data/images.js'
import type { Preprocessing } from '../io/preprocessing.js'
import { Program } from '../models/program.js'
import type { Graph } from '../nn/graph.js'
import { crossEntropy } from '../ops/loss.js'
import { softmax } from '../ops/softmax.js'
import { runtimeInfo } from '../runtime/core.js'
import { DivergedError } from '../runtime/errors.js'
import { evaluate } from '../train/fit.js'
import { argmax } from '../train/metrics.js'
import { ranksOf } from '../train/ranks.js'
import { packageVersion } from './assets.js'
import { factsOf, lossFor, stepsPerEpoch, type RunParts } from './models.js'
import { largestMatrix, type Confusion, type EpochRecord, type Mistake, type StepRecord } from './records.js'
import { renderReport } from './report.js'
import { commandOf, evaluationBatch, nameOf, sourceOf, type RunSettings } from './settings.js'

/** Wrongly classified images in the report. */
const MISTAKES = 36

export interface TestResult {
  /** Images that could be read. */
  readonly images: number
  readonly loss: number
  readonly errors: number
  /** Images whose class is none of the five most probable ones; undefined where classes are few. */
  readonly top5Errors: number | undefined
  readonly confusion: Confusion
  readonly mistakes: Mistake[]
}

/** What a run has recorded of itself. */
export interface Recorded {
  readonly settings: RunSettings
  /** What epochs it had been given whenever it ended before, and was extended. */
  readonly extended: readonly number[]
  /** Of training, in all. */
  readonly seconds: number
  readonly steps: readonly StepRecord[]
  readonly epochs: readonly EpochRecord[]
}

/** How a run ended: what the test gave, and of which weights. */
export interface Outcome {
  readonly test: TestResult
  /** SHA-256 of the weights, in hexadecimal. */
  readonly sha256: string
}

/** A test image that was taken for another class. */
export interface Wrong {
  readonly index: number
  readonly label: number
  readonly predicted: number
  readonly probability: number
  readonly ofLabel: number
}

/** What was taken for what: of many classes no matrix, whose size is their square. */
export function confusionOf(right: Int32Array, wrong: readonly Pick<Wrong, 'label' | 'predicted'>[]): Confusion {
  const classes = right.length
  if (classes > largestMatrix) {
    const counts = new Map<number, number>()
    for (const { label, predicted } of wrong) {
      const pair = label * classes + predicted
      counts.set(pair, (counts.get(pair) ?? 0) + 1)
    }
    const confused = [...counts].map(([pair, count]) => ({
      label: Math.floor(pair / classes),
      predicted: pair % classes,
      count,
    }))
    return { confused: confused.sort((a, b) => b.count - a.count || a.label - b.label || a.predicted - b.predicted) }
  }
  const matrix = Array.from(right, (count, label) => {
    const row = new Array<number>(classes).fill(0)
    row[label] = count
    return row
  })
  for (const { label, predicted } of wrong) {
    const row = matrix[label] as number[]
    row[predicted] = (row[predicted] as number) + 1
  }
  return matrix
}

/** What a model made of labelled pictures. */
export interface Measured {
  /** Images that could be read. */
  readonly images: number
  readonly loss: number
  /** For each class, how many were taken for what they are. */
  readonly right: Int32Array
  /** Those that were not, the worst first. */
  readonly wrong: readonly Wrong[]
  /** How many had their class not among the five most probable ones; undefined where classes are few. */
  readonly top5Errors: number | undefined
}

/** Classes from which on the five best are asked for: of fewer, five are half of all or more. */
const LEAST_CLASSES_FOR_TOP5 = 10

/** Measures a model on labelled pictures, so many at a time. The loss of a program is the cross-entropy of what it gives. */
export async function measure(
  model: Graph | Program,
  images: ImageSource,
  preprocessing: Preprocessing,
  batchSize: number = evaluationBatch,
): Promise<Measured> {
  const classes = images.classes.length
  const right = new Int32Array(classes)
  const wrong: Wrong[] = []
  let measured = 0
  let top5Errors = classes >= LEAST_CLASSES_FOR_TOP5 ? 0 : undefined
  const { loss } = await evaluate(model, imageExamples(images, preprocessing), {
    batchSize,
    loss: model instanceof Program ? crossEntropy : lossFor(model),
    onBatch(output, labels, indices) {
      const probabilities = softmax(output).data()
      measured += indices.length
      if (top5Errors !== undefined) top5Errors += ranksOf(output, labels).filter((rank) => rank >= 5).length
      argmax(output).forEach((predicted, n) => {
        const label = labels[n] as number
        if (predicted < 0) {
          throw new DivergedError(
            `the scores of test image ${indices[n]} are not numbers: the model has diverged; train it with a lower learning rate`,
          )
        }
        if (predicted === label) right[label] = (right[label] as number) + 1
        else {
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
  return { images: measured, loss, right, wrong, top5Errors }
}

/** The test error as training and `toeplitz evaluate` print it, and that of the five best classes where there are many. */
export function errorLines(images: number, errors: number, top5Errors: number | undefined): string[] {
  const percent = (count: number): string => `${((100 * count) / images).toFixed(2)} %`
  const lines = [`test error   ${percent(errors)}  (${errors} of ${images} wrong)`]
  if (top5Errors === undefined) return lines
  return [...lines, `top-5 error  ${percent(top5Errors)}  (${top5Errors} of ${images} not among the five best)`]
}

/** The same in a record of results. */
export const top5Record = (images: number, top5Errors: number | undefined): { readonly top5_error?: number } =>
  top5Errors === undefined ? {} : { top5_error: top5Errors / images }

/** Measures the model of a run on its test images. */
export async function testModel(settings: RunSettings, { model, data }: RunParts): Promise<TestResult> {
  const { preprocessing } = factsOf(settings, data)
  const { images, loss, right, wrong, top5Errors } = await measure(model, data.test, preprocessing)
  const mistakes: Mistake[] = []
  for (const { index, label, predicted, probability, ofLabel } of wrong.slice(0, MISTAKES)) {
    const pixels = await readImage(data.test, index)
    if (pixels) mistakes.push({ pixels, shape: data.test.shape, label, predicted, probability, ofLabel })
  }
  return { images, loss, errors: wrong.length, top5Errors, confusion: confusionOf(right, wrong), mistakes }
}

/** The page of a run. Without an outcome, it is that of one that was interrupted. */
export function reportOf(recorded: Recorded, { data, model }: RunParts, outcome?: Outcome): string {
  const { settings, extended, seconds, steps, epochs } = recorded
  const { test, sha256: weightsHash = 'of an unfinished run' } = outcome ?? {}
  const images = epochs.reduce((total, epoch) => total + epoch.imagesPerSecond * epoch.seconds, 0)
  const trainingSeconds = epochs.reduce((total, epoch) => total + epoch.seconds, 0)
  const { cpu, cores, system } = machine()
  const { simd, threads } = runtimeInfo()
  const first = [...model.namedState().values()].find((tensor) => tensor.ndim === 4)
  return renderReport({
    model: sourceOf(settings),
    dataset: settings.data,
    classes: data.test.classes,
    status: test ? 'finished' : 'interrupted',
    test: test ? { images: test.images, errors: test.errors, top5Errors: test.top5Errors, loss: test.loss } : null,
    seconds,
    imagesPerSecond: trainingSeconds > 0 ? images / trainingSeconds : 0,
    command: commandOf(settings, extended),
    seed: settings.seed,
    weightsHash,
    version: packageVersion(),
    environment: `Node ${process.versions.node}, ${simd} SIMD, ${threads} thread${threads === 1 ? '' : 's'}`,
    machine: `${cpu}, ${cores} core${cores === 1 ? '' : 's'}, ${system}`,
    date: new Date(),
    layers: model.summary().layers.map((row) => ({ ...row, output: row.output.join(' × ') })),
    batchSize: settings.batchSize,
    stepsPerEpoch: stepsPerEpoch(settings, data),
    steps,
    epochs,
    filters: first ? { values: first.data(), shape: first.shape } : null,
    confusion: test?.confusion ?? null,
    mistakes: test?.mistakes ?? [],
  })
}

/** What this process computes on. */
const machine = () => ({
  cpu: cpus()[0]?.model.trim() ?? 'unknown processor',
  cores: availableParallelism(),
  system: `${platform()} ${arch()}`,
})

/** The same as a record of results has it, with the versions and the date. */
export function machineRecord() {
  const { cpu, cores, system } = machine()
  return {
    cpu,
    cores,
    threads: runtimeInfo().threads,
    platform: system,
    versions: { node: process.versions.node, toeplitz: packageVersion() },
    date: new Date().toISOString(),
  }
}

/** What a run gave, how to repeat it, and where it ran. */
export function resultOf(
  { settings, extended, seconds, epochs }: Recorded,
  { data }: RunParts,
  { test, sha256 }: Outcome,
): string {
  const record = {
    name: nameOf(settings),
    command: commandOf(settings, extended),
    seed: settings.seed,
    test_error: test.errors / test.images,
    ...top5Record(test.images, test.top5Errors),
    test: { images: test.images, errors: test.errors, loss: test.loss },
    training_images: data.training.size,
    epochs: epochs.map(({ epoch, trainingLoss, trainingAccuracy, validationLoss, validationAccuracy }) => ({
      ...{ epoch, trainingLoss, trainingAccuracy, validationLoss, validationAccuracy },
    })),
    seconds: Math.round(seconds),
    sha256,
    machine: machineRecord(),
  }
  return `${JSON.stringify(record, null, 2)}\n`
}
