/** The tables of operators in docs/onnx.md and docs/tfjs.md are what the built library says that it knows. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const script = fileURLToPath(new URL('../../docs/operators.mjs', import.meta.url))
const run = (...args: string[]) => spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' })

it('stand in the pages as docs/operators.mjs writes it', () => {
  const { status, stderr } = run('--check')
  expect([status, stderr]).toEqual([0, ''])
  expect(run('--wrong').status).toBe(2)
})
