/** What the cases of operators of 8-bit integers are made of. */
import { numbers, type CaseTensor, type CaseType, type OpsetCase } from './opsetCases.js'

/** One case. */
export interface QuantizedCase extends Omit<OpsetCase, 'defined' | 'answeredAs'> {
  readonly due: readonly CaseTensor[]
}

export type ByteType = 'uint8' | 'int8'
export type Attributes = QuantizedCase['attributes']

export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, extent) => product * extent, 1)
export const made = (dtype: CaseType, shape: readonly number[], values: readonly number[]): CaseTensor => ({
  ...{ dtype, shape, values },
})
export const scale = (...values: number[]): CaseTensor =>
  made('float32', values.length === 1 ? [] : [values.length], values.map(Math.fround))
export const zero = (dtype: CaseType, ...values: number[]): CaseTensor =>
  made(dtype, values.length === 1 ? [] : [values.length], values)
/** Bytes of all values by a rule. */
export const bytes = (dtype: ByteType, shape: readonly number[], seed = 1): CaseTensor => {
  const low = dtype === 'int8' ? -128 : 0
  return made(dtype, shape, numbers(sizeOf(shape), low, low + 255.999, seed).map(Math.floor))
}
export const floats = (shape: readonly number[], low: number, high: number, seed = 1): CaseTensor =>
  made('float32', shape, numbers(sizeOf(shape), low, high, seed))

/** The nearest whole number, halves to the even one. */
export function toEven(real: number): number {
  const down = Math.floor(real)
  // What is added makes 0 of −0.
  return (real - down === 0.5 ? down + (down & 1) : Math.round(real)) + 0
}

/** The nearest byte, halves to the even one. */
export function toByte(real: number, dtype: CaseType): number {
  const [low, high] = dtype === 'int8' ? [-128, 127] : [0, 255]
  return Math.max(low, Math.min(high, toEven(real)))
}

/** The number of a place where there is one for each, or the one of all. */
export const at = (values: readonly number[], place: number): number =>
  values[values.length === 1 ? 0 : place] as number

/** Adds a case of one node to a list. */
export type AddCase = (
  operator: string,
  what: string,
  inputs: QuantizedCase['inputs'],
  due: readonly CaseTensor[],
  more?: { attributes?: Attributes; opset?: number; domain?: string },
) => void

/** What adds cases to `list`. */
export const addTo =
  (list: QuantizedCase[]): AddCase =>
  (operator, what, inputs, due, { attributes = {}, opset = 17, domain = '' } = {}) => {
    const outputs = due.map(({ dtype }) => dtype)
    list.push({ name: `${operator} ${what}`, opset, operator, domain, inputs, attributes, outputs, due })
  }
