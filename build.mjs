/**
 * Builds the package. `node build.mjs wasm` compiles the core and writes src/runtime/generated/; `node build.mjs`
 * does that and then makes dist/ (ESM with the module embedded, declarations, the .wasm files).
 */
import { Buffer } from 'node:buffer'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, readdir, rm, writeFile, copyFile, chmod } from 'node:fs/promises'
import { basename, dirname, relative, resolve } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import lzma from 'lzma'
import { build } from 'esbuild'

const run = promisify(execFile)
const generated = 'src/runtime/generated'
const entries = {
  index: 'src/index.ts',
  slim: 'src/slim.ts',
  workerd: 'src/workerd.ts',
  'edge-light': 'src/edge-light.ts',
  data: 'src/data/index.ts',
  io: 'src/io/index.ts',
  zoo: 'src/zoo/index.ts',
  features: 'src/features/index.ts',
  priors: 'src/priors/index.ts',
  segmentation: 'src/segmentation/index.ts',
  train: 'src/training/index.ts',
  vision: 'src/vision/index.ts',
  audio: 'src/audio/index.ts',
  volumes: 'src/volumes/index.ts',
  classifier: 'src/classifier/index.ts',
  onnx: 'src/models/onnx/index.ts',
  layers: 'src/layers/index.ts',
  tfjs: 'src/models/tfjs/index.ts',
  quant: 'src/quant/index.ts',
  node: 'src/node/index.ts',
  distributed: 'src/distributed/index.ts',
  'distributed-thread': 'src/distributed/thread.ts',
}
/** The command is one file: parts of its own would be loaded all at once, and make those that the entries share smaller and more. */
const command = { 'cli/main': 'src/cli/main.ts' }
/** Targets of asconfig.json and of asconfig.integers.json, and the files that they are in the package. */
const variants = {
  strict: 'core.wasm',
  relaxed: 'relaxed.wasm',
  threads: 'threads.wasm',
  'relaxed-threads': 'relaxed-threads.wasm',
  integers: 'integers.wasm',
  'integers-threads': 'integers-threads.wasm',
}
/** The configuration of the module that a target is of. */
const configOf = (target) => (target.startsWith('integers') ? 'asconfig.integers.json' : 'asconfig.json')

/** A hash of all that the compiler reads: its version, its configurations, and assembly/. */
async function sourcesHash() {
  const entries = await readdir('assembly', { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => `${entry.parentPath}/${entry.name}`)
  const hash = createHash('sha256')
  const read = ['node_modules/assemblyscript/package.json', 'asconfig.json', 'asconfig.integers.json', ...files.sort()]
  for (const file of read) {
    hash.update(`${file}\n`).update(await readFile(file))
  }
  return hash.digest('hex')
}

/** Compiles one target to build/<target>.wasm and build/<target>.d.ts, unless they are up to date. */
async function compile(target, hash) {
  const stamp = `build/${target}.sha256`
  const known = await readFile(stamp, 'utf8').catch(() => '')
  if (known === hash && existsSync(`build/${target}.wasm`) && existsSync(`build/${target}.d.ts`)) return
  const compiler = ['node_modules/assemblyscript/bin/asc.js', '--config', configOf(target), '--target', target]
  const { stderr } = await run(process.execPath, compiler)
  if (stderr.trim()) process.stderr.write(stderr)
  await writeFile(stamp, hash)
}

/** The TypeScript type of a module's exports, taken from the declarations that the compiler writes. */
async function kernelType(target, name, what) {
  const declarations = await readFile(`build/${target}.d.ts`, 'utf8')
  const members = [
    ...declarations.matchAll(/( {2}\/\*\*(?:(?!\*\/)[\s\S])*\*\/)\s+export function (\w+)(\(.*\): \w+);/g),
  ].map(([, comment, kernel, signature]) => `${comment}\n  ${kernel}${signature}`)
  if (members.length === 0) throw new Error(`build/${target}.d.ts: no exported kernels found`)
  return `/** ${what}: pointers, sizes and ranges. */\nexport interface ${name} {\n${members.join('\n')}\n}\n`
}

/** The types of the exports of both modules. */
const kernelTypes = async () =>
  `/* Written by build.mjs from assembly/. */\n${await kernelType('strict', 'Kernels', 'Kernels of the core')}${await kernelType('integers', 'IntegerKernels', 'Kernels of integers, which are loaded beside the core')}`

/** Files of assembly/ whose constants and records src/plan and src/ops read, by the names that they get there. */
const told = {
  tile: 'micro/tile.ts',
  gemm: 'ops/conv/gemm.ts',
  transformed: 'ops/conv/transformed.ts',
  transformedFilter: 'ops/conv/transformedFilter.ts',
  convShape: 'ops/conv/shape.ts',
  localShape: 'ops/conv/local.ts',
  poolShape: 'ops/pool/shape.ts',
  integerShape: 'ops/integers/shape.ts',
  integerSum: 'ops/integers/elementwise.ts',
}

/** The value of a constant that is a literal or a power of two; those of both cores where it depends on them. */
function constantOf(expression) {
  const [, relaxed, strict] = /^ASC_FEATURE_RELAXED_SIMD \? (.+) : (.+)$/.exec(expression) ?? []
  if (relaxed) return `{ strict: ${constantOf(strict)}, relaxed: ${constantOf(relaxed)} }`
  const [, base, shift = '0'] = /^(\d+)(?: << (\d+))?$/.exec(expression) ?? []
  return base && String(Number(base) * 2 ** Number(shift))
}

/** What the kernels divide their work by, and the fields of the records that they read, in the order of their declaration. */
async function kernelConstants() {
  const objects = await Promise.all(
    Object.entries(told).map(async ([name, file]) => {
      const text = await readFile(`assembly/${file}`, 'utf8')
      const constants = [...text.matchAll(/^(?:export )?const (\w+): i32 = (.+)$/gm)].flatMap(
        ([, constant, expression]) => {
          const value = constantOf(expression)
          return value ? [`  ${constant}: ${value},`] : []
        },
      )
      const records = [...text.matchAll(/^@unmanaged\n(?:export )?class (\w+) \{\n([\s\S]*?)^\}/gm)].map(
        ([, record, body]) => {
          const fields = [...body.matchAll(/^ {2}(\w+): (i32|f64)$/gm)].map(([, field]) => `'${field}'`)
          return `/** Fields of ${record} in assembly/${file}. */\nexport const fieldsOf${record} = [${fields.join(', ')}] as const\n`
        },
      )
      const found = [
        ...(constants.length > 0
          ? [`/** Constants of assembly/${file}. */\nexport const ${name} = {\n${constants.join('\n')}\n} as const\n`]
          : []),
        ...records,
      ]
      if (found.length === 0) throw new Error(`assembly/${file}: no constants and no records found`)
      return found.join('\n')
    }),
  )
  return `/** Written by build.mjs from assembly/: what kernels divide their work by, and what they are told. */\n${objects.join('\n')}`
}

/** The script of the worker threads. */
async function workerScript() {
  const { outputFiles } = await build({
    entryPoints: ['src/runtime/worker.ts'],
    bundle: true,
    write: false,
    format: 'iife',
    target: 'es2022',
    platform: 'neutral',
    minify: true,
    logLevel: 'warning',
  })
  return outputFiles[0].text
}

/**
 * The module as an LZMA file, for src/runtime/unpack.ts: a fifth smaller than deflated at level 9. It takes a second, so it is
 * kept beside the module until that changes.
 */
async function compressed(bytes, variant) {
  const file = `build/${variant}.lzma`
  const known = await readFile(file).catch(() => undefined)
  try {
    if (known && Buffer.from(lzma.decompress(known)).equals(bytes)) return known
  } catch {
    // Cut short when the build before was.
  }
  const stream = Buffer.from(lzma.compress(bytes, 9))
  if (stream[0] !== 0x5d) throw new Error(`${variant}: LZMA settings are ${stream[0]}; src/runtime/unpack.ts reads 93`)
  await writeFile(file, stream)
  return stream
}

async function buildWasm() {
  await mkdir('build', { recursive: true })
  await mkdir(generated, { recursive: true })
  const hash = await sourcesHash()
  await Promise.all(Object.keys(variants).map((target) => compile(target, hash)))
  await writeFile(`${generated}/kernels.ts`, await kernelTypes())
  await writeFile(`${generated}/constants.ts`, await kernelConstants())
  await writeFile(
    `${generated}/worker.ts`,
    `/** Written by build.mjs: src/runtime/worker.ts as one script. */\nexport default ${JSON.stringify(await workerScript())} as string\n`,
  )
  for (const variant of Object.keys(variants)) {
    const bytes = await readFile(`build/${variant}.wasm`)
    await writeFile(
      `${generated}/${variant}.ts`,
      `/** Written by build.mjs: the ${variant} core, ${bytes.length} bytes, compressed, as base64. */\nexport default '${(await compressed(bytes, variant)).toString('base64')}' as string\n`,
    )
    console.log(
      `${variant}.wasm: ${(bytes.length / 1000).toFixed(1)} kB, ${(gzipSync(bytes).length / 1000).toFixed(1)} kB gzipped`,
    )
  }
}

/**
 * The objects behind `import * as`, which esbuild declares before what their module imports and fills by a call, as plain ones
 * behind the module's last line.
 */
function plainNamespaces(text) {
  const sections = text.split(/^(?=\/\/ (?:src|node_modules)\/|export \{)/m)
  const fileOf = (section) => section.slice(0, section.indexOf('\n'))
  for (const [index, section] of sections.entries()) {
    for (const [whole, name, members] of section.matchAll(
      /^var (\w+) = \{\};\n__export\(\1, \{\n([\s\S]*?)\n\}\);\n/gm,
    )) {
      sections[index] = sections[index].replace(whole, '')
      const last = sections.findLastIndex((other) => fileOf(other) === fileOf(section))
      const plain = members.replace(/^ {2}(\w+): \(\) => ([\w$]+)/gm, '  $1: $2')
      sections[last] += `var ${name} = {\n${plain}\n};\n`
    }
  }
  return sections.join('')
}

/**
 * `sideEffects: false` promises that no module does anything when it is loaded, but bundlers drop whole files by it, and
 * a chunk holds many modules. So that what is not used can go, each call at the top level is said to be pure, and namespaces
 * are plain objects.
 * Imports of a chunk for its effects alone, which esbuild leaves behind, have none.
 */
const pure = (text) =>
  plainNamespaces(text)
    .replace(/^import "\.{1,2}\/[\w/-]+\.js";\n/gm, '')
    .replace(/^(var [\w$]+ = | {2}static [\w$]+ = )(?=(?:new )?(?!function\()[\w$.]+\()/gm, '$1/* @__PURE__ */ ')

/**
 * The core's text is a file of its own, which index.js imports before all else, so that it comes first in what a bundler
 * makes. Deflate writes one code for each 16,383 symbols: where it falls on base64 and on JavaScript, neither gets its own,
 * and a bundle with the core in its middle is 2.1 kB larger.
 */
const coreText = './chunks/strict.js'
const coreApart = {
  name: 'core apart',
  setup({ onResolve }) {
    onResolve({ filter: /\/generated\/strict\.js$/ }, () => ({ path: coreText, external: true }))
  },
}
const coreFirst = (text) => text.replace(/^([\s\S]*?)(import \w+ from "\.\/chunks\/strict\.js";\n)/, '$2$1')

/**
 * Entries that work on the models and tensors of the main one. They reach all of it here, so that esbuild keeps what they share
 * in a few large chunks: with one for each set of entries that use a module, every further entry would make the main one larger.
 */
const beside = [
  'audio',
  'distributed',
  'distributed-thread',
  'features',
  'layers',
  'onnx',
  'priors',
  'quant',
  'segmentation',
  'tfjs',
  'train',
  'vision',
  'volumes',
  'zoo',
]
const wholeApi = {
  name: 'whole api',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^beside:/ }, ({ path }) => ({ path: path.slice('beside:'.length), namespace: 'beside' }))
    onLoad({ filter: /.*/, namespace: 'beside' }, ({ path }) => ({
      contents: `export * from './${path}'\nexport * as wholeApi from './src/api.ts'`,
      resolveDir: import.meta.dirname,
    }))
  },
}
/** What makes an entry reach all, taken away again. */
const withoutWholeApi = (text) =>
  text.replace(/^var api_exports = \{[\s\S]*?^\};\n/m, '').replace(/^ {2}api_exports(?: as wholeApi)?,?\n/gm, '')

/** Files that are loaded when they are first needed. They are lent what they share with the file that loads them. */
const later = ['work', 'pool']

/** `import { a as b } from "./file.js"` statements at the beginning of a file, and what follows them. */
function importsOf(text) {
  const imports = [...text.matchAll(/^import \{\n([\s\S]*?)\n\} from "(\.{1,2}\/[\w/-]+\.js)";\n/gm)].map(
    ([whole, names, from]) => ({ whole, from, names: names.split(',').map((name) => name.trim().split(' as ')) }),
  )
  return { imports, rest: imports.reduce((left, { whole }) => left.replace(whole, ''), text) }
}

/** What a file exports: [name in the file, name outside]. */
function exportsOf(text) {
  const [whole, names] = /^export \{\n([\s\S]*?)\n\};\n/m.exec(text)
  return {
    whole,
    names: names
      .split(',')
      .map((name) => name.trim().split(' as '))
      .map(([own, as = own]) => [own, as]),
  }
}

/**
 * Makes files that are loaded later import nothing that the file which loads them has anyway: they become functions of it. Where they
 * import it, a bundler puts what both use into a file of its own, with a list of names at both ends, and keeps all of it: 1.8 kB of
 * what a page loads first, gzipped, and every function that training needs in a program without training.
 */
function lend(files) {
  const pathOf = (from, base) => resolve(dirname(base), from)
  for (const name of later) {
    const [path, text] = [...files].find(([file]) => new RegExp(`/${name}-\\w+\\.js$`).test(file))
    const call = `import("./${basename(path)}")`
    const loading = [...files].filter(([, other]) => other.includes(call))
    if (loading.length !== 1) throw new Error(`${name}: ${loading.length} files load it; one was expected`)
    const [[loader, loaderText]] = loading
    const reached = new Set([loader])
    for (const file of reached) {
      for (const { from } of importsOf(files.get(file)).imports) reached.add(pathOf(from, file))
    }
    const { imports, rest } = importsOf(text)
    const isLent = ({ from }) => reached.has(pathOf(from, path))
    const lent = imports.filter(isLent)
    const given = lent.flatMap(({ from, names }) =>
      names.map(([outside, own = outside]) => ({ from: pathOf(from, path), outside, own, passed: `${name}$${own}` })),
    )
    const { whole, names } = exportsOf(rest)
    const list = (pairs) => `{ ${pairs.map(([key, value]) => (key === value ? key : `${key}: ${value}`)).join(', ')} }`
    files.set(
      path,
      `${imports
        .filter((one) => !isLent(one))
        .map((one) => one.whole)
        .join(
          '',
        )}export function make(${list(given.map(({ own }) => [own, own]))}) {\n${rest.replace(whole, '')}return ${list(
        names.map(([own, as]) => [as, own]),
      )};\n}\n`,
    )
    const own = new Map(exportsOf(loaderText).names.map(([local, as]) => [as, local]))
    const others = given.filter(({ from }) => from !== loader)
    const statements = others.map(
      ({ from, outside, passed }) =>
        `import { ${outside} as ${passed} } from "./${relative(dirname(loader), from)}";\n`,
    )
    const values = given.map(({ from, outside, own: key, passed }) => [
      key,
      from === loader ? own.get(outside) : passed,
    ])
    const made = `var ${name}$made;\nvar ${name}$load = async () => {\n  const { make } = await ${call};\n  return ${name}$made ??= make(${list(values)});\n};\n`
    files.set(
      loader,
      statements.join('') + loaderText.replaceAll(call, `${name}$load()`).replace(/^(?=export \{\n)/m, made),
    )
  }
}

async function buildLibrary() {
  const { version, dependencies, peerDependencies } = JSON.parse(await readFile('package.json', 'utf8'))
  await rm('dist', { recursive: true, force: true })
  const options = {
    outdir: 'dist',
    bundle: true,
    format: 'esm',
    target: 'es2022',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    // The loader and other small libraries travel inside, so that a page can import entries without an import map.
    external: ['node:*', '*.wasm', '*.wasm?module', ...Object.keys({ ...dependencies, ...peerDependencies })],
    chunkNames: 'chunks/[name]-[hash]',
    write: false,
    define: { __VERSION__: JSON.stringify(version) },
    logLevel: 'warning',
  }
  const entryPoints = Object.fromEntries(
    Object.entries(entries).map(([name, path]) => [name, beside.includes(name) ? `beside:${path}` : path]),
  )
  const shared = await build({ ...options, entryPoints, splitting: true, plugins: [coreApart, wholeApi] })
  const alone = await build({ ...options, entryPoints: command })
  const files = new Map(shared.outputFiles.map(({ path, text }) => [path, withoutWholeApi(pure(text))]))
  lend(files)
  for (const [path, text] of [...files, ...alone.outputFiles.map((file) => [file.path, file.text])]) {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, coreFirst(text))
  }
  await writeFile(
    `dist/${coreText}`,
    await readFile(`${generated}/strict.ts`, 'utf8').then((text) => text.replace(' as string', '')),
  )
  await chmod('dist/cli/main.js', 0o755)
  await run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'])
  await checkDeclarations()
  for (const [entry, source] of Object.entries(entries)) {
    await writeFile(`dist/${entry}.d.ts`, `export * from './types/${source.slice(4, -3)}.js'\n`)
  }
  await writeFile('dist/worker.js', await workerScript())
  await writeFile('dist/worker.d.ts', 'export {}\n')
  for (const [variant, file] of Object.entries(variants)) {
    await copyFile(`build/${variant}.wasm`, `dist/${file}`)
    await writeFile(`dist/${file}.d.ts`, wasmTypes)
  }
}

/** The types of a file of WebAssembly, for programs whose libs may have none of it. */
const wasmTypes = `import type { WasmModule } from './types/runtime/platform.js'
declare const module: WasmModule
export default module
`

/** Arrays took no type of their buffer before TypeScript 5.7: where one is inferred in a declaration, older releases read it not. */
async function checkDeclarations() {
  for (const file of await readdir('dist/types', { recursive: true })) {
    if (!file.endsWith('.d.ts')) continue
    const found = /^(?!\s*(?:\/\*|\*)).*(?:Array|DataView)<ArrayBuffer/m.exec(
      await readFile(`dist/types/${file}`, 'utf8'),
    )
    if (found) throw new Error(`${file}: TypeScript 5.4 to 5.6 cannot read "${found[0].trim()}"; state the type`)
  }
}

try {
  await buildWasm()
  if (process.argv[2] !== 'wasm') await buildLibrary()
} catch (error) {
  process.stderr.write(`${error.stdout ?? ''}${error.stderr ?? ''}${error.message}\n`)
  process.exit(1)
}
