/** How many examples there are, and which of them can stand in one batch. */
export interface Counted {
  readonly size: number
  readonly groups?: ArrayLike<number> | undefined
}

/** How a pass is cut into batches. */
interface Cut {
  readonly batchSize: number
  readonly dropLast?: boolean
}

/** Examples in an order, in batches of one group each, which stand in the order of their first examples. */
export function groupedBatches(
  order: ArrayLike<number>,
  groups: ArrayLike<number>,
  { batchSize, dropLast = false }: Cut,
): number[][] {
  const open = new Map<number | undefined, number[]>()
  const all: number[][] = []
  for (const index of Array.from(order)) {
    const batch = open.get(groups[index])
    if (batch && batch.length < batchSize) batch.push(index)
    else open.set(groups[index], (all[all.length] = [index]))
  }
  return dropLast ? all.filter(({ length }) => length === batchSize) : all
}

/** Batches of an epoch: the last may not be full, or is left out; of groups, the last of each. */
export const batchesOf = ({ size, groups }: Counted, cut: Cut): number =>
  groups
    ? groupedBatches([...Array(size).keys()], groups, cut).length
    : (cut.dropLast ? Math.floor : Math.ceil)(size / cut.batchSize)
