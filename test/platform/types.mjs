/**
 * Compiles a program against the published types as strangers do: `tsc --strict` without `skipLibCheck`, with each lib and by
 * each release of TypeScript that is promised. `node test/platform/types.mjs FOLDER` takes the folder in which the packed
 * package is installed; compilers come from the registry.
 *
 * Exit codes: 0 everything compiles, and what must not does not; 1 otherwise.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { program } from './types-program.mjs'

const [folder] = process.argv.slice(2)
const releases = ['5.4', '5.5', '5.6', '5.7', '5.8', '5.9', '6.0']
const libs = ['es2022', 'es2022,dom']

if (folder === undefined) {
  console.error('types: name the folder in which the package is installed')
  process.exit(2)
}
writeFileSync(join(folder, 'program.ts'), program)
let failed = false
for (const release of releases) {
  const at = join(folder, `typescript-${release}`)
  mkdirSync(at, { recursive: true })
  writeFileSync(join(at, 'package.json'), '{ "private": true }')
  const args = ['install', '--silent', '--no-audit', '--no-fund', '--prefix', at, `typescript@~${release}`]
  const installed = spawnSync('npm', args, { encoding: 'utf8' })
  for (const lib of libs) {
    const options = { strict: true, noEmit: true, target: 'es2022', module: 'nodenext', lib: lib.split(','), types: [] }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: ['program.ts'] }))
    const compiler = join(at, 'node_modules/typescript/bin/tsc')
    const compiled = spawnSync(process.execPath, [compiler], {
      cwd: folder,
      encoding: 'utf8',
    })
    const isRight = installed.status === 0 && compiled.status === 0
    console.log(`TypeScript ${release}, lib ${lib}: ${isRight ? 'compiles' : 'does not compile'}`)
    if (isRight) continue
    failed = true
    console.log(`${installed.stderr}${compiled.stdout}${compiled.stderr}`)
  }
}
process.exitCode = failed ? 1 : 0
