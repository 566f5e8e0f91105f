/**
 * Writes the table and the chart of the networks of the zoo, docs/networks.md and docs/images/zoo.svg: parameters, operations and
 * memory as the built package's `summary()` says, errors as published. `--check` compares instead. Exit codes: 0 good; 1 something
 * differs; 2 wrong usage.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath, URL } from 'node:url'
import { format, resolveConfig } from 'prettier'
import { init } from '../dist/index.js'
import { architectures, createModel } from '../dist/zoo.js'

const path = (place) => fileURLToPath(new URL(place, import.meta.url))

const lecun = '[LeCun et al. 1998](https://doi.org/10.1109/5.726791), figure 9'
// "1 CNN".
const krizhevsky = '[Krizhevsky et al. 2012](https://papers.nips.cc/paper/4824), table 2'
// "1 convnet as per Fig. 3", and the same with 512, 1024, 512 maps; the first version of the paper has 16.4 and 38.3 for the former.
const zeiler = '[Zeiler & Fergus 2014](https://arxiv.org/abs/1311.2901v3), table 2'
// Trained and tested at a smallest side of 256, S = Q.
const simonyan = '[Simonyan & Zisserman 2015](https://arxiv.org/abs/1409.1556), table 3, scale 256'
// One model, one crop.
const szegedy = '[Szegedy et al. 2015](https://arxiv.org/abs/1409.4842), table 3'
const lin = '[Lin et al. 2014](https://arxiv.org/abs/1312.4400), table 1'
// "acc@1" and "acc@5" of IMAGENET1K_V1 in torchvision/models.
const torchvision = '[torchvision](https://docs.pytorch.org/vision/stable/models.html), version 1 of its weights'

/**
 * Published errors in per cent, of one network without averaging: [top-5, top-1, source]. On ImageNet's validation images, those of
 * torchvision, Caffe and GoogLeNet from one crop of each; for the small networks the test error stands as top-1.
 */
const published = {
  'lenet5-paper': [undefined, 0.95, `${lecun}, MNIST`],
  'nin-cifar10': [undefined, 10.41, `${lin}, CIFAR-10 without augmentation`],
  resnet20: [undefined, 8.75, '[He et al. 2016](https://arxiv.org/abs/1512.03385), table 6, CIFAR-10'],
  caffenet: [19.6, 42.6, '[Caffe](https://github.com/BVLC/caffe/tree/master/models/bvlc_reference_caffenet)'],
  'alexnet-paper': [18.2, 40.7, krizhevsky],
  zfnet: [16, 37.5, zeiler],
  'zfnet-paper': [16.5, 38.4, zeiler],
  'vgg-a': [10.4, 29.6, simonyan],
  'vgg-a-lrn': [10.5, 29.7, simonyan],
  'vgg-b': [9.9, 28.7, simonyan],
  'vgg-c': [9.4, 28.1, simonyan],
  vgg16: [8.8, 27, simonyan],
  vgg19: [9, 27.3, simonyan],
  nin: [undefined, 40.64, '[its authors](https://gist.github.com/mavenlin/d802a5849de39225bcc6)'],
  'googlenet-paper': [10.07, undefined, szegedy],
  ...Object.fromEntries(
    Object.entries({
      'alexnet-torchvision': [79.066, 56.522],
      'vgg11-torchvision': [88.628, 69.02],
      'vgg13-torchvision': [89.246, 69.928],
      'vgg16-torchvision': [90.382, 71.592],
      'vgg19-torchvision': [90.876, 72.376],
      'vgg11-bn': [89.81, 70.37],
      'vgg13-bn': [90.374, 71.586],
      'vgg16-bn': [91.516, 73.36],
      'vgg19-bn': [91.842, 74.218],
      'googlenet-torchvision': [89.53, 69.778],
      resnet18: [89.078, 69.758],
      resnet34: [91.42, 73.314],
      resnet50: [92.862, 76.13],
      'mobilenet-v2': [90.286, 71.878],
      squeezenet1_1: [80.624, 58.178],
      densenet121: [91.972, 74.434],
    }).map(([name, right]) => [name, [...right.map((share) => 100 - share), torchvision]]),
  ),
}

/** What is another name of a network that is shown. */
const aliases = ['convnet']
const largest = 1000

await init()
const networks = Object.keys(architectures)
  .filter((name) => !aliases.includes(name))
  .map((name) => {
    const model = createModel(name)
    const { total } = model.summary()
    const [K] = model.shapes().at(-1)
    const [top5, top1, source = ''] = published[name] ?? []
    model.dispose()
    const { parameters, operations, memory } = total
    return { name, input: model.input, K, parameters, operations, peak: memory.peak, top5, top1, source }
  })
const unknown = Object.keys(published).filter((name) => !networks.some((network) => network.name === name))
if (unknown.length > 0) throw new Error(`published errors of ${unknown.join(', ')}, which the zoo does not have`)

/** 1136549904 -> 1.14 G. */
function short(value) {
  const units = ['', ' k', ' M', ' G']
  const unit = Math.max(0, Math.min(3, Math.floor(Math.log10(value) / 3)))
  return `${Number((value / 1000 ** unit).toPrecision(3))}${units[unit]}`
}
const megabytes = (bytes) => `${Number((bytes / 1e6).toPrecision(3))}`
const errorOf = (value) => (value === undefined ? '' : `${value.toFixed(2).replace(/0$/, '')} %`)

/** The groups of the chart and the table, each from few operations to many. */
const groups = [
  ['ImageNet, 1000 classes', ({ K }) => K === largest],
  ['MNIST and CIFAR-10', ({ K, name }) => K === 10 && architectures[name].labels !== 'pixels'],
  ['A label for every pixel', ({ name }) => architectures[name].labels === 'pixels'],
].map(([title, of]) => ({ title, rows: networks.filter(of).sort((a, b) => a.operations - b.operations) }))
if (groups.flatMap(({ rows }) => rows).length !== networks.length)
  throw new Error('a network is in no group, or in two')

function table() {
  const header = [
    'network',
    'input',
    'operations',
    'parameters',
    'peak, MB',
    'top-5 error',
    'top-1 error',
    'published by',
  ]
  const rows = groups.flatMap(({ rows }) =>
    rows.map(({ name, input, operations, parameters, peak, top5, top1, source }) => [
      ...[`\`${name}\``, input.join(' × '), short(operations), short(parameters), megabytes(peak)],
      ...[errorOf(top5), errorOf(top1), source],
    ]),
  )
  const alignment = header.map((_, i) => ([0, 1, 7].includes(i) ? '---' : '--:'))
  return [header, alignment, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

const width = 980
const rowHeight = 20
const columns = [
  { title: 'operations', left: 190, right: 310, of: ({ operations }) => operations, log: true, low: 1e4, high: 1e11, show: short },
  { title: 'parameters', left: 390, right: 500, of: ({ parameters }) => parameters, log: true, low: 1e4, high: 1e9, show: short },
  { title: 'peak memory', left: 580, right: 690, of: ({ peak }) => peak, log: true, low: 1e4, high: 1e10, show: (value) => `${megabytes(value)} MB` },
  { title: 'error, %', left: 770, right: 910, of: ({ top5 }) => top5, log: false, low: 0, high: 25, show: (value) => String(Number(value.toFixed(1))) },
] // prettier-ignore

function chart() {
  const parts = []
  let y = 92
  const top = y
  for (const { title, rows } of groups) {
    parts.push(`<text class="group" x="24" y="${y + 14}">${title}</text>`)
    y += rowHeight + 4
    for (const row of rows) {
      parts.push(`<text class="label" x="176" y="${y + 14}" text-anchor="end">${row.name}</text>`)
      for (const { left, right, of, log, low, high, show, title: column } of columns) {
        const last = column === 'error, %'
        const value = of(row)
        const instead = last && value === undefined ? row.top1 : undefined
        if (value === undefined && instead === undefined) continue
        // A top-1 error is on another scale than the top-5 errors, and stands as text.
        if (instead !== undefined) {
          parts.push(
            `<text class="note" x="${left + 6}" y="${y + 14}">${row.K === largest ? 'top-1 ' : 'test '}${Number(instead.toFixed(2))}</text>`,
          )
          continue
        }
        const share = log ? Math.log(value / low) / Math.log(high / low) : value / high
        const x = left + share * (right - left)
        parts.push(
          `<path class="line" d="M${left} ${y + 10}H${x.toFixed(1)}"/><circle class="${last ? 'error' : 'dot'}" cx="${x.toFixed(1)}" cy="${y + 10}" r="4"/><text class="value" x="${(x + 8).toFixed(1)}" y="${y + 14}">${show(value)}</text>`,
        )
      }
      y += rowHeight
    }
    y += 12
  }
  const heads = columns.map(
    ({ title, left, log }) =>
      `<text class="head" x="${left}" y="72">${title === 'error, %' ? 'top-5 error, %' : title}<tspan class="unit">${log ? ', logarithmic' : ''}</tspan></text><path class="axis" d="M${left} ${top}V${y - 8}"/>`,
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y + 8}" width="${width}" height="${y + 8}" role="img" aria-label="Operations, parameters, peak memory and published error of each network; the table has the numbers">
<style>
text { font: 12px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #52514e }
.surface { fill: #fcfcfb }
.title { font-size: 16px; font-weight: 600; fill: #0b0b0b }
.group, .head { font-weight: 600; fill: #0b0b0b }
.unit { font-weight: 400; fill: #6f6e69 }
.value, .label { fill: #0b0b0b }
.note { fill: #6f6e69 }
.line { stroke: #b9c6d6; stroke-width: 2 }
.axis { stroke: #c9c8c2; stroke-width: 1 }
.dot { fill: #2a78d6 }
.error { fill: #c2410c }
@media (prefers-color-scheme: dark) {
text { fill: #c3c2b7 }
.surface { fill: #1a1a19 }
.title, .group, .head, .value, .label { fill: #fff }
.unit, .note { fill: #98968d }
.line { stroke: #3d4b5c }
.axis { stroke: #44443f }
.dot { fill: #3987e5 }
.error { fill: #fb923c }
}
</style>
<rect class="surface" width="${width}" height="${y + 8}" rx="8"/>
<text class="title" x="24" y="34">The networks of the zoo, for one picture</text>
<text x="24" y="52">from few operations to many; errors as published, of one network</text>
${heads.join('\n')}
${parts.join('\n')}
</svg>
`
}

/** The page with the table between its markers. */
async function page(file) {
  const text = await readFile(file, 'utf8')
  const [begin, end] = ['<!-- zoo -->', '<!-- /zoo -->']
  const head = text.slice(0, text.indexOf(begin) + begin.length)
  const whole = `${head}\n\n${table()}\n\n${text.slice(text.indexOf(end))}`
  return format(whole, { ...(await resolveConfig(file)), filepath: file })
}

const [option, ...rest] = process.argv.slice(2)
if (rest.length > 0 || (option !== undefined && option !== '--check')) {
  console.error('usage: node docs/zoo.mjs [--check]')
  process.exit(2)
}
const guide = path('networks.md')
for (const [file, text] of [
  [guide, await page(guide)],
  [path('images/zoo.svg'), chart()],
]) {
  if (option === undefined) await writeFile(file, text)
  else if ((await readFile(file, 'utf8').catch(() => '')) !== text) {
    console.error(`${file} is not what docs/zoo.mjs writes now; run node docs/zoo.mjs`)
    process.exitCode = 1
  }
}
