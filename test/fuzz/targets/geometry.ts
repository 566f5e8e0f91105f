/** Geometry that reaches as far as 2³¹ − 1, by the generators of test/helpers: right or refused, in time. */
import { forceChunks } from '../../../src/runtime/core.js'
import { checkConvolutions } from '../../helpers/geometry.js'
import { checkOperations } from '../../helpers/operationGeometry.js'
import type { Json } from '../mutate.js'
import { accepted, defineTarget, Fault, type Outcome, type Target } from '../target.js'

interface Case {
  readonly seed: number
  readonly chunk: number
}

/** A target whose cases are those of a generator: `judge` tells the faults of one seed, and whether it was refused. */
function targetOf(
  what: string,
  threads: number | undefined,
  judge: (seed: number) => { readonly faults: readonly string[]; readonly refused: number },
): Target {
  return defineTarget<Json>({
    about: `${what}${threads === undefined ? '' : `, on ${threads} threads`}`,
    cases: 100,
    tellsSlow: true,
    ...(threads === undefined ? {} : { threads }),
    make: (random) => ({ seed: random.below(2 ** 20), chunk: threads === undefined ? 0 : random.pick([1, 2, 5]) }),
    check(given): Outcome {
      const { seed, chunk } = given as unknown as Case
      forceChunks(chunk || undefined)
      try {
        const { faults, refused } = judge(seed)
        if (faults.length > 0) throw new Fault(faults.join('; '))
        return refused > 0 ? 'refused' : accepted()
      } finally {
        forceChunks(undefined)
      }
    },
  })
}

const convolutions = 'convolutions of any stride, dilation and padding, all passes'
const operations = 'the other operations at sizes around 2^15 … 2^31'

const judgeOperation = (seed: number): { faults: readonly string[]; refused: number } => {
  const { wrong, trapped, slow, broken, refused } = checkOperations(seed, 1)
  return { faults: [...wrong, ...trapped, ...slow, ...broken], refused }
}

export const convGeometry = targetOf(convolutions, undefined, (seed) => checkConvolutions(seed, 1))
export const convGeometryThreads = targetOf(convolutions, 2, (seed) => checkConvolutions(seed, 1))
export const operationGeometry = targetOf(operations, undefined, judgeOperation)
export const operationGeometryThreads = targetOf(operations, 2, judgeOperation)
