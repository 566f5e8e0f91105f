/**
 * GELU as exporters write it, x · (1 + erf(x / √2)) / 2 in five nodes, computed by its own kernel: erf of each element in JavaScript takes most of
 * the time of a transformer or a ConvNeXt. Values in between are there for who asks for them by name.
 */
import { tensorValues, type OnnxTensor } from '../../formats/onnx.js'
import { gelu } from '../../ops/activation.js'
import type { LoweredNode } from './lower.js'
import { floats } from './row.js'

/** Constants are floats of 32 bits, and 1/√2 may have been rounded before. */
const NEAR = 1e-6

/** The number that a constant of one element is. */
function numberOf(stored: OnnxTensor | undefined): number | undefined {
  if (!stored || stored.dims.length > 1 || stored.dims.some((extent) => extent !== 1)) return undefined
  // Those that lie elsewhere, or are of another type, are read where they are used.
  if (stored.dataLocation !== 0 || stored.elementType !== 1) return undefined
  return Number(tensorValues(stored).values[0])
}

/** Nodes of which the last of each GELU computes all of it. */
export function withGelu(
  nodes: readonly LoweredNode[],
  initializers: ReadonlyMap<string, OnnxTensor>,
): readonly LoweredNode[] {
  const makers = new Map(nodes.map((each) => [each.node.outputs[0] ?? '', each.node]))
  const constantOf = (name: string): number | undefined => {
    const maker = makers.get(name)
    if (!maker) return numberOf(initializers.get(name))
    const value =
      maker.opType === 'Constant' ? maker.attributes.find((attribute) => attribute.name === 'value') : undefined
    return value?.kind === 'tensor' ? numberOf(value.value) : undefined
  }
  const isNear = (name: string, due: number): boolean => Math.abs((constantOf(name) ?? Number.NaN) - due) < NEAR * due
  /** The other operand of a node that has a constant for one, in either order. */
  const other = (name: string, operator: string, constant: number): string | undefined => {
    const maker = makers.get(name)
    if (maker?.opType !== operator) return undefined
    const [a = '', b = ''] = maker.inputs
    return isNear(b, constant) ? a : isNear(a, constant) && operator !== 'Div' ? b : undefined
  }
  const product = (name: string): readonly string[] => {
    const maker = makers.get(name)
    return maker?.opType === 'Mul' && maker.inputs.length === 2 ? maker.inputs : []
  }
  /** x, where a value is 1 + erf(x / √2). */
  const inErf = (name: string): string | undefined => {
    const erf = makers.get(other(name, 'Add', 1) ?? '')
    const scaled = erf?.opType === 'Erf' ? (erf.inputs[0] ?? '') : ''
    return other(scaled, 'Div', Math.SQRT2) ?? other(scaled, 'Mul', Math.SQRT1_2)
  }
  /** x, where the product of two values is x · (1 + erf(x / √2)), one of them with a factor of ½. */
  const inProduct = (factors: readonly string[], half: boolean): string | undefined => {
    for (const [a = '', b = ''] of [factors, [...factors].reverse()]) {
      const x = inErf(b)
      if (x !== undefined && x === (half ? other(a, 'Mul', 0.5) : a)) return x
    }
    return undefined
  }
  return nodes.map((each) => {
    const [output = ''] = each.node.outputs
    const factors = product(output)
    if (factors.length === 0) return each
    const x = inProduct(factors, true) ?? inProduct(product(other(output, 'Mul', 0.5) ?? ''), false)
    if (x === undefined) return each
    const imported = {
      ...each.imported,
      inputs: [x],
      compute: (inputs: Parameters<typeof floats>[0]) => [gelu(floats(inputs, 0))],
    }
    return { ...each, imported }
  })
}
