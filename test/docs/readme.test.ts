/** What the README generates from the package and from results is up to date, and a change of it would be seen. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const root = join(import.meta.dirname, '../..')

it('shows the committed figures, and names only what exists', () => {
  const { status, stderr } = spawnSync(process.execPath, ['docs/readme.mjs', '--check'], {
    cwd: root,
    encoding: 'utf8',
  })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
})

it('is right about the page: 97 % in under a minute, at 30 frames a second or more', () => {
  const rows = JSON.parse(readFileSync(join(root, 'bench/results/page.json'), 'utf8')) as {
    readonly seconds: number
    readonly accuracy: number
    readonly frames_per_second: { readonly least: number }
  }[]
  for (const { seconds, accuracy, frames_per_second: frames } of rows) {
    expect(accuracy).toBeGreaterThanOrEqual(97)
    expect(seconds).toBeLessThan(60)
    expect(frames.least).toBeGreaterThan(30)
  }
})
