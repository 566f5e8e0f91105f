/** Every runtime: how it is found, and how it runs the program that lies bundled in a folder. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { browsers, reportOf } from './browsers.mjs'
import { findProgram, runProgram } from './processes.mjs'
import { startWorkerd } from './workerd.mjs'

const installed = join(import.meta.dirname, '../node_modules')
const { platform, arch } = process
/** What packages call this machine's processor. */
const processor = arch === 'arm64' ? 'aarch64' : arch

const fromNpm = 'npm install in test/platform'

/** Node of one major version: the one that runs this, or the one that is installed here. */
function findNode(major) {
  const candidates = [process.execPath, join(installed, `node-${platform}-${arch}/bin/node`)]
  return candidates.find((path) => {
    const program = findProgram(path)
    return program && execFileSync(program, ['--version'], { encoding: 'utf8' }).startsWith(`v${major}.`)
  })
}

/** One thread, and one or two workers more. */
const threads = [1, 2, 3]

const command = (install, find, args = []) => ({
  install,
  threads,
  find,
  run: async (program, folder, options) => {
    const out = await runProgram(program, [...args, join(folder, 'command.mjs'), JSON.stringify(options)], {
      cwd: folder,
    })
    return JSON.parse(out)
  },
})

const page = (name) => ({
  install: browsers[name].install,
  threads,
  find: browsers[name].find,
  run: async (_, folder, options) => {
    const query = encodeURIComponent(JSON.stringify(options))
    const { value, version } = await reportOf(name, folder, { page: `page.html?options=${query}` })
    return { ...value, version }
  },
})

/** The path of workerd itself: its npm package has a script in front that would outlive what it starts. */
export const findWorkerd = () =>
  findProgram(join(installed, `@cloudflare/workerd-${platform}-${arch === 'x64' ? '64' : arch}/bin/workerd`), 'workerd')

export const findDeno = () =>
  findProgram(join(installed, `@deno/${platform}-${arch}${platform === 'linux' ? '-glibc' : ''}/deno`), 'deno')

export const runtimes = {
  'Node 20': command('Node 20', () => findNode(20)),
  'Node 22': command(fromNpm, () => findNode(22)),
  Deno: command(fromNpm, findDeno, ['run', '--no-config']),
  Bun: command(
    fromNpm,
    () => findProgram(join(installed, `@oven/bun-${platform}-${arch === 'x64' ? arch : processor}/bin/bun`), 'bun'),
    ['run'],
  ),
  workerd: {
    install: fromNpm,
    // It has no workers.
    threads: [1],
    find: findWorkerd,
    run: async (program, folder, options) => {
      const workerd = await startWorkerd(program, join(folder, 'workerd.capnp'))
      try {
        const response = await fetch(workerd.address, { method: 'POST', body: JSON.stringify(options) })
        const report = await response.json()
        if (report.error) throw new Error(`workerd: ${report.error}`)
        const version = execFileSync(program, ['--version'], { encoding: 'utf8' })
        return { ...report, version: version.replace('workerd', '').trim() }
      } finally {
        workerd.close()
      }
    },
  },
  Chromium: page('Chromium'),
  Firefox: page('Firefox'),
  WebKitGTK: page('WebKitGTK'),
}
