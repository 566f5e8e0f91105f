/** Models from elsewhere as layers of models of our own. */
import { readOnnx } from '../formats/onnx.js'
import { LoweredLayer, type ForwardContext, type LayerConfig, type WeightSpec } from '../nn/layer.js'
import { wholeWindow, type Window } from '../nn/receptive.js'
import { ArgumentError, FormatError, ShapeError, UnsupportedError } from '../runtime/errors.js'
import { checkList } from '../runtime/check.js'
import { checkCount, needKeys } from '../runtime/options.js'
import { inWords } from '../runtime/text.js'
import { checkShape, sameShape, showShape, sizeOf, type Shape } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'
import { loadOnnx } from './onnx/load.js'
import { saveStructure } from './onnx/save.js'
import { Program } from './program.js'

/** Options of `Imported`: a program, or what a model file has of one. */
export interface ImportedOptions {
  /** Of one input, which the layer takes over: it is disposed with the layer. */
  readonly program?: Program
  /** Whether its weights are trained, and its batch normalization moves its statistics; default true. */
  readonly trainable?: boolean
  /** In a model file: what the program computes, as ONNX without weights, in base64. */
  readonly onnx?: string
  /** In a model file: extents of one input and one output. */
  readonly input?: readonly number[]
  /** As `input`. */
  readonly output?: readonly number[]
}

/** What a layer of a file knows before it has weights. */
interface Described {
  readonly bytes: Uint8Array
  readonly input: Shape
  readonly output: Shape
  readonly specs: readonly WeightSpec[]
}

const decodeBase64 = (text: string): Uint8Array => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))

function encodeBase64(bytes: Uint8Array): string {
  let letters = ''
  for (const byte of bytes) letters += String.fromCharCode(byte)
  return btoa(letters)
}

/** Where a file without weights says that they are. */
const WEIGHTS = 'weights'

/** Reads what a model file has of a program, and allocates nothing for its weights. */
function describedBy({ onnx, input, output }: ImportedOptions): Described {
  if (typeof onnx !== 'string')
    throw new ArgumentError(`Imported: give a program, as loadOnnx() makes, not ${inWords(onnx)}`)
  let bytes: Uint8Array
  try {
    bytes = decodeBase64(onnx)
  } catch {
    throw new FormatError('Imported: onnx must be a file in base64')
  }
  checkList(input, 'Imported: input', 'the extents of one input')
  checkList(output, 'Imported: output', 'the extents of one output')
  const specs = readOnnx(bytes, 'Imported: onnx').graph.initializers.flatMap((initializer): WeightSpec[] => {
    const isOurs = initializer.dataLocation === 1
    if (!isOurs) return []
    const trained = initializer.externalData.some(({ key, value }) => key === 'trained' && value === 'true')
    return [{ name: initializer.name, shape: checkShape(initializer.dims, 'Imported'), init: 'zeros', trained }]
  })
  return {
    bytes,
    specs,
    input: checkShape(input as Shape, 'Imported: input'),
    output: checkShape(output as Shape, 'Imported: output'),
  }
}

/** @throws UnsupportedError unless a program takes one input of float32 */
function checkInput({ inputs }: Program): void {
  if (inputs.length === 1 && inputs[0]?.dtype === 'float32') return
  const given = inputs.map(({ name, dtype }) => `${name} of ${dtype}`).join(', ') || 'nothing'
  throw new UnsupportedError(`Imported: the program takes ${given}; a layer takes one input of float32`)
}

/** Extents of the first output for one input, without the batch. @throws UnsupportedError where it is not one result for each input */
function outputOf(program: Program, input: Shape): Shape {
  const name = program.outputs[0]?.name
  const { rows } = program.summary({ [program.inputs[0]?.name as string]: [1, ...input] })
  const found = rows.flatMap(({ outputs }) => outputs).find((value) => value.name === name)?.shape
  if (found?.[0] === 1) return found.slice(1)
  throw new UnsupportedError(
    `Imported: '${name}' is ${found ? showShape(found) : 'of a shape that depends on numbers'}, and not one result for each input; cut the program before by until()`,
  )
}

/**
 * A program as a layer: what another library trained, with layers of our own behind it or before.
 *
 *     const features = loadOnnx(bytes).until('features')
 *     const model = new Sequential([new Imported({ program: features, trainable: false }), new Flatten(), new Linear({ outFeatures: 3 })], { input: [3, 224, 224] })
 *
 * Where it is not trainable its weights are as they are and its batch normalization uses the statistics that it has, in training as well.
 */
export class Imported extends LoweredLayer<ImportedOptions> {
  readonly type = 'Imported'
  #program: Program | undefined
  readonly #described: Described | undefined
  /** Shapes of outputs by those of inputs. */
  readonly #outputs = new Map<string, Shape>()
  #input: Shape | undefined

  constructor(options: ImportedOptions) {
    checkCount('Imported', 1, arguments)
    needKeys('Imported', options, { program: 0, trainable: 0, onnx: 0, input: 0, output: 0 })
    super(options)
    const { program, trainable = true } = options
    this.trainable = trainable
    if (program === undefined) {
      this.#described = describedBy(options)
      this.#input = this.#described.input
      return
    }
    if (!(program instanceof Program))
      throw new ArgumentError(`Imported: program must be a Program, as loadOnnx() makes, not ${inWords(program)}`)
    checkInput(program)
    this.#program = program
  }

  /** The program. @throws ArgumentError before a layer of a file has weights */
  get program(): Program {
    if (this.#program) return this.#program
    throw new ArgumentError('Imported: the layer has no weights yet; load them first')
  }

  outputShape(input: Shape): number[] {
    if (this.#described) {
      const { input: due, output } = this.#described
      if (!sameShape(due, input))
        throw new ShapeError(
          `Imported: the program was saved for inputs of ${showShape(due)}, given ${showShape(input)}`,
        )
      return [...output]
    }
    const key = input.join()
    let output = this.#outputs.get(key)
    if (!output) {
      output = outputOf(this.program, input)
      this.#input ??= [...input]
      this.#outputs.set(key, output)
    }
    return [...output]
  }

  protected lower(x: Tensor, { training, seed, stream }: ForwardContext): Tensor {
    return this.program.forward(x, { training: training && this.trainable, seed, step: stream })
  }

  describe(): string {
    return `imported(${this.#program?.name ?? 'a program'})`
  }

  override weights(): readonly WeightSpec[] {
    if (this.#described) return this.#described.specs
    const trained = new Set(this.program.namedParameters().keys())
    return [...this.tensors()].map(([name, { shape }]) => ({ name, shape, init: 'zeros', trained: trained.has(name) }))
  }

  override operations(input: Shape): number {
    return this.#program?.operations([1, ...input]) ?? 0
  }

  override window(input: Shape): Window {
    return wholeWindow(input)
  }

  override get built(): boolean {
    return this.#program !== undefined
  }

  /** Makes a program of a file, whose weights are zeros until they are assigned. */
  override build(input: Shape): void {
    this.#input = input
    if (this.#program || !this.#described) return
    const { bytes, specs } = this.#described
    const largest = specs.reduce((most, { shape }) => Math.max(most, 4 * sizeOf(shape)), 0)
    const program = loadOnnx(bytes, { name: 'Imported', externalData: { [WEIGHTS]: new Uint8Array(largest) } })
    try {
      checkInput(program)
      const found = outputOf(program, this.#described.input)
      if (!sameShape(found, this.#described.output))
        throw new FormatError(
          `Imported: the program gives ${showShape(found)}, and the file says ${showShape(this.#described.output)}`,
        )
      program.setTrained(new Set(specs.filter(({ trained }) => trained).map(({ name }) => name)))
    } catch (error) {
      program.dispose()
      throw error
    }
    this.#program = program
  }

  override planWeights(input?: Shape): void {
    // A layer of a file is not planned before it has weights: its graph tells nothing without them.
    if (input) this.build(input)
  }

  override unbuild(): void {
    if (!this.#described) return
    this.#program?.dispose()
    this.#program = undefined
  }

  override parameters(): ReadonlyMap<string, Tensor> {
    return this.trainable && this.#program ? this.#program.namedParameters() : new Map()
  }

  override buffers(): ReadonlyMap<string, Tensor> {
    return this.#program?.namedBuffers() ?? new Map()
  }

  override tensors(): ReadonlyMap<string, Tensor> {
    return new Map([...(this.#program?.namedParameters() ?? []), ...this.buffers()])
  }

  override config(): LayerConfig {
    const input = this.#input ?? this.program.inputs[0]?.shape?.slice(1)
    if (!input?.every((extent) => typeof extent === 'number'))
      throw new ArgumentError('Imported: the extents of the input are not known yet; give the model its input')
    const shape = input
    const onnx = this.#program ? saveStructure(this.#program, shape, WEIGHTS) : (this.#described as Described).bytes
    const described = { onnx: encodeBase64(onnx), input: [...shape], output: this.outputShape(shape) }
    return { type: this.type, ...described, ...(this.trainable ? {} : { trainable: false }) }
  }

  override dispose(): void {
    this.#program?.dispose()
  }
}
