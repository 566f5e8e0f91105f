/**
 * Bundles the worker and serves it with workerd, Cloudflare's runtime.
 *
 *   node examples/edge/serve.mjs [--address 127.0.0.1:8787]
 *
 *   curl --data-binary @digit.png -H 'Content-Type: image/png' http://127.0.0.1:8787/predict
 *
 * Port 0 takes a free one. workerd comes from WORKERD, from test/platform, or from npm.
 */
import { spawn } from 'node:child_process'
import { existsSync, realpathSync } from 'node:fs'
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'

const here = import.meta.dirname

/** What workerd serves: the bundled worker, its core, the model and the configuration. @returns the folder, and `remove`. */
export async function bundleWorker() {
  const folder = await mkdtemp(join(tmpdir(), 'toeplitz-edge-'))
  await build({
    entryPoints: [join(here, 'worker.mjs')],
    outdir: folder,
    outExtension: { '.js': '.js' },
    bundle: true,
    format: 'esm',
    target: 'es2022',
    conditions: ['workerd', 'worker'],
    // Modules of their own: workerd compiles the one when it starts, and hands out the other as bytes.
    loader: { '.wasm': 'copy', '.safetensors': 'copy' },
    assetNames: '[name]',
    minify: true,
    logLevel: 'warning',
  })
  await copyFile(join(here, 'workerd.capnp'), join(folder, 'workerd.capnp'))
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) }
}

async function serve() {
  const { values } = parseArgs({ options: { address: { type: 'string', default: '127.0.0.1:8787' } } })
  const { folder, remove } = await bundleWorker()
  const installed = join(here, '../../test/platform/node_modules/@cloudflare/workerd-linux-64/bin/workerd')
  const local = process.env.WORKERD ?? (existsSync(installed) ? installed : undefined)
  const [program, ...first] = local ? [local] : ['npx', '--yes', 'workerd']
  const args = [
    ...first,
    'serve',
    join(folder, 'workerd.capnp'),
    `--socket-addr=http=${values.address}`,
    '--control-fd=3',
  ]
  const workerd = spawn(program, args, { stdio: ['inherit', 'inherit', 'inherit', 'pipe'] })
  createInterface({ input: workerd.stdio[3] }).on('line', (line) => {
    const { event, socket, port } = JSON.parse(line)
    if (event === 'listen' && socket === 'http') console.log(`POST pictures to http://127.0.0.1:${port}/predict`)
  })
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => workerd.kill(signal))
  workerd.on('error', (error) => console.error(`workerd does not start: ${error.message}; set WORKERD to its path`))
  workerd.on('close', async (code) => {
    await remove()
    process.exitCode = code ?? 0
  })
}

if (process.argv[1] && realpathSync(process.argv[1]) === import.meta.filename) await serve()
