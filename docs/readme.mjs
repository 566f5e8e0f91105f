/**
 * Writes what the README says of itself between its marks, from the built package and bench/results: what there is, and
 * what was measured of the page and of the edge function. `--check` compares instead: the figures must be the same, and
 * every name must exist. Exit codes: 0 good; 1 the README differs; 2 wrong usage.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { URL } from 'node:url'
import { parseArgs } from 'node:util'
import { format, resolveConfig } from 'prettier'

const readme = new URL('../README.md', import.meta.url)
const library = await import('../dist/index.js')
const { architectures } = await import('../dist/zoo.js')

const { Layer, Optimizer, ToeplitzError } = library
const extendsClass = (value, Class) => typeof value === 'function' && value.prototype instanceof Class

await library.init()

/** Whether a convolution may end with a function: what it takes as an activation is one. */
const isActivation = (name) =>
  library.scope(() => {
    const [x, w] = [library.ones([1, 1, 1]), library.ones([1, 1, 1])]
    try {
      return Boolean(library.conv1d(x, w, { activation: name }))
    } catch {
      return false
    }
  })

/** Rows of the table. An export goes to the first row that takes it. */
const rows = [
  ['layers', (_, value) => extendsClass(value, Layer)],
  ['optimizers', (_, value) => extendsClass(value, Optimizer)],
  ['errors', (_, value) => value === ToeplitzError || extendsClass(value, ToeplitzError)],
  [
    'convolution',
    (name) => /^(conv|locally|tiled|separable|connected|factorKernel|multiplyMatrix|transposeMatrix)/.test(name),
  ],
  ['pooling', (name) => /Pool|Unpool|^maxout$/.test(name)],
  ['activations', (name) => /softmax$/i.test(name) || isActivation(name)],
  ['losses', (name) => /Loss$|^crossEntropy$|^bceWithLogits$/.test(name)],
  ['normalization', (name) => /Norm$|^dropout$/.test(name) && name !== 'clipGradNorm'],
  [
    'arithmetic and layout',
    (name) =>
      /^(abs|add|clamp|div|exp|log|mul|neg|pow|sqrt|square|sub|sum|mean|max|min|matmul|linear)$/.test(name) ||
      /^(concat|flatten|pad|slice|transpose|upsample2d)$/.test(name),
  ],
  ['gradients', (name) => /^(vjp|grad|valueAndGrad|gradcheck|clipGradNorm)$/.test(name)],
  [
    'tensors',
    (name) => /^(tensor|zeros|ones|full|uniform|normal|fromNHWC|toNHWC|fromImageData|gabor|Tensor)$/.test(name),
  ],
  ['models', (name) => /^(Sequential|Graph|modelFromJSON|initialize)$/.test(name)],
  ['training', (name) => /^(fit|evaluate|accuracy|randomSearch|gridSearch|batches|schedule)$/.test(name)],
  ['runtime', (name) => /^(init|initSync|runtimeInfo|memoryUsage|scope)$/.test(name)],
  ['and', (name) => !helpers.test(name)],
]
/** Parts of others, which the API reference describes. */
const helpers =
  /^(argmax|arrayExamples|checkBatches|checkSeed|checkStream|isOutOfMemory|labelNumbers|tensorExamples|layerTypes|permutation|ranked|readBatches|FitRun|Layer|Optimizer|Summary)$/

/** conv1d, conv2d, conv3d: one name with its endings. */
function folded(names) {
  const families = new Map()
  for (const name of names) {
    const [, head, direction, tail] = /^(.+)([123]d)(.*)$/.exec(name) ?? []
    const key = direction ? `${head}*${tail}` : name
    families.set(key, [...(families.get(key) ?? []), direction ?? ''])
  }
  return [...families].map(([key, directions]) => `\`${key.replace('*', directions.join('|'))}\``)
}

function features() {
  const members = new Map(rows.map(([row]) => [row, []]))
  for (const [name, value] of Object.entries(library)) {
    const row = rows.find(([, takes]) => takes(name, value))
    if (row) members.get(row[0]).push(name)
  }
  const order = [
    'convolution',
    'pooling',
    'activations',
    'normalization',
    'losses',
    'arithmetic and layout',
    'gradients',
  ]
  const later = ['layers', 'models', 'training', 'optimizers', 'tensors', 'runtime', 'errors', 'and']
  const table = [...order, ...later].flatMap((row) => {
    if (members.get(row).length === 0) return []
    const names = row === 'training' ? withSchedules(members.get(row)) : folded(members.get(row))
    return `| ${row} | ${names.join(' ').replaceAll('|', '\\|')} |`
  })
  const networks = Object.keys(architectures)
    .map((name) => `\`${name}\``)
    .join(' ')
  // Columns as wide as their longest row would be hard to read as text.
  return [
    '<!-- prettier-ignore -->',
    '| what | names |',
    '| --- | --- |',
    ...table,
    `| networks (\`toeplitz/zoo\`) | ${networks} |`,
  ].join('\n')
}

const withSchedules = (names) =>
  names.flatMap((name) =>
    name === 'schedule' ? Object.keys(library.schedule).map((one) => `\`schedule.${one}\``) : [`\`${name}\``],
  )

const results = async (name) =>
  JSON.parse(await readFile(new URL(`../bench/results/${name}.json`, import.meta.url), 'utf8'))
const day = ({ date }) => date.slice(0, 10)

async function page() {
  const measured = await results('page')
  const lines = measured.map(
    ({ threads, seconds, images, accuracy, frames_per_second: { least, mean } }) =>
      `| ${threads} | ${seconds} | ${images.toLocaleString('en')} | ${accuracy} % | ${least} | ${mean} |`,
  )
  const { machine } = measured[0]
  return [
    '| threads | seconds | images learned from | test images read right | least frames in a second | mean |',
    '| --: | --: | --: | --: | --: | --: |',
    ...lines,
    '',
    `${machine.cpu}, ${machine.cores} cores, Chromium ${machine.versions.chromium}, ${day(machine)}.`,
  ].join('\n')
}

async function edge() {
  const [{ listening_ms: listening, first_answer_ms: first, later_answers_ms: later, rounds, machine }] =
    await results('edge')
  return [
    '| from the start of the process until it listens | until the first answer | later answers |',
    '| --: | --: | --: |',
    `| ${listening} ms | ${first} ms | ${later} ms |`,
    '',
    `Medians of ${rounds} starts; ${machine.cpu}, workerd ${machine.versions.workerd}, ${day(machine)}.`,
  ].join('\n')
}

/** Replaces what stands between a part's marks. */
function put(text, name, content) {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
  const [head, rest] = text.split(begin)
  const tail = rest?.split(end)[1]
  if (tail === undefined) throw new Error(`README.md has no ${begin} … ${end}`)
  return `${head}${begin}\n\n${content}\n\n${end}${tail}`
}

async function written(text) {
  const filled = put(put(put(text, 'features', features()), 'page', await page()), 'edge', await edge())
  return format(filled, { ...(await resolveConfig(readme.pathname)), parser: 'markdown' })
}

/** @throws an error that says what is wrong. */
function compare(text, wanted) {
  const parts = (page) => page.split(/<!-- \/?features -->/)
  const names = (page) => parts(page)[1].match(/`[^`]+`/g)
  const known = new Set(names(wanted))
  const gone = names(text).filter((name) => !known.has(name))
  if (gone.length > 0) throw new Error(`README.md names what there is not: ${gone.join(' ')}; run node docs/readme.mjs`)
  if (parts(text)[0] !== parts(wanted)[0] || parts(text)[2] !== parts(wanted)[2])
    throw new Error('README.md does not show the committed results; run node docs/readme.mjs')
}

try {
  const { values } = parseArgs({ options: { check: { type: 'boolean' } } })
  const text = await readFile(readme, 'utf8')
  const wanted = await written(text)
  if (!values.check) await writeFile(readme, wanted)
  else compare(text, wanted)
} catch (error) {
  console.error(error.message)
  process.exitCode = error.code?.startsWith('ERR_PARSE_ARGS') ? 2 : 1
}
