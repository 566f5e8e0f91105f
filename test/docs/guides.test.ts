/**
 * Every block of code in the README and in the guides runs, against the built package, and prints what the page says.
 * Those for pages, bundlers and edge functions run in test/platform/guides.spec.mjs.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { blocksIn } from './blocks.js'

const root = resolve(import.meta.dirname, '../..')
// In the package, so that its name leads to it.
mkdirSync(join(root, 'build'), { recursive: true })
const folder = mkdtempSync(join(root, 'build/guides-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Pages that have a test of their own. */
const others = ['chapter-9.md', 'variants.md']
const guides = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md') && !others.includes(name))
const pages = [
  'README.md',
  'CONTRIBUTING.md',
  'examples/browser/README.md',
  'examples/edge/README.md',
  ...guides.map((name) => `docs/${name}`),
].map((path) => {
  const text = readFileSync(join(root, path), 'utf8')
  return { path, text, blocks: blocksIn(text) }
})

describe.each(pages)('$path', ({ path, text, blocks }) => {
  const programs = blocks.filter(({ kind }) => kind === 'js')
  if (programs.length > 0) {
    it.each(programs)(
      '$heading (line $line)',
      ({ line, code, output }) => {
        const file = join(folder, `${path.replaceAll('/', '-')}-${line}.mjs`)
        writeFileSync(file, code)
        const { status, stdout, stderr } = spawnSync(process.execPath, [file], { cwd: folder, encoding: 'utf8' })
        expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
        if (output !== undefined) expect(stdout).toBe(output)
        // One of them trains.
      },
      300_000,
    )
  }

  it('has blocks of known kinds only, so that each is run somewhere', () => {
    // Python is what exports a model; it is no part of the package.
    const known = ['js', 'python', 'sh', 'html', 'http', 'js bundle', 'js vite', 'js webpack', 'js worker']
    expect(blocks.filter(({ kind }) => !known.includes(kind)).map(({ line, kind }) => `${line}: ${kind}`)).toEqual([])
    // A fence that is indented or not closed would be missed.
    const fences = text.match(/^\s*(?:```|~~~)/gm) ?? []
    const outputs = text.match(/^```text$/gm) ?? []
    expect(fences).toHaveLength(2 * (blocks.length + outputs.length))
  })

  it('links to files that exist', () => {
    // What the pages in blocks show is theirs.
    const prose = text.replace(/^```html\n[\s\S]*?^```$/gm, '')
    const links = [
      ...prose.matchAll(
        /\]\((?!https?:)([^)#\s]+)[^)]*\)|<(?:img|source)[^>]*(?:src|srcset)="(?!https?:|data:)([^"]+)"/g,
      ),
    ]
    const missing = links
      .map((match) => match[1] ?? match[2]!)
      .filter((target) => !existsSync(join(root, dirname(path), target)))
    expect(missing).toEqual([])
  })

  const commands = blocks
    .filter(({ kind }) => kind === 'sh')
    .flatMap(({ code }) => code.trim().split('\n'))
    .map((line) => line.replace(/(?:^|\s+)#.*$/, ''))
    .filter((line) => line !== '')
  if (commands.length > 0) {
    it.each(commands)('%s', (command) => {
      const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
        scripts: Record<string, string>
      }
      for (const part of command.split(' && ')) expect(unknownIn(part.split(' '), Object.keys(scripts))).toBe('')
    })
  }
})

/** What a command of a page names that there is not. */
function unknownIn([program, ...words]: string[], scripts: readonly string[]): string {
  if (program === 'npm') {
    const [verb, name] = words
    if (['ci', 'install', 'init'].includes(verb ?? '')) return ''
    const script = verb === 'run' ? name : verb
    return scripts.includes(script ?? '') ? '' : `npm script ${script}`
  }
  if (program === 'node') return existsSync(join(root, words[0] ?? '')) ? '' : `file ${words[0]}`
  if (program === 'cd' || program === 'git' || program === 'mkdir' || program === 'curl') return ''
  if (program === 'npx') return words[0] === 'toeplitz' ? unknownIn(words, scripts) : `npx ${words[0]}`
  if (program !== 'toeplitz') return `program ${program}`
  const { status, stdout } = spawnSync(process.execPath, [join(root, 'dist/cli/main.js'), words[0] ?? '', '--help'], {
    encoding: 'utf8',
  })
  if (status !== 0) return `command ${words[0]}`
  const missing = words.filter((word) => word.startsWith('--')).filter((flag) => !stdout.includes(flag))
  return missing.join(' ')
}

it('examples/browser names the headers that its server sends', async () => {
  const { isolation } = (await import(join(root, 'examples/browser/serve.mjs'))) as {
    isolation: Record<string, string>
  }
  const page = pages.find(({ path }) => path === 'examples/browser/README.md')
  const headers = page?.blocks
    .find(({ kind }) => kind === 'http')
    ?.code.trim()
    .split('\n')
  expect(headers).toEqual(Object.entries(isolation).map(([name, value]) => `${name}: ${value}`))
})
