/**
 * What the report page and the command line need besides code: the plotting library, read from the installed package
 * at run time, the page's own style and script, and our version.
 */

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { formatLoss } from './numbers.js'

export interface PlotAssets {
  /** uPlot as one classic script that defines the global `uPlot`. */
  readonly script: string
  readonly style: string
}

const require = createRequire(import.meta.url)

/** The sources of uPlot, to be inlined in a page. */
export function plotAssets(): PlotAssets {
  return {
    script: readFileSync(require.resolve('uplot/dist/uPlot.iife.min.js'), 'utf8'),
    style: readFileSync(require.resolve('uplot/dist/uPlot.min.css'), 'utf8'),
  }
}

/** The version in our package.json, which lies one or two folders up, as this file runs from `src/cli` or from `dist`. */
export function packageVersion(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (dirname(folder) !== folder) {
    const version = versionIn(join(folder, 'package.json'))
    if (version !== undefined) return version
    folder = dirname(folder)
  }
  return 'unknown'
}

function versionIn(path: string): string | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
  const manifest = JSON.parse(text) as { name?: string; version?: string }
  return manifest.name === 'toeplitz' ? manifest.version : undefined
}

/** The report's style sheet. Every colour is a variable, so that the charts can read them too. */
export const reportStyle = `
:root {
  color-scheme: light dark;
  --page: #ffffff; --ink: #1c2128; --muted: #57606a; --line: #d9dee4; --faint: #eceff2; --panel: #f6f8fa;
  --training: #0a5fc2; --training-raw: #0a5fc240; --validation: #b5480b;
  --good: 10, 95, 194; --bad: 208, 84, 10;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #11151a; --ink: #e3e8ed; --muted: #9ba6b2; --line: #2d353e; --faint: #20272e; --panel: #181d23;
    --training: #6cb2ff; --training-raw: #6cb2ff48; --validation: #f5a35c;
    --good: 74, 144, 226; --bad: 222, 112, 40;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif;
}
header, main, footer { max-width: 1120px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 40px; }
h1 { margin: 0; font-size: 30px; line-height: 1.2; font-weight: 650; letter-spacing: -0.01em; }
h1 span { color: var(--muted); font-weight: 400; }
h2 { margin: 0 0 4px; font-size: 20px; font-weight: 650; letter-spacing: -0.005em; }
h3 { margin: 0 0 8px; font-size: 15px; font-weight: 600; }
section { margin-top: 48px; }
p { margin: 0 0 16px; max-width: 80ch; }
.lead, figcaption, .note { color: var(--muted); font-size: 14px; }
.lead { margin-bottom: 16px; }
.notice { margin-top: 16px; padding: 10px 14px; border-left: 3px solid var(--validation); background: var(--panel); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 20px 32px; margin: 28px 0 0; }
.figures div { border-top: 2px solid var(--ink); padding-top: 8px; }
.figures dt { font-size: 13px; color: var(--muted); }
.figures dd { margin: 0; font-size: 28px; line-height: 1.25; font-weight: 600; font-variant-numeric: tabular-nums; }
.figures dd small { display: block; font-size: 13px; line-height: 1.5; font-weight: 400; color: var(--muted); }
.facts { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 6px 20px; margin: 28px 0 0; font-size: 14px; }
.facts dt { color: var(--muted); }
.facts dd { margin: 0; overflow-wrap: anywhere; }
code { font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; }
code { white-space: pre-wrap; }
code span { display: inline-block; max-width: 100%; }
.scroll { overflow-x: auto; }
.scroll tbody th, .scroll tfoot th { position: sticky; left: 0; background: var(--page); }
.scroll:focus-visible { outline: 2px solid var(--training); outline-offset: 2px; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 12px; text-align: right; white-space: nowrap; }
th { font-weight: 600; }
.plain { width: 100%; }
.plain th:first-child, .plain td:first-child, .plain .text { text-align: left; }
.plain th:first-child, .plain td:first-child { padding-left: 0; }
.plain th:last-child, .plain td:last-child { padding-right: 0; }
.plain thead th { border-bottom: 1px solid var(--ink); }
.plain tbody th { font-weight: 400; }
.plain tbody tr + tr > * { border-top: 1px solid var(--faint); }
.plain tfoot > tr > * { border-top: 1px solid var(--ink); font-weight: 600; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 32px 40px; margin: 16px 0 32px; }
figure { margin: 0; min-width: 0; }
.chart { min-height: 340px; }
.charts figcaption { margin-top: 6px; }
.uplot { font-family: inherit; }
.u-legend { margin: 2px 0 0 52px; text-align: left; font-size: 13px; }
.u-legend .u-series { display: inline-flex; align-items: center; margin-right: 12px; }
.u-legend .u-series:first-child .u-marker { display: none; }
.u-legend .u-series > * { padding: 3px 4px 3px 0; }
.u-legend th { color: var(--muted); font-weight: 400; text-align: left; }
.u-legend td { min-width: 6ch; text-align: left; }
.u-legend th > .u-marker { width: 14px; height: 3px; border-width: 3px 0 0 !important; }
.u-cursor-x, .u-cursor-y { border-color: var(--muted) !important; }
.pictures { display: flex; flex-wrap: wrap; gap: 10px; margin: 0; padding: 0; list-style: none; }
.pictures img { display: block; image-rendering: pixelated; }
.filters img, .mistakes img { border: 1px solid var(--line); }
.scale { display: flex; align-items: center; gap: 10px; margin: 0 0 16px; font-size: 13px; color: var(--muted); font-variant-numeric: tabular-nums; }
.scale i { width: 160px; height: 10px; border: 1px solid var(--line); }
.confusion { font-size: 13px; }
.confusion th, .confusion td { padding: 4px 6px; min-width: 40px; text-align: center; }
.confusion td { border: 1px solid var(--page); background: var(--panel); }
.confusion td.good { background: rgba(var(--good), var(--shade)); }
.confusion td.bad { background: rgba(var(--bad), var(--shade)); }
.confusion td.none { color: var(--muted); }
.confusion td.rate, .confusion th.rate { background: none; text-align: right; padding-left: 12px; }
.confusion tfoot td.rate, .confusion tfoot th { padding: 8px 6px 4px; text-align: center; }
.confusion thead th { max-width: 10em; white-space: normal; overflow-wrap: break-word; vertical-align: bottom; }
.confusion .axis { color: var(--muted); font-weight: 400; }
.confusion tbody th, .confusion tfoot th { text-align: right; padding-right: 10px; }
.mistakes { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 230px), 1fr)); gap: 18px 24px; }
.mistakes figure { display: flex; align-items: center; gap: 14px; }
.mistakes img { flex: none; width: 84px; height: 84px; object-fit: contain; background: var(--panel); }
.mistakes figcaption { min-width: 0; font-size: 13px; line-height: 1.4; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.mistakes dl { display: grid; grid-template-columns: auto; margin: 0; }
.mistakes dd { margin: 0 0 4px; color: var(--ink); }
.mistakes strong { font-weight: 600; }
footer { margin-top: 56px; padding-top: 16px; padding-bottom: 40px; font-size: 13px; color: var(--muted); }
@media (max-width: 560px) {
  header, main, footer { padding-left: 16px; padding-right: 16px; }
  header { padding-top: 24px; }
  h1 { font-size: 25px; }
  .figures { grid-template-columns: 1fr 1fr; gap: 16px 20px; }
  .figures dd { font-size: 23px; }
  .facts { grid-template-columns: 1fr; gap: 0; }
  .facts dd { margin-bottom: 10px; }
  th, td { padding: 5px 8px; }
  table { font-size: 13px; }
  .confusion { font-size: 12px; }
  .confusion th, .confusion td { min-width: 27px; padding: 4px 1px; }
  .confusion tbody th, .confusion tfoot th { padding-right: 6px; }
  .confusion tfoot th, .confusion th.rate { white-space: normal; }
  .scroll tbody th, .scroll tfoot th { max-width: 33vw; white-space: normal; overflow-wrap: break-word; }
  .confusion thead th { max-width: 6em; }
  .mistakes { grid-template-columns: repeat(auto-fill, minmax(min(100%, 160px), 1fr)); gap: 16px 14px; }
  .mistakes figure { gap: 10px; }
  .mistakes img { width: 60px; height: 60px; }
}
@media print {
  section, figure { break-inside: avoid; }
}
`

/** Parts of a script that charts share: the room of a vertical axis, and losses as text. */
export const axisScript = `
  // Room for the numbers beside a vertical axis, so that its title is clear of the widest.
  const besideTicks = (font) => ({ ctx }, texts) => {
    const before = ctx.font
    ctx.font = font
    const widest = Math.max(0, ...(texts ?? []).map((text) => ctx.measureText(text).width))
    ctx.font = before
    return Math.max(34, Math.ceil(widest) + 18)
  }
  const lossText = ${formatLoss.toString().replaceAll('\t', '  ')}
`

/**
 * Draws the two charts from the JSON in #chart-data, and again when the colour scheme or the width changes. Columns:
 * steps, raw loss, smoothed loss, validation loss, training accuracy, validation accuracy (per cent).
 */
export const chartScript = `
(() => {
  const source = document.getElementById('chart-data')
  if (!source) return
  const data = JSON.parse(source.textContent)
  const { steps, rawLoss, smoothLoss, validationLoss, trainingAccuracy, validationAccuracy } = data
  const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
  const few = steps.length < 40
${axisScript}  const count = (value) => value.toLocaleString('en-US')

  const draw = (id, unit, scale, lines) => {
    const place = document.getElementById(id)
    const font = '12px ' + getComputedStyle(document.body).fontFamily
    const axis = (label, values, size) => ({
      label, values, size, labelSize: 20, labelGap: 2, font, labelFont: font, gap: 6,
      stroke: variable('--muted'),
      grid: { stroke: variable('--faint'), width: 1 },
      ticks: { stroke: variable('--line'), width: 1, size: 5 },
      border: { show: true, stroke: variable('--line'), width: 1 },
    })
    // Validation is known at the end of an epoch only: between them the legend shows the latest.
    const latest = (values, index) => {
      while (index >= 0 && values[index] == null) index--
      return index < 0 ? null : values[index]
    }
    const shown = lines.filter((line) => line.values.some((value) => value != null))
    const options = {
      width: Math.max(200, place.clientWidth), height: 300,
      padding: [10, 26, 0, 0],
      cursor: { y: false, drag: { x: true, y: false } },
      scales: { x: { time: false }, y: scale },
      axes: [
        axis('Training step (' + count(data.batchSize) + ' images each)', (_, ticks) => ticks.map((tick) =>
          tick == null || tick % 1 !== 0 ? '' : count(tick)), 28),
        // A logarithmic axis has a tick at its very end, whose number would be long.
        axis(unit, (_, ticks) => ticks.map((tick) => {
          const short = tick == null ? NaN : Number(tick.toPrecision(6))
          return Number.isNaN(short) || scale.distr === 3 && short !== Number(short.toPrecision(1)) ? '' : String(short)
        }), besideTicks(font)),
      ],
      series: [
        { label: 'Step', value: (_, value) => value == null ? '–' : count(value) },
        ...shown.map((line) => ({
          label: line.label, stroke: variable(line.colour), width: line.width, spanGaps: true,
          points: line.sparse || few
            ? { show: true, size: line.sparse || steps.length < 3 ? 7 : 4, fill: variable(line.colour), filter: null }
            : { show: false },
          value: (_, value, series, index) => {
            const known = value ?? (index == null ? null : latest(line.values, index))
            return known == null ? '–' : line.show(known)
          },
        })),
      ],
    }
    return { chart: new uPlot(options, [steps, ...shown.map((line) => line.values)], place), place }
  }

  const accuracyText = (accuracy) => accuracy.toFixed(2)

  // Where nothing was smoothed, the steps themselves are the line to look at.
  const lossLines = data.smoothing === 1
    ? [{ label: 'training', values: rawLoss, colour: '--training', width: 2, show: lossText }]
    : [
        { label: 'training', values: rawLoss, colour: '--training-raw', width: 1, show: lossText },
        { label: 'smoothed', values: smoothLoss, colour: '--training', width: 2, show: lossText },
      ]
  const lossScale = data.lossRange === null ? {} : { distr: 3, log: 10, range: () => data.lossRange }
  let charts = []
  const drawAll = () => {
    for (const { chart } of charts) chart.destroy()
    charts = [
      draw('loss-chart', 'Loss (cross-entropy, nats)', lossScale, [
        ...lossLines,
        { label: 'validation', values: validationLoss, colour: '--validation', width: 2, show: lossText, sparse: true },
      ]),
      draw('accuracy-chart', 'Accuracy (%)', { range: () => data.accuracyRange }, [
        { label: 'training', values: trainingAccuracy, colour: '--training', width: 2, show: accuracyText },
        { label: 'validation', values: validationAccuracy, colour: '--validation', width: 2, show: accuracyText, sparse: true },
      ]),
    ]
  }
  drawAll()
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll)
  new ResizeObserver(() => {
    for (const { chart, place } of charts) {
      const width = Math.max(200, place.clientWidth)
      if (width !== chart.width) chart.setSize({ width, height: 300 })
    }
  }).observe(document.querySelector('.charts'))
})()
`
