// @ts-check
// Least squares with coefficients of at least zero.

/**
 * The x ≥ 0 for which Σ (aᵢ·x − 1)² is least, by descent along one coordinate after another. Rows are to be divided by
 * what they should be, so that every relative error counts the same.
 * @param {readonly (readonly number[])[]} rows aᵢ
 * @returns {number[]}
 */
export function solve(rows) {
  const count = rows[0]?.length ?? 0
  const columns = Array.from({ length: count }, (_, column) => rows.map((row) => row[column] ?? 0))
  // Columns of length 1: the coordinates are then of one size.
  const lengths = columns.map((column) => Math.hypot(...column) || 1)
  const scaled = columns.map((column, index) => column.map((value) => value / (lengths[index] ?? 1)))
  const x = new Array(count).fill(0)
  const rest = rows.map(() => -1)
  for (let sweep = 0; sweep < 20_000; sweep++) {
    let change = 0
    for (const [index, column] of scaled.entries()) {
      const slope = column.reduce((sum, value, row) => sum + value * (rest[row] ?? 0), 0)
      const next = Math.max(0, x[index] - slope)
      const step = next - x[index]
      if (step === 0) continue
      x[index] = next
      for (const [row, value] of column.entries()) rest[row] = (rest[row] ?? 0) + step * value
      change = Math.max(change, Math.abs(step))
    }
    if (change < 1e-9) break
  }
  return x.map((value, index) => value / (lengths[index] ?? 1))
}
