/** Random models in their JSON form, and what must hold of each that is not refused. */
import { vjp } from '../../src/autodiff/vjp.js'
import type { Graph } from '../../src/nn/graph.js'
import { algorithms } from '../../src/plan/conv.js'
import { sum } from '../../src/ops/reduce.js'
import { ToeplitzError } from '../../src/runtime/errors.js'
import { normal } from '../../src/tensor/create.js'
import { sameShape, showShape, sizeOf, type Shape } from '../../src/tensor/shape.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { layerCases, layerTypes, readModel } from '../helpers/layers.js'
import { oddJson, type Json } from './mutate.js'
import { interesting, type Random } from './random.js'
import { expect } from './target.js'

type Options = { [key: string]: Json }

const PADDINGS = ['valid', 'same', 'full']
const ALGORITHMS = ['auto', 'auto', ...Object.keys(algorithms)]
const MODES = ['zeros', 'zeros', 'reflect', 'replicate', 'circular']
const INITIALIZERS: readonly Json[] = [
  ...['zeros', 'normal', 'uniform', 'glorot', 'he', 'lecun', 'orthogonal'],
  ...[
    { name: 'constant', value: 2 },
    { name: 'normal', std: 0.5 },
    { name: 'he', gain: 2, distribution: 'uniform' },
  ],
]

/** Extents for each direction: one number, or one for each. */
const extents = (random: Random, directions: number, most: number, least = 1): Json =>
  random.chance(0.6) ? random.between(least, most) : random.list(directions, () => random.between(least, most))

const padding = (random: Random, directions: number): Json =>
  random.pick([
    () => random.pick(PADDINGS),
    () => random.between(0, 3),
    () => random.list(directions, () => [random.between(0, 3), random.between(0, 3)]),
  ])()

/** Some of the options, each from its own choice. */
function some(random: Random, choices: Readonly<Record<string, () => Json>>, share = 0.3): Options {
  return Object.fromEntries(
    Object.entries(choices)
      .filter(() => random.chance(share))
      .map(([name, choose]) => [name, choose()]),
  )
}

const directionsOf = (type: string): number => Number(/(\d)d$/.exec(type)?.[1] ?? 2)

function kernelOptions(random: Random, directions: number): Options {
  return {
    outChannels: random.pick([1, 2, 3, 4, 6, 8, 16, 17]),
    kernel: extents(random, directions, directions === 3 ? 3 : 5),
    ...some(
      random,
      {
        bias: () => random.chance(0.5),
        weightInit: () => random.pick(INITIALIZERS),
        biasInit: () => random.pick(INITIALIZERS),
      },
      0.15,
    ),
  }
}

const convOptions = (random: Random, directions: number): Options =>
  some(random, {
    stride: () => extents(random, directions, 3),
    padding: () => padding(random, directions),
    dilation: () => extents(random, directions, 3),
    groups: () => random.pick([1, 2, 3, 4]),
    flip: () => random.chance(0.5),
    paddingMode: () => random.pick(MODES),
    algorithm: () => random.pick(ALGORITHMS),
  })

/** Options that a layer of a type may well have; `input` is a guess at what it will be given. */
function optionsOf(type: string, input: Shape, random: Random): Options {
  const directions = directionsOf(type)
  const C = input[0] ?? 1
  if (/^Conv\dd$/.test(type)) return { ...kernelOptions(random, directions), ...convOptions(random, directions) }
  if (type.startsWith('ConvTranspose')) {
    return {
      ...kernelOptions(random, directions),
      ...some(random, {
        stride: () => extents(random, directions, 3),
        padding: () => extents(random, directions, 2, 0),
        outputPadding: () => extents(random, directions, 2, 0),
        dilation: () => extents(random, directions, 2),
        groups: () => random.pick([1, 2, 3]),
        outputSize: () => random.list(directions, () => random.between(1, 12)),
        algorithm: () => random.pick(ALGORITHMS),
        flip: () => random.chance(0.5),
      }),
    }
  }
  const sliding = (): Options => ({
    kernel: extents(random, directions, 4),
    ...some(random, { stride: () => extents(random, directions, 3), ceil: () => random.chance(0.5) }),
  })
  if (type.startsWith('MaxPool')) {
    return {
      ...sliding(),
      ...some(random, { padding: () => padding(random, directions), dilation: () => extents(random, directions, 2) }),
    }
  }
  if (type.startsWith('AvgPool')) {
    return {
      ...sliding(),
      ...some(random, { padding: () => padding(random, directions), countIncludePad: () => random.chance(0.5) }),
    }
  }
  switch (type) {
    case 'LPPool2d':
      return { ...sliding(), ...some(random, { p: () => random.pick([1, 2, 3, 0.5]) }) }
    case 'Subsample2d':
      return { kernel: extents(random, 2, 3) }
    case 'AdaptiveAvgPool2d':
    case 'AdaptiveMaxPool2d':
      return { outputSize: random.chance(0.2) ? [null, random.between(1, 5)] : extents(random, 2, 6) }
    case 'Maxout':
      return { groupSize: random.pick([1, 2, 3, C]) }
    case 'LeakyReLU':
      return some(random, { negativeSlope: () => random.pick([0, 0.1, 1]) })
    case 'ELU':
      return some(random, { alpha: () => random.pick([0.5, 1, 2]) })
    case 'GELU':
      return some(random, { approximate: () => random.pick(['none', 'tanh']) })
    case 'Softplus':
      return some(random, { beta: () => random.pick([0.5, 1, 3]), threshold: () => random.pick([1, 20]) })
    case 'Softmax':
      return some(random, { inLoss: () => random.chance(0.5) })
    case 'BatchNorm1d':
    case 'BatchNorm2d':
    case 'BatchNorm3d':
      return some(random, {
        numFeatures: () => C,
        eps: () => random.pick([0, 1e-5, 0.1]),
        momentum: () => random.pick([0, 0.1, 1]),
        affine: () => random.chance(0.5),
      })
    case 'LocalResponseNorm':
      return {
        size: random.between(1, 6),
        ...some(random, {
          alpha: () => random.pick([1e-4, 1]),
          beta: () => random.pick([0.5, 0.75, 1]),
          k: () => random.pick([1, 2]),
          normalize: () => random.pick(['size', 'none']),
        }),
      }
    case 'Upsample2d':
      return { scale: extents(random, 2, 3), ...some(random, { mode: () => random.pick(['nearest', 'bilinear']) }) }
    case 'Linear':
      return {
        outFeatures: random.between(1, 20),
        ...some(random, {
          inFeatures: () => C,
          bias: () => random.chance(0.5),
          everyPlace: () => input.length === 3,
          weightInit: () => random.pick(INITIALIZERS),
        }),
      }
    case 'LocallyConnected1d':
    case 'LocallyConnected2d':
    case 'TiledConv1d':
    case 'TiledConv2d':
      return {
        ...kernelOptions(random, directions),
        ...(type.startsWith('Tiled') ? { tiles: extents(random, directions, 3) } : {}),
        ...some(random, {
          stride: () => extents(random, directions, 3),
          padding: () => padding(random, directions),
        }),
      }
    case 'SeparableConv2d':
      return {
        kernel: extents(random, 2, 5),
        ...some(random, {
          stride: () => extents(random, 2, 3),
          padding: () => padding(random, 2),
          dilation: () => extents(random, 2, 2),
          flip: () => random.chance(0.5),
          paddingMode: () => random.pick(MODES),
          bias: () => random.chance(0.5),
        }),
      }
    case 'StructuredConv2d':
      return {
        outChannels: random.between(1, 4),
        ...some(random, {
          order: () => random.between(0, 4),
          sigma: () => random.pick([0.3, 0.7, 1, 2]),
          kernel: () => extents(random, 2, 5),
          stride: () => extents(random, 2, 3),
          padding: () => padding(random, 2),
          dilation: () => extents(random, 2, 2),
          paddingMode: () => random.pick(MODES),
          bias: () => random.chance(0.5),
        }),
      }
    case 'ClusterPool':
      return {
        clusters: random.chance(0.5) ? random.between(1, 5) : random.list(input.length - 1, () => random.between(1, 3)),
        ...some(random, {
          of: () => random.pick(['places', 'channels']),
          location: () => random.pick([0, 1, 10]),
          rounds: () => random.between(1, 5),
          pool: () => random.pick(['max', 'mean']),
        }),
      }
    case 'LearnedPool2d':
      return {
        kernel: extents(random, 2, 4),
        ...some(random, {
          stride: () => extents(random, 2, 3),
          padding: () => padding(random, 2),
          weights: () => random.pick(['softmax', 'free']),
          shared: () => random.chance(0.5),
          weightInit: () => random.pick(INITIALIZERS),
        }),
      }
    case 'ChannelPool':
      return {
        groups: C > 2 ? [[C - 1, 0], [1]] : [[0]], // prettier-ignore
        ...some(random, { pool: () => random.pick(['max', 'mean']) }),
      }
    case 'PermutePixels':
      return some(random, { seed: () => random.between(0, 9) })
    case 'GroupNorm':
      return {
        groups: random.pick([1, 2, 3, C]),
        ...some(random, { eps: () => random.pick([0, 1e-5]), affine: () => random.chance(0.5) }),
      }
    case 'LayerNorm':
      return some(random, {
        normalizedShape: () => random.pick([[...input], [...input.slice(1)], input.at(-1) ?? 1]),
        affine: () => random.chance(0.5),
      })
    case 'Reshape':
      return { shape: random.pick([[-1], [C, -1], [1, -1], [-1, 2], [...input, 1]]) }
    case 'Slice':
      return some(
        random,
        {
          begin: () => random.list(random.between(1, input.length), () => random.between(-2, 2)),
          end: () => random.list(random.between(1, input.length), () => random.between(-2, 5)),
        },
        0.6,
      )
    case 'Split':
      return { parts: random.pick([1, 2, C]), part: random.pick([0, 0, 1]) }
    case 'ConnectedConv2d':
      return {
        kernel: extents(random, 2, 4),
        table: random.list(random.between(1, 5), () => random.list(C > 32 ? 1 : C, () => random.chance(0.7))),
        ...some(random, {
          stride: () => extents(random, 2, 2),
          padding: () => padding(random, 2),
          paddingMode: () => random.pick(MODES),
          bias: () => random.chance(0.5),
        }),
      }
    case 'Dropout':
      return some(random, { p: () => random.pick([0, 0.3, 0.5, 1]) })
    case 'RBF': {
      const units = random.between(1, 5)
      const codes = random.list(units, () => random.list(C > 64 ? 1 : C, () => random.pick(['#', '.'])).join(''))
      return {
        units,
        ...some(random, { codes: () => codes, trained: () => random.chance(0.5), bias: () => random.chance(0.5) }),
      }
    }
    default:
      return (layerCases[type]?.options ?? {}) as Options
  }
}

/** Types that take inputs of as many directions as `input`. */
function typesFor(input: Shape, random: Random): string {
  if (random.chance(0.04)) return random.pick(layerTypes)
  const pointwise = layerTypes.filter((type) => layerCases[type]?.keepsShape)
  const own = layerTypes.filter((type) => {
    if (/^(GroupNorm|LayerNorm|Reshape|Slice|Split|ChannelPool)$/.test(type)) return true
    if (input.length === 1) return ['Linear', 'BatchNorm1d', 'RBF', 'Maxout'].includes(type)
    if (type === 'RBF') return input.length === 3
    if (type === 'Flatten' || type === 'ClusterPool') return true
    return (
      /\dd$|^Global|^Maxout|^LocalResponseNorm|^Linear$/.test(type) &&
      (directionsOf(type) === input.length - 1 || /^Global|^Maxout/.test(type))
    )
  })
  return random.pick(random.chance(0.25) ? pointwise : own)
}

/** A layer, and a guess at its output, by making a model of it alone: one that does not fit is tried again, most often. */
function layerFor(input: Shape, random: Random, tries = 4): { config: Options; output: Shape } {
  const type = typesFor(input, random)
  const config: Options = { type, ...optionsOf(type, input, random) }
  if (random.chance(0.05)) {
    const names = Object.keys(config).filter((name) => name !== 'type')
    const name = names.length > 0 && random.chance(0.8) ? random.pick(names) : random.pick(['kernel', 'extra', 'bias'])
    config[name] = random.chance(0.5) ? random.pick(interesting) : oddJson(random)
  }
  let output = input
  try {
    output = readModel({ type: 'Sequential', input: [...input], layers: [config] }).outputShape()
  } catch {
    if (tries > 1 && random.chance(0.95)) return layerFor(input, random, tries - 1)
  }
  return { config, output }
}

const startOf = (random: Random): Shape => {
  const channels = random.pick([1, 2, 3, 4, 6, 8, 12])
  const directions = random.pick([0, 1, 2, 2, 2, 2, 2, 2, 3])
  const most = [0, 40, 16, 7][directions] as number
  return [channels, ...random.list(directions, () => random.between(1, most))]
}

/** A chain of layers. */
function chain(random: Random): Json {
  const input = startOf(random)
  const layers: Json[] = []
  let shape = input
  for (let left = random.between(1, 6); left > 0; left--) {
    if (layers.length > 0 && random.chance(0.03)) {
      layers.push({ shares: random.below(layers.length + 1) })
      continue
    }
    const { config, output } = layerFor(shape, random)
    layers.push(config)
    shape = output
  }
  return { type: 'Sequential', input: random.chance(0.9) ? [...input] : null, layers }
}

/** Branches that part and join. */
function graph(random: Random): Json {
  const input = startOf(random)
  const inputs: { [name: string]: Json } = { x: [...input] }
  const shapes: [name: string, shape: Shape][] = [['x', input]]
  if (random.chance(0.2)) {
    const second = random.chance(0.5) ? input : startOf(random)
    inputs['z'] = [...second]
    shapes.push(['z', second])
  }
  const nodes: Json[] = []
  const read = new Set<string>()
  for (let left = random.between(1, 7); left > 0; left--) {
    const name = random.chance(0.02) ? random.pick(['x', '__proto__', 'a.b', '']) : `n${nodes.length}`
    const joining = shapes.length > 1 && random.chance(0.35)
    if (joining) {
      const [first, shape] = random.pick(shapes)
      const alike = shapes.filter(([, other]) => sameShape(other.slice(1), shape.slice(1)))
      const names = [first, ...random.list(random.between(1, 2), () => random.pick(alike)[0])]
      const type = random.pick(['Concat', 'Add', 'Add'])
      nodes.push({ name, inputs: names, layer: { type }, ...(random.chance(0.1) ? { block: 'b' } : {}) })
      for (const each of names) read.add(each)
      const channels = names.reduce((total, each) => total + (shapes.find(([known]) => known === each)?.[1][0] ?? 1), 0)
      shapes.push([name, type === 'Add' ? shape : [channels, ...shape.slice(1)]])
    } else {
      const [from, shape] = random.pick(shapes)
      const { config, output } = layerFor(shape, random)
      nodes.push({ name, inputs: [from], layer: config })
      read.add(from)
      shapes.push([name, output])
    }
  }
  const ends = shapes.map(([name]) => name).filter((name) => !read.has(name) && !Object.hasOwn(inputs, name))
  const order = random.chance(0.2) ? random.shuffled(nodes) : nodes
  return {
    type: 'Graph',
    inputs,
    nodes: order,
    outputs: ends,
    ...(random.chance(0.1) ? { auxiliary: { n0: 0.3 } } : {}),
  }
}

/** A model as JSON, whole most of the time. */
export const randomModel = (random: Random): Json => (random.chance(0.7) ? chain(random) : graph(random))

/** Bytes and operations up to which a model is run, not only described. */
const MOST_BYTES = 2 ** 26
const MOST_OPERATIONS = 3e7

const bits = (tensor: Tensor): Int32Array =>
  new Int32Array(tensor.data().map((value) => (Number.isNaN(value) ? NaN : value)).buffer)

function sameBits(a: Int32Array, b: Int32Array): boolean {
  return Buffer.compare(Buffer.from(a.buffer), Buffer.from(b.buffer)) === 0
}

/** Inputs by name, small random numbers. */
function inputsOf(shapes: ReadonlyMap<string, Shape>, batch: number): Record<string, Tensor> {
  return Object.fromEntries([...shapes].map(([name, shape], seed) => [name, normal([batch, ...shape], { seed })]))
}

/**
 * What must hold of a model: shapes as stated, the same bits however often it runs, as its own copy gives, gradients of
 * the inputs' shapes. `given` are the inputs where the model does not tell them.
 */
export function examine(model: Graph, given: Shape | undefined, batch: number): void {
  const json = JSON.parse(JSON.stringify(model)) as {
    type: string
    inputs?: Record<string, number[] | null>
    input?: number[] | null
  }
  const known = json.inputs ?? { input: json.input ?? null }
  const shapes = new Map(Object.entries(known).map(([name, shape]) => [name, shape ?? given ?? [1]] as const))
  const stated = Object.fromEntries(shapes)
  const summary = model.summary(stated, { batch })
  const { total } = summary.toJSON()
  String(summary)
  String(model.explain(stated, { batch }))
  const inferred = model.shapes(stated)
  const outputs = new Map(model.nodes.map(({ name }, i) => [name, inferred[i] as Shape]))
  for (const [name, shape] of outputs) {
    expect(
      shape.every((extent) => Number.isSafeInteger(extent) && extent >= 1),
      `node ${name} has the shape ${showShape(shape)}`,
    )
  }
  const values = batch * [...outputs.values(), ...shapes.values()].reduce((sizes, shape) => sizes + sizeOf(shape), 0)
  if (4 * values + total.memory.firstPeak > MOST_BYTES || total.operations * batch > MOST_OPERATIONS) return
  try {
    runModel(model, shapes, outputs, batch)
  } catch (error) {
    const late =
      error instanceof ToeplitzError &&
      error.code !== 'CORE' &&
      !/training needs at least 2 elements/.test(error.message)
    expect(!late, () => `shapes were accepted, but a pass is refused: ${(error as Error).message}`)
    throw error
  }
}

/** The passes of a model whose shapes are known. */
function runModel(
  model: Graph,
  shapes: ReadonlyMap<string, Shape>,
  outputs: ReadonlyMap<string, Shape>,
  batch: number,
): void {
  scope(() => {
    const x = inputsOf(shapes, batch)
    const names = [...outputs.keys()]
    for (const [name, y] of Object.entries(model.run(x, names))) {
      const wanted = [batch, ...(outputs.get(name) as Shape)]
      expect(
        sameShape(y.shape, wanted),
        () => `node ${name} gives ${showShape(y.shape)}, ${showShape(wanted)} is stated`,
      )
    }
    const before = bits(model.forward(x))
    for (let pass = 0; pass < 4; pass++)
      expect(sameBits(bits(model.forward(x)), before), `pass ${pass} gives other bits`)
    const copy = readModel(JSON.parse(JSON.stringify(model)))
    try {
      const saved = model.save()
      // Weights that are not finite are refused, as they should be.
      if ([...model.namedState().values()].every((tensor) => tensor.data().every(Number.isFinite))) {
        copy.load(saved)
        expect(sameBits(bits(copy.forward(x)), before), 'a copy with the same weights gives other bits')
      }
    } finally {
      copy.dispose()
    }
    const first = [...shapes.keys()][0] as string
    const { pullback, dispose } = vjp(
      (input) => sum(model.forwardTraining({ ...x, [first]: input }).output),
      x[first] as Tensor,
    )
    const [gradient] = pullback()
    expect(sameShape((gradient as Tensor).shape, (x[first] as Tensor).shape), 'the gradient has another shape')
    dispose()
    model.eval()
  })
}
