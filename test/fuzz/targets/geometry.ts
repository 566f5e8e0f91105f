/** Geometry that reaches as far as 2³¹ − 1, by the generators of test/helpers: right or refused, in time. */
import { forceChunks } from '../../../src/runtime/core.js'
import { checkConvolutions } from '../../helpers/geometry.js'
import type { Json } from '../mutate.js'
import { accepted, defineTarget, Fault, type Outcome, type Target } from '../target.js'

interface Case {
  readonly seed: number
  readonly chunk: number
}

function check(given: Json): Outcome {
  const { seed, chunk } = given as unknown as Case
  forceChunks(chunk || undefined)
  try {
    const { faults, refused } = checkConvolutions(seed, 1)
    if (faults.length > 0) throw new Fault(faults.join('; '))
    return refused > 0 ? 'refused' : accepted()
  } finally {
    forceChunks(undefined)
  }
}

const targetOf = (threads: number | undefined): Target =>
  defineTarget<Json>({
    about: `convolutions of any stride, dilation and padding, all passes${threads === undefined ? '' : `, on ${threads} threads`}`,
    cases: 200,
    ...(threads === undefined ? {} : { threads }),
    make: (random) => ({ seed: random.below(2 ** 20), chunk: threads === undefined ? 0 : random.pick([1, 2, 5]) }),
    check,
  })

export const convGeometry = targetOf(undefined)
export const convGeometryThreads = targetOf(2)
