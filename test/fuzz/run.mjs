/**
 * Runs generated cases against the readers of files, the operations, the layers and the options of every function.
 *
 *   npm run fuzz -- [--target NAME,…] [--seed 1] [--cases N] [--seconds S] [--jobs N] [--reasons]
 *   npm run fuzz -- --target NAME --seed 1 --case K [--shrink] [--save FILE.json]    shows one case and judges it
 *   npm run fuzz -- --target NAME --file FILE                                          judges a case from a file
 *   npm run fuzz -- --target onnx-real --models FOLDER [--cases N] [--seed 1]          makes cases of models in a folder
 *   npm run fuzz -- --corpus                                                           judges the cases of corpus/ only
 *   npm run fuzz -- --list                                                             names the targets
 *
 * --reasons tells why cases were refused; --patience S, after how many seconds a case hangs. The cases of corpus/, each of
 * which was a fault once, are judged before others.
 *
 * Exit codes: 0 no fault; 1 a fault was found; 2 wrong usage. Cases run in processes of their own, so that one that hangs,
 * dies or eats memory is a fault with its number and the run goes on.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { performance } from 'node:perf_hooks'
import { createInterface } from 'node:readline'
import { clearInterval, setInterval } from 'node:timers'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'
import { signatureOf } from './signature.mjs'

const root = join(import.meta.dirname, '../..')
const corpus = join(import.meta.dirname, 'corpus')

/** Cases that one process runs before another takes over; where time is limited, so that every target gets its turn. */
const CASES_OF_A_PROCESS = 5000
const CASES_OF_A_TURN = 200
/**
 * Seconds of computing without the end of a case after which it hangs. Where a case waits, or the system does not tell,
 * so many times these seconds by the clock: other programs may hold the processor.
 */
const PATIENCE = 30
const BY_THE_CLOCK = 4
/** Memory of one process, in bytes, above which it is ended. */
const MOST_MEMORY = 3 * 2 ** 30
/** Processes lost to hangs and crashes after which a target is given up. */
const MOST_LOST = 10
/** Different faults that are shown for each target. */
const MOST_SHOWN = 20

function usage(message) {
  console.error(`fuzz: ${message}`)
  process.exit(2)
}

function wholeNumber(name, text, smallest) {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (Number.isSafeInteger(value) && value >= smallest) return value
  return usage(`--${name} ${text}: it must be a whole number from ${smallest} on`)
}

function options() {
  const known = { type: 'string' }
  const flag = { type: 'boolean', default: false }
  try {
    const { values } = parseArgs({
      options: {
        ...{
          target: known,
          seed: known,
          cases: known,
          seconds: known,
          jobs: known,
          case: known,
          file: known,
          save: known,
          patience: known,
          models: known,
        },
        ...{ shrink: flag, list: flag, reasons: flag, corpus: flag },
      },
    })
    const number = (name, smallest) =>
      values[name] === undefined ? undefined : wholeNumber(name, values[name], smallest)
    return {
      ...values,
      seed: number('seed', 0) ?? 1,
      cases: number('cases', 1),
      seconds: number('seconds', 1),
      jobs: number('jobs', 1) ?? Math.min(2, availableParallelism()),
      case: number('case', 0),
      patience: number('patience', 1) ?? PATIENCE,
      models: values.models === undefined ? undefined : resolve(values.models),
    }
  } catch (error) {
    return usage(error.message)
  }
}

const isRunning = (pid) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Bundles the process of the cases into a folder inside the checkout, where it finds its packages. */
async function bundle() {
  const folders = join(root, 'build/fuzz')
  const folder = join(folders, String(process.pid))
  await mkdir(folder, { recursive: true })
  // What runs that were killed have left.
  for (const name of await readdir(folders)) {
    if (!isRunning(Number(name))) await rm(join(folders, name), { recursive: true, force: true })
  }
  await build({
    entryPoints: [join(import.meta.dirname, 'child.ts')],
    outfile: join(folder, 'child.mjs'),
    bundle: true,
    format: 'esm',
    target: 'es2022',
    platform: 'node',
    packages: 'external',
    // Names under which the examples import the package.
    alias: {
      toeplitz: join(root, 'src/index.ts'),
      ...Object.fromEntries(
        ['classifier', 'io'].map((entry) => [`toeplitz/${entry}`, join(root, `src/${entry}/index.ts`)]),
      ),
    },
    loader: { '.safetensors': 'binary' },
    define: { __SEEDS__: JSON.stringify(join(import.meta.dirname, 'seeds')) },
    sourcemap: 'inline',
    logLevel: 'warning',
  })
  return { child: join(folder, 'child.mjs'), remove: () => rm(folder, { recursive: true, force: true }) }
}

/** Bytes that a process has in memory; 0 where the system does not tell. */
function memoryOf(pid) {
  try {
    return 1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0)
  } catch {
    return 0
  }
}

/** Seconds that a process has computed for; undefined where the system does not tell. */
function secondsOf(pid) {
  try {
    // Fields 14 and 15, behind the name in brackets: hundredths of seconds in the process and in the system.
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1].split(' ')
    return (Number(fields[11]) + Number(fields[12])) / 100
  } catch {
    return undefined
  }
}

/** Processes that are to end with this one. */
const running = new Set()

/**
 * Runs a task in a process. Every line of its reports goes to `receive`.
 * @returns what ended it: nothing, a hang, a crash with its reason, or more memory than it may have
 */
async function runTask(child, task, { output = 'pipe', receive, until = Infinity, patience = PATIENCE }) {
  const flags = ['--expose-gc', '--enable-source-maps', '--max-old-space-size=1024', '--unhandled-rejections=strict']
  const started = spawn(process.execPath, [...flags, child, JSON.stringify(task)], {
    cwd: root,
    // Files that cases need go away with the folder.
    env: { ...process.env, TMPDIR: dirname(child) },
    stdio: ['ignore', output === 'inherit' ? 'inherit' : 'ignore', output === 'inherit' ? 'inherit' : 'pipe', 'pipe'],
  })
  running.add(started)
  let alive = performance.now()
  let computed = 0
  let asked = 0
  const hangs = () => {
    const waited = (performance.now() - alive) / 1000
    if (waited < patience) return false
    return (secondsOf(started.pid) ?? Infinity) - computed > patience || waited > BY_THE_CLOCK * patience
  }
  let ended
  let errors = ''
  started.stderr?.on('data', (text) => (errors = `${errors}${text}`.slice(-4000)))
  const lines = createInterface({ input: started.stdio[3] })
  lines.on('line', (line) => {
    alive = performance.now()
    // Once in a while: cases end by the thousand in a second.
    if (alive - asked > 100) {
      asked = alive
      computed = secondsOf(started.pid) ?? 0
    }
    receive(JSON.parse(line))
  })
  const watch = setInterval(() => {
    if (performance.now() > until) ended ??= { outcome: 'time' }
    else if (hangs()) {
      ended ??= { outcome: 'hang', message: `no end after ${patience} s` }
    } else if (memoryOf(started.pid) > MOST_MEMORY) {
      ended ??= { outcome: 'memory', message: `more than ${MOST_MEMORY / 2 ** 30} GiB of memory` }
    }
    if (ended) started.kill('SIGKILL')
  }, 100)
  const [[code, signal]] = await Promise.all([once(started, 'exit'), once(lines, 'close')])
  clearInterval(watch)
  running.delete(started)
  if (ended || code === 0) return ended
  const reason = /^.*(?:Error|FATAL).*$/m.exec(errors)?.[0]
  const message = `the process ended with ${signal ?? `code ${code}`}${reason === undefined ? '' : `: ${reason}`}`
  return { outcome: 'crash', message, stack: errors }
}

/** What is counted for a target. */
class Tally {
  cases = 0
  refused = 0
  accepted = 0
  wrong = 0
  slow = 0
  peak = 0
  lost = 0
  /** By signature: how often, and the first one. */
  faults = new Map()
  /** How often cases were refused, by the signature of the error. */
  reasons = new Map()

  add({ number, outcome, message = '', stack, peak = 0 }) {
    this.cases++
    this.peak = Math.max(this.peak, peak)
    const signature = signatureOf(outcome, message)
    if (outcome === 'accepted' || outcome === 'refused') {
      this[outcome]++
      if (outcome === 'refused') this.reasons.set(signature, (this.reasons.get(signature) ?? 0) + 1)
      return
    }
    if (outcome === 'slow') this.slow++
    else this.wrong++
    const known = this.faults.get(signature)
    if (known) known.count++
    else this.faults.set(signature, { count: 1, number, outcome, message, stack })
  }
}

/** Runs cases first ≤ number < last of a target, with as many processes as it takes. `taskFrom` makes the task from one on. */
async function runCases(child, taskFrom, { first, last, until, patience }, tally) {
  for (let next = first; next < last && performance.now() < until && tally.lost < MOST_LOST;) {
    let begun
    const ended = await runTask(child, taskFrom(next), {
      until,
      patience,
      receive({ begin, end, ...verdict }) {
        if (begin !== undefined) begun = begin
        else {
          tally.add({ number: end, ...verdict })
          next = end + 1
          begun = undefined
        }
      },
    })
    if (ended?.outcome === 'time') return
    if (!ended) continue
    tally.lost++
    // It died after the last case.
    if (begun === undefined && next >= last) return
    tally.add({ number: begun ?? next, ...ended })
    next = (begun ?? next) + 1
  }
}

/** The files of each target's folder in corpus/. */
async function corpusOf(name) {
  const folder = join(corpus, name)
  const files = await readdir(folder).catch(() => [])
  return files.sort().map((file) => join(folder, file))
}

const widths = [26, 9, 9, 9, 7, 10, 14]
const row = (cells) =>
  console.log(
    cells
      .map((cell, i) => (i === 0 ? String(cell).padEnd(widths[i]) : String(cell).padStart(widths[i])))
      .join(' ')
      .trimEnd(),
  )

/** Why cases were refused: whether the choices reach what they should. */
function printReasons(name, { reasons }) {
  console.log(`\n${name} refuses:`)
  for (const [reason, count] of [...reasons].sort(([, a], [, b]) => b - a).slice(0, 40)) {
    console.log(`${String(count).padStart(8)}  ${reason}`)
  }
}

const showRow = (name, { cases, refused, accepted, wrong, slow, peak }) =>
  row([name, cases, refused, accepted, wrong, slow, `${Math.round(peak / 2 ** 20)} MiB`])

/** Says what is wrong, and by which command it is seen again. Gives the number of different faults. */
function showFaults(name, { faults, lost }, repeat) {
  const all = [...faults.values()].sort((a, b) => b.count - a.count)
  for (const { count, number, outcome, message, stack } of all.slice(0, MOST_SHOWN)) {
    const where = /\n\s+at (?!.*(?:test\/fuzz|node:|<anonymous>))(.*)/.exec(stack ?? '')?.[1]
    console.log(`\n${name}: ${outcome}${count > 1 ? `, ${count} times` : ''}: ${message}`)
    if (where) console.log(`  at ${where.replaceAll(`${root}/`, '')}`)
    console.log(`  npm run fuzz -- --target ${name} ${repeat(number)}`)
  }
  if (all.length > MOST_SHOWN) console.log(`\n${name}: ${all.length - MOST_SHOWN} more kinds of faults`)
  if (lost >= MOST_LOST) console.log(`\n${name}: given up after ${lost} processes were lost`)
  return all.length
}

/** Runs the corpus, and then the cases of each target, unless only the corpus is asked for. */
async function runTargets(child, chosen, { seed, cases, seconds, jobs, reasons, patience, models, corpus: only }) {
  const until = seconds === undefined ? Infinity : performance.now() + 1000 * seconds
  const tallies = new Map(chosen.map(({ name }) => [name, new Tally()]))
  const known = new Map()
  for (const { name } of chosen) {
    const files = await corpusOf(name)
    if (files.length > 0) known.set(name, { files, tally: new Tally() })
  }
  const work = [...known].map(([name, { files, tally }]) => ({
    ...{ name, tally, first: 0, last: files.length },
    taskFrom: (first) => ({ kind: 'corpus', target: name, files, first, models }),
  }))
  const round = seconds === undefined ? CASES_OF_A_PROCESS : CASES_OF_A_TURN
  const rounds = (only ? [] : chosen).flatMap(({ name, cases: own }) => {
    const all = cases ?? own
    return Array.from({ length: Math.ceil(all / round) }, (_, i) => {
      const last = Math.min(all, (i + 1) * round)
      const taskFrom = (first) => ({ kind: 'cases', target: name, seed, first, last, models })
      return { name, tally: tallies.get(name), first: i * round, last, taskFrom }
    })
  })
  // The rounds of one target lie apart, so that a limit of time leaves something for each.
  work.push(...rounds.sort((a, b) => a.first - b.first))
  row(['target', 'cases', 'refused', 'accepted', 'wrong', 'slow > 2 s', 'peak memory'])
  const left = new Map(chosen.map(({ name }) => [name, rounds.filter((item) => item.name === name).length]))
  const worker = async () => {
    for (let item = work.shift(); item; item = work.shift()) {
      const { name, tally, taskFrom } = item
      await runCases(child, taskFrom, { ...item, until, patience }, tally)
      if (tally !== tallies.get(name)) {
        showRow(`${name}, corpus`, tally)
        continue
      }
      left.set(name, left.get(name) - 1)
      if (left.get(name) === 0) showRow(name, tally)
    }
  }
  await Promise.all(Array.from({ length: jobs }, worker))
  if (reasons) for (const [name, tally] of tallies) printReasons(name, tally)
  let faults = 0
  for (const [name, { files, tally }] of known) {
    faults += showFaults(name, tally, (number) => `--file ${relative(root, files[number])}`)
  }
  const more = models === undefined ? '' : ` --models ${models}`
  for (const [name, tally] of tallies) {
    faults += showFaults(name, tally, (number) => `--seed ${seed} --case ${number}${more}`)
  }
  return faults
}

async function runOne(child, name, { seed, case: number, file, save, shrink, patience, models }) {
  let verdict
  const task = { kind: 'one', target: name, seed, number, file, save, shrink, models }
  const ended = await runTask(child, task, {
    output: 'inherit',
    patience,
    receive(line) {
      if (line.outcome) verdict = line
    },
  })
  if (ended) console.log(`${ended.outcome}: ${ended.message}`)
  return verdict?.outcome === 'accepted' || verdict?.outcome === 'refused' ? 0 : 1
}

const given = options()
const { child, remove } = await bundle()
process.on('exit', () => {
  for (const { pid } of running) process.kill(pid, 'SIGKILL')
})
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => remove().finally(() => process.exit(130)))
try {
  let known = []
  const ended = await runTask(child, { kind: 'list' }, { receive: ({ list }) => (known = list) })
  if (ended) throw new Error(`the targets cannot be loaded: ${ended.message}\n${ended.stack ?? ''}`)
  const names = given.target?.split(',') ?? known.filter(({ cases }) => cases > 0).map(({ name }) => name)
  for (const name of names) {
    if (known.some((target) => target.name === name)) continue
    await remove()
    usage(`there is no target '${name}'; there are ${known.map((target) => target.name).join(', ')}`)
  }
  const chosen = names.map((name) => known.find((target) => target.name === name))
  const open = chosen.find(({ needsModels }) => needsModels && given.models === undefined && !given.list)
  if (open) {
    await remove()
    usage(`the target '${open.name}' needs --models FOLDER, a folder with .onnx files`)
  }
  if (given.list) {
    for (const { name, cases, about } of known) console.log(`${name.padEnd(24)}${String(cases).padStart(6)}  ${about}`)
  } else if (given.case !== undefined || given.file !== undefined) {
    if (names.length !== 1 || given.target === undefined) usage('one case needs its --target')
    process.exitCode = await runOne(child, names[0], given)
  } else {
    const began = performance.now()
    const faults = await runTargets(child, chosen, given)
    const seconds = ((performance.now() - began) / 1000).toFixed(0)
    console.log(`\nseed ${given.seed}, ${seconds} s: ${faults === 0 ? 'no fault' : `${faults} kinds of faults`}`)
    if (faults > 0) {
      console.log(`A fault that is mended becomes a case in ${relative(root, corpus)}/TARGET (--save FILE).`)
      process.exitCode = 1
    }
  }
} catch (error) {
  console.error(`fuzz: ${error.message}`)
  process.exitCode = 1
} finally {
  await remove()
}
