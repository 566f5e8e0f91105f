// @ts-check
/**
 * The floors of the house, what lies on each and what it imports: `npm run structure`. test/architecture.test.ts checks them.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = resolve(import.meta.dirname, '..')

/** Floors from the ground up: a file may import its own floor and those below it. */
export const floors = [
  ['src/runtime'],
  ['src/formats'],
  ['src/tensor'],
  ['src/autodiff'],
  ['src/plan'],
  ['src/ops'],
  ['src/graph'],
  ['src/nn', 'src/optim'],
  ['src/train'],
  [
    'src/zoo',
    'src/layers',
    'src/vision',
    'src/features',
    'src/priors',
    'src/segmentation',
    'src/training',
    'src/audio',
    'src/volumes',
    'src/io',
    'src/data',
    'src/models',
    'src/node',
  ],
  ['src/classifier', 'src/quant'],
  ['src/distributed'],
  ['src/cli'],
]

/** Tables of contents above all floors: the public API, and the entries of the package that add `init` to it. */
export const entries = ['api', 'edge-light', 'index', 'slim', 'workerd'].map((name) => `src/${name}.ts`)

/**
 * Files in a folder, from the root of the repository.
 * @param {string} folder
 * @returns {string[]}
 */
export const filesIn = (folder) =>
  readdirSync(join(root, folder)).flatMap((name) => {
    const path = join(folder, name)
    return statSync(join(root, path)).isDirectory() ? filesIn(path) : [path]
  })

/**
 * What a file imports of the others, by types or when it runs.
 * @param {string} file
 */
export const importsOf = (file) =>
  [...readFileSync(join(root, file), 'utf8').matchAll(/(?:from|import)\s*\(?\s*'(\.[^']*)'/g)].map((match) =>
    relative(root, resolve(root, dirname(file), /** @type {string} */ (match[1]))),
  )

/** Sources that people write. */
export const sources = () =>
  filesIn('src').filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts') && !file.includes('/generated/'))

/**
 * The floor of a file, −1 where it is on none.
 * @param {string} path
 */
export const floorOf = (path) =>
  floors.findIndex((rooms) => rooms.some((room) => path === room || path.startsWith(`${room}/`)))

/** Imports that point up, as `file -> file`. */
export const upward = () =>
  sources()
    .filter((file) => !entries.includes(file))
    .flatMap((file) =>
      importsOf(file)
        .filter((target) => floorOf(target) > floorOf(file))
        .map((target) => `${file} -> ${target}`),
    )

/** Files that import each other in a circle. */
export function circles() {
  const left = new Map(sources().map((file) => [file, importsOf(file).map((target) => target.replace(/\.js$/, '.ts'))]))
  // What imports none of the others is in no circle, nor, then, is what imports nothing else.
  for (let before = -1; before !== left.size;) {
    before = left.size
    for (const [file, targets] of left) if (!targets.some((target) => left.has(target))) left.delete(file)
  }
  return [...left.keys()]
}

/** @param {string} file */
const linesOf = (file) => readFileSync(join(root, file), 'utf8').split('\n').length - 1

/** @param {readonly string[]} files */
const total = (files) => files.reduce((lines, file) => lines + linesOf(file), 0)

function print() {
  const all = sources()
  const rooms = [...floors].reverse().flat()
  /** @param {string} room */
  const filesOf = (room) => all.filter((file) => file.startsWith(`${room}/`))
  const assembly = filesIn('assembly').filter((file) => file.endsWith('.ts'))
  /** @param {string} room */
  const below = (room) =>
    rooms.filter(
      (other) =>
        other !== room &&
        filesOf(room).some((file) => importsOf(file).some((target) => target.startsWith(`${other}/`))),
    )
  console.log('floor  folder           files  lines  imports')
  for (const room of rooms) {
    const files = filesOf(room)
    const cells = [floors.findIndex((list) => list.includes(room)) + 1, room.padEnd(16), files.length, total(files)]
    const [floor, name, count, lines] = cells.map(String)
    const imports = below(room)
      .map((other) => other.replace('src/', ''))
      .join(' ')
    console.log(`${floor?.padStart(5)}  ${name} ${count?.padStart(5)}  ${lines?.padStart(5)}  ${imports}`)
  }
  console.log(`    0  assembly         ${String(assembly.length).padStart(5)}  ${String(total(assembly)).padStart(5)}`)
  console.log(`\n${upward().length} imports point up, ${circles().length} files are in a circle`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) print()
