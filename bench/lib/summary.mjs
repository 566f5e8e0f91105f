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

/** @param {readonly { ratio: number | null }[]} rows */
function geometricMean(rows) {
  return Math.exp(rows.reduce((sum, { ratio }) => sum + Math.log(ratio ?? NaN), 0) / rows.length)
}

/** The families of models that others made. */
const real = new Set(['light', 'npm', 'export'])

/**
 * What the rows of models come to, in lines, for each number of threads: geometric means, the worst row, the rows below a bound and
 * those that start no faster than a peer.
 * @param {readonly import('./row.mjs').Row[]} rows of models
 * @param {number} least ratio that every row should reach
 * @returns {string[]}
 */
export function summarizeModels(rows, least = 1.1) {
  return [...new Set(rows.map(({ threads }) => threads))].flatMap((threads) => {
    const compared = rows.filter((row) => row.threads === threads && row.ratio !== null)
    if (compared.length === 0) return []
    const groups = [
      { name: 'all', members: compared },
      { name: 'real models and exports', members: compared.filter(({ family }) => real.has(family)) },
      ...[...new Set(compared.map(({ family }) => family))].map((name) => {
        return { name, members: compared.filter(({ family }) => family === name) }
      }),
    ].filter(({ members }) => members.length > 0)
    const means = groups.map(({ name, members }) => `${name} ${times(geometricMean(members))} (${members.length})`)
    const listed = (/** @type {{ name: string, ratio: number | null }[]} */ found) =>
      found.length === 0 ? 'none' : found.map(({ name, ratio }) => `${name} ${times(ratio)}`).join(', ')
    const ratios = compared
      .map(({ case: name, ratio }) => ({ name, ratio: ratio ?? NaN }))
      .sort((one, other) => one.ratio - other.ratio)
    const starts = compared.map((row) => ({ name: row.case, ratio: row.start_ratio ?? null }))
    return [
      `${threads} thread${threads === 1 ? '' : 's'}: geometric mean ${means.join(', ')}; worst: ${listed(ratios.slice(0, 1))}; ` +
        `below ${least}: ${listed(ratios.filter(({ ratio }) => !(ratio >= least)))}; ` +
        `starts that are not faster: ${listed(starts.filter(({ ratio }) => ratio !== null && !(ratio > 1)))}.`,
    ]
  })
}

/** @param {number | null} ratio */
const times = (ratio) => `${(ratio ?? NaN).toFixed(2)} ×`
