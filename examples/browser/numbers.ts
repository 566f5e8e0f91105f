/** Numbers as the page shows them. */

export const count = (value: number): string => Math.round(value).toLocaleString('en-US')

export const percent = (share: number, digits = 2): string => `${(100 * share).toFixed(digits)} %`

/** A loss with four digits after the point, or in powers of ten where these would all be zeros or the number too long. */
export function lossText(loss: number): string {
  const size = Math.abs(loss)
  if (size === 0 || !Number.isFinite(size)) return String(loss)
  return size < 0.001 || size >= 1e5 ? loss.toExponential(1) : loss.toFixed(4)
}
