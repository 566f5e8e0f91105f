/** What data sets that are made by a seed have in common. */
import { checkNumber, checkWhole, wrongKind } from '../runtime/check.js'
import { ShapeError } from '../runtime/errors.js'
import { normal, uniform } from '../tensor/create.js'
import { showShape, sizeOf } from '../tensor/shape.js'
import { madeStream } from '../tensor/streams.js'
import { tensorExamples, type Examples } from '../train/examples.js'

/** Options of every maker. */
export interface MakerOptions {
  /** N, how many examples are made. Classes take turns. */
  readonly count: number
  /** Standard deviation of the normal noise that is added to every number. */
  readonly noise?: number
  /** Seed of all that is drawn. Default 0. */
  readonly seed?: number
}

/** Examples that were made, as `fit` takes them. */
export interface MadeExamples extends Examples<Int32Array> {
  /** All inputs (N, …), row-major. */
  readonly x: Float32Array
  /** N class numbers. */
  readonly labels: Int32Array
  /** The shape of one input. */
  readonly shape: readonly number[]
  /** Names of the classes. */
  readonly classes: readonly string[]
}

/** Numbers of all examples together: 1 GiB of them. */
const MOST_NUMBERS = 2 ** 28

/** Numbers from 0 to 1 that were drawn for each example: the same for an example, however many there are. */
export type Drawn = (example: number) => Float32Array

/** Uniform numbers, `each` for an example. */
export function drawn(count: number, each: number, seed: number, place: number): Drawn {
  const all = uniform([count, each], { seed, stream: madeStream(place) })
  const values = all.data()
  all.dispose()
  return (example) => values.subarray(example * each, (example + 1) * each)
}

/**
 * Makes examples of classes that take turns: `fill` writes one into zeros, and noise is added. `checkMaker` comes before.
 */
export function made(
  { count, noise = 0, seed = 0 }: MakerOptions,
  shape: readonly number[],
  classes: readonly string[],
  fill: (to: Float32Array, label: number, example: number) => void,
): MadeExamples {
  const size = sizeOf(shape)
  const x = new Float32Array(count * size)
  const labels = Int32Array.from({ length: count }, (_, n) => n % classes.length)
  for (let n = 0; n < count; n++) {
    const to = x.subarray(n * size, (n + 1) * size)
    fill(to, labels[n] as number, n)
    if (noise === 0) continue
    const added = normal([size], { std: noise, seed, stream: madeStream(NOISE + n) })
    const values = added.view()
    for (let i = 0; i < size; i++) to[i] = (to[i] as number) + (values[i] as number)
    added.dispose()
  }
  return { ...tensorExamples(x, labels, shape), x, labels, shape, classes }
}

/** Streams from this place on are those of the noise of examples. */
const NOISE = 16

/** The most noise: what is beyond was not meant, and would leave float32. */
const MOST_NOISE = 1e6

/**
 * Checks what every maker is told, before anything is drawn.
 * @throws ArgumentError unless count and noise are what they must be; ShapeError when the numbers are more than memory is for
 */
export function checkMaker(name: string, { count, noise = 0 }: MakerOptions, shape: readonly number[]): void {
  checkWhole(count, `${name}: count`, 1, 2 ** 24)
  checkNumber(noise, `${name}: noise`, 0)
  if (noise > MOST_NOISE) throw wrongKind(`${name}: noise`, `at most ${MOST_NOISE}`, noise)
  const numbers = count * sizeOf(shape)
  if (!(numbers <= MOST_NUMBERS)) {
    throw new ShapeError(
      `${name}: ${count} examples of ${showShape(shape)} are ${numbers} numbers; at most ${MOST_NUMBERS} are made`,
    )
  }
}
