/**
 * GELU as exporters write it, x · (1 + erf(x / √2)) / 2 in five nodes, computed by its own kernel: erf of each element in JavaScript takes most of
 * the time of a transformer or a ConvNeXt. Values in between are there for who asks for them by name.
 */
import { gelu } from '../ops/activation.js'
import { scope, type AnyTensor } from '../tensor/tensor.js'
import type { ImportedModel, ImportedNode } from './imported.js'
import { constantsOf, floats } from './inputs.js'

/** Constants are floats of 32 bits, and 1/√2 may have been rounded before. */
const NEAR = 1e-6

/** What operators are called in the formats that there are. */
const isAdd = (operator: string | undefined): boolean => operator === 'Add' || operator === 'AddV2'
const isMul = (operator: string | undefined): boolean => operator === 'Mul'
const isDiv = (operator: string | undefined): boolean => operator === 'Div' || operator === 'RealDiv'

/** The number that a tensor of one element is. */
const numberOf = (x: AnyTensor | undefined): number | undefined =>
  x?.dtype === 'float32' && x.size === 1 && x.ndim <= 1 ? constantsOf(x)[0] : undefined

/** Nodes of which the last of each GELU computes all of it. */
export function withGelu({ nodes, constants, parameters, buffers }: ImportedModel): readonly ImportedNode[] {
  if (!nodes.some(({ operator }) => operator === 'Erf')) return nodes
  const makers = new Map(nodes.map((node) => [node.outputs[0] ?? '', node]))
  const constantOf = (name: string): number | undefined => {
    const maker = makers.get(name)
    // What is trained changes.
    if (!maker) return parameters.has(name) || buffers.has(name) ? undefined : numberOf(constants.get(name))
    if (maker.operator !== 'Constant') return undefined
    return scope(() => numberOf(maker.compute([], { training: false, seed: 0, stream: 0 })[0]))
  }
  const isNear = (name: string, due: number): boolean => Math.abs((constantOf(name) ?? Number.NaN) - due) < NEAR * due
  /** The other operand of a node that has a constant for one, in either order but for a quotient. */
  const other = (name: string, is: (operator: string | undefined) => boolean, constant: number): string | undefined => {
    const maker = makers.get(name)
    if (!is(maker?.operator)) return undefined
    const [a = '', b = ''] = maker?.inputs ?? []
    return isNear(b, constant) ? a : isNear(a, constant) && is !== isDiv ? b : undefined
  }
  const factorsOf = (name: string): readonly string[] => {
    const maker = makers.get(name)
    return isMul(maker?.operator) && maker?.inputs.length === 2 ? maker.inputs : []
  }
  /** x, where a value is 1 + erf(x / √2). */
  const inErf = (name: string): string | undefined => {
    const erf = makers.get(other(name, isAdd, 1) ?? '')
    const scaled = erf?.operator === 'Erf' ? (erf.inputs[0] ?? '') : ''
    return other(scaled, isDiv, Math.SQRT2) ?? other(scaled, isMul, Math.SQRT1_2)
  }
  /** x, where the product of two values is x · (1 + erf(x / √2)), one of them with a factor of ½. */
  const inProduct = (factors: readonly string[], half: boolean): string | undefined => {
    for (const [a = '', b = ''] of [factors, [...factors].reverse()]) {
      const x = inErf(b)
      if (x !== undefined && x === (half ? other(a, isMul, 0.5) : a)) return x
    }
    return undefined
  }
  return nodes.map((node) => {
    const [output = ''] = node.outputs
    const factors = factorsOf(output)
    if (factors.length === 0) return node
    const x = inProduct(factors, true) ?? inProduct(factorsOf(other(output, isMul, 0.5) ?? ''), false)
    return x === undefined ? node : { ...node, inputs: [x], compute: (inputs) => [gelu(floats(inputs, 0))] }
  })
}
