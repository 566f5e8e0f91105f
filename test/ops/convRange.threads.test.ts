/** Finite, NaN and infinite where the definition is: what is chosen by itself, on three threads. */
import { afterAll, beforeAll } from 'vitest'
import { init } from '../../src/runtime/embedded.js'
import { forceChunks } from '../../src/runtime/core.js'
import { testRange } from '../helpers/range.js'

beforeAll(async () => {
  await init({ threads: 3 })
  forceChunks(1)
})
afterAll(async () => {
  forceChunks(undefined)
  await init({ threads: 1 })
})

testRange(false)
