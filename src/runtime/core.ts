/** The one loaded core: its kernels, its memory, and how it was started. */
import { NotInitializedError, UnsupportedError } from './errors.js'
import type { Kernels } from './generated/kernels.js'
import {
  checkRuntime,
  loadCore,
  loadCoreSync,
  supportsRelaxedSimd,
  type LoadedCore,
  type ModuleSource,
} from './load.js'
import { Allocator, type MemoryUsage } from './memory.js'

declare const __VERSION__: string | undefined

/** `strict` gives the same bits everywhere; `relaxed` uses fused multiply-add where the machine has it. */
export type Simd = 'strict' | 'relaxed'

export interface InitOptions {
  /** Default `strict`. `relaxed` is faster and not reproducible across machines; `auto` takes it where it exists. */
  readonly simd?: Simd | 'auto'
  /** Worker threads to compute with. Only 1 is available so far. */
  readonly threads?: number
  /** The core to load instead of the one that the entry of the package brings. */
  readonly module?: ModuleSource
}

export interface InitSyncOptions {
  readonly module?: WebAssembly.Module | BufferSource
}

/** Where an entry of the package has its cores, for calls of `init` that bring none. */
export interface Origin {
  strict(): WebAssembly.Module | BufferSource
  relaxed(): ModuleSource
  /** What `auto` takes where the machine has both. */
  readonly preferred: Simd
}

export interface RuntimeInfo {
  readonly simd: Simd
  readonly threads: number
  /** Why fewer threads run than were asked for. */
  readonly threadsOffBecause?: string
  readonly version: string
  /** Names of the kernels that the core exports. */
  readonly kernels: readonly string[]
}

interface Core {
  readonly kernels: Kernels
  readonly allocator: Allocator
  readonly simd: Simd
  readonly threadsOffBecause: string | undefined
}

let core: Core | undefined
let loading: Promise<void> | undefined

function start(loaded: LoadedCore, options: InitOptions): void {
  const { simd: asked = 'strict', threads = 1 } = options
  const simd = loaded.kernels.isRelaxed() ? 'relaxed' : 'strict'
  if (asked !== 'auto' && asked !== simd) {
    throw new UnsupportedError(
      `init: module is the ${simd} core; give the ${asked} one, or say simd: '${simd}'` +
        (simd === 'relaxed' ? ', which is not reproducible across machines' : ''),
    )
  }
  core = {
    kernels: loaded.kernels,
    allocator: new Allocator(loaded.memory, loaded.kernels.heapBase()),
    simd,
    threadsOffBecause: threads > 1 ? 'this release computes on one thread' : undefined,
  }
}

function checkOptions({ simd = 'strict', threads = 1 }: InitOptions): void {
  if (simd !== 'strict' && simd !== 'relaxed' && simd !== 'auto') {
    throw new UnsupportedError(`init: simd must be 'strict', 'relaxed' or 'auto', not ${JSON.stringify(simd)}`)
  }
  if (!Number.isInteger(threads) || threads < 1) {
    throw new UnsupportedError(`init: threads must be a whole number from 1 on, not ${threads}`)
  }
  if (simd === 'relaxed' && !supportsRelaxedSimd()) {
    throw new UnsupportedError(
      "init: this runtime has no relaxed SIMD; use simd: 'strict', or 'auto' to take it where it exists",
    )
  }
}

async function load(origin: Origin, options: InitOptions): Promise<void> {
  checkRuntime()
  checkOptions(options)
  const { simd = 'strict', module } = options
  const own = simd !== 'auto' ? simd : supportsRelaxedSimd() ? origin.preferred : 'strict'
  start(await loadCore(module === undefined ? origin[own]() : module), options)
}

/** `init` of an entry. */
export async function initFrom(origin: Origin, options: InitOptions = {}): Promise<void> {
  if (core) return
  loading ??= load(origin, options)
  try {
    await loading
  } finally {
    loading = undefined
  }
}

/** `initSync` of an entry. */
export function initSyncFrom(origin: Origin, options: InitSyncOptions = {}): void {
  if (core) return
  checkRuntime()
  start(loadCoreSync(options.module === undefined ? origin.strict() : options.module), { simd: 'auto' })
}

/** How the core was started. @throws NotInitializedError before `init`. */
export function runtimeInfo(): RuntimeInfo {
  const { kernels, simd, threadsOffBecause } = need('runtimeInfo')
  return {
    simd,
    threads: 1,
    ...(threadsOffBecause === undefined ? {} : { threadsOffBecause }),
    version: typeof __VERSION__ === 'string' ? __VERSION__ : 'source',
    kernels: Object.keys(kernels).filter((name) => name.includes('_')),
  }
}

function need(what: string): Core {
  if (!core) throw new NotInitializedError(what)
  return core
}

/** The kernels, for the operation `what`. */
export const kernels = (what = 'this operation'): Kernels => need(what).kernels

/** Bytes handed out now, at the peak, and held by the runtime. */
export const memoryUsage = (): MemoryUsage => need('memoryUsage').allocator.usage()

/** Pointer to a block of `bytes` bytes, which the caller returns with `release`. */
export const allocate = (bytes: number, what = 'a tensor'): number => need(what).allocator.allocate(bytes)

export const release = (pointer: number): void => need('release').allocator.release(pointer)

/** `length` floats at `pointer`. The view dies when memory grows: use it at once and drop it. */
export const floatsAt = (pointer: number, length: number): Float32Array =>
  new Float32Array(need('a view').allocator.memory.buffer, pointer, length)

/** `length` 32-bit integers at `pointer`; the same care applies. */
export const integersAt = (pointer: number, length: number): Int32Array =>
  new Int32Array(need('a view').allocator.memory.buffer, pointer, length)

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
  return withWorkspace(values.length * 4, (pointer) => {
    integersAt(pointer, values.length).set(values)
    return use(pointer)
  })
}
