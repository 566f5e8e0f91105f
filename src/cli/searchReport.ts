/** The page of a search: one HTML document with the plots and the table, which never asks the network for anything. */
import { ranked, type Trial } from '../train/trials.js'
import { axisScript } from './assets.js'
import { escapeHtml, renderPage, scrollable } from './html.js'
import { curveData, type LossCurve } from './searchCurves.js'

export interface SearchReport {
  readonly model: string
  readonly data: string
  /** Training images of a trial. */
  readonly images: number
  readonly seed: number
  readonly seconds: number
  /** The command that trains with the best values. */
  readonly command: string
  readonly version: string
  readonly trials: readonly Trial[]
  /** How the loss of each trial fell. */
  readonly curves: readonly LossCurve[]
}

const percent = (score: number | null): string => (score === null ? 'diverged' : `${(100 * score).toFixed(2)}\u00a0%`)

/** What the plots show, one for each name: the values and the accuracies of each round, sorted by value. */
function plotData(trials: readonly Trial[]): object {
  const names = Object.keys(trials[0]?.values ?? {})
  const rounds = trials.reduce((most, { round }) => Math.max(most, round), 0)
  return names.map((name) => {
    const sorted = ranked(trials).sort((a, b) => (a.values[name] as number) - (b.values[name] as number))
    const accuracies = Array.from({ length: rounds }, (_, round) =>
      sorted.map((trial) => (trial.round === round + 1 ? 100 * (trial.score as number) : null)),
    )
    return { name, values: sorted.map((trial) => trial.values[name]), accuracies }
  })
}

const searchScript = `
(() => {
  const { plots, curves } = JSON.parse(document.getElementById('search-data').textContent)
  const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
  const colours = ['--muted', '--training', '--validation']
  const short = (value) => value == null ? '' : String(Number(value.toPrecision(3)))
${axisScript}  const styleOf = (font) => (label, size) => ({
    label, size, font, labelFont: font, labelSize: 20, stroke: variable('--muted'),
    values: (_, ticks) => ticks.map(short),
    grid: { stroke: variable('--faint'), width: 1 }, ticks: { stroke: variable('--line'), width: 1, size: 5 },
  })
  // From blue, the lowest learning rate, over green to red, the highest.
  const colourOf = (place) => 'hsl(' + Math.round(225 * (1 - place)) + ' 75% ' + (matchMedia('(prefers-color-scheme: dark)').matches ? 64 : 42) + '%)'
  const drawCurves = ({ steps, lines, range, named }) => {
    const place = document.getElementById('search-curves')
    const font = '12px ' + getComputedStyle(document.body).fontFamily
    const axis = styleOf(font)
    const sparse = (_, ticks) => ticks.map((tick) => tick == null || Number(tick.toPrecision(1)) !== Number(tick.toPrecision(6)) ? '' : short(tick))
    return new uPlot({
      width: Math.max(200, place.clientWidth), height: 340, padding: [10, 26, 0, 0],
      cursor: { y: false, drag: { x: true, y: false } },
      legend: { show: named },
      scales: { x: { time: false }, y: { distr: 3, range: () => range } },
      axes: [{ ...axis('Training step', 28), incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 100000] }, { ...axis('Training loss', besideTicks(font)), values: sparse }],
      series: [
        { label: 'step' },
        ...lines.map(({ name, place }) => ({
          label: name, stroke: colourOf(place), width: 2, spanGaps: true, points: { show: steps.length < 3 },
          value: (_, value) => value == null ? '–' : lossText(value),
        })),
      ],
    }, [steps, ...lines.map(({ losses }) => losses)], place)
  }
  let charts = []
  const draw = () => {
    for (const chart of charts) chart.destroy()
    charts = plots.map(({ name, values, accuracies }, index) => {
      const place = document.getElementById('search-chart-' + index)
      const font = '12px ' + getComputedStyle(document.body).fontFamily
      const axis = styleOf(font)
      const logarithmic = values.every((value) => value > 0)
      // Room beside the outermost points, in proportion.
      // They are sorted.
      const low = values[0], high = values[values.length - 1]
      const range = logarithmic ? [low / 1.3, high * 1.3] : [low - (high - low) / 20 - 1e-9, high + (high - low) / 20 + 1e-9]
      return new uPlot({
        width: Math.max(200, place.clientWidth), height: 300, padding: [10, 26, 0, 0],
        cursor: { y: false, drag: { x: true, y: false } },
        scales: { x: { time: false, distr: logarithmic ? 3 : 1, range: () => range }, y: {} },
        axes: [axis(name, 28), axis('Validation accuracy (%)', besideTicks(font))],
        series: [
          { label: name, value: (_, value) => short(value) || '–' },
          ...accuracies.map((_, round) => ({
            label: 'round ' + (round + 1), paths: () => null,
            points: { show: true, size: 8, fill: variable(colours[(accuracies.length - 1 - round + 1) % 3]), stroke: variable('--page') },
            stroke: variable(colours[(accuracies.length - 1 - round + 1) % 3]),
            value: (_, value) => value == null ? '–' : value.toFixed(2),
          })),
        ],
      }, [values, ...accuracies], place)
    })
    if (curves) charts.push(drawCurves(curves))
  }
  draw()
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw)
})()
`

export function renderSearch(report: SearchReport): string {
  const { model, data, trials, command } = report
  const best = ranked(trials)
  const names = Object.keys(trials[0]?.values ?? {})
  const lost = trials.filter(({ score }) => score === null)
  const curves = curveData(trials, report.curves)
  const rows = [...best, ...lost].map(
    (trial) => `<tr><th scope="row">${trial.number}</th><td>${trial.round}</td>\
${names.map((name) => `<td>${trial.values[name]}</td>`).join('')}<td>${percent(trial.score)}</td>\
<td>${trial.seconds.toFixed(1)}\u00a0s</td></tr>`,
  )
  const table = `<table class="plain">
<thead><tr><th scope="col">Trial</th><th scope="col">Round</th>${names.map((name) => `<th scope="col">${escapeHtml(name)}</th>`).join('')}<th scope="col">Accuracy</th><th scope="col">Time</th></tr></thead>
<tbody>${rows.join('\n')}</tbody>
</table>`
  const header = `<h1>${escapeHtml(model)} <span>on ${escapeHtml(data)}: search of hyperparameters</span></h1>
<dl class="figures">
<div><dt>Best accuracy</dt><dd>${percent(best[0]?.score ?? null)}<small>on the validation images</small></dd></div>
<div><dt>Trials</dt><dd>${trials.length}<small>${lost.length} diverged</small></dd></div>
<div><dt>Time</dt><dd>${report.seconds.toFixed(0)}\u00a0s<small>for all of them</small></dd></div>
</dl>
<dl class="facts">
<dt>Train with the best</dt><dd><code>${escapeHtml(command)}</code></dd>
<dt>Images of a trial</dt><dd>${report.images.toLocaleString('en-US')}</dd>
<dt>Seed</dt><dd><code>${report.seed}</code></dd>
</dl>`
  const main = `<section>
<h2>Accuracy</h2>
<div class="charts">
${best.length > 0 ? names.map((name, index) => `<figure><h3>${escapeHtml(name)}</h3><div class="chart" id="search-chart-${index}" role="img" aria-label="Validation accuracy by ${escapeHtml(name)}"></div></figure>`).join('\n') : '<p class="lead">No trial gave a result.</p>'}
</div>
</section>
${
  curves
    ? `<section>
<h2>Loss</h2>
<figure><div class="chart" id="search-curves" role="img" aria-label="Training loss by step, a line for each of ${curves.lines.length} trials"></div>
<figcaption>Training loss by step, logarithmic, a line for each trial: from the lowest learning rate, blue, to the highest, red. Losses above the axis are those of rates that are too high.</figcaption></figure>
</section>
`
    : ''
}<section>
<h2>Trials</h2>
${scrollable('Trials', table)}
</section>`
  const values = { plots: best.length > 0 ? plotData(trials) : [], curves }
  return renderPage({
    title: `${model} on ${data}`,
    kind: 'search',
    ...{ header, main, version: report.version },
    plots: curves || best.length > 0 ? { id: 'search-data', values, script: searchScript } : undefined,
  })
}
