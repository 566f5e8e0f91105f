/** The same with threads: kernels fail in this one, allocations are workspaces of all. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import * as t from '../../src/index.js'
import type { Tensor } from '../../src/index.js'
import { forceChunks } from '../../src/runtime/core.js'
import { byAlgorithm, cases } from '../operations/index.js'
import { consumed, expectSurvival, initWithFaults } from '../helpers/faults.js'

beforeAll(async () => {
  await initWithFaults(() => t.init({ threads: 3 }))
  forceChunks(2)
})
afterAll(async () => {
  forceChunks(undefined)
  await t.init({ threads: 1 })
})

const table = [
  ...Object.entries(byAlgorithm).filter(([name]) => name !== 'fft'),
  ...['linear', 'maxPool2d', 'localResponseNorm', 'softmax', 'crossEntropy', 'sum'].map(
    (name) => [name, cases[name]![0]!] as const,
  ),
]

it.each(table)('what fails leaves nothing: %s', (_, make) => {
  expect(t.runtimeInfo().threads).toBe(3)
  const { liveBytes, blocks } = t.memoryUsage()
  const made = t.scope(make)
  if ('numbers' in made) throw new Error('a case with tensors')
  const { inputs, fn } = made
  const use = (): Float32Array[] => {
    const { value, gradients } = t.valueAndGrad((...given) => t.sum(fn(...given)))(...inputs)
    return consumed(value, ...gradients)
  }
  for (let pass = 0; pass < 3; pass++) use()
  expect(expectSurvival({ use, kept: (): readonly Tensor[] => inputs })).toBeGreaterThan(3)
  for (const owned of inputs) owned.dispose()
  expect(t.memoryUsage()).toMatchObject({ liveBytes, blocks })
})
