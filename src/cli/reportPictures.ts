/** What the report of a run shows of its filters, and of the test: confusion matrix and mistakes. */
import { rangeOf, tilePictures } from '../vision/tiles.js'
import { escapeHtml, scrollable } from './html.js'
import { counted, formatCount } from './numbers.js'
import { colourScale, formatSure, formatWeight, interleaved, pngSource } from './pictures.js'
import type { Confused, ReportData } from './records.js'

/** Pairs of classes that are shown of more. */
const largestConfused = 50
const largestFilters = 256
const largestMistakes = 36

export function renderFilters(data: ReportData): string {
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
  const legend = `${colourScale(-limit, limit)}\n`
  return `<section>
<h2>Filters of the first layer</h2>
<p class="lead">${counted(filters, 'filter')} of ${rows} × ${columns}${over}, ${scale}.${cut}</p>
${color ? '' : legend}<ul class="pictures filters">
${pictures.join('\n')}
</ul>
</section>`
}

export function renderConfusion(data: ReportData): string {
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

export function renderMistakes(data: ReportData): string {
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

const className = (data: ReportData, index: number): string => data.classes[index] ?? String(index)

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
