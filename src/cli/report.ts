/**
 * The page that a training run leaves behind: one HTML document with everything in it, which opens from a disk, in a
 * mail or on a server, and never asks the network for anything.
 */

import { chartScript } from './assets.js'
import { escapeHtml, renderPage, scrollable } from './html.js'
import { counted, formatCount, formatLoss, formatPercent } from './numbers.js'
import type { EpochRecord, ReportData } from './records.js'
import { chartData } from './reportCharts.js'
import { renderConfusion, renderFilters, renderMistakes } from './reportPictures.js'

/** Epochs in the table, the last ones: a page of millions could neither be made nor opened. */
const largestEpochs = 1000
export function renderReport(data: ReportData): string {
  return renderPage({
    title: `${data.model} on ${data.dataset}`,
    kind: 'training report',
    header: renderHeader(data),
    main: [renderTraining, renderConfusion, renderMistakes, renderFilters, renderLayers]
      .map((render) => render(data))
      .join('\n'),
    version: data.version,
    plots: data.steps.length > 0 ? { id: 'chart-data', values: chartData(data), script: chartScript } : undefined,
  })
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
  if (data.test?.top5Errors !== undefined) {
    const { images, top5Errors } = data.test
    const counts = `${formatCount(top5Errors)} of ${formatCount(images)} whose class is none of the five most probable`
    facts.splice(1, 0, ['Top-5 error', `${formatPercent(top5Errors / images)} (${counts})`])
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
  return `<h1>${escapeHtml(data.model)} <span>on ${escapeHtml(data.dataset)}</span></h1>
${notice}
<dl class="figures">
${figures.map(([name, value, note]) => `<div><dt>${name}</dt><dd>${value}<small>${note}</small></dd></div>`).join('\n')}
</dl>
<dl class="facts">
${facts.map(([name, value]) => `<dt>${name}</dt><dd>${value}</dd>`).join('\n')}
</dl>`
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

function renderLayers({ layers }: ReportData): string {
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

const lastStep = (data: ReportData): number => data.steps[data.steps.length - 1]?.step ?? 0

const formatRate = (imagesPerSecond: number): string =>
  Number.isFinite(imagesPerSecond) ? formatCount(Math.round(imagesPerSecond)) : '–'

const lossOrDash = (loss: number | null): string => (loss === null || !Number.isFinite(loss) ? '–' : formatLoss(loss))

/** 7.25 -> 7.3 s, 133 -> 2 min 13 s, 3725 -> 1 h 2 min. */
function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–'
  if (seconds < 59.95) return `${seconds.toFixed(1)}\u00a0s`
  const whole = Math.round(seconds)
  if (whole < 3600) return `${Math.floor(whole / 60)}\u00a0min ${whole % 60}\u00a0s`
  return `${formatCount(Math.floor(whole / 3600))}\u00a0h ${Math.floor(whole / 60) % 60}\u00a0min`
}
