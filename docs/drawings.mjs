/** Line charts of docs/pooling.md as SVG, which docs/results.mjs writes from bench/results/pooling.json. */

/** Width and height of a panel, and of the part between its axes. */
const [W, H] = [300, 240]
const inner = { left: 40, right: 284, top: 40, bottom: 196 }

const style = `
text { font: 12px system-ui, sans-serif; }
.title { font-weight: 600; font-size: 13px; fill: #1c2024; }
.tick { fill: #687076; font-size: 11px; }
.grid { stroke: #8888; stroke-width: 0.5; fill: none; }
polyline { fill: none; stroke-width: 1.5; stroke-linejoin: round; }
.target { stroke: #9aa3ab; stroke-width: 5; stroke-linecap: round; } text.target { fill: #687076; stroke: none; }
.line { stroke: #c2410c; stroke-width: 1; stroke-dasharray: 4 3; } text.line { fill: #c2410c; stroke: none; }
.sum { stroke: #0b6bcb; stroke-width: 2.5; } text.sum { fill: #0b6bcb; stroke: none; }
.back { fill: #fff; }
@media (prefers-color-scheme: dark) {
.title { fill: #e6e8ea; } .tick, text.target { fill: #a0a8b0; } .target { stroke: #5a636b; }
.line { stroke: #fb923c; } text.line { fill: #fb923c; } .sum { stroke: #6cb2f7; } text.sum { fill: #6cb2f7; }
.back { fill: #0d1117; }
}
`

/** Lines of points (x, y) over the ranges of both axes, what is outside left out. */
function panel({ title, xs, ys, lines, ticks }, column) {
  const across = (x) => inner.left + ((inner.right - inner.left) * (x - xs[0])) / (xs[1] - xs[0])
  const up = (y) => inner.bottom - ((inner.bottom - inner.top) * (y - ys[0])) / (ys[1] - ys[0])
  const drawn = lines.map(({ kind, points }) => {
    const seen = points.filter(([, y]) => y >= ys[0] && y <= ys[1])
    return `<polyline class="${kind}" points="${seen.map(([x, y]) => `${across(x).toFixed(1)},${up(y).toFixed(1)}`).join(' ')}"/>`
  })
  const grid = ticks.y.map(
    (y) =>
      `<path class="grid" d="M${inner.left} ${up(y).toFixed(1)}H${inner.right}"/><text class="tick" text-anchor="end" x="${inner.left - 6}" y="${(up(y) + 4).toFixed(1)}">${y}</text>`,
  )
  const marks = ticks.x.map(
    ([x, text]) =>
      `<text class="tick" text-anchor="middle" x="${across(x).toFixed(1)}" y="${inner.bottom + 16}">${text}</text>`,
  )
  return `<g transform="translate(${column * W} 0)">
<text class="title" x="${inner.left}" y="22">${title}</text>
${[...grid, ...marks, ...drawn].join('\n')}
</g>`
}

/** Panels side by side, and what their kinds of lines are. */
function picture(title, panels, kinds) {
  const width = panels.length * W
  let x = inner.left
  const legend = kinds.map(([kind, text]) => {
    const entry = `<polyline class="${kind}" points="${x},${H - 12} ${x + 22},${H - 12}"/><text class="${kind}" x="${x + 30}" y="${H - 8}">${text}</text>`
    x += 54 + 6.4 * text.length
    return entry
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${H}" width="${width}" height="${H}" role="img">
<title>${title}</title>
<style>${style}</style>
<rect class="back" width="100%" height="100%"/>
${panels.map(panel).join('\n')}
${legend.join('\n')}
</svg>
`
}

const targets = { '|x|': Math.abs, 'x²': (x) => x * x, 'a step': (x) => (x > 0 ? 1 : 0) }
const span = Array.from({ length: 101 }, (_, i) => (i - 50) / 50)

/** What maxout units became, and the lines that they are the largest of. */
export function maxoutPicture(shapes) {
  const panels = shapes.map(({ name, lines, factors, shift, rms }) => {
    const at = (unit, x) => Math.max(...unit.map(([slope, offset]) => slope * x + offset))
    const whole = (x) => shift + lines.reduce((sum, unit, i) => sum + factors[i] * at(unit, x), 0)
    // A unit's own lines are drawn where the unit is the whole network.
    const own = lines.length > 1 ? [] : lines[0]
    return {
      title: `${name}: ${lines.length > 1 ? `${lines.length} units` : `${lines[0].length} lines`}, error ${rms.toFixed(3)}`,
      ...{ xs: [-1, 1], ys: [-0.4, 1.2] },
      lines: [
        { kind: 'target', points: span.map((x) => [x, targets[name](x)]) },
        ...own.map(([slope, offset]) => ({ kind: 'line', points: span.map((x) => [x, slope * x + offset]) })),
        { kind: 'sum', points: span.map((x) => [x, whole(x)]) },
      ],
      ticks: { y: [0, 0.5, 1], x: [-1, 0, 1].map((x) => [x, x]) },
    }
  })
  return picture('Maxout units trained to be the absolute value, the square and a step', panels, [
    ['target', 'what was to be learned'],
    ['line', 'the lines of a unit'],
    ['sum', 'what was learned'],
  ])
}

/** Responses of three filters and of the unit that pools them to fives, by their angle, before training and after. */
export function rotationPicture({ rows }) {
  const { before, after } = rows.find(({ filters }) => filters === 3)
  const panelOf = (title, points, ys, y) => ({
    title,
    ...{ xs: [points[0].angle, points.at(-1).angle], ys },
    lines: [
      ...points[0].filters.map((_, i) => ({ kind: 'line', points: points.map((p) => [p.angle, p.filters[i]]) })),
      { kind: 'sum', points: points.map(({ angle, unit }) => [angle, unit]) },
    ],
    ticks: { y, x: points.map(({ angle }) => [angle, `${angle}°`.replace('-', '−')]).filter((_, i) => i % 2 === 0) },
  })
  const values = after.flatMap(({ filters, unit }) => [...filters, unit])
  const [low, high] = [Math.floor(Math.min(...values)) - 1, Math.ceil(Math.max(...values)) + 1]
  const ticks = [-10, -5, 0, 5].filter((y) => y >= low && y <= high)
  const panels = [
    panelOf('before training', before, [low, high], ticks),
    panelOf('after training', after, [low, high], ticks),
  ]
  return picture('Responses to fives by their angle', panels, [
    ['line', 'each of three filters'],
    ['sum', 'their largest'],
  ])
}
