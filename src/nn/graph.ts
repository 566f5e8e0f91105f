/**
 * Models: directed acyclic graphs of layers. Shapes are inferred before anything is allocated; weights are made when they
 * are first needed; a forward pass frees each value after its last use.
 */
import { isRecording } from '../autodiff/tape.js'
import { measurePlan } from '../graph/memory.js'
import type { Plan } from '../graph/plan.js'
import { PlannedProgram, type Values } from '../graph/program.js'
import { encodeSafetensors, openSafetensors } from '../formats/safetensors.js'
import { perDirection } from '../plan/window.js'
import { ArgumentError, DisposedError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { checkFunction, checkList, checkModel, checkObject, checkSwitch, wrongKind } from '../runtime/check.js'
import type { FileBytes } from '../formats/safetensors.js'
import { checkCount, checkKeys, unknownName, type Names } from '../runtime/options.js'
import { checkSeed } from '../tensor/create.js'
import { checkShape, checkSize, sameShape, type Shape } from '../tensor/shape.js'
import { checkTensor, openPlanner, restoring, scope, Tensor } from '../tensor/tensor.js'
import { Explanation, explainLayer } from './explain.js'
import { modelNames, type ModelOptions } from './options.js'
import type { ForwardContext, Layer, LayerConfig } from './layer.js'
import { disposePlan, lower, runLayers, type Lowering } from './lowering.js'
import { assertFits, inferShapes, planSteps, splitBatch, weightBytes, type Shapes } from './schedule.js'
import { checkState, type DecodedTensor } from './state.js'
import { summarize, type Summary } from './summary.js'
import { checkNodes, checkWiring, meantBy, neededFor, quoted, type GraphNode, type LayerSelection } from './wiring.js'

export type { ModelOptions } from './options.js'
export type { LayerSelection } from './wiring.js'

/** Options of `Graph`. */
export interface GraphOptions extends ModelOptions {
  /** Shape of each input without the batch, by name; null: the first forward pass tells. Default: { input: null }. */
  readonly inputs?: Readonly<Record<string, Shape | null>>
  /** Names of the nodes whose values the model gives; the first is what `forward` returns. Default: the last node. */
  readonly outputs?: readonly string[]
  /**
   * Outputs that are computed in training only, with the weights of their losses beside that of the first output, as the
   * auxiliary classifiers of GoogLeNet.
   */
  readonly auxiliary?: Readonly<Record<string, number>>
  /** What the summary calls each block. */
  readonly blocks?: Readonly<Record<string, string>>
}

/** A node as it is written down: one input needs no list, and none at all means the node before. */
export interface NodeOptions extends Omit<GraphNode, 'inputs'> {
  /** The nodes or inputs that it reads; left out, the node before it. */
  readonly inputs?: string | readonly string[]
}

/** The JSON form of a node: its layer, or the earlier node whose layer it shares. */
export interface NodeConfig {
  /** Its name, unique in the graph. */
  readonly name: string
  /** The nodes or inputs that it reads. */
  readonly inputs: readonly string[]
  /** Its layer; left out where another node's is shared. */
  readonly layer?: LayerConfig
  /** The node whose layer and weights it uses. */
  readonly shares?: string
  /** The block that summaries show it in. */
  readonly block?: string
}

/** The JSON form of a model: what `modelFromJSON` reads. */
export interface GraphConfig {
  /** Tells a graph from a `Sequential`. */
  readonly type: 'Graph'
  /** Shapes of the inputs by name, without the batch; null where the first forward pass decides. */
  readonly inputs: Readonly<Record<string, readonly number[] | null>>
  /** The nodes in the order of computation. */
  readonly nodes: readonly NodeConfig[]
  /** Nodes whose outputs are the model's. */
  readonly outputs: readonly string[]
  /** Weights of the auxiliary losses by the name of the node. */
  readonly auxiliary?: Readonly<Record<string, number>>
  /** What the summary calls each block. */
  readonly blocks?: Readonly<Record<string, string>>
}

/** What else a forward pass may be told. Left out: the model's own mode and seed, and the next step. */
export type ForwardOptions = Partial<Pick<ForwardContext, 'training' | 'seed' | 'step'>>

/** One tensor, or one for each input by name. */
export type ModelInput = Tensor | Readonly<Record<string, Tensor>>

/** What a forward pass in training gives, where a model has auxiliary outputs. */
export interface TrainingOutputs {
  /** What the main output gave. */
  readonly output: Tensor
  /** Outputs whose losses are added to that of the first, each times its weight. */
  readonly auxiliary: readonly { readonly output: Tensor; readonly weight: number }[]
}

/** A forward pass for inputs of certain shapes. */
interface Pass {
  readonly lowering: Lowering
  /** The plan from which the program will be made. */
  plan: Plan | undefined
  /** The weights that the plan or the program holds, each by the handle of its layer. */
  weights: readonly Tensor[]
  /** Made by the first run outside of training; null where layers say for themselves what they compute. */
  program: PlannedProgram | null | undefined
}

/** What a model needs for inputs of certain shapes. */
interface Needs {
  /** Of everything, by name, without the batch. */
  readonly shapes: Map<string, Shape>
  /** Bytes of its weights. */
  readonly weights: number
}

/** Whether a pass is made for inputs of these shapes and gives these outputs. */
function isFor({ inputs, wanted: known }: Lowering, given: Values, wanted: readonly string[]): boolean {
  if (given.size !== inputs.size || wanted.length !== known.length) return false
  for (let i = 0; i < known.length; i++) if (known[i] !== wanted[i]) return false
  for (const [name, { shape }] of given) {
    const own = inputs.get(name)
    if (own !== shape && !(own && sameShape(own, shape))) return false
  }
  return true
}

const graphNames = { inputs: 0, outputs: 0, auxiliary: 0, blocks: 0 } satisfies Names<
  Omit<GraphOptions, keyof ModelOptions>
>
const nodeNames = { name: 0, layer: 0, inputs: 0, block: 0 } satisfies Names<NodeOptions>
const forwardNames = { training: 0, seed: 0, step: 0 } satisfies Names<ForwardOptions>

/**
 * A model of named nodes, each with one layer, that may branch and join: inception modules, shared towers, several
 * outputs.
 *
 *     new Graph([
 *       { name: 'a', layer: new Conv2d({ outChannels: 8, kernel: 3, padding: 1 }), inputs: 'input' },
 *       { name: 'b', layer: new Conv2d({ outChannels: 8, kernel: 1 }), inputs: 'input' },
 *       { name: 'sum', layer: new Add(), inputs: ['a', 'b'] },
 *     ])
 */
export class Graph {
  /** In an order in which each node comes after what it reads. */
  readonly nodes: readonly GraphNode[]
  /** Nodes whose outputs are the model's. */
  readonly outputs: readonly string[]
  /** Weights of the auxiliary losses by the name of the node. */
  readonly auxiliary: Readonly<Record<string, number>>
  /** What the summary calls each block. */
  readonly blocks: Readonly<Record<string, string>>
  /** As declared, which is the order of weights and of their random numbers. */
  readonly #declared: readonly GraphNode[]
  /** The names of the nodes. */
  readonly #names: ReadonlySet<string>
  readonly #inputs: Map<string, Shape | null>
  readonly #seed: number
  readonly #keepPacked: boolean
  #built = false
  /** What the model's own input needs, kept from the first `#check` until weights are made: layers keep their options. */
  #checked: Needs | undefined
  #training = false
  #disposed = false
  #steps = 0
  #pass: Pass | undefined

  constructor(nodes: readonly NodeOptions[], options: GraphOptions = {}) {
    checkCount('Graph', 2, arguments)
    checkKeys('Graph', options, modelNames, graphNames)
    const { inputs = { input: null }, outputs, auxiliary = {}, blocks = {}, seed = 0, keepPacked = true } = options
    checkNodes(nodes, outputs)
    for (const [option, value] of Object.entries({ inputs, auxiliary, blocks })) checkObject(value, `Graph: ${option}`)
    for (const node of nodes) checkKeys(`Graph: node '${node.name}'`, node, nodeNames)
    const names = Object.keys(inputs)
    const [firstInput] = names as [string]
    this.#declared = nodes.map(({ name, layer, inputs: read, block }, index): GraphNode => {
      const given = read ?? [nodes[index - 1]?.name ?? firstInput]
      const inputs = typeof given === 'string' ? [given] : [...given]
      return block === undefined ? { name, layer, inputs } : { name, layer, inputs, block }
    })
    this.outputs = [...(outputs ?? nodes.slice(-1).map(({ name }) => name))]
    this.auxiliary = { ...auxiliary }
    this.blocks = { ...blocks }
    this.nodes = checkWiring(names, this.#declared, [...this.outputs, ...Object.keys(auxiliary)])
    this.#names = new Set(this.nodes.map(({ name }) => name))
    this.#inputs = new Map(
      Object.entries(inputs).map(([name, shape]) => {
        const checked = shape && checkShape(shape, `input '${name}'`)
        if (checked) checkSize(checked, `input '${name}'`, 'the shape')
        return [name, checked]
      }),
    )
    this.#seed = checkSeed(seed, 'model')
    this.#keepPacked = keepPacked
    if (this.#known) this.#check(this.#known)
  }

  /** Inputs by name, with their extents but the batch; null where the first forward pass tells. */
  get inputs(): Readonly<Record<string, Shape | null>> {
    return Object.fromEntries(this.#inputs)
  }

  /** Shape of the first input without the batch, once it is known. */
  get input(): Shape | undefined {
    return [...this.#inputs.values()][0] ?? undefined
  }

  /** Every layer once, in the order of declaration. */
  get layers(): readonly Layer[] {
    return [...new Set(this.#declared.map(({ layer }) => layer))]
  }

  get #known(): Shapes | undefined {
    const all = [...this.#inputs]
    return all.every(([, shape]) => shape) ? (this.#inputs as Shapes) : undefined
  }

  /** Shapes of everything for the model's own input, and whether the weights fit: nothing is allocated. */
  #check(inputs: Shapes): Needs {
    // Once its weights are made, by this model or by another that shares it, a layer refuses inputs of other shapes.
    const unmade = !this.#declared.some(({ layer }) => layer.built)
    if (this.#checked && unmade) return this.#checked
    const needs = this.#needs(inputs)
    assertFits(needs.weights, 'the weights of this model take', 'use fewer or narrower layers')
    if (unmade) this.#checked = needs
    return needs
  }

  #needs(inputs: Shapes): Needs {
    const shapes = inferShapes(inputs, this.nodes)
    return { shapes, weights: weightBytes(shapes, this.nodes) }
  }

  /** Output shape of every node, in the order of `nodes`, for one input. @throws ShapeError that names the layer. */
  shapes(input?: Shape | Readonly<Record<string, Shape>>): number[][] {
    checkCount('shapes', 1, arguments)
    const inputs = this.#resolve(input, 'shapes')
    const shapes = input ? inferShapes(inputs, this.nodes) : this.#check(inputs).shapes
    return this.nodes.map(({ name }) => [...(shapes.get(name) as Shape)])
  }

  /** Shape of the first output without the batch. */
  outputShape(input?: Shape): number[] {
    checkCount('outputShape', 1, arguments)
    const index = this.nodes.findIndex(({ name }) => name === this.outputs[0])
    return this.shapes(input)[index] as number[]
  }

  /** Input shapes as given, or those of the model. */
  #resolve(input: Shape | Readonly<Record<string, Shape>> | undefined, what: string): Shapes {
    if (input === undefined) {
      if (this.#known) return this.#known
      throw new ArgumentError(`${what}: the input is not known yet; give it, as in ${what}([1, 28, 28])`)
    }
    if (input === null || typeof input !== 'object')
      throw wrongKind(`${what}: the input`, 'a shape, such as [1, 28, 28]', input)
    const given: Shapes = Array.isArray(input)
      ? new Map([[this.#onlyInput(what), input as Shape]])
      : new Map(Object.entries(input as Readonly<Record<string, Shape>>))
    this.#checkNames([...given.keys()], what)
    for (const [name, shape] of given) checkSize(checkShape(shape, `${what}: input '${name}'`), what, 'the input')
    return given
  }

  #onlyInput(what: string): string {
    const names = [...this.#inputs.keys()]
    if (names.length === 1) return names[0] as string
    throw new ArgumentError(`${what}: the model has the inputs ${names.join(', ')}; give an object with one for each`)
  }

  #checkNames(given: readonly string[], what: string): void {
    const names = [...this.#inputs.keys()]
    if (names.every((name) => given.includes(name)) && given.length === names.length) return
    throw new ArgumentError(
      `${what}: the model has the inputs ${names.join(', ')}; given ${given.join(', ') || 'none'}`,
    )
  }

  /** Makes the weights, if they are not there; without `random` they are left to be assigned. */
  #build(random = true): void {
    if (this.#built) return
    if (!this.#known) {
      throw new ArgumentError(
        'model: the input is not known yet; give it by the input option, or by a first forward pass',
      )
    }
    const { shapes } = this.#check(this.#known)
    let stream = 0
    const source = (): { seed: number; stream: number } => ({ seed: this.#seed, stream: stream++ })
    const missing = this.layers.filter((layer) => !layer.built)
    try {
      for (const { layer, inputs } of this.#declared) {
        layer.build(shapes.get(inputs[0] as string) as Shape, random ? source : undefined)
      }
    } catch (error) {
      // Weights that are made later draw the same numbers only if all are made again.
      for (const layer of missing) layer.unbuild()
      throw error
    }
    this.#built = true
    this.#checked = undefined
    if (this.#keepPacked) return
    for (const layer of this.layers) for (const { storage } of layer.tensors().values()) storage.keepsDerived = false
  }

  /** Whether shapes are those of the model's own inputs. */
  #isOwn(inputs: Shapes): boolean {
    for (const [name, shape] of inputs) if (!sameShape(this.#inputs.get(name) ?? [], shape)) return false
    return true
  }

  /** The pass for these tensors, checked once for each change of shapes. */
  #prepare(given: ReadonlyMap<string, Tensor>, wanted: readonly string[]): Pass {
    if (this.#pass && isFor(this.#pass.lowering, given, wanted)) return this.#pass
    const full = new Map([...given].map(([name, { shape }]) => [name, shape]))
    const { batch, shapes: inputs } = splitBatch(full)
    const { shapes, weights: bytes } = this.#isOwn(inputs) ? this.#check(inputs) : this.#needs(inputs)
    const steps = planSteps(this.nodes, wanted)
    const lowering = { steps, inputs: full, shapes, wanted: [...wanted] }
    let plan = lower(lowering)
    try {
      const peak = bytes + (plan ? measurePlan(plan).single : 0)
      assertFits(peak, `a forward pass of ${batch} takes`, 'use a smaller batch or input')
      // A plan that was made before the weights has none.
      if (plan && !this.#built && bytes > 0) {
        disposePlan(plan)
        plan = undefined
      }
    } catch (error) {
      if (plan) disposePlan(plan)
      throw error
    }
    const before = new Map(this.#inputs)
    for (const [name, shape] of inputs) if (!this.#inputs.get(name)) this.#inputs.set(name, [...shape])
    try {
      this.#build()
    } catch (error) {
      // Inputs that no weights were made for decide nothing.
      for (const [name, shape] of before) this.#inputs.set(name, shape)
      throw error
    }
    this.#disposePass()
    const weights = this.layers.flatMap((layer) => [...layer.tensors().values()])
    this.#pass = { lowering, plan, weights, program: undefined }
    return this.#pass
  }

  #given(x: ModelInput): Map<string, Tensor> {
    if (x instanceof Tensor) {
      checkTensor(x, 'forward', 'x')
      return new Map([[this.#onlyInput('forward'), x]])
    }
    if (x === null || typeof x !== 'object') {
      throw new ArgumentError(`forward: x must be a Tensor, or an object with one for each input, not ${inWords(x)}`)
    }
    const names = Object.keys(x)
    // Something like a tensor, and no input of that name.
    if ('shape' in x && !this.#inputs.has('shape')) checkTensor(x, 'forward', 'x')
    this.#checkNames(names, 'forward')
    for (const name of names) checkTensor(x[name], 'forward', `input '${name}'`)
    return new Map(Object.entries(x))
  }

  /**
   * The first output for x (N, …). In training, `step` numbers the step, so that dropout draws new numbers.
   * @throws ShapeError that names the layer when x does not fit, DisposedError after dispose().
   */
  forward(x: ModelInput, options: ForwardOptions = {}): Tensor {
    checkCount('forward', 2, arguments)
    const [output] = this.outputs as [string]
    return scope(() => this.run(x, [output], options)[output] as Tensor)
  }

  /** The first output, and those of the auxiliary nodes with the weights of their losses: what training minimizes. */
  forwardTraining(x: ModelInput, options: ForwardOptions = {}): TrainingOutputs {
    checkCount('forwardTraining', 2, arguments)
    const [main] = this.outputs as [string]
    const auxiliary = Object.entries(this.auxiliary)
    const values = this.run(x, [main, ...auxiliary.map(([name]) => name)], { training: true, ...options })
    const outputOf = (name: string): Tensor => values[name] as Tensor
    return {
      output: outputOf(main),
      auxiliary: auxiliary.map(([name, weight]) => ({ output: outputOf(name), weight })),
    }
  }

  /** Values of some nodes by name; by default all outputs. Only what they need is computed. */
  run(x: ModelInput, wanted: readonly string[] = this.outputs, options: ForwardOptions = {}): Record<string, Tensor> {
    checkCount('run', 3, arguments)
    this.#live()
    checkList(wanted, 'run: wanted', 'a list of names of nodes')
    for (const name of wanted) {
      if (!this.#names.has(name)) {
        throw new ArgumentError(`run: there is no node ${inWords(name)}; nodes are ${quoted([...this.#names])}`)
      }
    }
    checkKeys('forward', options, forwardNames)
    const given = this.#given(x)
    const { training = this.#training, seed = this.#seed } = options
    const prepared = this.#prepare(given, wanted)
    const planned = training || isRecording() || openPlanner() ? undefined : this.#runPlanned(prepared, given)
    if (planned) return planned
    const { steps } = prepared.lowering
    const step = options.step ?? (training ? this.#steps : 0)
    const pass = (): Record<string, Tensor> => {
      const values = runLayers(steps, given, { training, seed, step, nodes: this.nodes.length })
      return Object.fromEntries(wanted.map((name) => [name, values.get(name) as Tensor]))
    }
    if (!training) return scope(pass)
    // Running statistics.
    const buffers = this.layers.flatMap((layer) => [...layer.buffers().values()])
    const outputs = restoring(buffers, () => scope(pass))
    // A pass that failed is no step.
    if (options.step === undefined) this.#steps++
    return outputs
  }

  #disposePass(): void {
    const { plan, program } = this.#pass ?? {}
    if (plan) disposePlan(plan)
    program?.dispose()
    this.#pass = undefined
  }

  /** What a pass outside of training gives by its program, if it has one. */
  #runPlanned(pass: Pass, given: Values): Record<string, Tensor> | undefined {
    // Of a layer that another model disposed with itself the program holds the memory: it is not to be used.
    for (const weight of pass.weights) weight.assertLive()
    if (pass.program && !pass.program.current) {
      pass.program.dispose()
      pass.program = undefined
    }
    if (pass.program === undefined) {
      const plan = pass.plan ?? lower(pass.lowering)
      pass.plan = undefined
      const runs = plan?.order.every(({ node }) => !node.opaque) ?? false
      pass.program = plan && runs ? new PlannedProgram(plan, this.#keepPacked) : null
      if (plan && !runs) disposePlan(plan)
    }
    // Layers give float32 alone.
    return pass.program?.run(given) as Record<string, Tensor> | undefined
  }

  /**
   * Lets layers be as they are: they give no parameters from now on, and batch normalization keeps its statistics. To be
   * called before the optimizer is made.
   * @throws ShapeError when no layer is meant.
   */
  freeze(which: LayerSelection): this {
    checkCount('freeze', 1, arguments)
    return this.#setTrainable('freeze', which, false)
  }

  /** Lets layers be trained again. @throws ShapeError when no layer is meant. */
  unfreeze(which: LayerSelection): this {
    checkCount('unfreeze', 1, arguments)
    return this.#setTrainable('unfreeze', which, true)
  }

  #setTrainable(what: string, which: LayerSelection, trainable: boolean): this {
    const meant = this.#declared.filter(meantBy(which))
    if (meant.length === 0) {
      const names = [...this.#names]
      throw new ArgumentError(
        `${what}: ${typeof which === 'string' ? unknownName('layer', which, names) : `no layer of ${quoted(names)} is meant; give a name, a RegExp or a function of a layer`}`,
      )
    }
    for (const { layer } of meant) layer.trainable = trainable
    return this
  }

  /** Trained tensors with their names, `conv1.weight`, …, in order; shared ones once, those of frozen layers not. */
  namedParameters(): Map<string, Tensor> {
    return this.#named((layer) => layer.parameters())
  }

  /** Trained tensors in a fixed order, that of the nodes: what an optimizer is made with. */
  parameters(): Tensor[] {
    return [...this.namedParameters().values()]
  }

  /** Everything that is saved: parameters, and state such as running statistics. */
  namedState(): Map<string, Tensor> {
    return this.#named((layer) => layer.tensors())
  }

  #named(of: (layer: Layer) => ReadonlyMap<string, Tensor>): Map<string, Tensor> {
    this.#live()
    this.#build()
    const named = new Map<string, Tensor>()
    for (const [layer, node] of this.#owners()) {
      for (const [name, tensor] of of(layer)) named.set(`${node.name}.${name}`, tensor)
    }
    return named
  }

  /** Each layer with the node that it is named after: the first that uses it. */
  #owners(): Map<Layer, GraphNode> {
    const owners = new Map<Layer, GraphNode>()
    for (const node of this.#declared) if (!owners.has(node.layer)) owners.set(node.layer, node)
    return owners
  }

  /** Layers behave as in training from now on; with false, as `eval` says. @throws ShapeError unless it is true or false */
  train(mode = true): this {
    checkCount('train', 1, arguments)
    checkSwitch(mode, 'train: the mode')
    this.#training = mode
    return this
  }

  /** Layers behave as in use from now on: the state of a new model. */
  eval(): this {
    checkCount('eval', 0, arguments)
    this.#training = false
    return this
  }

  /** Whether layers behave as in training: since `train()`, until `eval()`. */
  get training(): boolean {
    return this.#training
  }

  /** Which algorithms compute the convolutional layers for `batch` of the model's inputs, or of others. */
  explain(input?: Shape | Readonly<Record<string, Shape>>, options: { readonly batch?: number } = {}): Explanation {
    checkCount('explain', 2, arguments)
    checkKeys('explain', options, { batch: 0 })
    const { batch = 1 } = options
    const [N] = perDirection(batch, 1, 1, 'explain: batch') as [number]
    const shapes = inferShapes(this.#resolve(input, 'explain'), this.nodes)
    const layers = this.nodes.flatMap(({ name, layer, inputs }) => {
      const read = shapes.get(inputs[0] as string) as Shape
      const convolution = layer.convolution(N, read)
      return convolution ? [explainLayer(name, layer.describe(), read, convolution)] : []
    })
    return new Explanation(layers, N)
  }

  /**
   * Table of the layers for the model's input, or for another: output volume, parameters, operations, receptive field and
   * memory. Layers that are computed in training only are left out unless `training` asks for them.
   */
  summary(
    input?: Shape | Readonly<Record<string, Shape>>,
    options: { readonly batch?: number; readonly training?: boolean } = {},
  ): Summary {
    checkCount('summary', 2, arguments)
    checkKeys('summary', options, { batch: 0, training: 0 })
    const { batch: asked = 1, training = false } = options
    const [batch] = perDirection(asked, 1, 1, 'summary: batch') as [number]
    const inputs = this.#resolve(input, 'summary')
    const shapes = inferShapes(inputs, this.nodes)
    const shown = training ? [...this.outputs, ...Object.keys(this.auxiliary)] : this.outputs
    return summarize(inputs, neededFor(this.nodes, shown), shapes, {
      batch,
      outputs: shown,
      blocks: this.blocks,
      weights: weightBytes(shapes, this.nodes),
      keepPacked: this.#keepPacked,
    })
  }

  /** The architecture as JSON, without weights. */
  toJSON(): { readonly type: string } {
    const owners = this.#owners()
    const nodes = this.#declared.map((node): NodeConfig => {
      const { name, layer, inputs, block } = node
      const owner = owners.get(layer) as GraphNode
      const own = owner === node ? { layer: layer.config() } : { shares: owner.name }
      return { name, inputs, ...own, ...(block === undefined ? {} : { block }) }
    })
    const optional = { auxiliary: this.auxiliary, blocks: this.blocks }
    const config: GraphConfig = {
      type: 'Graph',
      inputs: Object.fromEntries(this.#inputs),
      nodes,
      outputs: this.outputs,
      ...Object.fromEntries(Object.entries(optional).filter(([, value]) => Object.keys(value).length > 0)),
    }
    return config
  }

  /** The weights as a safetensors file, with `metadata` in its header and a checksum over all of it. */
  save(metadata: Readonly<Record<string, string>> = {}): Uint8Array {
    checkCount('save', 1, arguments)
    const tensors = [...this.namedState()].map(
      ([name, tensor]) => [name, { shape: tensor.shape, data: tensor.data() }] as const,
    )
    return encodeSafetensors(Object.fromEntries(tensors), metadata, { checksum: true })
  }

  /**
   * Takes the weights from a safetensors file; nothing is changed unless all of them fit.
   * @throws FormatError that lists what is missing, left over, of another shape or not finite.
   */
  load(bytes: FileBytes, name = 'weights'): void {
    checkCount('load', 2, arguments)
    this.assign(openSafetensors(bytes, name).tensors, name)
  }

  /** Takes the weights from decoded tensors, checked as `load` does. */
  assign(tensors: ReadonlyMap<string, DecodedTensor>, name: string): void {
    this.#live()
    const { shapes } = this.#check(this.#resolve(undefined, 'load'))
    const needed = new Map<string, Shape>()
    const owners = this.#owners()
    for (const [layer, node] of owners) {
      const input = shapes.get(node.inputs[0] as string) as Shape
      for (const { name: weight, shape } of layer.weights(input)) needed.set(`${node.name}.${weight}`, shape)
    }
    checkState(needed, tensors, name)
    this.#build(false)
    for (const [layer, node] of owners) {
      for (const [weight, tensor] of layer.tensors())
        tensor.assign((tensors.get(`${node.name}.${weight}`) as DecodedTensor).data as Float32Array)
    }
  }

  /** Copies the weights that another model has under the same names and in the same shapes; gives their names. */
  copyFrom(other: Graph, select: (name: string) => boolean = () => true): string[] {
    checkCount('copyFrom', 2, arguments)
    checkModel(other, 'copyFrom: the other')
    checkFunction(select, 'copyFrom: select', 'a function of a name')
    const theirs = other.namedState()
    const common = [...this.namedState()].filter(
      ([name, { shape }]) => select(name) && sameShape(theirs.get(name)?.shape ?? [], shape),
    )
    for (const [name, tensor] of common) tensor.assign((theirs.get(name) as Tensor).data())
    return common.map(([name]) => name)
  }

  /** Frees the weights. */
  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    this.#disposePass()
    for (const layer of this.layers) layer.dispose()
  }

  #live(): void {
    if (this.#disposed) throw new DisposedError('a model was used after dispose()')
  }
}
