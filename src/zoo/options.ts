/** What every architecture of the zoo can be told, and how their nodes are written down. */
import type { ModelOptions, NodeOptions } from '../nn/graph.js'
import type { Initializer } from '../nn/initialize.js'
import type { Layer } from '../nn/layer.js'
import { wrongKind } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { perDirection } from '../plan/window.js'
import { inWords } from '../runtime/text.js'
import type { Names } from '../runtime/options.js'
import { checkShape, showShape, type Shape } from '../tensor/shape.js'

/** Options that every network takes. */
export interface ZooOptions extends ModelOptions {
  /** (C, H, W) of the images. Default: the paper's. */
  readonly input?: readonly [C: number, H: number, W: number]
  /** Default: the paper's. */
  readonly classes?: number
  /** Factor on the number of feature maps and hidden units; default 1. */
  readonly width?: number
  /** Of all weights; default: the paper's. */
  readonly weightInit?: Initializer
}

/** Names of the options that every network takes. */
export const zooNames = {
  input: 0,
  classes: 0,
  width: 0,
  weightInit: 0,
  seed: 0,
  keepPacked: 0,
} satisfies Names<ZooOptions>

/** The shape of the images that a network is made for. @throws ShapeError unless it is (C, H, W) */
export function imageShape(input: Shape, name: string): [C: number, H: number, W: number] {
  const shape = checkShape(input, `${name}: input`)
  if (shape.length !== 3) throw new ShapeError(`${name}: the input must be (C, H, W), given ${showShape(shape)}`)
  return shape as [number, number, number]
}

/** The options of the graph that is made, apart from its structure. */
export const modelOptions = ({ seed, keepPacked }: ModelOptions): ModelOptions => ({
  ...(seed === undefined ? {} : { seed }),
  ...(keepPacked === undefined ? {} : { keepPacked }),
})

/** Numbers of maps scaled by `width`, to multiples of `multiple`. @throws ShapeError when width is not above 0. */
export function scaler(width = 1, multiple = 1): (maps: number) => number {
  if (typeof width !== 'number' || !(width > 0 && width < Infinity))
    throw new ArgumentError(`width must be a number above 0, given ${inWords(width)}`)
  perDirection(multiple, 1, 1, 'groups')
  return (given) => {
    const [maps] = perDirection(given, 1, 1, 'the number of maps') as [number]
    return Math.max(multiple, Math.round((maps * width) / multiple) * multiple)
  }
}

/** Checks which variant of a network is asked for. @throws ShapeError when there is none of the name */
export function checkVariant(network: string, variant: string, names: readonly string[], option = 'variant'): void {
  if (!names.includes(variant)) throw wrongKind(`${network}: ${option}`, `'${names.join("' or '")}'`, variant)
}

/** Checks that options of one variant of a network are not given for another. @throws ShapeError that names the first */
export function refuseOptions(network: string, variant: string, options: object, names: readonly string[]): void {
  const given = names.find((name) => (options as Readonly<Record<string, unknown>>)[name] !== undefined)
  if (given !== undefined)
    throw new ArgumentError(`${network}: variant '${variant}' has no option '${given}'; leave it out`)
}

/** Layers by name, each reading the one before. */
export const chain = (layers: Readonly<Record<string, Layer>>): NodeOptions[] =>
  Object.entries(layers).map(([name, layer]) => ({ name, layer }))
