// @ts-check
// Files of src/ that the package does not export, as modules.
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

/**
 * @param {string} path of a TypeScript file under src/ that needs no module of the core, such as plan/conv.ts
 * @returns {Promise<any>}
 */
export async function importSource(path) {
  const entry = fileURLToPath(new URL(`../../src/${path}`, import.meta.url))
  const { outputFiles } = await build({ entryPoints: [entry], bundle: true, format: 'esm', write: false })
  const code = Buffer.from(outputFiles[0]?.contents ?? new Uint8Array()).toString('base64')
  return import(`data:text/javascript;base64,${code}`)
}
