/** How many examples there are, and which of them can stand in one batch. */
export interface Counted {
  readonly size: number
  readonly groups?: ArrayLike<number> | undefined
}

/** Batches of an epoch: the last may not be full, or is left out; of groups, the last of each. */
export function batchesOf(
  { size, groups }: Counted,
  { batchSize, dropLast }: { readonly batchSize: number; readonly dropLast?: boolean },
): number {
  const round = dropLast ? Math.floor : Math.ceil
  if (!groups) return round(size / batchSize)
  const counts = new Map<number | undefined, number>()
  for (let i = 0; i < size; i++) counts.set(groups[i], (counts.get(groups[i]) ?? 0) + 1)
  return [...counts.values()].reduce((batches, count) => batches + round(count / batchSize), 0)
}
