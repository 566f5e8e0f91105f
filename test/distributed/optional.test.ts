/** The packages for Redis are optional: the commands say what to install where they are missing. */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import manifest from '../../package.json' with { type: 'json' }

const root = resolve(import.meta.dirname, '../..')
let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'toeplitz-optional-'))
  const installed = join(folder, 'node_modules/toeplitz')
  mkdirSync(installed, { recursive: true })
  cpSync(join(root, 'dist'), join(installed, 'dist'), { recursive: true })
  cpSync(join(root, 'package.json'), join(installed, 'package.json'))
  for (const name of Object.keys(manifest.dependencies)) {
    symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name))
  }
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

it.each(['worker', 'jobs', 'train'])('%s says in one line what to install', (command) => {
  const main = join(folder, 'node_modules/toeplitz/dist/cli/main.js')
  const { status, stderr } = spawnSync(process.execPath, [main, command, '--redis', 'redis://127.0.0.1:1'], {
    ...{ cwd: folder, encoding: 'utf8' },
  })
  expect(stderr).toBe(
    'toeplitz: toeplitz/distributed: jobs on Redis need two packages more; install them: npm install bullmq ioredis\n',
  )
  expect(status).toBe(1)
})

it('a default install has none of them', () => {
  expect(Object.keys(manifest.dependencies)).not.toContain('bullmq')
  expect(Object.keys(manifest.dependencies)).not.toContain('ioredis')
  expect(manifest.peerDependenciesMeta).toMatchObject({ bullmq: { optional: true }, ioredis: { optional: true } })
})
