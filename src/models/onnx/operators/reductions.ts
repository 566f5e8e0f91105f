/** Reductions over axes, places of extrema, running sums, sums by Einstein's convention and losses. */
import { FormatError, ShapeError, UnsupportedError } from '../../../runtime/errors.js'
import { inWords } from '../../../runtime/text.js'
import { cast } from '../../../ops/cast.js'
import { addWhole, equal, mulWhole, where } from '../../../ops/choice.js'
import { determinant } from '../../../ops/determinant.js'
import { abs, add, div, exp, log, mul, neg, sqrt, square, sub } from '../../../ops/elementwise.js'
import { cumulativeSum, foldWhole, type Fold } from '../../../ops/fold.js'
import { broadcastTo, transpose } from '../../../ops/layout.js'
import { argExtremum, top } from '../../../ops/order.js'
import { gather } from '../../../ops/places.js'
import { max, mean, min, sum } from '../../../ops/reduce.js'
import { logSoftmax } from '../../../ops/softmax.js'
import { tensor } from '../../../tensor/create.js'
import { checkAxis, showShape, sizeOf } from '../../../tensor/shape.js'
import { scope, type AnyTensor, type Tensor } from '../../../tensor/tensor.js'
import type { NodeReader } from '../node.js'
import { floats, need, numbersOf, optionalNumbers, type Lowered, type Meaning, type Rows } from '../row.js'
import { extremum, keep, productOver, reduced, reducedShape, sumOver, type Reduce } from '../../reductions.js'
import { product } from '../../sums.js'
import { softmaxRow } from './sums.js'

/** A reduction whose axes are an attribute before an opset, and an input from it on. Without axes it is over all. */
const reduction = (changed: number, of: Reduce, ofWhole?: Fold): readonly Meaning[] => {
  const lower =
    (fromInput: boolean) =>
    (node: NodeReader): Lowered => {
      const keepDims = node.flag('keepdims', true)
      const given = fromInput ? undefined : node.ints('axes')
      const isNoop = fromInput && node.flag('noop_with_empty_axes')
      return (inputs) => {
        const x = need(inputs, 0)
        const axes = fromInput ? optionalNumbers(inputs, 1) : given
        if ((axes === undefined || axes.length === 0) && isNoop) return x.alias()
        const over = axes?.length ? axes.map((axis) => checkAxis(axis, x.ndim, 'axes')) : x.shape.map((_, axis) => axis)
        return reduced(x, of, ofWhole, over, keepDims)
      }
    }
  return [
    { since: 1, inputs: [1, 1], lower: lower(false) },
    { since: changed, inputs: [1, 2], lower: lower(true) },
  ]
}

/** ln Σ eˣ, from the largest element on, where that is a number. */
const logSumExp: Reduce = (x, axes, keepDims) =>
  scope(() => {
    const most = max(x, axes, { keepDims: true })
    // ∞ − ∞ is none.
    const from = where(equal(sub(most, most), tensor([0], [])), most, tensor([0], []))
    const total = add(log(sum(exp(sub(x, from)), axes, { keepDims: true })), from)
    return total.reshape(reducedShape(x, axes, keepDims))
  })

const ArgExtremum = (largest: boolean): readonly Meaning[] => {
  const lower =
    (canBeLast: boolean): Meaning['lower'] =>
    (node) => {
      const axis = node.int('axis', 0)
      const keepDims = node.flag('keepdims', true)
      const last = canBeLast && node.flag('select_last_index')
      return (inputs) => argExtremum(need(inputs, 0), { axis, keepDims, largest, last })
    }
  return [
    { since: 1, inputs: [1, 1], lower: lower(false) },
    { since: 12, inputs: [1, 1], lower: lower(true) },
  ]
}

/** 1 for the first of the largest elements of each row, else 0. */
const hardmax = (x: Tensor, axis: number): Tensor =>
  scope(() => {
    const along = checkAxis(axis, x.ndim, 'axis')
    const n = x.shape[along] as number
    const places = argExtremum(x, { axis: along, keepDims: true, largest: true, last: false })
    const shape = x.shape.map((_, other) => (other === along ? n : 1))
    const all = tensor(
      Array.from({ length: n }, (_, i) => i),
      shape,
      { dtype: 'int64' },
    )
    return cast(equal(places, all), 'float32')
  })

const CumSum: Meaning = {
  since: 11,
  inputs: [2, 2],
  lower(node) {
    const [exclusive, reverse] = [node.flag('exclusive'), node.flag('reverse')]
    return (inputs) =>
      cumulativeSum(need(inputs, 0), { axis: numbersOf(need(inputs, 1))[0] as number, exclusive, reverse })
  },
}

const topK = (x: AnyTensor, count: number, axis: number, largest: boolean): readonly AnyTensor[] => {
  const { values, places } = top(x, { count, axis, largest })
  return [values, places]
}

const TopK: readonly Meaning[] = [
  {
    since: 1,
    inputs: [1, 1],
    lower(node) {
      const [axis, k] = [node.int('axis', -1), node.int('k')]
      return (inputs) => topK(need(inputs, 0), k, axis, true)
    },
  },
  {
    since: 10,
    inputs: [2, 2],
    lower(node) {
      const axis = node.int('axis', -1)
      return (inputs) => topK(need(inputs, 0), numbersOf(need(inputs, 1))[0] as number, axis, true)
    },
  },
  {
    since: 11,
    inputs: [2, 2],
    lower(node) {
      const axis = node.int('axis', -1)
      const largest = node.flag('largest', true)
      // Any order will do where none is asked for.
      node.ignore('sorted')
      return (inputs) => topK(need(inputs, 0), numbersOf(need(inputs, 1))[0] as number, axis, largest)
    },
  },
]

const LpNormalization: Meaning = {
  since: 1,
  inputs: [1, 1],
  lower(node) {
    const [axis, p] = [node.int('axis', -1), node.int('p', 2)]
    if (p !== 1 && p !== 2) throw new UnsupportedError(`p ${p} is not supported; supported are 1 and 2`)
    return (inputs) => {
      const x = floats(inputs, 0)
      return scope(() => {
        const total = sum(p === 1 ? abs(x) : square(x), axis, { keepDims: true })
        // Zeros stay zeros.
        const positive = add(total, cast(equal(total, tensor([0], [])), 'float32'))
        return div(x, p === 1 ? positive : sqrt(positive))
      })
    }
  },
}

const MeanVarianceNormalization: Meaning = {
  since: 9,
  inputs: [1, 1],
  lower(node) {
    const axes = node.ints('axes') ?? [0, 2, 3]
    return (inputs) => {
      const x = floats(inputs, 0)
      return scope(() => {
        const centred = sub(x, mean(x, axes, { keepDims: true }))
        return div(centred, add(sqrt(mean(square(centred), axes, { keepDims: true })), 1e-9))
      })
    }
  },
}

/** A term of an equation: a label for each axis, and where the axes stand that have none. */
interface Term {
  readonly before: readonly string[]
  /** Undefined where there is no ellipsis. */
  readonly after: readonly string[] | undefined
}

function termOf(text: string): Term {
  const parts = text.split('...')
  if (parts.length > 2 || !parts.every((part) => /^[A-Za-z]*$/.test(part)))
    throw new FormatError(`the equation's term ${inWords(text)} must be letters, with one ellipsis at most`)
  return { before: Array.from(parts[0] as string), after: parts[1] === undefined ? undefined : Array.from(parts[1]) }
}

const lettersOf = ({ before, after = [] }: Term): readonly string[] => [...before, ...after]

/** Axes of an ellipsis, counted from the last one so that those of all terms lie over each other. */
const unnamed = (count: number): string[] => Array.from({ length: count }, (_, i) => `.${count - 1 - i}`)

/** A tensor whose axes have labels. */
interface Labelled {
  readonly x: AnyTensor
  readonly labels: readonly string[]
}

const extentOf = ({ x, labels }: Labelled, label: string): number => x.shape[labels.indexOf(label)] as number

/** The axes of a term, each label once: of one that comes twice the diagonal is taken. */
function labelled(x: AnyTensor, { before, after }: Term): Labelled {
  const count = x.ndim - before.length - (after?.length ?? 0)
  if (count < 0 || (after === undefined && count > 0))
    throw new ShapeError(`a term of ${before.length + (after?.length ?? 0)} letters is no ${showShape(x.shape)}`)
  const all = after === undefined ? before : [...before, ...unnamed(count), ...after]
  const labels = [...new Set(all)]
  if (labels.length === all.length) return { x, labels }
  const shape = labels.map((label) => x.shape[all.indexOf(label)] as number)
  all.forEach((label, axis) => {
    if (x.shape[axis] !== shape[labels.indexOf(label)])
      throw new ShapeError(`the axes ${label} of ${showShape(x.shape)} are not alike`)
  })
  let stride = 1
  const strides = labels.map(() => 0)
  for (let axis = all.length - 1; axis >= 0; axis--) {
    const place = labels.indexOf(all[axis] as string)
    strides[place] = (strides[place] as number) + stride
    stride *= x.shape[axis] as number
  }
  const places = Array.from({ length: sizeOf(shape) }, (_, index) => {
    let [rest, place] = [index, 0]
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      place += (rest % (shape[axis] as number)) * (strides[axis] as number)
      rest = Math.floor(rest / (shape[axis] as number))
    }
    return place
  })
  return { x: gather(x.reshape([x.size]), tensor(places, shape, { dtype: 'int64' }), 0), labels }
}

/** Sums over the axes that are not needed any more. */
function summed({ x, labels }: Labelled, isNeeded: (label: string) => boolean): Labelled {
  const axes = labels.flatMap((label, axis) => (isNeeded(label) ? [] : [axis]))
  if (axes.length === 0) return { x, labels }
  return {
    x: x.dtype === 'float32' ? sum(x as Tensor, axes) : foldWhole(x, 'sum', axes, false),
    labels: labels.filter(isNeeded),
  }
}

/** The product of two tensors, summed over the labels that nothing needs any more: as products of matrices, of whole numbers in full. */
function contracted(a: Labelled, b: Labelled, isNeeded: (label: string) => boolean): Labelled {
  const both = a.labels.filter((label) => b.labels.includes(label))
  const [batch, inner] = [both.filter(isNeeded), both.filter((label) => !isNeeded(label))]
  const left = a.labels.filter((label) => !both.includes(label))
  const right = b.labels.filter((label) => !both.includes(label))
  const extents = (of: Labelled, labels: readonly string[]): number[] => labels.map((label) => extentOf(of, label))
  const size = (of: Labelled, labels: readonly string[]): number => sizeOf(extents(of, labels))
  const ordered = (of: Labelled, labels: readonly string[]): AnyTensor =>
    transpose(
      of.x,
      labels.map((label) => of.labels.indexOf(label)),
    )
  const [N, M, K, L] = [size(a, batch), size(a, left), size(a, inner), size(b, right)]
  const x = ordered(a, [...batch, ...left, ...inner])
  const y = ordered(b, [...batch, ...inner, ...right])
  let z: AnyTensor
  if (x.dtype === 'float32' && y.dtype === 'float32') {
    const [p, q] = [x as Tensor, y as Tensor]
    if (inner.length === 0) z = mul(p.reshape([N, M, 1]), q.reshape([N, 1, L]))
    else if (batch.length === 0) z = product(p.reshape([M, K]), q.reshape([K, L]))
    else z = product(p.reshape([N, M, K]), q.reshape([N, K, L]))
  } else z = foldWhole(mulWhole(x.reshape([N, M, K, 1]), y.reshape([N, 1, K, L])), 'sum', [2], false)
  return {
    x: z.reshape([...extents(a, batch), ...extents(a, left), ...extents(b, right)]),
    labels: [...batch, ...left, ...right],
  }
}

/** A sum of products by Einstein's convention. */
function einsum(tensors: readonly AnyTensor[], terms: readonly Term[], output: Term | undefined): AnyTensor {
  let parts = tensors.map((x, i) => labelled(x, terms[i] as Term))
  const extents = new Map<string, number>()
  for (const part of parts) {
    for (const label of part.labels) {
      const [known, own] = [extents.get(label) ?? 1, extentOf(part, label)]
      if (known !== 1 && own !== 1 && known !== own)
        throw new ShapeError(`the axis ${label} has the extents ${known} and ${own}`)
      extents.set(label, known === 1 ? own : known)
    }
  }
  const over = unnamed(parts.reduce((most, { labels }) => Math.max(most, labels.filter(isUnnamed).length), 0))
  const result = output ? [...output.before, ...(output.after ? [...over, ...output.after] : [])] : implied(terms, over)
  // An axis of extent 1 lies over a longer one.
  parts = parts.map(({ x, labels }) => ({
    x: broadcastTo(
      x,
      labels.map((label) => extents.get(label) as number),
    ),
    labels,
  }))
  const needed = (from: number) => (label: string) =>
    result.includes(label) || parts.slice(from).some(({ labels }) => labels.includes(label))
  let [total] = parts as [Labelled]
  total = summed(total, needed(1))
  for (let i = 1; i < parts.length; i++) {
    const next = summed(parts[i] as Labelled, (label) => total.labels.includes(label) || needed(i + 1)(label))
    // What only the total has and nothing needs is summed before, too.
    total = contracted(summed(total, needed(i)), next, needed(i + 1))
  }
  total = summed(total, needed(parts.length))
  return transpose(
    total.x,
    result.map((label) => total.labels.indexOf(label)),
  )
}

const isUnnamed = (label: string): boolean => label.startsWith('.')

/** Without a right side: the axes of an ellipsis, then the letters that come once, in their order. */
function implied(terms: readonly Term[], over: readonly string[]): string[] {
  const letters = terms.flatMap(lettersOf)
  return [...over, ...letters.filter((letter) => letters.indexOf(letter) === letters.lastIndexOf(letter)).sort()]
}

const Einsum: Meaning = {
  since: 12,
  inputs: [1, Infinity],
  weights: [0, 1],
  lower(node) {
    const equation = node.string('equation')?.replaceAll(' ', '')
    if (equation === undefined) throw new FormatError('the equation is missing')
    const [left, right, ...more] = equation.split('->') as [string, string?, ...string[]]
    const terms = left.split(',').map(termOf)
    const output = right === undefined ? undefined : termOf(right)
    if (more.length > 0) throw new FormatError(`the equation ${inWords(equation)} has two arrows`)
    if (terms.length !== node.inputs)
      throw new FormatError(`the equation has ${terms.length} terms for ${node.inputs} inputs`)
    const letters = output ? lettersOf(output) : []
    const unknown = letters.find((letter) => !terms.some((term) => lettersOf(term).includes(letter)))
    if (unknown !== undefined) throw new FormatError(`the equation gives ${unknown}, which no term has`)
    if (new Set(letters).size < letters.length) throw new FormatError('the equation gives an axis twice')
    return (inputs) => {
      const tensors = inputs.map((_, i) => need(inputs, i))
      return scope(() => einsum(tensors, terms, output).alias())
    }
  },
}

/** How losses are put together, and which labels count. */
interface Losses {
  readonly reduction: string
  readonly ignored: number | undefined
}

const readLosses = (node: NodeReader): Losses => ({
  reduction: node.text('reduction', 'mean', ['none', 'sum', 'mean']),
  ignored: node.hasAttribute('ignore_index') ? node.int('ignore_index') : undefined,
})

/** −x at the labels, each by the weight of its class. x (N, C, …), target (N, …). */
function negativeLogLikelihood(
  x: Tensor,
  target: AnyTensor,
  weight: Tensor | undefined,
  { reduction, ignored }: Losses,
): Tensor {
  const [N, C, ...places] = x.shape as unknown as [number, number, ...number[]]
  const D = sizeOf(places)
  const whole = (length: number, of: (i: number) => number): Tensor<'int64'> =>
    tensor(
      Array.from({ length }, (_, i) => of(i)),
      [length],
      { dtype: 'int64' },
    )
  if (x.ndim < 2 || target.shape.join() !== [N, ...places].join()) {
    throw new ShapeError(
      `labels for scores of ${showShape(x.shape)} must be ${showShape([N, ...places])}, given ${showShape(target.shape)}`,
    )
  }
  return scope(() => {
    let labels = cast(target, 'int64')
    const isIgnored = ignored === undefined ? undefined : equal(labels, tensor([ignored], [], { dtype: 'int64' }))
    if (isIgnored) labels = where(isIgnored, tensor([0], [], { dtype: 'int64' }), labels)
    // A label that there is not is found by the list of classes.
    const rows = gather(
      whole(C, (c) => c * D),
      labels,
      0,
    )
    const first = whole(N * D, (i) => Math.floor(i / D) * C * D + (i % D)).reshape(labels.shape)
    const picked = gather(x.reshape([x.size]), addWhole(rows, first), 0)
    const zero = tensor([0], [])
    let factors = weight && gather(weight, labels, 0)
    let losses = factors ? mul(neg(picked), factors) : neg(picked)
    if (isIgnored) {
      losses = where(isIgnored, zero, losses)
      factors = where(isIgnored, zero, factors ?? tensor([1], []))
    }
    if (reduction === 'none') return losses
    if (reduction === 'sum') return sum(losses)
    return factors ? div(sum(losses), sum(factors)) : mean(losses)
  })
}

const lossRow = (of: (x: Tensor, target: AnyTensor, weight: Tensor | undefined, losses: Losses) => readonly Tensor[]) =>
  [
    {
      since: 12,
      inputs: [2, 3],
      lower(node) {
        const losses = readLosses(node)
        return (inputs) => scope(() => of(floats(inputs, 0), need(inputs, 1), inputs[2] && floats(inputs, 2), losses))
      },
    },
  ] satisfies readonly Meaning[]

export const reductions: Rows = {
  ReduceSum: reduction(13, sumOver, 'sum'),
  ReduceMean: reduction(18, (x, axes, keepDims) => mean(x, axes, keep(keepDims)), 'mean'),
  ReduceMax: reduction(18, extremum(max, -Infinity), 'max'),
  ReduceMin: reduction(18, extremum(min, Infinity), 'min'),
  ReduceProd: reduction(18, productOver, 'prod'),
  ReduceL1: reduction(18, (x, axes, keepDims) => scope(() => sumOver(abs(x), axes, keepDims)), 'sumAbs'),
  ReduceL2: reduction(18, (x, axes, keepDims) => scope(() => sqrt(sumOver(square(x), axes, keepDims)))),
  ReduceSumSquare: reduction(18, (x, axes, keepDims) => scope(() => sumOver(square(x), axes, keepDims)), 'sumSquare'),
  ReduceLogSum: reduction(18, (x, axes, keepDims) => scope(() => log(sumOver(x, axes, keepDims)))),
  ReduceLogSumExp: reduction(18, logSumExp),
  ArgMax: ArgExtremum(true),
  ArgMin: ArgExtremum(false),
  Hardmax: softmaxRow(hardmax),
  CumSum: [CumSum],
  TopK,
  LpNormalization: [LpNormalization],
  MeanVarianceNormalization: [MeanVarianceNormalization],
  Det: [{ since: 11, inputs: [1, 1], lower: () => (inputs) => determinant(floats(inputs, 0)) }],
  Einsum: [Einsum],
  NegativeLogLikelihoodLoss: lossRow((x, target, weight, losses) => [negativeLogLikelihood(x, target, weight, losses)]),
  SoftmaxCrossEntropyLoss: lossRow((x, target, weight, losses) => {
    const logProbabilities = logSoftmax(x, 1)
    return [negativeLogLikelihood(logProbabilities, target, weight, losses), logProbabilities]
  }),
}
