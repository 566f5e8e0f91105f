/**
 * Adds one of each kind to a copy of the repository, runs the tests that must notice what is forgotten, and counts the files that
 * each addition touches. The additions are the patches beside this file. `npm run test:additions`, about six minutes.
 *
 * What is generated does not count: README.md, docs/variants.md and the table and chart of the zoo, which their scripts write, and
 * the build. Exit codes: 0 good; 1 an addition touches too many files, or a check fails.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const here = import.meta.dirname
const root = join(here, '../..')

/** Additions with the most files that each may touch, in the order in which the patches are applied. */
const additions = {
  'elementwise-function': 4,
  operation: 5,
  algorithm: 4,
  layer: 2,
  network: 2,
  command: 3,
}

/** Files of the tests that ask whether everything that there is has its row, its page and its floor, and that read the rows; not the sizes of bundles. */
const tests = [
  ...[
    'architecture',
    'operations',
    'platform/program',
    'fuzz/calls',
    'fuzz/wrong',
    'runtime/options',
    'runtime/threads',
  ],
  ...[
    'kernels',
    'autodiff/silent',
    'faults/operations',
    'faults/functions',
    'faults/models',
    'docs/variants',
    'docs/readme',
  ],
  ...['plan', 'ops/conv.test', 'ops/elementwise', 'ops/activation', 'nn/layers', 'nn/explain', 'nn/steady'],
  ...['zoo/models', 'zoo/tables', 'cli/program', 'cli/terminal', 'cli/networks'],
].map((name) => `test/${name}`)

const copy = mkdtempSync(join(tmpdir(), 'toeplitz-additions-'))
const git = (...args) => execFileSync('git', args, { cwd: copy, encoding: 'utf8' })
let failed = false

/** Runs one check in the copy; what it prints is shown where it fails. */
function check(what, command, ...args) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: copy, encoding: 'utf8' })
  console.log(`${status === 0 ? 'good' : 'FAILED'}: ${what}`)
  if (status === 0) return
  failed = true
  console.log(`${stdout}${stderr}`)
}

try {
  const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root })
  for (const file of new Set(files.toString().split('\0').filter(Boolean))) cpSync(join(root, file), join(copy, file))
  // What was compiled before is compiled again only where its sources differ.
  cpSync(join(root, 'build'), join(copy, 'build'), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  git('init', '--quiet')
  git('add', '--all')

  const rows = Object.entries(additions).map(([name, most]) => {
    const patch = join(here, `${name}.patch`)
    git('apply', '-C1', patch)
    const touched = [...readFileSync(patch, 'utf8').matchAll(/^diff --git a\/.* b\/(.*)$/gm)].map((match) => match[1])
    if (touched.length > most) failed = true
    return { addition: name.replace('-', ' '), files: touched.length, most, touched: touched.join(', ') }
  })

  check('build', 'npm', 'run', 'build')
  check('pages', 'node', 'docs/variants.mjs')
  check('README', 'node', 'docs/readme.mjs')
  check('zoo', 'node', 'docs/zoo.mjs')
  check('format', 'npx', 'prettier', '--check', '.')
  check('lint', 'npx', 'eslint', '.')
  check('types', 'npx', 'tsc', '--noEmit')
  check('API reference', 'npm', 'run', 'check:docs')
  check('tests', 'npx', 'vitest', 'run', ...tests)

  console.log('\n| addition | files | at most | which |\n| --- | --: | --: | --- |')
  for (const { addition, files: count, most, touched } of rows)
    console.log(`| ${addition} | ${count} | ${most} | ${touched} |`)
} finally {
  rmSync(copy, { recursive: true, force: true })
}
process.exitCode = failed ? 1 : 0
