/** GELU as exporters write it: recognized in every form, and nothing else is taken for it. */
import { beforeAll, describe, expect, it } from 'vitest'
import { valueAndGrad } from '../../src/autodiff/vjp.js'
import { loadOnnx } from '../../src/models/onnx/index.js'
import { loadTfjs } from '../../src/models/tfjs/index.js'
import { gelu, sum } from '../../src/ops/index.js'
import { init } from '../../src/runtime/embedded.js'
import { normal } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { constant, node, onnx, value } from '../helpers/onnx.js'
import { bytesOf, graphModel, placeholder, type GraphNode, type Weight } from '../helpers/tfjs.js'

beforeAll(() => init())

type Nodes = ReturnType<typeof node>[]
const constants = { root: Math.SQRT2, inverse: Math.SQRT1_2, one: 1, half: 0.5, two: 2 }

/** The program of nodes from x to y; constants as initializers, or as nodes. */
const programOf = (nodes: Nodes, asNodes = false, dims: number[] = []) =>
  loadOnnx(
    onnx({
      inputs: [value('x', ['N', 3])],
      outputs: [value('y')],
      initializers: asNodes ? [] : Object.entries(constants).map(([name, number]) => constant(name, dims, [number])),
      nodes: [
        ...(asNodes
          ? Object.entries(constants).map(([name, number]) => ({
              ...node('Constant', [], [name]),
              attributes: [{ name: 'value', kind: 'tensor' as const, value: { dims, elementType: 1, floatData: Float32Array.of(number) } as never }], // prettier-ignore
            }))
          : []),
        ...nodes,
      ],
    }),
  )

/** As PyTorch writes it, with other constants and other operators where they are given. */
const whole = ({ root = 'root', one = 'one', half = 'half', divide = 'Div', erf = 'Erf', last = 'x' } = {}): Nodes => [
  node(divide, ['x', root], ['scaled']),
  node(erf, ['scaled'], ['e']),
  node('Add', ['e', one], ['sum']),
  node('Mul', [last, 'sum'], ['product']),
  node('Mul', ['product', half], ['y']),
]

const forms: Readonly<Record<string, Nodes>> = {
  "PyTorch's": whole(),
  'with factors and terms in the other order': [
    node('Mul', ['inverse', 'x'], ['scaled']),
    node('Erf', ['scaled'], ['e']),
    node('Add', ['one', 'e'], ['sum']),
    node('Mul', ['sum', 'x'], ['product']),
    node('Mul', ['half', 'product'], ['y']),
  ],
  'with the half beside x': [
    node('Mul', ['x', 'half'], ['h']),
    node('Div', ['x', 'root'], ['scaled']),
    node('Erf', ['scaled'], ['e']),
    node('Add', ['e', 'one'], ['sum']),
    node('Mul', ['h', 'sum'], ['y']),
  ],
}

/** The numbers of a tensor. */
const bits = (x: Tensor): number[] => [...x.data()]

describe.each(Object.entries(forms))('GELU %s', (_, nodes) => {
  it.each([
    [false, []],
    [true, []],
    [false, [1]],
  ] as [boolean, number[]][])('is computed as gelu, constants as nodes: %s, of shape %j', (asNodes, dims) => {
    using program = programOf(nodes, asNodes, dims)
    scope(() => {
      const x = normal([4, 3], { seed: 1, std: 3 })
      expect(bits(program.forward(x))).toEqual(bits(gelu(x)))
      // What is between is there, too, and gives the same but for its rounding.
      const { sum: between, y } = program.run(x, ['sum', 'y']) as { sum: Tensor; y: Tensor }
      bits(between).forEach((factor, i) => expect(0.5 * factor * (bits(x)[i] as number)).toBeCloseTo(bits(y)[i] as number, 5)) // prettier-ignore
      const slope = (of: (a: Tensor) => Tensor): number[] =>
        bits(valueAndGrad((a: Tensor) => sum(of(a)))(x).gradients[0] as Tensor)
      expect(slope((a) => program.forward(a))).toEqual(slope((a) => gelu(a)))
    })
  })
})

describe('what is no GELU', () => {
  it.each<[string, Nodes]>([
    ['another root', whole({ root: 'two' })],
    ['another term', whole({ one: 'half' })],
    ['another factor', whole({ half: 'two' })],
    ['a product with √2', whole({ divide: 'Mul' })],
    ['tanh', whole({ erf: 'Tanh' })],
    ['another factor than x', whole({ last: 'scaled' })],
  ])('stays as it is: %s', (_, nodes) => {
    using program = programOf(nodes)
    scope(() => {
      const x = normal([4, 3], { seed: 1 })
      const { product, y } = program.run(x, ['product', 'y']) as { product: Tensor; y: Tensor }
      expect(bits(y)).not.toEqual(bits(gelu(x)))
      const factor = (bits(y)[0] as number) / (bits(product)[0] as number)
      bits(product).forEach((number, i) => expect(bits(y)[i]).toBeCloseTo(factor * number, 5))
    })
  })
})

describe('GELU of TensorFlow.js', () => {
  it('is computed as gelu', async () => {
    const weights: Weight[] = Object.entries(constants).map(([name, number]) => ({ name, shape: [], values: [number] }))
    const nodes: GraphNode[] = [
      placeholder('x', [-1, 3]),
      { name: 'scaled', op: 'Mul', input: ['x', 'inverse'] },
      { name: 'e', op: 'Erf', input: ['scaled'] },
      { name: 'sum', op: 'AddV2', input: ['e', 'one'] },
      { name: 'h', op: 'Mul', input: ['half', 'x'] },
      { name: 'y', op: 'Mul', input: ['h', 'sum'] },
    ]
    using program = await loadTfjs(graphModel(nodes, weights), () => bytesOf(weights))
    scope(() => {
      const x = normal([4, 3], { seed: 1, std: 3 })
      expect(bits(program.forward(x))).toEqual(bits(gelu(x)))
    })
  })
})
