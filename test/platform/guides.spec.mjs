/** The blocks of code in docs/ that are for pages, bundlers, edge functions and servers' headers. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { nodeResolve } from '@rollup/plugin-node-resolve'
import * as esbuild from 'esbuild'
import { rollup } from 'rollup'
import * as vite from 'vite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import webpack from 'webpack'
import { blocksIn } from '../docs/blocks.js'
import { reportOf } from './lib/browsers.mjs'
import { createProject, html } from './lib/project.mjs'
import { findWorkerd } from './lib/runtimes.mjs'
import { startWorkerd } from './lib/workerd.mjs'

const docs = join(import.meta.dirname, '../../docs')
const { project, from, folder, install, remove } = createProject()

beforeAll(install)
afterAll(remove)

/** The blocks of one kind in a guide. */
function blocks(guide, kind) {
  const found = blocksIn(readFileSync(join(docs, guide), 'utf8')).filter((block) => block.kind === kind)
  if (found.length === 0) throw new Error(`${guide} has no block of the kind ${kind}`)
  return found.map(({ code }) => code)
}

/** Posts what the page has written into its output, or what went wrong. */
const reporter = `<script>
  const post = (report) => fetch('/report', { method: 'POST', body: JSON.stringify(report) })
  addEventListener('error', ({ message }) => post({ error: message }))
  addEventListener('unhandledrejection', ({ reason }) => post({ error: String(reason) }))
  const timer = setInterval(() => {
    const value = document.querySelector('output')?.textContent
    if (!value) return
    clearInterval(timer)
    post({ value })
  }, 20)
</script>`
const page = html(`<output></output>${reporter}<script type="module" src="web.js"></script>`)

/** What a page says that loads web.js from a folder. */
const said = async (served, options) => (await reportOf('Chromium', served, options)).value

const bundlers = {
  async esbuild(entry, outdir) {
    await esbuild.build({ entryPoints: { web: entry }, outdir, bundle: true, format: 'esm', splitting: true })
  },
  async Rollup(entry, dir) {
    const bundle = await rollup({ input: { web: entry }, plugins: [nodeResolve({ browser: true })] })
    await bundle.write({ dir, format: 'es', entryFileNames: '[name].js' })
  },
  async webpack(entry, path) {
    const compiler = webpack({
      mode: 'production',
      context: project,
      entry: { web: entry },
      output: { path, filename: '[name].js', module: true, publicPath: '' },
      experiments: { outputModule: true },
    })
    const stats = await new Promise((resolve, reject) => {
      compiler.run((error, result) => (error ? reject(error) : resolve(result)))
    })
    expect(stats.toJson({ all: false, errors: true }).errors).toEqual([])
    await new Promise((closed) => compiler.close(closed))
  },
  async Vite(entry, outDir) {
    await vite.build({
      root: project,
      configFile: false,
      logLevel: 'error',
      build: {
        outDir,
        emptyOutDir: false,
        target: 'es2022',
        rollupOptions: { input: { web: entry }, output: { entryFileNames: '[name].js' } },
      },
    })
  },
}

/** Bundles a program into a folder of its own with a page. */
async function bundled(name, code, bundler = 'esbuild') {
  const served = folder(name, page)
  writeFileSync(from(`${name}.mjs`), code)
  await bundlers[bundler](from(`${name}.mjs`), served)
  return served
}

/** The headers of a block. */
const headersOf = (block) =>
  Object.fromEntries(
    block
      .trim()
      .split('\n')
      .map((line) => line.split(/: (.*)/).slice(0, 2)),
  )

describe('docs/loading.md', () => {
  it('a page without a bundler', async () => {
    const [document] = blocks('loading.md', 'html')
    writeFileSync(
      from('guide.html'),
      document.replace('<script', () => `${reporter}<script`),
    )
    expect(await said(project, { page: 'guide.html' })).toBe('21 32')
  })

  it.each(Object.keys(bundlers))('a page with %s', async (bundler) => {
    const [code] = blocks('loading.md', 'js bundle')
    expect(await said(await bundled(`guide-${bundler}`, code, bundler))).toBe('21 32')
  })

  it.each([
    ['js vite', 'Vite'],
    ['js webpack', 'webpack'],
  ])('the core as a file: %s', async (kind, bundler) => {
    const [code] = blocks('loading.md', kind)
    expect(await said(await bundled(`guide-file-${bundler}`, code, bundler))).toBe('21 32')
  })

  it('an edge function', async () => {
    const [code] = blocks('loading.md', 'js worker')
    writeFileSync(from('worker.mjs'), code)
    await esbuild.build({
      entryPoints: [from('worker.mjs')],
      outdir: from('edge'),
      bundle: true,
      format: 'esm',
      conditions: ['workerd'],
      loader: { '.wasm': 'copy' },
      assetNames: '[name]',
    })
    const configuration = `using Workerd = import "/workerd/workerd.capnp";
      const config :Workerd.Config = (
        services = [(name = "main", worker = (
          modules = [
            (name = "worker.js", esModule = embed "worker.js"),
            (name = "core.wasm", wasm = embed "core.wasm"),
          ],
          compatibilityDate = "2026-01-01",
        ))],
        sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
      );`
    writeFileSync(from('edge/workerd.capnp'), configuration)
    const workerd = await startWorkerd(findWorkerd(), from('edge/workerd.capnp'))
    try {
      expect(await (await fetch(workerd.address)).json()).toEqual([21, 32])
    } finally {
      workerd.close()
    }
  })
})

describe('docs/csp.md', () => {
  const [plain, threads] = blocks('csp.md', 'http').map(headersOf)
  const [loading] = blocks('loading.md', 'js bundle')
  const [asking] = blocks('threads.md', 'js bundle')
  /** The policy forbids inline scripts: the reporter is a file there. */
  const strict = html(
    '<output></output><script src="reporter.js"></script><script type="module" src="web.js"></script>',
  )
  const served = async (name, code) => {
    const path = await bundled(name, code)
    writeFileSync(join(path, 'index.html'), strict)
    writeFileSync(join(path, 'reporter.js'), reporter.replace(/<\/?script>/g, ''))
    return path
  }

  it('the policy for one thread', async () => {
    expect(await said(await served('csp', loading), { headers: plain })).toBe('21 32')
  })

  it('the policy for threads', async () => {
    expect(await said(await served('csp-threads', asking), { headers: threads })).toBe('2 threads')
  })

  it('workers of one’s own where blob: is forbidden', async () => {
    const [code] = blocks('csp.md', 'js bundle')
    const path = await served('csp-own', code)
    writeFileSync(join(path, 'thread.js'), readFileSync(from('node_modules/toeplitz/dist/worker.js')))
    const { 'Content-Security-Policy': policy, ...others } = threads
    const headers = { ...others, 'Content-Security-Policy': policy.replace('blob:', '') }
    expect(await said(path, { headers })).toBe('2 threads')
    // Without createWorker the same policy leaves one thread, and the reason is said.
    expect(await said(await served('csp-none', asking), { headers })).toMatch(/Content-Security-Policy|createWorker/)
  })
})

describe('docs/threads.md', () => {
  const [code] = blocks('threads.md', 'js bundle')

  it('the two headers', async () => {
    const [headers] = blocks('threads.md', 'http').map(headersOf)
    expect(await said(await bundled('threads', code), { headers })).toBe('2 threads')
  })

  it('no headers: one thread, and the reason', async () => {
    expect(await said(await bundled('no-threads', code), { headers: {} })).toMatch(
      /^the page is not cross-origin isolated; serve it with the headers Cross-Origin-Opener-Policy: same-origin/,
    )
  })
})
