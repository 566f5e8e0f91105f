/** The training losses of the trials of a search, step by step, and the lines that the page draws of them. */
import type { Trial } from '../train/trials.js'
import { fiveFigures } from './numbers.js'

/** Points of the curve of a trial of the first round, at most; longer trials have more, as far apart. */
const POINTS = 40
/** Curves of which the legend names each; of more it would be longer than the chart. */
const MOST_NAMED = 10

/** How the loss of a trial fell: means over stretches of steps, each with its last step. */
export interface LossCurve {
  /** Number of the trial, from 1. */
  readonly trial: number
  readonly steps: number[]
  readonly losses: number[]
}

/** The curves of all trials. `steps` are those of a trial of the first round. */
export class LossCurves {
  readonly all: LossCurve[] = []
  readonly #stretch: number

  constructor(steps: number) {
    this.#stretch = Math.max(1, Math.ceil(steps / POINTS))
  }

  /** Begins the curve of a trial; what it gives is told every step. */
  begin(trial: number): (event: { readonly step: number; readonly loss: number }) => void {
    const curve: LossCurve = { trial, steps: [], losses: [] }
    this.all.push(curve)
    let [sum, count] = [0, 0]
    return ({ step, loss }) => {
      sum += loss
      count++
      if (count < this.#stretch) return
      curve.steps.push(step)
      curve.losses.push(fiveFigures(sum / count))
      ;[sum, count] = [0, 0]
    }
  }
}

/** What the chart of all curves shows. */
export interface CurveData {
  /** The steps at which any curve has a point. */
  readonly steps: readonly number[]
  /** From the lowest learning rate to the highest; `place` is where it stands between them, 0 to 1. */
  readonly lines: readonly {
    readonly name: string
    readonly place: number
    readonly losses: readonly (number | null)[]
  }[]
  /** Ends of the logarithmic axis; what a diverging trial reaches lies above. */
  readonly range: readonly [low: number, high: number]
  /** Whether the legend names each line. */
  readonly named: boolean
}

/** The curves beside the learning rates of their trials; undefined where no trial has made enough steps for a point. */
export function curveData(trials: readonly Trial[], curves: readonly LossCurve[]): CurveData | undefined {
  const rates = new Map(trials.map(({ number, values }) => [number, values['lr'] as number]))
  const known = curves.filter(({ trial, steps }) => steps.length > 0 && rates.has(trial))
  if (known.length === 0) return undefined
  const rateOf = ({ trial }: LossCurve): number => rates.get(trial) as number
  const sorted = known.toSorted((a, b) => rateOf(a) - rateOf(b) || a.trial - b.trial)
  const steps = [...new Set(sorted.flatMap((curve) => curve.steps))].sort((a, b) => a - b)
  const finite = sorted.flatMap(({ losses }) => losses).filter((loss) => loss > 0 && loss < Infinity)
  const first = sorted.map(({ losses }) => losses[0] as number).filter(Number.isFinite)
  // A trial that goes well begins at its highest loss. The middle of the first points is one of those.
  const usual = first.toSorted((a, b) => a - b)[Math.floor((first.length - 1) / 2)] ?? 1
  return {
    steps,
    lines: sorted.map((curve, index) => {
      const at = new Map(curve.steps.map((step, i) => [step, curve.losses[i] as number]))
      return {
        name: `lr ${rateOf(curve)} (trial ${curve.trial})`,
        place: sorted.length > 1 ? index / (sorted.length - 1) : 0,
        losses: steps.map((step) => at.get(step) ?? null),
      }
    }),
    range: [finite.reduce((least, loss) => Math.min(least, loss), usual) / 1.3, usual * 3],
    named: sorted.length <= MOST_NAMED,
  }
}
