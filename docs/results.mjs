/**
 * Writes the tables of docs/training.md, docs/features.md, docs/pixels.md, docs/networks.md, docs/data-types.md, docs/fewer-weights.md,
 * docs/pooling.md, docs/fine-tuning.md and docs/quantized.md, and the pictures training.svg, maxout.svg and rotation.svg of
 * docs/images from the committed results, bench/results/training-*.json, features-*.json, whole-*.json, pixels-*.json,
 * table-9-1-*.json, networks.json, low-rank.json, permuted-pixels.json, pooling.json, priors.json, fine-tuning.json,
 * integers.json and quantized-accuracy.json. `--check` compares instead. Exit codes: 0 good; 1 something
 * differs; 2 wrong usage.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath, URL } from 'node:url'
import { format, resolveConfig } from 'prettier'
import { maxoutPicture, rotationPicture } from './drawings.mjs'

const path = (place) => fileURLToPath(new URL(place, import.meta.url))
const folder = path('../bench/results/')
const read = async (name) => JSON.parse(await readFile(`${folder}/${name}`, 'utf8'))

const files = (await readdir(folder)).sort()
const runs = await Promise.all(files.filter((name) => /^training-.*\.json$/.test(name)).map(read))
const features = await Promise.all(files.filter((name) => /^features-.*\.json$/.test(name)).map(read))
// Trained whole from the model of a record of features, by the name of its file.
const whole = await Promise.all(
  files
    .filter((name) => /^whole-.*\.json$/.test(name))
    .map(async (name) => ({ ...(await read(name)), of: await read(name.replace(/^whole/, 'features')) })),
)
const pixels = await Promise.all(files.filter((name) => /^pixels-.*\.json$/.test(name)).map(read))
const kinds = await Promise.all(files.filter((name) => /^table-9-1-.*\.json$/.test(name)).map(read))
const networks = await read('networks.json')
const lowRank = await read('low-rank.json')
const permuted = await read('permuted-pixels.json')
const pooling = await read('pooling.json')
const priors = await read('priors.json')
const tuning = await read('fine-tuning.json')
const integers = await read('integers.json')
const quantizedAccuracy = await read('quantized-accuracy.json')

const percent = (share) => `${(100 * share).toFixed(2)} %`

/** Hours, minutes and seconds, as far as there are any. */
const duration = (seconds) =>
  seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`

/** Rows of a table, the first of them its header; columns stand to the right but for those named. */
function table([header, ...rows], left) {
  const alignment = header.map((_, i) => (left.includes(i) ? '---' : '--:'))
  return [header, alignment, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

const where = ({ cpu, threads = 1, versions, date }) =>
  `${cpu}, ${threads} thread${threads === 1 ? '' : 's'}, Node ${versions.node}, ${date.slice(0, 10)}`

function trainings() {
  const header = ['run', 'test error', 'test accuracy', 'epochs', 'time', 'measured on']
  const rows = runs.map(({ name, test_error, epochs, seconds, machine }) => [
    ...[name, percent(test_error), percent(1 - test_error), epochs.length, duration(seconds), where(machine)],
  ])
  const commands = runs.map(({ command }) => command)
  const hashes = runs.map(({ name, sha256 }) => `- ${name}: \`${sha256}\``)
  return `${table([header, ...rows], [0, 5])}\n\n\`\`\`sh\n${commands.join('\n')}\n\`\`\`\n\nSHA-256 of the weights:\n\n${hashes.join('\n')}`
}

/** Features without labels, by data set and then by error, beside the networks that were trained whole. */
function withoutLabels() {
  const header = ['data', 'network', 'filters by', 'filters', 'features', 'test error']
  const times = ['filters, s', 'features, s', 'classifier, s', 'measured on']
  const dataOf = ({ command }) => /--data (\S+)/.exec(command)[1]
  const sorted = [...features, ...whole, ...runs].toSorted(
    (a, b) => dataOf(a).localeCompare(dataOf(b)) || a.test_error - b.test_error,
  )
  const rows = sorted.map((run) => {
    const network = /--model (\S+)/.exec((run.of ?? run).command)[1]
    const [of, last] = [[dataOf(run), network], where(run.machine)]
    // What was trained whole has one time for all.
    if (!run.method) {
      const sizes = run.of ? [run.of.filters, run.of.features].map((shape) => shape.join(' × ')) : ['', '']
      return [...of, 'training it whole', ...sizes, percent(run.test_error), '', '', run.seconds, last]
    }
    const { method, filters, features, test_error, seconds } = run
    return [
      ...[...of, method, filters.join(' × '), features.join(' × '), percent(test_error)],
      ...[seconds.filters, seconds.features, seconds.classifier, last],
    ]
  })
  const commands = sorted.flatMap(({ method, of, command }) => (method ? [command] : of ? [of.command, command] : []))
  return `${table([[...header, ...times], ...rows], [0, 1, 2, 9])}\n\n\`\`\`sh\n${[...new Set(commands)].join('\n')}\n\`\`\``
}

/** How the Boltzmann machine of the table learned on MNIST. */
function boltzmann() {
  const { filters, learning, command } = features.find(({ name }) => name === 'rbm-single-layer-mnist')
  const [{ errors, activity }] = learning
  const fell = errors.map((error) => error.toFixed(3)).join(', ')
  return `In one pass over MNIST the error of the reconstruction, as means of each tenth of the steps, fell: ${fell}. In the last tenth ${percent(activity)} of the units were on. Most of the ${filters[0]} filters are short strokes; red is positive.\n\n\`\`\`sh\n${command}\n\`\`\``
}

/** Networks that label pixels, the steps of the recurrent one apart, and what neighbours add. */
function labels() {
  const gain = (own, before) =>
    before === undefined ? '' : `${own < before ? '−' : '+'}${Math.abs(own - before).toFixed(4)}`
  const share = (value) => value.toFixed(4)
  const order = ['plain', 'coarse', 'unit', 'recurrent', 'unet']
  const sorted = pixels.toSorted((a, b) => order.indexOf(a.network) - order.indexOf(b.network))
  const [trained, refined] = [sorted.filter(({ about }) => about), sorted.filter(({ potts }) => potts)]
  const header = ['network', 'mean IoU', 'gain', 'pixels right', 'weights', 'seconds', 'measured on']
  const rows = trained.flatMap(({ about, test, parameters, seconds, machine }) =>
    Object.entries(test).map(([what, { mean_iou, pixel_accuracy }], i, all) => [
      ...[what === 'all' ? about : `${about}: ${what}`, share(mean_iou), gain(mean_iou, all[i - 1]?.[1].mean_iou)],
      ...[percent(pixel_accuracy), ...(i === 0 ? [parameters, seconds, where(machine)] : ['', '', ''])],
    ]),
  )
  const names = { none: 'none', potts: 'Potts', pseudo_likelihood: 'pseudo-likelihood', learned: 'learned' }
  const neighbours = refined.flatMap(({ network, test, seconds, machine }) =>
    Object.entries(test).map(([what, { mean_iou, pixel_accuracy }], i) => [
      ...[trained.find((one) => one.network === network).about, names[what], share(mean_iou)],
      ...[i === 0 ? '' : gain(mean_iou, test.none.mean_iou), percent(pixel_accuracy)],
      ...(i === 0 ? [seconds, where(machine)] : ['', '']),
    ]),
  )
  const second = ['network', 'neighbours', 'mean IoU', 'gain', 'pixels right', 'seconds', 'measured on']
  const commands = [...[...trained, ...refined].map(({ command }) => command), 'node bench/pixels.mjs picture']
  return [
    table([header, ...rows], [0, 6]),
    'Refinement by neighbours, of the same test scenes; the models of neighbours are fitted on 300 scenes of digits that the networks were not trained on:',
    table([second, ...neighbours], [0, 1, 6]),
    `\`\`\`sh\n${commands.join('\n')}\n\`\`\``,
  ].join('\n\n')
}

/** Where a result stands in table 9.1, and what its data are, by the names of the results. */
const places = {
  waveforms: ['1-D', 'one', 'spoken words, as waveforms'],
  movements: ['1-D', 'several', 'movements: angles of joints by time'],
  spectrograms: ['2-D', 'one', 'spoken words, as mel spectrograms'],
  'convnet-cifar10': ['2-D', 'several', 'colour pictures: CIFAR-10'],
  volumes: ['3-D', 'one', 'volumes: solids in noise'],
  video: ['3-D', 'several', 'colour videos: digits that move'],
  sizes: ['2-D', 'one', 'digits on pictures of seven sizes'],
}

/** Table 9.1 of the book with the results of each kind of data. */
function kindsOfData() {
  const header = [
    'axes',
    'channels',
    'data',
    'an example',
    'classes',
    'test examples',
    'read right',
    'time',
    'measured on',
  ]
  const pictures = runs.find(({ name }) => name === 'convnet-cifar10')
  const all = [
    ...kinds,
    {
      ...pictures,
      input: [3, 32, 32],
      classes: { length: 10 },
      test: { ...pictures.test, examples: pictures.test.images },
    },
  ]
  const sorted = Object.keys(places).flatMap((name) => all.filter((run) => run.name === name))
  const rows = sorted.map(({ name, input, classes, test, seconds, machine }) => [
    ...[...places[name], `(${input.join(', ')})`, classes.length, test.examples],
    ...[percent(1 - test.errors / test.examples), duration(Math.round(seconds)), where(machine)],
  ])
  const models = kinds.map(
    ({ name, data, model, parameters, training }) =>
      `- ${name}: ${data}. ${model}: ${parameters} parameters; ${training.epochs} epochs of ${training.examples} examples.`,
  )
  return `${table([header, ...rows], [0, 1, 2, 3, 8])}\n\n\`\`\`sh\n${sorted.map(({ command }) => command).join('\n')}\n\`\`\`\n\n${models.join('\n')}`
}

function fullSize() {
  const header = [
    ...[
      'network',
      'forward, ms',
      'peak, MB',
      'predicted',
      'weights',
      'packed',
      'batch',
      'steps',
      'loss',
      'training, MB',
    ],
  ]
  const rows = networks.map(({ network, forward, training }) => [
    ...[network, forward.ms, forward.peak_MB, forward.peak_predicted_MB, forward.weights_MB, forward.packed_MB],
    ...[training.batch, training.steps],
    `${training.in_use_before.loss.toFixed(1)} → ${training.in_use_after.loss.toFixed(3)}`,
    training.peak_MB,
  ])
  return `${table([header, ...rows], [0])}\n\n${where(networks[0].machine)}.`
}

/** A network and what is left of it at each error of its layers. */
function ranks() {
  const { rows, command, machine, times } = lowRank
  const header = [
    'error of each layer',
    'weights',
    'operations',
    'ms a picture',
    'test accuracy',
    'after one epoch more',
  ]
  const cells = rows.map(({ error, parameters, operations, ms, accuracy, accuracy_trained: trained }) => [
    ...[error === 0 ? 'as it was' : error, parameters, operations, ms, percent(accuracy)],
    trained === undefined ? '' : percent(trained),
  ])
  const commands = [command, times.command].join('\n')
  return `${table([header, ...cells], [0])}\n\n${where(machine)}; times of ${times.machine.date.slice(0, 10)}, the least of sixty rounds beside other work:\n\n\`\`\`sh\n${commands}\n\`\`\``
}

/** From a dense layer to a convolution, where it should become one and where it should nearly. */
function strengths() {
  const header = ['strength', 'a filter: distance', 'test error', 'nearly one: distance', 'test error']
  const [exact, near] = [0, 0.1].map((own) => priors.toeplitz.filter(({ deviation }) => deviation === own))
  const cells = exact.map(({ strength, distance, error }, i) => [
    ...[strength, distance.toFixed(3), error.toFixed(4), near[i].distance.toFixed(3), near[i].error.toFixed(4)],
  ])
  return table([header, ...cells], [])
}

/** What weights share, by the strength of the mixture. */
function shares() {
  const header = [
    'strength',
    'test error',
    'after sharing',
    'values left, by seed',
    'the values of the first seed, and how many weights have them',
  ]
  const cells = priors.mixture.rows.map(({ strength, error, shared_error, distinct, values }) => {
    if (strength === 0) return [0, error.toFixed(4), '', '256 each', '']
    const own = values.toSorted((a, b) => a.value - b.value)
    const listed = own.map(
      ({ value, weights }) => `${value.toFixed(2).replace('-0.00', '0.00').replace('-', '−')} (${weights})`,
    )
    return [strength, error.toFixed(4), shared_error.toFixed(4), distinct.join(', '), listed.join(', ')]
  })
  return table([header, ...cells], [3, 4])
}

/** Ordinary and structured kernels on few pictures. */
function few() {
  const kinds = ['ordinary', 'structured'].map((own) => priors.structured.filter(({ kind }) => kind === own))
  const header = ['training pictures', ...kinds.map(([{ kind, parameters }]) => `${kind}, ${parameters} weights`)]
  const shown = ({ test_error, errors }) => `${percent(test_error)} (${errors.map(percent).join(', ')})`
  const cells = kinds[0].map((row, i) => [row.pictures, shown(row), shown(kinds[1][i])])
  return `${table([header, ...cells], [])}\n\n${where(priors.machine)}:\n\n\`\`\`sh\n${priors.command}\n\`\`\``
}

/** Test errors with the pixels as they are and in a shuffled order. */
function shuffled() {
  const { rows, machine } = permuted
  const cells = rows.map(({ model, plain, permuted }) => [
    ...[model, percent(plain.test_error), percent(permuted.test_error)],
  ])
  const commands = rows.flatMap(({ plain, permuted }) => [plain.command, permuted.command])
  const header = ['network, MNIST', 'test error', 'pixels shuffled']
  return `${table([header, ...cells], [0])}\n\n${where(machine)}:\n\n\`\`\`sh\n${commands.join('\n')}\n\`\`\``
}

/** What units over one and three filters make of turned digits. */
function rotations() {
  const { rows } = pooling.rotation
  const header = [
    'filters of a unit',
    'digits turned by up to 60°',
    'upright digits',
    'response to fives, least and most by angle',
  ]
  const cells = rows.map(({ filters, test_error, test_error_upright, after }) => {
    const units = after.map(({ unit }) => unit)
    const range = [Math.min(...units), Math.max(...units)].map((value) => value.toFixed(2)).join(' to ')
    return [filters, percent(test_error), percent(test_error_upright), range]
  })
  return table([header, ...cells], [])
}

/** Test errors of one network with one pooling or another. */
function poolings() {
  const { rows, pictures, epochs } = pooling.compare
  const header = ['pooling', 'test error', 'of each seed', 'weights', 'seconds for all seeds']
  const sorted = rows.toSorted((a, b) => a.test_error - b.test_error)
  const cells = sorted.map(({ name, test_error, errors, parameters, seconds }) => [
    ...[name, percent(test_error), errors.map(percent).join(', '), parameters, seconds],
  ])
  const about = `${pictures} pictures, ${epochs} epochs; ${where(pooling.machine)}:`
  return `${table([header, ...cells], [0])}\n\n${about}\n\n\`\`\`sh\n${pooling.command}\n\`\`\``
}

/** What a trained network brings to few pictures, beside training from scratch. */
function tuned() {
  const { rows, command, machine, unseen, shots, base } = tuning
  const header = [
    `${shots} pictures each of ${unseen.join(' and ')}`,
    'test accuracy',
    'deviation',
    'worst draw',
    'rate',
  ]
  const cells = rows.map(({ way, accuracy, deviation, draws, lr }) => [
    ...[way, percent(accuracy), percent(deviation), percent(Math.min(...draws)), lr],
  ])
  const of = `Means of ${rows[0].draws.length} draws and their standard deviation. The network has ${percent(base.accuracy)} of the test pictures of its own ${base.classes} classes right.`
  return `${table([header, ...cells], [0])}\n\n${of} ${where(machine)}:\n\n\`\`\`sh\n${command}\n\`\`\``
}

/** Layers in integers beside the same in float32, the fastest first. */
function integerLayers() {
  const header = ['layer', 'integers, ms', 'float32, ms', 'float32 / integers', 'float32 by']
  const families = { first: 'first layer', linear: 'linear' }
  const cells = integers
    .toSorted((a, b) => b.ratio - a.ratio)
    .map(({ family, case: name, ours_ms, peers, ratio, algorithm }) => [
      ...[`${families[family] ? `${families[family]}: ` : ''}${name.replace('²→', '² → ')}`],
      ...[ours_ms.toPrecision(3), peers.float32.toPrecision(3), ratio.toFixed(2)],
      algorithm.replace(/^integers; (.*) in float32$/, '$1'),
    ])
  return `${table([header, ...cells], [0, 4])}\n\n${where(integers[0].machine)}:\n\n\`\`\`sh\nnpm run bench -- integers --save\n\`\`\``
}

/** Test errors of networks in float32 and in integers, and the sizes of their files. */
function quantizedErrors() {
  const { command, machine, rows } = quantizedAccuracy
  const header = ['network', '`--layers`', 'in int8', 'error, float32', 'error, int8', 'points', 'int8 / float32 bytes']
  const cells = rows.map(({ network, layers, integers: count, of, test: { float32, int8 }, bytes }) => {
    const points = 100 * (int8.test_error - float32.test_error)
    const errors = [float32, int8].map(({ test_error }) => percent(test_error))
    return [
      ...[network, layers, `${count} of ${of}`, ...errors],
      `${points < 0 ? '−' : points > 0 ? '+' : ''}${Math.abs(points).toFixed(2)}`,
      (bytes.int8 / bytes.float32).toFixed(3),
    ]
  })
  const trained = [...new Set(rows.map(({ trained }) => trained))]
  const { test, examples } = rows[0]
  const of = `Errors of ${test.int8.images} test pictures, calibrated with ${examples} training pictures. The trainings are short, and their commands stand below; ${where(machine)}:`
  return `${table([header, ...cells], [0, 1])}\n\n${of}\n\n\`\`\`sh\n${command}\n${trained.join('\n')}\n\`\`\``
}

/** Width and height of a panel, and of the part between its axes. */
const [W, H] = [300, 220]
const inner = { left: 44, right: 200, top: 40, bottom: 180 }

/** Errors of a run by epoch, on a logarithmic scale, in the panel at (x, y). */
function panel({ name, epochs, test_error }, x, y) {
  const training = epochs.map(({ trainingAccuracy }) => 1 - trainingAccuracy)
  const validation = epochs.map(({ validationAccuracy }) => 1 - validationAccuracy)
  const all = [...training, ...validation, test_error]
  const steps = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1]
  const low = steps.findLast((step) => step <= Math.min(...all))
  const high = steps.find((step) => step >= Math.max(...all))
  const across = (epoch) => inner.left + ((inner.right - inner.left) * (epoch - 1)) / Math.max(1, epochs.length - 1)
  const up = (share) => inner.bottom - ((inner.bottom - inner.top) * Math.log(share / low)) / Math.log(high / low)
  const line = (errors, kind) =>
    `<polyline class="${kind}" points="${errors.map((error, i) => `${across(i + 1).toFixed(1)},${up(error).toFixed(1)}`).join(' ')}"/>`
  const ticks = steps.filter((step) => step >= low && step <= high)
  const grid = ticks.map(
    (step) =>
      `<path class="grid" d="M${inner.left} ${up(step).toFixed(1)}H${inner.right}"/><text class="tick" text-anchor="end" x="${inner.left - 6}" y="${(up(step) + 4).toFixed(1)}">${Number((100 * step).toPrecision(2))}</text>`,
  )
  const last = epochs.length
  const marks = [1, last].map(
    (epoch) => `<text class="tick" text-anchor="middle" x="${across(epoch)}" y="${inner.bottom + 18}">${epoch}</text>`,
  )
  // Labels stand beside the ends of their lines, moved apart where they would touch.
  const labels = [
    { kind: 'training', text: 'training', at: up(training.at(-1)) },
    { kind: 'validation', text: 'validation', at: up(validation.at(-1)) },
    { kind: 'test', text: `test ${percent(test_error)}`, at: up(test_error) },
  ].sort((a, b) => a.at - b.at)
  labels.forEach((label, i) => (label.place = Math.max(label.at, (labels[i - 1]?.place ?? -Infinity) + 14)))
  const over = Math.max(0, labels.at(-1).place - inner.bottom)
  const beside = labels.map(
    ({ kind, text, place }) =>
      `<text class="${kind}" x="${inner.right + 10}" y="${(place - over + 4).toFixed(1)}">${text}</text>`,
  )
  return `<g transform="translate(${x} ${y})">
<text class="title" x="${inner.left}" y="20">${name}<tspan class="unit"> error, %</tspan></text>
${grid.join('\n')}
${marks.join('\n')}
<text class="tick" text-anchor="middle" x="${(inner.left + inner.right) / 2}" y="${inner.bottom + 18}">epoch</text>
${line(training, 'training')}
${line(validation, 'validation')}
<circle class="test" cx="${across(last)}" cy="${up(test_error).toFixed(1)}" r="3.5"/>
${beside.join('\n')}
</g>`
}

function curves() {
  const columns = Math.min(3, runs.length)
  const width = columns * W
  const height = Math.ceil(runs.length / columns) * H
  const panels = runs.map((run, i) => panel(run, (i % columns) * W, Math.floor(i / columns) * H))
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>Errors of each training by epoch, in per cent, on a logarithmic scale</title>
<style>
text { font: 12px system-ui, sans-serif; }
.title { font-weight: 600; font-size: 13px; fill: #1c2024; }
.tick, .unit { fill: #687076; font-size: 11px; font-weight: 400; }
.grid { stroke: #8888; stroke-width: 0.5; fill: none; }
polyline { fill: none; stroke-width: 2; stroke-linejoin: round; }
polyline.training { stroke: #9aa3ab; } text.training { fill: #687076; }
polyline.validation { stroke: #0b6bcb; } text.validation { fill: #0b6bcb; }
circle.test { fill: #c2410c; } text.test { fill: #c2410c; }
.back { fill: #fff; }
@media (prefers-color-scheme: dark) {
.title { fill: #e6e8ea; } .tick, .unit, text.training { fill: #a0a8b0; }
polyline.validation { stroke: #6cb2f7; } text.validation { fill: #6cb2f7; }
circle.test, text.test { fill: #fb923c; } .back { fill: #0d1117; }
}
</style>
<rect class="back" width="100%" height="100%"/>
${panels.join('\n')}
</svg>
`
}

/** A page with other texts between `<!-- name -->` and `<!-- /name -->`, by name. */
async function pageWith(page, sections) {
  let text = await readFile(page, 'utf8')
  for (const [name, content] of Object.entries(sections)) {
    const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
    const head = text.slice(0, text.indexOf(begin) + begin.length)
    text = `${head}\n\n${content}\n\n${text.slice(text.indexOf(end))}`
  }
  return format(text, { ...(await resolveConfig(page)), filepath: page })
}

const [option, ...rest] = process.argv.slice(2)
if (rest.length > 0 || (option !== undefined && option !== '--check')) {
  console.error('usage: node docs/results.mjs [--check]')
  process.exit(2)
}
const pages = [
  'training.md',
  'features.md',
  'pixels.md',
  'networks.md',
  'data-types.md',
  'fewer-weights.md',
  'pooling.md',
  'fine-tuning.md',
  'quantized.md',
  'images/training.svg',
  'images/maxout.svg',
  'images/rotation.svg',
]
const [training, learned, labelled, zoo, types, fewer, pooled, tunings, quantized, picture, units, turned] =
  pages.map(path)
for (const [file, text] of [
  [training, await pageWith(training, { training: trainings() })],
  [learned, await pageWith(learned, { boltzmann: boltzmann(), features: withoutLabels() })],
  [labelled, await pageWith(labelled, { pixels: labels() })],
  [zoo, await pageWith(zoo, { 'full size': fullSize() })],
  [
    fewer,
    await pageWith(fewer, {
      strengths: strengths(),
      shares: shares(),
      'few pictures': few(),
      permuted: shuffled(),
      'low rank': ranks(),
    }),
  ],
  [tunings, await pageWith(tunings, { 'fine-tuning': tuned() })],
  [quantized, await pageWith(quantized, { integers: integerLayers(), accuracy: quantizedErrors() })],
  [types, await pageWith(types, { 'table 9.1': kindsOfData() })],
  [pooled, await pageWith(pooled, { rotation: rotations(), poolings: poolings() })],
  [picture, curves()],
  [units, maxoutPicture(pooling.shapes)],
  [turned, rotationPicture(pooling.rotation)],
]) {
  if (option === undefined) await writeFile(file, text)
  else if ((await readFile(file, 'utf8').catch(() => '')) !== text) {
    console.error(`${file} is not what docs/results.mjs writes now; run node docs/results.mjs`)
    process.exitCode = 1
  }
}
