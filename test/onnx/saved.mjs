/**
 * Lets others read what `saveOnnx` writes: `npm run test:saved -- [FOLDER]`. Each model of savedCases.ts is saved for opsets 13 to 22, each
 * of opsetCases.ts, whose operators are those of other libraries, for 17 or 21; they are checked by onnx.checker where Debian's python3-onnx
 * is installed, run by onnxruntime-web, which `npm ci --prefix bench` installs, and compared. FOLDER is another package that has that.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'

const root = join(import.meta.dirname, '../..')
const OPSETS = [13, 15, 17, 18, 20, 22]
/** Largest difference, by the largest number of an output. */
const BOUND = 1e-5

let ort
try {
  ort = createRequire(join(process.argv[2] ?? join(root, 'bench'), 'package.json'))('onnxruntime-web')
  // Other threads would keep the process.
  ort.env.wasm.numThreads = 1
} catch {
  console.error('test:saved: onnxruntime-web is not there; install it by npm ci --prefix bench')
  process.exit(2)
}

const folder = mkdtempSync(join(tmpdir(), 'toeplitz-saved-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const bundle = join(folder, 'cases.mjs')
await build({
  stdin: {
    contents: `export { savedCases } from './test/onnx/savedCases.js'
export { opsetCases, inputNames, modelOf } from './test/onnx/opsetCases.js'
export { loadOnnx, saveOnnx } from './src/models/onnx/index.js'
export { normal, tensor } from './src/tensor/create.js'
export { init } from './src/runtime/embedded.js'`,
    resolveDir: root,
  },
  ...{ bundle: true, platform: 'node', format: 'esm', outfile: bundle, logLevel: 'error' },
})
const { savedCases, opsetCases, inputNames, modelOf, loadOnnx, saveOnnx, normal, tensor, init } = await import(
  pathToFileURL(bundle).href
)
await init()

/** Checks files by ONNX's own checker; what it is newer than it cannot. */
function check() {
  const script = `
import glob, onnx, sys
bad = checked = 0
for path in sorted(glob.glob(sys.argv[1] + '/*.onnx')):
    model = onnx.load(path)
    if model.opset_import[0].version > onnx.defs.onnx_opset_version(): continue
    checked += 1
    try: onnx.checker.check_model(model, full_check=True)
    except Exception as error:
        bad += 1
        print(path, str(error)[:300])
print(checked, 'files checked by onnx', onnx.__version__ + ',', bad, 'wrong')
sys.exit(1 if bad else 0)`
  try {
    execFileSync('/usr/bin/python3', ['-c', 'import onnx'], { stdio: 'ignore' })
  } catch {
    console.log('python3-onnx is not installed: no file was checked by it')
    return true
  }
  try {
    console.log(execFileSync('/usr/bin/python3', ['-c', script, folder]).toString().trim())
    return true
  } catch (error) {
    console.log(String(error.stdout ?? error).trim())
    return false
  }
}

let wrong = 0
for (const opset of OPSETS) {
  let worst = 0
  for (const [index, { name, make }] of savedCases.entries()) {
    const model = make()
    const bytes = saveOnnx(model, { opset })
    writeFileSync(join(folder, `${index}-${opset}.onnx`), bytes)
    const x = normal([2, ...model.input], { seed: 3 })
    const y = model.forward(x)
    try {
      const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3 })
      const results = await session.run({ input: new ort.Tensor('float32', x.data(), [...x.shape]) })
      const { dims, data } = results[model.outputs[0]]
      const due = y.data()
      const most = due.reduce((max, value) => Math.max(max, Math.abs(value)), 0)
      const apart = due.reduce((max, value, i) => Math.max(max, Math.abs(value - data[i])), 0) / most
      if (dims.join() !== y.shape.join() || !(apart <= BOUND)) {
        wrong++
        console.log(`opset ${opset}, ${name}: (${dims}) and (${y.shape}), ${apart.toExponential(1)} apart`)
      }
      worst = Math.max(worst, apart)
      await session.release()
    } catch (error) {
      wrong++
      console.log(`opset ${opset}, ${name}: ${error.message}`)
    }
    for (const each of [x, y, model]) each.dispose()
  }
  console.log(`opset ${opset}: ${savedCases.length} models, at most ${worst.toExponential(1)} apart`)
}

/** What a program is saved as, by the oldest of these opsets that has its operators; undefined where no file can have it. */
function savedProgram(program) {
  for (const opset of [17, 21]) {
    try {
      return saveOnnx(program, { opset })
    } catch (error) {
      if (!/is there from opset/.test(error.message)) return undefined
    }
  }
  return undefined
}

/** Largest difference of two lists, by the largest number of the first; of whole numbers any is too large. */
function apart(due, given, isWhole) {
  const numbers = [due, given].map((list) => Array.from(list, Number))
  const largest = numbers[0].reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 0)
  return numbers[0].reduce((most, x, i) => {
    const y = numbers[1][i]
    if (Object.is(x, y) || x === y || (Number.isNaN(x) && Number.isNaN(y))) return most
    return Math.max(most, isWhole ? Infinity : Math.abs(x - y) / largest)
  }, 0)
}

let [worst, compared] = [0, 0]
for (const [index, given] of opsetCases.entries()) {
  const program = loadOnnx(modelOf(given, given.opset, true))
  const bytes = savedProgram(program)
  if (bytes) {
    const names = inputNames(given)
    const inputs = given.inputs.flatMap((x, i) =>
      x ? [[names[i], tensor([...x.values], [...x.shape], { dtype: x.dtype })]] : [],
    )
    const own = inputs.filter(([name]) => program.inputs.some((input) => input.name === name))
    const results = program.run(Object.fromEntries(own))
    writeFileSync(join(folder, `program-${index}.onnx`), bytes)
    try {
      const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 4 })
      const feeds = inputs.filter(([name]) => session.inputNames.includes(name))
      const outputs = await session.run(
        Object.fromEntries(feeds.map(([name, x]) => [name, new ort.Tensor(x.dtype, x.data(), [...x.shape])])),
      )
      for (const [name, y] of Object.entries(results)) {
        const { type, dims, data } = outputs[name]
        const difference = apart(y.data(), data, y.dtype !== 'float32')
        if (type !== y.dtype || dims.join() !== y.shape.join() || !(difference <= BOUND)) {
          wrong++
          console.log(`${given.name}, ${name}: ${type} (${dims}) and ${y.dtype} (${y.shape}), ${difference} apart`)
        }
        worst = Math.max(worst, difference)
      }
      compared++
      await session.release()
    } catch (error) {
      wrong++
      console.log(`${given.name}: ${error.message}`)
    }
    for (const x of [...inputs.map(([, x]) => x), ...Object.values(results)]) x.dispose()
  }
  program.dispose()
}
console.log(`${compared} of ${opsetCases.length} programs saved and run, at most ${worst.toExponential(1)} apart`)
if (!check() || wrong > 0) {
  console.log(`${wrong} wrong`)
  process.exitCode = 1
}
