/** A chain of layers. */
import { decodeSafetensors, encodeSafetensors } from '../io/safetensors.js'
import { DisposedError, FormatError, ShapeError } from '../runtime/errors.js'
import { checkSeed } from '../tensor/create.js'
import { checkShape, sameShape, showShape, type Shape } from '../tensor/shape.js'
import { scope, type Tensor } from '../tensor/tensor.js'
import type { ForwardContext, Layer, LayerConfig } from './layer.js'
import { Summary, type SummaryRow } from './summary.js'

export interface SequentialOptions {
  /** Shape of one input without the batch: (C, H, W). Left out, the first forward pass tells. */
  readonly input?: Shape
  /** Seed of the initial weights. Default 0. */
  readonly seed?: number
}

/** The JSON form of a model: what `modelFromJSON` reads. */
export interface SequentialConfig {
  readonly type: 'Sequential'
  readonly input: readonly number[] | null
  readonly layers: readonly LayerConfig[]
}

/** A model whose layers are applied one after another. */
export class Sequential {
  readonly layers: readonly Layer[]
  readonly #seed: number
  #input: Shape | undefined
  #training = false
  #disposed = false
  #stream = 0

  constructor(layers: readonly Layer[], options: SequentialOptions = {}) {
    if (layers.length === 0) throw new ShapeError('Sequential: a model needs at least one layer')
    this.layers = [...layers]
    this.#seed = checkSeed(options.seed ?? 0, 'Sequential')
    if (options.input) this.#build(checkShape(options.input, 'Sequential: input'))
  }

  /** Shape of one input without the batch, once it is known. */
  get input(): Shape | undefined {
    return this.#input
  }

  #build(input: Shape): void {
    // Shapes first, so that nothing is allocated when a later layer does not fit.
    this.shapes(input)
    let shape: Shape = input
    for (const layer of this.layers) {
      shape = layer.build(shape, () => ({ seed: this.#seed, stream: this.#stream++ }))
    }
    this.#input = [...input]
  }

  /** Output shape of every layer for one input. @throws ShapeError that names the layer. */
  shapes(input: Shape): number[][] {
    let shape: Shape = input
    return this.layers.map((layer, index) => {
      try {
        const output = layer.outputShape(shape)
        shape = output
        return output
      } catch (error) {
        if (error instanceof ShapeError) throw new ShapeError(`layer ${index}, ${layer.describe()}: ${error.message}`)
        throw error
      }
    })
  }

  /**
   * Output for x (N, …). In training mode, `context` numbers the step, so that dropout draws new numbers.
   * @throws ShapeError when x does not fit, DisposedError after dispose().
   */
  forward(x: Tensor, context: Partial<ForwardContext> = {}): Tensor {
    this.#live()
    const [, ...input] = x.shape
    if (!this.#input) this.#build(input)
    const full: ForwardContext = { training: this.#training, seed: this.#seed, step: 0, ...context }
    return scope(() => this.layers.reduce((y, layer) => layer.forward(y, full), x))
  }

  /** Trained tensors with their names, `0.weight`, `0.bias`, …, in order; shared ones once. */
  namedParameters(): Map<string, Tensor> {
    this.#live()
    const seen = new Set<Tensor>()
    const named = new Map<string, Tensor>()
    this.layers.forEach((layer, index) => {
      for (const [name, parameter] of layer.parameters()) {
        if (!seen.has(parameter)) named.set(`${index}.${name}`, parameter)
        seen.add(parameter)
      }
    })
    return named
  }

  parameters(): Tensor[] {
    return [...this.namedParameters().values()]
  }

  /** Layers behave as in training from now on. */
  train(): this {
    this.#training = true
    return this
  }

  /** Layers behave as in use from now on: the state of a new model. */
  eval(): this {
    this.#training = false
    return this
  }

  get training(): boolean {
    return this.#training
  }

  /** Table of the layers for the model's input, or for another. */
  summary(input: Shape | undefined = this.#input): Summary {
    if (!input) throw new ShapeError('summary: the input is not known yet; give it, as in summary([1, 28, 28])')
    const outputs = this.shapes(input)
    const rows: SummaryRow[] = this.layers.map((layer, index) => ({
      layer: layer.describe(),
      output: outputs[index] as number[],
      parameters: [...layer.parameters().values()].reduce((total, { size }) => total + size, 0),
      operations: layer.operations(index === 0 ? input : (outputs[index - 1] as number[])),
    }))
    const [C, H, W] = input
    const first = input.length === 3 ? `input(${H === W ? H : `${H}×${W}`}, ${C})` : `input(${input.join(', ')})`
    return new Summary([{ layer: first, output: input, parameters: 0, operations: 0 }, ...rows])
  }

  /** The architecture as JSON, without weights. */
  toJSON(): SequentialConfig {
    return { type: 'Sequential', input: this.#input ?? null, layers: this.layers.map((layer) => layer.config()) }
  }

  /** The weights as a safetensors file, with `metadata` in its header. */
  save(metadata: Readonly<Record<string, string>> = {}): Uint8Array {
    const tensors = [...this.namedParameters()].map(
      ([name, tensor]) => [name, { shape: tensor.shape, data: tensor.data() }] as const,
    )
    return encodeSafetensors(Object.fromEntries(tensors), metadata)
  }

  /**
   * Takes the weights from a safetensors file; nothing is changed unless all of them fit.
   * @throws FormatError that lists what is missing, left over, of another shape or not finite.
   */
  load(bytes: Uint8Array, name = 'weights'): void {
    const { tensors } = decodeSafetensors(bytes, name)
    this.assign(new Map([...tensors].map(([key, { shape, data, dtype }]) => [key, { shape, data, dtype }])), name)
  }

  /** Takes the weights from decoded tensors, checked as `load` does. */
  assign(
    tensors: ReadonlyMap<
      string,
      { readonly shape: Shape; readonly data: ArrayLike<number | bigint>; readonly dtype: string }
    >,
    name: string,
  ): void {
    const own = this.namedParameters()
    const problems: string[] = []
    for (const [key, parameter] of own) {
      const given = tensors.get(key)
      if (!given) problems.push(`${key} ${showShape(parameter.shape)} is missing`)
      else if (given.dtype !== 'F32') problems.push(`${key} is ${given.dtype}, not F32`)
      else if (!sameShape(given.shape, parameter.shape)) {
        problems.push(`${key} is ${showShape(given.shape)}, not ${showShape(parameter.shape)}`)
      } else if (!(given.data as Float32Array).every(Number.isFinite))
        problems.push(`${key} has values that are not finite`)
    }
    for (const key of tensors.keys()) if (!own.has(key)) problems.push(`${key} is not part of the model`)
    if (problems.length > 0) {
      const shown = problems.slice(0, 6).join('; ')
      const more = problems.length > 6 ? `; and ${problems.length - 6} more` : ''
      throw new FormatError(`${name}: the weights do not match the model: ${shown}${more}`)
    }
    for (const [key, parameter] of own) parameter.assign((tensors.get(key) as { data: ArrayLike<number> }).data)
  }

  /** Frees the parameters. */
  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    for (const layer of this.layers) layer.dispose()
  }

  #live(): void {
    if (this.#disposed) throw new DisposedError('a model was used after dispose()')
  }
}
