/** Outside of training models run programs: what may be seen of it is the memory that stays, and the time. */
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { valueAndGrad } from '../../src/autodiff/vjp.js'
import {
  Add,
  Conv2d,
  Flatten,
  Graph,
  Layer,
  Linear,
  LoweredLayer,
  MaxPool2d,
  ReLU,
  Sequential,
} from '../../src/nn/index.js'
import { relu, sum } from '../../src/ops/index.js'
import { describeConv } from '../../src/ops/conv.js'
import { planConv, type ConvAlgorithm } from '../../src/plan/conv.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { DisposedError, ShapeError } from '../../src/runtime/errors.js'
import { normal, tensor } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { createModel } from '../../src/zoo/index.js'

beforeAll(() => init())

const layers = () => [
  new Conv2d({ outChannels: 16, kernel: 3, padding: 1 }),
  new ReLU(),
  new MaxPool2d({ kernel: 2 }),
  new Conv2d({ outChannels: 16, kernel: 3 }),
  new Flatten(),
  new Linear({ outFeatures: 10 }),
]
const make = (options: object = {}): Sequential => new Sequential(layers(), { input: [3, 12, 12], seed: 3, ...options })
const twoInputs = (): Graph =>
  new Graph(
    [
      { name: 'sum', layer: new Add(), inputs: ['a', 'b'] },
      { name: 'end', layer: new ReLU(), inputs: ['sum'] },
    ],
    { inputs: { a: [3, 12, 12], b: [3, 12, 12] } },
  )
const image = (seed: number, N = 1): Tensor => normal([N, 3, 12, 12], { seed })

const bits = (y: Tensor): number[] => [...new Uint32Array(y.data().buffer)]
const answer = (model: Graph, x: Tensor): number[] => scope(() => bits(model.forward(x)))

/** Whether passes of the model repeat an earlier one: the records of its calls stay in memory then. */
function isRepeated(model: Graph, x: Tensor): boolean {
  answer(model, x)
  const before = memoryUsage().blocks
  for (let pass = 0; pass < 3; pass++) answer(model, x)
  return memoryUsage().blocks > before
}

describe('repeated passes', () => {
  it('keep what depends on weights from the second on, and give the bits of others', () => {
    const [model, plain] = [make(), make({ keepPacked: false })]
    const first = image(0)
    expect(isRepeated(model, first)).toBe(true)
    expect(isRepeated(plain, first)).toBe(false)
    for (let seed = 1; seed < 5; seed++) {
      const x = image(seed)
      expect(answer(model, x)).toEqual(answer(plain, x))
      x.dispose()
    }
    for (const owned of [model, plain, first]) owned.dispose()
  })

  it('give tensors of their own, and read the input as it is then', () => {
    const model = make()
    const x = image(1)
    isRepeated(model, x)
    const [before, after] = scope(() => {
      const y = model.forward(x)
      const values = bits(y)
      answer(model, image(2))
      return [values, bits(y)]
    })
    expect(after).toEqual(before)
    x.assign(new Float32Array(432))
    expect(answer(model, x)).not.toEqual(before)
    for (const owned of [model, x]) owned.dispose()
  })

  it('see new weights, other shapes and other outputs', () => {
    const [model, plain] = [make(), make({ keepPacked: false })]
    const x = image(1)
    const both = image(2, 2)
    isRepeated(model, x)
    for (const each of [model, plain]) for (const w of each.parameters()) w.assign(w.data().map((value) => value / 2))
    for (let pass = 0; pass < 5; pass++) expect(answer(model, x)).toEqual(answer(plain, x))
    for (let pass = 0; pass < 5; pass++) expect(answer(model, both)).toEqual(answer(plain, both))
    const inner = (each: Graph): number[] => scope(() => bits(each.run(x, ['1'])['1'] as Tensor))
    for (let pass = 0; pass < 5; pass++) expect(inner(model)).toEqual(inner(plain))
    for (const owned of [model, plain, x, both]) owned.dispose()
  })

  it('are no part of training or of gradients', () => {
    const [model, plain] = [make(), make({ keepPacked: false })]
    const x = image(1)
    isRepeated(model, x)
    const gradientOf = (each: Graph): number[] =>
      scope(() => {
        const { gradients } = valueAndGrad(() => sum(each.forward(x)))(...each.parameters())
        return gradients.flatMap((gradient) => bits(gradient))
      })
    expect(gradientOf(model)).toEqual(gradientOf(plain))
    for (const owned of [model, plain, x]) owned.dispose()
  })

  it('are given up by dispose, with all memory', () => {
    const before = memoryUsage().blocks
    const model = make()
    const x = image(1)
    isRepeated(model, x)
    model.dispose()
    x.dispose()
    expect(memoryUsage().blocks).toBe(before)
    expect(() => model.forward(x)).toThrow(DisposedError)
  })

  it('refuse weights that another model has disposed with itself', () => {
    const before = memoryUsage().blocks
    const shared = new Conv2d({ outChannels: 4, kernel: 3 })
    const [model, other] = [1, 2].map(() => new Sequential([shared, new ReLU()], { input: [3, 12, 12] }))
    const x = image(1)
    for (let pass = 0; pass < 4; pass++) answer(model!, x)
    other!.parameters()
    other!.dispose()
    expect(() => model!.forward(x)).toThrow(DisposedError)
    for (const owned of [model!, x]) owned.dispose()
    expect(memoryUsage().blocks).toBe(before)
  })

  it('refuse an input that was disposed, and go on with the next', () => {
    const model = make()
    const x = image(1)
    isRepeated(model, x)
    const expected = answer(model, x)
    x.dispose()
    expect(() => model.forward(x)).toThrow(DisposedError)
    expect(scope(() => answer(model, image(1)))).toEqual(expected)
    model.dispose()
  })

  it('refuse what only looks like a tensor, in every pass', async () => {
    vi.resetModules()
    const other = await import('../../src/index.js')
    await other.init()
    const foreign = other.normal([1, 3, 12, 12], { seed: 1 })
    const [model, pair] = [make(), twoInputs()]
    const x = image(1)
    const forgeries: [string, unknown][] = [
      ['a plain object with a pointer', { shape: x.shape, size: x.size, pointer: x.pointer }],
      ['a clone of what it shows', structuredClone({ shape: x.shape, size: x.size })],
      ['the tensor of another copy of the package', foreign],
    ]
    const refused =
      /forward: (x|input 'b') must be a Tensor, not an object like one, such as a clone or the tensor of another copy/
    for (let pass = 0; pass < 6; pass++) {
      for (const [what, forgery] of forgeries) {
        expect(() => model.forward(forgery as Tensor), `${what}, pass ${pass}`).toThrow(refused)
        expect(() => model.run({ input: forgery as Tensor }), what).toThrow(ShapeError)
        expect(() => pair.run({ a: x, b: forgery as Tensor }), what).toThrow(refused)
      }
      // A clone of the tensor itself is empty: what it holds is private.
      for (const wrong of [undefined, null, 7, [x], {}, structuredClone(x)]) {
        expect(() => model.run({ input: wrong as never })).toThrow(ShapeError)
        expect(() => model.forward(wrong as never)).toThrow(ShapeError)
      }
      answer(model, x)
      scope(() => void pair.run({ a: x, b: x }))
    }
    expect(() => relu(foreign as never)).toThrow(/relu: x must be a Tensor, not an object like one/)
    for (const owned of [model, pair, x, foreign]) owned.dispose()
  })

  it('are for layers that say so: what others do besides calling kernels happens every time', () => {
    class Counting extends Layer {
      readonly type = 'Counting'
      passes = 0
      outputShape = (input: readonly number[]): number[] => [...input]
      describe = (): string => 'counting'
      forward(x: Tensor): Tensor {
        this.passes++
        return relu(x)
      }
    }
    class Noisy extends Conv2d {
      passes = 0
      override forward(...args: Parameters<Conv2d['forward']>): Tensor {
        this.passes++
        return super.forward(...args)
      }
    }
    const counted = [new Counting(), new Noisy({ outChannels: 4, kernel: 3 })]
    const x = image(1)
    for (const layer of counted) {
      const model = new Sequential([layer], { input: [3, 12, 12] })
      for (let pass = 0; pass < 6; pass++) answer(model, x)
      expect(layer.passes).toBe(6)
      model.dispose()
    }
    x.dispose()
  })

  it('may be part of a layer, whether that is lowered or not', () => {
    const inner = make()
    class Nested extends Layer {
      readonly type = 'Nested'
      outputShape = (): number[] => [10]
      describe = (): string => 'nested'
      forward = (x: Tensor): Tensor => inner.forward(x)
    }
    class Lowered extends LoweredLayer {
      readonly type = 'Lowered'
      outputShape = (): number[] => [10]
      describe = (): string => 'lowered'
      protected lower = (x: Tensor): Tensor => inner.forward(x)
    }
    const plain = make({ keepPacked: false })
    const [outer, later] = [new Nested(), new Lowered()].map((layer) => new Sequential([layer], { input: [3, 12, 12] }))
    for (let seed = 0; seed < 9; seed++) {
      scope(() => {
        const x = image(seed)
        const expected = answer(plain, x)
        expect(answer(outer!, x)).toEqual(expected)
        if (seed > 3) expect(answer(later!, x)).toEqual(expected)
      })
    }
    for (const owned of [outer!, later!, inner, plain]) owned.dispose()
  })

  it('are made layer by layer where one reads values', () => {
    class Brightest extends LoweredLayer {
      readonly type = 'Brightest'
      outputShape = (): number[] => [1]
      describe = (): string => 'brightest'
      protected lower = (x: Tensor): Tensor => tensor([Math.max(...x.data())], [1, 1])
    }
    const model = new Sequential([new Brightest()], { input: [3, 12, 12] })
    for (let seed = 0; seed < 6; seed++) {
      scope(() => {
        const x = image(seed)
        expect(model.forward(x).item()).toBe(Math.max(...x.data()))
      })
    }
    model.dispose()
  })

  it('give NaN and infinity where the definition does, though tiles spread them, and ordinary bits after', () => {
    const convolutions = (algorithm: ConvAlgorithm | 'auto') => [
      new Conv2d({ outChannels: 16, kernel: 3, padding: 1, algorithm }),
      new ReLU(),
    ]
    const input = [16, 12, 12]
    const [model, exact] = (['auto', 'direct'] as const).map(
      (algorithm) => new Sequential(convolutions(algorithm), { input, seed: 3 }),
    ) as [Sequential, Sequential]
    const ordinary = normal([1, ...input], { seed: 1 })
    const { problem } = describeConv('conv2d', 2, ordinary.shape, [16, 16, 3, 3], { padding: 1 })
    expect(planConv(problem, 'fwd')).toBe('winograd')
    expect(isRepeated(model, ordinary)).toBe(true)
    const expected = answer(model, ordinary)
    for (const special of [NaN, Infinity, -Infinity]) {
      const x = tensor(ordinary.data().fill(special, 700, 701), [1, ...input])
      const [given, wanted] = [model, exact].map((each) => scope(() => each.forward(x).data()))
      expect([...given!].map(Number.isFinite)).toEqual([...wanted!].map(Number.isFinite))
      expect([...wanted!].every(Number.isFinite)).toBe(false)
      expect(answer(model, ordinary)).toEqual(expected)
      x.dispose()
    }
    for (const owned of [model, exact, ordinary]) owned.dispose()
  })

  it('hold no memory but packed weights and records', () => {
    const model = new Sequential(
      [new Conv2d({ outChannels: 16, kernel: 3 }), new Conv2d({ outChannels: 3, kernel: 3 })],
      {
        input: [16, 120, 120],
      },
    )
    const x = normal([1, 16, 120, 120], { seed: 1 })
    model.parameters()
    const before = memoryUsage().liveBytes
    expect(isRepeated(model, x)).toBe(true)
    expect(memoryUsage().liveBytes - before).toBe(model.summary().total.memory.packed)
    for (const owned of [model, x]) owned.dispose()
  })

  it('of LeNet-5 have the bits of other passes', () => {
    const [model, plain] = [createModel('lenet5', { seed: 1 }), createModel('lenet5', { seed: 1, keepPacked: false })]
    const x = normal([2, 1, 32, 32], { seed: 4 })
    const expected = answer(plain, x)
    expect(isRepeated(model, x)).toBe(true)
    expect(answer(model, x)).toEqual(expected)
    for (const owned of [model, plain, x]) owned.dispose()
  })
})
