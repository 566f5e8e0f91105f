/** How much memory and time a piece of code takes, in a process of its own. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { buildSync } from 'esbuild'

export interface Peak {
  /** Bytes that the process had at most, above those that it had when the file was read and the code began. */
  readonly bytes: number
  readonly milliseconds: number
  /** What the code gave. */
  readonly result?: unknown
  /** The name and the message of its error. */
  readonly error?: string
}

/**
 * Runs a function of the bytes of a file.
 *
 * @param imports import declarations, from the root of the repository: "import { decodePng } from './src/formats/png.js'"
 * @param code the function: "(file) => decodePng(file, 'x').data.length"
 */
export function processPeak(imports: string, code: string, file: Uint8Array): Peak {
  const directory = mkdtempSync(join(tmpdir(), 'toeplitz-peak-'))
  const [program, data] = [join(directory, 'program.mjs'), join(directory, 'file')]
  try {
    writeFileSync(data, file)
    buildSync({
      stdin: {
        contents: `import { existsSync, readFileSync } from 'node:fs'
          ${imports}
          const run: (file: Uint8Array) => unknown = ${code}
          const file = new Uint8Array(readFileSync(${JSON.stringify(data)}))
          const before = process.memoryUsage().rss
          const started = performance.now()
          const told: Record<string, unknown> = {}
          try {
            told.result = run(file)
          } catch (error) {
            told.error = error.name + ': ' + error.message
          }
          told.milliseconds = performance.now() - started
          // Linux counts the peak of the process that started this one into maxRSS; the status tells its own.
          const own = existsSync('/proc/self/status') && /VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'latin1'))
          told.bytes = 1024 * Number(own ? own[1] : process.resourceUsage().maxRSS) - before
          process.stdout.write(JSON.stringify(told))`,
        resolveDir: resolve(import.meta.dirname, '../..'),
        loader: 'ts',
      },
      outfile: program,
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'es2022',
      logLevel: 'warning',
    })
    const { stdout, stderr, status } = spawnSync(process.execPath, [program], { encoding: 'utf8' })
    if (status !== 0) throw new Error(`the program ended with ${status}: ${stderr}`)
    return JSON.parse(stdout) as Peak
  } finally {
    rmSync(directory, { recursive: true })
  }
}
