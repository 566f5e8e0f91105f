/**
 * Bundles the worker and serves it with workerd, Cloudflare's runtime, or with Node.
 *
 *   node examples/edge/serve.mjs [--address 127.0.0.1:8787] [--runtime workerd | node]
 *
 *   curl --data-binary @digit.png -H 'Content-Type: image/png' http://127.0.0.1:8787/predict
 *
 * Port 0 takes a free one. workerd comes from WORKERD, from test/platform, or from npm. CLIENT_HEADER names the header
 * in which a proxy tells the client's address.
 */
import { spawn } from 'node:child_process'
import { existsSync, realpathSync } from 'node:fs'
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'
import { edgeServer } from './node.mjs'

const here = import.meta.dirname

const bundles = {
  workerd: {
    conditions: ['workerd', 'worker'],
    // Modules of their own: workerd compiles the one when it starts, and hands out the other as bytes.
    loader: { '.wasm': 'copy', '.safetensors': 'copy' },
    assetNames: '[name]',
  },
  node: {
    platform: 'node',
    loader: { '.safetensors': 'binary' },
  },
}

/** What a runtime serves: the bundled worker and what belongs to it. @returns the folder, and `remove`. */
export async function bundleWorker(runtime = 'workerd') {
  const folder = await mkdtemp(join(tmpdir(), 'toeplitz-edge-'))
  await build({
    entryPoints: [join(here, 'worker.mjs')],
    outdir: folder,
    outExtension: { '.js': runtime === 'node' ? '.mjs' : '.js' },
    bundle: true,
    format: 'esm',
    target: 'es2022',
    minify: true,
    logLevel: 'warning',
    ...bundles[runtime],
  })
  if (runtime === 'workerd') await copyFile(join(here, 'workerd.capnp'), join(folder, 'workerd.capnp'))
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) }
}

const listening = (port) => console.log(`POST pictures to http://127.0.0.1:${port}/predict`)

async function serveWithWorkerd(address) {
  const { folder, remove } = await bundleWorker()
  const installed = join(here, '../../test/platform/node_modules/@cloudflare/workerd-linux-64/bin/workerd')
  const local = process.env.WORKERD ?? (existsSync(installed) ? installed : undefined)
  const [program, ...first] = local ? [local] : ['npx', '--yes', 'workerd']
  const args = [...first, 'serve', join(folder, 'workerd.capnp'), `--socket-addr=http=${address}`, '--control-fd=3']
  const workerd = spawn(program, args, { stdio: ['inherit', 'inherit', 'inherit', 'pipe'] })
  createInterface({ input: workerd.stdio[3] }).on('line', (line) => {
    const { event, socket, port } = JSON.parse(line)
    if (event === 'listen' && socket === 'http') listening(port)
  })
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => workerd.kill(signal))
  workerd.on('error', (error) => console.error(`workerd does not start: ${error.message}; set WORKERD to its path`))
  workerd.on('close', async (code) => {
    await remove()
    process.exitCode = code ?? 0
  })
}

async function serveWithNode(address) {
  const { folder, remove } = await bundleWorker('node')
  const { default: worker } = await import(pathToFileURL(join(folder, 'worker.mjs')))
  await remove()
  const { CLIENT_HEADER } = process.env
  const server = edgeServer(worker, { CLIENT_HEADER })
  const { hostname, port } = new URL(`http://${address}`)
  server.on('error', (error) => {
    console.error(`Node does not listen on ${address}: ${error.message}`)
    process.exitCode = 1
  })
  server.listen(Number(port), hostname.replace(/^\[|\]$/g, ''), () => listening(server.address().port))
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.close())
}

if (process.argv[1] && realpathSync(process.argv[1]) === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      address: { type: 'string', default: '127.0.0.1:8787' },
      runtime: { type: 'string', default: 'workerd' },
    },
  })
  const serve = { workerd: serveWithWorkerd, node: serveWithNode }[values.runtime]
  if (serve) await serve(values.address)
  else {
    console.error(`--runtime must be workerd or node, not ${values.runtime}`)
    process.exitCode = 1
  }
}
