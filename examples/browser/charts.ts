/** Loss and accuracy while they are measured. */
import uPlot from 'uplot'
import { count, lossText } from './numbers.js'

/** Points about which a line is smoothed, on the side of the past: the future is not known. */
const SMOOTHING = 0.96
/** Milliseconds between drawings. */
const DRAW_EVERY = 200

type Column = (number | null)[]

interface Line {
  readonly label: string
  readonly colour: string
  readonly width: number
  readonly show: (value: number) => string
  readonly sparse?: boolean
}

const accuracyText = (accuracy: number): string => accuracy.toFixed(2)

const lines: Readonly<Record<'loss' | 'accuracy', readonly Line[]>> = {
  loss: [
    { label: 'batch', colour: '--training-raw', width: 1, show: lossText },
    { label: 'training', colour: '--training', width: 2, show: lossText },
    { label: 'test', colour: '--test', width: 2, show: lossText, sparse: true },
  ],
  accuracy: [
    { label: 'training', colour: '--training', width: 2, show: accuracyText },
    { label: 'test', colour: '--test', width: 2, show: accuracyText, sparse: true },
  ],
}

/** Above so many decades, the axis of the loss has powers of ten alone, and at most as many. */
const MOST_DECADES = 5

/** Ticks of a logarithmic axis. */
function logarithmicTicks(low: number, high: number): number[] {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))]
  const isWide = last - first > MOST_DECADES
  const step = isWide ? Math.ceil((last - first) / MOST_DECADES) : 1
  const ticks: number[] = []
  for (let power = first; power <= last; power += step) {
    for (let digit = 1; digit <= (isWide ? 1 : 9); digit++) ticks.push(Number(`${digit}e${power}`))
  }
  return ticks.filter((tick) => tick >= low && tick <= high)
}

/** Those of the ticks that have a number beside them: of few decades 1, 2 and 5, of more powers of ten. */
function numberedTicks(ticks: readonly number[]): (number | null)[] {
  const isWide = (ticks.at(-1) ?? 1) > 100 * (ticks[0] ?? 1)
  const wanted = isWide ? '1' : '125'
  return ticks.map((tick) => (wanted.includes(tick.toExponential()[0] as string) ? tick : null))
}

/** A number beside an axis. */
const tickText = (tick: number): string => (tick < 1e8 ? String(tick) : tick.toExponential().replace('+', ''))

/** What is no number is left out of a line. */
const known = (value: number): number | null => (Number.isFinite(value) ? value : null)

/** Mean that forgets, without the pull of its start. */
class Smooth {
  #sum = 0
  #weight = 0

  add(value: number): number | null {
    if (!Number.isFinite(value)) return null
    this.#sum = SMOOTHING * this.#sum + value
    this.#weight = SMOOTHING * this.#weight + 1
    return this.#sum / this.#weight
  }
}

export class Charts {
  readonly #places: Readonly<Record<'loss' | 'accuracy', HTMLElement>>
  #plots: uPlot[] = []
  #images: number[] = []
  #loss: Column[] = [[], [], []]
  #accuracy: Column[] = [[], []]
  #smooth = { loss: new Smooth(), accuracy: new Smooth() }
  #pending = false
  #drawn = 0

  constructor(loss: HTMLElement, accuracy: HTMLElement) {
    this.#places = { loss, accuracy }
    this.rebuild()
    new ResizeObserver(() => {
      for (const plot of this.#plots) {
        const width = widthOf(plot.root.parentElement as HTMLElement)
        if (width !== plot.width) plot.setSize({ width, height: heightOf(width) })
      }
    }).observe(loss)
  }

  reset(): void {
    this.#images = []
    this.#loss = [[], [], []]
    this.#accuracy = [[], []]
    this.#smooth = { loss: new Smooth(), accuracy: new Smooth() }
    this.#draw()
  }

  /** A training step: its loss, and the share of its images that were right. */
  step(images: number, loss: number, accuracy: number): void {
    const share = this.#smooth.accuracy.add(accuracy)
    this.#add(images, [known(loss), this.#smooth.loss.add(loss), null], [share === null ? null : 100 * share, null])
  }

  /** A measurement on the test images, which belongs to the step before it. */
  test(images: number, loss: number, accuracy: number): void {
    if (this.#images.at(-1) !== images) this.#add(images, [null, null, null], [null, null])
    const last = this.#images.length - 1
    ;(this.#loss[2] as Column)[last] = known(loss)
    ;(this.#accuracy[1] as Column)[last] = known(100 * accuracy)
    this.#draw()
  }

  #add(images: number, loss: Column, accuracy: Column): void {
    this.#images.push(images)
    loss.forEach((value, index) => this.#loss[index]?.push(value))
    accuracy.forEach((value, index) => this.#accuracy[index]?.push(value))
    if (this.#pending) return
    this.#pending = true
    setTimeout(() => this.#draw(), Math.max(0, this.#drawn + DRAW_EVERY - performance.now()))
  }

  #draw(): void {
    this.#pending = false
    this.#drawn = performance.now()
    const [loss, accuracy] = this.#plots
    loss?.setData([this.#images, ...this.#loss])
    accuracy?.setData([this.#images, ...this.#accuracy])
  }

  /** Makes the charts anew, in the colours of the page as they are now. */
  rebuild(): void {
    for (const plot of this.#plots) plot.destroy()
    const accuracyRange = (): [number, number] => [this.#accuracyFloor(), 100]
    this.#plots = [
      chart(this.#places.loss, 'loss', 'Loss (cross-entropy, nats)', {
        // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- a const enum of declarations only
        distr: 3,
        log: 10,
        range: (_, low, high) => [Math.min(0.1, low ?? 0.1) * 0.8, Math.max(3, high ?? 3)],
      }),
      chart(this.#places.accuracy, 'accuracy', 'Accuracy (%)', { range: accuracyRange }),
    ]
    this.#draw()
  }

  /** Where the axis begins: low at first, then as high as shows what goes on near the top. */
  #accuracyFloor(): number {
    const known = (this.#accuracy[1] as Column).filter((value) => value !== null)
    const best = Math.max(0, ...known)
    return best > 98 ? 90 : best > 95 ? 80 : best > 85 ? 50 : 0
  }
}

const widthOf = (place: HTMLElement): number => Math.max(200, place.clientWidth)
const heightOf = (width: number): number => (width < 400 ? 220 : 260)

function chart(place: HTMLElement, name: 'loss' | 'accuracy', label: string, scale: uPlot.Scale): uPlot {
  const style = getComputedStyle(document.documentElement)
  const variable = (colour: string): string => style.getPropertyValue(colour).trim()
  const font = `12px ${getComputedStyle(document.body).fontFamily}`
  const axis = (text: string, size: uPlot.Axis.Size, values: (ticks: number[]) => string[]): uPlot.Axis => ({
    ...{ label: text, size, labelSize: 20, labelGap: 2, gap: 6, font, labelFont: font },
    stroke: variable('--muted'),
    grid: { stroke: variable('--faint'), width: 1 },
    ticks: { stroke: variable('--line'), width: 1, size: 5 },
    border: { show: true, stroke: variable('--line'), width: 1 },
    values: (_, ticks) => values(ticks),
  })
  const width = widthOf(place)
  const options: uPlot.Options = {
    width,
    height: heightOf(width),
    padding: [10, 18, 0, 0],
    cursor: { y: false, drag: { x: false, y: false } },
    scales: { x: { time: false, range: (_, _low, high) => [0, Math.max(5000, high ?? 0)] }, y: scale },
    axes: [
      axis('Training images seen', 28, (ticks) => ticks.map(count)),
      {
        ...(name === 'loss'
          ? { splits: (_, _axis, low, high) => logarithmicTicks(low, high), filter: (_, ticks) => numberedTicks(ticks) }
          : {}),
        ...axis(label, besideTicks(font), (ticks) =>
          ticks.map((tick: number | null) => {
            const short = tick === null ? Number.NaN : Number(tick.toPrecision(6))
            // A logarithmic axis has a tick at its very end, whose number would be long.
            return Number.isNaN(short) || (name === 'loss' && short !== Number(short.toPrecision(1)))
              ? ''
              : tickText(short)
          }),
        ),
      },
    ],
    series: [
      { label: 'images', value: (_, value) => (value === null ? '–' : count(value)) },
      ...lines[name].map((line): uPlot.Series => {
        const colour = variable(line.colour)
        return {
          ...{ label: line.label, stroke: colour, width: line.width, spanGaps: true },
          points: line.sparse ? { show: true, size: 7, fill: colour } : { show: false },
          value: (plot, value: number | null, series, index) => {
            const known = value ?? lastKnown(plot.data[series], index)
            return known === null ? '–' : line.show(known)
          },
        }
      }),
    ],
  }
  return new uPlot(options, [[], ...lines[name].map(() => [])], place)
}

/** Room for the numbers beside a vertical axis, so that its title is clear of the widest. */
const besideTicks =
  (font: string): uPlot.Axis.Size =>
  ({ ctx }, texts: string[] | null) => {
    const before = ctx.font
    ctx.font = font
    const widest = Math.max(0, ...(texts ?? []).map((text) => ctx.measureText(text).width))
    ctx.font = before
    return Math.max(34, Math.ceil(widest) + 18)
  }

/** The latest value up to an index: test results are known now and then only. */
function lastKnown(values: ArrayLike<number | null | undefined> | undefined, index: number | null): number | null {
  if (!values) return null
  for (let i = Math.min(index ?? values.length - 1, values.length - 1); i >= 0; i--) {
    const value = values[i]
    if (value !== null && value !== undefined) return value
  }
  return null
}
