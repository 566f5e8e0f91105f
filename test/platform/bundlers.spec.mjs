/** The package as a stranger gets it: packed, installed in an empty project, bundled by each bundler, and run. */
import { writeFileSync } from 'node:fs'
import { nodeResolve } from '@rollup/plugin-node-resolve'
import * as esbuild from 'esbuild'
import { rollup } from 'rollup'
import * as vite from 'vite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import webpack from 'webpack'
import { browsers, reportOf } from './lib/browsers.mjs'
import { runProgram } from './lib/processes.mjs'
import { createProject, html } from './lib/project.mjs'
import { runtimes } from './lib/runtimes.mjs'

const page = html('<script type="module" src="web.js"></script>')

const { project, from, folder: folderWith, install, remove } = createProject()
/** A folder of the project with a page in it. */
const folder = (name, text = page) => folderWith(name, text)

/** What the package gives here, in Node, unbundled: all others must give the same bits. */
let expected

beforeAll(async () => {
  await install()
  expected = JSON.parse(await runProgram(process.execPath, ['command.mjs'], { cwd: project }))
})
afterAll(remove)

/** The answer of a page in Chromium, and its approximate answer with the relaxed core, which is loaded on demand. */
async function expectAnswer(served) {
  expect((await reportOf('Chromium', served)).value).toEqual(expected)
  const { value } = await reportOf('Chromium', served, { page: '?simd=relaxed' })
  expect(value.simd).toBe('relaxed')
  value.losses.forEach((loss, i) => expect(loss).toBeCloseTo(expected.losses[i], 3))
}

it('learns', () => {
  expect(expected.simd).toBe('strict')
  expect(expected.losses.at(-1)).toBeLessThan(expected.losses[0])
})

describe('without a bundler', () => {
  it.each(['Node 22', 'Deno', 'Bun'])('runs in %s', async (name) => {
    const program = runtimes[name].find()
    const args = name === 'Deno' ? ['run', '--node-modules-dir=manual'] : []
    expect(JSON.parse(await runProgram(program, [...args, 'command.mjs'], { cwd: project }))).toEqual(expected)
  })

  it('runs from <script type="module">', async () => {
    const script = `<script type="importmap">{ "imports": {
      "toeplitz": "/node_modules/toeplitz/dist/index.js", "toeplitz/zoo": "/node_modules/toeplitz/dist/zoo.js"
    } }</script><script type="module" src="/web.mjs"></script>`
    writeFileSync(from('index.html'), html(script))
    await expectAnswer(project)
  })

  it('needs no import map for the main entry', async () => {
    const script = `<script type="module">
      import { init, tensor } from '/node_modules/toeplitz/dist/index.js'
      await init()
      const value = tensor([1, 2]).size
      await fetch('/report', { method: 'POST', body: JSON.stringify({ value }) })
    </script>`
    writeFileSync(from('plain.html'), html(script))
    expect((await reportOf('Chromium', project, { page: 'plain.html' })).value).toBe(2)
  })
})

describe('esbuild', () => {
  const options = { absWorkingDir: project, bundle: true, format: 'esm', minify: true, logLevel: 'warning' }

  it('bundles for a page', async () => {
    const outdir = folder('esbuild')
    await esbuild.build({ ...options, entryPoints: { web: 'web.mjs' }, outdir, splitting: true, target: 'es2022' })
    await expectAnswer(outdir)
  })

  it('bundles for Node', async () => {
    await esbuild.build({
      ...options,
      entryPoints: ['command.mjs'],
      outfile: from('esbuild-node.mjs'),
      platform: 'node',
    })
    expect(JSON.parse(await runProgram(process.execPath, ['esbuild-node.mjs'], { cwd: project }))).toEqual(expected)
  })
})

describe('Rollup', () => {
  it('bundles for a page', async () => {
    const dir = folder('rollup')
    const bundle = await rollup({
      input: { web: from('web.mjs') },
      plugins: [nodeResolve({ browser: true })],
      onwarn: (warning) => {
        throw new Error(warning.message)
      },
    })
    await bundle.write({ dir, format: 'es', entryFileNames: '[name].js' })
    await expectAnswer(dir)
  })
})

describe('webpack', () => {
  const bundle = async (entry, path) => {
    const compiler = webpack({
      mode: 'production',
      context: project,
      entry: { web: entry },
      output: { path, filename: '[name].js', module: true, publicPath: '' },
      experiments: { outputModule: true },
      performance: false,
    })
    const stats = await new Promise((resolve, reject) => {
      compiler.run((error, result) => (error ? reject(error) : resolve(result)))
    })
    expect(stats.toJson({ all: false, errors: true, warnings: true })).toMatchObject({ errors: [], warnings: [] })
    await new Promise((closed) => compiler.close(closed))
  }

  it('bundles for a page', async () => {
    const path = folder('webpack')
    await bundle('./web.mjs', path)
    await expectAnswer(path)
  })

  it('copies the core of the slim entry', async () => {
    const path = folder('webpack-slim')
    writeFileSync(from('core-address.mjs'), `export default new URL('toeplitz/core.wasm', import.meta.url)\n`)
    await bundle('./slim.mjs', path)
    expect((await reportOf('Chromium', path)).value).toBe('21,32')
  })
})

describe('Vite', () => {
  const options = {
    root: project,
    configFile: false,
    logLevel: 'error',
    clearScreen: false,
    optimizeDeps: { entries: ['vite.html'] },
  }
  const entry = (script) => writeFileSync(from('vite.html'), html(`<script type="module" src="/${script}"></script>`))
  const build = async (outDir) => {
    await vite.build({ ...options, build: { outDir, target: 'es2022', rollupOptions: { input: from('vite.html') } } })
    return outDir
  }

  it('builds for a page', async () => {
    entry('web.mjs')
    const served = await build(from('vite'))
    expect((await reportOf('Chromium', served, { page: 'vite.html' })).value).toEqual(expected)
    const { value } = await reportOf('Chromium', served, { page: 'vite.html?simd=relaxed' })
    expect(value.simd).toBe('relaxed')
  })

  it('serves a page while it is developed', async () => {
    entry('web.mjs')
    const server = await vite.createServer({ ...options, server: { port: 0, host: '127.0.0.1' } })
    await server.listen()
    const { port } = server.httpServer.address()
    try {
      const { value } = await reportOf('Chromium', project, {
        address: (report) => `http://127.0.0.1:${port}/vite.html?report=${encodeURIComponent(report)}`,
      })
      expect(value).toEqual(expected)
    } finally {
      await server.close()
    }
  })

  it('copies the core of the slim entry', async () => {
    entry('slim.mjs')
    writeFileSync(from('core-address.mjs'), `export { default } from 'toeplitz/core.wasm?url'\n`)
    expect((await reportOf('Chromium', await build(from('vite-slim')), { page: 'vite.html' })).value).toBe('21,32')
  })
})

describe('Content-Security-Policy', () => {
  const page = '<script type="module" src="web.js"></script>'

  it.each(Object.keys(browsers))('is named where it blocks WebAssembly, and can allow it: %s', async (name) => {
    if (!browsers[name].find()) {
      console.log(`skipped: ${name} is not installed (${browsers[name].install})`)
      return
    }
    const outdir = folder('csp', html(page))
    const options = { absWorkingDir: project, bundle: true, format: 'esm', splitting: true, logLevel: 'warning' }
    await esbuild.build({ ...options, entryPoints: { web: 'web.mjs' }, outdir })
    const headers = (script) => ({ 'Content-Security-Policy': `default-src 'self'; script-src 'self' ${script}` })
    await expect(reportOf(name, outdir, { headers: headers('') })).rejects.toThrow(
      "UNSUPPORTED: init: the page's Content-Security-Policy blocks WebAssembly; add 'wasm-unsafe-eval' to script-src",
    )
    const { value } = await reportOf(name, outdir, { headers: headers("'wasm-unsafe-eval'") })
    expect(value).toEqual(expected)
  })

  it('names the address of a page that stands where the core should be', async () => {
    const outdir = folder('html')
    writeFileSync(from('core-address.mjs'), `export default '/index.html'\n`)
    const options = { absWorkingDir: project, bundle: true, format: 'esm', logLevel: 'warning' }
    await esbuild.build({ ...options, entryPoints: { web: 'slim.mjs' }, outdir })
    await expect(reportOf('Chromium', outdir)).rejects.toThrow(
      /FORMAT: init: http:\/\/127.0.0.1:\d+\/index.html is not a WebAssembly module: it begins with "<" like an HTML page/,
    )
  })
})
