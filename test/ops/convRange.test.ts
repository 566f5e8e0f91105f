/** Finite, NaN and infinite where the definition is: what is chosen by itself, on one thread. */
import { beforeAll } from 'vitest'
import { init } from '../../src/runtime/embedded.js'
import { testRange } from '../helpers/range.js'

beforeAll(() => init())

testRange(true)
