/**
 * Runs the cases of ONNX's own backend tests: `npm run test:onnx -- [--data FOLDER] [--only TEXT] [--list]`.
 *
 * FOLDER holds node/, pytorch-converted/, pytorch-operator/ and simple/ as the ONNX project ships them; Debian's package
 * libonnx-testdata has them in /usr/share/libonnx-testdata/data, which is the default. A case passes when its outputs are within
 * 1e-3 of each expected number and 1e-7 besides, which are the bounds of ONNX's runner; it is refused when loading says what is not
 * supported; everything else is wrong, and makes the command fail.
 */
import { readdirSync, readFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { init, memoryUsage, tensor, UnsupportedError, OutOfMemoryError } from '../../dist/index.js'
import { loadOnnx, readTensorFile } from '../../dist/onnx.js'
import { initIntegers } from '../../dist/quant.js'

const { values: options } = parseArgs({
  options: {
    data: { type: 'string', default: '/usr/share/libonnx-testdata/data' },
    only: { type: 'string' },
    list: { type: 'boolean', default: false },
  },
})
if (!existsSync(options.data)) {
  console.error(`test:onnx: there is no folder ${options.data}; install libonnx-testdata, or give --data FOLDER`)
  process.exit(2)
}

await init()
await initIntegers()

/** What stands between two lists of numbers; undefined where they agree. */
function difference(given, due) {
  if (given.dtype !== due.dtype) return `is ${given.dtype}, not ${due.dtype}`
  if (given.shape.join() !== due.dims.join()) return `has the shape (${given.shape}), not (${due.dims})`
  const values = given.data()
  for (let i = 0; i < values.length; i++) {
    const [a, b] = [Number(values[i]), Number(due.values[i])]
    if (Object.is(a, b) || a === b || (Number.isNaN(a) && Number.isNaN(b))) continue
    if (due.dtype !== 'float32' || !(Math.abs(a - b) <= 1e-7 + 1e-3 * Math.abs(b)))
      return `element ${i} is ${String(values[i])}, not ${String(due.values[i])}`
  }
  return undefined
}

const isTensor = (path) => {
  try {
    return readTensorFile(readFileSync(path), path)
  } catch {
    return undefined
  }
}

/** The files hold bfloat16 as the 16 bits of each number. */
function asTyped(stored, dtype) {
  if (stored === undefined || dtype !== 'float32' || stored.dtype !== 'int32') return stored
  const bits = Uint32Array.from(stored.values, (half) => (half & 0xffff) << 16)
  return { dtype, dims: stored.dims, values: new Float32Array(bits.buffer) }
}

/** Runs one case: 'passed', or why not. */
function run(folder) {
  let program
  try {
    program = loadOnnx(readFileSync(join(folder, 'model.onnx')), { name: 'model.onnx' })
  } catch (error) {
    if (error instanceof UnsupportedError) return ['refused', error.message]
    return ['wrong', `loading: ${error.stack}`]
  }
  const before = memoryUsage().liveBytes
  try {
    for (const set of readdirSync(folder).filter((name) => name.startsWith('test_data_set'))) {
      const inputs = {}
      for (const [index, { name, dtype }] of program.inputs.entries()) {
        const given = asTyped(isTensor(join(folder, set, `input_${index}.pb`)), dtype)
        if (!given) return ['skipped', `input ${index} is no tensor`]
        const due = program.inputs[index].shape
        if (due?.some((extent, axis) => typeof extent === 'number' && extent !== given.dims[axis]))
          return ['skipped', `input ${index} is of (${given.dims}), and the model takes (${due})`]
        inputs[name] = tensor(given.values, given.dims, { dtype: given.dtype })
      }
      // Twice: as it is planned, and as it is repeated.
      for (let pass = 0; pass < 2; pass++) {
        const outputs = program.run(inputs)
        for (const [index, { name }] of program.outputs.entries()) {
          const due = asTyped(isTensor(join(folder, set, `output_${index}.pb`)), outputs[name].dtype)
          if (!due) return ['skipped', `output ${index} is no tensor`]
          const apart = difference(outputs[name], due)
          if (apart) return ['wrong', `${set}, pass ${pass}: output '${name}' ${apart}`]
        }
        for (const y of Object.values(outputs)) y.dispose()
      }
      for (const x of Object.values(inputs)) x.dispose()
    }
  } catch (error) {
    if (error instanceof OutOfMemoryError) return ['refused', error.message]
    return [error instanceof UnsupportedError ? 'late' : 'wrong', String(error.stack)]
  } finally {
    program.dispose()
  }
  void before
  return ['passed', '']
}

let failed = false
for (const group of ['node', 'pytorch-converted', 'pytorch-operator', 'simple']) {
  const root = join(options.data, group)
  if (!existsSync(root)) continue
  const counts = { passed: 0, refused: 0, late: 0, skipped: 0, wrong: 0 }
  for (const name of readdirSync(root)) {
    if (options.only !== undefined && !name.includes(options.only)) continue
    const [result, why] = run(join(root, name))
    counts[result]++
    if (result === 'wrong' || (options.list && result !== 'passed')) console.log(`${result}: ${group}/${name}: ${why}`)
  }
  failed ||= counts.wrong > 0
  const { passed, refused, late, skipped, wrong } = counts
  console.log(
    `${group}: ${passed} passed, ${refused} refused when loaded, ${late} refused when run, ${skipped} without tensors, ${wrong} wrong`,
  )
}
process.exitCode = failed ? 1 : 0
