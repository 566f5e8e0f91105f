/** Models from elsewhere as they are run and trained. */
import { isRecording } from '../autodiff/tape.js'
import { ArgumentError, DisposedError, ShapeError, ToeplitzError } from '../runtime/errors.js'
import { checkKeys, checkCount } from '../runtime/options.js'
import { checkList, checkObject } from '../runtime/check.js'
import { inWords } from '../runtime/text.js'
import { checkShape, showShape, type Shape } from '../tensor/shape.js'
import {
  disposeSymbol,
  keep,
  openPlanner,
  restoring,
  scope,
  Tensor,
  UnplannedError,
  type AnyTensor,
} from '../tensor/tensor.js'
import { dropoutStream } from '../tensor/streams.js'
import { withGelu } from './gelu.js'
import { Lru } from './lru.js'
import type { Explanation } from '../nn/explain.js'
import { countOperations, explainProgram, summarizeProgram, type ProgramSummary } from './summary.js'
import { disposeSegment, keyOf, planSegment, type NamedTensors, type RunNode, type Segment } from './segments.js'
import type { ImportedModel, ImportedNode, NodeContext, ProgramValue } from './imported.js'

/** Segments that are kept: of the shapes that were met last. */
const MOST_SEGMENTS = 16

/** What a model that was read has. */
const modelMembers = ['nodes', 'constants', 'inputs', 'outputs']

/** How a pass is made. */
export interface ProgramOptions {
  /** Whether batch normalization and dropout behave as in training; default: as `train()` and `eval()` say. */
  readonly training?: boolean
  /** Seed of what is drawn at random in training. */
  readonly seed?: number
  /** Number of the step, so that dropout draws new numbers. */
  readonly step?: number
}

const optionNames = { training: 0, seed: 0, step: 0 }

/** The nodes that some values need, and from which node on each value is no longer read. */
interface Schedule {
  readonly nodes: readonly ImportedNode[]
  /** Values that are read at or after a node, or wanted. */
  neededFrom(index: number): ReadonlySet<string>
}

/**
 * A model that was read from a file of another library: it is run by names, trained as a layer is, cut at any value.
 *
 *     const program = loadOnnx(bytes)
 *     const { probabilities } = program.run({ image: x })
 */
export class Program {
  /** What is to be given, in the order of the file. */
  readonly inputs: readonly ProgramValue[]
  /** What is computed. */
  readonly outputs: readonly ProgramValue[]
  #model: ImportedModel
  readonly #handles: AnyTensor[]
  readonly #schedules = new Map<string, Schedule>()
  readonly #segments = new Lru<Segment>(MOST_SEGMENTS, disposeSegment)
  /** Nodes from which on a plan goes further where whole numbers are known. */
  readonly #knownFrom = new Map<string, boolean>()
  #training = false
  #steps = 0
  #disposed = false

  /** Shares the constants of the model. @internal */
  constructor(model: ImportedModel) {
    checkObject(model, 'Program: what it is made of', 'what loadOnnx() or loadTfjs() reads', modelMembers)
    this.#model = { ...model, nodes: withGelu(model) }
    this.inputs = model.inputs
    this.outputs = model.outputs
    this.#handles = [...model.constants.values()]
  }

  /** Whether batch normalization and dropout behave as in training. */
  get training(): boolean {
    return this.#training
  }

  /** Lets batch normalization and dropout behave as in training. */
  train(): this {
    this.#training = true
    return this
  }

  /** Lets them behave as in use. */
  eval(): this {
    this.#training = false
    return this
  }

  /** The weights that are trained. */
  parameters(): Tensor[] {
    return [...this.namedParameters().values()]
  }

  /** The same by the names that they have in the file. */
  namedParameters(): Map<string, Tensor> {
    this.#live()
    return new Map(this.#model.parameters)
  }

  /** Statistics that training moves, by the names that they have in the file. */
  namedBuffers(): Map<string, Tensor> {
    this.#live()
    return new Map(this.#model.buffers)
  }

  /** What errors call it. */
  get name(): string {
    return this.#model.name
  }

  /** Multiplications and additions for the only input of a shape, as layers count them. @internal */
  operations(shape: Shape): number {
    const shapes = this.#shapes('operations', { [this.inputs[0]?.name as string]: shape })
    return countOperations(this.#needed(), shapes, this.#inUse)
  }

  /** Says which of the constants are trained; of the others those that could be keep statistics. @internal */
  setTrained(names: ReadonlySet<string>): void {
    const { parameters, buffers } = this.#model
    const state = [...parameters, ...buffers]
    const pick = (isTrained: boolean): Map<string, Tensor> =>
      new Map(state.filter(([name]) => names.has(name) === isTrained))
    this.#model = { ...this.#model, parameters: pick(true), buffers: pick(false) }
  }

  /** Everything that the program keeps, by the names that it has in the file. @internal */
  namedConstants(): ReadonlyMap<string, AnyTensor> {
    this.#live()
    return this.#model.constants
  }

  #live(): void {
    if (this.#disposed)
      throw new DisposedError(`${this.#model.name}: the program was used after it was disposed; load it again`)
  }

  /**
   * Values by name: all outputs, or those that are wanted, which may be any value of the graph.
   * @throws ShapeError when an input is missing, unknown, or of another type or shape than the file says
   */
  run(
    given: Tensor | Readonly<Record<string, AnyTensor>>,
    wanted?: readonly string[],
    options: ProgramOptions = {},
  ): Record<string, AnyTensor> {
    checkCount('run', 3, arguments)
    this.#live()
    checkKeys('run', options, optionNames)
    const values = this.#given(given)
    const names = wanted ?? this.outputs.map(({ name }) => name)
    checkList(names, 'run: wanted', 'a list of names of values')
    const schedule = this.#schedule(names)
    const training = options.training ?? this.#training
    const step = options.step ?? (training ? this.#steps : 0)
    const context = { training, seed: options.seed ?? 0, stream: step * this.#model.nodes.length }
    if (training || isRecording() || openPlanner()) {
      const pass = (): Record<string, AnyTensor> => scope(() => this.#interpret(schedule, values, names, context))
      if (!training) return pass()
      const results = restoring([...this.#model.buffers.values()], pass)
      if (options.step === undefined) this.#steps++
      return results
    }
    return scope(() => this.#runPlanned(schedule, values, names, context))
  }

  /** The first output for the only input, or for inputs by name. */
  forward(x: Tensor | Readonly<Record<string, AnyTensor>>, options: ProgramOptions = {}): Tensor {
    const [first] = this.outputs as readonly [ProgramValue]
    return scope(() => this.run(x, [first.name], options)[first.name] as Tensor)
  }

  /**
   * The nodes that the outputs need, with what they give and the weights that they read, for inputs of these shapes; without them
   * extents that may vary are 1. Nothing is computed.
   * @throws ShapeError where an input's shape is not known or does not fit
   */
  summary(shapes: Readonly<Record<string, Shape>> = {}): ProgramSummary {
    checkCount('summary', 1, arguments)
    return summarizeProgram(this.#needed(), this.#shapes('summary', shapes), this.#inUse)
  }

  /**
   * Which algorithms compute the convolutions for inputs of these shapes, as those of `summary`, what the others would cost, and why some
   * cannot be; `toString()` is a table.
   * @throws ShapeError where an input's shape is not known or does not fit
   */
  explain(shapes: Readonly<Record<string, Shape>> = {}): Explanation {
    checkCount('explain', 1, arguments)
    return explainProgram(this.#needed(), this.#shapes('explain', shapes), this.#inUse)
  }

  /** The model without nodes that no output needs. */
  #needed(): ImportedModel {
    this.#live()
    return { ...this.#model, nodes: this.#schedule(this.outputs.map(({ name }) => name)).nodes }
  }

  /** Computes a node as outside of training. */
  readonly #inUse: RunNode = (node, index, inputs) =>
    this.#compute(node, index, inputs, { training: false, seed: 0, stream: 0 })

  /** Shapes of all inputs: those that are given, and 1 where others may vary. */
  #shapes(what: string, shapes: Readonly<Record<string, Shape>>): ReadonlyMap<string, Shape> {
    this.#live()
    checkKeys(what, shapes, Object.fromEntries(this.inputs.map(({ name }) => [name, 0])))
    return new Map(
      this.inputs.map(({ name, shape }) => {
        const own = shapes[name] ?? shape?.map((extent) => (typeof extent === 'number' ? extent : 1))
        if (!own) throw new ArgumentError(`${what}: the file does not tell the shape of '${name}'; give it`)
        return [name, checkShape(own, `${what}: '${name}'`, 0)] as const
      }),
    )
  }

  /** A program of the same weights that ends at a value: its features, for another task. @throws ShapeError where there is none */
  until(value: string): Program {
    checkCount('until', 1, arguments)
    this.#live()
    const { nodes } = this.#schedule([value])
    const read = new Set([...nodes.flatMap(({ inputs }) => inputs), value])
    const pick = <T>(all: ReadonlyMap<string, T>): Map<string, T> =>
      new Map([...all].filter(([name]) => read.has(name)))
    // Handles of its own on the same memory, so that either can be disposed first.
    const constants = new Map([...pick(this.#model.constants)].map(([name, x]) => [name, keep(x.alias())]))
    const own = (all: ReadonlyMap<string, Tensor>): Map<string, Tensor> =>
      new Map([...pick(all)].map(([name]) => [name, constants.get(name) as Tensor]))
    return programOf({
      name: this.#model.name,
      inputs: this.inputs.filter(({ name }) => read.has(name)),
      outputs: [this.outputs.find(({ name }) => name === value) ?? { name: value, dtype: 'float32', shape: undefined }],
      nodes,
      constants,
      parameters: own(this.#model.parameters),
      buffers: own(this.#model.buffers),
    })
  }

  /** Gives back weights and plans; a second call does nothing. */
  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    this.#segments.clear()
    for (const x of this.#handles) x.dispose()
  }

  /** For `using`: as `dispose`. */
  [disposeSymbol](): void {
    this.dispose()
  }

  #given(given: Tensor | Readonly<Record<string, AnyTensor>>): Map<string, AnyTensor> {
    const { inputs } = this
    const names = inputs.map(({ name }) => name)
    let values: Map<string, AnyTensor>
    if (given instanceof Tensor) {
      if (inputs.length !== 1) {
        throw new ArgumentError(
          `run: the model has the inputs ${names.join(', ') || 'none'}; give an object with one for each`,
        )
      }
      values = new Map([[names[0] as string, given]])
    } else if (given === null || typeof given !== 'object') {
      throw new ArgumentError(
        `run: give a Tensor, or an object with one for each of ${names.join(', ')}, not ${inWords(given)}`,
      )
    } else values = new Map(Object.entries(given))
    for (const name of values.keys()) {
      if (!names.includes(name)) {
        throw new ArgumentError(`run: there is no input ${inWords(name)}; the model has ${names.join(', ') || 'none'}`)
      }
    }
    const extents = new Map<string, number>()
    for (const { name, dtype, shape } of inputs) {
      const x: unknown = values.get(name)
      if (!(x instanceof Tensor)) {
        throw new ArgumentError(
          `run: input '${name}' must be a Tensor, ${x === undefined ? 'and is missing' : `not ${inWords(x)}`}; the model has ${names.join(', ')}`,
        )
      }
      x.assertLive()
      if (x.dtype !== dtype) {
        throw new ArgumentError(
          `run: input '${name}' must be of ${dtype}, given ${x.dtype}; convert it with cast(x, '${dtype}')`,
        )
      }
      if (shape === undefined) continue
      const fits =
        x.ndim === shape.length &&
        shape.every((extent, axis) => {
          const own = x.shape[axis] as number
          if (extent === null) return true
          if (typeof extent === 'number') return own === extent
          const before = extents.get(extent)
          extents.set(extent, before ?? own)
          return before === undefined || before === own
        })
      if (!fits) {
        throw new ShapeError(
          `run: input '${name}' must be (${shape.map((extent) => extent ?? '?').join(', ')}), given ${showShape(x.shape)}`,
        )
      }
    }
    return values
  }

  /** The nodes that values need, in order. */
  #schedule(wanted: readonly string[]): Schedule {
    const key = JSON.stringify(wanted)
    const known = this.#schedules.get(key)
    if (known) return known
    const model = this.#model
    const makers = new Map(model.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)))
    const others = new Set([...this.inputs.map(({ name }) => name), ...model.constants.keys()])
    for (const name of wanted) {
      if (typeof name !== 'string' || name === '' || !(makers.has(name) || others.has(name))) {
        throw new ArgumentError(
          `${model.name}: there is no value ${inWords(name)}; outputs are ${this.outputs.map((output) => output.name).join(', ')}`,
        )
      }
    }
    const needed = new Set<ImportedNode>()
    const open = [...wanted]
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      const node = makers.get(name)
      if (!node || needed.has(node)) continue
      needed.add(node)
      open.push(...node.inputs)
    }
    const nodes = model.nodes.filter((node) => needed.has(node))
    const sets = new Map<number, ReadonlySet<string>>()
    const schedule: Schedule = {
      nodes,
      neededFrom(index) {
        let set = sets.get(index)
        if (!set) {
          set = new Set([
            ...nodes.slice(index).flatMap(({ inputs }) => inputs.filter((name) => name !== '')),
            ...wanted,
          ])
          sets.set(index, set)
        }
        return set
      },
    }
    this.#schedules.set(key, schedule)
    return schedule
  }

  /** Computes a node; what fails tells which one it is. */
  #compute(
    node: ImportedNode,
    place: number,
    inputs: readonly (AnyTensor | undefined)[],
    context: NodeContext,
  ): readonly AnyTensor[] {
    const planner = openPlanner()
    if (planner) planner.owner = node.name
    try {
      return scope(() => node.compute(inputs, { ...context, stream: dropoutStream(context.stream + place) }))
    } catch (error) {
      if (error instanceof ToeplitzError && !(error instanceof UnplannedError)) {
        error.message = `${this.#model.name}: node '${node.name}' (${node.operator}): ${error.message}`
      }
      throw error
    }
  }

  /** One node after another, each value only as long as it is needed. */
  #interpret(
    { nodes }: Schedule,
    given: NamedTensors,
    wanted: readonly string[],
    context: NodeContext,
  ): Record<string, AnyTensor> {
    const values = new Map<string, AnyTensor>([...this.#model.constants, ...given])
    const made = new Map<string, AnyTensor>()
    const last = new Map<string, number>()
    nodes.forEach(({ inputs }, index) => {
      for (const name of inputs) last.set(name, index)
    })
    for (const name of wanted) last.delete(name)
    nodes.forEach((node, index) => {
      const outputs = this.#compute(
        node,
        index,
        node.inputs.map((name) => values.get(name)),
        context,
      )
      node.outputs.forEach((name, place) => {
        const y = outputs[place]
        if (name === '' || !y) return
        values.set(name, y)
        made.set(name, y)
      })
      for (const name of node.inputs) {
        if (last.get(name) !== index) continue
        made.get(name)?.dispose()
        made.delete(name)
      }
    })
    return handedOut(wanted, values)
  }

  /** Segments, and between them nodes that read numbers. */
  #runPlanned(
    schedule: Schedule,
    given: NamedTensors,
    wanted: readonly string[],
    context: NodeContext,
  ): Record<string, AnyTensor> {
    const { nodes, neededFrom } = schedule
    const { constants } = this.#model
    const which = wanted.join('\n')
    let live = new Map(given)
    for (let at = 0; at < nodes.length;) {
      const needed = neededFrom(at)
      live = new Map([...live].filter(([name]) => needed.has(name)))
      const segment = this.#segment(schedule, which, at, live, context)
      const next = new Map(live)
      for (const [name, x] of segment.known) next.set(name, x)
      if (segment.program) {
        for (const [name, y] of Object.entries(segment.program.run(live))) next.set(name, y)
      }
      live = next
      at = segment.end
      if (at >= nodes.length) break
      const node = nodes[at] as ImportedNode
      const values = new Map<string, AnyTensor>([...constants, ...live])
      const outputs = this.#compute(
        node,
        at,
        node.inputs.map((name) => values.get(name)),
        context,
      )
      node.outputs.forEach((name, place) => {
        if (name !== '' && outputs[place]) live.set(name, outputs[place])
      })
      at++
    }
    return handedOut(wanted, new Map([...constants, ...live]))
  }

  /** The segment from a node on; it is planned for the numbers of whole tensors where it goes further then. */
  #segment(schedule: Schedule, which: string, at: number, live: NamedTensors, context: NodeContext): Segment {
    const plan = (isKnown: boolean): { readonly key: string; readonly segment: Segment } => {
      const key = `${which};${keyOf(at, live, isKnown)}`
      const found = this.#segments.get(key)
      if (found && (found.program?.current ?? true)) return { key, segment: found }
      const segment = planSegment(
        schedule.nodes,
        at,
        live,
        this.#model.constants,
        isKnown,
        schedule.neededFrom,
        (node, index, inputs) => this.#compute(node, index, inputs, context),
      )
      this.#segments.set(key, segment)
      return { key, segment }
    }
    const from = `${which};${at}`
    const choice = this.#knownFrom.get(from)
    if (choice !== undefined) return plan(choice).segment
    const { segment } = plan(false)
    if (segment.end === schedule.nodes.length) {
      this.#knownFrom.set(from, false)
      return segment
    }
    const known = plan(true).segment
    const isFurther = known.end > segment.end
    this.#knownFrom.set(from, isFurther)
    return isFurther ? known : plan(false).segment
  }
}

/** A program of a model. The class does not name itself, or esbuild would give it another name. */
const programOf = (model: ImportedModel): Program => new Program(model)

/** Results that the caller owns: handles of their own. */
function handedOut(wanted: readonly string[], values: NamedTensors): Record<string, AnyTensor> {
  return Object.fromEntries(wanted.map((name) => [name, (values.get(name) as AnyTensor).alias()]))
}
