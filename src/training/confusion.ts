/**
 * The confusion of classes: how often each class was predicted where each was wanted, summed over a data set, and the measures that
 * follow from the counts.
 */
import { checkIgnored, isSoft, type Labels } from '../ops/loss.js'
import { checkWhole, wrongKind } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkCount, checkKeys, needKeys, type Names } from '../runtime/options.js'
import { inWords } from '../runtime/text.js'
import { showShape } from '../tensor/shape.js'
import { checkTensor, Tensor } from '../tensor/tensor.js'
import { argmax, labelNumbers } from '../train/metrics.js'

/** Classes of the largest confusion matrix: 4096² counts take 128 MB. */
export const MOST_CLASSES = 4096

/** Options of `new ConfusionMatrix`. */
export interface ConfusionMatrixOptions {
  /** K, the number of classes, from 1 to 4096. */
  readonly classes: number
  /** Examples of this label are left out, as `crossEntropy` leaves them out of its mean; it need be no class. */
  readonly ignoreIndex?: number | undefined
}

/** How the values of the classes become one number. */
export interface AverageOptions {
  /**
   * 'macro' (default): the mean over the classes that occur among the labels or the predictions. 'weighted': the same, each class
   * weighted by the number of its labels. 'micro': of all examples together.
   */
  readonly average?: 'macro' | 'micro' | 'weighted'
  /** The class whose value is asked for, in place of an average: 1 where classes are no and yes. */
  readonly positive?: number | undefined
}

/** Measures of one class. */
export interface ClassReport {
  /** Share of the examples for which the class was predicted that have its label, 0 to 1; 0 where it was never predicted. */
  readonly precision: number
  /** Share of the examples of the label for which it was predicted, 0 to 1; 0 where no example has the label. */
  readonly recall: number
  /** The harmonic mean of the two, 2 · right / (predicted + labelled), 0 to 1. */
  readonly f1: number
  /** Number of examples that have the label. */
  readonly support: number
}

export const averageNames = { average: 0, positive: 0 } satisfies Names<AverageOptions>
const matrixNames = { classes: 0, ignoreIndex: 0 } satisfies Names<ConfusionMatrixOptions>

type Measure = 'precision' | 'recall' | 'f1'

/** Examples that have a label, for which a class was predicted, and for which both are true. */
interface Tally {
  readonly right: number
  readonly predicted: number
  readonly labelled: number
}

/** 0 where there is nothing to take a share of. */
const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole)

const measureOf: Readonly<Record<Measure, (tally: Tally) => number>> = {
  precision: ({ right, predicted }) => share(right, predicted),
  recall: ({ right, labelled }) => share(right, labelled),
  f1: ({ right, predicted, labelled }) => share(2 * right, predicted + labelled),
}

/** The classes that were predicted: those of the largest scores, or labels as they are given. */
export function predictedClasses(name: string, output: Tensor | Labels, classes: number): ArrayLike<number> {
  if (!(output instanceof Tensor) || output.ndim < 2) return classNumbers(name, output, { classes, what: 'prediction' })
  checkTensor(output, name, 'output')
  if (output.shape[1] !== classes) {
    throw new ShapeError(
      `${name}: ${classes} classes need an output (N, ${classes}) or (N, ${classes}, …), given ${showShape(output.shape)}`,
    )
  }
  return argmax(output)
}

/** Labels as numbers, each of which is a class or is ignored. @throws ArgumentError */
export function classNumbers(
  name: string,
  labels: Labels,
  {
    classes,
    ignoreIndex,
    what = 'label',
  }: { readonly classes: number; readonly ignoreIndex?: number | undefined; readonly what?: string },
): ArrayLike<number> {
  const numbers = labelNumbers(labels)
  for (let n = 0; n < numbers.length; n++) {
    const number: unknown = numbers[n]
    if (number === ignoreIndex && ignoreIndex !== undefined) continue
    if (Number.isInteger(number) && (number as number) >= 0 && (number as number) < classes) continue
    const ignored = ignoreIndex === undefined ? '' : `, or ${ignoreIndex} to be ignored`
    throw new ArgumentError(
      `${name}: ${what} ${n} is ${inWords(number)}; it must be a whole number from 0 to ${classes - 1}${ignored}`,
    )
  }
  return numbers
}

/** @throws ArgumentError where targets are distributions, of which no one label is wanted */
export function refuseSoft(name: string, target: unknown, output: Tensor | Labels): void {
  if (output instanceof Tensor && output.ndim > 1 && isSoft(target, output.ndim))
    throw new ArgumentError(`${name}: the target has a distribution for each example; give one label for each`)
}

/**
 * Counts of examples by their label and by the class that was predicted, summed over a data set. The mean of a measure over batches
 * weighs a class by the number of batches in which it occurs; a measure of the sums does not.
 *
 *     const matrix = new ConfusionMatrix({ classes: 10 })
 *     await evaluate(model, test, { batchSize: 250, loss: crossEntropy, onBatch: (output, target) => matrix.add(output, target) })
 *     console.log(matrix.accuracy, matrix.f1(), matrix.perClass())
 */
export class ConfusionMatrix {
  /** K, the number of classes. */
  readonly classes: number
  /** K × K counts: row l and column k is the number of examples with the label l for which k was predicted. */
  readonly counts: Float64Array
  /** Examples for which no class was predicted, because a score is NaN: K counts, by label. */
  readonly unknown: Float64Array
  protected readonly ignoreIndex: number | undefined

  /** @throws ArgumentError when an option does not fit */
  constructor(options: ConfusionMatrixOptions) {
    const { name } = new.target
    checkCount(name, 1, arguments)
    needKeys(name, options, matrixNames)
    const { classes, ignoreIndex } = options
    this.classes = checkWhole(classes, `${name}: classes`, 1, MOST_CLASSES)
    if (ignoreIndex !== undefined) checkIgnored(name, ignoreIndex)
    this.ignoreIndex = ignoreIndex
    this.counts = new Float64Array(this.classes * this.classes)
    this.unknown = new Float64Array(this.classes)
  }

  /**
   * Counts the examples of a batch. Nothing is counted where an error is thrown.
   * @param output scores (N, K) or (N, K, …), of which the largest decides, or one predicted class for each example
   * @param target one label for each example, or for each place of (N, K, …)
   * @throws ShapeError when there are not K scores; ArgumentError when the numbers do not match, or a label is no class
   */
  add(output: Tensor | Labels, target: Labels): void {
    const name = 'ConfusionMatrix: add'
    checkCount(name, 2, arguments)
    const { classes, ignoreIndex } = this
    refuseSoft(name, target, output)
    const guesses = predictedClasses(name, output, classes)
    const wanted = classNumbers(name, target, { classes, ignoreIndex })
    if (wanted.length !== guesses.length)
      throw new ArgumentError(`${name}: ${guesses.length} predictions need as many labels, given ${wanted.length}`)
    this.count(wanted, guesses)
  }

  /** Counts labels that were checked; a prediction of −1 is none. */
  protected count(wanted: ArrayLike<number>, guesses: ArrayLike<number>): void {
    for (let i = 0; i < wanted.length; i++) {
      const label = wanted[i] as number
      if (label === this.ignoreIndex) continue
      const guess = guesses[i] as number
      if (guess < 0) (this.unknown[label] as number)++
      else (this.counts[label * this.classes + guess] as number)++
    }
  }

  /** Share of the examples whose label was predicted, 0 to 1; NaN where there are none. */
  get accuracy(): number {
    const { right, labelled } = this.#total()
    return right / labelled
  }

  /** Precision, recall, F1 and the number of examples of each class, by class number. */
  perClass(): ClassReport[] {
    checkCount('ConfusionMatrix: perClass', 0, arguments)
    return Array.from({ length: this.classes }, (_, k) => {
      const tally = this.tally(k)
      const { precision, recall, f1 } = measureOf
      return { precision: precision(tally), recall: recall(tally), f1: f1(tally), support: tally.labelled }
    })
  }

  /**
   * Of the examples for which a class was predicted, the share that has its label, 0 to 1.
   * @throws ArgumentError when an option does not fit
   */
  precision(options: AverageOptions = {}): number {
    checkCount('ConfusionMatrix: precision', 1, arguments)
    return this.#average('precision', options)
  }

  /** Of the examples of a label, the share for which it was predicted, 0 to 1. @throws ArgumentError as `precision` */
  recall(options: AverageOptions = {}): number {
    checkCount('ConfusionMatrix: recall', 1, arguments)
    return this.#average('recall', options)
  }

  /**
   * F1, 2 · precision · recall / (precision + recall), 0 to 1; averages are those of the classes' own.
   * @throws ArgumentError as `precision`
   */
  f1(options: AverageOptions = {}): number {
    checkCount('ConfusionMatrix: f1', 1, arguments)
    return this.#average('f1', options)
  }

  /** What is counted of one class. */
  protected tally(k: number): Tally {
    let predicted = 0
    let labelled = this.unknown[k] as number
    for (let other = 0; other < this.classes; other++) {
      predicted += this.counts[other * this.classes + k] as number
      labelled += this.counts[k * this.classes + other] as number
    }
    return { right: this.counts[k * this.classes + k] as number, predicted, labelled }
  }

  #tallies(): Tally[] {
    return Array.from({ length: this.classes }, (_, k) => this.tally(k))
  }

  #total(): Tally {
    const add = (a: Tally, b: Tally): Tally => ({
      right: a.right + b.right,
      predicted: a.predicted + b.predicted,
      labelled: a.labelled + b.labelled,
    })
    return this.#tallies().reduce(add)
  }

  #average(measure: Measure, options: AverageOptions): number {
    const name = `ConfusionMatrix: ${measure}`
    checkKeys(name, options, averageNames)
    const { average = 'macro', positive } = options
    if (!['macro', 'micro', 'weighted'].includes(average))
      throw wrongKind(`${name}: average`, "'macro', 'micro' or 'weighted'", average)
    const of = measureOf[measure]
    if (positive !== undefined) {
      if (options.average !== undefined)
        throw new ArgumentError(
          `${name}: positive asks for the value of one class, and average for all; give one of them`,
        )
      return of(this.tally(checkWhole(positive, `${name}: positive`, 0, this.classes - 1)))
    }
    const total = this.#total()
    // A measure of nothing is no number.
    if (total.labelled === 0) return Number.NaN
    if (average === 'micro') return of(total)
    const weightOf = ({ predicted, labelled }: Tally): number =>
      average === 'weighted' ? labelled : Number(predicted + labelled > 0)
    const [sum, weights] = this.#tallies().reduce(
      ([sum, weights], tally) => [sum + weightOf(tally) * of(tally), weights + weightOf(tally)],
      [0, 0],
    )
    return sum / weights
  }
}
