/** The one loaded core: its kernels, its memory, its threads, and how it was started. */
import { type WasmBytes, type WasmModule } from './platform.js'
import { CoreError, NotInitializedError, UnsupportedError } from './errors.js'
import type { IntegerKernels, Kernels } from './generated/kernels.js'
import {
  checkRuntime,
  compileCore,
  compileCoreSync,
  instantiateCore,
  linkBeside,
  supportsRelaxedSimd,
  type LinkedModule,
  type LoadedCore,
  type ModuleSource,
} from './load.js'
import { Allocator, blockOf, type MemoryUsage } from './memory.js'
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
  /** Those of the core and of what was loaded beside it. */
  kernels: Kernels
  /** By name. */
  readonly beside: Map<string, LinkedModule>
  /** Address of an integer that kernels set to 1. */
  readonly alarm: number
  readonly records: Records
  readonly allocator: Allocator
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
  const heapBase = blockOf(loaded.kernels.heapBase())
  core = {
    loaded,
    kernels: loaded.kernels,
    beside: new Map(),
    alarm: heapBase,
    records: { begin: heapBase + ALARM_BYTES, end: heapBase + RECORDS_BYTES },
    allocator: new Allocator(loaded.memory, heapBase + RECORDS_BYTES, loaded.maximumPages),
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
  const { loaded, beside } = current
  if (!loaded.shared) {
    current.threadsOffBecause = givenModule
      ? 'the module is made for one thread; give threads.wasm'
      : 'the core was loaded for one thread before; ask for threads in the first call of init'
    return
  }
  const { Pool } = await import('./pool.js')
  const modules = [loaded, ...beside.values()]
  usePool(current, await Pool.start({ modules, memory: loaded.memory, threads, createWorker }))
}

function usePool(current: Core, pool: Pool): void {
  current.threadsOffBecause = pool.offBecause
  if (pool.offBecause === undefined) current.pool = pool
}

/** Where a module of kernels lies that few need, for each kind of core. */
export type BesideOrigin = Omit<Origin, 'preferred'>

async function loadBeside(name: string, origin: BesideOrigin): Promise<void> {
  const current = need(name)
  const { loaded, beside, simd, pool } = current
  if (beside.has(name)) return
  const module = await compileCore(loaded.shared ? origin.threads(simd) : origin[simd]())
  const linked = linkBeside(loaded, module, name)
  beside.set(name, linked)
  current.kernels = { ...current.kernels, ...(linked.exports as unknown as Kernels) }
  if (!pool) return
  current.pool = undefined
  usePool(current, await pool.renew([loaded, ...beside.values()]))
}

/**
 * Loads kernels that few need, on the memory and for the threads of the core: once, however often it is asked for. Operations
 * call them as they call those of the core.
 * @throws NotInitializedError before `init`, FormatError where the module is none of kernels, or does not fit the core.
 */
export async function addKernels(name: string, origin: BesideOrigin): Promise<void> {
  const call = loading.then(() => loadBeside(name, origin))
  loading = call.catch(() => undefined)
  return call
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

/** Which core is loaded, or would be if nothing is said. */
export const currentSimd = (): Simd => core?.simd ?? 'strict'

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

/** Linear memory as it is now: another buffer when it has grown. */
export const memoryBuffer = (): ArrayBufferLike => need('a view').loaded.memory.buffer

/** `length` floats at `pointer`. The view dies when memory grows: use it at once and drop it. */
export const floatsAt = (pointer: number, length: number): Float32Array =>
  new Float32Array(memoryBuffer(), pointer, length)

/** `length` 32-bit integers at `pointer`; the same care applies. */
export const integersAt = (pointer: number, length: number): Int32Array =>
  new Int32Array(memoryBuffer(), pointer, length)

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
export function withIntegers<T>(values: Int32Array, use: (pointer: number) => T): T {
  const before = mark()
  const pointer = putIntegers(values)
  try {
    return pointer === 0 ? withWorkspace(4 * values.length, (block) => use(putIntegers(values, block))) : use(pointer)
  } finally {
    rewind(before)
  }
}

/** Where the next record will lie: what `rewind` is given once records from here on are no longer read. */
export const mark = (): number => need('a record').records.begin

/** Takes back the records since `mark`. */
export function rewind(to: number): void {
  if (core) core.records.begin = to
}

/** Address of a copy of `values` among the records, or at a given address; 0 where there is no room among them. */
export function putIntegers(values: Int32Array, at?: number): number {
  const { records } = need('a record')
  if (at !== undefined) return fill(at, values)
  const pointer = records.begin
  const next = pointer + blockOf(4 * values.length)
  if (next > records.end) return 0
  records.begin = next
  return fill(pointer, values)
}

function fill(pointer: number, values: Int32Array): number {
  const { integers } = wholeMemory()
  for (let i = 0, at = pointer >>> 2; i < values.length; i++, at++) integers[at] = values[i] as number
  return pointer
}

/** Sets `length` floats to `value`. */
export function fillFloats(at: number, length: number, value: number): void {
  wholeMemory().floats.fill(value, at >>> 2, (at >>> 2) + length)
}

/** Whether none of `length` floats is NaN or infinite. */
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

// ---- threads ------------------------------------------------------------------------------------------------

/** Kernels of the core, and those that may be loaded beside it. */
export type AnyKernels = Kernels & IntegerKernels

/** Kernels over a range of independent items: their last two arguments are `begin, end`. */
export type RangeKernel = {
  [name in keyof AnyKernels]: ReturnType<AnyKernels[name]> extends void
    ? Parameters<AnyKernels[name]> extends [...unknown[], number, number]
      ? name
      : never
    : never
}[keyof AnyKernels]

/** Its other arguments. */
type Leading<F extends (...args: never[]) => unknown> =
  Parameters<F> extends [...infer Rest extends (number | boolean)[], number, number] ? Rest : never

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
 * @throws WorkerError when a worker fails, CoreError when the kernel traps.
 */
export function parallel<Name extends RangeKernel>(
  name: Name,
  items: number,
  work: number,
  ...args: Leading<AnyKernels[Name]>
): void {
  callKernel(
    name,
    items,
    work,
    [...args.map(Number), 0, 0],
    args.map(() => 0),
  )
}

/** How many threads may need workspace of their own. */
export const placesForThreads = (): number => need('a workspace').pool?.places ?? 1

/**
 * Calls a kernel by numbers. Over `items` items, the last two numbers are left for `begin, end`; thread t gets argument i
 * plus t · steps[i]. Without `items` the numbers are all.
 * @throws WorkerError when a worker fails, CoreError when the kernel traps.
 */
export function callKernel(
  name: string,
  items: number | undefined,
  work: number,
  values: number[],
  steps: readonly number[],
): void {
  const { kernels, pool } = need(name)
  const kernel = (kernels as unknown as Record<string, ((...args: number[]) => void) | undefined>)[name]
  if (!kernel) throw new UnsupportedError(`${name}: this kernel is in a module that must be loaded first`)
  try {
    if (items !== undefined) {
      const chunk = pool && pool.threads > 1 ? chunkOf(items, work) : items
      if (pool && chunk < items) {
        pool.run(name, values.slice(0, -2), steps, items, chunk, (chunk * work) / 1e6)
        return
      }
      values[values.length - 2] = 0
      values[values.length - 1] = items
    }
    kernel(...values)
  } catch (error) {
    throw afterFailure(name, error)
  }
}
