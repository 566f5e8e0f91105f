/**
 * Bundles the page into dist/ beside this file: static files that can be hosted anywhere, MNIST among them. `npm run
 * demo` builds the package, then this, then serves it.
 */
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { build } from 'esbuild'

const here = import.meta.dirname
const out = join(here, 'dist')
const require = createRequire(import.meta.url)

/** The four files, compressed: 11 MB in place of 55. */
async function copyMnist() {
  const { findMnist } = await import('toeplitz/node')
  await mkdir(join(out, 'data'), { recursive: true })
  const names = {
    trainImages: 'train-images-idx3-ubyte',
    trainLabels: 'train-labels-idx1-ubyte',
    testImages: 't10k-images-idx3-ubyte',
    testLabels: 't10k-labels-idx1-ubyte',
  }
  const compress = async (path) => {
    const bytes = await readFile(path)
    return bytes[0] === 0x1f && bytes[1] === 0x8b ? bytes : promisify(gzip)(bytes, { level: 9 })
  }
  for (const [kind, path] of Object.entries(await findMnist(process.env['MNIST_DIRECTORY']))) {
    await writeFile(join(out, 'data', `${names[kind]}.gz`), await compress(path))
  }
}

/** The page itself; the data stay, unless they are missing. */
export async function buildPage() {
  await rm(join(out, 'chunks'), { recursive: true, force: true })
  await build({
    absWorkingDir: here,
    entryPoints: { page: 'page.ts', worker: 'worker.ts', thread: 'toeplitz/worker' },
    outdir: out,
    bundle: true,
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    format: 'esm',
    target: 'es2022',
    minify: true,
    sourcemap: true,
    logLevel: 'warning',
    // The package says that its files have no side effects.
    logOverride: { 'ignored-bare-import': 'silent' },
  })
  const plotStyle = await readFile(join(dirname(require.resolve('uplot')), 'uPlot.min.css'), 'utf8')
  await writeFile(join(out, 'page.css'), plotStyle + (await readFile(join(here, 'page.css'), 'utf8')))
  for (const name of ['index.html', 'icon.svg']) await copyFile(join(here, name), join(out, name))
  await readFile(join(out, 'data', 't10k-labels-idx1-ubyte.gz')).catch(copyMnist)
  return out
}

if (process.argv[1] === import.meta.filename) await buildPage()
