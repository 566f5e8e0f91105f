/** How many examples there are, and which of them can stand in one batch. */
export interface Counted {
  readonly size: number
  readonly groups?: ArrayLike<number> | undefined
}

/** Batches of an epoch: the last may not be full, or is left out; of groups, the last of each. */
export function batchesOf(
  { size, groups }: Counted,
  { batchSize, dropLast = false }: { readonly batchSize: number; readonly dropLast?: boolean },
): number {
  const counts = new Map<number | undefined, number>()
  if (groups) for (let i = 0; i < size; i++) counts.set(groups[i], (counts.get(groups[i]) ?? 0) + 1)
  else counts.set(0, size)
  let batches = 0
  for (const count of counts.values())
    batches += dropLast ? Math.floor(count / batchSize) : Math.ceil(count / batchSize)
  return batches
}
