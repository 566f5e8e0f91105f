/**
 * Losses: how far an output is from what was wanted. One pass computes the loss and, where a gradient may follow,
 * its derivative, delta; the gradient is delta times dy. Sums are float64 in a fixed order. For second derivatives, delta has
 * gradients of its own.
 */
import { checkConstant, defineOp, type Definition, type Op } from '../autodiff/op.js'
import { after, type CallList, type Place } from '../runtime/calls.js'
import { kernels } from '../runtime/core.js'
import { wrongKind } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { HEAVY, LIGHT } from '../runtime/work.js'
import { checkKeys, withArity, type Names } from '../runtime/options.js'
import { tensor, type NestedArray } from '../tensor/create.js'
import { sameShape, showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { checkTensor, scope, Tensor } from '../tensor/tensor.js'
import { sigmoid } from './activation.js'
import { add, div, mul, neg, sub } from './elementwise.js'
import { sum, sumTo } from './reduce.js'
import { logSoftmax } from './softmax.js'

/** Whole numbers from 0 on, one for each row, in row-major order. A Tensor must have the shape of the rows. */
export type Labels = readonly (number | bigint)[] | Int32Array | Uint8Array | BigInt64Array | BigUint64Array | Tensor

/** A weight for each class, in the shape of the logits (N, classes, …): what is wanted of softmax. */
export type Distributions = Tensor | readonly NestedArray[]

/** 'mean' and 'sum' over all losses give a scalar, 'none' leaves them apart. */
export type Reduction = 'mean' | 'sum' | 'none'

/** Options of every loss. */
export interface LossOptions {
  /** Default 'mean'. */
  readonly reduction?: Reduction
}

/** Options of `crossEntropy`. */
export interface CrossEntropyOptions extends LossOptions {
  /** Share of the target, 0 to 1, that is spread evenly over all classes (section 7.5.1); default 0. */
  readonly labelSmoothing?: number
  /**
   * A factor from 0 on for each class. The mean over labels is divided by the sum of the factors of the labels, that over
   * distributions by their number.
   */
  readonly weight?: readonly number[] | Float32Array | Tensor | undefined
  /** A label whose rows count for nothing, such as 255; it need be no class. Not for distributions. */
  readonly ignoreIndex?: number | undefined
}

/** Options of `hingeLoss`. */
export interface HingeOptions extends LossOptions {
  /** How far the score of the label must be above the others; default 1. */
  readonly margin?: number
}

const lossNames = { reduction: 0 } satisfies Names<LossOptions>
const entropyNames = { labelSmoothing: 0, weight: 0, ignoreIndex: 0 } satisfies Names<
  Omit<CrossEntropyOptions, 'reduction'>
>

/** The extents of x as (outer, classes, inner), with one loss for each outer and inner. */
interface Loss {
  readonly outer: number
  readonly classes: number
  readonly inner: number
  readonly xShape: Shape
  /** Shape of the losses before reduction. */
  readonly rows: Shape
  readonly reduction: Reduction
  /** What the mean divides by. */
  readonly count: number
}

/** What a kernel writes to: no losses where they are not wanted. */
interface Outputs {
  readonly losses: Place | 0
  readonly delta: Place
  readonly sums: Place
}

function checkReduction(name: string, reduction: Reduction): Reduction {
  if (reduction === 'mean' || reduction === 'sum' || reduction === 'none') return reduction
  throw wrongKind(`${name}: reduction`, "'mean', 'sum' or 'none'", reduction)
}

function checkRange(name: string, option: string, value: number, largest: number): number {
  if (typeof value === 'number' && value >= 0 && value <= largest && value < Infinity) return value
  const range = largest === Infinity ? 'a finite number from 0 on' : `a number from 0 to ${largest}`
  throw wrongKind(`${name}: ${option}`, range, value)
}

/** Lists a kernel over `items` independent items, and the reduction of what it leaves. */
function listLoss(
  list: CallList,
  { reduction, count }: Loss,
  items: number,
  listKernel: (outputs: Outputs) => void,
): void {
  const apart = reduction === 'none'
  const sums = list.block(items * 8) as Place
  listKernel({ losses: apart ? list.out : 0, delta: list.operand('delta'), sums })
  if (!apart) list.once('loss_total', list.out, sums, items, reduction === 'mean' ? 1 / count : 1)
}

/** Of the losses: the derivative by x, which the gradient multiplies by dy. */
const saves = { delta: ({ xShape }: Loss): Shape => xShape }

const lossShape = ({ reduction, rows }: Loss): Shape => (reduction === 'none' ? rows : [])

interface LossGradient {
  readonly loss: Loss
  readonly sign: 1 | -1
}

/** dx = sign · delta · dy / (count, for the mean): linear in delta and in dy. */
function defineGradient(name: string): Op<{ delta: Tensor; dy: Tensor }, LossGradient> {
  const op: Op<{ delta: Tensor; dy: Tensor }, LossGradient> = defineOp(`${name}Gradient`, {
    infer: (_, d) => d,
    output: ({ loss }) => loss.xShape,
    prepare: (list, { loss: { outer, classes, inner, xShape, reduction, count }, sign }) => {
      const from = [list.operand('delta'), list.operand('dy')] as const
      if (reduction === 'none') {
        list.call('loss_each_dx', outer, LIGHT * classes * inner, list.out, ...from, sign, classes, inner)
      } else {
        list.call('loss_dx', sizeOf(xShape), LIGHT, list.out, ...from, reduction === 'mean' ? sign / count : sign)
      }
    },
    gradient: ({ inputs: { delta, dy }, need }, ddx, { loss, sign }) => ({
      delta: need.delta && op({ delta: ddx, dy }, { loss, sign }),
      dy:
        need.dy &&
        scope(() => {
          const { xShape, rows, reduction, count } = loss
          const products = mul(ddx, delta)
          const factor = reduction === 'mean' ? sign / count : sign
          const kept =
            reduction === 'none' && rows.length < xShape.length ? [rows[0] as number, 1, ...rows.slice(1)] : dy.shape
          return mul(sumTo(products, kept), factor).reshape(dy.shape)
        }),
    }),
  })
  return op
}

/** Whether a target of scores (N, classes, …) has a number for each class, and is no list of labels. */
export const isSoft = (target: unknown, ndim: number): target is Distributions =>
  target instanceof Tensor
    ? target.ndim > 1 && target.ndim === ndim
    : Array.isArray(target) && typeof target[0] === 'object' && target[0] !== null

/** @throws ArgumentError when the label that is left out is no whole number */
export function checkIgnored(name: string, ignoreIndex: number): void {
  if (!Number.isInteger(ignoreIndex)) throw wrongKind(`${name}: ignoreIndex`, 'a whole number', ignoreIndex)
}

/** What to say where a label is to be left out, and there are distributions. */
export const softIgnored = (name: string): ArgumentError =>
  new ArgumentError(`${name}: ignoreIndex is for labels, not for distributions`)

/** Logits (N, classes, …) seen as (outer, classes, inner), and the shape (N, …) of their rows. */
function layoutOf(xShape: Shape): Pick<Loss, 'outer' | 'classes' | 'inner' | 'xShape' | 'rows'> {
  const [outer, classes, ...spatial] = xShape as [number, number, ...number[]]
  return { outer, classes, inner: sizeOf(spatial), xShape, rows: [outer, ...spatial] }
}

/** Labels in a row; undefined where they are none. */
export function labelList(labels: unknown): ArrayLike<unknown> | undefined {
  if (labels instanceof Tensor) return labelList(labels.data())
  if (labels instanceof BigInt64Array || labels instanceof BigUint64Array) return Array.from(labels, Number)
  if (Array.isArray(labels) && labels.some((label) => typeof label === 'bigint')) {
    return labels.map((label: unknown) => (typeof label === 'bigint' ? Number(label) : label))
  }
  return Array.isArray(labels) || ArrayBuffer.isView(labels) ? (labels as unknown as ArrayLike<unknown>) : undefined
}

/** The labels of one-hot rows (N, classes, …). */
function hotLabels(name: string, given: Distributions, rows: Shape, classes: number): Int32Array {
  const shape = [rows[0] as number, classes, ...rows.slice(1)]
  const x = given instanceof Tensor ? given : scope(() => tensor(given))
  const values = Array.from(labelList(x) as ArrayLike<number>)
  const fits = sameShape(x.shape, shape)
  if (x !== given) x.dispose()
  const size = sizeOf(rows.slice(1))
  const labels = new Int32Array(sizeOf(rows)).fill(-1)
  const isHot =
    fits &&
    values.every((value, i) => {
      const row = Math.floor(i / (classes * size)) * size + (i % size)
      if (value !== 1 || (labels[row] as number) >= 0) return value === 0
      labels[row] = Math.floor(i / size) % classes
      return true
    })
  if (isHot && !labels.includes(-1)) return labels
  throw new ShapeError(
    `${name}: target must be labels ${showShape(rows)} or one-hot rows ${showShape(shape)}, given ${fits ? 'others' : showShape(x.shape)}`,
  )
}

/** Factors of the classes, checked. */
function checkWeight(name: string, weight: CrossEntropyOptions['weight'], classes: number): ArrayLike<number> {
  checkConstant(weight, name, 'weight')
  const values = weight instanceof Tensor ? (labelList(weight) as ArrayLike<number>) : weight
  if (values?.length === classes && Array.prototype.every.call(values, (value) => value >= 0 && value < Infinity)) {
    return values
  }
  throw new ArgumentError(`${name}: weight must be ${classes} finite numbers from 0 on, one for each class`)
}

/**
 * Labels as int32, each one checked: one for each of `rows`, smaller than `classes`. With weights or a label to ignore, the
 * factors of the rows follow as floats, whose sum is `count`; the label of a row of factor 0 is 0.
 */
function checkLabels(
  name: string,
  target: unknown,
  rows: Shape,
  classes: number,
  { weight, ignoreIndex }: CrossEntropyOptions = {},
): { readonly labels: Int32Array; readonly count: number; readonly factors: Float32Array | undefined } {
  const size = sizeOf(rows)
  checkConstant(target, name, 'target')
  if (isSoft(target, rows.length + 1)) target = hotLabels(name, target, rows, classes)
  if (target instanceof Tensor && !sameShape(target.shape, rows)) {
    throw new ShapeError(`${name}: target must be ${showShape(rows)}, given ${showShape(target.shape)}`)
  }
  const values = labelList(target)
  if (values?.length !== size) {
    throw new ShapeError(
      `${name}: target must be ${size} labels, rows of ${showShape(rows)}, given ${values?.length ?? inWords(target)}`,
    )
  }
  if (ignoreIndex !== undefined) checkIgnored(name, ignoreIndex)
  const weights = weight && checkWeight(name, weight, classes)
  const isPlain = weights === undefined && ignoreIndex === undefined
  const labels = new Int32Array(isPlain ? size : 2 * size)
  const factors = isPlain ? undefined : new Float32Array(labels.buffer, 4 * size)
  let count = isPlain ? size : 0
  for (let row = 0; row < size; row++) {
    const label = values[row]
    if (label === ignoreIndex && factors) continue
    if (!Number.isInteger(label) || (label as number) < 0 || (label as number) >= classes) {
      throw new ArgumentError(
        `${name}: row ${row} has the label ${inWords(label)}; with ${classes} classes a label is a whole number from 0 to ${classes - 1}`,
      )
    }
    labels[row] = label as number
    if (factors) count += factors[row] = weights ? (weights[label as number] as number) : 1
  }
  return { labels, count, factors }
}

interface ClassLoss<O> extends Loss {
  readonly labels: Int32Array
  readonly options: O
}

type ClassKernel<O> = (list: CallList, outputs: Outputs, labels: Place, d: ClassLoss<O>) => void

/** The gradient of the logits, given that of delta. */
type Curvature<O> = (ddelta: Tensor, delta: Tensor, d: ClassLoss<O>) => Tensor

/** (N, classes, …) with values (N, …) at the labels, and 0 elsewhere. */
function atLabels(
  labels: ArrayLike<number>,
  { outer, classes, inner, xShape }: Omit<Loss, 'rows' | 'reduction' | 'count'>,
  value: (row: number) => number,
): Tensor {
  const hot = new Float32Array(outer * classes * inner)
  for (let row = 0; row < outer * inner; row++) {
    hot[(Math.floor(row / inner) * classes + (labels[row] as number)) * inner + (row % inner)] = value(row)
  }
  return tensor(hot, xShape)
}

/** A loss of scores (N, classes, …) and labels (N, …). Without `curvature`, delta is constant but for jumps. */
function defineClassLoss<O extends LossOptions, R extends object>(
  name: string,
  resolve: (options: O) => R,
  kernel: ClassKernel<R>,
  curvature?: Curvature<R>,
): (logits: Tensor, target: Labels | Distributions, options?: O) => Tensor {
  const gradient = defineGradient(name)
  const definition: Definition<
    { logits: Tensor },
    { target: Labels | Distributions; options: O },
    ClassLoss<R>,
    'delta'
  > = {
    infer: ({ logits: { shape } }, { target, options }) => {
      if (shape.length < 2) {
        throw new ShapeError(`${name}: logits must be (N, classes, …), given ${showShape(shape)}`)
      }
      const layout = layoutOf(shape)
      const resolved = resolve(options)
      const reduction = checkReduction(name, options.reduction ?? 'mean')
      const { labels, count } = checkLabels(name, target, layout.rows, layout.classes, options)
      return { ...layout, reduction, count, labels, options: resolved }
    },
    output: lossShape,
    saves,
    prepare: (list, d) => {
      const labels = list.integers(d.labels)
      listLoss(list, d, d.outer, (outputs) => {
        kernel(list, outputs, labels, d)
      })
    },
    keeps: [],
    gradient: ({ saved: { delta } }, dy, loss) => ({
      logits: gradient({ delta, dy }, { loss, sign: 1 }),
    }),
    through: curvature && {
      delta: ({ saved: { delta } }, ddelta, d) => ({ logits: scope(() => curvature(ddelta, delta, d)) }),
    },
  }
  const op = defineOp(name, definition)
  return withArity(name, 3, (logits: Tensor, target: Labels | Distributions, options?: O) =>
    op({ logits }, { target, options: options === undefined ? ({} as O) : options }),
  )
}

const labelEntropy = defineClassLoss(
  'crossEntropy',
  ({ labelSmoothing = 0 }: CrossEntropyOptions) => ({
    smoothing: checkRange('crossEntropy', 'labelSmoothing', labelSmoothing, 1),
  }),
  (list, { losses, delta, sums }, labels, d) => {
    const { classes, inner, outer } = d
    const ws = list.perThread(kernels().crossentropy_workspace())
    const factors = d.labels.length > outer * inner ? after(labels, 4 * outer * inner) : 0
    const work = HEAVY * classes * inner
    const { smoothing } = d.options
    const read = [list.operand('logits'), labels, factors] as const
    list.call('crossentropy_fwd', outer, work, losses, delta, sums, ...read, ws, smoothing, classes, inner)
  },
  // delta = factor · (p − q), p = softmax(logits) and q the smoothed labels; p is read off delta.
  (ddelta, delta, d) => {
    const { labels, classes, inner, outer, rows, options } = d
    const size = outer * inner
    const factors = labels.length > size ? new Float32Array(labels.buffer, 4 * size) : new Float32Array(size).fill(1)
    const over = (values: Float32Array): Tensor => tensor(values, [outer, 1, ...rows.slice(1)])
    const q = add(
      atLabels(labels, d, () => 1 - options.smoothing),
      options.smoothing / classes,
    )
    const scaled = add(delta, mul(q, over(factors)))
    // Rows of the factor 0 stay 0.
    const p = div(scaled, over(factors.map((factor) => factor || 1)))
    const products = mul(scaled, ddelta)
    return sub(products, mul(p, sum(products, 1, { keepDims: true })))
  },
)

/**
 * Cross-entropy of softmax(logits) and labels, in nats: −ln p[label], from logits (N, classes, …) and one label for
 * each (N, …); equations (6.29) and (6.30). With `labelSmoothing` ε: (1 − ε) · −ln p[label] + ε · mean of −ln p.
 * Of distributions q, in the shape of the logits or nested likewise: Σ −q · ln p over the classes. They have a gradient as
 * well. As in PyTorch they are computed with as they are: a row need not sum to 1, and negative shares and NaN are not refused.
 * `weight` multiplies each −ln p, so that the definition is PyTorch's.
 *
 *     crossEntropy(model.forward(x), [3, 1, 4], { labelSmoothing: 0.1 }).item()
 *
 * @returns a scalar, or the losses (N, …) with reduction 'none'. The mean of nothing, where every row is ignored, is NaN.
 * @throws ShapeError when shapes or options do not fit, or a label is no class.
 */
export const crossEntropy = withArity(
  'crossEntropy',
  3,
  (logits: Tensor, target: Labels | Distributions, options: CrossEntropyOptions = {}): Tensor => {
    const name = 'crossEntropy'
    checkKeys(name, options, lossNames, entropyNames)
    const { weight, labelSmoothing = 0, ignoreIndex, reduction = 'mean' } = options
    checkTensor(logits, name, 'logits')
    const soft = isSoft(target, logits.ndim) ? target : undefined
    // Labels of which each has a row of its own to be smoothed are distributions.
    if (!soft && !(weight && labelSmoothing)) {
      const loss = labelEntropy(logits, target, options)
      if (reduction === 'mean' && (weight || ignoreIndex !== undefined)) {
        const { rows, classes } = layoutOf(logits.shape)
        loss.storage.counted = checkLabels(name, target, rows, classes, options).count
      }
      return loss
    }
    return scope(() => {
      const { shape } = logits
      const layout = layoutOf(shape)
      const { classes, rows } = layout
      checkReduction(name, reduction)
      checkRange(name, 'labelSmoothing', labelSmoothing, 1)
      const weights =
        weight &&
        tensor(Float32Array.from(checkWeight(name, weight, classes)), [classes, ...rows.slice(1).map(() => 1)])
      // A row of labels that is ignored is all zero and not smoothed; one whose class has the weight 0 is.
      const spread = (q: Tensor): Tensor =>
        labelSmoothing
          ? add(
              mul(q, 1 - labelSmoothing),
              soft ? labelSmoothing / classes : mul(sum(q, 1, { keepDims: true }), labelSmoothing / classes),
            )
          : q
      const entropy = (q: Tensor, count: number): Tensor => {
        // Σ −q · ln p over the classes.
        const losses = mul(logSoftmax(logits), weights ? mul(q, weights) : q)
        return reduction === 'none' ? neg(sum(losses, 1)) : mul(sum(losses), reduction === 'mean' ? -1 / count : -1)
      }
      if (soft) {
        const given = soft instanceof Tensor ? soft : tensor(soft)
        if (!sameShape(given.shape, shape)) {
          throw new ShapeError(
            `${name}: target must be labels ${showShape(rows)} or distributions ${showShape(shape)}, given ${showShape(given.shape)}`,
          )
        }
        if (ignoreIndex !== undefined) throw softIgnored(name)
        return entropy(spread(given), sizeOf(rows))
      }
      const { labels, count } = checkLabels(name, target, rows, classes, options)
      const seen = checkLabels(name, target, rows, classes, { ignoreIndex }).factors
      const loss = entropy(spread(atLabels(labels, layout, (row) => seen?.[row] ?? 1)), count)
      if (reduction === 'mean') loss.storage.counted = count
      return loss
    })
  },
)

/**
 * Multi-class hinge loss (Weston & Watkins 1999): Σ over j ≠ label of max(0, s[j] − s[label] + margin), from scores s
 * (N, classes, …), the logits, and one label for each (N, …), or one-hot rows (N, classes, …). Not divided by the number of classes.
 *
 *     hingeLoss(scores, [3, 1, 4], { margin: 1 })
 *
 * @returns a scalar, or the losses (N, …) with reduction 'none'.
 * @throws ShapeError when shapes or options do not fit, or a label is no class.
 */
export const hingeLoss = defineClassLoss(
  'hingeLoss',
  (options: HingeOptions) => {
    checkKeys('hingeLoss', options, lossNames, { margin: 0 } satisfies Names<Omit<HingeOptions, 'reduction'>>)
    return { margin: checkRange('hingeLoss', 'margin', options.margin ?? 1, Infinity) }
  },
  (list, { losses, delta, sums }, labels, { options: { margin }, classes, inner, outer }) => {
    const read = [list.operand('logits'), labels] as const
    list.call('hinge_fwd', outer, LIGHT * classes * inner, losses, delta, sums, ...read, margin, classes, inner)
  },
)

/** Shape rule of losses of two tensors, element by element; `argument` names the first. */
function describePair(name: string, argument: string, x: Shape, target: Shape, options: LossOptions): Loss {
  checkKeys(name, options, lossNames)
  if (!sameShape(x, target)) {
    throw new ShapeError(`${name}: target must be ${showShape(x)} as ${argument}, given ${showShape(target)}`)
  }
  const reduction = checkReduction(name, options.reduction ?? 'mean')
  return { outer: 1, classes: 1, inner: sizeOf(x), xShape: x, rows: x, reduction, count: sizeOf(x) }
}

/** All but the gradient of a loss of two tensors, the first of which has the name `x`. */
/* @__NO_SIDE_EFFECTS__ */
function pairOf<X extends string>(
  name: string,
  x: X,
  kernel: 'mse_fwd' | 'bce_fwd',
): Omit<Definition<Record<X | 'target', Tensor>, LossOptions, Loss, 'delta'>, 'gradient' | 'keeps'> {
  return {
    infer: (inputs, options) => describePair(name, x, inputs[x].shape, inputs.target.shape, options),
    output: lossShape,
    saves,
    prepare: (list, loss) => {
      const size = sizeOf(loss.xShape)
      const blocks = kernels().loss_blocks(size)
      const work = ((kernel === 'bce_fwd' ? 2 * HEAVY : LIGHT) * size) / blocks
      listLoss(list, loss, blocks, ({ losses, delta, sums }) => {
        list.call(kernel, blocks, work, losses, delta, sums, list.operand(x), list.operand('target'), size)
      })
    },
  }
}

const mseGradient = defineGradient('mseLoss')

const squaredError = defineOp<{ x: Tensor; target: Tensor }, LossOptions, Loss, 'delta'>('mseLoss', {
  ...pairOf('mseLoss', 'x', 'mse_fwd'),
  keeps: [],
  gradient: ({ saved: { delta }, need }, dy, loss) => ({
    x: need.x && mseGradient({ delta, dy }, { loss, sign: 1 }),
    target: need.target && mseGradient({ delta, dy }, { loss, sign: -1 }),
  }),
  through: {
    delta: ({ need }, ddelta) => ({ x: need.x && mul(ddelta, 2), target: need.target && mul(ddelta, -2) }),
  },
})

/**
 * Squared error (x − target)², of two tensors of one shape.
 *
 *     mseLoss(y, target, { reduction: 'sum' })
 *
 * @returns a scalar, or the errors in that shape with reduction 'none'.
 * @throws ShapeError when the shapes differ.
 */
export const mseLoss = withArity('mseLoss', 3, (x: Tensor, target: Tensor, options: LossOptions = {}): Tensor =>
  squaredError({ x, target }, options),
)

const bceGradient = defineGradient('bceWithLogits')

const binaryCrossEntropy = defineOp<{ logits: Tensor; target: Tensor }, LossOptions, Loss, 'delta'>('bceWithLogits', {
  ...pairOf('bceWithLogits', 'logits', 'bce_fwd'),
  keeps: ['logits'],
  gradient: ({ inputs: { logits }, saved: { delta }, need }, dy, loss) => ({
    logits: need.logits && bceGradient({ delta, dy }, { loss, sign: 1 }),
    target: need.target && bceGradient({ delta: logits, dy }, { loss, sign: -1 }),
  }),
  through: {
    // delta = σ(x) − target, and the derivative of σ(x) is σ(x) · σ(−x).
    delta: ({ inputs: { logits }, need }, ddelta) => ({
      logits: need.logits && scope(() => mul(ddelta, mul(sigmoid(logits), sigmoid(neg(logits))))),
      target: need.target && neg(ddelta),
    }),
  },
})

/**
 * Binary cross-entropy of σ(logits) and targets from 0 to 1, in nats, of two tensors of one shape:
 * −target · ln σ(x) − (1 − target) · ln(1 − σ(x)), computed without overflow.
 *
 *     bceWithLogits(logits, tensor([[0, 1], [1, 1]]))
 *
 * @returns a scalar, or the losses in that shape with reduction 'none'.
 * @throws ShapeError when the shapes differ.
 */
export const bceWithLogits = withArity(
  'bceWithLogits',
  3,
  (logits: Tensor, target: Tensor, options: LossOptions = {}): Tensor =>
    binaryCrossEntropy({ logits, target }, options),
)
