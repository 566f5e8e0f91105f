import { beforeAll, expect, it } from 'vitest'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { fit } from '../../src/train/index.js'
import { examples, options, setting } from '../helpers/bars.js'

beforeAll(() => init())

it('training holds its memory from the second step to the last, over 2,000 steps', async () => {
  const { model, optimizer } = setting()
  const usage: { live: number; blocks: number; reserved: number }[] = []
  await fit(model, examples(40), {
    ...options(optimizer, { epochs: 500 }),
    callbacks: {
      onStep() {
        const { liveBytes, blocks, reservedBytes } = memoryUsage()
        usage.push({ live: liveBytes, blocks, reserved: reservedBytes })
      },
    },
  })
  expect(usage).toHaveLength(2000)
  const second = usage[1]!
  for (const now of usage.slice(1)) expect(now).toEqual(second)
})
