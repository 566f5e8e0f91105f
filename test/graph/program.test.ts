/** Plans and programs of passes that are traced by hand. */
import { beforeAll, describe, expect, it } from 'vitest'
import { measurePlan } from '../../src/graph/memory.js'
import { planPass, type Plan } from '../../src/graph/plan.js'
import { PlannedProgram, type Values } from '../../src/graph/program.js'
import { trace } from '../../src/graph/trace.js'
import { add, batchNorm, concat, conv2d, exp, flatten, maxPool2d, mul, relu, sum } from '../../src/ops/index.js'
import { maxPool2dWithIndices, placesOfMaxima } from '../../src/ops/pool/max.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { normal, tensor } from '../../src/tensor/create.js'
import { scope, type AnyTensor, type Tensor } from '../../src/tensor/tensor.js'
import { peakOf } from '../helpers/memory.js'

beforeAll(() => init())

type Pass = (x: Tensor) => Record<string, Tensor>

const planOf = (shape: readonly number[], pass: Pass): Plan =>
  planPass(trace(new Map([['x', shape]]), (inputs) => new Map(Object.entries(pass(inputs.get('x')!))))!)

const namesOf = (plan: Plan): string[] => plan.repeated.map(({ node }) => node.name)

const given = (x: Tensor): Values => new Map([['x', x]])

const bits = (values: Record<string, AnyTensor>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(values).map(([name, y]) => [name, `${y.shape.join()}: ${new Uint32Array(y.data().buffer).join()}`]),
  )

/** What a pass gives at once, and what its program gives in each of five runs. */
function compare(shape: readonly number[], pass: Pass, change?: () => void): void {
  const program = new PlannedProgram(planOf(shape, pass), true)
  for (let run = 0; run < 5; run++) {
    scope(() => {
      const x = normal(shape, { seed: run })
      expect(bits(program.run(given(x))), `run ${run}`).toEqual(bits(scope(() => pass(x))))
    })
    if (run === 2) change?.()
  }
  program.dispose()
}

describe('a program', () => {
  const shape = [2, 3, 8, 8]

  it('gives the bits of the pass in each run, and of new weights', () => {
    const before = memoryUsage().blocks
    const w = normal([4, 3, 3, 3], { seed: 7 })
    const bias = normal([4], { seed: 8 })
    compare(
      shape,
      (x) => {
        const y = relu(conv2d(x, mul(w, 2), { bias, padding: 1 }))
        return { y: flatten(maxPool2d(y, { kernel: 2 })), skipped: add(y, conv2d(x, w, { padding: 1 })) }
      },
      () => {
        w.assign(w.data().map((value) => -value))
      },
    )
    for (const owned of [w, bias]) owned.dispose()
    expect(memoryUsage().blocks).toBe(before)
  })

  it('takes branches, values that are read twice, an input that is handed out and two names for one value', () => {
    compare(shape, (x) => {
      const a = exp(x)
      const b = relu(a)
      return { joined: concat([a, b, x], 1), x: flatten(x), again: b, same: b.reshape([2, -1]), total: sum(b) }
    })
  })

  it('hands out what depends on weights alone', () => {
    const w = normal([3], { seed: 1 })
    compare([1, 2], (x) => ({ y: relu(x), w: exp(w), itself: w }))
    w.dispose()
  })

  it('packs weights that it computes itself', () => {
    const shape = [1, 16, 12, 12]
    compare(shape, (x) => {
      const w = normal([16, 16, 3, 3], { seed: 3 })
      return { y: conv2d(x, add(w, sum(mul(x, 0))), { padding: 1 }) }
    })
  })

  it('normalizes by running statistics', () => {
    const [mean, variance] = [normal([3], { seed: 1 }), tensor([1, 2, 3])]
    compare(shape, (x) => ({ y: batchNorm(x, undefined, undefined, { runningMean: mean, runningVar: variance }) }))
    for (const owned of [mean, variance]) owned.dispose()
  })
})

describe('a node of several results', () => {
  const shape = [2, 3, 8, 8]
  const pooled = (x: Tensor) => {
    const { y, indices } = maxPool2dWithIndices(x, { kernel: 2 })
    return { y, places: placesOfMaxima({ bits: indices.bits }, { plane: [8, 8], byColumns: false }) }
  }

  it('gives each of them that is read, as the operation does', () => {
    compare(shape, (x) => pooled(exp(x)) as unknown as Record<string, Tensor>)
    compare(shape, (x) => ({ y: relu(pooled(exp(x)).y) }))
    compare(shape, (x) => ({ places: pooled(exp(x)).places }) as unknown as Record<string, Tensor>)
    compare(shape, (x) => {
      const { y, places } = pooled(x)
      const next = exp(relu(y))
      return { y: add(next, y), places } as unknown as Record<string, Tensor>
    })
  })

  it('hands each of them out', () => {
    compare(shape, (x) => {
      const { y, indices } = maxPool2dWithIndices(exp(x), { kernel: 2 })
      return { bits: indices.bits, y }
    })
    compare(shape, (x) => ({ bits: maxPool2dWithIndices(exp(x), { kernel: 2 }).indices.bits }))
  })

  it('is dropped where none of them is read, and does not become part of another', () => {
    const names = (pass: (x: Tensor) => object): string[] => namesOf(planOf(shape, pass as Pass))
    expect(
      names((x) => {
        pooled(x)
        return { y: exp(x) }
      }),
    ).toEqual(['exp'])
    expect(names((x) => ({ places: pooled(x).places }))).toEqual(['maxPool2d', 'placesOfMaxima'])
    expect(names((x) => ({ y: relu(maxPool2dWithIndices(x, { kernel: 2 }).indices.bits) }))).toEqual([
      'maxPool2d',
      'relu',
    ])
  })

  it('depends on weights alone where its inputs do', () => {
    const w = normal(shape, { seed: 4 })
    compare(
      shape,
      (x) => {
        const { y, places } = pooled(w)
        return { y: add(maxPool2d(x, { kernel: 2 }), y), places } as unknown as Record<string, Tensor>
      },
      () => {
        w.assign(w.data().map((value) => -value))
      },
    )
    w.dispose()
  })

  it.each([
    ['one', (x: Tensor) => ({ y: exp(maxPool2dWithIndices(exp(x), { kernel: 2 }).y) })],
    ['both', (x: Tensor) => pooled(exp(x))],
    ['the other', (x: Tensor) => ({ places: pooled(exp(x)).places })],
  ])('takes what is told where %s of them is read', (_, pass) => {
    const w = normal([3, 1, 1], { seed: 2 })
    const plan = planOf(shape, (x) => (pass as Pass)(mul(x, w)))
    const { single, working } = measurePlan(plan)
    const program = new PlannedProgram(plan, true)
    const x = normal(shape, { seed: 1 })
    const run = (): number => peakOf(() => scope(() => void program.run(given(x)))) + 4 * x.size
    expect(run()).toBe(single)
    run()
    expect(run()).toBe(working)
    program.dispose()
    for (const owned of [w, x]) owned.dispose()
  })
})

describe('a plan', () => {
  it('drops what nothing reads, computes before what depends on weights alone, and puts relu into convolutions', () => {
    const w = normal([4, 3, 3, 3], { seed: 7 })
    const plan = planOf([1, 3, 8, 8], (x) => {
      exp(x)
      const y = relu(conv2d(x, mul(w, 2)))
      return { y: relu(maxPool2d(y, { kernel: 2 })) }
    })
    expect(plan.constants.map(({ node }) => node.name)).toEqual(['mul'])
    expect(namesOf(plan)).toEqual(['conv2d', 'maxPool2d', 'relu'])
    w.dispose()
  })

  it('leaves relu where its input is read elsewhere, or handed out', () => {
    const w = normal([4, 3, 3, 3], { seed: 7 })
    const twice = planOf([1, 3, 8, 8], (x) => {
      const y = conv2d(x, w)
      return { y: add(relu(y), y) }
    })
    expect(namesOf(twice)).toEqual(['conv2d', 'relu', 'add'])
    const out = planOf([1, 3, 8, 8], (x) => {
      const y = conv2d(x, w)
      return { y, rectified: relu(y) }
    })
    expect(namesOf(out)).toEqual(['conv2d', 'relu'])
    w.dispose()
  })

  it('tells what a pass takes', () => {
    const w = normal([16, 16, 3, 3], { seed: 7 })
    const plan = planOf([1, 16, 20, 20], (x) => {
      const y = conv2d(x, w, { padding: 1 })
      return { y: add(maxPool2d(y, { kernel: 3, stride: 1, padding: 1 }), y) }
    })
    const { single, working, packed } = measurePlan(plan)
    const program = new PlannedProgram(plan, true)
    const x = normal([1, 16, 20, 20], { seed: 1 })
    const run = (): number => peakOf(() => scope(() => void program.run(given(x)))) + 4 * x.size
    const live = memoryUsage().liveBytes
    expect(run()).toBe(single)
    run()
    expect(memoryUsage().liveBytes - live).toBe(packed)
    expect(run()).toBe(working)
    program.dispose()
    for (const owned of [w, x]) owned.dispose()
  })

  it('is given up where what is computed depends on numbers', () => {
    const before = memoryUsage().blocks
    const w = normal([3], { seed: 1 })
    const inputs = new Map([['x', [3]]])
    expect(trace(inputs, (x) => new Map([['y', mul(x.get('x')!, w.data()[0]!)]]))).toBeUndefined()
    expect(trace(inputs, (x) => new Map([['y', tensor(x.get('x')!.data())]]))).toBeUndefined()
    w.dispose()
    expect(memoryUsage().blocks).toBe(before)
  })

  it('has 20,000 nodes without a second thought, and a stack that does not overflow', () => {
    const plan = planOf([4], (x) => {
      let y = x
      for (let i = 0; i < 20_000; i++) y = relu(y)
      return { y }
    })
    expect(plan.repeated).toHaveLength(20_000)
    expect(plan.arranged().bytes).toBe(2 * 64)
  })
})
