/** Batches of an epoch: the last may not be full, or is left out. */
export const batchesOf = (
  size: number,
  { batchSize, dropLast = false }: { readonly batchSize: number; readonly dropLast?: boolean },
): number => (dropLast ? Math.floor(size / batchSize) : Math.ceil(size / batchSize))
