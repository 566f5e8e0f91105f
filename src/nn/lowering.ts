/** Passes through layers: computed one after another, or noted as operations by which a pass is planned. */
import { measurePlan, type PassMemory } from '../graph/memory.js'
import { planPass, type Plan } from '../graph/plan.js'
import { trace, type Trace } from '../graph/trace.js'
import type { Values } from '../graph/program.js'
import { ArgumentError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import type { Shape } from '../tensor/shape.js'
import { dropoutStream } from '../tensor/streams.js'
import { openPlanner, owned, Tensor } from '../tensor/tensor.js'
import type { ForwardContext, Layer } from './layer.js'
import type { Shapes, Step } from './schedule.js'

/** How a pass is made. */
export interface PassContext extends Pick<ForwardContext, 'training' | 'seed' | 'step'> {
  /** Nodes of the whole model: each has a stream of random numbers in each step. */
  readonly nodes: number
}

/** The values that are left after some steps. */
export function runLayers(
  steps: readonly Step[],
  given: Values,
  { nodes, ...context }: PassContext,
  tracer?: Trace,
): Values {
  const values = new Map(given)
  const planner = openPlanner()
  for (const { node, last, place, relu } of steps) {
    const stream = dropoutStream(context.step * nodes + place)
    const read = node.inputs.map((name) => values.get(name) as Tensor) as [Tensor, ...Tensor[]]
    const [first, ...others] = read
    let y: Tensor
    if (planner) planner.owner = node.name
    if (tracer) y = note(tracer, node.name, node.layer, read, { ...context, stream })
    else if (relu === 'done') y = first
    else y = node.layer.forward(first, { ...context, stream, relu: relu === 'here' }, ...others)
    if (!(y instanceof Tensor)) {
      throw new ArgumentError(
        `layer ${node.name}, ${node.layer.describe()}: forward must return a Tensor, not ${inWords(y)}`,
      )
    }
    // A layer that hands on its input, or a tensor that it keeps, gives a handle of its own.
    values.set(node.name, read.includes(y) ? y.alias() : owned(y))
    for (const name of last) {
      values.get(name)?.dispose()
      values.delete(name)
    }
  }
  return values
}

/** Notes what a layer computes: its operations, or where it says so for itself what it says of them. */
function note(
  tracer: Trace,
  name: string,
  layer: Layer,
  read: readonly [Tensor, ...Tensor[]],
  context: ForwardContext,
): Tensor {
  const [first, ...others] = read
  const [batch = 1, ...input] = first.shape
  let y: Tensor
  if (layer.isLowered) y = layer.forward(first, context, ...others)
  else {
    const shape = [batch, ...layer.outputShape(input, ...others.map((tensor) => tensor.shape.slice(1)))]
    y = layer.sharesInput()
      ? first.reshape(shape)
      : tracer.opaque(
          layer.type,
          Object.fromEntries(read.map((tensor, index) => [`x${index}`, tensor])),
          shape,
          layer.footprint(batch, input).workspace,
        )
  }
  tracer.results.set(name, tracer.valueOf(y))
  return y
}

/** What a pass is planned by. */
export interface Lowering {
  readonly steps: readonly Step[]
  /** Shapes of the inputs with the batch. */
  readonly inputs: Shapes
  /** Those of all nodes and inputs without it. */
  readonly shapes: Shapes
  readonly wanted: readonly string[]
}

/**
 * The plan of a pass outside of training, whose constants are the caller's to dispose; undefined where what a layer computes
 * depends on numbers. Layers that have no weights yet get some without numbers: such a plan tells sizes and cannot be run.
 */
export function lower({ steps, inputs, shapes, wanted }: Lowering): Plan | undefined {
  const bare = new Map<Layer, Shape>()
  for (const { node } of steps) {
    if (!node.layer.built && !bare.has(node.layer)) bare.set(node.layer, shapes.get(node.inputs[0] as string) as Shape)
  }
  try {
    const traced = trace(inputs, (given, tracer) => {
      for (const [layer, input] of bare) layer.planWeights(input, (shape) => tracer.weight(shape))
      const values = runLayers(steps, given, { training: false, seed: 0, step: 0, nodes: 1 }, tracer)
      return new Map(wanted.map((name) => [name, values.get(name) as Tensor]))
    })
    try {
      return traced && planPass(traced)
    } catch (error) {
      if (traced) disposePlan({ traced })
      throw error
    }
  } finally {
    for (const layer of bare.keys()) layer.planWeights()
  }
}

/** Gives back what a plan has of the weights. */
export function disposePlan({ traced }: Pick<Plan, 'traced'>): void {
  for (const constant of traced.constants) constant.dispose()
}

/** What a pass takes; undefined where that depends on numbers. */
export function measureLowering(lowering: Lowering): PassMemory | undefined {
  const plan = lower(lowering)
  if (!plan) return undefined
  try {
    return measurePlan(plan)
  } finally {
    disposePlan(plan)
  }
}
