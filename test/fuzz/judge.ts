/** Runs one case of a target and tells what became of it: right, or which fault. */
import { readFileSync, writeFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { memoryUsage, runtimeInfo } from '../../src/runtime/core.js'
import { CoreError, ToeplitzError, WorkerError } from '../../src/runtime/errors.js'
import { guardBlocks } from '../helpers/guards.js'
import { Fault, type Input, type Outcome, type Target } from './target.js'

/** Kinds of faults; a run that ends in one of the last two never returns, and is told by the parent. */
export type FaultKind = 'foreign error' | 'wrong' | 'leak' | 'memory' | 'slow' | 'hang' | 'crash'

export interface Verdict {
  readonly outcome: 'refused' | 'accepted' | FaultKind
  /** What is wrong, in one line, or the error of a refusal. */
  readonly message: string
  readonly stack?: string
  /** Milliseconds that the case took. */
  readonly time: number
  /** Most memory that the process had, in bytes. */
  readonly peak: number
}

/** Milliseconds of computing above which a case is slow. */
const SLOW = 2000
/** A reader takes at most this, and three times what it gives. */
const READER_BYTES = 64 * 2 ** 20

const status = '/proc/self/status'

/** Forgets the peak so far, where the system can. */
function resetPeak(): void {
  try {
    writeFileSync('/proc/self/clear_refs', '5')
  } catch {
    // The peak is then that of the whole run.
  }
}

function peakBytes(): number {
  try {
    return 1024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync(status, 'latin1'))?.[1])
  } catch {
    return 1024 * process.resourceUsage().maxRSS
  }
}

const oneLine = (error: unknown): string => {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : `thrown: ${String(error)}`
  return text.replace(/\s+/g, ' ').slice(0, 400)
}

/** Whether an error is one of the library that tells of the case, and not of a kernel that trapped. */
const isRefusal = (error: unknown): error is ToeplitzError =>
  error instanceof ToeplitzError && !(error instanceof CoreError) && !(error instanceof WorkerError)

const isLoaded = (): boolean => {
  try {
    runtimeInfo()
    return true
  } catch {
    return false
  }
}

async function judgeOnce(
  target: Target,
  input: Input,
): Promise<Verdict & { readonly rise: number; readonly bytes: number }> {
  const loaded = isLoaded()
  const live = loaded ? memoryUsage().liveBytes : 0
  resetPeak()
  const before = process.memoryUsage.rss()
  const began = performance.now()
  const cpu = process.cpuUsage()
  let outcome: Outcome | FaultKind = 'refused'
  let message = ''
  let stack: string | undefined
  try {
    outcome = await target.check(input)
  } catch (error) {
    message = oneLine(error)
    if (error instanceof Fault) outcome = 'wrong'
    else if (!isRefusal(error)) outcome = 'foreign error'
    else if (error.message.includes('\n')) {
      outcome = 'wrong'
      message = `a message of more than one line: ${message}`
    }
    if (error instanceof Error && outcome !== 'refused') stack = error.stack
  }
  const { user, system } = process.cpuUsage(cpu)
  const time = Math.min(performance.now() - began, (user + system) / 1000)
  const peak = peakBytes()
  const bytes = typeof outcome === 'object' ? (outcome.bytes ?? 0) : 0
  let verdict: Verdict['outcome'] = typeof outcome === 'object' ? 'accepted' : outcome
  const right = verdict === 'accepted' || verdict === 'refused'
  const broken = guardBlocks().take()
  if (broken.length > 0) {
    verdict = 'wrong'
    message = `${broken.join('; ')}; ${message}`
  } else if (right && time > SLOW && !target.tellsSlow) {
    verdict = 'slow'
    message = `took ${(time / 1000).toFixed(1)} s of computing; ${message}`
  } else if (right && loaded && memoryUsage().liveBytes !== live) {
    verdict = 'leak'
    message = `${memoryUsage().liveBytes - live} bytes of linear memory stay in use; ${message}`
  }
  return {
    outcome: verdict,
    message,
    time,
    peak,
    rise: peak - before,
    bytes,
    ...(stack === undefined ? {} : { stack }),
  }
}

/** Judges a case. What could be chance, garbage or a first use is judged again in a quiet state. */
export async function judge(target: Target, input: Input): Promise<Verdict> {
  const first = await judgeOnce(target, input)
  const { outcome, rise, bytes } = first
  const exceeds = (rise: number): boolean => target.readsFiles === true && rise > READER_BYTES + 3 * bytes
  if (outcome === 'leak' || outcome === 'slow') {
    const again = await judgeOnce(target, input)
    return again
  }
  if ((outcome !== 'accepted' && outcome !== 'refused') || !exceeds(rise)) return first
  const { gc } = globalThis as { gc?: () => void }
  gc?.()
  gc?.()
  const again = await judgeOnce(target, input)
  if (!exceeds(again.rise)) return first
  const megabytes = (value: number): string => `${(value / 2 ** 20).toFixed(0)} MiB`
  return {
    ...again,
    outcome: 'memory',
    message: `took ${megabytes(again.rise)} for ${megabytes(bytes)} of results; ${again.message}`,
  }
}
