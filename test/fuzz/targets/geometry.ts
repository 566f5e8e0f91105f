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

/** What is wrong with a case of a seed, and how many were refused. */
type Generator = (seed: number) => { readonly faults: readonly string[]; readonly refused: number }

const convolution: Generator = (seed) => checkConvolutions(seed, 1)

const operation: Generator = (seed) => {
  const { wrong, trapped, slow, broken, refused } = checkOperations(seed, 1)
  return { faults: [...wrong, ...trapped, ...slow, ...broken], refused }
}

const checkBy =
  (generator: Generator) =>
  (given: Json): Outcome => {
    const { seed, chunk } = given as unknown as Case
    forceChunks(chunk || undefined)
    try {
      const { faults, refused } = generator(seed)
      if (faults.length > 0) throw new Fault(faults.join('; '))
      return refused > 0 ? 'refused' : accepted()
    } finally {
      forceChunks(undefined)
    }
  }

const targetOf = (about: string, generator: Generator, threads: number | undefined): Target =>
  defineTarget<Json>({
    about: `${about}${threads === undefined ? '' : `, on ${threads} threads`}`,
    cases: 200,
    ...(threads === undefined ? {} : { threads }),
    make: (random) => ({ seed: random.below(2 ** 20), chunk: threads === undefined ? 0 : random.pick([1, 2, 5]) }),
    check: checkBy(generator),
  })

const convolutions = 'convolutions of any stride, dilation and padding, all passes'
export const convGeometry = targetOf(convolutions, convolution, undefined)
export const convGeometryThreads = targetOf(convolutions, convolution, 2)

const operations = 'every other operation at any extents, strides, dilation and padding, with its gradients'
export const operationGeometry = targetOf(operations, operation, undefined)
export const operationGeometryThreads = targetOf(operations, operation, 2)
