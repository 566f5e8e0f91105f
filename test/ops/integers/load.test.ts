/** Loading the kernels of integers beside the core. */
import { expect, it } from 'vitest'
import { loadIntegers } from '../../../src/ops/integers/load.js'
import { runtimeInfo } from '../../../src/runtime/core.js'
import { init } from '../../../src/runtime/embedded.js'

it('waits for the core, refuses another module, and loads once', async () => {
  await expect(loadIntegers(undefined)).rejects.toThrow(/init/)
  await init()
  expect(runtimeInfo().kernels).not.toContain('integer_conv_fwd')
  const empty = new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0))
  await expect(loadIntegers(empty)).rejects.toThrow()
  await loadIntegers(undefined)
  await loadIntegers(undefined)
  expect(runtimeInfo().kernels.filter((name) => name === 'integer_conv_fwd')).toHaveLength(1)
})
