/**
 * Runs the same program in every runtime that is installed and compares the hashes with those in golden.json.
 *
 *   npm run test:platforms -- [--only NAME,…] [--require NAME,…] [--update]
 *
 * --require: it is an error when one of these is not installed. --update: writes golden.json, if all runtimes agree.
 * Exit codes: 0 all equal; 1 a hash differs or a runtime failed or is missing; 2 wrong usage.
 */
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { bundleProgram } from './lib/program.mjs'
import { runtimes } from './lib/runtimes.mjs'

const goldenFile = join(import.meta.dirname, 'golden.json')

function usage(message) {
  console.error(`test:platforms: ${message}`)
  process.exit(2)
}

function options() {
  try {
    const { values } = parseArgs({
      options: { only: { type: 'string' }, require: { type: 'string' }, update: { type: 'boolean', default: false } },
    })
    const names = (list) =>
      list?.split(',').map((name) => {
        const found = Object.keys(runtimes).find((known) => known.toLowerCase() === name.trim().toLowerCase())
        return found ?? usage(`there is no runtime '${name}'; known are ${Object.keys(runtimes).join(', ')}`)
      })
    return {
      only: names(values.only) ?? Object.keys(runtimes),
      required: names(values.require) ?? [],
      update: values.update,
    }
  } catch (error) {
    return usage(error.message)
  }
}

/** One hash of all of them. */
const digest = (hashes) => createHash('sha256').update(JSON.stringify(hashes)).digest('hex')

/** Names whose hashes are not the same. */
const differences = (hashes, golden) =>
  [...new Set([...Object.keys(golden), ...Object.keys(hashes)])].filter((name) => hashes[name] !== golden[name])

const line = (cells) =>
  console.log(
    cells
      .map((cell, i) => String(cell).padEnd([10, 16, 8, 64, 0][i]))
      .join('  ')
      .trimEnd(),
  )

const { only, required, update } = options()
const golden = JSON.parse(await readFile(goldenFile, 'utf8').catch(() => '{}'))
const { folder, remove } = await bundleProgram()
const reports = []
const problems = []
line(['runtime', 'version', 'threads', 'SHA-256 of all hashes', ''])
try {
  for (const name of only) {
    const runtime = runtimes[name]
    const program = runtime.find()
    if (!program) {
      if (required.includes(name)) problems.push(`${name} is required and not installed (${runtime.install})`)
      line([name, `skipped: not installed (${runtime.install})`])
      continue
    }
    for (const threads of runtime.threads) {
      try {
        const began = performance.now()
        const { info, hashes, version } = await runtime.run(program, folder, { threads })
        reports.push(hashes)
        const wrong = differences(hashes, update ? reports[0] : golden)
        const seconds = ((performance.now() - began) / 1000).toFixed(1)
        line([name, version, info.threads, digest(hashes), wrong.length === 0 ? `equal, ${seconds} s` : 'DIFFERENT'])
        const what = `${name} with ${threads} threads`
        if (wrong.length > 0) problems.push(`${what} differs in ${wrong.join(', ')}`)
        if (info.threads !== threads) problems.push(`${what} computed with ${info.threads}: ${info.threadsOffBecause}`)
      } catch (error) {
        line([name, 'FAILED', threads])
        problems.push(`${name} with ${threads} threads: ${error.message}`)
      }
    }
  }
} finally {
  await remove()
}
if (reports.length === 0) problems.push('no runtime ran')
for (const problem of problems) console.error(problem)
if (problems.length > 0) {
  console.error('When the kernels were changed on purpose, and all runtimes agree: npm run test:platforms -- --update')
  process.exitCode = 1
} else if (update) {
  await writeFile(goldenFile, `${JSON.stringify(reports[0], null, 2)}\n`)
  console.log(`golden.json: ${Object.keys(reports[0]).length} hashes written`)
}
