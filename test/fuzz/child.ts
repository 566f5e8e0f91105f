/**
 * The process in which cases run: `child.js TASK`, TASK as JSON. It tells its parent each case that begins and ends, so that
 * the parent knows which one it was when the process hangs or dies.
 */
import { readFileSync, writeFileSync, writeSync } from 'node:fs'
import { allocate } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { guardBlocks } from '../helpers/guards.js'
import { judge, type Verdict } from './judge.js'
import { parseInput, printInput } from './inputs.js'
import { Random } from './random.js'
import { shrink } from './shrink.js'
import type { Input, Target } from './target.js'
import { targets } from './targets.js'

/** What the parent asks for. `models` is a folder that some targets take their cases from. */
export type Task = { readonly models?: string } & (
  | { readonly kind: 'list' }
  | {
      readonly kind: 'cases'
      readonly target: string
      readonly seed: number
      readonly first: number
      readonly last: number
    }
  | {
      /** Cases from files, numbered in this order. */
      readonly kind: 'corpus'
      readonly target: string
      readonly files: readonly string[]
      readonly first: number
    }
  | {
      /** One case, shown: by its number, or read from a file. */
      readonly kind: 'one'
      readonly target: string
      readonly seed: number
      readonly number?: number
      readonly file?: string
      readonly save?: string
      readonly shrink: boolean
    }
)

/** Larger blocks are refused, as at the end of memory: cases are to be small. */
const LARGEST_BLOCK = 2 ** 28
/** The pipe to the parent. */
const REPORTS = 3

function report(line: object): void {
  const bytes = Buffer.from(`${JSON.stringify(line)}\n`)
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(REPORTS, bytes, at)
    } catch (error) {
      // The parent is slow to read.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
  }
}

function targetNamed(name: string): Target {
  const target = targets[name]
  if (!target) throw new Error(`there is no target '${name}'`)
  return target
}

async function start(target: Target, { models }: Task): Promise<void> {
  const guards = guardBlocks(LARGEST_BLOCK)
  await init(target.threads === undefined ? {} : { threads: target.threads })
  guards.placeSentinel(allocate)
  await target.prepare?.(models)
}

const make = (target: Target, name: string, seed: number, number: number): Input =>
  target.make(new Random(seed, name, number))

async function runCases(task: Task & { kind: 'cases' }): Promise<void> {
  const target = targetNamed(task.target)
  await start(target, task)
  for (let number = task.first; number < task.last; number++) {
    report({ begin: number })
    const { outcome, message, peak, stack } = await judge(target, make(target, task.target, task.seed, number))
    report({ end: number, outcome, peak, ...(outcome === 'accepted' ? {} : { message, stack }) })
    // A core that trapped refuses everything from then on: the parent starts another process.
    if (outcome !== 'refused' && message.includes('CoreError')) return
  }
}

/** Cases that were faults once. `name.refused.json` must be refused, `name.accepted.json` accepted, any other be no fault. */
async function runCorpus(task: Task & { kind: 'corpus' }): Promise<void> {
  const target = targetNamed(task.target)
  await start(target, task)
  for (let number = task.first; number < task.files.length; number++) {
    const file = task.files[number] as string
    report({ begin: number })
    const { outcome, message, peak, stack } = await judge(target, parseInput(readFileSync(file), file))
    const expected = /\.(refused|accepted)\.json$/.exec(file)?.[1]
    const right = (outcome === 'accepted' || outcome === 'refused') && outcome === (expected ?? outcome)
    if (right) report({ end: number, outcome, peak })
    else {
      const other = outcome === 'accepted' || outcome === 'refused'
      report({
        end: number,
        outcome: other ? 'wrong' : outcome,
        message: other ? `${outcome}, not ${expected}: ${message}` : message,
        stack,
        peak,
      })
    }
  }
}

function show({ outcome, message, time, stack }: Verdict): void {
  console.log(`${outcome}, ${time.toFixed(1)} ms${message === '' ? '' : `\n${message}`}`)
  if (stack !== undefined) console.log(stack)
}

async function runOne(task: Task & { kind: 'one' }): Promise<void> {
  const target = targetNamed(task.target)
  await start(target, task)
  let input =
    task.file === undefined
      ? make(target, task.target, task.seed, task.number ?? 0)
      : parseInput(readFileSync(task.file), task.file)
  console.log(printInput(input))
  if (task.save !== undefined && !task.shrink) writeFileSync(task.save, printInput(input))
  report({ begin: task.number ?? 0 })
  const verdict = await judge(target, input)
  show(verdict)
  if (task.shrink) {
    input = await shrink(target, input, verdict, () => report({ alive: true }))
    console.log(`\nsmaller:\n${printInput(input)}`)
    if (task.save !== undefined) writeFileSync(task.save, printInput(input))
    show(await judge(target, input))
  }
  report({ end: task.number ?? 0, outcome: verdict.outcome, peak: verdict.peak, message: verdict.message })
}

const task = JSON.parse(process.argv[2] ?? '') as Task
if (task.kind === 'list') {
  const list = Object.entries(targets).map(([name, { about, cases, needsModels = false }]) => ({
    ...{ name, about, cases, needsModels },
  }))
  report({ list })
} else if (task.kind === 'cases') await runCases(task)
else if (task.kind === 'corpus') await runCorpus(task)
else await runOne(task)
// Worker threads would keep the process.
process.exit(0)
