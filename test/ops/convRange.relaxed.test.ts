/** Finite, NaN and infinite where the definition is: what is chosen by itself, on the core that fuses multiply and add. */
import { setFlagsFromString } from 'node:v8'
import { beforeAll, expect, it } from 'vitest'
import { init } from '../../src/runtime/embedded.js'
import { runtimeInfo } from '../../src/runtime/core.js'
import { testRange } from '../helpers/range.js'

beforeAll(async () => {
  // Node 20 has it behind a flag; later ones know the flag no more, and need none.
  setFlagsFromString('--experimental-wasm-relaxed-simd')
  await init({ simd: 'relaxed' })
})

it('runs on the relaxed core', () => {
  expect(runtimeInfo().simd).toBe('relaxed')
})

testRange(false)
