/** Counts of costs against the kernels of the relaxed core, whose register tiles are larger. */
import { setFlagsFromString } from 'node:v8'
import { beforeAll, describe } from 'vitest'
import { init } from '../../src/runtime/embedded.js'
import { countsAgree } from '../helpers/counts.js'

beforeAll(async () => {
  // Node 20 has it behind a flag; later ones know the flag no more, and need none.
  setFlagsFromString('--experimental-wasm-relaxed-simd')
  await init({ simd: 'relaxed' })
})

describe('counts are those of the kernels in the relaxed core', countsAgree)
