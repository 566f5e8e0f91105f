/** Mixed examples: each with a share of another one, of the inputs and of the targets alike (Zhang et al. 2018, mixup). */
import { guarded, integersAt, kernels, withWorkspace } from '../runtime/core.js'
import { checkObject, checkWhole, wrongKind } from '../runtime/check.js'
import { ArgumentError } from '../runtime/errors.js'
import { checkCount, needKeys, type Names } from '../runtime/options.js'
import { inWords } from '../runtime/text.js'
import type { Labels } from '../ops/loss.js'
import { filled, Tensor } from '../tensor/tensor.js'
import { randomOrder } from '../tensor/order.js'
import { mixingStream } from '../tensor/streams.js'
import type { Batch, DistantExamples, Draw, Examples } from '../train/examples.js'

/** Options of `mixup`. */
export interface MixupOptions {
  /** K, the number of classes. */
  readonly classes: number
  /** The shares are drawn from Beta(α, α), of which a small α gives small shares; 0.05 to 2. Default 0.2. */
  readonly alpha?: number
}

/** Tries of the sampler: fewer than one draw in 100,000 needs more, and has the share ½. */
const TRIES = 64

/**
 * The share of the first of two examples in a step, from Beta(α, α): of uniform u and v, u^(1/α) divided by u^(1/α) + v^(1/α), where
 * that sum is at most 1 (Jöhnk 1964). And a random order of the batch from the same words.
 */
function drawn({ seed, step, first }: Draw, count: number, alpha: number): { share: number; partners: Int32Array } {
  const words = 2 * TRIES + first + count
  return withWorkspace(4 * (words + 3), (pointer) => {
    guarded('mixup', () => kernels().random_bits(pointer, words, seed, mixingStream(step)))
    const bits = integersAt(pointer, words).slice()
    const unit = (index: number): number => ((bits[index] as number) >>> 0) / 2 ** 32
    const { scalar_pow: pow } = kernels('mixup')
    let share = 0.5
    for (let n = 0; n < TRIES; n++) {
      const [u, v] = [pow(unit(2 * n), 1 / alpha), pow(unit(2 * n + 1), 1 / alpha)]
      if (u + v > 1 || u + v === 0) continue
      share = u / (u + v)
      break
    }
    return { share, partners: randomOrder(count, (i) => Math.floor(unit(2 * TRIES + first + i) * (i + 1))) }
  })
}

/** A batch with a share of another order of itself; without `draw`, as it is, with distributions of labels. */
function mixed(
  { x, target }: Batch<Labels>,
  draw: Draw | undefined,
  { classes, alpha }: Required<MixupOptions>,
): Batch<Tensor> {
  const N = x.shape[0] as number
  const list: unknown = target instanceof Tensor ? target.data() : target
  if (!Array.isArray(list) && !ArrayBuffer.isView(list))
    throw wrongKind('mixup: the labels of a batch', 'a list or a Tensor', list)
  const labels = Array.from(list as ArrayLike<number | bigint>, Number)
  if (labels.length !== N)
    throw new ArgumentError(`mixup: a batch of ${N} inputs needs as many labels, given ${labels.length}`)
  labels.forEach((label, n) => {
    if (!Number.isInteger(label) || label < 0 || label >= classes)
      throw new ArgumentError(
        `mixup: label ${n} of a batch is ${inWords(label)}; with ${classes} classes it is from 0 to ${classes - 1}`,
      )
  })
  const { share, partners } = draw
    ? drawn(draw, N, alpha)
    : { share: 1, partners: Int32Array.from({ length: N }, (_, n) => n) }
  const width = x.size / N
  const inputs = filled(x.shape, 'a batch', (to) => {
    const [from, into] = [x.view(), to.view()]
    partners.forEach((partner, n) => {
      for (let i = 0; i < width; i++)
        into[n * width + i] =
          share * (from[n * width + i] as number) + (1 - share) * (from[partner * width + i] as number)
    })
  })
  const targets = filled([N, classes], 'targets of a batch', (to) => {
    const into = to.view()
    into.fill(0)
    partners.forEach((partner, n) => {
      into[n * classes + (labels[n] as number)] = share
      const other = n * classes + (labels[partner] as number)
      into[other] = (into[other] as number) + (1 - share)
    })
  })
  return { x: inputs, target: targets }
}

/**
 * Examples of which `fit` mixes each with another of its batch in training: x = λ · x + (1 − λ) · x′, and a distribution over the classes
 * with the share λ for the one label and 1 − λ for the other. λ is drawn for each step. `crossEntropy` and `accuracy` take such targets.
 *
 *     await fit(model, mixup(imageExamples(photos, normalization), { classes: 10 }), { …, loss: crossEntropy })
 *
 * @throws ArgumentError when an option does not fit, and, when a batch is made, when a label is no class
 */
export function mixup(data: Examples<Labels>, options: MixupOptions): Examples<Tensor>
export function mixup(
  data: Examples<Labels> | DistantExamples<Labels>,
  options: MixupOptions,
): Examples<Tensor> | DistantExamples<Tensor>
export function mixup(
  data: Examples<Labels> | DistantExamples<Labels>,
  options: MixupOptions,
): Examples<Tensor> | DistantExamples<Tensor> {
  checkCount('mixup', 2, arguments)
  checkObject(data, 'mixup: the data', 'examples as fit takes them', ['size'])
  needKeys('mixup', options, { classes: 0, alpha: 0 } satisfies Names<MixupOptions>)
  const { classes, alpha = 0.2 } = options
  checkWhole(classes, 'mixup: classes', 1, 2 ** 24)
  if (!(typeof alpha === 'number' && alpha >= 0.05 && alpha <= 2))
    throw wrongKind('mixup: alpha', 'a number from 0.05 to 2', alpha)
  const { size, groups } = data
  const rest = { size, ...(groups ? { groups } : {}) }
  const how = { classes, alpha }
  if (!('read' in data)) {
    if (typeof (data as Partial<typeof data>).batch !== 'function')
      throw new ArgumentError('mixup: the data must be examples as fit takes them; it has neither batch() nor read()')
    return { ...rest, batch: (indices, draw) => mixed(data.batch(indices, draw), draw, how) }
  }
  return {
    ...rest,
    async read(indices) {
      const read = await data.read(indices)
      return { indices: read.indices, batch: (draw?: Draw) => mixed(read.batch(draw), draw, how) }
    },
  }
}
