/** Weights of a model as int8 in a file of safetensors: a tensor I8, and beside it the scales of its slices along the first axis. */
import type { SafetensorsInput, SafetensorsTensor } from '../formats/safetensors.js'
import { bytesByScales, floatsOfScaled, scalesOf } from '../formats/scaledBytes.js'
import { ArgumentError, FormatError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import type { Tensor } from '../tensor/tensor.js'

/** What the name of the scales ends with. No weight of a layer is called so. */
const MARK = '#scale'

/**
 * A tensor of a model as it is stored: weights (K, …), of two axes or more and with two numbers or more in each slice, as int8 (K, …) and scales (K);
 * everything else, such as a bias, as float32.
 *
 * @throws ArgumentError where a number is infinite
 */
export function scaledTensors(name: string, tensor: Tensor): [name: string, stored: SafetensorsInput][] {
  const [values, { shape, size }] = [tensor.data(), tensor]
  const slices = shape[0] ?? 0
  if (shape.length < 2 || size < 2 * slices) return [[name, { shape, data: values }]]
  const infinite = values.find((value) => !Number.isFinite(value))
  if (infinite !== undefined)
    throw new ArgumentError(
      `encodeModel: ${inWords(name)} has ${infinite}, for which int8 has no scale; train again with a lower learning rate`,
    )
  const scales = scalesOf(values, slices)
  return [
    [name, { shape, data: bytesByScales(values, scales) }],
    [`${name}${MARK}`, { shape: [slices], data: scales }],
  ]
}

/** A tensor of int8, which is float32 wherever its numbers are read. */
class ScaledTensor implements SafetensorsTensor {
  readonly dtype = 'F32'

  constructor(
    private readonly bytes: SafetensorsTensor,
    private readonly scales: Float32Array,
  ) {}

  get shape(): number[] {
    return this.bytes.shape
  }

  get data(): Float32Array {
    return floatsOfScaled(this.bytes.data as Int8Array, this.scales)
  }
}

/**
 * The tensors of a file, those of int8 that have scales as float32.
 * @throws FormatError where scales do not fit, or are no scales
 */
export function unscaledTensors(
  tensors: ReadonlyMap<string, SafetensorsTensor>,
  name: string,
): ReadonlyMap<string, SafetensorsTensor> {
  const scaled = [...tensors].filter(([key, { dtype }]) => dtype === 'I8' && tensors.has(`${key}${MARK}`))
  if (scaled.length === 0) return tensors
  const all = new Map(tensors)
  for (const [key, bytes] of scaled) {
    const { dtype, shape, data } = tensors.get(`${key}${MARK}`) as SafetensorsTensor
    const isOnes = dtype === 'F32' && shape.length === 1 && shape[0] === bytes.shape[0] && data.length > 0
    if (!isOnes || !(data as Float32Array).every((scale) => scale > 0 && Number.isFinite(scale)))
      throw new FormatError(
        `${name}: ${key}${MARK} must be numbers of F32 above 0, one for each of the ${bytes.shape[0] ?? 0} slices of ${key}`,
      )
    all.set(key, new ScaledTensor(bytes, data as Float32Array))
    all.delete(`${key}${MARK}`)
  }
  return all
}
