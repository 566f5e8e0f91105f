/** An empty project with the packed package in it, as a stranger has it. */
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runProgram } from './processes.mjs'

const here = join(import.meta.dirname, '..')

/** A page with a script. */
export const html = (script) => `<!DOCTYPE html><meta charset="utf-8"><title>toeplitz</title>${script}\n`

/** @returns its path, `from` for paths in it, `folder` that makes one with a page in it, `install` and `remove`. */
export function createProject() {
  const project = mkdtempSync(join(tmpdir(), 'toeplitz-project-'))
  const from = (...path) => join(project, ...path)
  return {
    project,
    from,
    folder(name, text) {
      mkdirSync(from(name), { recursive: true })
      writeFileSync(from(name, 'index.html'), text)
      return from(name)
    },
    /** Puts the package there, and the programs of ../bundled. */
    async install() {
      const pack = ['pack', '--silent', '--ignore-scripts', '--pack-destination', project]
      const tarballs = await runProgram('npm', pack, { cwd: join(here, '../..') })
      writeFileSync(from('package.json'), '{ "private": true, "type": "module" }\n')
      const install = ['install', '--silent', '--no-audit', '--no-fund', '--omit=peer']
      await runProgram('npm', [...install, `./${tarballs.trim().split('\n').at(-1)}`], { cwd: project })
      for (const file of readdirSync(join(here, 'bundled'))) copyFileSync(join(here, 'bundled', file), from(file))
    },
    remove: () => rmSync(project, { recursive: true, force: true }),
  }
}
