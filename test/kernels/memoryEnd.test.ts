/** No operation touches what lies behind a tensor or a workspace, which may end where memory does. */
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { vjp } from '../../src/autodiff/vjp.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { Allocator } from '../../src/runtime/memory.js'
import { tensor } from '../../src/tensor/create.js'
import { sizeOf, type Shape } from '../../src/tensor/shape.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { lastBlock } from '../helpers/memory.js'
import { dividedCases, type MakeCase } from '../operations/index.js'

let last: ReturnType<typeof lastBlock>
beforeAll(async () => {
  await init()
  last = lastBlock()
})
afterAll(() => last.release())

const numbers = Float32Array.from({ length: 1 << 18 }, (_, i) => Math.fround(((i * 7919) % 2003) / 1001 - 1))

/** What gives the value and the gradients, every number of them, of tensors that are made anew each time. */
function runnerOf(make: MakeCase): () => number[][] {
  const told = scope(make)
  if ('numbers' in told) throw new Error('a case with tensors')
  const { fn } = told
  const shapes = told.inputs.map(({ shape }) => shape)
  const made = (shape: Shape, first: number): Tensor => tensor(numbers.subarray(first, first + sizeOf(shape)), shape)
  return () =>
    scope(() => {
      const { value, pullback, dispose } = vjp(fn, ...shapes.map((shape, i) => made(shape, i + 1)))
      const gradients = pullback(made(value.shape, 3))
      dispose()
      return [value, ...gradients].map((result) => [...result.data()])
    })
}

/** Runs `use` with the block that is allocated as number `index` at the end of memory; returns how many there were. */
function withBlockAtEnd(index: number, use: () => void): number {
  const { allocate, release } = Allocator.prototype
  let count = 0
  let moved = -1
  const spies = [
    vi.spyOn(Allocator.prototype, 'allocate').mockImplementation(function (this: Allocator, bytes) {
      if (count++ !== index) return allocate.call(this, bytes)
      moved = last.end - 4 * Math.max(1, Math.ceil(bytes / 4))
      return moved
    }),
    vi.spyOn(Allocator.prototype, 'release').mockImplementation(function (this: Allocator, pointer) {
      if (pointer !== moved) release.call(this, pointer)
    }),
  ]
  try {
    use()
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
  return count
}

it.each(dividedCases)('%s', (_, make) => {
  const run = runnerOf(make)
  run()
  const expected = run()
  const blocks = withBlockAtEnd(-1, run)
  expect(blocks).toBeGreaterThan(3)
  for (let index = 0; index < blocks; index++) {
    withBlockAtEnd(index, () => expect(run()).toEqual(expected))
  }
  expect(memoryUsage().reservedBytes).toBe(last.end)
})
