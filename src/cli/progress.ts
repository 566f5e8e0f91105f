/**
 * What a training run shows while it goes on: one line that redraws itself on a terminal, and plain lines at a calm
 * interval elsewhere (a log file, a pipe, a build server).
 */

import cliProgress from 'cli-progress'
import type { Note } from '../node/resultFolder.js'
import { formatLoss } from './numbers.js'
import type { EpochRecord, StepRecord } from './records.js'
import { outputTo } from './terminal.js'

export interface ProgressPlan {
  readonly epochs: number
  readonly stepsPerEpoch: number
  /** Images in a step. */
  readonly batchSize: number
  /** Steps done before this process began: 0, or more after a resume. */
  readonly firstStep: number
}

/** One training step; its loss is the mean over the steps of this epoch so far. */
export interface ProgressStep extends Omit<StepRecord, 'learningRate'> {
  readonly imagesPerSecond: number
}

export interface Progress {
  start(plan: ProgressPlan): void
  step(report: ProgressStep): void
  /** Leaves a line that stays, with the results of the epoch. */
  epoch(report: EpochRecord): void
  /** Leaves a line that stays, without harm to the bar. */
  note(line: string): void
  /** Removes the bar. Call it always (`finally`): the bar's timer keeps the process alive. */
  stop(): void
}

export type ProgressStream = NodeJS.WritableStream & {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
}

export interface ProgressOptions {
  /** Steps between two plain lines; 50 when left out. */
  readonly plainInterval?: number
  /** Milliseconds on a clock that never goes back; `performance.now` when left out. */
  readonly now?: () => number
}

/** A bar where the stream is a terminal that can redraw a line, plain lines where it is not. */
export function createProgress(stream: ProgressStream, options: ProgressOptions = {}): Progress {
  const now = options.now ?? (() => performance.now())
  const redraws = stream.isTTY === true && process.env['TERM'] !== 'dumb'
  return redraws ? new BarProgress(stream, now) : new PlainProgress(stream, now, options.plainInterval ?? 50)
}

/** Estimates the time left from the steps of this process alone, validation between epochs included. */
class Pace {
  readonly totalSteps: number
  readonly #startedAt: number

  constructor(
    readonly plan: ProgressPlan,
    private readonly now: () => number,
  ) {
    this.totalSteps = plan.epochs * plan.stepsPerEpoch
    this.#startedAt = now()
  }

  /** Seconds, or undefined while nothing is known. */
  secondsLeft(step: number): number | undefined {
    const done = step - this.plan.firstStep
    if (done <= 0) return undefined
    return ((this.totalSteps - step) * (this.now() - this.#startedAt)) / done / 1000
  }
}

/** Everything the line shows, as text. */
function describe(report: ProgressStep, pace: Pace) {
  const { epochs } = pace.plan
  return {
    epoch: `epoch ${String(report.epoch).padStart(String(epochs).length)}/${epochs}`,
    step: `${String(report.step).padStart(String(pace.totalSteps).length)}/${pace.totalSteps}`,
    loss: `loss ${formatLoss(report.loss).padStart(6)}`,
    accuracy: `acc ${formatPercent(report.accuracy).padStart(6)}`,
    rate: `${formatRate(report.imagesPerSecond).padStart(6)} img/s`,
    left: `${formatClock(pace.secondsLeft(report.step)).padStart(5)} left`,
  }
}

class BarProgress implements Progress {
  readonly #stream: ProgressStream
  readonly #now: () => number
  readonly #bar: cliProgress.SingleBar
  #pace: Pace | undefined
  #last: ProgressStep | undefined

  constructor(stream: ProgressStream, now: () => number) {
    this.#stream = stream
    this.#now = now
    this.#bar = new cliProgress.SingleBar({
      stream,
      // Cut to the width by us, so that the terminal's own wrapping is never switched off and left so by a kill.
      linewrap: true,
      clearOnComplete: true,
      // Training keeps the event loop busy: redrawing must happen inside update().
      synchronousUpdate: true,
      fps: 10,
      format: (_options, parameters) => this.#line(parameters.progress),
    })
  }

  start(plan: ProgressPlan): void {
    this.#pace = new Pace(plan, this.#now)
    this.#show(plan.firstStep)
  }

  step(report: ProgressStep): void {
    this.#last = report
    this.#bar.update(report.step)
  }

  epoch(report: EpochRecord): void {
    this.note(describeEpoch(report, this.#pace?.plan.epochs))
  }

  note(line: string): void {
    const active = this.#bar.isActive
    // A bar begins and ends on its own line: the text takes its place, and the bar comes back beneath.
    if (active) this.#bar.stop()
    outputTo(this.#stream).line(line)
    if (active) this.#show(this.#last?.step ?? this.#pace?.plan.firstStep ?? 0)
  }

  stop(): void {
    this.#bar.stop()
  }

  #show(step: number): void {
    this.#bar.start(this.#pace?.totalSteps ?? 0, step)
  }

  #line(progress: number): string {
    const pace = this.#pace
    if (pace === undefined) return ''
    // The last column stays free: some terminals wrap as soon as it is filled.
    const width = Math.min(this.#stream.columns || 80, 100) - 1
    if (this.#last === undefined) {
      return fit([`${pace.plan.firstStep}/${pace.totalSteps}`, 'starting'], width, progress)
    }
    const text = describe(this.#last, pace)
    // In the order of their worth on a narrow terminal.
    const choices = [
      [text.epoch, text.step, text.loss, text.accuracy, text.rate, text.left],
      [text.epoch, text.step, text.loss, text.accuracy, text.left],
      [text.step, text.loss, text.accuracy, text.left],
      [text.step, text.loss, text.left],
    ]
    const pieces = choices.find((choice) => choice.join(' ').length <= width) ?? [text.step]
    return fit(pieces, width, progress)
  }
}

const largestBar = 30
const smallestBar = 4

/** The pieces with a bar after the first, as wide as there is room for. */
function fit(pieces: readonly string[], width: number, progress: number): string {
  const text = pieces.join(' ')
  const room = Math.min(largestBar, width - text.length - 1)
  if (room < smallestBar) return text.slice(0, width)
  const full = Math.round(progress * room)
  const bar = '█'.repeat(full) + '░'.repeat(room - full)
  return [pieces[0], bar, ...pieces.slice(1)].join(' ')
}

class PlainProgress implements Progress {
  readonly #stream: ProgressStream
  readonly #now: () => number
  readonly #interval: number
  #pace: Pace | undefined

  constructor(stream: ProgressStream, now: () => number, interval: number) {
    this.#stream = stream
    this.#now = now
    this.#interval = interval
  }

  start(plan: ProgressPlan): void {
    this.#pace = new Pace(plan, this.#now)
  }

  step(report: ProgressStep): void {
    if (this.#pace === undefined || report.step % this.#interval !== 0) return
    const text = describe(report, this.#pace)
    const pieces = [text.epoch, `step ${text.step}`, text.loss, text.accuracy, text.rate, text.left]
    const airy = pieces.join('  ')
    this.note(airy.length <= 80 ? airy : pieces.join(' '))
  }

  epoch(report: EpochRecord): void {
    this.note(describeEpoch(report, this.#pace?.plan.epochs))
  }

  note(line: string): void {
    outputTo(this.#stream).line(line)
  }

  stop(): void {
    // Nothing is held: plain lines have no timer and no cursor.
  }
}

function describeEpoch(report: EpochRecord, epochs: number | undefined): string {
  const name = epochs === undefined ? `${report.epoch}` : `${report.epoch}/${epochs}`
  const training = `loss ${formatLoss(report.trainingLoss)} acc ${formatPercent(report.trainingAccuracy)}`
  const parts = [`epoch ${name} in ${formatSeconds(report.seconds)}: ${training}`]
  if (report.validationAccuracy !== null) {
    const loss = report.validationLoss === null ? '' : `loss ${formatLoss(report.validationLoss)} `
    parts.push(`validation ${loss}acc ${formatPercent(report.validationAccuracy)}`)
  }
  return parts.join('; ')
}

function formatPercent(fraction: number): string {
  if (!Number.isFinite(fraction)) return '–'
  return `${(100 * fraction).toFixed(fraction >= 0.99995 ? 1 : 2)}%`
}

function formatRate(imagesPerSecond: number): string {
  if (!Number.isFinite(imagesPerSecond)) return '–'
  return imagesPerSecond < 10 ? imagesPerSecond.toFixed(1) : Math.round(imagesPerSecond).toLocaleString('en-US')
}

function formatSeconds(seconds: number): string {
  return seconds < 60 ? `${seconds.toFixed(1)} s` : formatClock(seconds)
}

/** 7 -> 0:07, 3725 -> 1:02:05. */
function formatClock(seconds: number | undefined): string {
  if (seconds === undefined || !Number.isFinite(seconds)) return '–:––'
  const whole = Math.ceil(Math.max(0, seconds))
  const hours = Math.floor(whole / 3600)
  const minutes = Math.floor(whole / 60) % 60
  const tail = `:${String(whole % 60).padStart(2, '0')}`
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}${tail}` : `${minutes}${tail}`
}

/** Milliseconds between lines that tell how long work goes on. */
const CALM = 5000

/** Passes on at most one line in a while. */
export function calmly(note: Note): Note {
  let last = performance.now()
  return (line) => {
    if (performance.now() - last < CALM) return
    last = performance.now()
    note(line)
  }
}
