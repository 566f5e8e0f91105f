/**
 * The page that a training run leaves behind: one HTML document with everything in it, which opens from a disk, in a
 * mail or on a server, and never asks the network for anything.
 */

import { encodePng, type PngImage } from '../io/png.js'
import { diverging } from '../vision/palette.js'
import { rangeOf, tilePictures } from '../vision/tiles.js'
import { chartScript, plotAssets, reportStyle } from './assets.js'
import { formatLoss } from './numbers.js'
import type { EpochRecord, StepRecord } from './records.js'
import { dataElement, escapeHtml, scriptElement } from './html.js'

export interface LayerRow {
  readonly layer: string
  /** Output volume of one image, such as `32 × 28 × 28`. */
  readonly output: string
  readonly parameters: number
  readonly operations: number
}

/** A test image whose predicted class is not the true one. */
export interface Mistake {
  /** Channel by channel, 0 to 255. */
  readonly pixels: Uint8Array
  /** [C, H, W]; C is 1 (gray) or 3 (red, green, blue). */
  readonly shape: readonly [number, number, number]
  /** True class. */
  readonly label: number
  readonly predicted: number
  /** Probability that the model gave to `predicted`, 0 to 1. */
  readonly probability: number
  /** Probability that it gave to the true class. */
  readonly ofLabel: number
}

/** Classes of which the report shows the whole matrix; in one of more, nothing could be found. */
export const largestMatrix = 100
/** Pairs of classes that are shown of more. */
export const largestConfused = 50

/** How often one class was taken for another. */
export interface Confused {
  readonly label: number
  readonly predicted: number
  readonly count: number
}

/** The whole matrix, true classes as rows; of more than `largestMatrix` classes, what was confused most often. */
export type Confusion = readonly (readonly number[])[] | { readonly confused: readonly Confused[] }

export interface ReportData {
  readonly model: string
  readonly dataset: string
  /** Names of the classes, in the order of their numbers. */
  readonly classes: readonly string[]
  /** An interrupted run has no test result. */
  readonly status: 'finished' | 'interrupted'
  /** Result on the test images, null where they were not used. */
  readonly test: { readonly images: number; readonly errors: number; readonly loss: number } | null
  /** Duration of the training, validation included. */
  readonly seconds: number
  /** Training images a second over the whole run, validation left out. */
  readonly imagesPerSecond: number
  /** The exact command line, to be run again. */
  readonly command: string
  readonly seed: number
  /** SHA-256 of the weights, hexadecimal. */
  readonly weightsHash: string
  /** Version of toeplitz. */
  readonly version: string
  /** What it ran in, such as `Node 20.19, strict SIMD, 1 thread`. */
  readonly environment: string
  /** What it ran on, such as `Intel Xeon, 4 cores, linux x64`. */
  readonly machine: string
  /** When the report was made. */
  readonly date: Date
  /** More facts for the header, such as the learning rate: name and value. */
  readonly settings?: readonly (readonly [name: string, value: string])[]
  readonly layers: readonly LayerRow[]
  readonly batchSize: number
  readonly stepsPerEpoch: number
  readonly steps: readonly StepRecord[]
  readonly epochs: readonly EpochRecord[]
  /** Weights of the first convolution, (K, C, R, S), null where the model has none. */
  readonly filters: { readonly values: Float32Array; readonly shape: readonly number[] } | null
  /** Test images by true class (rows) and predicted class (columns), null where they were not used. */
  readonly confusion: Confusion | null
  /** The mistakes with the highest loss, worst first. The first 36 are shown. */
  readonly mistakes: readonly Mistake[]
}

/** Epochs in the table, the last ones: a page of millions could neither be made nor opened. */
const largestEpochs = 1000
/** Points of a chart's line. More than pixels are wide is more than can be seen. */
const largestChartPoints = 1600
/** Steps in a mean of the training accuracy, at least. */
const leastAccuracySmoothing = 5
const largestFilters = 256
const largestMistakes = 36

export function renderReport(data: ReportData): string {
  const plots = data.steps.length > 0
  const assets = plots ? plotAssets() : { script: '', style: '' }
  const title = `${data.model} on ${data.dataset}`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<title>${escapeHtml(title)} – training report</title>
<link rel="icon" href="data:,">
<style>${assets.style}${reportStyle}</style>
</head>
<body>
${renderHeader(data)}
<main>
${renderTraining(data)}
${renderConfusion(data)}
${renderMistakes(data)}
${renderFilters(data)}
${renderLayers(data.layers)}
</main>
<footer>Made by toeplitz ${escapeHtml(data.version)}.</footer>
${plots ? dataElement('chart-data', chartData(data)) : ''}
${plots ? `${scriptElement(assets.script)}\n${scriptElement(chartScript)}` : ''}
</body>
</html>
`
}

function renderHeader(data: ReportData): string {
  const parameters = data.layers.reduce((sum, row) => sum + row.parameters, 0)
  const figures: [string, string, string][] = [
    data.test === null
      ? ['Test error', '–', 'not tested']
      : [
          'Test error',
          formatPercent(data.test.errors / data.test.images),
          `${formatCount(data.test.errors)} of ${formatCount(data.test.images)} wrong`,
        ],
    ['Training time', formatDuration(data.seconds), `${counted(data.epochs.length, 'epoch')} finished`],
    ['Images a second', formatRate(data.imagesPerSecond), 'in training'],
    [
      'Parameters',
      formatCount(parameters),
      `in ${counted(data.layers.filter((row) => row.parameters > 0).length, 'layer')}`,
    ],
  ]
  const facts: (readonly [string, string])[] = [
    [
      'Command',
      `<code>${data.command
        .split(' ')
        .map((word) => `<span>${escapeHtml(word)}</span>`)
        .join(' ')}</code>`,
    ],
    ...(data.settings ?? []).map(([name, value]) => [escapeHtml(name), escapeHtml(value)] as const),
    ['Seed', `<code>${data.seed}</code>`],
    ['SHA-256 of the weights', `<code>${escapeHtml(data.weightsHash)}</code>`],
  ]
  if (data.test !== null && Number.isFinite(data.test.loss)) {
    facts.splice(1, 0, ['Test loss', `${lossOrDash(data.test.loss)} (mean over the test images)`])
  }
  facts.push(
    ['Machine', escapeHtml(data.machine)],
    ['Ran in', escapeHtml(data.environment)],
    ['Date', `${data.date.toISOString().slice(0, 16).replace('T', ' ')} UTC`],
  )
  const notice =
    data.status === 'interrupted'
      ? `<p class="notice">Training was interrupted after ${counted(lastStep(data), 'step')}. What follows is what was known by then.</p>`
      : ''
  return `<header>
<h1>${escapeHtml(data.model)} <span>on ${escapeHtml(data.dataset)}</span></h1>
${notice}
<dl class="figures">
${figures.map(([name, value, note]) => `<div><dt>${name}</dt><dd>${value}<small>${note}</small></dd></div>`).join('\n')}
</dl>
<dl class="facts">
${facts.map(([name, value]) => `<dt>${name}</dt><dd>${value}</dd>`).join('\n')}
</dl>
</header>`
}

function renderTraining(data: ReportData): string {
  return `<section>
<h2>Training</h2>
${data.steps.length === 0 ? '<p class="lead">No training step was recorded.</p>' : renderCharts(data)}
${data.epochs.length === 0 ? '' : renderEpochs(data.epochs)}
</section>`
}

function renderCharts(data: ReportData): string {
  const { lossRange, accuracyRange, smoothing, accuracySmoothing, trainingAccuracy, hidden } = chartData(data)
  const final = data.steps[data.steps.length - 1]
  const validation = data.epochs.findLast((row) => row.validationAccuracy !== null)
  const lossText = [
    `Training loss over ${counted(lastStep(data), 'step')}, ending at ${lossOrDash(final?.loss ?? Number.NaN)}`,
    ...(validation?.validationLoss == null
      ? []
      : [`validation loss ending at ${lossOrDash(validation.validationLoss)}`]),
  ]
  const accuracyText = [
    `Training accuracy over ${counted(lastStep(data), 'step')}, ending at ${formatPercent((trainingAccuracy.findLast((value) => value !== null) ?? Number.NaN) / 100)}`,
    ...(validation?.validationAccuracy == null
      ? []
      : [`validation accuracy ending at ${formatPercent(validation.validationAccuracy)}`]),
  ]
  const missing = data.epochs.some((row) => row.validationAccuracy !== null) ? '' : ' There is no validation result.'
  const smoothed = smoothing > 1 ? `Smoothed: mean of ${smoothing} steps around each.` : ''
  const accuracySmoothed = `Training: mean of ${accuracySmoothing} steps around each.`
  const logarithmic = lossRange === null ? '' : ' The axis is logarithmic.'
  const cut =
    hidden > 0
      ? ` The axis begins at ${accuracyRange[0]} %; ${counted(hidden, 'step')} lie${hidden === 1 ? 's' : ''} below it.`
      : ''
  return `<p class="lead">Move over a chart to read values; drag to zoom, double-click to zoom out.${missing}</p>
<noscript><p class="notice">The charts need JavaScript; the table below has the numbers of each epoch.</p></noscript>
<div class="charts">
<figure><h3>Loss</h3>
<div class="chart" id="loss-chart" role="img" aria-label="${escapeHtml(lossText.join('; '))}"></div>
<figcaption>${smoothed}${logarithmic}</figcaption></figure>
<figure><h3>Accuracy</h3>
<div class="chart" id="accuracy-chart" role="img" aria-label="${escapeHtml(accuracyText.join('; '))}"></div>
<figcaption>${accuracySmoothed}${cut}</figcaption></figure>
</div>`
}

function renderEpochs(epochs: readonly EpochRecord[]): string {
  const rows = epochs.slice(-largestEpochs).map(
    (row) => `<tr><th scope="row">${row.epoch}</th>\
<td>${lossOrDash(row.trainingLoss)}</td><td>${formatPercent(row.trainingAccuracy)}</td>\
<td>${lossOrDash(row.validationLoss)}</td><td>${formatPercent(row.validationAccuracy)}</td>\
<td>${formatDuration(row.seconds)}</td><td>${formatRate(row.imagesPerSecond)}</td></tr>`,
  )
  const cut =
    epochs.length > largestEpochs ? `<p class="lead">The last ${formatCount(largestEpochs)} epochs.</p>\n` : ''
  return `${cut}${scrollable(
    'Epochs',
    `<table class="plain">
<thead><tr><th scope="col">Epoch</th><th scope="col">Training loss</th><th scope="col">Training accuracy</th>\
<th scope="col">Validation loss</th><th scope="col">Validation accuracy</th><th scope="col">Time</th>\
<th scope="col">Images/s</th></tr></thead>
<tbody>${rows.join('\n')}</tbody>
</table>`,
  )}`
}

function renderLayers(layers: readonly LayerRow[]): string {
  if (layers.length === 0) return ''
  const rows = layers.map(
    (row, index) => `<tr><td>${index + 1}</td><th scope="row" class="text">${escapeHtml(row.layer)}</th>\
<td class="text">${escapeHtml(row.output)}</td><td>${formatCount(row.parameters)}</td>\
<td>${formatCount(row.operations)}</td></tr>`,
  )
  const parameters = layers.reduce((sum, row) => sum + row.parameters, 0)
  const operations = layers.reduce((sum, row) => sum + row.operations, 0)
  return `<section>
<h2>Layers</h2>
<p class="lead">Output volume and operations are those of one image.</p>
${scrollable(
  'Layers',
  `<table class="plain">
<thead><tr><th scope="col"><abbr title="number">#</abbr></th><th scope="col" class="text">Layer</th>\
<th scope="col" class="text">Output</th><th scope="col">Parameters</th><th scope="col">Operations</th></tr></thead>
<tbody>${rows.join('\n')}</tbody>
<tfoot><tr><td></td><th scope="row" class="text" colspan="2">Together</th><td>${formatCount(parameters)}</td>\
<td>${formatCount(operations)}</td></tr></tfoot>
</table>`,
)}
</section>`
}

function renderFilters(data: ReportData): string {
  if (data.filters === null) return ''
  const { values, shape } = data.filters
  const [filters = 0, channels = 0, rows = 0, columns = 0] = shape
  // Filters of colour pictures are colour pictures.
  const color = channels === 3
  const tiles = color ? filters : filters * channels
  const size = rows * columns * (color ? 3 : 1)
  if (tiles === 0 || size === 0) return ''
  const [, limit] = rangeOf(values)
  // A whole number of screen pixels for a weight, or the squares come out unequal.
  const zoom = Math.max(1, Math.floor(56 / Math.max(rows, columns)))
  const count = Math.min(tiles, largestFilters)
  const shown = {
    shape: color ? [count, 3, rows, columns] : [count, rows, columns],
    values: values.subarray(0, count * size),
  }
  const options = color ? ({ color, range: 'extent', normalize: 'each' } as const) : { range: [-limit, limit] as const }
  const pictures = tilePictures(shown, options).map((picture, index) => {
    const [low, high] = rangeOf(values.subarray(index * size, (index + 1) * size), 'extent')
    const filter = color ? index : Math.floor(index / channels)
    const channel = color || channels === 1 ? '' : `, input channel ${(index % channels) + 1}`
    const name = `Filter ${filter + 1}${channel}: weights from ${formatWeight(low)} to ${formatWeight(high)}`
    return `<li><img src="${pngSource(picture)}" width="${columns * zoom}" height="${rows * zoom}" alt="${name}" title="${name}"></li>`
  })
  const over = channels > 1 ? ` over ${channels} channels` : ''
  const scale = color
    ? 'in red, green and blue, each from its least weight (dark) to its greatest (bright)'
    : 'all on one scale'
  const cut = tiles > largestFilters ? ` The first ${largestFilters} of ${formatCount(tiles)} are shown.` : ''
  const gradient = Array.from({ length: 11 }, (_, stop) => `rgb(${diverging(stop / 10).join(' ')})`).join(', ')
  const legend = `<p class="scale"><span>${formatWeight(-limit)}</span><i style="background:linear-gradient(to right, ${gradient})"></i>\
<span>${formatWeight(limit)}</span></p>\n`
  return `<section>
<h2>Filters of the first layer</h2>
<p class="lead">${counted(filters, 'filter')} of ${rows} × ${columns}${over}, ${scale}.${cut}</p>
${color ? '' : legend}<ul class="pictures filters">
${pictures.join('\n')}
</ul>
</section>`
}

function renderConfusion(data: ReportData): string {
  const { confusion } = data
  if (confusion === null) return ''
  if ('confused' in confusion) return renderConfused(data, confusion.confused)
  if (confusion.length === 0) return ''
  const names = confusion.map((_, index) => escapeHtml(className(data, index)))
  const rowSums = confusion.map((row) => sum(row))
  const columnSums = confusion.map((_, column) => sum(confusion.map((row) => row[column] ?? 0)))
  let worst = 0
  confusion.forEach((row, label) =>
    row.forEach((count, predicted) => {
      if (label !== predicted) worst = Math.max(worst, count)
    }),
  )
  const cell = (count: number, label: number, predicted: number): string => {
    if (count === 0) return `<td class="none">0</td>`
    const right = label === predicted
    // The shade stays weak enough for the text on it to be read in both colour schemes.
    const share = right ? count / (rowSums[label] || 1) : count / worst
    return `<td class="${right ? 'good' : 'bad'}" style="--shade:${(0.12 + 0.33 * share).toFixed(2)}">${formatCount(count)}</td>`
  }
  const rate = (count: number, total: number) =>
    `<td class="rate">${total === 0 ? '<abbr title="none">–</abbr>' : (100 * (count / total)).toFixed(1)}</td>`
  const rows = confusion.map(
    (row, label) => `<tr><th scope="row">${names[label]}</th>\
${row.map((count, predicted) => cell(count, label, predicted)).join('')}${rate(row[label] ?? 0, rowSums[label] ?? 0)}</tr>`,
  )
  const precision = columnSums.map((total, column) => rate(confusion[column]?.[column] ?? 0, total))
  return `<section>
<h2>Confusion matrix</h2>
<p class="lead">${formatCount(sum(rowSums))} test images: rows are the true class, columns the class that was predicted. \
Recall is the share of a true class that was found, precision the share of a predicted class that was right.</p>
${scrollable(
  'Confusion matrix',
  `<table class="confusion">
<thead>
<tr><th scope="col" rowspan="2" class="axis">true</th><th scope="colgroup" colspan="${names.length}" class="axis">predicted</th>\
<th scope="col" rowspan="2" class="rate">recall, %</th></tr>
<tr>${names.map((name) => `<th scope="col">${name}</th>`).join('')}</tr>
</thead>
<tbody>${rows.join('\n')}</tbody>
<tfoot><tr><th scope="row">precision, %</th>${precision.join('')}<td class="rate"></td></tr></tfoot>
</table>`,
)}
</section>`
}

function renderConfused(data: ReportData, confused: readonly Confused[]): string {
  const rows = confused.slice(0, largestConfused).map(
    ({ label, predicted, count }) => `<tr><th scope="row" class="text">${escapeHtml(className(data, label))}</th>\
<td class="text">${escapeHtml(className(data, predicted))}</td><td>${formatCount(count)}</td></tr>`,
  )
  const table = scrollable(
    'Confused classes',
    `<table class="plain">
<thead><tr><th scope="col" class="text">True class</th><th scope="col" class="text">Predicted</th>\
<th scope="col">Test images</th></tr></thead>
<tbody>${rows.join('\n')}</tbody>
</table>`,
  )
  const lead = `Of ${formatCount(data.classes.length)} classes, those that were taken for one another most often.`
  return `<section>
<h2>Confused classes</h2>
${rows.length === 0 ? '<p class="lead">None was taken for another.</p>' : `<p class="lead">${lead}</p>\n${table}`}
</section>`
}

function renderMistakes(data: ReportData): string {
  if (data.test === null) return ''
  const shown = data.mistakes.slice(0, largestMistakes)
  if (shown.length === 0) {
    const text = data.test.errors === 0 ? 'Every test image was classified right.' : 'No picture was kept.'
    return `<section>\n<h2>Worst mistakes</h2>\n<p class="lead">${text}</p>\n</section>`
  }
  const pictures = shown.map((mistake) => {
    const [channels, height, width] = mistake.shape
    const label = escapeHtml(className(data, mistake.label))
    const predicted = escapeHtml(className(data, mistake.predicted))
    const pixels = interleaved(mistake.pixels, channels)
    const source = pngSource({ width, height, channels: channels as 1 | 3, data: pixels })
    const answer = (name: string, label: string, share: number): string =>
      `<dt>${name}</dt><dd><strong>${label}</strong> ${formatSure(share)}</dd>`
    return `<li><figure><img src="${source}" width="${width}" height="${height}" \
alt="Test image of class ${label}, taken for ${predicted}"><figcaption><dl>\
${answer('right answer', label, mistake.ofLabel)}${answer('predicted', predicted, mistake.probability)}</dl></figcaption></figure></li>`
  })
  const of = data.test.errors > shown.length ? ` The worst ${shown.length} of ${formatCount(data.test.errors)}.` : ''
  return `<section>
<h2>Worst mistakes</h2>
<p class="lead">Wrongly classified test images with the highest loss, and the probability that the model gave to the right answer and to its own.${of}</p>
<ul class="pictures mistakes">
${pictures.join('\n')}
</ul>
</section>`
}

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
function chartData(data: ReportData): ChartData {
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

/** (C, H, W) to (H, W, C). */
function interleaved(pixels: Uint8Array, channels: number): Uint8Array {
  const size = pixels.length / channels
  return Uint8Array.from(pixels, (_, index) => pixels[(index % channels) * size + Math.floor(index / channels)] ?? 0)
}

function pngSource(picture: PngImage): string {
  return `data:image/png;base64,${Buffer.from(encodePng(picture)).toString('base64')}`
}

function scrollable(label: string, table: string): string {
  return `<div class="scroll" role="region" aria-label="${label}" tabindex="0">\n${table}\n</div>`
}

function className(data: ReportData, index: number): string {
  return data.classes[index] ?? String(index)
}

function lastStep(data: ReportData): number {
  return data.steps[data.steps.length - 1]?.step ?? 0
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

/** Five significant figures: more cannot be seen, and the file is shorter. Null where there is no number. */
function shortNumber(value: number | null | undefined): number | null {
  return value == null || !Number.isFinite(value) ? null : Number(value.toPrecision(5))
}

function percentOf(fraction: number | null | undefined): number | undefined {
  return fraction == null ? undefined : 100 * fraction
}

function formatCount(count: number): string {
  return count.toLocaleString('en-US')
}

function counted(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`
}

function formatRate(imagesPerSecond: number): string {
  return Number.isFinite(imagesPerSecond) ? formatCount(Math.round(imagesPerSecond)) : '–'
}

function formatPercent(fraction: number | null, digits = 2): string {
  return fraction === null || !Number.isFinite(fraction) ? '–' : `${(100 * fraction).toFixed(digits)}\u00a0%`
}

/** A probability, in which no rounding makes a certainty of what is none. */
function formatSure(probability: number): string {
  if (probability > 0.999 && probability < 1) return '&gt;\u00a099.9\u00a0%'
  if (probability > 0 && probability < 0.001) return '&lt;\u00a00.1\u00a0%'
  return formatPercent(probability, 1)
}

function lossOrDash(loss: number | null): string {
  return loss === null || !Number.isFinite(loss) ? '–' : formatLoss(loss)
}

function formatWeight(weight: number): string {
  return weight.toFixed(3).replace('-', '\u2212')
}

/** 7.25 -> 7.3 s, 133 -> 2 min 13 s, 3725 -> 1 h 2 min. */
function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–'
  if (seconds < 59.95) return `${seconds.toFixed(1)}\u00a0s`
  const whole = Math.round(seconds)
  if (whole < 3600) return `${Math.floor(whole / 60)}\u00a0min ${whole % 60}\u00a0s`
  return `${formatCount(Math.floor(whole / 3600))}\u00a0h ${Math.floor(whole / 60) % 60}\u00a0min`
}
