import { expect, it } from 'vitest'
import { writeFileSync } from 'node:fs'
import { init } from '../../src/runtime/embedded.js'
import { forceChunks } from '../../src/runtime/core.js'
import { checkOperations } from '../helpers/operationGeometry.js'
it('fuzz', { timeout: 3e6 }, async () => {
  const threads = Number(process.env['THREADS'] ?? 1)
  await init({ threads })
  if (threads > 1) forceChunks(1)
  const [from, to] = process.env['SEEDS']!.split('-').map(Number) as [number, number]
  const only = process.env['ONLY']?.split(',') as never
  const totals = { cases: 0, refused: 0, wrong: [] as string[], trapped: [] as string[], slow: [] as string[], broken: [] as string[], slowest: 0, compared: {} as Record<string, number> }
  for (let seed = from; seed <= to; seed++) {
    const r = checkOperations(seed, 500, only)
    totals.cases += r.cases
    totals.refused += r.refused
    totals.slowest = Math.max(totals.slowest, r.slowest)
    for (const key of ['wrong', 'trapped', 'slow', 'broken'] as const) totals[key].push(...r[key])
    for (const [k, v] of Object.entries(r.compared)) totals.compared[k] = (totals.compared[k] ?? 0) + v
    writeFileSync(process.env['OUT']!, JSON.stringify(totals, null, 1))
  }
  expect(1).toBe(1)
})
