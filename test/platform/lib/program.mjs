/** Bundles the program once, with the files that the runtimes start it by. */
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'

const here = join(import.meta.dirname, '..')

/** @returns the folder, and `remove`. */
export async function bundleProgram() {
  const folder = await mkdtemp(join(tmpdir(), 'toeplitz-platform-'))
  await build({
    entryPoints: [join(here, 'program.ts')],
    outdir: folder,
    bundle: true,
    format: 'esm',
    target: 'es2022',
    platform: 'neutral',
    logLevel: 'warning',
  })
  for (const host of ['command.mjs', 'page.mjs', 'worker.mjs', 'workerd.capnp']) {
    await copyFile(join(here, 'hosts', host), join(folder, host))
  }
  await copyFile(join(here, '../../build/strict.wasm'), join(folder, 'core.wasm'))
  await writeFile(
    join(folder, 'page.html'),
    '<!DOCTYPE html><meta charset="utf-8"><title>toeplitz</title><script type="module" src="page.mjs"></script>\n',
  )
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) }
}
