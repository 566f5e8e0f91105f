// @ts-check
// Where and with what a result was measured. A time without these says nothing.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { arch, availableParallelism, cpus, loadavg, platform } from 'node:os'

/**
 * `load` is the system's load average when the run began: well above 0, others were using the processor.
 * @typedef {{
 *   cpu: string,
 *   cores: number,
 *   load: number,
 *   platform: string,
 *   versions: Record<string, string>,
 *   date: string,
 * }} Machine
 */

/** The npm packages of the peers that are called otherwise. @type {Record<string, string>} */
const packages = { 'tfjs-wasm': '@tensorflow/tfjs-backend-wasm', 'jax-js': '@jax-js/jax' }

/**
 * @param {readonly string[]} peers measured against
 * @returns {Machine}
 */
export function describeMachine(peers) {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown processor',
    cores: availableParallelism(),
    load: loadavg()[0] ?? 0,
    platform: `${platform()} ${arch()}`,
    versions: {
      node: process.versions.node,
      v8: process.versions.v8,
      toeplitz: versionIn(new URL('../../package.json', import.meta.url)),
      ...Object.fromEntries(
        peers.map((name) => [
          name,
          name === 'pytorch'
            ? torchVersion()
            : versionIn(new URL(`../node_modules/${packages[name] ?? name}/package.json`, import.meta.url)),
        ]),
      ),
    },
    date: new Date().toISOString(),
  }
}

/** The version of PyTorch for the Python that the bench starts. */
function torchVersion() {
  const { stdout } = spawnSync(
    process.env['PYTHON'] ?? '/usr/bin/python3',
    ['-c', 'import torch; print(torch.__version__)'],
    {
      encoding: 'utf8',
    },
  )
  return stdout?.trim() || 'not installed'
}

/** @param {URL} file */
function versionIn(file) {
  if (!existsSync(file)) return 'not installed'
  /** @type {unknown} */
  const manifest = JSON.parse(readFileSync(file, 'utf8'))
  const version = manifest !== null && typeof manifest === 'object' && 'version' in manifest ? manifest.version : ''
  return String(version)
}
