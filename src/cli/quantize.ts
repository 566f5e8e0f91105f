/** `toeplitz quantize`: a trained model as an ONNX file whose layers compute in integers of eight bits. */
import { dirname } from 'node:path'
import { readOnnx, type OnnxNode } from '../formats/onnx.js'
import { loadOnnx } from '../models/onnx/index.js'
import { saveOnnx } from '../models/onnx/save.js'
import type { Program } from '../models/program.js'
import type { Graph } from '../nn/graph.js'
import { writeFileAtomically } from '../node/files.js'
import { identityOf, isA, kindAt } from '../node/reading.js'
import { foldNormalization } from '../quant/graph.js'
import { initIntegers, quantizeToOnnx, type QuantizedLayer } from '../quant/index.js'
import { init } from '../runtime/embedded.js'
import { showShape } from '../tensor/shape.js'
import { scope, type Tensor } from '../tensor/tensor.js'
import { exitCodes, type QuantizeCommandOptions } from './actions.js'
import { assertOutside } from './data.js'
import { UsageError } from './errors.js'
import { counted, formatCount } from './numbers.js'
import { dataFor, isOnnx, readPictures, readSource, type Source } from './quantizing.js'
import { errorLines, measure, type Measured } from './results.js'
import { evaluationBatch } from './settings.js'
import { optionWords } from './shell.js'
import { columns, outputTo, type CliStreams, type Output } from './terminal.js'

/** What is taken where nothing is typed. */
export const quantizeDefaults = { examples: 128, layers: 'fastest', batchSize: evaluationBatch } as const

/** A row of the table: a layer with weights, or one that joins values in integers. */
export interface LayerRow {
  readonly layer: string
  readonly operator: string
  readonly computes: 'int8' | 'float32'
  readonly why: string
  /** Milliseconds for one picture that it is estimated to take either way; null where nothing was to be chosen. */
  readonly int8_ms: number | null
  readonly float32_ms: number | null
  /** The squares of its result in float32 over those of the error; null where it stays as it was, or has no error. */
  readonly signal_to_noise: number | null
}

/** Operators whose weights could be integers. */
const filterOperators = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul'])

/** @throws UsageError where the file cannot be written there, or must not be */
async function checkOut(path: string, data: string, { out, force = false }: QuantizeCommandOptions): Promise<void> {
  const words = optionWords('--out', out)
  if (!isOnnx(out)) throw new UsageError(`${words}: the file is one of ONNX; give a name that ends in .onnx`)
  if (!(await isA('directory', dirname(out))))
    throw new UsageError(`${words}: there is no folder ${dirname(out)}; make it first`)
  const kind = await kindAt(out)
  if (kind !== undefined) {
    if (kind !== 'file') throw new UsageError(`${words}: is a ${kind}; give the name of a file`)
    if ((await kindAt(path)) !== undefined && (await identityOf(path)) === (await identityOf(out)))
      throw new UsageError(`${words}: is the model that is quantized; give another name`)
    if (!force) throw new UsageError(`${words}: the file exists; give another name, or replace it with --force`)
  }
  await assertOutside(data, out, true)
}

/** Names of the layers that a pattern is for. @throws UsageError where it is for none */
function skippedIn(model: Graph | Program, pattern: string | undefined): readonly string[] {
  if (pattern === undefined) return []
  const { nodes } = foldNormalization(readOnnx(saveOnnx(model), 'the model').graph)
  const names = (nodes ?? []).map(({ name = '' }) => name).filter((name) => name !== '')
  const matching = names.filter((name) => new RegExp(pattern).test(name))
  if (matching.length > 0) return matching
  throw new UsageError(`${optionWords('--skip', pattern)}: no layer is called so; there are ${names.join(', ')}`)
}

/** Why a layer computes as it does. */
function reasonOf({ operator, computes, estimates }: QuantizedLayer, layers: QuantizeCommandOptions['layers']): string {
  if (computes === 'float32') return 'faster so; weights stored as int8'
  if (!estimates) return 'what it reads is there as int8'
  if (layers === 'all') return '--layers all'
  return operator === 'Conv' ? 'faster so' : 'linear layers do'
}

function rowOf(layer: QuantizedLayer, layers: QuantizeCommandOptions['layers']): LayerRow {
  const { name, operator, computes, estimates, signalToNoise } = layer
  return {
    ...{ layer: name, operator, computes: computes === 'integers' ? 'int8' : 'float32' },
    why: reasonOf(layer, layers),
    ...{ int8_ms: estimates?.integers ?? null, float32_ms: estimates?.float32 ?? null },
    signal_to_noise: Number.isFinite(signalToNoise) ? signalToNoise : null,
  }
}

/** The layers in the order of the file that was made: those that are quantized, and those with weights that stay as they were. */
function rowsOf(
  nodes: readonly OnnxNode[],
  report: readonly QuantizedLayer[],
  skipped: readonly string[],
  layers: QuantizeCommandOptions['layers'],
): LayerRow[] {
  const known = new Map(report.map((layer) => [layer.name, rowOf(layer, layers)]))
  const left = { int8_ms: null, float32_ms: null, signal_to_noise: null } as const
  const rows = nodes.flatMap(({ name, opType }): LayerRow[] => {
    const row = known.get(name)
    if (row) return [row]
    if (!filterOperators.has(opType)) return []
    const why = skipped.includes(name) ? '--skip' : 'integers do not compute such a layer'
    return [{ layer: name, operator: opType, computes: 'float32', why, ...left }]
  })
  return rows
}

/** What the file is, and how well it does. */
interface Outcome {
  readonly rows: readonly LayerRow[]
  /** Bytes of the model as ONNX in float32, and of the file that was written. */
  readonly bytes: { readonly float32: number; readonly int8: number }
  readonly examples: number
  readonly measured: { readonly float32: Measured; readonly int8: Measured } | undefined
}

const digits = (value: number | null): string => (value === null ? '' : value.toPrecision(3))

const HEAD = ['layer', 'operator', 'computes in', 'why', 'int8, ms', 'float32, ms', 'signal / noise']

const cellsOf = ({ layer, operator, computes, why, int8_ms, float32_ms, signal_to_noise }: LayerRow): string[] => [
  ...[layer, operator, computes, why, digits(int8_ms), digits(float32_ms)],
  signal_to_noise === null ? '' : formatCount(Math.round(signal_to_noise)),
]

function print(out: Output, file: string, { rows, bytes, examples, measured }: Outcome): void {
  out.text(columns([HEAD, ...rows.map(cellsOf)], (column) => column > 3))
  out.line()
  const { float32, int8 } = bytes
  out.line(`calibrated   with ${counted(examples, 'training picture')}`)
  out.line(
    `size         ${formatCount(float32)} bytes in float32, ${formatCount(int8)} in int8 (${(int8 / float32).toFixed(3)})`,
  )
  for (const [type, { images, wrong, top5Errors }] of Object.entries<Measured>(measured ?? {}))
    out.text(errorLines(images, wrong.length, top5Errors).map((line) => `${line} in ${type}`))
  out.line(`model        ${file}`)
}

function recordOf(file: string, data: string, { rows, bytes, examples, measured }: Outcome): object {
  const testOf = ({ images, wrong }: Measured): object => ({
    ...{ images, errors: wrong.length, test_error: wrong.length / images },
  })
  const tests = measured && { float32: testOf(measured.float32), int8: testOf(measured.int8) }
  return { file, data, examples, bytes, ...(tests && { test: tests }), layers: rows }
}

/** Measures the model and the file that was made of it. @throws UsageError where the classes of the data are not the model's */
async function testOf(
  { model, preprocessing, most }: Source,
  quantized: Program,
  {
    test,
    first,
    data,
  }: { readonly test: Parameters<typeof measure>[1]; readonly first: Tensor; readonly data: string },
  batchSize: number,
): Promise<NonNullable<Outcome['measured']>> {
  const given = scope(() => quantized.forward(first).shape)
  const due = [first.shape[0] as number, test.classes.length]
  if (given.join() !== due.join())
    throw new UsageError(
      `--data ${data}: has ${test.classes.length} classes, and the model gives ${showShape(given)}; give the data that it was trained on, or --no-test`,
    )
  const at = Math.min(batchSize, most)
  return {
    float32: await measure(model, test, preprocessing, at),
    int8: await measure(quantized, test, preprocessing, at),
  }
}

/** The action behind `toeplitz quantize`; gives the exit code. */
export async function quantizeCommand(
  path: string,
  options: QuantizeCommandOptions,
  { stdout, stderr }: CliStreams = process,
): Promise<number> {
  const { layers, out, json } = options
  const note = (line: string): void => {
    outputTo(stderr).line(line)
  }
  const data = await dataFor(path, options.data)
  await checkOut(path, data, options)
  await init()
  await initIntegers()
  const source = await readSource(path, options, note)
  const batches: Tensor[] = []
  try {
    const onSkip = ({ message }: Error): void => {
      note(`warning: ${message}; skipped`)
    }
    const skip = skippedIn(source.model, options.skip)
    const { batches: given, examples, test } = await readPictures(path, data, source, options, { note, onSkip })
    batches.push(...given)
    let layersOf: readonly QuantizedLayer[] = []
    const report = (found: readonly QuantizedLayer[]): void => {
      layersOf = found
    }
    const file = quantizeToOnnx(source.model, batches, { layers, skip, report })
    const rows = rowsOf(readOnnx(file, out).graph.nodes, layersOf, skip, layers)
    const bytes = { float32: saveOnnx(source.model).length, int8: file.length }
    const quantized = loadOnnx(file, { name: out })
    try {
      const first = batches[0] as Tensor
      const measured = test && (await testOf(source, quantized, { test, first, data }, options.batchSize))
      await writeFileAtomically(out, file)
      const outcome = { rows, bytes, examples, measured }
      if (json) outputTo(stdout).json(recordOf(out, data, outcome))
      else print(outputTo(stdout), out, outcome)
    } finally {
      quantized.dispose()
    }
  } finally {
    for (const batch of batches) batch.dispose()
    source.model.dispose()
  }
  return exitCodes.success
}
