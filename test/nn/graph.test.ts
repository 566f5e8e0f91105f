import { beforeAll, describe, expect, it } from 'vitest'
import {
  Add,
  Concat,
  Conv2d,
  Dropout,
  Flatten,
  Graph,
  Layer,
  Linear,
  MaxPool2d,
  ReLU,
  Sequential,
  Tanh,
  type NodeOptions,
} from '../../src/nn/index.js'
import { valueAndGrad } from '../../src/autodiff/vjp.js'
import { conv2d } from '../../src/ops/conv.js'
import { add } from '../../src/ops/elementwise.js'
import { concat } from '../../src/ops/layout.js'
import { relu } from '../../src/ops/activation.js'
import { sum } from '../../src/ops/reduce.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { DisposedError, OutOfMemoryError, ShapeError } from '../../src/runtime/errors.js'
import { uniform, zeros } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { peakOf } from '../helpers/memory.js'

beforeAll(() => init())

const conv = (outChannels: number, kernel = 1): Conv2d => new Conv2d({ outChannels, kernel, padding: 'same' })

/** Two branches joined, added to a third. */
const branching = (seed = 1): Graph =>
  new Graph(
    [
      { name: 'left', layer: conv(2), inputs: 'x' },
      { name: 'right', layer: conv(3, 3), inputs: 'x' },
      { name: 'join', layer: new Concat(), inputs: ['left', 'right'] },
      { name: 'wide', layer: conv(5, 3), inputs: 'x' },
      { name: 'sum', layer: new Add(), inputs: ['join', 'wide'] },
      { name: 'relu', layer: new ReLU() },
    ],
    { inputs: { x: [3, 6, 5] }, seed },
  )

describe('Graph', () => {
  it('computes branches, joins and sums', () => {
    const model = branching()
    scope(() => {
      const x = uniform([2, 3, 6, 5], { seed: 3 })
      const named = model.namedParameters()
      const by = (name: string): Tensor =>
        conv2d(x, named.get(`${name}.weight`)!, { bias: named.get(`${name}.bias`)!, padding: 'same' })
      const expected = relu(add(concat([by('left'), by('right')], 1), by('wide')))
      expect(model.forward(x).data()).toEqual(expected.data())
      const { gradients } = valueAndGrad((input) => sum(model.forward(input)))(x)
      const direct = valueAndGrad((input) => {
        const at = (name: string): Tensor =>
          conv2d(input, named.get(`${name}.weight`)!, { bias: named.get(`${name}.bias`)!, padding: 'same' })
        return sum(relu(add(concat([at('left'), at('right')], 1), at('wide'))))
      })(x)
      const expectedGradient = direct.gradients[0]!.data()
      gradients[0]!.data().forEach((value, i) => {
        expect(value).toBeCloseTo(expectedGradient[i]!, 4)
      })
    })
    model.dispose()
  })

  it('takes its nodes in any order, and names and draws weights in the order given', () => {
    const { nodes } = branching()
    const shuffled = new Graph([...nodes].reverse(), { inputs: { x: [3, 6, 5] }, outputs: ['relu'], seed: 1 })
    const model = branching()
    expect([...shuffled.namedParameters().keys()].sort()).toEqual([...model.namedParameters().keys()].sort())
    shuffled.load(model.save())
    scope(() => {
      const x = uniform([1, 3, 6, 5], { seed: 3 })
      expect(shuffled.forward(x).data()).toEqual(model.forward(x).data())
    })
    model.dispose()
    shuffled.dispose()
  })

  it('has several inputs and outputs, and computes only what is asked for', () => {
    let runs = 0
    class Counted extends ReLU {
      override forward(x: Tensor): Tensor {
        runs++
        return super.forward(x)
      }
    }
    const model = new Graph(
      [
        { name: 'a', layer: new Flatten(), inputs: 'image' },
        { name: 'both', layer: new Concat(), inputs: ['a', 'features'] },
        { name: 'score', layer: new Linear({ outFeatures: 2 }) },
        { name: 'side', layer: new Counted(), inputs: 'both' },
      ],
      { inputs: { image: [1, 2, 2], features: [3] }, outputs: ['score', 'side'] },
    )
    scope(() => {
      const inputs = { image: uniform([2, 1, 2, 2]), features: uniform([2, 3], { seed: 1 }) }
      expect(model.forward(inputs).shape).toEqual([2, 2])
      expect(runs).toBe(0)
      const all = model.run(inputs)
      expect(Object.entries(all).map(([name, { shape }]) => [name, shape])).toEqual([
        ['score', [2, 2]],
        ['side', [2, 7]],
      ])
      expect(model.run(inputs, ['a'])['a']!.shape).toEqual([2, 4])
      expect(() => model.forward(inputs.image)).toThrow(/the model has the inputs image, features; give an object/)
      expect(() => model.forward({ image: inputs.image })).toThrow(/has the inputs image, features; given image/)
      expect(() => model.forward({ ...inputs, features: uniform([1, 3]) })).toThrow(/must have one batch size/)
      expect(() => model.run(inputs, ['nothing'])).toThrow(/there is no node 'nothing'/)
    })
    model.dispose()
  })

  it('counts shared weights once, and adds their gradients', () => {
    const shared = conv(3)
    const twice = new Sequential([shared, new ReLU(), shared], { input: [3, 4, 4], seed: 2 })
    expect([...twice.namedParameters().keys()]).toEqual(['0.weight', '0.bias'])
    expect(twice.summary().total.parameters).toBe(12)
    expect(twice.summary().layers.map(({ parameters }) => parameters)).toEqual([0, 12, 0, 0])
    scope(() => {
      const x = uniform([2, 3, 4, 4], { seed: 5 })
      const [w, bias] = twice.parameters() as [Tensor, Tensor]
      const { gradients } = valueAndGrad(() => sum(twice.forward(x)))(w)
      const apart = valueAndGrad((first, second) => sum(conv2d(relu(conv2d(x, first, { bias })), second, { bias })))(
        w,
        w,
      )
      const [first, second] = apart.gradients.map((gradient) => gradient.data())
      gradients[0]!.data().forEach((value, i) => {
        expect(value).toBeCloseTo(first![i]! + second![i]!, 4)
      })
    })
    twice.dispose()
  })

  it('does a ReLU within the convolution before it, with the same bits, unless others read what comes between', () => {
    const nodes = [
      { name: 'conv', layer: conv(5, 3), inputs: 'x' },
      { name: 'relu', layer: new ReLU(), inputs: 'conv' },
      { name: 'again', layer: new ReLU(), inputs: 'relu' },
      { name: 'out', layer: conv(4, 3), inputs: 'again' },
    ]
    const model = new Graph(nodes, { inputs: { x: [3, 6, 5] }, outputs: ['out'], seed: 2 })
    scope(() => {
      const x = uniform([2, 3, 6, 5], { seed: 3, low: -1 })
      const named = model.namedParameters()
      const by = (name: string, input: Tensor): Tensor =>
        conv2d(input, named.get(`${name}.weight`)!, { bias: named.get(`${name}.bias`)!, padding: 'same' })
      const between = by('conv', x)
      const expected = by('out', relu(between))
      expect(model.forward(x).data()).toEqual(expected.data())
      // What comes between is asked for.
      const both = model.run({ x }, ['conv', 'relu'])
      expect(both['conv']!.data()).toEqual(between.data())
      expect(both['relu']!.data()).toEqual(relu(between).data())
      const { gradients } = valueAndGrad((input) => sum(model.forward(input)))(x)
      const direct = valueAndGrad((input) => sum(by('out', relu(by('conv', input)))))(x)
      expect(gradients[0]!.data()).toEqual(direct.gradients[0]!.data())
    })
    model.dispose()
  })

  it('frees a value after its last use', () => {
    const bytes = 4 * 64 * 64 * 16
    const chain = new Sequential(
      Array.from({ length: 20 }, () => new ReLU()),
      { input: [16, 64, 64] },
    )
    scope(() => {
      const x = zeros([1, 16, 64, 64])
      expect(peakOf(() => scope(() => void chain.forward(x)))).toBe(2 * bytes)
      const skipping = new Graph(
        [
          { name: 'kept', layer: new ReLU(), inputs: 'x' },
          ...Array.from({ length: 6 }, (_, i): NodeOptions => ({ name: `r${i}`, layer: new ReLU() })),
          { name: 'sum', layer: new Add(), inputs: ['kept', 'r5'] },
        ],
        { inputs: { x: [16, 64, 64] } },
      )
      expect(peakOf(() => scope(() => void skipping.forward(x)))).toBe(3 * bytes)
      expect(skipping.summary().total.memory.working).toBe(4 * bytes)
    })
  })

  it('leaves the caller’s tensors alone, and returns handles of its own', () => {
    const model = new Sequential([new Dropout(), new Flatten()], { input: [4] })
    const x = zeros([1, 4])
    const y = model.forward(x)
    expect(y).not.toBe(x)
    y.dispose()
    expect(x.disposed).toBe(false)
    x.dispose()
    const before = memoryUsage().liveBytes
    scope(() => void model.forward(zeros([1, 4])))
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it('allocates nothing until weights are needed, and frees all of it', () => {
    const before = memoryUsage().liveBytes
    const model = branching()
    model.summary()
    JSON.stringify(model)
    expect(memoryUsage().liveBytes).toBe(before)
    expect(model.parameters()).toHaveLength(6)
    expect(memoryUsage().liveBytes).toBeGreaterThan(before)
    model.dispose()
    expect(memoryUsage().liveBytes).toBe(before)
    expect(() => model.run(zeros([1, 3, 6, 5]))).toThrow(DisposedError)
  })

  it('keeps packed weights unless it is told not to', () => {
    const input = [16, 24, 24]
    const passes = (keepPacked: boolean): number => {
      const model = new Sequential([new Conv2d({ outChannels: 64, kernel: 3 })], { input, keepPacked })
      const { memory } = model.summary().total
      model.parameters()
      const live = memoryUsage().liveBytes
      for (let i = 0; i < 3; i++) scope(() => void model.forward(zeros([1, ...input])))
      const kept = memoryUsage().liveBytes - live
      expect(kept).toBe(memory.packed)
      model.dispose()
      return kept
    }
    expect(passes(true)).toBeGreaterThan(4 * 16 * 64 * 9)
    expect(passes(false)).toBe(0)
  })

  it('copies what another model has under the same names', () => {
    const chain = (seed: number, units: number): Sequential =>
      new Sequential([new Linear({ outFeatures: 3 }), new ReLU(), new Linear({ outFeatures: units })], {
        input: [4],
        seed,
      })
    const [from, to] = [chain(1, 2), chain(2, 5)]
    const before = to.namedParameters().get('2.weight')!.data()
    expect(to.copyFrom(from)).toEqual(['0.weight', '0.bias'])
    expect(to.parameters()[0]!.data()).toEqual(from.parameters()[0]!.data())
    expect(to.namedParameters().get('2.weight')!.data()).toEqual(before)
    from.dispose()
    to.dispose()
  })
})

describe('bad graphs', () => {
  const node = (name: string, inputs: string | string[], layer: Layer = new ReLU()): NodeOptions => ({
    name,
    layer,
    inputs,
  })
  it.each<[string, NodeOptions[], object, RegExp]>([
    ['a cycle', [node('a', 'c'), node('b', 'a'), node('c', 'b')], {}, /the nodes \w -> \w -> \w -> \w form a cycle/],
    ['a node that reads itself', [node('a', ['x', 'a'], new Add())], {}, /the nodes a -> a form a cycle/],
    ['a node that leads nowhere', [node('a', 'x'), node('b', 'x')], {}, /node 'a', relu, leads to no output/],
    ['a node that reads nothing', [node('a', [])], {}, /node 'a', relu, reads nothing/],
    ['an unknown name', [node('a', 'y')], {}, /node 'a' reads 'y', which does not exist; there are 'x', 'a'/],
    ['two inputs to one layer', [node('a', ['x', 'x'])], {}, /node 'a', relu, takes one input, given 'x', 'x'; join/],
    ['names that come twice', [node('a', 'x'), node('a', 'x')], {}, /two nodes or inputs are called 'a'/],
    ['an unread input', [node('a', 'x')], { inputs: { x: [1], y: [1] } }, /no node reads the input 'y'/],
    ['an unknown output', [node('a', 'x')], { outputs: ['z'] }, /there is no node 'z' to be an output/],
    ['no nodes', [], {}, /at least one layer/],
    ['no inputs', [node('a', 'x')], { inputs: {} }, /at least one input/],
    ['an impossible input', [node('a', 'x')], { inputs: { x: [0] } }, /input 'x': shape \(0\) has the extent 0/],
  ])('%s', (_, nodes, options, message) => {
    const make = (): Graph => new Graph(nodes, { inputs: { x: [2, 4, 4] }, ...options })
    expect(make).toThrow(ShapeError)
    expect(make).toThrow(message)
  })

  it('says at which layer a shape does not fit, with both shapes', () => {
    const nodes = [node('wide', 'x', conv(3)), node('small', 'x', new MaxPool2d({ kernel: 2 }))]
    expect(
      () => new Graph([...nodes, node('sum', ['wide', 'small'], new Add())], { inputs: { x: [3, 4, 4] } }),
    ).toThrow('layer sum, add: Add: inputs (3, 4, 4) and (3, 2, 2) must be of one shape')
    const model = new Sequential([new Flatten(), new Linear({ outFeatures: 2 })], { input: [1, 3, 3] })
    scope(() => {
      model.forward(zeros([2, 1, 3, 3]))
      expect(() => model.forward(zeros([2, 1, 4, 3]))).toThrow(
        "layer 1, fc(2): Linear: the layer's weight is (2, 9), but an input (12) needs (2, 12)",
      )
    })
    model.dispose()
  })

  it('refuses what cannot fit in 4 GiB before it allocates', () => {
    const before = memoryUsage()
    expect(() => new Sequential([new Linear({ outFeatures: 40000 })], { input: [40000] })).toThrow(OutOfMemoryError)
    expect(() => new Sequential([new Linear({ outFeatures: 40000 })], { input: [40000] })).toThrow(
      'the weights of this model take 6104 MiB, but WebAssembly memory ends at 4096 MiB; use fewer or narrower layers',
    )
    const wide = new Sequential([new Conv2d({ outChannels: 600, kernel: 1 }), new Tanh()], { input: [1, 1000, 1000] })
    expect(() => {
      scope(() => wide.forward(zeros([1, 1, 1000, 1000])))
    }).toThrow(/a forward pass of 1 takes \d+ MiB, but WebAssembly memory ends at 4096 MiB; use a smaller batch/)
    expect(memoryUsage().liveBytes).toBe(before.liveBytes)
    expect(memoryUsage().peakBytes - before.peakBytes).toBeLessThan(1e7)
    expect(() => new Sequential([new Linear({ outFeatures: 2 })]).parameters()).toThrow(/input is not known yet/)
  })
})
