/**
 * Post-training quantization: a model's convolutions and matrix products in integers of eight bits (Jacob et al. 2018, "Quantization and Training of
 * Neural Networks for Efficient Integer-Arithmetic-Only Inference"; Nagel et al. 2021, "A White Paper on Neural Network Quantization").
 */
import { readOnnx, writeOnnx, type OnnxGraph, type OnnxInput } from '../formats/onnx.js'
import { loadOnnx } from '../models/onnx/load.js'
import { saveOnnx, type SavableModel } from '../models/onnx/save.js'
import type { Program } from '../models/program.js'
import { checkNumber, checkObject, wrongKind } from '../runtime/check.js'
import { ArgumentError, UnsupportedError } from '../runtime/errors.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { hasIntegers } from '../ops/integers/bytes.js'
import { inWords } from '../runtime/text.js'
import type { Shape } from '../tensor/shape.js'
import { checkTensor, scope, Tensor } from '../tensor/tensor.js'
import { Observer, type Calibration } from './calibrate.js'
import { foldNormalization } from './graph.js'
import { Rewriter, type IntegerNode } from './rewrite.js'
import type { Estimates } from './select.js'

/** A layer whose weights are int8, and how well it computes. */
export interface QuantizedLayer {
  /** The name of its node. */
  readonly name: string
  /** What it computes, as ONNX calls it. */
  readonly operator: string
  /** Whether it computes in integers, or in float32 with weights that are stored as int8, which `layers: 'fastest'` chooses. */
  readonly computes: 'integers' | 'float32'
  /**
   * Milliseconds that it is estimated to take for one input either way, on one thread, conversions counted: by these `layers: 'fastest'` chooses.
   * Undefined for sums, means and concatenations, which are always computed as what they read is there.
   */
  readonly estimates: Estimates | undefined
  /** What one step of its result stands for where that is read as bytes. */
  readonly scale: number
  /** The byte that stands for 0. */
  readonly zero: number
  /** The squares of its result in float32 over those of the error, summed over the first examples; ten times its logarithm are decibels. */
  readonly signalToNoise: number
}

/** Options of `quantize`. */
export interface QuantizeOptions {
  /** Whether each filter has a scale of its own (default), or all of a layer have one. */
  readonly weights?: 'per-channel' | 'per-tensor' | undefined
  /** Values between layers have one scale each. */
  readonly activations?: 'per-tensor' | undefined
  /**
   * How the range of a value is chosen: all of it ('min-max', default), without the outermost numbers ('percentile'), or so that the squared error is
   * least ('mse').
   */
  readonly range?: Calibration | undefined
  /** Percent of the numbers that lie in the range of 'percentile'; default 99.99. */
  readonly percentile?: number | undefined
  /**
   * Which convolutions compute in integers: those that are estimated to be faster so ('fastest', default), while the others compute in
   * float32 with weights that are stored as int8; or all that can ('all'), with the same bytes in the relaxed core, too.
   */
  readonly layers?: 'fastest' | 'all' | undefined
  /** Names of nodes that stay in float32, as the report and `summary()` of the program call them. */
  readonly skip?: readonly string[] | undefined
  /** Is given the layers that compute in integers, in their order. */
  readonly report?: ((layers: readonly QuantizedLayer[]) => void) | undefined
}

const optionNames = {
  weights: 0,
  activations: 0,
  range: 0,
  percentile: 0,
  layers: 0,
  skip: 0,
  report: 0,
} satisfies Names<QuantizeOptions>

/** One of some texts. */
function checkChoice(value: unknown, choices: readonly string[], what: string): void {
  if (!choices.includes(value as string))
    throw wrongKind(what, choices.map((choice) => `'${choice}'`).join(' or '), value)
}

/** Options with what they are where they are left out. */
interface Chosen {
  readonly weights: 'per-channel' | 'per-tensor'
  readonly range: Calibration
  readonly percentile: number
  readonly layers: 'fastest' | 'all'
  readonly skip: readonly string[]
  readonly report: QuantizeOptions['report']
}

function checkOptions(options: QuantizeOptions): Chosen {
  checkKeys('quantize', options, optionNames)
  const {
    weights = 'per-channel',
    activations = 'per-tensor',
    range = 'min-max',
    percentile = 99.99,
    layers = 'fastest',
    skip = [],
    report,
  } = options
  checkChoice(weights, ['per-channel', 'per-tensor'], 'quantize: weights')
  checkChoice(activations, ['per-tensor'], 'quantize: activations')
  checkChoice(range, ['min-max', 'percentile', 'mse'], 'quantize: range')
  checkChoice(layers, ['fastest', 'all'], 'quantize: layers')
  checkNumber(percentile, 'quantize: percentile')
  if (!(percentile > 50 && percentile <= 100))
    throw new ArgumentError(`quantize: percentile must be above 50, and at most 100, given ${percentile}`)
  if (!Array.isArray(skip)) throw wrongKind('quantize: skip', 'a list of names of nodes', skip)
  if (report !== undefined && typeof report !== 'function') throw wrongKind('quantize: report', 'a function', report)
  return { weights, range, percentile, layers, skip, report }
}

/** Examples as they were given: tensors that the caller owns. */
function examplesOf(calibration: Iterable<Tensor>): Tensor[] {
  if (
    typeof (calibration as Partial<Iterable<Tensor>> | null | undefined)?.[Symbol.iterator] !== 'function' ||
    calibration instanceof Tensor
  )
    throw wrongKind('quantize: calibration', 'a list of tensors, each a batch of inputs', calibration)
  const examples = [...calibration]
  if (examples.length === 0)
    throw new ArgumentError('quantize: calibration is empty; give some batches of inputs, about a hundred examples')
  examples.forEach((x, index) => {
    checkTensor(x, 'quantize', `calibration[${index}]`)
    const values = x.data()
    if (values.some((value) => !Number.isFinite(value)))
      throw new ArgumentError(`quantize: calibration[${index}] has a number that is not finite; leave that example out`)
  })
  return examples
}

/** What a float32 program took and gave on examples. */
interface Observed {
  readonly observers: ReadonlyMap<string, Observer>
  /** The shapes of each value, one for each example. */
  readonly shapes: ReadonlyMap<string, readonly Shape[]>
}

function observe(program: Program, graph: OnnxGraph, examples: readonly Tensor[], range: Calibration): Observed {
  const made = graph.nodes.flatMap(({ outputs }) => outputs).filter((name) => name !== '')
  const [input] = graph.inputs.map(({ name }) => name) as [string]
  const observers = new Map<string, Observer>()
  const shapes = new Map<string, Shape[]>()
  const pass = (each: (observer: Observer, values: Float32Array, name: string, shape: Shape) => void): void => {
    for (const x of examples) {
      scope(() => {
        const values = { [input]: x, ...program.run(x, made) }
        for (const [name, y] of Object.entries(values)) {
          if (y.dtype !== 'float32') continue
          const observer = observers.get(name) ?? new Observer()
          observers.set(name, observer)
          each(observer, y.data() as Float32Array, name, y.shape)
        }
      })
    }
  }
  pass((observer, values, name, shape) => {
    observer.see(values)
    if (!observer.isFinite)
      throw new ArgumentError(
        `quantize: the value '${name}' within the model has a number that is not finite; leave out the example that makes it`,
      )
    const known = shapes.get(name)
    if (known) known.push(shape)
    else shapes.set(name, [shape])
  })
  if (observers.get(input)?.isConstant)
    throw new ArgumentError(`quantize: calibration has the same number everywhere in '${input}'; give real inputs`)
  if (range !== 'min-max') {
    pass((observer, values) => {
      observer.count(values)
    })
  }
  return { observers, shapes }
}

/** The squares of values over those of the difference; infinite where there is none. */
function ratioOf(values: Float32Array, others: Float32Array): number {
  let [signal, noise] = [0, 0]
  values.forEach((value, i) => {
    const error = value - (others[i] as number)
    signal += value * value
    noise += error * error
  })
  return noise === 0 ? Infinity : signal / noise
}

/** Compares what layers give in integers with what they give in float32. */
function reportOf(layers: readonly IntegerNode[], floats: Program, integers: Program, x: Tensor): QuantizedLayer[] {
  return scope(() => {
    const due = floats.run(
      x,
      layers.map(({ value }) => value),
    )
    const given = integers.run(
      x,
      layers.map(({ bytes }) => bytes),
    )
    return layers.map(({ node, computes, value, bytes, estimates, quantization: { scale, zero } }) => {
      const results = (given[bytes] as Tensor).data()
      const numbers = computes === 'float32' ? results : Float32Array.from(results, (byte) => (byte - zero) * scale)
      const signalToNoise = ratioOf((due[value] as Tensor).data(), numbers)
      return { name: node.name, operator: node.opType, computes, estimates, scale, zero, signalToNoise }
    })
  })
}

/** What is quantized: a Graph, a Sequential or a Program of one input. */
export type Quantizable = SavableModel | Program

/**
 * The same as `quantize`, as a file of ONNX, with about a quarter of the bytes of that of `saveOnnx`: operators of ONNX's own set, and for sums, means and
 * concatenations those of com.microsoft, as onnxruntime computes them.
 *
 *     await writeFile('model.int8.onnx', quantizeToOnnx(model, batches))
 *
 * @throws as `quantize`
 */
export function quantizeToOnnx(
  model: Quantizable,
  calibration: Iterable<Tensor>,
  options: QuantizeOptions = {},
): Uint8Array {
  checkCount('quantizeToOnnx', 3, arguments)
  checkObject(model, 'quantize: the model', 'a Graph, a Sequential or a Program', ['inputs', 'outputs', 'run'])
  const { weights, range, percentile, layers, skip, report } = checkOptions(options)
  const examples = examplesOf(calibration)
  if (!hasIntegers())
    throw new UnsupportedError('quantize: the kernels of integers are not loaded; call await initIntegers() first')
  const [first] = examples as [Tensor]
  const isProgram = Array.isArray(model.inputs)
  const known = isProgram ? undefined : Object.values((model as SavableModel).inputs)
  const bytes = saveOnnx(model, known?.[0] === null ? { input: first.shape.slice(1) } : {})
  const stored = readOnnx(bytes, 'quantize')
  if (stored.graph.inputs.length !== 1)
    throw new UnsupportedError(
      `quantize: models of one input are quantized, and this one has ${stored.graph.inputs.length}`,
    )
  const write = (graph: OnnxInput<OnnxGraph>): Uint8Array =>
    writeOnnx({ ...stored, graph, opsetImport: [...stored.opsetImport, { domain: 'com.microsoft', version: 1 }] })
  const folded = write(foldNormalization(stored.graph))
  const floats = loadOnnx(folded, { name: 'quantize' })
  try {
    const { graph } = readOnnx(folded, 'quantize')
    const names = new Set(graph.nodes.map(({ name }) => name))
    for (const name of skip) {
      if (!names.has(name))
        throw new ArgumentError(`quantize: skip: there is no node ${inWords(name)}; there are ${[...names].join(', ')}`)
    }
    const { observers, shapes } = observe(floats, graph, examples, range)
    const rewriter = new Rewriter(graph, {
      perChannel: weights === 'per-channel',
      selects: layers === 'fastest',
      skip: new Set(skip),
      quantizationOf: (value) => (observers.get(value) as Observer).quantization(range, percentile),
      shapesOf: (value) => shapes.get(value) ?? [],
    })
    const result = write(rewriter.run())
    if (rewriter.layers.length === 0)
      throw new UnsupportedError(
        'quantize: no layer computes in integers; convolutions and linear layers with constant weights do',
      )
    if (report) {
      const integers = loadOnnx(result, { name: 'quantize' })
      try {
        report(reportOf(rewriter.layers, floats, integers, first))
      } finally {
        integers.dispose()
      }
    }
    return result
  } finally {
    floats.dispose()
  }
}

/**
 * A model in integers: weights of int8, one scale for each filter, and values of uint8, one scale for each, chosen by what the model computes of some
 * inputs. Batch normalization becomes part of the convolutions before it, and relu a limit of bytes. Convolutions, matrix products, the largest and the
 * mean of windows, sums and concatenations compute in integers, with the same bits everywhere; what has no counterpart computes in float32 between
 * conversions. The model itself stays as it is.
 *
 *     await initIntegers()
 *     const small = quantize(model, batches)
 *     const y = small.forward(x)
 *
 * @param calibration batches of inputs as the model takes them; about a hundred examples suffice
 * @throws ArgumentError for calibration that is empty, constant or not finite; ShapeError where it does not fit the model; UnsupportedError before
 * `initIntegers`, for models of several inputs, and for such as `saveOnnx` refuses
 */
export function quantize(model: Quantizable, calibration: Iterable<Tensor>, options: QuantizeOptions = {}): Program {
  checkCount('quantize', 3, arguments)
  return loadOnnx(quantizeToOnnx(model, calibration, options), { name: 'the quantized model' })
}
