/**
 * Writes test/fixtures/onnx/opsets.json: what the models of opsetCases.ts give in onnxruntime-web, which `npm ci --prefix bench` installs, or
 * by the definition where a case has one: `node test/onnx/opsets.mjs [FOLDER]`. FOLDER is a package that has onnxruntime-web, default bench.
 */
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { Buffer } from 'node:buffer'
import { join } from 'node:path'
import { fileURLToPath, URL } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('../..', import.meta.url))
const require = createRequire(join(process.argv[2] ?? join(root, 'bench'), 'package.json'))
const ort = require('onnxruntime-web')
// One thread: others would keep the process.
ort.env.wasm.numThreads = 1
const version = `onnxruntime-web ${ort.env.versions.web}`

const { outputFiles } = await build({
  stdin: { contents: `export * from './test/onnx/opsetCases.ts'`, resolveDir: root },
  ...{ bundle: true, platform: 'node', format: 'esm', write: false, logLevel: 'error' },
})
const { opsetCases, modelOf, inputNames } = await import(
  `data:text/javascript;base64,${Buffer.from(outputFiles[0].text).toString('base64')}`
)

const arrays = {
  float32: Float32Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  int8: Int8Array,
  bool: Uint8Array,
}
const tensorOf = ({ dtype, shape, values }) =>
  new ort.Tensor(dtype, arrays[dtype].from(dtype === 'int64' ? values.map(BigInt) : values), [...shape])

/** Numbers as JSON has them, with the nine digits that tell floats of 32 bits apart: those that it has not as texts. */
const written = (value) =>
  typeof value === 'number' && Number.isFinite(value)
    ? Number(value.toPrecision(9))
    : typeof value === 'bigint'
      ? Number(value)
      : String(value)

/** What onnxruntime gives. */
async function run(given) {
  const session = await ort.InferenceSession.create(modelOf(given, given.answeredAs), { logSeverityLevel: 4 })
  const names = inputNames(given)
  const results = await session.run(
    Object.fromEntries(given.inputs.flatMap((input, i) => (input ? [[names[i], tensorOf(input)]] : []))),
  )
  const outputs = given.outputs.map((_, i) => results[`y${i}`])
  await session.release()
  return outputs.map(({ type, dims, data }) => ({ dtype: type, shape: [...dims], values: Array.from(data, written) }))
}

const names = new Set(opsetCases.map(({ name }) => name))
if (names.size < opsetCases.length) throw new Error('two cases have one name')
const answers = {}
let failed = 0
for (const given of opsetCases) {
  try {
    answers[given.name] = given.defined
      ? {
          by: `the definition: ${given.defined.because}`,
          outputs: given.defined.compute().map((each) => ({ ...each, values: each.values.map(written) })),
        }
      : { by: given.answeredAs ? `${version}, as of opset ${given.answeredAs}` : version, outputs: await run(given) }
  } catch (error) {
    failed++
    console.error(`${given.name}: ${String(error.message ?? error).slice(0, 200)}`)
  }
}
console.log(`${opsetCases.length} cases, ${failed} that nothing answers`)
if (failed > 0) process.exit(1)
const lines = Object.entries(answers).map(([name, answer]) => `${JSON.stringify(name)}: ${JSON.stringify(answer)}`)
writeFileSync(join(root, 'test/fixtures/onnx/opsets.json'), `{\n${lines.join(',\n')}\n}\n`)
