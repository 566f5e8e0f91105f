/** Numbers as the command and its pages show them. */

/**
 * A loss in six characters where it can be: never 0.0000 for one that is not zero. The pages run this function too, by its
 * source, so it uses nothing from outside.
 */
export function formatLoss(loss: number): string {
  const size = Math.abs(loss)
  if (size === 0 || !Number.isFinite(size)) return String(loss)
  if (size < 0.001 || size >= 1e5) return loss.toExponential(1).replace('.0e', 'e')
  return size < 10 ? loss.toFixed(4) : String(Number(loss.toPrecision(5)))
}

export const formatCount = (count: number): string => count.toLocaleString('en-US')

export const counted = (count: number, noun: string): string => `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`

export const formatPercent = (fraction: number | null, digits = 2): string =>
  fraction === null || !Number.isFinite(fraction) ? '–' : `${(100 * fraction).toFixed(digits)}\u00a0%`

/** Five significant figures: more cannot be seen in a chart, and a page with it is shorter. */
export const fiveFigures = (value: number): number => Number(value.toPrecision(5))
