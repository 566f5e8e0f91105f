/**
 * Lets others read what `saveOnnx` writes: `npm run test:saved`. Each model of savedCases.ts is saved for opsets 13 to 22, checked by
 * onnx.checker where Debian's python3-onnx is installed, run by onnxruntime-web, which `npm ci --prefix bench` installs, and compared.
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
  ort = createRequire(join(root, 'bench/package.json'))('onnxruntime-web')
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
export { saveOnnx } from './src/models/onnx/index.js'
export { normal } from './src/tensor/create.js'
export { init } from './src/runtime/embedded.js'`,
    resolveDir: root,
  },
  ...{ bundle: true, platform: 'node', format: 'esm', outfile: bundle, logLevel: 'error' },
})
const { savedCases, saveOnnx, normal, init } = await import(pathToFileURL(bundle).href)
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
if (!check() || wrong > 0) {
  console.log(`${wrong} wrong`)
  process.exitCode = 1
}
