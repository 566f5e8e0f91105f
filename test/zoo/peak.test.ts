/** Memory of VGG-16 at full size, in a process that holds nothing else. */
import { expect, it } from 'vitest'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { zeros } from '../../src/tensor/create.js'
import { scope } from '../../src/tensor/tensor.js'
import { vgg } from '../../src/zoo/index.js'

it('VGG-16: a pass takes its weights, what is packed of them, at most 60 MB more, and what the summary says', async () => {
  await init()
  const model = vgg({ weightInit: 'zeros' })
  const { memory } = model.summary().total
  expect(memory.weights).toBeGreaterThanOrEqual(4 * 138_357_544)
  const x = zeros([1, 3, 224, 224])
  const pass = (): void => {
    scope(() => void model.forward(x))
  }
  pass()
  // Nothing is packed yet at the widest place of the first pass.
  expect(memoryUsage().peakBytes).toBeLessThanOrEqual(memory.weights + 60e6)
  expect(Math.abs(memoryUsage().peakBytes / memory.firstPeak - 1)).toBeLessThan(0.05)
  pass()
  pass()
  const { peakBytes, reservedBytes } = memoryUsage()
  expect(Math.abs(peakBytes / memory.peak - 1)).toBeLessThan(0.05)
  // What is held, not only what is handed out.
  expect(reservedBytes).toBeLessThanOrEqual(memory.weights + memory.packed + 60e6)
  model.dispose()
}, 120_000)
