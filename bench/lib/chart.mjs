// @ts-check
// The ratios to the fastest peer as a picture: bars, drawn in the reader's light or dark colours.
import { geometricMeans } from './summary.mjs'

const width = 760
const labelsEnd = 216
const barsEnd = 700
const rowHeight = 26
const barHeight = 16
const headHeight = 74

/** How the families of the layers' bench are called. @type {Record<string, string>} */
const titles = {
  lenet: 'LeNet-5’s layers',
  first: 'first layers',
  '3x3-large': '3×3, maps of 28 and more',
  '3x3-14': '3×3, maps of 13 and 14',
  '3x3-7': '3×3, maps of 7',
  '5x5': '5×5',
  '1x1-56': '1×1, maps of 56',
  '1x1-28': '1×1, maps of 28',
  '1x1-14': '1×1, maps of 14',
  '1x1-7': '1×1, maps of 7',
  depthwise: 'depthwise 3×3',
  lenet5: 'LeNet-5',
  alexnet: 'AlexNet',
  googlenet: 'GoogLeNet',
  vgg16: 'VGG-16',
}

/**
 * @param {readonly import('./results.mjs').Result[]} layers
 * @param {readonly import('./results.mjs').Result[]} forward
 */
export function speedChart(layers, forward) {
  const means = geometricMeans(layers).filter(({ name }) => name !== 'selected' && name !== 'all')
  const groups = [
    { title: 'Convolution layers (geometric means)', bars: means.map(({ name, ratio }) => ({ name, ratio })) },
    { title: 'Whole networks', bars: forward.map(({ case: name, ratio }) => ({ name, ratio: ratio ?? 0 })) },
  ].filter(({ bars }) => bars.length > 0)
  for (const { bars } of groups) bars.sort((one, other) => other.ratio - one.ratio)
  const most = Math.ceil(Math.max(1, ...groups.flatMap(({ bars }) => bars.map(({ ratio }) => ratio))))
  const x = (/** @type {number} */ ratio) => round(labelsEnd + (ratio / most) * (barsEnd - labelsEnd))
  const parts = []
  let y = headHeight
  for (const { title, bars } of groups) {
    parts.push(`<text class="group" x="24" y="${y + 14}">${title}</text>`)
    y += rowHeight
    for (const { name, ratio } of bars) {
      const end = x(ratio)
      const r = Math.min(4, end - labelsEnd)
      const bottom = y + barHeight
      parts.push(
        `<text class="label" x="${labelsEnd - 10}" y="${y + 12}" text-anchor="end">${titles[name] ?? name}</text>`,
        `<path class="bar" d="M${labelsEnd} ${y}H${round(end - r)}q${r} 0 ${r} ${r}V${bottom - r}q0 ${r} ${-r} ${r}H${labelsEnd}z"/>`,
        `<text class="value" x="${round(end + 8)}" y="${y + 12}">${ratio.toFixed(ratio < 0.995 ? 2 : 1)} ×</text>`,
      )
      y += rowHeight
    }
    y += 10
  }
  const height = y + 18
  const grid = Array.from({ length: most + 1 }, (_, ratio) => {
    const at = x(ratio)
    const kind = ratio === 1 ? 'equal' : 'grid'
    return `<path class="${kind}" d="M${at} ${headHeight - 4}V${y - 6}"/><text class="tick" x="${at}" y="${y + 8}" text-anchor="middle">${ratio === 1 ? 'equal' : `${ratio} ×`}</text>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="Speed of forward passes beside the faster of onnxruntime-web and tfjs-wasm">
<style>
text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #52514e }
.surface { fill: #fcfcfb }
.title { font-size: 16px; font-weight: 600; fill: #0b0b0b }
.group { font-weight: 600; fill: #0b0b0b }
.value { fill: #0b0b0b; stroke: #fcfcfb; stroke-width: 4px; paint-order: stroke }
.tick { font-size: 12px; fill: #6f6e69 }
.bar { fill: #2a78d6 }
.grid { stroke: #e1e0d9; stroke-width: 1 }
.equal { stroke: #6f6e69; stroke-width: 1 }
@media (prefers-color-scheme: dark) {
text { fill: #c3c2b7 }
.surface { fill: #1a1a19 }
.title, .group, .value { fill: #fff }
.value { stroke: #1a1a19 }
.tick { fill: #98968d }
.bar { fill: #3987e5 }
.grid { stroke: #2c2c2a }
.equal { stroke: #98968d }
}
</style>
<rect class="surface" width="${width}" height="${height}" rx="8"/>
<text class="title" x="24" y="32">Forward pass on one thread, batch 1</text>
<text x="24" y="52">times as fast as the faster of onnxruntime-web and tfjs-wasm in the same run</text>
${[...grid, ...parts].join('\n')}
</svg>
`
}

/** @param {number} value */
const round = (value) => Number(value.toFixed(1))
