/** Random orders. */

/**
 * The numbers 0 to count − 1 in a random order, by Fisher and Yates: `pick(i)` is a random whole number from 0 to i, asked for from
 * count − 1 down to 1.
 */
export function randomOrder(count: number, pick: (i: number) => number): Int32Array {
  const order = Int32Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const other = pick(i)
    const kept = order[i] as number
    order[i] = order[other] as number
    order[other] = kept
  }
  return order
}
