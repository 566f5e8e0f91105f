import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const script = fileURLToPath(new URL('../../bench/readme.mjs', import.meta.url))
const run = (...args: string[]) => spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' })

describe('the figures of speed', () => {
  it('stand in the README and in its chart as bench/readme.mjs writes them from bench/results', () => {
    const { status, stderr } = run('--check')
    expect(stderr).toBe('')
    expect(status).toBe(0)
  })

  it('are refused to whoever asks wrongly', () => {
    const { status, stderr } = run('--nonsense')
    expect(stderr).toBe('usage: node bench/readme.mjs [--check]\n')
    expect(status).toBe(2)
  })
})
