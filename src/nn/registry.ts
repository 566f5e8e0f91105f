/** Models from their JSON form. */
import { FormatError, ToeplitzError } from '../runtime/errors.js'
import { Flatten, ReLU, Softmax } from './activation.js'
import { Conv2d, type Conv2dOptions } from './conv.js'
import type { Layer, LayerConfig } from './layer.js'
import { Linear, type LinearOptions } from './linear.js'
import { MaxPool2d, type MaxPool2dOptions } from './pool.js'
import { Sequential } from './sequential.js'

type Options = { readonly [key: string]: unknown }

/** Makers by the `type` of the JSON form. */
const makers: { readonly [type: string]: (options: Options) => Layer } = {
  Conv2d: (options) => new Conv2d(options as unknown as Conv2dOptions),
  Flatten: () => new Flatten(),
  Linear: (options) => new Linear(options as unknown as LinearOptions),
  MaxPool2d: (options) => new MaxPool2d(options as unknown as MaxPool2dOptions),
  ReLU: () => new ReLU(),
  Softmax: () => new Softmax(),
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function layerFrom(config: unknown, where: string): Layer {
  if (!isObject(config) || typeof config['type'] !== 'string')
    throw new FormatError(`${where}: a layer must be an object with a type`)
  const { type, ...options } = config as LayerConfig
  const make = Object.hasOwn(makers, type) ? makers[type] : undefined
  if (!make)
    throw new FormatError(`${where}: there is no layer type '${type}'; known are ${Object.keys(makers).join(', ')}`)
  return make(options)
}

/**
 * A model from the JSON form that `Sequential.toJSON` gives, with initial weights; `load` sets the trained ones.
 * @throws FormatError that names `name` and the part that does not fit.
 */
export function modelFromJSON(config: unknown, name = 'model'): Sequential {
  if (!isObject(config) || config['type'] !== 'Sequential')
    throw new FormatError(`${name}: expected an object of type 'Sequential'`)
  const { layers, input } = config
  if (!Array.isArray(layers) || layers.length === 0)
    throw new FormatError(`${name}: layers must be a list of at least one layer`)
  if (!Array.isArray(input) && input !== null && input !== undefined) {
    throw new FormatError(`${name}: input must be a shape such as [1, 28, 28], or null`)
  }
  const made: Layer[] = []
  try {
    for (const [index, layer] of layers.entries()) made.push(layerFrom(layer, `${name}: layer ${index}`))
    return new Sequential(made, input ? { input: input as number[] } : {})
  } catch (error) {
    if (error instanceof FormatError || !(error instanceof ToeplitzError)) throw error
    throw new FormatError(`${name}: ${error.message}`, { cause: error })
  }
}
