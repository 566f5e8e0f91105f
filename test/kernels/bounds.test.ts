/** No pass of a convolution touches what lies behind its operands, which may end where memory does. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fusesRelu, listConv } from '../../src/ops/convKernels.js'
import { describeConv, type ConvOptions } from '../../src/ops/conv.js'
import { algorithms, algorithmsFor, type ConvAlgorithm, type ConvPass } from '../../src/plan/conv.js'
import { CallList, makeCalls, type Place } from '../../src/runtime/calls.js'
import { floatsAt, memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { sizeOf } from '../../src/tensor/shape.js'
import { empty } from '../../src/tensor/tensor.js'
import { lastBlock } from '../helpers/memory.js'

beforeAll(() => init())

let last: ReturnType<typeof lastBlock>
beforeAll(() => {
  last = lastBlock()
})
afterAll(() => last.release())

interface Case {
  readonly x: readonly number[]
  readonly w: readonly number[]
  readonly options?: ConvOptions
}

const square = (N: number, C: number, K: number, H: number, R: number, options: ConvOptions = {}): Case => ({
  x: [N, C, H, H + 1],
  w: [K, C, R, R],
  options,
})

const cases: readonly Case[] = [
  ...[1, 2, 3, 4, 5].flatMap((R) => [5, 6, 7, 9, 12, 14].map((H) => square(2, 3, 5, H, R))),
  ...[1, 2, 3].flatMap((padding) => [4, 5, 7, 10].map((H) => square(3, 5, 6, H, 2 * padding + 1, { padding }))),
  ...[4, 5, 6, 7, 8, 11].flatMap((H) => [4, 5].map((R) => square(2, 16, 18, H, R, { padding: 2 }))),
  ...[4, 5, 6, 7, 8, 11].map((H) => square(2, 17, 19, H, 3, { padding: 1 })),
  ...[11, 13, 17].map((H) => square(2, 3, 5, H, 7, { stride: 2, padding: 3 })),
  ...[15, 23].map((H) => square(1, 3, 9, H, 11, { stride: 4 })),
  square(2, 2, 3, 11, 3, { dilation: 2 }),
  { x: [2, 3, 5, 4], w: [9, 3, 5, 4] },
  { x: [3, 6, 9, 21], w: [6, 1, 3, 3], options: { groups: 6, padding: 1 } },
  { x: [2, 7, 6, 5], w: [7, 1, 5, 5], options: { groups: 7, padding: 2 } },
]

describe.each(Object.keys(algorithms) as ConvAlgorithm[])('%s', (algorithm) => {
  it.each(['fwd', 'dx', 'dw'] as ConvPass[])('%s stays within its operands', (pass) => {
    let runs = 0
    for (const { x, w, options = {} } of cases) {
      const { problem, yShape } = describeConv('conv2d', 2, x, w, options)
      if (!algorithmsFor(problem, pass).includes(algorithm)) continue
      const shapes = { fwd: [yShape, x, w], dx: [x, yShape, w], dw: [w, yShape, x] }[pass]
      for (const atEnd of [0, 1, 2, 3]) {
        const sizes = [...shapes.map(sizeOf), w[0]!]
        const operands = sizes.map((size) => empty([size]))
        const [out, left, right, bias] = operands.map((tensor, index) => {
          const pointer = index === atEnd ? last.end - 4 * sizes[index]! : tensor.pointer
          floatsAt(pointer, sizes[index]!).fill(0.5)
          return pointer
        }) as [number, number, number, number]
        const list = new CallList()
        const place = (name: string): Place => list.operand(name)
        listConv(algorithm, pass, {
          ...{ list, problem, out: place('out'), left: place('left'), right: place('right') },
          ...(pass === 'fwd'
            ? { bias: place('bias'), biasKind: 'channel', relu: fusesRelu(algorithm) }
            : { bias: 0, biasKind: 'none', relu: false }),
          ...{ weights: undefined, checked: true },
        })
        makeCalls(list, [out, left, right, bias])
        expect(floatsAt(out, sizes[0]!).every(Number.isFinite)).toBe(true)
        expect(memoryUsage().reservedBytes).toBe(last.end)
        for (const tensor of operands) tensor.dispose()
        runs++
      }
    }
    expect(runs).toBeGreaterThan(0)
  })
})
