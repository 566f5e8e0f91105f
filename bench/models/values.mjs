// @ts-check
// What the inputs of a model are given, and what its outputs are.
import { BenchError } from '../lib/errors.mjs'
import { randomNumbers } from '../lib/random.mjs'

/** What the first output is called by peers that have no names for outputs. */
export const firstOutput = ''

/**
 * @typedef {{ name: string, shape: readonly number[] }} Extents of an input
 * @typedef {Extents & { data: Float32Array }} Input
 */

/**
 * The extents of all inputs: those of the file, one picture where the batch is open, and `extents` where more is open.
 * @param {readonly import('../../dist/onnx.js').ProgramValue[]} inputs
 * @param {readonly number[] | undefined} extents
 * @returns {Extents[]}
 */
export function extentsOf(inputs, extents) {
  if (extents !== undefined && inputs.length !== 1) {
    throw new BenchError(`the model has ${inputs.length} inputs, extents are given for one`)
  }
  return inputs.map(({ name, dtype, shape }) => {
    if (dtype !== 'float32') throw new BenchError(`input '${name}' is ${dtype}, only float32 can be measured here`)
    const own = extents ?? shape?.map((extent, axis) => (typeof extent !== 'number' && axis === 0 ? 1 : extent))
    const numbers = own?.filter((extent) => typeof extent === 'number')
    if (numbers === undefined || numbers.length < (shape ?? numbers).length) {
      const written = shape?.map((extent) => extent ?? '?').join(', ') ?? '?'
      throw new BenchError(`input '${name}' is (${written}): name the file NAME@1x3x224x224.onnx, with its own extents`)
    }
    return { name, shape: numbers }
  })
}

/**
 * The same random numbers in every process.
 * @param {readonly Extents[]} inputs
 * @returns {Input[]}
 */
export const inputsFor = (inputs) =>
  inputs.map(({ name, shape }, index) => {
    const size = shape.reduce((product, extent) => product * extent, 1)
    return { name, shape, data: randomNumbers(size, index + 1) }
  })

/**
 * The numbers of an output as float32, those of other types rounded to it.
 * @param {ArrayLike<unknown>} data
 */
export const asFloats = (data) => (data instanceof Float32Array ? data : Float32Array.from(data, Number))
