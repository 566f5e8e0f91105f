/** The one loaded core: its kernels, its memory, its threads, and how it was started. */
import { type WasmBytes, type WasmMemory, type WasmModule } from './platform.js'
import { CoreError, NotInitializedError, UnsupportedError } from './errors.js'
import type { Kernels } from './generated/kernels.js'
import {
  checkRuntime,
  compileCore,
  compileCoreSync,
  instantiateCore,
  supportsRelaxedSimd,
  type LoadedCore,
  type ModuleSource,
} from './load.js'
import { Tracer, type Memory } from './capture.js'
import { ALIGNMENT, Allocator, type MemoryUsage } from './memory.js'
import type { Pool } from './pool.js'
import { MOST_THREADS, threadsMissing, trapped, type WorkerHandle } from './threads.js'
import { checkKeys, type Names } from './options.js'

declare const __VERSION__: string | undefined

/** `strict` gives the same bits everywhere; `relaxed` uses fused multiply-add where the machine has it. */
export type Simd = 'strict' | 'relaxed'

/** Options of `init`. */
export interface InitOptions {
  /** Default `strict`. `relaxed` is faster and not reproducible across machines; `auto` takes it where it exists. */
  readonly simd?: Simd | 'auto'
  /**
   * Threads to compute with, this one included; default 1. Results have the same bits for any number. Where there can
   * be no threads, one computes, and `runtimeInfo()` says why. A later call with another number changes it; 1 ends the
   * workers.
   */
  readonly threads?: number
  /** The core to load instead of the one that the entry of the package brings; for threads, threads.wasm. */
  readonly module?: ModuleSource
  /** Makes the workers where pages may not start them from text: `() => new Worker(…the file toeplitz/worker…)`. */
  readonly createWorker?: () => WorkerHandle
}

/** Options of `initSync`. */
export interface InitSyncOptions {
  /** A compiled core or its bytes, instead of the one that the entry of the package brings. */
  readonly module?: WasmModule | WasmBytes
}

/** Where an entry of the package has its cores, for calls of `init` that bring none. */
export interface Origin {
  strict(): WasmModule | WasmBytes
  relaxed(): ModuleSource
  /** The core for shared memory. */
  threads(simd: Simd): ModuleSource
  /** What `auto` takes where the machine has both. */
  readonly preferred: Simd
}

/** How the core was started. */
export interface RuntimeInfo {
  /** Which core runs. */
  readonly simd: Simd
  /** Threads that compute, the calling one included. */
  readonly threads: number
  /** Why fewer threads run than were asked for. */
  readonly threadsOffBecause?: string
  /** Version of the package. */
  readonly version: string
  /** Names of the kernels that the core exports. */
  readonly kernels: readonly string[]
}

/** Bytes of the records of integers that kernels read: those of a call and of what it calls. */
const RECORDS_BYTES = 4096

/** Bytes before them, for the integer at `alarm`: a cache line, since threads write it. */
const ALARM_BYTES = 64

/** Where records lie: they come and go like a stack, so that none of them needs a block of memory. */
interface Records {
  begin: number
  readonly end: number
}

interface Core {
  readonly loaded: LoadedCore
  kernels: Kernels
  /** Address of an integer that kernels set to 1. */
  readonly alarm: number
  records: Records
  allocator: Memory
  /** Set while calls are noted. */
  tracer: Tracer | undefined
  readonly simd: Simd
  pool: Pool | undefined
  threadsOffBecause: string | undefined
}

let core: Core | undefined
/** Why there is no core any more: what every call throws from then on. */
let broken: CoreError | undefined
/** The last call of `init`: they run one after another. */
let loading: Promise<void> = Promise.resolve()

function start(loaded: LoadedCore, { simd: asked = 'strict' }: InitOptions): Core {
  const simd = loaded.kernels.isRelaxed() ? 'relaxed' : 'strict'
  if (asked !== 'auto' && asked !== simd) {
    throw new UnsupportedError(
      `init: module is the ${simd} core; give the ${asked} one, or say simd: '${simd}'` +
        (simd === 'relaxed' ? ', which is not reproducible across machines' : ''),
    )
  }
  const heapBase = Math.ceil(loaded.kernels.heapBase() / ALIGNMENT) * ALIGNMENT
  core = {
    loaded,
    kernels: loaded.kernels,
    alarm: heapBase,
    records: { begin: heapBase + ALARM_BYTES, end: heapBase + RECORDS_BYTES },
    allocator: new Allocator(loaded.memory, heapBase + RECORDS_BYTES, loaded.maximumPages),
    tracer: undefined,
    simd,
    pool: undefined,
    threadsOffBecause: undefined,
  }
  return core
}

function checkOptions({ simd = 'strict', threads = 1, createWorker }: InitOptions): void {
  if (simd !== 'strict' && simd !== 'relaxed' && simd !== 'auto') {
    throw new UnsupportedError(`init: simd must be 'strict', 'relaxed' or 'auto', not ${JSON.stringify(simd)}`)
  }
  if (!Number.isInteger(threads) || threads < 1 || threads > MOST_THREADS) {
    throw new UnsupportedError(`init: threads must be a whole number from 1 to ${MOST_THREADS}, not ${threads}`)
  }
  if (createWorker !== undefined && typeof createWorker !== 'function') {
    throw new UnsupportedError(
      `init: createWorker must be a function that returns a Worker, not ${typeof createWorker}`,
    )
  }
  if (simd === 'relaxed' && !supportsRelaxedSimd()) {
    throw new UnsupportedError(
      "init: this runtime has no relaxed SIMD; use simd: 'strict', or 'auto' to take it where it exists",
    )
  }
}

async function load(origin: Origin, options: InitOptions): Promise<void> {
  if (broken) throw broken
  checkKeys('init', options, { simd: 0, threads: 0, module: 0, createWorker: 0 } satisfies Names<InitOptions>)
  if (core && options.threads === undefined) return
  checkRuntime()
  checkOptions(options)
  const { simd = 'strict', module, threads = 1, createWorker } = options
  const missing = threads > 1 ? threadsMissing(createWorker !== undefined) : undefined
  const shared = threads > 1 && missing === undefined
  if (!core) {
    const own = simd !== 'auto' ? simd : supportsRelaxedSimd() ? origin.preferred : 'strict'
    const source = module === undefined ? (shared ? origin.threads(own) : origin[own]()) : module
    start(instantiateCore(await compileCore(source), shared), options)
  }
  await startThreads(core as Core, threads, missing, module !== undefined, createWorker)
}

/** Starts or ends workers, so that `threads` threads compute if that can be. */
async function startThreads(
  current: Core,
  threads: number,
  missing: string | undefined,
  givenModule: boolean,
  createWorker: InitOptions['createWorker'],
): Promise<void> {
  if (threads === (current.pool?.threads ?? 1)) return
  current.pool?.close()
  current.pool = undefined
  current.threadsOffBecause = missing
  if (threads === 1 || missing !== undefined) return
  const { module, memory, exports, shared } = current.loaded
  if (!shared) {
    current.threadsOffBecause = givenModule
      ? 'the module is made for one thread; give threads.wasm'
      : 'the core was loaded for one thread before; ask for threads in the first call of init'
    return
  }
  const { Pool } = await import('./pool.js')
  const pool = await Pool.start({ module, memory, exports, threads, createWorker })
  current.threadsOffBecause = pool.offBecause
  if (pool.offBecause === undefined) current.pool = pool
}

/** `init` of an entry. */
export async function initFrom(origin: Origin, options: InitOptions = {}): Promise<void> {
  const call = loading.then(() => load(origin, options))
  loading = call.catch(() => undefined)
  return call
}

/** `initSync` of an entry. */
export function initSyncFrom(origin: Origin, options: InitSyncOptions = {}): void {
  if (broken) throw broken
  checkKeys('initSync', options, { module: 0 } satisfies Names<InitSyncOptions>)
  if (core) return
  checkRuntime()
  const source = options.module === undefined ? origin.strict() : options.module
  start(instantiateCore(compileCoreSync(source), false), { simd: 'auto' })
}

/** How the core was started. @throws NotInitializedError before `init`. */
export function runtimeInfo(): RuntimeInfo {
  const { kernels, simd, pool, ...rest } = need('runtimeInfo')
  const threadsOffBecause = pool?.offBecause ?? rest.threadsOffBecause
  return {
    simd,
    threads: pool?.threads ?? 1,
    ...(threadsOffBecause === undefined ? {} : { threadsOffBecause }),
    version: typeof __VERSION__ === 'string' ? __VERSION__ : 'source',
    kernels: Object.keys(kernels).filter((name) => name.includes('_')),
  }
}

function need(what: string): Core {
  if (core) return core
  if (broken) throw broken
  throw new NotInitializedError(what)
}

/**
 * What is to be thrown for an error that came out of kernel calls. A trap becomes a CoreError and takes the core away: the
 * kernel may have written anywhere before it trapped. Every other error is passed on.
 */
export function afterFailure(what: string, error: unknown): unknown {
  const told = error instanceof WebAssembly.RuntimeError ? trapped(what, error.message, error) : error
  if (core && told instanceof CoreError) {
    broken = told
    core.pool?.close()
    core = views = undefined
  }
  return told
}

/** Runs `use`, which calls kernels by itself, outside of operations. */
export function guarded<T>(what: string, use: () => T): T {
  try {
    return use()
  } catch (error) {
    throw afterFailure(what, error)
  }
}

/** The kernels, for the operation `what`. All but scalar functions are to be called where `afterFailure` sees what they throw. */
export const kernels = (what = 'this operation'): Kernels => need(what).kernels

/** Bytes handed out now, at the peak, and held by the runtime. */
export const memoryUsage = (): MemoryUsage => need('memoryUsage').allocator.usage()

/** Pointer to a block of `bytes` bytes, which the caller returns with `release`. */
export const allocate = (bytes: number, what = 'a tensor'): number => need(what).allocator.allocate(bytes)

/** Gives a block back. Without a core there is nothing left to give back to. */
export const release = (pointer: number): void => core?.allocator.release(pointer)

/** `length` floats at `pointer`. The view dies when memory grows: use it at once and drop it. */
export const floatsAt = (pointer: number, length: number): Float32Array =>
  new Float32Array(viewed().buffer, pointer, length)

/** `length` 32-bit integers at `pointer`; the same care applies. */
export const integersAt = (pointer: number, length: number): Int32Array =>
  new Int32Array(viewed().buffer, pointer, length)

/** The memory, for a view by which something is read or written that no kernel call repeats. */
function viewed(): WasmMemory {
  notRepeatable()
  return need('a view').loaded.memory
}

/** Runs `use` with `bytes` bytes of workspace, returned afterwards whatever happens. */
export function withWorkspace<T>(bytes: number, use: (pointer: number) => T): T {
  const pointer = allocate(bytes, 'workspace')
  try {
    return use(pointer)
  } finally {
    release(pointer)
  }
}

/** Runs `use` with a copy of `values` in linear memory. */
export function withIntegers<T>(values: readonly number[] | Int32Array, use: (pointer: number) => T): T {
  const { records, tracer } = need('a record')
  const pointer = records.begin
  const next = pointer + Math.ceil((values.length * 4) / ALIGNMENT) * ALIGNMENT
  if (next > records.end) {
    notRepeatable()
    return withWorkspace(values.length * 4, (block) => use(fill(block, values)))
  }
  records.begin = next
  try {
    return use(fill(pointer, values))
  } finally {
    // Calls that are noted keep their records.
    if (!tracer) records.begin = pointer
  }
}

function fill(pointer: number, values: readonly number[] | Int32Array): number {
  const { integers } = wholeMemory()
  for (let i = 0, at = pointer >>> 2; i < values.length; i++, at++) integers[at] = values[i] as number
  return pointer
}

/** Copies `length` floats. */
export function copyFloats(to: number, from: number, length: number): void {
  wholeMemory().floats.copyWithin(to >>> 2, from >>> 2, (from >>> 2) + length)
}

/** Whether none of `length` floats is NaN or infinite. Not noted where calls are. */
export const allFinite = (pointer: number, length: number): boolean =>
  need('a check').loaded.kernels.all_finite(pointer, length) === 1

/** Address of an integer that a kernel may set to 1 to say that its result is wrong: `quiet` tells, and sets it to 0. */
export const alarm = (): number => need('a check').alarm

/** Whether no kernel has set the alarm since this was asked last. */
export function quiet(): boolean {
  const { integers } = wholeMemory()
  const at = alarm() >>> 2
  const set = integers[at] === 1
  integers[at] = 0
  return !set
}

/** Whether calls are being noted. */
export const isCapturing = (): boolean => core?.tracer !== undefined

/** Notes a test of results, which held or did not: it is made again with the calls, and a capture of what failed is given up. */
export function holds(held: boolean, test: () => boolean): void {
  if (held) core?.tracer?.note('check', test)
  else notRepeatable()
}

interface Views {
  readonly integers: Int32Array
  readonly floats: Float32Array
}

/** Views of all memory, made anew only after it has grown: a view for each call costs more than a small kernel. */
function wholeMemory(): Views {
  const { buffer } = need('a view').loaded.memory
  if (views?.integers.buffer !== buffer) views = { integers: new Int32Array(buffer), floats: new Float32Array(buffer) }
  return views
}

let views: Views | undefined

// ---- repetition ---------------------------------------------------------------------------------------------

/** Kernel calls that can be made again, and the memory that they name. */
export interface Captured {
  /** Whether the threads are still those that the calls are shared out to. */
  readonly current: boolean
  /** Makes the calls; false where a test of their results fails, which then are not to be used. */
  replay(): boolean
  /** Gives the memory back. */
  dispose(): void
}

/** Bytes of the records of captured calls. */
const CAPTURED_RECORDS = 1 << 15

const abandoned = new FinalizationRegistry<Tracer>((tracer) => {
  tracer.dispose()
})

/**
 * Runs `use` and notes the kernels that it calls, to call them again on the same memory; undefined where it does
 * something that these calls do not repeat, such as reading a tensor or repeating others. Memory that it allocates stays until `dispose`,
 * whether it returns it or not; what was there before must outlive the calls.
 */
export function capture(use: () => void): Captured | undefined {
  const current = need('capture')
  notRepeatable()
  if (current.tracer) return undefined
  const { kernels, allocator, records, pool } = current
  const tracer = new Tracer(allocator)
  const begin = tracer.allocate(CAPTURED_RECORDS)
  current.tracer = tracer
  current.allocator = tracer
  current.kernels = tracer.watch(kernels)
  current.records = { begin, end: begin + CAPTURED_RECORDS }
  try {
    use()
  } catch (error) {
    tracer.failed = true
    throw error
  } finally {
    Object.assign(current, { kernels, allocator, records, tracer: undefined })
    if (tracer.failed) tracer.dispose()
  }
  if (tracer.failed) return undefined
  const captured: Captured = {
    get current() {
      return current.pool === pool
    },
    replay() {
      notRepeatable()
      return tracer.replay(afterFailure)
    },
    dispose() {
      abandoned.unregister(captured)
      tracer.dispose()
    },
  }
  abandoned.register(captured, tracer, captured)
  return captured
}

/**
 * Says that what is done now goes beyond calls of kernels: a capture that is under way gives up, and with it goes all
 * memory that is allocated in it. Gives whether there is one.
 */
export function notRepeatable(): boolean {
  const tracer = core?.tracer
  if (tracer) tracer.failed = true
  return tracer !== undefined
}

// ---- threads ------------------------------------------------------------------------------------------------

/** Kernels over a range of independent items: their last two arguments are `begin, end`. */
type RangeKernel = {
  [name in keyof Kernels]: ReturnType<Kernels[name]> extends void
    ? Parameters<Kernels[name]> extends [...unknown[], number, number]
      ? name
      : never
    : never
}[keyof Kernels]

/** Its other arguments, each of which may be a workspace. */
type Leading<F extends (...args: never[]) => unknown> =
  Parameters<F> extends [...infer Rest extends Value[], number, number] ? OrWorkspace<Rest> : never
type Value = number | boolean
type OrWorkspace<T extends Value[]> = { [i in keyof T]: T[i] | PerThread }

/** Workspace of which every thread gets its own: an argument of `parallel`. */
export interface PerThread {
  readonly bytes: number
}

export const perThread = (bytes: number): PerThread => ({ bytes })

/** Bytes of a workspace in a call that is shared out: one for each thread. */
export const onAllThreads = (bytes: number): number =>
  Math.ceil(bytes / ALIGNMENT) * ALIGNMENT * (need('a workspace').pool?.places ?? 1)

/** In ns: a chunk of less work costs too much to hand out, a call of less than two is not worth to wake anyone. */
const CHUNK_WORK = 20_000
/** A call has at most so many chunks. */
const MOST_CHUNKS = 64
/** Floats in a cache line: chunks of elements start at multiples of it. */
const LINE = 16

let forcedChunk: number | undefined

/** For tests: every call is divided into chunks of so many items, however little work they are. */
export function forceChunks(items: number | undefined): void {
  forcedChunk = items
}

/** Items in a chunk: from the shape alone, never from the number of threads. */
function chunkOf(items: number, work: number): number {
  if (forcedChunk !== undefined) return forcedChunk
  if (items * work < 2 * CHUNK_WORK) return items
  const chunk = Math.max(1, Math.ceil(CHUNK_WORK / work), Math.ceil(items / MOST_CHUNKS))
  return chunk < LINE ? chunk : Math.ceil(chunk / LINE) * LINE
}

/**
 * Runs a kernel over its items, 0 to `items`, on all threads. `work` is the time that one item takes, in ns, a rough
 * estimate: small calls stay on this thread. `args` are the kernel's arguments without `begin, end`.
 * @throws OutOfMemoryError when there is no memory for the workspace, WorkerError when a worker fails, CoreError when the
 * kernel traps.
 */
export function parallel<Name extends RangeKernel>(
  name: Name,
  items: number,
  work: number,
  ...args: Leading<Kernels[Name]>
): void {
  const { kernels, pool, allocator, tracer } = need(name)
  if (!pool) {
    alone(name, kernels[name] as (...args: number[]) => void, items, args, allocator)
    return
  }
  const chunk = pool.threads > 1 ? chunkOf(items, work) : items
  const places = chunk < items ? pool.places : 1
  const given: readonly (Value | PerThread)[] = args
  const values = new Array<number>(given.length + 2)
  const steps = new Array<number>(given.length).fill(0)
  const blocks: number[] = []
  try {
    given.forEach((argument, i) => {
      if (typeof argument !== 'object') {
        values[i] = Number(argument)
        return
      }
      const step = Math.ceil(argument.bytes / ALIGNMENT) * ALIGNMENT
      const block = allocator.allocate(step * places)
      blocks.push(block)
      values[i] = block
      steps[i] = step
    })
    if (places > 1) {
      values.length = given.length
      const expected = (chunk * work) / 1e6
      pool.run(name, values, steps, items, chunk, expected)
      tracer?.note(name, () => pool.run(name, values, steps, items, chunk, expected))
    } else {
      values[given.length] = 0
      values[given.length + 1] = items
      ;(kernels[name] as (...args: number[]) => void)(...values)
    }
  } catch (error) {
    throw afterFailure(name, error)
  } finally {
    for (const block of blocks) allocator.release(block)
  }
}

/** The same without workers, for which small networks call too often to pay for more. */
function alone(
  name: string,
  kernel: (...args: number[]) => void,
  items: number,
  args: (Value | PerThread)[],
  allocator: Core['allocator'],
): void {
  let blocks: number[] | undefined
  try {
    for (let i = 0; i < args.length; i++) {
      const argument = args[i] as Value | PerThread
      if (typeof argument === 'object') (blocks ??= []).push((args[i] = allocator.allocate(argument.bytes)))
    }
    args.push(0, items)
    kernel(...(args as number[]))
  } catch (error) {
    throw afterFailure(name, error)
  } finally {
    if (blocks) for (const block of blocks) allocator.release(block)
  }
}
