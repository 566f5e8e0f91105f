/** Counts of costs against the kernels. */
import { beforeAll, describe } from 'vitest'
import { init } from '../../src/runtime/embedded.js'
import { countsAgree } from '../helpers/counts.js'

beforeAll(() => init())

describe('counts are those of the kernels', countsAgree)
