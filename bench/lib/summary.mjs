// @ts-check
// What many rows come to.

/**
 * The geometric mean of the ratios of every family, of the selected rows and of all, in this order; nothing where no
 * row has both a family and a ratio.
 * @param {readonly import('./row.mjs').Row[]} rows of one bench
 * @returns {{ name: string, rows: number, ratio: number }[]}
 */
export function geometricMeans(rows) {
  const compared = rows.filter((row) => row.family !== undefined && row.ratio !== null)
  const families = [...new Set(compared.flatMap(({ family }) => family ?? []))]
  const groups = [
    ...families.map((family) => ({ name: family, members: compared.filter((row) => row.family === family) })),
    { name: 'selected', members: compared.filter((row) => row.selected) },
    { name: 'all', members: compared },
  ]
  return groups
    .filter(({ members }) => members.length > 0)
    .map(({ name, members }) => ({ name, rows: members.length, ratio: geometricMean(members) }))
}

/** @param {readonly import('./row.mjs').Row[]} rows */
function geometricMean(rows) {
  return Math.exp(rows.reduce((sum, { ratio }) => sum + Math.log(ratio ?? NaN), 0) / rows.length)
}
