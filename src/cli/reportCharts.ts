/** The lines of the charts of a report: thinned out, smoothed, and with the ranges of their axes. */
import { fiveFigures } from './numbers.js'
import type { ReportData } from './records.js'

/** Points of a chart's line. More than pixels are wide is more than can be seen. */
const largestChartPoints = 1600
/** Steps in a mean of the training accuracy, at least. */
const leastAccuracySmoothing = 5

interface ChartData {
  readonly batchSize: number
  readonly steps: readonly number[]
  readonly rawLoss: readonly (number | null)[]
  readonly smoothLoss: readonly (number | null)[]
  readonly validationLoss: readonly (number | null)[]
  readonly trainingAccuracy: readonly (number | null)[]
  readonly validationAccuracy: readonly (number | null)[]
  /** Range of a logarithmic axis, null for a linear one that fits itself. */
  readonly lossRange: readonly [number, number] | null
  /** Per cent. */
  readonly accuracyRange: readonly [number, number]
  /** Steps in a mean of the smoothed loss. */
  readonly smoothing: number
  /** Steps in a mean of the training accuracy. */
  readonly accuracySmoothing: number
  /** Steps whose accuracy lies below the axis. */
  readonly hidden: number
}

/** Columns for the charts, thinned out to what can be seen. */
export function chartData(data: ReportData): ChartData {
  const losses = data.steps.map((record) => record.loss)
  const smoothing = Math.max(1, 2 * Math.floor(losses.length / 60) + 1)
  const smooth = movingMean(losses, (smoothing - 1) / 2)
  // A batch has few images: alone, one that is all right would look like a model that is.
  const accuracySmoothing = Math.max(leastAccuracySmoothing, smoothing)
  const accuracies = movingMean(batchAccuracies(data), (accuracySmoothing - 1) / 2).map((share) => 100 * share)
  const byStep = new Map(sampleExtremes(losses, largestChartPoints).map((index) => [data.steps[index]?.step, index]))
  // Of very many epochs, one in so many.
  const every = Math.ceil(data.epochs.length / largestChartPoints)
  const shown = data.epochs.filter((_, index) => (data.epochs.length - 1 - index) % every === 0)
  const validation = new Map(shown.map((row) => [row.epoch * data.stepsPerEpoch, row]))
  data.steps.forEach((record, index) => {
    // The ends of epochs stay, where validation has its points.
    if (validation.has(record.step)) byStep.set(record.step, index)
  })
  const steps = [...new Set([...byStep.keys(), ...validation.keys()])]
    .filter((step) => step !== undefined)
    .sort((first, second) => first - second)
  const trainingAt = (step: number, read: (index: number) => number | undefined) => {
    const index = byStep.get(step)
    return index === undefined ? null : shortNumber(read(index))
  }
  const finiteSmooth = smooth.filter((value) => Number.isFinite(value))
  const validationLosses = data.epochs.flatMap((row) => (row.validationLoss === null ? [] : [row.validationLoss]))
  const finiteAccuracies = accuracies.filter((value) => Number.isFinite(value))
  const validationAccuracies = data.epochs.flatMap((row) =>
    row.validationAccuracy === null ? [] : [100 * row.validationAccuracy],
  )
  const floor = accuracyFloor(finiteAccuracies, validationAccuracies)
  return {
    batchSize: data.batchSize,
    steps,
    rawLoss: steps.map((step) => trainingAt(step, (index) => losses[index])),
    smoothLoss: steps.map((step) => trainingAt(step, (index) => smooth[index])),
    validationLoss: steps.map((step) => shortNumber(validation.get(step)?.validationLoss)),
    trainingAccuracy: steps.map((step) => trainingAt(step, (index) => accuracies[index])),
    validationAccuracy: steps.map((step) => shortNumber(percentOf(validation.get(step)?.validationAccuracy))),
    lossRange: logarithmicRange([...finiteSmooth, ...validationLosses]),
    accuracyRange: [floor, 100],
    smoothing,
    accuracySmoothing,
    hidden: finiteAccuracies.filter((value) => value < floor).length,
  }
}

/**
 * The accuracy of each batch. What is recorded begins anew with every epoch, so that its curve would jump to that of one
 * batch there: m(k) is the mean over k batches, k · m(k) − (k − 1) · m(k − 1) that of the last. Where the last batch of an
 * epoch is smaller than the others, this is a mean of it and of those before.
 */
function batchAccuracies({ steps, stepsPerEpoch }: ReportData): number[] {
  return steps.map(({ step, epoch, accuracy }, index) => {
    const before = steps[index - 1]
    const inEpoch = step - (epoch - 1) * stepsPerEpoch
    // The first of an epoch, or the first that is known.
    if (before?.step !== step - 1 || before.epoch !== epoch) return accuracy
    return Math.min(1, Math.max(0, inEpoch * accuracy - (inEpoch - 1) * before.accuracy))
  })
}

/** Means over up to `radius` values on either side; as many on the right as on the left, so that a steep start stays. */
function movingMean(values: readonly number[], radius: number): number[] {
  const sums = new Float64Array(values.length + 1)
  const counts = new Int32Array(values.length + 1)
  values.forEach((value, index) => {
    const finite = Number.isFinite(value)
    sums[index + 1] = (sums[index] ?? 0) + (finite ? value : 0)
    counts[index + 1] = (counts[index] ?? 0) + (finite ? 1 : 0)
  })
  return values.map((_, index) => {
    const begin = Math.max(0, index - radius)
    const end = Math.min(values.length, index + Math.min(radius, index) + 1)
    return ((sums[end] ?? 0) - (sums[begin] ?? 0)) / ((counts[end] ?? 0) - (counts[begin] ?? 0))
  })
}

/** Indices of at most `limit` values: in each stretch the lowest and the highest, so that no spike is lost. */
function sampleExtremes(values: readonly number[], limit: number): number[] {
  if (values.length <= limit) return values.map((_, index) => index)
  const stretches = Math.floor((limit - 2) / 2)
  const chosen = new Set([0, values.length - 1])
  for (let stretch = 0; stretch < stretches; stretch++) {
    const begin = Math.floor((stretch * values.length) / stretches)
    const end = Math.floor(((stretch + 1) * values.length) / stretches)
    let lowest = begin
    let highest = begin
    for (let index = begin; index < end; index++) {
      if ((values[index] ?? 0) < (values[lowest] ?? 0)) lowest = index
      if ((values[index] ?? 0) > (values[highest] ?? 0)) highest = index
    }
    chosen.add(lowest).add(highest)
  }
  return [...chosen].sort((first, second) => first - second)
}

/** A logarithmic axis where the values span more than a power of ten, null where a linear one serves. */
function logarithmicRange(values: readonly number[]): [number, number] | null {
  const lowest = values.reduce((least, value) => Math.min(least, value), Infinity)
  const highest = values.reduce((most, value) => Math.max(most, value), 0)
  if (!(lowest > 0) || highest / lowest < 10) return null
  // Room for the raw values, which spread about the smoothed ones.
  return [lowest / 4, highest * 1.6]
}

/** Where an accuracy axis begins: as high as shows all validation and nine in ten of the training steps. */
function accuracyFloor(training: readonly number[], validation: readonly number[]): number {
  const sorted = [...training].sort((first, second) => first - second)
  const low = validation.reduce((least, value) => Math.min(least, value), sorted[Math.floor(sorted.length / 10)] ?? 0)
  return [95, 90, 80, 60, 40].find((floor) => low >= floor) ?? 0
}

/** Five significant figures, or null where there is no number. */
const shortNumber = (value: number | null | undefined): number | null =>
  value == null || !Number.isFinite(value) ? null : fiveFigures(value)

const percentOf = (fraction: number | null | undefined): number | undefined =>
  fraction == null ? undefined : 100 * fraction
