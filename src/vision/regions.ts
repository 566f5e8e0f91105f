/**
 * Linear regions: a network of rectifiers is linear wherever the same units are active. On a plane through its inputs these
 * regions are polygons, which a grid of points finds (Montúfar et al. 2014; Raghu et al. 2017; section 6.4.1 of the book).
 */
import type { Graph } from '../nn/graph.js'
import type { GraphNode } from '../nn/wiring.js'
import { maxPool2dWithIndices } from '../ops/pool/max.js'
import { integersAt } from '../runtime/core.js'
import { checkList, checkModel, checkObject, checkWhole } from '../runtime/check.js'
import { ArgumentError, ShapeError, UnsupportedError } from '../runtime/errors.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { inWords } from '../runtime/text.js'
import { tensor } from '../tensor/create.js'
import { sameShape, showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { checkTensor, scope, type Tensor } from '../tensor/tensor.js'
import { linearLayers } from './kinds.js'
import { nodeNamed, onlyInput } from './node.js'
import { paletteOf, type Colour } from './palette.js'
import { tileGrid, type Picture } from './tiles.js'

/** Options of `linearRegions`. */
export interface RegionOptions {
  /**
   * Three inputs of the model, a, b and c, without a batch: the plane is a + s·(b − a) + t·(c − a). Default for a model of two
   * numbers: (0, 0), (1, 0) and (0, 1), so that s and t are its input.
   */
  readonly plane?: readonly [a: Tensor, b: Tensor, c: Tensor]
  /** The least and the greatest s, and t. Default −1 to 1. */
  readonly range?: readonly [low: number, high: number]
  /** Points of the grid along each direction. Default 128. */
  readonly size?: number
  /** Names of the layers whose units are looked at. Default: all that bend. */
  readonly layers?: readonly string[]
  /** Points in one forward pass. Default 128. */
  readonly batchSize?: number
}

const regionNames = { plane: 0, range: 0, size: 0, layers: 0, batchSize: 0 } satisfies Names<RegionOptions>

/** What `linearRegions` gives. */
export interface LinearRegions {
  /** (size, size): rows from the greatest t to the least, columns from the least s to the greatest, as axes are drawn. */
  readonly shape: readonly [number, number]
  /** The region of each point, row by row, numbered from 0 in the order in which they are met. */
  readonly values: Int32Array
  /** Regions that a point of the grid lies in: smaller ones between the points are missed. */
  readonly count: number
  /** Units that are looked at. */
  readonly units: number
}

/** Layers that bend at 0, or choose the largest. */
const bends: ReadonlySet<string> = new Set(['ReLU', 'LeakyReLU', 'ReLU6', 'MaxPool2d'])

/** The layers that bend, and are looked at. @throws UnsupportedError that names a layer which is not piecewise linear */
function bendingNodes(model: Graph, layers: readonly string[] | undefined): readonly GraphNode[] {
  checkModel(model, 'linearRegions: the model')
  if (layers !== undefined) checkList(layers, 'linearRegions: layers', 'a list of names of layers')
  const looked =
    layers?.map((name) => nodeNamed(model, name, 'linearRegions: a layer')) ??
    model.nodes.filter(({ layer }) => bends.has(layer.type))
  const other = looked.find(({ layer }) => !bends.has(layer.type))
  if (other) {
    throw new ArgumentError(
      `linearRegions: layer '${other.name}', ${other.layer.describe()}, does not bend; layers that do are ${[...bends].join(', ')}`,
    )
  }
  const isAnswer = ({ name, layer }: GraphNode): boolean =>
    model.outputs.includes(name) && (layer.type === 'Softmax' || layer.type === 'LogSoftmax')
  const curved = model.nodes.find(
    (node) => !bends.has(node.layer.type) && !linearLayers.has(node.layer.type) && !isAnswer(node),
  )
  if (!curved) return looked
  throw new UnsupportedError(
    `linearRegions: layer '${curved.name}', ${curved.layer.describe()}, is not piecewise linear; a network of rectifiers is needed`,
  )
}

/** The three inputs of the plane, as numbers, and the shape of one. @throws ShapeError when they do not fit the model */
function planeOf(
  model: Graph,
  { plane }: RegionOptions,
): { readonly points: readonly Float32Array[]; readonly shape: Shape } {
  const { input } = model
  if (plane === undefined) {
    if (input && sizeOf(input) === 2) {
      return { points: [[0, 0], [1, 0], [0, 1]].map((point) => Float32Array.from(point)), shape: input } // prettier-ignore
    }
    const of = input ? `takes ${showShape(input)}` : 'does not know its input yet'
    throw new ArgumentError(`linearRegions: the model ${of}, so plane is needed: three inputs that it goes through`)
  }
  if (!Array.isArray(plane) || plane.length !== 3) {
    throw new ArgumentError(`linearRegions: plane must be three inputs of the model, given ${inWords(plane)}`)
  }
  const [first] = plane as readonly Tensor[]
  const points = (plane as Tensor[]).map((point, n) => {
    checkTensor(point, 'linearRegions', `point ${n} of the plane`)
    const due = input ?? (first as Tensor).shape
    if (sameShape(point.shape, due)) return point.data()
    throw new ShapeError(
      `linearRegions: point ${n} of the plane must be ${showShape(due)}, given ${showShape(point.shape)}`,
    )
  })
  return { points, shape: input ?? (first as Tensor).shape }
}

/**
 * Fingerprints of 64 bits, one for each point, of the words that it was given in turn: two states of MurmurHash3 (Appleby 2011)
 * with different constants. Two of 2²⁰ points with different words have the same one with a probability of 3 · 10⁻⁸.
 */
class Fingerprints {
  readonly #states: Int32Array

  constructor(points: number) {
    this.#states = new Int32Array(2 * points).map((_, i) => i % 2)
  }

  /** Takes in a word of 32 bits of a point. */
  add(point: number, word: number): void {
    const states = this.#states
    states[2 * point] = stir(states[2 * point] as number, word, 0xcc9e2d51, 0x1b873593)
    states[2 * point + 1] = stir(states[2 * point + 1] as number, word, 0x85ebca6b, 0xc2b2ae35)
  }

  /** Text that tells points apart. */
  of(point: number): string {
    return `${this.#states[2 * point]},${this.#states[2 * point + 1]}`
  }
}

function stir(state: number, word: number, first: number, second: number): number {
  const scattered = Math.imul(word, first)
  const mixed = state ^ Math.imul((scattered << 15) | (scattered >>> 17), second)
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0
}

/** Takes in which units of a layer are active at each point of a batch, or of a pooling where its maxima lie. Gives the units of a point. */
function addPattern({ layer }: GraphNode, x: Tensor, prints: Fingerprints, first: number): number {
  const N = x.shape[0] as number
  if (layer.type === 'MaxPool2d') {
    const { bits } = maxPool2dWithIndices(x, layer.options as { readonly kernel: number }).indices
    const places = integersAt(bits.pointer, bits.size)
    const units = places.length / N
    places.forEach((place, i) => prints.add(first + Math.floor(i / units), place))
    return units
  }
  const values = x.data()
  const units = values.length / N
  // Two bits of a unit: 0 below the bend, 1 above, 2 above the second one, which ReLU6 has at 6.
  const top = layer.type === 'ReLU6' ? 6 : Infinity
  for (let n = 0; n < N; n++) {
    let word = 0
    for (let unit = 0; unit < units; unit++) {
      const value = values[n * units + unit] as number
      word = (word << 2) | (value >= top ? 2 : value > 0 ? 1 : 0)
      if (unit % 16 < 15 && unit < units - 1) continue
      prints.add(first + n, word)
      word = 0
    }
  }
  return units
}

/**
 * The regions of a plane on which a network of rectifiers is linear, found on a grid of points. Two points are in one region when
 * the same units of ReLU, LeakyReLU and ReLU6 are above their bends and the maxima of MaxPool2d lie at the same places. On a plane
 * such a region is convex, so that no two of them are taken for one.
 *
 * @example
 * const regions = linearRegions(model, { range: [-2, 2], size: 256 })     // of a model of two numbers
 * console.log(regions.count)
 * const picture = regionPicture(regions)
 * @throws ShapeError when the plane or an option does not fit; UnsupportedError that names a layer which is not piecewise linear,
 *   such as a tanh
 */
export function linearRegions(model: Graph, options: RegionOptions = {}): LinearRegions {
  checkCount('linearRegions', 2, arguments)
  checkKeys('linearRegions', options, regionNames)
  const looked = bendingNodes(model, options.layers)
  const input = onlyInput(model, 'linearRegions')
  const { points, shape } = planeOf(model, options)
  const [a, b, c] = points as [Float32Array, Float32Array, Float32Array]
  const [low, high] = checkRange(options.range ?? [-1, 1])
  const size = checkWhole(options.size ?? 128, 'linearRegions: size', 2, 1024)
  const batchSize = checkWhole(options.batchSize ?? 128, 'linearRegions: batchSize', 1, 2 ** 16)
  const at = (step: number): number => low + ((high - low) * step) / (size - 1)
  const prints = new Fingerprints(size * size)
  const units = new Map<string, number>()
  const wanted = [...new Set(looked.map(({ inputs }) => inputs[0] as string))].filter((name) => name !== input)
  for (let first = 0; first < size * size; first += batchSize) {
    const count = Math.min(batchSize, size * size - first)
    scope(() => {
      const values = new Float32Array(count * a.length)
      for (let n = 0; n < count; n++) {
        const [s, t] = [at((first + n) % size), at(size - 1 - Math.floor((first + n) / size))]
        for (let i = 0; i < a.length; i++) {
          const from = a[i] as number
          values[n * a.length + i] = from + s * ((b[i] as number) - from) + t * ((c[i] as number) - from)
        }
      }
      const x = tensor(values, [count, ...shape])
      const read: Record<string, Tensor> = wanted.length > 0 ? model.run(x, wanted, { training: false }) : {}
      read[input] = x
      for (const node of looked) {
        units.set(node.name, addPattern(node, read[node.inputs[0] as string] as Tensor, prints, first))
      }
    })
  }
  const regions = new Map<string, number>()
  const values = Int32Array.from({ length: size * size }, (_, point) => {
    const print = prints.of(point)
    const known = regions.get(print) ?? regions.size
    regions.set(print, known)
    return known
  })
  return { shape: [size, size], values, count: regions.size, units: [...units.values()].reduce((sum, n) => sum + n, 0) }
}

/** @throws ArgumentError unless it is two finite numbers, the smaller one first */
function checkRange(range: readonly [low: number, high: number]): readonly [low: number, high: number] {
  const [low, high] = Array.isArray(range) && range.length === 2 ? range : [Number.NaN, Number.NaN]
  if (Number.isFinite(low) && Number.isFinite(high) && low < high) return [low, high]
  throw new ArgumentError(`linearRegions: range must be two finite numbers in ascending order, given ${inWords(range)}`)
}

/** Six hues at equal distances, light enough for lines on them, and back to the first. */
const wheel = paletteOf([
  ...[[232, 158, 150], [232, 205, 140], [172, 214, 150], [140, 208, 202], [150, 178, 228], [208, 160, 220]],
  [232, 158, 150],
] as unknown as readonly Colour[]) // prettier-ignore

/** The golden ratio's part behind the point: multiples of it lie as far from one another as can be. */
const GOLDEN = 0.618033988749895

/**
 * Regions as a picture: each has a colour, and those that are met one after another have colours far from each other.
 *
 * @param zoom side of the square that a point becomes, in pixels; default 1
 */
export function regionPicture(regions: LinearRegions, zoom = 1): Picture {
  checkCount('regionPicture', 2, arguments)
  checkObject(regions, 'regionPicture: the regions', 'what linearRegions() gives', ['shape', 'values'])
  const values = Float64Array.from(regions.values, (region) => (region * GOLDEN) % 1)
  return tileGrid({ shape: regions.shape, values }, { range: [0, 1], palette: wheel, zoom })
}
