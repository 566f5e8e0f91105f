/** Many pictures, a batch at a time. */
import { slice } from '../ops/layout.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { showShape } from '../tensor/shape.js'
import { checkTensor, scope, Tensor } from '../tensor/tensor.js'

/**
 * Inputs of a model: a tensor (N, …), or batches (N, …) one after another, as a generator makes them. A tensor that an
 * iterable makes when it is asked for the next one is freed after its use.
 */
export type Pictures = Tensor | Iterable<Tensor>

function checkBatch(x: unknown, name: string): asserts x is Tensor {
  checkTensor(x, name, 'the pictures')
  if (x.ndim < 2 || x.size === 0) throw new ShapeError(`${name}: pictures must be (N, …), given ${showShape(x.shape)}`)
}

/**
 * Calls `use` in a scope for each batch, with the number of the pictures before it.
 * @returns the number of pictures
 * @throws ShapeError when there is none, or a batch is no tensor (N, …)
 */
export function eachBatch(
  pictures: Pictures,
  batchSize: number,
  name: string,
  use: (x: Tensor, first: number) => void,
): number {
  let first = 0
  if (pictures instanceof Tensor) {
    checkBatch(pictures, name)
    for (const size = pictures.shape[0] as number; first < size; first += batchSize) {
      const end = Math.min(size, first + batchSize)
      scope(() => {
        use(slice(pictures, { begin: [first], end: [end] }), first)
      })
    }
    return pictures.shape[0] as number
  }
  const isIterable = typeof pictures === 'object' && (pictures as object | null) !== null && Symbol.iterator in pictures
  if (!isIterable) {
    throw new ArgumentError(
      `${name}: the pictures must be a Tensor (N, …) or batches of such, given ${inWords(pictures)}`,
    )
  }
  const iterator = pictures[Symbol.iterator]()
  try {
    for (let done = false; !done;) {
      scope(() => {
        const next = iterator.next()
        done = next.done === true
        if (done) return
        checkBatch(next.value, name)
        use(next.value, first)
        first += next.value.shape[0] as number
      })
    }
  } catch (error) {
    // A generator closes what it has open.
    iterator.return?.()
    throw error
  }
  if (first === 0) throw new ArgumentError(`${name}: there is no picture`)
  return first
}
